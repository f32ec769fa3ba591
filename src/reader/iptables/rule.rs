//! The matches of a line of iptables.

use ipnet::IpNet;

use super::opaque::{FOLLOWING, NEGATABLE, Question, is_exact};
use super::target::Target;
use super::value::Value;
use super::words::Words;
use super::{Options, ReadProblem};
use crate::ir::{
    Also, BuiltInTable, CtState, CtStates, Direction, Match, Origin, Owner, OwnerIs, Protocol, Rule,
};
use crate::net::{Family, Interface, Name, Nets, PortSet};

/// The modules of which something can be said exactly.
const MODULES: [&str; 13] = [
    "tcp",
    "udp",
    "multiport",
    "owner",
    "mark",
    "connmark",
    "conntrack",
    "state",
    "set",
    "addrtype",
    "socket",
    "comment",
    "iprange",
];

/// A rule as its line says it.
#[derive(Default)]
pub(super) struct Spec {
    protocol: Option<(Protocol, bool)>,
    source: Option<(IpNet, bool)>,
    destination: Option<(IpNet, bool)>,
    input: Option<(Interface, bool)>,
    output: Option<(Interface, bool)>,
    source_port: Option<(PortSet, bool)>,
    destination_port: Option<(PortSet, bool)>,
    /// What `-m` adds, in the order of the line.
    rest: Vec<Match>,
    /// One of the two ports must be in the set.
    either_port: Option<PortSet>,
    modules: Vec<String>,
    /// Whether the match of the protocol is there, with its options for one port.
    knows_ports: bool,
    target: Option<Target>,
    /// What the IR cannot say, unless the text is to be loaded: then it is an error.
    asked: Vec<Question>,
}

/// Where a rule stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) table: BuiltInTable,
    pub(super) family: Family,
    /// What tells it from other rules, where chance or time decides.
    pub(super) named: &'a str,
}

impl Spec {
    /// Reads the words behind `-A CHAIN`.
    pub(super) fn read(
        mut words: Words,
        family: Family,
        options: &Options,
    ) -> Result<Self, ReadProblem> {
        let mut spec = Self::default();
        let mut not = false;
        while let Some(word) = words.next() {
            if word == "!" && !not {
                not = true;
                continue;
            }
            let is_plain = FOLLOWING.contains(&word.as_str()) || word == "--comment";
            if not && !can_be_negated(&word) && (options.to_load || is_plain) {
                return Err(ReadProblem::Negated { word });
            }
            spec.option(&word, std::mem::take(&mut not), &mut words, family, options)?;
        }
        if not {
            return Err(ReadProblem::MissingValue { after: "!".to_owned() });
        }
        spec.check()?;
        Ok(spec)
    }

    fn option(
        &mut self,
        word: &str,
        not: bool,
        words: &mut Words,
        family: Family,
        options: &Options,
    ) -> Result<(), ReadProblem> {
        match word {
            "-m" | "--match" => {
                let module = words.value(word)?;
                let is_known = MODULES.contains(&module.as_str());
                if !is_known && options.to_load {
                    return Err(ReadProblem::Unknown { what: "match", word: module });
                }
                if !options.to_load && !is_exact(&module, words.rest(), self.one_protocol()) {
                    let protocol = self.one_protocol();
                    self.asked.push(Question::of_block(&module, protocol, words));
                    return Ok(());
                }
                self.knows_ports |= matches!(module.as_str(), "tcp" | "udp");
                self.modules.push(module);
                return Ok(());
            }
            "-c" | "--set-counters" => {
                for _ in 0..2 {
                    let value = Value::of(word, words)?;
                    if value.text.parse::<u64>().is_err() {
                        return Err(value.bad("not a count"));
                    }
                }
                return Ok(());
            }
            "-j" | "--jump" | "-g" | "--goto" => {
                let name = words.value(word)?;
                let goto = matches!(word, "-g" | "--goto");
                let target = if options.to_load {
                    Target::new(&name, goto, options)?
                } else {
                    Target::of_others(&name, goto, words, family, options)?
                };
                return once(word, &mut self.target, target);
            }
            "--transparent" => {
                self.needs(word, "socket", "`-m socket`")?;
                self.rest.push(Match::TransparentSocket);
                return Ok(());
            }
            "--socket-exists" => {
                self.needs(word, "owner", "`-m owner`")?;
                self.rest.push(Match::SocketExists { not });
                return Ok(());
            }
            _ => {}
        }
        if let Some(target) = &mut self.target
            && options.to_load
            && target.option(word, words, family)?
        {
            return Ok(());
        }
        if !options.to_load && matches!(word, "-f" | "--fragment") {
            self.asked.push(Question { module: "frag".to_owned(), text: "-f".to_owned(), not });
            return Ok(());
        }
        if !options.to_load && !is_valued(word) && word.starts_with("--") {
            // An option of the module named last, or of the protocol.
            let protocol = self.one_protocol().map(|protocol| protocol.name().into_owned());
            let Some(module) = self.modules.last().cloned().or(protocol) else {
                return Err(ReadProblem::Unknown { what: "option", word: word.to_owned() });
            };
            self.asked.push(Question::of_option(&module, word, not, words));
            return Ok(());
        }
        self.valued(word, not, words, family, options)
    }

