//! How costs grow with the size of what is read: every figure of a row should be about twice the one
//! before it, or stop at a limit.
//!
//! `cargo bench --bench growth`. Compare figures of one run with each other, never across runs or
//! machines.

use std::fmt::Write as _;

use divan::Bencher;
use divan::counter::ItemsCount;
use netweir::diag::render;
use netweir::ir::Ruleset;
use netweir::policy::{GroupIds, check};
use netweir::reader::iptables;
use netweir::semantics::{Question, compare_in_full};
use netweir::syntax::{NoIncludes, load};
use netweir::{Options, View, compile};

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

/// `line` of each number below `count`.
fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

/// Reads and checks the text of each size, and shows what is wrong as `weir check` does.
fn checking(bencher: Bencher, count: usize, text: &str) {
    bencher.counter(ItemsCount::new(count)).bench(|| {
        let loaded = load("bench.weir", divan::black_box(text), &NoIncludes);
        let diagnostics = check(&loaded, &GroupIds::new()).diagnostics;
        let shown = &diagnostics[..diagnostics.len().min(50)];
        render::human(&loaded.sources, shown, false).len()
    });
}

#[divan::bench(args = [4_000, 8_000, 16_000, 32_000], sample_count = 3)]
fn unknown_names(bencher: Bencher, count: usize) {
    let text = lines(count, |n| format!("let list-{n} = $unknown-{n}\n"));
    checking(bencher, count, &text);
}

#[divan::bench(args = [20_000, 40_000, 80_000, 160_000], sample_count = 3)]
fn circle_of_lets(bencher: Bencher, count: usize) {
    let text = lines(count, |n| format!("let a{n} = $a{}, $a{}\n", (n + 1) % count, n / 2));
    checking(bencher, count, &text);
}

#[divan::bench(args = [4_000, 8_000, 16_000, 32_000], sample_count = 3)]
fn unknown_parents(bencher: Bencher, count: usize) {
    let text = lines(count, |n| format!("sidecar policy-{n} extends unknown-{n} {{}}\n"));
    checking(bencher, count, &text);
}

#[divan::bench(args = [100, 200, 400, 800], sample_count = 3)]
fn policies_that_share_20_000_networks(bencher: Bencher, count: usize) {
    let networks: Vec<String> =
        (0..20_000).map(|n| format!("10.{}.{}.0/25", n >> 8, n & 255)).collect();
    let networks = networks.join(", ");
    let mut text =
        format!("sidecar base {{ outbound {{ capture to *; exclude to {networks} }} }}\n");
    for policy in 1..count {
        writeln!(text, "sidecar p{policy} extends base {{}}")
            .expect("a String accepts every write");
    }
    checking(bencher, count, &text);
}

#[divan::bench(args = [1_250, 2_500, 5_000, 10_000], sample_count = 3)]
fn policies_together(bencher: Bencher, count: usize) {
    let text = lines(count, |n| format!("sidecar p{n} {{}}\n"));
    let compilation = compile("bench.weir", &text, &NoIncludes, &Options::default());
    let compilation = compilation.expect("the policies are good");
    let all: Vec<_> = compilation.policies.iter().collect();
    bencher
        .counter(ItemsCount::new(count))
        .bench(|| compilation.conflicts(divan::black_box(&all)).len());
}

/// Policies of eight shapes that take turns, with values of their own, in one file: each is written as a
/// script and as JSON, and both are proved.
#[divan::bench(args = [8, 80, 800, 1_600], sample_count = 3)]
fn policies_of_different_shape(bencher: Bencher, count: usize) {
    let text = lines(count, |n| {
        let (port, net, user) = (1 + n * 7 % 9_000, n % 250, 2_000 + n);
        let clauses = match n % 8 {
            0 => format!("inbound {{ exclude port {port} }}"),
            1 => format!("outbound {{ exclude to 10.{net}.0.0/16, fd00:{net}::/32 }}"),
            2 => format!("mode tproxy\ninbound {{ exclude port {port}, 9090 }}"),
            3 => "dns { capture * }".to_owned(),
            4 => format!("family ipv4\nproxy {{ user {user} }}"),
            5 => {
                format!("inbound {{ capture port {port}, 9443 }}\ninterface {{ exclude eth{net} }}")
            }
            6 => format!("outbound {{ capture to 10.{net}.0.0/16\ncapture port {port} }}"),
            _ => format!("dns {{ capture * }}\noutbound {{ exclude port {port} }}"),
        };
        format!("sidecar p{n} {{\n{clauses}\n}}\n")
    });
    bencher.counter(ItemsCount::new(count)).bench(|| {
        let options = Options::default();
        let compilation = compile("bench.weir", divan::black_box(&text), &NoIncludes, &options);
        let compilation = compilation.expect("the policies are good");
        let written =
            |policy, view| compilation.emit(policy, view).expect("nft can say this").len();
        let policies = compilation.policies.iter();
        policies
            .map(|policy| written(policy, View::Nft) + written(policy, View::Json))
            .sum::<usize>()
    });
}

