//! What compiling costs, in process: source text to nft script and JSON, without the proof that
//! they mean the policy, which `benches/prove.rs` measures.
//!
//! `cargo bench --bench compile`. Compare figures of one run with each other, never across runs or
//! machines; the figures in `docs/benchmarks.md` say which run they are from.

use divan::counter::ItemsCount;
use netweir::lower::lower;
use netweir::optimise::optimise;
use netweir::policy::{GroupIds, check};
use netweir::syntax::{NoIncludes, load};
use netweir::{Options, View, compile};

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

const DEFAULT: &str = include_str!("../rulesets/istio/default.weir");

/// A policy that excludes `count` networks, none of which can be joined with another.
fn excluding(count: u32) -> String {
    let networks: Vec<String> = (0..count)
        .map(|index| {
            let [_, a, b, c] = (index * 2).to_be_bytes();
            format!("{}.{b}.{c}.0/24", 16 + a)
        })
        .collect();
    format!(
        "sidecar many {{\n  outbound {{\n    capture to *\n    exclude to {}\n  }}\n}}\n",
        networks.join(", ")
    )
}

/// Source text to nft script and JSON; the size of both, so that nothing is optimised away.
fn script_and_json(text: &str) -> usize {
    let options = Options { verify: false, ..Options::default() };
    let compilation =
        compile("bench.weir", text, &NoIncludes, &options).expect("the policy is good");
    let policy = &compilation.policies[0];
    [View::Nft, View::Json]
        .into_iter()
        .map(|view| compilation.emit(policy, view).expect("nft can say this").len())
        .sum()
}

#[divan::bench]
fn default_sidecar() -> usize {
    script_and_json(divan::black_box(DEFAULT))
}

#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 20)]
fn excluded_networks(bencher: divan::Bencher, count: u32) {
    let text = excluding(count);
    bencher.counter(ItemsCount::new(count)).bench(|| script_and_json(divan::black_box(&text)));
}

/// The same policy, phase by phase.
#[divan::bench_group(sample_count = 20)]
mod phases_100_000 {
    use super::{GroupIds, NoIncludes, check, excluding, load, lower, optimise};

    const COUNT: u32 = 100_000;

    #[divan::bench]
    fn parse(bencher: divan::Bencher) {
        let text = excluding(COUNT);
        bencher.bench(|| load("bench.weir", divan::black_box(&text), &NoIncludes));
    }

    #[divan::bench]
    fn check_parsed(bencher: divan::Bencher) {
        let loaded = load("bench.weir", &excluding(COUNT), &NoIncludes);
        bencher.bench(|| check(divan::black_box(&loaded), &GroupIds::new()));
    }

    #[divan::bench]
    fn lower_checked(bencher: divan::Bencher) {
        let loaded = load("bench.weir", &excluding(COUNT), &NoIncludes);
        let checked = check(&loaded, &GroupIds::new());
        bencher.bench(|| lower(divan::black_box(&checked.policies[0].node)));
    }

    #[divan::bench]
    fn optimise_lowered(bencher: divan::Bencher) {
        let loaded = load("bench.weir", &excluding(COUNT), &NoIncludes);
        let lowered = lower(&check(&loaded, &GroupIds::new()).policies[0].node);
        bencher.with_inputs(|| lowered.ruleset.clone()).bench_values(optimise);
    }
}
