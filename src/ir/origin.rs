//! Why a rule exists: rungs of the ladder, and clauses.

use crate::span::Span;

/// Why a rule exists: the rung of the ladder, and the clause that asked for it.
///
/// Two rules that differ only in origin are equal: it is about people, not packets.
#[derive(Clone, Copy, Debug, Eq)]
pub struct Origin {
    /// The rung.
    pub rung: Rung,
    /// The clause; `None` if a default asked for it, or the rule was read and not compiled.
    pub clause: Option<Span>,
}

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

macro_rules! rungs {
    ($($(#[doc = $doc:literal])* $rung:ident $number:literal $title:literal)*) => {
        /// What a rule is for. The numbers are the reference's (`docs/language.md`): `O` outbound,
        /// `I` inbound, `T` marks of TPROXY mode, `D` conntrack zones of DNS, `A` ambient pod,
        /// `H` ambient host.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rung {
            $($(#[doc = $doc])* $rung,)*
        }

        impl Rung {
            /// Every rung, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$rung),*];

            /// Its number in the reference: `O4b`. Empty where a rule only connects others.
            #[must_use]
            pub const fn number(self) -> &'static str {
                match self { $(Self::$rung => $number,)* }
            }

            /// What it does, in words: `excluded port: untouched`.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$rung => $title,)* }
            }

            /// What it is about: the title up to its colon.
            #[must_use]
            pub fn subject(self) -> &'static str {
                self.title().split(':').next().unwrap_or_default()
            }
        }
    };
}

rungs! {
    /// A rule that only leads to others.
    Entry "" "entry"
    /// A chain that only sends to the proxy.
    ToProxy "" "to the proxy"
    /// Read from a ruleset that weir did not write.
    Foreign "" "read from a ruleset"

    /// Nothing is captured on an excluded interface.
    OutboundInterface "O1" "excluded interface: untouched"
    /// TCP and UDP to an excluded port.
    OutboundExcludedPort "O2" "excluded port: untouched"
    /// From the passthrough address over loopback.
    Passthrough "O3" "passthrough: untouched"
    /// The proxy calls its own workload.
    SelfCall "O4a" "proxy to its own workload: inbound proxy port"
    /// Over loopback, not the proxy.
    Local "O4b" "loopback, not the proxy: untouched"
    /// The proxy itself.
    FromProxy "O4c" "the proxy itself: untouched"
    /// The process's group is not captured.
    Group "O5" "group not captured: untouched"
    /// DNS to a captured server.
    Dns "O6" "DNS: DNS port"
    /// To this workload's loopback.
    Loopback "O7" "loopback destination: untouched"
    /// To an excluded destination.
    ExcludedDestination "O8" "excluded destination: untouched"
    /// To a port that is captured whatever the destination.
    OutboundCapturedPort "O9" "captured port: outbound proxy port"
    /// To a captured destination.
    CapturedDestination "O10" "captured destination: outbound proxy port"

    /// Arrived on an interface of a virtual machine, to a captured destination.
    Rerouted "I1" "rerouted interface: outbound proxy port"
    /// Arrived on an interface of a virtual machine, anything else.
    ReroutedRest "I2" "rerouted interface, rest: untouched"
    /// Arrived on an excluded interface.
    InboundInterface "I3" "excluded interface: untouched"
    /// Invalid to connection tracking.
    DropInvalid "I4" "invalid packet: dropped"
    /// To the proxy's tunnel port.
    Tunnel "I5" "tunnel port: untouched"
    /// To an excluded port.
    InboundExcludedPort "I6" "excluded port: untouched"
    /// To a captured port.
    InboundCapturedPort "I7" "captured port: inbound proxy port"

    /// The packet is on its way to the proxy already.
    TproxyMarked "T1" "already marked: untouched"
    /// From the passthrough address over loopback, on arrival.
    TproxyPassthrough "T2" "passthrough: untouched"
    /// Over loopback and not from the proxy, on arrival.
    TproxyLocal "T3" "loopback, not from the proxy: untouched"
    /// A connection that a socket has accepted keeps its way to the proxy.
    TproxyDivert "T4" "known connection: stays with the proxy"
    /// A mark that the proxy set is kept for the connection.
    TproxySave "T5" "marked by the proxy: remembered for the connection"
    /// A packet that is marked already keeps its mark.
    TproxyKeep "T6" "marked already: keeps its mark"
    /// From the proxy to its own workload.
    TproxyOutbound "T7" "proxy to its own workload: outbound mark"
    /// Replies to the proxy get the connection's mark back.
    TproxyRestore "T8" "reply to the proxy: gets the connection's mark"

    /// The proxy's own queries have a zone of their own.
    ZoneProxyQuery "D1" "the proxy's query: zone 1"
    /// The proxy's answers to applications are in the applications' zone.
    ZoneProxyAnswer "D2" "the proxy's answer: zone 2"
    /// Applications' queries have a zone of their own.
    ZoneQuery "D3" "a query: zone 2"
    /// Servers' answers are in the proxy's zone.
    ZoneAnswer "D4" "an answer: zone 1"

    /// The proxy's connections are remembered.
    AmbientConnmark "A1" "from the proxy: connection remembered"
    /// Replies to the proxy get their mark back.
    AmbientRestore "A2" "reply to the proxy: gets the connection's mark"
    /// Arrived on an interface of a virtual machine.
    AmbientRerouted "A3" "rerouted interface: outbound proxy port"
    /// Arrived on an interface of a virtual machine, not redirected.
    AmbientReroutedRest "A4" "rerouted interface, rest: untouched"
    /// From or to kubelet's probe.
    AmbientProbe "A5" "probe: untouched"
    /// Inbound, not from the proxy.
    AmbientInbound "A6" "inbound: inbound proxy port"
    /// DNS, not from the proxy.
    AmbientDns "A7" "DNS: DNS port"
    /// A reply to the proxy.
    AmbientReply "A8" "reply to the proxy: untouched"
    /// Over loopback by a non-loopback address.
    AmbientLocal "A9" "over loopback: untouched"
    /// Outbound, not from the proxy.
    AmbientOutbound "A10" "outbound: outbound proxy port"
    /// The proxy's DNS has a zone of its own.
    AmbientZone "A11" "the proxy's DNS: zone 1"

    /// A probe from this node.
    HostProbe "H1" "probe: source translated"
}

impl Origin {
    /// A rule that only leads to others.
    pub const ENTRY: Self = Self { rung: Rung::Entry, clause: None };
    /// A rule that was read.
    pub const FOREIGN: Self = Self { rung: Rung::Foreign, clause: None };

    /// A rule of `rung`, asked for by `clause`.
    #[must_use]
    pub const fn new(rung: Rung, clause: Option<Span>) -> Self {
        Self { rung, clause }
    }
}
