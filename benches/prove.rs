//! What it costs to prove that a text means what its policy means: reading it back, and comparing
//! it for all packets of both families at every hook.
//!
//! `cargo bench --bench prove`. Compare figures of one run with each other, never across runs or
//! machines.

use divan::counter::ItemsCount;
use netweir::lower::lower;
use netweir::net::Family;
use netweir::reader;
use netweir::semantics::compare;
use netweir::syntax::NoIncludes;
use netweir::{Compilation, Options, View, compile};

fn main() {
    divan::main();
}

const DEFAULT: &str = include_str!("../rulesets/istio/default.weir");

/// A policy that excludes `count` networks of each family, none of which can be joined with
/// another.
fn excluding(count: u32) -> String {
    let networks: Vec<String> = (0..count)
        .flat_map(|index| {
            let [_, a, b, c] = (index * 2).to_be_bytes();
            [format!("{}.{b}.{c}.0/24", 16 + a), format!("2001:db8:{a:x}:{b:x}{c:02x}::/64")]
        })
        .collect();
    format!(
        "sidecar many {{\n  outbound {{\n    capture to *\n    exclude to {}\n  }}\n}}\n",
        networks.join(", ")
    )
}

fn compilation(text: &str) -> Compilation {
    let options = Options { verify: false, ..Options::default() };
    compile("bench.weir", text, &NoIncludes, &options).expect("the policy is good")
}

/// Reads the JSON of `compilation` back and proves it; how many differences there are.
fn prove_json(compilation: &Compilation, json: &str) -> usize {
    let meaning = lower(&compilation.policies[0]).ruleset;
    let read = reader::nft::json(json, &reader::nft::Options::default());
    compare(&meaning, &read.expect("our own JSON").ruleset).expect("no limit is near").len()
}

#[divan::bench(args = [0, 1_000, 100_000], sample_count = 10)]
fn json(bencher: divan::Bencher, excluded: u32) {
    let compilation =
        if excluded == 0 { compilation(DEFAULT) } else { compilation(&excluding(excluded)) };
    let json = compilation.emit(&compilation.policies[0], View::Json).expect("nft can say this");
    bencher
        .counter(ItemsCount::new(excluded))
        .bench(|| assert_eq!(prove_json(&compilation, divan::black_box(&json)), 0));
}

#[divan::bench(args = [0, 1_000, 100_000], sample_count = 10)]
fn iptables(bencher: divan::Bencher, excluded: u32) {
    let compilation =
        if excluded == 0 { compilation(DEFAULT) } else { compilation(&excluding(excluded)) };
    let policy = &compilation.policies[0];
    let [v4, v6] = Family::ALL.map(|family| {
        compilation.emit(policy, View::Iptables(family)).expect("iptables can say this")
    });
    bencher.counter(ItemsCount::new(excluded)).bench(|| {
        let options = reader::iptables::Options::default();
        let read =
            reader::iptables::read(Some(&v4), Some(&v6), &options).expect("our own text").ruleset;
        let meaning = lower(policy).ruleset;
        assert_eq!(compare(&meaning, &read), Ok(vec![]));
    });
}

/// What the proof adds to all that a user waits for: source text to nft script and JSON, without and
/// with it.
#[divan::bench_group]
mod whole {
    use netweir::import::{Context, IMPORTERS};
    use netweir::policy::{Detail, print};
    use netweir::span::Sources;

    use super::{NoIncludes, Options, View, compile, excluding};

    /// The shipped policies, a long list, and, if `WEIR_CORPUS` names a corpus, what Istio's
    /// configurations in it are imported as.
    const CASES: [&str; 10] = [
        "istio/default",
        "istio/dns",
        "istio/tproxy",
        "ambient/pod",
        "linkerd/linkerd",
        "kuma/kuma-dns",
        "consul/consul-dns",
        "osm/osm",
        "100,000 networks",
        "corpus",
    ];

    fn texts(case: &str) -> Vec<String> {
        match case {
            "100,000 networks" => vec![excluding(50_000)],
            "corpus" => imported(),
            shipped => {
                let path = format!("{}/rulesets/{shipped}.weir", env!("CARGO_MANIFEST_DIR"));
                vec![std::fs::read_to_string(path).expect("the policy is shipped")]
            }
        }
    }

    /// Every configuration that can be imported without a file of groups.
    fn imported() -> Vec<String> {
        let Some(folder) = std::env::var_os("WEIR_CORPUS") else { return Vec::new() };
        let path = std::path::Path::new(&folder).join("istio.jsonl");
        let corpus = std::fs::read_to_string(path).expect("the corpus can be read");
        corpus.lines().filter_map(policy).collect()
    }

    fn policy(line: &str) -> Option<String> {
        let importer = IMPORTERS.iter().find(|importer| importer.name == "istio")?;
        let form = importer.forms.iter().find(|form| form.flag == "config")?;
        let told = form.read(&Sources::of("entry", line), &Context::default()).ok()?;
        Some(print(told.policies.first()?, Detail::Differences))
    }

    fn script_and_json(texts: &[String], verify: bool) -> usize {
        let options = Options { verify, ..Options::default() };
        let size = |text: &String| {
            let compilation = compile("bench.weir", text, &NoIncludes, &options);
            let compilation = compilation.expect("the policy is good");
            let emit = |view| compilation.emit(&compilation.policies[0], view);
            let [script, json] = [View::Nft, View::Json].map(emit);
            script.expect("it is proved").len() + json.expect("it is proved").len()
        };
        texts.iter().map(size).sum()
    }

    #[divan::bench(args = CASES)]
    fn unproved(bencher: divan::Bencher, case: &str) {
        let texts = texts(case);
        bencher.bench(|| script_and_json(divan::black_box(&texts), false));
    }

    #[divan::bench(args = CASES)]
    fn proved(bencher: divan::Bencher, case: &str) {
        let texts = texts(case);
        bencher.bench(|| script_and_json(divan::black_box(&texts), true));
    }
}
