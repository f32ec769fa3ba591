use std::collections::BTreeMap;

use super::WrittenPolicy;
use crate::diag::Diagnostic;
use crate::syntax::Loaded;

/// Numbers of the groups that policies may name, as a group file has them.
pub type GroupIds = BTreeMap<String, u32>;

/// What [`check`] found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Every policy without an error, of every file, in the order in which they were read.
    pub policies: Vec<WrittenPolicy>,
    /// Problems, in source order.
    pub diagnostics: Vec<Diagnostic>,
}

/// Makes policies out of what was written.
#[must_use]
pub fn check(_loaded: &Loaded, _groups: &GroupIds) -> Checked {
    todo!()
}
