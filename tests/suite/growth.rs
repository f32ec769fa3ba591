//! Texts whose cost once grew with the square of their size, or with more: they are so large that
//! such a cost could not pass unseen. `benches/growth.rs` has the figures.

use std::collections::BTreeMap;

use netweir::diag::{Diagnostic, MOST_REPORTED, Problem};
use netweir::explain::{Context, explain_way};
use netweir::lower::lower;
use netweir::policy::{Checked, GroupIds, Kind, MOST_POLICIES, MOST_VALUES_IN_ALL, check};
use netweir::reader::iptables;
use netweir::span::Sources;
use netweir::syntax::{MOST_TERMS, NoIncludes, load, parse};
use netweir::verify::{Answer, verified};
use netweir::{Layout, Options, View, compile};

use crate::common::node::node;

fn checked(text: &str) -> Checked {
    check(&load("x.weir", text, &NoIncludes), &GroupIds::new())
}

/// How often each code is among `diagnostics`.
fn codes(diagnostics: &[Diagnostic]) -> BTreeMap<&'static str, usize> {
    let mut codes = BTreeMap::new();
    for found in diagnostics {
        *codes.entry(found.problem.code()).or_default() += 1;
    }
    codes
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

#[test]
fn unknown_names_among_many_lists() {
    let text = lines(40_000, |n| format!("let list-{n} = $unknown-{n}, 1\n"));
    let found = codes(&checked(&text).diagnostics);
    assert_eq!(found, BTreeMap::from([("E313", MOST_REPORTED), ("E112", 1)]));
}

#[test]
fn policies_that_extend_unknown_ones() {
    let text = lines(40_000, |n| format!("sidecar policy-{n} extends unknown-{n} {{}}\n"));
    let Checked { policies, diagnostics } = checked(&text);
    assert_eq!(codes(&diagnostics), BTreeMap::from([("E317", MOST_REPORTED), ("E112", 1)]));
    assert_eq!(policies, []);
}

#[test]
fn a_circle_of_many_lists_is_one_mistake_with_a_few_places() {
    let count = 100_000;
    let text = lines(count, |n| format!("let a{n} = $a{}, $a{}\n", (n + 1) % count, n / 2))
        + "sidecar b { inbound { exclude port $a0 } }\n";
    let Checked { policies, diagnostics } = checked(&text);
    // The shortest way from the first list back to it is the list itself.
    let [only] = &diagnostics[..] else { panic!("{:?}", codes(&diagnostics)) };
    assert_eq!((only.problem.code(), only.labels.len()), ("E315", 1));
    assert_eq!(policies, []);
    let text = lines(count, |n| format!("let a{n} = $a{}\n", (n + 1) % count));
    let Checked { diagnostics, .. } = checked(&text);
    let [only] = &diagnostics[..] else { panic!("{:?}", codes(&diagnostics)) };
    assert_eq!((only.problem.code(), only.labels.len()), ("E315", 10));
    assert_eq!(only.labels[9].text, "by way of this one, and of 99990 more");
}

#[test]
fn a_circle_of_many_policies_is_one_mistake_with_a_few_places() {
    let count = 20_000;
    let text = lines(count, |n| format!("sidecar a{n} extends a{} {{}}\n", (n + 1) % count));
    let Checked { policies, diagnostics } = checked(&text);
    assert_eq!(codes(&diagnostics), BTreeMap::from([("E319", 1)]));
    assert_eq!(diagnostics[0].labels.len(), 10);
    assert_eq!(policies, []);
}

#[test]
fn of_many_policies_that_are_loaded_together_the_first_conflicts_are_told() {
    let text = lines(20_000, |n| format!("sidecar p{n} {{}}\n"));
    let options = Options { verify: false, ..Options::default() };
    let compilation = compile("x.weir", &text, &NoIncludes, &options).unwrap();
    let all: Vec<_> = compilation.policies.iter().collect();
    let found = compilation.conflicts(&all);
    assert_eq!(codes(&found), BTreeMap::from([("E330", MOST_REPORTED), ("E112", 1)]));
    assert!(compilation.emit_together(&all, View::Nft).is_err());
}

#[test]
fn policies_that_inherit_long_lists_have_them_and_their_own() {
    let ports = |from: u32| (from..from + 300).map(|port| (2 * port).to_string());
    let [inherited, own] = [100, 1000].map(|from| ports(from).collect::<Vec<_>>().join(", "));
    let text = format!("sidecar base {{ inbound {{ exclude port {inherited} }} }}\n")
        + &lines(2000, |n| match n % 3 {
            0 => format!("sidecar p{n} extends base {{}}\n"),
            1 => format!("sidecar p{n} extends base {{ inbound {{ also exclude port {own} }} }}\n"),
            _ => format!("sidecar p{n} extends base {{ inbound {{ exclude port {own} }} }}\n"),
        });
    let Checked { policies, diagnostics } = checked(&text);
    assert_eq!(diagnostics, []);
    let excluded = |at: usize| match &policies[at].node.kind {
        Kind::Sidecar(sidecar) => sidecar.inbound.exclude_ports.len(),
        _ => panic!("all are sidecars"),
    };
    assert_eq!([0, 1, 2, 3, 2000].map(excluded), [300, 300, 600, 300, 600]);
}

