//! What there is to say about an import: notes and mistakes.

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
    /// The family depends on the pod.
    #[error(
        "the workload's addresses decide whether IPv6 is captured, and they are not known: it is"
    )]
    FamiliesUnknown,
    /// Two addresses, but one family.
    #[error("the workload has IPv6 addresses, which upstream leaves alone without `DUAL_STACK`")]
    SingleStack,
    /// A boolean that is not one.
    #[error("not a boolean, so it is ignored")]
    BooleanIgnored,
    /// The name of the proxy's user.
    #[error("users are not looked up; the proxy's is taken to be 1337")]
    UserNotLookedUp,
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
    #[error("`{item}` is a range, which upstream refuses in annotations")]
    RangeInAnnotation {
        /// As written.
        item: String,
    },
    /// DNS servers of the pod.
    #[error("the DNS servers in the pod's resolv.conf are captured, and they are not known")]
    ResolversUnknown,
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
