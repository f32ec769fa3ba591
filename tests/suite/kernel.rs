//! What the backends write, loaded by the real tools into the real kernel.
//!
//! Every test has namespaces of its own. Where `unshare`, `nft` or `ip` is missing, tests print a
//! line and pass; with `WEIR_REQUIRE_KERNEL=1` they fail.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use crate::common::netns::{self, Netns, same_ruleset};
use crate::common::rulesets::{self, base, name, not_owner, owner, rule, table, tcp};
use netweir::backend::nft::{self, Context, MemberChange, Members, Options};
use netweir::backend::routing::{self, Form, Needs};
use netweir::backend::teardown;
use netweir::ir::{Action, ChainKind, Hook, MarkChange, Owner, Rule, Ruleset, Rung};
use netweir::lower::Lowered;
use netweir::net::{Families, Family, Name, OnMiss, PerFamily};
use netweir::optimise::Layout;
use netweir::policy::{
    AmbientHost, AmbientPod, Dns, Groups, Kind, Mode, Policy, ProbeOwner, Selection, Setting,
    Sidecar, Tproxy, Unchecked,
};

/// Script and JSON of `ruleset`.
fn both(ruleset: &Ruleset, owned: &[Name], options: &Options) -> [String; 2] {
    let clauses = rulesets::clauses();
    let policy = name("reviews");
    let context = Context { policy: &policy, owned, clauses: &clauses };
    let legal = nft::legal(ruleset, options.target).unwrap();
    [nft::script(&legal, &context, options), nft::json(&legal, &context, options)]
}

fn script(ruleset: &Ruleset) -> String {
    let [script, _] = both(ruleset, &[], &Options::default());
    script
}

/// A policy of each kind, and sidecars with each kind of rule.
fn policies() -> Vec<Policy> {
    let tproxy = |on_miss| {
        let mut sidecar = Sidecar::default();
        sidecar.mode = Setting::default_to(Mode::Tproxy(Tproxy { on_miss, ..Tproxy::default() }));
        sidecar
    };
    let mut ipv4 = tproxy(OnMiss::Drop);
    ipv4.families = Setting::default_to(Families::Ipv4);
    let mut groups = Sidecar::default();
    groups.outbound.groups = Setting::default_to(Groups::Only(vec![202, 888]));
    groups.proxy.users = Setting::default_to(vec![1337, 1338]);
    let mut dns = Sidecar::default();
    dns.dns = Setting::default_to(Some(Dns { servers: Selection::All, port: 15053 }));
    dns.drop_invalid = Setting::default_to(true);
    let sidecars =
        [Sidecar::default(), tproxy(OnMiss::Drop), tproxy(OnMiss::Continue), ipv4, groups, dns];
    let mut kinds: Vec<_> =
        sidecars.map(|sidecar| Kind::Sidecar(Box::new(sidecar))).into_iter().collect();
    kinds.push(Kind::AmbientPod(Box::<AmbientPod>::default()));
    kinds.push(Kind::AmbientHost(Box::<AmbientHost>::default()));
    kinds.into_iter().map(|kind| Unchecked::of("reviews", kind).check().unwrap()).collect()
}

#[test]
fn script_and_json_load_to_the_same_ruleset() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let owned = rulesets::sidecar_tables();
    let plain = Options { counters: false, comments: false, ..Options::default() };
    for options in [Options::default(), plain] {
        for ruleset in [
            Ruleset::default(),
            rulesets::sidecar(),
            rulesets::everything(Families::Both),
            rulesets::everything(Families::Ipv4),
            rulesets::everything(Families::Ipv6),
            rulesets::ambient_host(Families::Both),
            rulesets::sidecar_without(2000),
        ] {
            let [script, json] = both(&ruleset, &owned, &options);
            same_ruleset(&netns, &script, &json);
        }
    }
    for policy in policies() {
        for layout in [Layout::Compact, Layout::Upstream] {
            let Lowered { ruleset, owned, .. } = layout.of(&policy);
            assert!(nft::legal(&ruleset, nft::Target::OLDEST).is_ok(), "{policy:?}");
            let [script, json] = both(&ruleset, &owned, &Options::default());
            same_ruleset(&netns, &script, &json);
        }
    }
}

