//! The fields of packets that matches compare.

use serde_json::Value;

use super::ReadProblem;
use super::bits::Bits;
use super::object::{Object, only, texts};
use crate::ir::{Direction, Owner, Protocol};
use crate::net::Family;

/// What a match reads of a packet.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Family,
    /// The second: only of IPv4.
    Protocol(bool),
    /// Of any protocol, if none is named.
    Port(Direction, Option<Protocol>),
    Address(Direction, Family),
    Interface(Direction),
    Owner(Owner),
    Mark(Bits),
    State,
    /// Where a local route of the address leads.
    Route(Direction),
    /// Whether a transparent socket takes the packet; whether that is bound to any address.
    Transparent,
    Wildcard,
}

impl Field {
    pub(super) fn read(left: &Value) -> Result<Self, ReadProblem> {
        let (word, body) = only(left, "expression")?;
        let unknown = |what, word: &str| Err(ReadProblem::Unknown { what, word: word.to_owned() });
        Ok(match word {
            "&" | "|" | "^" => Self::Mark(Bits::read(left)?),
            "meta" => match Object::read("meta", body, &["key"])?.text("key")? {
                "nfproto" => Self::Family,
                "l4proto" => Self::Protocol(false),
                "iifname" => Self::Interface(Direction::Source),
                "oifname" => Self::Interface(Direction::Destination),
                "skuid" => Self::Owner(Owner::User),
                "skgid" => Self::Owner(Owner::Group),
                "mark" => Self::Mark(Bits::read(left)?),
                key => return unknown("meta key", key),
            },
            "ct" => match Object::read("ct", body, &["key"])?.text("key")? {
                "state" => Self::State,
                "mark" => Self::Mark(Bits::read(left)?),
                key => return unknown("ct key", key),
            },
            "payload" => {
                let fields = Object::read("payload", body, &["protocol", "field"])?;
                let (protocol, field) = (fields.text("protocol")?, fields.text("field")?);
                Self::payload(protocol, field)
                    .map_or_else(|| unknown("field", &format!("{protocol} {field}")), Ok)?
            }
            "fib" => {
                let fields = Object::read("fib", body, &["result", "flags"])?;
                let (result, flags) = (fields.text("result")?, fields.need("flags")?);
                match (result, &texts("flags", flags)?[..]) {
                    ("type", ["saddr"]) => Self::Route(Direction::Source),
                    ("type", ["daddr"]) => Self::Route(Direction::Destination),
                    (result, flags) => {
                        return unknown("fib", &format!("{} {result}", flags.join(" . ")));
                    }
                }
            }
            "socket" => match Object::read("socket", body, &["key"])?.text("key")? {
                "transparent" => Self::Transparent,
                "wildcard" => Self::Wildcard,
                key => return unknown("socket key", key),
            },
            _ => return unknown("expression", word),
        })
    }

    fn payload(protocol: &str, field: &str) -> Option<Self> {
        let of = match field {
            "sport" | "saddr" => Direction::Source,
            "dport" | "daddr" => Direction::Destination,
            "protocol" if protocol == "ip" => return Some(Self::Protocol(true)),
            _ => return None,
        };
        let is_port = field.ends_with("port");
        Some(match (protocol, is_port) {
            ("tcp", true) => Self::Port(of, Some(Protocol::Tcp)),
            ("udp", true) => Self::Port(of, Some(Protocol::Udp)),
            ("th", true) => Self::Port(of, None),
            ("ip", false) => Self::Address(of, Family::Ipv4),
            ("ip6", false) => Self::Address(of, Family::Ipv6),
            _ => return None,
        })
    }

    /// Whether actions change it.
    pub(super) const fn is_changed(self) -> bool {
        matches!(self, Self::Mark(_))
    }

    /// Whether a set of this type holds values of the field.
    pub(super) fn is_of(self, set: &Value) -> Result<bool, ReadProblem> {
        let typed = match set {
            Value::String(typed) => typed.as_str(),
            _ => match only(set, "type of set")? {
                ("typeof", field) => {
                    let other = Self::read(field)?;
                    return Ok(self.type_of() == other.type_of());
                }
                (word, _) => {
                    let word = word.to_owned();
                    return Err(ReadProblem::Unknown { what: "type of set", word });
                }
            },
        };
        Ok(self.type_of() == typed)
    }

    /// nft's name for the type of its values.
    const fn type_of(self) -> &'static str {
        match self {
            Self::Family => "nf_proto",
            Self::Protocol(_) => "inet_proto",
            Self::Port(..) => "inet_service",
            Self::Address(_, Family::Ipv4) => "ipv4_addr",
            Self::Address(_, Family::Ipv6) => "ipv6_addr",
            Self::Interface(_) => "ifname",
            Self::Owner(Owner::User) => "uid",
            Self::Owner(Owner::Group) => "gid",
            Self::Mark(_) => "mark",
            Self::State => "ct_state",
            Self::Route(_) => "fib_addrtype",
            Self::Transparent | Self::Wildcard => "integer",
        }
    }
}

/// The family of the addresses in a set of this type, if it holds such.
pub(super) fn address_family(set: &Value) -> Option<Family> {
    Family::ALL
        .into_iter()
        .find(|family| Field::Address(Direction::Source, *family).is_of(set).unwrap_or(false))
}
