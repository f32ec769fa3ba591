//! Istio's configuration becomes policies that say the same.

use std::fs;

use ipnet::IpNet;
use netweir::import::istio::{self, Context, Imported, Refused};
use netweir::net::{Families, Family};
use netweir::policy::{Detail, Groups, Kind, Mode, Policy, Selection, Sidecar, print};
use netweir::span::{Sources, Span};
use proptest::prelude::*;
use serde_json::Value;

use crate::common::{corpus, snapshots};

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
            let net = net.parse::<IpNet>().expect("upstream writes prefixes").trunc();
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
        other => panic!("{name}: {} is no kind of Istio's", other.keyword()),
    }
}

#[test]
fn every_configuration_of_upstream_is_imported() {
    for entry in corpus::of("istio") {
        let Some((policy, _)) = entry.both() else { continue };
        agrees_with_upstream(&entry.json, policy);
        let json = serde_json::to_string(policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), *policy);
    }
}

/// What an import says, for people: policies in JSON, then notes or mistakes.
fn told(result: Result<Imported, Refused>) -> String {
    let mut lines = Vec::new();
    match result {
        Ok(imported) => {
            lines.extend(
                imported
                    .policies
                    .iter()
                    .map(|policy| serde_json::to_string_pretty(policy).expect("a policy is JSON")),
            );
            lines.extend(imported.notes.iter().map(|note| format!("note: {note}")));
        }
        Err(refused) => {
            lines.extend(refused.notes.iter().map(|note| format!("note: {note}")));
            lines.extend(refused.mistakes.iter().map(|mistake| format!("error: {mistake}")));
        }
    }
    lines.join("\n")
}

