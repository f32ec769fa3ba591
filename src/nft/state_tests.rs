//! What an update does to tables that are loaded, as nft and the kernel do it (nft 1.0.6, Linux 6.18).

use super::terms::Value;
use super::{Reads, State, text};

const LISTED: &str = "table inet t { # handle 1
        set s { # handle 2
            type ipv4_addr
            flags interval
            elements = { 10.0.0.0/8, 11.0.0.0/24 }
        }
        set a { # handle 3
            type ipv4_addr
            elements = { 192.0.2.1 }
        }
        chain c { # handle 4
            type filter hook output priority filter; policy accept;
            counter packets 1 bytes 2 jump d # handle 6
            ip daddr @s drop comment \"# handle 9\" # handle 7
        }
        chain d { # handle 5
            return # handle 8
        }
    }
";

/// The rules, and what sets hold, behind an update of what is listed; or what is wrong with it.
fn updated(update: &str) -> String {
    let (listed, errors) = text::read(LISTED, &|_, _| Reads::All);
    assert_eq!(errors, []);
    let (script, errors) = text::read_update(update);
    assert_eq!(errors, []);
    let mut errors = Vec::new();
    let state = script.apply(listed.apply(State::default(), false, &mut errors), true, &mut errors);
    if let Some(error) = errors.first() {
        return format!("! {error}");
    }
    let mut words = Vec::new();
    for table in &state.tables {
        for chain in &table.chains {
            let rules = chain.rules.iter().map(|rule| format!("{rule}"));
            words.push(format!("{}: {}", chain.name, rules.collect::<Vec<_>>().join("; ")));
        }
        for set in &table.sets {
            let values = set.values.iter().copied().flatten().map(Value::key);
            words.push(format!("{}: {}", set.set.name, values.collect::<Vec<_>>().join(", ")));
        }
    }
    words.join("\n")
}

const LOADED: [&str; 4] = [
    "c: counter jump d; ip daddr @s drop comment \"# handle 9\"",
    "d: return",
    "s: 10.0.0.0/8, 11.0.0.0/24",
    "a: 192.0.2.1",
];

#[test]
fn rules_are_named_by_the_handles_that_were_listed() {
    assert_eq!(updated(""), LOADED.join("\n"));
    for (update, chain) in [
        ("delete rule inet t c handle 6", "c: ip daddr @s drop comment \"# handle 9\""),
        ("delete rule inet t c handle 7", "c: counter jump d"),
        (
            "insert rule inet t c handle 7 accept; insert rule inet t c handle 7 return",
            "c: counter jump d; accept; return; ip daddr @s drop comment \"# handle 9\"",
        ),
        (
            "add rule inet t c handle 6 accept",
            "c: counter jump d; accept; ip daddr @s drop comment \"# handle 9\"",
        ),
    ] {
        assert_eq!(updated(update), [&[chain], &LOADED[1..]].concat().join("\n"), "{update}");
    }
    for (update, why) in [
        ("delete rule inet t c handle 8", "no rule `8`"),
        ("delete rule inet t c handle 9", "no rule `9`"),
        ("delete rule inet t d handle 6", "no rule `6`"),
        ("insert rule inet t c handle 9 accept", "no rule `9`"),
        ("delete rule inet t c handle 7; insert rule inet t c handle 7 accept", "no rule `7`"),
        ("flush chain inet t d; delete chain inet t d", "`d` would be refused"),
        ("delete set inet t s", "`s` would be refused"),
    ] {
        assert!(updated(update).contains(why), "{update}: {}", updated(update));
    }
}

#[test]
fn elements_come_and_go_as_nft_lets_them() {
    for (update, set) in [
        ("add element inet t s { 10.0.0.0/8, 12.0.0.1 }", "s: 10.0.0.0/8, 11.0.0.0/24, 12.0.0.1"),
        (
            "delete element inet t s { 10.0.0.0/8 }; add element inet t s { 10.0.0.0/9 }",
            "s: 11.0.0.0/24, 10.0.0.0/9",
        ),
        ("flush set inet t s; add element inet t s { 10.0.0.0/9 }", "s: 10.0.0.0/9"),
    ] {
        let wanted = [&LOADED[..2], &[set], &LOADED[3..]].concat().join("\n");
        assert_eq!(updated(update), wanted, "{update}");
    }
    for (update, why) in [
        ("add element inet t s { 10.0.0.0/9 }", "`s` would be refused: an element overlaps"),
        ("add element inet t s { 10.1.1.1 }", "`s` would be refused: an element overlaps"),
        ("create element inet t s { 13.0.0.0/8 }", "`create element` would be refused"),
        ("create element inet t a { 192.0.2.1 }", "is there already"),
        ("delete element inet t s { 10.0.0.0/9 }", "the set does not have it"),
        ("delete element inet t a { 192.0.2.1, 192.0.2.2 }", "`192.0.2.2`"),
    ] {
        assert!(updated(update).contains(why), "{update}: {}", updated(update));
    }
}
