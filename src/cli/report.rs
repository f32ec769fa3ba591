//! What is said besides the product: on standard error, or where `--report` puts it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::{env, fs};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::files::{is_standard, name, shown};
use super::forms::{Case, Findings, Form, Report, Verdict, github, junit, sarif};
use super::page::{counted, width_of_messages};
use super::project::{self, Scope};
use super::{Outcome, output};
use crate::diag::escape::harmless;
use crate::diag::render::{self, Level, Message, Record, RecordLabel, short_line};
use crate::diag::{Diagnostic, Severity};
use crate::import::{Finding, Source};
use crate::span::Sources;

/// How diagnostics and reports look.
#[derive(Args)]
#[command(next_help_heading = "Messages")]
pub(super) struct Messages {
    /// Form of diagnostics, and of the report of `golden`.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    message_format: Form,
    /// Write everything that is reported to this file, or to standard output with `-`, as a whole or not at all.
    ///
    /// Without it, diagnostics go to standard error, and the report of `golden` to standard output.
    #[arg(long, global = true, value_name = "FILE")]
    report: Option<PathBuf>,
    /// When to colour diagnostics and differences. `auto`: on a terminal, or if `CLICOLOR_FORCE` is set, unless
    /// `NO_COLOR` is set.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: When,
    #[arg(skip)]
    kept: RefCell<Kept>,
}

/// What is not said yet: a document is written at the end, and so is a file.
#[derive(Default)]
struct Kept {
    /// For a file, of the forms that are no documents.
    text: String,
    records: Vec<Record>,
    /// What a report looked at.
    cases: Vec<Case>,
    /// What it found wrong with policies, by what it is called.
    found: Vec<(&'static str, Record)>,
    /// Codes of warnings that are as bad as errors.
    denied: BTreeSet<&'static str>,
    /// What the codes of a report mean; `None` of a command without one.
    described: Option<&'static [(&'static str, &'static str)]>,
    /// Whether the cases are those of a report, which has everything in it.
    is_presented: bool,
    /// Why the command could not run to its end.
    failures: Vec<String>,
    /// Those that were named.
    named: Vec<String>,
    /// Whether what was found may not be written where it was to be.
    is_refused: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum When {
    #[default]
    Auto,
    Always,
    Never,
}

/// What an import has to say, for programs.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct ImportRecord {
    /// `note` for what is left out, `error` for what is wrong.
    severity: Level,
    /// What there is to know.
    message: String,
    /// The pod or configuration, if there are several.
    about: Option<String>,
    /// The option concerned, if there is one.
    option: Option<String>,
    /// Its value.
    value: Option<String>,
    /// Where it was read.
    source: Option<ImportSource>,
    /// The file, if it was read in a manifest.
    file: Option<String>,
    /// The line of the file, from 1.
    line: Option<usize>,
    /// The column of the line, from 1, in characters.
    column: Option<usize>,
}

/// Where an option was read.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum ImportSource {
    /// Nowhere: it is upstream's default.
    Default,
    /// A command line.
    Argument,
    /// An environment variable.
    Environment,
    /// A manifest or a configuration.
    Field,
}

/// Diagnostics of the human form past this many are counted, not shown.
const MOST: usize = 50;

impl Messages {
    /// Says what is wrong, and whether that makes the policy bad.
    pub(super) fn report(&self, sources: &Sources, diagnostics: &[Diagnostic]) -> Outcome {
        self.kept.borrow_mut().named.extend(sources.names().next().map(str::to_owned));
        if self.message_format == Form::Human {
            self.write(&self.human(sources, diagnostics));
        } else {
            let records = diagnostics.iter().map(|diagnostic| Record::of(sources, diagnostic));
            self.say("diagnostic", records.collect());
        }
        let errors = count(diagnostics, Severity::Error);
        if errors == 0 { Outcome::Good } else { Outcome::Bad }
    }

