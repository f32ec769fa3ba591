//! The language of iproute2: what `ip` is told, in batches and in the shell scripts around it and around
//! iptables, and what comes of it.
//!
//! ```text
//! script ──read::script──▶ ┌──────────────┐
//!                          │ [Statement]  │ ──run──▶ Namespace
//! batch ───read::batch───▶ └──────────────┘
//! ```
//!
//! Only what weir writes is read; any other word is an error, with its place. What commands do was seen
//! with iproute2 6.1 on Linux 6.18.

pub(crate) mod iptables;
mod line;
#[cfg(feature = "host")]
mod listed;
mod namespace;
mod read;
pub(crate) mod sweep;

use std::fmt;

use ipnet::IpNet;

use crate::ir::{HostPart, HostStep};
use crate::net::Family;
use crate::nft::{At, Script};
use iptables::Whose;

#[cfg(feature = "cli")]
pub(crate) use listed::Standing;
#[cfg(feature = "host")]
pub(crate) use listed::{Listings, standing};
pub(crate) use namespace::{Namespace, Stack, Way};
pub(crate) use read::{batch, script};

/// One thing that a script does.
#[derive(Debug)]
pub(crate) enum Statement<'a> {
    /// `set -eu`: what fails ends the script, and makes it fail.
    EndOnFailure,
    /// A command of `ip`.
    Ip(Command),
    /// A command, unless there is a rule of the family that the selector fits.
    UnlessListed { family: Family, selector: Selector, then: Command },
    /// The function of [`sweep`], for one family; `keep`: the rule that stays.
    Sweep { family: Family, protocol: u8, keep: Option<Selector> },
    /// A command, unless a capture of a mesh is loaded that needs what it takes away.
    UnlessCaptured(Command),
    /// Statements, where the kernel has IPv6 on.
    WithIpv6(Vec<(At, Statement<'a>)>),
    /// What takes away rules of iptables.
    Iptables(Whose),
    /// A transaction of nft.
    Nft(Script<'a>),
}

/// What `ip -4` or `ip -6` is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) family: Family,
    pub(crate) change: Change,
}

/// A change of addresses of the loopback interface, of routes to it, or of routing rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The address is there afterwards.
    ReplaceAddress(IpNet),
    /// No address of this network is there afterwards; `None`: none at all.
    FlushAddresses(Option<IpNet>),
    /// In the table, the network is this machine afterwards, whatever was there for it.
    ReplaceRoute(Route),
    /// The route is gone. Fails if it was not there.
    DeleteRoute(Route),
    /// There is one more such rule. Fails if it names a priority and there is one already.
    AddRule(Selector),
    /// No rule that the selector fits is there afterwards.
    FlushRules(Selector),
    /// No route of the protocol is there afterwards, in any table.
    FlushRoutes { protocol: u8 },
}

/// A network of a routing table that is this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) table: u32,
    pub(crate) to: IpNet,
    /// 0: none that is said.
    pub(crate) protocol: u8,
}

/// What a rule has, or what rules are looked for; `None`: any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) mark: Option<u32>,
    pub(crate) mask: Option<u32>,
    pub(crate) table: Option<u32>,
    pub(crate) priority: Option<u32>,
    pub(crate) protocol: Option<u8>,
}

/// A routing rule that looks at the mark of packets at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rule {
    /// Lower first.
    pub(crate) priority: u32,
    pub(crate) mark: u32,
    /// 0: every packet.
    pub(crate) mask: u32,
    pub(crate) table: u32,
    /// 0: none that is said.
    pub(crate) protocol: u8,
}

impl Selector {
    /// The rule that the step adds, if it adds one, whatever its protocol.
    pub(crate) fn of(step: &HostStep) -> Option<Self> {
        let HostPart::MarkRule { mark, table, priority } = step.adds else { return None };
        Some(Self {
            mark: Some(mark.value()),
            mask: Some(mark.mask()),
            table: Some(table),
            priority,
            protocol: None,
        })
    }

    /// Whether `ip` takes the rule for one of these. As `ip` has it, a 0 fits every mark or mask.
    pub(crate) fn fits(&self, rule: &Rule) -> bool {
        let fits = |wanted: Option<u32>, is: u32| wanted.is_none_or(|wanted| wanted == is);
        let fits_mark = |wanted: Option<u32>, is| fits(wanted.filter(|bits| *bits != 0), is);
        fits_mark(self.mark, rule.mark)
            && fits_mark(self.mask, rule.mask)
            && fits(self.table, rule.table)
            && fits(self.priority, rule.priority)
            && self.protocol.is_none_or(|protocol| protocol == rule.protocol)
    }
}

impl Rule {
    /// What the step adds, if that is a rule: where the step does not say, at the priority that the
    /// kernel chooses for the first.
    pub(crate) fn of(step: &HostStep, protocol: u8) -> Option<Self> {
        const FIRST: u32 = 32_765;
        let HostPart::MarkRule { mark, table, priority } = step.adds else { return None };
        let (bits, mask) = (mark.value(), mark.mask());
        Some(Self { priority: priority.unwrap_or(FIRST), mark: bits, mask, table, protocol })
    }

    /// Whether it is what the step adds.
    pub(crate) fn is(&self, step: &HostStep) -> bool {
        matches!(step.adds, HostPart::MarkRule { mark, table, priority }
            if (self.mark, self.mask, self.table) == (mark.value(), mark.mask(), table)
                && priority.is_none_or(|priority| priority == self.priority))
    }
}

/// As `ip` is told it: `priority 32765 fwmark 0x539/0xffffffff table 133 protocol 87`.
#[cfg(feature = "host")]
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Where no mask is given, `ip` takes rules of every mask.
        let (bits, under) = (self.mark.unwrap_or_default(), self.mask.unwrap_or(u32::MAX));
        let some = |word, number: Option<u32>| {
            number.map(|number| format!("{word} {number} ")).unwrap_or_default()
        };
        write!(f, "{}fwmark {bits:#x}/{under:#x}", some("priority", self.priority))?;
        let last = [("table", self.table), ("protocol", self.protocol.map(u32::from))];
        last.into_iter().try_for_each(|(word, number)| {
            number.map_or(Ok(()), |number| write!(f, " {word} {number}"))
        })
    }
}

/// `32765: fwmark 0x539/0xffffffff table 133`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { priority, mark, mask, table, protocol } = self;
        write!(f, "{priority}: fwmark {mark:#x}/{mask:#x} table {table}")?;
        if *protocol == 0 { Ok(()) } else { write!(f, " protocol {protocol}") }
    }
}