#[test]
fn manifests() {
    insta::glob!("../import", "*.yaml", |path| {
        let text = fs::read_to_string(path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let context =
            Context { ipv6: name.ends_with("annotated").then_some(true), ..Context::default() };
        let output = told(istio::pods(&text, &context));
        let shown = format!("{text}{:─<79}\n{output}\n", "");
        snapshots::of("import").bind(|| insta::assert_snapshot!(name, shown));
    });
}

/// A pod with these annotations, and this under `spec`.
fn pod(annotations: &str, spec: &str) -> String {
    format!(
        "kind: Pod\nmetadata: {{name: p, annotations: {{{annotations}}}}}\n\
         spec: {{containers: [{{name: app}}], {spec}}}\nstatus: {{podIP: 10.0.0.1}}\n"
    )
}

#[test]
fn annotations_are_read_as_the_cni_plugin_reads_them() {
    const TRAFFIC: &str = "traffic.sidecar.istio.io";
    let init = |words: &str| format!("initContainers: [{words}]");
    for (annotations, spec, pointer, expected) in [
        (
            format!("{TRAFFIC}/includeInboundPorts: '80,443'"),
            String::new(),
            "/inbound/capture-ports",
            r"[80,443]",
        ),
        (
            format!("{TRAFFIC}/includeInboundPorts: ''"),
            String::new(),
            "/inbound/capture-ports",
            r"[]",
        ),
        (
            format!("{TRAFFIC}/excludeOutboundPorts: ''"),
            String::new(),
            "/outbound/exclude-ports",
            "[]",
        ),
        (
            format!("{TRAFFIC}/excludeInboundPorts: '7, 15021'"),
            String::new(),
            "/inbound/exclude-ports",
            "[7,15021,15020,15090]",
        ),
        (
            "status.sidecar.istio.io/port: '0'".to_owned(),
            String::new(),
            "/inbound/exclude-ports",
            "[15020,15021,15090]",
        ),
        (
            "proxy.istio.io/config: 'interceptionMode: TPROXY'".to_owned(),
            String::new(),
            "/mode/tproxy/mark",
            "1337",
        ),
        (
            "istio.io/reroute-virtual-interfaces: a, traffic.sidecar.istio.io/kubevirtInterfaces: b"
                .to_owned(),
            String::new(),
            "/interfaces/reroute",
            r#"["a"]"#,
        ),
        (
            "sidecar.istio.io/inject: 'true'".to_owned(),
            init("{name: istio-proxy, securityContext: {runAsUser: 5, runAsGroup: 0}}"),
            "/proxy/users",
            "[5]",
        ),
        (
            String::new(),
            init("{name: istio-proxy, securityContext: {runAsUser: 5, runAsGroup: 0}}"),
            "/proxy/groups",
            "[1337]",
        ),
        (
            String::new(),
            init("{name: istio-proxy, env: [{name: INVALID_DROP, value: '1'}]}"),
            "/drop-invalid",
            "true",
        ),
        (
            String::new(),
            init("{name: istio-init, args: [istio-iptables, -u, '1337', -b, '*']}"),
            "/outbound/capture-to",
            r"[]",
        ),
        (
            String::new(),
            "dnsPolicy: None, dnsConfig: {nameservers: [1.1.1.1]}, ".to_owned()
                + &init("{name: istio-init, env: [{name: PROXY_UID, value: '7'}, {name: ISTIO_META_DNS_CAPTURE, value: 'true'}]}"),
            "/dns/servers",
            r#"["1.1.1.1"]"#,
        ),
    ] {
        let text = pod(&annotations, &spec);
        let imported = istio::pods(&text, &Context::default()).unwrap();
        let policy = serde_json::to_value(&imported.policies[0]).unwrap();
        assert_eq!(policy.pointer(pointer).unwrap().to_string(), expected, "{text}");
    }
}

#[test]
fn containers_that_are_taken_for_the_proxy_are_told() {
    let notes = |spec: &str| {
        let text = format!(
            "kind: Pod\nmetadata: {{name: p, annotations: {{sidecar.istio.io/status: '{{}}'}}}}\n\
             spec: {{{spec}}}\nstatus: {{podIP: 10.0.0.1}}\n"
        );
        let imported = istio::pods(&text, &Context::default()).unwrap();
        let notes = imported.notes.iter().map(ToString::to_string);
        notes.filter(|note| note.contains("runs as")).collect::<Vec<_>>()
    };
    let told = |what: &str| {
        format!(
            "container `app` runs as {what}, which is the proxy's: nothing that it sends is captured"
        )
    };
    let own = |own: &str| format!("containers: [{{name: app, securityContext: {{{own}}}}}]");
    let all = "securityContext: {runAsUser: 1337}";
    assert_eq!(notes(&own("runAsUser: 1337")), [told("user 1337")]);
    assert_eq!(notes(&own("runAsGroup: 1337")), [told("group 1337")]);
    assert_eq!(notes(&format!("{}, {all}", own(""))), [told("user 1337")]);
    assert_eq!(notes(&format!("{}, {all}", own("runAsUser: 7"))), [""; 0]);
    assert_eq!(notes(&own("runAsUser: 4294967295000")), [""; 0]);
    let proxy = "containers: [{name: app}, {name: istio-proxy, securityContext: {runAsUser: 9}}]";
    assert_eq!(notes(proxy), [""; 0]);
    assert_eq!(
        notes(&proxy.replace("name: app", "name: app, securityContext: {runAsUser: 9}")).len(),
        1
    );
}

#[test]
fn some_pods_have_no_rules() {
    for (annotations, spec, why) in [
        ("", "", "nothing in it asks for Istio"),
        ("sidecar.istio.io/inject: 'false'", "", "injection is off"),
        (
            "sidecar.istio.io/inject: 'true'",
            "hostNetwork: true",
            "the pod is in the node's network namespace",
        ),
        ("sidecar.istio.io/interceptionMode: NONE", "", "the mode is NONE"),
        ("proxy.istio.io/config: 'interceptionMode: NONE'", "", "the mode is NONE"),
        (
            "",
            "initContainers: [{name: istio-proxy, args: [proxy, router]}]",
            "its proxy is not a sidecar",
        ),
        (
            "",
            "initContainers: [{name: istio-proxy, env: [{name: DISABLE_ENVOY, value: 't'}]}]",
            "`DISABLE_ENVOY` is set",
        ),
        (
            "inject.istio.io/templates: gateway",
            "",
            "the template `gateway` makes a gateway, which captures nothing",
        ),
        (
            "inject.istio.io/templates: 'grpc-agent, gateway'",
            "",
            "gRPC takes the place of the proxy in its template, which captures nothing",
        ),
        (
            "inject.istio.io/templates: 'mine'",
            "",
            "its template is none of Istio's, and what that captures is not known here; import the pod \
             as it runs",
        ),
    ] {
        let text = pod(annotations, spec);
        let expected = format!("note: no policy, because {why}");
        assert_eq!(told(istio::pods(&text, &Context::default())), expected, "{text}");
    }
}

#[test]
fn what_upstream_refuses_in_a_pod_is_a_mistake() {
    for (annotations, spec, expected) in [
        (
            "sidecar.istio.io/interceptionMode: tproxy",
            "",
            "`sidecar.istio.io/interceptionMode: tproxy`: the modes are `REDIRECT`, `TPROXY` and \
             `NONE`",
        ),
        (
            "traffic.sidecar.istio.io/excludeOutboundIPRanges: '*'",
            "",
            "`traffic.sidecar.istio.io/excludeOutboundIPRanges: *`: `*` would exclude every \
             destination, which upstream refuses",
        ),
        (
            "traffic.sidecar.istio.io/excludeInboundPorts: '*'",
            "",
            "`traffic.sidecar.istio.io/excludeInboundPorts: *`: `*` is every port only where it \
             stands alone among the captured inbound ports",
        ),
        (
            "traffic.sidecar.istio.io/includeOutboundPorts: '8000:8999'",
            "",
            "`traffic.sidecar.istio.io/includeOutboundPorts: 8000:8999`: `8000:8999` is a range, \
             which upstream refuses in annotations; list the ports",
        ),
        (
            "traffic.sidecar.istio.io/excludeOutboundPorts: 8000-9000",
            "",
            "`traffic.sidecar.istio.io/excludeOutboundPorts: 8000-9000`: `8000-9000` is a range, \
             which upstream refuses in annotations; list the ports",
        ),
        (
            "traffic.sidecar.istio.io/excludeOutboundPorts: '80,'",
            "",
            "`traffic.sidecar.istio.io/excludeOutboundPorts: 80,`: an item of the list is empty, \
             which upstream refuses in annotations",
        ),
        (
            "traffic.sidecar.istio.io/excludeInterfaces: eth+",
            "",
            "`traffic.sidecar.istio.io/excludeInterfaces: eth+`: `eth+` is not an interface: in \
             an annotation a name begins with a letter and ends without `+`",
        ),
        (
            "traffic.sidecar.istio.io/excludeOutboundPorts: 3306",
            "",
            "`traffic.sidecar.istio.io/excludeOutboundPorts: 3306`: a number where text in \
             quotes is expected",
        ),
        (
            "proxy.istio.io/config: 'proxyMetadata: {ISTIO_META_DNS_CAPTURE: true}'",
            "",
            "`ISTIO_META_DNS_CAPTURE: true`: a boolean where text in quotes is expected",
        ),
        (
            "proxy.istio.io/config: '['",
            "",
            "`proxy.istio.io/config: [`: not YAML: unclosed bracket '[' (line 1, column 1)",
        ),
        (
            "",
            "initContainers: [{name: istio-init, env: [{name: ISTIO_META_DNS_CAPTURE, value: 'true'}]}]",
            "`ISTIO_META_DNS_CAPTURE=true`: the DNS servers in the pod's resolv.conf are \
             captured, and they are not known: copy it from the pod (`kubectl exec POD -- cat \
             /etc/resolv.conf`) and give it with `--resolv-conf FILE`",
        ),
        (
            "",
            "initContainers: [{name: istio-init, args: [-p, 15001]}]",
            "`args: 15001`: a number where text in quotes is expected",
        ),
    ] {
        let text = pod(annotations, spec);
        let refused = istio::pods(&text, &Context::default()).unwrap_err().to_string();
        assert!(refused.lines().any(|line| line == expected), "{text}\n{refused}");
    }
    let twice = pod(
        "",
        "initContainers: [{name: istio-proxy, env: [{name: ISTIO_META_DNS_CAPTURE, value: maybe}]}]",
    );
    let notes = istio::pods(&twice, &Context::default()).unwrap().notes;
    let ignored = "`ISTIO_META_DNS_CAPTURE: maybe`: not a boolean, so it is ignored";
    assert_eq!(notes.iter().filter(|note| note.to_string() == ignored).count(), 1);

    let nothing = istio::pods("# nothing\n", &Context::default()).unwrap_err();
    assert_eq!(nothing.to_string(), "there is nothing to import");
}

#[test]
fn every_mistake_is_reported_at_once() {
    let words = istio::split("-b 80,http -x 10.0.0.1 -i 10.0.0.0/8 -u root --dry-runn -m").unwrap();
    let environment = "ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR=10.0.0.1/8\nA B=1\n".to_owned();
    let context = Context { environment, ipv6: Some(false), ..Context::default() };
    let refused = istio::arguments(&words, &context).unwrap_err();
    assert_eq!(
        refused.to_string().lines().collect::<Vec<_>>(),
        [
            "line 2: `A` is not of the form `NAME=value`",
            "unknown flag `--dry-runn`; did you mean `--dry-run`?",
            "`-m`: a value is missing behind it",
            "`-u root`: `root` is not an id of 0 to 4294967294",
            "`-b 80,http`: `http` is neither a port of 1 to 65535 nor a range like `8000:8999`",
            "`-x 10.0.0.1`: `10.0.0.1` has no prefix length; the one address is `10.0.0.1/32`",
            "`ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR=10.0.0.1/8`: not an IPv4 loopback prefix of 8 to \
             32 bits, like `127.0.0.1/32`",
        ]
    );
}

/// Pieces of configurations, good and bad.
const PIECES: &[&str] = &[
    "-b",
    "-d",
    "-i",
    "-x",
    "-o",
    "-q",
    "-c",
    "-k",
    "-u",
    "-g",
    "-m",
    "-t",
    "-r",
    "-n",
    "-p=",
    "--redirect-dns",
    "--capture-all-dns=",
    "--",
    "-",
    "*",
    "80",
    "80:90",
    "0",
    ",",
    ",,",
    "eth+",
    "10.0.0.0/8",
    "::/0",
    "127.0.0.1/0",
    "TPROXY",
    "0x1",
    "4294967295",
    "é",
    "\"",
    "'",
    "\\",
    "#",
    "ISTIO_OUTBOUND_OWNER_GROUPS=",
    "ISTIO_OUTBOUND_OWNER_GROUPS=1",
    "export",
    "=",
    " ",
    "\n",
    "{",
    "}",
    "[",
    "]",
    ":",
    "---\n",
    "- ",
    "kind: Pod\n",
    "spec:\n",
    "  containers: []\n",
    "metadata: {annotations: {",
    "sidecar.istio.io/inject: 'true'",
    "}}\n",
    "{\"config\": {}}",
    "&a ",
    "*a ",
    "<<: ",
    "!!str ",
    "|\n",
    "\t",
];

proptest! {
    #[test]
    fn no_text_panics(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..24),
        noise in ".{0,40}",
        environment in ".{0,40}",
    ) {
        let context = Context::default();
        for text in [pieces.concat(), pieces.join(" "), noise] {
            let _ = istio::configurations(&text, &context);
            let _ = istio::pods(&text, &context);
            let words = istio::split(&text);
            for environment in [&text, &environment] {
                let context = Context { environment: environment.clone(), ..Context::default() };
                let _ = words.as_ref().map(|words| istio::arguments(words, &context));
            }
        }
    }

    #[test]
    fn what_is_imported_is_a_policy(words in prop::collection::vec(prop::sample::select(PIECES), 0..8)) {
        let words: Vec<_> = words.into_iter().map(str::to_owned).collect();
        if let Ok(imported) = istio::arguments(&words, &Context::default()) {
            let [policy] = &imported.policies[..] else { panic!("one command, one policy") };
            let json = serde_json::to_string(policy).expect("a policy is JSON");
            prop_assert_eq!(&serde_json::from_str::<Policy>(&json).expect("and back"), policy);
            let Kind::Sidecar(sidecar) = &policy.kind else { panic!("a command sets up a sidecar") };
            prop_assert!(*sidecar.outbound.groups != Groups::Only(Vec::new()));
            prop_assert!(!sidecar.proxy.users.is_empty() && !sidecar.proxy.groups.is_empty());
            prop_assert!(*sidecar.proxy.outbound_port != 0);
        }
    }
}

