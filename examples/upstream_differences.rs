//! In what upstream's nft rules differ from its iptables rules, configuration by configuration.
//!
//! ```console
//! $ cargo run --example upstream_differences -- CORPUS > docs/upstream-differences.md
//! ```
//!
//! The corpus has one JSON object a line, with the texts that upstream makes of one configuration:
//! `iptables` and `ip6tables` for iptables-restore, and `nft` for `nft -f`. The nft text is loaded
//! into a scratch namespace, which takes `unshare` and `nft`, and listed again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::error::Error;
use std::io::Write;
use std::process::{Command, Stdio};

use netweir::explain::{Ports, Treatment};
use netweir::ir::{CtState, Protocol};
use netweir::net::Family;
use netweir::reader::{iptables, nft};
use netweir::semantics::{Difference, Sender, Translation, compare};
use serde_json::Value;

/// A kind of difference.
#[derive(Default)]
struct Kind {
    /// How many configurations have it.
    count: usize,
    /// One of them, and a packet that shows it, if it loads.
    example: Option<Example>,
}

/// What shows a difference.
struct Example {
    /// Whether a packet goes elsewhere, which is easier to see than another mark.
    is_clear: bool,
    text: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("the corpus is missing")?;
    let text = std::fs::read_to_string(path)?;
    let mut kinds: BTreeMap<&'static str, Kind> = BTreeMap::new();
    let (mut equal, mut all) = (0, 0);
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line)?;
        let name = entry["name"].as_str().ok_or("an entry without a name")?;
        let found = entry_differences(&entry).map_err(|error| format!("{name}: {error}"))?;
        all += 1;
        equal += usize::from(found.is_empty());
        for (title, example) in found {
            let kind = kinds.entry(title).or_default();
            kind.count += 1;
            if kind.example.as_ref().is_none_or(|known| example.is_clear && !known.is_clear) {
                let text = format!("`{name}`: {}", example.text);
                kind.example = Some(Example { text, ..example });
            }
        }
    }
    print(&kinds, equal, all);
    Ok(())
}

/// The kinds of difference that an entry has, each with an example.
fn entry_differences(entry: &Value) -> Result<BTreeMap<&'static str, Example>, Box<dyn Error>> {
    let text = |key: &str| entry[key].as_str().unwrap_or_default();
    let v6 = Some(text("ip6tables")).filter(|text| !text.trim().is_empty());
    // The corpus names these two.
    let groups = BTreeMap::from([("java".to_owned(), 3001), ("ftp".to_owned(), 3002)]);
    let options = iptables::Options { groups: groups.clone(), ..iptables::Options::default() };
    let left =
        iptables::read(Some(text("iptables")), v6, &options).map_err(|e| e[0].to_string())?.ruleset;
    let script = groups.iter().fold(text("nft").to_owned(), |script, (group, number)| {
        let script = script.replace(&format!("skgid {group} "), &format!("skgid {number} "));
        script.replace(&format!("skgid != {group} "), &format!("skgid != {number} "))
    });
    // Upstream's agent makes the sets of pods before the rules.
    let sets = [("-v4", "ipv4_addr"), ("-v6", "ipv6_addr")].map(|(end, of)| {
        let set = format!("istio-inpod-probes{end}");
        if !script.contains(&set) {
            return String::new();
        }
        let table = "inet istio-ambient-nat";
        format!("add table {table}\nadd set {table} {set} {{ type {of} ; }}\n")
    });
    let listed = match listed(&(sets.concat() + &script))? {
        Ok(listed) => listed,
        Err(why) => {
            let example = Example { is_clear: true, text: format!("nft says `{why}`") };
            return Ok(BTreeMap::from([("The rules do not load", example)]));
        }
    };
    let filled = left.tables.iter().flat_map(|table| &table.sets);
    let filled = filled.map(|set| set.name.to_string()).collect();
    let options = nft::Options { filled, ..nft::Options::default() };
    let right = nft::json(&listed, &options).map_err(|errors| errors[0].to_string())?.ruleset;
    let mut found: BTreeMap<&str, Example> = BTreeMap::new();
    for difference in compare(&left, &right).map_err(|limit| limit.to_string())? {
        let (left, right) = (&difference.left, &difference.right);
        let goes_elsewhere = Treatment::of(left) != Treatment::of(right);
        let words = |outcome| {
            if goes_elsewhere {
                Ports::default().words(&Treatment::of(outcome))
            } else {
                outcome.to_string()
            }
        };
        let (packet, left, right) = (&difference.packet, words(left), words(right));
        let text = format!("`{packet}`: {left} by iptables, {right} by nft");
        let example = Example { is_clear: goes_elsewhere, text };
        match found.entry(kind(&difference, v6.is_some())) {
            Entry::Occupied(mut known) if example.is_clear && !known.get().is_clear => {
                known.insert(example);
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(place) => {
                place.insert(example);
            }
        }
    }
    Ok(found)
}

