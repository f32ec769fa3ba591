//! What a ruleset costs the kernel: CPU time of a new connection that passes 5,000 excluded
//! networks and meets none.
//!
//! `cargo bench --bench kernel_cost`, as root, with `unshare`, `nft` and `iptables-legacy-restore`;
//! where one is missing, a line says so. Takes some ten seconds. Every ruleset has a namespace of
//! its own, with an interface that leads nowhere. Rounds are interleaved, so that a
//! busy moment of the machine spoils all of them alike: trust ratios of one run, not times.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use netweir::backend::{iptables, nft};
use netweir::ir::{Clauses, Ruleset};
use netweir::lower::{Lowered, lower};
use netweir::net::{Family, Name};
use netweir::optimise::Layout;
use netweir::policy::{Kind, Policy, Setting, Sidecar};

const EXCLUDED: u32 = 5_000;
const ROUNDS: usize = 31;
/// Connections in a round. All rounds of a namespace together stay far below the kernel's usual
/// limit of tracked connections, past which it drops new ones.
const CONNECTIONS: u16 = 1_000;
/// How much more than an empty chain the compact layout may cost.
const GOAL: f64 = 1.3;

/// Set for the processes that measure, each in its namespace.
const MEASURE: &str = "WEIR_KERNEL_COST";

fn main() -> io::Result<()> {
    if std::env::var_os(MEASURE).is_some() {
        return measure();
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
    let mut namespaces = Vec::new();
    for (title, [program, argument], ruleset) in rulesets() {
        namespaces.push((title, Namespace::new(program, argument, &ruleset)?, Vec::new()));
    }
    for _ in 0..ROUNDS {
        for (_, namespace, times) in &mut namespaces {
            times.push(namespace.round()?);
        }
    }
    let medians = namespaces.into_iter().map(|(title, _, mut times)| {
        times.sort_by(f64::total_cmp);
        (title, times[times.len() / 2])
    });
    let medians: Vec<_> = medians.collect();
    let (_, empty) = medians[0];
    println!("A new connection past {EXCLUDED} excluded networks, median of {ROUNDS} rounds:");
    for (title, median) in &medians {
        println!("{title:36} {:8.2} µs {:6.2} ×", median / 1e3, median / empty);
    }
    let ours = medians[1].1 / empty;
    let verdict = if ours <= GOAL { "met" } else { "missed" };
    println!("goal, at most {GOAL} × the empty chain: {verdict} ({ours:.2} ×)");
    Ok(())
}

/// Title, loader and text of each: an empty chain first, ours second.
fn rulesets() -> Vec<(&'static str, [&'static str; 2], String)> {
    let policy = policy();
    let Lowered { ruleset, owned, .. } = Layout::Compact.of(&policy);
    let (clauses, options) = (Clauses::default(), nft::Options::default());
    let context = nft::Context { policy: &policy.name, owned: &owned, clauses: &clauses };
    let upstream = lower(&policy).ruleset;
    // A nat chain is entered only while something makes the kernel track connections.
    let empty = "table inet empty {
        chain prerouting { type nat hook prerouting priority -100; tcp dport 1 redirect to :2; }
        chain output { type nat hook output priority -100; }
    }\n";
    let legacy = iptables::emit(&upstream, Family::Ipv4).expect("iptables can say a sidecar");
    let script = |ruleset: &Ruleset| {
        let legal = nft::legal(ruleset, options.target).expect("nft can say this");
        nft::script(&legal, &context, &options)
    };
    let compact = script(&ruleset);
    vec![
        ("empty chain", ["nft", "-f"], empty.to_owned()),
        ("weir, compact (nft)", ["nft", "-f"], compact),
        ("one rule each, iptables-legacy", ["iptables-legacy-restore", "--noflush"], legacy),
        ("one rule each, nft inet", ["nft", "-f"], script(&upstream)),
    ]
}

/// The default sidecar, with [`EXCLUDED`] networks that cannot be joined.
fn policy() -> Policy {
    let net = |at: u32| ipnet::Ipv4Net::new_assert((0x0b00_0000 + at * 512).into(), 24).into();
    let mut sidecar = Sidecar::default();
    sidecar.outbound.exclude_to = Setting::default_to((0..EXCLUDED).map(net).collect());
    let name = Name::new("many-networks").expect("a name");
    Policy { name, kind: Kind::Sidecar(Box::new(sidecar)), expectations: Vec::new() }
}

/// A process that measures in a namespace of its own, and ends with its standard input.
struct Namespace {
    process: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Namespace {
    fn new(program: &str, argument: &str, ruleset: &str) -> io::Result<Self> {
        let missing = |what: &str| io::Error::new(io::ErrorKind::Unsupported, what.to_owned());
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(ruleset.as_bytes())?;
        let script = "ip link set lo up && ip link add sink type veth peer drain \
             && ip link set sink arp off up \
             && ip addr add 198.18.0.1/15 dev sink && \"$1\" \"$2\" \"$3\" && exec \"$0\" --bench";
        let mut process = Command::new("unshare")
            .args(["-n", "sh", "-c", script])
            .arg(std::env::current_exe()?)
            .args([program, argument])
            .arg(file.path())
            .env(MEASURE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| missing(&format!("unshare: {error}")))?;
        let ask = process.stdin.take().ok_or_else(|| missing("standard input"))?;
        let answers = process.stdout.take().ok_or_else(|| missing("standard output"))?;
        let mut namespace = Self { process, ask, answers: BufReader::new(answers) };
        // The first round warms up, and says whether the namespace could be made.
        namespace.round().map_err(|_| missing(&format!("no namespace with {program} as root")))?;
        Ok(namespace)
    }

    /// CPU time of a connection in nanoseconds.
    fn round(&mut self) -> io::Result<f64> {
        self.ask.write_all(b"go\n")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        answer.trim().parse().map_err(io::Error::other)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A process that has ended already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Answers every line with the CPU time of a connection.
fn measure() -> io::Result<()> {
    let socket = UdpSocket::bind("198.18.0.1:0")?;
    for (round, line) in io::stdin().lines().enumerate() {
        line?;
        let [_, _, high, low] = u32::try_from(round).map_err(io::Error::other)?.to_be_bytes();
        let to = |port| SocketAddr::from(([198, 19, high, low], port));
        let before = cpu_time()?;
        // Every port is another connection to conntrack.
        for port in 10_000..10_000 + CONNECTIONS {
            socket.send_to(b"?", to(port))?;
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53 nanoseconds")]
        let each = (cpu_time()? - before) as f64 / f64::from(CONNECTIONS);
        println!("{each}");
    }
    Ok(())
}

/// Nanoseconds of CPU time of this thread so far; of the clock, if the kernel does not count them.
fn cpu_time() -> io::Result<u64> {
    static START: OnceLock<Instant> = OnceLock::new();
    // The kernel counts when it switches to another thread.
    std::thread::yield_now();
    if let Ok(text) = std::fs::read_to_string("/proc/thread-self/schedstat") {
        let first = text.split_whitespace().next().unwrap_or_default();
        return first.parse().map_err(io::Error::other);
    }
    let elapsed = START.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).map_err(io::Error::other)
}