#[test]
fn a_pod_has_one_proxy() {
    let ambient = "kind: Pod\nmetadata: {name: p, labels: {istio.io/dataplane-mode: ambient";
    for (labels, spec, expected) in [
        ("", "", "ambient-pod"),
        (", sidecar.istio.io/inject: 'true'", "", "sidecar"),
        ("", "initContainers: [{name: istio-proxy}]", "sidecar"),
    ] {
        let text = format!("{ambient}{labels}}}}}\nspec: {{containers: [], {spec}}}\n");
        let context = Context { ipv6: Some(false), ..Context::default() };
        let imported = istio::pods(&text, &context).unwrap();
        assert_eq!(imported.policies[0].kind.keyword(), expected, "{text}");
    }
}

/// What becomes of manifests that are read together, under `--ipv6 off`: the kinds of the policies, and
/// what is said, without what every import by annotations says.
fn together(texts: &[&str]) -> Vec<String> {
    let mut sources = Sources::default();
    for (at, text) in texts.iter().enumerate() {
        sources.add(format!("{at}.yaml"), text);
    }
    let context = Context { ipv6: Some(false), ..Context::default() };
    let (policies, notes, mistakes) = match istio::manifests(&sources, &context) {
        Ok(Imported { policies, notes, .. }) => (policies, notes, Vec::new()),
        Err(Refused { mistakes, notes, .. }) => (Vec::new(), notes, mistakes),
    };
    let place = |at: Option<Span>| {
        at.map(|at| sources.place(at))
            .map_or_else(String::new, |at| format!("{}:{} ", at.file, at.line))
    };
    let is_plain = |text: &String| !text.contains("read as Istio's");
    let policies = policies.iter().map(|it| format!("{} {}", it.kind.keyword(), it.name));
    let notes = notes.iter().map(|note| format!("{}{note}", place(note.at))).filter(is_plain);
    let mistakes = mistakes.iter().map(|it| format!("{}error: {it}", place(it.at)));
    policies.chain(notes).chain(mistakes).collect()
}

