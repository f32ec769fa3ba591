//! A file and everything that it includes.

use std::collections::{BTreeMap, BTreeSet};

use super::ast::{Clause, File, TermKind};
use super::parse;
use crate::diag::{Diagnostic, Problem, Report};
use crate::span::{FileId, Sources, Span};

/// Most files that include one another in a row, the first one counted.
pub const MOST_INCLUDES: usize = 16;

/// Everything that was read for one compilation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The texts.
    pub sources: Sources,
    /// What is in them: the file asked for first, then those it includes, as they were read; nothing
    /// for one that is no text or too large.
    #[doc(hidden)]
    pub files: Vec<(FileId, File)>,
    /// Problems of reading and parsing, in source order.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// The file asked for.
    #[must_use]
    pub fn main(&self) -> FileId {
        self.files[0].0
    }
}

/// Where included files come from. The library itself opens no file.
pub trait Loader {
    /// The text of the file at `path`, which has `/` between its parts and no `.` or needless `..`.
    ///
    /// # Errors
    ///
    /// Why there is no text, as a clause that begins with `no such file` if that is the reason,
    /// whatever the case of its letters: the help is about paths then.
    fn read(&self, path: &str) -> Result<String, String>;
}

/// A loader for policies that include nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoIncludes;

impl Loader for NoIncludes {
    fn read(&self, _: &str) -> Result<String, String> {
        Err("nothing can be included here".to_owned())
    }
}

/// Files in memory, by path.
impl Loader for BTreeMap<String, String> {
    fn read(&self, path: &str) -> Result<String, String> {
        self.get(path).cloned().ok_or_else(|| "no such file".to_owned())
    }
}

/// Reads `text`, which is called `name`, and every file that it includes, each of them once.
///
/// Never fails: what cannot be read or understood is a diagnostic, and everything else is there.
#[must_use]
pub fn load(name: &str, text: &str, loader: &dyn Loader) -> Loaded {
    load_policies(name, text, loader, &|_| true)
}

/// The same. An included file in which no clause begins with a word of which `begins` holds is no policy,
/// and nothing of it is kept: whoever wrote the `include` may not be allowed to see it.
pub(crate) fn load_policies(
    name: &str,
    text: &str,
    loader: &dyn Loader,
    begins: &dyn Fn(&str) -> bool,
) -> Loaded {
    let mut loading = Loading {
        loader,
        begins,
        loaded: Loaded { sources: Sources::default(), files: Vec::new(), diagnostics: Vec::new() },
        seen: BTreeSet::from([normalized(name)]),
        open: Vec::new(),
        report: Report::default(),
    };
    loading.file(name, normalized(name), text, None);
    let Loading { mut loaded, report, .. } = loading;
    loaded.diagnostics = report.finish(&loaded.sources);
    loaded
}

/// A compilation while its files are read.
struct Loading<'a> {
    loader: &'a dyn Loader,
    begins: &'a dyn Fn(&str) -> bool,
    loaded: Loaded,
    report: Report,
    /// Every path that was asked for.
    seen: BTreeSet<String>,
    /// The files that are being read, the first one first, with the `include` read last in each.
    open: Vec<(String, Option<Span>)>,
}

