//! What is loaded: policies that were compiled and proved.

use std::collections::BTreeSet;

use super::owned::Owned;
use crate::backend::nft::Target;
use crate::compile::loaded_together;
use crate::explain::Context;
use crate::ir::Ruleset;
use crate::policy::Policy;
use crate::{Compilation, Failure, Options, View};

/// In which form rules are loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// A script, by `nft -f`.
    #[default]
    Script,
    /// libnftables JSON, by `nft -j -f`, which has to be built with it.
    Json,
}

/// Policies to load into one namespace, compiled and proved.
#[derive(Clone, Debug)]
pub struct Compiled {
    pub(super) form: Form,
    /// What nft reads.
    pub(super) text: String,
    /// The oldest nft that reads it.
    pub(super) target: Target,
    /// The tables, sets and base chains that it makes.
    pub(super) frame: Ruleset,
    /// What packets are to meet.
    pub(super) meaning: Ruleset,
    pub(super) owned: Owned,
}

impl Compiled {
    /// Compiles a policy, for a namespace of its own, and proves that the script means what it means.
    ///
    /// # Errors
    ///
    /// Those of [`Policy::emit`].
    pub fn of(policy: &Policy, options: &Options) -> Result<Self, Failure> {
        let compilation = policy.compiled(options)?;
        let policies: Vec<_> = compilation.policies.iter().collect();
        Self::new(&compilation, &policies, Form::Script)
    }

    /// Compiles policies of a file, for one namespace, and proves that the text means what they mean.
    ///
    /// # Errors
    ///
    /// Those of [`Compilation::emit_together`].
    pub fn new(
        compilation: &Compilation,
        policies: &[&Policy],
        form: Form,
    ) -> Result<Self, Failure> {
        let view = match form {
            Form::Script => View::Nft,
            Form::Json => View::Json,
        };
        let text = compilation.emit_together(policies, view)?;
        let (legal, _) = compilation.legal(policies).map_err(|found| compilation.failure(found))?;
        Ok(Self {
            form,
            text,
            target: compilation.target(),
            frame: legal.ruleset().clone(),
            meaning: loaded_together(policies),
            owned: Owned::by(policies),
        })
    }

    /// What they are called: policy `web`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.owned.name()
    }

    /// What the policies have in a namespace.
    #[must_use]
    pub const fn owned(&self) -> &Owned {
        &self.owned
    }

    /// The sets that the policies leave to others to fill.
    pub(super) fn filled(&self) -> BTreeSet<String> {
        let sets = self.meaning.tables.iter().flat_map(|table| &table.sets);
        sets.map(|set| set.name.to_string()).collect()
    }

    /// What its rules are told with.
    pub(super) fn side(&self) -> (&Ruleset, &'static Context<'static>) {
        (&self.meaning, &PLAIN)
    }
}

/// What rules are told with that are not a policy's own.
pub(super) const PLAIN: Context<'static> =
    Context { policy: None, sources: None, is_iptables: false, iptables: &[], files: &[] };
