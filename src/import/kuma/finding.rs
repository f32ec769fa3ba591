//! What there is to say about an import from Kuma: notes and mistakes.

use crate::diag::Fault;
use crate::import::advice::{Advice, Advise};
use crate::import::finding::findings;
use crate::import::{GeneralReason, GeneralRemark};
use crate::net::Family;

findings!();

/// What a [`Note`] says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Remark {
    /// As for every mesh.
    #[error(transparent)]
    General(#[from] GeneralRemark),
    /// Excluded ports beside included ones.
    #[error(
        "no effect, which is a fault of Kuma's: excluded ports are ignored where ports are \
         included; leave them out of the included ones"
    )]
    ExcludedPortsIgnored,
    /// Users of inbound connections.
    #[error(
        "turns inbound capture off, which is a fault of Kuma's: the rule that it makes has no \
         match; remove it"
    )]
    InboundOff,
    /// The redirection before the exemption of DNS over TCP.
    #[error(
        "the workload's DNS over TCP is captured too, which is a fault of Kuma's: its exemption \
         stands behind the inserted rule; remove the option"
    )]
    TcpDnsCaptured,
    /// DNS of virtual networks.
    #[error(
        "DNS of virtual networks is redirected though DNS is not, which is a fault of Kuma's; \
         capture DNS too"
    )]
    NetworkDns,
    /// An exclude for a user that is empty.
    #[error(
        "`{item}` excludes these ports for everybody, which is a fault of Kuma's: it takes an \
         empty user for a good one"
    )]
    EverybodyExcluded {
        /// As written.
        item: String,
    },
    /// No protocol.
    #[error("`{item}` has no effect: it names no protocol")]
    NoProtocol {
        /// As written.
        item: String,
    },
    /// A place among others' rules.
    #[error(
        "says where the rule stands among those of others in iptables' own chain: not carried \
         over, because weir's rules stand in tables of their own"
    )]
    PlaceOnly,
    /// Something about a direction that is off.
    #[error("no effect: `{by}` is false")]
    Off {
        /// What turns it off.
        by: &'static str,
    },
    /// Rules that log.
    #[error(
        "its rules that write to the kernel's log are not carried over: they change nothing that \
         happens to a packet"
    )]
    Log,
    /// Something about DNS, which is off.
    #[error("no effect: DNS is not captured")]
    DnsOff,
    /// A family without a server.
    #[error("DNS is not captured in {family}: no server is of it")]
    NoServer {
        /// The family.
        family: Family,
    },
    /// A network that another one replaces.
    #[error("`{written}` has no effect: an interface has one network of each family, the last")]
    NetworkReplaced {
        /// As written.
        written: String,
    },
    /// A family in another case.
    #[error("read as `dualstack`, as Kuma does, which compares with `ipv4` in lower case")]
    FamilyInAnotherCase,
    /// The family depends on the host.
    #[error("the host's addresses decide whether IPv6 is captured, and they are not known: it is")]
    FamiliesUnknown,
    /// IPv6 values without IPv6.
    #[error("{items}: no effect, because IPv6 is not captured")]
    FamilyOff {
        /// The values, quoted.
        items: String,
    },
    /// Docker's chain.
    #[error(
        "where the nat table has a chain `DOCKER_OUTPUT`, the proxy's own queries go there; it is \
         taken to have none"
    )]
    DockerUnknown,
    /// The file of the servers.
    #[error("the servers are those of the resolv.conf that is given here")]
    OtherResolvConf,
    /// Variables that are not read.
    #[error("kumactl reads variables only beside `--config`: none of them is read")]
    EnvironmentUnread,
    /// Two annotations of which one decides.
    #[error("read as the injector would: with the control plane's defaults, without its ConfigMap")]
    NotInjected,
}

/// What a [`Mistake`] says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// As for every mesh.
    #[error(transparent)]
    General(#[from] GeneralReason),
    /// Not an address.
    #[error("`{item}` is neither an address nor a prefix")]
    NotAddress {
        /// As written.
        item: String,
    },
    /// An IPv4 address in an IPv6 one.
    #[error("`{item}` passes kumactl, and iptables-restore then refuses it; write it as IPv4")]
    Mapped {
        /// As written.
        item: String,
    },
    /// Nothing.
    #[error("an item is empty, which kumactl refuses")]
    EmptyItem,
    /// Not an exclude for users.
    #[error("`{item}` is not of the form `[protocol:][ports:]users`: {why}")]
    NotExclusion {
        /// As written.
        item: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An exclude for users that does not load.
    #[error("`{item}` passes kumactl, and iptables-restore then refuses it: {why}")]
    DoesNotLoad {
        /// As written.
        item: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Not a network.
    #[error("`{item}` is not of the form `interface:prefix`")]
    NotNetwork {
        /// As written.
        item: String,
    },
    /// A user by name.
    #[error("the number of user `{name}` is not known; a user file can give it")]
    UnknownUser {
        /// As written.
        name: String,
    },
    /// Not a user.
    #[error("not a user of 0 to 4294967294")]
    NotUser,
    /// Not a family.
    #[error("the modes are `dualstack` and `ipv4`")]
    NotFamily,
    /// Two flags of which one may be given.
    #[error("only one of `--redirect-dns` and `--redirect-all-dns-traffic` may be given")]
    BothDns,
    /// Servers that are not given.
    #[error("the DNS servers in the host's resolv.conf are captured, and they are not known")]
    ServersUnknown,
    /// A server that is not one.
    #[error("the DNS server `{item}` is not an address that a rule can name")]
    NotServer {
        /// As written.
        item: String,
    },
    /// A file that is not given.
    #[error("what the file says is not known; import it with `weir import kuma --config`")]
    ConfigElsewhere,
    /// Not a boolean of an annotation.
    #[error("not `true` or `false`, `yes` or `no`")]
    NotAnnotatedBoolean,
}

impl Advise for Remark {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::General(general) => general.advice(),
            Self::ExcludedPortsIgnored
            | Self::PlaceOnly
            | Self::Off { .. }
            | Self::FamilyOff { .. }
            | Self::NetworkReplaced { .. }
            | Self::NoProtocol { .. } => Advice::with(Fault::NoEffect, "remove it"),
            Self::InboundOff | Self::EverybodyExcluded { .. } => {
                Advice::with(Fault::NothingCaptured, "remove it, or name a user")
            }
            Self::DnsOff | Self::NetworkDns | Self::NoServer { .. } => {
                Advice::with(Fault::DnsNeeds, "turn DNS capture on, or remove it")
            }
            Self::FamilyInAnotherCase => Advice::with(Fault::NoEffect, "write it in lower case"),
            Self::TcpDnsCaptured => Advice::with(Fault::Contradiction, "remove the option"),
            _ => None,
        }
    }
}

impl Advise for Reason {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::General(general) => general.advice(),
            Self::UnknownUser { .. } | Self::ServersUnknown | Self::ConfigElsewhere => None,
            Self::Mapped { .. } => Advice::with(Fault::Refused, "write it as IPv4"),
            Self::NotFamily => Advice::with(Fault::Refused, "write `dualstack` or `ipv4`"),
            Self::NotAnnotatedBoolean => Advice::with(Fault::Refused, "write `true` or `false`"),
            Self::BothDns => Advice::with(Fault::Contradiction, "remove one of the two"),
            _ => Advice::of(Fault::Refused),
        }
    }
}
