//! What lines of iptables mean, and which are refused, as tables of facts.

use super::{Options, ReadError, ReadErrors, ReadProblem, read};
use crate::ir::{
    Action, ChainKind, CtState, Direction, Effect, Hook, MarkChange, MaskPair, Match, Owner,
    OwnerIs, Protocol, Rule, Ruleset, Target,
};
use crate::net::{Families, Interface, Mark, Name, Nets, OnMiss, PortRange, PortSet};

/// The rules that `line` comes to in a chain of `table`, which has the chain `OTHER` as well.
fn rules(table: &str, line: &str) -> Result<Vec<Rule>, ReadErrors<ReadError>> {
    rules_read(table, line, false)
}

/// The same, of a text that is to be loaded or not.
fn rules_read(table: &str, line: &str, to_load: bool) -> Result<Vec<Rule>, ReadErrors<ReadError>> {
    let text =
        format!("*{table}\n:OTHER - [0:0]\n:ISTIO_TEST - [0:0]\n-A ISTIO_TEST {line}\nCOMMIT\n");
    let options = Options {
        users: [("envoy".to_owned(), 101)].into(),
        groups: [("java".to_owned(), 3001)].into(),
        leave_out: ["KUBE-*".to_owned()].into(),
        others: ["DOCKER_OUTPUT".to_owned()].into(),
        to_load,
    };
    let mut ruleset = read(Some(&text), None, &options)?.ruleset;
    Ok(ruleset.tables.remove(0).chains.pop().unwrap().rules)
}

fn ports(ranges: &[(u16, u16)]) -> PortSet {
    ranges.iter().map(|(first, last)| PortRange::new(*first, *last).unwrap()).collect()
}

fn nets(net: &str) -> Nets {
    Nets::from(net.parse::<ipnet::IpNet>().unwrap())
}

#[test]
fn what_would_not_load_beside_others_is_an_error() {
    let read = |lines: &str, to_load| {
        let text = format!("*nat\n:A - [0:0]\n{lines}\nCOMMIT\n");
        let read = read(Some(&text), None, &Options { to_load, ..Options::default() });
        read.map_or_else(|errors| errors[0].to_string(), |_| String::new())
    };
    for (lines, said) in [
        ("-A OUTPUT -j A", ""),
        ("-I OUTPUT -j A", "IPv4 line 3: `-I` needs a chain that no others share; use `-A`"),
        (":OUTPUT ACCEPT [0:0]", "IPv4 line 3: chain `OUTPUT`: its policy is for others, too"),
        ("-N B", "IPv4 line 3: `-N` needs a chain that is not there yet; use `:`"),
        ("-A A -j B\n:B - [0:0]", "IPv4 line 3: no chain `B` in this table"),
        (
            "-A A -j DROP",
            "IPv4 line 3: `DROP` needs another table than nat, which iptables does not filter in",
        ),
    ] {
        assert_eq!(read(lines, true), said, "{lines}");
        assert_eq!(read(lines, false), "", "{lines}");
    }
    // A name is another where only case differs, to the kernel.
    assert_eq!(read("-A OUTPUT -j a", true), "IPv4 line 3: no chain `a` in this table");
    let said = "IPv4 line 3: the table ends without COMMIT";
    assert_eq!(read("*mangle", false), said);
}

