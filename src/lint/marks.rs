//! Marks that others use on the same node.

use super::Linted;
use crate::diag::{Diagnostic, Problem};
use crate::lower::Claimed;
use crate::net::Mark;
use crate::span::Span;
use crate::variants::{Edit, Variant, Written};

/// Bits of packets' marks that a well-known program gives a meaning.
struct WellKnown {
    /// The program.
    who: &'static str,
    /// What the bits mean to it.
    what: &'static str,
    bits: Bits,
}

/// Which marks are meant.
enum Bits {
    /// Those with any of these bits.
    Any(u32),
    /// Those that have one of these values under the mask.
    Under(u32, &'static [u32]),
}

/// What programs do by default. Each is from their source at the revision that is named.
const WELL_KNOWN: &[WellKnown] = &[
    // pkg/kubelet/apis/config/v1beta1/defaults.go, kubernetes 1c9cf914f2: bits 14 and 15.
    WellKnown { who: "kube-proxy", what: "masquerade", bits: Bits::Any(0x4000) },
    WellKnown { who: "the kubelet", what: "drop", bits: Bits::Any(0x8000) },
    // bpf/lib/common.h, cilium 00155816a9: `MARK_MAGIC_…` under `MARK_MAGIC_HOST_MASK`.
    WellKnown {
        who: "Cilium",
        what: "where a packet is from, 0xf00",
        bits: Bits::Under(
            0x0f00,
            &[0x0200, 0x0300, 0x0900, 0x0a00, 0x0b00, 0x0c00, 0x0d00, 0x0e00, 0x0f00],
        ),
    },
    // felix/config/config_params.go, calico 0039c9cd42: `IptablesMarkMask`.
    WellKnown { who: "Calico", what: "0xffff0000, its policies", bits: Bits::Any(0xffff_0000) },
    // libnetwork/drivers/overlay/encryption.go, moby 00b2c13a1b.
    WellKnown {
        who: "Docker",
        what: "encrypted overlay networks",
        bits: Bits::Under(u32::MAX, &[0x00d0_c4e3]),
    },
    // tsconst/linuxfw.go, tailscale 37adecff5e: `LinuxFwmarkMask`.
    WellKnown { who: "Tailscale", what: "0xff0000, its routes", bits: Bits::Any(0x00ff_0000) },
];

impl WellKnown {
    /// Whether a packet that gets `mark` may be taken for one of theirs.
    fn meets(&self, ours: Mark) -> bool {
        match self.bits {
            Bits::Any(bits) => ours.value() & bits != 0,
            Bits::Under(mask, values) => {
                let common = ours.mask() & mask;
                ours.value() & common != 0
                    && values.iter().any(|value| (ours.value() ^ value) & common == 0)
            }
        }
    }
}

/// Says which marks that a clause of the policy chooses have a meaning to others: `W517`. The mesh's own
/// marks are nobody's choice.
pub(super) fn lint(linted: &Linted<'_>, variant: &mut Variant<'_, '_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for claim in &linted.lowered.claims {
        let Claimed::Mark { words, mark } = claim.what else { continue };
        let theirs: Vec<_> = WELL_KNOWN.iter().filter(|known| known.meets(mark)).collect();
        let Some(at) = chosen(linted, variant, words).filter(|_| !theirs.is_empty()) else {
            continue;
        };
        let whose = theirs.iter().map(|known| format!("{} ({})", known.who, known.what));
        let whose = whose.collect::<Vec<_>>().join(", ").into();
        found.push(Problem::WellKnownMark { words, mark, whose }.at(at, ""));
    }
    found
}

/// The clause by which the policy itself chooses a mark that is not the default.
fn chosen(linted: &Linted<'_>, variant: &mut Variant<'_, '_>, words: &str) -> Option<Span> {
    let sets_it = |it: &Written| it.terms.first().is_some_and(|term| &*term.text == words);
    let clause = variant.clauses().into_iter().find(sets_it)?;
    let without = variant.with(&[(clause.place, Edit::Drop)]);
    let is_default = without.is_some_and(|without| without.kind == linted.policy.kind);
    (!is_default).then_some(clause.span)
}

#[cfg(test)]
mod tests {
    use super::WELL_KNOWN;
    use crate::net::Mark;

    fn whose(value: u32, under: u32) -> Vec<&'static str> {
        let ours = Mark::new(value, under).unwrap();
        WELL_KNOWN.iter().filter(|known| known.meets(ours)).map(|known| known.who).collect()
    }

    #[test]
    fn bits_of_others_are_known() {
        assert_eq!(whose(0x4000, u32::MAX), ["kube-proxy"]);
        // Docker's mark has these bits, too.
        assert_eq!(whose(0xc000, 0xf000), ["kube-proxy", "the kubelet", "Docker"]);
        assert_eq!(whose(0x0600, 0x0f00), [""; 0]);
        assert_eq!(whose(0x0a01, u32::MAX), ["Cilium"]);
        assert_eq!(whose(0x0100, u32::MAX), [""; 0]);
        // Some mark has both: 0xa00, for example.
        assert_eq!(whose(0x0200, 0x0200), ["Cilium"]);
        assert_eq!(whose(0x0004_0000, 0x00ff_0000), ["Calico", "Tailscale"]);
        assert_eq!(
            whose(0x00d0_c4e3, u32::MAX),
            ["kube-proxy", "the kubelet", "Calico", "Docker", "Tailscale"]
        );
        assert_eq!(whose(1, u32::MAX), [""; 0]);
    }
}
