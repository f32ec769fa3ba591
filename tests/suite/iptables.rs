//! Text for iptables fails over what is there, a script replaces it, and teardown removes it: with both
//! variants, in the kernel.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use netweir::diag::{Diagnostic, Problem};
use netweir::net::Family;
use netweir::reader::iptables;
use netweir::semantics::{Outcome, run};
use netweir::syntax::NoIncludes;
use netweir::{Options, View, compile};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::common::netns::{self, Done, Netns};
use crate::common::policies::policies;
use crate::mutants::samples;

const DEFAULT: &str = "sidecar s {}";
const TPROXY: &str = "sidecar s { mode tproxy { mark 7; outbound-mark 8; table 9 } }";
const DNS: &str = "sidecar s { dns { capture * }; drop invalid }";
const IPV4: &str = "sidecar s { family ipv4; inbound { capture port 80 } }";
const KUMA: &str = "kuma k {}";
const KUMA_DNS: &str = "kuma k { dns { capture * }; drop invalid }";
const LINKERD: &str = "linkerd l {}";

/// Versions of policies, each kind by itself.
const KINDS: [&[&str]; 3] = [&[DEFAULT, TPROXY, DNS, IPV4], &[KUMA, KUMA_DNS], &[LINKERD]];

fn written(text: &str, view: View) -> String {
    let compilation = compile("p.weir", text, &NoIncludes, &Options::default()).unwrap();
    compilation.emit(&compilation.policies[0], view).unwrap()
}

/// A namespace with one variant of iptables.
struct Host {
    netns: Netns,
    programs: tempfile::TempDir,
    variant: &'static str,
}

impl Host {
    fn new(variant: &'static str) -> Self {
        let programs = tempfile::tempdir().unwrap();
        for (family, verb) in
            [("ip", "save"), ("ip", "restore"), ("ip6", "save"), ("ip6", "restore")]
        {
            let plain = programs.path().join(format!("{family}tables-{verb}"));
            program(&plain, &format!("exec {family}tables-{variant}-{verb} \"$@\""));
        }
        Self { netns: Netns::new(), programs, variant }
    }

    /// All that both families have, without counts.
    fn saved(&self) -> [String; 2] {
        ["ip", "ip6"].map(|family| {
            let all = self.netns.output(&format!("{family}tables-{}-save", self.variant), &[]);
            let lines = all.lines().filter(|line| !line.starts_with('#'));
            let mut lines: Vec<_> =
                lines.map(|line| line.split(" [").next().unwrap_or_default()).collect();
            // A table that has nothing any longer is as good as none.
            let has = |line: &&str| line.starts_with("-A") || line.ends_with(" -");
            let blocks = lines.split_mut(|line| *line == "COMMIT").map(|block| block.to_vec());
            let mut blocks: Vec<String> =
                blocks.filter(|block| block.iter().any(has)).map(|it| it.join("\n")).collect();
            blocks.sort();
            blocks.join("\n")
        })
    }

    fn try_restore(&self, text: &str, view: View) -> Done {
        let family = if view == View::Iptables(Family::Ipv4) { "ip" } else { "ip6" };
        let program = format!("{family}tables-{}-restore", self.variant);
        self.netns.run(&program, &["--noflush"], text)
    }

    fn restore(&self, text: &str) {
        for family in Family::ALL {
            let view = View::Iptables(family);
            let done = self.try_restore(&written(text, view), view);
            assert!(done.ok, "{done:?}");
        }
    }

    /// Runs a script with the programs of this variant under their plain names.
    fn sh(&self, script: &str) -> Done {
        let path = format!("PATH={}:/usr/sbin:/usr/bin:/sbin:/bin", self.programs.path().display());
        self.netns.run("env", &[&path, "sh", "-s"], script)
    }

    fn replace(&self, text: &str) {
        let done = self.sh(&written(text, View::IptablesScript));
        assert!(done.ok && done.out.is_empty(), "{done:?}");
    }
}

