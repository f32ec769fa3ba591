//! Every configuration of `kuma.jsonl`, if `WEIR_CORPUS` names a folder with it: imported from every
//! form in which it is there, printed and read again, compiled, loaded into the kernel, and proved
//! equal to the iptables rules that Kuma makes of it; and whether changes to those are found.
//!
//! The file has one JSON object a line, as `weir import kuma --config` takes it, with the texts
//! under `iptables` and `ip6tables`, or an `error` where Kuma refuses it; perhaps with the same
//! as `args` or as a `pod`.

use netweir::backend::nft;
use netweir::import::kuma::{self, Context};
use netweir::ir::{Action, Ruleset};
use netweir::lower::{Layout, lower};
use netweir::net::Family;
use netweir::policy::{Detail, GroupIds, Kind, Policy, print};
use netweir::semantics::{Packet, compare, run};
use netweir::syntax::{self, NoIncludes};
use netweir::{Compilation, Options, View, compile, reader};
use serde_json::Value;

use crate::common::netns::{self, Netns, same_ruleset};

/// A configuration, and Kuma's rules for it; `None` where Kuma refuses it.
struct Entry {
    name: String,
    json: Value,
    rules: Option<Ruleset>,
}

/// Every entry; none, with a printed note, if no folder has them.
fn corpus() -> Vec<Entry> {
    let folder = std::env::var_os("WEIR_CORPUS").map(std::path::PathBuf::from);
    let file = folder.map(|folder| folder.join("kuma.jsonl")).filter(|path| path.is_file());
    let Some(path) = file else {
        println!("skipped: WEIR_CORPUS names no folder with `kuma.jsonl`");
        return Vec::new();
    };
    let entry = |line: &str| {
        let json: Value = serde_json::from_str(line).unwrap();
        let name = json["name"].as_str().unwrap().to_owned();
        let rules = json["error"].is_null().then(|| {
            read(&json, str::to_owned).unwrap_or_else(|errors| panic!("{name}: {errors:?}"))
        });
        Entry { name, json, rules }
    };
    std::fs::read_to_string(path).unwrap().lines().map(entry).collect()
}

/// Kuma's rules, changed by `change`.
fn read(
    json: &Value,
    change: impl Fn(&str) -> String,
) -> Result<Ruleset, Vec<reader::iptables::ReadError>> {
    let text = |key: &str| json[key].as_str().filter(|text| !text.trim().is_empty()).map(&change);
    let others = ["DOCKER_OUTPUT".to_owned()].into();
    let options = reader::iptables::Options { others, ..Default::default() };
    reader::iptables::read(text("iptables").as_deref(), text("ip6tables").as_deref(), &options)
}

/// Users that configurations name.
fn context() -> Context {
    let users = [("root", 0), ("proxyuser", 1337), ("kuma-dp", 5678)];
    let users: GroupIds =
        users.into_iter().map(|(name, number)| (name.to_owned(), number)).collect();
    Context { users, ..Context::default() }
}