/// A pod in namespace `shop`, with these labels and annotations.
fn pod_in_shop(labels: &str, annotations: &str) -> String {
    format!(
        "kind: Pod\nmetadata:\n  name: p\n  namespace: shop\n  labels: {{{labels}}}\n  \
         annotations: {{{annotations}}}\nspec: {{containers: [{{name: a}}]}}\n"
    )
}

#[test]
fn the_namespace_decides_where_the_pod_does_not() {
    let namespace =
        |labels: &str| format!("kind: Namespace\nmetadata: {{name: shop, labels: {{{labels}}}}}\n");
    for (of_namespace, labels, annotations, expected) in [
        ("istio-injection: enabled", "", "", &["sidecar shop-p"][..]),
        ("istio.io/rev: canary", "", "", &["sidecar shop-p"]),
        ("istio.io/dataplane-mode: ambient", "", "", &["ambient-pod shop-p"]),
        (
            "istio.io/dataplane-mode: ambient",
            "istio.io/dataplane-mode: none",
            "",
            &["0.yaml:3 p: no policy, because nothing in it asks for Istio"],
        ),
        ("", "", "", &["0.yaml:3 p: no policy, because nothing in it asks for Istio"]),
        (
            "istio-injection: enabled",
            "sidecar.istio.io/inject: 'false'",
            "",
            &["0.yaml:3 p: no policy, because injection is off"],
        ),
        (
            "istio-injection: enabled",
            "",
            "sidecar.istio.io/inject: 'false'",
            &["0.yaml:3 p: no policy, because injection is off"],
        ),
        (
            "istio-injection: disabled",
            "sidecar.istio.io/inject: 'true'",
            "",
            &[
                "0.yaml:5 p: `sidecar.istio.io/inject: true`: no effect, because of \
                 `istio-injection: disabled`",
                "0.yaml:3 p: no policy, because injection is off",
            ],
        ),
        (
            "",
            "",
            "sidecar.istio.io/inject: 'true'",
            &[
                "0.yaml:6 p: `sidecar.istio.io/inject: true`: no effect as an annotation, because the \
                 namespace does not ask for injection; write it as a label",
                "0.yaml:3 p: no policy, because nothing in it asks for Istio",
            ],
        ),
        ("", "sidecar.istio.io/inject: 'true'", "", &["sidecar shop-p"]),
        (
            "istio-injection: enabled",
            "sidecar.istio.io/inject: 'no'",
            "",
            &[
                "sidecar shop-p",
                "0.yaml:5 p: `sidecar.istio.io/inject: no`: no effect: only `true` and `false` are read",
            ],
        ),
        (
            "istio-injection: enabled, istio.io/dataplane-mode: ambient",
            "istio.io/dataplane-mode: ambient",
            "",
            &[
                "sidecar shop-p",
                "0.yaml:5 p: `istio.io/dataplane-mode: ambient`: no effect, because of `the sidecar`",
            ],
        ),
    ] {
        let texts = [pod_in_shop(labels, annotations), namespace(of_namespace)];
        let told = together(&[&texts[0], &texts[1]]);
        assert_eq!(told, expected, "{of_namespace} {labels} {annotations}");
    }
}

