//! Every configuration of a corpus of the meshes' own output, if `WEIR_CORPUS` names one: imported,
//! printed and read again, compiled, loaded into the kernel, and compared for all packets with the
//! iptables rules that the mesh makes of it. What a mesh refuses is refused.

use std::collections::BTreeSet;

use netweir::backend::{iptables, nft};
use netweir::import::{self, Context, IMPORTERS};
use netweir::ir::{Action, Clauses, Ruleset};
use netweir::lower::Lowered;
use netweir::net::Family;
use netweir::optimise::Layout;
use netweir::policy::{Detail, Policy, print};
use netweir::semantics::{Packet, compare, compare_beside, run};
use netweir::span::Sources;
use netweir::syntax::{self, NoIncludes};
use netweir::{Compilation, Options, View, compile, reader};
use proptest::prelude::*;

use crate::common::corpus::{self, Texts};
use crate::common::netns::{self, Netns, same_ruleset};

/// Holds a mesh to the same laws as every other.
macro_rules! meshes {
    ($($mesh:ident)*) => {
        /// Every mesh that is held to them.
        const MESHES: &[&str] = &[$(stringify!($mesh)),*];

        $(mod $mesh {
            use netweir::Layout;

            const MESH: &str = stringify!($mesh);

            #[test]
            fn what_is_imported_is_printed_as_a_policy_that_says_it() {
                super::printed_as_a_policy_that_says_it(MESH);
            }

            #[test]
            fn every_form_of_a_configuration_says_the_same() {
                super::every_form_says_the_same(MESH);
            }

            #[test]
            fn every_configuration_loads_as_script_and_as_json() {
                super::loads_as_script_and_as_json(MESH);
            }

            #[test]
            fn every_configuration_means_what_the_meshs_rules_mean_in_the_compact_layout() {
                super::means_what_the_meshs_rules_mean(MESH, Layout::Compact);
            }

            #[test]
            fn every_configuration_means_what_the_meshs_rules_mean_in_upstreams_layout() {
                super::means_what_the_meshs_rules_mean(MESH, Layout::Upstream);
            }

            #[test]
            fn other_rules_than_the_meshs_are_refuted() {
                super::other_rules_are_refuted(MESH);
            }
        })*
    };
}

meshes! { istio kuma linkerd consul osm appmesh }

#[test]
fn no_mesh_is_left_out() {
    let names: Vec<_> = IMPORTERS.iter().map(|importer| importer.name).collect();
    assert_eq!(names, MESHES);
}

/// What `weir import` prints, compiled: nobody passes a group file again.
fn compiled(policy: &Policy, detail: Detail, layout: Layout) -> Compilation {
    let text = print(policy, detail);
    let options = Options { layout, ..Options::default() };
    compile("imported.weir", &text, &NoIncludes, &options).unwrap_or_else(|failure| {
        let problems: Vec<_> =
            failure.diagnostics.iter().map(|found| found.problem.to_string()).collect();
        panic!("{text}{}", problems.join("\n"))
    })
}

fn printed_as_a_policy_that_says_it(mesh: &str) {
    for entry in corpus::of(mesh) {
        let Some((policy, _)) = entry.both() else { continue };
        for detail in [Detail::Differences, Detail::Everything] {
            let compilation = compiled(policy, detail, Layout::Compact);
            assert_eq!(&compilation.policies[..], std::slice::from_ref(policy));
            let text = print(policy, detail);
            let mut sources = Sources::default();
            let file = sources.add("imported.weir", &text);
            assert_eq!(syntax::format(&syntax::parse(&sources, file).tree), text);
        }
    }
}

#[test]
fn manifests_become_policies_that_compile() {
    insta::glob!("../import", "*.yaml", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let context = Context { ipv6: Some(true), ..Context::default() };
        for policy in import::istio::pods(&text, &context).unwrap().policies {
            let compilation = compiled(&policy, Detail::Differences, Layout::Compact);
            assert_eq!(&compilation.policies[..], std::slice::from_ref(&policy));
        }
    });
}

