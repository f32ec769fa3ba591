//! What packets meet: tables of chains of rules, as the kernel runs them.
//!
//! The types here say what happens to a packet, never how a tool spells it. Everything in which
//! iptables and nft differ is a value: whether a negated owner matches a packet that has no user
//! socket ([`Owner`]), what happens when no transparent proxy listens ([`Action::Tproxy`]), which
//! family a rule is for ([`Rule::families`]), which bits of a mark change ([`MarkChange`]).
//! Facts about the kernel were observed on Linux 6.18 with iptables 1.8.9 and nft 1.0.6.
//!
//! # How a packet runs
//!
//! 1. At each [`Hook`], base chains run in ascending [`Base::priority`], but nat chains all in one
//!    place: destinations are translated at -100 (prerouting, output), sources at 100 (input,
//!    postrouting). Their own priorities order nat chains among each other only.
//!    [`Ruleset::schedules`] gives the order; of chains that tie, the one that was registered last
//!    runs first.
//! 2. A chain runs its rules in order. A rule whose family is not the packet's, or any of whose
//!    matches fails, does nothing. Otherwise its [`Action`] happens.
//! 3. [`Action::Jump`] runs another chain of the same table and comes back to the next rule;
//!    [`Action::Goto`] runs it instead of the rest of this chain. [`Action::Return`], and the end
//!    of a chain, go back to behind the last jump; from a base chain, that means accept.
//! 4. Accepting ends the base chain, and only it: the next base chain at the hook runs. Dropping
//!    ends everything.
//! 5. Changes of marks are seen by every later match, in this base chain and in later ones.
//! 6. [`ChainKind::Nat`] chains are asked once for each end of a connection: by its first packet,
//!    in state new or related. The first translation wins: once a nat chain has translated, later
//!    nat chains there are not asked. Later packets are translated as the first was.
//! 7. Behind the translation, every match sees the translated packet: a redirected one goes to
//!    loopback (at output) or to the first address of the incoming interface (at prerouting), and
//!    to the proxy's port; one with another destination to that. Later hooks see it so too. The
//!    interfaces of the hook stay.
//! 8. Before connections are looked up (-200, at prerouting and output), a packet has no
//!    connection and is invalid to matches; zones can be set only then. What came over loopback
//!    has its connection from the start.
//! 9. A packet from this machine is routed before output. It is routed again when the destination
//!    address is translated there, and behind a [`ChainKind::Route`] chain that changed its mark.
//!    Later chains at output still see the old interface, postrouting sees the new one. A mark
//!    that changes in a chain of another kind changes no route.
//! 10. A packet at input can have a socket, that of its receiver. One at prerouting has none, but
//!     for that of a transparent proxy that took it.

mod builtin;
mod clauses;
mod host;
mod matches;
mod opaque;
mod origin;
mod reach;
mod schedule;

use serde::{Deserialize, Serialize};

use crate::net::{Families, Family, Name};
use crate::span::Span;

pub use builtin::{BuiltInTable, from_iptables_chain, to_iptables_chain};
pub use clauses::{ClauseText, Clauses};
pub use host::{HostPart, HostStep};
pub use matches::{CtState, CtStates, Direction, Match, Owner, OwnerIs, Protocol};
pub use opaque::{Condition, Effect, Target};
pub(crate) use origin::ladder;
pub use origin::{Also, Locator, Origin, Rung};
pub use schedule::{Entry, Schedule, Step, TRACKING, TooManyTies};

/// Everything that is loaded together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// The tables.
    pub tables: Vec<Table>,
}

/// A name space for chains and sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Upstream's name, as nft has it: `istio-proxy-nat`.
    pub name: Name,
    /// The families whose packets the table sees. Connection tracking is switched on for these
    /// only, so a table never claims a family that the policy leaves alone.
    pub families: Families,
    /// Sets that others fill while the ruleset is loaded.
    pub sets: Vec<AddressSet>,
    /// The chains. A chain may jump to any other of the table, but not in a circle.
    pub chains: Vec<Chain>,
}

/// A named set of single addresses whose contents are not ours: the node's agent fills it, and a
/// reload keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressSet {
    /// Its name.
    pub name: Name,
    /// The family of its addresses.
    pub family: crate::net::Family,
}

/// An ordered list of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name within the table: `istio-output`; of a base chain, `output`.
    pub name: Name,
    /// Where the kernel enters it; `None` if only jumps do.
    pub base: Option<Base>,
    /// The rules, in the order in which they run.
    pub rules: Vec<Rule>,
}

/// Where and when the kernel enters a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Base {
    /// What the chain may do.
    pub kind: ChainKind,
    /// Where on a packet's way.
    pub hook: Hook,
    /// When, among the base chains of the hook: lower first. Of a nat chain, when among nat
    /// chains: see [`Base::place`].
    pub priority: i32,
}

