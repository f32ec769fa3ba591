//! Policies that capture nothing, or nothing of a family.

use ipnet::IpNet;

use super::{Linted, connections, is_captured, some_ends};
use crate::diag::{Diagnostic, Problem};
use crate::explain::{Treatment, origin};
use crate::ir::{Direction, Match, Rule};
use crate::lower::questions;
use crate::net::{Families, Family};
use crate::policy::{Expectation, Transport, Way};
use crate::semantics::{Limit, find, touched};
use crate::span::Span;

/// Says that no packet goes another way under the policy (`W510`), or that one family is open where all
/// of the other is captured (`W518`).
pub(super) fn lint(linted: &Linted<'_>) -> Result<Vec<Diagnostic>, Limit> {
    // Of most policies these tell, which cost nothing.
    let usual =
        USUAL.iter().map(|packets| packets.iter().any(|it| is_captured(linted.lowered, it)));
    let usual: Vec<bool> = usual.collect();
    if usual.iter().all(|is_captured| *is_captured) {
        return Ok(Vec::new());
    }
    if !usual.contains(&true) && captures_nothing(linted)? {
        let name = linted.policy.name.to_string();
        return Ok(vec![Problem::CapturesNothing { name }.at(linted.at, "")]);
    }
    if linted.lowered.families != Families::Both {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for (family, other) in [(Family::Ipv6, Family::Ipv4), (Family::Ipv4, Family::Ipv6)] {
        if captured(linted, family.everywhere())?.is_none()
            && !is_excluded(linted, family)?
            && let Some(Capture { clause }) = captures_the_unlisted(linted, other)?
        {
            let problem = Problem::OpenFamily { family, other };
            let label = format!("{other} is captured here");
            found.push(problem.at(linted.at, "").and(clause, label));
        }
    }
    Ok(found)
}

/// Packets of each family that most policies capture.
const USUAL: [&[&str]; 2] = [
    &["outbound tcp to 192.0.2.1:443 user 1000", "outbound tcp to 10.96.0.1:443 user 1000"],
    &["outbound tcp to [2001:db8::1]:443 user 1000", "outbound tcp to [fd00:96::1]:443 user 1000"],
];

/// That connections are captured.
#[derive(Clone, Copy)]
struct Capture {
    /// The clause that says so; `None` if a default does.
    clause: Option<Span>,
}

/// Whether every connection keeps its addresses and reaches no proxy, but for those of the proxy itself.
fn captures_nothing(linted: &Linted<'_>) -> Result<bool, Limit> {
    let is_touched =
        |outcome: &_| !matches!(Treatment::of(outcome), Treatment::Untouched | Treatment::Dropped);
    for way in [Way::Inbound, Way::Outbound] {
        if some_ends(linted.lowered, &connections(way), is_touched)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Addresses that no list names, because nobody has them (RFC 5737 and RFC 3849).
fn nobodys(family: Family) -> impl Iterator<Item = IpNet> {
    let nets: &[&str] = match family {
        Family::Ipv4 => &["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"],
        Family::Ipv6 => &["2001:db8::/32"],
    };
    nets.iter().filter_map(|net| net.parse().ok())
}

/// Whether connections of the workload are captured to any address, also to those that no list names.
fn captures_the_unlisted(linted: &Linted<'_>, family: Family) -> Result<Option<Capture>, Limit> {
    let mut first = None;
    for net in nobodys(family) {
        let Some(capture) = captured(linted, net)? else { return Ok(None) };
        first = first.or(Some(capture));
    }
    Ok(first)
}

/// Whether a clause names destinations of the family of which no list has a reason to name any, so that
/// the family is not forgotten.
fn is_excluded(linted: &Linted<'_>, family: Family) -> Result<bool, Limit> {
    let names = |rule: &Rule| {
        let is_destination =
            |when: &Match| matches!(when, Match::Address { of: Direction::Destination, .. });
        rule.origin.clause.is_some() && rule.when.iter().any(is_destination)
    };
    for net in nobodys(family) {
        for question in questions(linted.lowered, &outbound(net)) {
            let rules = touched(&linted.lowered.ruleset, question.hook, &question.when)?;
            if rules.into_iter().any(names) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether some TCP connection of the workload to an address in `to` is captured.
fn captured(linted: &Linted<'_>, to: IpNet) -> Result<Option<Capture>, Limit> {
    for question in questions(linted.lowered, &outbound(to)) {
        let captured = find(&linted.lowered.ruleset, question.hook, &question.when, |outcome| {
            Treatment::of(outcome).is_captured()
        })?;
        if let Some((_, run)) = captured {
            return Ok(Some(Capture { clause: origin(&run).and_then(|origin| origin.clause) }));
        }
    }
    Ok(None)
}

/// TCP connections of the workload to addresses in `to`.
fn outbound(to: IpNet) -> Expectation {
    let protocol = Some(Transport::Tcp);
    Expectation { protocol, to: vec![to], ..connections(Way::Outbound) }
}
