//! What is written for nft, and what is refused, as tables of facts.

use super::{Context, Legal, Options, Target, json, legal, script};
use crate::diag::Problem;
use crate::ir::{
    Action, AddressSet, Also, Base, Chain, ChainKind, ClauseText, Clauses, Direction, Hook,
    MarkChange, MaskPair, Match, Origin, Owner, OwnerIs, Protocol, Rule, Ruleset, Rung, Table,
};
use crate::lower::istio::rungs;
use crate::net::{Families, Family, Name, Nets, OnMiss, PortRange};
use crate::span::{Sources, Span};
use crate::{reader, semantics};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn rule(rung: Rung, when: Vec<Match>, then: Action) -> Rule {
    Rule {
        families: Families::Both,
        when,
        then,
        origin: Origin::new(rung, None),
        also: Also::NOTHING,
    }
}

fn base(kind: ChainKind, hook: Hook, rules: Vec<Rule>) -> Chain {
    let text = match hook {
        Hook::Prerouting => "prerouting",
        Hook::Input => "input",
        Hook::Forward => "forward",
        Hook::Output => "output",
        Hook::Postrouting => "postrouting",
    };
    Chain { name: name(text), base: Some(Base { kind, hook, priority: -100 }), rules }
}

fn table(text: &str, families: Families, chains: Vec<Chain>) -> Ruleset {
    let table = Table { name: name(text), families, sets: Vec::new(), chains };
    Ruleset { tables: vec![table] }
}

fn tcp() -> Match {
    Match::Protocol { protocol: Protocol::Tcp, not: false }
}

/// How many things of `ruleset` nft cannot say.
fn unsupported(ruleset: &Ruleset) -> usize {
    legal(ruleset, Target::OLDEST).map_or_else(|problems| problems.len(), |_| 0)
}

fn ports(ranges: &[(u16, u16)]) -> Match {
    let range = |&(first, last): &_| PortRange::new(first, last).unwrap();
    let ports = ranges.iter().map(range).collect();
    Match::Port { of: Direction::Destination, ports, not: false }
}

fn to(nets: &[&str]) -> Match {
    let nets = nets.iter().map(|net| net.parse().unwrap()).collect();
    Match::Address { of: Direction::Destination, nets: Nets::Ipv4(nets), not: false }
}

/// Everything that a script can have, once.
fn sample() -> (Ruleset, Clauses) {
    let (clause, clauses) = said("reviews", "outbound exclude port 1");
    let odd: Vec<_> = (0..9).map(|at| (at * 2 + 1, at * 2 + 1)).collect();
    let nets: Vec<_> = (0..9).map(|at| format!("10.{at}.0.0/{}", 16 + at)).collect();
    let nets: Vec<_> = nets.iter().map(String::as_str).collect();
    let tproxy = Action::Tproxy { port: 15006, mark: MarkChange::set(1337), on_miss: OnMiss::Drop };
    let mut rules = vec![
        rule(Rung::ENTRY, vec![], Action::Jump(name("istio-output"))),
        rule(rungs::OUTBOUND_EXCLUDED_PORT, vec![ports(&odd)], Action::Return),
        rule(rungs::OUTBOUND_EXCLUDED_PORT, vec![tcp(), ports(&odd)], Action::Return),
        rule(rungs::EXCLUDED_DESTINATION, vec![to(&nets)], Action::Return),
        rule(Rung::FOREIGN, vec![to(&nets[..2])], Action::Log),
        rule(Rung::TO_PROXY, vec![tcp()], tproxy),
    ];
    for rule in &mut rules[1..3] {
        rule.origin.clause = Some(clause);
    }
    rules[4].families = Families::Ipv4;
    let chain = Chain { name: name("istio-output"), base: None, rules: Vec::new() };
    let base = base(ChainKind::Filter, Hook::Prerouting, rules);
    (table("istio-proxy-mangle", Families::Both, vec![base, chain]), clauses)
}

