//! Updates: what turns a version that is loaded into another, on the kernel.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use netweir::policy::Policy;
use netweir::syntax::NoIncludes;
use netweir::update::{Old, update};
use netweir::{Compilation, Layout, Options, View, compile};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

use crate::common::netns::{self, Netns, normalised};
use crate::common::pairs::pairs;

/// What somebody else has loaded.
const OTHERS: &str = "table ip istio-other { chain c { tcp dport 1 counter drop\n }\n }\n";
/// What the first line of a text says that replaces.
const REPLACES: &str = "# Replaces the version that is loaded";

fn compiled_as(text: &str, layout: Layout) -> Compilation {
    let options = Options { layout, ..Options::default() };
    compile("p.weir", text, &NoIncludes, &options)
        .unwrap_or_else(|failure| panic!("{text}: {:?}", failure.diagnostics))
}

fn compiled(text: &str) -> Compilation {
    compiled_as(text, Layout::Compact)
}

/// The script of the one policy.
fn script(compilation: &Compilation) -> String {
    compilation.emit(&compilation.policies[0], View::Nft).unwrap()
}

/// The update from a listing to the one policy.
fn from_listing(listing: &str, new: &Compilation) -> String {
    update(Old::Listing(listing), new, &[&new.policies[0]]).unwrap()
}

/// The update from the one policy to the other.
fn from_policy(old: &Compilation, new: &Compilation) -> String {
    update(Old::Policies(old, &[&old.policies[0]]), new, &[&new.policies[0]]).unwrap()
}

/// Why there is no update from a listing; the code, what is said, and what to do instead.
fn refused(old: Old<'_>, new: &Compilation) -> String {
    let Err(found) = update(old, new, &[&new.policies[0]]) else { panic!("{old:?}") };
    let [one] = &found.diagnostics[..] else { panic!("{found:?}") };
    assert_eq!(one.problem.code(), "E405");
    format!("{}\nhelp: {}", one.problem, one.problem.help().unwrap())
}

/// What is listed: each table, chain and set by its name, a chain with its rules in their order, without
/// handles and counts. Neither chains nor sets have an order among each other.
fn objects(list: &str) -> BTreeMap<String, Vec<Value>> {
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for object in normalised(list)["nftables"].as_array().unwrap() {
        let (kind, body) = object.as_object().unwrap().iter().next().unwrap();
        let of = |key: &str| body[key].as_str().unwrap_or_default();
        let key = match kind.as_str() {
            "table" => format!("table {} {}", of("family"), of("name")),
            "rule" => format!("chain {} {} {}", of("family"), of("table"), of("chain")),
            kind => format!("{kind} {} {} {}", of("family"), of("table"), of("name")),
        };
        all.entry(key).or_default().push(object.clone());
    }
    all
}

/// The rules of each chain, without handles and counts, each with the packets that it has counted.
fn counted(list: &str) -> BTreeMap<String, Vec<(String, Option<u64>)>> {
    let raw: Value = serde_json::from_str(list).unwrap();
    let rules = |list: &Value| -> Vec<Value> {
        let objects = list["nftables"].as_array().unwrap().iter();
        objects.filter_map(|object| object.get("rule").cloned()).collect()
    };
    let mut all: BTreeMap<String, Vec<(String, Option<u64>)>> = BTreeMap::new();
    for (rule, plain) in rules(&raw).iter().zip(rules(&normalised(list))) {
        let mut statements = rule["expr"].as_array().unwrap().iter();
        let packets = statements.find_map(|it| it.get("counter")?["packets"].as_u64());
        let chain = format!("{} {} {}", rule["family"], rule["table"], rule["chain"]);
        all.entry(chain).or_default().push((plain.to_string(), packets));
    }
    all
}

/// Most rules of `one` that `other` has in the same order.
fn common(one: &[(String, Option<u64>)], other: &[(String, Option<u64>)]) -> usize {
    let mut row = vec![0; other.len() + 1];
    for (rule, _) in one {
        let mut before = 0;
        for (at, (known, _)) in other.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if rule == known { before + 1 } else { above.max(row[at]) };
            before = above;
        }
    }
    row[other.len()]
}

/// The text with every counter at seven packets.
fn with_counts(script: &str) -> String {
    script.replace(" counter ", " counter packets 7 bytes 7 ")
}

