//! Facts about single packets and about pairs of rulesets, written by hand.

use crate::ir::{BuiltInTable, Hook, Match, Owner, OwnerIs, Ruleset};
use crate::reader::iptables::{Options, read};
use crate::semantics::{BadPacket, Packet, Translation, compare, find, run};

fn rules(v4: &str) -> Ruleset {
    read(Some(v4), None, &Options::default()).unwrap().ruleset
}

fn mangle(lines: &str) -> Ruleset {
    rules(&format!("*mangle\n:A - [0:0]\n{lines}\nCOMMIT\n"))
}

const SIDECAR: &str = "*nat
:REDIRECT_OUT - [0:0]
:REDIRECT_IN - [0:0]
:OUT - [0:0]
-A OUTPUT -j OUT
-A OUT -s 127.0.0.6/32 -o lo -j RETURN
-A OUT ! -d 127.0.0.1/32 -o lo -p tcp -m multiport ! --dports 53,15008 -m owner --uid-owner 1337 -j REDIRECT_IN
-A OUT -o lo -p tcp ! --dport 53 -m owner ! --uid-owner 1337 -j RETURN
-A OUT -m owner --uid-owner 1337 -j RETURN
-A OUT -d 127.0.0.1/32 -j RETURN
-A OUT -j REDIRECT_OUT
-A REDIRECT_OUT -p tcp -j REDIRECT --to-ports 15001
-A REDIRECT_IN -p tcp -j REDIRECT --to-ports 15006
COMMIT
";

#[test]
fn one_packet_through_a_sidecar() {
    let sidecar = rules(SIDECAR);
    for (packet, outcome, trace) in [
        (
            "outbound tcp to 10.96.0.1:443",
            "accepted, redirected to port 15001",
            "output/0 OUT/5 REDIRECT_OUT/0",
        ),
        ("outbound udp to 10.96.0.1:53", "accepted", "output/0 OUT/5"),
        ("outbound tcp to 10.96.0.1:443 user 1337", "accepted", "output/0 OUT/3"),
        ("outbound tcp to 10.96.0.1:443 state established", "accepted", ""),
        (
            "outbound tcp to 10.0.0.7:80 user 1337 out lo",
            "accepted, redirected to port 15006",
            "output/0 OUT/1 REDIRECT_IN/0",
        ),
        ("outbound tcp to 10.0.0.7:15008 user 1337 out lo", "accepted", "output/0 OUT/3"),
        ("outbound tcp to 10.0.0.7:80 no-socket out lo", "accepted", "output/0 OUT/2"),
        (
            "outbound tcp to 10.0.0.7:80 kernel-socket out eth0",
            "accepted, redirected to port 15001",
            "output/0 OUT/5 REDIRECT_OUT/0",
        ),
        ("outbound tcp from 127.0.0.6 to 127.0.0.1:80 out lo", "accepted", "output/0 OUT/0"),
        ("outbound tcp to [fd00::1]:443", "accepted", ""),
        ("inbound tcp to 10.0.0.7:443", "accepted", ""),
    ] {
        let packet: Packet = packet.parse().unwrap();
        let run = run(&sidecar, &packet);
        assert_eq!(
            run.outcome.to_string(),
            format!("{outcome}, mark 0x0, connmark 0x0"),
            "{packet}"
        );
        let steps: Vec<_> =
            run.trace.iter().map(|step| format!("{}/{}", step.chain, step.index)).collect();
        assert_eq!(steps.join(" "), trace, "{packet}");
    }
}

