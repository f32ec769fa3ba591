use serde_json::Value;

use super::ReadProblem;
use super::bits::{Bits, Which};
use super::condition::{self, Field, Op, Right, connected, transport};
use super::fields::{Fields, bad, only, text};
use super::state::absent;
use super::table::Sets;
use super::value::{address, target_port, unwrapped};
use crate::backend::nft::Names;
use crate::ir::{Action, Chain, MarkChange, Match, Origin, OwnerIs, Rule};
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

/// One action of a rule, and what must hold for it besides what held for those before.
struct Step {
    families: Option<Families>,
    /// All of one of these; no packet has two of which that is so.
    when: Vec<Vec<Match>>,
    then: Action,
    /// Whether nft leaves the rule here if the packet has no connection.
    needs_connection: bool,
}

/// A rule as its statements say it.
pub(super) struct Spec {
    steps: Vec<Step>,
    families: Option<Families>,
    /// What must hold behind the last action.
    when: Vec<Vec<Match>>,
    /// What has ensured so far that the packet is TCP or UDP.
    transport: Option<Match>,
    socket: Option<Field>,
    tproxy: Option<(u16, MarkChange)>,
    /// What a verdict map leads to, and whether the packet changes on the way.
    map: Option<Vec<(Vec<Match>, Action)>>,
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
            return Err(inexact("match", "it would be too many rules"));
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
                    Fields::read("log", body, &KEYS)?;
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
                let fields = Fields::read("redirect", body, &["port"])?;
                let port = target_port(fields.need("port")?)?;
                self.ensure_transport("redirect")?;
                self.act(Action::Redirect { port }, false);
            }
            "snat" => {
                let fields = Fields::read("snat", body, &["family", "addr"])?;
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
        let fields = Fields::read("mangle", body, &["key", "value"])?;
        let (word, key) = only(fields.need("key")?, "expression")?;
        let of = if word == "ct" { "ct" } else { "meta" };
        let key = Fields::read(of, key, &["key"])?.text("key")?;
        let value = fields.need("value")?;
        let which = match (word, key) {
            ("meta", "mark") => Which::Packet,
            ("ct", "mark") => Which::Connection,
            ("ct", "zone") if self.tproxy.is_none() => {
                let zone = value.as_u64().and_then(|zone| u16::try_from(zone).ok());
                let zone = zone.ok_or_else(|| bad("zone", value, "not a number up to 65535"))?;
                self.act(Action::SetZone(zone), false);
                return Ok(());
            }
            _ => {
                return Err(ReadProblem::Unknown {
                    what: "key to set",
                    word: format!("{word} {key}"),
                });
            }
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
        let fields = Fields::read("tproxy", body, &["family", "port"])?;
        self.ensure_transport("tproxy")?;
        self.narrow(fields, Families::Both)?;
        let mark = MarkChange { clear: 0, flip: 0 };
        self.tproxy = Some((target_port(fields.need("port")?)?, mark));
        Ok(())
    }

    /// What a statement says of its family, which is one of `families`.
    fn narrow(&mut self, fields: Fields<'_>, families: Families) -> Result<(), ReadProblem> {
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

    fn vmap<'a>(&mut self, body: &'a Value, place: &Place<'a, '_>) -> Result<(), ReadProblem> {
        let fields = Fields::read("vmap", body, &["key", "data"])?;
        let field = Field::read(fields.need("key")?)?;
        self.check_port(field)?;
        if matches!(field, Field::Family | Field::Transparent | Field::Wildcard) {
            return Err(inexact("vmap", "its key is a family or a socket"));
        }
        if !self.steps.is_empty() {
            return Err(inexact("vmap", "an action stands before it"));
        }
        let mut keys = Vec::new();
        let mut entries = Vec::new();
        let mut rest = None;
        let mut seen: Vec<Vec<Match>> = Vec::new();
        for pair in place.sets.entries(fields.need("data")?)? {
            let [key, then] = pair.as_array().map(Vec::as_slice).unwrap_or_default() else {
                return Err(bad("element", pair, "not a key and a verdict"));
            };
            let (word, body) = only(then, "verdict")?;
            let then = verdict(word, body, place)?
                .ok_or_else(|| ReadProblem::Unknown { what: "verdict", word: word.to_owned() })?;
            let key = unwrapped(key)?;
            if key == "*" {
                rest = Some(then);
                continue;
            }
            keys.push(key);
            for all in self.key(field, Op::Equal, &Right::One(key))? {
                if seen.iter().any(|other| overlap(other, &all)) {
                    return Err(bad("key", key, "another key has it, too"));
                }
                seen.push(all.clone());
                entries.extend(then.action().map(|then| (all, then)));
            }
        }
        // What compares with several keys at once can say that none is meant.
        if let Some(action) = rest.as_ref().and_then(Verdict::action) {
            let others = self.key(field, Op::Unequal, &Right::Set(keys))?;
            entries.extend(others.into_iter().map(|all| (all, action.clone())));
        }
        let may_come_back = |(_, then): &(_, Action)| !is_final(then);
        let behind_first = entries.len().saturating_sub(1);
        if field.is_changed() && entries[..behind_first].iter().any(may_come_back)
            || self.when.len() > 1 && entries.iter().any(may_come_back)
        {
            return Err(inexact("vmap", "a mark that it compares may change on the way"));
        }
        self.map = Some(entries);
        Ok(())
    }

    /// What it takes for the key of a map to compare so.
    fn key(
        &mut self,
        field: Field,
        op: Op,
        right: &Right<'_>,
    ) -> Result<Vec<Vec<Match>>, ReadProblem> {
        let condition = condition::compare(field, op, right)?;
        self.note_connection(condition.any.iter().flatten());
        // The same for every key: the family of a packet that has the field.
        self.families = condition.families.zip(self.families).and_then(|(a, b)| a.and(b));
        Ok(condition.any)
    }

    /// The IR's rules for it: none if it does nothing. What `chain` cannot say by itself is in
    /// `helpers`.
    pub(super) fn rules(
        self,
        chain: &str,
        names: &mut Names,
        helpers: &mut Vec<Chain>,
    ) -> Result<Vec<Rule>, ReadProblem> {
        if let Some(entries) = self.map {
            let Some(families) = self.families else { return Ok(Vec::new()) };
            let rules = self.when.iter().flat_map(|when| {
                entries.iter().map(move |(key, then)| {
                    let mut when = [when.as_slice(), key].concat();
                    tidy(&mut when);
                    rule(families, when, then.clone())
                })
            });
            return Ok(rules.collect());
        }
        // Behind what never holds, nothing happens.
        let live = self.steps.iter().take_while(|step| step.families.is_some()).count();
        Helpers { chain, names, chains: helpers }.run(&self.steps[..live])
    }
}

