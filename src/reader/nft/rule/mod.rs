//! One rule of nft: its statements in order, each match with what follows it.

mod inexact;
mod map;
mod steps;
mod translate;

use std::collections::HashMap;

pub(super) use self::inexact::unknown;
use self::map::{Map, verdict};
use self::steps::{Step, tidy};
use super::bits::{Bits, Which};
use super::condition::{self, Condition, transport};
use super::field::Field;
use super::loadable::{check_marks, check_order, check_range, check_value};
use super::opaque::{Asker, Changed};
use super::sets::Sets;
use super::value::{number, target_port};
use super::{ReadProblem, Target};
use crate::ir::{Action, MarkChange, Match, Protocol};
use crate::net::{Families, Name, OnMiss};
use crate::nft::{
    At, Comparison, Expr, Right, Statement, TableFamily, Value, Verdict, bad, needs, refused,
};

/// Most rules that one is read as, if each of several lists has several values.
const MOST_RULES: usize = 4096;
/// Most rules that one is read as.
const MOST_ALTERNATIVES: usize = 65_536;

/// Where a rule stands.
pub(super) struct Place<'v, 't> {
    /// What the table sees.
    pub(super) families: Families,
    pub(super) sets: &'t Sets<'v, 't>,
    /// The chains that a rule may jump to.
    pub(super) targets: &'t HashMap<&'v str, Name>,
    /// The oldest nft that must load the rule, if it is to be loaded. Then only what can be said
    /// exactly is read.
    pub(super) target: Option<Target>,
    /// The table, as nft names it.
    pub(super) of: String,
    /// What rules of the text change.
    pub(super) changed: &'t Changed,
}

impl Place<'_, '_> {
    /// The rule of a chain that is the `index`th, from 1.
    pub(super) fn asker<'p>(&'p self, chain: &'p str, index: usize) -> Asker<'p> {
        Asker { table: &self.of, chain, index, changed: self.changed }
    }
}