#[test]
fn matches() {
    use Direction::{Destination, Source};
    let tcp = Match::Protocol { protocol: Protocol::Tcp, not: false };
    let udp = Match::Protocol { protocol: Protocol::Udp, not: false };
    let not_users = |ids: &[(u32, u32)]| Match::Owner {
        owner: Owner::User,
        is: OwnerIs::NotIn { ids: ids.to_vec(), ownerless: true },
    };
    for (line, when) in [
        ("", vec![]),
        ("-p all -i +", vec![]),
        ("-p tcp -m tcp", vec![tcp.clone()]),
        ("-p 17", vec![udp.clone()]),
        ("! -p tcp", vec![Match::Protocol { protocol: Protocol::Tcp, not: true }]),
        (
            "-d 10.1.2.3/255.0.0.0 ! -s 127.0.0.1",
            vec![
                Match::Address { of: Source, nets: nets("127.0.0.1/32"), not: true },
                Match::Address { of: Destination, nets: nets("10.0.0.0/8"), not: false },
            ],
        ),
        (
            "-o eth+ ! -i lo",
            vec![
                Match::Interface { of: Source, names: vec![Interface::lo()], not: true },
                Match::Interface {
                    of: Destination,
                    names: vec![Interface::new("eth*").unwrap()],
                    not: false,
                },
            ],
        ),
        (
            "-p tcp --sport :1023 ! --dport 8000:9000",
            vec![
                tcp.clone(),
                Match::Port { of: Source, ports: ports(&[(0, 1023)]), not: false },
                Match::Port { of: Destination, ports: ports(&[(8000, 9000)]), not: true },
            ],
        ),
        (
            "-p udp -m udp --dport 1024:",
            vec![udp, Match::Port { of: Destination, ports: ports(&[(1024, 65535)]), not: false }],
        ),
        (
            "-p tcp -m multiport ! --dports 53,15008,8000:8001",
            vec![
                tcp.clone(),
                Match::Port {
                    of: Destination,
                    ports: ports(&[(53, 53), (8000, 8001), (15008, 15008)]),
                    not: true,
                },
            ],
        ),
        (
            "-m owner ! --uid-owner 1337 -m owner ! --uid-owner envoy -m owner --gid-owner java",
            vec![
                not_users(&[(101, 101), (1337, 1337)]),
                Match::Owner { owner: Owner::Group, is: OwnerIs::In(vec![(3001, 3001)]) },
            ],
        ),
        ("-m owner ! --uid-owner 5-9", vec![not_users(&[(5, 9)])]),
        ("-m owner --socket-exists", vec![Match::SocketExists { not: false }]),
        ("-m owner ! --socket-exists", vec![Match::SocketExists { not: true }]),
        (
            "-m mark ! --mark 0x539/0xfff -m connmark --mark 1337",
            vec![
                Match::Mark { mark: Mark::new(0x539, 0xfff).unwrap(), not: true },
                Match::Connmark { mark: Mark::exactly(1337), not: false },
            ],
        ),
        (
            "-m conntrack --ctstate RELATED,ESTABLISHED",
            vec![Match::CtState {
                states: [CtState::Established, CtState::Related].into_iter().collect(),
                not: false,
            }],
        ),
        (
            "-m state ! --state INVALID",
            vec![Match::CtState { states: [CtState::Invalid].into_iter().collect(), not: true }],
        ),
        (
            "-m set ! --match-set pods src",
            vec![Match::InSet { of: Source, set: Name::new("pods").unwrap(), not: true }],
        ),
        ("-m addrtype ! --dst-type LOCAL", vec![Match::Local { of: Destination, not: true }]),
        ("-m socket --transparent", vec![Match::TransparentSocket]),
        ("-m comment --comment \"a \\\"b\\\" -j DROP\"", vec![]),
        ("-c 1 2", vec![]),
    ] {
        let read = rules("mangle", &format!("{line} -j ACCEPT")).unwrap();
        assert_eq!(read.len(), 1, "{line}");
        assert_eq!(read[0].when, when, "{line}");
        assert_eq!(read[0].families, Families::Ipv4);
    }
}

#[test]
fn beginnings_of_options_are_those_of_the_match_that_is_known() {
    use Direction::{Destination, Source};
    let tcp = || Match::Protocol { protocol: Protocol::Tcp, not: false };
    for (line, when) in [
        (
            "-m multiport -p tcp --dport 53,3000:5000 ! --source-port 1,2",
            vec![
                tcp(),
                Match::Port {
                    of: Destination,
                    ports: ports(&[(53, 53), (3000, 5000)]),
                    not: false,
                },
                Match::Port { of: Source, ports: ports(&[(1, 2)]), not: true },
            ],
        ),
        (
            "-p tcp -m tcp -m multiport --dport 53 --sports 1,2",
            vec![
                tcp(),
                Match::Port { of: Destination, ports: ports(&[(53, 53)]), not: false },
                Match::Port { of: Source, ports: ports(&[(1, 2)]), not: false },
            ],
        ),
        (
            "-m owner --uid-owner 5:9",
            vec![Match::Owner { owner: Owner::User, is: OwnerIs::In(vec![(5, 9)]) }],
        ),
    ] {
        let rules = rules("nat", &format!("{line} -j RETURN")).unwrap();
        assert_eq!(rules[0].when, when, "{line}");
    }
}

