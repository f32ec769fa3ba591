//! Faults, seeded into what is written for nft: each is stopped by the proof of the compile that would
//! have written it, or means the same: the kernel lists the same rules, or else no packet of a small
//! domain, which has all that the rules tell apart, fares differently.
//!
//! A fault is a change of the bytes, as a mistake in a printer would make it: everywhere, or in one
//! place. `cargo test --release --test suite faults -- --include-ignored --nocapture` seeds all of them
//! into every policy that ships, in both layouts, and prints how many there were of each kind.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use netweir::reader::nft;
use netweir::semantics::{Packet, run};
use netweir::{Compilation, Layout, Options, View};

use crate::common::netns::{self, Netns};
use crate::common::shipped::{compile_file, root, rulesets};
use crate::mutants::samples;

/// A kind of fault: what stands in the text, and what the fault makes of it.
type Kind = (&'static str, &'static str);

/// Kinds of faults in a script.
const SCRIPT: &[Kind] = &[
    // Verdicts and actions.
    (" return", " accept"),
    (" return", " drop"),
    (" return", ""),
    (" accept", " drop"),
    (" accept", " return"),
    (" drop", " accept"),
    (" drop", " return"),
    (" jump ", " goto "),
    (" goto ", " jump "),
    (" redirect to :15001", " redirect to :15006"),
    (" redirect to :1500", " redirect to :1600"),
    (" redirect to :15053", " redirect to :53"),
    (" redirect to :15006", " redirect"),
    (" redirect to :15006", " redirect to :15006-15007"),
    (" tproxy ip to ", " tproxy to "),
    (" tproxy ip to ", " tproxy ip6 to "),
    (" tproxy ip to :15006", " tproxy ip to :15001"),
    (" tproxy ip to :15006", " tproxy ip to 127.0.0.1:15006"),
    (" snat ip to ", " snat to "),
    (" snat ip to ", " snat ip6 to "),
    (" snat ip to 169.254.7.127", " snat ip to 169.254.7.128"),
    (" snat ip to 169.254.7.127", " masquerade"),
    (" meta mark set 0x539 accept", " accept meta mark set 0x539"),
    (" meta mark set ", " ct mark set "),
    (" meta mark set 0x539", " meta mark set 0x53a"),
    (" ct mark set ", " meta mark set "),
    (" ct mark set meta mark", " ct mark set 0x0"),
    (" zone set 1", " zone set 2"),
    (" zone set 2", " zone set 1"),
    (" & 0xfffff000 |", " |"),
    (" & 0xfffff000 ", " & 0xffffff00 "),
    // Matches.
    ("meta skuid", "meta skgid"),
    ("meta skgid", "meta skuid"),
    ("meta skuid 1337", "meta skuid 1336"),
    ("meta skgid 1337", "meta skgid 1337-1338"),
    ("meta skuid ", "meta skuid != "),
    ("daddr", "saddr"),
    ("saddr", "daddr"),
    ("dport", "sport"),
    ("sport", "dport"),
    ("tcp", "udp"),
    ("udp", "tcp"),
    ("udp dport", "th dport"),
    ("oifname", "iifname"),
    ("iifname", "oifname"),
    ("\"lo\"", "\"lo*\""),
    ("\"lo\"", "lo"),
    ("\"lo\"", "\"eth0\""),
    (" != ", " "),
    (" != ", " == "),
    ("dport 15008", "dport != 15008"),
    ("dport 15008", "dport 15009"),
    ("15020-15021", "15020-15022"),
    ("15020-15021", "15020"),
    ("15020-15021, ", ""),
    (", 15090 }", " }"),
    ("{ 15020-15021, 15090 }", "15020"),
    ("127.0.0.1 ", "127.0.0.2 "),
    ("127.0.0.1 ", "127.0.0.0/8 "),
    ("::1 ", "::2 "),
    ("127.0.0.6", "127.0.0.60"),
    ("/8", "/7"),
    ("/16", "/15"),
    ("/12", "/13"),
    ("ct state invalid", "ct state new"),
    ("ct state invalid", "ct state != invalid"),
    ("ct state established,related", "ct state established"),
    ("ct state established,related", "ct state == established,related"),
    ("meta mark 0x539", "ct mark 0x539"),
    ("meta mark 0x539", "meta mark 0x538"),
    ("meta mark & 0xfff", "meta mark & 0xff"),
    ("ct mark ", "meta mark "),
    ("meta l4proto tcp ", ""),
    ("meta l4proto { tcp, udp } ", ""),
    ("meta l4proto { tcp, udp }", "meta l4proto tcp"),
    ("meta nfproto ipv4 ", ""),
    ("meta nfproto ipv4", "meta nfproto ipv6"),
    ("fib saddr type local", "fib daddr type local"),
    ("fib saddr type local", "fib saddr type != local"),
    ("fib saddr type local ", ""),
    ("ip daddr ", "ip6 daddr "),
    // Chains.
    ("type nat", "type filter"),
    ("type route", "type filter"),
    ("type filter", "type route"),
    ("type filter", "type nat"),
    ("hook output", "hook prerouting"),
    ("hook prerouting", "hook output"),
    ("hook output", "hook postrouting"),
    ("priority -100", "priority -99"),
    ("priority -100", "priority 100"),
    ("priority -100", "priority 0"),
    ("priority -100", "priority dstnat + 1"),
    ("priority -150", "priority -151"),
    ("priority -150", "priority 150"),
    ("priority -150", "priority -201"),
    ("priority -300", "priority -100"),
    ("priority -300", "priority -301"),
    ("priority 100", "priority 101"),
    ("priority 100", "priority -100"),
    ("policy accept", "policy drop"),
    ("policy accept; ", ""),
    ("; policy accept;", "; policy reject;"),
    ("type nat hook output priority -100; policy accept;", ""),
    // Sets.
    ("        flags interval\n", ""),
    ("flags interval", "flags timeout"),
    ("flags interval", "flags constant"),
    ("flags interval", "flags interval, dynamic"),
    ("type ipv4_addr", "type ipv6_addr"),
    ("type ipv4_addr", "type inet_service"),
    ("type inet_service", "type mark"),
    ("elements = {\n", "elements = {\n            1,\n"),
    (",\n            ", ",\n            #"),
    ("\n        }\n    }", "\n    }"),
    (" @", " "),
    (" @", " != @"),
    (" @o", " @p"),
    ("probes-v4", "probes-v6"),
    // Names.
    ("istio-output", "istio-outputs"),
    ("jump istio-output", "jump istio-inbound"),
    ("chain istio-output", "chain log"),
    ("chain istio-redirect", "chain output"),
    ("istio-in-redirect", "istio-redirect"),
    ("table inet istio-proxy-nat", "table inet istio-proxy-mangle"),
    ("table inet istio", "table ip istio"),
    ("table inet istio", "table inet xistio"),
    // The transaction.
    ("; delete table", "; flush table"),
    ("; flush table", "; delete table"),
    ("; flush table", "; add table"),
    ("; delete chain", "; flush chain"),
    ("add table", "create table"),
    ("add set", "create set"),
    ("delete table", "destroy table"),
    ("add table inet", "add table bridge"),
    ("add set ", "flush set "),
    ("{ type ipv4_addr; }", "{ type ipv4_addr; flags interval; }"),
    ("{ type ipv4_addr; }", "{ type ipv4_addr; elements = { 10.0.0.1 }; }"),
    // Spelling.
    ("\n", "\r\n"),
    ("    }\n", "    \n"),
    ("}\n", "\n"),
    (" {\n", "\n"),
    ("counter ", "counter packets 1 "),
    (" comment \"", " comment "),
    ("\"\n", "\n"),
    ("#", ""),
    ("table", "tabel"),
];