/// What a base chain may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChainKind {
    /// See every packet.
    Filter,
    /// Translate addresses; sees the first packet of a connection only.
    Nat,
    /// See every packet; one whose mark is another behind the chain is routed again. At output.
    Route,
}

/// Where on a packet's way through the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// It came in on an interface and is not routed yet.
    Prerouting,
    /// It is for a local socket.
    Input,
    /// It came in and goes out again.
    Forward,
    /// A local process, or the kernel, sent it.
    Output,
    /// It is about to leave on an interface.
    Postrouting,
}

/// If the packet is of one of the families and every match holds, the action happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The families of packets that the rule sees. A match on an address narrows this to the
    /// address's family.
    pub families: Families,
    /// Conditions, all of which must hold. Empty: every packet.
    pub when: Vec<Match>,
    /// What happens then.
    pub then: Action,
    /// Why the rule exists.
    pub origin: Origin,
    /// Why else, of a rule that was made of several.
    pub also: Also,
}

/// What a rule does to a packet that it matches.
///
/// After an action that is not marked final, the next rule runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Ends this base chain; the next one at the hook runs. Final.
    Accept,
    /// Ends the packet. Final.
    Drop,
    /// Goes back to behind the jump that led here; accepts, in a base chain. Final.
    Return,
    /// Runs a chain of the same table, then the next rule.
    Jump(Name),
    /// Runs a chain of the same table instead of the rest of this one. Final.
    Goto(Name),
    /// Sends the connection to this port of the machine: the destination address becomes loopback
    /// at [`Hook::Output`], and the first address of the incoming interface at
    /// [`Hook::Prerouting`]. In nat chains, for TCP and UDP, which the rule's matches ensure.
    /// Accepts. Final.
    Redirect {
        /// The port, 1 to 65535.
        port: u16,
    },
    /// Gives the connection this source address, of the rule's family. In nat chains at
    /// [`Hook::Postrouting`]. Accepts. Final.
    Snat {
        /// The source.
        to: std::net::IpAddr,
    },
    /// Sends the connection to this address, of the rule's family, and to this port of it if one is
    /// given. In nat chains at [`Hook::Prerouting`] and [`Hook::Output`]; with a port for TCP and
    /// UDP, which the rule's matches ensure. Accepts. Final.
    Dnat {
        /// The destination.
        to: std::net::IpAddr,
        /// The port, 1 to 65535; `None`: the packet's own.
        port: Option<u16>,
    },
    /// Hands the packet to a transparent socket on this port, at [`Hook::Prerouting`], for TCP and
    /// UDP, which the rule's matches ensure.
    ///
    /// If a transparent socket listens there (or the packet belongs to one of its connections),
    /// the mark changes and the packet is accepted: final. If none does, the mark does not change
    /// and `on_miss` happens. iptables drops (final), nft goes on with the next rule.
    Tproxy {
        /// The port, 1 to 65535.
        port: u16,
        /// How the packet mark changes if a socket takes the packet.
        mark: MarkChange,
        /// What happens if none does.
        on_miss: crate::net::OnMiss,
    },
    /// Changes the packet mark.
    SetMark(MarkChange),
    /// Changes the packet mark and accepts: final. One rule of nft, and two of iptables.
    MarkAndAccept(MarkChange),
    /// Changes the mark of the packet's connection; nothing, if it has none.
    SetConnmark(MarkChange),
    /// Copies packet mark to connection mark: `ct = (ct & !ct_mask) ^ (packet & packet_mask)`.
    /// Nothing, if the packet has no connection.
    SaveMark(MaskPair),
    /// Copies connection mark to packet mark: `packet = (packet & !packet_mask) ^ (ct & ct_mask)`.
    /// Nothing, if the packet has no connection.
    RestoreMark(MaskPair),
    /// Tracks the packet's connection in this zone, apart from those of other zones. The first
    /// zone that is set wins; nothing, if the packet has its connection already ([`TRACKING`]), or is
    /// exempt from tracking.
    SetZone(u16),
    /// Exempts the packet from connection tracking: it has no connection, is untracked to matches, and nat
    /// chains are not asked. Nothing, if it has its connection already ([`TRACKING`]), or a zone was set.
    /// Rules of others only: no policy comes to it, and no backend writes it.
    Notrack,
    /// Writes to the kernel log. Changes nothing that is compared.
    Log,
    /// Does something that the model does not follow. Rules of others only: no policy comes to it,
    /// and no backend writes it.
    Opaque(Target),
}