#[test]
fn either_port_becomes_two_rules_that_exclude_each_other() {
    let port = |of, not| Match::Port { of, ports: ports(&[(53, 53)]), not };
    let read = rules("nat", "-p udp -m multiport --ports 53 -j RETURN").unwrap();
    let udp = Match::Protocol { protocol: Protocol::Udp, not: false };
    assert_eq!(read[0].when, [udp.clone(), port(Direction::Source, false)]);
    assert_eq!(
        read[1].when,
        [udp, port(Direction::Source, true), port(Direction::Destination, false)]
    );
}

#[test]
fn targets() {
    let all = u32::MAX;
    let change = |clear, flip| MarkChange { clear, flip };
    let masks = |packet, connection| MaskPair { packet, connection };
    let other = Name::new("OTHER").unwrap();
    let dnat = |to: &str, port| Action::Dnat { to: to.parse().unwrap(), port };
    for (table, line, then) in [
        ("raw", "-j ACCEPT", Action::Accept),
        ("raw", "-j DROP", Action::Drop),
        ("raw", "-j RETURN", Action::Return),
        ("raw", "-j OTHER", Action::Jump(other.clone())),
        ("raw", "-g OTHER", Action::Goto(other)),
        // A chain of others, which no line makes.
        ("raw", "-p udp -j CT --zone 2", Action::SetZone(2)),
        ("filter", "-j LOG --log-prefix \"x y\" --log-level 4", Action::Log),
        ("nat", "-p tcp -j REDIRECT --to-ports 15001", Action::Redirect { port: 15001 }),
        ("nat", "-p udp -j REDIRECT --to-port 15053", Action::Redirect { port: 15053 }),
        ("nat", "-j SNAT --to-source 10.0.0.1", Action::Snat { to: "10.0.0.1".parse().unwrap() }),
        ("nat", "-j DNAT --to-destination 10.0.0.1", dnat("10.0.0.1", None)),
        ("nat", "-j DOCKER_OUTPUT", Action::Jump(Name::new("docker-output").unwrap())),
        ("nat", "-p udp -j DNAT --to-destination 127.0.0.1:53", dnat("127.0.0.1", Some(53))),
        (
            "mangle",
            "-p tcp -j TPROXY --tproxy-mark 1337/0xffffffff --on-port 15006",
            Action::Tproxy { port: 15006, mark: MarkChange::set(1337), on_miss: OnMiss::Drop },
        ),
        (
            "mangle",
            "-p tcp -j TPROXY --on-port 15006 --on-ip 0.0.0.0",
            Action::Tproxy { port: 15006, mark: change(0, 0), on_miss: OnMiss::Drop },
        ),
        ("mangle", "-j MARK --set-mark 1337", Action::SetMark(change(all, 1337))),
        ("mangle", "-j MARK --set-mark 0xf00/0xff", Action::SetMark(change(0xfff, 0xf00))),
        ("mangle", "-j MARK --set-xmark 0xf00/0xff", Action::SetMark(change(0xff, 0xf00))),
        ("mangle", "-j MARK --and-mark 0xff", Action::SetMark(change(!0xff, 0))),
        ("mangle", "-j MARK --or-mark 0xff", Action::SetMark(change(0xff, 0xff))),
        ("mangle", "-j MARK --xor-mark 0xff", Action::SetMark(change(0, 0xff))),
        (
            "mangle",
            "-j CONNMARK --set-xmark 0x111/0xfff",
            Action::SetConnmark(change(0xfff, 0x111)),
        ),
        ("mangle", "-j CONNMARK --set-mark 0x111", Action::SetConnmark(change(all, 0x111))),
        ("mangle", "-j CONNMARK --save-mark", Action::SaveMark(MaskPair::FULL)),
        ("mangle", "-j CONNMARK --restore-mark --mask 0xff", Action::RestoreMark(masks(255, 255))),
        (
            "mangle",
            "-j CONNMARK --save-mark --nfmask 0xf --ctmask 0xff",
            Action::SaveMark(masks(0xf, 0xff)),
        ),
    ] {
        assert_eq!(rules(table, line).unwrap()[0].then, then, "{line}");
    }
}

