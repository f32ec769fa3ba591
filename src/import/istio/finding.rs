//! What there is to say about an import: notes and mistakes.

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
    /// What other imports say, too.
    #[error(transparent)]
    General(#[from] GeneralRemark),
    /// An older spelling.
    #[error("deprecated, now `{now}`")]
    Deprecated {
        /// The newer one.
        now: &'static str,
    },
    /// The backends differ.
    #[error(
        "the policy says what upstream's iptables rules do, from which its nft rules differ in \
         places"
    )]
    NativeNftables,
    /// Excluded inbound ports without a wildcard to exclude from.
    #[error("no effect: ports are excluded only where every inbound port is captured")]
    InboundExcludesUnused,
    /// Excluded groups without a wildcard to exclude from.
    #[error("no effect: groups are excluded only where every group is captured")]
    GroupExcludesUnused,
    /// The list of groups is there, but empty.
    #[error(
        "no group is captured, so nothing outbound is, except what the proxy sends to its own \
         workload"
    )]
    NoGroup,
    /// IPv6 values without IPv6.
    #[error("{items}: no effect, because IPv6 is not captured")]
    FamilyOff {
        /// The values, quoted.
        items: String,
    },
    /// A loopback destination among the captured ones.
    #[error(
        "`{prefix}` is a loopback address, so what the workload sends over loopback is captured \
         like the rest, in both families"
    )]
    LoopbackCaptured {
        /// The first such prefix, as written.
        prefix: String,
    },
    /// DNS capture without servers.
    #[error("no effect: no DNS server is known, and not every one is captured")]
    NoResolver,
    /// A DNS option without DNS capture.
    #[error("no effect: DNS is not captured")]
    DnsOff,
    /// DNS servers beside all of them.
    #[error("no effect: every DNS server is captured")]
    ResolversUnused,
    /// A resolver that is not an address.
    #[error("`{item}` is not an address, and is ignored")]
    ResolverIgnored {
        /// The word.
        item: String,
    },
    /// Neither REDIRECT nor TPROXY.
    #[error("read as `REDIRECT`, like every value but `TPROXY`")]
    AsRedirect,
    /// A TPROXY number without TPROXY.
    #[error("no effect: the mode is not TPROXY")]
    TproxyUnused,
    /// A mark in hexadecimal.
    #[error("upstream's rules take hexadecimal, but its routes need the mark in decimal")]
    HexadecimalMark,
    /// The namespace is not among the manifests.
    #[error(
        "its namespace is not among the manifests; as it says something of a sidecar's traffic, it is \
         taken to get one"
    )]
    NamespaceUnknown,
    /// A label beside an annotation.
    #[error("no effect, because the label of that name wins, which says `{label}`")]
    LabelWins {
        /// What the label says.
        label: String,
    },
    /// Neither true nor false.
    #[error("no effect: only `true` and `false` are read")]
    NotInject,
    /// An annotation without anybody who reads it.
    #[error(
        "no effect as an annotation, because the namespace does not ask for injection; write it as a \
         label"
    )]
    OnlyTheLabelAsks,
    /// No mode.
    #[error("no effect: the modes are `ambient` and `none`")]
    NotDataplaneMode,
    /// A status that somebody wrote.
    #[error(
        "a status that only Istio writes, and no switch: the label `istio.io/dataplane-mode: none` \
         keeps a pod out of ambient mode"
    )]
    RedirectionIsStatus,
    /// Something of the mesh's that is not carried over.
    #[error("decides which pods are injected, or with what: not carried over")]
    NotOfAPod,
    /// Neither the CNI plugin nor the init container is known to make the rules.
    #[error(
        "read as Istio's CNI plugin reads it, which also excludes inbound ports 15020, 15021 and \
         15090, and outbound port 15020 unless the pod excludes others; where an init container makes \
         the rules instead, or the mesh has other defaults, give its configuration with `--mesh-config`"
    )]
    CniUnknown,
    /// The rules of the init container that the injector would add.
    #[error("read as Istio's injector reads it, whose init container makes the rules")]
    AsInjected,
    /// An older release.
    #[error(
        "Istio {release}, which the image names, does otherwise than the rules here, which are those of \
         1.29 to 1.31: there {packet} {fared} ({shown_by})"
    )]
    OlderRelease {
        /// The release.
        release: String,
        /// A packet that fares differently.
        packet: String,
        /// How it fares there.
        fared: String,
        /// What shows it.
        shown_by: &'static str,
    },
    /// A newer release.
    #[error("what Istio {release} does is not known here: the rules are those of 1.29 to 1.31")]
    NewerRelease {
        /// The release.
        release: String,
    },
    /// No such user.
    #[error("the machine has no user `{name}`, and Istio then takes 1337")]
    NoSuchUser {
        /// The user.
        name: String,
    },
    /// Two addresses, but one family.
    #[error("the workload has IPv6 addresses, which upstream leaves alone without `DUAL_STACK`")]
    SingleStack,
    /// A boolean that is not one.
    #[error("not a boolean, so it is ignored")]
    BooleanIgnored,
    /// A container of the workload that is taken for the proxy.
    #[error(
        "container `{container}` runs as {what} {id}, which is the proxy's: nothing that it sends is captured"
    )]
    RunsAsTheProxy {
        /// What it is called.
        container: String,
        /// `user`, `group`.
        what: &'static str,
        /// Which.
        id: u32,
    },
    /// Declared, but nowhere read.
    #[error("declared upstream, but never read; `{instead}` is")]
    NeverRead {
        /// The variable that is read.
        instead: &'static str,
    },
    /// A variable that only the init container reads.
    #[error("only the `istio-init` container reads this, and the pod has none")]
    InitOnly,
    /// Rules that the plugin makes.
    #[error(
        "read as Istio's CNI plugin reads it, which also excludes inbound ports 15020, 15021 and \
         15090, and outbound port 15020 unless the pod excludes others"
    )]
    AsCniPlugin,
}

