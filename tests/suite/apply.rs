//! `weir apply` and `weir remove` in namespaces: what is there before, what is there afterwards, and what is said.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use netweir::policy::{Detail, print};

use crate::cli::{exits, stderr, stdout, weir};
use crate::common::corpus;
use crate::common::netns::{self, Netns};
use crate::common::shipped::{changed, root};

pub(crate) const DEFAULT: &str = "rulesets/istio/default.weir";
pub(crate) const TPROXY: &str = "rulesets/istio/tproxy.weir";
const DNS: &str = "rulesets/istio/dns.weir";

/// `weir COMMAND POLICY …` in a namespace.
pub(crate) fn command(netns: &Netns, command: &str, policy: &str, more: &[&str]) -> Command {
    let path = root().join(policy);
    let arguments = [&[command, path.to_str().unwrap()], more].concat();
    netns.command(env!("CARGO_BIN_EXE_weir"), &arguments)
}

fn run(netns: &Netns, name: &str, policy: &str, more: &[&str]) -> Output {
    command(netns, name, policy, more).output().unwrap()
}

/// What a command says that ends well, in one line.
fn said(output: &Output) -> String {
    exits(output, 0);
    assert_eq!(stderr(output), "");
    stdout(output).split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn apply(netns: &Netns, policy: &str, more: &[&str]) -> String {
    said(&run(netns, "apply", policy, more))
}

fn remove(netns: &Netns, policy: &str, more: &[&str]) -> String {
    said(&run(netns, "remove", policy, more))
}

/// Asserts that a command fails with a status, and what it says; and that the namespace is as it was.
fn fails(netns: &Netns, (name, policy): (&str, &str), more: &[&str], status: i32, why: &str) {
    let before = (netns.ruleset(), netns.routing());
    let output = run(netns, name, policy, more);
    exits(&output, status);
    assert!(stderr(&output).contains(why), "{why}: {}", stderr(&output));
    assert_eq!(stdout(&output), "");
    assert_eq!((netns.ruleset(), netns.routing()), before, "{}", stderr(&output));
}

/// That what is loaded is the policy, and that no routing of an older version is left.
pub(crate) fn is_loaded(netns: &Netns, policy: &str) {
    let said = said(&run(netns, "verify", policy, &["--live"]));
    assert!(said.starts_with("equal: "), "{said}");
    assert!(!said.contains("older version"), "{said}");
}

/// What upstream loads, as the policy has it: rules of built-in chains bear no comment.
pub(crate) fn upstream(policy: &str) -> [String; 2] {
    ["iptables", "ip6tables"].map(|view| {
        let text = weir(&["compile", policy, "--emit", view]);
        let lines = stdout(&text).lines().map(|line| {
            let mut words = line.split(' ');
            let mut kept = Vec::new();
            while let Some(word) = words.next() {
                if word == "-m" && words.clone().next() == Some("comment") {
                    words.nth(2);
                } else {
                    kept.push(word);
                }
            }
            kept.join(" ") + "\n"
        });
        lines.collect()
    })
}

/// Loads what upstream does with a variant of iptables, and its routing, which says nothing of its origin.
pub(crate) fn load_upstream(netns: &Netns, policy: &str, variant: &str) {
    for (word, text) in ["iptables", "ip6tables"].into_iter().zip(upstream(policy)) {
        let done = netns.run(&format!("{word}-{variant}-restore"), &["--noflush"], &text);
        assert!(done.ok, "{}\n{text}", done.err);
    }
    if policy == TPROXY {
        for family in ["-4", "-6"] {
            netns.output("ip", &[family, "rule", "add", "fwmark", "1337", "lookup", "133"]);
            let route = ["route", "add", "local", "default", "dev", "lo", "table", "133"];
            netns.output("ip", &[&[family], &route[..]].concat());
        }
    }
}

/// Everything that both variants of iptables have, without counts.
pub(crate) fn saved(netns: &Netns) -> Vec<String> {
    let mut lines = Vec::new();
    for word in ["iptables", "ip6tables"] {
        for variant in ["legacy", "nft"] {
            let text = netns.output(&format!("{word}-{variant}-save"), &[]);
            let rules = text.lines().filter(|line| line.starts_with("-A") || line.contains(" - "));
            lines.extend(rules.map(str::to_owned));
        }
    }
    lines
}

#[test]
fn applying_twice_is_applying_once_and_leaves_counters_alone() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    for policy in [TPROXY, DNS, "rulesets/ambient/host.weir", "rulesets/kuma/kuma-dns.weir"] {
        let name = stdout(&weir(&["show", policy])).lines().count();
        assert!(name > 0);
        let loaded = apply(&netns, policy, &[]);
        assert!(
            loaded.starts_with("loaded: traffic of this namespace is treated as policy"),
            "{loaded}"
        );
        is_loaded(&netns, policy);
        let before = (netns.output("nft", &["-a", "list", "ruleset"]), netns.routing());
        for form in ["script", "json"] {
            let again = apply(&netns, policy, &["--form", form]);
            assert!(again.starts_with("nothing to do: traffic of this namespace"), "{again}");
        }
        assert_eq!((netns.output("nft", &["-a", "list", "ruleset"]), netns.routing()), before);
        let gone = remove(&netns, policy, &[]);
        assert!(gone.starts_with("removed: this namespace has nothing of policy"), "{gone}");
    }
    assert_eq!(netns.output("nft", &["list", "tables"]), "");
}