fn listing(netns: &Netns) -> String {
    netns.output("nft", &["-j", "list", "ruleset"])
}

/// How often what came of a pair.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    updated: usize,
    replaced: usize,
    refused: usize,
    /// Rules that kept their counters.
    kept: usize,
}

/// A way to say what is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Text,
    Json,
    Policy,
}

/// Loads the older of two versions, updates it to the newer, and compares with the newer alone.
fn check(netns: &Netns, pair: &[Policy; 2], layout: Layout, at: usize, tally: &mut Tally) {
    let compilation = compiled_as("sidecar x {}", layout);
    let [old, new] = pair.each_ref().map(|policy| compilation.emit(policy, View::Nft).unwrap());
    netns.load(&format!("flush ruleset\n{OTHERS}{new}"));
    let alone = listing(netns);
    let (wanted, rules) = (objects(&alone), counted(&alone));
    for from in [if at.is_multiple_of(2) { From::Text } else { From::Json }, From::Policy] {
        netns.load(&with_counts(&format!("flush ruleset\n{OTHERS}{old}")));
        let mut text = listing(netns);
        let before = counted(&text);
        if from == From::Text {
            text = netns.output("nft", &["-a", "list", "ruleset"]);
        }
        let loaded = [&pair[0]];
        let from_old = match from {
            From::Text | From::Json => Old::Listing(&text),
            From::Policy => Old::Policies(&compilation, &loaded),
        };
        let made = match update(from_old, &compilation, &[&pair[1]]) {
            Ok(made) => made,
            Err(found) => {
                assert_eq!(found.diagnostics[0].problem.code(), "E405", "{found:?}");
                assert_eq!(pair[0].kind.keyword(), "ambient-host", "{found:?}");
                tally.refused += 1;
                continue;
            }
        };
        netns.load(&made);
        let after = listing(netns);
        assert_eq!(objects(&after), wanted, "{from:?}\n{old}\n{made}");
        if made.starts_with(REPLACES) {
            tally.replaced += 1;
            continue;
        }
        assert!(made.len() <= new.len(), "{made}");
        tally.updated += 1;
        for (chain, after) in counted(&after) {
            let Some(before) = before.get(&chain) else { continue };
            let kept = after.iter().filter(|(_, packets)| *packets == Some(7)).count();
            let most = common(before, &rules[&chain]);
            let counts = after.iter().all(|(_, packets)| packets.is_some());
            // What names a set that is made anew goes, too.
            let is_plain = counts && before.iter().all(|(rule, _)| !rule.contains("\"@"));
            let is_whole = most == before.len() && most == after.len();
            if is_plain && (from != From::Policy || is_whole) {
                assert!(kept >= most, "{kept} of {most}: {from:?} {chain}\n{old}\n{made}");
            }
            tally.kept += kept;
        }
        if from == From::Policy && at.is_multiple_of(3) {
            netns.load(&made);
            assert_eq!(objects(&listing(netns)), wanted, "twice\n{old}\n{made}");
        }
    }
}

