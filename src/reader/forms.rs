//! What form a text with rules has, and where in it they stand. Nothing is guessed: a text that leaves
//! something open is an error that says what to write.

use std::borrow::Cow;

use super::iptables::{self, Dump};
use super::{lossy, nft};
use crate::policy::json;

/// A text, as what its content shows it to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recognised<'a> {
    /// Its form.
    pub form: Form<'a>,
    /// What a reader should know of it, if that is not plain: `lines 2 to 9, the rest passed over`.
    pub said: Option<String>,
}

/// The forms in which rules are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form<'a> {
    /// Nothing but comments.
    Nothing,
    /// A policy, or what is none of the other forms.
    Policy,
    /// What `iptables-save` or `iptables -S` prints and `iptables-restore` takes: of one family, or of
    /// IPv4 and of IPv6.
    Iptables(Vec<Dump<'a>>),
    /// libnftables JSON.
    NftJson(Cow<'a, str>),
    /// What `nft list ruleset` prints, or a script of nft.
    NftScript(Cow<'a, str>),
}

/// Why a text is of no form that can be read, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// A form that does not show all that rules mean.
    #[error("line {line}: this is {what}, which {lacks}; give what `{run}` prints")]
    Lossy {
        /// The line that shows it, from 1.
        line: usize,
        /// The form: `` `iptables -L` ``.
        what: &'static str,
        /// What is missing in it.
        lacks: &'static str,
        /// The command whose output can be read.
        run: &'static str,
    },
    /// Rules of a program that filters frames.
    #[error(
        "line {line}: these are rules of ebtables or arptables, which are about frames; give what \
         `iptables-save` prints"
    )]
    NoPackets {
        /// The line with which they begin.
        line: usize,
    },
    /// Rules of which nothing says which table they are in.
    #[error(
        "line {line}: nothing says which table this is of: put `*nat`, or the table that it is, before the \
         rules and `COMMIT` behind"
    )]
    NoTable {
        /// The first of them.
        line: usize,
    },
    /// A table of which `iptables-save` or `iptables -S` says that it does not print all.
    #[error(
        "line {line}: there are more rules in this table, which only nft shows; give what `nft list ruleset` \
         prints, or take this line out"
    )]
    Incomplete {
        /// The line that says so.
        line: usize,
    },
    /// A table that a family has already.
    #[error(
        "line {line}: table {table} for the second time in one family (the first is in line {first}): leave \
         the one that is meant"
    )]
    Again {
        /// The line with which it begins.
        line: usize,
        /// The table.
        table: String,
        /// The line with which the first begins.
        first: usize,
    },
    /// Rules of several machines, as what stands before their lines shows.
    #[error(
        "line {line}: something else stands before this table than before the one in line {first}, as if it \
         were of another machine: give each in a file of its own"
    )]
    Sources {
        /// The line with which the second begins.
        line: usize,
        /// The line with which the first begins.
        first: usize,
    },
    /// Rules of which nothing says which family they are of, beside others.
    #[error(
        "line {line}: nothing says whether this table is of IPv4 or IPv6: put `# iptables-save` or \
         `# ip6tables-save` before it"
    )]
    Family {
        /// The line with which the table begins.
        line: usize,
    },
    /// More than is read of one text: see [`size`](super::size).
    #[error(
        "line {line}: more than {} words of iptables, of which a line counts {} more: give less at once, such \
         as the table in question alone",
        super::size::MOST_IPTABLES,
        super::size::RULE
    )]
    TooLarge {
        /// The line with the first too many.
        line: usize,
    },
    /// Rules of nft beside those of iptables.
    #[error("line {line}: rules of nft beside those of iptables: give each in a file of its own")]
    Several {
        /// The line with which those of nft begin.
        line: usize,
    },
}

/// Tells the form of `text` by its content. A byte order mark, carriage returns and blanks mean nothing;
/// what stands around rules in a log, and before each of their lines, is passed over.
///
/// # Errors
///
/// If the text has rules, but not all that they mean, or not where it could be told what they are of.
pub fn recognise(text: &str) -> Result<Recognised<'_>, FormError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let plain = |form| Ok(Recognised { form, said: None });
    let first = first_said(text);
    let scan = iptables::scan(text)?;
    let (dumps, said) = iptables::dumps(&scan)?;
    if !dumps.is_empty() {
        return match scan.nft {
            Some(line) => Err(FormError::Several { line }),
            None => Ok(Recognised { form: Form::Iptables(dumps), said }),
        };
    }
    lossy::check(text)?;
    match first {
        None => plain(Form::Nothing),
        Some(line) if line.starts_with(['{', '[']) && json::is_policy(text) => plain(Form::Policy),
        Some(line) if line.starts_with('{') => plain(Form::NftJson(text.into())),
        Some(line) if nft::is_script(text, line) => plain(Form::NftScript(text.into())),
        Some(_) => match nft::within(text) {
            Some((form, first, last)) => {
                let said = format!("lines {first} to {last}, the rest passed over");
                Ok(Recognised { form, said: Some(said) })
            }
            None => plain(Form::Policy),
        },
    }
}

/// The first line that is no comment.
fn first_said(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| !line.is_empty() && !line.starts_with('#'))
}

/// `1, 2 and 3`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

#[cfg(test)]
mod tests;
