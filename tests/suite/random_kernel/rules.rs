//! Random rulesets, as the texts that nft and iptables load.

use std::collections::BTreeSet;
use std::fmt::Write;

use netweir::ir::Hook;
use netweir::net::Family;

use super::random::Random;
use crate::common::machine::{PORTS, PROXY, Text};

/// A kind of chain, and what a rule in it may do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Filter,
    Nat,
    Route,
}

/// The place of a rule.
#[derive(Clone, Copy)]
struct At {
    kind: Kind,
    hook: Hook,
    /// Before connections are looked up.
    is_untracked: bool,
    /// That of the rule's addresses.
    family: Family,
    /// Whether packets of both families meet the rule.
    is_inet: bool,
}

const MARKS: [u32; 6] = [0, 1, 1, 2, 0x11, 0x42];
/// Ports of a transparent proxy, of nobody, and of somebody who is not transparent.
const PROXIES: [u16; 4] = [PROXY, PROXY, 15_009, 15_001];
const USERS: [u32; 3] = [0, 1000, 1337];
const GROUPS: [u32; 3] = [0, 1337, 202];
const NETS: [[&str; 7]; 2] = [
    ["127.0.0.1", "127.0.0.0/8", "10.1.0.0/24", "10.2.0.2", "10.2.0.0/23", "192.0.2.8", "10.2.0.1"],
    ["::1", "fd01::/64", "fd02::/64", "fd02::2", "fd00::/14", "2001:db8::8", "fd02::1"],
];
/// Sets of networks that do not overlap.
const APART: [&str; 2] =
    ["{ 10.1.0.0/24, 10.2.0.2, 192.0.2.0/28 }", "{ fd01::/64, fd02::2, 2001:db8::/32 }"];
const SOURCES: [[&str; 4]; 2] = [
    ["10.2.0.1", "10.2.0.77", "10.3.0.1", "192.0.2.77"],
    ["fd02::1", "fd02::77", "fd03::1", "2001:db8::77"],
];

/// Rules of nft, of iptables, or both, in the order in which they are loaded.
pub(super) fn texts(random: &mut Random) -> Vec<Text> {
    let with = random.below(8);
    let mut texts = Vec::new();
    if matches!(with, 0..=3 | 6) {
        texts.push(Text::Nft(nft(random)));
    }
    if matches!(with, 3 | 5 | 6 | 7) {
        let variant = Text::Variant(Family::ALL.map(|family| iptables(random, family)));
        let at = random.below(texts.len() + 1);
        texts.insert(at, variant);
    }
    if matches!(with, 2 | 4 | 6 | 7) {
        // Its chains are registered as long as the namespace is there.
        texts.insert(0, Text::Legacy(Family::ALL.map(|family| iptables(random, family))));
    }
    texts
}

fn hook_name(hook: Hook) -> String {
    hook.built_in_chain().to_ascii_lowercase()
}

/// Where the chains of a ruleset are: mostly at few hooks and priorities, so that they meet.
struct Style {
    hooks: Vec<Hook>,
    priorities: [i32; 4],
}

impl Style {
    fn new(random: &mut Random) -> Self {
        let hooks: &[&[Hook]] = &[
            &[Hook::Output],
            &[Hook::Prerouting],
            &[Hook::Output, Hook::Input],
            &[Hook::Output, Hook::Postrouting],
            &[Hook::Prerouting, Hook::Input],
            &[Hook::Prerouting, Hook::Forward, Hook::Postrouting],
            &Hook::ALL,
        ];
        let near = [-300, -150, -100, 0, 100];
        let priorities = [0; 4].map(|_| random.pick(&near) + random.pick(&[-10, -1, 1, 10, 50]));
        Self { hooks: random.pick(hooks).to_vec(), priorities }
    }

    fn hook(&self, random: &mut Random, kind: Kind) -> Hook {
        match kind {
            Kind::Route => Hook::Output,
            Kind::Nat => loop {
                let hook = random.pick(&self.hooks);
                if hook != Hook::Forward {
                    return hook;
                }
            },
            Kind::Filter => random.pick(&self.hooks),
        }
    }
}