/// What stands there of others, which leads to chains of weir's too.
fn others(host: &Host) {
    for family in ["ip", "ip6"] {
        let text = "*nat\n:KUBE_X - [0:0]\n-A OUTPUT -j KUBE_X\n-A KUBE_X -p udp -m udp --dport 9 -j RETURN\n\
                    -A OUTPUT -p tcp -m comment --comment \"not istio-proxy-nat\" -m tcp --dport 9 -j RETURN\nCOMMIT\n";
        let program = format!("{family}tables-{}-restore", host.variant);
        let done = host.netns.run(&program, &["--noflush"], text);
        assert!(done.ok, "{done:?}");
    }
}

/// A chain of table nat that every version of a kind has.
fn guard(kind: &str) -> &'static str {
    match kind {
        "sidecar" | "ambient-pod" => "ISTIO_OUTPUT",
        "ambient-host" => "ISTIO_POSTRT",
        "kuma" => "KUMA_MESH_OUTBOUND",
        "linkerd" => "PROXY_INIT_OUTPUT",
        "consul" => "CONSUL_PROXY_OUTPUT",
        "osm" => "OSM_PROXY_OUTBOUND",
        "appmesh" => "APPMESH_EGRESS",
        _ => panic!("{kind} has no chain that every version has"),
    }
}

