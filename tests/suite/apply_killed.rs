//! `weir apply`, killed in the middle at any time: rules are old or new, and the next run mends the rest.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::apply::{DEFAULT, TPROXY, apply, command, is_loaded, load_upstream, saved};
use crate::common::netns::{self, Netns};

/// How often it is killed.
const TIMES: u32 = 200;

/// Starts a run, and kills it after that time; whether it was still running.
fn killed(netns: &Netns, policy: &str, more: &[&str], after: Duration) -> bool {
    let mut command = command(netns, "apply", policy, more);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(after);
    let was_running = child.try_wait().unwrap().is_none();
    // nsenter has become weir, so that this is weir's end, and not that of what it has started.
    let _ = child.kill();
    child.wait().unwrap();
    was_running
}

/// A moment of a run that takes so long, or of some time behind it. All of them are in no order, and the
/// golden ratio leaves no gaps between them, however many there are.
fn moment(count: u32, run: Duration) -> Duration {
    run.mul_f64((f64::from(count) * 0.618_034).fract() * 1.1)
}

/// How long it takes to apply a policy.
fn took(netns: &Netns, policy: &str) -> Duration {
    let began = Instant::now();
    apply(netns, policy, &[]);
    began.elapsed()
}

/// The rules, once two listings agree: one that is made while the kernel commits a script may have
/// empty tables that the script adds and deletes (Linux 6.18).
fn settled(netns: &Netns) -> Value {
    let mut last = netns.ruleset();
    loop {
        let next = netns.ruleset();
        if next == last {
            return next;
        }
        last = next;
    }
}

#[test]
fn killed_at_any_time_rules_are_old_or_new() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let wait = ["--wait", "60s"];
    apply(&netns, DEFAULT, &[]);
    // One takes longer than the other, as it needs routing.
    let of_tproxy = took(&netns, TPROXY);
    let (tproxy, tproxy_routing) = (netns.ruleset(), netns.routing());
    let of_default = took(&netns, DEFAULT);
    let (default, default_routing) = (netns.ruleset(), netns.routing());
    let mut in_the_middle = 0;
    let mut seen = [0; 2];
    for count in 0..TIMES {
        let (policy, run) =
            if count % 2 == 0 { (TPROXY, of_tproxy) } else { (DEFAULT, of_default) };
        let after = moment(count, run);
        in_the_middle += u32::from(killed(&netns, policy, &wait, after));
        let now = settled(&netns);
        let is = [&tproxy, &default].into_iter().position(|rules| *rules == now);
        assert!(is.is_some(), "after {after:?} of {run:?}: {now}");
        seen[is.unwrap()] += 1;
        // What the rules need is there in every moment.
        if is == Some(0) {
            let routing = netns.output("ip", &["rule", "list"]);
            assert!(routing.contains("fwmark 0x539 lookup 133"), "after {after:?}: {routing}");
        }
        if count % 10 == 9 {
            apply(&netns, policy, &wait);
            is_loaded(&netns, policy);
            let (rules, routing) = match policy {
                TPROXY => (&tproxy, &tproxy_routing),
                _ => (&default, &default_routing),
            };
            assert_eq!((&netns.ruleset(), &netns.routing()), (rules, routing));
        }
    }
    assert!(in_the_middle > TIMES / 2, "{in_the_middle} of {TIMES}");
    assert!(seen.into_iter().all(|count| count > 10), "{seen:?}");
}

#[test]
fn killed_while_it_takes_upstreams_rules_away_the_next_run_mends() {
    let programs = ["iptables-legacy-save", "iptables-nft-save"];
    if !netns::available() || !netns::are_installed(&programs) {
        return;
    }
    let replace = ["--replace-istio", "--wait", "60s"];
    for variant in ["legacy", "nft"] {
        let netns = Netns::new();
        load_upstream(&netns, TPROXY, variant);
        let began = Instant::now();
        apply(&netns, TPROXY, &replace);
        let run = began.elapsed();
        for count in (0..TIMES).step_by(10) {
            let after = moment(count, run);
            for family in ["-4", "-6"] {
                netns.run("ip", &[family, "rule", "del", "fwmark", "1337"], "");
                netns.run("ip", &[family, "route", "flush", "table", "133"], "");
            }
            netns.flush();
            load_upstream(&netns, TPROXY, variant);
            killed(&netns, TPROXY, &replace, after);
            // Something captures, whatever there is of both.
            let tables = netns.output("nft", &["list", "tables"]);
            let is_new = tables.contains("inet istio-proxy-nat");
            let jumps = || saved(&netns).iter().any(|line| line == "-A OUTPUT -j ISTIO_OUTPUT");
            assert!(is_new || jumps(), "after {after:?}: {tables}");
            apply(&netns, TPROXY, &replace);
            is_loaded(&netns, TPROXY);
            assert_eq!(saved(&netns), [""; 0], "after {after:?}");
            let tables = netns.output("nft", &["list", "tables"]);
            assert!(!tables.contains("weir-gate"), "{tables}");
        }
    }
}