/// Flags and variables, and values of which upstream takes most.
const GIVEN: &[(&str, &[&str])] = &[
    ("-p", &["15001", "15006", "1"]),
    ("-z", &["15006", "65535"]),
    ("-e", &["15008", "15001"]),
    ("-u", &["1337", "0,1337", "4294967294"]),
    ("-g", &["1337", "java", "0,202,0"]),
    ("-m", &["REDIRECT", "TPROXY"]),
    ("-t", &["1337", "1338", "1", "4294967295"]),
    ("-r", &["133", "100"]),
    ("-b", &["*", "", "80", "80,443,80", "53,8000:8999"]),
    ("-d", &["15090,15021,15020", "80", "22,,22", "1:65535"]),
    ("-i", &["*", "", "10.0.0.0/8", "10.1.2.3/8,fd00::/8", "127.0.0.0/8", "::1/128", "0.0.0.0/0"]),
    ("-x", &["", "10.0.0.0/8,10.0.0.0/8", "::/0", "192.0.2.1/32,2001:db8::/33"]),
    ("-o", &["53", "3306,15020", "1:65535"]),
    ("-q", &["25", "53,3306", "1:65535"]),
    ("-c", &["eth1", "net+,lo", "virt0,virt0"]),
    ("-k", &["virt0", "eth1,k6t+"]),
    ("--redirect-dns", &["true", "false"]),
    ("--capture-all-dns", &["true", "false"]),
    ("--drop-invalid", &["true", "false"]),
    ("--dual-stack", &["true", "false"]),
    ("ISTIO_OUTBOUND_OWNER_GROUPS", &["*", "java,202", "1337", "0"]),
    ("ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE", &["1337", "ftp,888,ftp"]),
    ("ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR", &["127.0.0.1/32", "127.0.0.0/8", "127.1.2.3/16"]),
];

/// Some of them, in any order.
fn given() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let one = proptest::sample::select(GIVEN.to_vec())
        .prop_flat_map(|(option, values)| (Just(option), proptest::sample::select(values)));
    proptest::collection::vec(one, 0..10)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_imported_can_be_compiled(
        given in given(),
        ipv6 in proptest::option::of(any::<bool>()),
        servers in proptest::sample::select(&["", "nameserver 10.96.0.10\nnameserver fd00::a\n"][..]),
    ) {
        let assigned = |flags: bool| {
            let some = given.iter().filter(move |(option, _)| option.starts_with('-') == flags);
            some.map(|(option, value)| format!("{option}={value}")).collect::<Vec<_>>()
        };
        let (words, environment) = (assigned(true), assigned(false).join("\n"));
        let resolv_conf = Some(servers.to_owned());
        let context =
            Context { environment, groups: corpus::groups(), ipv6, resolv_conf, ..Context::default() };
        if let Ok(imported) = import::istio::arguments(&words, &context) {
            let [policy] = &imported.policies[..] else { panic!("one command, one policy") };
            let compilation = compiled(policy, Detail::Differences, Layout::Compact);
            prop_assert_eq!(&compilation.policies[0], policy);
            prop_assert!(compilation.emit(&compilation.policies[0], View::Nft).is_ok());
        }
    }
}

/// The command line and the manifest that say the same as a configuration, where there are some, become
/// the same policy.
fn every_form_says_the_same(mesh: &str) {
    let entries = corpus::of(mesh);
    let mut forms = 0;
    for entry in &entries {
        for (form, imported) in entry.other_forms(mesh) {
            forms += 1;
            match (&entry.of_any_host(mesh), &imported) {
                (Ok(one), Ok(other)) => {
                    let kinds = |imported: &import::Imported<import::Words>| -> Vec<_> {
                        imported.policies.iter().map(|policy| policy.kind.clone()).collect()
                    };
                    assert_eq!(kinds(one), kinds(other), "{}: {form}", entry.name);
                }
                (one, other) => {
                    assert_eq!(one.is_ok(), other.is_ok(), "{}: {form}: {other:?}", entry.name);
                }
            }
        }
    }
    // Of Istio, there is the configuration alone.
    assert!(entries.is_empty() || mesh == "istio" || forms > 10, "{forms}");
}

/// Whether nft has no form for what the policy says.
fn is_beyond_nft(policy: &Policy) -> bool {
    nft::legal(&Layout::Compact.of(policy).ruleset, nft::Target::OLDEST).is_err()
}

fn loads_as_script_and_as_json(mesh: &str) {
    if !netns::available() {
        return;
    }
    let entries = corpus::of(mesh);
    let policies: Vec<_> = entries.iter().filter_map(|entry| Some(entry.both()?.0)).collect();
    // The kernel waits at every change, and namespaces do not wait for each other.
    std::thread::scope(|scope| {
        for some in policies.chunks(policies.len().div_ceil(4).max(1)) {
            scope.spawn(move || {
                let netns = Netns::new();
                for policy in some.iter().filter(|policy| !is_beyond_nft(policy)) {
                    let compilation = compiled(policy, Detail::Differences, Layout::Compact);
                    let emit = |view| compilation.emit(&compilation.policies[0], view).unwrap();
                    same_ruleset(&netns, &emit(View::Nft), &emit(View::Json));
                }
            });
        }
    });
}

