//! What `weir import kuma` says of each form of a configuration, as snapshots that show input and
//! output together.

use netweir::import::kuma::{self, Context};
use netweir::policy::{Detail, Policy, print};
use netweir::syntax::NoIncludes;
use netweir::{Options, View, compile};
use proptest::prelude::*;

use crate::common::snapshots;

/// Asserts `read` against `snapshots/kuma-import/<name>.snap`, which starts with the input.
fn snapshot(name: &str, input: &str, read: Result<kuma::Imported, kuma::Refused>) {
    let shown = format!("{}\n{:─<79}\n{}", input.trim_end(), "", told(read));
    snapshots::of("kuma-import").bind(|| insta::assert_snapshot!(name, shown));
}

/// The policy without what restates defaults, then what is said about it; or what is wrong.
fn told(read: Result<kuma::Imported, kuma::Refused>) -> String {
    let (mut told, notes): (Vec<String>, _) = match read {
        Ok(imported) => {
            let policies = imported.policies.iter();
            (policies.map(|policy| print(policy, Detail::Differences)).collect(), imported.notes)
        }
        Err(refused) => {
            let mistakes = refused.mistakes.iter().map(|it| format!("error: {it}\n"));
            (mistakes.collect(), refused.notes)
        }
    };
    told.extend(notes.iter().map(|note| format!("note: {note}\n")));
    told.concat()
}

fn words(text: &str) -> Vec<String> {
    netweir::import::split(text).unwrap()
}

#[test]
fn what_arguments_do_not_carry_over_is_noted() {
    let arguments = "kumactl install transparent-proxy --kuma-dp-user kuma-dp \
        --redirect-dns --skip-dns-conntrack-zone-split --redirect-dns-port 5300 \
        --redirect-outbound-insert-instead-of-append --redirect-inbound-insert-instead-of-append \
        --exclude-outbound-ports-for-uids tcp:22: --exclude-outbound-ports-for-uids 53,80-90:5-7 \
        --exclude-inbound-ips 10.1.2.3/8,fd00::1 --vnet br+:172.18.0.0/16 --vnet br+:10.0.0.0/8 \
        --iptables-logs --wait 5 --ip-family-mode IPv4 stray";
    let resolv_conf = Some("search x\nnameserver 10.96.0.10\noptions y\n".to_owned());
    let users = [("kuma-dp".to_owned(), 1337)].into();
    let context = Context { resolv_conf, users, ipv6: Some(true), ..Context::default() };
    snapshot("arguments", arguments, kuma::arguments(&words(arguments), &context));
}

#[test]
fn mistakes_in_arguments_are_all_reported() {
    let arguments = "--kuma-dp-user envoy --redirect-dns --redirect-all-dns-traffic=true \
        --exclude-inbound-ports 80-90,0 --exclude-outbound-ips ,x,::ffff:10.0.0.1 \
        --exclude-outbound-ports-for-uids tcp:80:* --exclude-outbound-ports-for-uids 70000 \
        --exclude-outbound-ports-for-uids 90-80:5 --exclude-outbound-ports-for-uids icmp:1:5 \
        --exclude-outbound-ports-for-uids 1,,2:5 --exclude-outbound-ports-for-uids 010:5 \
        --vnet docker0 --vnet +:10.0.0.0/8 --vnet eth0:10.0.0.1 --config x.yaml --redirect-inbound=maybe \
        --ip-family-mode ipv6 --exclude-inbound-portz 1 --exclude-outbound-ips=";
    let read = kuma::arguments(&words(arguments), &Context::default());
    snapshot("mistakes", arguments, read);
}

