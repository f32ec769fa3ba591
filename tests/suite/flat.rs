//! The flat form of nft scripts: one command a line, with the meaning of the block form.

use std::fs;

use netweir::backend::nft::{self, Form};
use netweir::reader::nft::{Options as Reading, Target, script};
use netweir::syntax::NoIncludes;
use netweir::{Compilation, Layout, Options, View, compile};

use crate::common::netns::{self, Netns};
use crate::common::shipped::{compile_file, root, rulesets, snapshot};

/// The options of `nft` in both forms, the block form first.
fn both(layout: Layout, nft: nft::Options) -> [Options; 2] {
    [Form::Block, Form::Flat].map(|form| Options {
        layout,
        nft: nft::Options { form, ..nft },
        ..Options::default()
    })
}

/// The scripts of every policy, in the order of the file.
fn scripts(compilation: &Compilation) -> Vec<String> {
    let policies = compilation.policies.iter();
    policies.map(|policy| compilation.emit(policy, View::Nft).unwrap()).collect()
}

/// Every shipped policy in both layouts, with comments and counters and without, in both forms.
fn shipped() -> Vec<[String; 2]> {
    let plain = nft::Options { counters: false, comments: false, ..nft::Options::default() };
    let mut all = Vec::new();
    for path in rulesets() {
        for layout in [Layout::Compact, Layout::Upstream] {
            for nft in [nft::Options::default(), plain] {
                let [block, flat] =
                    both(layout, nft).map(|options| scripts(&compile_file(&path, &options)));
                all.extend(block.into_iter().zip(flat).map(|(block, flat)| [block, flat]));
            }
        }
    }
    all
}

#[test]
fn every_line_is_a_command_and_they_say_what_the_blocks_say() {
    for [block, flat] in shipped() {
        for line in flat.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let verb = line.split(' ').next().unwrap();
            assert!(matches!(verb, "add" | "delete" | "flush"), "{line}");
            assert!(!line.ends_with(['\\', ' ', '{']), "{line}");
        }
        let reading = Reading { target: Some(Target::OLDEST), ..Reading::default() };
        let [block, flat] = [block, flat].map(|text| {
            let read = script(&text, &reading);
            read.unwrap_or_else(|errors| panic!("{errors:?}\n{text}")).ruleset
        });
        assert_eq!(block, flat);
    }
}

#[test]
fn the_kernel_lists_the_same_of_both_forms() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    for texts in shipped() {
        let listed = texts.map(|text| {
            netns.load(&text);
            let once = netns.ruleset();
            netns.load(&text);
            assert_eq!(netns.ruleset(), once, "loading twice is loading once\n{text:.20000}");
            netns.flush();
            once
        });
        assert_eq!(listed[0], listed[1]);
    }
}

#[test]
fn one_form_replaces_the_other() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    for path in ["rulesets/istio/tproxy.weir", "rulesets/ambient/host.weir"] {
        let [block, flat] = both(Layout::Compact, nft::Options::default())
            .map(|options| scripts(&compile_file(&root().join(path), &options)).remove(0));
        netns.load(&block);
        let listed = netns.ruleset();
        for text in [&flat, &block, &flat] {
            netns.load(text);
            assert_eq!(netns.ruleset(), listed, "{path}");
        }
        netns.flush();
    }
}

#[test]
fn a_hundred_thousand_networks_load() {
    if !netns::available_to_root() {
        return;
    }
    let excluded: Vec<String> = (0..100_000_u32)
        .map(|at| format!("{}.{}.{}.0/25", 11 + (at >> 16), at >> 8 & 255, at & 255))
        .collect();
    let text = format!("sidecar web {{ outbound {{ exclude to {} }} }}", excluded.join(", "));
    let [_, options] = both(Layout::Compact, nft::Options::default());
    let compilation = compile("web.weir", &text, &NoIncludes, &options).unwrap();
    let netns = Netns::new();
    netns.load(&scripts(&compilation)[0]);
    let list = netns.output("nft", &["list", "ruleset"]);
    let is_network = |word: &&str| word.ends_with(".0");
    assert_eq!(list.split([' ', ',', '\n']).filter(is_network).count(), 100_000);
}

#[test]
fn what_it_looks_like() {
    for name in ["istio/default", "istio/dns", "istio/tproxy", "ambient/pod"] {
        let path = root().join(format!("rulesets/{name}.weir"));
        let input = fs::read_to_string(&path).unwrap();
        let [_, options] = both(Layout::Compact, nft::Options::default());
        snapshot(&path, "flat.nft", &input, &scripts(&compile_file(&path, &options)).join("\n"));
    }
}