#[test]
fn random_pairs_come_to_what_the_newer_one_alone_is() {
    const WORKERS: u8 = 4;
    const EACH: usize = 26;
    if !netns::available() {
        return;
    }
    // The kernel makes each wait, and not for others.
    let worker = |worker: u8| {
        let (netns, mut tally) = (Netns::new(), Tally::default());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[worker; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let layouts = prop_oneof![2 => Just(Layout::Compact), 1 => Just(Layout::Upstream)];
        let strategy = (pairs(), layouts);
        for at in 0..EACH {
            let (pair, layout) = strategy.new_tree(&mut runner).unwrap().current();
            check(&netns, &pair, layout, at, &mut tally);
        }
        tally
    };
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|at| scope.spawn(move || worker(at))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    let (updated, replaced, kept) =
        (sum(|it| it.updated), sum(|it| it.replaced), sum(|it| it.kept));
    println!("{updated} updates, {replaced} texts that replace, {} refused", sum(|it| it.refused));
    assert!(updated >= 100 && replaced >= 10 && kept >= 2000, "{tallies:?}");
}

/// A list of networks so long that it is a set with a name, and more.
fn networks(more: &str) -> String {
    let many: Vec<String> = (0..12).map(|at| format!("172.16.{at}.0/24")).collect();
    format!("sidecar s {{ outbound {{ exclude to {}{more} }} }}", many.join(", "))
}

#[test]
fn elements_of_sets_change_and_rules_that_name_the_set_stay() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    // Networks that overlap others of the other version, single addresses, and none.
    let versions = [
        "",
        ", 10.0.0.0/8, 192.168.0.0/16",
        ", 10.0.0.0/9, 192.168.128.0/17, 192.168.1.1",
        ", 10.128.0.0/9, 10.0.0.0/10, 192.168.0.0/15",
    ];
    let versions = versions.map(|more| compiled(&networks(more)));
    for old in &versions {
        for new in &versions {
            netns.load(&format!("flush ruleset\n{}", script(new)));
            let wanted = objects(&listing(&netns));
            for is_policy in [false, true] {
                netns.load(&format!("flush ruleset\n{}", with_counts(&script(old))));
                let made = if is_policy {
                    from_policy(old, new)
                } else {
                    from_listing(&netns.output("nft", &["-a", "list", "ruleset"]), new)
                };
                assert!(!made.contains("\nadd set ") && !made.starts_with(REPLACES), "{made}");
                netns.load(&made);
                assert_eq!(objects(&listing(&netns)), wanted, "{made}");
                let rules = counted(&listing(&netns));
                let output = &rules["\"inet\" \"istio-proxy-nat\" \"istio-output-lo\""];
                assert!(output.iter().all(|(_, packets)| *packets == Some(7)), "{made}");
                if is_policy {
                    netns.load(&made);
                    assert_eq!(objects(&listing(&netns)), wanted, "twice: {made}");
                }
            }
        }
    }
}

#[test]
fn a_set_of_another_type_is_made_anew() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let version = |end: &str| {
        let ports: Vec<String> = (0..12).map(|at| format!("{}", 2000 + 2 * at)).collect();
        let many: Vec<String> = (0..30).map(|at| format!("172.16.{}.0/24", 2 * at)).collect();
        let (many, ports) = (many.join(", "), ports.join(", "));
        let rest = format!("exclude to {many}; exclude port {ports}{end}");
        compiled(&format!("sidecar s {{ outbound {{ {rest} }} }}"))
    };
    let versions = [version(""), version(", 3000-3010")];
    for (old, new) in [(0, 1), (1, 0)] {
        let (old, new) = (&versions[old], &versions[new]);
        netns.load(&format!("flush ruleset\n{}", script(new)));
        let wanted = objects(&listing(&netns));
        netns.load(&format!("flush ruleset\n{}", script(old)));
        let by_handle = from_listing(&listing(&netns), new);
        let by_chain = from_policy(old, new);
        for made in [by_handle, by_chain.clone(), by_chain] {
            assert!(made.contains("\ndelete set inet istio-proxy-nat "), "{made}");
            netns.load(&made);
            assert_eq!(objects(&listing(&netns)), wanted, "{made}");
            if !made.contains(" handle ") {
                continue;
            }
            netns.load(&format!("flush ruleset\n{}", script(old)));
        }
    }
}

#[test]
fn sets_that_others_fill_keep_what_they_hold() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let [old, new] = ["", "probe { from 169.254.7.99, fd16:9254:7127:1337:ffff:ffff:ffff:ffff }"]
        .map(|probe| compiled(&format!("ambient-host node {{ {probe} }}")));
    let fill =
        "add element inet istio-ambient-nat istio-inpod-probes-v4 { 192.0.2.7, 192.0.2.8 }\n";
    netns.load(&format!("flush ruleset\n{}{fill}", script(&new)));
    let wanted = objects(&listing(&netns));
    netns.load(&format!("flush ruleset\n{}{fill}", script(&old)));
    let by_handle = from_listing(&listing(&netns), &new);
    for made in [&from_policy(&old, &new), &from_policy(&old, &new), &by_handle] {
        assert!(!made.contains("probes-v4 {") && !made.starts_with(REPLACES), "{made}");
        if made.contains(" handle ") {
            netns.load(&format!("flush ruleset\n{}{fill}", script(&old)));
        }
        netns.load(made);
        assert_eq!(objects(&listing(&netns)), wanted, "{made}");
    }
    // Another family is another table, and its set would go with what it holds.
    let ipv4 = compiled("ambient-host node { family ipv4 }");
    netns.load(&format!("flush ruleset\n{}{fill}", script(&old)));
    let list = listing(&netns);
    for from in [Old::Listing(&list), Old::Policies(&old, &[&old.policies[0]])] {
        assert!(refused(from, &ipv4).contains("which others fill"));
    }
}

