//! What rules ask and do that the IR has no words for: questions and outcomes of their own, each with
//! what nft writes for it, the same for a script and for JSON.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use super::condition::Condition;
use super::sets::Sets;
use crate::ir::{self, Effect, Match, Protocol, Target};
use crate::net::{Families, Family};
use crate::nft::text::comparison;
use crate::nft::{Comparison, Expr, Operator, Right, State, Statement, Value};

/// What rules change of packets and connections besides marks and zones: later questions about it
/// are others than those before.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// Whether something in the headers of packets.
    headers: bool,
    /// Other keys, as nft writes them: `meta priority`.
    keys: BTreeSet<String>,
}

/// A rule that asks.
pub(super) struct Asker<'t> {
    /// `inet filter`.
    pub(super) table: &'t str,
    pub(super) chain: &'t str,
    /// Its place in the chain, from 1.
    pub(super) index: usize,
    /// What rules of the text change.
    pub(super) changed: &'t Changed,
}

/// What decides the answer to a question.
enum Decides {
    Packet,
    /// What the table holds, too: this, as far as it is known.
    Table(String),
    /// More, so that it is of one rule only.
    Rule,
}

impl Changed {
    pub(super) fn of(state: &State<'_>) -> Self {
        let mut changed = Self::default();
        let chains = state.tables.iter().flat_map(|table| &table.chains);
        for rule in chains.flat_map(|chain| &chain.rules) {
            for (_, statement) in rule.statements.iter().flatten() {
                match statement {
                    Statement::Mangle { key: key @ (Expr::Meta(_) | Expr::Ct(_)), .. } => {
                        changed.keys.insert(key.to_string());
                    }
                    // What is not known may change whatever packets have.
                    Statement::Mangle { .. }
                    | Statement::Unknown { .. }
                    | Statement::Other { word: "reset" | "xt", .. } => changed.headers = true,
                    _ => {}
                }
            }
        }
        changed
    }
}