#[divan::bench(args = [30_000, 60_000, 120_000, 240_000], sample_count = 3)]
fn chains_in_a_row(bencher: Bencher, count: usize) {
    let declared = lines(count, |n| format!(":C{n} - [0:0]\n"));
    let jumps = lines(count - 1, |n| format!("-A C{n} -j C{}\n", n + 1));
    let text = format!("*nat\n{declared}-A OUTPUT -j C0\n{jumps}COMMIT\n");
    let options = iptables::Options::default();
    bencher.counter(ItemsCount::new(count)).bench(|| {
        let ruleset = iptables::read(Some(divan::black_box(&text)), None, &options);
        let ruleset = ruleset.expect("the rules are good").ruleset;
        ruleset.tables[0].reached_from(|_| true).len()
    });
}

#[divan::bench(args = [100, 200, 400, 800], sample_count = 3)]
fn proxy_users(bencher: Bencher, count: usize) {
    let users: Vec<String> = (0..count).map(|n| (1000 + 2 * n).to_string()).collect();
    compiling(bencher, count, &format!("sidecar a {{ proxy {{ user {} }} }}\n", users.join(", ")));
}

#[divan::bench(args = [1_000, 2_000, 4_000, 8_000], sample_count = 3)]
fn excluded_interfaces(bencher: Bencher, count: usize) {
    let names: Vec<String> = (0..count).map(|n| format!("eth{n}")).collect();
    let text = format!("sidecar a {{ interface {{ exclude {} }} }}\n", names.join(", "));
    compiling(bencher, count, &text);
}

/// Compiles the text to a script, with its proof.
fn compiling(bencher: Bencher, count: usize, text: &str) {
    bencher.counter(ItemsCount::new(count)).bench(|| {
        let options = Options::default();
        let compilation = compile("bench.weir", divan::black_box(text), &NoIncludes, &options);
        let compilation = compilation.expect("the policy is good");
        compilation.emit(&compilation.policies[0], View::Nft).expect("nft can say this").len()
    });
}

/// Files of nothing but one sign, which end at the limit or cost next to nothing.
#[divan::bench(args = [(1, ";"), (64, ";"), (1, "\n"), (64, "\n"), (1, "a\n"), (64, "a\n")], sample_count = 1)]
fn mebibytes_of(bencher: Bencher, (mebibytes, sign): (usize, &str)) {
    let text = sign.repeat((mebibytes << 20) / sign.len());
    checking(bencher, text.len(), &text);
}

fn rules(text: &str) -> Ruleset {
    iptables::read(Some(text), None, &iptables::Options::default())
        .expect("the rules are good")
        .ruleset
}

fn comparing(bencher: Bencher, count: usize, left: &Ruleset, right: &Ruleset) {
    bencher.counter(ItemsCount::new(count)).bench(|| {
        compare_in_full(divan::black_box(left), divan::black_box(right), Question::default())
            .map(|found| found.ways.len())
    });
}

/// Each chain jumps to the next in both its rules.
#[divan::bench(args = [100, 200, 400], sample_count = 3)]
fn chains_that_call_the_next_twice(bencher: Bencher, count: usize) {
    let text = |port: u16| {
        let heads = lines(count, |n| format!(":C{n} - [0:0]\n"));
        let calls =
            lines(count - 1, |n| format!("-A C{n} -j C{0}\n-A C{n} -p tcp -j C{0}\n", n + 1));
        let last = count - 1;
        format!(
            "*mangle\n{heads}-A OUTPUT -j C0\n{calls}-A C{last} -p tcp --dport {port} -j DROP\n\
             COMMIT\n"
        )
    };
    comparing(bencher, count, &rules(&text(80)), &rules(&text(81)));
}

/// Rules that set one bit of the mark where another is set.
#[divan::bench(args = [4, 8, 16], sample_count = 3)]
fn bits_of_marks_that_depend_on_bits(bencher: Bencher, count: usize) {
    let text = lines(count, |bit| {
        let (from, to) = (1_u32 << bit, 1_u32 << (bit + 16));
        format!("-A OUTPUT -m mark --mark {from:#x}/{from:#x} -j MARK --or-mark {to:#x}\n")
    });
    let ruleset = rules(&format!("*mangle\n{text}COMMIT\n"));
    comparing(bencher, count, &ruleset, &ruleset);
}

/// A service of its own port for each rule, which the other side does not have.
#[divan::bench(args = [100, 200, 400, 800], sample_count = 3)]
fn services_with_ports_of_their_own(bencher: Bencher, count: usize) {
    let text = lines(count, |n| {
        format!(
            "-A OUTPUT -p tcp -d 10.{}.{}.1/32 --dport {} -j REDIRECT --to-ports {}\n",
            n >> 8,
            n & 255,
            80 + n,
            20_000 + n
        )
    });
    comparing(bencher, count, &rules(&format!("*nat\n{text}COMMIT\n")), &Ruleset::default());
}

/// The same rules in the other order.
#[divan::bench(args = [100, 200, 400, 800], sample_count = 3)]
fn rules_in_another_order(bencher: Bencher, count: usize) {
    let rule = |n: usize| {
        let then = ["ACCEPT", "DROP"][n % 2];
        let net = n.wrapping_mul(2_654_435_761) >> 8 & 0xffff;
        format!(
            "-A OUTPUT -p tcp -d 10.{}.{}.0/25 --dport {n}:{} -j {then}\n",
            net >> 8,
            net & 255,
            n + 9
        )
    };
    let text = lines(count, rule);
    let reversed = lines(count, |n| rule(count - 1 - n));
    let [left, right] = [text, reversed].map(|text| rules(&format!("*filter\n{text}COMMIT\n")));
    comparing(bencher, count, &left, &right);
}
