//! Laws of every import, on random inputs: what it prints is a policy that `weir check` accepts, and
//! nothing of which no word was understood becomes one.

use netweir::import::{Context, IMPORTERS, Importer, Told, examine};
use netweir::policy::{Detail, print};
use netweir::span::Sources;
use netweir::syntax::NoIncludes;
use netweir::{Options, compile};
use proptest::prelude::*;

/// Values that options may have, good and bad ones.
const VALUES: &[&str] = &[
    "",
    "*",
    "0",
    "1",
    "22",
    "53",
    "80",
    "080",
    "15001",
    "15006",
    "15008",
    "65535",
    "65536",
    "-1",
    "80,443",
    "80,80",
    "80,,443",
    ",",
    " 80 , 443 ",
    "80:90",
    "80-90",
    "90-80",
    "1:65535",
    "1-65535",
    "80-80",
    "49152:",
    "http",
    "1337",
    "0,1337",
    "root",
    "5678",
    "4294967294",
    "4294967295",
    "0x539",
    "133",
    "254",
    "10.0.0.0/8",
    "10.1.2.3/8",
    "10.0.0.1",
    "0.0.0.0/0",
    "::/0",
    "0.0.0.0/0,::/0",
    "::1/128",
    "127.0.0.1/32",
    "127.0.0.0/8",
    "127.0.0.1/0",
    "fd00::/8",
    "fe80::1/64",
    "::ffff:10.0.0.0/104",
    "::ffff:10.0.0.1",
    "::ffff:0:0/96",
    "::/64",
    "224.0.0.1/32",
    "ff02::1/128",
    "10.0.0.0/8,10.0.0.0/16,10.0.0.0/8",
    "eth0",
    "eth+",
    "eth*",
    "lo",
    "+",
    "a-very-long-name-of-an-interface",
    "eth0,eth0",
    "eth0:10.0.0.0/8",
    "eth0:::/0",
    "lo:127.0.0.0/8",
    "docker0:172.17.0.0/16,br+:fd00::/8",
    "true",
    "false",
    "T",
    "yes",
    "no",
    "enabled",
    "disabled",
    "REDIRECT",
    "TPROXY",
    "NONE",
    "tproxy",
    "ipv4",
    "IPv4",
    "dualstack",
    "PodIP",
    "Localhost",
    "tcp:22:1000",
    "udp:53:0-65535",
    ":80:1",
    "tcp,udp:80,443:5678",
    "gateway",
    "sidecar",
    "grpc-agent",
    "java",
    "ambient",
    "none",
    "interceptionMode: TPROXY",
    "proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'true'}",
    "\"",
    "é",
];