/// A rule as its statements say it.
#[derive(Clone)]
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
    /// What a map at the end leads to.
    map: Option<Map>,
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
        asker: &Asker<'_>,
    ) -> Result<Self, (At, ReadProblem)> {
        let mut spec = Self::of(place.families);
        if let Some(target) = place.target {
            check_order(statements, target)?;
        }
        // The rule up to a proxy, or to a map of marks, which what stands behind decides about.
        let mut before: Option<(usize, Self)> = None;
        for (index, (at, statement)) in statements.iter().enumerate() {
            let earlier = place.target.is_none().then(|| spec.clone());
            match spec.add(statement, place) {
                Ok(()) => {}
                Err(problem @ ReadProblem::Absent { .. }) => return Err((*at, problem)),
                Err(problem) => {
                    let Some(earlier) = &earlier else { return Err((*at, problem)) };
                    if let Some((index, before)) = before {
                        return Ok(before.ended_by(&statements[index..], place, asker));
                    }
                    spec = earlier.clone();
                    if spec.is_over {
                        return Ok(spec);
                    }
                    let rest = &statements[index..];
                    if !spec.add_inexactly(statement, rest.len() > 1, place, asker) {
                        return Ok(spec.ended_by(rest, place, asker));
                    }
                }
            }
            let is_open = matches!(
                statement,
                Statement::Tproxy { .. } | Statement::Mangle { value: Expr::Map(_), .. }
            );
            if let Some(earlier) = earlier.filter(|_| is_open) {
                before = Some((index, earlier));
            }
        }
        let end = || statements.last().map_or_else(At::default, |(at, _)| *at);
        if spec.tproxy.is_some() {
            return match before {
                Some((index, before)) => Ok(before.ended_by(&statements[index..], place, asker)),
                None => Err((end(), inexact("tproxy", ONLY_BEHIND_TPROXY))),
            };
        }
        match spec.check_socket() {
            Err(problem) if place.target.is_some() => Err((end(), problem)),
            Err(_) => {
                spec.ask_for_socket(asker);
                Ok(spec)
            }
            Ok(()) => Ok(spec),
        }
    }

    /// A rule for every packet of `families`, so far.
    fn of(families: Families) -> Self {
        Self {
            steps: Vec::new(),
            families: Some(families),
            when: vec![Vec::new()],
            transport: None,
            socket: None,
            tproxy: None,
            map: None,
            is_over: false,
            connection: None,
        }
    }

    fn add<'v>(
        &mut self,
        statement: &'v Statement<'v>,
        place: &Place<'v, '_>,
    ) -> Result<(), ReadProblem> {
        match statement {
            Statement::Unknown { problem, .. } => return Err(problem.clone()),
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
            check_ours(field, &condition, body.0)?;
            check_marks(body.0, target)?;
            self.check(body.2, &condition, target)?;
        }
        if let Some(field) = field {
            self.check_port(field)?;
        }
        match (field, self.socket) {
            (Some(Field::Transparent), Some(Field::Wildcard))
            | (Some(Field::Wildcard), Some(Field::Transparent)) => {
                self.socket = None;
                self.all(vec![Match::TransparentSocket]);
            }
            (Some(Field::Transparent | Field::Wildcard), _) => self.socket = field,
            _ => {}
        }
        self.narrow_by(condition)
    }

    /// What a match comes to must hold.
    fn narrow_by(&mut self, condition: Condition) -> Result<(), ReadProblem> {
        self.families = condition.families.zip(self.families).and_then(|(a, b)| a.and(b));
        let any = match <[Vec<Match>; 1]>::try_from(condition.any) {
            Ok([all]) => {
                self.all(all);
                return Ok(());
            }
            Err(any) => any,
        };
        self.check_size(any.len(), "match")?;
        let is_transport = |all: &Vec<Match>| all.iter().any(says_transport);
        if !any.is_empty() && any.iter().all(is_transport) {
            self.transport.get_or_insert_with(transport);
        }
        self.when = any
            .iter()
            .flat_map(|all| self.when.iter().map(|when| [when.as_slice(), all].concat()))
            .collect();
        self.note_connection(any.iter().flatten());
        Ok(())
    }

    /// Whether each of the alternatives so far can have `more` of its own.
    fn check_size(&self, more: usize, word: &str) -> Result<(), ReadProblem> {
        let most = if self.when.len() > 1 && more > 1 { MOST_RULES } else { MOST_ALTERNATIVES };
        if self.when.len() * more > most { Err(inexact(word, TOO_MANY)) } else { Ok(()) }
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
        if let Some(one) = matches.iter().find(|one| says_transport(one)) {
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
                return self.mangle(key, value, place);
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
            Statement::Translate(translate) => self.translate(translate, place)?,
            Statement::Other { word, .. } => return Err(super::unknown_statement(word)),
            Statement::Update { .. } => return Err(super::unknown_statement("update")),
            Statement::Unknown { problem, .. } => return Err(problem.clone()),
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

    fn mangle<'v>(
        &mut self,
        key: &Expr<'_>,
        value: &'v Expr<'v>,
        place: &Place<'v, '_>,
    ) -> Result<(), ReadProblem> {
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
            _ => return Err(crate::nft::unknown("key to set", key)),
        };
        if let (Expr::Map(map), Which::Packet, None) = (value, which, &self.tproxy) {
            self.map(&map.0, &map.1, place, |_, value| {
                number("mark", value).map(|mark| Action::SetMark(MarkChange::set(mark)))
            })?;
            self.is_over = true;
            return Ok(());
        }
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
        if let Some(last) = self.steps.last_mut()
            && then == Action::Accept
            && last.families == self.families
            && self.when == [[]]
            && last.accepts()
        {
            return;
        }
        let mut when = std::mem::replace(&mut self.when, vec![Vec::new()]);
        when.iter_mut().for_each(tidy);
        self.steps.push(Step { families: self.families, when, then, needs_connection });
    }
}

/// Whether rules of ours could have the match: they name interfaces, and know TCP and UDP only.
fn check_ours(
    field: Option<Field>,
    condition: &Condition,
    left: &Expr<'_>,
) -> Result<(), ReadProblem> {
    let is_other = |one: &Match| match one {
        Match::Protocol { protocol, .. } => !protocol.has_ports(),
        _ => false,
    };
    match field {
        Some(Field::Ether | Field::Interface(_, "iface_index")) => {
            Err(crate::nft::unknown("meta key", left))
        }
        _ if condition.any.iter().flatten().any(is_other) => {
            Err(inexact("protocol", "only tcp and udp are written"))
        }
        _ => Ok(()),
    }
}

/// Whether only packets of TCP or of UDP, or of both, fulfil it.
fn says_transport(one: &Match) -> bool {
    matches!(one, Match::Protocol { protocol: Protocol::Tcp | Protocol::Udp, not: false })
        || *one == transport()
}

const TOO_MANY: &str = "it would be too many rules";
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
