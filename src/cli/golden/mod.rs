//! `weir golden`: whether committed outputs are those of their policies.

mod before;
mod bless;
mod human;
mod look;
mod records;
pub(super) mod report;
mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use clap::Args;

use self::before::{Before, Revision};
use self::look::{Listed, Looked};
use self::report::{Blessed, Entry, Report, State};
use super::deny::Deny;
use super::fix::fix_each;
use super::project::{Found, Goldens, MANIFEST, Scope};
use super::report::Messages;
use super::{Outcome, output};
use crate::Telling;

/// Say whether committed outputs match their policies, and which traffic changes
///
/// Compiles and proves every policy in memory, and compares it with its goldens: files next to it that
/// are, byte for byte, what `weir compile` prints. If a golden differs, it is read back. Either it is
/// proved to mean the same for every packet, or the report says which packets are treated differently.
/// `weir.toml` says what is compiled, and where goldens are: docs/ci.md.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Golden {
    /// Policies, and folders of policies. Default: what the nearest weir.toml names.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Write the goldens that are not current, and remove those that weir wrote but no policy produces.
    ///
    /// Nothing is written if a policy is refused, or if two would be written to the same file.
    #[arg(long, conflicts_with = "base")]
    bless: bool,
    /// Compare with the goldens of this revision of the repository instead of the working tree's.
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// Write a summary in Markdown to this file, for a job or a pull request.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
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
  weir golden policies              are the goldens in policies/golden current?
  weir golden --bless               write them, as weir.toml says
  weir golden --base origin/main    which traffic does this branch change?
  weir golden --summary a.md        also write a table in Markdown

States:
  current            what the policy compiles to
  same meaning       a different text, proved to mean the same for every packet
  text changed       a different text that weir cannot fully analyse
  meaning changed    says for which packets, with an example
  missing            does not exist
  orphaned           no policy compiles to it any longer
  collision          two policies have the same file: an error

Exit status: 0 all are current, or were made so; 1 anything else; 2 bad usage
or I/O.";

/// Of how many files, whose goldens mean something else, everything is told.
const MOST_TOLD: usize = 100;

impl Golden {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        messages.will_present::<Report>();
        let Some(scope) = Scope::asked(&self.paths, messages)? else { return Ok(Outcome::Bad) };
        if self.fix {
            fix_each(&scope, messages)?;
        }
        let before = self.before(&scope)?;
        let (mut report, lists) = Self::find(&scope, &before, self.base.as_deref())?;
        messages.spare(&scope)?;
        if let Some(file) = &self.summary {
            scope.spare(file)?;
            output::rewrite(file, &summary::text(&report))?;
        }
        let warned = report.findings.iter().flat_map(|findings| &findings.drawn.1);
        report.denied = self.deny.judge(warned, messages) == Outcome::Bad;
        if self.bless && report.is_refused() {
            report.blessed = Some(Blessed::default());
        } else if self.bless {
            report.blessed = Some(bless::bless(&scope, &report.entries, &lists)?);
        }
        messages.present(&report)?;
        let is_good = (report.is_current() || self.bless) && !report.is_refused();
        Ok(if is_good { Outcome::Good } else { Outcome::Bad })
    }

    fn before<'s>(&self, scope: &'s Scope) -> io::Result<Before<'s>> {
        let Some(base) = &self.base else { return Ok(Before::Files(&scope.root)) };
        if !scope.is_repository {
            return Err(io::Error::other(
                "`--base` names a revision, and the policies are in no one git repository",
            ));
        }
        Revision::open(&scope.root, base).map(Before::Revision)
    }

    /// Looks at every policy, in parallel, and at every list of goldens.
    fn find(
        scope: &Scope,
        before: &Before<'_>,
        base: Option<&str>,
    ) -> io::Result<(Report, BTreeMap<PathBuf, Listed>)> {
        let look = |telling| move |found: &Found| look::look(found, scope, before, telling);
        let mut looked: Vec<Looked> = scope.each(look(Telling::OnePacket))?;
        // To tell everything takes long. That one change changes thousands is told of the first.
        let others = looked.iter().enumerate().filter(|(_, looked)| looked.means_another());
        let others: Vec<usize> = others.map(|(at, _)| at).take(MOST_TOLD).collect();
        let told =
            Scope::some(others.iter().map(|at| &scope.files[*at]), look(Telling::Everything))?;
        for (at, told) in others.into_iter().zip(told) {
            looked[at] = told;
        }
        let mut by_folder: BTreeMap<PathBuf, Vec<(&Found, &Looked)>> = BTreeMap::new();
        for (found, looked) in scope.files.iter().zip(&looked) {
            by_folder.entry(looked.folder.clone()).or_default().push((found, looked));
        }
        let mut lists = BTreeMap::new();
        for (folder, goldens) in listed(scope, before)? {
            let own = by_folder.get(&folder).map_or(&[][..], Vec::as_slice);
            let list = Listed::read(&folder, &goldens, own, before)?;
            lists.insert(folder, (goldens, list));
        }
        let mut entries: Vec<_> =
            looked.iter_mut().flat_map(|looked| std::mem::take(&mut looked.entries)).collect();
        let is_missing = |entry: &&Entry| entry.state == State::Missing;
        let missing = entries.iter().filter(is_missing).filter_map(Entry::folder);
        let missing: BTreeSet<PathBuf> = missing.collect();
        for (folder, (goldens, list)) in &lists {
            let is_told = missing.contains(folder);
            entries.extend(list.entries(folder, goldens, is_told, before)?);
        }
        look::collide(&mut entries);
        let findings = looked.into_iter().filter_map(|looked| looked.findings).collect();
        let report = Report {
            base: base.map(str::to_owned),
            entries,
            findings,
            denied: false,
            blessed: None,
        };
        Ok((report, lists.into_iter().map(|(folder, (_, list))| (folder, list)).collect()))
    }
}

/// The folders of goldens; of a revision, also those that have gone since.
fn listed(scope: &Scope, before: &Before<'_>) -> io::Result<BTreeMap<PathBuf, Goldens>> {
    let mut all = scope.goldens.clone();
    if let Before::Revision(revision) = before {
        for path in revision.called(MANIFEST)? {
            let folder = path.parent().unwrap_or(&path).to_owned();
            if let Some(goldens) = scope.would_have(&folder) {
                all.entry(folder).or_insert(goldens);
            }
        }
    }
    Ok(all)
}
