//! `allow W509 "why"`: warnings that somebody has looked at.

use crate::diag::{CODES, Diagnostic, Problem, Report, shown};
use crate::span::Span;
use crate::syntax::ast::{Block, Clause, File, Term, TermKind};
use crate::syntax::{ALLOW, trailing_allow};

/// An `allow`, and what it is about.
#[derive(Clone, Debug)]
struct Allow {
    /// `W509`.
    code: &'static str,
    /// Its own place.
    at: Span,
    /// A clause, a block, a policy or a file.
    scope: Span,
    /// Whether it has allowed something.
    is_used: bool,
}

/// What is allowed in the files of a compilation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allows {
    list: Vec<Allow>,
    /// What they have allowed.
    allowed: Vec<Diagnostic>,
}

/// What finds out whether there is something to allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finder {
    /// Compiling.
    Check,
    /// The rules, which are asked later.
    Rules,
    /// The rules beside those of others.
    Ties,
}

impl Finder {
    /// What finds out about `code`; `None` of what is only found out when policies are loaded together, or
    /// says that not all is known.
    fn of(code: &str) -> Option<Self> {
        match code {
            "W503" | "W506" | "W509" | "W510" | "W517" | "W518" => Some(Self::Rules),
            "W520" => Some(Self::Ties),
            "W512" | "W514" | "W515" => None,
            _ => Some(Self::Check),
        }
    }
}

impl Allows {
    /// Reads every `allow` of `files`.
    pub(super) fn read<'a>(files: impl Iterator<Item = &'a File>, report: &mut Report) -> Self {
        let mut allows = Self::default();
        for clause in files.flat_map(File::clauses) {
            if clause.keyword() == Some(ALLOW) && clause.block.is_none() {
                let all = Span { file: clause.span.file, start: 0, end: u32::MAX };
                allows.line(&clause.terms, all, report);
            } else {
                allows.within(clause, report);
            }
        }
        allows
    }

    /// Reads those in the block of `around`.
    fn within(&mut self, around: &Clause, report: &mut Report) {
        let lines = around.block.iter().flat_map(Block::clauses).filter(|line| !line.broken);
        for line in lines {
            if line.keyword() == Some(ALLOW) && line.block.is_none() {
                self.line(&line.terms, around.span, report);
            } else if let Some(at) = trailing_allow(&line.terms) {
                self.line(&line.terms[at..], line.span, report);
            }
            self.within(line, report);
        }
    }

    /// Reads `terms`, the first of which is `allow`.
    fn line(&mut self, terms: &[Term], scope: Span, report: &mut Report) {
        const EXAMPLE: &str = "`allow W509 \"kept for the auditors\"`";
        let at = terms[0].span.to(terms[terms.len() - 1].span);
        let missing = |what, clause: &str| {
            let (clause, example) = (clause.to_owned(), EXAMPLE.to_owned());
            Problem::Missing { what, clause, example }
        };
        let Some(code) = terms.get(1) else {
            return report.push(missing("code", ALLOW).at(at.behind(), ""));
        };
        let known = CODES.iter().find(|known| ***known == *code.text && known.starts_with('W'));
        let Some(known) = known else {
            let problem = Problem::NotAWarning { found: shown(&code.text) };
            return report.push(problem.at(code.span, ""));
        };
        match terms.get(2).filter(|reason| reason.kind == TermKind::Text) {
            Some(reason) if !reason.text.trim().is_empty() => {}
            _ => {
                let problem = missing("reason", &format!("{ALLOW} {known}"));
                return report.push(problem.at(code.span.behind(), "expected a text here"));
            }
        }
        if let Some(surplus) = terms.get(3) {
            let found = shown(&surplus.text);
            let problem = Problem::Unknown { what: "word", found, instead: None };
            return report.push(problem.at(surplus.span, "expected the end of the clause"));
        }
        self.list.push(Allow { code: known, at, scope, is_used: false });
    }

    /// Leaves out of `found` what is allowed.
    pub(crate) fn filter(&mut self, found: &mut Vec<Diagnostic>) {
        let is_allowed = |diagnostic: &mut Diagnostic| {
            let (code, at) = (diagnostic.problem.code(), diagnostic.at());
            let mut is_allowed = false;
            for allow in &mut self.list {
                if allow.code == code && at.is_some_and(|at| allow.scope.covers(at)) {
                    allow.is_used = true;
                    is_allowed = true;
                }
            }
            is_allowed
        };
        self.allowed.extend(found.extract_if(.., is_allowed));
    }

    /// What was left out, which is known all the same.
    pub(crate) fn allowed(&self) -> &[Diagnostic] {
        &self.allowed
    }

    /// Those that have allowed nothing, of what `finder` finds out: `W519`.
    pub(crate) fn idle(&self, finder: Finder) -> impl Iterator<Item = Diagnostic> {
        let is_due = move |allow: &&Allow| Finder::of(allow.code) == Some(finder);
        let idle = self.list.iter().filter(|allow| !allow.is_used).filter(is_due);
        idle.map(|allow| Problem::IdleAllow { code: allow.code }.at(allow.at, ""))
    }
}
