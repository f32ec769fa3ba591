//! What shows that a text with a fault means the same: the kernel, or a small domain of packets.

use std::sync::LazyLock;

use netweir::View;
use netweir::ir::Ruleset;
use netweir::net::Family;
use netweir::reader::{iptables, nft};
use netweir::semantics::{Packet, run};

use super::{Output, Subject};
use crate::common::netns::Netns;
use crate::mutants::samples;

/// That `fault` does the same as the subject's own text.
///
/// # Errors
///
/// What it does instead.
pub(super) fn check(subject: &Subject<'_>, netns: &Netns, fault: &str) -> Result<(), String> {
    let text = &subject.text;
    match subject.output {
        Output::Policy(View::Iptables(family)) => {
            // A set of others has to be there for the kernel to take it.
            let is_listed_alike = !text.contains("--match-set")
                && saved(netns, family, fault)? == saved(netns, family, text)?;
            if is_listed_alike {
                return Ok(());
            }
            alike([text, fault].map(|text| read_iptables(family, text)))
        }
        Output::Policy(View::IptablesScript) => {
            for (at, family) in Family::ALL.into_iter().enumerate() {
                // A set of others has to be there for the kernel to take it.
                let left = |text: &str| {
                    if text.contains("--match-set") {
                        Ok(loaded(text)[at].clone())
                    } else {
                        replaced(text).map(|saved| saved[at].clone())
                    }
                };
                let both = [left(text)?, left(fault)?];
                if both[0] != both[1] {
                    alike(both.map(|text| read_iptables(family, &text)))?;
                }
            }
            Ok(())
        }
        Output::Policy(View::Routing | View::RoutingBatch(_)) => {
            for before in ["", text] {
                equal(&routed(subject, before, text)?, &routed(subject, before, fault)?)?;
            }
            Ok(())
        }
        Output::Policy(View::Teardown) => {
            equal(&torn_down(subject, text)?, &torn_down(subject, fault)?)
        }
        Output::Members(..) => {
            equal(&filled(subject, netns, text)?, &filled(subject, netns, fault)?)
        }
        Output::Policy(view) => {
            if listed(netns, text)? == listed(netns, fault)? {
                return Ok(());
            }
            let read = if view == View::Json { nft::json } else { nft::script };
            let read = |text: &str| read(text, &nft::Options::default()).unwrap().ruleset;
            alike([text, fault].map(read))
        }
    }
}

fn equal(left: &str, right: &str) -> Result<(), String> {
    if left == right { Ok(()) } else { Err(format!("it leaves\n{right}\nand not\n{left}")) }
}

/// One in thirteen packets of the domain: no port, user, mark or state recurs with that period.
static SAMPLES: LazyLock<Vec<Packet>> =
    LazyLock::new(|| samples().into_iter().step_by(13).collect());

/// That both rulesets do the same with every packet of a small domain.
fn alike([left, right]: [Ruleset; 2]) -> Result<(), String> {
    let outcome = |ruleset, packet| run(ruleset, packet).outcome;
    match SAMPLES.iter().find(|packet| outcome(&left, packet) != outcome(&right, packet)) {
        Some(packet) => Err(format!("{packet} fares otherwise")),
        None => Ok(()),
    }
}

fn read_iptables(family: Family, text: &str) -> Ruleset {
    let others = ["DOCKER_OUTPUT".to_owned()].into();
    let options = iptables::Options { others, ..iptables::Options::default() };
    let (v4, v6) = match family {
        Family::Ipv4 => (Some(text), None),
        Family::Ipv6 => (None, Some(text)),
    };
    iptables::read(v4, v6, &options).unwrap().ruleset
}