/// Kinds of faults in JSON.
const JSON: &[Kind] = &[
    ("{\"return\":null}", "{\"accept\":null}"),
    ("{\"return\":null}", "{\"drop\":null}"),
    (",{\"return\":null}", ""),
    ("{\"accept\":null}", "{\"drop\":null}"),
    ("{\"drop\":null}", "{\"accept\":null}"),
    ("\"jump\"", "\"goto\""),
    ("\"port\":15001", "\"port\":15002"),
    ("\"port\":15006", "\"port\":15001"),
    ("\"port\":15006", "\"port\":\"15006\""),
    ("\"port\":15006", "\"port\":15006.0"),
    ("\"family\":\"ip\",\"port\"", "\"port\""),
    ("\"family\":\"ip\",\"port\"", "\"family\":\"ip6\",\"port\""),
    ("\"family\":\"ip\",\"addr\"", "\"addr\""),
    ("\"skuid\"", "\"skgid\""),
    ("\"skgid\"", "\"skuid\""),
    ("\"right\":1337", "\"right\":1336"),
    ("\"right\":1337", "\"right\":-1337"),
    ("\"daddr\"", "\"saddr\""),
    ("\"saddr\"", "\"daddr\""),
    ("\"dport\"", "\"sport\""),
    ("\"protocol\":\"tcp\"", "\"protocol\":\"udp\""),
    ("\"protocol\":\"udp\"", "\"protocol\":\"th\""),
    ("\"oifname\"", "\"iifname\""),
    ("\"iifname\"", "\"oifname\""),
    ("\"lo\"", "\"lo*\""),
    ("\"!=\"", "\"==\""),
    ("\"==\"", "\"!=\""),
    ("\"==\"", "\"in\""),
    ("\"in\"", "\"==\""),
    ("\"in\"", "\"!\""),
    ("\"op\":\"==\",", ""),
    ("{\"range\":[15020,15021]}", "15020"),
    ("{\"range\":[15020,15021]}", "{\"range\":[15020,15022]}"),
    ("{\"range\":[15020,15021]}", "\"15020-15021\""),
    (",15090]", "]"),
    ("\"127.0.0.1\"", "\"127.0.0.2\""),
    ("\"127.0.0.1\"", "\"127.0.0.1/32\""),
    ("\"len\":8", "\"len\":7"),
    ("\"len\":16", "\"len\":15"),
    ("\"invalid\"", "\"new\""),
    ("[\"established\",\"related\"]", "[\"established\"]"),
    ("\"mark\"", "\"priority\""),
    ("{\"meta\":{\"key\":\"mark\"}}", "{\"ct\":{\"key\":\"mark\"}}"),
    ("{\"ct\":{\"key\":\"mark\"}}", "{\"meta\":{\"key\":\"mark\"}}"),
    ("\"value\":1", "\"value\":2"),
    ("\"type\":\"nat\"", "\"type\":\"filter\""),
    ("\"type\":\"route\"", "\"type\":\"filter\""),
    ("\"type\":\"filter\"", "\"type\":\"route\""),
    ("\"hook\":\"output\"", "\"hook\":\"prerouting\""),
    ("\"hook\":\"output\",", ""),
    ("\"prio\":-100", "\"prio\":-99"),
    ("\"prio\":-100", "\"prio\":100"),
    ("\"prio\":-100", "\"prio\":\"dstnat\""),
    ("\"prio\":-100", "\"prio\":-100.0"),
    ("\"prio\":-150", "\"prio\":-149"),
    ("\"prio\":-150", "\"prio\":150"),
    ("\"prio\":-300", "\"prio\":-299"),
    ("\"prio\":100", "\"prio\":99"),
    ("\"policy\":\"accept\"", "\"policy\":\"drop\""),
    ("\"policy\":\"accept\"", "\"policy\":\"ACCEPT\""),
    (",\"policy\":\"accept\"", ""),
    (",\"flags\":[\"interval\"]", ""),
    ("\"flags\":[\"interval\"]", "\"flags\":[\"constant\"]"),
    ("\"type\":\"ipv4_addr\"", "\"type\":\"ipv6_addr\""),
    ("\"elem\":[", "\"elem\":[1,"),
    ("\"@", "\"@x"),
    ("\"@", "\""),
    ("probes-v4", "probes-v6"),
    ("{\"delete\":{\"table\"", "{\"flush\":{\"table\""),
    ("{\"delete\":{\"table\"", "{\"destroy\":{\"table\""),
    ("{\"flush\":{\"table\"", "{\"delete\":{\"table\""),
    ("{\"delete\":{\"chain\"", "{\"flush\":{\"chain\""),
    ("{\"add\":{\"table\"", "{\"create\":{\"table\""),
    ("{\"add\":{\"rule\"", "{\"insert\":{\"rule\""),
    ("{\"add\":{\"set\"", "{\"flush\":{\"set\""),
    ("\"family\":\"inet\"", "\"family\":\"ip\""),
    ("\"expr\":[", "\"exprs\":["),
    ("\"expr\":[", "\"index\":0,\"expr\":["),
    ("{\"counter\":null},", "{\"counter\":null},{\"counter\":null},"),
    ("{\"counter\":null}", "{\"counters\":null}"),
    ("\"json_schema_version\":1", "\"json_schema_version\":2"),
    ("\"nftables\"", "\"nftable\""),
    (",\n", "\n"),
    ("]}\n", "]\n"),
];

