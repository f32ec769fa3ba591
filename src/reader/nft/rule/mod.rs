//! One rule of nft: its statements in order, each match with what follows it.

mod map;
mod steps;

use std::net::IpAddr;

use self::map::verdict;
use self::steps::{Step, tidy};
use super::bits::{Bits, Which};
use super::condition::{self, Condition, transport};
use super::field::Field;
use super::loadable::{check_marks, check_order, check_range, check_value};
use super::table::Sets;
use super::value::{address, number, target_port};
use super::{ReadProblem, Target};
use crate::ir::{Action, MarkChange, Match};
use crate::net::{Families, Name, OnMiss};
use crate::nft::{
    At, Comparison, Expr, Right, Statement, TableFamily, Value, Verdict, bad, needs, refused,
    unknown,
};

/// Most rules that one is read as.
const MOST_RULES: usize = 4096;

/// Where a rule stands.
pub(super) struct Place<'v, 't> {
    /// What the table sees.
    pub(super) families: Families,
    pub(super) sets: &'t Sets<'v, 't>,
    /// The chains that a rule may jump to.
    pub(super) targets: &'t [Name],
    /// The oldest nft that must load the rule, if it is to be loaded.
    pub(super) target: Option<Target>,
}

/// A rule as its statements say it.
pub(super) struct Spec {
    steps: Vec<Step>,
    families: Option<Families>,
    /// What must hold behind the last action.
    when: Vec<Vec<Match>>,
    /// What has ensured so far that the packet is TCP or UDP.
    transport: Option<Match>,
    /// Half of a match on a transparent socket.
    socket: Option<Field>,
    /// A proxy's port, and how the mark changes if the proxy takes the packet.
    tproxy: Option<(u16, MarkChange)>,
    /// What a map of verdicts at the end leads to.
    map: Option<Vec<(Vec<Match>, Action)>>,
    /// Whether nothing can stand behind.
    is_over: bool,
    /// The first word that is about the packet's connection.
    pub(super) connection: Option<&'static str>,
}

