//! What `weir verify` says about namespaces: whether the policy is loaded, whether it is this version of it, who
//! stands in its way, and whether routing is there.

use std::process::Output;

use crate::cli::{exits, stderr, stdout, weir};
use crate::common::netns::{self, Netns};
use crate::common::shipped::{changed, root};

const DEFAULT: &str = "rulesets/istio/default.weir";
const TPROXY: &str = "rulesets/istio/tproxy.weir";
const NETWORKS: &str = "rulesets/istio/many-networks.weir";

/// A namespace with a way out, so that routing is there to be asked.
fn namespace() -> Netns {
    let netns = Netns::new();
    netns.output("ip", &["link", "add", "eth0", "type", "veth", "peer", "eth1"]);
    netns
}

fn verify_with(netns: &Netns, policy: &str, more: &[&str]) -> Output {
    let path = root().join(policy);
    let arguments = [&["verify", path.to_str().unwrap(), "--live"], more].concat();
    netns.command(env!("CARGO_BIN_EXE_weir"), &arguments).output().unwrap()
}

/// Asserts the exit status, and what the first paragraph begins with; what is said then, with spaces for ends
/// of lines.
fn says(output: &Output, status: i32, first: &str) -> String {
    exits(output, status);
    assert_eq!(stderr(output), "");
    let said = stdout(output).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.starts_with(first), "{said}");
    said
}

fn verify(netns: &Netns, policy: &str, status: i32, first: &str) -> String {
    says(&verify_with(netns, policy, &[]), status, first)
}

/// Loads a policy, as a person does it: its script, and its routing.
fn load(netns: &Netns, policy: &str) {
    netns.load(stdout(&weir(&["compile", policy])));
    route(netns, stdout(&weir(&["compile", policy, "--emit", "routing"])));
}

fn route(netns: &Netns, script: &str) {
    let done = netns.run("sh", &["-s"], script);
    assert!(done.ok, "{}", done.err);
}

#[test]
fn a_namespace_is_asked_whether_the_policy_is_loaded() {
    if !netns::available() {
        return;
    }
    let netns = namespace();
    let said = verify(&netns, DEFAULT, 1, "not loaded: this namespace has none of the tables");
    assert!(said.len() < 240, "{said}");
    load(&netns, DEFAULT);
    let said =
        verify(&netns, DEFAULT, 0, "equal: under this namespace, every packet of IPv4 and IPv6");
    assert!(said.contains("routing: all that the policy needs is there"), "{said}");
    // Another policy has tables of the same names.
    verify(&netns, TPROXY, 1, "loaded, but not as policy");
    for table in ["raw", "mangle", "nat"] {
        let table = format!("istio-proxy-{table}");
        netns.run("nft", &["add", "table", "inet", &table, "{ flags dormant; }"], "");
    }
    let said = verify(&netns, DEFAULT, 1, "not in force: a table of the policy is dormant");
    assert!(said.contains("load the policy again"), "{said}");
}

#[test]
fn an_older_version_is_told_by_what_it_does() {
    if !netns::available() {
        return;
    }
    let netns = namespace();
    let (_folder, older) = changed(NETWORKS, "exclude to", "exclude to 192.0.2.0/24,");
    load(&netns, &older);
    let said = verify(&netns, NETWORKS, 1, "loaded, but not as policy");
    assert!(said.contains("perhaps in another version: different in 1 way"), "{said}");
    assert!(said.contains("192.0.2.0/24"), "{said}");
    load(&netns, NETWORKS);
    verify(&netns, NETWORKS, 0, "equal: ");
}

#[test]
fn a_set_that_was_emptied_by_hand_is_told() {
    if !netns::available() {
        return;
    }
    let netns = namespace();
    load(&netns, NETWORKS);
    let list = netns.ruleset();
    let sets: Vec<(String, String, String)> = list["nftables"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|object| object.get("set"))
        .map(|set| {
            let word = |key: &str| set[key].as_str().unwrap().to_owned();
            (word("family"), word("table"), word("name"))
        })
        .collect();
    assert!(!sets.is_empty(), "{list}");
    for (family, table, name) in &sets {
        netns.output("nft", &["flush", "set", family, table, name]);
    }
    let said = verify(&netns, NETWORKS, 1, "loaded, but not as policy");
    assert!(said.contains("is captured by the rules and not by the policy"), "{said}");
}

