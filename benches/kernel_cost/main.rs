//! What a ruleset costs the kernel: CPU time of a new connection that passes the rules and is not captured,
//! and under TPROXY of a packet of a connection that the proxy has.
//!
//! First past 5,000 excluded networks of which it meets none, beside the same policy without them; then
//! under the policies that most pods have, ours beside the rules that upstream makes of the same
//! configuration, if `WEIR_CORPUS` names a corpus (its configurations stand in [`CONFIGURATIONS`]).
//!
//! `cargo bench --bench kernel_cost`, as root, with `unshare`, `nft` and both variants of
//! `iptables-restore`; where one is missing, a line says so. Takes less than a minute. Every ruleset has
//! namespaces of its own, with an interface that leads nowhere. Rounds are interleaved, so that a
//! busy moment of the machine spoils all of them alike: trust ratios of one run, not times.

mod namespace;

use std::io;
use std::path::Path;

use ipnet::{IpNet, Ipv4Net};
use netweir::backend::{iptables, nft};
use netweir::import::{Context, IMPORTERS};
use netweir::ir::Clauses;
use netweir::lower::{Lowered, lower};
use netweir::net::Family;
use netweir::policy::{Policy, Setting, Sidecar, Unchecked};
use netweir::span::Sources;
use netweir::syntax::NoIncludes;
use netweir::{Layout, Options, compile};

use self::namespace::{Namespace, What};

const EXCLUDED: usize = 5_000;
/// Namespaces of each ruleset: where the kernel happens to put what it needs makes one faster than another.
const NAMESPACES: usize = 8;
/// How often each is measured.
const ROUNDS: usize = 11;
/// Lengths of networks, as often as one finds each in a list that somebody publishes.
const LENGTHS: [u8; 12] = [24, 25, 20, 24, 22, 26, 24, 25, 24, 23, 20, 22];
/// How much more networks of one length may cost in the compact layout, of what the empty chain costs.
const GOAL: f64 = 0.05;

fn main() -> io::Result<()> {
    if let Some(what) = What::asked() {
        return what.measure();
    }
    // `cargo test` runs benches too, to see that they run.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("skipped: only `cargo bench` measures");
        return Ok(());
    }
    match run() {
        Err(missing) if missing.kind() == io::ErrorKind::Unsupported => {
            println!("skipped: {missing}");
            Ok(())
        }
        done => done,
    }
}

fn run() -> io::Result<()> {
    println!("The empty chain 1, median of {ROUNDS} rounds in {NAMESPACES} namespaces:");
    let networks = [24].repeat(EXCLUDED);
    let title = format!("past {EXCLUDED} excluded networks, a new connection");
    judge(&told(&title, &long_lists(&networks), What::Connections)?);
    told(&format!("{title}, one rule each"), &one_rule_each(&networks), What::Connections)?;
    for case in cases()? {
        told(&format!("{}, a new connection", case.title), &case.rulesets, What::Connections)?;
        if case.title.contains("TPROXY") {
            let title = format!("{}, a packet of a known connection and its answer", case.title);
            told(&title, &case.rulesets, What::Packets)?;
        }
    }
    Ok(())
}

/// Titles, and CPU time of one in nanoseconds, in the order of measuring.
type Measured = Vec<(&'static str, Vec<f64>)>;

/// Measures, and says what came of it.
fn told(title: &str, rulesets: &[Loaded], what: What) -> io::Result<Measured> {
    let measured = measured(rulesets, what)?;
    let empty = median(&measured[0].1);
    println!("{title} ({:.2} µs)", empty / 1e3);
    for (title, times) in &measured {
        println!("    {title:36} {:6.3} ×", median(times) / empty);
    }
    Ok(measured)
}

/// Says what lists cost, which stand behind the empty chain and no list.
fn judge(measured: &Measured) {
    let (empty, without) = (median(&measured[0].1), &measured[1].1);
    for (title, with) in &measured[2..] {
        // Of the same round, for whatever else the machine does goes on for longer than a round.
        let more: Vec<f64> =
            with.iter().zip(without).map(|(with, without)| with - without).collect();
        println!("    {title}: {:.3} more than without", median(&more) / empty);
    }
    println!("    (goal: at most {GOAL} for networks of one length)");
}

fn measured(rulesets: &[Loaded], what: What) -> io::Result<Measured> {
    let mut measured: Measured = rulesets.iter().map(|(title, ..)| (*title, Vec::new())).collect();
    for _ in 0..NAMESPACES {
        let mut namespaces = Vec::new();
        for (_, loader, ruleset) in rulesets {
            namespaces.push(Namespace::new(*loader, ruleset, what)?);
        }
        let count = namespaces.len();
        for round in 0..ROUNDS {
            for at in 0..count {
                // Forth and back, and each first in turn: what came before has filled the caches.
                let place = if round.is_multiple_of(2) { at } else { count - 1 - at };
                let place = (place + round) % count;
                measured[place].1.push(namespaces[place].round()?);
            }
        }
    }
    Ok(measured)
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Title, loader and text of a ruleset.
type Loaded = (&'static str, [&'static str; 2], String);

const NFT: [&str; 2] = ["nft", "-f"];
const LEGACY: [&str; 2] = ["iptables-legacy-restore", "--noflush"];
const IPTABLES_NFT: [&str; 2] = ["iptables-nft-restore", "--noflush"];

/// A nat chain is entered only while something makes the kernel track connections.
fn empty() -> Loaded {
    let text = "table inet empty {
        chain prerouting { type nat hook prerouting priority -100; tcp dport 1 redirect to :2; }
        chain output { type nat hook output priority -100; }
    }\n";
    ("empty chain", NFT, text.to_owned())
}

