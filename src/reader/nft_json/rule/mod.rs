//! One rule of nft: its statements in order, each match with what follows it.

mod map;
mod steps;

use serde_json::Value;

use self::map::{Verdict, empty, verdict};
use self::steps::{Step, tidy};
use super::ReadProblem;
use super::bits::{Bits, Which};
use super::condition::{self, transport};
use super::field::Field;
use super::object::{Object, bad, only, text};
use super::table::Sets;
use super::value::{address, number, target_port};
use crate::ir::{Action, MarkChange, Match};
use crate::net::{Families, Name, OnMiss};

/// Most rules that one is read as.
const MOST_RULES: usize = 4096;

/// Where a rule stands.
pub(super) struct Place<'a, 't> {
    /// What the table sees.
    pub(super) families: Families,
    pub(super) sets: &'t Sets<'a, 't>,
    /// The chains that a rule may jump to.
    pub(super) targets: &'t [Name],
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
    /// Reads the statements of a rule.
    pub(super) fn read<'a>(
        statements: &'a Value,
        place: &Place<'a, '_>,
    ) -> Result<Self, ReadProblem> {
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
        let list = statements.as_array();
        for statement in list.ok_or_else(|| bad("expr", statements, "not a list of statements"))? {
            let (word, body) = only(statement, "statement")?;
            if word == "counter" {
                continue;
            }
            if spec.is_over {
                return Err(inexact(word, "it stands behind the end of the rule"));
            }
            if spec.tproxy.is_some() && !matches!(word, "mangle" | "accept") {
                return Err(inexact("tproxy", ONLY_BEHIND_TPROXY));
            }
            if word == "match" {
                spec.condition(body, place)?;
            } else {
                spec.statement(word, body, place)?;
            }
        }
        if spec.tproxy.is_some() {
            return Err(inexact("tproxy", ONLY_BEHIND_TPROXY));
        }
        spec.check_socket()?;
        Ok(spec)
    }

    fn condition<'a>(&mut self, body: &'a Value, place: &Place<'a, '_>) -> Result<(), ReadProblem> {
        let (field, condition) = condition::read(body, place.sets)?;
        self.check_port(field)?;
        match (field, self.socket) {
            (Field::Transparent, Some(Field::Wildcard))
            | (Field::Wildcard, Some(Field::Transparent)) => {
                self.socket = None;
                self.all(&[Match::TransparentSocket]);
            }
            (Field::Transparent | Field::Wildcard, _) => self.socket = Some(field),
            _ => {}
        }
        self.families = condition.families.zip(self.families).and_then(|(a, b)| a.and(b));
        if let [all] = condition.any.as_slice() {
            self.all(all);
            return Ok(());
        }
        if self.when.len() * condition.any.len() > MOST_RULES {
            return Err(inexact("match", TOO_MANY));
        }
        self.when = condition
            .any
            .iter()
            .flat_map(|all| self.when.iter().map(|when| [when.as_slice(), all].concat()))
            .collect();
        self.note_connection(condition.any.iter().flatten());
        Ok(())
    }

    /// All of these must hold.
    fn all(&mut self, matches: &[Match]) {
        for when in &mut self.when {
            for one in matches {
                if !when.contains(one) {
                    when.push(one.clone());
                }
            }
        }
        let says = |one: &&Match| {
            matches!(one, Match::Protocol { not: false, .. }) || **one == transport()
        };
        if let Some(one) = matches.iter().find(says) {
            self.transport.get_or_insert_with(|| one.clone());
        }
        self.note_connection(matches.iter());
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

    fn statement<'a>(
        &mut self,
        word: &str,
        body: &'a Value,
        place: &Place<'a, '_>,
    ) -> Result<(), ReadProblem> {
        self.check_socket()?;
        match word {
            "mangle" => return self.mangle(body),
            "log" => {
                const KEYS: [&str; 6] =
                    ["prefix", "group", "snaplen", "queue-threshold", "level", "flags"];
                if !body.is_null() {
                    Object::read("log", body, &KEYS)?;
                }
                self.act(Action::Log, false);
                return Ok(());
            }
            "tproxy" => return self.tproxy(body),
            "vmap" => self.vmap(body, place)?,
            "accept" if self.tproxy.is_some() => {
                empty("accept", body)?;
                if let Some((port, mark)) = self.tproxy.take() {
                    self.act(Action::Tproxy { port, mark, on_miss: OnMiss::Continue }, false);
                }
            }
            "redirect" => {
                let fields = Object::read("redirect", body, &["port"])?;
                let port = target_port(fields.need("port")?)?;
                self.ensure_transport("redirect")?;
                self.act(Action::Redirect { port }, false);
            }
            "snat" => {
                let fields = Object::read("snat", body, &["family", "addr"])?;
                let to = address(fields.need("addr")?)?;
                let families = if to.is_ipv4() { Families::Ipv4 } else { Families::Ipv6 };
                self.narrow(fields, families)?;
                self.narrow_to(families);
                self.act(Action::Snat { to }, false);
            }
            _ => match verdict(word, body, place)? {
                Some(Verdict::Does(action)) => self.act(action, false),
                Some(Verdict::Continues) => {}
                None => {
                    return Err(ReadProblem::Unknown { what: "statement", word: word.to_owned() });
                }
            },
        }
        self.is_over = true;
        Ok(())
    }

    fn mangle(&mut self, body: &Value) -> Result<(), ReadProblem> {
        let fields = Object::read("mangle", body, &["key", "value"])?;
        let (word, key) = only(fields.need("key")?, "expression")?;
        let unknown =
            |word: &str| ReadProblem::Unknown { what: "key to set", word: word.to_owned() };
        let key = match word {
            "meta" => Object::read("meta", key, &["key"])?.text("key")?,
            "ct" => Object::read("ct", key, &["key"])?.text("key")?,
            _ => return Err(unknown(word)),
        };
        let value = fields.need("value")?;
        let which = match (word, key) {
            ("meta", "mark") => Which::Packet,
            ("ct", "mark") => Which::Connection,
            ("ct", "zone") if self.tproxy.is_none() => {
                let zone = u16::try_from(number("zone", value)?);
                let zone = zone.map_err(|_| bad("zone", value, "the highest zone is 65535"))?;
                self.act(Action::SetZone(zone), false);
                return Ok(());
            }
            _ => return Err(unknown(&format!("{word} {key}"))),
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

    fn tproxy(&mut self, body: &Value) -> Result<(), ReadProblem> {
        let fields = Object::read("tproxy", body, &["family", "port"])?;
        self.ensure_transport("tproxy")?;
        self.narrow(fields, Families::Both)?;
        let mark = MarkChange { clear: 0, flip: 0 };
        self.tproxy = Some((target_port(fields.need("port")?)?, mark));
        Ok(())
    }

    /// What a statement says of its family, which is one of `families`.
    fn narrow(&mut self, fields: Object<'_>, families: Families) -> Result<(), ReadProblem> {
        let Some(family) = fields.get("family") else { return Ok(()) };
        let named = match text("family", family)? {
            "ip" => Families::Ipv4,
            "ip6" => Families::Ipv6,
            word => return Err(ReadProblem::Unknown { what: "family", word: word.to_owned() }),
        };
        if named.and(families).is_none() {
            return Err(bad("family", family, "not that of the address"));
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
        self.all(&[says]);
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

fn needs(word: &str, needs: &'static str) -> ReadProblem {
    ReadProblem::Needs { word: word.to_owned(), needs }
}

fn needs_transport(word: &str) -> ReadProblem {
    needs(word, "a match on tcp or udp before it")
}