impl Loading<'_> {
    /// Reads the file at `path`, which was included at `at`.
    fn file(&mut self, name: &str, path: String, text: &str, at: Option<Span>) {
        let problem = if text.len() > Sources::MAX_BYTES {
            Some(Problem::TooLarge { file: name.to_owned(), most: Sources::MAX_BYTES })
        } else if text.contains('\0') {
            // UTF-16 has one in every other byte.
            let is_utf_16 = text.bytes().skip(1).step_by(2).take(32).all(|byte| byte == 0)
                || text.bytes().step_by(2).take(32).all(|byte| byte == 0);
            Some(Problem::NotText { file: name.to_owned(), is_utf_16 })
        } else {
            None
        };
        let sources = &mut self.loaded.sources;
        // Of a file that was asked for, where it is no text can be shown.
        let nul = text.strip_prefix('\u{feff}').unwrap_or(text).find('\0');
        let nul = nul.filter(|_| at.is_none() && text.len() <= Sources::MAX_BYTES);
        let is_shown = problem.is_none() || nul.is_some();
        let file = sources.add(name, if is_shown { text } else { "" });
        if let Some(problem) = problem {
            let start = nul.and_then(|nul| u32::try_from(nul).ok()).unwrap_or_default();
            let end = start + u32::from(nul.is_some());
            let at = at.unwrap_or(Span { file, start, end });
            let label = if nul.is_some() { "the first NUL" } else { "" };
            self.report.push(problem.at(at, label));
            self.loaded.files.push((file, File::default()));
            return;
        }
        let parsed = parse(sources, file);
        let is_policy = |clause: &Clause| clause.keyword().is_some_and(self.begins);
        let is_empty = parsed.tree.clauses().next().is_none();
        if let Some(at) = at
            && !is_empty
            && !parsed.tree.clauses().any(is_policy)
        {
            sources.forget(file);
            let problem = Problem::Unreadable { file: name.to_owned(), is_missing: false };
            self.report.push(problem.at(at, "it is no policy, and nothing of it is shown"));
            self.loaded.files.push((file, File::default()));
            return;
        }
        self.report.extend(parsed.diagnostics);
        let includes: Vec<_> = parsed
            .tree
            .clauses()
            .filter(|clause| clause.keyword() == Some("include") && !clause.broken)
            .filter_map(|clause| self.path(clause))
            .collect();
        self.loaded.files.push((file, parsed.tree));
        self.open.push((path, None));
        for (written, at) in includes {
            self.include(&written, at);
        }
        self.open.pop();
    }

    /// The path of an `include`.
    fn path(&mut self, include: &Clause) -> Option<(String, Span)> {
        match &include.terms[1..] {
            [path]
                if path.kind == TermKind::Text
                    && !path.text.is_empty()
                    && include.block.is_none() =>
            {
                Some((path.text.to_string(), path.span))
            }
            rest => {
                let path = rest.first().filter(|path| !path.text.is_empty());
                let path = path.map_or("company.weir", |path| {
                    path.text.trim_matches(['\'', '“', '”', '<', '>'])
                });
                self.report
                    .push(Problem::NotAPath { path: path.to_owned() }.at(include.head(), ""));
                None
            }
        }
    }

    fn include(&mut self, written: &str, at: Span) {
        let Some((including, include)) = self.open.last_mut() else { return };
        let path = resolved(including, written);
        *include = Some(at);
        if let Some(first) = self.open.iter().position(|(open, _)| *open == path) {
            let sources = &self.loaded.sources;
            let hop = |at: Span| {
                let place = sources.place(at);
                format!("{}:{}", place.file, place.line)
            };
            self.report.push_error(at, || {
                let hops = self.open[first..].iter().filter_map(|(_, at)| at.map(hop)).collect();
                let label = format!("`{path}` is still being read");
                Problem::IncludeCycle { file: path, hops }.at(at, label)
            });
            return;
        }
        if self.open.len() == MOST_INCLUDES {
            self.report.push(Problem::IncludeTooDeep.at(at, "this file is not read"));
            return;
        }
        if !self.seen.insert(path.clone()) {
            return;
        }
        match self.loader.read(&path) {
            Ok(text) => self.file(&path.clone(), path, &text, Some(at)),
            Err(reason) => {
                let is_missing = reason.to_ascii_lowercase().starts_with("no such file");
                self.report.push(Problem::Unreadable { file: path, is_missing }.at(at, reason));
            }
        }
    }
}

/// The path of a file that `including` calls `written`.
fn resolved(including: &str, written: &str) -> String {
    if written.starts_with('/') {
        return normalized(written);
    }
    match including.rsplit_once('/') {
        Some((folder, _)) => normalized(&format!("{folder}/{written}")),
        None => normalized(written),
    }
}

/// `path` without `.`, empty parts, and `..` behind the name of a folder.
fn normalized(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::{normalized, resolved};

    #[test]
    fn a_path_is_relative_to_the_including_file() {
        for (including, written, path) in [
            ("a.weir", "b.weir", "b.weir"),
            ("rules/a.weir", "b.weir", "rules/b.weir"),
            ("rules/a.weir", "../b.weir", "b.weir"),
            ("a.weir", "../../b.weir", "../../b.weir"),
            ("/etc/weir/a.weir", "./x//b.weir", "/etc/weir/x/b.weir"),
            ("rules/a.weir", "/b.weir", "/b.weir"),
        ] {
            assert_eq!(resolved(including, written), path, "{including} {written}");
        }
        assert_eq!(normalized("./a/../../b"), "../b");
        assert_eq!(normalized("-"), "-");
    }
}