impl Action {
    /// Whether no later rule of its chain runs after the action.
    #[must_use]
    pub const fn ends_chain(&self) -> bool {
        self.ends_base_chain() || self.leads_out()
    }

    /// Whether the packet goes on elsewhere in the base chain: behind the jump that led here, or in another
    /// chain instead of the rest of this one.
    #[must_use]
    pub const fn leads_out(&self) -> bool {
        matches!(self, Self::Return | Self::Goto(_))
    }

    /// Whether no rule of this base chain runs after the action.
    ///
    /// One that [leads out](Self::leads_out) of a chain does not end the base chain.
    #[must_use]
    pub const fn ends_base_chain(&self) -> bool {
        match self {
            Self::Accept
            | Self::Drop
            | Self::MarkAndAccept(_)
            | Self::Redirect { .. }
            | Self::Snat { .. }
            | Self::Dnat { .. } => true,
            Self::Tproxy { on_miss, .. } => matches!(on_miss, crate::net::OnMiss::Drop),
            Self::Opaque(Target { effect, .. }) => {
                matches!(effect, Effect::Takes | Effect::Translates { .. })
            }
            _ => false,
        }
    }
}

/// `new = (old & !clear) ^ flip`, which every way of setting a mark comes to.
///
/// | iptables | `clear` | `flip` |
/// |---|---|---|
/// | `--set-mark V` | all | V |
/// | `--set-mark V/M` | M \| V | V |
/// | `--set-xmark V/M` | M | V |
/// | `--and-mark V` | !V | 0 |
/// | `--or-mark V` | V | V |
/// | `--xor-mark V` | 0 | V |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarkChange {
    /// Bits set to 0 first.
    pub clear: u32,
    /// Bits inverted then.
    pub flip: u32,
}

impl MarkChange {
    /// Sets the whole mark.
    #[must_use]
    pub const fn set(value: u32) -> Self {
        Self { clear: u32::MAX, flip: value }
    }

    /// Sets the bits of a mark under its mask.
    #[must_use]
    pub const fn set_masked(mark: crate::net::Mark) -> Self {
        Self { clear: mark.mask(), flip: mark.value() }
    }

    /// The mark after the change.
    #[must_use]
    pub const fn apply(self, old: u32) -> u32 {
        (old & !self.clear) ^ self.flip
    }
}

/// The bits that take part when marks are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaskPair {
    /// Of the packet mark (iptables `--nfmask`).
    pub packet: u32,
    /// Of the connection mark (iptables `--ctmask`).
    pub connection: u32,
}

impl MaskPair {
    /// All bits of both.
    pub const FULL: Self = Self { packet: u32::MAX, connection: u32::MAX };
}

impl Ruleset {
    /// What packets of `family` meet of it.
    #[must_use]
    pub fn only(&self, family: Family) -> Self {
        let tables = self.tables.iter().filter(|table| table.families.has(family));
        let tables = tables.map(|table| Table { families: family.into(), ..table.clone() });
        Self { tables: tables.collect() }
    }
}

impl Ruleset {
    /// Every rule, table by table and chain by chain.
    pub fn rules_mut(&mut self) -> impl Iterator<Item = &mut Rule> {
        let chains = self.tables.iter_mut().flat_map(|table| &mut table.chains);
        chains.flat_map(|chain| &mut chain.rules)
    }
}

impl Rule {
    /// Everything that the rule exists for, in the order in which its parts stood.
    pub fn origins(&self) -> impl Iterator<Item = Origin> {
        std::iter::once(self.origin).chain(self.also.iter())
    }

    /// Makes the rule one that exists for `origins` too, each of which it names once.
    pub fn exists_for(&mut self, origins: impl IntoIterator<Item = Origin>) {
        for origin in origins {
            if !self.origins().any(|known| known.is_same(origin)) {
                self.also.push(origin);
            }
        }
    }

    /// Makes the rule one that exists for what `other` does, and then for what it did before.
    pub fn exists_first_for(&mut self, other: &Self) {
        let before: Vec<Origin> = self.origins().collect();
        self.origin = other.origin;
        self.also = other.also.clone();
        self.exists_for(before);
    }

    /// Whether it was made of rules for several reasons.
    #[must_use]
    pub fn is_made_of_several(&self) -> bool {
        self.also.iter().next().is_some()
    }

    /// Leaves out the clauses that `is_known` does not hold for.
    pub fn retain_clauses(&mut self, is_known: impl Fn(Span) -> bool) {
        for origin in std::iter::once(&mut self.origin).chain(self.also.iter_mut()) {
            origin.clause = origin.clause.filter(|clause| is_known(*clause));
        }
    }
}

impl Table {
    /// The chain called `name`.
    #[must_use]
    pub fn chain(&self, name: &Name) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.name == *name)
    }
}
