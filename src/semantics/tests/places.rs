//! Where chains run, and what they see there: the kernel's facts, one by one.

use std::fmt::Write;

use crate::ir::Ruleset;
use crate::reader;
use crate::reader::nft::{Options, script};
use crate::semantics::{
    Arrival, Host, Limit, Packet, Translation, Verdict, compare, compare_beside, follow,
    order_dependent, run, runs,
};

fn rules(text: &str) -> Ruleset {
    let found = script(text, &Options::default());
    found.unwrap_or_else(|errors| panic!("{}\n{text}", errors[0])).ruleset
}

fn packet(text: &str) -> Packet {
    text.parse().unwrap_or_else(|bad| panic!("{text}: {bad}"))
}

fn iptables(text: &str) -> Ruleset {
    reader::iptables::read(Some(text), None, &reader::iptables::Options::default()).unwrap().ruleset
}

/// A table `t` with a chain for each pair of a type with its place, and a rule.
fn chains(chains: &[(&str, &str)]) -> Ruleset {
    let mut text = String::from("table inet t {\n");
    for (at, (base, rule)) in chains.iter().enumerate() {
        write!(text, "chain c{at} {{ type {base}; policy accept; {rule}\n}}\n").unwrap();
    }
    rules(&(text + "}\n"))
}

#[test]
fn translation_has_one_place_whatever_a_nat_chain_says() {
    let at = |filter: i32, nat: i32| {
        chains(&[
            (&format!("filter hook output priority {filter}"), "tcp dport 443 meta mark set 7"),
            (
                &format!("nat hook output priority {nat}"),
                "meta mark 7 meta l4proto tcp redirect to :9999",
            ),
        ])
    };
    let asked = packet("outbound tcp to 10.96.0.1:443");
    for (filter, nat, is_redirected) in
        [(-120, -150, true), (-150, -160, true), (-90, -150, false), (-90, 50, false)]
    {
        let outcome = run(&at(filter, nat), &asked).outcome;
        let redirected = Some(Translation::Redirect { port: 9999 });
        assert_eq!(outcome.translation == redirected, is_redirected, "{filter} {nat}");
    }
    assert_eq!(compare(&at(-120, -150), &at(-120, -100)), Ok(vec![]));
    assert_ne!(compare_beside(&at(-120, -150), &at(-120, -100), false), Ok(vec![]));
}

#[test]
fn what_runs_behind_a_translation_sees_the_translated_packet() {
    let behind = |hook: &str, rule: &str| {
        chains(&[
            ("nat hook output priority -100", "tcp dport 443 redirect to :15001"),
            (&format!("filter hook {hook} priority 10"), rule),
        ])
    };
    let asked = packet("outbound tcp to 10.96.0.1:443");
    let end = |ruleset: &Ruleset| follow(ruleset, &asked, &Host::default()).unwrap().arrival;
    let delivered = Arrival::Delivered { address: "127.0.0.1".parse().unwrap(), port: 15001 };
    for (hook, rule, dropped) in [
        ("output", "tcp dport 443 drop", false),
        ("output", "tcp dport 15001 drop", true),
        ("output", "tcp dport != 443 drop", true),
        ("output", "ip daddr 127.0.0.1 drop", true),
        // The interface of the hook stays.
        ("output", "oifname \"lo\" drop", false),
        ("output", "oifname \"eth0\" drop", true),
        ("postrouting", "oifname \"lo\" drop", true),
        ("postrouting", "tcp dport 15001 drop", true),
        ("postrouting", "tcp dport 443 drop", false),
        ("input", "iifname \"lo\" tcp dport 15001 drop", true),
        ("input", "tcp dport 443 drop", false),
        ("prerouting", "tcp dport 443 drop", false),
    ] {
        let expected = if dropped { Arrival::Dropped } else { delivered.clone() };
        assert_eq!(end(&behind(hook, rule)), expected, "{hook} {rule}");
    }
    // A destination of this machine's is reached over loopback, and another is not.
    for (to, rule, arrival) in [
        ("127.0.0.1:8600", "tcp dport 8600 oifname \"lo\" drop", Arrival::Dropped),
        ("127.0.0.1", "ip daddr != 127.0.0.1 drop", {
            Arrival::Delivered { address: "127.0.0.1".parse().unwrap(), port: 443 }
        }),
        ("10.0.34.16:53", "tcp dport 8600 drop", Arrival::Sent { interface: "eth0".to_owned() }),
        ("10.0.34.16:53", "ip daddr 10.0.34.16 tcp dport 53 drop", Arrival::Dropped),
    ] {
        let ruleset = chains(&[
            ("nat hook output priority -100", &format!("tcp dport 443 dnat ip to {to}")),
            ("filter hook output priority 0", "fib daddr type local accept"),
            ("filter hook postrouting priority 10", rule),
        ]);
        assert_eq!(end(&ruleset), arrival, "{to} {rule}");
    }
    // What comes in on a link does not get to a loopback address.
    let to_loopback = chains(&[("nat hook prerouting priority -100", "dnat ip to 127.0.0.1")]);
    let came = packet("inbound tcp to 10.0.0.7:443");
    assert_eq!(
        follow(&to_loopback, &came, &Host::default()).unwrap().arrival,
        Arrival::Martian { address: "127.0.0.1".parse().unwrap() }
    );
    // Nat chains are not asked again over loopback.
    let again = chains(&[
        ("nat hook output priority -100", "tcp dport 443 redirect to :15001"),
        ("nat hook prerouting priority -100", "tcp dport 15001 redirect to :9999"),
    ]);
    assert_eq!(end(&again), delivered);
}

