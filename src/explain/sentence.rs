//! What two rulesets do differently, in sentences as people say them.

use super::{DifferenceWords, Explanation, Treatment};
use crate::ir::Hook;
use crate::net::Families;
use crate::semantics::{Topic, Traffic, Word, joined};

/// What two rulesets are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// What was, and what is now.
    InTime,
    /// What a policy says, and rules that are to say the same.
    PolicyAndRules,
    /// Rules, and the policy that says nearly the same.
    RulesAndPolicy,
    /// What a policy says, and what becomes of it beside rules of others.
    AloneAndBeside,
}

/// Something that the two do differently.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sentence {
    /// The sentence, without an end: `DNS (TCP and UDP 53) of the workload now goes to port 15053, both
    /// families`.
    pub words: String,
    /// The places of the differences that it tells of.
    pub of: Vec<usize>,
}

/// What is told of packets that are ordinary, or as those, each in a sentence of all that fare alike in the
/// end. `families` are those that were compared.
#[must_use]
pub fn sentences(all: &[DifferenceWords], sides: Sides, families: Families) -> Vec<Sentence> {
    let mut groups: Vec<((Hook, String), Vec<usize>)> = Vec::new();
    for (at, difference) in all.iter().enumerate().filter(|(_, one)| one.is_ordinary()) {
        let Some(first) = difference.kinds.first() else { continue };
        let key = (first.hook, predicate(difference, sides));
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, of)) => of.push(at),
            None => groups.push((key, vec![at])),
        }
    }
    let told = groups.into_iter().map(|((_, predicate), of)| {
        let kinds = of.iter().flat_map(|at| all[*at].kinds.clone()).collect();
        let and_more = of.iter().any(|at| all[*at].and_more);
        let (subject, of_families) = subject(&joined(kinds), and_more, families);
        Sentence { words: capital(&format!("{subject} {predicate}{of_families}")), of }
    });
    told.collect()
}

/// What becomes of the packets: `now goes to port 15053`.
fn predicate(difference: &DifferenceWords, sides: Sides) -> String {
    let [left, right] = &difference.treatments;
    let (was, is) = (&difference.left, &difference.right);
    if sides == Sides::InTime {
        return match right {
            _ if left == right && is.also.is_empty() => {
                format!("no longer gets {}", was.also.join(", "))
            }
            _ if left == right => match &is.also[..] {
                [one] if one.starts_with(ZONE) => {
                    format!("is now tracked in {}", one.trim_start_matches(ZONE))
                }
                also => format!("now gets {}", also.join(", ")),
            },
            Treatment::Untouched if left.is_captured() => "is no longer captured".to_owned(),
            Treatment::Untouched if *left == Treatment::Dropped => {
                "is no longer dropped".to_owned()
            }
            Treatment::Untouched => "is now untouched".to_owned(),
            _ => {
                let fate = fate(right);
                let (verb, rest) = fate.split_once(' ').unwrap_or((&fate, ""));
                if verb == "is" { format!("is now {rest}") } else { format!("now {fate}") }
            }
        };
    }
    let (by, but) = match sides {
        Sides::AloneAndBeside => ("by the policy", "beside the rules"),
        Sides::RulesAndPolicy => ("by the rules", "by the policy"),
        Sides::InTime | Sides::PolicyAndRules => ("by the policy", "by the rules"),
    };
    if left == right {
        let gets = |it: &Explanation| {
            if it.also.is_empty() { "nothing".to_owned() } else { it.also.join(", ") }
        };
        return format!("gets {} {by} and {} {but}", gets(was), gets(is));
    }
    match (left, right) {
        (_, Treatment::Untouched) if left.is_captured() => {
            format!("is captured {by} and not {but}")
        }
        (Treatment::Untouched, _) if right.is_captured() => {
            format!("is captured {but} and not {by}")
        }
        _ => {
            let (one, other) = (fate(left), fate(right));
            let verb = |fate: &str| fate.split(' ').next().map(str::to_owned);
            let other = match verb(&one).filter(|first| verb(&other).as_ref() == Some(first)) {
                Some(verb) => other[verb.len()..].trim_start().to_owned(),
                None => other,
            };
            format!("{one} {by} and {other} {but}")
        }
    }
}

/// What stands before a zone that is said by itself.
const ZONE: &str = "connection tracking ";

/// `goes to port 15053`.
fn fate(treatment: &Treatment) -> String {
    match treatment {
        Treatment::Untouched => "is untouched".to_owned(),
        Treatment::Redirected { port } => format!("goes to port {port}"),
        Treatment::Handed { port } => {
            format!("is handed to the transparent proxy on port {port}")
        }
        Treatment::Dropped => "is dropped".to_owned(),
        Treatment::DestinationTranslated { to, port } => {
            let to = crate::net::Destination { address: *to, port: *port };
            format!("goes to {to}")
        }
        Treatment::SourceTranslated { to } => format!("comes from {to}"),
        Treatment::Translated { by } => format!("is translated as `{by}` says"),
        Treatment::Taken { by } => {
            let by: Vec<_> = by.iter().map(|target| format!("`{target}`")).collect();
            format!("is taken by {}", by.join(" or "))
        }
    }
}