#[test]
fn rulesets_that_differ_in_words_only_are_equal() {
    for (left, right) in [
        ("-A OUTPUT -m mark --mark 7 -j MARK --set-mark 7", ""),
        ("-A OUTPUT -j MARK --xor-mark 5\n-A OUTPUT -j MARK --xor-mark 5", ""),
        (
            "-A OUTPUT -j MARK --set-mark 0xf00/0xff",
            "-A OUTPUT -j MARK --and-mark 0xfffff000\n-A OUTPUT -j MARK --or-mark 0xf00",
        ),
        (
            "-A OUTPUT -j CONNMARK --save-mark\n-A OUTPUT -j CONNMARK --restore-mark",
            "-A OUTPUT -j CONNMARK --save-mark",
        ),
        (
            "-A OUTPUT -j MARK --set-mark 1\n-A OUTPUT -m mark --mark 2 -j DROP",
            "-A OUTPUT -j MARK --set-mark 1",
        ),
        (
            "-A OUTPUT -p tcp -j DROP\n-A OUTPUT -p udp -j DROP\n-A OUTPUT -j DROP",
            "-A OUTPUT -j DROP",
        ),
        (
            "-A OUTPUT -d 10.0.0.0/9 -j DROP\n-A OUTPUT -d 10.128.0.0/9 -j DROP",
            "-A OUTPUT -d 10.0.0.0/8 -j DROP",
        ),
        ("-A OUTPUT -j A\n-A A -p tcp -j RETURN\n-A A -j DROP", "-A OUTPUT ! -p tcp -j DROP"),
        ("-A OUTPUT -g A\n-A OUTPUT -j DROP", ""),
        ("-A OUTPUT -o eth+ -j DROP\n-A OUTPUT -o eth0 -j DROP", "-A OUTPUT -o eth+ -j DROP"),
        ("-A PREROUTING -m mark ! --mark 1 -j ACCEPT", ""),
        ("-A OUTPUT -j MARK --set-mark 1\n-A OUTPUT -j DROP", "-A OUTPUT -j DROP"),
        ("-A OUTPUT -m conntrack --ctstate INVALID -m connmark ! --mark 1 -j DROP", ""),
        ("-A OUTPUT -m owner --uid-owner 1 -m owner ! --socket-exists -j DROP", ""),
        (
            "-A OUTPUT -p tcp -m multiport --ports 5 -j DROP",
            "-A OUTPUT -p tcp --dport 5 -j DROP\n-A OUTPUT -p tcp --sport 5 -j DROP",
        ),
    ] {
        assert_eq!(compare(&mangle(left), &mangle(right)), Ok(vec![]), "{left} | {right}");
    }
}

#[test]
fn a_difference_has_a_natural_packet() {
    for (left, right, packet) in [
        (
            "-A OUTPUT -j DROP",
            "",
            "outbound tcp from 10.0.0.7 to 10.96.0.1:443 user 1000 group 1000 out eth0",
        ),
        (
            "-A PREROUTING -i eth0 -p udp -j DROP",
            "",
            "inbound udp from 10.0.0.9 to 10.0.0.7:53 in eth0",
        ),
        (
            "-A OUTPUT -d 9.9.0.0/16 -j DROP",
            "",
            "outbound tcp from 10.0.0.7 to 9.9.0.1:443 user 1000 group 1000 out eth0",
        ),
        (
            "-A OUTPUT -o veth+ -p tcp --dport 7000:7001 -j DROP",
            "",
            "outbound tcp from 10.0.0.7 to 10.96.0.1:7000 user 1000 group 1000 out veth0",
        ),
        (
            "-A OUTPUT -m owner ! --uid-owner 0-4294967294 -j DROP",
            "",
            "outbound tcp from 10.0.0.7 to 10.96.0.1:443 no-socket out eth0",
        ),
        (
            "-A OUTPUT -m mark --mark 0x539/0xfff -j MARK --set-mark 0x539",
            "",
            "outbound tcp from 10.0.0.7 to 10.96.0.1:443 user 1000 group 1000 out eth0 mark 0x1539",
        ),
        (
            "-A OUTPUT -j CONNMARK --save-mark --mask 1",
            "",
            "outbound tcp from 10.0.0.7 to 10.96.0.1:443 user 1000 group 1000 out eth0 connmark 0x1",
        ),
        (
            "-A PREROUTING -m conntrack --ctstate RELATED -j DROP",
            "",
            "inbound tcp from 10.0.0.9 to 10.0.0.7:8080 in eth0 state related",
        ),
        (
            "-A PREROUTING -p tcp -j TPROXY --on-port 7",
            "-A PREROUTING -p tcp -m mark --mark 1 -j TPROXY --on-port 7\n-A PREROUTING -p tcp -j TPROXY --on-port 8",
            "inbound tcp from 10.0.0.9 to 10.0.0.7:8080 in eth0",
        ),
        (
            "-A POSTROUTING -m owner --socket-exists -j DROP",
            "-A POSTROUTING -m owner --uid-owner 0-4294967294 -j DROP",
            "postrouting tcp from 10.0.0.7 to 10.96.0.1:443 kernel-socket out eth0",
        ),
    ] {
        let differences = compare(&mangle(left), &mangle(right)).unwrap();
        assert_eq!(differences[0].packet.to_string(), packet, "{left}");
    }
}