#[test]
fn names_in_the_wrong_place_are_told_with_it() {
    let text = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
  annotations:
    traffic.sidecar.istio.io/excludeOutboundPorts: '5432'
spec:
  template:
    metadata:
      labels:
        sidecar.istio.io/inject: 'true'
        traffic.sidecar.istio.io/excludeInboundPorts: '80'
      annotations:
        traffic.istio.io/includeInboundPorts: '80'
        excludeOutboundIPRanges: 10.0.0.0/8
        istio.io/dataplane-mode: none
        sidecar.istio.io/proxyCPU: 10m
    spec: {containers: [{name: app}]}
---
kind: Service
metadata:
  name: app
  labels: {istio.io/dataplane-mode: ambient}
";
    assert_eq!(
        together(&[text]),
        [
            "sidecar app",
            "0.yaml:6 app: `traffic.sidecar.istio.io/excludeOutboundPorts: 5432`: no effect on the \
             Deployment, where Istio does not read it: it belongs in \
             `spec.template.metadata.annotations`",
            "0.yaml:15 app: `excludeOutboundIPRanges: 10.0.0.0/8`: not an option; did you mean \
             `traffic.sidecar.istio.io/excludeOutboundIPRanges`?",
            "0.yaml:16 app: `istio.io/dataplane-mode: none`: no effect as an annotation: Istio reads a \
             label, which belongs in `metadata.labels`",
            "0.yaml:14 app: `traffic.istio.io/includeInboundPorts: 80`: not an option; did you mean \
             `traffic.sidecar.istio.io/includeInboundPorts`?",
            "0.yaml:12 app: `traffic.sidecar.istio.io/excludeInboundPorts: 80`: no effect as a label: \
             Istio reads an annotation, which belongs in `metadata.annotations`",
            "0.yaml:23 app: `istio.io/dataplane-mode: ambient`: no effect on the Service, where Istio does \
             not read it: it belongs in `metadata.labels of its pods`",
            "0.yaml:22 app: no pod in this Service",
        ]
    );
}

