//! Files that a repository of policies lives by, and that nothing else is written over.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{MANIFEST, Manifest, SETTINGS, Scope};
use crate::cli::files::{shown, was_read};

/// Makes sure that a file, to which something is to be written that is no policy and no golden, is
/// none of those, named or not: no policy that is there, no settings, no golden that a list has, and
/// no such list.
///
/// # Errors
///
/// If it is one.
pub(in crate::cli) fn spare(path: &Path) -> io::Result<()> {
    kept(&settled(path)).map_or(Ok(()), |what| Err(refused(path, what)))
}

impl Scope {
    /// Makes sure of the same, and that it is nothing that was read, and stands in no folder of goldens.
    ///
    /// # Errors
    ///
    /// If it does.
    pub(in crate::cli) fn spare(&self, path: &Path) -> io::Result<()> {
        let output = settled(path);
        let is_it = |name: &Path| self.root.join(name) == output;
        let what = if let Some(what) = kept(&output) {
            what
        } else if self.files.iter().any(|found| is_it(Path::new(&found.name))) {
            "is a policy"
        } else if was_read(&output) {
            "was read"
        } else if self.goldens.keys().any(|folder| output.starts_with(self.root.join(folder))) {
            "stands among goldens"
        } else {
            return Ok(());
        };
        Err(refused(path, what))
    }
}

fn refused(path: &Path, what: &str) -> io::Error {
    io::Error::other(format!("{} {what}; write elsewhere", shown(path)))
}

/// The file that is written to where `path` is.
fn settled(path: &Path) -> PathBuf {
    let folder = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()
    };
    let beside = || Some(folder()?.join(path.file_name()?));
    fs::canonicalize(path).ok().or_else(beside).unwrap_or_else(|| path.to_owned())
}

/// What of a repository of policies the file is, if it is anything.
fn kept(file: &Path) -> Option<&'static str> {
    let name = file.file_name()?.to_str()?;
    if name == SETTINGS {
        return Some("is for settings");
    }
    if name == MANIFEST {
        return Some("is for the list of goldens");
    }
    if file.extension().is_some_and(|extension| extension == "weir") && file.is_file() {
        return Some("is a policy");
    }
    let list = fs::read_to_string(file.with_file_name(MANIFEST)).unwrap_or_default();
    Manifest::read(&list).sources.contains_key(name).then_some("is a golden")
}