impl Asker<'_> {
    /// The rule, as messages name it.
    fn rule(&self) -> String {
        format!("table {}, chain {}, rule {}", self.table, self.chain, self.index)
    }

    fn condition(
        &self,
        text: &str,
        decides: &Decides,
        is_understood: bool,
        is_usual: bool,
    ) -> ir::Condition {
        let asked_by = match decides {
            Decides::Packet => None,
            Decides::Table(held) => Some(format!("table {}{held}", self.table).into()),
            Decides::Rule => Some(self.rule().into()),
        };
        ir::Condition { text: plain(text).into(), asked_by, is_understood, is_usual }
    }

    /// Something that the packet alone decides, and that is not usual.
    pub(super) fn fact(&self, text: &str) -> Match {
        let condition = self.condition(text, &Decides::Packet, true, false);
        Match::Opaque { condition, not: false }
    }

    /// Whether a packet is below (or above) a limit.
    pub(super) fn limit(&self, text: &str) -> Match {
        let is_usual = !text.contains(" over ");
        let condition = self.condition(text, &Decides::Rule, true, is_usual);
        Match::Opaque { condition, not: false }
    }

    /// Whether a statement that is done does not end the rule: a set can be full.
    pub(super) fn goes_on(&self, text: &str) -> Match {
        let condition = self.condition(text, &Decides::Rule, true, true);
        Match::Opaque { condition, not: false }
    }

    /// A match of which only the name is known.
    pub(super) fn unknown_match(&self, text: &str) -> Match {
        let condition = self.condition(text, &Decides::Rule, false, false);
        Match::Opaque { condition, not: false }
    }

    /// A target of which is known what it does, though that cannot be followed. `held`: what the sets
    /// hold that it names.
    pub(super) fn not_followed(&self, text: &str, held: String) -> Target {
        let decides = if held.is_empty() { Decides::Packet } else { Decides::Table(held) };
        let condition = self.condition(text, &decides, true, true);
        Target { text: Arc::clone(&condition.text), effect: Effect::Unknown(condition) }
    }

    /// A target that is not known. `held`: what the sets hold that it names.
    pub(super) fn unknown_target(&self, text: &str, held: &str) -> Target {
        let mut condition = self.condition(text, &Decides::Rule, false, false);
        condition.asked_by = Some(format!("{}{held}", self.rule()).into());
        Target { text: Arc::clone(&condition.text), effect: Effect::Unknown(condition) }
    }

    /// A comparison that the IR cannot say.
    pub(super) fn comparison(
        &self,
        (left, op, right): (&Expr<'_>, Comparison, &Right<'_>),
        sets: &Sets<'_, '_>,
    ) -> Condition {
        let (families, protocol) = implied(left);
        let mut not = false;
        let mut compared = op;
        if is_total(left) && op == Comparison::Unequal {
            not = true;
            let is_bits = left.is_mask() || matches!(left, Expr::Binary(..));
            compared = if is_bits { Comparison::Equal } else { Comparison::In };
        } else if left.is_mask() && op == Comparison::NoneOf {
            not = true;
            compared = Comparison::In;
        }
        let mut text = comparison(left, compared, right);
        // Of two answers, one question is asked.
        for (other, one) in
            [(" missing", " exists"), ("ct direction reply", "ct direction original")]
        {
            if !text.contains('{')
                && let Some(stem) = text.strip_suffix(other)
            {
                text = format!("{stem}{one}");
                not = !not;
            }
        }
        let decides = self.decides(left, right, sets);
        let usual = is_usual(left, compared, right, &text);
        let condition = self.condition(&text, &decides, is_known(left), usual);
        let protocol = protocol.map(|protocol| Match::Protocol { protocol, not: false });
        let all = protocol.into_iter().chain([Match::Opaque { condition, not }]).collect();
        Condition { families, any: vec![all] }
    }

    fn decides(&self, left: &Expr<'_>, right: &Right<'_>, sets: &Sets<'_, '_>) -> Decides {
        let text = left.to_string();
        // Others' doing, or what changes on the way.
        let moves = [
            "numgen",
            "meta random",
            "meta cpu",
            "ct status",
            "ct bytes",
            "ct packets",
            "ct avgpkt",
            "ct expiration",
            "ct original bytes",
            "ct original packets",
            "ct reply bytes",
            "ct reply packets",
            "ct original avgpkt",
            "ct reply avgpkt",
        ];
        if moves.iter().any(|word| text.contains(word))
            || self.changed.keys.iter().any(|key| text.contains(key.as_str()))
            || self.changed.headers && reads_headers(left)
        {
            return Decides::Rule;
        }
        let Right::Named(name) = right else { return Decides::Packet };
        let is_changed = sets.changed.contains(&**name);
        let is_moving = sets.get(name).is_some_and(|set| set.limits || set.fleeting);
        if is_changed || is_moving { Decides::Rule } else { Decides::Table(sets.held(name)) }
    }
}

/// A target with an effect that is known.
pub(super) fn target(text: &str, effect: Effect) -> Target {
    Target { text: plain(text).into(), effect }
}

/// The family, and the protocol, of packets that have what an expression reads; no family if none has
/// it.
fn implied(left: &Expr<'_>) -> (Option<Families>, Option<Protocol>) {
    let of = |family: Family| (Some(family.into()), None);
    let is = |number| (Some(Families::Both), Some(Protocol::of(number)));
    let both = (Some(Families::Both), None);
    match left {
        Expr::Payload { protocol, .. } => match &**protocol {
            "ip" => of(Family::Ipv4),
            "ip6" | "rt" | "rt0" | "rt2" | "rt4" | "srh" | "frag" | "hbh" | "dst" | "mh" => {
                of(Family::Ipv6)
            }
            "arp" => (None, None),
            "icmp" => is(1),
            "igmp" => is(2),
            "icmpv6" => is(58),
            name => match Protocol::named(name) {
                Some(protocol) => (Some(Families::Both), Some(protocol)),
                None => both,
            },
        },
        Expr::Other(text) => match text.split(' ').collect::<Vec<_>>()[..] {
            ["tcp", "option", ..] => is(6),
            ["sctp", "chunk", ..] => is(132),
            ["dccp", "option", ..] => is(33),
            ["vxlan", ..] => is(17),
            ["ip", "option", ..] | ["rt", "ip", ..] => of(Family::Ipv4),
            ["exthdr", ..] | ["rt", "ip6", ..] => of(Family::Ipv6),
            _ => both,
        },
        Expr::Ct(key) if key.contains(" ip ") => of(Family::Ipv4),
        Expr::Ct(key) if key.contains(" ip6 ") => of(Family::Ipv6),
        Expr::Binary(_, sides) => together([&sides.0, &sides.1].into_iter()),
        Expr::Concat(parts) => together(parts.iter()),
        Expr::Map(key) => implied(&key.0),
        _ => both,
    }
}

