//! A legal ruleset to the statements that both printers write.

use super::label::Labels;
use super::legal::{address_family, needs_transport};
use super::program::{
    Chain, Element, Expr, Op, Program, Right, Rule, SetOf, Statement, Table, TableFamily,
};
use super::sets::{Sets, Values};
use super::{Context, Options};
use crate::ir::{
    self, Action, AddressSet, Direction, MarkChange, MaskPair, Match, Owner, OwnerIs, Protocol,
};
use crate::net::{Families, Family, Mark, Name, PortSet};

/// What is said about the rule that follows a transparent-proxy rule and drops.
const MISS: &str = "no transparent proxy listens: dropped";
const PACKET_MARK: Expr = Expr::Meta { key: "mark" };
const CONNMARK: Expr = Expr::Ct { key: "mark" };

/// The transaction that makes `legal` the policy's ruleset. `legal` has been
/// [legalised](super::legalise).
pub(super) fn build<'a>(
    legal: &'a ir::Ruleset,
    context: &Context<'a>,
    options: &Options,
) -> Program<'a> {
    let mut labels = Labels::new(context.sources);
    let tables: Vec<_> =
        legal.tables.iter().map(|table| build_table(table, options, &mut labels)).collect();
    let mut names: Vec<&Name> = Vec::new();
    for name in context.owned.iter().chain(legal.tables.iter().map(|table| &table.name)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let is_kept = |&(family, name): &(TableFamily, &_)| {
        tables.iter().any(|table| table.kept && table.family == family && table.name == name)
    };
    let replaced = names
        .into_iter()
        .flat_map(|name| TableFamily::ALL.map(|family| (family, name)))
        .filter(|table| !is_kept(table))
        .collect();
    Program { policy: context.policy, replaced, tables }
}

fn build_table<'a>(table: &'a ir::Table, options: &Options, labels: &mut Labels<'_>) -> Table<'a> {
    let mut sets = Sets::new(&table.sets);
    let chains = table
        .chains
        .iter()
        .map(|chain| {
            let rules = chain.rules.iter().enumerate().map(|(at, rule)| {
                let before = at.checked_sub(1).map(|at| &chain.rules[at]);
                let statements = Statements { table, chain, rule, sets: &mut sets };
                Rule {
                    statements: statements.build(options.counters),
                    ..build_label(before, rule, options, labels)
                }
            });
            Chain { name: &chain.name, base: chain.base, rules: rules.collect() }
        })
        .collect();
    Table {
        family: table.families.into(),
        name: &table.name,
        kept: !table.sets.is_empty(),
        sets: sets.finish(),
        chains,
    }
}

/// What is said about `rule`, which follows `before`. No statements yet.
fn build_label<'a>(
    before: Option<&ir::Rule>,
    rule: &ir::Rule,
    options: &Options,
    labels: &mut Labels<'_>,
) -> Rule<'a> {
    let is_tproxy = |before: &ir::Rule| matches!(before.then, Action::Tproxy { .. });
    let is_miss = rule.then == Action::Drop
        && before.is_some_and(|before| is_tproxy(before) && before.when == rule.when);
    // Any two origins are equal, so their parts are compared.
    let parts = |rule: &ir::Rule| (rule.origin.rung, rule.origin.clause);
    let begins_group = before.map(parts) != Some(parts(rule));
    let (heading, comment) = if is_miss {
        (Some(MISS.to_owned()), options.comments.then(|| MISS.to_owned()))
    } else {
        let heading = if begins_group { labels.heading(rule.origin) } else { None };
        (heading, if options.comments { labels.comment(rule.origin) } else { None })
    };
    Rule { begins_group, heading, comment, statements: Vec::new() }
}

/// A rule, where it stands, and the sets that it may need.
struct Statements<'a, 's> {
    table: &'a ir::Table,
    chain: &'a ir::Chain,
    rule: &'a ir::Rule,
    sets: &'s mut Sets<'a>,
}

