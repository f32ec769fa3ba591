//! Istio's configuration becomes policies that say the same.

use std::{env, fs};

use ipnet::IpNet;
use netweir::import::istio::{self, Context};
use netweir::net::{Families, Family};
use netweir::policy::{Kind, Mode, Policy, Selection, Sidecar};
use serde_json::Value;

/// A text option of a configuration.
fn text<'a>(config: &'a Value, key: &str) -> &'a str {
    config[key].as_str().unwrap_or_default()
}

/// The rules that upstream made for `family`.
fn rules(entry: &Value, family: Family) -> &str {
    text(entry, if family == Family::Ipv4 { "iptables" } else { "ip6tables" })
}

/// Destinations that outbound rules send to `target`, in order, each once.
fn destinations(rules: &str, target: &str) -> Vec<IpNet> {
    let mut found = Vec::new();
    for rule in rules.lines() {
        let rule = rule.strip_prefix("-A ISTIO_OUTPUT -d ");
        if let Some(net) = rule.and_then(|rule| rule.strip_suffix(&format!(" -j {target}"))) {
            let net = net.parse::<IpNet>().unwrap().trunc();
            if !found.contains(&net) {
                found.push(net);
            }
        }
    }
    found
}

/// Those of `family`.
fn of(nets: &[IpNet], family: Family) -> Vec<IpNet> {
    nets.iter().copied().filter(|net| net.addr().is_ipv4() == (family == Family::Ipv4)).collect()
}

/// What the rules for one family show at a glance.
fn sidecar_agrees(sidecar: &Sidecar, family: Family, rules: &str, name: &str) {
    let says = |words: &str| rules.contains(words);
    let outbound = &sidecar.outbound;

    let captures_dns = sidecar.dns.as_ref().is_some_and(|dns| match &dns.servers {
        Selection::All => true,
        Selection::Only(list) => {
            list.iter().any(|server| server.is_ipv4() == (family == Family::Ipv4))
        }
    });
    assert_eq!(captures_dns, says("-A ISTIO_OUTPUT -j ISTIO_OUTPUT_DNS"), "{name}");
    assert_eq!(sidecar.dns.is_some(), says("-j CT --zone"), "{name}");

    match &*outbound.capture_to {
        Selection::All => assert!(says("-A ISTIO_OUTPUT -j ISTIO_REDIRECT\n"), "{name}"),
        Selection::Only(nets) => {
            assert_eq!(of(nets, family), destinations(rules, "ISTIO_REDIRECT"), "{name}");
        }
    }
    let loopback = match family {
        Family::Ipv4 => IpNet::V4(outbound.loopback.ipv4),
        Family::Ipv6 => IpNet::V6(outbound.loopback.ipv6),
    };
    let mut untouched = vec![loopback];
    untouched.extend(of(&outbound.exclude_to, family).into_iter().filter(|net| *net != loopback));
    assert_eq!(untouched, destinations(rules, "RETURN"), "{name}");

    assert_eq!(!*outbound.capture_loopback, says("-m owner ! --uid-owner"), "{name}");
    assert_eq!(*sidecar.drop_invalid, says("--ctstate INVALID"), "{name}");
    for user in sidecar.proxy.users.iter() {
        assert!(says(&format!("--uid-owner {user} -j RETURN")), "{name}");
    }
    for port in outbound.exclude_ports.iter() {
        assert!(says(&format!("-p udp --dport {port} -j RETURN")), "{name}");
    }
    for interface in sidecar.interfaces.exclude.iter() {
        assert!(says(&format!("-A OUTPUT -o {interface} -j RETURN")), "{name}");
    }
    if let Mode::Tproxy(tproxy) = *sidecar.mode {
        assert!(says(&format!("-m mark --mark {} -j CONNMARK", tproxy.mark)), "{name}");
    } else {
        assert!(!says("-j CONNMARK"), "{name}");
    }
}

fn agrees_with_upstream(entry: &Value, policy: &Policy) {
    let name = text(entry, "name");
    let ipv4 = rules(entry, Family::Ipv4);
    let ipv6 = !rules(entry, Family::Ipv6).is_empty();
    assert_eq!(policy.families() == Families::Both, ipv6, "{name}");
    match &policy.kind {
        Kind::Sidecar(sidecar) => {
            for family in policy.families().iter() {
                sidecar_agrees(sidecar, family, rules(entry, family), name);
            }
        }
        Kind::AmbientPod(pod) => {
            assert_eq!(pod.dns.is_some(), ipv4.contains("--to-ports 15053"), "{name}");
            assert_eq!(*pod.capture_inbound, ipv4.contains("--to-ports 15006"), "{name}");
            assert!(ipv4.contains(&format!("-d {} -p tcp", pod.probe_from.ipv4)), "{name}");
        }
        Kind::AmbientHost(host) => {
            let to = format!("--to-source {}\n", host.probe.from.ipv4);
            assert!(ipv4.contains(&to), "{name}");
        }
    }
}

#[test]
fn every_configuration_of_upstream_is_imported() {
    let Some(path) = env::var_os("WEIR_CORPUS") else {
        println!("skipped: WEIR_CORPUS is not set");
        return;
    };
    let corpus = fs::read_to_string(path).unwrap();
    // Names of groups that upstream's own cases use.
    let groups = [("java".to_owned(), 202), ("ftp".to_owned(), 888)].into();
    let context = Context { groups, ..Context::default() };
    let imported = istio::configurations(&corpus, &context).unwrap();
    let entries: Vec<Value> =
        corpus.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(imported.policies.len(), entries.len());
    for (entry, policy) in entries.iter().zip(&imported.policies) {
        agrees_with_upstream(entry, policy);
    }
}
