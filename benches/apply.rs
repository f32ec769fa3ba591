//! What `weir apply` costs from its start until the policy is loaded and proved, beside what the programs take
//! that it runs.
//!
//! `cargo bench --bench apply`, as root, with `unshare`, `nft` and `ip`; where one is missing, a line says so.
//! Rounds are interleaved, in one network namespace that is emptied before each: trust differences of one run,
//! not times.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const WEIR: &str = env!("CARGO_BIN_EXE_weir");
const POLICY: &str = "rulesets/istio/default.weir";
const ROUNDS: usize = 31;
/// How much longer than its programs it may take.
const GOAL: Duration = Duration::from_millis(25);

/// Set for the process that measures, in the namespace.
const MEASURE: &str = "WEIR_APPLY_COST";

fn main() -> io::Result<()> {
    // `cargo test` runs benches too, to see that they run.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("skipped: only `cargo bench` measures");
        return Ok(());
    }
    if std::env::var_os(MEASURE).is_some() {
        return measure();
    }
    let this = std::env::current_exe()?;
    let mut inside = Command::new("unshare");
    inside.args(["-n", "sh", "-c", "ip link set lo up && exec \"$1\" --bench", "sh"]);
    let status =
        inside.arg(this).env(MEASURE, "1").current_dir(env!("CARGO_MANIFEST_DIR")).status();
    if !status.is_ok_and(|status| status.success()) {
        println!("skipped: no namespace to measure in, or nft or ip is not there");
    }
    Ok(())
}

fn measure() -> io::Result<()> {
    let script = run(WEIR, &["compile", POLICY], "")?;
    let routing = run(WEIR, &["compile", POLICY, "--emit", "routing6-batch"], "")?;
    let [mut whole, mut programs, mut loading] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        whole.push(timed(|| run(WEIR, &["apply", POLICY], "").map(drop))?);
        programs.push(timed(|| all(&script, &routing))?);
        loading.push(timed(|| load(&script, &routing))?);
    }
    let [whole, programs, loading] = [whole, programs, loading].map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    let own = whole.saturating_sub(programs);
    println!("`weir apply {POLICY}`, medians of {ROUNDS}");
    println!("{:>8.1} ms  from its start until the policy is loaded and proved", milli(whole));
    println!("{:>8.1} ms  the programs that it runs, one after another", milli(programs));
    println!("{:>8.1} ms  of these, those that load: one of nft, one of ip", milli(loading));
    let met = if own <= GOAL { "met" } else { "missed" };
    println!("{:>8.1} ms  its own part; the goal is {:.0}: {met}", milli(own), milli(GOAL));
    Ok(())
}

fn milli(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// How long something takes where nothing is loaded.
fn timed(run_it: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    run("nft", &["flush", "ruleset"], "")?;
    run("ip", &["-6", "address", "flush", "dev", "lo", "to", "::6/128"], "")?;
    let began = Instant::now();
    run_it()?;
    Ok(began.elapsed())
}

/// Loads the policy as whoever does it by hand.
fn load(script: &str, routing: &str) -> io::Result<()> {
    run("ip", &["-6", "-batch", "-"], routing)?;
    run("nft", &["-f", "-"], script).map(drop)
}

/// Everything that `weir apply` runs.
fn all(script: &str, routing: &str) -> io::Result<()> {
    list()?;
    run("nft", &["-V"], "")?;
    run("ip", &["-V"], "")?;
    run("nft", &["--check", "-f", "-"], script)?;
    load(script, routing)?;
    list()
}

fn list() -> io::Result<()> {
    run("nft", &["list", "ruleset"], "")?;
    for family in ["-4", "-6"] {
        run("ip", &["-j", "-N", family, "rule", "list"], "")?;
        run("ip", &["-j", "-N", family, "route", "show", "table", "all"], "")?;
        run("ip", &["-j", "-N", family, "address", "show", "dev", "lo"], "")?;
    }
    Ok(())
}

/// What a program prints, which must succeed.
fn run(program: &str, arguments: &[&str], input: &str) -> io::Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes())).transpose()?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("{program} fails")));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}