/// Texts with one fault of the kind: in all places, and in each of at most `most`.
fn seeded(text: &str, (from, to): Kind, most: usize) -> Vec<String> {
    let places: Vec<usize> = text.match_indices(from).map(|(at, _)| at).collect();
    let step = places.len().div_ceil(most.max(1)).max(1);
    let at = |at: usize| format!("{}{to}{}", &text[..at], &text[at + from.len()..]);
    let mut all: Vec<String> = places.iter().step_by(step).map(|place| at(*place)).collect();
    if places.len() > 1 {
        all.push(text.replace(from, to));
    }
    all
}

/// Texts without one line, with one line twice, with two lines swapped, and cut off.
fn torn(text: &str, most: usize) -> Vec<(&'static str, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let join = |lines: &[&str]| lines.join("\n") + "\n";
    let step = lines.len().div_ceil(most.max(1)).max(1);
    let mut all = Vec::new();
    for at in (0..lines.len()).step_by(step) {
        all.push(("a line lost", join(&[&lines[..at], &lines[at + 1..]].concat())));
        all.push(("a line twice", join(&[&lines[..=at], &lines[at..]].concat())));
        all.push(("cut off", join(&lines[..at])));
        let mut swapped = lines.clone();
        if at + 1 < lines.len() {
            swapped.swap(at, at + 1);
            all.push(("two lines swapped", join(&swapped)));
        }
    }
    // Tables, as a printer would lose them.
    let mut blocks: Vec<&str> = text.split_inclusive("\n}\n").collect();
    if blocks.len() > 1 {
        let without_last = blocks[..blocks.len() - 1].concat();
        all.push(("the last table lost", without_last));
        blocks.swap(0, 1);
    }
    all.push(("behind it", format!("{text}flush ruleset\n")));
    all.push(("behind it", format!("{text}delete table ip filter\n")));
    all.push(("behind it", format!("{text}add element inet x y {{ 1 }}\n")));
    all.push(("before it", format!("flush ruleset\n{text}")));
    all.push(("before it", format!("\u{feff}{text}")));
    all
}