#[test]
fn what_is_not_known_is_an_error_with_its_word() {
    for (table, line, message) in [
        ("nat", "-p icmp -j ACCEPT", "`-p icmp`: only tcp, udp and all can be read"),
        ("nat", "-p tcp --dport http -j ACCEPT", "`--dport http`: not a number of at most 32 bits"),
        ("nat", "-p tcp --dport 70000 -j ACCEPT", "`--dport 70000`: the highest port is 65535"),
        ("nat", "-p tcp --dport 9:8 -j ACCEPT", "`--dport 9:8`: the first port is above the last"),
        ("nat", "--dport 53 -j ACCEPT", "`--dport` needs `-p tcp` or `-p udp`"),
        ("nat", "-m tcp -j ACCEPT", "`-m tcp` needs `-p` with the protocol"),
        ("nat", "-p tcp --dports 1 -j ACCEPT", "`--dports` needs `-m multiport`"),
        ("nat", "-p tcp --syn -j ACCEPT", "unknown option `--syn`"),
        ("nat", "-m limit --limit 1/s -j ACCEPT", "unknown match `limit`"),
        ("nat", "-j MASQUERADE", "unknown target `MASQUERADE`"),
        ("nat", "-p tcp -j REDIRECT", "`REDIRECT` needs `--to-ports`"),
        ("nat", "-j REDIRECT --to-ports 1", "`REDIRECT` needs `-p tcp` or `-p udp`"),
        (
            "nat",
            "-p tcp -j REDIRECT --to-ports 1-2",
            "`--to-ports 1-2`: not a number of at most 32 bits",
        ),
        ("nat", "-p tcp -j REDIRECT --to-ports 1 --random", "unknown option `--random`"),
        (
            "nat",
            "-j SNAT --to-source 10.0.0.1-10.0.0.9",
            "`--to-source 10.0.0.1-10.0.0.9`: not one IPv4 address",
        ),
        ("nat", "-p tcp -j DNAT", "`DNAT` needs `--to-destination`"),
        ("nat", "-j DNAT --to-destination 10.0.0.1:53", "`DNAT` needs `-p tcp` or `-p udp`"),
        (
            "nat",
            "-p tcp -j DNAT --to-destination 10.0.0.1:53-54",
            "`--to-destination 10.0.0.1:53-54`: not a number of at most 32 bits",
        ),
        (
            "nat",
            "-p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.9:53",
            "`--to-destination 10.0.0.1-10.0.0.9:53`: not one IPv4 address",
        ),
        ("nat", "-j DNAT --to-destination ::1", "`--to-destination ::1`: not one IPv4 address"),
        ("mangle", "-j DNAT --to-destination 10.0.0.1", "`DNAT` needs table nat"),
        ("mangle", "-j CT --zone 1", "`CT` needs table raw"),
        ("raw", "-j NOWHERE", "no chain `NOWHERE` in this table"),
        ("raw", "-s ::1 -j DROP", "`-s ::1`: an address of the other family"),
        ("raw", "-s example.org -j DROP", "`-s example.org`: not an address"),
        (
            "raw",
            "-s 10.0.0.0/255.0.255.0 -j DROP",
            "`-s 10.0.0.0/255.0.255.0`: not a mask of leading ones",
        ),
        ("raw", "-s 10.0.0.0/33 -j DROP", "`-s 10.0.0.0/33`: the prefix is longer than an address"),
        ("raw", "-i eth* -j DROP", "`-i eth*`: `*` is a plain character to iptables"),
        ("raw", "-s 1.1.1.1 -s 1.1.1.2 -j DROP", "`-s` is given twice"),
        ("raw", "-j DROP -j ACCEPT", "`-j` is given twice"),
        ("raw", "! -j DROP", "`-j` cannot be negated"),
        ("raw", "-j DROP !", "`!` needs a value"),
        ("raw", "-j", "`-j` needs a value"),
        (
            "raw",
            "-m owner --uid-owner nobody -j DROP",
            "`--uid-owner nobody`: a name whose number is not known",
        ),
        (
            "raw",
            "-m owner --uid-owner 010 -j DROP",
            "`--uid-owner 010`: a leading 0 means octal to iptables",
        ),
        (
            "raw",
            "-m mark --mark 0xfff/0xf -j DROP",
            "`--mark 0xfff/0xf`: bits of the value lie outside the mask",
        ),
        ("raw", "-m comment --comment \"x -j DROP", "a quotation mark is not closed"),
    ] {
        let errors = rules_read(table, line, true).expect_err(line);
        let message = format!("IPv4 line 4: {message}");
        assert_eq!(errors[0].to_string(), message, "{line}");
    }
}