#[test]
fn json_is_loaded_as_the_script_is() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    apply(&netns, TPROXY, &[]);
    let (script, routing) = (netns.ruleset(), netns.routing());
    remove(&netns, TPROXY, &[]);
    apply(&netns, TPROXY, &["--form", "json"]);
    assert_eq!((netns.ruleset(), netns.routing()), (script, routing));
}

#[test]
fn a_dry_run_changes_nothing_and_says_what_it_would_do() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let nothing = (netns.ruleset(), netns.routing());
    let said = apply(&netns, TPROXY, &["--dry-run"]);
    for part in [
        "nothing was changed; if this is done, traffic of this namespace is treated as policy",
        "ip -4 rule add fwmark 0x539/0xffffffff table 133 protocol 87",
        "nft -f -: ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!((netns.ruleset(), netns.routing()), nothing);
    apply(&netns, TPROXY, &[]);
    let loaded = (netns.ruleset(), netns.routing());
    let said = remove(&netns, TPROXY, &["--dry-run"]);
    assert!(said.contains("ip -6 route del local ::/0 dev lo table 133 proto 87"), "{said}");
    assert_eq!((netns.ruleset(), netns.routing()), loaded);
}

#[test]
fn every_older_version_is_replaced_and_so_is_a_broken_half() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let (_folder, older) = changed(TPROXY, "mark 1337; table 133", "mark 1400; table 140");
    apply(&netns, &older, &[]);
    apply(&netns, TPROXY, &[]);
    is_loaded(&netns, TPROXY);
    assert!(!netns.routing().contains("140"), "{}", netns.routing());
    // Upstream's own numbers, which say nothing of their origin.
    netns.output("ip", &["rule", "add", "fwmark", "1500", "lookup", "150"]);
    netns.output("ip", &["route", "add", "local", "default", "dev", "lo", "table", "150"]);
    // A table of the policy's that is another family's, one that is dormant, and one that has half of it.
    let half = "add table ip istio-proxy-raw
        add table inet istio-proxy-mangle { flags dormant; }
        flush table inet istio-proxy-nat";
    netns.load(half);
    netns.output("ip", &["-6", "rule", "del", "fwmark", "1337", "lookup", "133"]);
    apply(&netns, TPROXY, &[]);
    is_loaded(&netns, TPROXY);
    assert!(!netns.routing().contains("150"), "{}", netns.routing());
    assert!(!netns.output("nft", &["list", "tables"]).contains("table ip "));
    // A version that routes nothing.
    apply(&netns, DEFAULT, &[]);
    is_loaded(&netns, DEFAULT);
    assert!(!netns.routing().contains("133"), "{}", netns.routing());
}

#[test]
fn what_cannot_be_applied_leaves_everything_as_it_was() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    apply(&netns, TPROXY, &[]);
    // Somebody takes packets before.
    netns.load(THEIRS);
    let why = "verify: rules of others would stand in its way: `outbound tcp";
    fails(&netns, ("apply", DEFAULT), &[], 15, why);
    fails(&netns, ("apply", DEFAULT), &[], 15, "; nothing was changed");
    fails(&netns, ("apply", DEFAULT), &["--dry-run"], 15, "would stand in its way");
    let left = run(&netns, "apply", DEFAULT, &["--leave-out", "theirs"]);
    exits(&left, 3);
    let said: Vec<_> = stdout(&left).split_whitespace().collect();
    assert!(said.join(" ").ends_with("says, as far as is known"), "{said:?}");
    let why = "read: there is no table or chain `nothing`, which is to be left out; nothing was";
    fails(&netns, ("apply", DEFAULT), &["--leave-out", "nothing"], 12, why);
}