#[test]
fn every_text_begins_with_a_chain_that_every_version_makes() {
    let compilation = compile("p.weir", "", &NoIncludes, &Options::default()).unwrap();
    let mut runner = TestRunner::new(Config { cases: 200, ..Config::default() });
    let checked = runner.run(&policies(), |policy| {
        for family in Family::ALL {
            let Ok(text) = compilation.emit(&policy, View::Iptables(family)) else { continue };
            if !text.is_empty() {
                let (first, _) = text.split_once("COMMIT").unwrap();
                let guard = format!("\n-N {}\n", guard(policy.kind.keyword()));
                prop_assert!(first.starts_with("*nat\n") && first.contains(&guard), "{}", text);
            }
        }
        // What iptables can say is proved, or it is an error that is not this.
        let script = compilation.emit(&policy, View::IptablesScript);
        let lacks = |found: &Diagnostic| matches!(found.problem, Problem::Unsupported { .. });
        prop_assert!(script.is_ok() || script.unwrap_err().diagnostics.iter().all(lacks));
        Ok(())
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
}

#[test]
fn a_text_over_any_version_of_it_fails_and_changes_nothing() {
    if !available() {
        return;
    }
    for variant in ["legacy", "nft"] {
        for kind in KINDS {
            for old in kind {
                let host = Host::new(variant);
                host.restore(old);
                let before = host.saved();
                for new in kind {
                    for family in Family::ALL {
                        let view = View::Iptables(family);
                        let text = written(new, view);
                        let is_loaded = !written(old, view).is_empty();
                        if text.is_empty() || !is_loaded {
                            continue;
                        }
                        let done = host.try_restore(&text, view);
                        assert!(!done.ok, "{variant}: {new} over {old}");
                        assert_eq!(host.saved(), before, "{variant}: {new} over {old}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_script_replaces_every_version_and_teardown_removes_it() {
    if !available() {
        return;
    }
    for variant in ["legacy", "nft"] {
        let empty = Host::new(variant);
        others(&empty);
        let nothing = empty.saved();
        for kind in KINDS {
            for new in kind {
                let alone = Host::new(variant);
                others(&alone);
                alone.replace(new);
                let expected = alone.saved();
                assert_ne!(expected, nothing, "{new}");
                for old in kind {
                    let host = Host::new(variant);
                    others(&host);
                    // By a text, with jumps twice, and half of it.
                    host.restore(old);
                    let twice = written(old, View::Iptables(Family::Ipv4));
                    let half =
                        |line: &&str| !line.starts_with("-N ") && !line.starts_with("-A ISTIO");
                    let twice = twice.split_inclusive('\n').filter(half).collect::<String>();
                    assert!(host.try_restore(&twice, View::Iptables(Family::Ipv4)).ok, "{twice}");
                    for _ in 0..2 {
                        host.replace(new);
                        assert_eq!(host.saved(), expected, "{variant}: {new} over {old}");
                    }
                    host.replace(old);
                    host.replace(new);
                    assert_eq!(host.saved(), expected, "{variant}: {new} over {old}");
                    for _ in 0..2 {
                        let done = host.sh(&written(old, View::Teardown));
                        assert!(done.ok && done.out.is_empty(), "{done:?}");
                        assert_eq!(host.saved(), nothing, "{variant}: {new}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_fails_leaves_the_old_rules_in_force() {
    if !available() {
        return;
    }
    for variant in ["legacy", "nft"] {
        let host = Host::new(variant);
        host.replace(DEFAULT);
        let expected = host.saved();
        let script = written(TPROXY, View::IptablesScript);
        for (good, wrong) in [
            ("-j REDIRECT --to-ports 15001", "-j NOSUCH"),
            ("-A ISTIO_DIVERT -j ACCEPT", "-A ISTIO_NOSUCH -j ACCEPT"),
        ] {
            // Of the family that is loaded last.
            let (start, end) = script.rsplit_once(good).unwrap();
            let done = host.sh(&format!("{start}{wrong}{end}"));
            assert!(!done.ok, "{variant}: {wrong}");
            let saved = host.saved();
            let count = |text: &str, what: &str| text.matches(what).count();
            for (saved, expected) in saved.iter().zip(&expected) {
                assert!(count(saved, "-j ISTIO_OLD_") >= count(expected, "-j ISTIO_"), "{saved}");
            }
            host.replace(DEFAULT);
            assert_eq!(host.saved(), expected);
        }
    }
}

/// Whether a packet is captured.
fn is_captured(outcome: &Outcome) -> bool {
    outcome.translation.is_some() || outcome.tproxy.is_some()
}

#[test]
fn at_every_moment_what_is_captured_is_that_of_one_version() {
    if !available() {
        return;
    }
    let samples: Vec<_> = samples().into_iter().step_by(29).collect();
    for (variant, old, new) in [
        ("legacy", DEFAULT, TPROXY),
        ("nft", TPROXY, DEFAULT),
        ("legacy", TPROXY, DNS),
        ("nft", KUMA_DNS, KUMA),
        ("legacy", KUMA, KUMA_DNS),
    ] {
        let host = Host::new(variant);
        host.restore(old);
        // Each time that something is loaded, it is said what is there.
        let log = host.programs.path().join("log");
        let watched = host.programs.path().join("iptables-restore");
        let commands = format!(
            "iptables-{variant}-restore \"$@\" || exit 1\n\
             {{ iptables-{variant}-save; echo '# moment'; }} >>{}",
            log.display()
        );
        program(&watched, &commands);
        host.replace(new);
        let log = fs::read_to_string(&log).unwrap();
        let moments: Vec<&str> = log.split_terminator("# moment\n").collect();
        assert_eq!(moments.len(), 3, "{log}");
        let read = |text: &str| {
            iptables::read(Some(text), None, &iptables::Options::default()).unwrap().ruleset
        };
        let [old, new] = [old, new].map(|text| read(&written(text, View::Iptables(Family::Ipv4))));
        let mut seen = 0;
        for moment in moments {
            let now = read(moment);
            let has_all = |version: &netweir::ir::Ruleset| {
                samples
                    .iter()
                    .filter(|packet| is_captured(&run(version, packet).outcome))
                    .all(|packet| is_captured(&run(&now, packet).outcome))
            };
            assert!(has_all(&old) || has_all(&new), "{moment}");
            seen += samples.iter().filter(|it| is_captured(&run(&now, it).outcome)).count();
        }
        assert!(seen > 100, "{seen} packets are captured");
    }
}

/// Makes a shell script that can be run.
fn program(path: &Path, commands: &str) {
    fs::write(path, format!("#!/bin/sh\n{commands}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Whether both variants can be tried, or a printed note.
fn available() -> bool {
    netns::available_to_root()
        && netns::are_installed(&[
            "iptables-legacy-restore",
            "iptables-nft-restore",
            "ip6tables-legacy-restore",
            "ip6tables-nft-restore",
        ])
}
