//! `weir explain`, `weir verify` and `weir diff` as a user meets them.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::cli::snapshot;
use crate::cli::{exits, stderr, stdout, weir, weir_with};
use crate::common::netns::{self, Netns};
use crate::common::shipped::root;

const DEFAULT: &str = "rulesets/istio/default.weir";
const REVIEWS: &str = "rulesets/examples/reviews.weir";

/// A folder with the default sidecar in every form, and rules that differ from it.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let golden = folder.path().to_str().unwrap();
        exits(&weir(&["compile", DEFAULT, "--out-dir", golden]), 0);
        let files = Self { folder };
        files.change(
            "istio.iptables",
            "changed.iptables",
            "--dport 15021 -j RETURN",
            "--dport 22 -j RETURN",
        );
        files.change("istio.json", "changed.json", "\"skuid\"", "\"skgid\"");
        files
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn change(&self, from: &str, to: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.path(from)).unwrap();
        assert!(text.contains(old), "{text}");
        fs::write(self.path(to), text.replace(old, new)).unwrap();
    }
}

/// What `weir` prints, with the path of the folder as `…`.
fn said(arguments: &[&str], files: &Files, status: i32) -> String {
    let output = weir(arguments);
    exits(&output, status);
    assert_eq!(stderr(&output), "");
    stdout(&output).replace(files.folder.path().to_str().unwrap(), "…")
}

fn json(arguments: &[&str], status: i32) -> Value {
    let output = weir(arguments);
    exits(&output, status);
    serde_json::from_str(stdout(&output)).unwrap()
}

#[test]
fn a_packet_is_explained_in_words() {
    let files = Files::new();
    let mut text = String::new();
    for (rules, packet) in [
        (DEFAULT, "outbound tcp from 10.0.0.7 to 10.96.0.1:443 user 1000 out eth0"),
        (DEFAULT, "outbound tcp to 10.96.0.1:443 user 1337"),
        (DEFAULT, "outbound tcp to 10.0.0.7:8080 out lo user 1337"),
        (DEFAULT, "inbound tcp to [fd00::7]:15021"),
        (DEFAULT, "outbound udp to 10.96.0.1:123"),
        (REVIEWS, "outbound udp to 10.96.0.10:53"),
        (REVIEWS, "outbound tcp to 10.30.7.9:443"),
        ("rulesets/istio/tproxy.weir", "inbound tcp to 10.0.0.7:8080 no-listener 15006"),
        (&files.path("istio.iptables"), "outbound tcp to 10.96.0.1:443"),
        (&files.path("istio.json"), "inbound tcp to 10.0.0.7:8080"),
    ] {
        let said = said(&["explain", rules, packet], &files, 0);
        writeln!(text, "── {packet}\n{said}").unwrap();
    }
    snapshot("explain", "a-packet-is-explained-in-words", &text);
}