#[test]
fn where_a_handle_is_gone_nothing_changes() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let [old, new] = ["22, 23", "22, 24"].map(|ports| {
        compiled(&format!(
            "sidecar s {{ outbound {{ exclude port {ports}; exclude to 10.0.0.0/8 }} }}"
        ))
    });
    netns.load(&script(&old));
    let made = from_listing(&netns.output("nft", &["-a", "list", "ruleset"]), &new);
    let handles: Vec<&str> = made
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" handle ")?.1.split(' ').next())
        .collect();
    assert!(handles.len() >= 2, "{made}");
    for handle in handles {
        netns.load(&format!("flush ruleset\n{}", script(&old)));
        netns.load(&format!("delete rule inet istio-proxy-nat istio-output handle {handle}\n"));
        let before = listing(&netns);
        assert!(!netns.try_load(&made).ok, "{made}");
        assert_eq!(listing(&netns), before);
    }
}

#[test]
fn what_does_not_differ_is_in_no_command() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let version = compiled(&networks(""));
    netns.load(&script(&version));
    let by_handle = from_listing(&netns.output("nft", &["-a", "list", "ruleset"]), &version);
    for made in
        [by_handle, from_listing(&listing(&netns), &version), from_policy(&version, &version)]
    {
        assert!(made.ends_with("\n# Nothing differs.\n"), "{made}");
        assert!(made.lines().all(|line| line.starts_with('#')), "{made}");
        netns.load(&made);
    }
}

#[test]
fn what_is_longer_than_what_replaces_is_not_written() {
    let ports: Vec<String> = (0..40).map(|at| format!("{}", 2000 + 2 * at)).collect();
    let old = compiled(&format!("sidecar s {{ inbound {{ exclude port {} }} }}", ports.join(", ")));
    let new = compiled("sidecar s { mode tproxy; family ipv4; drop invalid }");
    let made = from_policy(&old, &new);
    let (first, rest) = made.split_once('\n').unwrap();
    assert!(first.starts_with(REPLACES), "{made}");
    assert!(first.ends_with(&format!(" bytes, and this {}.", script(&new).len())), "{first}");
    assert_eq!(rest, script(&new));
}

#[test]
fn what_is_no_version_of_the_policy_is_refused() {
    let new = compiled("sidecar s { outbound { exclude port 22 } }");
    let pod = compiled("ambient-pod p {}");
    let table = |inside: &str| format!("table inet istio-proxy-nat {{ # handle 1\n{inside}\n}}\n");
    let json = |inside: &str| {
        let table = r#"{"table": {"family": "inet", "name": "istio-proxy-nat", "handle": 1}}"#;
        format!(r#"{{"nftables": [{table}, {inside}]}}"#)
    };
    let base = "type nat hook output priority 0; policy";
    for (listing, said) in [
        (String::new(), "no table of this kind of policy"),
        ("table ip filter { # handle 7\n}\n".to_owned(), "no table of this kind of policy"),
        (script(&new), "`nft -a list ruleset`"),
        (table("chain c { # handle 2\ncounter accept\n}"), "`nft -a list ruleset`"),
        (table("flags dormant\n"), "table inet istio-proxy-nat is dormant"),
        (table(&format!("chain c {{\n{base} drop;\n}}")), "chain c drops"),
        (table("map m {\ntype ipv4_addr : verdict\n}"), "set m is a map"),
        (table("set s {\ntype ipv4_addr\ntimeout 5s\n}"), "come and go"),
        (
            table("set s {\ntype mark . mark\nelements = { 1 . 2 }\n}"),
            "holds what no policy writes",
        ),
        (table("chain log {\n}"), "`log` is no name of a policy's"),
        (table("chain c {\ntype nat hook nowhere priority 0;\n}"), "cannot be read"),
        (
            json(
                r#"{"chain": {"family": "inet", "table": "istio-proxy-nat", "name": "a\nflush ruleset"}}"#,
            ),
            "`a\\nflush ruleset` is no name of a policy's",
        ),
        (
            json(
                r#"{"set": {"family": "inet", "table": "istio-proxy-nat", "name": "s", "type": "ifname",
                "elem": ["\" }; flush ruleset"]}}"#,
            ),
            "holds what no policy writes",
        ),
    ] {
        let why = refused(Old::Listing(&listing), &new);
        assert!(why.contains(said), "{listing}\n{why}");
    }
    let loaded = [&pod.policies[0]];
    let why = refused(Old::Policies(&pod, &loaded), &new);
    assert!(why.contains("`sidecar s` has other tables than `ambient-pod p`"), "{why}");
    assert!(why.contains("`weir compile --emit teardown`"), "{why}");
}