#[test]
fn chains_that_tie_run_in_any_order() {
    let two = |first: &str, second: &str| {
        rules(&format!(
            "table inet a {{\nchain o {{ type nat hook output priority -100; {first}\n}}\n}}\n\
             table inet b {{\nchain o {{ type nat hook output priority -100; {second}\n}}\n}}\n"
        ))
    };
    let (to_1, to_2) = ("tcp dport 80 redirect to :1", "meta l4proto tcp redirect to :2");
    let tied = two(to_1, to_2);
    let asked = packet("outbound tcp to 10.96.0.1:80");
    let all = runs(&tied, &asked).unwrap();
    let ports: Vec<_> = all.iter().map(|(run, _)| run.outcome.translation.clone()).collect();
    let redirected = |port| Some(Translation::Redirect { port });
    assert_eq!(ports, [redirected(1), redirected(2)]);
    assert_eq!(all[1].1, ["chain o of table b was registered after chain o of table a"],);
    assert_eq!(order_dependent(&tied).unwrap().len(), 2, "each family once");
    // The same chains that tie are in the same order on both sides, and a tie that does not matter
    // is none.
    assert_eq!(compare(&tied, &tied), Ok(vec![]));
    assert_eq!(order_dependent(&two(to_1, "udp dport 53 redirect to :2")), Ok(vec![]));
    // In one order here and in the other there, they still differ.
    let [one, other] = [["x", "y"], ["y", "x"]].map(|[first, second]| {
        rules(&format!(
            "table inet a {{\nchain {first} {{ type filter hook output priority 0; \
             meta mark set {}\n}}\nchain {second} {{ type filter hook output priority 0; \
             meta mark set {}\n}}\n}}\n",
            u8::from(first == "x"),
            u8::from(second == "x"),
        ))
    });
    assert_ne!(compare(&one, &other), Ok(vec![]));
    // Within a table, the last chain was registered last.
    let one = chains(&[
        ("filter hook output priority 0", "meta mark set 1"),
        ("filter hook output priority 0", "meta mark set 2"),
    ]);
    assert_eq!(run(&one, &asked).outcome.mark, 1);
}

#[test]
fn a_packet_at_input_can_have_a_socket() {
    let owned = chains(&[("filter hook input priority 0", "meta skuid >= 0 drop")]);
    let differences = compare(&owned, &rules("table inet t { }")).unwrap();
    assert_eq!(differences[0].left.verdict, Verdict::Drop);
    assert!(differences[0].packet.to_string().contains("user"), "{}", differences[0].packet);
}

#[test]
fn every_interface_is_of_some_class() {
    let letters = ('0'..='9').chain('a'..='z').chain('A'..='Z');
    let excluded: Vec<_> = letters.map(|letter| format!("\"{letter}*\"")).collect();
    let excluded = format!("oifname {{ {} }} return", excluded.join(", "));
    let drop = "meta l4proto tcp drop";
    let with = chains(&[("filter hook output priority 0", &format!("{excluded}; {drop}"))]);
    let without = chains(&[("filter hook output priority 0", drop)]);
    let all = rules("table inet t { }");
    assert_ne!(compare(&with, &without), Ok(vec![]));
    let names: Vec<_> = compare(&with, &all)
        .unwrap()
        .into_iter()
        .filter_map(|difference| difference.packet.output)
        .collect();
    assert_eq!(names[0], "_");
}

#[test]
fn a_set_belongs_to_its_table() {
    let table = |name: &str, verdict: &str| {
        format!(
            "table ip {name} {{\nset s {{ type ipv4_addr; }}\n\
             chain o {{ type filter hook output priority 0; ip daddr @s {verdict}\n}}\n}}\n"
        )
    };
    let options = Options { filled: ["s".to_owned()].into_iter().collect(), ..Options::default() };
    let read = |text: &str| script(text, &options).unwrap().ruleset;
    let one = read(&table("a", "drop"));
    let two = read(&(table("a", "drop") + &table("b", "drop")));
    let differences = compare(&one, &two).unwrap();
    assert_eq!(differences[0].packet.sets.len(), 1);
    assert_eq!(differences[0].right.verdict, Verdict::Drop);
    assert!(differences[0].packet.to_string().contains("to-set b:s"), "{}", differences[0].packet);
}

