//! What there is to say about an import from App Mesh: notes and mistakes.

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
    /// Addresses without their family.
    #[error("no effect on `{item}`: IPv6 is not captured")]
    Ipv6Off {
        /// As written.
        item: String,
    },
    /// A switch that is neither on nor off.
    #[error("no effect: only `1` turns IPv6 on")]
    NotOne,
    /// Rules that are set up later.
    #[error(
        "older images set up nothing until they are told to; the policy says what they do then"
    )]
    NotStarted,
    /// A configuration that the controller has yet to write.
    #[error(
        "read as App Mesh's controller reads it, with the defaults of its chart; what the namespace \
         says is not in the manifest"
    )]
    AsInjected,
    /// Rules that the plugin makes.
    #[error(
        "taken for what the route manager makes of it, though App Mesh's CNI plugin makes the rules"
    )]
    AsCniPlugin,
    /// The controller decides.
    #[error("the controller decides whether IPv6 is captured, and it is not known: it is")]
    FamiliesUnknown,
}

/// What a [`Mistake`] says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// What other imports say, too.
    #[error(transparent)]
    General(#[from] GeneralReason),
    /// Nobody is the proxy.
    #[error(
        "neither `APPMESH_IGNORE_UID` nor `APPMESH_IGNORE_GID` is given, and App Mesh refuses that"
    )]
    Nobody,
    /// A variable that has to be given.
    #[error("`{variable}` is not given, and App Mesh refuses that")]
    Missing {
        /// The variable.
        variable: &'static str,
    },
    /// Not a user or a group.
    #[error("`{item}` is not an id of 0 to 4294967294, and iptables refuses it")]
    NotId {
        /// As written.
        item: String,
    },
    /// A name without a number.
    #[error("the number of `{item}` is not known; a user or group file can give it")]
    UnknownName {
        /// As written.
        item: String,
    },
    /// Several users or groups where a policy has one.
    #[error("the proxy is several, and a policy has one")]
    Several,
    /// Not a port, or a range of ports.
    #[error("`{item}` is neither a port nor a range like `8000:8999`, and iptables refuses it")]
    NotPorts {
        /// As written.
        item: String,
    },
    /// More than a rule takes.
    #[error(
        "{count} ports, of which a range counts two: iptables takes 15 in a rule, and App Mesh's init \
         container fails"
    )]
    TooManyPorts {
        /// How many there are.
        count: usize,
    },
    /// Not an address.
    #[error("`{item}` is neither an address nor a prefix like `10.0.0.0/8`")]
    NotAddress {
        /// As written.
        item: String,
    },
    /// Ports that another object has.
    #[error(
        "the listeners of its VirtualNode are the captured ports, and they are not in the manifest; the \
         annotation `appmesh.k8s.aws/ports` can say them"
    )]
    PortsElsewhere,
}

impl Advise for Remark {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::General(general) => general.advice(),
            Self::Ipv6Off { .. } => Advice::with(Fault::NoEffect, "remove it"),
            Self::NotOne => Advice::with(Fault::NoEffect, "write `1`"),
            _ => None,
        }
    }
}

impl Advise for Reason {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::General(general) => general.advice(),
            Self::UnknownName { .. } | Self::PortsElsewhere => None,
            Self::TooManyPorts { .. } => Advice::with(Fault::Refused, "list 15 ports at most"),
            _ => Advice::of(Fault::Refused),
        }
    }
}