/// Every way in which chains of others that the ruleset jumps to can treat all packets: they end each
/// by a translation that nobody else has, or give each back.
fn in_every_way(ruleset: &Ruleset) -> Vec<Ruleset> {
    if ruleset.others().is_empty() {
        return vec![ruleset.clone()];
    }
    let ways = [Action::Redirect { port: 0 }, Action::Return];
    ways.map(|then| ruleset.with_others_doing(&then)).into()
}

/// Asserts that both treat every packet alike.
fn assert_equal(rules: &Ruleset, ours: &Ruleset, what: &str) {
    assert_eq!(rules.others(), ours.others(), "{what}");
    for (rules, ours) in in_every_way(rules).iter().zip(&in_every_way(ours)) {
        assert_equal_in_one_way(rules, ours, what);
    }
}

fn assert_equal_in_one_way(rules: &Ruleset, ours: &Ruleset, what: &str) {
    let differences = compare(rules, ours).unwrap();
    let shown = |of: &netweir::semantics::Difference| {
        format!("{}\n  upstream: {:?}\n  weir: {:?}", of.packet, of.left, of.right)
    };
    let shown: Vec<_> = differences.iter().take(3).map(shown).collect();
    assert!(shown.is_empty(), "{what}: {} differences\n{}", differences.len(), shown.join("\n"));
}

fn means_what_the_meshs_rules_mean(mesh: &str, layout: Layout) {
    let clauses = Clauses::default();
    for entry in corpus::of(mesh) {
        let Some((policy, rules)) = entry.both() else { continue };
        let name = &policy.name;
        let Lowered { ruleset: lowered, owned, .. } = layout.of(policy);
        assert_equal(&rules, &lowered, &format!("{name}, lowered, {layout:?}"));
        let text = |family| {
            let governed = policy.families().has(family);
            governed.then(|| iptables::emit(&lowered, family).unwrap())
        };
        let texts = Texts { ipv4: text(Family::Ipv4), ipv6: text(Family::Ipv6) };
        let read = texts.read().unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        assert_equal(&rules, &read, &format!("{name}, from our iptables text, {layout:?}"));
        let Ok(legal) = nft::legal(&lowered, nft::Target::OLDEST) else {
            // There is one thing that nft has no form for: chains of others are iptables'.
            assert!(!rules.others().is_empty(), "{name}");
            continue;
        };
        assert_equal(&rules, legal.ruleset(), &format!("{name}, legal, {layout:?}"));
        let context = nft::Context { policy: name, owned: &owned, clauses: &clauses };
        let json = nft::json(&legal, &context, &nft::Options::default());
        let read = reader::nft::json(&json, &reader::nft::Options::default())
            .unwrap_or_else(|errors| panic!("{name}: {errors:?}\n{json}"));
        assert_equal(&rules, &read.ruleset, &format!("{name}, from our JSON, {layout:?}"));
    }
}

/// Rules of `text` with one change each: a rule dropped, a number, a negation, a protocol, an
/// interface or a target changed.
fn mutants(text: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = text.lines().collect();
    let is_rule = |line: &str| line.starts_with("-A ") || line.starts_with("-I ");
    let mut mutants = BTreeSet::new();
    let mut add = |lines: &[&str]| mutants.insert(format!("{}\n", lines.join("\n")));
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_rule(line)) {
        let mut without = lines.clone();
        without.remove(at);
        add(&without);
        for changed in changes(line) {
            let mut lines = lines.clone();
            lines[at] = &changed;
            add(&lines);
        }
    }
    mutants
}

