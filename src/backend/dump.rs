//! The IR in words, for people: `weir compile --emit ir`.
//!
//! Not a format: nothing reads it back, and it may change.

use std::fmt::{self, Write};

use crate::ir::{
    Action, Base, Chain, Clauses, CtStates, Direction, MarkChange, Match, Origin, Owner, OwnerIs,
    Protocol, Rule, Ruleset, Target,
};
use crate::net::{Destination, Families, OnMiss};

/// The ruleset in words, one rule a line, with the clause that each rule comes from.
#[must_use]
pub fn dump(ruleset: &Ruleset, clauses: &Clauses) -> String {
    let mut out = String::new();
    write_ruleset(&mut out, ruleset, clauses).expect("a String accepts every write");
    out
}

/// `T` in words. Keeps words out of the IR's types.
pub(crate) struct Words<'a, T: ?Sized>(pub(crate) &'a T);

fn write_ruleset(out: &mut String, ruleset: &Ruleset, clauses: &Clauses) -> fmt::Result {
    for (index, table) in ruleset.tables.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        writeln!(out, "table {} for {}", table.name, Words(&table.families))?;
        for set in &table.sets {
            writeln!(out, "  set {} of {} addresses, filled by others", set.name, set.family)?;
        }
        for chain in &table.chains {
            write_chain(out, chain, clauses)?;
        }
    }
    Ok(())
}

fn write_chain(out: &mut String, chain: &Chain, clauses: &Clauses) -> fmt::Result {
    write!(out, "  chain {}", chain.name)?;
    if let Some(base) = &chain.base {
        write!(out, ", {}", Words(base))?;
    }
    out.push('\n');
    for rule in &chain.rules {
        write!(out, "    {}", Words(rule))?;
        // That a rule sends to the proxy is said by what it does.
        let says_more =
            |origin: &Origin| origin.clause.is_some() || !origin.rung.number().is_empty();
        let also = rule.also.iter().filter(says_more);
        for (at, origin) in std::iter::once(rule.origin).chain(also).enumerate() {
            write_origin(out, if at == 0 { "  # " } else { "; " }, origin, clauses)?;
        }
        out.push('\n');
    }
    Ok(())
}

fn write_origin(out: &mut String, before: &str, origin: Origin, clauses: &Clauses) -> fmt::Result {
    let (number, title) = (origin.rung.number(), origin.rung.title());
    write!(out, "{before}{number}{}{title}", if number.is_empty() { "" } else { " " })?;
    match origin.clause.and_then(|clause| clauses.at(clause)) {
        Some(clause) => write!(out, " ({clause})"),
        None => Ok(()),
    }
}

impl fmt::Display for Words<'_, Base> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Base { kind, hook, priority } = self.0;
        write!(f, "{} at {}, priority {priority}", kind.name(), hook.name())
    }
}

impl fmt::Display for Words<'_, Families> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Families::Ipv4 => "IPv4",
            Families::Ipv6 => "IPv6",
            Families::Both => "IPv4 and IPv6",
        })
    }
}

impl fmt::Display for Words<'_, Rule> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { families, when, then, .. } = self.0;
        let mut separator = "";
        let says_family = when.iter().any(|m| matches!(m, Match::Address { .. }));
        if *families != Families::Both && !says_family {
            write!(f, "{}", Words(families))?;
            separator = ", ";
        }
        for condition in when {
            write!(f, "{separator}{}", Words(condition))?;
            separator = ", ";
        }
        write!(f, "{}{}", if separator.is_empty() { "always: " } else { ": " }, Words(then))
    }
}