/// What takes packets before a policy.
const THEIRS: &str = "table inet theirs {
    chain output {
        type nat hook output priority -150
        ip daddr 10.0.0.0/8 tcp dport 443 redirect to :4140
    }
}
";

/// Makes a program that is a script.
fn script(programs: &tempfile::TempDir, name: &str, text: &str) {
    let path = programs.path().join(name);
    // A new file, because the old one may be running.
    let _ = fs::remove_file(&path);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Where a program is.
fn find(netns: &Netns, name: &str) -> String {
    netns.output("sh", &["-c", &format!("command -v {name}")]).trim().to_owned()
}

#[test]
fn what_is_missing_is_said_before_anything_is_changed() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    apply(&netns, DEFAULT, &[]);
    netns.output("ip", &["route", "add", "blackhole", "default", "table", "133"]);
    let why = "preflight: IPv4 routing table 133 leads elsewhere: it is somebody else's; nothing";
    fails(&netns, ("apply", TPROXY), &[], 10, why);
    netns.output("ip", &["route", "del", "blackhole", "default", "table", "133"]);
    netns.output("ip", &["link", "set", "lo", "down"]);
    fails(&netns, ("apply", TPROXY), &[], 10, "loopback interface is down: `ip link set lo up`");
    netns.output("ip", &["link", "set", "lo", "up"]);
    let programs = tempfile::tempdir().unwrap();
    let weir = env!("CARGO_BIN_EXE_weir");
    let policy = root().join(TPROXY);
    let with = |status: i32, why: &str| {
        let path = format!("PATH={}", programs.path().to_str().unwrap());
        let arguments = [&path, weir, "apply", policy.to_str().unwrap()];
        let output = netns.command("env", &arguments).output().unwrap();
        exits(&output, status);
        assert!(stderr(&output).contains(why), "{why}: {}", stderr(&output));
    };
    let script = |name: &str, text: &str| script(&programs, name, text);
    let (nft, ip) = (find(&netns, "nft"), find(&netns, "ip"));
    let loaded = (netns.ruleset(), netns.routing());
    with(12, "read: neither nft nor iptables-save is installed; nothing was changed");
    script(
        "nft",
        &format!(
            "[ \"$1\" != -V ] && exec {nft} \"$@\"; echo 'nftables v1.0.0 (Fearless Fosdick)'"
        ),
    );
    with(10, "nft is too old: it is `nftables v1.0.0 (Fearless Fosdick)`, and nft 1.0.1 is needed");
    script("nft", &format!("exec {nft} \"$@\""));
    with(
        10,
        "preflight: `ip` of iproute2 is not installed (package iproute2); nothing was changed",
    );
    script(
        "ip",
        &format!("[ \"$1\" != -V ] && exec {ip} \"$@\"; echo 'BusyBox v1.36.1 multi-call binary.'"),
    );
    with(
        10,
        "`ip` is too old: it is `BusyBox v1.36.1 multi-call binary.`, and iproute2 5.0 is needed",
    );
    // What a kernel says that has no TPROXY.
    let lacks = "echo '/dev/stdin:17:9-20: Error: Could not process rule: No such file or directory' >&2; exit 1";
    script("ip", &format!("exec {ip} \"$@\""));
    script("nft", &format!("[ \"$1\" != --check ] && exec {nft} \"$@\"; {lacks}"));
    with(10, "preflight: the kernel lacks what a rule needs: nft says: ");
    // What fails half way: the second step, or the third.
    script("nft", &format!("[ \"$1\" != -f ] && exec {nft} \"$@\"; {lacks}"));
    with(14, "rules: the kernel lacks what a rule needs: nft says: ");
    assert_eq!((netns.ruleset(), netns.routing()), loaded);
    script("nft", &format!("exec {nft} \"$@\""));
    script(
        "ip",
        &format!("[ \"$1 $2\" != '-6 -batch' ] && exec {ip} \"$@\"; echo 'no luck' >&2; exit 1"),
    );
    with(13, "routing: ip says: no luck; everything is as it was again");
    assert_eq!((netns.ruleset(), netns.routing()), loaded);
}

