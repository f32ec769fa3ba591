//! A legal ruleset to the commands that both printers write.

use std::borrow::Cow;
use std::net::IpAddr;

use super::label::Labels;
use super::legal::{address_family, is_all_ports, needs_transport};
use super::sets::{Sets, Values};
use super::{Context, Legal, Options};
use crate::ir::{
    self, Action, AddressSet, Direction, MarkChange, MaskPair, Match, Origin, Owner, OwnerIs,
    Protocol,
};
use crate::net::{Families, Family, Mark, Name, PortSet};
use crate::nft::{
    At, Chain, Command, Comparison, Elements, Expr, Object, Operator, Right, Rule, Script, Set,
    Statement, Table, TableFamily, TableName, Translate, Translation, Value, Verb, Verdict,
    address_type,
};

/// What is said about the rule that follows a transparent-proxy rule and drops.
const MISS: &str = "no transparent proxy listens: dropped";

/// The transaction that makes `legal` the policy's ruleset.
pub(crate) fn build<'a>(legal: &'a Legal, context: &Context<'a>, options: &Options) -> Script<'a> {
    let tables = &legal.ruleset().tables;
    let mut names: Vec<&Name> = Vec::new();
    for name in context.owned.iter().chain(tables.iter().map(|table| &table.name)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let is_kept = |name: &TableName<'_>| {
        tables.iter().any(|table| !table.sets.is_empty() && table_name(table) == *name)
    };
    let replaced: Vec<_> = names
        .into_iter()
        .flat_map(|name| TableFamily::ALL.map(|family| (family, name)))
        .map(|(family, name)| TableName { family, name: Cow::Borrowed(name.as_str()) })
        .filter(|name| !is_kept(name))
        .collect();
    let mut script = Script::default();
    let policy = context.policy;
    script.remark(format!("Policy `{policy}`, compiled by weir. Edit the policy, not this file."));
    script.remark("`nft -f` loads all of it, or nothing, in the place of every earlier version. (`add` first:");
    script.remark("`delete` fails for a table that is not there.)");
    for name in replaced {
        script.add(Object::Table(Table::called(name.clone())));
        script.push(Verb::Delete, Object::Table(Table::called(name)));
    }
    let labels = Labels::new(context.clauses);
    for table in tables {
        script.remark("");
        write_table(&mut script, table, options, &labels);
    }
    script
}

fn table_name(table: &ir::Table) -> TableName<'_> {
    TableName { family: table.families.into(), name: Cow::Borrowed(table.name.as_str()) }
}

fn write_table<'a>(
    script: &mut Script<'a>,
    table: &'a ir::Table,
    options: &Options,
    labels: &Labels<'_>,
) {
    let name = table_name(table);
    let mut sets = Sets::new(&table.sets);
    let chains: Vec<_> = table
        .chains
        .iter()
        .map(|chain| {
            let rules = chain.rules.iter().enumerate().map(|(at, rule)| {
                let before = at.checked_sub(1).map(|at| &chain.rules[at]);
                let statements = Statements { table, chain, rule, sets: &mut sets };
                let statements = statements.build(options.counters);
                build_label(before, rule, statements, options, labels)
            });
            Chain { base: chain.base, rules: rules.collect(), ..Chain::called(chain.name.as_str()) }
        })
        .collect();
    let mut block = Table { sets: sets.finish(), chains, ..Table::called(name.clone()) };
    if !table.sets.is_empty() {
        script.remark("Others fill sets of this table, so it stays; its chains are replaced.");
        script.add(Object::Table(Table::called(name.clone())));
        script.push(Verb::Flush, Object::Table(Table::called(name.clone())));
        // Not in the block of the table: nft 0.9.8 crashes on a set in the block of a table that it
        // knows already.
        for set in block.sets.drain(..) {
            script.add(Object::Set { table: name.clone(), set });
        }
        for chain in &table.chains {
            let chain = || Chain::called(chain.name.as_str());
            script.add(Object::Chain { table: name.clone(), chain: chain() });
            script.push(Verb::Delete, Object::Chain { table: name.clone(), chain: chain() });
        }
    }
    script.add(Object::Block(block));
}