fn together<'e>(parts: impl Iterator<Item = &'e Expr<'e>>) -> (Option<Families>, Option<Protocol>) {
    parts.map(implied).fold((Some(Families::Both), None), |(families, protocol), (more, other)| {
        (families.zip(more).and_then(|(one, other)| one.and(other)), protocol.or(other))
    })
}

fn reads_headers(left: &Expr<'_>) -> bool {
    match left {
        Expr::Payload { .. } | Expr::Other(_) => true,
        Expr::Binary(_, sides) => reads_headers(&sides.0) || reads_headers(&sides.1),
        Expr::Concat(parts) => parts.iter().any(reads_headers),
        Expr::Map(key) => reads_headers(&key.0),
        Expr::Meta(key) => matches!(&**key, "length" | "protocol"),
        Expr::Ct(_) | Expr::Fib { .. } | Expr::Socket(_) | Expr::Value(_) => false,
    }
}

/// Whether every packet of the family and protocol has it, so that what is not equal is unequal.
fn is_total(left: &Expr<'_>) -> bool {
    match left {
        Expr::Payload { protocol, .. } => {
            matches!(&**protocol, "ip" | "ip6" | "tcp" | "udp" | "icmp" | "icmpv6" | "sctp")
        }
        Expr::Meta(key) => {
            matches!(&**key, "length" | "pkttype" | "priority" | "day" | "hour" | "time" | "cpu")
        }
        Expr::Fib { result, .. } => matches!(&**result, "type" | "oif" | "oifname"),
        Expr::Binary(_, sides) => is_total(&sides.0) && matches!(sides.1, Expr::Value(_)),
        _ => false,
    }
}

/// Keys of which it is known what they are (nft 1.1.7).
const META: [&str; 35] = [
    "bri_iifname",
    "bri_oifname",
    "cgroup",
    "cpu",
    "day",
    "hour",
    "ibrhwaddr",
    "ibriport",
    "ibrname",
    "ibrpvid",
    "ibrvproto",
    "iif",
    "iifgroup",
    "iifkind",
    "iifname",
    "iiftype",
    "ipsec",
    "l4proto",
    "length",
    "mark",
    "nfproto",
    "nftrace",
    "obriport",
    "obrname",
    "oif",
    "oifgroup",
    "oifkind",
    "oifname",
    "oiftype",
    "pkttype",
    "priority",
    "protocol",
    "random",
    "rtclassid",
    "sdif",
];
const MORE_META: [&str; 7] = ["sdifname", "secmark", "secpath", "skgid", "skuid", "time", "broute"];

/// Whether it is known what is read.
fn is_known(left: &Expr<'_>) -> bool {
    match left {
        Expr::Meta(key) => META.contains(&&**key) || MORE_META.contains(&&**key),
        Expr::Ct(key) => !matches!(&**key, "" | "unknown"),
        Expr::Binary(_, sides) => is_known(&sides.0) && is_known(&sides.1),
        Expr::Concat(parts) => parts.iter().all(is_known),
        Expr::Map(key) => is_known(&key.0),
        _ => true,
    }
}

/// The usual answer: for a packet that begins a connection, and has nothing remarkable.
fn is_usual(left: &Expr<'_>, op: Comparison, right: &Right<'_>, text: &str) -> bool {
    if let Some(answer) = begins(left, op, right) {
        return answer;
    }
    matches!(text, "ct direction original" | "meta pkttype host" | "meta pkttype unicast")
        || text.starts_with("fib ") && text.ends_with(" exists")
}