/// The policy as a script for nft.
fn script(policy: &Policy, layout: Layout) -> String {
    let Lowered { ruleset, owned, .. } = layout.of(policy);
    let (clauses, options) = (Clauses::default(), nft::Options::default());
    let context = nft::Context { policy: &policy.name, owned: &owned, clauses: &clauses };
    let legal = nft::legal(&ruleset, options.target).expect("nft can say this");
    nft::script(&legal, &context, &options)
}

/// The policy as text for iptables-restore.
fn restore(policy: &Policy) -> String {
    iptables::emit(&lower(policy).ruleset, Family::Ipv4).expect("iptables can say this")
}

/// An empty chain first; then ours without networks, with them, and with others.
fn long_lists(networks: &[u8]) -> Vec<Loaded> {
    let mixed: Vec<u8> = LENGTHS.iter().copied().cycle().take(EXCLUDED).collect();
    let ours = |lengths: &[u8]| script(&policy(lengths), Layout::Compact);
    vec![
        empty(),
        ("weir, compact, without them", NFT, ours(&[])),
        ("weir, compact", NFT, ours(networks)),
        ("weir, compact, of six lengths", NFT, ours(&mixed)),
    ]
}

/// An empty chain first. Apart from the others: who comes behind them finds nothing in the caches.
fn one_rule_each(networks: &[u8]) -> Vec<Loaded> {
    let policy = policy(networks);
    vec![
        empty(),
        ("iptables-legacy", LEGACY, restore(&policy)),
        ("nft inet", NFT, script(&policy, Layout::Upstream)),
    ]
}

/// A policy that many pods have, as everybody writes it.
struct Case {
    title: &'static str,
    rulesets: Vec<Loaded>,
}

/// The policies that ship, and configurations of Istio's in the corpus that say nearly the same.
const CONFIGURATIONS: [(&str, &str, &str); 4] = [
    ("default sidecar", "istio/default", "r11-0072"),
    ("sidecar with DNS", "istio/dns", "r11-0270"),
    ("sidecar with TPROXY", "istio/tproxy", "r11-0091"),
    ("ambient pod", "ambient/pod", "upstream/ambient-pod/default_ipv6"),
];

fn cases() -> io::Result<Vec<Case>> {
    let corpus = match std::env::var_os("WEIR_CORPUS") {
        Some(folder) => std::fs::read_to_string(Path::new(&folder).join("istio.jsonl"))?,
        None => String::new(),
    };
    let case = |(title, shipped, name): (&'static str, &str, &str)| {
        let named = format!("\"name\": \"{name}\"");
        let close = named.replace(": ", ":");
        let line = corpus.lines().find(|line| line.contains(&named) || line.contains(&close));
        let policy = line.map_or_else(|| compiled(shipped), imported);
        let mut rulesets = vec![
            empty(),
            ("weir, compact", NFT, script(&policy, Layout::Compact)),
            ("weir, upstream's layout", NFT, script(&policy, Layout::Upstream)),
            ("upstream's rules, iptables-legacy", LEGACY, restore(&policy)),
            ("upstream's rules, iptables-nft", IPTABLES_NFT, restore(&policy)),
        ];
        if let Some(line) = line {
            let entry: serde_json::Value = serde_json::from_str(line).expect("the corpus is JSON");
            let text = entry["nft"].as_str().expect("upstream has nft rules").to_owned();
            rulesets.push(("upstream's rules, nft", NFT, text));
        }
        Case { title, rulesets }
    };
    Ok(CONFIGURATIONS.map(case).into())
}

/// A policy that ships.
fn compiled(shipped: &str) -> Policy {
    let path = format!("{}/rulesets/{shipped}.weir", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the policy is shipped");
    let compilation = compile("bench.weir", &text, &NoIncludes, &Options::default());
    compilation.expect("the policy is good").policies.remove(0)
}

/// What a line of the corpus is imported as.
fn imported(line: &str) -> Policy {
    let importer = IMPORTERS.iter().find(|importer| importer.name == "istio");
    let forms = &importer.expect("Istio can be imported").forms;
    let form = forms.iter().find(|form| form.flag == "config").expect("it has a configuration");
    let mut sources = Sources::default();
    sources.add("corpus", line);
    form.read(&sources, &Context::default()).expect("the configuration is good").policies.remove(0)
}

/// The default sidecar, with an excluded network of each length, no two of which can be joined.
fn policy(lengths: &[u8]) -> Policy {
    let net = |(at, length): (u32, &u8)| {
        IpNet::V4(Ipv4Net::new_assert((0x0b00_0000 + at * 8192).into(), *length))
    };
    let mut sidecar = Sidecar::default();
    sidecar.outbound.exclude_to = Setting::default_to((0..).zip(lengths).map(net).collect());
    Unchecked::of("many-networks", sidecar).check().expect("the networks are good")
}