    /// Reads a match of an option and one value.
    fn valued(
        &mut self,
        word: &str,
        not: bool,
        words: &mut Words,
        family: Family,
        options: &Options,
    ) -> Result<(), ReadProblem> {
        if !is_valued(word) {
            return Err(ReadProblem::Unknown { what: "option", word: word.to_owned() });
        }
        let value = Value::of(word, words)?;
        match word {
            "-p" | "--protocol" => {
                if let Some(protocol) = protocol(&value, options.to_load)? {
                    once(word, &mut self.protocol, (protocol, not))?;
                } else if not {
                    return Err(value.bad("no packet has none of all protocols"));
                }
            }
            "-s" | "--source" | "--src" => once(word, &mut self.source, (value.net(family)?, not))?,
            "-d" | "--destination" | "--dst" => {
                once(word, &mut self.destination, (value.net(family)?, not))?;
            }
            "-i" | "--in-interface" | "-o" | "--out-interface" => {
                let out = matches!(word, "-o" | "--out-interface");
                let slot = if out { &mut self.output } else { &mut self.input };
                match value.interface()? {
                    Some(name) => once(word, slot, (name, not))?,
                    None if not => return Err(value.bad("no packet has none of all interfaces")),
                    None => {}
                }
            }
            // getopt takes the beginning of an option's name, and the options of the protocol are
            // not known until one of them is used or its match is named.
            "--sport" | "--source-port" | "--dport" | "--destination-port"
                if self.is_short_for_multiport() =>
            {
                let of = if matches!(word, "--sport" | "--source-port") {
                    Direction::Source
                } else {
                    Direction::Destination
                };
                self.port(of, value.port_list()?, not);
            }
            "--sport" | "--source-port" => {
                self.knows_ports = true;
                once(word, &mut self.source_port, (value.ports()?, not))?;
            }
            "--dport" | "--destination-port" => {
                self.knows_ports = true;
                once(word, &mut self.destination_port, (value.ports()?, not))?;
            }
            "--sports" | "--source-ports" | "--dports" | "--destination-ports" | "--ports" => {
                self.needs(word, "multiport", "`-m multiport`")?;
                self.multiport(word, value.port_list()?, not)?;
            }
            "--uid-owner" => {
                self.needs(word, "owner", "`-m owner`")?;
                self.owner(Owner::User, value.ids(&options.users)?, not);
            }
            "--gid-owner" => {
                self.needs(word, "owner", "`-m owner`")?;
                self.owner(Owner::Group, value.ids(&options.groups)?, not);
            }
            "--mark" => {
                let mark = value.mark()?;
                // Both modules have the option; iptables gives it to the one named last.
                let module = self.modules.iter().rev().find(|m| *m == "mark" || *m == "connmark");
                self.rest.push(match module.map(String::as_str) {
                    Some("mark") => Match::Mark { mark, not },
                    Some(_) => Match::Connmark { mark, not },
                    None => return Err(needs(word, "`-m mark` or `-m connmark`")),
                });
            }
            "--ctstate" | "--state" => self.states(&value, not, options.to_load)?,
            "--src-range" | "--dst-range" => {
                self.needs(word, "iprange", "`-m iprange`")?;
                let of =
                    if word == "--src-range" { Direction::Source } else { Direction::Destination };
                self.rest.push(Match::Address { of, nets: value.net_range(family)?, not });
            }
            "--match-set" => {
                self.needs(word, "set", "`-m set`")?;
                let set = Name::new(&value.text).map_err(|why| value.bad(&why))?;
                let direction = Value::of(word, words)?;
                let of = match direction.text.as_str() {
                    "src" => Direction::Source,
                    "dst" => Direction::Destination,
                    _ => return Err(direction.bad("not src or dst")),
                };
                self.rest.push(Match::InSet { of, set, not });
            }
            "--src-type" | "--dst-type" => {
                self.needs(word, "addrtype", "`-m addrtype`")?;
                if value.text != "LOCAL" {
                    return Err(value.bad("only LOCAL can be read"));
                }
                let of =
                    if word == "--src-type" { Direction::Source } else { Direction::Destination };
                self.rest.push(Match::Local { of, not });
            }
            _ => self.needs(word, "comment", "`-m comment`")?,
        }
        Ok(())
    }

