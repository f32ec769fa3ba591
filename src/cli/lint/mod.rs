//! `weir lint`: what is right and probably not meant.

mod records;
pub(super) mod report;

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use clap::Args;

use self::report::{File, Note, Report};
use super::Outcome;
use super::deny::Deny;
use super::fix::fix_each;
use super::forms::{Findings, Report as _};
use super::page::{counted, indented};
use super::project::{Found, Scope};
use super::report::Messages;
use crate::Failure;
use crate::diag::escape::harmless;
use crate::diag::render::{Level, Record, short_line};
use crate::diag::{Diagnostic, Problem, in_order};
use crate::span::Sources;

/// Say what is valid in policies but probably not intended
///
/// Finds clauses and values without effect, policies that capture nothing, a family that is open while
/// the other is captured, DNS capture that no query reaches, and marks that other programs use. What the
/// rules do to packets decides. Notes, once for all policies, say which well-known programs translate at
/// the same priority. `allow W509 "why"` in the source silences a warning that is intended.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Lint {
    /// Policies, and folders of policies. Default: what the nearest weir.toml names.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// First fix in the policies what can only mean one thing, as `weir check --fix` does.
    ///
    /// Everything else is reported. Included files are not changed.
    #[arg(long)]
    fix: bool,
    #[command(flatten)]
    deny: Deny,
}

const EXAMPLES: &str = "\
Examples:
  weir lint policies                      what is probably not intended
  weir lint --deny warnings policies      and make that a failure
  weir explain-code W509                  what a code means

Exit status: 0 nothing is wrong, though there may be warnings; 1 a policy is wrong, or a warning is
denied; 2 bad usage or I/O.";

impl Lint {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        messages.will_present::<Report>();
        let Some(scope) = Scope::asked(&self.paths, messages)? else { return Ok(Outcome::Bad) };
        if self.fix {
            fix_each(&scope, messages)?;
        }
        let mut files = scope.each(|found| look(found, &scope))?;
        let notes = together(files.iter_mut().flat_map(|file| std::mem::take(&mut file.notes)));
        let mut report = Report { files, notes };
        let denied = report.notes.iter_mut().map(|note| &mut note.first);
        for note in denied.filter(|note| note.code.as_deref().is_some_and(|it| self.deny.names(it)))
        {
            note.severity = Level::Error;
        }
        messages.spare(&scope)?;
        let all = || report.findings().flat_map(|findings| &findings.drawn.1);
        let codes = report.notes.iter().filter_map(|note| note.first.code.as_deref());
        let denied = self.deny.judge_with(all(), codes, messages);
        messages.present(&report)?;
        Ok(if all().any(Diagnostic::is_error) { Outcome::Bad } else { denied })
    }
}

fn look(found: &Found, scope: &Scope) -> io::Result<File> {
    let (policies, sources, mut diagnostics, ties) = match scope.compiled(found, true)? {
        Ok(compilation) => {
            let (mut all, ties) = (compilation.all_warnings(), compilation.ties());
            let (ties, others): (Vec<_>, Vec<_>) =
                ties.into_iter().partition(|it| matches!(it.problem, Problem::WellKnownTie { .. }));
            all.extend(others);
            (compilation.policies.len(), compilation.sources, in_order(all), ties)
        }
        Err(Failure { sources, diagnostics }) => (0, sources, diagnostics, Vec::new()),
    };
    let notes = together(ties.iter().filter_map(|tie| Note::of(&sources, tie)));
    // A file of lists for others is no policy, and need not be one.
    diagnostics.retain(|it| found.is_named || it.problem != Problem::NoPolicy);
    let is_clean = diagnostics.is_empty();
    let findings = (!is_clean).then(|| Findings::new(&found.name, sources, diagnostics));
    Ok(File { source: found.name.clone(), policies, findings, notes })
}

/// Of notes on the same, the first, and of how many policies it is.
fn together(notes: impl Iterator<Item = Note>) -> Vec<Note> {
    let mut all: Vec<Note> = Vec::new();
    for note in notes {
        match all.iter_mut().find(|known| known.who == note.who) {
            Some(known) => known.policies += note.policies,
            None => all.push(note),
        }
    }
    all
}

impl Note {
    fn of(sources: &Sources, tie: &Diagnostic) -> Option<Self> {
        let Problem::WellKnownTie { who, .. } = tie.problem else { return None };
        let first = Record { severity: Level::Note, ..Record::of(sources, tie) };
        Some(Self { first, policies: 1, who })
    }

    /// It as it is said: with the number of policies.
    fn record(&self) -> Record {
        let others = match self.policies - 1 {
            0 => String::new(),
            others => format!(
                " (and so it is with {})",
                counted(others, "other policy", "other policies")
            ),
        };
        Record { message: format!("{}{others}", self.first.message), ..self.first.clone() }
    }
}

/// What is to be said of all policies together, for people.
fn notes(report: &Report) -> String {
    let mut text = String::new();
    for note in &report.notes {
        let Record { help, .. } = &note.first;
        indented(&mut text, 0, &short_line(&Record { help: None, ..note.record() }));
        indented(&mut text, 2, &harmless(help.as_deref().unwrap_or_default()));
    }
    if let Some(note) = report.notes.first() {
        let code = note.first.code.as_deref().unwrap_or_default();
        let _ = writeln!(text, "`weir explain-code {code}` says more\n");
    }
    text
}