fn imported(entry: &Entry) -> Policy {
    let imported = kuma::configurations(&entry.json.to_string(), &context());
    imported.unwrap_or_else(|refused| panic!("{}: {refused}", entry.name)).policies.remove(0)
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

/// Both ways in which a chain of others can treat all packets: it ends each by a translation that
/// nobody else has, or gives each back.
fn both_ways(ruleset: &Ruleset) -> [Ruleset; 2] {
    [Action::Redirect { port: 0 }, Action::Return].map(|then| ruleset.with_others_doing(&then))
}

/// Asserts that both treat every packet alike.
fn assert_equal(rules: &Ruleset, ours: &Ruleset, what: &str) {
    for (rules, ours) in both_ways(rules).iter().zip(&both_ways(ours)) {
        let differences = compare(rules, ours).unwrap();
        let shown = |of: &netweir::semantics::Difference| {
            format!("{}\n  Kuma: {:?}\n  weir: {:?}", of.packet, of.left, of.right)
        };
        let shown: Vec<_> = differences.iter().take(3).map(shown).collect();
        assert!(
            shown.is_empty(),
            "{what}: {} differences\n{}",
            differences.len(),
            shown.join("\n")
        );
    }
}

#[test]
fn what_kuma_refuses_is_refused() {
    for entry in corpus().iter().filter(|entry| entry.rules.is_none()) {
        let imported = kuma::configurations(&entry.json.to_string(), &context());
        assert!(imported.is_err(), "{}: {:?}", entry.name, entry.json["error"]);
    }
}

#[test]
fn what_is_imported_is_printed_as_a_policy_that_says_it() {
    for entry in corpus().iter().filter(|entry| entry.rules.is_some()) {
        let policy = imported(entry);
        for detail in [Detail::Differences, Detail::Everything] {
            let compilation = compiled(&policy, detail, Layout::Compact);
            assert_eq!(&compilation.policies[..], std::slice::from_ref(&policy));
            let text = print(&policy, detail);
            let mut sources = netweir::span::Sources::default();
            let file = sources.add("imported.weir", &text);
            assert_eq!(syntax::format(&syntax::parse(&sources, file).tree), text);
        }
    }
}

/// What the entry says of its host, for forms that do not.
fn host(entry: &Entry) -> Context {
    let servers = entry.json["resolv"].as_array().into_iter().flatten();
    let lines = servers.filter_map(Value::as_str).map(|server| format!("nameserver {server}\n"));
    Context {
        ipv6: Some(entry.json["host"]["ipv6_address"] != false),
        resolv_conf: Some(lines.collect()),
        ..context()
    }
}

/// A policy without its name, and without what only the corpus says of a host.
fn meaning(policy: &Policy) -> Kind {
    let mut kind = policy.kind.clone();
    if let Kind::Kuma(kuma) = &mut kind
        && let Some(dns) = &mut kuma.dns.value
    {
        dns.docker_output.value = None;
    }
    kind
}

fn same_as_the_configuration(
    entry: &Entry,
    read: Result<kuma::Imported, kuma::Refused>,
    form: &str,
) {
    let name = &entry.name;
    if entry.rules.is_none() {
        assert!(read.is_err(), "{name}: {form}");
        return;
    }
    let read = read.unwrap_or_else(|refused| panic!("{name}: {form}: {refused}"));
    assert_eq!(meaning(&read.policies[0]), meaning(&imported(entry)), "{name}: {form}");
}

#[test]
fn arguments_and_pods_say_what_the_configuration_says() {
    for entry in corpus() {
        let arguments: Option<Vec<String>> = entry.json["args"]
            .as_array()
            .map(|words| words.iter().map(|word| word.as_str().unwrap().to_owned()).collect());
        if let Some(arguments) = arguments {
            let read = kuma::arguments(&arguments, &host(&entry));
            same_as_the_configuration(&entry, read, "arguments");
        }
        if entry.json["pod"].is_object() {
            let read = kuma::pods(&entry.json["pod"].to_string(), &host(&entry));
            same_as_the_configuration(&entry, read, "pod");
        }
    }
}

fn every_configuration_means_what_kumas_rules_mean(layout: Layout) {
    for entry in corpus() {
        let Some(rules) = &entry.rules else { continue };
        let (name, policy) = (&entry.name, imported(&entry));
        let ruleset = lower(&policy, layout).ruleset;
        assert_equal(rules, &ruleset, &format!("{name}, lowered, {layout:?}"));
        let compilation = compiled(&policy, Detail::Differences, layout);
        let policy = &compilation.policies[0];
        let text = |family| compilation.emit(policy, View::Iptables(family)).unwrap();
        let (v4, v6) = (text(Family::Ipv4), text(Family::Ipv6));
        let json = serde_json::json!({ "iptables": v4, "ip6tables": v6 });
        let read = read(&json, str::to_owned).unwrap();
        assert_equal(rules, &read, &format!("{name}, from our iptables, {layout:?}"));
        match nft::legal(&ruleset, nft::Options::default().target) {
            Ok(legal) => {
                assert!(rules.others().is_empty(), "{name}");
                assert_equal(rules, legal.ruleset(), &format!("{name}, legal, {layout:?}"));
            }
            Err(problems) => {
                assert!(!rules.others().is_empty(), "{name}: {problems:?}");
                let shown: Vec<_> =
                    problems.iter().map(|found| found.problem.to_string()).collect();
                assert!(shown.iter().all(|it| it.contains("docker-output")), "{name}: {shown:?}");
            }
        }
    }
}

#[test]
fn every_configuration_means_what_kumas_rules_mean_in_the_compact_layout() {
    every_configuration_means_what_kumas_rules_mean(Layout::Compact);
}

#[test]
fn every_configuration_means_what_kumas_rules_mean_in_upstreams_layout() {
    every_configuration_means_what_kumas_rules_mean(Layout::Upstream);
}

#[test]
fn every_configuration_loads_as_script_and_as_json() {
    if !netns::available() {
        return;
    }
    let entries = corpus();
    // The kernel waits at every change, and namespaces do not wait for each other.
    std::thread::scope(|scope| {
        for some in entries.chunks(entries.len().div_ceil(4).max(1)) {
            scope.spawn(move || {
                let netns = Netns::new();
                let loads = |entry: &&Entry| {
                    entry.rules.as_ref().is_some_and(|rules| rules.others().is_empty())
                };
                for entry in some.iter().filter(loads) {
                    let compilation =
                        compiled(&imported(entry), Detail::Differences, Layout::Compact);
                    let emit = |view| {
                        // Proved, and written only then.
                        compilation
                            .emit(&compilation.policies[0], view)
                            .unwrap_or_else(|problems| panic!("{}: {problems:?}", entry.name))
                    };
                    same_ruleset(&netns, &emit(View::Nft), &emit(View::Json));
                }
            });
        }
    });
}

/// Changes of a line of Kuma's rules.
fn changes(line: &str) -> Vec<String> {
    let swaps = [
        ("-j RETURN", "-j DROP"),
        ("-p tcp", "-p udp"),
        ("-p udp", "-p tcp"),
        ("! --uid-owner", "--uid-owner"),
        ("! -d ", "-d "),
        ("--dport ", "--sport "),
        (" -s ", " -d "),
        ("-o lo", "-o eth0"),
        ("--zone 1", "--zone 2"),
        ("--zone 2", "--zone 1"),
        ("INVALID", "NEW"),
        ("-j DROP", "-j ACCEPT"),
    ];
    let mut changes: Vec<String> = swaps
        .iter()
        .filter(|(from, _)| line.starts_with('-') && line.contains(from))
        .map(|(from, to)| line.replacen(from, to, 1))
        .collect();
    if let Some((before, port)) = line.rsplit_once("--to-ports ") {
        let other = port.trim().parse::<u16>().map_or(1, |port| port ^ 1);
        changes.push(format!("{before}--to-ports {other}"));
    }
    changes
}

/// The same rules without what they say to people.
fn without_comments(text: &str) -> String {
    let line = |line: &str| match line.split_once("-m comment --comment \"") {
        Some((before, rest)) => {
            let rest = rest.split_once("\" ").map_or("", |(_, rest)| rest);
            format!("{before}{rest}\n")
        }
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// Packets of a small domain, which has what most rules tell apart.
fn samples() -> Vec<Packet> {
    let mut texts = Vec::new();
    let addresses = [
        ("10.0.0.7", "10.96.0.10"),
        ("10.96.0.10", "10.0.0.7"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.6", "10.0.0.7"),
        ("192.168.0.1", "172.17.0.9"),
    ];
    for (from, to) in addresses {
        for (protocol, user) in ["tcp", "udp"]
            .iter()
            .flat_map(|protocol| [0, 1, 106, 1000, 1337, 5678].map(|user| (protocol, user)))
        {
            for (from_port, to_port) in [(40000, 53), (53, 40000), (40000, 80), (15053, 40000)] {
                for interface in ["lo", "eth0", "docker0"] {
                    let ends = format!("{protocol} from {from}:{from_port} to {to}:{to_port}");
                    texts.push(format!("inbound {ends} in {interface} state new"));
                    texts.push(format!("outbound {ends} out {interface} user {user} state new"));
                }
            }
        }
    }
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn changes_to_kumas_rules_are_found() {
    let samples = samples();
    let (mut found, mut equal) = (0, 0);
    let is_picked = |entry: &&Entry| {
        ["kuma/s-", "kuma/golden/kumactl"].iter().any(|begins| entry.name.starts_with(begins))
    };
    let entries = corpus();
    for entry in entries.iter().filter(is_picked).step_by(2) {
        let Some(rules) = &entry.rules else { continue };
        let ours = lower(&imported(entry), Layout::Compact).ruleset;
        assert_equal(rules, &ours, &entry.name);
        let [ours, _] = both_ways(&ours);
        let expected: Vec<_> = samples.iter().map(|packet| run(&ours, packet).outcome).collect();
        let text = without_comments(entry.json["iptables"].as_str().unwrap());
        for (at, line) in text.lines().enumerate() {
            for changed in changes(line) {
                let lines = text.lines().enumerate();
                let lines =
                    lines.map(|(other, line)| if other == at { &changed[..] } else { line });
                let mutant: String = lines.flat_map(|line| [line, "\n"]).collect();
                let json = serde_json::json!({
                    "iptables": mutant, "ip6tables": entry.json["ip6tables"],
                });
                // Some are not even rules.
                let Ok(mutant) = read(&json, str::to_owned) else { continue };
                let [mutant, _] = both_ways(&mutant);
                let differences = compare(&ours, &mutant).unwrap();
                for difference in &differences {
                    let outcome = |ruleset: &Ruleset| run(ruleset, &difference.packet).outcome;
                    assert_ne!(outcome(&ours), outcome(&mutant), "{}: {changed}", entry.name);
                }
                if !differences.is_empty() {
                    found += 1;
                    continue;
                }
                equal += 1;
                for (packet, expected) in samples.iter().zip(&expected) {
                    let outcome = run(&mutant, packet).outcome;
                    assert_eq!(outcome, *expected, "{}: {changed}: {packet}", entry.name);
                }
            }
        }
    }
    // Few changes mean nothing: a rule behind one that takes the same packets.
    println!("{found} found, {equal} of no effect");
    assert!(entries.is_empty() || found > 100 && equal * 4 < found, "{found}, {equal}");
}
