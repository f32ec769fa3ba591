//! Policies that come from data: code, and JSON. What holds for text holds for them.

use std::io::Write;
use std::process::{Command, Stdio};

use netweir::net::{Families, Interface, PerFamily, PortRange};
use netweir::policy::kuma::{self, Kuma};
use netweir::policy::{
    AmbientHost, AmbientPod, Dns, Groups, Kind, Mode, Policy, Selection, Sidecar, Tproxy, Unchecked,
};
use netweir::syntax::NoIncludes;
use netweir::{Compilation, Failure, Options, View, compile};
use proptest::prelude::*;

use crate::common::policies::policies;
use crate::common::shipped::{compile_file, root, rulesets};

/// The one policy of a text.
fn text(text: &str) -> Policy {
    let mut compiled = compile("text", text, &NoIncludes, &Options::default()).unwrap();
    assert_eq!(compiled.policies.len(), 1);
    compiled.policies.remove(0)
}

fn json(text: &str) -> Result<Compilation, Failure> {
    compile("policy.json", text, &NoIncludes, &Options::default())
}

#[test]
fn methods_say_what_clauses_say() {
    let net = |text: &str| text.parse::<ipnet::IpNet>().unwrap();
    let interface = |text| Interface::new(text).unwrap();
    let passthrough = PerFamily { ipv4: [127, 0, 0, 9].into(), ipv6: "::9".parse().unwrap() };
    let loopback =
        PerFamily { ipv4: "127.0.0.0/8".parse().unwrap(), ipv6: "::1/128".parse().unwrap() };
    let made = Sidecar::new("web")
        .mode(Tproxy { mark: 7, ..Tproxy::default() })
        .proxy_users([0, 1000])
        .proxy_outbound_port(16001)
        .proxy_inbound_port(16006)
        .proxy_tunnel_port(16008)
        .proxy_passthrough(passthrough)
        .capture_inbound_ports([80, 443])
        .exclude_inbound_ports([PortRange::new(400, 500).unwrap()])
        .capture_outbound_to([net("10.0.0.0/8"), net("127.0.0.2/32")])
        .exclude_outbound_to([net("10.1.0.0/16")])
        .capture_outbound_ports([25])
        .exclude_outbound_ports([53])
        .exclude_groups([5])
        .loopback(loopback)
        .dns(Dns { port: 5353, ..Dns::default() })
        .exclude_interfaces([interface("eth1")])
        .reroute_interfaces([interface("virt*")])
        .drop_invalid(true)
        .check()
        .unwrap();
    let written = "sidecar web {
        mode tproxy { mark 7 }
        proxy {
          user 0, 1000
          outbound-port 16001; inbound-port 16006; tunnel-port 16008
          passthrough 127.0.0.9, ::9
        }
        inbound { capture port 80, 443; exclude port 400-500 }
        outbound {
          capture to 10.0.0.0/8, 127.0.0.2; exclude to 10.1.0.0/16
          capture port 25; exclude port 53; exclude group 5; loopback 127.0.0.0/8
        }
        dns { capture *; port 5353 }
        interface { exclude eth1; reroute virt* }
        drop invalid
    }";
    assert_eq!(made, text(written));
    let made = Sidecar::new("web")
        .family(Families::Ipv4)
        .proxy_users([7])
        .proxy_groups([8])
        .capture_groups([9])
        .capture_outbound_to([net("127.0.0.2/32")])
        .capture_loopback(false)
        .check()
        .unwrap();
    let written = "sidecar web { family ipv4; proxy { user 7; group 8 }; \
                   outbound { capture group 9; capture to 127.0.0.2; exclude loopback } }";
    assert_eq!(made, text(written));
    assert_eq!(AmbientPod::new("a").dns(None).check().unwrap(), text("ambient-pod a { dns none }"));
    assert_eq!(AmbientHost::new("a").check().unwrap(), text("ambient-host a {}"));
}