#[test]
fn a_configuration_file_is_read_in_yaml_with_variables() {
    let yaml = "\
kumaDPUser: 1337
redirect:
  inbound: {includePorts: [80, \"443\"], excludePorts: \"22, 80\", insertRedirectInsteadOfAppend: false}
  outbound: {enabled: false, excludePorts: 22}
  dns: {captureAll: true, prot: 53}
  vnet: {networks: [\"docker0:fd00:17::1/64\"]}
iptablesExecutables: {iptables: /sbin/iptables}
";
    let environment = "KUMA_TRANSPARENT_PROXY_REDIRECT_DNS_PORT=5300\n\
                       KUMA_TRANSPARENT_PROXY_REDIRECT_OUTBOUND_EXCLUDE_PORTS_FOR_IPS=10.0.0.1,::1\n\
                       KUMA_TRANSPARENT_PROXY_DROP_INVALID_PACKETS=1 OTHER=x";
    let context =
        Context { environment: environment.to_owned(), ipv6: Some(true), ..Context::default() };
    snapshot("file", &format!("{yaml}{environment}"), kuma::configurations(yaml, &context));
    let wrong = r#"{"redirect": {"inbound": {"port": "15006", "excludePorts": true}, "dns": 5,
        "vnet": {"networks": "docker0:10.0.0.0/8"}, "outbound": {"enabled": "yes"}}}"#;
    snapshot("types", wrong, kuma::configurations(wrong, &Context::default()));
    let users = r#"{"kind": "kuma", "name": "a", "host": {"ipv6_address": false, "docker": true},
        "config": {"redirect": {"inbound": {"excludePortsForUIDs": ["1000"]}}}}"#;
    snapshot("host", users, kuma::configurations(users, &Context::default()));
}

#[test]
fn pods_are_what_the_injector_wrote_or_would_write() {
    let pods = "\
apiVersion: v1
kind: Pod
metadata:
  name: injected
  annotations:
    traffic.kuma.io/exclude-inbound-ports: \"22\"
    traffic.kuma.io/transparent-proxy-config: |
      redirect:
        inbound: {enabled: true, excludePorts: [9001], excludePortsForUIDs: [\"1000\"], port: 15006}
        dns: {enabled: true, captureAll: false, resolvConfigPath: /etc/resolv.conf}
spec:
  dnsPolicy: None
  dnsConfig: {nameservers: [10.96.0.10]}
  initContainers:
    - {name: kuma-init, command: [/usr/bin/kumactl, install, transparent-proxy],
       args: [--config=/tmp/config.yaml, --redirect-outbound-port=16001]}
  containers: [{name: web}]
status: {podIPs: [{ip: 10.0.0.1}]}
---
kind: Deployment
metadata: {name: annotated}
spec:
  template:
    metadata:
      labels: {kuma.io/sidecar-injection: enabled}
      annotations:
        traffic.kuma.io/exclude-outbound-ports-for-uids: \"tcp:22:1000;1001\"
        traffic.kuma.io/exclude-outbound-ips: 10.0.0.1,fd00::/8
        traffic.kuma.io/drop-invalid-packets: \"yes\"
        kuma.io/transparent-proxying-ip-family-mode: ipv4
    spec: {containers: [{name: web}]}
---
kind: Pod
metadata: {name: gateway, annotations: {kuma.io/gateway: enabled}}
spec: {containers: [{name: web}]}
---
kind: Pod
metadata: {name: quiet, labels: {kuma.io/sidecar-injection: disabled}}
spec: {containers: [{name: web}]}
---
kind: Pod
metadata: {name: other}
spec: {containers: [{name: web}]}
";
    snapshot("pods", pods, kuma::pods(pods, &Context::default()));
}

/// Flags, and values of which Kuma takes most.
const GIVEN: &[(&str, &[&str])] = &[
    ("--kuma-dp-user", &["0", "1337", "4294967294", ""]),
    ("--redirect-inbound", &["true", "false"]),
    ("--redirect-inbound-port", &["15006", "1"]),
    ("--redirect-outbound-port", &["15001", "65535"]),
    ("--redirect-dns-port", &["53", "5300"]),
    ("--exclude-inbound-ports", &["22", "", "80,,80, 443", "15006"]),
    ("--exclude-outbound-ports", &["53", "3306,5432"]),
    ("--exclude-inbound-ips", &["10.1.2.3/8", "0.0.0.0/0,::/0", "fd00::1,fd00::/8"]),
    ("--exclude-outbound-ips", &["127.0.0.0/8", "::1", "10.0.0.1, 10.0.0.1", "0.0.0.0/0"]),
    ("--exclude-outbound-ports-for-uids", &["1000", "tcp:22:0-7", "::0", "0-9,80:5", "UDP::", ","]),
    ("--redirect-dns", &["true"]),
    ("--redirect-all-dns-traffic", &["true"]),
    ("--skip-dns-conntrack-zone-split", &["true"]),
    ("--redirect-outbound-insert-instead-of-append", &["true"]),
    ("--redirect-inbound-insert-instead-of-append", &["true"]),
    ("--drop-invalid-packets", &["true"]),
    ("--vnet", &["docker0:172.17.0.0/16", "br+:10.1.0.0/8", "eth1:0.0.0.0/0", "tap0:fd00::/64"]),
    ("--ip-family-mode", &["ipv4", "dualstack", "IPv4"]),
];

/// Some of them, in any order.
fn given() -> impl Strategy<Value = Vec<String>> {
    let one = proptest::sample::select(GIVEN.to_vec()).prop_flat_map(|(flag, values)| {
        proptest::sample::select(values).prop_map(move |value| format!("{flag}={value}"))
    });
    proptest::collection::vec(one, 0..10)
}

/// What files of servers say.
const SERVERS: &[&str] = &[
    "",
    "nameserver 10.96.0.10\n",
    "nameserver 127.0.0.53\nnameserver 127.0.0.1\n",
    "nameserver ::1\nnameserver fd00::a\nnameserver 127.0.0.11\n",
];

/// What flags that Kuma takes come to.
pub(crate) fn imported() -> impl Strategy<Value = Policy> {
    (given(), proptest::sample::select(SERVERS)).prop_filter_map(
        "Kuma refuses them",
        |(given, servers)| {
            let resolv_conf = Some(servers.to_owned());
            let context = Context { resolv_conf, ipv6: Some(true), ..Context::default() };
            let imported = kuma::arguments(&given, &context).ok()?;
            let [policy] = &imported.policies[..] else { panic!("one command, one policy") };
            Some(policy.clone())
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_imported_can_be_compiled(policy in imported()) {
        let text = print(&policy, Detail::Differences);
        let compilation = compile("x.weir", &text, &NoIncludes, &Options::default());
        let compilation = compilation.unwrap_or_else(|failure| {
            panic!("{text}{:?}", failure.diagnostics)
        });
        prop_assert_eq!(&compilation.policies[0], &policy);
        // Every view is proved before it is written.
        for &view in View::ALL {
            prop_assert!(compilation.emit(&compilation.policies[0], view).is_ok(), "{}", text);
        }
    }
}
