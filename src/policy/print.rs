//! Policies to text.

use super::Policy;
use super::comments::Comments;
use super::kind::PolicyKind;
use super::kinds::of_kind;
use super::printer::{Detail, Printer};

/// The policy in the language, formatted; parsing it gives the policy again.
///
/// Of a policy that [`check`](super::check) made, that is. One from elsewhere must hold to the
/// same rules: no value of a family that it does not govern but the defaults, no excluded inbound
/// port that is not captured, marks that are not 0, and so on.
#[must_use]
pub fn print(policy: &Policy, detail: Detail) -> String {
    print_with(policy, detail, &Comments::default())
}

/// As [`print()`], with comments.
#[must_use]
pub fn print_with(policy: &Policy, detail: Detail, comments: &Comments) -> String {
    let words = format!("{} {}", policy.kind.keyword(), policy.name);
    let mut printer = Printer::open(&words, detail, comments.clone());
    of_kind!(&policy.kind, kind => kind.print(&mut printer));
    // They hold in any order, so that no order of them makes another text.
    let mut expectations: Vec<_> =
        policy.expectations.iter().map(|expected| expected.words()).collect();
    expectations.sort();
    printer.close(expectations.into_iter())
}