/// `rule`, which follows `before`, with what is said about it.
fn build_label<'a>(
    before: Option<&ir::Rule>,
    rule: &ir::Rule,
    statements: Vec<Statement<'a>>,
    options: &Options,
    labels: &Labels<'_>,
) -> Rule<'a> {
    let is_tproxy = |before: &ir::Rule| matches!(before.then, Action::Tproxy { .. });
    let is_miss = rule.then == Action::Drop
        && before.is_some_and(|before| is_tproxy(before) && before.when == rule.when);
    let is_like = |before: &ir::Rule| {
        let parts = |origin: Origin| (origin.rung, origin.clause);
        before.origins().map(parts).eq(rule.origins().map(parts))
    };
    // What the kernel keeps says it in the script as well.
    let begins_group = !options.comments && !before.is_some_and(is_like);
    let said = match (is_miss, options.comments) {
        (true, _) => Some(MISS.to_owned()),
        (false, true) => labels.comment(rule),
        (false, false) => labels.heading(rule).filter(|_| begins_group),
    };
    let (heading, comment) = if options.comments { (None, said) } else { (said, None) };
    let statements = statements.into_iter().map(|statement| (At::Nowhere, statement)).collect();
    let comment = comment.map(Cow::Owned);
    Rule { begins_group, heading, comment, handle: None, statements: Ok(statements) }
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
        statements.extend(counter.then_some(Statement::Counter));
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
        Some(compare(false, meta("nfproto"), word_is(word)))
    }

    /// What says that the packet is TCP or UDP, if something of the rule wants to know and no
    /// match says which.
    fn transport(&self) -> Option<Statement<'a>> {
        let has_port = self.rule.when.iter().any(|one| matches!(one, Match::Port { .. }));
        let wanted = has_port || needs_transport(&self.rule.then);
        (wanted && self.protocol().is_none()).then(|| {
            let both = ["tcp", "udp"].map(|word| Value::Word(Cow::Borrowed(word)));
            compare(false, meta("l4proto"), Right::Set(Elements::of(both.into())))
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
                compare(*not, meta("l4proto"), word_is(protocol.name()))
            }
            // What says that the packet is TCP or UDP says this.
            Match::Port { ports, not: false, .. } if is_all_ports(ports) => return None,
            Match::Port { of, ports, not } => self.port(*of, ports, *not),
            Match::Address { of, nets, not } => {
                let family = nets.family();
                let field = address(*of, family);
                let (left, values) = match nets.one_length() {
                    Some(length) => {
                        (beginning(field, family, length), Values::OfLength(nets, length))
                    }
                    None => (field, Values::Nets(nets)),
                };
                let right = self.right(address_type(family), values);
                compare(*not, left, right)
            }
            Match::InSet { of, set, not } => {
                let is_it = |one: &&AddressSet| one.name == *set;
                let family = self.table.sets.iter().find(is_it)?.family;
                compare(*not, address(*of, family), Right::Named(Cow::Borrowed(set.as_str())))
            }
            Match::Interface { of, names, not } => {
                let key = match of {
                    Direction::Source => "iifname",
                    Direction::Destination => "oifname",
                };
                let right = self.right("ifname", Values::Interfaces(names));
                compare(*not, meta(key), right)
            }
            Match::Owner { owner, is } => {
                let (key, set) = match owner {
                    Owner::User => ("skuid", "uid"),
                    Owner::Group => ("skgid", "gid"),
                };
                let (ids, not) = match is {
                    OwnerIs::In(ids) => (ids, false),
                    OwnerIs::NotIn { ids, .. } => (ids, true),
                };
                let right = self.right(set, Values::Owners(ids));
                compare(not, meta(key), right)
            }
            // See `legal` for what this leaves out.
            Match::SocketExists { not } => local(*not, "saddr"),
            Match::Mark { mark, not } => compare_mark(packet_mark(), *mark, *not),
            Match::Connmark { mark, not } => compare_mark(connmark(), *mark, *not),
            Match::CtState { states, not } => {
                let state = Expr::Ct(Cow::Borrowed("state"));
                let names: Vec<_> =
                    states.iter().map(|state| Value::Word(Cow::Borrowed(state.name()))).collect();
                match (names.as_slice(), not) {
                    (_, false) => {
                        let right = Right::One(Value::List(names));
                        Statement::Match { op: Comparison::In, left: state, right }
                    }
                    ([name], true) => compare(true, state, Right::One(name.clone())),
                    // `!=` a list of bits would hold unless all of them are set.
                    (_, true) => compare(true, state, Right::Set(Elements::of(names))),
                }
            }
            Match::Local { of, not } => {
                let flag = match of {
                    Direction::Source => "saddr",
                    Direction::Destination => "daddr",
                };
                local(*not, flag)
            }
            // `legal` has refused them.
            Match::TransparentSocket | Match::Opaque { .. } => return None,
        })
    }

    fn port(&mut self, of: Direction, ports: &'a PortSet, not: bool) -> Statement<'a> {
        let field = match of {
            Direction::Source => "sport",
            Direction::Destination => "dport",
        };
        let protocol = self.protocol().map_or(Cow::Borrowed("th"), Protocol::name);
        let right = self.right("inet_service", Values::Ports(ports));
        compare(not, payload(protocol, field), right)
    }

    fn right(&mut self, of: &'static str, values: Values<'a>) -> Right<'a> {
        self.sets.right(of, values, &self.chain.name, self.rule.origin.rung)
    }

    fn translate(&self, kind: Translation, to: Option<IpAddr>, port: Option<u16>) -> Statement<'a> {
        let family = to.and(self.named_family());
        let port = port.map(|port| Value::Number(port.into()));
        Statement::Translate(Translate::to(kind, family, to.map(Value::Address), port))
    }

    fn action(&self, statements: &mut Vec<Statement<'a>>) {
        let last = match &self.rule.then {
            Action::Accept => Statement::Verdict(Verdict::Accept),
            Action::Drop => Statement::Verdict(Verdict::Drop),
            Action::Return => Statement::Verdict(Verdict::Return),
            Action::Jump(target) => {
                Statement::Verdict(Verdict::Jump(Cow::Borrowed(target.as_str())))
            }
            Action::Goto(target) => {
                Statement::Verdict(Verdict::Goto(Cow::Borrowed(target.as_str())))
            }
            Action::Redirect { port } => self.translate(Translation::Redirect, None, Some(*port)),
            Action::Snat { to } => self.translate(Translation::Snat, Some(*to), None),
            Action::Dnat { to, port } => self.translate(Translation::Dnat, Some(*to), *port),
            Action::Tproxy { port, mark, .. } => {
                statements.push(Statement::Tproxy {
                    family: self.named_family(),
                    address: None,
                    port: Some(Value::Number((*port).into())),
                });
                statements.push(set(packet_mark(), changed(packet_mark(), *mark)));
                Statement::Verdict(Verdict::Accept)
            }
            Action::SetMark(change) => set(packet_mark(), changed(packet_mark(), *change)),
            Action::MarkAndAccept(change) => {
                statements.push(set(packet_mark(), changed(packet_mark(), *change)));
                Statement::Verdict(Verdict::Accept)
            }
            Action::SetConnmark(change) => set(connmark(), changed(connmark(), *change)),
            Action::SaveMark(MaskPair { packet, connection }) => {
                set(connmark(), copied((connmark(), *connection), (packet_mark(), *packet)))
            }
            Action::RestoreMark(MaskPair { packet, connection }) => {
                set(packet_mark(), copied((packet_mark(), *packet), (connmark(), *connection)))
            }
            Action::SetZone(zone) => {
                let zone = Expr::Value(Value::Number((*zone).into()));
                set(Expr::Ct(Cow::Borrowed("zone")), zone)
            }
            Action::Log => Statement::Log,
            // `legal` has refused it.
            Action::Notrack | Action::Opaque(_) => return,
        };
        statements.push(last);
    }

    /// The rule's family, where the table does not say it.
    fn named_family(&self) -> Option<TableFamily> {
        let narrower = self.rule.families != self.table.families;
        narrower.then(|| self.rule.families.into())
    }
}