const ONLY_BEHIND_TPROXY: &str = "only `meta mark set` and `accept` may stand behind it";

/// The chains that the rules of a chain need besides.
struct Helpers<'c> {
    chain: &'c str,
    names: &'c mut Names,
    chains: &'c mut Vec<Chain>,
}

impl Helpers<'_> {
    /// The rules that do what `steps` do, as one of nft does it: nothing is compared twice.
    fn run(&mut self, steps: &[Step]) -> Result<Vec<Rule>, ReadProblem> {
        let Some((first, rest)) = steps.split_first() else { return Ok(Vec::new()) };
        let (Some(families), false) = (first.families, first.when.is_empty()) else {
            return Ok(Vec::new());
        };
        let guarded =
            first.needs_connection && !(rest.is_empty() && is_for_connections(&first.then));
        let when = first.when.iter().map(|when| {
            let mut when = when.clone();
            when.extend(guarded.then(connected));
            when
        });
        let each = |then: &Action| {
            when.clone().map(|when| rule(families, when, then.clone())).collect::<Vec<_>>()
        };
        if rest.is_empty() && (first.when.len() == 1 || is_final(&first.then)) {
            return Ok(each(&first.then));
        }
        let plain = |then: &Action| rule(families, Vec::new(), then.clone());
        let mut body = vec![plain(&first.then)];
        let leaves = steps.last().is_some_and(|last| leaves_to_caller(&last.then));
        if leaves {
            let is_plain = |step: &Step| {
                step.families == first.families
                    && step.when.iter().all(Vec::is_empty)
                    && step.when.len() == 1
                    && !step.needs_connection
            };
            if !rest.iter().all(is_plain) {
                let why = "a match stands between two actions of the rule";
                return Err(inexact("return", why));
            }
            let goes = rest.iter().map(|step| &step.then).filter(|then| **then != Action::Return);
            body.extend(goes.map(plain));
        } else {
            body.extend(self.run(rest)?);
        }
        let body = self.add("then", body);
        if leaves {
            return Ok(each(&Action::Goto(body)));
        }
        if first.when.len() == 1 {
            return Ok(each(&Action::Jump(body)));
        }
        // No alternative is looked at again behind the one that leads to the body.
        let either = each(&Action::Goto(body));
        let either = self.add("either", either);
        Ok(vec![plain(&Action::Jump(either))])
    }

    fn add(&mut self, what: &str, rules: Vec<Rule>) -> Name {
        let name = self.names.fresh(self.chain, what);
        self.chains.push(Chain { name: name.clone(), base: None, rules });
        name
    }
}