/// The policy of the one pod among `texts`, as text.
fn printed(texts: &[&str]) -> String {
    let mut sources = Sources::default();
    for text in texts {
        sources.add("m", text);
    }
    let resolv_conf = Some("nameserver 10.96.0.10\n".to_owned());
    let context = Context { ipv6: Some(false), resolv_conf, ..Context::default() };
    let imported = istio::manifests(&sources, &context).unwrap();
    let [policy] = &imported.policies[..] else { panic!("{imported:?}") };
    print(policy, Detail::Differences)
}

#[test]
fn the_configuration_of_the_mesh_counts() {
    let pod = pod_in_shop("sidecar.istio.io/inject: 'true', app: web", "");
    let plugin = printed(&[&pod]);
    assert!(plugin.contains("exclude port 15020\n"), "{plugin}");

    let values = "pilot: {cni: {enabled: false}}
global:
  proxy:
    includeIPRanges: 10.96.0.0/12
    excludeInboundPorts: '9090'
    excludeOutboundPorts: 3306
    statusPort: 15099
meshConfig:
  proxyListenPort: 15101
  defaultConfig:
    interceptionMode: TPROXY
    proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'true', INVALID_DROP: 'false'}
";
    let config = "kind: ProxyConfig
metadata: {name: c, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  environmentVariables: {INVALID_DROP: 'true'}
";
    let text = "sidecar shop-p {
  family ipv4
  mode tproxy
  proxy {
    outbound-port 15101
  }
  inbound {
    exclude port 15090, 15021, 9090, 15099
  }
  outbound {
    capture to 10.96.0.0/12
    exclude port 3306
  }
  dns {
    capture 10.96.0.10
  }
  drop invalid
}
";
    assert_eq!(printed(&[&pod, values, config]), text);
    let lines: Vec<_> = values.lines().map(|line| format!("    {line}\n")).collect();
    let indented = lines.concat();
    let operator = format!("kind: IstioOperator\nspec:\n  values:\n{indented}");
    assert_eq!(printed(&[&operator, config, &pod]), text);
    let maps = format!(
        "kind: ConfigMap\nmetadata: {{name: istio-sidecar-injector}}\ndata:\n  values: |\n{indented}"
    );
    assert_eq!(printed(&[&maps, config, &pod]), text);

    // What the pod says wins, and what is injected has it all already.
    let own = pod_in_shop(
        "sidecar.istio.io/inject: 'true'",
        "traffic.sidecar.istio.io/includeOutboundIPRanges: '*', sidecar.istio.io/interceptionMode: REDIRECT",
    );
    let own = printed(&[&own, values]);
    assert!(!own.contains("capture to") && !own.contains("tproxy"), "{own}");
    let injected = pod_in_shop("", "sidecar.istio.io/status: '{}'");
    assert_eq!(printed(&[&injected, values]), plugin);
}