#[test]
fn the_type_and_the_exact_priority_of_a_chain_count() {
    let mark = |kind: &str, priority: i32| {
        chains(&[(&format!("{kind} hook output priority {priority}"), "meta mark set 7")])
    };
    // Only a route chain routes again.
    assert_ne!(compare(&mark("route", -150), &mark("filter", -150)), Ok(vec![]));
    assert_eq!(compare(&mark("filter", -150), &mark("filter", -149)), Ok(vec![]));
    for other in [-149, 150, 0] {
        let beside = compare_beside(&mark("filter", -150), &mark("filter", other), false).unwrap();
        assert!(!beside.is_empty(), "{other}");
    }
}

#[test]
fn how_a_chain_that_others_share_is_left_counts() {
    let leaves = |rule: &str| {
        let text = format!("*nat\n:X - [0:0]\n-A OUTPUT {rule}\n-A X -p tcp -j RETURN\nCOMMIT\n");
        iptables(&text)
    };
    let (jump, goto) = (leaves("-j X"), leaves("-g X"));
    let (accept, nothing) = (leaves("-p tcp -j ACCEPT"), leaves("-p tcp"));
    for (one, other) in [(&jump, &goto), (&jump, &accept), (&nothing, &accept)] {
        assert_eq!(compare(one, other), Ok(vec![]));
        assert_eq!(compare_beside(one, other, false), Ok(vec![]));
        assert_ne!(compare_beside(one, other, true), Ok(vec![]));
    }
    assert_eq!(compare_beside(&jump, &nothing, true), Ok(vec![]));
}

#[test]
fn before_tracking_a_packet_has_no_connection() {
    let text = "*mangle\n-A PREROUTING -m conntrack --ctstate NEW -j DROP\nCOMMIT\n";
    let mut early = iptables(text);
    early.tables[0].chains[0].base.as_mut().unwrap().priority = -300;
    let asked = |text: &str| run(&early, &packet(text)).outcome.verdict;
    assert_eq!(asked("inbound tcp to 10.0.0.7:80"), Verdict::Accept);
    assert_eq!(asked("inbound tcp from 10.0.0.7 to 10.0.0.7:80 in lo"), Verdict::Drop);
}

/// `count` chains, each of which jumps to the next in both its rules.
fn twice(count: usize, rule: &str) -> Ruleset {
    let mut text = String::from("*mangle\n");
    for at in 0..count {
        writeln!(text, ":C{at} - [0:0]").unwrap();
    }
    text.push_str("-A OUTPUT -j C0\n");
    for at in 1..count {
        write!(text, "-A C{0} -j C{at}\n-A C{0} -p tcp -j C{at}\n", at - 1).unwrap();
    }
    write!(text, "-A C{} {rule}\nCOMMIT\n", count - 1).unwrap();
    iptables(&text)
}

#[test]
fn chains_that_call_one_another_are_summarised() {
    let drop = twice(60, "-p tcp --dport 80 -j DROP");
    let differences = compare(&drop, &twice(60, "-p tcp --dport 81 -j DROP")).unwrap();
    assert_eq!(differences.len(), 2);
    let mark = twice(60, "-p tcp --dport 80 -j MARK --set-mark 7");
    assert_eq!(compare(&mark, &mark), Ok(vec![]));
    // What changes with every visit cannot be summarised.
    let flip = twice(60, "-p tcp --dport 80 -j MARK --xor-mark 7");
    let other = twice(60, "-p tcp --dport 81 -j MARK --xor-mark 7");
    assert_eq!(compare(&flip, &other), Err(Limit::Rules));
    // What is built the same need not be walked through.
    assert_eq!(compare(&flip, &flip), Ok(vec![]));
    let deep = {
        let mut text = String::from("*mangle\n");
        for at in 0..2000 {
            writeln!(text, ":C{at} - [0:0]").unwrap();
        }
        text.push_str("-A OUTPUT -j C0\n");
        for at in 1..2000 {
            writeln!(text, "-A C{} -j C{at}", at - 1).unwrap();
        }
        text.push_str("-A C1999 -j DROP\nCOMMIT\n");
        iptables(&text)
    };
    assert!(matches!(compare(&deep, &deep), Err(Limit::Depth { .. })));
}

#[test]
fn marks_may_depend_on_marks() {
    let mut text = String::from("*mangle\n");
    for bit in 0..16 {
        let (from, to) = (1_u32 << bit, 1_u32 << (bit + 16));
        writeln!(text, "-A OUTPUT -m mark --mark {from:#x}/{from:#x} -j MARK --or-mark {to:#x}")
            .unwrap();
    }
    let marks = iptables(&(text.clone() + "COMMIT\n"));
    assert_eq!(compare(&marks, &marks), Ok(vec![]));
    let other = text.replacen("0x10000", "0x20000", 1);
    assert!(!compare(&marks, &iptables(&(other + "COMMIT\n"))).unwrap().is_empty());
}