#[test]
fn chains_and_lines() {
    let v4 = "# a comment\n* nat\n-N ISTIO_OUTPUT\n:OUTPUT ACCEPT [12:34]\n\
        [1:2] -A OUTPUT -j ISTIO_OUTPUT\n-A ISTIO_OUTPUT -j RETURN\n\
        -I ISTIO_OUTPUT 1 -j DROP\n-I ISTIO_OUTPUT 3 -j ACCEPT\n-I ISTIO_OUTPUT -p udp\nCOMMIT\n\
        *mangle\n-A OUTPUT -j KUBE-FIREWALL -m statistic --mode random\nCOMMIT\n";
    let v6 = "*nat\n:ISTIO_OUTPUT - [0:0]\n-A ISTIO_OUTPUT -j ACCEPT\nCOMMIT\n";
    let options = Options { leave_out: ["KUBE-FIREWALL".to_owned()].into(), ..Options::default() };
    let Ruleset { tables } = read(Some(v4), Some(v6), &options).unwrap().ruleset;
    let [mangle, nat] = tables.as_slice() else { panic!("{tables:?}") };
    assert_eq!((mangle.families, mangle.chains.len()), (Families::Ipv4, 2));
    assert_eq!((nat.families, nat.name.as_str()), (Families::Both, "nat"));
    let [output, ours] = nat.chains.as_slice() else { panic!("{:?}", nat.chains) };
    let base = output.base.unwrap();
    assert_eq!((output.name.as_str(), base.hook), ("output", Hook::Output));
    assert_eq!((base.kind, base.priority), (ChainKind::Nat, -100));
    assert_eq!((ours.name.as_str(), ours.base), ("ISTIO_OUTPUT", None));
    let actions: Vec<_> = ours.rules.iter().map(|rule| (rule.families, &rule.then)).collect();
    assert_eq!(
        actions,
        [
            (Families::Ipv4, &Action::Drop),
            (Families::Ipv4, &Action::Return),
            (Families::Ipv4, &Action::Accept),
            (Families::Ipv6, &Action::Accept),
        ]
    );
}

