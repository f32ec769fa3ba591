//! Why a text is not a packet, and what to write instead.

use std::net::{IpAddr, Ipv4Addr};

use super::text::Endpoint;
use crate::diag::shown;
use crate::ir::{Hook, Protocol};
use crate::net::Interface;

/// Why a text is not a packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPacket {
    /// It does not begin with where the packet is.
    #[error("{}", first_word(.found, *.meant))]
    Hook {
        /// What stands there; empty if nothing does.
        found: String,
        /// What was probably meant.
        meant: Option<&'static str>,
    },
    /// Behind that stands no protocol.
    #[error(
        "`{found}` is no protocol: write `tcp`, `udp`, `icmp` or another name, its number, or `other`"
    )]
    Protocol {
        /// What stands there.
        found: String,
    },
    /// A word that has no meaning.
    #[error("{}", unknown(.word, .meant.as_deref()))]
    Word {
        /// The word.
        word: String,
        /// What was probably meant.
        meant: Option<String>,
    },
    /// A word without a value, or with one that does not fit.
    #[error("{}", value(.word, .found.as_deref(), .needs))]
    Value {
        /// The word.
        word: String,
        /// What stands behind it.
        found: Option<String>,
        /// What it needs.
        needs: String,
    },
    /// A word that does not fit where the packet is.
    #[error("{instead}")]
    Place {
        /// The word.
        word: String,
        /// Why, and what to write.
        instead: String,
    },
    /// It does not say where it goes.
    #[error("it does not say where it goes: write `to` and an address{}", .hint)]
    NoDestination {
        /// The end of it, with what was written; may be empty.
        hint: String,
    },
    /// A destination without a port, of a packet that has ports.
    #[error("`to {address}` needs a port: `to {hint}`")]
    NoPort {
        /// The address.
        address: String,
        /// The same with a port.
        hint: String,
    },
    /// A word that stands there already.
    #[error("`{word}` is given twice: leave one")]
    Twice {
        /// The word.
        word: String,
    },
    /// An IPv4 address in the form of IPv6, which no packet has.
    #[error("`{address}` is an IPv4 address in the form of IPv6; write `{v4}`")]
    Mapped {
        /// As it was written.
        address: IpAddr,
        /// As it is.
        v4: Ipv4Addr,
    },
    /// Addresses of both families.
    #[error("`from {from}` and `to {to}` are of different families")]
    Families {
        /// Where it comes from.
        from: IpAddr,
        /// Where it goes.
        to: IpAddr,
    },
}

/// The words behind the protocol.
const WORDS: [&str; 29] = [
    "from",
    "to",
    "port",
    "user",
    "group",
    "in",
    "out",
    "state",
    "mark",
    "connmark",
    "no-listener",
    "kernel-socket",
    "no-socket",
    "proxy-user",
    "proxy-group",
    "not-translated",
    "translation-open",
    "translated-to",
    "translated-port",
    "interface-address",
    "from-set",
    "to-set",
    "translated-set",
    "from-local",
    "to-local",
    "translated-local",
    "from-foreign",
    "to-foreign",
    "transparent-socket",
];

/// How many of them people write; the others are of the words of explanations.
const USUAL: usize = 11;

/// Words that other tools have.
const CALLED: &[(&str, &[&str])] = &[
    ("inbound", &["prerouting", "ingress", "incoming", "in"]),
    ("outbound", &["output", "egress", "outgoing", "out"]),
    ("from", &["src", "source", "saddr", "-s", "--source"]),
    ("to", &["dst", "dest", "destination", "daddr", "-d", "--destination", "ip"]),
    ("port", &["dport", "--dport", "dports", "ports"]),
    ("user", &["uid", "uid-owner", "--uid-owner", "skuid", "owner"]),
    ("group", &["gid", "gid-owner", "--gid-owner", "skgid"]),
    ("in", &["iif", "iifname", "-i", "iface", "interface", "dev"]),
    ("out", &["oif", "oifname", "-o"]),
    ("state", &["ctstate", "ct", "--ctstate"]),
    ("mark", &["fwmark", "--mark"]),
];