#[test]
fn two_at_once_do_not_mix() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let known = [DEFAULT, TPROXY, DNS].map(|policy| {
        apply(&netns, policy, &[]);
        netns.ruleset()
    });
    for round in 0..3 {
        let start = |policy| {
            let mut command = command(&netns, "apply", policy, &["--wait", "60s"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let running: Vec<_> = [DEFAULT, TPROXY, DNS, TPROXY, DEFAULT, DNS].map(start).into();
        for child in running {
            let output = child.wait_with_output().unwrap();
            exits(&output, 0);
        }
        let now = netns.ruleset();
        assert!(known.contains(&now), "round {round}: {now}");
        // The last one alone knows what is needed, and has taken away the rest.
        let routing = netns.output("ip", &["rule", "list"]);
        assert_eq!(routing.contains("fwmark"), now == known[1], "round {round}: {routing}");
    }
}

#[test]
fn who_waits_too_long_is_told_who_holds_the_lock() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let confirm = command(&netns, "apply", DEFAULT, &["--confirm", "60s"]);
    let pending = confirm_without_terminal(confirm);
    assert!(stdout(&pending).contains("`weir apply --confirmed` is run in time"));
    let waited = Instant::now();
    fails(&netns, ("apply", TPROXY), &["--wait", "300ms"], 11, "lock: process ");
    assert!(waited.elapsed() >= Duration::from_millis(300));
    exits(&confirmed(&netns), 0);
    apply(&netns, TPROXY, &[]);
}

fn confirm_without_terminal(mut command: Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

fn confirmed(netns: &Netns) -> Output {
    netns.command(env!("CARGO_BIN_EXE_weir"), &["apply", "--confirmed"]).output().unwrap()
}

#[test]
fn a_change_that_nobody_confirms_is_undone() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    apply(&netns, DEFAULT, &[]);
    let before = (netns.ruleset(), netns.routing());
    let again = |policy: &str, time: &str| {
        let output = command(&netns, "apply", policy, &["--confirm", time]);
        let output = confirm_without_terminal(output);
        exits(&output, 0);
        stdout(&output).to_owned()
    };
    // Nothing changes, so that nothing waits.
    assert!(again(DEFAULT, "60s").starts_with("nothing to do"), "{before:?}");
    let missing = confirmed(&netns);
    exits(&missing, 2);
    assert!(stderr(&missing).contains("no change waits in this namespace"), "{missing:?}");
    again(TPROXY, "1s");
    is_loaded(&netns, TPROXY);
    thread::sleep(Duration::from_secs(1));
    // Whoever comes next waits for the lock, and so for the end of undoing.
    apply(&netns, DEFAULT, &[]);
    assert_eq!((netns.ruleset(), netns.routing()), before);
    again(TPROXY, "1s");
    exits(&confirmed(&netns), 0);
    thread::sleep(Duration::from_millis(1500));
    is_loaded(&netns, TPROXY);
}

#[test]
fn removing_takes_what_was_added_and_nothing_else() {
    if !netns::available() || !netns::are_installed(&["iptables-legacy-save", "iptables-nft-save"])
    {
        return;
    }
    let netns = Netns::new();
    netns.load(
        "table inet theirs {\nchain c {\ntype filter hook input priority 0; tcp dport 1 drop\n}\n}\n",
    );
    netns.output("ip", &["rule", "add", "fwmark", "7", "lookup", "main"]);
    netns.output("ip", &["route", "add", "blackhole", "192.0.2.0/24"]);
    for variant in ["legacy", "nft"] {
        let rule = ["-t", "nat", "-A", "OUTPUT", "-d", "192.0.2.1", "-j", "ACCEPT"];
        netns.output(&format!("iptables-{variant}"), &rule);
    }
    let (theirs, routing) = (saved(&netns), netns.routing());
    let tables = netns.output("nft", &["list", "table", "inet", "theirs"]);
    for policy in [DEFAULT, TPROXY, DNS] {
        let nothing = remove(&netns, policy, &[]);
        assert!(nothing.starts_with("nothing to do: this namespace has nothing of"), "{nothing}");
        for variant in ["legacy", "nft"] {
            load_upstream(&netns, policy, variant);
            if policy == TPROXY {
                for family in ["-4", "-6"] {
                    netns.output("ip", &[family, "rule", "del", "fwmark", "1337", "lookup", "133"]);
                    netns.output("ip", &[family, "route", "flush", "table", "133"]);
                }
            }
        }
        load_upstream_routing(&netns);
        netns.load(stdout(&weir(&["compile", policy])));
        remove(&netns, policy, &["--istio"]);
        assert_eq!(saved(&netns), theirs, "{policy}");
        assert_eq!(netns.routing(), routing, "{policy}");
        assert_eq!(netns.output("nft", &["list", "table", "inet", "theirs"]), tables);
    }
}

fn load_upstream_routing(netns: &Netns) {
    netns.output("ip", &["rule", "add", "fwmark", "1337", "lookup", "133"]);
    netns.output("ip", &["route", "add", "local", "default", "dev", "lo", "table", "133"]);
}

#[test]
fn upstreams_rules_of_either_variant_are_replaced() {
    if !netns::available() || !netns::are_installed(&["iptables-legacy-save", "iptables-nft-save"])
    {
        return;
    }
    for variant in ["legacy", "nft"] {
        for policy in [DEFAULT, TPROXY, DNS] {
            let netns = Netns::new();
            load_upstream(&netns, policy, variant);
            let rule = ["-t", "nat", "-A", "OUTPUT", "-d", "192.0.2.1", "-j", "ACCEPT"];
            netns.output(&format!("iptables-{variant}"), &rule);
            // Beside them first, and then instead of them. Rules that set marks cannot be beside others.
            if policy == TPROXY {
                let why = "stand in its way: `inbound tcp";
                fails(&netns, ("apply", policy), &[], 15, why);
                fails(
                    &netns,
                    ("apply", policy),
                    &[],
                    15,
                    "(`--replace-istio` takes iptables' away)",
                );
            } else {
                apply(&netns, policy, &[]);
            }
            let loaded = apply(&netns, policy, &["--replace-istio"]);
            assert!(loaded.starts_with("loaded: "), "{loaded}");
            assert_eq!(
                saved(&netns),
                ["-A OUTPUT -d 192.0.2.1/32 -j ACCEPT"],
                "{variant} {policy}"
            );
            is_loaded(&netns, policy);
            let again = apply(&netns, policy, &["--replace-istio"]);
            assert!(again.starts_with("nothing to do: "), "{again}");
        }
    }
}

#[test]
fn replacing_that_fails_puts_upstreams_rules_back() {
    if !netns::available() || !netns::are_installed(&["iptables-legacy-save", "iptables-nft-save"])
    {
        return;
    }
    for variant in ["legacy", "nft"] {
        let netns = Netns::new();
        load_upstream(&netns, TPROXY, variant);
        let before = saved(&netns);
        // A program that fails at its second call, which is the one for IPv6.
        let programs = tempfile::tempdir().unwrap();
        let restore = format!("ip6tables-{variant}-restore");
        let real = find(&netns, &restore);
        script(
            &programs,
            &restore,
            &format!("case $1 in --noflush) exit 1;; esac\nexec {real} \"$@\""),
        );
        let usual = std::env::var("PATH").unwrap();
        let path = format!("PATH={}:{usual}", programs.path().to_str().unwrap());
        let policy = root().join(TPROXY);
        let weir = env!("CARGO_BIN_EXE_weir");
        let arguments = [&path, weir, "apply", policy.to_str().unwrap(), "--replace-istio"];
        let routing = netns.routing();
        let output = netns.command("env", &arguments).output().unwrap();
        exits(&output, 14);
        assert!(stderr(&output).contains("; everything is as it was again"), "{output:?}");
        assert!(!netns.output("nft", &["list", "tables"]).contains("inet"));
        assert_eq!(netns.routing(), routing);
        let mut after = saved(&netns);
        // Chains may be in another order; the rules of each are not.
        after.sort_by_key(|line| line.split(' ').nth(1).map(str::to_owned));
        let mut before = before;
        before.sort_by_key(|line| line.split(' ').nth(1).map(str::to_owned));
        assert_eq!(after, before);
    }
}

#[test]
fn an_address_stays_that_another_mesh_needs() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    apply(&netns, DEFAULT, &[]);
    netns.load("table inet kuma-nat {\nchain c {\ntype nat hook output priority -100\n}\n}\n");
    remove(&netns, DEFAULT, &[]);
    assert!(netns.routing().contains("::6/128"), "{}", netns.routing());
    netns.output("nft", &["delete", "table", "inet", "kuma-nat"]);
    remove(&netns, DEFAULT, &[]);
    assert!(!netns.routing().contains("::6/128"), "{}", netns.routing());
}