/// The options of a mesh: flags, variables, keys of its configuration, annotations and labels.
struct Words {
    flags: &'static [&'static str],
    variables: &'static [&'static str],
    keys: &'static [&'static str],
    annotations: &'static [&'static str],
    labels: &'static [&'static str],
    init: &'static str,
    /// Arguments without which nothing is imported, entries of a configuration, and variables.
    base: (&'static [&'static str], &'static str, &'static str),
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn words(mesh: &str) -> Words {
    match mesh {
        "istio" => Words {
            flags: &[
                "-p",
                "-z",
                "-e",
                "-u",
                "-g",
                "-m",
                "-b",
                "-d",
                "-q",
                "-o",
                "-i",
                "-x",
                "-c",
                "-k",
                "-t",
                "-r",
                "-n",
                "--redirect-dns",
                "--capture-all-dns",
                "--drop-invalid",
                "--dual-stack",
                "--native-nftables",
                "--log_output_level",
                "--nonsense",
            ],
            variables: &[
                "ISTIO_INBOUND_PORTS",
                "ISTIO_SERVICE_CIDR",
                "ISTIO_OUTBOUND_OWNER_GROUPS",
                "ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE",
                "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR",
                "ISTIO_META_DNS_CAPTURE",
                "PROXY_UID",
                "ENVOY_USER",
                "ISTIO_INBOUND_TPROXY_MARK",
                "ISTIO_NONSENSE",
            ],
            keys: &[
                "PROXY_PORT",
                "PROXY_UID",
                "PROXY_GID",
                "INBOUND_PORTS_INCLUDE",
                "INBOUND_PORTS_EXCLUDE",
                "OUTBOUND_PORTS_INCLUDE",
                "OUTBOUND_PORTS_EXCLUDE",
                "OUTBOUND_IPRANGES_INCLUDE",
                "OUTBOUND_IPRANGES_EXCLUDE",
                "KUBE_VIRT_INTERFACES",
                "EXCLUDE_INTERFACES",
                "INBOUND_INTERCEPTION_MODE",
                "OUTBOUND_OWNER_GROUPS_INCLUDE",
                "HOST_IPV4_LOOPBACK_CIDR",
            ],
            annotations: &[
                "sidecar.istio.io/inject",
                "sidecar.istio.io/interceptionMode",
                "traffic.sidecar.istio.io/includeOutboundIPRanges",
                "traffic.sidecar.istio.io/excludeOutboundIPRanges",
                "traffic.sidecar.istio.io/includeInboundPorts",
                "traffic.sidecar.istio.io/excludeInboundPorts",
                "traffic.sidecar.istio.io/includeOutboundPorts",
                "traffic.sidecar.istio.io/excludeOutboundPorts",
                "traffic.sidecar.istio.io/excludeInterfaces",
                "traffic.sidecar.istio.io/kubevirtInterfaces",
                "istio.io/reroute-virtual-interfaces",
                "status.sidecar.istio.io/port",
                "proxy.istio.io/config",
                "inject.istio.io/templates",
                "ambient.istio.io/redirection",
                "ambient.istio.io/dns-capture",
                "ambient.istio.io/bypass-inbound-capture",
                "traffic.istio.io/excludeOutboundPorts",
            ],
            labels: &["sidecar.istio.io/inject", "istio.io/dataplane-mode", "istio.io/rev"],
            init: "istio-init",
            base: (
                &["-u", "1337", "-b", "*", "-i", "*"],
                "\"ENABLE_INBOUND_IPV6\": true",
                "PROXY_UID=1337\n",
            ),
        },
        "kuma" => Words {
            flags: &[
                "--kuma-dp-user",
                "--redirect-inbound",
                "--redirect-inbound-port",
                "--exclude-inbound-ports",
                "--exclude-inbound-ips",
                "--redirect-outbound-port",
                "--exclude-outbound-ports",
                "--exclude-outbound-ports-for-uids",
                "--exclude-outbound-ips",
                "--redirect-dns",
                "--redirect-all-dns-traffic",
                "--redirect-dns-port",
                "--vnet",
                "--drop-invalid-packets",
                "--ip-family-mode",
                "--nonsense",
            ],
            variables: &["KUMA_TRANSPARENT_PROXY_REDIRECT_INBOUND_PORT", "OTHER"],
            keys: &["kumaDPUser", "ipFamilyMode", "dropInvalidPackets", "redirect"],
            annotations: &[
                "traffic.kuma.io/exclude-inbound-ports",
                "traffic.kuma.io/exclude-outbound-ports",
                "traffic.kuma.io/exclude-outbound-ports-for-uids",
                "traffic.kuma.io/exclude-inbound-ips",
                "traffic.kuma.io/exclude-outbound-ips",
                "traffic.kuma.io/drop-invalid-packets",
                "kuma.io/transparent-proxying-ip-family-mode",
                "kuma.io/gateway",
                "kuma.io/application-probe-proxy-port",
            ],
            labels: &["kuma.io/sidecar-injection", "kuma.io/mesh"],
            init: "kuma-init",
            base: (&["--kuma-dp-user", "5678"], "\"kumaDPUser\": \"5678\"", ""),
        },
        "linkerd" => Words {
            flags: &[
                "-p",
                "-o",
                "-u",
                "-g",
                "-r",
                "--inbound-ports-to-ignore",
                "--outbound-ports-to-ignore",
                "--subnets-to-ignore",
                "--ipv6",
                "--iptables-mode",
                "--nonsense",
            ],
            variables: &[],
            keys: &[
                "incoming-proxy-port",
                "outgoing-proxy-port",
                "proxy-uid",
                "ports-to-redirect",
                "inbound-ports-to-ignore",
                "subnets-to-ignore",
            ],
            annotations: &[
                "linkerd.io/inject",
                "config.linkerd.io/skip-inbound-ports",
                "config.linkerd.io/skip-outbound-ports",
                "config.linkerd.io/skip-subnets",
                "config.linkerd.io/proxy-uid",
                "config.linkerd.io/proxy-gid",
                "config.linkerd.io/inbound-port",
                "config.linkerd.io/outbound-port",
            ],
            labels: &["linkerd.io/control-plane-component"],
            init: "linkerd-init",
            base: (
                &["-p", "4143", "-o", "4140"],
                "\"incoming-proxy-port\": 4143, \"outgoing-proxy-port\": 4140",
                "",
            ),
        },
        "consul" => Words {
            flags: &[],
            variables: &[],
            keys: &[
                "ProxyUserID",
                "ProxyInboundPort",
                "ProxyOutboundPort",
                "ExcludeInboundPorts",
                "ExcludeOutboundPorts",
                "ExcludeOutboundCIDRs",
                "ExcludeUIDs",
                "ConsulDNSIP",
                "ConsulDNSPort",
                "dualStack",
            ],
            annotations: &[
                "consul.hashicorp.com/connect-inject",
                "consul.hashicorp.com/transparent-proxy",
                "consul.hashicorp.com/transparent-proxy-exclude-inbound-ports",
                "consul.hashicorp.com/transparent-proxy-exclude-outbound-ports",
                "consul.hashicorp.com/transparent-proxy-exclude-outbound-cidrs",
                "consul.hashicorp.com/transparent-proxy-exclude-uids",
                "consul.hashicorp.com/dual-stack",
                "consul.hashicorp.com/prometheus-scrape-port",
            ],
            labels: &[],
            init: "consul-connect-inject-init",
            base: (&[], "\"ProxyUserID\": \"5995\", \"ProxyInboundPort\": 20000", ""),
        },
        "osm" => Words {
            flags: &[],
            variables: &[],
            keys: &["POD_IP", "annotations", "meshConfig"],
            annotations: &[
                "openservicemesh.io/sidecar-injection",
                "openservicemesh.io/inbound-port-exclusion-list",
                "openservicemesh.io/outbound-port-exclusion-list",
                "openservicemesh.io/outbound-ip-range-exclusion-list",
                "openservicemesh.io/outbound-ip-range-inclusion-list",
            ],
            labels: &[],
            init: "osm-init",
            base: (&[], "", ""),
        },
        "appmesh" => Words {
            flags: &[],
            variables: &[
                "APPMESH_IGNORE_UID",
                "APPMESH_IGNORE_GID",
                "APPMESH_APP_PORTS",
                "APPMESH_ENVOY_INGRESS_PORT",
                "APPMESH_ENVOY_EGRESS_PORT",
                "APPMESH_EGRESS_IGNORED_IP",
                "APPMESH_EGRESS_IGNORED_PORTS",
                "APPMESH_ENABLE_IPV6",
            ],
            keys: &["APPMESH_IGNORE_UID", "APPMESH_APP_PORTS", "APPMESH_EGRESS_IGNORED_IP"],
            annotations: &[
                "appmesh.k8s.aws/sidecarInjectorWebhook",
                "appmesh.k8s.aws/ignoredUID",
                "appmesh.k8s.aws/ports",
                "appmesh.k8s.aws/proxyIngressPort",
                "appmesh.k8s.aws/proxyEgressPort",
                "appmesh.k8s.aws/egressIgnoredIPs",
                "appmesh.k8s.aws/egressIgnoredPorts",
                "appmesh.k8s.aws/ipv6",
            ],
            labels: &[],
            init: "proxyinit",
            base: (
                &[],
                "\"APPMESH_IGNORE_UID\": \"1337\", \"APPMESH_APP_PORTS\": \"80\", \"APPMESH_ENVOY_INGRESS_PORT\": \"15000\", \"APPMESH_ENVOY_EGRESS_PORT\": \"15001\"",
                "APPMESH_IGNORE_UID=1337\nAPPMESH_APP_PORTS=80\nAPPMESH_ENVOY_INGRESS_PORT=15000\nAPPMESH_ENVOY_EGRESS_PORT=15001\n",
            ),
        },
        other => panic!("the import {other} has no law here"),
    }
}

