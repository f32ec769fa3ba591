//! A packet on one line: `outbound tcp from 10.0.0.7 to 10.96.0.1:443 user 1000 group 1000 out
//! eth0`.
//!
//! The port may stand behind `port` instead of the address, as in an `expect`. What is not written is as
//! usual: it is TCP, it comes from port 40000, of this machine if it leaves and of
//! another if it arrives; interface `eth0`, or `lo` for what
//! leaves to this machine; user and group 1000 at output and no socket elsewhere; no marks; state
//! new; nothing decided of its translation if it is new and did not come over `lo`; a listener on
//! every port; no sets. This machine's are the source of what leaves and the destination of what
//! arrives. The incoming interface has the address to which the packet goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::bad_packet::{self, BadPacket};
use super::{DECIDED_PORT, Decided, End, InSet, Packet, Sender};
use crate::diag::shown;
use crate::ir::{CtState, Hook, Protocol};
use crate::net::{Interface, Name};

/// The port that a packet comes from, if none is written: an ephemeral one.
pub(super) const DEFAULT_SOURCE_PORT: u16 = 40000;
/// The port that a packet goes to, if none is written.
const DEFAULT_DESTINATION_PORT: u16 = 80;
/// The user and group that send a packet, if none are written.
pub(super) const DEFAULT_ID: u32 = 1000;
const DEFAULT_INTERFACE: &str = "eth0";

const A_STATE: &str = "one of `new`, `established`, `related`, `invalid`, `untracked`";

const HOOKS: [(Hook, &str); 5] = [
    (Hook::Prerouting, "inbound"),
    (Hook::Output, "outbound"),
    (Hook::Input, "input"),
    (Hook::Forward, "forward"),
    (Hook::Postrouting, "postrouting"),
];

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(hook_word(self.hook))?;
        let protocol = self.protocol.map_or_else(|| "other".into(), Protocol::name);
        write!(f, " {protocol}")?;
        let has_ports = self.has_ports();
        let source_port =
            (has_ports && self.source_port != DEFAULT_SOURCE_PORT).then_some(self.source_port);
        write!(f, " from {}", Endpoint(self.source, source_port))?;
        let destination_port = has_ports.then_some(self.destination_port);
        write!(f, " to {}", Endpoint(self.destination, destination_port))?;
        match self.sender {
            Sender::Process { user, group } if self.hook == Hook::Prerouting => {
                write!(f, " proxy-user {user} proxy-group {group}")?;
            }
            Sender::Process { user, group } => write!(f, " user {user} group {group}")?,
            Sender::Kernel => f.write_str(" kernel-socket")?,
            Sender::Nobody if self.hook == Hook::Output => f.write_str(" no-socket")?,
            Sender::Nobody => {}
        }
        for (word, name) in [("in", &self.input), ("out", &self.output)] {
            if let Some(name) = name {
                write!(f, " {word} {name}")?;
            }
        }
        for (word, mark) in [("mark", self.mark), ("connmark", self.connmark)] {
            if mark != 0 {
                write!(f, " {word} {mark:#x}")?;
            }
        }
        if self.state != CtState::New {
            write!(f, " state {}", self.state.name())?;
        }
        match self.translation {
            usual if usual == Decided::usual(self.hook, self.input.as_deref(), self.state) => {}
            Decided::Nothing => f.write_str(" translation-open")?,
            Decided::Unchanged => f.write_str(" not-translated")?,
            Decided::Becomes(address, port) => {
                write!(f, " translated-to {}", Endpoint(address, Some(port)))?;
            }
        }
        if self.interface_address != self.destination {
            write!(f, " interface-address {}", self.interface_address)?;
        }
        if self.translated_port != DECIDED_PORT {
            write!(f, " translated-port {}", self.translated_port)?;
        }
        for port in &self.no_listener {
            write!(f, " no-listener {port}")?;
        }
        for set in &self.sets {
            write!(f, " {set}")?;
        }
        let usual = Self::usual_locals(self.hook, self.source, self.destination);
        for end_of in usual.symmetric_difference(&self.local) {
            let is = if usual.contains(end_of) { "foreign" } else { "local" };
            write!(f, " {}-{is}", end(*end_of))?;
        }
        f.write_str(if self.transparent_socket { " transparent-socket" } else { "" })
    }
}

