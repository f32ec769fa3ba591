//! The fields of packets that matches compare.

use ipnet::ip_mask_to_prefix;

use super::ReadProblem;
use super::bits::Bits;
use crate::ir::{Direction, Owner, Protocol};
use crate::net::Family;
use crate::nft::{Expr, Operator, SetType, Value, unknown};

/// What a match reads of a packet.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Family,
    /// The family, as the link says it.
    Ether,
    /// The second: only of IPv4.
    Protocol(bool),
    /// Of any protocol, if none is named.
    Port(Direction, Option<Protocol>),
    Address(Direction, Family),
    /// The first address of the prefix of this length in which the address lies.
    Beginning(Direction, Family, u8),
    /// The second: nft's name for the type of its values.
    Interface(Direction, &'static str),
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
    pub(super) fn read(left: &Expr<'_>) -> Result<Self, ReadProblem> {
        Ok(match left {
            Expr::Binary(operator, both) => match Self::beginning(*operator, both) {
                Some(beginning) => beginning,
                None => Self::Mark(Bits::read(left)?),
            },
            Expr::Meta(key) => match &**key {
                "nfproto" => Self::Family,
                "l4proto" => Self::Protocol(false),
                "protocol" => Self::Ether,
                "iifname" => Self::Interface(Direction::Source, "ifname"),
                "oifname" => Self::Interface(Direction::Destination, "ifname"),
                // By their numbers, which are listed as the names that they have now.
                "iif" => Self::Interface(Direction::Source, "iface_index"),
                "oif" => Self::Interface(Direction::Destination, "iface_index"),
                "skuid" => Self::Owner(Owner::User),
                "skgid" => Self::Owner(Owner::Group),
                "mark" => Self::Mark(Bits::read(left)?),
                key => return Err(unknown("meta key", key)),
            },
            Expr::Ct(key) => match &**key {
                "state" => Self::State,
                "mark" => Self::Mark(Bits::read(left)?),
                key => return Err(unknown("ct key", key)),
            },
            Expr::Payload { protocol, field } => Self::payload(protocol, field)
                .ok_or_else(|| unknown("field", &format!("{protocol} {field}")))?,
            Expr::Fib { result, flags } => match (&**result, flags.as_slice()) {
                ("type", [flag]) if flag == "saddr" => Self::Route(Direction::Source),
                ("type", [flag]) if flag == "daddr" => Self::Route(Direction::Destination),
                (result, flags) => {
                    return Err(unknown("fib", &format!("{} {result}", flags.join(" . "))));
                }
            },
            Expr::Socket(key) => match &**key {
                "transparent" => Self::Transparent,
                "wildcard" => Self::Wildcard,
                key => return Err(unknown("socket key", key)),
            },
            Expr::Value(value) => return Err(unknown("expression", value)),
            Expr::Concat(_) => return Err(unknown("expression", "concat")),
            Expr::Map(_) => return Err(unknown("expression", "map")),
            Expr::Other(text) => return Err(unknown("expression", text)),
        })
    }

    /// An address under a mask of which the first bits are set.
    fn beginning(operator: Operator, (field, mask): &(Expr<'_>, Expr<'_>)) -> Option<Self> {
        let Expr::Payload { protocol, field } = field else { return None };
        let Expr::Value(Value::Address(mask)) = mask else { return None };
        let Some(Self::Address(of, family)) = Self::payload(protocol, field) else { return None };
        let length = ip_mask_to_prefix(*mask).ok()?;
        let is_known = operator == Operator::And && Family::of(*mask) == family;
        is_known.then_some(Self::Beginning(of, family, length))
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
    pub(super) fn is_of(self, set: &SetType<'_>) -> Result<bool, ReadProblem> {
        match set {
            SetType::Named(name) => Ok(self.type_of() == name),
            SetType::Of(field) => Ok(self.type_of() == Self::read(field)?.type_of()),
        }
    }

    /// nft's name for the type of its values.
    const fn type_of(self) -> &'static str {
        match self {
            Self::Family => "nf_proto",
            Self::Ether => "ether_type",
            Self::Protocol(_) => "inet_proto",
            Self::Port(..) => "inet_service",
            Self::Address(_, Family::Ipv4) | Self::Beginning(_, Family::Ipv4, _) => "ipv4_addr",
            Self::Address(_, Family::Ipv6) | Self::Beginning(_, Family::Ipv6, _) => "ipv6_addr",
            Self::Interface(_, kind) => kind,
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
pub(super) fn address_family(set: &SetType<'_>) -> Option<Family> {
    Family::ALL
        .into_iter()
        .find(|family| Field::Address(Direction::Source, *family).is_of(set).unwrap_or(false))
}
