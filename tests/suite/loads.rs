//! Every policy that ships and random ones, loaded by the real nft into the real kernel: script and
//! JSON give the same ruleset, loading twice is loading once, and teardown leaves nothing.

use netweir::backend::{nft, teardown};
use netweir::ir::Clauses;
use netweir::lower::Lowered;
use netweir::optimise::Layout;
use netweir::policy::Policy;
use netweir::syntax::NoIncludes;
use netweir::{Options, View, compile};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::common::netns::{self, Netns, same_ruleset};
use crate::common::policies::policies;
use crate::common::shipped::{compile_file, rulesets};

const LAYOUTS: [Layout; 2] = [Layout::Compact, Layout::Upstream];

/// Loads both outputs of a policy, then tears it down.
fn load(netns: &Netns, policy: &Policy, script: &str, json: &str) {
    same_ruleset(netns, script, json);
    netns.load(script);
    let lowered = Layout::Compact.of(policy);
    let teardown = teardown::emit(&policy.name, &lowered);
    for _ in 0..2 {
        let done = netns.run("sh", &["-s"], &teardown);
        assert!(done.ok && done.err.is_empty() && done.out.is_empty(), "{done:?}");
        assert_eq!(netns.output("nft", &["list", "ruleset"]), "");
    }
}

#[test]
fn every_ruleset_loads_in_every_form() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let plain = nft::Options { counters: false, comments: false, ..nft::Options::default() };
    for path in rulesets() {
        for layout in LAYOUTS {
            for nft in [nft::Options::default(), plain] {
                let options = Options { layout, nft, ..Options::default() };
                let compilation = compile_file(&path, &options);
                for policy in &compilation.policies {
                    let emit = |view| compilation.emit(policy, view).unwrap();
                    load(&netns, policy, &emit(View::Nft), &emit(View::Json));
                }
            }
        }
    }
}

#[test]
fn one_version_replaces_another_without_a_trace() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let names: Vec<_> = rulesets();
    let scripts: Vec<String> = names
        .iter()
        .flat_map(|path| {
            let compilation = compile_file(path, &Options::default());
            let emit = |policy: &Policy| {
                let is_sidecar = policy.kind.keyword() == "sidecar";
                is_sidecar.then(|| compilation.emit(policy, View::Nft).unwrap())
            };
            compilation.policies.iter().filter_map(emit).collect::<Vec<_>>()
        })
        .collect();
    // Each after the one before it: tables that it does not need, and families, go away.
    for pair in scripts.windows(2) {
        netns.load(&pair[1]);
        let alone = netns.ruleset();
        netns.flush();
        netns.load(&pair[0]);
        netns.load(&pair[1]);
        assert_eq!(netns.ruleset(), alone, "{}", pair[1]);
        netns.flush();
    }
}

#[test]
fn policies_of_one_namespace_load_together() {
    if !netns::available() {
        return;
    }
    let text = "sidecar proxy { mode tproxy; family ipv4 }\nambient-host node {}\n";
    let compilation = compile("node.weir", text, &NoIncludes, &Options::default()).unwrap();
    let policies: Vec<_> = compilation.policies.iter().collect();
    let emit = |view| compilation.emit_together(&policies, view).unwrap();
    let alone: Vec<_> =
        policies.iter().map(|policy| compilation.emit(policy, View::Nft).unwrap()).collect();
    let netns = Netns::new();
    let mut lists = Vec::new();
    // In one transaction twice, or one after the other: neither replaces the other.
    let (script, json) = (emit(View::Nft), emit(View::Json));
    for texts in [[&script, &script], [&json, &json], [&alone[0], &alone[1]]] {
        for text in texts {
            netns.load(text);
        }
        lists.push(objects(&netns.ruleset()));
        netns.flush();
    }
    assert_eq!(lists[0], lists[1]);
    assert_eq!(lists[0], lists[2]);
    netns.load(&script);
    let before = netns.routing();
    for view in [View::Routing, View::Teardown] {
        let done = netns.run("sh", &["-s"], &emit(view));
        assert!(done.ok && done.err.is_empty(), "{done:?}");
    }
    assert_eq!(netns.routing(), before);
    assert_eq!(netns.output("nft", &["list", "ruleset"]), "");
}

/// What is listed, whatever the order of tables: a table with sets of others keeps its place.
fn objects(list: &serde_json::Value) -> Vec<String> {
    let objects = list["nftables"].as_array().unwrap().iter();
    let mut objects: Vec<_> = objects.map(ToString::to_string).collect();
    objects.sort();
    objects
}

#[test]
fn random_policies_load() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let clauses = Clauses::default();
    let mut runner = TestRunner::new(Config { cases: 60, ..Config::default() });
    let layouts = prop_oneof![Just(Layout::Compact), Just(Layout::Upstream)];
    let checked = runner.run(&(policies(), layouts), |(policy, layout)| {
        let Lowered { ruleset, owned, .. } = layout.of(&policy);
        let legal = nft::legal(&ruleset, nft::Target::OLDEST).unwrap();
        let context = nft::Context { policy: &policy.name, owned: &owned, clauses: &clauses };
        let options = nft::Options::default();
        let script = nft::script(&legal, &context, &options);
        load(&netns, &policy, &script, &nft::json(&legal, &context, &options));
        Ok(())
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
}