/// Where a packet at `hook` is, in a word.
pub(super) fn hook_word(hook: Hook) -> &'static str {
    HOOKS.iter().find(|(known, _)| *known == hook).map_or("", |(_, word)| word)
}

pub(super) const fn end(end: End) -> &'static str {
    match end {
        End::Source => "from",
        End::Destination => "to",
        End::Translated => "translated",
    }
}

/// `to-set istio-host:istio-pods`.
impl fmt::Display for InSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-set ", end(self.end))?;
        if let Some(table) = &self.table {
            write!(f, "{table}:")?;
        }
        write!(f, "{}", self.set)
    }
}

/// An address, with a port or without.
pub(super) struct Endpoint(IpAddr, Option<u16>);

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(address, None) => write!(f, "{address}"),
            Self(IpAddr::V4(address), Some(port)) => write!(f, "{address}:{port}"),
            Self(IpAddr::V6(address), Some(port)) => write!(f, "[{address}]:{port}"),
        }
    }
}

impl FromStr for Endpoint {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Ok(address) = text.parse() {
            return Ok(Self(address, None));
        }
        let end: std::net::SocketAddr = text.parse().map_err(|_| ())?;
        Ok(Self(end.ip(), Some(end.port())))
    }
}

impl Packet {
    /// Whether the text of a packet begins with `word`.
    #[must_use]
    pub fn begins(word: &str) -> bool {
        HOOKS.iter().any(|(_, known)| *known == word)
    }
}

impl FromStr for Packet {
    type Err = BadPacket;

    fn from_str(text: &str) -> Result<Self, BadPacket> {
        let mut words = text.split_whitespace();
        let first = words.next().unwrap_or_default();
        let (hook, _) = HOOKS.into_iter().find(|(_, word)| *word == first).ok_or_else(|| {
            let words = HOOKS.map(|(_, word)| word);
            BadPacket::Hook { found: first.to_owned(), meant: bad_packet::meant(first, &words) }
        })?;
        let mut words = words.peekable();
        // As usual is TCP, where none is written.
        let protocol = match words.peek().copied() {
            Some(word) if bad_packet::is_word(word) => Some(Protocol::Tcp),
            None => Some(Protocol::Tcp),
            Some(word) => {
                words.next();
                let bad = || BadPacket::Protocol { found: word.to_owned() };
                if word == "other" { None } else { Some(Protocol::named(word).ok_or_else(bad)?) }
            }
        };
        let mut draft = Draft::new(hook, protocol);
        while let Some(word) = words.next() {
            draft.word(word, &mut words)?;
        }
        draft.finish()
    }
}

/// A packet under construction.
pub(super) struct Draft {
    packet: Packet,
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    /// Where it goes, if that is written, with the address or behind `port`.
    port: Option<u16>,
    user: Option<u32>,
    group: Option<u32>,
    output: Option<String>,
    translation: Option<Decided>,
    interface_address: Option<IpAddr>,
    locals: BTreeMap<End, bool>,
}