    fn human(&self, sources: &Sources, diagnostics: &[Diagnostic]) -> String {
        let Some(first) = diagnostics.first() else { return String::new() };
        let shown = &diagnostics[..diagnostics.len().min(MOST)];
        let text = render::human_within(sources, shown, self.colour(), width_of_messages());
        let total =
            [(Severity::Error, "error", "errors"), (Severity::Warning, "warning", "warnings")];
        let total = total.map(|(severity, one, more)| (count(diagnostics, severity), one, more));
        let total = total.into_iter().filter(|(count, ..)| *count > 0);
        let total: Vec<_> = total.map(|(count, one, more)| counted(count, one, more)).collect();
        let shown = if shown.len() < diagnostics.len() {
            format!(" (the first {} are shown)", shown.len())
        } else {
            String::new()
        };
        let (total, code) = (total.join(", "), first.problem.code());
        format!("{text}{total}{shown}; `weir explain-code {code}` says more\n")
    }

    /// Says beforehand that there will be a report, whose document goes to standard output even if
    /// nothing comes of it.
    pub(super) fn will_present<R: Report>(&self) {
        self.kept.borrow_mut().described = Some(R::CODES);
    }

    /// Makes known what a command looked at: to standard output, if nothing else was asked for.
    pub(super) fn present<R: Report>(&self, report: &R) -> io::Result<()> {
        let mut text = String::new();
        if self.message_format != Form::Json {
            for Findings { drawn: (sources, diagnostics), .. } in report.findings() {
                match self.message_format {
                    Form::Human if R::IS_DIAGNOSTICS => text += &self.human(sources, diagnostics),
                    Form::Short | Form::Github if R::IS_DIAGNOSTICS => {
                        let records = diagnostics.iter().map(|one| Record::of(sources, one));
                        text.extend(records.map(|record| self.line(R::KIND, &record)));
                    }
                    _ => {
                        self.report(sources, diagnostics);
                    }
                }
            }
        }
        if !text.is_empty() && self.message_format == Form::Human {
            text.push('\n');
        }
        text += &match self.message_format {
            Form::Human => report.human(),
            Form::Short | Form::Github => {
                report.records().iter().map(|record| self.line(R::KIND, record)).collect()
            }
            Form::Json => Message::new(R::KIND, report).line(),
            Form::Sarif | Form::Junit => {
                let mut kept = self.kept.borrow_mut();
                kept.records.extend(report.records());
                kept.cases = report.cases();
                let found = report.findings().flat_map(|findings| &findings.diagnostics);
                kept.found = found.map(|record| (R::KIND, record.clone())).collect();
                kept.is_presented = true;
                return Ok(());
            }
        };
        if self.report.is_some() {
            self.write(&text);
            Ok(())
        } else {
            output::print(text.as_bytes()).map(drop)
        }
    }

    /// Says of a file what standard output says in words, where what reads the form does not see that.
    pub(super) fn result(&self, code: &str, file: &Path, message: impl Into<String>) {
        if matches!(self.message_format, Form::Github | Form::Sarif | Form::Junit) {
            let label = RecordLabel::of_file(name(file));
            self.found(Record {
                code: Some(code.to_owned()),
                labels: vec![label],
                ..Record::bare(Level::Error, message)
            });
        }
    }