#[test]
fn what_one_version_of_a_policy_loaded_the_next_one_replaces() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let owned = rulesets::sidecar_tables();
    let others = "table ip istio-other { chain c { }\n }\n";
    netns.load(others);
    let before = netns.ruleset();
    for families in [Families::Both, Families::Ipv4, Families::Ipv6] {
        for after in [rulesets::sidecar(), Ruleset::default()] {
            for text in both(&rulesets::everything(families), &owned, &Options::default()) {
                netns.load(&text);
            }
            let [script, json] = both(&after, &owned, &Options::default());
            netns.load(&json);
            let alone = Netns::new();
            alone.load(others);
            alone.load(&script);
            assert_eq!(netns.ruleset(), alone.ruleset());
        }
    }
    assert_eq!(netns.ruleset(), before, "nothing is left of it, and everything of others");
}

#[test]
fn a_reload_keeps_what_others_put_into_sets() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let owned = [name("istio-ambient-nat")];
    let texts = both(&rulesets::ambient_host(Families::Both), &owned, &Options::default());
    netns.load(&texts[0]);
    netns.load("add element inet istio-ambient-nat istio-inpod-probes-v4 { 192.0.2.7 }\n");
    // An earlier version had another priority, and a rule too many.
    netns.load(
        "delete chain inet istio-ambient-nat postrouting
         table inet istio-ambient-nat {
             chain postrouting { type nat hook postrouting priority 90; counter; }
         }\n",
    );
    let filled = netns.ruleset();
    for text in &texts {
        netns.load(text);
        let now = netns.ruleset();
        assert_ne!(now, filled);
        let list = now.to_string();
        assert!(list.contains("192.0.2.7") && list.contains("\"prio\":100"), "{list}");
    }
}

#[test]
fn a_hundred_thousand_prefixes_load() {
    if !netns::available_to_root() {
        return;
    }
    let netns = Netns::new();
    let [script, json] = both(&rulesets::sidecar_without(100_000), &[], &Options::default());
    netns.load(&script);
    let list = netns.output("nft", &["list", "ruleset"]);
    let is_network = |word: &&str| word.ends_with(".0") && *word != "255.255.255.0";
    assert_eq!(list.split([' ', ',', '\n']).filter(is_network).count(), 100_000);
    netns.load(&json);
    assert_eq!(netns.output("nft", &["list", "ruleset"]), list);
}

#[test]
fn routing_and_teardown_may_run_twice_and_leave_nothing() {
    if !netns::available() {
        return;
    }
    for policy in policies() {
        let netns = Netns::new();
        let sh = |script: &str| {
            let done = netns.run("sh", &["-s"], script);
            assert!(done.ok && done.err.is_empty() && done.out.is_empty(), "{done:?}\n{script}");
        };
        let (name, lowered) = (&policy.name, Layout::Compact.of(&policy));
        let (needs, Lowered { ruleset, owned, .. }) = (Needs::of(&lowered), &lowered);
        let batch = || {
            for (family, args) in
                [(Family::Ipv4, &["-batch", "-"][..]), (Family::Ipv6, &["-6", "-batch", "-"])]
            {
                let done = netns.run("ip", args, &routing::emit(name, needs, Form::Batch(family)));
                assert!(done.ok && done.err.is_empty(), "{done:?}");
            }
        };
        let route = routing::emit(name, needs, Form::Shell);
        let teardown = teardown::emit(name, &lowered);
        // An address or a route of somebody else, which stays.
        netns.output("ip", &["addr", "add", "192.0.2.1/32", "dev", "lo"]);
        netns.output(
            "ip",
            &["route", "add", "local", "198.51.100.0/24", "dev", "lo", "table", "133"],
        );
        netns.output("ip", &["rule", "add", "fwmark", "0x1", "table", "133"]);
        // `ip` lists and flushes it too where no mask is given.
        netns.output("ip", &["rule", "add", "fwmark", "0x539/0xfff", "table", "133"]);
        let before = netns.routing();
        sh(&teardown);
        assert_eq!(netns.routing(), before);
        sh(&route);
        let routed = netns.routing();
        let needs = route.lines().count() > 3;
        assert_eq!(routed != before, needs, "{routed}");
        sh(&route);
        batch();
        batch();
        assert_eq!(netns.routing(), routed);
        for text in both(ruleset, owned, &Options::default()) {
            netns.load(&text);
        }
        for _ in 0..2 {
            sh(&teardown);
            assert_eq!(netns.routing(), before);
            assert_eq!(netns.output("nft", &["list", "ruleset"]), "");
        }
        batch();
        assert_eq!(netns.routing(), routed);
    }
}