impl Draft {
    fn new(hook: Hook, protocol: Option<Protocol>) -> Self {
        let interface = |exists: bool| exists.then(|| DEFAULT_INTERFACE.to_owned());
        let has_ports = protocol.is_some_and(Protocol::has_ports);
        let port = |port| if has_ports { port } else { 0 };
        let sender = if hook == Hook::Output {
            Sender::Process { user: DEFAULT_ID, group: DEFAULT_ID }
        } else {
            Sender::Nobody
        };
        let packet = Packet {
            hook,
            protocol,
            source: Ipv4Addr::UNSPECIFIED.into(),
            destination: Ipv4Addr::UNSPECIFIED.into(),
            source_port: port(DEFAULT_SOURCE_PORT),
            destination_port: port(DEFAULT_DESTINATION_PORT),
            input: interface(hook.has_input()),
            output: interface(hook.has_output()),
            sender,
            mark: 0,
            connmark: 0,
            state: CtState::New,
            translation: Decided::Nothing,
            interface_address: Ipv4Addr::UNSPECIFIED.into(),
            translated_port: DECIDED_PORT,
            no_listener: BTreeSet::new(),
            sets: BTreeSet::new(),
            local: BTreeSet::new(),
            transparent_socket: false,
            holds: BTreeSet::new(),
        };
        Self {
            packet,
            source: None,
            destination: None,
            port: None,
            user: None,
            group: None,
            output: None,
            translation: None,
            interface_address: None,
            locals: BTreeMap::new(),
        }
    }

    /// What is usual of a packet there.
    pub(super) fn to(hook: Hook, protocol: Protocol, address: IpAddr, port: u16) -> Self {
        let mut draft = Self::new(hook, Some(protocol));
        draft.destination = Some(address);
        draft.packet.destination_port = port;
        draft.port = Some(port);
        draft
    }

