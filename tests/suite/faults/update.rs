//! Faults in updates: each is stopped by the proof of the update, or leaves the same on the kernel.

use std::collections::BTreeMap;

use netweir::syntax::NoIncludes;
use netweir::update::{Old, prove, update};
use netweir::{Compilation, Options, View, compile};

use super::{Kind, Tallies, report, seeded, torn};
use crate::common::netns::{self, Netns};

/// Kinds of faults in an update.
const KINDS: &[Kind] = &[
    // Which rule.
    ("handle 1", "handle 2"),
    (" handle 8 ", " handle 9 "),
    (
        "delete rule inet istio-proxy-nat istio-output handle 1",
        "delete rule inet istio-proxy-nat istio-output handle 999",
    ),
    ("insert rule", "add rule"),
    ("insert rule", "replace rule"),
    ("insert rule", "delete rule"),
    ("add rule", "insert rule"),
    (" handle ", " index "),
    (" handle ", " # handle "),
    ("delete rule", "add rule"),
    // Which chain, set, table.
    ("istio-output handle", "istio-inbound handle"),
    ("rule inet istio-proxy-nat istio-output ", "rule inet istio-proxy-nat istio-inbound "),
    (
        "flush chain inet istio-proxy-nat istio-output",
        "flush chain inet istio-proxy-nat istio-inbound",
    ),
    ("flush chain", "delete chain"),
    ("flush chain", "add chain"),
    ("flush chain inet istio-proxy-nat istio-output\n", "flush table inet istio-proxy-nat\n"),
    ("delete chain", "flush chain"),
    ("add chain", "create chain"),
    ("add table", "create table"),
    ("delete table", "flush table"),
    ("delete table inet", "delete table ip"),
    ("add table inet", "add table ip6"),
    ("inet istio", "inet xistio"),
    ("-mangle", "-nat"),
    (" { type filter hook prerouting priority -150 ; policy accept ; }", ""),
    ("priority -150", "priority -149"),
    ("policy accept", "policy drop"),
    // Sets.
    ("delete element", "add element"),
    ("add element", "delete element"),
    ("add element", "create element"),
    ("delete set", "flush set"),
    ("delete set", "add set"),
    ("add set", "create set"),
    ("flush set", "delete set"),
    ("flush set ", "# flush set "),
    ("flags interval ; ", ""),
    ("10.0.0.0/9", "10.0.0.0/8"),
    ("10.0.0.0/9", "10.0.0.0/10"),
    ("10.0.0.0/9 }", "10.0.0.0/9, 172.16.0.0/25 }"),
    ("10.0.0.0/8", "11.0.0.0/8"),
    (", 192.168.0.0/16", ""),
    (" @o", " @p"),
    // Rules.
    (" return", " accept"),
    (" drop", " return"),
    (" counter ", " "),
    (" comment \"O", " comment \"P"),
    ("dport 25", "dport 26"),
    ("dport", "sport"),
    ("daddr", "saddr"),
    (" jump ", " goto "),
    ("ct state invalid", "ct state new"),
    // Spelling.
    ("\n", "\r\n"),
    ("\"\n", "\n"),
    ("#", ""),
    (" }\n", "\n"),
    ("add ", "ad "),
];

/// The older version and newer ones: other rules, other elements, a table more, and a list that is no set.
fn versions() -> [Compilation; 5] {
    let many: Vec<String> = (0..40).map(|at| format!("172.16.{at}.0/24")).collect();
    let many = many.join(", ");
    let list = |rest: &str| format!("outbound {{ exclude to {many}{rest} }}");
    [
        list(", 10.0.0.0/8, 192.168.0.0/16"),
        list(", 10.0.0.0/8, 192.168.0.0/16")
            + " outbound { exclude port 25 } inbound { exclude port 25, 26 }",
        list(", 10.0.0.0/9, 169.254.1.1"),
        list(", 10.0.0.0/8, 192.168.0.0/16") + " drop invalid",
        "outbound { exclude to 10.0.0.0/9; exclude port 25 }".to_owned(),
    ]
    .map(|inside| {
        let text = format!("sidecar s {{ {inside} }}");
        compile("s.weir", &text, &NoIncludes, &Options::default())
            .unwrap_or_else(|failure| panic!("{:?}", failure.diagnostics))
    })
}

/// Seeds faults into what makes `new` of `old`, which are policies, or loaded and listed.
fn seed(
    old: &Compilation,
    new: &Compilation,
    is_policy: bool,
    netns: &Netns,
    tallies: &mut Tallies,
) {
    let [was, is] = [old, new].map(|it| it.emit(&it.policies[0], View::Nft).unwrap());
    netns.load(&format!("flush ruleset\n{is}"));
    let wanted = netns.ruleset();
    netns.load(&format!("flush ruleset\n{was}"));
    let listing = netns.output("nft", &["-a", "list", "ruleset"]);
    let (loaded, policies) = ([&old.policies[0]], [&new.policies[0]]);
    let from = if is_policy { Old::Policies(old, &loaded) } else { Old::Listing(&listing) };
    let text = update(from, new, &policies).unwrap();
    assert!(text.starts_with("# Policy"), "{text}");
    prove(from, new, &policies, &text).unwrap();
    let replaced = KINDS.iter().flat_map(|kind| {
        let what = format!("`{}` for `{}`", kind.1.escape_debug(), kind.0.escape_debug());
        seeded(&text, *kind, 1).into_iter().map(move |fault| (what.clone(), fault))
    });
    let torn = torn(&text, 2).into_iter().map(|(what, fault)| (what.to_owned(), fault));
    let behind = [
        "flush ruleset\n",
        "delete table ip filter\n",
        "add rule inet istio-proxy-nat output drop\n",
    ];
    let behind = behind.map(|line| ("behind it".to_owned(), format!("{text}{line}")));
    for (what, fault) in replaced.chain(torn).chain(behind).filter(|(_, fault)| *fault != text) {
        let tally = tallies.entry(what.clone()).or_default();
        tally.seeded += 1;
        if prove(from, new, &policies, &fault).is_err() {
            tally.stopped += 1;
            continue;
        }
        let states: &[&str] = if is_policy { &[&was, &is] } else { &[&was] };
        for state in states {
            netns.load(&format!("flush ruleset\n{state}"));
            let done = netns.try_load(&fault);
            if !done.ok {
                tally.slipped.push(format!("{what}: {}\n{fault}", done.err));
            } else if sorted(&netns.ruleset()) != sorted(&wanted) {
                tally.slipped.push(format!("{what}: it is another ruleset\n{fault}"));
            }
        }
    }
}

/// Chains and sets in any order; rules of a chain in theirs.
fn sorted(list: &serde_json::Value) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for object in list["nftables"].as_array().unwrap() {
        let key = object.get("rule").map_or_else(
            || object.to_string(),
            |rule| format!("{} {} {}", rule["family"], rule["table"], rule["chain"]),
        );
        *all.entry(key).or_default() += &object.to_string();
    }
    all
}

#[test]
fn faults_in_updates_are_stopped() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let mut tallies = Tallies::new();
    let [old, newer @ ..] = versions();
    for new in &newer {
        for is_policy in [false, true] {
            seed(&old, new, is_policy, &netns, &mut tallies);
        }
    }
    report(&tallies, 45, 6);
}