/// The rule with one word changed, in every way. What a comment says is no matter.
fn changes(rule: &str) -> Vec<String> {
    let words: Vec<&str> = rule.split(' ').collect();
    let with = |at: usize, word: &str| {
        let mut words = words.clone();
        words[at] = word;
        words.retain(|word| !word.is_empty());
        words.join(" ")
    };
    let mut all = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |at| words[at]);
        match (before, *word) {
            ("--comment", _) => {}
            ("-j", "RETURN") => all.push(with(at, "DROP")),
            ("-j", "DROP") => all.push(with(at, "ACCEPT")),
            ("-p", "tcp") => all.push(with(at, "udp")),
            ("-p", "udp") => all.push(with(at, "tcp")),
            ("-o", "lo") => all.push(with(at, "eth0")),
            (_, "-s") => all.push(with(at, "-d")),
            (_, "-d") => all.push(with(at, "-s")),
            (_, "--dport") => all.push(with(at, "--sport")),
            (_, "INVALID") => all.push(with(at, "NEW")),
            (_, "!") => all.push(with(at, "")),
            (_, number) => {
                if let Ok(number) = number.parse::<u32>() {
                    all.push(with(at, &(number ^ 1).to_string()));
                }
            }
        }
    }
    all
}

/// Packets of a small domain, which has what most rules tell apart.
fn samples() -> Vec<Packet> {
    let addresses = [
        ("10.0.0.7", "10.96.0.10"),
        ("10.96.0.10", "10.0.0.7"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.6", "10.0.0.7"),
        ("192.168.0.1", "172.17.0.9"),
    ];
    let mut texts = Vec::new();
    for (from, to) in addresses {
        for (from_port, to_port) in [(40000, 53), (53, 40000), (40000, 80), (15053, 40000)] {
            for protocol in ["tcp", "udp"] {
                let ends = format!("{protocol} from {from}:{from_port} to {to}:{to_port}");
                for interface in ["lo", "eth0", "docker0"] {
                    texts.push(format!("inbound {ends} in {interface} state new"));
                    for user in [0, 1, 106, 1000, 1337, 1500, 2102, 5678, 5995] {
                        texts
                            .push(format!("outbound {ends} out {interface} user {user} state new"));
                    }
                }
            }
        }
    }
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// How many mutants of an entry are looked at.
const MOST_MUTANTS: usize = 12;

fn other_rules_are_refuted(mesh: &str) {
    let (mut refuted, mut equal) = (0, 0);
    let samples = samples();
    let entries = corpus::of(mesh);
    for (at, entry) in entries.iter().enumerate().filter(|(at, _)| at % 4 == 0) {
        let (Some((policy, _)), Ok(texts)) = (entry.both(), &entry.upstream) else { continue };
        let ours = Layout::Compact.of(policy).ruleset;
        let [first, ..] = &in_every_way(&ours)[..] else { panic!("one way at least") };
        let expected: Vec<_> = samples.iter().map(|packet| run(first, packet).outcome).collect();
        let Some(ipv4) = &texts.ipv4 else { continue };
        let Ok(standard) = texts.read() else { continue };
        let all: Vec<_> = mutants(ipv4).into_iter().collect();
        // Others of every entry, spread over the text.
        let step = all.len().div_ceil(MOST_MUTANTS).max(1);
        for mutant in all.into_iter().skip(at % step).step_by(step) {
            let texts = Texts { ipv4: Some(mutant.clone()), ipv6: texts.ipv6.clone() };
            let Ok(rules) = texts.read() else { continue };
            let mut differences = Vec::new();
            for (rules, ours) in in_every_way(&rules).iter().zip(&in_every_way(&ours)) {
                let found = compare(rules, ours).unwrap();
                for difference in &found {
                    let outcome = |ruleset: &Ruleset| run(ruleset, &difference.packet).outcome;
                    assert_eq!(outcome(rules), difference.left, "{mutant}");
                    assert_eq!(outcome(ours), difference.right, "{mutant}");
                    assert_ne!(difference.left, difference.right, "{mutant}");
                }
                differences.extend(found);
            }
            // What does the same alone may leave a chain that others share in another way.
            if differences.is_empty() {
                for (rules, ours) in in_every_way(&rules).iter().zip(&in_every_way(&standard)) {
                    let beside = compare_beside(rules, ours, true).unwrap();
                    differences.extend(beside.into_iter().map(|(_, difference)| difference));
                }
            }
            if differences.is_empty() {
                equal += 1;
                for (packet, expected) in samples.iter().zip(&expected) {
                    let [rules, ..] = &in_every_way(&rules)[..] else { panic!("one way at least") };
                    assert_eq!(run(rules, packet).outcome, *expected, "{mutant}{packet}");
                }
            } else {
                refuted += 1;
            }
        }
    }
    // Some rules decide nothing: others decide the same, or take every packet before.
    assert!(
        entries.is_empty() || refuted > entries.len() && equal * 4 < refuted,
        "{refuted} refuted, {equal} equal"
    );
}