    fn word<'a>(
        &mut self,
        word: &str,
        words: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>,
    ) -> Result<(), BadPacket> {
        let packet = &mut self.packet;
        match word {
            "from" => {
                let Endpoint(address, port) = endpoint(word, words.next())?;
                once(word, &mut self.source, address)?;
                if let Some(port) = port {
                    may_have_port(word, address, packet.protocol)?;
                    packet.source_port = port;
                }
            }
            "to" => {
                let Endpoint(address, port) = endpoint(word, words.next())?;
                once(word, &mut self.destination, address)?;
                if let Some(port) = port {
                    may_have_port(word, address, packet.protocol)?;
                    self.destination_port(port)?;
                }
            }
            "port" => {
                let port = value(word, words, "one port of `0` to `65535`")?;
                if !packet.has_ports() {
                    let address = self.destination.unwrap_or(Ipv4Addr::LOCALHOST.into());
                    may_have_port("to", address, packet.protocol)?;
                }
                self.destination_port(port)?;
            }
            "in" => {
                if packet.hook.may_have_input() {
                    packet.input.get_or_insert_default();
                }
                interface(word, words, packet.hook, &mut packet.input)?;
            }
            "out" => {
                interface(word, words, packet.hook, &mut packet.output)?;
                self.output.clone_from(&packet.output);
            }
            "user" | "group" | "kernel-socket" | "no-socket" if !packet.hook.has_socket() => {
                let value = words.next().filter(|_| matches!(word, "user" | "group"));
                return Err(bad_packet::out_of_place(word, value, packet.hook));
            }
            "proxy-user" | "proxy-group" if packet.hook != Hook::Prerouting => {
                return Err(bad_packet::out_of_place(word, words.next(), packet.hook));
            }
            "user" | "proxy-user" => self.user = Some(id(word, words)?),
            "group" | "proxy-group" => self.group = Some(id(word, words)?),
            "kernel-socket" => packet.sender = Sender::Kernel,
            "no-socket" => packet.sender = Sender::Nobody,
            "mark" => packet.mark = mark(word, words)?,
            "connmark" => packet.connmark = mark(word, words)?,
            "state" => {
                let name: String = value(word, words, A_STATE)?;
                let is = |state: &CtState| state.name().eq_ignore_ascii_case(&name);
                let state = CtState::ALL.into_iter().find(is);
                packet.state = state.ok_or_else(|| bad(word, Some(&name), A_STATE))?;
            }
            "no-listener" => {
                packet.no_listener.insert(value(word, words, "a port")?);
            }
            "not-translated" => self.translation = Some(Decided::Unchanged),
            "translation-open" => self.translation = Some(Decided::Nothing),
            "translated-to" => {
                const NEEDS: &str = "an address with a port: `127.0.0.1:15001`, `[::1]:15001`";
                let Endpoint(address, port) = value(word, words, NEEDS)?;
                let port = port.ok_or_else(|| bad(word, Some(&address.to_string()), NEEDS))?;
                self.translation = Some(Decided::Becomes(address, port));
            }
            "interface-address" => {
                self.interface_address = Some(value(word, words, "an address")?);
            }
            "from-set" | "to-set" | "translated-set" => {
                const NEEDS: &str = "the name of a set: `istio-pods`, `istio-host:istio-pods`";
                let name: String = value(word, words, NEEDS)?;
                let (table, set) = match name.rsplit_once(':') {
                    Some((table, set)) => (Some(table.to_owned()), set),
                    None => (None, name.as_str()),
                };
                let set = Name::new(set).map_err(|_| bad(word, Some(&name), NEEDS))?;
                packet.sets.insert(InSet { end: written_end(word), table, set });
            }
            "from-local" | "to-local" | "translated-local" | "from-foreign" | "to-foreign" => {
                let is_local = word.ends_with("-local");
                if self.locals.insert(written_end(word), is_local).is_some() {
                    return Err(BadPacket::Twice { word: word.to_owned() });
                }
            }
            "transparent-socket" => packet.transparent_socket = true,
            _ => return Err(bad_packet::unknown_word(word, packet.hook)),
        }
        Ok(())
    }

    fn destination_port(&mut self, port: u16) -> Result<(), BadPacket> {
        self.packet.destination_port = port;
        match self.port.replace(port) {
            Some(_) => Err(BadPacket::Twice { word: "port".to_owned() }),
            None => Ok(()),
        }
    }

    /// Fills in an address that is not written, and the sender.
    pub(super) fn finish(self) -> Result<Packet, BadPacket> {
        let Self { mut packet, source, destination, port, user, group, .. } = self;
        let destination = destination.ok_or_else(|| BadPacket::NoDestination {
            hint: port
                .map_or_else(String::new, |port| format!(": `to 10.96.0.1:{port}`, for example")),
        })?;
        if port.is_none() && packet.has_ports() {
            return Err(without_port(destination));
        }
        // What comes in is from another machine.
        let host = if matches!(packet.hook, Hook::Prerouting | Hook::Input) { 9 } else { 7 };
        let usual: IpAddr = match destination {
            IpAddr::V4(_) => Ipv4Addr::new(10, 0, 0, host).into(),
            IpAddr::V6(_) => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host.into()).into(),
        };
        (packet.source, packet.destination) = (source.unwrap_or(usual), destination);
        if packet.source.is_ipv4() != destination.is_ipv4() {
            return Err(BadPacket::Families { from: packet.source, to: destination });
        }
        packet.local = Packet::usual_locals(packet.hook, packet.source, destination);
        for (end, is_local) in self.locals {
            if is_local {
                packet.local.insert(end)
            } else {
                packet.local.remove(&end)
            };
        }
        // What is to this machine leaves over loopback.
        let is_to_self = packet.hook == Hook::Output && packet.local.contains(&End::Destination);
        match self.output {
            Some(output) => packet.output = Some(output),
            None if is_to_self => packet.output = Some(Interface::lo().to_string()),
            None => {}
        }
        let usual = Decided::usual(packet.hook, packet.input.as_deref(), packet.state);
        packet.translation = self.translation.unwrap_or(usual);
        packet.interface_address = self.interface_address.unwrap_or(packet.destination);
        // A user has a group of its own number, usually.
        if let Some(first) = user.or(group) {
            packet.sender =
                Sender::Process { user: user.unwrap_or(DEFAULT_ID), group: group.unwrap_or(first) };
        }
        Ok(packet)
    }
}