/// The one of `words` that `found` probably means.
pub(super) fn meant(found: &str, words: &[&'static str]) -> Option<&'static str> {
    let lower = found.trim_end_matches([',', ';', ':']).to_ascii_lowercase();
    let called = |word: &&&'static str| {
        **word == lower
            || CALLED.iter().any(|(known, others)| known == *word && others.contains(&&*lower))
    };
    if let Some(word) = words.iter().find(called) {
        return Some(word);
    }
    if found.len() > crate::diag::LONGEST {
        return None;
    }
    let near = |word: &&&'static str| strsim::osa_distance(&lower, word) * 3 <= lower.len();
    let mut near = words.iter().filter(near);
    near.next().copied().filter(|_| near.next().is_none())
}

/// Whether a word stands there that is behind the protocol.
pub(super) fn is_word(text: &str) -> bool {
    WORDS.contains(&text)
}

/// Why `found` is no word behind the protocol.
pub(super) fn unknown_word(found: &str, hook: Hook) -> BadPacket {
    let word = shown(found);
    if found.parse::<Endpoint>().is_ok() {
        let meant = Some(format!("to {word}"));
        return BadPacket::Word { word, meant };
    }
    if matches!(found, "->" | "=>" | "→") {
        let instead = format!(
            "`{found}` stands in an `expect`; what becomes of the packet is the answer: end before it"
        );
        return BadPacket::Place { word, instead };
    }
    let meant = meant(found, &WORDS).map(|word| match (word, hook) {
        ("in", Hook::Output) => "out",
        _ => word,
    });
    BadPacket::Word { word, meant: meant.map(ToOwned::to_owned) }
}

/// Why a packet at `hook` has no `word`, behind which `value` stands.
pub(super) fn out_of_place(word: &str, value: Option<&str>, hook: Hook) -> BadPacket {
    let value = value.map_or_else(|| "…".to_owned(), shown);
    let instead = match word {
        "in" => format!("what leaves has not come in: write `out {value}`"),
        "out" => format!("what arrives has not gone out: write `in {value}`"),
        "proxy-user" | "proxy-group" => {
            format!(
                "`{word}` is of what arrives; the sender of others is `{}`",
                &word["proxy-".len()..]
            )
        }
        _ if matches!(hook, Hook::Prerouting | Hook::Input) => {
            format!("what arrives has no user and no group here: leave out `{word} {value}`")
        }
        _ => format!("only `outbound` packets have a user and a group: leave out `{word} {value}`"),
    };
    BadPacket::Place { word: word.to_owned(), instead }
}

/// Why `found` is not an address, perhaps with a port, behind `word`.
pub(super) fn not_an_end(word: &str, found: Option<&str>) -> BadPacket {
    const AN_END: &str = "an address, perhaps with a port: `10.96.0.1:443`, `[fd00::1]:443`";
    let bad =
        |needs: String| BadPacket::Value { word: word.to_owned(), found: found.map(shown), needs };
    let Some(text) = found else { return bad(AN_END.to_owned()) };
    let (host, port) = parts(text);
    let bare = host.trim_matches(['[', ']']);
    let without = bare.split(['/', '%']).next().unwrap_or_default();
    let behind = port.map_or_else(String::new, |port| format!(":{port}"));
    let whole = |address: IpAddr| match address {
        IpAddr::V6(_) if port.is_some() => format!("[{address}]{behind}"),
        _ => format!("{address}{behind}"),
    };
    if let (Ok(_), Some(port)) = (bare.parse::<IpAddr>(), port)
        && port.parse::<u16>().is_err()
    {
        return bad(format!("a port of `0` to `65535`, and `{}` is none", shown(port)));
    }
    if let Ok(address) = bare.parse::<IpAddr>() {
        return bad(format!("it as `{}`", whole(address)));
    }
    match without.parse::<IpAddr>() {
        Ok(address) if bare.contains('/') => {
            bad(format!("one address, and no prefix: `{}`, for example", whole(address)))
        }
        Ok(address) => bad(format!("an address without a zone: `{}`", whole(address))),
        Err(_) if text.contains(',') => bad("one address: a packet has one destination".to_owned()),
        Err(_) if bare.contains(|c: char| c.is_ascii_alphabetic()) && !bare.contains(':') => {
            bad(format!("an address: names such as `{}` are not resolved", shown(bare)))
        }
        Err(_) => bad(AN_END.to_owned()),
    }
}

/// `10.0.0.1` and `443` of `10.0.0.1:443`.
fn parts(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}

/// Why `name` is no interface behind `word`.
pub(super) fn not_an_interface(word: &str, name: Option<&str>) -> BadPacket {
    let most = Interface::MAX_LEN;
    let needs = match name {
        Some(name) if name.len() > most => {
            format!("a name of at most {most} characters; this one has {}", name.chars().count())
        }
        Some(name) if name.contains('*') => "the name of one interface, without a `*`".to_owned(),
        _ => "the name of an interface: `eth0`".to_owned(),
    };
    BadPacket::Value { word: word.to_owned(), found: name.map(shown), needs }
}

/// Why a packet of `protocol` has no port.
pub(super) fn without_ports(word: &str, address: IpAddr, protocol: Option<Protocol>) -> BadPacket {
    let name = protocol.map_or_else(|| "other".to_owned(), |protocol| protocol.name().to_string());
    let instead =
        format!("packets of `{name}` have no port that rules see: write `{word} {address}`");
    BadPacket::Place { word: word.to_owned(), instead }
}

fn first_word(found: &str, meant: Option<&str>) -> String {
    const FIRST: &str = "`inbound`, `outbound`, `input`, `forward` or `postrouting`";
    match (found, meant) {
        ("", _) => format!("it is empty: it begins with {FIRST}"),
        (found, Some(meant)) => {
            format!("`{}` is not where a packet is: write `{meant}`", shown(found))
        }
        (found, None) => {
            format!("`{}` is not where a packet is: it begins with {FIRST}", shown(found))
        }
    }
}

fn unknown(word: &str, meant: Option<&str>) -> String {
    if let Some(meant) = meant {
        return format!("unknown word `{word}`: write `{meant}`");
    }
    let usual: Vec<_> = WORDS[..USUAL].iter().map(|word| format!("`{word}`")).collect();
    format!("unknown word `{word}`; the usual words are {}", usual.join(", "))
}

fn value(word: &str, found: Option<&str>, needs: &str) -> String {
    match found {
        Some(found) => format!("`{word} {found}`: `{word}` needs {needs}"),
        None => format!("`{word}` needs {needs}"),
    }
}