#[test]
fn sets_that_others_fill_are_so_on_both_sides() {
    let files = Files::new();
    let policy = "rulesets/ambient/host.weir";
    let compiled = weir(&["compile", "--emit", "json", policy]);
    let listing = stdout(&compiled).replacen(
        "\n]}",
        ",\n{\"add\":{\"element\":{\"family\":\"inet\",\"table\":\"istio-ambient-nat\",\
         \"name\":\"SET\",\"elem\":[\"10.0.0.7\"]}}}\n]}",
        1,
    );
    let set = listing.split("\"set\":").nth(1).unwrap();
    let part = |key: &str| {
        let rest = set.split(&format!("\"{key}\":\"")).nth(1).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let listing =
        listing.replace("\"name\":\"SET\"", &format!("\"name\":\"{}\"", part("name"))).replace(
            "\"table\":\"istio-ambient-nat\",\"name\"",
            &format!("\"table\":\"{}\",\"name\"", part("table")),
        );
    assert!(listing.contains("10.0.0.7"), "{listing}");
    fs::write(files.path("live.json"), listing).unwrap();
    for pair in [[policy, &files.path("live.json")], [&files.path("live.json"), policy]] {
        let said = said(&["diff", pair[0], pair[1]], &files, 0);
        assert!(said.starts_with("equal for every packet"), "{said}");
    }
}

/// The end of a packet's way through rules, and what becomes of it.
fn ends(rules: &str, packet: &str) -> (String, String) {
    let found = json(&["explain", "--json", rules, packet], 0);
    let word = |key: &str| found[key].as_str().unwrap().to_owned();
    (word("end"), word("outcome"))
}

#[test]
fn a_packet_is_followed_to_its_end() {
    let files = Files::new();
    let write = |name: &str, text: &str| {
        fs::write(files.path(name), text).unwrap();
        files.path(name)
    };
    let egress = write(
        "egress.nft",
        "table inet t {\n\tchain o {\n\t\ttype nat hook output priority -100;\n\
         \t\ttcp dport 443 redirect to :15001\n\t}\n\tchain f {\n\
         \t\ttype filter hook output priority 0;\n\t\ttcp dport != 443 drop\n\t}\n}\n",
    );
    let docker = write(
        "docker.iptables",
        "*nat\n:DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n\
         -A DOCKER -p tcp --dport 80 -j REDIRECT --to-ports 8000\nCOMMIT\n",
    );
    let firewall = write(
        "firewall.ip6tables",
        "*filter\n-A INPUT -p tcp --dport 8080 -j DROP\nCOMMIT\n# ip6tables-save\n",
    );
    for (rules, packet, end, outcome) in [
        // What is to this machine leaves over lo.
        (DEFAULT, "outbound tcp from 10.0.0.7 to 10.0.0.7:8899", "at 10.0.0.7:8899", "untouched"),
        (DEFAULT, "outbound tcp to 127.0.0.2:8080", "at 127.0.0.2:8080", "untouched"),
        // A filter behind a redirect sees the port of the proxy.
        (&egress, "outbound tcp to 10.96.0.1:443", "nowhere", "dropped"),
        // Whether the destination is this machine's belongs to the question.
        (
            &docker,
            "inbound tcp to 10.0.0.7:80",
            "at 10.0.0.7:8000",
            "captured: redirected to port 8000",
        ),
        (&docker, "inbound tcp to 10.9.9.9:80 to-foreign", "out of eth1", "untouched"),
        // The way goes on behind its first hook.
        (&firewall, "inbound tcp to [fd00::7]:8080", "nowhere", "dropped at input"),
        (
            "rulesets/istio/ipv4-only.weir",
            "inbound tcp to [fd00::7]:8080",
            "at [fd00::7]:8080",
            "untouched: IPv6 is not governed",
        ),
    ] {
        assert_eq!(ends(rules, packet), (end.to_owned(), outcome.to_owned()), "{packet}");
    }
    let first_hook =
        said(&["explain", "--hook", &firewall, "inbound tcp to [fd00::7]:8080"], &files, 0);
    assert!(first_hook.starts_with("untouched\n"), "{first_hook}");
    let ungoverned = said(
        &["explain", "rulesets/istio/ipv4-only.weir", "inbound tcp to [fd00::7]:8080"],
        &files,
        0,
    );
    assert!(ungoverned.contains("family ipv4"), "{ungoverned}");
    let impossible = weir(&["explain", DEFAULT, "outbound tcp to 10.0.0.7:80 to-local out eth0"]);
    exits(&impossible, 2);
    assert!(stderr(&impossible).contains("leaves over lo; write `out lo`"));
}

#[test]
fn programs_get_the_same() {
    let found = json(&["explain", "--json", DEFAULT, "outbound tcp to 10.96.0.1:443"], 0);
    assert_eq!(found["outcome"], "captured: redirected to the outbound proxy port 15001");
    assert_eq!((&found["captured"], &found["port"]), (&true.into(), &15001.into()));
    assert_eq!(found["rung"]["number"], "O10");
    assert_eq!(found["clause"]["text"], "capture to *");
    assert_eq!((&found["clause"]["line"], &found["clause"]["column"]), (&5.into(), &14.into()));
    assert_eq!(found["path"].as_array().unwrap().len(), 2);
    let equal = json(&["diff", "--json", DEFAULT, DEFAULT], 0);
    assert_eq!(
        (&equal["equal"], &equal["families"]),
        (&true.into(), &serde_json::json!(["ipv4", "ipv6"]))
    );
    let different = json(&["diff", "--json", DEFAULT, REVIEWS], 1);
    assert_eq!(different["equal"], false);
    for difference in different["differences"].as_array().unwrap() {
        let (left, right) = (&difference["left"], &difference["right"]);
        assert_ne!((&left["outcome"], &left["also"]), (&right["outcome"], &right["also"]));
        assert_eq!(left["packet"], difference["packet"]);
    }
}

#[test]
fn what_is_no_packet_is_said_kindly() {
    for (packet, says) in [
        ("", "it is empty: it begins with `inbound`, `outbound`"),
        ("outbound icpm to 10.0.0.1", "`icpm` is no protocol: write `tcp`, `udp`, `icmp`"),
        ("outbound icmp to 10.0.0.1:80", "have no port that rules see: write `to 10.0.0.1`"),
        ("outbound tcp", "write `to` and an address"),
        ("outbound tcp to fd00::1:443", "`to fd00::1:443` needs a port: `to [fd00::1]:443`"),
        ("outbound tcp to 10.0.0.1:80 to 10.0.0.2:80", "`to` is given twice"),
        ("outbound udp to [::ffff:10.0.0.1]:53", "in the form of IPv6; write `10.0.0.1`"),
        (
            "outbound tcp from 10.0.0.1 to [::1]:80",
            "`from 10.0.0.1` and `to ::1` are of different families",
        ),
        ("outbound tcp to 10.0.0.1:70000", "a port of `0` to `65535`, and `70000` is none"),
        ("outbound tcp to 10.0.0.1:80 usr 5", "unknown word `usr`: write `user`"),
        ("outbound tcp to 10.0.0.1:80 quickly", "the usual words are `from`, `to`"),
        ("inbound tcp to 10.0.0.1:80 user 5", "no user and no group here: leave out `user 5`"),
        ("inbound tcp to 10.0.0.1:80 state old", "`state` needs one of `new`"),
    ] {
        let output = weir(&["explain", DEFAULT, packet]);
        exits(&output, 2);
        assert_eq!(stdout(&output), "");
        assert!(stderr(&output).contains(says), "{packet}: {}", stderr(&output));
    }
}

#[test]
fn a_packet_may_be_words_and_options_stand_anywhere() {
    let quoted = weir(&["explain", "--json", DEFAULT, "outbound tcp to 10.96.0.1:443 user 1000"]);
    exits(&quoted, 0);
    for arguments in [
        "explain POLICY --json outbound tcp to 10.96.0.1:443 user 1000",
        "explain POLICY outbound tcp to 10.96.0.1 port 443 user 1000 --json",
        "explain POLICY outbound --json tcp to 10.96.0.1:443",
    ] {
        let arguments: Vec<&str> = arguments
            .split(' ')
            .map(|word| if word == "POLICY" { DEFAULT } else { word })
            .collect();
        let output = weir(&arguments);
        exits(&output, 0);
        assert_eq!(stdout(&output), stdout(&quoted), "{arguments:?}");
    }
    for (arguments, says) in [
        (&["explain", DEFAULT][..], "no packet is given: write it behind the file"),
        (&["explain", "outbound tcp to 10.0.0.1:80"], "no policy is given"),
        (&["explain", "outbound", "tcp"], "no policy is given"),
    ] {
        let output = weir(arguments);
        exits(&output, 2);
        assert!(stderr(&output).contains(says), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn rules_are_verified_in_every_form() {
    let files = Files::new();
    let [v4, v6, nft] =
        ["istio.iptables", "istio.ip6tables", "istio.json"].map(|it| files.path(it));
    let [changed, changed_nft] = ["changed.iptables", "changed.json"].map(|it| files.path(it));
    fs::write(files.path("empty"), "").unwrap();
    let empty = files.path("empty");
    let mut text = String::new();
    for (arguments, status) in [
        (&["--iptables", &v4, "--ip6tables", &v6][..], 0),
        (&["--iptables", &v4], 0),
        (&["--ip6tables", &v6], 0),
        (&["--nft-json", &nft], 0),
        (&["--iptables", &changed, "--ip6tables", &v6], 1),
        (&["--nft-json", &changed_nft], 1),
    ] {
        let all = [&["verify", DEFAULT][..], arguments].concat();
        writeln!(text, "── {}", all.join(" ")).unwrap();
        text.push_str(&said(&all, &files, status));
    }
    let text = text.replace(files.folder.path().to_str().unwrap(), "…");
    snapshot("explain", "rules-are-verified-in-every-form", &text);
    // An empty file is no rules; a policy for IPv4 only leaves IPv6 untouched.
    let ipv4 = "sidecar a { family ipv4 }";
    let compiled = weir_with(&["compile", "-", "--emit", "iptables"], ipv4);
    fs::write(files.path("v4"), stdout(&compiled)).unwrap();
    let all = ["verify", "-", "--iptables", &files.path("v4"), "--ip6tables", &empty];
    exits(&weir_with(&all, ipv4), 0);
    exits(&weir_with(&all, "sidecar a {}"), 1);
}

#[test]
fn chains_and_tables_of_others_are_left_out_by_name() {
    let files = Files::new();
    let foreign = ":KUBE-X - [0:0]\n-A KUBE-X -m what -j Y\n-A OUTPUT -j KUBE-X\n";
    let text = fs::read_to_string(files.path("istio.iptables")).unwrap();
    fs::write(files.path("kube"), text.replacen("COMMIT", &format!("{foreign}COMMIT"), 1)).unwrap();
    let kube = files.path("kube");
    let output = weir(&["verify", DEFAULT, "--iptables", &kube]);
    exits(&output, 3);
    assert!(stdout(&output).contains("nat KUBE-X 1  `-m what`"), "{}", stdout(&output));
    let output = weir(&["verify", DEFAULT, "--iptables", &kube, "--leave-out", "KUBE-*"]);
    exits(&output, 3);
    assert!(stdout(&output).contains("`chain KUBE-X of nat, left out`"), "{}", stdout(&output));
    let output = weir(&["verify", DEFAULT, "--iptables", &kube, "--leave-out", "typo"]);
    exits(&output, 2);
    assert!(stderr(&output).contains("has no table or chain `typo`"), "{}", stderr(&output));
    let nft = fs::read_to_string(files.path("istio.json")).unwrap();
    let table = r#"{"add":{"table":{"family":"ip","name":"docker"}}},
        {"add":{"chain":{"family":"ip","table":"docker","name":"c","type":"filter","hook":"output","prio":0,"policy":"drop"}}}"#;
    let end = nft.rfind("\n]}").unwrap();
    fs::write(files.path("docker"), format!("{},\n{table}{}", &nft[..end], &nft[end..])).unwrap();
    let docker = files.path("docker");
    assert_ne!(weir(&["verify", DEFAULT, "--nft-json", &docker]).status.code(), Some(0));
    // What is left out may take packets, at the places where it is asked.
    let output = weir(&["verify", DEFAULT, "--nft-json", &docker, "--leave-out", "docker"]);
    exits(&output, 3);
    assert!(stdout(&output).contains("`table ip docker, left out`"), "{}", stdout(&output));
}

#[test]
fn differences_are_told_in_words() {
    let files = Files::new();
    let folder = root().join("rulesets/istio");
    let path =
        |name: &str| folder.join(name).strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    let mut text = String::new();
    for (old, new, status) in [
        (DEFAULT.to_owned(), DEFAULT.to_owned(), 0),
        (DEFAULT.to_owned(), files.path("istio.json"), 0),
        (files.path("istio.iptables"), DEFAULT.to_owned(), 0),
        (DEFAULT.to_owned(), path("egress-only.weir"), 1),
        (path("ipv4-only.weir"), DEFAULT.to_owned(), 1),
        ("rulesets/examples/company.weir".to_owned(), REVIEWS.to_owned(), 1),
    ] {
        writeln!(text, "── {old} {new}").unwrap();
        text.push_str(&said(&["diff", &old, &new], &files, status));
    }
    snapshot(
        "explain",
        "differences-are-told-in-words",
        &text.replace(files.folder.path().to_str().unwrap(), "…"),
    );
}

#[test]
fn what_moving_to_another_mesh_changes_is_told_in_words() {
    let files = Files::new();
    for (name, old, new) in [
        ("from-kuma-to-istio", "rulesets/kuma/kuma-excludes.weir", DEFAULT),
        ("from-istio-to-linkerd", DEFAULT, "rulesets/linkerd/linkerd.weir"),
    ] {
        let text = said(&["diff", old, new], &files, 1);
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|widest| widest <= 80), "{text}");
        snapshot("explain", name, &text);
    }
}

#[test]
fn two_texts_of_iptables_are_one_side() {
    let files = Files::new();
    let [v4, v6] = ["istio.iptables", "istio.ip6tables"].map(|name| files.path(name));
    let equal = said(&["diff", &v4, DEFAULT, "--old-ip6tables", &v6], &files, 0);
    assert!(equal.starts_with("equal for every packet of IPv4 and IPv6\n"), "{equal}");
    exits(&weir(&["diff", DEFAULT, &v4, "--new-ip6tables", &v6]), 0);
    files.change("istio.ip6tables", "other.ip6tables", "15006", "15007");
    let other = files.path("other.ip6tables");
    let pair = ["diff", &v4, &v4, "--old-ip6tables", &v6, "--new-ip6tables", &other];
    let different = said(&pair, &files, 1);
    assert!(different.contains(", IPv6 only\n") && !different.contains("IPv4"), "{different}");
    for (wrong, why) in [
        (&["diff", &v6, DEFAULT, "--old-ip6tables", &v6][..], "another family than IPv4"),
        (&["diff", &v4, DEFAULT, "--old-ip6tables", &v4], "another family than IPv6"),
        (&["verify", DEFAULT, "--iptables", &v6], "another family than IPv4"),
        (&["diff", DEFAULT, &v4, "--old-ip6tables", &v6], "is not what iptables-save prints"),
        (&["diff", "-", &v4, "--old-ip6tables", "-"], "`-` is given twice"),
        (&["diff", "-", "-"], "`-` is given twice"),
    ] {
        let output = weir(wrong);
        exits(&output, 2);
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
    }
}

#[test]
fn usage_is_exit_status_2_and_a_wrong_policy_1() {
    let files = Files::new();
    let v4 = files.path("istio.iptables");
    let packet = "outbound tcp to 10.0.0.1:80";
    for arguments in [
        &["explain", packet][..],
        &["explain", DEFAULT, "--iptables", &v4, packet],
        &["explain", "--iptables", &v4, "outbound tcp to ::1"],
        &["verify", DEFAULT],
        &["verify", DEFAULT, "--live", "--iptables", &v4],
        &["diff", DEFAULT],
        &["diff", DEFAULT, "no-such.weir"],
        &["diff", &v4, &files.path("istio.ip6tables")],
    ] {
        exits(&weir(arguments), 2);
    }
    for arguments in [&["explain", "-", packet][..], &["verify", "-", "--iptables", &v4]] {
        exits(&weir_with(arguments, "sidecar a { mode x }"), 1);
    }
}

#[test]
fn an_nft_script_is_read_without_nft() {
    let files = Files::new();
    let script = files.path("istio.nft");
    exits(&weir(&["diff", DEFAULT, &script]), 0);
    // Neither nft nor anything else is to be found.
    let mut without = Command::new(env!("CARGO_BIN_EXE_weir"));
    without.args(["explain", &script, "outbound tcp to 10.96.0.1:443 user 1000"]).env("PATH", "");
    let output = without.output().unwrap();
    exits(&output, 0);
    assert!(
        stdout(&output).starts_with("captured: redirected to port 15001"),
        "{}",
        stdout(&output)
    );
    // What is not known may take packets, and nobody knows what becomes of them then.
    files.change("istio.nft", "other.nft", "redirect to", "redirected to");
    let output = weir(&["diff", DEFAULT, &files.path("other.nft")]);
    exits(&output, 1);
    assert!(stdout(&output).contains("redirected to"), "{}", stdout(&output));
    files.change("istio.nft", "broken.nft", "jump istio-output", "jump istio-nowhere");
    let output = weir(&["diff", DEFAULT, &files.path("broken.nft")]);
    exits(&output, 2);
    let said = stderr(&output);
    assert!(said.contains("no chain without a hook `istio-nowhere`"), "{said}");
}

#[test]
fn what_is_loaded_is_verified() {
    if !netns::available() {
        return;
    }
    let weir = env!("CARGO_BIN_EXE_weir");
    for policy in [DEFAULT, REVIEWS, "rulesets/istio/tproxy.weir", "rulesets/istio/kubevirt.weir"] {
        let netns = Netns::new();
        let path = root().join(policy);
        let path = path.to_str().unwrap();
        let verify = || netns.run(weir, &["verify", path, "--live"], "");
        let done = verify();
        assert!(!done.ok && done.out.starts_with("not loaded: "), "{done:?}");
        netns.load(stdout(&crate::cli::weir(&["compile", policy])));
        let done = verify();
        let said = done.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!done.ok && said.contains("not there; `weir compile --emit routing`"), "{done:?}");
        let routing = crate::cli::weir(&["compile", policy, "--emit", "routing"]);
        let done = netns.run("sh", &[], stdout(&routing));
        assert!(done.ok, "{done:?}");
        let done = verify();
        assert!(done.ok, "{done:?}");
        assert!(done.out.contains("under this namespace, every packet"), "{done:?}");
        netns.flush();
        for (view, program) in [("iptables", "iptables"), ("ip6tables", "ip6tables")] {
            let text = crate::cli::weir(&["compile", policy, "--emit", view]);
            let done = netns.run(&format!("{program}-nft-restore"), &["--noflush"], stdout(&text));
            if !done.ok && done.err.contains("No such file") {
                return netns::skip("iptables is not installed");
            }
            assert!(done.ok, "{done:?}");
        }
        let done = verify();
        assert!(done.ok, "{done:?}");
    }
}