    fn states(&mut self, value: &Value<'_>, not: bool, to_load: bool) -> Result<(), ReadProblem> {
        let module = if value.option == "--state" { "state" } else { "conntrack" };
        self.needs(value.option, module, "its `-m`")?;
        let known = |name: &str| {
            CtState::ALL.into_iter().find(|state| state.name().eq_ignore_ascii_case(name))
        };
        match value.text.split(',').map(known).collect::<Option<CtStates>>() {
            Some(states) => self.rest.push(Match::CtState { states, not }),
            None if to_load => return Err(value.bad("not a state")),
            // SNAT and DNAT are no states of a packet, but facts about its connection.
            None => {
                let text = format!("-m {module} {} {}", value.option, value.text);
                self.asked.push(Question { module: module.to_owned(), text, not });
            }
        }
        Ok(())
    }

    /// The protocol, if it is one.
    fn one_protocol(&self) -> Option<Protocol> {
        match self.protocol {
            Some((protocol, false)) => Some(protocol),
            _ => None,
        }
    }

    /// Whether `--dport` is the beginning of multiport's `--dports`.
    fn is_short_for_multiport(&self) -> bool {
        !self.knows_ports && self.modules.iter().any(|module| module == "multiport")
    }

    fn multiport(&mut self, word: &str, ports: PortSet, not: bool) -> Result<(), ReadProblem> {
        if word == "--ports" {
            if not {
                self.port(Direction::Source, ports.clone(), true);
                self.port(Direction::Destination, ports, true);
                return Ok(());
            }
            return once(word, &mut self.either_port, ports);
        }
        let source = matches!(word, "--sports" | "--source-ports");
        self.port(if source { Direction::Source } else { Direction::Destination }, ports, not);
        Ok(())
    }

    /// Adds a port match; ports that must not be are gathered in one.
    fn port(&mut self, of: Direction, ports: PortSet, not: bool) {
        for when in &mut self.rest {
            if let Match::Port { of: other, ports: excluded, not: true } = when
                && (*other, not) == (of, true)
            {
                *excluded = excluded.ranges().iter().chain(ports.ranges()).copied().collect();
                return;
            }
        }
        self.rest.push(Match::Port { of, ports, not });
    }

    /// Adds an owner match; owners that must not be are gathered in one.
    fn owner(&mut self, owner: Owner, ids: (u32, u32), not: bool) {
        if !not {
            self.rest.push(Match::Owner { owner, is: OwnerIs::In(vec![ids]) });
            return;
        }
        for when in &mut self.rest {
            if let Match::Owner { owner: other, is: OwnerIs::NotIn { ids: excluded, .. } } = when
                && *other == owner
            {
                excluded.push(ids);
                *excluded = joined(std::mem::take(excluded));
                return;
            }
        }
        let is = OwnerIs::NotIn { ids: vec![ids], ownerless: true };
        self.rest.push(Match::Owner { owner, is });
    }

    fn needs(&self, word: &str, module: &str, what: &'static str) -> Result<(), ReadProblem> {
        if self.modules.iter().any(|m| m == module) { Ok(()) } else { Err(needs(word, what)) }
    }

    /// Whether a port means something: for `-p tcp` and `-p udp` only.
    fn check(&self) -> Result<(), ReadProblem> {
        let protocol = self.one_protocol();
        for module in &self.modules {
            let fits = match module.as_str() {
                "tcp" => protocol == Some(Protocol::Tcp),
                "udp" => protocol == Some(Protocol::Udp),
                "multiport" => protocol.is_some(),
                _ => true,
            };
            if !fits {
                return Err(needs(&format!("-m {module}"), "`-p` with the protocol"));
            }
        }
        let bare = self.modules.iter().find(|module| match module.as_str() {
            "socket" => !self.rest.contains(&Match::TransparentSocket),
            _ => false,
        });
        if let Some(module) = bare {
            return Err(needs(&format!("-m {module}"), "`--transparent`"));
        }
        if !protocol.is_some_and(Protocol::has_ports) {
            if self.source_port.is_some() {
                return Err(needs("--sport", "`-p tcp` or `-p udp`"));
            }
            if self.destination_port.is_some() {
                return Err(needs("--dport", "`-p tcp` or `-p udp`"));
            }
        }
        Ok(())
    }

