//! What has become of the goldens of one file, and of those of a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::before::Before;
use super::report::{Entry, State};
use crate::cli::compile::Emit;
use crate::cli::forms::Findings;
use crate::cli::project::{Found, Goldens, MANIFEST, Manifest, Scope};
use crate::diag::{Diagnostic, Problem};
use crate::policy::Policy;
use crate::span::Sources;
use crate::{Compilation, Failure, Since, Telling, View};

/// What was found about the policies of one file.
pub(super) struct Looked {
    pub(super) entries: Vec<Entry>,
    pub(super) findings: Option<Findings>,
    /// The folder of its goldens.
    pub(super) folder: PathBuf,
    /// The goldens that it has; `None` if it is refused.
    pub(super) goldens: Option<Vec<String>>,
}

/// Compiles the policies of a file, and compares them with their goldens.
pub(super) fn look(
    found: &Found,
    scope: &Scope,
    before: &Before<'_>,
    telling: Telling,
) -> io::Result<Looked> {
    let folder = folder(found);
    let mut looked =
        Looked { entries: Vec::new(), findings: None, folder, goldens: Some(Vec::new()) };
    let compilation = match scope.compiled(found, true)? {
        Ok(compilation) => compilation,
        Err(Failure { sources, diagnostics }) => {
            looked.refuse(found, sources, diagnostics);
            return Ok(looked);
        }
    };
    let mut diagnostics = compilation.all_warnings();
    // A file of lists for others is no policy, and need not be one.
    diagnostics.retain(|found_it| found.is_named || found_it.problem != Problem::NoPolicy);
    for policy in &compilation.policies {
        for view in &found.project.settings.views {
            let text = match compilation.emit(policy, *view) {
                Ok(text) => text,
                Err(failure) => {
                    diagnostics.extend(failure.diagnostics);
                    continue;
                }
            };
            let golden = golden(policy, *view);
            let path = looked.folder.join(&golden);
            let mut entry = Entry::of(&path, found, policy, *view);
            let standing = before.read(&path)?;
            entry.compare(standing.as_deref(), &compilation, (policy, *view, &text), telling);
            looked.entries.push(entry);
            looked.goldens.get_or_insert_default().push(golden);
        }
    }
    if diagnostics.iter().any(Diagnostic::is_error) {
        looked.refuse(found, compilation.sources, diagnostics);
    } else if !diagnostics.is_empty() {
        let findings = Findings::new(&found.name, compilation.sources, diagnostics);
        looked.findings = Some(findings);
    }
    Ok(looked)
}

/// The folder of the goldens of a file.
pub(super) fn folder(found: &Found) -> PathBuf {
    let project = &found.project;
    let folder = Path::new(&found.name).parent().unwrap_or(Path::new(""));
    let below = folder.strip_prefix(&project.folder).unwrap_or(folder);
    project.folder.join(project.settings.goldens(below))
}

/// What the golden of a policy is called.
pub(super) fn golden(policy: &Policy, view: View) -> String {
    format!("{}.{}", policy.name, view.extension())
}

impl Looked {
    /// Whether a golden means something else.
    pub(super) fn means_another(&self) -> bool {
        self.entries.iter().any(|entry| entry.state == State::OtherMeaning)
    }

    fn refuse(&mut self, found: &Found, sources: Sources, diagnostics: Vec<Diagnostic>) {
        let entry = Entry { source: Some(found.name.clone()), ..Entry::bare(&found.name) };
        self.entries = vec![Entry { state: State::Refused, ..entry }];
        self.findings = Some(Findings::new(&found.name, sources, diagnostics));
        self.goldens = None;
    }
}

impl Entry {
    fn bare(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            state: State::Current,
            source: None,
            policy: None,
            view: None,
            words: Vec::new(),
            ways: Vec::new(),
            and_more: false,
        }
    }

    fn of(path: &Path, found: &Found, policy: &Policy, view: View) -> Self {
        Self {
            source: Some(found.name.clone()),
            policy: Some(policy.name.to_string()),
            view: Some(Emit::name(view)),
            ..Self::bare(&slashed(path))
        }
    }

    fn compare(
        &mut self,
        standing: Option<&[u8]>,
        compilation: &Compilation,
        (policy, view, text): (&Policy, View, &str),
        telling: Telling,
    ) {
        let Some(standing) = standing else {
            self.state = State::Missing;
            return;
        };
        if standing == text.as_bytes() {
            return;
        }
        let Ok(standing) = std::str::from_utf8(standing) else {
            self.state = State::OtherText;
            self.words.push("it is not UTF-8, and nothing that weir wrote".to_owned());
            return;
        };
        let standing = if standing.contains("\r\n") {
            self.words.push(format!(
                "a checkout changed its line ends; write `*.{} text eol=lf` into .gitattributes, and \
                 check it out again",
                view.extension()
            ));
            standing.replace("\r\n", "\n")
        } else {
            standing.to_owned()
        };
        let since = if standing == text {
            Since::Same
        } else {
            compilation.since(policy, view, &standing, telling)
        };
        match since {
            Since::Same => self.state = State::SameMeaning,
            Since::Unknown { why } => {
                self.state = State::OtherText;
                self.words.push(why);
            }
            Since::Other { ways, and_more } => {
                self.state = State::OtherMeaning;
                (self.ways, self.and_more) = (ways, and_more);
            }
        }
    }
}

