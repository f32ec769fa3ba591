use super::{Base, ChainKind, Hook};

/// A table that the kernel has of its own, as iptables sees it. The order is that of their
/// priorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuiltInTable {
    /// Before connection tracking.
    Raw,
    /// Marks, and transparent proxies.
    Mangle,
    /// Translations.
    Nat,
    /// Everything else.
    Filter,
}

impl BuiltInTable {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Raw, Self::Mangle, Self::Nat, Self::Filter];

    /// As iptables calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Mangle => "mangle",
            Self::Nat => "nat",
            Self::Filter => "filter",
        }
    }

    /// Where the kernel enters the table's built-in chain at `hook`; `None` if there is no such
    /// chain. The priorities are those of `linux/netfilter_ipv4.h`, the same for both families
    /// (Linux 6.18).
    #[must_use]
    pub const fn base(self, hook: Hook) -> Option<Base> {
        let (kind, priority) = match (self, hook) {
            (Self::Raw, Hook::Prerouting | Hook::Output) => (ChainKind::Filter, -300),
            (Self::Mangle, Hook::Output) => (ChainKind::Route, -150),
            (Self::Mangle, _) => (ChainKind::Filter, -150),
            (Self::Nat, Hook::Prerouting | Hook::Output) => (ChainKind::Nat, -100),
            (Self::Nat, Hook::Input | Hook::Postrouting) => (ChainKind::Nat, 100),
            (Self::Filter, Hook::Input | Hook::Forward | Hook::Output) => (ChainKind::Filter, 0),
            _ => return None,
        };
        Some(Base { kind, hook, priority })
    }
}

impl Hook {
    /// All hooks.
    pub const ALL: [Self; 5] =
        [Self::Prerouting, Self::Input, Self::Forward, Self::Output, Self::Postrouting];

    /// The built-in chain at the hook, as iptables calls it.
    #[must_use]
    pub const fn built_in_chain(self) -> &'static str {
        match self {
            Self::Prerouting => "PREROUTING",
            Self::Input => "INPUT",
            Self::Forward => "FORWARD",
            Self::Output => "OUTPUT",
            Self::Postrouting => "POSTROUTING",
        }
    }
}
