//! What there is to say about an import from Linkerd: notes and mistakes.

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
    /// An entry of a list of ports that proxy-init logs and skips.
    #[error(
        "`{item}` is neither a port of 0 to 65535 nor a range like `8000-8999`, and is ignored"
    )]
    PortIgnored {
        /// As written.
        item: String,
    },
    /// Excluded ports that are not captured.
    #[error("no effect on {ports}: not among the ports that are redirected")]
    NotRedirected {
        /// The ports and ranges.
        ports: String,
    },
    /// A user or group of 0 or less.
    #[error("{id} is nobody to Linkerd, which knows the proxy by a number above 0")]
    Nobody {
        /// The number.
        id: i64,
    },
    /// A setting of the kernel.
    #[error("a setting of the kernel, which no rule makes: not carried over")]
    KernelSetting,
    /// Nothing is set up.
    #[error("Linkerd only prints its commands then; the policy says what they would do")]
    Simulated,
    /// The chart decides.
    #[error(
        "the chart's `disableIPv6` decides whether IPv6 is captured, and it is not known: it is \
         not, as by default"
    )]
    FamiliesUnknown,
    /// Rules that the injector has the pod make.
    #[error(
        "read as Linkerd's injector reads it, with the defaults of its chart; annotations of the \
         namespace count too, if it is among the manifests"
    )]
    AsInjected,
    /// Rules that the plugin makes.
    #[error(
        "read as Linkerd's CNI plugin reads it, with the defaults of its chart; annotations of the \
         namespace count too, if it is among the manifests"
    )]
    AsCniPlugin,
    /// What the plugin asks the cluster.
    #[error(
        "a part of the control plane: outbound ports 443 and 6443 are taken for the API server's"
    )]
    ControlPlane,
}

/// What a [`Mistake`] says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// What other imports say, too.
    #[error(transparent)]
    General(#[from] GeneralReason),
    /// Not a number, to Go.
    #[error("`{item}` is not a number")]
    NotNumber {
        /// As written.
        item: String,
    },
    /// A port of the proxy that has to be given.
    #[error("`{option}` is not given, and has no default")]
    NoProxyPort {
        /// The option.
        option: &'static str,
    },
    /// Port 0 of the proxy.
    #[error("Linkerd would redirect to port 0, where nobody can listen")]
    PortZero,
    /// A redirected port that iptables refuses.
    #[error("`{item}` is not a port of 0 to 65535, and iptables refuses it")]
    NotRedirectedPort {
        /// As written.
        item: String,
    },
    /// A list of ports without a port.
    #[error("none of it is a port, and iptables refuses the empty list that is left")]
    NoPortLeft,
    /// CSV that is more than a list.
    #[error("quotation marks and line breaks in a list are not read here")]
    Quoted,
    /// Not an id, to iptables.
    #[error("`{item}` is not an id of 0 to 4294967294, and iptables refuses it")]
    NotId {
        /// As written.
        item: String,
    },
    /// A subnet that iptables refuses.
    #[error("iptables gets every subnet, too, and refuses `{item}`, which is of IPv6")]
    Ipv6Subnet {
        /// As written.
        item: String,
    },
    /// A subnet that ip6tables refuses.
    #[error(
        "ip6tables gets every subnet, too, and refuses `{item}`, which is of IPv4; without IPv6 \
         (`--ipv6=false`) it is read"
    )]
    Ipv4Subnet {
        /// As written.
        item: String,
    },
    /// Not a mode.
    #[error("the modes are `legacy`, `nft` and `plain`")]
    NotMode,
    /// Not a binary.
    #[error("the binaries are `iptables-legacy`, `iptables-nft` and `iptables`")]
    NotBinary,
    /// Not a level.
    #[error("not a log level")]
    NotLogLevel,
}

impl Advise for Remark {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::General(general) => general.advice(),
            Self::PortIgnored { .. } => {
                Advice::with(Fault::NoEffect, "write a port, or a range like `8000-8999`")
            }
            Self::NotRedirected { .. } => Advice::with(Fault::NoEffect, "remove it"),
            Self::Nobody { .. } => Advice::with(Fault::NoEffect, "write a number above 0"),
            _ => None,
        }
    }
}

impl Advise for Reason {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::General(general) => general.advice(),
            Self::Quoted => None,
            Self::NotMode => Advice::with(Fault::Refused, "write `legacy`, `nft` or `plain`"),
            _ => Advice::of(Fault::Refused),
        }
    }
}