#[test]
fn an_older_release_is_told_with_a_packet_that_fares_differently() {
    let pod = |image: &str, arguments: &str, annotations: &str| {
        format!(
            "kind: Pod\nmetadata: {{name: p, annotations: {{{annotations}}}}}\nspec:\n  containers: []\n  \
             initContainers: [{{name: istio-init, image: '{image}', args: [istio-iptables, -u, '1337', \
             {arguments}]}}]\n"
        )
    };
    let all = "-b, '*', -i, '*'";
    for (image, arguments, packets) in [
        ("istio/proxyv2:1.29.0", all, &[][..]),
        ("istio/proxyv2:1.14.3-distroless", all, &[]),
        ("istio/proxyv2:latest", all, &[]),
        ("istio/proxyv2:1.12.0", all, &["inbound tcp to 10.0.0.7:22 was untouched"]),
        ("istio/proxyv2:1.12.0", "-b, '*', -d, '22'", &[]),
        (
            "istio/proxyv2:1.5.0",
            "-b, '8080'",
            &["inbound tcp to 10.0.0.7:8080 was redirected to port 15001"],
        ),
        (
            "istio/proxy_init:1.2.0",
            all,
            &[
                "inbound tcp to 10.0.0.7:22 was untouched",
                "inbound tcp to 10.0.0.7:15008 was captured",
                "inbound tcp to 10.0.0.7:8080 was redirected to port 15001",
            ],
        ),
        (
            "istio/proxyv2:1.19.0",
            "--redirect-dns, -o, '53'",
            &[
                "outbound udp to 10.96.0.10:53 was redirected to port 15053",
                "inbound udp from 10.96.0.10:53 to 10.0.0.7:40000 was in no conntrack zone, because the \
                 rule looked at its destination",
            ],
        ),
    ] {
        let context = Context {
            ipv6: Some(false),
            resolv_conf: Some("nameserver 10.96.0.10\n".to_owned()),
            ..Context::default()
        };
        let imported = istio::pods(&pod(image, arguments, ""), &context).unwrap();
        let notes = imported.notes.iter().map(ToString::to_string);
        let told: Vec<_> = notes
            .filter_map(|note| Some(note.split_once(": there ")?.1.split_once(" (")?.0.to_owned()))
            .collect();
        assert_eq!(told, packets, "{image} {arguments}");
    }
    let newer = istio::pods(
        &pod("istio/proxyv2:1.40.0", all, ""),
        &Context { ipv6: Some(false), ..Context::default() },
    );
    let notes = newer.unwrap().notes;
    assert!(
        notes[0].to_string().starts_with("what Istio 1.40 does is not known here"),
        "{notes:?}"
    );
}