/// A clause of a policy, and where it stands.
fn said(policy: &str, words: &str) -> (Span, Clauses) {
    let file = Sources::default().add("reviews.weir", "");
    let span = Span { file, start: 20, end: 34 };
    let text = ClauseText { policy: policy.to_owned(), words: words.to_owned() };
    (span, Clauses::from_iter([(span, text)]))
}

fn written(print: fn(&Legal, &Context<'_>, &Options) -> String, options: &Options) -> String {
    let (ruleset, clauses) = sample();
    let (policy, owned) = (name("reviews"), [name("istio-proxy-raw")]);
    let legal = legal(&ruleset, options.target).unwrap();
    print(&legal, &Context { policy: &policy, owned: &owned, clauses: &clauses }, options)
}

#[test]
fn a_script() {
    insta::assert_snapshot!(written(script, &Options::default()), @r#"
        # Policy `reviews`, compiled by weir. Edit the policy, not this file.
        # `nft -f` loads all of it, or nothing, in the place of every earlier version. (`add` first:
        # `delete` fails for a table that is not there.)
        add table inet istio-proxy-raw; delete table inet istio-proxy-raw
        add table ip istio-proxy-raw; delete table ip istio-proxy-raw
        add table ip6 istio-proxy-raw; delete table ip6 istio-proxy-raw
        add table inet istio-proxy-mangle; delete table inet istio-proxy-mangle
        add table ip istio-proxy-mangle; delete table ip istio-proxy-mangle
        add table ip6 istio-proxy-mangle; delete table ip6 istio-proxy-mangle

        table inet istio-proxy-mangle {
            set o2-excluded-ports {
                type inet_service
                elements = {
                    1,  3,  5,  7,  9,  11, 13, 15, 17
                }
            }

            set o8-excluded-destination-ipv4 {
                type ipv4_addr
                flags interval
                elements = {
                    10.0.0.0/16, 10.1.0.0/17, 10.2.0.0/18, 10.3.0.0/19, 10.4.0.0/20,
                    10.5.0.0/21, 10.6.0.0/22, 10.7.0.0/23, 10.8.0.0/24
                }
            }

            chain prerouting {
                type filter hook prerouting priority -100; policy accept;
                counter jump istio-output
                meta l4proto { tcp, udp } th dport @o2-excluded-ports counter return \
                    comment "O2 excluded port (reviews: outbound exclude port 1)"
                tcp dport @o2-excluded-ports counter return \
                    comment "O2 excluded port (reviews: outbound exclude port 1)"
                ip daddr @o8-excluded-destination-ipv4 counter return comment "O8 excluded destination"
                ip daddr { 10.0.0.0/16, 10.1.0.0/17 } counter log
                meta l4proto tcp counter tproxy to :15006 meta mark set 0x539 accept
                meta l4proto tcp counter drop comment "no transparent proxy listens: dropped"
            }

            chain istio-output {
            }
        }
        "#);
}

#[test]
fn a_script_without_counters_and_comments() {
    let options = Options { counters: false, comments: false, ..Options::default() };
    let script = written(script, &options);
    assert!(!script.contains("counter") && !script.contains("comment \""), "{script}");
    assert!(
        script.contains("# O2 excluded port: untouched (reviews: outbound exclude port 1)\n"),
        "{script}"
    );
}

#[test]
fn json_has_the_same_commands() {
    insta::assert_snapshot!(written(json, &Options::default()), @r#"
        {"nftables": [
        {"metainfo":{"json_schema_version":1}},
        {"add":{"table":{"family":"inet","name":"istio-proxy-raw"}}},
        {"delete":{"table":{"family":"inet","name":"istio-proxy-raw"}}},
        {"add":{"table":{"family":"ip","name":"istio-proxy-raw"}}},
        {"delete":{"table":{"family":"ip","name":"istio-proxy-raw"}}},
        {"add":{"table":{"family":"ip6","name":"istio-proxy-raw"}}},
        {"delete":{"table":{"family":"ip6","name":"istio-proxy-raw"}}},
        {"add":{"table":{"family":"inet","name":"istio-proxy-mangle"}}},
        {"delete":{"table":{"family":"inet","name":"istio-proxy-mangle"}}},
        {"add":{"table":{"family":"ip","name":"istio-proxy-mangle"}}},
        {"delete":{"table":{"family":"ip","name":"istio-proxy-mangle"}}},
        {"add":{"table":{"family":"ip6","name":"istio-proxy-mangle"}}},
        {"delete":{"table":{"family":"ip6","name":"istio-proxy-mangle"}}},
        {"add":{"table":{"family":"inet","name":"istio-proxy-mangle"}}},
        {"add":{"set":{"family":"inet","table":"istio-proxy-mangle","name":"o2-excluded-ports","type":"inet_service","elem":[1,3,5,7,9,11,13,15,17]}}},
        {"add":{"set":{"family":"inet","table":"istio-proxy-mangle","name":"o8-excluded-destination-ipv4","type":"ipv4_addr","flags":["interval"],"elem":[{"prefix":{"addr":"10.0.0.0","len":16}},{"prefix":{"addr":"10.1.0.0","len":17}},{"prefix":{"addr":"10.2.0.0","len":18}},{"prefix":{"addr":"10.3.0.0","len":19}},{"prefix":{"addr":"10.4.0.0","len":20}},{"prefix":{"addr":"10.5.0.0","len":21}},{"prefix":{"addr":"10.6.0.0","len":22}},{"prefix":{"addr":"10.7.0.0","len":23}},{"prefix":{"addr":"10.8.0.0","len":24}}]}}},
        {"add":{"chain":{"family":"inet","table":"istio-proxy-mangle","name":"prerouting","type":"filter","hook":"prerouting","prio":-100,"policy":"accept"}}},
        {"add":{"chain":{"family":"inet","table":"istio-proxy-mangle","name":"istio-output"}}},
        {"add":{"rule":{"family":"inet","table":"istio-proxy-mangle","chain":"prerouting","expr":[{"counter":null},{"jump":{"target":"istio-output"}}]}}},
        {"add":{"rule":{"family":"inet","table":"istio-proxy-mangle","chain":"prerouting","expr":[{"match":{"op":"==","left":{"meta":{"key":"l4proto"}},"right":{"set":["tcp","udp"]}}},{"match":{"op":"==","left":{"payload":{"protocol":"th","field":"dport"}},"right":"@o2-excluded-ports"}},{"counter":null},{"return":null}],"comment":"O2 excluded port (reviews: outbound exclude port 1)"}}},
        {"add":{"rule":{"family":"inet","table":"istio-proxy-mangle","chain":"prerouting","expr":[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":"@o2-excluded-ports"}},{"counter":null},{"return":null}],"comment":"O2 excluded port (reviews: outbound exclude port 1)"}}},
        {"add":{"rule":{"family":"inet","table":"istio-proxy-mangle","chain":"prerouting","expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"daddr"}},"right":"@o8-excluded-destination-ipv4"}},{"counter":null},{"return":null}],"comment":"O8 excluded destination"}}},
        {"add":{"rule":{"family":"inet","table":"istio-proxy-mangle","chain":"prerouting","expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"daddr"}},"right":{"set":[{"prefix":{"addr":"10.0.0.0","len":16}},{"prefix":{"addr":"10.1.0.0","len":17}}]}}},{"counter":null},{"log":null}]}}},
        {"add":{"rule":{"family":"inet","table":"istio-proxy-mangle","chain":"prerouting","expr":[{"match":{"op":"==","left":{"meta":{"key":"l4proto"}},"right":"tcp"}},{"counter":null},{"tproxy":{"port":15006}},{"mangle":{"key":{"meta":{"key":"mark"}},"value":1337}},{"accept":null}]}}},
        {"add":{"rule":{"family":"inet","table":"istio-proxy-mangle","chain":"prerouting","expr":[{"match":{"op":"==","left":{"meta":{"key":"l4proto"}},"right":"tcp"}},{"counter":null},{"drop":null}],"comment":"no transparent proxy listens: dropped"}}}
        ]}
        "#);
}

#[test]
fn a_comment_says_as_much_of_the_clause_as_fits_in_its_line() {
    let long = "l".repeat(Name::MAX_LEN);
    let (short, middle) = ("exclude port 1".to_owned(), format!("exclude to {}", "1".repeat(60)));
    let endless = "1".repeat(120);
    for (policy, words, comment) in [
        ("reviews", &short, "O2 excluded port (reviews: exclude port 1)".to_owned()),
        (&long[..50], &short, format!("O2 ({}: exclude port 1)", &long[..50])),
        (&long, &short, "O2 excluded port (exclude port 1)".to_owned()),
        ("reviews", &middle, format!("O2 ({middle})")),
        ("reviews", &endless, "O2 excluded port".to_owned()),
    ] {
        let (clause, clauses) = said(policy, words);
        let mut rule = rule(rungs::OUTBOUND_EXCLUDED_PORT, vec![ports(&[(1, 1)])], Action::Return);
        rule.origin.clause = Some(clause);
        let chain = base(ChainKind::Filter, Hook::Output, vec![rule]);
        let ruleset = table("istio-proxy-nat", Families::Both, vec![chain]);
        let policy = name("x");
        let context = Context { policy: &policy, owned: &[], clauses: &clauses };
        let script =
            script(&legal(&ruleset, Target::OLDEST).unwrap(), &context, &Options::default());
        assert!(script.contains(&format!(" comment \"{comment}\"\n")), "{script}");
    }
}

/// All of a mark, from nothing.
const NOTHING: MaskPair = MaskPair { packet: u32::MAX, connection: 0 };

#[test]
fn nothing_of_a_connection_mark_is_read_all_the_same() {
    // Without a connection, the packet mark stays; a connection mark that is not there cannot.
    for (action, statement) in [
        (Action::RestoreMark(NOTHING), "meta mark set ct mark & 0x0"),
        (
            Action::RestoreMark(MaskPair { packet: 0xff, connection: 0 }),
            "meta mark set meta mark & 0xffffff00 | ct mark & 0x0",
        ),
        (Action::SaveMark(MaskPair { packet: 0, connection: u32::MAX }), "ct mark set 0x0"),
        (
            Action::SaveMark(MaskPair { packet: 0, connection: 0xff }),
            "ct mark set ct mark & 0xffffff00",
        ),
    ] {
        let rules = vec![rule(Rung::FOREIGN, vec![], action)];
        let chain = base(ChainKind::Filter, Hook::Output, rules);
        let ruleset = table("istio-proxy-mangle", Families::Both, vec![chain]);
        let (policy, clauses) = (name("x"), Clauses::default());
        let context = Context { policy: &policy, owned: &[], clauses: &clauses };
        let legal = legal(&ruleset, "1.1.2".parse().unwrap()).unwrap();
        let script = script(&legal, &context, &Options::default());
        assert!(script.contains(&format!(" counter {statement}\n")), "{script}");
        let json = json(&legal, &context, &Options::default());
        let read = reader::nft::json(&json, &reader::nft::Options::default()).unwrap().ruleset;
        assert_eq!(semantics::compare(&ruleset, &read), Ok(vec![]), "{json}");
    }
}

#[test]
fn what_nft_cannot_say_is_reported_once_for_each_clause() {
    let mut sources = Sources::default();
    let file = sources.add("a", "clause other");
    let at = |start, end| Some(Span { file, start, end });
    let partial = MaskPair { packet: 0xff, connection: 0xff };
    let into_nothing = MaskPair { packet: 0, connection: 0xff };
    let full = MaskPair { packet: 0xff, connection: u32::MAX };
    let with = |then, clause| Rule {
        origin: Origin::new(Rung::FOREIGN, clause),
        also: Also::NOTHING,
        ..rule(Rung::FOREIGN, vec![], then)
    };
    let chain = base(
        ChainKind::Filter,
        Hook::Output,
        vec![
            with(Action::SaveMark(partial), at(0, 6)),
            with(Action::SaveMark(partial), at(0, 6)),
            with(Action::RestoreMark(partial), at(7, 12)),
            with(Action::RestoreMark(into_nothing), None),
            with(Action::SaveMark(into_nothing), None),
            with(Action::SaveMark(full), None),
            with(Action::RestoreMark(NOTHING), None),
            with(Action::SaveMark(MaskPair { packet: 0, connection: 0xff }), None),
        ],
    );
    let ruleset = table("istio-proxy-nat", Families::Both, vec![chain]);
    let problem = |target: &str| Problem::Unsupported {
        target: target.to_owned(),
        what: "copying some bits of a mark needs nft 1.1.2".to_owned(),
    };
    let found = |at| problem("nft 1.0.1").of(at);
    let partial = [found(at(0, 6)), found(at(7, 12)), found(None)];
    assert_eq!(legal(&ruleset, Target::OLDEST).unwrap_err(), partial);
    assert_eq!(legal(&ruleset, "1.1.1".parse().unwrap()).unwrap_err().len(), 3);
    assert!(legal(&ruleset, "1.1.2".parse().unwrap()).is_ok());
}

#[test]
fn a_socket_is_known_only_by_the_first_packet_of_a_tcp_connection() {
    let socket = Match::SocketExists { not: false };
    let host = |when: Vec<Match>, hooks: &[(ChainKind, Hook)]| {
        let enter = |&(kind, hook)| {
            let jump = rule(Rung::ENTRY, vec![], Action::Jump(name("istio-postrouting")));
            base(kind, hook, vec![jump])
        };
        let mut chains: Vec<_> = hooks.iter().map(enter).collect();
        let rules = vec![rule(rungs::HOST_PROBE, when, Action::Accept)];
        chains.push(Chain { name: name("istio-postrouting"), base: None, rules });
        unsupported(&table("istio-ambient-nat", Families::Both, chains))
    };
    let postrouting = (ChainKind::Nat, Hook::Postrouting);
    assert_eq!(host(vec![tcp(), socket.clone()], &[postrouting]), 0);
    assert_eq!(host(vec![ports(&[(1, 9)]), socket.clone()], &[postrouting]), 1);
    let filter = (ChainKind::Filter, Hook::Postrouting);
    assert_eq!(host(vec![tcp(), socket.clone()], &[filter]), 1);
    let output = (ChainKind::Nat, Hook::Output);
    assert_eq!(host(vec![tcp(), socket], &[postrouting, output]), 1);
}

#[test]
fn names_that_nft_could_read_as_words_of_its_own_are_reported() {
    for (chain, count) in [
        ("istio-output", 0),
        ("ISTIO_OUTPUT", 0),
        ("Log", 0),
        ("prerouting", 0),
        ("pods-v4", 0),
        ("log", 1),
        ("auto-merge", 1),
        ("ip6", 1),
    ] {
        let chain = Chain { name: name(chain), base: None, rules: Vec::new() };
        let ruleset = table("istio-proxy-nat", Families::Both, vec![chain.clone()]);
        assert_eq!(unsupported(&ruleset), count, "{}", chain.name);
    }
}

#[test]
fn jumps_nest_sixteen_deep() {
    let nested = |depth: usize| {
        let chains = (1..=depth).map(|at| {
            let next = Action::Jump(name(&format!("istio-{}", at + 1)));
            let rules = if at < depth { vec![rule(Rung::ENTRY, vec![], next)] } else { vec![] };
            if at == 1 {
                base(ChainKind::Filter, Hook::Output, rules)
            } else {
                Chain { name: name(&format!("istio-{at}")), base: None, rules }
            }
        });
        table("istio-proxy-nat", Families::Both, chains.collect())
    };
    assert_eq!(unsupported(&nested(16)), 0);
    assert_eq!(unsupported(&nested(17)), 1);
    // In a circle, which is not a ruleset, there is an end too.
    let mut circle = nested(2);
    circle.tables[0].chains[1].rules =
        vec![rule(Rung::ENTRY, vec![], Action::Goto(name("istio-2")))];
    assert_eq!(unsupported(&circle), 1);
}

#[test]
fn a_table_with_sets_of_others_stays_and_has_no_others() {
    let set = name("istio-inpod-probes-v4");
    let ids = OwnerIs::In((0..20).map(|at| (at * 10, at * 10)).collect());
    let when = vec![
        tcp(),
        Match::InSet { of: Direction::Destination, set: set.clone(), not: false },
        Match::Owner { owner: Owner::User, is: ids },
    ];
    let snat = rule(rungs::HOST_PROBE, when, Action::Snat { to: [169, 254, 7, 127].into() });
    let chain = base(ChainKind::Nat, Hook::Postrouting, vec![snat]);
    let mut ruleset = table("istio-ambient-nat", Families::Ipv4, vec![chain]);
    ruleset.tables[0].sets = vec![AddressSet { name: set, family: Family::Ipv4 }];
    let (policy, owned) = (name("node"), [name("istio-ambient-nat")]);
    let clauses = Clauses::default();
    let context = Context { policy: &policy, owned: &owned, clauses: &clauses };
    insta::assert_snapshot!(script(&legal(&ruleset, Target::OLDEST).unwrap(), &context, &Options::default()), @r#"
        # Policy `node`, compiled by weir. Edit the policy, not this file.
        # `nft -f` loads all of it, or nothing, in the place of every earlier version. (`add` first:
        # `delete` fails for a table that is not there.)
        add table inet istio-ambient-nat; delete table inet istio-ambient-nat
        add table ip6 istio-ambient-nat; delete table ip6 istio-ambient-nat

        # Others fill sets of this table, so it stays; its chains are replaced.
        add table ip istio-ambient-nat; flush table ip istio-ambient-nat
        add set ip istio-ambient-nat istio-inpod-probes-v4 { type ipv4_addr; }
        add chain ip istio-ambient-nat postrouting; delete chain ip istio-ambient-nat postrouting
        table ip istio-ambient-nat {
            chain postrouting {
                type nat hook postrouting priority -100; policy accept;
                meta l4proto tcp meta skuid { 0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150, 160, 170, 180, 190 } ip daddr @istio-inpod-probes-v4 counter \
                    snat to 169.254.7.127 comment "H1 probe"
            }
        }
        "#);
}

#[test]
fn a_long_list_of_one_length_is_a_set_of_first_addresses() {
    let nets: Vec<String> = (0..65).map(|at| format!("10.1.{}.0/24", 2 * at)).collect();
    let nets: Vec<&str> = nets.iter().map(String::as_str).collect();
    let rules = vec![rule(rungs::EXCLUDED_DESTINATION, vec![to(&nets)], Action::Return)];
    let chain = base(ChainKind::Nat, Hook::Output, rules);
    let ruleset = table("istio-proxy-nat", Families::Both, vec![chain]);
    let (policy, clauses) = (name("web"), Clauses::default());
    let context = Context { policy: &policy, owned: &[], clauses: &clauses };
    let (legal, options) = (legal(&ruleset, Target::OLDEST).unwrap(), Options::default());
    let text = script(&legal, &context, &options);
    for line in [
        "    set o8-excluded-destination-ipv4-24 {\n        type ipv4_addr\n        size 256\n",
        "            10.1.0.0,   10.1.2.0,",
        "        ip daddr & 255.255.255.0 == @o8-excluded-destination-ipv4-24 counter return",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let text = json(&legal, &context, &options);
    for part in [
        r#""type":"ipv4_addr","size":256,"elem":["10.1.0.0","10.1.2.0","#,
        r#""left":{"&":[{"payload":{"protocol":"ip","field":"daddr"}},"255.255.255.0"]}"#,
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}