/// A folder of goldens: what is listed there, and what should be.
pub(super) struct Listed {
    /// What is listed.
    pub(super) was: Manifest,
    /// What should be.
    pub(super) is: Manifest,
    /// Goldens that are listed and no policy makes, each with the file of its policy.
    pub(super) orphans: BTreeMap<String, String>,
}

impl Listed {
    /// Reads the list of `folder`, and holds the goldens of its own policies against it.
    pub(super) fn read(
        folder: &Path,
        goldens: &Goldens,
        own: &[(&Found, &Looked)],
        before: &Before<'_>,
    ) -> io::Result<Self> {
        let text = before.read(&folder.join(MANIFEST))?.unwrap_or_default();
        let was = Manifest::read(&String::from_utf8_lossy(&text));
        let mut is = Manifest::default();
        // Policies that were looked at, and those whose goldens are known.
        let (mut seen, mut known) = (BTreeSet::new(), BTreeSet::new());
        for (found, looked) in own {
            let source = Path::new(&found.name).file_name().unwrap_or_default().to_string_lossy();
            seen.insert(source.to_string());
            if let Some(goldens) = &looked.goldens {
                known.insert(source.to_string());
                let own = goldens.iter().map(|golden| (golden.clone(), source.to_string()));
                is.sources.extend(own);
            }
        }
        let mut orphans = BTreeMap::new();
        for (golden, source) in &was.sources {
            if is.sources.contains_key(golden) {
                continue;
            }
            let is_gone = goldens.is_whole && !seen.contains(source);
            let list =
                if is_gone || known.contains(source) { &mut orphans } else { &mut is.sources };
            list.insert(golden.clone(), source.clone());
        }
        Ok(Self { was, is, orphans })
    }

    /// What has become of the orphans; and of the list itself, unless something of the folder is
    /// missing (`is_told`) or orphaned: then it cannot be right.
    pub(super) fn entries(
        &self,
        folder: &Path,
        goldens: &Goldens,
        is_told: bool,
        before: &Before<'_>,
    ) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for (golden, source) in &self.orphans {
            let path = folder.join(golden);
            if before.read(&path)?.is_some() {
                let source = goldens.policies.join(source);
                let words = vec![format!("{} made it, and no policy does now", slashed(&source))];
                entries.push(Entry {
                    state: State::Orphaned,
                    words,
                    ..Entry::bare(&slashed(&path))
                });
            }
        }
        let is_told = is_told || !entries.is_empty();
        // A revision is compared by what its goldens say.
        if is_told || matches!(before, Before::Revision(_)) {
            return Ok(entries);
        }
        let mut list = Entry::bare(&slashed(&folder.join(MANIFEST)));
        list.words.push("the list of what weir writes into this folder".to_owned());
        let standing = before.read(&folder.join(MANIFEST))?;
        match standing {
            None if self.is.sources.is_empty() => return Ok(entries),
            None => list.state = State::Missing,
            Some(_) if self.is.sources.is_empty() => list.state = State::Orphaned,
            Some(_) if self.is.has_the_goldens_of(&self.was) => return Ok(entries),
            Some(_) => list.state = State::OtherText,
        }
        if let [first, ..] = self.was.odd[..] {
            list.words.push(format!("line {first} names no golden, and will not stay"));
        }
        entries.push(list);
        Ok(entries)
    }
}

/// A golden that two policies would be written to is one entry, which says so.
pub(super) fn collide(entries: &mut Vec<Entry>) {
    // Not every file system tells capitals from small letters.
    let mut by_path: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in entries.drain(..) {
        by_path.entry(entry.path.to_lowercase()).or_default().push(entry);
    }
    for mut same in by_path.into_values() {
        if same.len() > 1 && same.iter().all(|entry| entry.policy.is_some()) {
            let who = same.iter().map(|entry| {
                let (policy, source) = (entry.policy.as_deref(), entry.source.as_deref());
                format!("`{}` of {}", policy.unwrap_or_default(), source.unwrap_or_default())
            });
            let who: Vec<_> = who.collect();
            let words = vec![
                format!("{} would be written to one file", who.join(" and ")),
                "rename one of the policies, or give its folder goldens of its own".to_owned(),
            ];
            same = vec![Entry { state: State::Collision, words, ..Entry::bare(&same[0].path) }];
        }
        entries.extend(same);
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
}

/// `path` with `/` between its parts.
pub(super) fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}