#[test]
fn nat_sees_the_beginning_and_the_first_translation_wins() {
    let two = |first: u16, second: u16, priority: i32| {
        let table = |port| {
            rules(&format!("*nat\n-A OUTPUT -p tcp -j REDIRECT --to-ports {port}\nCOMMIT\n"))
        };
        let (mut ruleset, mut other) = (table(first), table(second));
        other.tables[0].name = crate::net::Name::new("other").unwrap();
        other.tables[0].chains[0].base.as_mut().unwrap().priority = priority;
        ruleset.tables.extend(other.tables);
        ruleset
    };
    assert_eq!(compare(&two(1, 2, -99), &two(1, 3, -99)), Ok(vec![]));
    let differences = compare(&two(1, 2, -99), &two(2, 1, -99)).unwrap();
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].left.translation, Some(Translation::Redirect { port: 1 }));
    // A tie: nobody knows which is first.
    assert_eq!(compare(&two(1, 2, -100), &two(1, 2, -100)), Ok(vec![]));
    let differences = compare(&two(1, 2, -100), &two(1, 3, -100)).unwrap();
    assert_eq!(differences.len(), 1);
    assert_eq!(
        differences[0].supposes,
        ["chain output of table other was registered after chain output of table nat"]
    );
}

#[test]
fn the_first_zone_wins_and_a_late_one_is_none() {
    let raw = |lines: &str| rules(&format!("*raw\n{lines}\nCOMMIT\n"));
    let one = raw("-A OUTPUT -p udp -j CT --zone 1");
    let twice = raw("-A OUTPUT -p udp -j CT --zone 1\n-A OUTPUT -j CT --zone 2");
    let packet: Packet = "outbound udp to 10.96.0.10:53".parse().unwrap();
    assert_eq!(run(&twice, &packet).outcome.zone, Some(1));
    let differences = compare(&one, &twice).unwrap();
    assert_eq!(differences.len(), 1);
    assert_eq!((differences[0].left.zone, differences[0].right.zone), (None, Some(2)));
    let mut late = one.clone();
    late.tables[0].chains[0].base = BuiltInTable::Mangle.base(Hook::Output);
    assert_eq!(run(&late, &packet).outcome.zone, None);
    assert_eq!(compare(&late, &mangle("")), Ok(vec![]));
}

#[test]
fn an_expectation_is_proved_or_broken() {
    let sidecar = rules(SIDECAR);
    let proxy = |id| {
        let is = OwnerIs::In(vec![(id, id)]);
        vec![Match::Owner { owner: Owner::User, is }]
    };
    let lo = Match::Interface {
        of: crate::ir::Direction::Destination,
        names: vec![crate::net::Interface::lo()],
        not: true,
    };
    let mut outside = proxy(1337);
    outside.push(lo);
    let captured = |outcome: &crate::semantics::Outcome| outcome.translation.is_some();
    assert!(find(&sidecar, Hook::Output, &outside, captured).unwrap().is_none());
    let (broken, _) = find(&sidecar, Hook::Output, &proxy(1337), captured).unwrap().unwrap();
    assert_eq!(
        broken.to_string(),
        "outbound tcp from 10.0.0.7 to 10.0.0.7:443 user 1337 group 1000 out lo"
    );
}

