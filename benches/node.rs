//! What a node with very many services costs: to read and explain, and to verify.
//!
//! `cargo bench --bench node`. 2,500 services are 20,000 rules.

use divan::Bencher;
use divan::counter::ItemsCount;
use netweir::explain::{Context, explain_way};
use netweir::lower::{Layout, lower};
use netweir::reader::iptables;
use netweir::semantics::Limit;
use netweir::syntax::NoIncludes;
use netweir::verify::{Side, Verdict, beside, verified};
use netweir::{Options, compile};

#[path = "../tests/suite/common/node.rs"]
mod node;

const IPTABLES: Context<'static> =
    Context { policy: None, sources: None, is_iptables: true, iptables: &[], files: &[] };

/// Sizes, each twice the one before it.
const SERVICES: [usize; 3] = [625, 1_250, 2_500];

fn main() {
    divan::main();
}

#[divan::bench(args = SERVICES, sample_count = 3)]
fn explained(bencher: Bencher, services: usize) {
    let text = node::node(services);
    let packet = "outbound tcp to 10.96.0.1:80".parse().expect("it is a packet");
    bencher.counter(ItemsCount::new(8 * services)).bench(|| {
        let read =
            iptables::read(Some(divan::black_box(&text)), None, &iptables::Options::default());
        let ruleset = read.expect("it can be read").ruleset;
        explain_way(&ruleset, &packet, &IPTABLES).expect("nothing ties").unless.len()
    });
}

/// What is asked of a policy and a host.
type Ask = fn(Side<'_>, Side<'_>) -> Result<Verdict, Limit>;

fn asking(bencher: Bencher, services: usize, ask: Ask) {
    let text = "sidecar web { family ipv4 }";
    let compiled = compile("web.weir", text, &NoIncludes, &Options::default());
    let compilation = compiled.expect("it is right");
    let policy = &compilation.policies[0];
    let ours = lower(policy, Layout::default()).ruleset;
    let context = Context { policy: Some(policy), ..Context::default() };
    let text = node::node(services);
    bencher.counter(ItemsCount::new(8 * services)).bench(|| {
        let read =
            iptables::read(Some(divan::black_box(&text)), None, &iptables::Options::default());
        let ruleset = read.expect("it can be read").ruleset;
        let verdict = ask((&ours, &context), (&ruleset, &IPTABLES));
        verdict.expect("it is not too entangled").ways.ways.len()
    });
}

#[divan::bench(args = SERVICES, sample_count = 1)]
fn verified_against(bencher: Bencher, services: usize) {
    asking(bencher, services, verified);
}

#[divan::bench(args = SERVICES, sample_count = 1)]
fn proved_beside(bencher: Bencher, services: usize) {
    asking(bencher, services, beside);
}