/// How faults of a kind fared.
#[derive(Default)]
struct Tally {
    seeded: usize,
    stopped: usize,
}

/// Seeds faults into `policy` as `view`; those that pass must be the same ruleset to the kernel.
fn seed(
    (compilation, name): (&Compilation, &str),
    view: View,
    most: usize,
    netns: Option<&Netns>,
    tallies: &mut BTreeMap<String, Tally>,
) {
    let policy = &compilation.policies[0];
    let text = compilation.emit(policy, view).unwrap();
    let kinds = if view == View::Json { JSON } else { SCRIPT };
    let replaced = kinds.iter().flat_map(|kind| {
        let what = format!("`{}` for `{}`", kind.1.escape_debug(), kind.0.escape_debug());
        seeded(&text, *kind, most).into_iter().map(move |fault| (what.clone(), fault))
    });
    let torn = torn(&text, most).into_iter().map(|(what, fault)| (what.to_owned(), fault));
    let expected = netns.map(|netns| listed(netns, &text, name));
    for (what, fault) in replaced.chain(torn).filter(|(_, fault)| *fault != text) {
        let tally = tallies.entry(what.clone()).or_default();
        tally.seeded += 1;
        if compilation.prove(&[policy], view, &fault).is_err() {
            tally.stopped += 1;
        } else if let Some(netns) = netns
            && Some(listed(netns, &fault, &what)) != expected
        {
            assert_same(&text, &fault, view, &format!("{name}, {what}"));
        }
    }
}

