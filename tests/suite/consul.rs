//! Every configuration of a corpus of Consul's, if `WEIR_CORPUS` names a folder with one
//! (`consul.jsonl`): imported from every form in which it is there, printed and read again, compiled,
//! loaded into the kernel, and proved equal to the iptables rules that Consul makes of it; and whether
//! changes to those are found.

use netweir::backend::{iptables, nft};
use netweir::import::consul::{self, Imported, Refused};
use netweir::import::Context;
use netweir::ir::Ruleset;
use netweir::lower::{Layout, lower};
use netweir::net::Family;
use netweir::policy::{Detail, GroupIds, Policy, print};
use netweir::semantics::{compare, run};
use netweir::span::Sources;
use netweir::syntax::NoIncludes;
use netweir::{Compilation, Options, View, compile, reader};
use serde_json::Value;

use crate::common::netns::{self, Netns, same_ruleset};

/// A configuration, and Consul's rules for it; `None` where Consul refuses it.
struct Entry {
    name: String,
    json: Value,
    imported: Result<Imported, Refused>,
    rules: Option<Ruleset>,
}

/// Every entry; none, with a printed note, if no corpus is named.
fn corpus() -> Vec<Entry> {
    let Some(path) = std::env::var_os("WEIR_CORPUS").map(std::path::PathBuf::from) else {
        println!("skipped: WEIR_CORPUS is not set");
        return Vec::new();
    };
    let folder = if path.is_file() { path.parent().unwrap() } else { &path };
    let text = std::fs::read_to_string(folder.join("consul.jsonl")).unwrap();
    let entry = |line: &str| {
        let json: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| json[key].as_str().filter(|text| !text.trim().is_empty());
        Entry {
            name: json["name"].as_str().unwrap().to_owned(),
            imported: consul::configurations(line, &context()),
            rules: json["error"].is_null().then(|| read(text("iptables"), text("ip6tables"))),
            json: json.clone(),
        }
    };
    text.lines().map(entry).collect()
}

fn read(ipv4: Option<&str>, ipv6: Option<&str>) -> Ruleset {
    reader::iptables::read(ipv4, ipv6, &reader::iptables::Options::default()).unwrap()
}

/// Users that configurations name.
fn context() -> Context {
    Context { users: GroupIds::from([("root".to_owned(), 0)]), ..Context::default() }
}

/// The policy and Consul's rules; `None` where both refuse the configuration.
fn both(entry: &Entry) -> Option<(&Policy, &Ruleset)> {
    match (&entry.imported, &entry.rules) {
        (Ok(imported), Some(rules)) => Some((&imported.policies[0], rules)),
        (Err(_), None) => None,
        (Ok(_), None) => panic!("{}: Consul refuses it", entry.name),
        (Err(refused), Some(_)) => panic!("{}: {refused}", entry.name),
    }
}

/// What `weir import` prints, compiled.
fn compiled(policy: &Policy, detail: Detail, layout: Layout) -> Compilation {
    let text = print(policy, detail);
    let options = Options { layout, ..Options::default() };
    compile("imported.weir", &text, &NoIncludes, &options).unwrap_or_else(|failure| {
        let problems: Vec<_> =
            failure.diagnostics.iter().map(|found| found.problem.to_string()).collect();
        panic!("{text}{}", problems.join("\n"))
    })
}

/// Asserts that both treat every packet alike.
fn assert_equal(rules: &Ruleset, ours: &Ruleset, what: &str) {
    let differences = compare(rules, ours).unwrap();
    let shown = |of: &netweir::semantics::Difference| {
        format!("{}\n  Consul: {}\n  weir: {}", of.packet, of.left, of.right)
    };
    let shown: Vec<_> = differences.iter().take(3).map(shown).collect();
    assert!(shown.is_empty(), "{what}: {} differences\n{}", differences.len(), shown.join("\n"));
}

#[test]
fn what_is_imported_is_printed_as_a_policy_that_says_it() {
    for entry in &corpus() {
        let Some((policy, _)) = both(entry) else { continue };
        for detail in [Detail::Differences, Detail::Everything] {
            let compilation = compiled(policy, detail, Layout::Compact);
            assert_eq!(&compilation.policies[..], std::slice::from_ref(policy));
        }
    }
}

#[test]
fn a_pod_says_what_its_configuration_says() {
    let mut pods = 0;
    let entries = corpus();
    for entry in entries.iter().filter(|entry| entry.json["pod"].is_object()) {
        pods += 1;
        let read = consul::pods(&entry.json["pod"].to_string(), &context());
        assert_eq!(read.is_ok(), entry.rules.is_some(), "{}", entry.name);
        if let (Ok(read), Ok(imported)) = (&read, &entry.imported) {
            assert_eq!(read.policies[0].kind, imported.policies[0].kind, "{}", entry.name);
        }
    }
    assert!(entries.is_empty() || pods > 10);
}