    /// Says what an import leaves out (a note), or what is wrong with its input (an error).
    pub(super) fn imported<T: Display>(
        &self,
        severity: Level,
        sources: &Sources,
        findings: &[Finding<T>],
    ) {
        for finding in findings {
            let place = finding.at.filter(|at| sources.contains(*at)).map(|at| sources.place(at));
            if self.message_format != Form::Json {
                let bare = Record::bare(severity, finding.to_string());
                let label = place
                    .filter(|_| self.message_format != Form::Human)
                    .map(|at| RecordLabel::beginning_at(at.file, at.line, at.column));
                let labels = label.into_iter().collect();
                self.say("import", vec![Record { labels, ..bare }]);
                continue;
            }
            let Finding { about, given, what, at: _ } = finding;
            let given = given.as_ref();
            let source = given.map(|given| match given.source {
                Source::Default => ImportSource::Default,
                Source::Argument => ImportSource::Argument,
                Source::Environment => ImportSource::Environment,
                Source::Field => ImportSource::Field,
            });
            let record = ImportRecord {
                severity,
                message: what.to_string(),
                about: about.clone(),
                option: given.map(|given| given.option.clone()),
                value: given.map(|given| given.value.clone()),
                source,
                file: place.map(|at| at.file.to_owned()),
                line: place.map(|at| at.line),
                column: place.map(|at| at.column),
            };
            self.write(&Message::new("import", record).line());
        }
    }

    /// Says what is worth knowing and is no fault of the policy's.
    pub(super) fn note(&self, text: &str) {
        self.say("note", vec![Record::bare(Level::Note, text)]);
    }

    /// Says that warnings of these codes are as bad as errors, and how many there are.
    pub(super) fn denied(&self, codes: BTreeSet<&'static str>, count: usize) {
        self.kept.borrow_mut().denied = codes;
        self.note(&counted(count, "warning is denied", "warnings are denied"));
    }

    /// Whether people are told, and not programs.
    pub(super) fn is_human(&self) -> bool {
        self.message_format == Form::Human
    }

    /// Says something that is no diagnostic of a policy.
    pub(super) fn found(&self, record: Record) {
        self.say("diagnostic", vec![record]);
    }

    fn say(&self, kind: &'static str, records: Vec<Record>) {
        if self.message_format.is_document() {
            self.kept.borrow_mut().records.extend(records);
        } else {
            let lines = records.iter().map(|record| self.line(kind, record));
            self.write(&lines.collect::<String>());
        }
    }

    /// A record in a form of lines.
    fn line(&self, kind: &'static str, record: &Record) -> String {
        match self.message_format {
            Form::Json => Message::new(kind, record).line(),
            Form::Github => github::line(record),
            Form::Human => format!("{}: {}\n", record.severity.word(), harmless(&record.message)),
            Form::Short | Form::Sarif | Form::Junit => short_line(record) + "\n",
        }
    }

    fn write(&self, text: &str) {
        if self.report.is_some() {
            self.kept.borrow_mut().text += text;
        } else {
            complain(text);
        }
    }

    /// Makes sure that the report is written over no policy and no golden, and that the command line
    /// names its file only once.
    ///
    /// # Errors
    ///
    /// If it does, or would be.
    pub(super) fn spare_arguments(&self) -> io::Result<()> {
        let Some(file) = self.report.as_deref().filter(|file| !is_standard(file)) else {
            return Ok(());
        };
        let is_it = |path: &Path| {
            path == file
                || matches!((fs::canonicalize(path), fs::canonicalize(file)), (Ok(a), Ok(b)) if a == b)
        };
        let names_it = |argument: &OsString| {
            let value = argument.to_str().and_then(|text| text.strip_prefix("--")?.split_once('='));
            is_it(value.map_or(Path::new(argument), |(_, value)| Path::new(value)))
        };
        if env::args_os().skip(1).filter(names_it).count() > 1 {
            let file = shown(file);
            return Err(io::Error::other(format!(
                "{file} is named twice; write the report elsewhere"
            )));
        }
        project::spare(file)
    }

    /// Makes sure that the report is written over nothing of `scope`.
    ///
    /// # Errors
    ///
    /// If it would be.
    pub(super) fn spare(&self, scope: &Scope) -> io::Result<()> {
        let mut files = self.report.iter().filter(|file| !is_standard(file));
        let spared = files.try_for_each(|file| scope.spare(file));
        self.kept.borrow_mut().is_refused |= spared.is_err();
        spared
    }

