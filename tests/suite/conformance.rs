//! Every configuration of a corpus of upstream's, if `WEIR_CORPUS` names one: imported, printed and
//! read again, compiled, loaded into the kernel, and compared for all packets with the iptables
//! rules that upstream makes of it.

use netweir::backend::nft;
use netweir::import::istio::{self, Context};
use netweir::ir::Ruleset;
use netweir::lower::{Layout, lower, owned_tables};
use netweir::policy::{Detail, Policy, print};
use netweir::semantics::compare;
use netweir::span::Sources;
use netweir::syntax::{self, NoIncludes};
use netweir::{Compilation, Options, View, compile, reader};
use proptest::prelude::*;

use crate::common::corpus::{Entry, corpus, groups};
use crate::common::netns::{self, Netns, same_ruleset};

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

#[test]
fn what_is_imported_is_printed_as_a_policy_that_says_it() {
    for Entry { policy, .. } in corpus() {
        for detail in [Detail::Differences, Detail::Everything] {
            let compilation = compiled(&policy, detail, Layout::Compact);
            assert_eq!(&compilation.policies[..], std::slice::from_ref(&policy));
            let text = print(&policy, detail);
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
        for policy in istio::pods(&text, &Context::default()).unwrap().policies {
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
        let context = Context { groups: groups(), ipv6, resolv_conf, ..Context::default() };
        if let Ok(imported) = istio::arguments(&words, &environment, &context) {
            let [policy] = &imported.policies[..] else { panic!("one command, one policy") };
            let compilation = compiled(policy, Detail::Differences, Layout::Compact);
            prop_assert_eq!(&compilation.policies[0], policy);
            prop_assert!(compilation.emit(&compilation.policies[0], View::Nft).is_ok());
        }
    }
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
                for Entry { policy, .. } in some {
                    let compilation = compiled(policy, Detail::Differences, Layout::Compact);
                    let emit = |view| {
                        compilation
                            .emit(&compilation.policies[0], view)
                            .unwrap_or_else(|problems| panic!("{}: {problems:?}", policy.name))
                    };
                    same_ruleset(&netns, &emit(View::Nft), &emit(View::Json));
                }
            });
        }
    });
}

/// Asserts that both treat every packet alike.
fn assert_equal(rules: &Ruleset, ours: &Ruleset, what: &str) {
    let differences = compare(rules, ours).unwrap();
    let shown = |of: &netweir::semantics::Difference| {
        format!("{}\n  upstream: {:?}\n  weir: {:?}", of.packet, of.left, of.right)
    };
    let shown: Vec<_> = differences.iter().take(3).map(shown).collect();
    assert!(shown.is_empty(), "{what}: {} differences\n{}", differences.len(), shown.join("\n"));
}

fn every_configuration_means_what_upstreams_rules_mean(layout: Layout) {
    let sources = Sources::default();
    for Entry { policy, rules } in corpus() {
        let name = &policy.name;
        let lowered = lower(&policy, layout);
        assert_equal(&rules, &lowered, &format!("{name}, lowered, {layout:?}"));
        assert_equal(&rules, &nft::legalise(&lowered), &format!("{name}, legal, {layout:?}"));
        let owned = owned_tables(&policy.kind);
        let context = nft::Context { policy: name, owned: &owned, sources: &sources };
        let json = nft::json(&lowered, &context, &nft::Options::default());
        let read = reader::nft_json::read(&json, &reader::nft_json::Options::default())
            .unwrap_or_else(|errors| panic!("{name}: {errors:?}\n{json}"));
        assert_equal(&rules, &read, &format!("{name}, from our JSON, {layout:?}"));
    }
}

#[test]
fn every_configuration_means_what_upstreams_rules_mean_in_the_compact_layout() {
    every_configuration_means_what_upstreams_rules_mean(Layout::Compact);
}

#[test]
fn every_configuration_means_what_upstreams_rules_mean_in_upstreams_layout() {
    every_configuration_means_what_upstreams_rules_mean(Layout::Upstream);
}