#[test]
fn the_command_says_what_is_missing() {
    let weir = |arguments: &[&str], input: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that ends before it reads has said why.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
        (output.status.code().unwrap(), out, err)
    };
    let policy = "rulesets/istio/default.weir";
    let update = ["compile", "--emit", "update", policy];
    let (status, out, err) = weir(&update, "");
    assert!(status == 2 && out.starts_with(')') && err.contains("--from <OLD>"), "{err}");
    let (status, out, err) = weir(&["compile", "--from", policy, policy], "");
    assert!(status == 2 && out.starts_with(')') && err.contains("`--emit update`"), "{err}");
    let from =
        |old: &'static str, input: &str| weir(&[&update[..], &["--from", old]].concat(), input);
    for (old, input, said) in [
        ("-", "*nat\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n", "has rules of iptables"),
        ("-", "table ip x { # handle 1\n}\n", "no table of this kind of policy"),
        ("-", "sidecar x { mode }", "E1"),
        ("rulesets/ambient/pod.weir", "", "has other tables than"),
    ] {
        let (status, out, err) = from(old, input);
        assert!(status == 1 && out.starts_with(')') && err.contains(said), "{err}");
    }
    let (status, out, _) = from(policy, "");
    assert!(status == 0 && out.ends_with("# Nothing differs.\n"), "{out}");
}

#[test]
fn several_policies_of_one_namespace_are_one_update() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let version = |ports: &str| {
        let sidecar = "mode tproxy; family ipv4; outbound { exclude port";
        compiled(&format!("sidecar s {{ {sidecar} {ports} }} }}\nambient-host node {{}}\n"))
    };
    let (old, new) = (version("22"), version("22, 23"));
    let [was, is] = [&old, &new].map(|it| it.policies.iter().collect::<Vec<_>>());
    netns.load(&new.emit_together(&is, View::Nft).unwrap());
    let wanted = objects(&listing(&netns));
    netns.load(&format!("flush ruleset\n{}", old.emit_together(&was, View::Nft).unwrap()));
    let list = netns.output("nft", &["-a", "list", "ruleset"]);
    let by_chain = update(Old::Policies(&old, &was), &new, &is).unwrap();
    let by_handle = update(Old::Listing(&list), &new, &is).unwrap();
    for made in [by_handle, by_chain] {
        assert!(!made.contains("ambient"), "{made}");
        netns.load(&made);
        assert_eq!(objects(&listing(&netns)), wanted, "{made}");
    }
}

#[test]
fn a_long_set_of_which_much_changes_is_filled_anew() {
    if !netns::available_to_root() {
        return;
    }
    let netns = Netns::new();
    let version = |changed: u32| {
        // Of so many lengths that all are one set of intervals.
        let of = |at: u32| {
            let first = if at < changed { 11 } else { 10 };
            format!("{first}.{}.{}.0/{}", at >> 7, (at & 127) * 2, 23 + at % 10)
        };
        let all: Vec<String> = (0..20_000).map(of).collect();
        compiled(&format!("sidecar s {{ outbound {{ exclude to {} }} }}", all.join(", ")))
    };
    let (old, few, many) = (version(0), version(5), version(500));
    for (new, is_flushed) in [(&few, false), (&many, true)] {
        netns.load(&format!("flush ruleset\n{}", script(&old)));
        let made = from_listing(&listing(&netns), new);
        assert!(!made.starts_with(REPLACES) && made.contains("flush set") == is_flushed);
        let begun = Instant::now();
        netns.load(&made);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        let changed = objects(&listing(&netns));
        netns.load(&format!("flush ruleset\n{}", script(new)));
        assert_eq!(changed, objects(&listing(&netns)));
    }
}
