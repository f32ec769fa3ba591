//! `--fix`: what can be written unasked.

use std::fs;
use std::io;
use std::path::Path;

use super::files::{is_standard, name, read_whole, shown};
use super::input::Input;
use super::output;
use super::page::counted;
use super::project::Scope;
use super::report::Messages;
use crate::diag::{Diagnostic, Suggestion, apply};
use crate::policy::{Detail, json, print};
use crate::{Compilation, Failure, Options, Since, Telling, View, compile};

/// A byte-order mark, which says nothing in UTF-8, and stays.
const MARK: &str = "\u{feff}";

/// Most suggestions that are tried one by one, if all together make nothing better.
const MOST_ALONE: usize = 32;

/// Most times that a file is looked at again because something more can be written.
const MOST_ROUNDS: usize = 16;

/// Writes what is safe into a policy file, as long as it gets better by that; what else there is to say
/// is not said here.
///
/// A file is replaced whole. It has fewer errors then, and if it had none, it means the same as before.
///
/// # Errors
///
/// If it cannot be read or written, or is no file.
pub(super) fn fix(input: &Input, options: &Options, messages: &Messages) -> io::Result<()> {
    let file = &input.file;
    if is_standard(file) || !fs::metadata(file).is_ok_and(|known| known.is_file()) {
        let why = format!("`--fix` writes files, and {} is none", shown(file));
        return Err(io::Error::other(why));
    }
    let look = |text: &str| compile(&name(file), text, &input.includes, options);
    let count = write(file, &read_whole(file)?, look)?;
    note(&shown(file), count, messages);
    Ok(())
}

/// The same for every policy of `scope`.
///
/// # Errors
///
/// If one cannot be read or written.
pub(super) fn fix_each(scope: &Scope, messages: &Messages) -> io::Result<()> {
    let counts = scope.each(|found| {
        let look = |text: &str| scope.compiled_from(found, text, true);
        write(&scope.root.join(&found.name), &scope.text(found)?, look)
    })?;
    for (found, count) in scope.files.iter().zip(counts) {
        note(&found.name, count, messages);
    }
    Ok(())
}

fn note(file: &str, count: usize, messages: &Messages) {
    if count > 0 {
        let what = counted(count, "fix", "fixes");
        messages.note(&format!("{file}: {what} written"));
    }
}

/// Writes what is safe into `file`, whose text is `whole` and is compiled by `look`; how much.
fn write(file: &Path, whole: &str, look: impl Fn(&str) -> Compiled) -> io::Result<usize> {
    if json::is_json(whole) {
        // What is found lies in the text that it comes to.
        return Ok(0);
    }
    let (mark, text) = match whole.strip_prefix(MARK) {
        Some(text) => (MARK, text),
        None => ("", whole),
    };
    let (mut fixed, mut count) = (text.to_owned(), 0);
    let mut now = look(&fixed);
    for _ in 0..MOST_ROUNDS {
        let safe = safe(&now);
        let mut is_better = false;
        // All at once, or else one by one.
        for some in std::iter::once(&safe[..])
            .chain(safe.chunks(1).take(MOST_ALONE))
            .filter(|some| !some.is_empty())
        {
            let candidate = apply(&fixed, some);
            let then = look(&candidate);
            if improves(&now, &then) {
                (fixed, now, is_better) = (candidate, then, true);
                count += some.len();
                break;
            }
        }
        if !is_better {
            break;
        }
    }
    if fixed != text {
        output::rewrite_source(file, &format!("{mark}{fixed}"))?;
    }
    Ok(count)
}

type Compiled = Result<Compilation, Failure>;

fn diagnostics(compiled: &Compiled) -> &[Diagnostic] {
    match compiled {
        Ok(compilation) => &compilation.warnings,
        Err(failure) => &failure.diagnostics,
    }
}

/// What can be written unasked into the file itself; what it includes is others'.
fn safe(compiled: &Compiled) -> Vec<Suggestion> {
    let sources = match compiled {
        Ok(compilation) => &compilation.sources,
        Err(failure) => &failure.sources,
    };
    let first = sources.names().next();
    let suggestions = diagnostics(compiled).iter().flat_map(|found| found.suggestions(sources));
    let is_own = |range| Some(sources.file(range).name.as_str()) == first;
    let mut safe: Vec<_> = suggestions.filter(|one| one.safe && is_own(one.range.file)).collect();
    safe.sort_by_key(|suggestion| suggestion.range);
    safe.dedup();
    safe
}

/// Whether a text is better than another: it has fewer errors; or it has no errors either, fewer
/// warnings, and means the same.
fn improves(before: &Compiled, after: &Compiled) -> bool {
    let errors = |compiled| diagnostics(compiled).iter().filter(|found| found.is_error()).count();
    let (had, has) = (errors(before), errors(after));
    match (before, after) {
        (Err(_), _) => has < had,
        (Ok(_), Err(_)) => false,
        (Ok(old), Ok(new)) => new.warnings.len() < old.warnings.len() && is_same(old, new),
    }
}

/// Whether the policies are the same, by name and for every packet.
fn is_same(old: &Compilation, new: &Compilation) -> bool {
    old.policies.len() == new.policies.len()
        && old.policies.iter().zip(&new.policies).all(|(was, is)| {
            let text = print(was, Detail::Everything);
            was.name == is.name
                && new.since(is, View::Policy, &text, Telling::OnePacket) == Since::Same
        })
}