/// What a verdict does.
enum Verdict {
    Does(Action),
    /// The next rule runs.
    Continues,
}

impl Verdict {
    fn action(&self) -> Option<Action> {
        match self {
            Self::Does(action) => Some(action.clone()),
            Self::Continues => None,
        }
    }
}

/// The verdict, if `word` is one.
fn verdict(
    word: &str,
    body: &Value,
    place: &Place<'_, '_>,
) -> Result<Option<Verdict>, ReadProblem> {
    let action = match word {
        "accept" => Action::Accept,
        "drop" => Action::Drop,
        "return" => Action::Return,
        "continue" => {
            empty("continue", body)?;
            return Ok(Some(Verdict::Continues));
        }
        "jump" | "goto" => {
            let of = if word == "jump" { "jump" } else { "goto" };
            let name = Fields::read(of, body, &["target"])?.text("target")?;
            let target = place.targets.iter().find(|target| target.as_str() == name);
            let target = target.ok_or_else(|| absent("chain without a hook", name))?.clone();
            let action = if word == "jump" { Action::Jump } else { Action::Goto };
            return Ok(Some(Verdict::Does(action(target))));
        }
        _ => return Ok(None),
    };
    empty("verdict", body)?;
    Ok(Some(Verdict::Does(action)))
}

/// A statement that says everything with its name.
fn empty(of: &'static str, body: &Value) -> Result<(), ReadProblem> {
    if body.is_null() { Ok(()) } else { Fields::read(of, body, &[]).map(|_| ()) }
}

fn rule(families: Families, when: Vec<Match>, then: Action) -> Rule {
    Rule { families, when, then, origin: Origin::FOREIGN }
}

/// Leaves out that the packet is TCP or UDP where another match says that.
fn tidy(when: &mut Vec<Match>) {
    let any = transport();
    let says_more = |one: &Match| {
        *one != any && matches!(one, Match::Port { .. } | Match::Protocol { not: false, .. })
    };
    if when.iter().any(says_more) {
        when.retain(|one| *one != any);
    }
}

/// Whether no later rule of the chain runs for the packet.
fn is_final(action: &Action) -> bool {
    action.ends_base_chain() || leaves_to_caller(action)
}

const fn leaves_to_caller(action: &Action) -> bool {
    matches!(action, Action::Return | Action::Goto(_))
}

/// Whether the action does nothing to a packet without a connection.
const fn is_for_connections(action: &Action) -> bool {
    matches!(action, Action::SetConnmark(_) | Action::SaveMark(_) | Action::RestoreMark(_))
}

/// Whether both keys of a map could be those of one packet.
fn overlap(left: &[Match], right: &[Match]) -> bool {
    left.iter().zip(right).all(|(left, right)| match (left, right) {
        (Match::Port { ports: left, .. }, Match::Port { ports: right, .. }) => {
            left.minus(right) != *left
        }
        (Match::Address { nets: left, .. }, Match::Address { nets: right, .. }) => {
            left.iter().any(|net| right.contains(net.addr()))
                || right.iter().any(|net| left.contains(net.addr()))
        }
        (Match::Owner { is: left, .. }, Match::Owner { is: right, .. }) => {
            let (left, right) = (ids(left), ids(right));
            left.iter().any(|(first, last)| {
                right
                    .iter()
                    .any(|(other_first, other_last)| first <= other_last && other_first <= last)
            })
        }
        (Match::Interface { names: left, .. }, Match::Interface { names: right, .. }) => left
            .iter()
            .any(|name| right.iter().any(|other| name.covers(other) || other.covers(name))),
        (Match::Mark { mark: left, .. }, Match::Mark { mark: right, .. })
        | (Match::Connmark { mark: left, .. }, Match::Connmark { mark: right, .. }) => {
            left.overlaps(*right)
        }
        _ => left == right,
    })
}

fn ids(is: &OwnerIs) -> &[(u32, u32)] {
    match is {
        OwnerIs::In(ids) | OwnerIs::NotIn { ids, .. } => ids,
    }
}

fn inexact(word: &str, why: &'static str) -> ReadProblem {
    ReadProblem::Inexact { word: word.to_owned(), why }
}

fn needs(word: &str, needs: &'static str) -> ReadProblem {
    ReadProblem::Needs { word: word.to_owned(), needs }
}

fn needs_transport(word: &str) -> ReadProblem {
    needs(word, "a match on tcp or udp before it")
}