    /// Says why a command could not run, or not to its end.
    pub(super) fn failure(&self, error: &io::Error) {
        if !self.message_format.is_document() {
            self.fail(&error.to_string());
        }
        self.kept.borrow_mut().failures.push(error.to_string());
    }

    /// Says why what was kept could not be written.
    pub(super) fn unfinished(&self, error: &io::Error) {
        self.fail(&error.to_string());
    }

    fn fail(&self, why: &str) {
        let line = self.line("failure", &Record::bare(Level::Error, why));
        complain(&line);
    }

    /// Writes what was kept, at the end of `command`.
    pub(super) fn finish(&self, command: &str) -> io::Result<()> {
        let mut kept = self.kept.take();
        kept.raise();
        let text = match self.message_format {
            Form::Sarif => {
                let described = kept.described.unwrap_or_default();
                sarif::document(&kept.records, &kept.failures, described)
            }
            Form::Junit => junit::document(command, &kept.cases(command))?,
            _ => kept.text,
        };
        let is_document = self.message_format.is_document();
        if is_document && (self.report.is_some() || kept.described.is_some()) {
            kept.failures.iter().for_each(|why| self.fail(why));
        }
        match &self.report {
            Some(_) if kept.is_refused => Ok(()),
            Some(file) if is_standard(file) => output::print(text.as_bytes()).map(drop),
            Some(file) => {
                output::spare(file)?;
                output::rewrite(file, &text).map(drop)
            }
            None if is_document && kept.described.is_some() => {
                output::print(text.as_bytes()).map(drop)
            }
            None if is_document => {
                complain(&text);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn colour(&self) -> bool {
        self.color.is_now(self.report.is_none() && io::stderr().is_terminal())
    }

    /// Whether what goes to standard output for people has colours.
    pub(super) fn paints(&self) -> bool {
        self.color.is_now(io::stdout().is_terminal())
    }
}

impl When {
    /// Whether there are colours, on a terminal or elsewhere.
    fn is_now(self, is_terminal: bool) -> bool {
        let is_set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if is_set("NO_COLOR").is_some() => false,
            Self::Auto => is_terminal || is_set("CLICOLOR_FORCE").is_some_and(|value| value != "0"),
        }
    }
}

impl Kept {
    /// Makes errors of warnings that are denied.
    fn raise(&mut self) {
        let found = self.found.iter_mut().map(|(_, record)| record);
        for record in self.records.iter_mut().chain(found) {
            if record.code.as_deref().is_some_and(|code| self.denied.contains(code)) {
                record.severity = Level::Error;
            }
        }
    }

    /// Everything that was looked at: what a report says of that, else every diagnostic, and every
    /// policy without an error.
    fn cases(&self, command: &str) -> Vec<Case> {
        let mut cases = self.cases.clone();
        cases.extend(self.found.iter().map(|(kind, record)| Case::of(record, kind)));
        if !self.is_presented {
            cases.extend(self.records.iter().map(|record| Case::of(record, command)));
            let is_bad = |case: &&Case| matches!(case.verdict, Verdict::Bad { .. });
            let bad: BTreeSet<_> =
                cases.iter().filter(is_bad).map(|case| case.suite.clone()).collect();
            let named = self.named.iter().filter(|file| !bad.contains(*file));
            let good: BTreeSet<&String> = named.collect();
            cases.extend(good.into_iter().map(|file| Case {
                suite: file.clone(),
                name: "no error".to_owned(),
                verdict: Verdict::Good,
            }));
        }
        cases.extend(self.failures.iter().map(|why| Case {
            suite: command.to_owned(),
            name: "failure".to_owned(),
            verdict: Verdict::Failed(why.clone()),
        }));
        cases
    }
}

/// Writes to standard error. Nobody may be reading; the exit status says it all the same.
fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn count(diagnostics: &[Diagnostic], severity: Severity) -> usize {
    diagnostics.iter().filter(|diagnostic| diagnostic.problem.severity() == severity).count()
}
