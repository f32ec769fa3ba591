//! A clause with a value for each family.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::addresses;
use super::given::Given;
use super::lets::Value;
use super::lists::Covers;
use crate::diag::Problem;
use crate::net::{Family, PerFamily};
use crate::policy::setting::Setting;
use crate::span::Span;

/// A value for each family, and where each was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PerFamilySetting<A, B> {
    pub(crate) value: PerFamily<A, B>,
    /// Where; `None` for a value that was left out.
    pub(crate) at: PerFamily<Option<Span>, Option<Span>>,
    pub(crate) clause: Option<Span>,
}

impl<A: Copy, B: Copy> PerFamilySetting<A, B> {
    /// No clause set it.
    pub(crate) const fn default_to(value: PerFamily<A, B>) -> Self {
        Self { value, at: PerFamily { ipv4: None, ipv6: None }, clause: None }
    }

    pub(crate) const fn setting(&self) -> Setting<PerFamily<A, B>> {
        Setting { value: self.value, clause: self.clause }
    }
}

impl<'a> Given<'_, 'a> {
    /// Reads at most one address of each family; one that is missing is the default.
    pub(crate) fn addresses(
        &mut self,
        setting: &mut PerFamilySetting<Ipv4Addr, Ipv6Addr>,
        default: PerFamily<Ipv4Addr, Ipv6Addr>,
    ) {
        let read = |given: &mut Self, value| given.value::<IpAddr>(value);
        self.per_family(setting, default, read, |value, address| match address {
            IpAddr::V4(address) => value.ipv4 = address,
            IpAddr::V6(address) => value.ipv6 = address,
        });
    }

    /// Reads at most one loopback prefix of each family; one that is missing is the default.
    pub(crate) fn loopback(
        &mut self,
        setting: &mut PerFamilySetting<Ipv4Net, Ipv6Net>,
        default: PerFamily<Ipv4Net, Ipv6Net>,
    ) {
        let read = |given: &mut Self, value| given.read(value, false, addresses::loopback);
        self.per_family(setting, default, read, |value, net| match net {
            IpNet::V4(net) => value.ipv4 = net,
            IpNet::V6(net) => value.ipv6 = net,
        });
    }

    fn per_family<A: Copy, B: Copy, T: Covers>(
        &mut self,
        setting: &mut PerFamilySetting<A, B>,
        default: PerFamily<A, B>,
        read: impl Fn(&mut Self, Value<'a>) -> Option<T>,
        set: impl Fn(&mut PerFamily<A, B>, T),
    ) {
        if self.is_missing() {
            return;
        }
        let mut new = PerFamilySetting {
            value: default,
            at: PerFamily { ipv4: None, ipv6: None },
            clause: Some(self.span),
        };
        for value in std::mem::take(&mut self.values) {
            let Some(one) = read(self, value) else { continue };
            let is_ipv4 = one.family() == Some(Family::Ipv4);
            let at = if is_ipv4 { &mut new.at.ipv4 } else { &mut new.at.ipv6 };
            if let Some(first) = at.replace(value.term.span) {
                let clause = self.clause.to_owned();
                let most = "one address of each family";
                self.context.report.push(
                    Problem::TooManyValues { clause, most }
                        .at(value.term.span, "second")
                        .also(first, "first"),
                );
            }
            set(&mut new.value, one);
        }
        *setting = new;
    }
}
