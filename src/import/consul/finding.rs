//! What there is to say about an import from Consul: notes and mistakes.

use crate::diag::Fault;
use crate::import::advice::{Advice, Advise};
use crate::import::finding::findings;
use crate::import::{GeneralReason, GeneralRemark};

findings!();

/// What a [`Note`] says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Remark {
    /// What other imports say, too.
    #[error(transparent)]
    General(#[from] GeneralRemark),
    /// A configuration that the injector has yet to write.
    #[error(
        "read as Consul's webhook reads it, with the defaults of its chart; what the namespace says, \
         and the metrics and DNS of the chart, are not in the manifest"
    )]
    AsInjected,
    /// Annotations that have had their effect.
    #[error("no effect: `redirect-traffic-config` has what came of it")]
    InConfig,
}

/// What a [`Mistake`] says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// What other imports say, too.
    #[error(transparent)]
    General(#[from] GeneralReason),
    /// A field that has to be given.
    #[error("`{field}` is not given, and Consul refuses that")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// Not a port to which a connection can be sent.
    #[error("`{item}` is not a port of 1 to 65535, and iptables refuses it")]
    NotOnePort {
        /// As written.
        item: String,
    },
    /// Not a port, or a range of ports.
    #[error("`{item}` is neither a port nor a range like `8000:8999`, and iptables refuses it")]
    NotPorts {
        /// As written.
        item: String,
    },
    /// Not a user, or a range of users.
    #[error(
        "`{item}` is neither a user of 0 to 4294967294 nor a range of them, and iptables refuses it"
    )]
    NotUsers {
        /// As written.
        item: String,
    },
    /// A user by a name that is not known.
    #[error(
        "the number of the user `{item}` is not known; it stands in `/etc/passwd` where the rules are made"
    )]
    UnknownUser {
        /// As written.
        item: String,
    },
    /// Several users where a policy has one.
    #[error("the proxy is several users, and a policy has one")]
    ManyUsers,
    /// Not a prefix.
    #[error("`{item}` is not an address or a prefix like `10.0.0.0/8`")]
    NotPrefix {
        /// As written.
        item: String,
    },
    /// A network that iptables refuses.
    #[error("`{item}` is of IPv6, and iptables refuses it")]
    Ipv6Network {
        /// As written.
        item: String,
    },
    /// Networks where nothing is known of what becomes of them.
    #[error(
        "whether Consul gives a network to the iptables of the other family, too, which refuses it, is \
         not known; remove it, and write `exclude to` in the policy"
    )]
    DualStackNetworks,
    /// Not the address of a DNS server.
    #[error("not an address of a machine")]
    NotAddress,
    /// An address of the other family.
    #[error("iptables refuses an IPv6 address; only in dual stack it is for ip6tables")]
    DnsIpv6,
    /// An address of the other family.
    #[error("in dual stack, ip6tables gets the address, and refuses one of IPv4")]
    DnsIpv4,
}

impl Advise for Remark {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::General(general) => general.advice(),
            Self::InConfig => Advice::with(
                Fault::NoEffect,
                "change it where the pod is made, and make the pod anew",
            ),
            _ => None,
        }
    }
}

impl Advise for Reason {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::General(general) => general.advice(),
            Self::UnknownUser { .. } => None,
            _ => Advice::of(Fault::Refused),
        }
    }
}
