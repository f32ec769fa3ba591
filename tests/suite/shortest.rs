//! How many rules packets meet, and that each rule is there for one.

use netweir::backend::nft;
use netweir::ir::{Action, Chain, CtState, Entry, Hook, Rule, Ruleset, Step, Table};
use netweir::semantics::{Packet, Run, run, touched};
use netweir::{Layout, Options};

use crate::common::shipped::{compile_file, root, rulesets};

/// The rules of a policy that ships, each as nft has it.
fn loaded(policy: &str, layout: Layout) -> Ruleset {
    let path = root().join(format!("rulesets/{policy}.weir"));
    let compilation = compile_file(&path, &Options::default());
    let ruleset = layout.of(&compilation.policies[0]).ruleset;
    nft::legal(&ruleset, nft::Target::OLDEST).unwrap().ruleset().clone()
}

/// Holds the rules that a packet meets against those that it matches.
struct Count<'r> {
    table: &'r Table,
    run: &'r Run<'r>,
    /// How many of the rules that match are behind it.
    matched: usize,
    met: usize,
}

impl<'r> Count<'r> {
    /// Goes through a chain; whether the packet comes back from it.
    fn chain(&mut self, chain: &'r Chain) -> bool {
        for rule in &chain.rules {
            self.met += 1;
            if !self.matches(rule) {
                continue;
            }
            self.matched += 1;
            match &rule.then {
                Action::Jump(to) if !self.chain(self.table.chain(to).unwrap()) => return false,
                Action::Goto(to) => return self.chain(self.table.chain(to).unwrap()),
                Action::Return => return true,
                Action::Tproxy { .. } => return self.run.outcome.tproxy.is_none(),
                then if then.ends_base_chain() => return false,
                _ => {}
            }
        }
        true
    }

    fn matches(&self, rule: &Rule) -> bool {
        self.run.trace.get(self.matched).is_some_and(|step| std::ptr::eq(step.rule, rule))
    }
}

/// How many rules `packet` meets at its hook. No nat chain sees one of a connection that is known.
fn met(ruleset: &Ruleset, packet: &str) -> usize {
    let packet: Packet = packet.parse().unwrap();
    let run = run(ruleset, &packet);
    let is_known = packet.state == CtState::Established;
    let schedules = ruleset.schedules(packet.hook, packet.family()).unwrap();
    let entries: Vec<Entry<'_>> = schedules[0]
        .steps
        .iter()
        .flat_map(|step| match step {
            Step::Chain(entry) => vec![*entry],
            Step::Translate(entries) if !is_known => entries.clone(),
            Step::Translate(_) | Step::Track => Vec::new(),
        })
        .collect();
    let mut sum = (0, 0);
    for Entry { table, chain, .. } in entries {
        let mut count = Count { table, run: &run, matched: sum.1, met: 0 };
        count.chain(chain);
        sum = (sum.0 + count.met, count.matched);
    }
    assert_eq!(sum.1, run.trace.len(), "{packet}: {:#?}", run.trace);
    sum.0
}

/// The rules that packets of both families meet, in upstream's layout and in the compact one.
fn both(policy: &str, [v4, v6]: [&str; 2]) -> [[usize; 2]; 2] {
    [Layout::Upstream, Layout::Compact].map(|layout| {
        let ruleset = loaded(policy, layout);
        [met(&ruleset, v4), met(&ruleset, v6)]
    })
}

#[test]
fn a_new_connection_meets_few_rules() {
    let outbound =
        ["outbound tcp to 10.96.0.1:443 user 1000", "outbound tcp to [fd00::9]:443 user 1000"];
    let inbound = ["inbound tcp to 10.0.0.7:8080", "inbound tcp to [fd00::7]:8080"];
    assert_eq!(both("istio/default", outbound), [[15, 15], [7, 7]]);
    assert_eq!(both("istio/default", inbound), [[7, 7], [3, 3]]);
    assert_eq!(both("istio/dns", outbound), [[24, 24], [9, 9]]);
    assert_eq!(both("ambient/pod", outbound), [[14, 15], [12, 13]]);
}

#[test]
fn a_packet_of_a_connection_of_tproxy_meets_few_rules() {
    let arrives = [
        "inbound tcp from 10.0.0.9 to 10.0.0.7:8080 state established",
        "inbound tcp from fd00::9 to [fd00::7]:8080 state established",
    ];
    let leaves = [
        "outbound tcp from 10.0.0.7 to 10.0.0.9:40000 user 1337 state established connmark 0x539",
        "outbound tcp from fd00::7 to [fd00::9]:40000 user 1337 state established connmark 0x539",
    ];
    assert_eq!(both("istio/tproxy", arrives), [[11, 11], [4, 4]]);
    assert_eq!(both("istio/tproxy", leaves), [[6, 6], [2, 2]]);
    // From the proxy to the workload, over loopback, where it leaves and where it arrives.
    let leaves_over_lo = [
        "outbound tcp from 10.0.0.9 to 10.0.0.7:8080 out lo user 1337 state established",
        "outbound tcp from fd00::9 to [fd00::7]:8080 out lo user 1337 state established",
    ];
    let arrives_over_lo = [
        "inbound tcp from 10.0.0.9 to 10.0.0.7:8080 in lo state established mark 0x53a",
        "inbound tcp from fd00::9 to [fd00::7]:8080 in lo state established mark 0x53a",
    ];
    assert_eq!(both("istio/tproxy", leaves_over_lo), [[6, 6], [7, 7]]);
    assert_eq!(both("istio/tproxy", arrives_over_lo), [[11, 11], [7, 7]]);
}

#[test]
fn each_rule_is_there_for_some_packet() {
    for path in rulesets() {
        let compilation = compile_file(&path, &Options::default());
        for policy in &compilation.policies {
            let ruleset = Layout::Compact.of(policy).ruleset;
            let met: Vec<&Rule> =
                Hook::ALL.iter().flat_map(|hook| touched(&ruleset, *hook, &[]).unwrap()).collect();
            for table in &ruleset.tables {
                for chain in &table.chains {
                    assert!(!chain.rules.is_empty(), "{}: {}", path.display(), chain.name);
                    for rule in &chain.rules {
                        let is_met = met.iter().any(|known| std::ptr::eq(*known, rule));
                        assert!(is_met, "{}: {} {rule:#?}", path.display(), chain.name);
                    }
                }
            }
        }
    }
}
