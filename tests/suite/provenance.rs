//! What is written leads back to its policy, and depends on nothing but what the policy means:
//! comments, empty lines, the order of clauses and the names of files change no byte of it.

use std::collections::BTreeMap;
use std::fs;

use netweir::span::Sources;
use netweir::syntax::ast::{Block, Clause, Comment, File, Item};
use netweir::syntax::{Loader, NoIncludes, format, parse};
use netweir::{Compilation, Layout, Options, View, compile};
use proptest::prelude::*;
use proptest::test_runner::TestRng;

use crate::common::shipped::{Files, compile_file, root, rulesets};

/// Every view of every policy, in both layouts, by name of file.
fn outputs(name: &str, text: &str, loader: &dyn Loader) -> BTreeMap<String, String> {
    let mut outputs = BTreeMap::new();
    for (layout, label) in [(Layout::Compact, "compact"), (Layout::Upstream, "upstream")] {
        // The proof has its own tests, and is no part of what is written.
        let options = Options { layout, verify: false, ..Options::default() };
        let compilation = compile(name, text, loader, &options)
            .unwrap_or_else(|failure| panic!("{text}\n{:#?}", failure.diagnostics));
        for policy in &compilation.policies {
            for &view in View::ALL {
                let file = format!("{}.{label}.{}", policy.name, view.extension());
                outputs.insert(file, compilation.emit(policy, view).unwrap_or_default());
            }
        }
    }
    outputs
}

fn tree(text: &str) -> File {
    let mut sources = Sources::default();
    let file = sources.add("x", text);
    parse(&sources, file).tree
}

/// Moves clauses within their blocks and adds comments and empty lines, at random.
fn shuffle(items: &mut Vec<Item>, rng: &mut TestRng, depth: usize) {
    for item in items.iter_mut() {
        let Item::Clause(clause) = item else { continue };
        clause.after_gap = rng.random();
        if clause.comment.is_none() && clause.block.is_none() && rng.random() {
            clause.comment = Some(comment(rng, false));
        }
        if let Some(Block { items, on_one_line, .. }) = &mut clause.block {
            *on_one_line = rng.random();
            shuffle(items, rng, depth + 1);
        }
    }
    // At the top level, a `let` stands before what uses it.
    if depth > 0 {
        for at in (1..items.len()).rev() {
            items.swap(at, rng.random_range(0..=at));
        }
    }
    for at in (0..=items.len()).rev() {
        if rng.random_range(0..3) == 0 {
            items.insert(at, Item::Comment(comment(rng, true)));
        }
    }
}

fn comment(rng: &mut TestRng, on_own_line: bool) -> Comment {
    let text = format!("# {}", rng.random::<u32>());
    Comment { text: text.into(), on_own_line, after_gap: rng.random() }
}

#[test]
fn what_means_the_same_is_written_the_same() {
    for path in rulesets() {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let expected = outputs(&name, &text, &Files);
        let (folder, file) = name.rsplit_once('/').unwrap();
        proptest!(ProptestConfig::with_cases(8), |(mut rng in Just(()).prop_perturb(|(), rng| rng))| {
            let mut tree = tree(&text);
            shuffle(&mut tree.items, &mut rng, 0);
            let edited = format(&tree);
            // The same file by another path, so that its includes are there.
            let detour = format!("{folder}/../{folder}/./{file}");
            let detour = if folder.contains('/') { name.clone() } else { detour };
            prop_assert_eq!(&outputs(&detour, &edited, &Files), &expected, "{}", edited);
        });
    }
}

#[test]
fn no_name_of_a_file_is_written() {
    let text = "sidecar s { inbound { exclude port 1 }; mode tproxy }";
    let here = outputs("a.weir", text, &NoIncludes);
    for elsewhere in ["b.weir", "/tmp/x y/a.weir", "<stdin>", "", "\u{1b}[31m\"; flush ruleset"] {
        assert_eq!(outputs(elsewhere, text, &NoIncludes), here, "{elsewhere}");
    }
    for (file, text) in here {
        assert!(!text.contains("a.weir") && !text.contains(env!("CARGO_PKG_VERSION")), "{file}");
    }
}

#[test]
fn what_is_inherited_leads_back_to_the_policy_that_says_it() {
    let base = "sidecar base { inbound { exclude port 15020 }; drop invalid }";
    let loader = BTreeMap::from([("lib/base.weir".to_owned(), base.to_owned())]);
    let text = "include \"lib/base.weir\"\nlet more = 22, 80\n\
                sidecar web extends base { inbound { also exclude port $more } }\n\
                sidecar other extends base { outbound { exclude to 10.0.0.0/8 } }";
    let compilation = compile("web.weir", text, &loader, &Options::default()).unwrap();
    let script = |at: usize| compilation.emit(&compilation.policies[at], View::Nft).unwrap();
    let json = compilation.emit(&compilation.policies[1], View::Json).unwrap();
    for (written, leads_to) in [
        (script(0), "\"I6 excluded port, I5 tunnel port (web: inbound also exclude port $more)\""),
        (script(0), "\"I4 invalid packet (base: drop invalid)\""),
        (script(1), "\"I6 excluded port, I5 tunnel port (base: inbound exclude port 15020)\""),
        (script(1), "\"O8 excluded destination, O7 (other: outbound exclude to 10.0.0.0/8)\""),
        (json, "\"O8 excluded destination, O7 (other: outbound exclude to 10.0.0.0/8)\""),
    ] {
        assert!(written.contains(leads_to), "{leads_to} is not in\n{written}");
    }
}

/// A clause by its policy and its words, as every comment names it.
fn leads(compilation: &Compilation, clause: &Clause) -> bool {
    compilation.clauses.at(clause.head()).is_some()
}

#[test]
fn every_clause_of_every_ruleset_can_be_named() {
    for path in rulesets() {
        let compilation = compile_file(&path, &Options::default());
        let text = fs::read_to_string(&path).unwrap();
        for policy in tree(&text).clauses().filter(|clause| clause.block.is_some()) {
            for clause in policy.block.iter().flat_map(Block::clauses) {
                assert!(leads(&compilation, clause), "{}: {:?}", path.display(), clause.terms);
            }
        }
    }
}
