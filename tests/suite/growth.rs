//! Texts whose cost once grew with the square of their size, or with more: they are so large that
//! such a cost could not pass unseen. `benches/growth.rs` has the figures.

use std::collections::BTreeMap;

use netweir::diag::{Diagnostic, MOST_REPORTED, Problem};
use netweir::explain::{Context, explain_way};
use netweir::policy::{Checked, GroupIds, Kind, MOST_POLICIES, MOST_VALUES_IN_ALL, check};
use netweir::reader::{iptables, nft};
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
    let Checked { policies, diagnostics, .. } = checked(&text);
    assert_eq!(codes(&diagnostics), BTreeMap::from([("E317", MOST_REPORTED), ("E112", 1)]));
    assert_eq!(policies, []);
}

#[test]
fn a_circle_of_many_lists_is_one_mistake_with_a_few_places() {
    let count = 100_000;
    let text = lines(count, |n| format!("let a{n} = $a{}, $a{}\n", (n + 1) % count, n / 2))
        + "sidecar b { inbound { exclude port $a0 } }\n";
    let Checked { policies, diagnostics, .. } = checked(&text);
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
    let Checked { policies, diagnostics, .. } = checked(&text);
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
    let Checked { policies, diagnostics, .. } = checked(&text);
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
    let Checked { policies, diagnostics, .. } = checked(&text);
    assert_eq!(codes(&diagnostics), BTreeMap::from([("E333", 7)]));
    assert_eq!(policies.len(), fit);
}

#[test]
fn policies_have_a_limit() {
    let text = lines(MOST_POLICIES, |n| format!("ambient-host p{n} {{}}\n"))
        + "ambient-host one-more {}\nlet unused = 1\n";
    let Checked { policies, diagnostics, .. } = checked(&text);
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

/// The listing of a node with many services, in the shape of kube-proxy's nftables mode: as script,
/// and as JSON.
fn services(count: usize) -> [String; 2] {
    let address = |n: usize| format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255);
    let elements = lines(count, |n| format!("{} . tcp . 80 : goto service-{n}/web,\n", address(n)));
    let chains = lines(count, |n| {
        let address = address(n);
        format!(
            "chain service-{n}/web {{\nip saddr != 10.244.0.0/16 jump mark-it\nlimit rate 5/second log\n\
             numgen random mod 2 vmap {{ 0 : goto endpoint-{n}, 1 : goto endpoint-{n} }}\n}}\n\
             chain endpoint-{n} {{\nmeta l4proto tcp dnat to {address}:8080\n}}\n"
        )
    });
    let script = format!(
        "table ip kube-proxy {{\nmap service-ips {{\ntype ipv4_addr . inet_proto . inet_service : verdict\n\
         elements = {{ {elements} }}\n}}\nchain mark-it {{\nmeta mark set meta mark | 0x4000\n}}\n{chains}\
         chain nat-output {{\ntype nat hook output priority -100;\n\
         ip daddr . meta l4proto . th dport vmap @service-ips\n}}\n}}\n"
    );
    let table = r#""family":"ip","table":"kube-proxy""#;
    let rule = |chain: &str, statements: &str| {
        format!(r#"{{"rule":{{{table},"chain":"{chain}","handle":1,"expr":[{statements}]}}}},"#)
    };
    let goto = |to: &str| format!(r#"{{"goto":{{"target":"{to}"}}}}"#);
    let elements: Vec<String> = (0..count)
        .map(|n| {
            let (address, to) = (address(n), goto(&format!("service-{n}/web")));
            format!(r#"[{{"concat":["{address}","tcp",80]}},{to}]"#)
        })
        .collect();
    let chain = |name: &str| format!(r#"{{"chain":{{{table},"name":"{name}","handle":1}}}},"#);
    let chains =
        lines(count, |n| chain(&format!("service-{n}/web")) + &chain(&format!("endpoint-{n}")));
    let rules = lines(count, |n| {
        let (service, endpoint) = (format!("service-{n}/web"), format!("endpoint-{n}"));
        let (to, address) = (goto(&endpoint), address(n));
        rule(
            &service,
            r#"{"match":{"op":"!=","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":{"prefix":{"addr":"10.244.0.0","len":16}}}},{"jump":{"target":"mark-it"}}"#,
        ) + &rule(&service, r#"{"limit":{"rate":5,"burst":5,"per":"second"}},{"log":null}"#)
            + &rule(
                &service,
                &format!(
                    r#"{{"vmap":{{"key":{{"numgen":{{"mode":"random","mod":2,"offset":0}}}},"data":{{"set":[[0,{to}],[1,{to}]]}}}}}}"#
                ),
            )
            + &rule(
                &endpoint,
                &format!(
                    r#"{{"match":{{"op":"==","left":{{"meta":{{"key":"l4proto"}}}},"right":"tcp"}}}},{{"dnat":{{"addr":"{address}","port":8080}}}}"#
                ),
            )
    });
    let mark = r#"{"mangle":{"key":{"meta":{"key":"mark"}},"value":{"|":[{"meta":{"key":"mark"}},16384]}}}"#;
    let asked = r#"{"vmap":{"key":{"concat":[{"payload":{"protocol":"ip","field":"daddr"}},{"meta":{"key":"l4proto"}},{"payload":{"protocol":"th","field":"dport"}}]},"data":"@service-ips"}}"#;
    let json = [
        r#"{"nftables":[{"table":{"family":"ip","name":"kube-proxy"}},"#.to_owned(),
        format!(
            r#"{{"map":{{{table},"name":"service-ips","type":["ipv4_addr","inet_proto","inet_service"],"map":"verdict","elem":[{}]}}}},"#,
            elements.join(",")
        ),
        chain("mark-it"),
        chains,
        format!(
            r#"{{"chain":{{{table},"name":"nat-output","type":"nat","hook":"output","prio":-100,"policy":"accept"}}}},"#
        ),
        rule("mark-it", mark),
        rules,
        rule("nat-output", asked).trim_end_matches(',').to_owned(),
        "]}".to_owned(),
    ];
    [script, json.concat()]
}

#[test]
fn services_of_a_large_cluster_as_nft_lists_them() {
    let count = 20_000;
    let options = nft::Options::default();
    let [script, json] = services(count);
    let script = nft::script(&script, &options).unwrap();
    assert_eq!(script, nft::json(&json, &options).unwrap());
    let table = &script.ruleset.tables[0];
    let rules = table.chains.iter().map(|chain| chain.rules.len()).sum::<usize>();
    // The log behind the limit is one action; the last choice of two is no question.
    assert_eq!(rules, count * 6 + 1);
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
    let ours = Layout::default().of(policy).ruleset;
    let context = Context { policy: Some(policy), ..Context::default() };
    let others = Context { is_iptables: true, ..Context::default() };
    let verdict = verified((&ours, &context), (&ruleset, &others)).unwrap();
    assert_eq!(verdict.answer, Answer::Different);
    assert!(verdict.ways.and_more);
}
