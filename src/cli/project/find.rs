//! The policies that a command is about, wherever it was run.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::WalkDir;

use super::{SETTINGS, Settings};
use crate::cli::files::{read_named, shown};
use crate::cli::numbers;
use crate::cli::report::Messages;
use crate::diag::Diagnostic;
use crate::policy::GroupIds;
use crate::span::Sources;

/// The file in which goldens are listed, in their folder.
pub(in crate::cli) const MANIFEST: &str = "MANIFEST";

/// What a command is about. All paths but the root are relative to it.
#[derive(Debug)]
pub(in crate::cli) struct Scope {
    /// The repository; without one, the folder of the outermost settings, or the one that has
    /// everything that was named.
    pub(in crate::cli) root: PathBuf,
    /// Whether the root is a repository.
    pub(in crate::cli) is_repository: bool,
    /// The policies, by path.
    pub(in crate::cli) files: Vec<Found>,
    /// The folders of goldens, of these policies and of any that were.
    pub(in crate::cli) goldens: BTreeMap<PathBuf, Goldens>,
    /// How many files look like policies that the settings do not select.
    passed_over: usize,
    /// The folders whose policies are all looked at.
    whole: Vec<PathBuf>,
    /// The settings of every folder that was seen.
    projects: BTreeMap<PathBuf, Arc<Project>>,
}

/// A file with policies.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Found {
    /// Its path, with `/` between its parts.
    pub(in crate::cli) name: String,
    /// Whether it was named, and not found in a folder.
    pub(in crate::cli) is_named: bool,
    /// How it is compiled.
    pub(in crate::cli) project: Arc<Project>,
}

/// A folder of goldens.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Goldens {
    /// The folder of its policies.
    pub(in crate::cli) policies: PathBuf,
    /// Whether all policies of that folder are looked at, so that one that is not there is gone.
    pub(in crate::cli) is_whole: bool,
}

/// A folder with settings for what is below it.
#[derive(Debug)]
pub(in crate::cli) struct Project {
    /// The folder.
    pub(in crate::cli) folder: PathBuf,
    /// What is said about its policies.
    pub(in crate::cli) settings: Settings,
    /// The numbers of the groups that they name.
    pub(in crate::cli) groups: GroupIds,
}

/// Why nothing was found.
pub(in crate::cli) enum NotFound {
    /// Settings are wrong.
    Wrong(Sources, Vec<Diagnostic>),
    /// A file or folder cannot be read, or there is nothing.
    Failed(io::Error),
}

impl From<io::Error> for NotFound {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Scope {
    /// What [`find`](Self::find) finds, whose files are not to be written to; `None` if settings are
    /// wrong, which is said.
    ///
    /// # Errors
    ///
    /// If a path cannot be read, or there is no policy.
    pub(in crate::cli) fn asked(
        paths: &[PathBuf],
        messages: &Messages,
    ) -> io::Result<Option<Self>> {
        match Self::find(paths) {
            Ok(scope) => {
                messages.spare(&scope)?;
                Ok(Some(scope))
            }
            Err(NotFound::Wrong(sources, found)) => {
                messages.report(&sources, &found);
                Ok(None)
            }
            Err(NotFound::Failed(error)) => Err(error),
        }
    }