impl fmt::Display for Words<'_, Match> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = |not: bool| if not { "not " } else { "" };
        let end = |of: Direction| match of {
            Direction::Source => "from",
            Direction::Destination => "to",
        };
        match self.0 {
            Match::Protocol { protocol, not: n } => {
                write!(f, "{}{}", not(*n), Words(protocol))
            }
            Match::Port { of, ports, not: n } => {
                write!(f, "{}{} port {}", not(*n), end(*of), List(ports.ranges()))
            }
            Match::Address { of, nets, not: n } => {
                write!(f, "{}{} ", not(*n), end(*of))?;
                List(&nets.iter().collect::<Vec<_>>()).fmt(f)
            }
            Match::InSet { of, set, not: n } => write!(f, "{}{} set {set}", not(*n), end(*of)),
            Match::Interface { of, names, not: n } => {
                let way = match of {
                    Direction::Source => "in",
                    Direction::Destination => "out",
                };
                write!(f, "{}{way} {}", not(*n), List(names))
            }
            Match::Owner { owner, is } => write!(f, "{}", OwnerWords(*owner, is)),
            Match::SocketExists { not: n } => write!(f, "{}from a local socket", not(*n)),
            Match::Mark { mark, not: n } => write!(f, "{}mark {mark}", not(*n)),
            Match::Connmark { mark, not: n } => write!(f, "{}connection mark {mark}", not(*n)),
            Match::CtState { states, not: n } => {
                write!(f, "{}{}", not(*n), Words(states))
            }
            Match::Local { of, not: n } => {
                write!(f, "{}{} an address of this machine", not(*n), end(*of))
            }
            Match::TransparentSocket => f.write_str("for a transparent socket"),
            Match::Opaque { condition, not: n } => write!(f, "{}`{}`", not(*n), condition.text),
        }
    }
}

impl fmt::Display for Words<'_, Protocol> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name())
    }
}

impl fmt::Display for Words<'_, CtStates> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, state) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { " or " }, state.name())?;
        }
        Ok(())
    }
}

/// An owner comparison; the word depends on what is compared.
struct OwnerWords<'a>(Owner, &'a OwnerIs);

impl fmt::Display for OwnerWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = match self.0 {
            Owner::User => "user",
            Owner::Group => "group",
        };
        let ranges = |ids: &[(u32, u32)]| {
            let range = |(first, last): &(u32, u32)| {
                if first == last { first.to_string() } else { format!("{first}-{last}") }
            };
            ids.iter().map(range).collect::<Vec<_>>()
        };
        match self.1 {
            OwnerIs::In(ids) => write!(f, "{owner} {}", List(&ranges(ids))),
            OwnerIs::NotIn { ids, ownerless } => {
                let without = if *ownerless { "or none" } else { "but some" };
                write!(f, "not {owner} {} ({without})", List(&ranges(ids)))
            }
        }
    }
}

impl fmt::Display for Words<'_, Action> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Action::Accept => f.write_str("accept"),
            Action::Drop => f.write_str("drop"),
            Action::Return => f.write_str("return"),
            Action::Jump(chain) => write!(f, "jump {chain}"),
            Action::Goto(chain) => write!(f, "go to {chain}"),
            Action::Redirect { port } => write!(f, "redirect to port {port}"),
            Action::Snat { to } => write!(f, "translate source to {to}"),
            Action::Dnat { to, port } => {
                write!(f, "translate destination to {}", Destination { address: *to, port: *port })
            }
            Action::Tproxy { port, mark, on_miss } => {
                let miss = match on_miss {
                    OnMiss::Drop => "drop",
                    OnMiss::Continue => "go on",
                };
                write!(
                    f,
                    "hand to port {port} and set mark {}; if nobody listens, {miss}",
                    Words(mark)
                )
            }
            Action::SetMark(change) => write!(f, "set mark {}", Words(change)),
            Action::MarkAndAccept(change) => write!(f, "set mark {} and accept", Words(change)),
            Action::SetConnmark(change) => write!(f, "set connection mark {}", Words(change)),
            Action::SaveMark(masks) => write!(
                f,
                "save mark & {:#x} as connection mark & {:#x}",
                masks.packet, masks.connection
            ),
            Action::RestoreMark(masks) => write!(
                f,
                "restore mark & {:#x} from connection mark & {:#x}",
                masks.packet, masks.connection
            ),
            Action::SetZone(zone) => write!(f, "track in zone {zone}"),
            Action::Notrack => f.write_str("do not track"),
            Action::Log => f.write_str("log"),
            Action::Opaque(Target { text, .. }) => write!(f, "`{text}`"),
        }
    }
}

impl fmt::Display for Words<'_, MarkChange> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MarkChange { clear, flip } = self.0;
        if *clear == u32::MAX {
            write!(f, "{flip:#x}")
        } else {
            write!(f, "(old & {:#x}) ^ {flip:#x}", !clear)
        }
    }
}

/// `a`, or `{ a, b, c }`.
struct List<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [one] => write!(f, "{one}"),
            many => {
                f.write_str("{ ")?;
                for (index, item) in many.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str(" }")
            }
        }
    }
}