#[test]
fn data_is_refused_as_text_is() {
    let refused = |policy: Unchecked<Sidecar>| policy.check().unwrap_err().to_string();
    let new = || Sidecar::new("web");
    let cases = [
        (Sidecar::new("a; flush"), "E316: `a; flush` is not a name"),
        (new().proxy_inbound_port(0), "<web>:3:18: E301: port 0 is out of range"),
        (new().exclude_outbound_to(["10.1.2.3/8".parse::<ipnet::IpNet>().unwrap()]), "E302"),
        (
            new()
                .family(Families::Ipv4)
                .exclude_outbound_to(["fd00::/8".parse::<ipnet::IpNet>().unwrap()]),
            "E310",
        ),
        (new().capture_groups([]), "E3"),
        (new().mode(Mode::Tproxy(Tproxy { mark: 0, ..Tproxy::default() })), "E301"),
    ];
    for (policy, why) in cases {
        let said = refused(policy);
        assert!(said.contains(why), "{why}: {said}");
    }
    // Of a family that is not governed, the language says nothing.
    let mut probe_from = *AmbientPod::default().probe_from;
    probe_from.ipv6 = "fd00::9".parse().unwrap();
    let odd = AmbientPod::new("pod").family(Families::Ipv4).probe_from(probe_from);
    let said = odd.check().unwrap_err().to_string();
    assert_eq!(said, "E340: no policy says `\"fd00::9\"` for `probe-from.ipv6`");
}

#[test]
fn json_says_what_differs_from_the_defaults() {
    for (said, written) in [
        (r#"{"kind": "sidecar", "name": "a"}"#, "sidecar a {}"),
        (
            r#"{"kind": "sidecar", "name": "a", "proxy": {"users": [7]}, "mode": {"tproxy": {}},
                "inbound": {"capture-ports": [80, "8000-8999"]},
                "outbound": {"capture-to": ["127.0.0.2/32"]}, "drop-invalid": true}"#,
            "sidecar a { proxy { user 7 }; mode tproxy; inbound { capture port 80, 8000-8999 }; \
             outbound { capture to 127.0.0.2 }; drop invalid }",
        ),
        (
            r#"{"kind": "sidecar", "name": "a", "dns": {}, "inbound": {"capture-ports": "*"},
                "expectations": [{"way": "outbound", "ports": [53], "becomes": {"proxy": 15053}}]}"#,
            "sidecar a { dns { capture * }; expect outbound port 53 => proxy 15053 }",
        ),
        (
            r#"{"kind": "ambient-pod", "name": "a", "proxy": {"mark": "0x5/0xf"}, "dns": null}"#,
            "ambient-pod a { proxy { mark 0x5/0xf }; dns none }",
        ),
        (
            r#"{"kind": "kuma", "name": "a", "dns": {}, "networks": ["docker0:172.17.0.0/16"],
                "outbound": {"exclude-users": ["tcp:3000-5000:106-108"]}}"#,
            "kuma a { dns { capture * }; vnet docker0:172.17.0.0/16; \
             outbound { exclude user tcp:3000-5000:106-108 } }",
        ),
        (
            r#"{"kind": "consul", "name": "a", "outbound": {"exclude-users": [7, "10-20"]}}"#,
            "consul a { outbound { exclude user 7, 10-20 } }",
        ),
    ] {
        let compiled = json(said).unwrap_or_else(|failure| panic!("{said}: {failure}"));
        assert_eq!(compiled.policies, [text(written)], "{said}");
        assert_eq!(serde_json::from_str::<Policy>(said).unwrap(), text(written), "{said}");
    }
    let both = r#"[{"kind": "sidecar", "name": "a"}, {"kind": "ambient-pod", "name": "b"}]"#;
    assert_eq!(json(both).unwrap().policies.len(), 2);
}

