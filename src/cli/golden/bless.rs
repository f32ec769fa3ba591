//! Writing goldens: each file whole, and in an order that can stop anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::look::{self, Listed, slashed};
use super::report::{Blessed, Entry, State};
use crate::cli::files::shown;
use crate::cli::output::{rewrite, unwritten};
use crate::cli::project::{Found, MANIFEST, Scope};
use crate::cli::replace::{Replacements, sweep};

/// Writes the goldens that are not current, and removes those that no policy makes.
///
/// First the list of a folder names everything that is in it or will be, then the goldens are written,
/// then orphans go, and at last the list is what it should be. So whatever weir wrote is listed at any
/// moment, and a run that was stopped is mended by the next one.
pub(super) fn bless(
    scope: &Scope,
    entries: &[Entry],
    lists: &BTreeMap<PathBuf, Listed>,
) -> io::Result<Blessed> {
    let mut blessed = Blessed::default();
    let is_written = |entry: &&Entry| {
        use State::{Missing, OtherMeaning, OtherText, SameMeaning};
        matches!(entry.state, Missing | OtherMeaning | OtherText | SameMeaning)
    };
    let stale: BTreeSet<&str> =
        entries.iter().filter(is_written).map(|entry| entry.path.as_str()).collect();
    let outdated: BTreeSet<&str> =
        entries.iter().filter(is_written).filter_map(|entry| entry.source.as_deref()).collect();
    let orphans: BTreeSet<&str> = entries
        .iter()
        .filter(|entry| entry.state == State::Orphaned)
        .map(|entry| entry.path.as_str())
        .collect();
    let touched = entries
        .iter()
        .filter(|entry| [&stale, &orphans].iter().any(|paths| paths.contains(entry.path.as_str())));
    let touched: BTreeSet<PathBuf> = touched.filter_map(Entry::folder).collect();
    let mut sources: BTreeMap<PathBuf, Vec<&Found>> = BTreeMap::new();
    for found in &scope.files {
        sources.entry(look::folder(found)).or_default().push(found);
    }
    for (folder, listed) in lists {
        let full = scope.root.join(folder);
        // A run that was stopped when all goldens were written has left the rest to do.
        if !touched.contains(folder) && listed.was == listed.is {
            if full.is_dir() {
                within(&scope.root, folder)?;
                sweep(&full);
            }
            continue;
        }
        let list = full.join(MANIFEST);
        within(&scope.root, folder)?;
        fs::create_dir_all(&full).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot make {}: {error}", shown(folder)))
        })?;
        let mut all = listed.is.clone();
        for (golden, source) in &listed.was.sources {
            all.sources.entry(golden.clone()).or_insert_with(|| source.clone());
        }
        if all != listed.was {
            rewrite(&list, &all.text())?;
        }
        let mut replacements = Replacements::some_at_once();
        for found in sources.get(folder).into_iter().flatten() {
            if outdated.contains(found.name.as_str()) {
                blessed.written += write(scope, found, folder, &stale, &mut replacements)?;
            }
        }
        replacements.finish().map_err(|error| unwritten(folder, &error))?;
        for golden in listed.orphans.keys() {
            if orphans.contains(slashed(&folder.join(golden)).as_str()) {
                fs::remove_file(full.join(golden)).map_err(|error| {
                    let place = slashed(&folder.join(golden));
                    io::Error::new(error.kind(), format!("cannot remove {place}: {error}"))
                })?;
                blessed.removed += 1;
            }
        }
        if listed.is.sources.is_empty() {
            fs::remove_file(&list).or_else(absent)?;
            // Others may have files there.
            let _ = fs::remove_dir(&full);
        } else if all.sources != listed.is.sources {
            rewrite(&list, &listed.is.text())?;
        }
    }
    Ok(blessed)
}

/// Writes those goldens of a file that are stale; how many. It is compiled a second time, so that no
/// texts are kept meanwhile.
fn write(
    scope: &Scope,
    found: &Found,
    folder: &Path,
    stale: &BTreeSet<&str>,
    replacements: &mut Replacements,
) -> io::Result<usize> {
    let changed =
        || io::Error::other(format!("{} was changed meanwhile; run it again", found.name));
    let compilation = scope.compiled(found, true)?.map_err(|_| changed())?;
    let mut written = 0;
    for policy in &compilation.policies {
        for view in &found.project.settings.views {
            let golden = look::golden(policy, *view);
            if stale.contains(slashed(&folder.join(&golden)).as_str()) {
                let text = compilation.emit(policy, *view).map_err(|_| changed())?;
                let path = scope.root.join(folder).join(&golden);
                replacements.add(&path, &text).map_err(|error| unwritten(&path, &error))?;
                written += 1;
            }
        }
    }
    Ok(written)
}

/// Makes sure that a folder is below the root, and not only seems so.
fn within(root: &Path, folder: &Path) -> io::Result<()> {
    let mut path = root.to_owned();
    for part in folder {
        path.push(part);
        if fs::symlink_metadata(&path).is_ok_and(|known| known.is_symlink()) {
            let place = shown(path.strip_prefix(root).unwrap_or(&path));
            return Err(io::Error::other(format!(
                "{place} is a symbolic link; goldens are written into folders only"
            )));
        }
    }
    Ok(())
}

fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