/// A ruleset of one chain at a hook.
fn one_chain(kind: ChainKind, hook: Hook, rules: Vec<Rule>) -> Ruleset {
    let chain = base(kind, hook, 0, rules);
    Ruleset { tables: vec![table("istio-test", Families::Both, vec![chain])] }
}

#[test]
fn a_negated_owner_takes_packets_without_an_owner() {
    if !netns::available_to_root() {
        return;
    }
    let netns = Netns::new();
    let not = |ids: &[u32]| not_owner(Owner::User, ids);
    let one = |when, then| rule(Rung::FOREIGN, when, then);
    let end = || one(vec![], Action::Drop);
    // For each ruleset, what happens to a datagram of users 0 and 1337. It goes to a closed port,
    // which the kernel answers with an ICMP error of its own that nobody owns: `refused` is both
    // let through, `silent` the error dropped, `denied` the datagram dropped.
    for (rules, root, proxy) in [
        (vec![], "refused", "refused"),
        // The rest of the chain moves.
        (vec![one(vec![not(&[1337])], Action::Return), end()], "refused", "denied"),
        (vec![one(vec![not(&[0])], Action::Return), end()], "denied", "refused"),
        (vec![one(vec![not(&[0]), not(&[1337])], Action::Return), end()], "denied", "denied"),
        // A helper chain.
        (vec![one(vec![not(&[0])], Action::Drop)], "silent", "denied"),
        (vec![one(vec![not(&[1337])], Action::Drop)], "denied", "silent"),
        (vec![one(vec![not(&[0, 1337])], Action::Drop)], "silent", "silent"),
        (
            vec![one(vec![not(&[0]), not_owner(Owner::Group, &[1337])], Action::Drop)],
            "silent",
            "silent",
        ),
        // Both swap places.
        (
            vec![
                one(vec![rulesets::out_lo(), not(&[0])], Action::Return),
                one(vec![owner(Owner::User, &[0])], Action::Return),
                end(),
            ],
            "refused",
            "refused",
        ),
        // Somebody has to own it.
        (
            vec![one(vec![owner(Owner::User, &[0, 1337])], Action::Return), end()],
            "silent",
            "silent",
        ),
        (
            vec![one(vec![not(&[0]), owner(Owner::Group, &[1337])], Action::Drop)],
            "refused",
            "denied",
        ),
    ] {
        netns.flush();
        let script = script(&one_chain(ChainKind::Filter, Hook::Output, rules));
        netns.load(&script);
        let said = [0, 1337].map(|user| netns.ask(user, "udp"));
        assert_eq!(said, [root, proxy], "{script}");
    }
}

#[test]
fn jumps_that_nest_too_deep_are_reported_and_refused() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    for depth in [16, 17] {
        let enter =
            |at: usize| vec![rule(Rung::ENTRY, vec![], rulesets::jump(&format!("istio-{at}")))];
        let mut ruleset = one_chain(ChainKind::Filter, Hook::Output, enter(2));
        for at in 2..=depth {
            let rules = if at < depth { enter(at + 1) } else { Vec::new() };
            ruleset.tables[0].chains.push(rulesets::chain(&format!("istio-{at}"), rules));
        }
        let supported = nft::legal(&ruleset, nft::Target::OLDEST).is_ok();
        // What is too deep cannot be written, so it is written here.
        let chains = (1..=depth).rev().map(|at| {
            let base = if at == 1 { "type filter hook output priority 0\n" } else { "" };
            let rule = if at < depth { format!("jump c{}\n", at + 1) } else { String::new() };
            format!("chain c{at} {{\n{base}{rule}}}\n")
        });
        let text = format!("table inet t {{\n{}}}\n", chains.collect::<String>());
        assert_eq!(netns.try_load(&text).ok, supported, "{depth}");
        assert_eq!(supported, depth == 16);
    }
}

