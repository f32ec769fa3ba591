//! Routes and routing rules of older versions, which had other numbers, are replaced and removed, and those of
//! others are not.

use netweir::net::Family;
use netweir::syntax::NoIncludes;
use netweir::{Compilation, Options, View, compile};

use crate::common::netns::{self, Netns};

const OLD: &str = "sidecar s { mode tproxy { mark 0x77; outbound-mark 0x78; table 77 } }";
const NEW: &str = "sidecar s { mode tproxy { mark 0x79; outbound-mark 0x7a; table 79 } }";
/// One that routes nothing.
const NONE: &str = "sidecar s {}";

fn compiled(text: &str) -> Compilation {
    compile("s.weir", text, &NoIncludes, &Options::default()).unwrap()
}

fn written(text: &str, view: View) -> String {
    let compilation = compiled(text);
    compilation.emit(&compilation.policies[0], view).unwrap()
}

/// Runs what is written of the policy, which says nothing.
fn run(netns: &Netns, text: &str, view: View) {
    let script = written(text, view);
    let (program, arguments): (_, &[&str]) = match view {
        View::RoutingBatch(Family::Ipv4) => ("ip", &["-batch", "-"]),
        View::RoutingBatch(Family::Ipv6) => ("ip", &["-6", "-batch", "-"]),
        View::Teardown => ("bash", &["--posix", "-s"]),
        _ => ("dash", &["-s"]),
    };
    let done = netns.run(program, arguments, &script);
    assert!(done.ok && done.out.is_empty() && done.err.is_empty(), "{done:?}\n{script}");
}

/// What is there, whatever the priorities that the kernel has chosen.
fn listed(netns: &Netns) -> Vec<String> {
    let listing = netns.routing();
    let rule = |line: &str| match line.split_once(":\t") {
        Some((_, rule)) => rule.to_owned(),
        None => line.to_owned(),
    };
    let mut lines: Vec<String> = listing.lines().map(rule).collect();
    lines.sort();
    lines
}

/// What looks almost as if it were ours.
fn others() -> Netns {
    let netns = Netns::new();
    for family in ["-4", "-6"] {
        let ip = |command: &str| {
            let arguments: Vec<&str> = command.split(' ').collect();
            netns.output("ip", &[&[family], &arguments[..]].concat());
        };
        let some = if family == "-4" { "198.51.100.0/24" } else { "2001:db8::/32" };
        // A table that holds something else, too.
        ip("route add local default dev lo table 200");
        ip(&format!("route add blackhole {some} table 200"));
        ip("rule add fwmark 0x77 table 200");
        // One that holds the same, with rules of another program, or for more than a mark.
        ip("route add local default dev lo table 201");
        ip("rule add fwmark 0x77 table 201 protocol 99");
        ip("rule add fwmark 0x77 iif lo table 201");
        ip(&format!("rule add from {some} fwmark 0x77 table 201"));
        ip("rule add not fwmark 0x77 table 201");
        // One that leads elsewhere, and none at all.
        ip(&format!("route add blackhole {some} table 202"));
        ip("rule add fwmark 0x77 table 202");
        ip("rule add fwmark 0x77 table 203");
        ip("rule add table 204");
    }
    netns
}

/// What weir 0.1.0 left, and what upstream leaves: no protocol.
fn without_protocol(netns: &Netns, text: &str) {
    let script = written(text, View::Routing);
    let commands = script.lines().map(str::trim_start).filter(|line| line.contains("ip -"));
    let plain: Vec<&str> = commands
        .filter(|line| !line.contains("\"$1\""))
        .map(|line| line.split(" || ").last().unwrap())
        .map(|line| line.split(" proto").next().unwrap())
        .collect();
    assert_eq!(plain.len(), 5, "{script}");
    let done = netns.run("sh", &["-e"], &plain.join("\n"));
    assert!(done.ok, "{done:?}");
}

#[test]
fn what_an_older_version_routed_by_other_numbers_is_replaced() {
    if !(netns::available() && netns::are_installed(&["dash", "bash"])) {
        return;
    }
    for new in [NEW, NONE] {
        let alone = others();
        run(&alone, new, View::Routing);
        let expected = listed(&alone);
        for by_hand in [false, true] {
            let netns = others();
            if by_hand {
                without_protocol(&netns, OLD);
            } else {
                run(&netns, OLD, View::Routing);
            }
            assert_ne!(listed(&netns), expected);
            for _ in 0..2 {
                run(&netns, new, View::Routing);
                assert_eq!(listed(&netns), expected);
            }
        }
        let netns = others();
        run(&netns, OLD, View::Routing);
        for _ in 0..2 {
            run(&netns, new, View::RoutingBatch(Family::Ipv4));
            run(&netns, new, View::RoutingBatch(Family::Ipv6));
            assert_eq!(listed(&netns), expected);
        }
    }
}

#[test]
fn what_is_torn_down_is_every_version() {
    if !(netns::available() && netns::are_installed(&["dash", "bash"])) {
        return;
    }
    let before = listed(&others());
    for new in [NEW, NONE] {
        for by_hand in [false, true] {
            let netns = others();
            if by_hand {
                without_protocol(&netns, OLD);
            } else {
                run(&netns, OLD, View::Routing);
            }
            for _ in 0..2 {
                run(&netns, new, View::Teardown);
                assert_eq!(listed(&netns), before);
            }
        }
    }
}

#[test]
fn policies_of_one_namespace_leave_each_other_their_routes() {
    if !(netns::available() && netns::are_installed(&["dash", "bash"])) {
        return;
    }
    let text = "sidecar a { family ipv4; mode tproxy }\nambient-pod b { family ipv6 }\n";
    let compilation = compiled(text);
    let all: Vec<_> = compilation.policies.iter().collect();
    let together = compilation.emit_together(&all, View::Routing).unwrap();
    let netns = Netns::new();
    let sh = |script: &str| {
        let done = netns.run("sh", &["-s"], script);
        assert!(done.ok && done.err.is_empty(), "{done:?}");
    };
    sh(&together);
    let loaded = netns.routing();
    assert!(loaded.contains("lookup 133 proto 87") && loaded.contains("lookup 100 proto 88"));
    for policy in &all {
        sh(&compilation.emit(policy, View::Routing).unwrap());
        assert_eq!(netns.routing(), loaded);
    }
    sh(&compilation.emit(all[0], View::Teardown).unwrap());
    let left = netns.routing();
    assert!(!left.contains("lookup 133") && left.contains("lookup 100 proto 88"), "{left}");
}

#[test]
fn the_address_of_several_meshes_goes_with_the_last() {
    let programs = ["dash", "bash", "ip6tables-restore"];
    if !(netns::available_to_root() && netns::are_installed(&programs)) {
        return;
    }
    let kuma = "kuma k {}";
    let has_it =
        |netns: &Netns| !netns.output("ip", &["-6", "addr", "show", "to", "::6"]).is_empty();
    for by_iptables in [false, true] {
        let netns = Netns::new();
        for text in [NONE, kuma] {
            run(&netns, text, View::Routing);
            if by_iptables {
                let text = written(text, View::Iptables(Family::Ipv6));
                assert!(netns.run("ip6tables-restore", &["--noflush"], &text).ok);
            } else {
                netns.load(&written(text, View::Nft));
            }
        }
        assert!(has_it(&netns));
        run(&netns, NONE, View::Teardown);
        assert!(has_it(&netns), "Kuma's needs it");
        run(&netns, kuma, View::Teardown);
        assert!(!has_it(&netns));
    }
}