#[test]
fn rules_of_others_stand_in_the_way_or_do_not() {
    if !netns::available() || !netns::are_installed(&["iptables-nft-save"]) {
        return;
    }
    let netns = namespace();
    load(&netns, DEFAULT);
    netns.output("iptables-nft", &["-P", "FORWARD", "DROP"]);
    let said = verify(&netns, DEFAULT, 0, "equal: ");
    assert!(said.contains("elsewhere, of other traffic, rules drop at forward"), "{said}");
    says(&verify_with(&netns, DEFAULT, &["--all-hooks"]), 1, "");
    // Chains of one place tie: that of the later registration goes first.
    let redirect = "-t nat -A OUTPUT -o eth0 -p tcp -d 10.0.0.0/8 -j REDIRECT --to-ports 4140";
    netns.output("iptables-nft", &redirect.split(' ').collect::<Vec<_>>());
    let said = verify(&netns, DEFAULT, 1, "loaded, but rules of others stand in its way: ");
    for part in ["port 15001", "to port 4140 by the rules", "OUTPUT 1", "which no listing tells"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    netns.output("iptables-nft", &["-t", "nat", "-F", "OUTPUT"]);
    netns.load(
        "table inet guard {\n chain out {\n  type filter hook output priority -300; policy accept;\n  \
         tcp dport 443 drop\n }\n}\n",
    );
    let said = verify(&netns, DEFAULT, 1, "loaded, but rules of others stand in its way: ");
    let listed = netns.output("nft", &["-a", "list", "table", "inet", "guard"]);
    let rule = listed.lines().find(|line| line.contains("drop")).unwrap();
    let handle = rule.rsplit("# ").next().unwrap();
    assert!(said.contains(&format!("out 1 tcp, to port 443: drop [{handle}]")), "{said}");
}

#[test]
fn routing_is_part_of_what_is_asked() {
    if !netns::available() {
        return;
    }
    let netns = namespace();
    netns.load(stdout(&weir(&["compile", TPROXY])));
    let missing = "loaded, but routing is missing; the rules are equal: under this";
    let said = verify(&netns, TPROXY, 1, missing);
    assert!(said.contains("not there; `weir compile --emit routing` adds it"), "{said}");
    assert!(said.contains("IPv4 rule: mark 0x539"), "{said}");
    // An older version had another mark.
    let (_folder, older) = changed(TPROXY, "mark 1337", "mark 1400");
    route(&netns, stdout(&weir(&["compile", &older, "--emit", "routing"])));
    let said = verify(&netns, TPROXY, 1, missing);
    assert!(said.contains("left of an older version"), "{said}");
    route(&netns, stdout(&weir(&["compile", TPROXY, "--emit", "routing"])));
    let said = verify(&netns, TPROXY, 0, "equal: ");
    assert!(said.contains("routing: all that the policy needs is there"), "{said}");
    assert!(!said.contains("older version"), "{said}");
}

#[test]
fn namespaces_are_asked_by_process_by_name_and_all() {
    if !netns::available_to_root() {
        return;
    }
    let (with, without) = (namespace(), namespace());
    load(&with, DEFAULT);
    let (pid, other) = (with.pid(), without.pid());
    let output = weir(&["verify", DEFAULT, "--netns", &pid]);
    let place = format!("the namespace of process {pid}");
    let said = says(&output, 0, "equal: under the namespace");
    assert!(said.contains(&place), "{said}");
    says(&weir(&["verify", DEFAULT, "--netns", &other]), 1, "not loaded: the namespace of process");
    let packet = "outbound tcp to 10.96.0.1:443 user 1000";
    let output = weir(&["explain", "--netns", &pid, packet]);
    says(&output, 0, "captured: redirected to port 15001");
    says(&weir(&["explain", "--netns", &other, packet]), 0, "untouched");
    for (wrong, why) in [
        (vec!["verify", DEFAULT, "--netns", "no-such-namespace"], "cannot find namespace"),
        (vec!["verify", DEFAULT, "--netns", "../1"], "takes a name"),
        (vec!["verify", DEFAULT, "--netns", &pid, "--iptables", DEFAULT], "not both"),
    ] {
        let output = weir(&wrong);
        exits(&output, 2);
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
    }
    let name = format!("weir-test-{pid}");
    let named = std::process::Command::new("ip").args(["netns", "attach", &name, &pid]).status();
    if !named.is_ok_and(|status| status.success()) {
        return netns::skip("`ip netns attach` does not work");
    }
    let by_name = weir(&["verify", DEFAULT, "--netns", &name]);
    let all = weir(&["verify", DEFAULT, "--all-netns"]);
    let deleted = std::process::Command::new("ip").args(["netns", "delete", &name]).status();
    assert!(deleted.is_ok_and(|status| status.success()));
    says(&by_name, 0, "equal: ");
    // Others come and go on the machine meanwhile, so that only these two are known.
    let lines: Vec<_> = stdout(&all).lines().collect();
    let other = format!("the namespace of process {other}: not loaded");
    for line in [format!("namespace {name}: equal"), other] {
        assert!(lines.contains(&line.as_str()), "{line}: {lines:#?}");
    }
}

#[test]
fn routing_that_was_not_looked_at_qualifies_the_answer() {
    if !netns::available() {
        return;
    }
    let netns = namespace();
    load(&netns, DEFAULT);
    // Of all programs that are asked, only nft is there.
    let programs = tempfile::tempdir().unwrap();
    let nft = netns.output("sh", &["-c", "command -v nft"]);
    std::os::unix::fs::symlink(nft.trim(), programs.path().join("nft")).unwrap();
    let path = format!("PATH={}", programs.path().to_str().unwrap());
    let policy = root().join(DEFAULT);
    let arguments =
        [&path, env!("CARGO_BIN_EXE_weir"), "verify", policy.to_str().unwrap(), "--live"];
    let output = netns.command("env", &arguments).output().unwrap();
    let said = says(&output, 3, "equal as far as known: under");
    assert!(said.contains("as policy `istio` says, but for routing"), "{said}");
    assert!(said.contains("routing was not looked at: `ip` is not installed"), "{said}");
}