/// One in thirteen packets of the domain: no port, user, mark or state recurs with that period.
static SAMPLES: LazyLock<Vec<Packet>> =
    LazyLock::new(|| samples().into_iter().step_by(13).collect());

/// Asserts that both texts, which nft loads, do the same with every packet of a small domain.
fn assert_same(text: &str, fault: &str, view: View, what: &str) {
    let read = if view == View::Json { nft::json } else { nft::script };
    let [left, right] = [text, fault].map(|text| read(text, &nft::Options::default()).unwrap());
    for packet in &*SAMPLES {
        let outcome = |ruleset| run(ruleset, packet).outcome;
        assert_eq!(outcome(&left), outcome(&right), "{what}: {packet}\n{fault}");
    }
}

/// What the kernel has when the text is loaded, twice, over a table of someone else, without comments and
/// counts.
fn listed(netns: &Netns, text: &str, what: &str) -> String {
    netns.flush();
    netns.load("table ip other {\nchain c {\naccept\n}\n}\n");
    for _ in 0..2 {
        let done = netns.try_load(text);
        assert!(done.ok, "nft refuses what passes: {what}\n{}\n{text}", done.err);
    }
    let listing = netns.output("nft", &["list", "ruleset"]);
    let lines = listing.lines().map(|line| line.split(" comment \"").next().unwrap_or_default());
    lines.map(|line| line.replace("counter packets 0 bytes 0 ", "")).collect::<Vec<_>>().join("\n")
}

fn compiled(path: &Path, layout: Layout) -> Compilation {
    compile_file(path, &Options { layout, ..Options::default() })
}

/// Says what became of the faults; asserts how many kinds there were.
fn report(tallies: &BTreeMap<String, Tally>, kinds: usize) {
    let (mut seeded, mut stopped) = (0, 0);
    for (what, tally) in tallies {
        println!("{:5} of {:5} stopped: {what}", tally.stopped, tally.seeded);
        (seeded, stopped) = (seeded + tally.seeded, stopped + tally.stopped);
    }
    println!(
        "{} kinds, {seeded} faults: {stopped} stopped, {} the same to the kernel",
        tallies.len(),
        seeded - stopped
    );
    assert!(tallies.len() >= kinds, "{} kinds", tallies.len());
    // Few faults are none.
    assert!((seeded - stopped) * 5 < seeded, "{stopped} of {seeded}");
}

#[test]
fn a_sample_of_faults_is_stopped() {
    let netns = netns::available().then(Netns::new);
    let mut tallies = BTreeMap::new();
    for name in ["istio/default", "istio/tproxy", "ambient/host"] {
        let path = root().join(format!("rulesets/{name}.weir"));
        let compilation = compiled(&path, Layout::Compact);
        for view in [View::Nft, View::Json] {
            seed((&compilation, name), view, 1, netns.as_ref(), &mut tallies);
        }
    }
    report(&tallies, 120);
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_is_stopped() {
    let netns = netns::available().then(Netns::new);
    let mut tallies = BTreeMap::new();
    for path in rulesets() {
        for layout in [Layout::Compact, Layout::Upstream] {
            let compilation = compiled(&path, layout);
            if compilation.policies.is_empty() {
                continue;
            }
            let name = path.display().to_string();
            for view in [View::Nft, View::Json] {
                seed((&compilation, &name), view, 8, netns.as_ref(), &mut tallies);
            }
        }
    }
    report(&tallies, 180);
}