/// Which packets, and what is to be said of families behind all else.
fn subject(kinds: &[Traffic], and_more: bool, compared: Families) -> (String, &'static str) {
    let Some((first, others)) = kinds.split_first() else { return (String::new(), "") };
    let are_alike = others.iter().all(|kind| kind.families == first.families);
    let families = match (are_alike, first.families, compared) {
        (true, Families::Both, _) => ", both families",
        (true, Families::Ipv4, Families::Both) => ", IPv4 only",
        (true, Families::Ipv6, Families::Both) => ", IPv6 only",
        (true, Families::Ipv4, _) => ", IPv4",
        (true, Families::Ipv6, _) => ", IPv6",
        (false, ..) => "",
    };
    let rest = match others {
        [] => String::new(),
        [other] if !and_more => format!(", and {},", kind(other, are_alike)),
        _ => format!(", with {} other kinds of packets,", others.len()),
    };
    let more = if and_more { " and more" } else { "" };
    (format!("{}{rest}{more}", kind(first, are_alike)), families)
}

/// One kind: `DNS (TCP and UDP 53) of the workload`, `TCP of the workload to 10.96.0.0/12`.
fn kind(kind: &Traffic, families_follow: bool) -> String {
    let protocol = kind.word(Topic::Protocol);
    let port = kind.word(Topic::DestinationPort);
    let (mut what, port, is_named) = match (protocol, port) {
        (Some(protocol), Some(port)) if is_dns(protocol, port) => {
            (format!("DNS ({} 53)", protocols(protocol)), None, true)
        }
        (Some(protocol), port) => (protocols(protocol), port, false),
        (None, port) => ("traffic".to_owned(), port, false),
    };
    let family = match kind.families {
        _ if families_follow => "",
        Families::Ipv4 => "IPv4 ",
        Families::Ipv6 => "IPv6 ",
        Families::Both => "",
    };
    what.insert_str(0, family);
    let is_told = |word: &&Word| {
        !matches!(word.topic, Topic::Protocol | Topic::Destination | Topic::DestinationPort)
    };
    let destination = kind.word(Topic::Destination);
    let rest: Vec<String> = kind.words.iter().filter(is_told).map(ToString::to_string).collect();
    let is_all = destination.is_none() && port.is_none() && rest.is_empty() && !is_named;
    let all = if is_all { "all " } else { "" };
    let at =
        destination.map_or_else(String::new, |to| format!(" to {}", listed(to, "anything but ")));
    let to = match (destination, port) {
        (None, None) => String::new(),
        (None, Some(port)) => format!(" to {}", ports(port)),
        (Some(to), None) => format!(" to {}", listed(to, "anything but ")),
        (Some(to), Some(port)) => {
            format!(" to {} at {}", ports(port), listed(to, "anything but "))
        }
    };
    let words = match (kind.hook, kind.is_ordinary) {
        (Hook::Output, true) => format!("{all}{what} of the workload{to}"),
        (Hook::Prerouting, true) if to.is_empty() => format!("{all}{what} to the workload"),
        (Hook::Prerouting, true) => match port.filter(|port| port.not) {
            Some(port) => {
                format!("{what}{at} to all ports of the workload but {}", listed(port, ""))
            }
            None => format!("{what}{to} of the workload"),
        },
        (Hook::Output, false) => format!("{all}outbound {what}{to}"),
        (Hook::Prerouting, false) => format!("{all}inbound {what}{to}"),
        (hook, _) => format!("{all}{what}{to} at {}", hook.name()),
    };
    // What a rule of others asks is no word of a sentence.
    if rest.iter().any(|word| word.contains('`')) {
        format!("{words} under conditions")
    } else if rest.is_empty() {
        words
    } else if rest.iter().all(|word| word.starts_with("from ")) {
        format!("{words} {}", rest.join(" "))
    } else {
        format!("{words} ({})", rest.join(", "))
    }
}

/// Whether they are the protocols and the port that are registered for DNS (RFC 1035, 4.2).
fn is_dns(protocol: &Word, port: &Word) -> bool {
    let has_it = |name: &String| name == "tcp" || name == "udp";
    !protocol.not && protocol.values.iter().all(has_it) && !port.not && port.values == ["53"]
}

/// `TCP and UDP`, `all but UDP`.
fn protocols(word: &Word) -> String {
    let names = word.values.iter().map(|name| match name.as_str() {
        "tcp" | "udp" | "icmp" | "sctp" => name.to_ascii_uppercase(),
        "other" => "other protocols".to_owned(),
        _ => name.clone(),
    });
    let names = names.collect::<Vec<_>>().join(" and ");
    if word.not { format!("everything but {names}") } else { names }
}

/// `port 53`, `ports 80 and 443`, `all ports but 22`.
fn ports(word: &Word) -> String {
    let is_one = word.values.len() == 1 && !word.values[0].contains('-');
    let list = listed(word, "");
    match (word.not, is_one) {
        (true, _) => format!("all ports but {list}"),
        (false, true) => format!("port {list}"),
        (false, false) => format!("ports {list}"),
    }
}

/// Most values of a list in a sentence.
const MOST: usize = 6;

/// `80, 443 and 8080`, behind `not` where they are those that packets have not.
fn listed(word: &Word, not: &str) -> String {
    let not = if word.not { not } else { "" };
    let (shown, more) = word.values.split_at(word.values.len().min(MOST));
    let list = match (shown, more) {
        (_, [_, ..]) => format!("{} and {} more", shown.join(", "), more.len()),
        ([first @ .., last], []) if !first.is_empty() => {
            format!("{} and {last}", first.join(", "))
        }
        _ => shown.join(""),
    };
    format!("{not}{list}")
}

/// `text` with a capital at its beginning.
fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next()
        .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + rest.as_str())
}
