//! `weir import rules`.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use clap::Args;

use super::differences::{brief, families_words};
use super::files::{once, read_unpacked};
use super::input::GroupFile;
use super::report::Messages;
use super::subject::{Reading, called};
use super::{Outcome, output};
use crate::diag::escape::on_one_line;
use crate::diag::render::Level;
use crate::explain::Sides;
use crate::import::rules::{FromRules, Recovered, recover};
use crate::import::{Finding, Refused};
use crate::net::{Families, Name};
use crate::policy::{Detail, print};
use crate::span::Sources;
use crate::verify::Answer;

/// Turn a mesh's rules back into the policy that says the same
///
/// Reads the output of iptables-save, iptables -S or nft list ruleset, for any mesh that weir knows. The
/// rules may be those of a whole host, and in several files, such as one for each family. Every value is
/// read from a rule, and the policy is proved to do to every packet what the rules do. Other rules are set
/// aside, and counted. A family without rules is not governed.
///
/// If no policy says exactly what the rules say, nothing is printed. Standard error then says what the
/// nearest policy would do differently, with packets; `--nearest` prints that policy.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ImportRules {
    /// Rules in any form, which is recognised by content; `-` is standard input. Several files are taken to
    /// be from one place.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print the nearest policy if none is equal. Its first line says that it is not.
    #[arg(long)]
    nearest: bool,
    /// Do not read this iptables chain or nft table, because it is someone else's. A final `*` stands for
    /// any ending. May be repeated.
    #[arg(long, value_name = "NAME")]
    leave_out: Vec<String>,
    #[command(flatten)]
    groups: GroupFile,
    /// Name of the policy [default: the name of the mesh]
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: Option<Name>,
    /// Write to this file instead of standard output, as a whole or not at all
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  iptables-save | weir import rules -
  weir import rules v4.txt v6.txt -o reviews.weir
  nft list ruleset | weir import rules --name reviews -

Exit status: 0 equal, 1 no policy is equal or there are no rules of a mesh, 2 bad usage or I/O,
3 equal as far as known.";

fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|bad| bad.to_string())
}

impl ImportRules {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        once(self.files.iter().map(PathBuf::as_path))?;
        let texts: Vec<String> =
            self.files.iter().map(|path| read_unpacked(path)).collect::<io::Result<_>>()?;
        let filled = texts.iter().flat_map(|text| sets_of_pods(text)).collect();
        let reading = Reading::of_rules(&self.leave_out, self.groups.clone());
        let read = reading.texts(&self.files, &texts, &filled, messages)?;
        let Some(subject) = read else { return Ok(Outcome::Bad) };
        if subject.policy().is_some() {
            let policy = on_one_line(&subject.name);
            return Err(io::Error::other(format!("{policy} is a policy already, and no rules")));
        }
        // A rule is named by its line, and what was read is no source text.
        let none = Sources::default();
        let found = recover(&subject.ruleset, subject.families, self.name.as_ref());
        match found {
            Ok(Recovered { policies, notes }) => {
                messages.imported(Level::Note, &none, &notes);
                self.write(&policies, subject.families, messages)
            }
            Err(Refused { mistakes, notes, rest: _ }) => {
                messages.imported(Level::Note, &none, &notes);
                messages.imported(Level::Error, &none, &mistakes);
                Ok(Outcome::Bad)
            }
        }
    }

    fn write(
        &self,
        policies: &[FromRules],
        given: Families,
        messages: &Messages,
    ) -> io::Result<Outcome> {
        let mut worst = Outcome::Good;
        for found in policies {
            let outcome = match found.verdict.answer {
                Answer::Equal => continue,
                Answer::EqualAsFarAsKnown => Outcome::Unknown,
                Answer::Different => Outcome::Bad,
            };
            if worst != Outcome::Bad {
                worst = outcome;
            }
            let level = if self.nearest { Level::Note } else { Level::Error };
            messages.imported(level, &Sources::default(), &[differs(found, given)]);
        }
        if worst != Outcome::Good && !self.nearest {
            return Ok(worst);
        }
        let texts: Vec<String> = policies
            .iter()
            .map(|found| self.head(found, given) + &print(&found.policy, Detail::Differences))
            .collect();
        output::write(self.output.as_deref(), &texts.join("\n"))
    }

    /// The comment before a policy.
    fn head(&self, found: &FromRules, given: Families) -> String {
        let files: Vec<String> = self.files.iter().map(|path| called(path)).collect();
        let (files, mesh) = (files.join(" and "), found.mesh);
        let answer = match found.verdict.answer {
            Answer::Equal => format!("proved equal for every packet of {}", families_words(given)),
            Answer::EqualAsFarAsKnown => "equal as far as known".to_owned(),
            Answer::Different => "the nearest, NOT equal".to_owned(),
        };
        format!("# From {files}, rules of {mesh}: {answer}.\n")
    }
}

/// What a policy does otherwise than the rules that it was read from.
fn differs(found: &FromRules, given: Families) -> Finding<String> {
    let FromRules { mesh, policy, verdict, .. } = found;
    let what = match verdict.answer {
        Answer::EqualAsFarAsKnown => "may treat packets otherwise than",
        Answer::Equal | Answer::Different => "treats packets otherwise than",
    };
    let ways = brief(&verdict.ways, Sides::RulesAndPolicy, given);
    let name = &policy.name;
    let what = format!(
        "no policy says exactly that: the nearest, `{name}`, {what} the rules of {mesh}{ways}"
    );
    Finding { about: None, given: None, at: None, what }
}

/// Names of sets that hold the addresses of an ambient node's pods, which are not the rules' own.
fn sets_of_pods(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if text.contains("istio-ambient") {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let words = text.split(|c| !is_of_name(c));
        let is_set = |word: &&str| word.ends_with("-v4") || word.ends_with("-v6");
        found.extend(words.filter(is_set).map(str::to_owned));
    }
    found
}