#[test]
fn a_text_that_is_no_packet() {
    for (text, why) in [
        (
            "",
            "it is empty: it begins with `inbound`, `outbound`, `input`, `forward` or `postrouting`",
        ),
        (
            "sideways tcp",
            "`sideways` is not where a packet is: it begins with `inbound`, `outbound`, `input`, `forward` \
             or `postrouting`",
        ),
        ("prerouting tcp to 10.0.0.1:80", "`prerouting` is not where a packet is: write `inbound`"),
        ("out tcp to 10.0.0.1:80", "`out` is not where a packet is: write `outbound`"),
        ("inbound, tcp to 10.0.0.1:80", "`inbound,` is not where a packet is: write `inbound`"),
        (
            "inbound icpm",
            "`icpm` is no protocol: write `tcp`, `udp`, `icmp` or another name, its number, or `other`",
        ),
        ("inbound tcp", "it does not say where it goes: write `to` and an address"),
        ("inbound tcp from 10.0.0.1", "it does not say where it goes: write `to` and an address"),
        (
            "outbound tcp port 443",
            "it does not say where it goes: write `to` and an address: `to 10.96.0.1:443`, for example",
        ),
        (
            "inbound tcp from 10.0.0.1 to [::1]:80",
            "`from 10.0.0.1` and `to ::1` are of different families",
        ),
        (
            "inbound tcp to",
            "`to` needs an address, perhaps with a port: `10.96.0.1:443`, `[fd00::1]:443`",
        ),
        (
            "inbound tcp to example.org:443",
            "`to example.org:443`: `to` needs an address: names such as `example.org` are not resolved",
        ),
        (
            "outbound tcp to 10.0.0.1:99999",
            "`to 10.0.0.1:99999`: `to` needs a port of `0` to `65535`, and `99999` is none",
        ),
        (
            "outbound tcp to 10.0.0.0/16:443",
            "`to 10.0.0.0/16:443`: `to` needs one address, and no prefix: `10.0.0.0:443`, for example",
        ),
        (
            "outbound tcp to fe80::1%eth0",
            "`to fe80::1%eth0`: `to` needs an address without a zone: `fe80::1`",
        ),
        (
            "inbound other to 10.0.0.1:80",
            "packets of `other` have no port that rules see: write `to 10.0.0.1`",
        ),
        (
            "outbound icmp to 10.0.0.1 port 80",
            "packets of `icmp` have no port that rules see: write `to 10.0.0.1`",
        ),
        ("outbound tcp to 10.0.0.1", "`to 10.0.0.1` needs a port: `to 10.0.0.1:80`"),
        ("outbound tcp to fd00::1:443", "`to fd00::1:443` needs a port: `to [fd00::1]:443`"),
        ("outbound tcp to fd00::1", "`to fd00::1` needs a port: `to [fd00::1]:80`"),
        ("outbound tcp to 10.0.0.1:80 to 10.0.0.2:80", "`to` is given twice: leave one"),
        ("outbound tcp to 10.0.0.1:80 port 80", "`port` is given twice: leave one"),
        (
            "outbound tcp to [::ffff:10.0.0.1]:80",
            "`::ffff:10.0.0.1` is an IPv4 address in the form of IPv6; write `10.0.0.1`",
        ),
        (
            "inbound tcp to 10.0.0.1:80 user 5",
            "what arrives has no user and no group here: leave out `user 5`",
        ),
        ("inbound tcp to 10.0.0.1:80 out lo", "what arrives has not gone out: write `in lo`"),
        ("outbound tcp to 10.0.0.1:80 in eth1", "what leaves has not come in: write `out eth1`"),
        (
            "outbound tcp to 10.0.0.1:80 out eth*",
            "`out eth*`: `out` needs the name of one interface, without a `*`",
        ),
        (
            "outbound tcp to 10.0.0.1:80 out abcdefghijklmnopqrst",
            "`out abcdefghijklmnopqrst`: `out` needs a name of at most 15 characters; this one has 20",
        ),
        (
            "outbound tcp to 10.0.0.1:80 user 4294967295",
            "`user 4294967295`: `user` needs a number up to 4294967294",
        ),
        ("outbound tcp to 10.0.0.1:80 mark 0xg", "`mark 0xg`: `mark` needs a number of 32 bits"),
        ("outbound tcp 10.96.0.1:443", "unknown word `10.96.0.1:443`: write `to 10.96.0.1:443`"),
        ("outbound tcp to 10.0.0.1 dport 80", "unknown word `dport`: write `port`"),
        ("outbound tcp to 10.0.0.1:80 uid 1000", "unknown word `uid`: write `user`"),
        (
            "outbound tcp to 10.0.0.1:80 -> untouched",
            "`->` stands in an `expect`; what becomes of the packet is the answer: end before it",
        ),
        (
            "outbound tcp to 10.0.0.1:80 quickly",
            "unknown word `quickly`; the usual words are `from`, `to`, `port`, `user`, `group`, `in`, `out`, \
             `state`, `mark`, `connmark`, `no-listener`",
        ),
    ] {
        let bad: BadPacket = text.parse::<Packet>().unwrap_err();
        assert_eq!(bad.to_string(), why, "{text}");
    }
}

#[test]
fn what_an_expectation_says_of_one_packet_is_a_packet() {
    for (text, same) in [
        ("outbound tcp to 10.96.0.1 port 443 user 1000", "outbound tcp to 10.96.0.1:443 user 1000"),
        ("outbound to 10.96.0.1 port 443", "outbound tcp to 10.96.0.1:443"),
        ("inbound udp port 53 to fd00::1 in eth1", "inbound udp to [fd00::1]:53 in eth1"),
        ("outbound TCP to 10.0.0.1:80 state NEW", "outbound tcp to 10.0.0.1:80"),
    ] {
        assert_eq!(text.parse::<Packet>(), same.parse(), "{text}");
    }
}