#[test]
fn the_users_of_the_machine_are_asked_for() {
    let words = istio::split("-b '*' -i '*'").unwrap();
    let known = |users: &[(&str, u32)]| Context {
        ipv6: Some(false),
        users: users.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect(),
        ..Context::default()
    };
    let refused = istio::arguments(&words, &known(&[])).unwrap_err().to_string();
    assert!(refused.contains("`istio-proxy`") && refused.contains("--user-file"), "{refused}");
    let users = |context: &Context| {
        let imported = istio::arguments(&words, context).unwrap();
        let Kind::Sidecar(sidecar) = &imported.policies[0].kind else { panic!() };
        (sidecar.proxy.users.to_vec(), imported.notes.len())
    };
    assert_eq!(users(&known(&[("root", 0), ("istio-proxy", 997)])), (vec![997], 0));
    assert_eq!(users(&known(&[("root", 0)])), (vec![1337], 1));
    let own = Context { environment: "ENVOY_USER=envoy\n".to_owned(), ..known(&[("envoy", 5)]) };
    assert_eq!(users(&own), (vec![5], 0));
}

#[test]
fn many_equal_workloads_are_one_policy_with_a_short_comment() {
    let pod = |at: usize| {
        format!(
            "kind: Pod\nmetadata: {{name: p{at}, labels: {{sidecar.istio.io/inject: 'true'}}}}\n\
             spec: {{containers: []}}\nstatus: {{podIP: 10.0.{}.{}}}\n---\n",
            at / 250,
            at % 250 + 1
        )
    };
    let text: Vec<_> = (0..5000).map(pod).collect();
    let imported = istio::pods(&text.concat(), &Context::default()).unwrap();
    let [comments] = &imported.comments[..] else { panic!("one policy") };
    assert_eq!((comments.policy.len(), &*comments.policy[20]), (21, "and others"));
    let family = &comments.clauses[&("", "family")];
    assert_eq!((family.len(), &*family[3]), (4, "and others"));
}

#[test]
fn policies_are_those_of_workloads_and_equal_ones_are_one() {
    let pod = |name: &str, owner: &str, labels: &str, annotations: &str| {
        format!(
            "kind: Pod\nmetadata:\n  name: {name}\n  namespace: shop\n  ownerReferences: [{owner}]\n  \
             labels: {{sidecar.istio.io/inject: 'true', {labels}}}\n  annotations: {{{annotations}}}\n\
             spec: {{containers: []}}\n---\n"
        )
    };
    let set = "{kind: ReplicaSet, name: web-7f9c, controller: true}";
    let excluded = "traffic.sidecar.istio.io/excludeOutboundPorts: '25'";
    let text = [
        pod("web-7f9c-a", set, "pod-template-hash: 7f9c", ""),
        pod("web-7f9c-b", set, "pod-template-hash: 7f9c", ""),
        pod("db-0", "{kind: StatefulSet, name: db}", "", ""),
        pod("nightly-29384756-x", "{kind: Job, name: nightly-29384756}", "", excluded),
        pod("alone", "", "", excluded),
    ];
    let context = Context { ipv6: Some(false), ..Context::default() };
    let imported = istio::pods(&text.concat(), &context).unwrap();
    let policies: Vec<_> = imported
        .policies
        .iter()
        .zip(&imported.comments)
        .map(|(policy, comments)| format!("{}: {}", policy.name, comments.policy.join(", ")))
        .collect();
    assert_eq!(
        policies,
        [
            "shop-web: Deployment shop/web, StatefulSet shop/db",
            "shop-nightly: CronJob shop/nightly, Pod shop/alone",
        ]
    );
}
