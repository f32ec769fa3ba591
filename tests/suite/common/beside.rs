//! Policies that are loaded beside rules of others.

use netweir::explain::Context;
use netweir::lower::{Layout, Lowered, lower};
use netweir::reader::nft;
use netweir::verify::{Answer, compared};
use netweir::{Compilation, Options, View};

use super::netns::Netns;
use super::shipped::{compile_file, root};

/// One policy of each kind, and of each way of capturing.
const POLICIES: &[&str] = &[
    "istio/default.weir",
    "istio/tproxy.weir",
    "istio/dns.weir",
    "ambient/pod.weir",
    "ambient/host.weir",
    "linkerd/linkerd.weir",
    "kuma/kuma-dns.weir",
    "consul/consul-dns.weir",
    "osm/osm.weir",
    "appmesh/appmesh-dual-stack.weir",
];

/// A policy that ships.
pub(crate) struct Beside {
    /// Where it is, below `rulesets`.
    pub(crate) path: &'static str,
    pub(crate) compilation: Compilation,
    pub(crate) lowered: Lowered,
}

/// One policy of each kind, and of each way of capturing.
pub(crate) fn policies() -> Vec<Beside> {
    let options = Options { verify: false, ..Options::default() };
    let compiled = |path: &&'static str| {
        let compilation = compile_file(&root().join("rulesets").join(path), &options);
        let lowered = lower(&compilation.policies[0], Layout::default());
        Beside { path, compilation, lowered }
    };
    POLICIES.iter().map(compiled).collect()
}

impl Beside {
    pub(crate) fn load(&self, netns: &Netns) {
        netns.load(&self.compilation.emit(&self.compilation.policies[0], View::Nft).unwrap());
    }

    /// Asserts that what is listed of it, as text and as JSON, is what it says.
    pub(crate) fn assert_loaded(&self, netns: &Netns, what: &str) {
        let sets = self.lowered.ruleset.tables.iter().flat_map(|table| &table.sets);
        let reading = nft::Options {
            filled: sets.map(|set| set.name.to_string()).collect(),
            of_iptables: nft::OfIptables::PassOver,
            ..nft::Options::default()
        };
        let list =
            |flags: &[&str]| netns.output("nft", &[flags, &["list", "ruleset"][..]].concat());
        for read in [nft::script(&list(&["-a"]), &reading), nft::json(&list(&["-j"]), &reading)] {
            let mut read = read.unwrap_or_else(|errors| panic!("{what}: {errors:?}")).ruleset;
            read.tables.retain(|table| self.lowered.owned.contains(&table.name));
            let context = Context::default();
            let verdict = compared((&self.lowered.ruleset, &context), (&read, &context)).unwrap();
            assert_eq!(verdict.answer, Answer::Equal, "{what}: {:#?}", verdict.ways.ways.first());
        }
    }

    pub(crate) fn unload(&self, netns: &Netns) {
        for table in &self.lowered.owned {
            for family in ["inet", "ip", "ip6"] {
                let delete = format!("table {family} {table}\ndelete table {family} {table}\n");
                assert!(netns.run("nft", &["-f", "-"], &delete).ok, "{}", self.path);
            }
        }
    }
}