#[test]
fn a_text_that_the_kernel_would_refuse_is_an_error() {
    for (text, message) in [
        ("-A OUTPUT -j DROP\n", "IPv4 line 1: not in a table"),
        ("*nat\n", "IPv4 line 1: the table ends without COMMIT"),
        ("*broute\nCOMMIT\n", "IPv4 line 1: unknown table `broute`"),
        ("*nat\n-A ISTIO -j DROP\nCOMMIT\n", "IPv4 line 2: no chain `ISTIO` in this table"),
        ("*nat\n-A FORWARD -j DROP\nCOMMIT\n", "IPv4 line 2: no chain `FORWARD` in this table"),
        ("*nat\n-N A\n-N A\nCOMMIT\n", "IPv4 line 3: `A` is given twice"),
        ("*nat\n-X A\nCOMMIT\n", "IPv4 line 2: unknown command `-X`"),
        (
            "*nat\n:A - [0:0]\n-I A 2 -j DROP\nCOMMIT\n",
            "IPv4 line 3: `-I A 2`: the chain has 0 rules",
        ),
        (
            "*nat\n-N A_B\n-N A.B\nCOMMIT\n",
            "IPv4 line 2: chain `A_B`: another chain is called so but for signs that weir does not tell apart",
        ),
        (
            "*nat\n-N output\nCOMMIT\n",
            "IPv4 line 2: chain `output`: a built-in chain has this name",
        ),
        (
            "*nat\n-N A\n-N B\n-A A -j B\n-A B -g A\nCOMMIT\n",
            "IPv4 line 2: chain `A` leads back to itself",
        ),
        ("*nat\n-N A\n-A A -j OUTPUT\nCOMMIT\n", "IPv4 line 3: no chain `OUTPUT` in this table"),
        (
            "*filter\n:INPUT REJECT [0:0]\nCOMMIT\n",
            "IPv4 line 2: policy `REJECT` of a built-in chain, which has ACCEPT or DROP",
        ),
    ] {
        let errors = read(Some(text), None, &Options::default()).expect_err(text);
        assert_eq!(errors[0].to_string(), message, "{text}");
        assert_eq!(errors.len(), 1, "{text}: {errors:?}");
    }
    let set = "*nat\n-A POSTROUTING -m set --match-set pods dst -j RETURN\nCOMMIT\n";
    let errors = read(Some(set), Some(set), &Options::default()).unwrap_err();
    assert!(matches!(errors[0].problem, ReadProblem::SetFamily { .. }), "{errors:?}");
}