/// A priority that ties with no step of the kernel's own; it may tie with another chain's.
fn priority(random: &mut Random, style: &Style, kind: Kind) -> i32 {
    loop {
        let anywhere = i32::try_from(random.below(800)).unwrap() - 400;
        let priority = if random.chance(75) { random.pick(&style.priorities) } else { anywhere };
        let fits = match kind {
            // nft takes no nat chain before connections are looked up.
            Kind::Nat => priority > -200,
            Kind::Filter | Kind::Route => ![-200, -100, 100].contains(&priority),
        };
        if fits {
            return priority;
        }
    }
}

fn nft(random: &mut Random) -> String {
    let mut text = String::new();
    let style = Style::new(random);
    for table in 0..=random.below(3) {
        let (word, family) = random.pick(&[
            ("inet", None),
            ("inet", None),
            ("ip", Some(Family::Ipv4)),
            ("ip6", Some(Family::Ipv6)),
        ]);
        writeln!(text, "table {word} t{table} {{").unwrap();
        for chain in 0..=random.below(4) {
            let kind =
                random.pick(&[Kind::Filter, Kind::Filter, Kind::Nat, Kind::Nat, Kind::Route]);
            let hook = style.hook(random, kind);
            let priority = priority(random, &style, kind);
            let tracks = matches!(hook, Hook::Prerouting | Hook::Output);
            let is_untracked = tracks && priority <= -200;
            let is_inet = family.is_none();
            let family = family.unwrap_or(Family::Ipv4);
            let at = At { kind, hook, is_untracked, family, is_inet };
            nft_chain(&mut text, random, at, &format!("c{chain}"), priority);
        }
        text.push_str("}\n");
    }
    text
}

/// A base chain, and up to two that it leads to.
fn nft_chain(text: &mut String, random: &mut Random, at: At, name: &str, priority: i32) {
    let subs = random.below(3);
    let targets: Vec<String> = (0..subs).map(|sub| format!("{name}-{sub}")).collect();
    for sub in (0..subs).rev() {
        writeln!(text, " chain {} {{", targets[sub]).unwrap();
        for _ in 0..=random.below(3) {
            writeln!(text, "  {}", nft_rule(random, at, &targets[sub + 1..])).unwrap();
        }
        text.push_str(" }\n");
    }
    let kind = match at.kind {
        Kind::Filter => "filter",
        Kind::Nat => "nat",
        Kind::Route => "route",
    };
    let policy = if at.kind != Kind::Nat && random.chance(2) { "drop" } else { "accept" };
    writeln!(text, " chain {name} {{").unwrap();
    let hook = hook_name(at.hook);
    writeln!(text, "  type {kind} hook {hook} priority {priority}; policy {policy};").unwrap();
    for _ in 0..=random.below(4) {
        writeln!(text, "  {}", nft_rule(random, at, &targets)).unwrap();
    }
    text.push_str(" }\n");
}

/// `ip daddr == 10.0.0.0/8` or `ip daddr != 10.0.0.0/8`.
fn negated(random: &mut Random, field: &str, value: &str) -> String {
    format!("{field} {} {value}", if random.chance(30) { "!=" } else { "==" })
}

fn nft_rule(random: &mut Random, at: At, targets: &[String]) -> String {
    let mut words = Vec::new();
    let family = if at.is_inet { random.pick(&Family::ALL) } else { at.family };
    let at = At { family, ..at };
    let does = nft_statement(random, at, targets);
    let needs_transport = does.contains("redirect") || does.contains("tproxy");
    // It says its protocol already.
    let says_protocol = does.contains("dport vmap");
    if !says_protocol && (needs_transport || random.chance(35)) {
        words.push(match random.below(4) {
            0 => "meta l4proto tcp".to_owned(),
            1 => "meta l4proto udp".to_owned(),
            _ => {
                let protocol = random.pick(&["tcp", "udp", "meta l4proto { tcp, udp } th"]);
                let ports = ports(random);
                let (field, ports) = match (random.below(8), &ports[..]) {
                    (0, _) => ("sport", "20000-40000".to_owned()),
                    (1, _) => ("dport", "80-8080".to_owned()),
                    (2, _) => ("dport", "{ 53, 400-500, 15000-15005 }".to_owned()),
                    (_, [port]) => ("dport", port.to_string()),
                    _ => ("dport", format!("{{ {} }}", list(&ports))),
                };
                negated(random, &format!("{protocol} {field}"), &ports)
            }
        });
    }
    for _ in 0..random.pick(&[0, 0, 1, 1, 2]) {
        let one = nft_match(random, at);
        // The reader does not take several marks and a way back at once.
        if !(one.contains("mark") && one.contains('{') && does.contains("vmap")) {
            words.push(one);
        }
    }
    if does.contains("tproxy") {
        words.push("ct state new".to_owned());
    }
    if random.chance(20) {
        words.push("counter".to_owned());
    }
    words.push(does);
    words.join(" ")
}