impl<'a> Statements<'a, '_> {
    fn build(mut self, counter: bool) -> Vec<Statement<'a>> {
        let mut statements = Vec::with_capacity(self.rule.when.len() + 4);
        statements.extend(self.family());
        let mut transport = self.transport();
        for condition in &self.rule.when {
            // Behind the addresses, where a match on one protocol would stand.
            if !matches!(condition, Match::Interface { .. } | Match::Address { .. }) {
                statements.extend(transport.take());
            }
            statements.extend(self.condition(condition));
        }
        statements.extend(transport);
        statements.extend(counter.then_some(Statement::Counter(())));
        self.action(&mut statements);
        statements
    }

    /// What says the rule's family, unless the table or an address does.
    fn family(&self) -> Option<Statement<'a>> {
        let said = |condition| address_family(condition, &self.table.sets).is_some();
        if self.table.families == self.rule.families || self.rule.when.iter().any(said) {
            return None;
        }
        let word = match self.rule.families {
            Families::Both => return None,
            Families::Ipv4 => "ipv4",
            Families::Ipv6 => "ipv6",
        };
        Some(equal(Expr::Meta { key: "nfproto" }, Right::One(Element::Word(word))))
    }

    /// What says that the packet is TCP or UDP, if something of the rule wants to know and no
    /// match says which.
    fn transport(&self) -> Option<Statement<'a>> {
        let has_port = self.rule.when.iter().any(|one| matches!(one, Match::Port { .. }));
        let wanted = has_port || needs_transport(&self.rule.then);
        (wanted && self.protocol().is_none()).then(|| {
            let both = vec![Element::Word("tcp"), Element::Word("udp")];
            equal(Expr::Meta { key: "l4proto" }, Right::Set(both))
        })
    }

    /// The protocol that the rule is about, if it is one.
    fn protocol(&self) -> Option<Protocol> {
        self.rule.when.iter().find_map(|condition| {
            if let Match::Protocol { protocol, not: false } = condition {
                Some(*protocol)
            } else {
                None
            }
        })
    }

    fn condition(&mut self, condition: &'a Match) -> Option<Statement<'a>> {
        Some(match condition {
            Match::Protocol { protocol, not } => {
                let has_port = self.rule.when.iter().any(|one| matches!(one, Match::Port { .. }));
                if has_port {
                    return None;
                }
                let right = Right::One(Element::Word(word(*protocol)));
                compare(*not, Expr::Meta { key: "l4proto" }, right)
            }
            Match::Port { of, ports, not } => self.port(*of, ports, *not),
            Match::Address { of, nets, not } => {
                let set = match nets.family() {
                    Family::Ipv4 => SetOf::Ipv4,
                    Family::Ipv6 => SetOf::Ipv6,
                };
                let right = self.right(set, Values::Nets(nets));
                compare(*not, address(*of, nets.family()), right)
            }
            Match::InSet { of, set, not } => {
                let is_it = |one: &&AddressSet| one.name == *set;
                let family = self.table.sets.iter().find(is_it)?.family;
                compare(*not, address(*of, family), Right::Named(format!("@{set}")))
            }
            Match::Interface { of, names, not } => {
                let key = match of {
                    Direction::Source => "iifname",
                    Direction::Destination => "oifname",
                };
                let right = self.right(SetOf::Interfaces, Values::Interfaces(names));
                compare(*not, Expr::Meta { key }, right)
            }
            Match::Owner { owner, is } => {
                let (key, set) = match owner {
                    Owner::User => ("skuid", SetOf::Users),
                    Owner::Group => ("skgid", SetOf::Groups),
                };
                let (ids, not) = match is {
                    OwnerIs::In(ids) => (ids, false),
                    OwnerIs::NotIn { ids, .. } => (ids, true),
                };
                let right = self.right(set, Values::Owners(ids));
                compare(not, Expr::Meta { key }, right)
            }
            // See `unsupported` for what this leaves out.
            Match::SocketExists { not } => compare(
                *not,
                Expr::Fib { result: "type", flags: ["saddr"] },
                Right::One(Element::Word("local")),
            ),
            Match::Mark { mark, not } => compare_mark(PACKET_MARK, *mark, *not),
            Match::Connmark { mark, not } => compare_mark(CONNMARK, *mark, *not),
            Match::CtState { states, not } => {
                let state = Expr::Ct { key: "state" };
                let names: Vec<_> = states.iter().map(ir::CtState::name).collect();
                match (&names[..], not) {
                    (_, false) => {
                        Statement::Match { op: Op::In, left: state, right: Right::Bits(names) }
                    }
                    (&[name], true) => compare(true, state, Right::One(Element::Word(name))),
                    // `!=` a list of bits would hold unless all of them are set.
                    (_, true) => {
                        let names = names.into_iter().map(Element::Word).collect();
                        compare(true, state, Right::Set(names))
                    }
                }
            }
            Match::Local { of, not } => {
                let flags = match of {
                    Direction::Source => ["saddr"],
                    Direction::Destination => ["daddr"],
                };
                let kind = Expr::Fib { result: "type", flags };
                compare(*not, kind, Right::One(Element::Word("local")))
            }
            // `unsupported` has refused it.
            Match::TransparentSocket => return None,
        })
    }

    fn port(&mut self, of: Direction, ports: &'a PortSet, not: bool) -> Statement<'a> {
        let field = match of {
            Direction::Source => "sport",
            Direction::Destination => "dport",
        };
        let protocol = self.protocol().map_or("th", word);
        let right = self.right(SetOf::Ports, Values::Ports(ports));
        compare(not, Expr::Payload { protocol, field }, right)
    }

    fn right(&mut self, of: SetOf, values: Values<'a>) -> Right<'a> {
        self.sets.right(of, values, &self.chain.name, self.rule.origin.rung)
    }

    fn action(&self, statements: &mut Vec<Statement<'a>>) {
        let last = match &self.rule.then {
            Action::Accept => Statement::Accept(()),
            Action::Drop => Statement::Drop(()),
            Action::Return => Statement::Return(()),
            Action::Jump(target) => Statement::Jump { target: target.as_str() },
            Action::Goto(target) => Statement::Goto { target: target.as_str() },
            Action::Redirect { port } => Statement::Redirect { port: *port },
            Action::Snat { to } => Statement::Snat { family: self.named_family(), addr: *to },
            Action::Tproxy { port, mark, .. } => {
                statements.push(Statement::Tproxy { family: self.named_family(), port: *port });
                statements.push(set(PACKET_MARK, changed(PACKET_MARK, *mark)));
                Statement::Accept(())
            }
            Action::SetMark(change) => set(PACKET_MARK, changed(PACKET_MARK, *change)),
            Action::SetConnmark(change) => set(CONNMARK, changed(CONNMARK, *change)),
            Action::SaveMark(MaskPair { packet, connection }) => {
                set(CONNMARK, copied((CONNMARK, *connection), (PACKET_MARK, *packet)))
            }
            Action::RestoreMark(MaskPair { packet, connection }) => {
                set(PACKET_MARK, copied((PACKET_MARK, *packet), (CONNMARK, *connection)))
            }
            Action::SetZone(zone) => set(Expr::Ct { key: "zone" }, Expr::Number((*zone).into())),
            Action::Log => Statement::Log(()),
        };
        statements.push(last);
    }

    /// The rule's family, where the table does not say it.
    fn named_family(&self) -> Option<TableFamily> {
        let narrower = self.rule.families != self.table.families;
        narrower.then(|| self.rule.families.into())
    }
}

fn equal(left: Expr, right: Right<'_>) -> Statement<'_> {
    Statement::Match { op: Op::Equal, left, right }
}

fn compare(not: bool, left: Expr, right: Right<'_>) -> Statement<'_> {
    Statement::Match { op: if not { Op::Unequal } else { Op::Equal }, left, right }
}

fn compare_mark<'a>(field: Expr, mark: Mark, not: bool) -> Statement<'a> {
    let left = if mark.mask() == u32::MAX { field } else { and(field, mark.mask()) };
    compare(not, left, Right::One(Element::Mark(mark.value())))
}

fn set<'a>(key: Expr, value: Expr) -> Statement<'a> {
    Statement::Mangle { key, value }
}

/// The mark in `field` after `change`, in as few steps as can be.
fn changed(field: Expr, MarkChange { clear, flip }: MarkChange) -> Expr {
    if clear == u32::MAX {
        return Expr::Mark(flip);
    }
    if clear == flip {
        return Expr::Or(Box::new((field, Expr::Mark(flip))));
    }
    let cleared = if clear == 0 { field } else { and(field, !clear) };
    let flips = |value| Box::new((value, Expr::Mark(flip)));
    match flip {
        0 => cleared,
        // Nothing is left there to flip, and `|` reads better.
        _ if flip & !clear == 0 => Expr::Or(flips(cleared)),
        _ => Expr::Xor(flips(cleared)),
    }
}

/// The mark in the first field after the bits of the second are copied into it; each with its mask.
fn copied((into, clear): (Expr, u32), (from, mask): (Expr, u32)) -> Expr {
    if mask == 0 {
        return changed(into, MarkChange { clear, flip: 0 });
    }
    let copy = if mask == u32::MAX { from } else { and(from, mask) };
    if clear == u32::MAX {
        return copy;
    }
    let cleared = if clear == 0 { into } else { and(into, !clear) };
    let both = Box::new((cleared, copy));
    if mask & !clear == 0 { Expr::Or(both) } else { Expr::Xor(both) }
}

fn and(field: Expr, mask: u32) -> Expr {
    Expr::And(Box::new((field, Expr::Mark(mask))))
}

const fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}

const fn address(of: Direction, family: Family) -> Expr {
    let protocol = match family {
        Family::Ipv4 => "ip",
        Family::Ipv6 => "ip6",
    };
    let field = match of {
        Direction::Source => "saddr",
        Direction::Destination => "daddr",
    };
    Expr::Payload { protocol, field }
}
