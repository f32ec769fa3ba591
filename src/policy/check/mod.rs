//! Makes policies out of what was written, and says everything that is wrong with it.

mod addresses;
mod ambient;
mod effects;
mod expect;
mod families;
mod forms;
mod given;
mod graph;
mod headers;
mod lets;
mod lists;
mod misread;
mod numbers;
mod read;
mod sidecar;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use self::ambient::{HostDraft, PodDraft};
use self::forms::{Draft, Ending};
use self::given::Context;
use self::headers::{Header, Headers};
use self::lets::Lets;
use self::sidecar::SidecarDraft;
use super::{Expectation, Kind, Policy, Setting, WrittenPolicy};
use crate::diag::{Diagnostic, Problem, Report};
use crate::net::Name;
use crate::span::{FileId, Span, Spanned};
use crate::syntax::Loaded;

/// Most policies in a row of `extends`, and most lists in a row of `$names`.
pub const MOST_EXTENDED: usize = 16;

/// Most values of one list.
pub const MOST_VALUES: usize = 1_000_000;

/// Most values of all policies of a compilation, those of lists and those inherited counted wherever
/// they are used.
pub const MOST_VALUES_IN_ALL: usize = 10_000_000;

/// Most policies of a compilation.
pub const MOST_POLICIES: usize = 100_000;

/// What `*` would mean in a list of interfaces, and what to write.
const EVERY_INTERFACE: &str = "name the interfaces, or their beginnings: `eth*`";

/// Numbers of the groups that policies may name, as a group file has them.
pub type GroupIds = BTreeMap<String, u32>;

/// What [`check`] found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Every policy without an error, of every file, in the order in which they were read.
    pub policies: Vec<WrittenPolicy>,
    /// Every problem in source order, those of loading included.
    pub diagnostics: Vec<Diagnostic>,
}

/// Makes policies out of what was written.
///
/// Never fails: a policy with an error is left out, and everything that is wrong is reported.
#[must_use]
pub fn check(loaded: &Loaded, groups: &GroupIds) -> Checked {
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
                | Problem::TooMany { .. }
        )
    };
    let may_lack_some = loaded.diagnostics.iter().any(is_unread);
    let mut lets = Lets::new(may_lack_some);
    let mut headers = Headers::read(loaded, &mut lets, &mut report);
    lets.resolve(loaded.files.iter().map(|(_, tree)| tree), &mut report);
    let order = headers.order(&mut report);
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
        context: Context { lets, groups, report, reported: BTreeSet::new(), repeats_error: false },
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
    Checked {
        policies: policies.into_iter().flatten().collect(),
        diagnostics: report.finish(&loaded.sources),
    }
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
    draft: AnyDraft,
    /// How many values and expectations there are.
    values: usize,
    /// Whether that is all that it should say.
    is_sound: bool,
}

/// A policy of any kind while its clauses are read.
#[derive(Clone)]
enum AnyDraft {
    Sidecar(Box<SidecarDraft>),
    Pod(Box<PodDraft>),
    Host(Box<HostDraft>),
}

/// A policy that was read: its draft, with how many values there are for others to inherit, what it
/// means, whether every value was there, and what it expects.
type Read<D> = (D, usize, Kind, bool, Vec<Setting<Expectation>>);

impl<'a> Checking<'_, 'a> {
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
        let (parent, parent_is_sound) = match parent {
            Some(Inherited { draft, is_sound, .. }) => (Some(draft), is_sound),
            None => (None, true),
        };
        let before = self.context.report.errors();
        self.context.repeats_error = false;
        let (draft, values, kind, is_whole, own) = match header.kind {
            SidecarDraft::KIND => {
                let parent =
                    if let Some(AnyDraft::Sidecar(it)) = parent { Some(*it) } else { None };
                let (draft, values, kind, is_whole, own) = self.draft(header, parent);
                (AnyDraft::Sidecar(Box::new(draft)), values, kind, is_whole, own)
            }
            PodDraft::KIND => {
                let parent = if let Some(AnyDraft::Pod(it)) = parent { Some(*it) } else { None };
                let (draft, values, kind, is_whole, own) = self.draft(header, parent);
                (AnyDraft::Pod(Box::new(draft)), values, kind, is_whole, own)
            }
            _ => {
                let parent = if let Some(AnyDraft::Host(it)) = parent { Some(*it) } else { None };
                let (draft, values, kind, is_whole, own) = self.draft(header, parent);
                (AnyDraft::Host(Box::new(draft)), values, kind, is_whole, own)
            }
        };
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
        Some(Spanned::new(Policy { name: name.node.clone(), kind, expectations }, name.span))
    }

    fn draft<D: Draft>(&mut self, header: &Header<'a>, parent: Option<D>) -> Read<D> {
        let mut draft = parent.unwrap_or_default();
        let (seen, is_whole, expectations) =
            forms::read(&mut draft, header.clause, &mut self.context);
        let kind = draft.clone().finish(&mut Ending {
            name: header.name.as_ref().map_or("", |name: &Spanned<Name>| name.node.as_str()),
            at: header.at,
            span: header.clause.span,
            seen: &seen,
            report: &mut self.context.report,
        });
        let values = draft.inherit();
        (draft, values, kind, is_whole, expectations)
    }

    /// Whether something in `span` was not understood.
    fn is_misread(&self, span: Span) -> bool {
        let first = Span { end: span.start, ..span };
        let behind = Span { start: span.end, end: u32::MAX, ..span };
        self.misread.range(first..=behind).next().is_some() || self.cut.contains(&span.file)
    }
}