fn bad(word: &str, found: Option<&str>, needs: &str) -> BadPacket {
    let found = found.map(shown);
    BadPacket::Value { word: word.to_owned(), found, needs: needs.to_owned() }
}

fn endpoint(word: &str, found: Option<&str>) -> Result<Endpoint, BadPacket> {
    found.and_then(|text| text.parse().ok()).ok_or_else(|| bad_packet::not_an_end(word, found))
}

fn value<'a, T: FromStr>(
    word: &str,
    words: &mut impl Iterator<Item = &'a str>,
    needs: &'static str,
) -> Result<T, BadPacket> {
    let found = words.next();
    found.and_then(|value| value.parse().ok()).ok_or_else(|| bad(word, found, needs))
}

/// Sets what is set once.
fn once(word: &str, slot: &mut Option<IpAddr>, address: IpAddr) -> Result<(), BadPacket> {
    if let IpAddr::V6(v6) = address
        && let Some(v4) = v6.to_ipv4_mapped()
    {
        return Err(BadPacket::Mapped { address, v4 });
    }
    match slot.replace(address) {
        Some(_) => Err(BadPacket::Twice { word: word.to_owned() }),
        None => Ok(()),
    }
}

/// What is wrong with a destination without a port. One of IPv6 may have been meant with one.
fn without_port(address: IpAddr) -> BadPacket {
    let text = address.to_string();
    let meant = match (address, text.rsplit_once(':')) {
        (IpAddr::V6(_), Some((start, port))) => {
            let start = start.parse::<Ipv6Addr>().or_else(|_| format!("{start}:").parse());
            start.ok().zip(port.parse::<u16>().ok().filter(|port| *port >= 10))
        }
        _ => None,
    };
    let hint = match meant {
        Some((start, port)) => Endpoint(start.into(), Some(port)),
        None => Endpoint(address, Some(DEFAULT_DESTINATION_PORT)),
    };
    BadPacket::NoPort { address: text, hint: hint.to_string() }
}

fn may_have_port(word: &str, address: IpAddr, protocol: Option<Protocol>) -> Result<(), BadPacket> {
    if protocol.is_some_and(Protocol::has_ports) {
        return Ok(());
    }
    Err(bad_packet::without_ports(word, address, protocol))
}

fn interface<'a>(
    word: &str,
    words: &mut impl Iterator<Item = &'a str>,
    hook: Hook,
    slot: &mut Option<String>,
) -> Result<(), BadPacket> {
    let found = words.next();
    if slot.is_none() {
        return Err(bad_packet::out_of_place(word, found, hook));
    }
    let name = found.ok_or_else(|| bad_packet::not_an_interface(word, None))?.to_owned();
    // What the kernel allows (`dev_valid_name`, Linux 6.18), which is more than rules can name.
    let is_allowed = |c: char| !(c.is_whitespace() || matches!(c, '/' | ':' | '*'));
    let is_name = name.len() <= Interface::MAX_LEN && name.chars().all(is_allowed);
    if !is_name || name == "." || name == ".." {
        return Err(bad_packet::not_an_interface(word, Some(&name)));
    }
    *slot = Some(name);
    Ok(())
}

fn id<'a>(word: &str, words: &mut impl Iterator<Item = &'a str>) -> Result<u32, BadPacket> {
    const NEEDS: &str = "a number up to 4294967294";
    match value(word, words, NEEDS)? {
        u32::MAX => Err(bad(word, Some("4294967295"), NEEDS)),
        id => Ok(id),
    }
}

fn mark<'a>(word: &str, words: &mut impl Iterator<Item = &'a str>) -> Result<u32, BadPacket> {
    const NEEDS: &str = "a number of 32 bits";
    let text: String = value(word, words, NEEDS)?;
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| bad(word, Some(&text), NEEDS))
}

fn written_end(word: &str) -> End {
    match word.split('-').next() {
        Some("from") => End::Source,
        Some("to") => End::Destination,
        _ => End::Translated,
    }
}