/// Some of `names`, each with a value.
fn settings(names: &'static [&'static str]) -> BoxedStrategy<Vec<(&'static str, &'static str)>> {
    if names.is_empty() {
        return Just(Vec::new()).boxed();
    }
    let setting = (prop::sample::select(names), prop::sample::select(VALUES));
    let each_once = |settings: Vec<(&'static str, _)>| {
        let mut seen = std::collections::BTreeSet::new();
        settings.into_iter().filter(|(name, _)| seen.insert(*name)).collect()
    };
    prop::collection::vec(setting, 0..4).prop_map(each_once).boxed()
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

fn map(settings: &[(&str, &str)]) -> String {
    let entries: Vec<_> =
        settings.iter().map(|(name, value)| format!("{name}: {}", quoted(value))).collect();
    format!("{{{}}}", entries.join(", "))
}

/// Inputs in every form, by the flag of the form.
fn inputs(importer: &'static Importer) -> BoxedStrategy<(&'static str, String, String)> {
    let words = words(importer.name);
    let flags: Vec<_> = importer.forms.iter().map(|form| form.flag).collect();
    (
        prop::sample::select(flags),
        settings(words.flags),
        settings(words.variables),
        settings(words.keys),
        settings(words.annotations),
        settings(words.labels),
        any::<bool>(),
        prop::bool::weighted(0.8),
    )
        .prop_map(move |(form, flags, variables, keys, annotations, labels, has_init, has_base)| {
            let (arguments, entries_of_base, assignments) =
                if has_base { words.base } else { Default::default() };
            let base = arguments.iter().copied().map(quoted);
            let flags = flags.iter().flat_map(|(flag, value)| [*flag, *value]).map(quoted);
            let arguments: Vec<_> = base.chain(flags).collect();
            let lines: Vec<_> = variables
                .iter()
                .map(|(name, value)| format!("{name}='{}'\n", value.replace('\'', "")))
                .collect();
            let text = match form {
                "args" => format!("[{}]", arguments.join(", ")),
                "variables" => assignments.to_owned() + &lines.concat(),
                "config" => {
                    let entries = keys.iter().map(|(key, value)| {
                        let value = value
                            .parse::<u16>()
                            .map_or_else(|_| quoted(value), |number| number.to_string());
                        format!("{}: {value}", quoted(key))
                    });
                    let base = Some(entries_of_base).filter(|base| !base.is_empty());
                    let all: Vec<_> = base.map(str::to_owned).into_iter().chain(entries).collect();
                    format!("{{{}}}", all.join(", "))
                }
                "pod" => {
                    let environment: Vec<_> = variables
                        .iter()
                        .map(|(name, value)| format!("{{name: {name}, value: {}}}", quoted(value)))
                        .collect();
                    let init = format!(
                        "  initContainers: [{{name: {}, args: [{}], env: [{}]}}]\n",
                        words.init,
                        arguments.join(", "),
                        environment.join(", ")
                    );
                    format!(
                        "kind: Pod\nmetadata:\n  name: p\n  annotations: {}\n  labels: {}\n\
                         spec:\n  containers: [{{name: app}}]\n{}",
                        map(&annotations),
                        map(&labels),
                        if has_init { init } else { String::new() }
                    )
                }
                other => panic!("no law for --{other}"),
            };
            (form, text, if form == "args" { lines.concat() } else { String::new() })
        })
        .boxed()
}

fn read(importer: &Importer, form: &str, text: &str, context: &Context) -> Told {
    let form = importer.forms.iter().find(|known| known.flag == form).expect("a form of the mesh");
    form.read(&Sources::of("input", text), context)
}

/// Why what was imported is no good policy, if it is none.
fn refused(told: &Told) -> Option<String> {
    let imported = match told {
        Ok(imported) => imported,
        // What an import has no words of its own for is found here, and not by people.
        Err(refused) => {
            let texts = refused.mistakes.iter().map(ToString::to_string);
            return texts.into_iter().find(|text| text.contains("a policy cannot say this"));
        }
    };
    let texts: Vec<_> =
        imported.policies.iter().map(|policy| print(policy, Detail::Differences)).collect();
    if texts.is_empty() {
        return None;
    }
    let text = texts.join("\n");
    let options = Options { verify: false, ..Options::default() };
    let failure = compile("imported", &text, &NoIncludes, &options).err()?;
    let found: Vec<_> = failure.diagnostics.iter().map(|it| it.problem.to_string()).collect();
    Some(format!("{text}\n{}", found.join("\n")))
}

fn contexts() -> impl Strategy<Value = Context> {
    let ipv6 = prop::sample::select(&[None, Some(true), Some(false)][..]);
    let resolvers = prop::sample::select(
        &["", "nameserver 10.0.0.10\n", "nameserver fd00::a\nnameserver ::ffff:1.2.3.4\n"][..],
    );
    (ipv6, prop::option::of(resolvers), any::<bool>()).prop_map(|(ipv6, resolvers, users)| {
        let users = if users { [("istio-proxy".to_owned(), 997)].into() } else { [].into() };
        let resolv_conf = resolvers.map(str::to_owned);
        Context { ipv6, resolv_conf, users, ..Context::default() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_imported_is_accepted(
        (importer, (form, text, environment)) in prop::sample::select(IMPORTERS)
            .prop_flat_map(|importer| {
                let importer: &'static Importer =
                    IMPORTERS.iter().find(|it| it.name == importer.name).expect("it is in the table");
                (Just(importer), inputs(importer))
            }),
        context in contexts(),
    ) {
        let context = Context { environment, ..context };
        let told = read(importer, form, &text, &context);
        if form == "pod" {
            // Whatever makes an import fail is no reason for the doctor to.
            let sources = Sources::of("input", &text);
            let examined = examine(&sources, &context);
            for found in &examined.diagnostics {
                prop_assert!(found.at().is_none_or(|at| sources.contains(at)), "{found:?}");
                prop_assert!("EW".contains(&found.problem.code()[..1]));
            }
        }
        if let Some(why) = refused(&told) {
            prop_assert!(false, "{} --{form}\n{text}\n{}\n{why}", importer.name, context.environment);
        }
    }
}

#[test]
fn nothing_becomes_of_what_nobody_understands() {
    let complete = Context { ipv6: Some(false), ..Context::default() };
    for importer in IMPORTERS {
        for form in importer.forms {
            for text in
                ["nonsense", "nonsense nonsense", "{\"a\": 1}", "a: [1, 2]", "[7]", "", "=", "# x"]
            {
                let told = form.read(&Sources::of("input", text), &complete);
                if form.flag == "args" && importer.name == "kuma" && matches!(text, "" | "# x") {
                    // Without arguments, kumactl installs what its defaults say.
                    continue;
                }
                assert!(told.is_err(), "{} --{}: {text}: {told:?}", importer.name, form.flag);
            }
        }
    }
}