/// What a [`Mistake`] says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// What other imports say, too.
    #[error(transparent)]
    General(#[from] GeneralReason),
    /// Not a port.
    #[error("`{item}` is neither a port of 1 to 65535 nor a range like `8000:8999`")]
    NotPort {
        /// As written.
        item: String,
    },
    /// A wildcard among ports.
    #[error("`*` is every port only where it stands alone among the captured inbound ports")]
    WildcardPort,
    /// A wildcard among excluded destinations.
    #[error("`*` would exclude every destination, which upstream refuses")]
    WildcardExcluded,
    /// An address in place of a prefix.
    #[error("`{item}` has no prefix length; the one address is `{prefix}`")]
    BareAddress {
        /// As written.
        item: String,
        /// The prefix of that address alone.
        prefix: String,
    },
    /// Not an address.
    #[error("`{item}` is not an {family} address")]
    NotAddress {
        /// As written.
        item: String,
        /// The family that was expected.
        family: Family,
    },
    /// The loopback prefix.
    #[error("not an IPv4 loopback prefix of 8 to 32 bits, like `127.0.0.1/32`")]
    NotLoopback,
    /// Too many groups: upstream puts them into one rule.
    #[error("{count} captured groups, and upstream takes 64 at most")]
    TooManyGroups {
        /// How many there are.
        count: usize,
    },
    /// A group by name.
    #[error("the number of group `{name}` is not known; a group file can give it")]
    UnknownGroup {
        /// As written.
        name: String,
    },
    /// A range of users or groups.
    #[error("`{item}` is a range of ids, which a policy cannot say; list them instead")]
    IdRange {
        /// As written.
        item: String,
    },
    /// Not a number of a user or group.
    #[error("`{item}` is not an id of 0 to 4294967294")]
    NotId {
        /// As written.
        item: String,
    },
    /// No proxy.
    #[error("names nobody, and without the proxy's ids its own connections come back to it")]
    NoProxy,
    /// A character that upstream does not allow in an annotation.
    #[error(
        "`{item}` is not an interface: in an annotation a name begins with a letter and ends without `+`"
    )]
    NotAnnotatedInterface {
        /// As written.
        item: String,
    },
    /// Not a mode.
    #[error("the modes are `REDIRECT`, `TPROXY` and `NONE`")]
    NotMode,
    /// Not a mark.
    #[error("not a mark of 1 to 4294967295")]
    NotMark,
    /// Not a table.
    #[error("not a routing table of 1 to 252 or 256 to 4294967295")]
    NotTable,
    /// Not a port to try rules on.
    #[error("not a port of 0 to 65535")]
    NotProbePort,
    /// Not a duration.
    #[error("not a duration like `5s`")]
    NotDuration,
    /// Not a level of a log.
    #[error("the levels are `none`, `fatal`, `error`, `warn`, `info` and `debug`")]
    NotLogLevel,
    /// Not a binary.
    #[error("the binaries are `legacy` and `nft`")]
    NotBinary,
    /// Two commas, or one at an end.
    #[error("an item of the list is empty, which upstream refuses in annotations")]
    EmptyItem,
    /// A range of ports in an annotation.
    #[error("`{item}` is a range, which upstream refuses in annotations; list the ports")]
    RangeInAnnotation {
        /// As written.
        item: String,
    },
    /// DNS servers of the pod.
    #[error(
        "the DNS servers in the pod's resolv.conf are captured, and they are not known: copy it from the \
         pod (`kubectl exec POD -- cat /etc/resolv.conf`) and give it with `--resolv-conf FILE`"
    )]
    ResolversUnknown,
    /// The user of the proxy.
    #[error(
        "Istio looks the proxy's user `{name}` up where it makes the rules, and the number is not known: \
         give that machine's /etc/passwd with `--user-file FILE`, or the number with `-u`"
    )]
    UserUnknown {
        /// What it is called.
        name: String,
    },
    /// The addresses of the workload.
    #[error(
        "the workload's addresses decide whether IPv6 is captured, and they are not known: `--ipv6 off` \
         if the first of them is IPv4, as on most clusters, and `--ipv6 on` if it is IPv6"
    )]
    FamiliesUnknown,
    /// No group, but something after it.
    #[error("no group is captured, but {what} is, which a policy cannot say")]
    NoGroupBut {
        /// What is captured all the same.
        what: &'static str,
    },
    /// Not a kind of configuration.
    #[error("the kinds are `sidecar`, `ambient-pod` and `ambient-host`")]
    UnknownKind,
    /// No value among those that upstream knows.
    #[error("neither `enabled` nor `disabled`")]
    NotOverride,
}