/// What the difference is about.
fn kind(difference: &Difference, has_ipv6: bool) -> &'static str {
    let Difference { packet, left, right, .. } = difference;
    let (before, after) = (&Treatment::of(left), &Treatment::of(right));
    if packet.family() == Family::Ipv6 && !has_ipv6 {
        return "IPv6 is not left alone where it is off";
    }
    if !packet.no_listener.is_empty() && *before == Treatment::Dropped {
        return "TPROXY fails open while no proxy listens";
    }
    if packet.state == CtState::Invalid && [before, after].contains(&&Treatment::Dropped) {
        return if packet.protocol == Some(Protocol::Tcp) {
            "Invalid TCP packets are not dropped in the same places"
        } else {
            "Invalid packets that are not TCP are not dropped"
        };
    }
    if !matches!(packet.sender, Sender::Process { .. })
        && matches!(packet.hook, netweir::ir::Hook::Output | netweir::ir::Hook::Postrouting)
    {
        return "A negated owner does not match packets that no process owns";
    }
    match (&left.translation, &right.translation) {
        (Some(Translation::Snat { .. }), _) | (_, Some(Translation::Snat { .. })) => {
            "Probes keep their source, unless root sends them"
        }
        _ if before == after && left.zone != right.zone => "DNS is tracked in another zone",
        _ if before == after => "Marks differ",
        _ if before.is_captured() && !after.is_captured() => "Traffic is not captured",
        _ if !before.is_captured() && after.is_captured() => "Other traffic is captured",
        _ => "Traffic is captured by another port",
    }
}

/// What nft lists of `script` after loading it; or what it says against it.
fn listed(script: &str) -> Result<Result<String, String>, Box<dyn Error>> {
    let mut child = Command::new("unshare")
        .args(["-rn", "sh", "-c", "nft -f - && nft -j list ruleset"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().ok_or("no standard input")?.write_all(script.as_bytes())?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(Ok(String::from_utf8(output.stdout)?));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    // The first line says what is wrong, the second shows the rule.
    let mut lines = said.lines();
    let why = lines.next().and_then(|line| line.split("Error: ").last()).unwrap_or_default();
    let rule = lines.next().unwrap_or_default();
    Ok(Err(format!("{why}: {rule}")))
}

fn print(kinds: &BTreeMap<&'static str, Kind>, equal: usize, all: usize) {
    println!("# Where upstream's nft rules differ from its iptables rules");
    println!();
    println!("Istio has two backends for one configuration. `weir` compiles to what the iptables");
    println!("backend means, which is what most installations run. This is what the nft backend");
    println!("(Istio 86c9f01f of 2026-08-22) does otherwise, for {all} configurations: those that");
    println!("upstream tests, and random ones. All packets were compared, not samples; {equal}");
    println!("configurations are treated alike.");
    println!();
    println!("Made by `cargo run --example upstream_differences -- CORPUS`; not edited by hand.");
    println!();
    println!("| difference | configurations | for example |");
    println!("|---|---|---|");
    let mut sorted: Vec<_> = kinds.iter().collect();
    sorted.sort_by_key(|(title, kind)| (std::cmp::Reverse(kind.count), **title));
    for (title, kind) in sorted {
        println!(
            "| {title} | {} | {} |",
            kind.count,
            kind.example.as_ref().map_or("", |example| &example.text)
        );
    }
}