impl Spec {
    /// Reads the statements of a rule; on an error, where it is.
    pub(super) fn read<'v>(
        statements: &'v [(At, Statement<'v>)],
        place: &Place<'v, '_>,
    ) -> Result<Self, (At, ReadProblem)> {
        let mut spec = Self {
            steps: Vec::new(),
            families: Some(place.families),
            when: vec![Vec::new()],
            transport: None,
            socket: None,
            tproxy: None,
            map: None,
            is_over: false,
            connection: None,
        };
        if let Some(target) = place.target {
            check_order(statements, target)?;
        }
        for (at, statement) in statements {
            spec.add(statement, place).map_err(|problem| (*at, problem))?;
        }
        let end = || statements.last().map_or_else(At::default, |(at, _)| *at);
        if spec.tproxy.is_some() {
            return Err((end(), inexact("tproxy", ONLY_BEHIND_TPROXY)));
        }
        spec.check_socket().map_err(|problem| (end(), problem))?;
        Ok(spec)
    }

    fn add<'v>(
        &mut self,
        statement: &'v Statement<'v>,
        place: &Place<'v, '_>,
    ) -> Result<(), ReadProblem> {
        match statement {
            _ if self.is_over => {
                return Err(inexact(statement.word(), "it stands behind the end of the rule"));
            }
            Statement::Counter => return Ok(()),
            Statement::Mangle { .. } => {}
            _ if self.tproxy.is_some() && !is_accept(statement) => {
                return Err(inexact("tproxy", ONLY_BEHIND_TPROXY));
            }
            _ => {}
        }
        match statement {
            Statement::Match { left, op, right } => self.condition((left, *op, right), place),
            _ => self.statement(statement, place),
        }
    }

    fn condition<'v>(
        &mut self,
        body: (&Expr<'_>, Comparison, &'v Right<'v>),
        place: &Place<'v, '_>,
    ) -> Result<(), ReadProblem> {
        let (field, condition) = condition::read(body, place.sets)?;
        if let Some(target) = place.target {
            check_marks(body.0, target)?;
            self.check(body.2, &condition, target)?;
        }
        self.check_port(field)?;
        match (field, self.socket) {
            (Field::Transparent, Some(Field::Wildcard))
            | (Field::Wildcard, Some(Field::Transparent)) => {
                self.socket = None;
                self.all(vec![Match::TransparentSocket]);
            }
            (Field::Transparent | Field::Wildcard, _) => self.socket = Some(field),
            _ => {}
        }
        self.families = condition.families.zip(self.families).and_then(|(a, b)| a.and(b));
        let any = match <[Vec<Match>; 1]>::try_from(condition.any) {
            Ok([all]) => {
                self.all(all);
                return Ok(());
            }
            Err(any) => any,
        };
        if self.when.len() * any.len() > MOST_RULES {
            return Err(inexact("match", TOO_MANY));
        }
        self.when = any
            .iter()
            .flat_map(|all| self.when.iter().map(|when| [when.as_slice(), all].concat()))
            .collect();
        self.note_connection(any.iter().flatten());
        Ok(())
    }

    /// Whether nft from `target` on takes the match behind those before.
    fn check(
        &self,
        right: &Right<'_>,
        condition: &Condition,
        target: Target,
    ) -> Result<(), ReadProblem> {
        match right {
            Right::One(value) => check_range(value, target)?,
            Right::Set(elements) => {
                elements.values.iter().try_for_each(|value| check_value(value, target))?;
            }
            Right::Named(_) => {}
        }
        let families = condition.families.zip(self.families);
        if families.and_then(|(a, b)| a.and(b)).is_none() {
            return Err(conflict("family"));
        }
        let is_protocol = |one: &&Match| matches!(one, Match::Protocol { not: false, .. });
        let before = self.when.iter().flatten().find(is_protocol);
        let now = condition.any.iter().flatten().find(is_protocol);
        if before.zip(now).is_some_and(|(before, now)| before != now) {
            return Err(conflict("protocol"));
        }
        Ok(())
    }

    /// All of these must hold.
    fn all(&mut self, matches: Vec<Match>) {
        let says = |one: &&Match| {
            matches!(one, Match::Protocol { not: false, .. }) || **one == transport()
        };
        if let Some(one) = matches.iter().find(says) {
            self.transport.get_or_insert_with(|| one.clone());
        }
        self.note_connection(matches.iter());
        if let [when] = &mut self.when[..] {
            for one in matches {
                if !when.contains(&one) {
                    when.push(one);
                }
            }
            return;
        }
        for when in &mut self.when {
            for one in &matches {
                if !when.contains(one) {
                    when.push(one.clone());
                }
            }
        }
    }

    fn note_connection<'m>(&mut self, mut matches: impl Iterator<Item = &'m Match>) {
        let word = matches.find_map(|one| match one {
            Match::Connmark { .. } => Some("ct mark"),
            Match::CtState { .. } => Some("ct state"),
            _ => None,
        });
        self.connection = self.connection.or(word);
    }

    /// A port of any protocol is one of TCP or UDP only if something else says so.
    fn check_port(&self, field: Field) -> Result<(), ReadProblem> {
        let is_any = matches!(field, Field::Port(_, None));
        if is_any && self.transport.is_none() { Err(needs_transport("th")) } else { Ok(()) }
    }

    fn check_socket(&self) -> Result<(), ReadProblem> {
        match self.socket {
            None => Ok(()),
            Some(Field::Wildcard) => Err(needs("socket wildcard", "`socket transparent 1`")),
            Some(_) => Err(needs("socket transparent", "`socket wildcard 0`")),
        }
    }

    fn statement<'v>(
        &mut self,
        statement: &'v Statement<'v>,
        place: &Place<'v, '_>,
    ) -> Result<(), ReadProblem> {
        self.check_socket()?;
        match statement {
            Statement::Mangle { key, value } => {
                if let Some(target) = place.target {
                    check_marks(value, target)?;
                }
                return self.mangle(key, value);
            }
            Statement::Log => {
                self.act(Action::Log, false);
                return Ok(());
            }
            Statement::Tproxy { family, address, port } => {
                let (address, port) = (address.as_ref(), port.as_ref());
                return self.tproxy(place.families, *family, address, port);
            }
            Statement::Vmap { key, to } => self.vmap(key, to, place)?,
            Statement::Redirect { port } => {
                let port = port.as_ref().ok_or_else(|| needs("redirect", "a port"))?;
                let port = target_port(port)?;
                self.ensure_transport("redirect")?;
                self.act(Action::Redirect { port }, false);
            }
            Statement::Snat { family, to } => {
                let to = self.new_address("snat", *family, to)?;
                self.act(Action::Snat { to }, false);
            }
            Statement::Dnat { family, to, port } => {
                let port = port.as_ref().map(target_port).transpose()?;
                if port.is_some() {
                    self.ensure_transport("dnat")?;
                }
                let to = self.new_address("dnat", *family, to)?;
                self.act(Action::Dnat { to, port }, false);
            }
            Statement::Verdict(given) => {
                if let Some((port, mark)) = self.tproxy.take() {
                    self.act(Action::Tproxy { port, mark, on_miss: OnMiss::Continue }, false);
                } else if let Some(action) = verdict(given, place)? {
                    self.act(action, false);
                }
            }
            Statement::Match { .. } | Statement::Counter => return Ok(()),
        }
        self.is_over = true;
        Ok(())
    }

    /// What `word` gives a connection instead of an address, which says the family.
    fn new_address(
        &mut self,
        word: &str,
        family: Option<TableFamily>,
        to: &Value<'_>,
    ) -> Result<IpAddr, ReadProblem> {
        let to = address(to)?;
        let families = if to.is_ipv4() { Families::Ipv4 } else { Families::Ipv6 };
        if family.is_none() && self.families == Some(Families::Both) {
            return Err(refused(word, "it has to say which family it is for"));
        }
        self.narrow(family, families)?;
        self.narrow_to(families);
        Ok(to)
    }

    fn mangle(&mut self, key: &Expr<'_>, value: &Expr<'_>) -> Result<(), ReadProblem> {
        let which = match key {
            Expr::Meta(name) if name == "mark" => Which::Packet,
            Expr::Ct(name) if name == "mark" => Which::Connection,
            Expr::Ct(name) if name == "zone" && self.tproxy.is_none() => {
                let zone = match value {
                    Expr::Value(value) => number("zone", value)?,
                    _ => return Err(bad("zone", value, "not a number of at most 32 bits")),
                };
                let zone = u16::try_from(zone);
                let zone = zone.map_err(|_| bad("zone", value, "the highest zone is 65535"))?;
                self.act(Action::SetZone(zone), false);
                return Ok(());
            }
            _ => return Err(unknown("key to set", key)),
        };
        let bits = Bits::read(value)?;
        let actions = bits.set(which);
        if let Some((_, mark)) = &mut self.tproxy {
            let [Action::SetMark(change)] = actions.as_slice() else {
                return Err(inexact("tproxy", ONLY_BEHIND_TPROXY));
            };
            if bits.needs_connection {
                return Err(inexact("tproxy", ONLY_BEHIND_TPROXY));
            }
            *mark = MarkChange {
                clear: mark.clear | change.clear,
                flip: (mark.flip & !change.clear) ^ change.flip,
            };
            return Ok(());
        }
        if which == Which::Connection || bits.needs_connection {
            self.connection.get_or_insert("ct mark");
        }
        let mut needs_connection = bits.needs_connection;
        for action in actions {
            self.act(action, std::mem::take(&mut needs_connection));
        }
        Ok(())
    }

    fn tproxy(
        &mut self,
        sees: Families,
        family: Option<TableFamily>,
        address: Option<&Value<'_>>,
        port: Option<&Value<'_>>,
    ) -> Result<(), ReadProblem> {
        self.ensure_transport("tproxy")?;
        if family.is_none() && sees == Families::Both && self.families != Some(Families::Both) {
            return Err(refused("tproxy", "it has to say which family it is for"));
        }
        self.narrow(family, Families::Both)?;
        if address.is_some() {
            return Err(inexact("tproxy", "it names an address"));
        }
        let port = port.ok_or_else(|| needs("tproxy", "a port"))?;
        self.tproxy = Some((target_port(port)?, MarkChange { clear: 0, flip: 0 }));
        Ok(())
    }

    /// What a statement says of its family, which is one of `families`.
    fn narrow(
        &mut self,
        family: Option<TableFamily>,
        families: Families,
    ) -> Result<(), ReadProblem> {
        let Some(family) = family else { return Ok(()) };
        let named = family.families();
        if named.and(families).is_none() {
            return Err(bad("family", family.name(), "not that of the address"));
        }
        if self.families.is_some_and(|before| before.and(named).is_none()) {
            return Err(conflict("family"));
        }
        self.narrow_to(named);
        Ok(())
    }

    fn narrow_to(&mut self, families: Families) {
        self.families = self.families.and_then(|known| known.and(families));
    }

    /// A statement that is for TCP and UDP only, which the rule must say.
    fn ensure_transport(&mut self, word: &str) -> Result<(), ReadProblem> {
        let says = self.transport.clone().ok_or_else(|| needs_transport(word))?;
        self.all(vec![says]);
        Ok(())
    }

    fn act(&mut self, then: Action, needs_connection: bool) {
        let mut when = std::mem::replace(&mut self.when, vec![Vec::new()]);
        when.iter_mut().for_each(tidy);
        self.steps.push(Step { families: self.families, when, then, needs_connection });
    }
}

const TOO_MANY: &str = "it would be more than 4096 rules";
const ONLY_BEHIND_TPROXY: &str = "only `meta mark set` and `accept` may stand behind it";

fn inexact(word: &str, why: &'static str) -> ReadProblem {
    ReadProblem::Inexact { word: word.to_owned(), why }
}

fn conflict(what: &str) -> ReadProblem {
    refused(what, "a match before is for another one")
}

fn needs_transport(word: &str) -> ReadProblem {
    needs(word, "a match on tcp or udp before it")
}

const fn is_accept(statement: &Statement<'_>) -> bool {
    matches!(statement, Statement::Verdict(Verdict::Accept))
}