    /// Finds the policies that `paths` name: files, and what the settings select in folders. Without
    /// one, all of the nearest settings around the working directory.
    ///
    /// # Errors
    ///
    /// If settings are wrong, a path cannot be read, or there is no policy.
    pub(in crate::cli) fn find(paths: &[PathBuf]) -> Result<Self, NotFound> {
        let mut named = Vec::new();
        for path in paths {
            let found = fs::canonicalize(path).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot read {}: {error}", shown(path)))
            })?;
            named.push(found);
        }
        if named.is_empty() {
            let here = fs::canonicalize(".")?;
            let folder = around(&here).find(|folder| folder.join(SETTINGS).is_file());
            named.push(folder.map(Path::to_owned).ok_or_else(|| {
                io::Error::other(format!(
                    "name policies or folders of them; or write a {SETTINGS} beside them, and none has \
                     to be named"
                ))
            })?);
        }
        let root = named.iter().map(|path| anchor(path)).reduce(|a, b| common(&a, &b));
        let root = root.unwrap_or_default();
        let is_repository = root.join(".git").exists();
        let mut scope = Self {
            root,
            is_repository,
            files: Vec::new(),
            goldens: BTreeMap::new(),
            passed_over: 0,
            whole: Vec::new(),
            projects: BTreeMap::new(),
        };
        for path in &named {
            let is_folder = path.is_dir();
            scope.refuse_goldens(path, is_folder)?;
            if is_folder {
                scope.whole.push(scope.below(path).to_owned());
                scope.folder(path)?;
            } else {
                scope.file(path, true)?;
            }
        }
        // A file that is named twice, or named and found, is one.
        scope.files.sort_by(|a, b| (&a.name, b.is_named).cmp(&(&b.name, a.is_named)));
        scope.files.dedup_by(|a, b| a.name == b.name);
        if scope.files.is_empty() && scope.goldens.is_empty() {
            let place = |path| Some(scope.below(path)).filter(|path| !path.as_os_str().is_empty());
            let places = named.iter().map(|path| shown(place(path).unwrap_or(Path::new("."))));
            let places: Vec<_> = places.collect();
            let places = places.join(", ");
            return Err(NotFound::Failed(io::Error::other(match scope.passed_over {
                0 => format!("there is no policy in {places}: their files end in `.weir`"),
                _ => format!("`policies` in {SETTINGS} selects none of the policies in {places}"),
            })));
        }
        Ok(scope)
    }

    /// What `folder` would be, if there were goldens in it; `None` if its policies are not all looked
    /// at.
    pub(in crate::cli) fn would_have(&self, folder: &Path) -> Option<Goldens> {
        let project = folder.ancestors().find_map(|folder| self.projects.get(folder))?;
        let of = project.settings.policies_of(folder.strip_prefix(&project.folder).ok()?)?;
        let policies = project.folder.join(of);
        let is_whole = self.whole.iter().any(|whole| policies.starts_with(whole));
        is_whole.then_some(Goldens { policies, is_whole })
    }

    /// `path` relative to the root.
    fn below<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    fn folder(&mut self, top: &Path) -> Result<(), NotFound> {
        let mut walk = WalkDir::new(top).sort_by_file_name().into_iter();
        while let Some(entry) = walk.next() {
            let entry = entry.map_err(io::Error::from)?;
            let path = entry.path();
            let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
            if entry.file_type().is_dir() {
                if entry.depth() > 0 && (is_hidden || self.goldens_in(path)?) {
                    walk.skip_current_dir();
                }
            } else if entry.file_type().is_file() && !is_hidden {
                let folder = path.parent().unwrap_or(path);
                let project = self.project(folder)?;
                let within = self.root.join(&project.folder);
                if path.strip_prefix(within).is_ok_and(|path| project.settings.selects(path)) {
                    self.file(path, false)?;
                } else if path.extension().is_some_and(|extension| extension == "weir") {
                    self.passed_over += 1;
                }
            }
        }
        Ok(())
    }

    /// Makes sure that a file or a folder that was named is not of goldens.
    fn refuse_goldens(&mut self, path: &Path, is_folder: bool) -> Result<(), NotFound> {
        let folder = if is_folder { path } else { path.parent().unwrap_or(path) };
        if folder == self.root || !self.goldens_in(folder)? {
            return Ok(());
        }
        let place = shown(self.below(path));
        let why = if is_folder {
            format!("{place} is where goldens stand; name the folder of their policies")
        } else {
            format!("{place} stands among goldens; name its policy")
        };
        Err(NotFound::Failed(io::Error::other(why)))
    }

    /// Notes the goldens in `folder` and below it. Whether it is a folder of goldens.
    fn goldens_in(&mut self, folder: &Path) -> Result<bool, NotFound> {
        let project = self.project(folder.parent().unwrap_or(folder))?;
        let within = self.root.join(&project.folder);
        let policies = |folder: &Path| {
            let of = project.settings.policies_of(folder.strip_prefix(&within).ok()?)?;
            Some(project.folder.join(of))
        };
        // Whoever has settings has policies, whatever the folder is called.
        if policies(folder).is_none() || folder.join(SETTINGS).is_file() {
            return Ok(false);
        }
        for entry in WalkDir::new(folder).sort_by_file_name() {
            let entry = entry.map_err(io::Error::from)?;
            let parent = entry.path().parent().unwrap_or(folder);
            let is_list = entry.file_type().is_file() && entry.file_name() == MANIFEST;
            if let Some(policies) = policies(parent).filter(|_| is_list) {
                let goldens = self.below(parent).to_owned();
                self.note(goldens, policies);
            }
        }
        Ok(true)
    }

    fn note(&mut self, goldens: PathBuf, policies: PathBuf) {
        let is_whole = self.whole.iter().any(|whole| policies.starts_with(whole));
        let known = Goldens { policies, is_whole };
        self.goldens.entry(goldens).or_insert(known).is_whole |= is_whole;
    }

    fn file(&mut self, path: &Path, is_named: bool) -> Result<(), NotFound> {
        let folder = path.parent().unwrap_or(path);
        let project = self.project(folder)?;
        let below = self.below(path).to_owned();
        let name = below.to_str().filter(|name| !name.contains(char::is_control));
        let Some(name) = name else {
            let why = format!("cannot look at {}: its name is no plain text", shown(&below));
            return Err(NotFound::Failed(io::Error::other(why)));
        };
        let folder = self.below(folder).to_owned();
        let within = folder.strip_prefix(&project.folder).unwrap_or(&folder);
        self.note(project.folder.join(project.settings.goldens(within)), folder.clone());
        self.files.push(Found { name: name.to_owned(), is_named, project });
        Ok(())
    }

    /// The settings that hold in `folder`.
    fn project(&mut self, folder: &Path) -> Result<Arc<Project>, NotFound> {
        let known = self.projects.get(self.below(folder));
        if let Some(project) = known {
            return Ok(Arc::clone(project));
        }
        let has_settings = |folder: &&Path| folder.join(SETTINGS).is_file();
        let project = match around(folder).find(has_settings) {
            Some(top) if top != folder => self.project(top)?,
            Some(top) => Arc::new(self.read(top)?),
            None => Arc::new(Project {
                folder: PathBuf::new(),
                settings: Settings::default(),
                groups: GroupIds::new(),
            }),
        };
        let below = self.below(folder).to_owned();
        self.projects.insert(below, Arc::clone(&project));
        Ok(project)
    }

    fn read(&self, folder: &Path) -> Result<Project, NotFound> {
        let path = folder.join(SETTINGS);
        let name = self.below(&path);
        let text = read_named(&path, name)?;
        let settings = Settings::read(&name.to_string_lossy(), &text)
            .map_err(|(sources, found)| NotFound::Wrong(sources, found))?;
        let groups = settings.group_file.as_ref().map(|file| folder.join(file));
        let groups = numbers::read(groups.as_deref(), "group file")?;
        let folder = folder.strip_prefix(&self.root).unwrap_or(folder).to_owned();
        Ok(Project { folder, settings, groups })
    }
}

/// `folder` and those around it, as far as its repository reaches.
fn around(folder: &Path) -> impl Iterator<Item = &Path> {
    let mut is_outside = false;
    folder
        .ancestors()
        .take_while(move |folder| !std::mem::replace(&mut is_outside, folder.join(".git").exists()))
}

/// The repository around `path`; without one, the outermost folder with settings; without any, its
/// own folder.
fn anchor(path: &Path) -> PathBuf {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let all: Vec<&Path> = around(folder).collect();
    let is_repository = |folder: &&&Path| folder.join(".git").exists();
    let has_settings = |folder: &&&Path| folder.join(SETTINGS).is_file();
    let found = all.last().filter(is_repository);
    let found = found.or_else(|| all.iter().rev().find(has_settings));
    found.copied().unwrap_or(folder).to_owned()
}

/// The folder that has both.
fn common(one: &Path, other: &Path) -> PathBuf {
    let same = one.components().zip(other.components()).take_while(|(a, b)| a == b);
    same.map(|(part, _)| part).collect()
}
