//! Diagnostics on standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use clap::{Args, ValueEnum};

use super::Outcome;
use crate::diag::{Diagnostic, Severity, render};
use crate::import::{Finding, Source};
use crate::span::Sources;

/// How diagnostics look.
#[derive(Args)]
#[command(next_help_heading = "Messages")]
pub(super) struct Messages {
    /// Form of diagnostics on standard error.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    message_format: Form,
    /// When diagnostics have colours. `auto`: on a terminal, unless `NO_COLOR` is set.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: When,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Source lines with labels, and what to write instead.
    #[default]
    Human,
    /// One line each: `file:line:column: error[E301]: message`.
    Short,
    /// One JSON object a line.
    Json,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum When {
    #[default]
    Auto,
    Always,
    Never,
}

/// Diagnostics of the human form past this many are counted, not shown.
const MOST: usize = 50;

impl Messages {
    /// Says what is wrong, and whether that makes the policy bad.
    pub(super) fn report(&self, sources: &Sources, diagnostics: &[Diagnostic]) -> Outcome {
        let errors = count(diagnostics, Severity::Error);
        let text = self.text(sources, diagnostics);
        // Nobody may be reading; the exit status says it all the same.
        let _ = io::stderr().lock().write_all(text.as_bytes());
        if errors == 0 { Outcome::Good } else { Outcome::Bad }
    }

    /// Diagnostics in the form that was asked for.
    pub(super) fn text(&self, sources: &Sources, diagnostics: &[Diagnostic]) -> String {
        match self.message_format {
            Form::Human => self.human(sources, diagnostics),
            Form::Short => render::short(sources, diagnostics),
            Form::Json => render::json(sources, diagnostics),
        }
    }

    /// Whether people read it.
    pub(super) fn is_human(&self) -> bool {
        self.message_format == Form::Human
    }

    fn human(&self, sources: &Sources, diagnostics: &[Diagnostic]) -> String {
        let Some(first) = diagnostics.first() else { return String::new() };
        let shown = &diagnostics[..diagnostics.len().min(MOST)];
        let text = render::human(sources, shown, self.colour());
        let counted = |severity, one: &str| match count(diagnostics, severity) {
            0 => None,
            1 => Some(format!("1 {one}")),
            n => Some(format!("{n} {one}s")),
        };
        let total: Vec<_> =
            [counted(Severity::Error, "error"), counted(Severity::Warning, "warning")]
                .into_iter()
                .flatten()
                .collect();
        let shown = if shown.len() < diagnostics.len() {
            format!(" (the first {} are shown)", shown.len())
        } else {
            String::new()
        };
        let (total, code) = (total.join(", "), first.problem.code());
        format!("{text}{total}{shown}; `weir explain-code {code}` says more\n")
    }

    /// Says what an import leaves out (`note`), or what is wrong with its input (`error`).
    pub(super) fn imported<T: Display>(
        &self,
        severity: &str,
        findings: &[Finding<T>],
    ) -> io::Result<()> {
        let mut text = String::new();
        for finding in findings {
            self.finding(&mut text, severity, finding);
        }
        io::stderr().lock().write_all(text.as_bytes())
    }

    fn finding<T: Display>(&self, text: &mut String, severity: &str, finding: &Finding<T>) {
        let line = match self.message_format {
            Form::Human | Form::Short => format!("{severity}: {finding}"),
            Form::Json => {
                let Finding { about, given, what } = finding;
                let given = given.as_ref();
                serde_json::json!({
                    "severity": severity,
                    "message": what.to_string(),
                    "about": about,
                    "option": given.map(|given| &given.option),
                    "value": given.map(|given| &given.value),
                    "source": given.map(|given| match given.source {
                        Source::Default => "default",
                        Source::Argument => "argument",
                        Source::Environment => "environment",
                        Source::Field => "field",
                    }),
                })
                .to_string()
            }
        };
        text.push_str(&line);
        text.push('\n');
    }

    /// Says why a command could not run.
    pub(super) fn failure(&self, error: &io::Error) {
        // Standard error is gone too; the exit status is all that is left.
        let _ = self.line("error", &error.to_string());
    }

    /// Says what is worth knowing and is no fault of the policy's.
    pub(super) fn note(&self, text: &str) -> io::Result<()> {
        self.line("note", text)
    }

    fn line(&self, severity: &str, message: &str) -> io::Result<()> {
        let text = match self.message_format {
            Form::Human | Form::Short => format!("{severity}: {message}\n"),
            Form::Json => {
                format!("{}\n", serde_json::json!({"severity": severity, "message": message}))
            }
        };
        io::stderr().lock().write_all(text.as_bytes())
    }

    fn colour(&self) -> bool {
        match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto => {
                let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                !forbidden && io::stderr().is_terminal()
            }
        }
    }
}

fn count(diagnostics: &[Diagnostic], severity: Severity) -> usize {
    diagnostics.iter().filter(|diagnostic| diagnostic.problem.severity() == severity).count()
}
