//! Makes policies out of what was written, and says everything that is wrong with it.

mod allow;
mod headers;

pub(crate) use self::allow::{Allows, Finder};
pub use self::headers::MOST_POLICIES;

use std::any::Any;
use std::collections::BTreeSet;
use std::rc::Rc;

use self::headers::{Header, Headers};
use super::clauses::given::Context;
use super::clauses::lets::Lets;
use super::clauses::reading::{Heading, Read};
use super::clauses::spelling::Spellings;
use super::clauses::values::GroupIds;
use super::kinds::KINDS;
use super::{Expectation, Policy, Setting, WrittenPolicy};
use crate::diag::{Diagnostic, Problem, Report, in_order};
use crate::span::{FileId, Span, Spanned};
use crate::syntax::Loaded;

/// What [`check`] found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Checked {
    /// Every policy without an error, of every file, in the order in which they were read.
    pub policies: Vec<WrittenPolicy>,
    /// Every problem in source order, those of loading included, and without what is allowed.
    pub diagnostics: Vec<Diagnostic>,
}

/// Makes policies out of what was written.
///
/// Never fails: a policy with an error is left out, and everything that is wrong is reported.
#[must_use]
pub fn check(loaded: &Loaded, groups: &GroupIds) -> Checked {
    check_and_allow(loaded, groups).0
}

/// The same, and what is allowed of that which is found later.
pub(crate) fn check_and_allow(loaded: &Loaded, groups: &GroupIds) -> (Checked, Allows) {
    let mut report = Report::default();
    report.extend(loaded.diagnostics.iter().cloned());
    let is_unread = |diagnostic: &Diagnostic| {
        matches!(
            diagnostic.problem,
            Problem::Unreadable { .. }
                | Problem::TooLarge { .. }
                | Problem::TooManyTerms
                | Problem::NotText { .. }
                | Problem::NotAPath { .. }
                | Problem::IncludeTooDeep
                | Problem::UnclosedText
                | Problem::Lookalike { .. }
                | Problem::TooMany { .. }
        )
    };
    let may_lack_some = loaded.diagnostics.iter().any(is_unread);
    let mut lets = Lets::new(may_lack_some);
    let spellings: Spellings =
        KINDS.iter().flat_map(|kind| (kind.spellings)(kind.keyword)).collect();
    let mut headers = Headers::read(loaded, &spellings, &mut lets, &mut report);
    let has_policy = headers.list.iter().any(|it| it.clause.span.file == loaded.main());
    let main = (loaded.main(), has_policy);
    lets.resolve(loaded.files.iter().map(|(_, tree)| tree), main, &mut report);
    let order = headers.order(&mut report);
    let mut allows = Allows::read(loaded.files.iter().map(|(_, tree)| tree), &mut report);
    let mut checking = Checking {
        misread: loaded
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.is_error())
            .filter_map(Diagnostic::at)
            .collect(),
        cut: loaded
            .diagnostics
            .iter()
            .filter(|found| matches!(found.problem, Problem::TooMany { .. }))
            .filter_map(|found| Some(found.at()?.file))
            .collect(),
        headers: &headers.list,
        context: Context {
            lets,
            groups,
            spellings: &spellings,
            report,
            reported: BTreeSet::new(),
            repeats_error: false,
        },
        drafts: headers.list.iter().map(|_| None).collect(),
        expectations: vec![Vec::new(); headers.list.len()],
    };
    let mut policies: Vec<Option<WrittenPolicy>> = vec![None; headers.list.len()];
    for policy in order {
        policies[policy] = checking.policy(policy);
    }
    let mut report = checking.context.report;
    if headers.list.is_empty()
        && report.is_empty()
        && let Some((file, _)) = loaded.files.first()
    {
        report.push(Problem::NoPolicy.at(Span { file: *file, start: 0, end: 0 }, ""));
    }
    let mut diagnostics = report.finish(&loaded.sources);
    allows.filter(&mut diagnostics);
    // What is wrong may hide what would be allowed, and so may what is not shown.
    let hides = |it: &Diagnostic| it.is_error() || matches!(it.problem, Problem::TooMany { .. });
    if !diagnostics.iter().any(hides) {
        diagnostics.extend(allows.idle(Finder::Check));
        diagnostics = in_order(diagnostics);
    }
    let policies = policies.into_iter().flatten().collect();
    (Checked { policies, diagnostics }, allows)
}

/// A compilation while its policies are checked.
struct Checking<'h, 'a> {
    /// Where text was not understood.
    misread: BTreeSet<Span>,
    /// The files in which more was not understood than is known.
    cut: BTreeSet<FileId>,
    headers: &'h [Header<'a>],
    context: Context<'a>,
    /// What the policies say that were read already, for those that extend them.
    drafts: Vec<Option<Inherited>>,
    /// What the policies expect that were read already.
    expectations: Vec<Vec<Setting<Expectation>>>,
}

/// What a policy says, for those that extend it.
#[derive(Clone)]
struct Inherited {
    draft: Rc<dyn Any>,
    /// How many values and expectations there are.
    values: usize,
    /// Whether that is all that it should say.
    is_sound: bool,
}

impl Checking<'_, '_> {
    /// The policy that `at` is among the headers; those that it extends were checked.
    fn policy(&mut self, at: usize) -> Option<WrittenPolicy> {
        let header = &self.headers[at];
        let parent = header.parent.and_then(|parent| self.drafts[parent].clone());
        if let Some(parent) = &parent
            && !self.context.lets.spend(parent.values, header.at, &mut self.context.report)
        {
            self.drafts[at] = Some(Inherited { is_sound: false, ..parent.clone() });
            return None;
        }
        let parent_is_sound = parent.as_ref().is_none_or(|parent| parent.is_sound);
        let before = self.context.report.errors();
        self.context.repeats_error = false;
        let heading = Heading {
            kind: header.kind.keyword,
            name: header.name.as_ref().map_or("", |name| name.node.as_str()),
            at: header.at,
            clause: header.clause,
        };
        let parent = parent.as_ref().map(|parent| &*parent.draft);
        let Read { draft, values, policy: kind, is_whole, expectations: own } =
            (header.kind.read)(heading, parent, &mut self.context);
        let is_sound = header.is_sound
            && parent_is_sound
            && is_whole
            && !self.is_misread(header.clause.span)
            && !self.context.repeats_error
            && self.context.report.errors() == before;
        let inherited = header.parent.map(|parent| self.expectations[parent].clone());
        let expectations: Vec<_> = inherited.unwrap_or_default().into_iter().chain(own).collect();
        self.expectations[at].clone_from(&expectations);
        let values = values + expectations.len();
        self.drafts[at] = Some(Inherited { draft, values, is_sound });
        let name = header.name.as_ref().filter(|_| is_sound)?;
        Some(Spanned::new(Policy::unchecked(name.node.clone(), kind, expectations), name.span))
    }

    /// Whether something in `span` was not understood.
    fn is_misread(&self, span: Span) -> bool {
        let first = Span { end: span.start, ..span };
        let behind = Span { start: span.end, end: u32::MAX, ..span };
        self.misread.range(first..=behind).next().is_some() || self.cut.contains(&span.file)
    }
}