impl<'a> Script<'a> {
    fn push(&mut self, verb: Verb, object: Object<'a>) {
        self.commands.push(Command { at: At::Nowhere, verb, object });
    }

    fn add(&mut self, object: Object<'a>) {
        self.push(Verb::Add, object);
    }

    fn remark(&mut self, text: impl Into<Cow<'a, str>>) {
        self.add(Object::Remark(text.into()));
    }
}

impl<'a> Table<'a> {
    fn called(name: TableName<'a>) -> Self {
        Self { name, flags: Vec::new(), sets: Vec::<Set<'a>>::new(), chains: Vec::new() }
    }
}

impl<'a> Chain<'a> {
    fn called(name: &'a str) -> Self {
        let name = Cow::Borrowed(name);
        Self::named(At::Nowhere, name)
    }
}

fn meta<'a>(key: &'static str) -> Expr<'a> {
    Expr::Meta(Cow::Borrowed(key))
}

fn packet_mark<'a>() -> Expr<'a> {
    meta("mark")
}

fn connmark<'a>() -> Expr<'a> {
    Expr::Ct(Cow::Borrowed("mark"))
}

fn payload<'a>(protocol: impl Into<Cow<'a, str>>, field: &'static str) -> Expr<'a> {
    Expr::Payload { protocol: protocol.into(), field: Cow::Borrowed(field) }
}

