//! Two ways to the same answer, for random policies and rulesets. The bytes are what chance begins with.

use netweir::ir::Ruleset;
use netweir::lower::lower;
use netweir::net::Family;
use netweir::optimise::Layout;
use netweir::policy::{Detail, print};
use netweir::reader::{iptables, nft};
use netweir::semantics::{compare, run};
use netweir::syntax::NoIncludes;
use netweir::{Options, View, compile};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::arbitrary::{packet, packet_of_others, ruleset, ruleset_of_others};

/// What chance makes of the bytes.
struct Chance(TestRunner);

impl Chance {
    /// Chance that begins with the bytes, as many as it takes.
    ///
    /// To take the bytes themselves for its numbers is no use: where they end, zeros without end follow, and
    /// who waits for another number waits forever.
    fn of(bytes: &[u8]) -> Self {
        let mut seed = [0; 32];
        seed.iter_mut().zip(bytes).for_each(|(seed, byte)| *seed = *byte);
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        Self(TestRunner::new_with_rng(Config::default(), rng))
    }

    fn pick<T: std::fmt::Debug>(&mut self, from: impl Strategy<Value = T>) -> Option<T> {
        Some(from.new_tree(&mut self.0).ok()?.current())
    }
}

/// A random policy comes back from every backend and its reader as it was meant.
pub(crate) fn policies(bytes: &[u8]) {
    let mut chance = Chance::of(bytes);
    let Some(policy) = chance.pick(crate::policies::policies()) else { return };
    let mut policy = netweir::policy::Unchecked::from(policy);
    policy.expectations.clear();
    let policy = policy.check().expect("what it expects is no condition of the rest");
    let text = print(&policy, Detail::Everything);
    for layout in [Layout::Upstream, Layout::Compact] {
        let options = Options { layout, verify: false, ..Options::default() };
        let Ok(compilation) = compile("fuzz.weir", &text, &NoIncludes, &options) else { return };
        let policy = &compilation.policies[0];
        let meaning = lower(policy).ruleset;
        let is_meant = |read: Ruleset, view: View| {
            assert_eq!(compare(&meaning, &read), Ok(Vec::new()), "{view:?} {text}");
        };
        if let Ok(script) = compilation.emit(policy, View::Nft) {
            let read = nft::script(&script, &nft::Options::default());
            is_meant(read.expect("our own script").ruleset, View::Nft);
        }
        if let Ok(json) = compilation.emit(policy, View::Json) {
            let read = nft::json(&json, &nft::Options::default());
            is_meant(read.expect("our own JSON").ruleset, View::Json);
        }
        let [v4, v6] = Family::ALL.map(|it| compilation.emit(policy, View::Iptables(it)).ok());
        if let (Some(v4), Some(v6)) = (v4, v6) {
            let read = iptables::read(Some(&v4), Some(&v6), &iptables::Options::default());
            is_meant(read.expect("our own text").ruleset, View::Iptables(Family::Ipv4));
        }
    }
}

/// A random ruleset of anybody's, and the same without one of its rules: where all packets at once find a
/// difference, a single packet has it, and where they find none, no packet has one.
pub(crate) fn rulesets(bytes: &[u8]) {
    let mut chance = Chance::of(bytes);
    let both = proptest::prop_oneof![ruleset(), ruleset_of_others()];
    let Some(whole) = chance.pick(both) else { return };
    let mut less = whole.clone();
    let rules: usize = chains(&less).map(|chain| chain.rules.len()).sum();
    if rules == 0 {
        return;
    }
    let Some(mut lost) = chance.pick(0..rules) else { return };
    for chain in less.tables.iter_mut().flat_map(|table| &mut table.chains) {
        if lost < chain.rules.len() {
            chain.rules.remove(lost);
            break;
        }
        lost -= chain.rules.len();
    }
    let Ok(differences) = compare(&whole, &less) else { return };
    for difference in &differences {
        assert_ne!(difference.left, difference.right, "{}", difference.packet);
        if difference.supposes.is_empty() {
            assert_eq!(run(&whole, &difference.packet).outcome, difference.left);
            assert_eq!(run(&less, &difference.packet).outcome, difference.right);
        }
    }
    if differences.is_empty() {
        for _ in 0..4 {
            let packets = proptest::prop_oneof![packet(), packet_of_others()];
            let Some(packet) = chance.pick(packets) else { return };
            assert_eq!(run(&whole, &packet).outcome, run(&less, &packet).outcome, "{packet}");
        }
    }
}

fn chains(ruleset: &Ruleset) -> impl Iterator<Item = &netweir::ir::Chain> {
    ruleset.tables.iter().flat_map(|table| &table.chains)
}