    /// The IR's rules for it: none if it has no effect, two if either port may match.
    pub(super) fn rules(self, place: Place<'_>) -> Result<Vec<Rule>, ReadProblem> {
        let has_protocol = self.one_protocol().is_some_and(Protocol::has_ports);
        let Some(target) = self.target else { return Ok(Vec::new()) };
        let then = target.action(place, has_protocol)?;
        let mut when = Vec::new();
        when.extend(self.protocol.map(|(protocol, not)| Match::Protocol { protocol, not }));
        for (of, net) in
            [(Direction::Source, self.source), (Direction::Destination, self.destination)]
        {
            when.extend(net.map(|(net, not)| Match::Address { of, nets: Nets::from(net), not }));
        }
        for (of, name) in [(Direction::Source, self.input), (Direction::Destination, self.output)] {
            when.extend(name.map(|(name, not)| Match::Interface { of, names: vec![name], not }));
        }
        for (of, ports) in
            [(Direction::Source, self.source_port), (Direction::Destination, self.destination_port)]
        {
            when.extend(ports.map(|(ports, not)| Match::Port { of, ports, not }));
        }
        // Ports first, whichever module names them, so that equal rules are equal values.
        let (ports, others): (Vec<_>, Vec<_>) =
            self.rest.into_iter().partition(|when| matches!(when, Match::Port { .. }));
        when.extend(ports.into_iter().chain(others));
        when.extend(self.asked.iter().map(|asked| Match::Opaque {
            condition: asked.condition(place.named),
            not: asked.not,
        }));
        let rule = |extra: Vec<Match>| Rule {
            families: place.family.into(),
            when: when.iter().cloned().chain(extra).collect(),
            then: then.clone(),
            origin: Origin::FOREIGN,
            also: Also::NOTHING,
        };
        Ok(match self.either_port {
            None => vec![rule(Vec::new())],
            Some(ports) => {
                let port = |of, not| Match::Port { of, ports: ports.clone(), not };
                vec![
                    rule(vec![port(Direction::Source, false)]),
                    rule(vec![port(Direction::Source, true), port(Direction::Destination, false)]),
                ]
            }
        })
    }
}

fn protocol(value: &Value<'_>, to_load: bool) -> Result<Option<Protocol>, ReadProblem> {
    if matches!(value.text.to_ascii_lowercase().as_str(), "all" | "0") {
        return Ok(None);
    }
    match Protocol::named(&value.text) {
        Some(protocol) if protocol.has_ports() || !to_load => Ok(Some(protocol)),
        Some(_) => Err(value.bad("only tcp, udp and all can be read")),
        None => Err(value.bad("not a protocol that is known by name; write its number")),
    }
}

pub(super) fn once<T>(word: &str, slot: &mut Option<T>, value: T) -> Result<(), ReadProblem> {
    if slot.replace(value).is_some() {
        return Err(ReadProblem::Twice { word: word.to_owned() });
    }
    Ok(())
}

pub(super) fn needs(word: &str, needs: &'static str) -> ReadProblem {
    ReadProblem::Needs { word: word.to_owned(), needs }
}

pub(super) fn is_valued(word: &str) -> bool {
    can_be_negated(word) && word != "--socket-exists" || word == "--comment"
}

fn can_be_negated(word: &str) -> bool {
    NEGATABLE.contains(&word)
        || matches!(
            word,
            "--sport"
                | "--source-port"
                | "--dport"
                | "--destination-port"
                | "--sports"
                | "--source-ports"
                | "--dports"
                | "--destination-ports"
                | "--ports"
                | "--uid-owner"
                | "--gid-owner"
                | "--socket-exists"
                | "--mark"
                | "--ctstate"
                | "--state"
                | "--src-range"
                | "--dst-range"
                | "--match-set"
                | "--src-type"
                | "--dst-type"
        )
}

/// Sorted ranges that neither overlap nor touch.
pub(in crate::reader) fn joined(mut ids: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ids.sort_unstable();
    let mut joined: Vec<(u32, u32)> = Vec::with_capacity(ids.len());
    for (first, last) in ids {
        match joined.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}