#[test]
fn other_namespaces_are_entered_without_nsenter() {
    if !netns::available_to_root() {
        return;
    }
    let netns = Netns::new();
    let pid = netns.pid();
    let output = weir(&["apply", TPROXY, "--netns", &pid]);
    let place = format!("loaded: traffic of the namespace of process {pid} is treated as policy");
    assert!(said(&output).starts_with(&place), "{output:?}");
    is_loaded(&netns, TPROXY);
    let output = weir(&["remove", TPROXY, "--netns", &pid]);
    assert!(said(&output).starts_with("removed: "), "{output:?}");
    let output = weir(&["apply", TPROXY, "--netns", "no-such-namespace"]);
    exits(&output, 2);
    assert!(stderr(&output).contains("cannot find namespace no-such-namespace"), "{output:?}");
}

#[test]
fn two_capabilities_are_enough_where_nothing_can_be_written() {
    if !netns::available_to_root() || !netns::are_installed(&["setpriv", "iptables-legacy-save"]) {
        return;
    }
    let netns = Netns::new();
    load_upstream(&netns, TPROXY, "legacy");
    let weir = env!("CARGO_BIN_EXE_weir");
    let policy = root().join(TPROXY);
    let policy = policy.to_str().unwrap();
    let caps = "-all,+net_admin,+net_raw";
    let inside = format!(
        "mount -o remount,bind,ro / && ! touch /tmp/.weir-apply-test 2>/dev/null &&
         exec env -i PATH=\"$PATH\" setpriv --inh-caps={caps} --bounding-set={caps} --no-new-privs \
         {weir} \"$@\""
    );
    let run = |arguments: &[&str]| {
        let all = [&["-m", "sh", "-c", &inside, "sh"], arguments].concat();
        let output = netns.command("unshare", &all).output().unwrap();
        said(&output)
    };
    assert!(run(&["apply", policy, "--replace-istio"]).starts_with("loaded: "));
    is_loaded(&netns, TPROXY);
    assert!(run(&["remove", policy, "--istio"]).starts_with("removed: "));
    assert_eq!(saved(&netns), [""; 0]);
    let drop = ["--bounding-set=-net_admin", "--inh-caps=-net_admin", weir, "apply", policy];
    let output = netns.command("setpriv", &drop).output().unwrap();
    exits(&output, 10);
    assert!(stderr(&output).contains("preflight: CAP_NET_ADMIN is missing"), "{output:?}");
}