impl Advise for Remark {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::General(general) => general.advice(),
            Self::Deprecated { now } => Advice::with(Fault::Deprecated, format!("write `{now}`")),
            Self::InboundExcludesUnused => Advice::with(
                Fault::NoEffect,
                "remove it: ports that are not listed are not captured anyway",
            ),
            Self::GroupExcludesUnused | Self::TproxyUnused | Self::ResolversUnused => {
                Advice::with(Fault::NoEffect, "remove it")
            }
            Self::FamilyOff { .. } => Advice::with(
                Fault::NoEffect,
                "remove the values of IPv6, or turn IPv6 on: `ISTIO_DUAL_STACK: \"true\"`",
            ),
            Self::NoGroup => {
                Advice::with(Fault::NothingCaptured, "name a group, or remove the variable")
            }
            Self::SingleStack => Advice::with(
                Fault::OpenFamily,
                "set `ISTIO_DUAL_STACK: \"true\"` in `proxyMetadata`, of every proxy and of istiod",
            ),
            Self::NoResolver | Self::DnsOff => Advice::with(
                Fault::DnsNeeds,
                "set `ISTIO_META_DNS_CAPTURE: \"true\"`, or remove the option",
            ),
            Self::BooleanIgnored => Advice::with(Fault::NoEffect, "write `true` or `false`"),
            Self::AsRedirect => Advice::with(Fault::NoEffect, "write `REDIRECT` or `TPROXY`"),
            Self::RunsAsTheProxy { .. } => {
                Advice::with(Fault::RunsAsTheProxy, "run it as another: `runAsUser: 1000`")
            }
            Self::NeverRead { instead } => {
                Advice::with(Fault::UnknownName, format!("write `{instead}`"))
            }
            Self::InitOnly => Advice::with(
                Fault::NoEffect,
                "remove it: with Istio's CNI plugin there is no annotation for this",
            ),
            Self::LabelWins { .. } => Advice::with(Fault::Contradiction, "remove the annotation"),
            Self::NotInject => Advice::with(Fault::NoOptOut, "write `\"true\"` or `\"false\"`"),
            Self::OnlyTheLabelAsks => {
                Advice::with(Fault::NoEffect, "write it under `metadata.labels`")
            }
            Self::NotDataplaneMode => Advice::with(Fault::NoOptOut, "write `ambient` or `none`"),
            Self::RedirectionIsStatus => Advice::with(
                Fault::NoOptOut,
                "write the label `istio.io/dataplane-mode: none` instead",
            ),
            Self::OlderRelease { .. } => Advice::of(Fault::Release),
            _ => None,
        }
    }
}

impl Advise for Reason {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::General(general) => general.advice(),
            Self::ResolversUnknown
            | Self::UserUnknown { .. }
            | Self::FamiliesUnknown
            | Self::UnknownGroup { .. }
            | Self::IdRange { .. } => None,
            Self::RangeInAnnotation { item } => {
                let ports = item.split_once([':', '-']);
                let ends = ports.and_then(|(first, last)| {
                    Some((first.parse::<u16>().ok()?, last.parse::<u16>().ok()?))
                });
                let listed = ends.filter(|(first, last)| first < last && last - first < 10);
                Advice::with(
                    Fault::Range,
                    match listed {
                        Some((first, last)) => {
                            let ports: Vec<_> = (first..=last).map(|it| it.to_string()).collect();
                            format!("list the ports: `{}`", ports.join(","))
                        }
                        None => "list the ports, with commas between them".to_owned(),
                    },
                )
            }
            Self::BareAddress { prefix, .. } => {
                Advice::with(Fault::Refused, format!("write `{prefix}`"))
            }
            Self::NotMode => Advice::with(Fault::Refused, "write `REDIRECT`, `TPROXY` or `NONE`"),
            Self::WildcardExcluded => Advice::with(
                Fault::Refused,
                "include nothing instead: `traffic.sidecar.istio.io/includeOutboundIPRanges: \"\"`",
            ),
            Self::EmptyItem => Advice::with(Fault::Refused, "remove the comma that is too many"),
            _ => Advice::of(Fault::Refused),
        }
    }
}

impl Reason {
    /// Whether it is about the command line itself, which upstream refuses before it asks what is meant.
    #[must_use]
    pub const fn is_of_the_line(&self) -> bool {
        matches!(
            self,
            Self::NotProbePort
                | Self::NotDuration
                | Self::NotLogLevel
                | Self::General(
                    GeneralReason::UnknownFlag { .. }
                        | GeneralReason::MissingValue
                        | GeneralReason::NotBoolean
                )
        )
    }
}