#[test]
fn a_connection_waits_while_no_transparent_proxy_listens() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    for (on_miss, said) in [(OnMiss::Drop, "silent"), (OnMiss::Continue, "connected")] {
        let mark = MarkChange::set(1337);
        let then = Action::Tproxy { port: 15006, mark, on_miss };
        let rules = vec![rule(Rung::FOREIGN, vec![tcp()], then)];
        netns.load(&script(&one_chain(ChainKind::Filter, Hook::Prerouting, rules)));
        assert_eq!(netns.ask(0, "listen-and-connect 127.0.0.1:8080"), said);
        assert_eq!(netns.ask(0, "listen-and-connect [::1]:8080"), said);
    }
}

#[test]
fn probes_are_what_this_machine_sends_and_not_what_it_forwards() {
    if !netns::available_to_root() {
        return;
    }
    let [node, pod, other] = [Netns::new(), Netns::new(), Netns::new()];
    for (netns, link, net) in [(&pod, "topod", 1), (&other, "toother", 2)] {
        let pid = netns.pid();
        let (near, far) = (format!("10.0.{net}.1/24"), format!("10.0.{net}.2/24"));
        let (near6, far6) = (format!("fd00:{net}::1/64"), format!("fd00:{net}::2/64"));
        node.output("ip", &["link", "add", link, "type", "veth", "peer", "eth0", "netns", &pid]);
        for (netns, link, addresses) in
            [(&node, link, [near.clone(), near6.clone()]), (netns, "eth0", [far, far6])]
        {
            for address in addresses {
                let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
                netns.output("ip", &[&["addr", "add", &address, "dev", link], nodad].concat());
            }
            netns.output("ip", &["link", "set", link, "up"]);
        }
        for gateway in [near, near6] {
            let (gateway, _) = gateway.split_once('/').unwrap();
            netns.output("ip", &["route", "add", "default", "via", gateway]);
        }
    }
    let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward
                   echo 1 > /proc/sys/net/ipv6/conf/all/forwarding";
    node.output("sh", &["-c", forward]);
    let pods = ["10.0.1.2".parse().unwrap(), "fd00:1::2".parse().unwrap()];
    let probe = ["169.254.7.127", "fd16:9254:7127:1337:ffff:ffff:ffff:ffff"];
    let (own, others) = (["10.0.1.1", "fd00:1::1"], ["10.0.2.2", "fd00:2::2"]);
    for (owner, user_sends) in [(ProbeOwner::Any, probe), (ProbeOwner::User(0), own)] {
        let (ruleset, text) = host(owner, PerFamily { ipv4: IPV4_PROBE, ipv6: IPV6_PROBE });
        node.load(&text);
        node.load(&Members::new(&ruleset, MemberChange::Add, &pods).unwrap().script());
        for (at, address) in ["10.0.1.2:8080", "[fd00:1::2]:8080"].into_iter().enumerate() {
            for (client, user, seen) in
                [(&node, 0, probe[at]), (&node, 4711, user_sends[at]), (&other, 0, others[at])]
            {
                let server = pod.probe(0, &format!("peer {address}")).spawn().unwrap();
                assert_eq!(client.ask(user, &format!("connect {address}")), "connected");
                assert_eq!(netns::answer(server), seen, "{owner:?}, {user}");
            }
        }
    }
}

const IPV4_PROBE: Ipv4Addr = Ipv4Addr::new(169, 254, 7, 127);
const IPV6_PROBE: Ipv6Addr =
    Ipv6Addr::new(0xfd16, 0x9254, 0x7127, 0x1337, 0xffff, 0xffff, 0xffff, 0xffff);

/// The node's ruleset, and its script.
fn host(owner: ProbeOwner, from: PerFamily<Ipv4Addr, Ipv6Addr>) -> (Ruleset, String) {
    let mut host = AmbientHost::default();
    host.probe.owner = Setting::default_to(owner);
    host.probe.from = Setting::default_to(from);
    let policy = Unchecked::of("node", host).check().unwrap();
    let Lowered { ruleset, owned, .. } = Layout::Compact.of(&policy);
    let [script, _] = both(&ruleset, &owned, &Options::default());
    (ruleset, script)
}

