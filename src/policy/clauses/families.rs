//! What stands under `family ipv4` and is of IPv6, and the reverse.

use super::form::Ending;
use super::lists::{Covers, List, Visitor};
use super::per_family::PerFamilySetting;
use crate::diag::Problem;
use crate::net::{Families, Family, PerFamily};
use crate::policy::setting::Setting;
use crate::span::Span;

/// The values of the family that a policy leaves untouched.
pub(crate) struct Strays {
    family: Family,
    clause: Option<Span>,
    found: Vec<Span>,
}

impl Strays {
    /// Nothing yet; `None` if both families are governed.
    pub(crate) fn under(families: &Setting<Families>) -> Option<Self> {
        let family = match families.value {
            Families::Both => return None,
            Families::Ipv4 => Family::Ipv4,
            Families::Ipv6 => Family::Ipv6,
        };
        Some(Self { family, clause: families.clause, found: Vec::new() })
    }

    /// Resets them in `setting`; `own` tells whether the policy itself has it.
    pub(crate) fn reset<A: Copy, B: Copy>(
        &mut self,
        setting: &mut PerFamilySetting<A, B>,
        default: PerFamily<A, B>,
        own: bool,
    ) {
        let at = match self.family {
            Family::Ipv4 => {
                setting.value.ipv6 = default.ipv6;
                setting.at.ipv6.take()
            }
            Family::Ipv6 => {
                setting.value.ipv4 = default.ipv4;
                setting.at.ipv4.take()
            }
        };
        self.found.extend(at.filter(|_| own));
    }

    /// Reports them, the first few by their places.
    pub(crate) fn report(self, ending: &mut Ending<'_>) {
        self.report_as(ending, |family, other, count| Problem::OtherFamily {
            family,
            other,
            count,
        });
    }

    /// Reports them as what `problem` makes of the family that is governed, their own, and their
    /// number.
    pub(crate) fn report_as(
        mut self,
        ending: &mut Ending<'_>,
        problem: impl FnOnce(Family, Family, usize) -> Problem,
    ) {
        const SHOWN: usize = 4;
        self.found.sort_unstable();
        let Some((first, others)) = self.found.split_first() else { return };
        let other = match self.family {
            Family::Ipv4 => Family::Ipv6,
            Family::Ipv6 => Family::Ipv4,
        };
        let count = self.found.len();
        let mut diagnostic = problem(self.family, other, count).at(*first, other.to_string());
        for (at, span) in others.iter().enumerate().take(SHOWN - 1) {
            let more = count.saturating_sub(SHOWN);
            let label = if at + 2 == SHOWN && more > 0 {
                format!("{other}, and {more} more")
            } else {
                other.to_string()
            };
            diagnostic = diagnostic.also(*span, label);
        }
        ending
            .report
            .push(diagnostic.and(self.clause, format!("only {} is governed", self.family)));
    }
}

/// Reports a policy for IPv6 alone, of a mesh that does not set up IPv6 without IPv4.
pub(crate) fn ipv4_is_always_set_up(
    mesh: &'static str,
    why: &'static str,
    families: Setting<Families>,
    ending: &mut Ending<'_>,
) {
    if *families == Families::Ipv6 {
        let instead = "write `family ipv4`, or `family ipv4, ipv6`";
        let at = families.clause.filter(|_| ending.has(families.clause)).unwrap_or(ending.at);
        ending.report.push(Problem::MeshCannot { mesh, why, instead }.at(at, ""));
    }
}

/// Takes them out of every list. What was inherited goes silently.
impl Visitor for Strays {
    fn visit<T: Covers>(&mut self, list: &mut List<T>) {
        list.retain(|item| {
            let stays = item.value.family().is_none_or(|family| family == self.family);
            self.found.extend(item.at.filter(|_| item.own && !stays));
            stays
        });
    }
}