#[test]
fn upstreams_own_texts_are_taken_away() {
    if !netns::available() || !netns::are_installed(&["iptables-legacy-save", "iptables-nft-save"])
    {
        return;
    }
    let mut tried = 0;
    for entry in corpus::sample("istio", 24) {
        // A node's rules need sets of addresses that a kernel may not have.
        let (Ok(texts), Ok(imported)) = (&entry.upstream, &entry.imported) else { continue };
        if entry.json["kind"] == "ambient-host" {
            continue;
        }
        let netns = Netns::new();
        for (word, text) in [("iptables", &texts.ipv4), ("ip6tables", &texts.ipv6)] {
            let program = format!("{word}-legacy-restore");
            let done = netns.run(&program, &["--noflush"], text.as_deref().unwrap_or_default());
            assert!(done.ok, "{}: {}", entry.name, done.err);
        }
        let policy = print(&imported.policies[0], Detail::Everything);
        let arguments = ["apply", "-", "--replace-istio"];
        let done = netns.run(env!("CARGO_BIN_EXE_weir"), &arguments, &policy);
        assert!(done.ok, "{}: {}", entry.name, done.err);
        assert_eq!(saved(&netns), [""; 0], "{}", entry.name);
        tried += 1;
    }
    assert!(tried >= 10 || corpus::text("istio").is_none(), "{tried}");
}