#[test]
fn values_of_all_policies_have_a_limit() {
    let ports: Vec<_> = (20_001..=40_000).map(|port| port.to_string()).collect();
    // Each inherits the user of the proxy, too.
    let fit = MOST_VALUES_IN_ALL / 20_001;
    let text = format!("let many = {}\n", ports.join(", "))
        + "sidecar base { inbound { exclude port $many } }\n"
        + &lines(fit + 4, |n| format!("sidecar p{n} extends base {{}}\n"))
        + &format!("sidecar last extends p{} {{}}\n", fit + 3)
        + "sidecar own { inbound { exclude port $many } }\n";
    let Checked { policies, diagnostics } = checked(&text);
    assert_eq!(codes(&diagnostics), BTreeMap::from([("E333", 7)]));
    assert_eq!(policies.len(), fit);
}

#[test]
fn policies_have_a_limit() {
    let text = lines(MOST_POLICIES, |n| format!("ambient-host p{n} {{}}\n"))
        + "ambient-host one-more {}\nlet unused = 1\n";
    let Checked { policies, diagnostics } = checked(&text);
    assert_eq!(policies.len(), MOST_POLICIES);
    assert_eq!(codes(&diagnostics), BTreeMap::from([("E333", 1)]));
    let most = MOST_POLICIES;
    assert_eq!(diagnostics[0].problem, Problem::TooMuch { what: "policies", most });
}

#[test]
fn words_of_a_file_have_a_limit() {
    for sign in [";", "a\n", "{}", "\u{7}", "#\n", "\"\n", "=", "\u{200b}"] {
        let terms = sign.trim_end().chars().count();
        let text = sign.repeat(MOST_TERMS / terms + 1);
        let mut sources = Sources::default();
        let file = sources.add("x.weir", &text);
        let parsed = parse(&sources, file);
        assert_eq!(codes(&parsed.diagnostics), BTreeMap::from([("E207", 1)]), "{sign:?}");
        assert_eq!(parsed.tree.items, []);
        let at = parsed.diagnostics[0].at().unwrap().start as usize;
        assert_eq!(at, sign.len() * (MOST_TERMS / terms), "{sign:?}");
    }
    // What a file that is not read has may be what others lack.
    let text = "a ".repeat(MOST_TERMS + 1);
    let files = BTreeMap::from([("long.weir".to_owned(), text)]);
    let text = "include \"long.weir\"\nsidecar a extends b { inbound { exclude port $c } }\n";
    let found = check(&load("x.weir", text, &files), &GroupIds::new()).diagnostics;
    assert_eq!(codes(&found), BTreeMap::from([("E207", 1)]));
}

#[test]
fn empty_lines_have_no_limit_but_that_of_the_file() {
    let empty = 2 * MOST_TERMS;
    let text = "\n".repeat(empty) + "sidecar a {\r\n \n\t\r\n mode }\n";
    let mut sources = Sources::default();
    let file = sources.add("x.weir", &text);
    let tree = parse(&sources, file).tree;
    let clause = tree.clauses().next().unwrap();
    assert_eq!(clause.span.start as usize, empty);
    assert_eq!(clause.block.as_ref().unwrap().clauses().count(), 1);
}

#[test]
fn chains_in_a_long_row() {
    let count = 100_000;
    let declared = lines(count, |n| format!(":C{n} - [0:0]\n"));
    let jumps = lines(count - 1, |n| format!("-A C{n} -j C{}\n", n + 1));
    let text = format!("*nat\n{declared}-A OUTPUT -j C0\n{jumps}COMMIT\n");
    let options = iptables::Options::default();
    let ruleset = iptables::read(Some(&text), None, &options).unwrap().ruleset;
    assert_eq!(ruleset.tables[0].reached_from(|_| true).len(), count + 1);
    let back = text.replace("COMMIT\n", &format!("-A C{} -j C0\nCOMMIT\n", count - 1));
    let errors = iptables::read(Some(&back), None, &options).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].to_string().contains("C0"), "{}", errors[0]);
}

#[test]
fn packets_of_a_node_with_very_many_services() {
    let services = 10_000;
    let options = iptables::Options::default();
    let ruleset = iptables::read(Some(&node(services)), None, &options).unwrap().ruleset;
    let context = Context { is_iptables: true, ..Context::default() };
    let explained = |packet: &str| {
        let told = explain_way(&ruleset, &packet.parse().unwrap(), &context).unwrap();
        let others = told.unless.iter().map(|other| other.outcome.clone());
        (told.outcome.clone(), others.collect::<Vec<_>>())
    };
    // The last of the services has one of two endpoints.
    let (usual, others) = explained("outbound tcp to 10.96.39.250:80");
    assert_eq!(usual, "sent to 10.244.79.251:8080 instead");
    assert_eq!(others.len(), 1);
    assert!(others[0].starts_with("sent to 10.244.79.250:8080 instead"), "{others:?}");
    assert_eq!(explained("outbound tcp to 10.97.0.1:80"), ("untouched".to_owned(), Vec::new()));
}

#[test]
fn a_node_with_many_services_is_verified() {
    let options = iptables::Options::default();
    let ruleset = iptables::read(Some(&node(300)), None, &options).unwrap().ruleset;
    let text = "sidecar web { family ipv4 }";
    let compilation = compile("web.weir", text, &NoIncludes, &Options::default()).unwrap();
    let policy = &compilation.policies[0];
    let ours = lower(policy, Layout::default()).ruleset;
    let context = Context { policy: Some(policy), sources: None, is_iptables: false };
    let others = Context { is_iptables: true, ..Context::default() };
    let verdict = verified((&ours, &context), (&ruleset, &others)).unwrap();
    assert_eq!(verdict.answer, Answer::Different);
    assert!(verdict.ways.and_more);
}