/// Bits of `tcp flags`.
const FLAGS: [(&str, u32); 8] = [
    ("fin", 1),
    ("syn", 2),
    ("rst", 4),
    ("psh", 8),
    ("ack", 16),
    ("urg", 32),
    ("ecn", 64),
    ("cwr", 128),
];

/// The answer for the flags of a packet that begins a connection of TCP, if it is about flags.
fn begins(left: &Expr<'_>, op: Comparison, right: &Right<'_>) -> Option<bool> {
    let (mask, flags) = match left {
        Expr::Binary(Operator::And, sides) => {
            let Expr::Value(mask) = &sides.1 else { return None };
            (bits(mask)?, &sides.0)
        }
        flags => (u32::MAX, flags),
    };
    let Expr::Payload { protocol, field } = flags else { return None };
    let Right::One(value) = right else { return None };
    if protocol != "tcp" || field != "flags" {
        return None;
    }
    let (value, syn) = (bits(value)?, 2 & mask);
    Some(match op {
        Comparison::Equal => syn == value,
        Comparison::Unequal => syn != value,
        // Where bits are picked out, what is left is compared.
        Comparison::In if mask != u32::MAX => syn == value,
        Comparison::In => syn & value != 0,
        Comparison::NoneOf => syn & value == 0,
        _ => return None,
    })
}

fn bits(value: &Value<'_>) -> Option<u32> {
    match value {
        Value::Number(number) | Value::Hex(number) => Some(*number),
        Value::Word(word) => FLAGS.iter().find(|(name, _)| name == word).map(|(_, bit)| *bit),
        Value::List(all) | Value::Bits(all) => {
            all.iter().map(bits).try_fold(0, |mask, one| Some(mask | one?))
        }
        _ => None,
    }
}

/// Seconds of a time such as `1h30m`, which is all of the word.
fn seconds(word: &str) -> Option<u64> {
    let (mut all, mut digits): (u64, Option<u64>) = (0, None);
    for byte in word.bytes() {
        let unit = match byte {
            b'0'..=b'9' => {
                let more =
                    digits.unwrap_or(0).checked_mul(10)?.checked_add((byte - b'0').into())?;
                digits = Some(more);
                continue;
            }
            b'd' => 86_400,
            b'h' => 3_600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        all = all.checked_add(digits.take()?.checked_mul(unit)?)?;
    }
    if digits.is_none() && !word.is_empty() { Some(all) } else { None }
}

/// `text` without what scripts and JSON have otherwise: quotation marks, numbers with hexadecimal
/// digits, and times with units.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(next) = rest.chars().next() {
        if next.is_ascii_digit() && !before.is_ascii_alphanumeric() {
            let len = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
            if let Some(time) = seconds(&rest[..len]) {
                write!(out, "{time}").expect("a String takes every write");
                rest = &rest[len..];
                before = '0';
                continue;
            }
        }
        let digits = rest.strip_prefix("0x").filter(|_| !before.is_ascii_alphanumeric());
        let len =
            digits.map_or(0, |digits| digits.bytes().take_while(u8::is_ascii_hexdigit).count());
        let number = digits.and_then(|digits| u128::from_str_radix(&digits[..len], 16).ok());
        if let Some(number) = number {
            write!(out, "{number}").expect("a String takes every write");
            rest = &rest[2 + len..];
            before = '0';
            continue;
        }
        if next != '"' {
            out.push(next);
        }
        before = next;
        rest = &rest[next.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn texts_of_scripts_and_json_are_one() {
        assert_eq!(plain("meta mark set 0x00000010 map \"a\""), "meta mark set 16 map a");
        assert_eq!(plain("30s-1h5m 5min 5m1 1s"), "30-3900 5min 5m1 1");
        assert_eq!(plain("iifname \"e0x1\" 0x é 0xfg"), "iifname e0x1 0x é 15g");
    }
}