/// What a line of others comes to: each question, with `!` before one that is negated and `own` behind one
/// that is the rule's own, then the action.
fn told(table: &str, line: &str) -> String {
    let rules = rules(table, line).unwrap_or_else(|errors| panic!("{line}: {}", errors[0]));
    let [rule] = &rules[..] else { panic!("{line}: {rules:?}") };
    let asked = rule.when.iter().map(|when| match when {
        Match::Opaque { condition, not } => {
            let own = if condition.asked_by.is_some() { " own" } else { "" };
            let usual = if condition.is_usual { " usual" } else { "" };
            let known = if condition.is_understood { "" } else { " ?" };
            format!("{}{}{own}{usual}{known}", if *not { "! " } else { "" }, condition.text)
        }
        Match::Protocol { protocol, not } => {
            format!("{}{}", if *not { "! " } else { "" }, protocol.name())
        }
        when => format!("{when:?}").split([' ', '{']).next().unwrap().to_owned(),
    });
    let then = match &rule.then {
        Action::Opaque(Target { text, effect }) => {
            let effect = format!("{effect:?}");
            format!("{text} {}", effect.split([' ', '(']).next().unwrap())
        }
        then => format!("{then:?}").split([' ', '(']).next().unwrap().to_owned(),
    };
    asked.chain([then]).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_match_that_the_ir_cannot_say_is_a_question() {
    for (table, line, said) in [
        ("filter", "-p icmp -j ACCEPT", "icmp, Accept"),
        ("filter", "! -p esp -j ACCEPT", "! esp, Accept"),
        ("filter", "-p 103 -j ACCEPT", "pim, Accept"),
        ("filter", "-p icmp -m icmp --icmp-type 8 -j DROP", "icmp, -m icmp --icmp-type 8, Drop"),
        ("filter", "-p icmp --icmp-type 8 -j DROP", "icmp, -m icmp --icmp-type 8, Drop"),
        ("filter", "-p sctp -m sctp --dport 22 -j DROP", "sctp, -m sctp --dport 22, Drop"),
        (
            "filter",
            "-p sctp -m multiport --dports 22,23 -j DROP",
            "sctp, -m multiport --dports 22,23, Drop",
        ),
        ("filter", "-p tcp --dprot 80 -j DROP", "tcp, -m tcp --dprot 80 ?, Drop"),
        (
            "filter",
            "-m limit --limit 1/s --burst 2 -j DROP",
            "-m limit --limit 1/s --burst 2 own usual ?, Drop",
        ),
        ("filter", "-p tcp --syn -j DROP", "tcp, -m tcp --syn usual, Drop"),
        (
            "filter",
            "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP",
            "tcp, CtState, ! -m tcp --tcp-flags FIN,SYN,RST,ACK SYN usual, Drop",
        ),
        (
            "nat",
            "-m comment --comment \"a b\" -m statistic --mode random --probability 0.5 -j OTHER",
            "-m statistic --mode random --probability 0.5 own, Jump",
        ),
        ("filter", "-m limit --limit 1/s -j ACCEPT", "-m limit --limit 1/s own usual, Accept"),
        (
            "filter",
            "-m conntrack ! --ctstate DNAT --ctproto tcp -j DROP",
            "! -m conntrack --ctstate DNAT ?, -m conntrack --ctproto tcp ?, Drop",
        ),
        ("filter", "-m addrtype --dst-type LOCAL -j DROP", "Local, Drop"),
        (
            "filter",
            "-m addrtype ! --dst-type LOCAL --limit-iface-in -j DROP",
            "-m addrtype ! --dst-type LOCAL --limit-iface-in ?, Drop",
        ),
        ("filter", "-m set --match-set a src,dst -j DROP", "-m set --match-set a src,dst ?, Drop"),
        ("filter", "-m set ! --match-set a src -j DROP", "InSet, Drop"),
        (
            "filter",
            "-p tcp -m addrtype --dst-type LOCAL --dport 1 -j DROP",
            "tcp, Port, Local, Drop",
        ),
        ("mangle", "-m socket --transparent -j DROP", "TransparentSocket, Drop"),
        (
            "mangle",
            "-m socket --transparent --nowildcard -j DROP",
            "-m socket --transparent --nowildcard ?, Drop",
        ),
        ("filter", "-m iprange --src-range 10.0.0.1-10.0.0.9 -j DROP", "Address, Drop"),
        (
            "filter",
            "-m physdev --physdev-is-bridged ! -d 10.0.0.1 -j DROP",
            "Address, -m physdev --physdev-is-bridged ?, Drop",
        ),
        (
            "filter",
            "-m bpf --bytecode \"4,48 0 0\" -j DROP",
            "-m bpf --bytecode \"4,48 0 0\" own ?, Drop",
        ),
        ("filter", "! -f -j DROP", "! -f, Drop"),
    ] {
        assert_eq!(told(table, line), said, "{line}");
    }
}

#[test]
fn a_target_that_the_ir_cannot_say_is_an_outcome_of_its_own() {
    for (table, line, said) in [
        ("nat", "-j MASQUERADE", "MASQUERADE Translates"),
        ("nat", "-j MASQUERADE --random-fully", "MASQUERADE --random-fully Translates"),
        ("nat", "-p tcp -j REDIRECT", "tcp, REDIRECT Translates"),
        ("nat", "-p tcp -j REDIRECT --to-ports 1-2", "tcp, REDIRECT --to-ports 1-2 Translates"),
        ("nat", "-p tcp -j REDIRECT --to-ports 1 --random", "tcp, Redirect"),
        (
            "nat",
            "-j SNAT --to-source 10.0.0.1-10.0.0.9",
            "SNAT --to-source 10.0.0.1-10.0.0.9 Translates",
        ),
        (
            "nat",
            "-p tcp -j DNAT --to-destination 10.0.0.1:53-54",
            "tcp, DNAT --to-destination 10.0.0.1:53-54 Translates",
        ),
        ("nat", "-j DNAT --to-destination 10.0.0.1 --persistent", "Dnat"),
        ("nat", "-j NETMAP --to 10.0.0.0/24", "NETMAP --to 10.0.0.0/24 Translates"),
        ("nat", "-j MARK --set-xmark 0x4000/0x4000", "SetMark"),
        ("raw", "-j MARK --or-mark 0x1", "SetMark"),
        ("raw", "-m conntrack --ctstate NEW -j DROP", "CtState, Drop"),
        (
            "filter",
            "-j REJECT --reject-with icmp-port-unreachable",
            "REJECT --reject-with icmp-port-unreachable Takes",
        ),
        ("filter", "-j NFQUEUE --queue-num 3", "NFQUEUE --queue-num 3 Takes"),
        ("filter", "-j NFLOG --nflog-prefix \"a b\"", "NFLOG --nflog-prefix \"a b\" Stays"),
        ("mangle", "-j TCPMSS --clamp-mss-to-pmtu", "TCPMSS --clamp-mss-to-pmtu Stays"),
        (
            "mangle",
            "-p tcp -j TPROXY --on-port 1 --on-ip 127.0.0.1 --tproxy-mark 0x200/0xffffffff",
            "tcp, TPROXY --on-port 1 --on-ip 127.0.0.1 --tproxy-mark 0x200/0xffffffff Unknown",
        ),
        ("raw", "-j NOTRACK", "Notrack"),
        ("raw", "-j CT --notrack", "Notrack"),
        ("raw", "-j CT --helper ftp", "CT --helper ftp Unknown"),
        ("nat", "-j FULLCONENAT --to-ports 1", "FULLCONENAT --to-ports 1 Unknown"),
        ("nat", "-j FULLCONENAT", "FULLCONENAT Unknown"),
    ] {
        assert_eq!(told(table, line), said, "{line}");
    }
}

#[test]
fn what_is_left_out_may_take_every_packet() {
    let text = "*nat\n:DOCKER - [0:0]\n-A OUTPUT -j DOCKER\n-A OUTPUT -p tcp -j DROP\n\
        -A DOCKER -m something -j RETURN\nCOMMIT\n";
    let options =
        Options { leave_out: ["DOCK*".to_owned(), "typo".to_owned()].into(), ..Options::default() };
    let found = read(Some(text), None, &options).unwrap();
    assert_eq!(found.left_out, ["chain DOCKER of nat"]);
    assert_eq!(found.unused, ["typo".to_owned()].into());
    let chains: Vec<_> = found.ruleset.tables[0].chains.iter().map(|it| it.rules.len()).collect();
    assert_eq!(chains, [2, 1]);
    let Action::Opaque(Target { text, effect: Effect::Unknown(condition) }) =
        &found.ruleset.tables[0].chains[1].rules[0].then
    else {
        panic!("{found:?}")
    };
    assert_eq!((&**text, condition.is_understood), ("chain DOCKER of nat, left out", false));
}

#[test]
fn a_policy_ends_a_built_in_chain() {
    let text = "*filter\n:INPUT DROP [0:0]\n:OUTPUT DROP [0:0]\n-A INPUT -p tcp -j RETURN\n\
        -A OUTPUT -p tcp -j ACCEPT\nCOMMIT\n";
    let found = read(Some(text), None, &Options::default()).unwrap();
    let chains = &found.ruleset.tables[0].chains;
    let told: Vec<_> = chains
        .iter()
        .map(|chain| (chain.name.as_str(), chain.rules.iter().map(|it| &it.then).collect()))
        .collect::<Vec<(_, Vec<_>)>>();
    let rules = Name::new("INPUT-rules-4").unwrap();
    assert_eq!(
        told,
        [
            ("input", vec![&Action::Jump(rules), &Action::Drop]),
            ("output", vec![&Action::Accept, &Action::Drop]),
            ("INPUT-rules-4", vec![&Action::Return]),
        ]
    );
}

#[test]
fn the_same_question_has_the_same_answer_unless_chance_decides() {
    let asked = |lines: &str| -> Vec<bool> {
        let text = format!("*mangle\n:A - [0:0]\n{lines}\nCOMMIT\n");
        let found = read(Some(&text), None, &Options::default()).unwrap();
        let conditions: Vec<_> = found.ruleset.tables[0]
            .chains
            .iter()
            .flat_map(|chain| &chain.rules)
            .flat_map(|rule| &rule.when)
            .filter_map(|when| match when {
                Match::Opaque { condition, .. } => Some(condition),
                _ => None,
            })
            .collect();
        conditions.windows(2).map(|pair| pair[0] == pair[1]).collect()
    };
    let dscp = "-A A -m dscp --dscp 0x01 -j DROP\n-A OUTPUT -m dscp --dscp 0x01 -j DROP";
    assert_eq!(asked(dscp), [true]);
    assert_eq!(asked(&format!("{dscp}\n-A A -j DSCP --set-dscp 0x01")), [false]);
    let limit = "-A A -m limit --limit 1/s -j DROP";
    assert_eq!(asked(&format!("{limit}\n{limit}")), [false]);
}