/// What the kernel has when the text is loaded, twice, over a table of someone else, without comments and
/// counts.
fn listed(netns: &Netns, text: &str) -> Result<String, String> {
    netns.flush();
    netns.load("table ip other {\nchain c {\naccept\n}\n}\n");
    for _ in 0..2 {
        load(netns, text)?;
    }
    let listing = netns.output("nft", &["list", "ruleset"]);
    let lines = listing.lines().map(|line| line.split(" comment \"").next().unwrap_or_default());
    let lines = lines.map(|line| line.replace("counter packets 0 bytes 0 ", ""));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn load(netns: &Netns, text: &str) -> Result<(), String> {
    let done = netns.try_load(text);
    if done.ok { Ok(()) } else { Err(format!("nft refuses it: {}", done.err)) }
}

/// What the kernel has of iptables when the text is loaded.
fn saved(netns: &Netns, family: Family, text: &str) -> Result<String, String> {
    let (restore, save) = match family {
        Family::Ipv4 => ("iptables-restore", "iptables-save"),
        Family::Ipv6 => ("ip6tables-restore", "ip6tables-save"),
    };
    netns.flush();
    if text.contains("DOCKER_OUTPUT") {
        ran(netns, restore, &[], "*nat\n:DOCKER_OUTPUT - [0:0]\nCOMMIT\n")?;
    }
    ran(netns, restore, &["--noflush"], text)?;
    let all = netns.output(save, &[]);
    let lines = all.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.map(|line| line.split(" [").next().unwrap_or_default());
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// What the kernel has of iptables, of both families, when the script is run, twice.
fn replaced(script: &str) -> Result<[String; 2], String> {
    let netns = Netns::new();
    for _ in 0..2 {
        ran(&netns, "sh", &["-s"], script)?;
    }
    Ok(["iptables-save", "ip6tables-save"].map(|save| {
        let all = netns.output(save, &[]);
        let lines = all.lines().filter(|line| !line.starts_with('#'));
        // Counts differ, and are nothing to the rules.
        lines.map(|line| line.split(" [").next().unwrap_or_default().to_owned() + "\n").collect()
    }))
}

/// The texts of both families that the script loads.
fn loaded(script: &str) -> [String; 2] {
    ["\niptables-", "\nip6tables-"].map(|program| {
        let rest = script.split_once(&format!("{program}restore --noflush <<'END'\n"));
        let text = rest.and_then(|(_, rest)| rest.split_once("\nEND\n"));
        text.map(|(text, _)| format!("{text}\n")).unwrap_or_default()
    })
}

fn ran(netns: &Netns, program: &str, args: &[&str], input: &str) -> Result<(), String> {
    let done = netns.run(program, args, input);
    if done.ok { Ok(()) } else { Err(format!("{program} refuses it: {}", done.err)) }
}

/// Runs a script or a batch.
fn run_host(netns: &Netns, view: View, text: &str) -> Result<(), String> {
    match view {
        View::RoutingBatch(Family::Ipv4) => ran(netns, "ip", &["-batch", "-"], text),
        View::RoutingBatch(Family::Ipv6) => ran(netns, "ip", &["-6", "-batch", "-"], text),
        _ => ran(netns, "sh", &["-s"], text),
    }
}

/// Addresses, routes and rules when `text` is run behind `before`, twice, beside those of others.
fn routed(subject: &Subject<'_>, before: &str, text: &str) -> Result<String, String> {
    let Output::Policy(view) = subject.output else { unreachable!("it is a policy's") };
    let netns = Netns::new();
    netns.output("ip", &["addr", "add", "192.0.2.1/32", "dev", "lo"]);
    netns.output("ip", &["rule", "add", "fwmark", "0x1", "table", "133"]);
    for text in [before, text, text] {
        run_host(&netns, view, text)?;
    }
    Ok(netns.routing())
}

/// The same when `text` is run, twice, behind what loads the policy; and nft's tables.
fn torn_down(subject: &Subject<'_>, text: &str) -> Result<String, String> {
    let netns = Netns::new();
    netns.output("ip", &["rule", "add", "fwmark", "0x1", "table", "133"]);
    netns.load("table ip other {\nchain c {\naccept\n}\n}\n");
    let emit = |view| subject.compilation.emit(subject.policy, view).unwrap();
    run_host(&netns, View::Routing, &emit(View::Routing))?;
    netns.load(&emit(View::Nft));
    for _ in 0..2 {
        run_host(&netns, View::Teardown, text)?;
    }
    Ok(netns.routing() + &netns.output("nft", &["list", "ruleset"]))
}

/// What the sets hold when `text` is loaded, twice, beside an address of others.
fn filled(subject: &Subject<'_>, netns: &Netns, text: &str) -> Result<String, String> {
    netns.flush();
    netns.load(&subject.compilation.emit(subject.policy, View::Nft).unwrap());
    let tables = subject.ruleset.tables.iter();
    for (table, set) in tables.flat_map(|table| table.sets.iter().map(move |set| (table, set))) {
        let other = if set.family == Family::Ipv4 { "192.0.2.1" } else { "2001:db8::1" };
        let family = if table.families == netweir::net::Families::Ipv4 { "ip" } else { "inet" };
        netns.load(&format!("add element {family} {} {} {{ {other} }}\n", table.name, set.name));
    }
    for _ in 0..2 {
        load(netns, text)?;
    }
    Ok(netns.output("nft", &["list", "ruleset"]))
}