fn word_is<'a>(word: impl Into<Cow<'a, str>>) -> Right<'a> {
    Right::One(Value::Word(word.into()))
}

/// Whether the address that `flag` means is one of this machine's.
fn local<'a>(not: bool, flag: &'static str) -> Statement<'a> {
    let kind = Expr::Fib { result: Cow::Borrowed("type"), flags: vec![Cow::Borrowed(flag)] };
    compare(not, kind, word_is("local"))
}

fn compare<'a>(not: bool, left: Expr<'a>, right: Right<'a>) -> Statement<'a> {
    let op = if not { Comparison::Unequal } else { Comparison::Equal };
    Statement::Match { op, left, right }
}

fn compare_mark(field: Expr<'_>, mark: Mark, not: bool) -> Statement<'_> {
    let left = if mark.mask() == u32::MAX { field } else { and(field, mark.mask()) };
    compare(not, left, Right::One(Value::Hex(mark.value())))
}

fn set<'a>(key: Expr<'a>, value: Expr<'a>) -> Statement<'a> {
    Statement::Mangle { key, value }
}

/// The mark in `field` after `change`, in as few steps as can be.
fn changed(field: Expr<'_>, MarkChange { clear, flip }: MarkChange) -> Expr<'_> {
    if clear == u32::MAX {
        return Expr::mark(flip);
    }
    if clear == flip {
        return Expr::binary(Operator::Or, field, Expr::mark(flip));
    }
    let cleared = if clear == 0 { field } else { and(field, !clear) };
    match flip {
        0 => cleared,
        // Nothing is left there to flip, and `|` reads better.
        _ if flip & !clear == 0 => Expr::binary(Operator::Or, cleared, Expr::mark(flip)),
        _ => Expr::binary(Operator::Xor, cleared, Expr::mark(flip)),
    }
}

/// The mark in the first field after the bits of the second are copied into it; each with its mask.
fn copied<'a>((into, clear): (Expr<'a>, u32), (from, mask): (Expr<'a>, u32)) -> Expr<'a> {
    // Of a connection mark, none of its bits is still read: nothing happens where there is none.
    if mask == 0 && matches!(from, Expr::Meta(_)) {
        return changed(into, MarkChange { clear, flip: 0 });
    }
    let copy = if mask == u32::MAX { from } else { and(from, mask) };
    if clear == u32::MAX {
        return copy;
    }
    let cleared = if clear == 0 { into } else { and(into, !clear) };
    let operator = if mask & !clear == 0 { Operator::Or } else { Operator::Xor };
    Expr::binary(operator, cleared, copy)
}

fn and(field: Expr<'_>, mask: u32) -> Expr<'_> {
    Expr::binary(Operator::And, field, Expr::mark(mask))
}

/// The first address of the prefix of that length in which the address in `field` lies.
fn beginning(field: Expr<'_>, family: Family, length: u8) -> Expr<'_> {
    if length == family.address_bits() {
        return field;
    }
    Expr::binary(Operator::And, field, Expr::Value(Value::Address(family.netmask(length))))
}

fn address<'a>(of: Direction, family: Family) -> Expr<'a> {
    let protocol = match family {
        Family::Ipv4 => "ip",
        Family::Ipv6 => "ip6",
    };
    let field = match of {
        Direction::Source => "saddr",
        Direction::Destination => "daddr",
    };
    payload(protocol, field)
}
