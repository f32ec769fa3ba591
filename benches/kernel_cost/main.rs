//! What a ruleset costs the kernel: CPU time of a new connection that passes the rules and is not captured,
//! and under TPROXY of a packet of a connection that the proxy has.
//!
//! First past 5,000 excluded networks of which it meets none, beside the same policy without them; then
//! under the policies that most pods have, ours beside the rules that upstream makes of the same
//! configuration, if `WEIR_CORPUS` names a corpus (its configurations stand in [`CONFIGURATIONS`]).
//!
//! `cargo bench --bench kernel_cost`, as root, with `unshare`, `nft` and both variants of
//! `iptables-restore`; where one is missing, a line says so. Takes some twenty seconds. Every ruleset has
//! a namespace of its own, with an interface that leads nowhere. Rounds are interleaved, so that a
//! busy moment of the machine spoils all of them alike: trust ratios of one run, not times.

mod namespace;

use std::io;
use std::path::Path;

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

const EXCLUDED: u32 = 5_000;
const ROUNDS: usize = 31;
/// How much more the networks may cost in the compact layout, of what the empty chain costs.
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
    let long = measured(&long_lists(), What::Connections)?;
    println!("A new connection past {EXCLUDED} excluded networks, median of {ROUNDS} rounds:");
    let empty = median(&long[0].1);
    for (title, times) in &long {
        let median = median(times);
        println!("{title:36} {:8.2} µs {:6.2} ×", median / 1e3, median / empty);
    }
    // Of the same round, for whatever else the machine does goes on for longer than a round.
    let more: Vec<f64> =
        long[1].1.iter().zip(&long[2].1).map(|(with, without)| with - without).collect();
    let more = median(&more) / empty;
    let verdict = if more <= GOAL { "met" } else { "missed" };
    println!("goal, at most {GOAL} more than without them: {verdict} ({more:.3} more)");
    println!("\nThe empty chain 1, median of {ROUNDS} rounds:");
    for case in cases()? {
        told(&format!("{}, a new connection", case.title), &case.rulesets, What::Connections)?;
        if case.title.contains("TPROXY") {
            let title = format!("{}, a packet of a known connection and its answer", case.title);
            told(&title, &case.rulesets, What::Packets)?;
        }
    }
    Ok(())
}

fn told(title: &str, rulesets: &[Loaded], what: What) -> io::Result<()> {
    let measured = measured(rulesets, what)?;
    println!("{title}");
    for (title, times) in &measured {
        println!("    {title:36} {:6.3} ×", median(times) / median(&measured[0].1));
    }
    Ok(())
}

/// Titles and CPU time of one in nanoseconds, round by round.
fn measured(rulesets: &[Loaded], what: What) -> io::Result<Vec<(&'static str, Vec<f64>)>> {
    let mut namespaces = Vec::new();
    for (title, loader, ruleset) in rulesets {
        namespaces.push((*title, Namespace::new(*loader, ruleset, what)?, Vec::new()));
    }
    for _ in 0..ROUNDS {
        for (_, namespace, times) in &mut namespaces {
            times.push(namespace.round()?);
        }
    }
    Ok(namespaces.into_iter().map(|(title, _, times)| (title, times)).collect())
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

/// An empty chain first, ours with and without the networks then.
fn long_lists() -> Vec<Loaded> {
    let (many, none) = (policy(EXCLUDED), policy(0));
    vec![
        empty(),
        ("weir, compact", NFT, script(&many, Layout::Compact)),
        ("weir, compact, without them", NFT, script(&none, Layout::Compact)),
        ("one rule each, iptables-legacy", LEGACY, restore(&many)),
        ("one rule each, nft inet", NFT, script(&many, Layout::Upstream)),
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

/// The default sidecar, with so many excluded networks, which cannot be joined.
fn policy(excluded: u32) -> Policy {
    let net = |at: u32| ipnet::Ipv4Net::new_assert((0x0b00_0000 + at * 512).into(), 24).into();
    let mut sidecar = Sidecar::default();
    sidecar.outbound.exclude_to = Setting::default_to((0..excluded).map(net).collect());
    Unchecked::of("many-networks", sidecar).check().expect("the networks are good")
}