#[test]
fn pods_stay_when_the_policy_of_the_node_is_loaded_again() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let (ruleset, script) = host(ProbeOwner::Any, PerFamily { ipv4: IPV4_PROBE, ipv6: IPV6_PROBE });
    let addresses: Vec<_> =
        ["10.0.1.2", "10.0.1.3", "fd00:1::2"].map(|address| address.parse().unwrap()).into();
    let members = |change, addresses| Members::new(&ruleset, change, addresses).unwrap();
    let (add, delete) =
        (members(MemberChange::Add, &addresses), members(MemberChange::Delete, &addresses[..1]));
    for [add, delete] in [[add.script(), delete.script()], [add.json(), delete.json()]] {
        // There is no set yet, and none is made.
        assert!(!netns.try_load(&add).ok);
        netns.load(&script);
        let empty = netns.ruleset();
        // Nothing to delete is no mistake, and twice is like once.
        for _ in 0..2 {
            netns.load(&delete);
            assert_eq!(netns.ruleset(), empty);
        }
        for _ in 0..2 {
            netns.load(&add);
        }
        let list = |family: &str| {
            let set = format!("istio-inpod-probes-{family}");
            let list = netns.output("nft", &["list", "set", "inet", "istio-ambient-nat", &set]);
            list.split_once("elements = { ").map(|(_, rest)| {
                let (inside, _) = rest.split_once('}').unwrap();
                let mut all: Vec<_> = inside.split(',').map(|one| one.trim().to_owned()).collect();
                all.sort();
                all.join(" ")
            })
        };
        let full = netns.ruleset();
        assert_eq!(list("v4").unwrap(), "10.0.1.2 10.0.1.3");
        assert_eq!(list("v6").unwrap(), "fd00:1::2");
        netns.load(&script);
        assert_eq!(netns.ruleset(), full);
        // So they do when the policy is another one.
        let other = PerFamily { ipv4: Ipv4Addr::new(192, 0, 2, 1), ipv6: IPV6_PROBE };
        netns.load(&host(ProbeOwner::User(0), other).1);
        assert_eq!(list("v4").unwrap(), "10.0.1.2 10.0.1.3");
        netns.load(&delete);
        assert_eq!(list("v4").unwrap(), "10.0.1.3");
        assert_eq!(list("v6").unwrap(), "fd00:1::2");
        netns.flush();
    }
}

/// Not a test, but what tests run in a namespace; see [`Netns::probe`].
#[test]
fn probe() {
    let Ok(task) = std::env::var(netns::PROBE) else { return };
    let (verb, address) = task.split_once(' ').unwrap_or((&task, "127.0.0.1:9"));
    let address: SocketAddr = address.parse().unwrap();
    let said = match verb {
        "udp" => {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            socket.connect(address).unwrap();
            let answer = socket.send(b"?").and_then(|_| socket.recv(&mut [0]));
            match answer.unwrap_err().kind() {
                ErrorKind::PermissionDenied => "denied".to_owned(),
                ErrorKind::ConnectionRefused => "refused".to_owned(),
                ErrorKind::WouldBlock => "silent".to_owned(),
                other => panic!("{other}"),
            }
        }
        "listen-and-connect" => {
            let _listener = TcpListener::bind(address).unwrap();
            let connected = TcpStream::connect_timeout(&address, Duration::from_millis(500));
            if connected.is_ok() { "connected" } else { "silent" }.to_owned()
        }
        "peer" => {
            let (_, peer) = TcpListener::bind(address).unwrap().accept().unwrap();
            peer.ip().to_string()
        }
        "connect" => {
            // The server may not listen yet.
            let connect = |_| {
                std::thread::sleep(Duration::from_millis(20));
                TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()
            };
            let connected = (0..50).find_map(connect).is_some();
            if connected { "connected" } else { "silent" }.to_owned()
        }
        "serve" => crate::reality::serve(address.port() == 1),
        "ask-tcp" => crate::reality::ask_tcp(address),
        "ask-udp" => crate::reality::ask_udp(address),
        other => panic!("{other}"),
    };
    println!("probe: {said}");
}