#[test]
fn json_is_read_as_strictly_as_text() {
    for (said, why, help) in [
        (r#"{"kind": "#, "E341: EOF while parsing a value", None),
        ("[7]", "policy.json:1:2: E341: `[0]`: expected an object, with `kind` and `name`", None),
        (r#"{"kind": "sidecar"}"#, "policy.json:1:1: E341: expected the field `name`", None),
        (
            r#"{"kind": "side-car", "name": "a"}"#,
            "policy.json:1:10: E341: `kind`: unknown kind `side-car`",
            Some("did you mean `sidecar`?"),
        ),
        (
            r#"{"kind": "sidecar", "name": "a", "inbound": {"exclude-port": [1]}}"#,
            "policy.json:1:62: E341: `inbound.exclude-port`: unknown field `exclude-port`",
            Some("did you mean `exclude-ports`?"),
        ),
        (
            r#"{"kind": "sidecar", "name": "a", "drop_invalid": true}"#,
            "policy.json:1:50: E341: `drop_invalid`: unknown field `drop_invalid`",
            Some("did you mean `drop-invalid`?"),
        ),
        (
            r#"{"kind": "sidecar", "name": "a", "inbound": {"exclude-ports": [80, 70000]}}"#,
            "E341: `inbound.exclude-ports[1]`: 70000 is out of range; expected a port, 0 to 65535, \
             or a range: \"8000-8999\"",
            None,
        ),
        (
            r#"{"kind": "sidecar", "name": "a", "proxy": {"groups": null}}"#,
            "`proxy.groups`: invalid type: null, expected a sequence",
            None,
        ),
        (
            r#"{"kind": "sidecar", "name": "a", "mode": "tproxi"}"#,
            "`mode`: unknown word `tproxi`",
            Some("did you mean `tproxy`?"),
        ),
        (r#"{"kind": "sidecar", "name": "a", "name": "b"}"#, "`name` is given twice", None),
        (
            r#"{"kind": "sidecar", "name": "a", "proxy": {"inbound-port": 0}}"#,
            "policy.json as text:3:18: E301: port 0 is out of range",
            None,
        ),
        (
            r#"{"kind": "sidecar", "name": "a",
                "expectations": [{"way": "inbound", "becomes": "untouched"}]}"#,
            "E403",
            None,
        ),
    ] {
        let failure = json(said).expect_err(said);
        let shown = failure.to_string();
        assert!(shown.contains(why), "{said}: {shown}");
        if let Some(help) = help {
            assert_eq!(failure.diagnostics[0].problem.help().as_deref(), Some(help), "{said}");
        }
        assert!(serde_json::from_str::<Policy>(said).is_err(), "{said}");
    }
}

/// What is asked of every policy: through JSON and back it is the same, and so is what it is written as.
fn goes_through_json(policy: &Policy) {
    let options = Options { verify: false, ..Options::default() };
    // Expectations hold in any order, and a text has one.
    let policy = &Unchecked::from(policy.clone()).compile(&options).unwrap().policies[0];
    let written = serde_json::to_string(policy).unwrap();
    let read = compile("policy.json", &written, &NoIncludes, &options).unwrap();
    assert_eq!(read.policies[..], *std::slice::from_ref(policy), "{written}");
    let unchecked: Unchecked = serde_json::from_str(&written).unwrap();
    assert_eq!(
        unchecked.compile(&options).unwrap().policies[..],
        *std::slice::from_ref(policy),
        "{written}"
    );
    assert_eq!(serde_json::to_string(&read.policies[0]).unwrap(), written);
}

#[test]
fn the_schema_takes_what_the_reader_takes() {
    let schema = std::fs::read_to_string(root().join("docs/schema/policy.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let takes = |text: &str| schema.is_valid(&serde_json::from_str(text).unwrap());
    for path in rulesets() {
        let policies = compile_file(&path, &Options::default()).policies;
        assert!(takes(&serde_json::to_string(&policies).unwrap()), "{path:?}");
    }
    for good in [
        r#"{"kind": "sidecar", "name": "a"}"#,
        r#"{"kind": "consul", "name": "a", "dns": {"to": "10.0.0.9"}}"#,
        r#"{"kind": "sidecar", "name": "a", "dns": {}, "mode": {"tproxy": {"mark": 7}},
            "inbound": {"capture-ports": [80, "90-99"]}, "proxy": {"users": [7]},
            "expectations": [{"way": "outbound", "protocol": "tcp", "ports": [25],
                "becomes": {"proxy": 15001}}]}"#,
    ] {
        assert!(takes(good) && json(good).is_ok(), "{good}");
    }
    for bad in [
        r#"{"kind": "sidecar"}"#,
        r#"{"kind": "side-car", "name": "a"}"#,
        r#"{"kind": "sidecar", "name": "a b"}"#,
        r#"{"kind": "sidecar", "name": "a", "drop_invalid": true}"#,
        r#"{"kind": "sidecar", "name": "a", "inbound": {"exclude-port": [1]}}"#,
        r#"{"kind": "sidecar", "name": "a", "inbound": {"exclude-ports": [70000]}}"#,
        r#"{"kind": "sidecar", "name": "a", "proxy": {"groups": null}}"#,
    ] {
        assert!(!takes(bad) && json(bad).is_err(), "{bad}");
    }
}

#[test]
fn all_that_ships_goes_through_json() {
    for path in rulesets() {
        for policy in compile_file(&path, &Options::default()).policies {
            goes_through_json(&policy);
            let again: Policy =
                serde_json::from_str(&serde_json::to_string(&policy).unwrap()).unwrap();
            assert_eq!(again, policy);
            for view in [View::Nft, View::Teardown] {
                let options = Options::default();
                assert_eq!(again.emit(view, &options), policy.emit(view, &options), "{path:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_policy_goes_through_json(policy in policies()) {
        goes_through_json(&policy);
    }

    #[test]
    fn every_policy_for_kuma_goes_through_json(
        (user, port, tcp, drop) in (0..u32::MAX, 1_u16.., any::<bool>(), any::<bool>()),
        servers in prop::option::of(prop::collection::vec(any::<[u8; 3]>(), 1..4)),
    ) {
        let address = |[a, b, c]: [u8; 3]| std::net::IpAddr::from([10, a, b, c]);
        let servers = servers.map(|all| all.into_iter().map(address).collect::<Vec<_>>());
        let dns = kuma::Dns {
            servers: servers.map_or(Selection::All, Selection::Only),
            captures_tcp: tcp.into(),
            ..kuma::Dns::default()
        };
        let policy = Kuma::new("k").proxy_user(user).proxy_inbound_port(port).dns(dns).drop_invalid(drop);
        goes_through_json(&policy.check().unwrap());
    }
}

#[test]
fn what_a_change_leaves_behind_names_no_clause_of_another_text() {
    let mut policy = Unchecked::from(text("sidecar web { inbound { exclude port 25 } }"));
    let Kind::Sidecar(sidecar) = &mut policy.kind else { panic!() };
    assert!(sidecar.inbound.exclude_ports.clause.is_some());
    sidecar.outbound.groups = Groups::Only(vec![7]).into();
    let policy = policy.check().unwrap();
    let Kind::Sidecar(sidecar) = &policy.kind else { panic!() };
    assert_eq!(sidecar.inbound.exclude_ports.clause, None);
    assert_eq!(
        policy,
        text("sidecar web { inbound { exclude port 25 }; outbound { capture group 7 } }")
    );
}

#[test]
fn commands_take_json_and_show_prints_it() {
    let weir = |arguments: &[&str], input: &str| {
        let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
        weir.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut weir = weir.spawn().unwrap();
        weir.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let done = weir.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
    };
    let policy = "sidecar web { outbound { exclude port 25 } }";
    let (status, shown, _) = weir(&["show", "--json", "-"], policy);
    assert_eq!(status, 0);
    let packet = "outbound tcp to 10.0.0.9:25";
    for arguments in [
        &["compile", "-"][..],
        &["compile", "--emit", "json", "-"],
        &["show", "-"],
        &["show", "--json", "-"],
        &["check", "-"],
    ] {
        assert_eq!(weir(arguments, &shown), weir(arguments, policy), "{arguments:?}");
    }
    let (status, said, _) = weir(&["explain", "-", packet], &shown);
    assert_eq!((status, said.lines().next()), (0, Some("untouched")), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old.json");
    std::fs::write(&old, &shown).unwrap();
    let (status, said, _) = weir(&["diff", old.to_str().unwrap(), "-"], policy);
    assert_eq!((status, said.starts_with("equal")), (0, true), "{said}");
    let (status, _, said) = weir(&["compile", "-"], r#"{"kind": "sidecar", "nam": "web"}"#);
    assert_eq!(status, 1);
    assert!(said.contains("E341"), "{said}");
}
