//! Rules of a whole host, in the shape of those that people file: the answer, its words, and the exit status.

use std::fs;
use std::path::Path;

use crate::cli::{exits, stderr, stdout, weir};
use crate::common::hosts;

/// Files of a test.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// What `weir` prints; words that name files of the test are their paths. Spaces and ends of lines
    /// are one space each.
    fn said(&self, words: &[&str], status: i32) -> String {
        let is_file = |word: &str| !word.is_empty() && self.0.path().join(word).is_file();
        let words: Vec<String> = words
            .iter()
            .map(|word| if is_file(word) { self.path(word) } else { (*word).to_owned() })
            .collect();
        let output = weir(&words.iter().map(String::as_str).collect::<Vec<_>>());
        exits(&output, status);
        let is_note = |line: &&str| line.starts_with("note: ");
        let unexpected: Vec<_> = stderr(&output).lines().filter(|line| !is_note(line)).collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");
        let folder = format!("{}/", self.0.path().to_str().unwrap());
        let said = stdout(&output).replace(&folder, "");
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Tables of iptables with the usual built-in chains.
fn nat(rules: &str) -> String {
    format!(
        "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
         :POSTROUTING ACCEPT [0:0]\n{rules}COMMIT\n"
    )
}

/// Asserts that `text` has each of `parts`, one behind the other.
fn has_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some(at) = rest.find(part) else { panic!("`{part}` is not in its place in: {text}") };
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn marks_are_set_in_every_table() {
    let rules = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j MARK --set-xmark 0x20000/0xf0000\nCOMMIT\n"
        .to_owned()
        + &nat(":MARKED - [0:0]\n-A PREROUTING -p tcp -m tcp --dport 8080 -j MARKED\n-A MARKED -j MARK --set-xmark 0x4000/0x4000\n")
        + "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j MARK --set-xmark 0x1/0x1\nCOMMIT\n";
    let files = Files::new(&[("marks", &rules)]);
    let said = files.said(&["explain", "marks", "inbound tcp to 10.0.0.7:8080"], 0);
    has_in_order(&said, &["untouched", "mark 0x24001", "raw PREROUTING 1", "MARKED 1", "INPUT 1"]);
    let said = files.said(&["explain", "marks", "inbound tcp to 10.0.0.7:8081"], 0);
    has_in_order(&said, &["untouched", "mark 0x20001"]);
}

/// A virtual machine in a mesh, with a published port and addresses that are masqueraded.
const MACHINE: &str = "
:PUBLISHED - [0:0]
:ISTIO_INBOUND - [0:0]
:ISTIO_IN_REDIRECT - [0:0]
:ISTIO_OUTPUT - [0:0]
:ISTIO_REDIRECT - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j PUBLISHED
-A PREROUTING -p tcp -j ISTIO_INBOUND
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j PUBLISHED
-A OUTPUT -p tcp -j ISTIO_OUTPUT
-A POSTROUTING -s 172.18.0.0/16 ! -o br-web -j MASQUERADE
-A PUBLISHED -i br-web -j RETURN
-A PUBLISHED ! -i br-web -p tcp -m tcp --dport 9443 -j DNAT --to-destination 172.18.0.3:443
-A ISTIO_INBOUND -p tcp -m tcp --dport 8443 -j ISTIO_IN_REDIRECT
-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006
-A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN
-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m tcp ! --dport 15008 -m owner --uid-owner 998 -j ISTIO_IN_REDIRECT
-A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 998 -j RETURN
-A ISTIO_OUTPUT -m owner --uid-owner 998 -j RETURN
-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN
-A ISTIO_OUTPUT -d 10.80.0.0/12 -j ISTIO_REDIRECT
-A ISTIO_OUTPUT -j RETURN
-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001
";

#[test]
fn a_port_that_is_published_first_is_what_differs_on_a_machine() {
    let policy = "sidecar vm {\n  family ipv4\n  proxy { user 998; group none }\n  \
                  inbound { capture port 8443 }\n  outbound { capture to 10.80.0.0/12 }\n}\n";
    let rules = nat(MACHINE.trim_start());
    let files = Files::new(&[("vm.weir", policy), ("machine", &rules)]);
    let said = files.said(&["verify", "vm.weir", "--iptables", "machine"], 1);
    assert!(said.starts_with("different in "), "{said}");
    // What is published stands before capture, and its masquerading is nobody's fault.
    has_in_order(&said, &["sent to 172.18.0.3:443 instead", "PUBLISHED 2"]);
    let said = files.said(
        &["explain", "machine", "outbound tcp to 172.18.0.9:80 from 172.18.0.1 user 1000"],
        0,
    );
    has_in_order(&said, &["`MASQUERADE`", "POSTROUTING 1", "ends out of eth0"]);
    // Without the port that is published, only what is masqueraded remains, and it is nobody's of the mesh.
    let kept: Vec<_> = rules.lines().filter(|line| !line.contains("DNAT")).collect();
    let without = kept.join("\n") + "\n";
    let files = Files::new(&[("vm.weir", policy), ("machine", &without)]);
    let said = files.said(&["verify", "vm.weir", "--iptables", "machine"], 0);
    has_in_order(&said, &["equal: ", "elsewhere, of other traffic, rules", "at postrouting"]);
}

/// A node's agent behind a network's own masquerading.
const AGENT: &str = "
:ISTIO_POSTRT - [0:0]
:NET-POSTRTG - [0:0]
-A POSTROUTING -m comment --comment \"net masq\" -j NET-POSTRTG
-A POSTROUTING -j ISTIO_POSTRT
-A ISTIO_POSTRT -p tcp -m owner --socket-exists -m set --match-set istio-inpod-probes-v4 dst -j SNAT --to-source 169.254.7.127
-A NET-POSTRTG -s 10.60.0.0/16 -d 10.60.0.0/16 -j ACCEPT
-A NET-POSTRTG -s 10.60.0.0/16 ! -d 224.0.0.0/4 -j ACCEPT
";

#[test]
fn what_was_left_out_and_is_asked_first_qualifies_the_answer() {
    let rules = nat(AGENT.trim_start());
    let behind = "-A POSTROUTING -m comment --comment \"net masq\" -j NET-POSTRTG\n";
    let last = rules.replace(behind, "").replace(
        "-A POSTROUTING -j ISTIO_POSTRT\n",
        &format!("-A POSTROUTING -j ISTIO_POSTRT\n{behind}"),
    );
    let files =
        Files::new(&[("node.weir", "ambient-host n {}\n"), ("first", &rules), ("last", &last)]);
    let left_out = ["--leave-out", "NET-*"];
    let verify = |rules, more: &[&str], status| {
        files.said(&[&["verify", "node.weir", "--iptables", rules], more].concat(), status)
    };
    let said = verify("first", &left_out, 3);
    assert!(said.starts_with("equal as far as known: "), "{said}");
    has_in_order(&said, &["left out, and can decide first", "chain NET-POSTRTG of nat"]);
    let said = verify("first", &[], 1);
    assert!(said.starts_with("different in 1 way"), "{said}");
    has_in_order(&said, &["169.254.7.127", "NET-POSTRTG 2"]);
    // Behind the agent's rules they decide of nothing that is the agent's.
    assert!(verify("last", &[], 0).starts_with("equal: "));
    // What is not there cannot be left out.
    let output = weir(&[
        "verify",
        &files.path("node.weir"),
        "--iptables",
        &files.path("first"),
        "--leave-out",
        "NETT-*",
    ]);
    exits(&output, 2);
    assert!(stderr(&output).contains("no table or chain `NETT-*`"), "{}", stderr(&output));
}

#[test]
fn a_file_without_rules_is_not_taken_for_a_policy() {
    let files = Files::new(&[("app.weir", "sidecar app {}\n"), ("empty", "# nothing yet\n")]);
    for flag in ["--rules", "--beside"] {
        let output = weir(&["verify", &files.path("app.weir"), flag, &files.path("empty")]);
        exits(&output, 2);
        let said = stderr(&output);
        assert!(said.contains("has nothing in it: no rules and no policy"), "{said}");
        assert!(!said.contains("E114"), "{said}");
    }
}

#[test]
fn what_is_to_an_own_address_leaves_over_lo() {
    let files = Files::new(&[("app.weir", "sidecar app {}\n")]);
    for (packet, ends) in [
        ("outbound tcp from 10.60.1.4 to 10.60.1.4:9000", "at 10.60.1.4:9000"),
        ("outbound tcp to 127.0.0.3:9000", "at 127.0.0.3:9000"),
        ("outbound tcp from fd00::4 to [fd00::4]:9000", "at [fd00::4]:9000"),
    ] {
        let said = files.said(&["explain", "app.weir", packet], 0);
        assert!(said.starts_with("untouched "), "{said}");
        has_in_order(&said, &["out lo", "rung O4b", ends]);
    }
    let packet = "outbound tcp from 10.60.1.4 to 10.60.1.4:9000 out eth0";
    let output = weir(&["explain", &files.path("app.weir"), packet]);
    exits(&output, 2);
    assert!(stderr(&output).contains("leaves over lo; write `out lo`"), "{}", stderr(&output));
}

#[test]
fn chains_are_called_as_the_dump_calls_them() {
    let files = Files::new(&[("node", &nat(AGENT.trim_start()))]);
    let packet = "postrouting tcp from 10.60.0.1 to 10.96.0.1:443 user 0";
    let said = files.said(&["explain", "node", packet], 0);
    has_in_order(&said, &["jump NET-POSTRTG", "NET-POSTRTG 2"]);
    assert!(!said.contains("NET_POSTRTG"), "{said}");
}

#[test]
fn a_policy_of_drop_is_a_verdict_where_packets_meet_it() {
    let rules = nat("-A OUTPUT -p udp -m udp --dport 53 -j REDIRECT --to-ports 15053\n");
    let drop = |chain: &str| {
        let text =
            "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n";
        text.replace(&format!("{chain} ACCEPT"), &format!("{chain} DROP")) + &rules
    };
    let nft = "table inet guard {\n chain out {\n  type filter hook output priority 0; policy drop;\n \
               udp dport 53 accept\n }\n}\n";
    let files = Files::new(&[
        ("forward", &drop("FORWARD")),
        ("output", &drop("OUTPUT")),
        ("guard.nft", nft),
    ]);
    let packet = "outbound udp to 10.96.0.10:53";
    let said = files.said(&["explain", "forward", packet], 0);
    has_in_order(&said, &["captured: redirected to port 15053", "ends at 127.0.0.1:15053"]);
    // The filter stands behind the translation.
    let said = files.said(&["explain", "output", packet], 0);
    has_in_order(&said, &["dropped", "drop"]);
    let said = files.said(&["explain", "forward", "inbound tcp to 10.1.2.3:80 to-foreign"], 0);
    assert!(said.starts_with("dropped at forward"), "{said}");
    assert!(files.said(&["explain", "guard.nft", packet], 0).starts_with("untouched"));
    let said = files.said(&["explain", "guard.nft", "outbound tcp to 10.96.0.10:53"], 0);
    assert!(said.starts_with("dropped"), "{said}");
}

#[test]
fn what_is_dropped_behind_arrival_is_not_untouched() {
    let input = |end: &str| {
        format!(
            "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
             -A INPUT -m state --state ESTABLISHED -j ACCEPT\n-A INPUT -d ::1/128 -i lo -j ACCEPT\n\
             -A INPUT -j {end}\nCOMMIT\n"
        )
    };
    let reject = input("REJECT --reject-with icmp6-port-unreachable");
    let files = Files::new(&[("drop", &input("DROP")), ("reject", &reject)]);
    let explain = |rules, packet| files.said(&["explain", "--ip6tables", rules, packet], 0);
    let packet = "inbound tcp from fd00::9 to [fd00::7]:80";
    let said = explain("drop", packet);
    has_in_order(&said, &["dropped at input", "filter INPUT 3", "ends nowhere"]);
    let said = explain("reject", packet);
    has_in_order(&said, &["taken by `REJECT", "filter INPUT 3"]);
    let established = "inbound tcp from fd00::9 to [fd00::7]:80 state established";
    assert!(explain("drop", established).starts_with("untouched"));
    let to_itself = "outbound tcp to [::1]:80";
    assert!(explain("reject", to_itself).starts_with("untouched"));
}

#[test]
fn services_that_take_traffic_stand_in_a_policys_way() {
    let policy = "sidecar web { family ipv4 }\n";
    let files = Files::new(&[("web.weir", policy)]);
    let beside = |host: &str, status| {
        let path = hosts::folder().join(host);
        let path: &Path = &path;
        files.said(&["verify", "web.weir", "--beside", path.to_str().unwrap()], status)
    };
    // A service's address becomes that of one of its endpoints, whichever is registered last.
    let said = beside("kube-proxy.v4", 1);
    assert!(said.starts_with("different in "), "{said}");
    has_in_order(&said, &["KUBE-S"]);
    // Jails look at ports that captured traffic has not any more.
    let said = beside("fail2ban.v4", 0);
    let parts =
        ["equal: beside ", ", all traffic of IPv4 that policy `web` touches is treated as it says"];
    has_in_order(&said, &parts);
    has_in_order(&said, &["elsewhere, of other traffic, rules drop at input"]);
    // What comes in is dropped behind its capture.
    let said = beside("ufw.v4", 1);
    has_in_order(&said, &["different in ", "dropped beside the rules", "rules: "]);
}