fn list(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

fn ports(random: &mut Random) -> Vec<u16> {
    let ports: BTreeSet<u16> = (0..=random.below(3)).map(|_| random.pick(&PORTS)).collect();
    ports.into_iter().collect()
}

fn nft_match(random: &mut Random, at: At) -> String {
    let word = if at.family == Family::Ipv4 { "ip" } else { "ip6" };
    let net = random.pick(&NETS[at.family as usize]);
    let apart = APART[at.family as usize];
    let net = if random.chance(25) { apart } else { net };
    let mark = random.pick(&MARKS);
    match random.below(if at.is_untracked { 8 } else { 11 }) {
        0 => negated(random, &format!("{word} daddr"), net),
        1 => negated(random, &format!("{word} saddr"), net),
        2 => {
            let interface = random.pick(&["toc", "tos", "lo", "alt", "to*"]);
            negated(random, "iifname", &format!("\"{interface}\""))
        }
        3 => {
            let interface = random.pick(&["toc", "tos", "lo", "alt", "to*"]);
            negated(random, "oifname", &format!("\"{interface}\""))
        }
        4 if random.chance(25) => negated(random, "meta mark", "{ 0x1, 0x11, 0x40-0x4f }"),
        4 => negated(random, "meta mark", &format!("{mark:#x}")),
        5 => {
            let mark = mark & 3;
            negated(random, "meta mark and 0x3", &format!("{mark:#x}"))
        }
        6 => match random.below(5) {
            3 => negated(random, "meta skuid", "{ 0, 1300-1400 }"),
            4 => negated(random, "meta skgid", "0-1000"),
            0 => {
                let user = random.pick(&USERS).to_string();
                negated(random, "meta skuid", &user)
            }
            1 => {
                let group = random.pick(&GROUPS).to_string();
                negated(random, "meta skgid", &group)
            }
            _ => "meta skuid >= 1000".to_owned(),
        },
        7 => {
            let address = random.pick(&["daddr", "saddr"]);
            negated(random, &format!("fib {address} type"), "local")
        }
        8 => negated(random, "ct mark", &format!("{mark:#x}")),
        9 => {
            let state = random.pick(&["new", "established", "invalid", "established,related"]);
            format!("ct state {state}")
        }
        _ => {
            let state = random.pick(&["new", "established", "invalid"]);
            format!("ct state != {state}")
        }
    }
}

fn nft_statement(random: &mut Random, at: At, targets: &[String]) -> String {
    let word = match (at.is_inet, at.family) {
        (false, _) => "",
        (true, Family::Ipv4) => "ip ",
        (true, Family::Ipv6) => "ip6 ",
    };
    if at.kind == Kind::Nat && random.chance(55) {
        return match at.hook {
            Hook::Prerouting | Hook::Output => {
                format!("redirect to :{}", random.pick(&[15001, 15006, 8080]))
            }
            _ => {
                format!("snat {word}to {}", random.pick(&SOURCES[at.family as usize]))
            }
        };
    }
    let is_proxied = at.kind == Kind::Filter && at.hook == Hook::Prerouting;
    if is_proxied && !at.is_untracked && random.chance(50) {
        let port = random.pick(&PROXIES);
        let mark = random.pick(&["meta mark set 0x2 ", "meta mark set meta mark or 0x2 ", ""]);
        return format!("tproxy {word}to :{port} {mark}accept");
    }
    if !targets.is_empty() && random.chance(35) {
        let word = random.pick(&["jump", "goto"]);
        let target = random.pick(targets);
        let other = random.pick(&["accept", "return", "continue"]);
        let verdict = format!("{word} {target}");
        return match random.below(if at.is_untracked { 8 } else { 10 }) {
            0 => format!("tcp dport vmap {{ 53 : {other}, 80-443 : {verdict} }}"),
            1 => format!("iifname vmap {{ \"lo\" : {other}, \"toc\" : {verdict} }}"),
            8 => format!("ct state vmap {{ established : {other}, new : {verdict} }}"),
            _ => verdict,
        };
    }
    if random.chance(45) {
        let mark = random.pick(&MARKS);
        let change = match random.below(if at.is_untracked { 3 } else { 6 }) {
            0 => format!("meta mark set {mark:#x}"),
            1 => format!("meta mark set meta mark or {mark:#x}"),
            2 => format!("meta mark set meta mark and 0xfffffffc xor {:#x}", mark & 3),
            3 => "meta mark set ct mark".to_owned(),
            4 => "ct mark set meta mark".to_owned(),
            _ => format!("ct mark set {mark:#x}"),
        };
        let verdict = random.pick(&["", "", "", " accept", " return"]);
        return format!("{change}{verdict}");
    }
    let drop_or = if random.chance(30) { "drop" } else { "accept" };
    random.pick(&["accept", "return", drop_or]).to_owned()
}

/// The text of one family, with all four tables, so that it replaces what was there.
fn iptables(random: &mut Random, family: Family) -> String {
    let mut text = String::new();
    let tables: [(&str, Kind, &[Hook]); 4] = [
        ("raw", Kind::Filter, &[Hook::Prerouting, Hook::Output]),
        ("mangle", Kind::Route, &Hook::ALL),
        ("nat", Kind::Nat, &[Hook::Prerouting, Hook::Input, Hook::Output, Hook::Postrouting]),
        ("filter", Kind::Filter, &[Hook::Input, Hook::Forward, Hook::Output]),
    ];
    for (table, kind, hooks) in tables {
        let (mut declared, mut rules) = (String::new(), String::new());
        for hook in hooks {
            let built_in = hook.built_in_chain();
            writeln!(declared, ":{built_in} ACCEPT [0:0]").unwrap();
            if !random.chance(40) {
                continue;
            }
            let is_untracked = table == "raw";
            let at = At { kind, hook: *hook, is_untracked, family, is_inet: false };
            let subs = random.below(3);
            let targets: Vec<String> = (0..subs).map(|sub| format!("{built_in}_{sub}")).collect();
            for sub in 0..subs {
                writeln!(declared, ":{} - [0:0]", targets[sub]).unwrap();
                for _ in 0..=random.below(3) {
                    let rule = iptables_rule(random, at, table, &targets[sub + 1..], false);
                    writeln!(rules, "-A {} {rule}", targets[sub]).unwrap();
                }
            }
            for _ in 0..=random.below(4) {
                let rule = iptables_rule(random, at, table, &targets, true);
                writeln!(rules, "-A {built_in} {rule}").unwrap();
            }
        }
        writeln!(text, "*{table}\n{declared}{rules}COMMIT").unwrap();
    }
    text
}

fn iptables_rule(
    random: &mut Random,
    at: At,
    table: &str,
    targets: &[String],
    is_built_in: bool,
) -> String {
    let mut words = Vec::new();
    let does = iptables_target(random, at, table, targets);
    if does.contains("REDIRECT") || does.contains("TPROXY") || random.chance(45) {
        let protocol = random.pick(&["tcp", "udp"]);
        words.push(format!("-p {protocol}"));
        let ports = ports(random);
        let not = if random.chance(30) { "! " } else { "" };
        match (random.below(6), &ports[..]) {
            (0 | 1, _) => {}
            (2, _) => words.push(format!("-m {protocol} {not}--sport 20000:40000")),
            (3, _) => words.push(format!("-m multiport {not}--ports 53,80:443,15001")),
            (_, [port]) => words.push(format!("-m {protocol} {not}--dport {port}")),
            _ => {
                let ports = list(&ports).replace(' ', "");
                words.push(format!("-m multiport {not}--dports {ports}"));
            }
        }
    }
    let mut kinds = BTreeSet::new();
    // A state is given once.
    let kinds_of_match = if at.is_untracked { 7 } else { 9 } - usize::from(does.contains("TPROXY"));
    for _ in 0..random.pick(&[0, 0, 1, 1, 2]) {
        let kind = random.below(kinds_of_match);
        if kinds.insert(kind) {
            words.extend(iptables_match(random, at, kind, is_built_in));
        }
    }
    if does.contains("TPROXY") {
        words.push("-m conntrack --ctstate NEW".to_owned());
    }
    words.push(does);
    words.join(" ")
}

fn iptables_match(random: &mut Random, at: At, kind: usize, is_built_in: bool) -> Option<String> {
    let net = random.pick(&NETS[at.family as usize]);
    let mark = random.pick(&MARKS);
    let not = if random.chance(30) { "! " } else { "" };
    let interface = random.pick(&["toc", "tos", "lo", "alt", "to+"]);
    Some(match kind {
        0 => format!("{not}-d {net}"),
        1 => format!("{not}-s {net}"),
        // iptables takes these at built-in chains only where they mean something.
        2 if at.hook.has_input() || !is_built_in => format!("{not}-i {interface}"),
        3 if at.hook.has_output() || !is_built_in => format!("{not}-o {interface}"),
        4 if random.chance(50) => format!("-m mark {not}--mark {mark:#x}"),
        4 => format!("-m mark {not}--mark {:#x}/0x3", mark & 3),
        5 if matches!(at.hook, Hook::Output | Hook::Postrouting) => match random.below(3) {
            0 if random.chance(30) => format!("-m owner {not}--uid-owner 500-1200"),
            0 => format!("-m owner {not}--uid-owner {}", random.pick(&USERS)),
            1 => format!("-m owner {not}--gid-owner {}", random.pick(&GROUPS)),
            _ => format!("-m owner {not}--socket-exists"),
        },
        6 => {
            let address = random.pick(&["dst", "src"]);
            format!("-m addrtype {not}--{address}-type LOCAL")
        }
        7 => format!("-m connmark {not}--mark {mark:#x}"),
        8 => {
            let state = random.pick(&["NEW", "ESTABLISHED", "INVALID", "ESTABLISHED,RELATED"]);
            format!("-m conntrack {not}--ctstate {state}")
        }
        _ => return None,
    })
}

fn iptables_target(random: &mut Random, at: At, table: &str, targets: &[String]) -> String {
    if at.kind == Kind::Nat && random.chance(55) {
        return match at.hook {
            Hook::Prerouting | Hook::Output => {
                format!("-j REDIRECT --to-ports {}", random.pick(&[15001, 15006, 8080]))
            }
            _ => {
                let to = random.pick(&SOURCES[at.family as usize]);
                format!("-j SNAT --to-source {to}")
            }
        };
    }
    if !targets.is_empty() && random.chance(35) {
        let word = random.pick(&["-j", "-g"]);
        return format!("{word} {}", random.pick(targets));
    }
    if table == "mangle" && at.hook == Hook::Prerouting && random.chance(40) {
        let (port, mark) = (random.pick(&PROXIES), random.pick(&["0x2/0x3", "0x0/0x0"]));
        let any = ["0.0.0.0", "::"][at.family as usize];
        return format!("-j TPROXY --on-port {port} --on-ip {any} --tproxy-mark {mark}");
    }
    let mark = random.pick(&MARKS);
    if table == "mangle" && random.chance(40) {
        return match random.below(3) {
            0 => format!("-j MARK --set-xmark {mark:#x}/0xffffffff"),
            1 => format!("-j MARK --set-xmark {:#x}/0x3", mark & 3),
            _ => format!("-j MARK --or-mark {mark:#x}"),
        };
    }
    if !at.is_untracked && random.chance(35) {
        return match random.below(4) {
            0 => "-j CONNMARK --save-mark".to_owned(),
            1 => "-j CONNMARK --restore-mark".to_owned(),
            2 => format!("-j CONNMARK --set-xmark {mark:#x}/0xffffffff"),
            _ => "-j CONNMARK --save-mark --nfmask 0x3 --ctmask 0xf".to_owned(),
        };
    }
    // iptables drops nothing in nat.
    let drop_or = if at.kind != Kind::Nat && random.chance(30) { "DROP" } else { "ACCEPT" };
    format!("-j {}", random.pick(&["ACCEPT", "RETURN", drop_or]))
}