#[test]
fn every_configuration_means_what_consuls_rules_mean() {
    let sources = Sources::default();
    let mut proved = 0;
    for entry in &corpus() {
        let Some((policy, rules)) = both(entry) else { continue };
        for layout in [Layout::Compact, Layout::Upstream] {
            let name = format!("{}, {layout:?}", entry.name);
            let lowered = lower(policy, layout);
            let ruleset = &lowered.ruleset;
            assert_equal(rules, ruleset, &format!("{name}, lowered"));
            let text = |family| iptables::emit(ruleset, family).unwrap();
            let ipv6 = lowered.families.has(Family::Ipv6).then(|| text(Family::Ipv6));
            let read_back = read(Some(&text(Family::Ipv4)), ipv6.as_deref());
            assert_equal(rules, &read_back, &format!("{name}, from our text for iptables"));
            let legal = nft::legal(ruleset, nft::Target::OLDEST).unwrap();
            assert_equal(rules, legal.ruleset(), &format!("{name}, legal"));
            let context =
                nft::Context { policy: &policy.name, owned: &lowered.owned, sources: &sources };
            let json = nft::json(&legal, &context, &nft::Options::default());
            let read_back = reader::nft::json(&json, &reader::nft::Options::default()).unwrap();
            assert_equal(rules, &read_back, &format!("{name}, from our JSON"));
            let script = nft::script(&legal, &context, &nft::Options::default());
            let read_back = reader::nft::script(&script, &reader::nft::Options::default()).unwrap();
            assert_equal(rules, &read_back, &format!("{name}, from our script"));
        }
        proved += 1;
    }
    println!("{proved} proved");
}

#[test]
fn every_configuration_loads_as_script_and_as_json() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    for entry in &corpus() {
        let Some((policy, _)) = both(entry) else { continue };
        let compilation = compiled(policy, Detail::Differences, Layout::Compact);
        let emit = |view| compilation.emit(&compilation.policies[0], view).unwrap();
        same_ruleset(&netns, &emit(View::Nft), &emit(View::Json));
    }
}

/// Changes of a line of Consul's rules, each of which is a rule again.
fn changes(line: &str) -> Vec<String> {
    let swaps = [
        ("-p tcp -m tcp", "-p udp -m udp"),
        ("-p udp -m udp", "-p tcp -m tcp"),
        ("-j RETURN", "-j ACCEPT"),
        ("-m owner --uid", "-m owner ! --uid"),
        (" -d ", " ! -d "),
        ("--dport ", "--sport "),
        ("--dport 53 ", "--dport 54 "),
        ("127.0.0.1:8600", "127.0.0.1:8601"),
        ("[::1]:8600", "[::1]"),
        ("10.0.34.16", "10.0.34.17"),
    ];
    let with = swaps.iter().filter(|(from, _)| line.starts_with("-A") && line.contains(from));
    let mut changes: Vec<_> = with.map(|(from, to)| line.replacen(from, to, 1)).collect();
    if let Some((before, port)) = line.rsplit_once("--to-ports ") {
        let other = port.parse::<u16>().unwrap() ^ 1;
        changes.push(format!("{before}--to-ports {other}"));
    }
    changes
}

#[test]
fn other_rules_than_consuls_are_refuted() {
    let (mut refuted, mut equal) = (0, 0);
    let entries = corpus();
    for entry in entries.iter().step_by(3) {
        let Some((policy, _)) = both(entry) else { continue };
        let ours = lower(policy, Layout::Compact).ruleset;
        let family = if entry.json["dualStack"] == true { "ip6tables" } else { "iptables" };
        let texts = ["iptables", "ip6tables"]
            .map(|key| entry.json[key].as_str().filter(|text| !text.trim().is_empty()));
        let text = entry.json[family].as_str().unwrap();
        for (at, line) in text.lines().enumerate() {
            for changed in changes(line) {
                let lines = text.lines().enumerate();
                let mutant: String = lines
                    .map(|(other, line)| if other == at { changed.as_str() } else { line })
                    .flat_map(|line| [line, "\n"])
                    .collect();
                let [ipv4, ipv6] = texts;
                let mutant = match family {
                    "iptables" => read(Some(&mutant), ipv6),
                    _ => read(ipv4, Some(&mutant)),
                };
                let differences = compare(&mutant, &ours).unwrap();
                for difference in &differences {
                    let outcome = |ruleset: &Ruleset| run(ruleset, &difference.packet).outcome;
                    assert_eq!(outcome(&mutant), difference.left, "{changed}");
                    assert_eq!(outcome(&ours), difference.right, "{changed}");
                    assert_ne!(difference.left, difference.right, "{changed}");
                }
                if differences.is_empty() {
                    equal += 1;
                } else {
                    refuted += 1;
                }
            }
        }
    }
    println!("{refuted} refuted, {equal} equal");
    // A rule may stand behind one that takes the same packets, and a chain of Consul's is not
    // always used.
    assert!(entries.is_empty() || refuted > 100 && equal < refuted, "{refuted}, {equal}");
}
