//! What policies have in a namespace, in any version of them.

use std::collections::BTreeSet;

use crate::ip::Selector;
use crate::ir::HostStep;
use crate::lower::{Lowered, lower};
use crate::net::{Family, Name};
use crate::policy::Policy;

/// The families of nft that their tables may be of.
const FAMILIES: [&str; 3] = ["inet", "ip", "ip6"];

/// What policies have in a namespace, in any version of them.
#[derive(Clone, Debug, Default)]
pub struct Owned {
    name: String,
    policies: Vec<Lowered>,
}

impl Owned {
    /// That of these policies.
    #[must_use]
    pub fn by(policies: &[&Policy]) -> Self {
        let names: Vec<_> = policies.iter().map(|policy| format!("`{}`", policy.name)).collect();
        let word = if names.len() == 1 { "policy" } else { "policies" };
        let name = format!("{word} {}", names.join(", "));
        let policies = policies.iter().map(|policy| lower(policy));
        Self { name, policies: policies.collect() }
    }

    /// What the policies are called: policy `web`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Each of the policies, lowered.
    pub(super) fn policies(&self) -> &[Lowered] {
        &self.policies
    }

    /// The script of nft that takes their tables away, whatever of them is there.
    pub(super) fn removal(&self) -> String {
        let names = self.policies.iter().flat_map(|policy| &policy.owned);
        let names: BTreeSet<&Name> = names.collect();
        let mut script = String::new();
        for (name, family) in names.into_iter().flat_map(|name| FAMILIES.map(|it| (name, it))) {
            // `add` first, because `delete` fails for a table that is not there.
            let lines = ["add", "delete"].map(|verb| format!("{verb} table {family} {name}\n"));
            script.extend(lines);
        }
        script
    }

    /// Whether a table of nft's is one of theirs.
    pub(super) fn has_table(&self, family: &str, name: &str) -> bool {
        let mut names = self.policies.iter().flat_map(|policy| &policy.owned);
        FAMILIES.contains(&family) && names.any(|owned| owned.as_str() == name)
    }

    /// Whether a chain of iptables is called as theirs are.
    pub(super) fn has_chain(&self, name: &str) -> bool {
        let mut chains = self.policies.iter().map(|policy| policy.chains);
        chains.any(|theirs| !theirs.is_empty() && name.starts_with(theirs))
    }

    /// What they need beside their rules, each with the protocol number that it bears.
    pub(super) fn steps(&self, family: Family) -> impl Iterator<Item = (&HostStep, u8)> {
        self.policies.iter().flat_map(move |policy| {
            let steps = policy.host.iter().filter(move |step| step.family == family);
            steps.map(|step| (step, policy.protocol.unwrap_or_default()))
        })
    }

    /// The protocol numbers that are theirs, each with the rule that is needed.
    pub(super) fn protocols(&self, family: Family) -> impl Iterator<Item = (u8, Option<Selector>)> {
        self.policies.iter().filter_map(move |policy| {
            let mut steps = policy.host.iter().filter(|step| step.family == family);
            Some((policy.protocol?, steps.find_map(Selector::of)))
        })
    }

    /// Whether something beside the rules is needed.
    pub(super) fn needs(&self) -> bool {
        self.policies.iter().any(|policy| !policy.host.is_empty())
    }
}
