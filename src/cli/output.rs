//! Writing: whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::Outcome;
use super::files::{is_standard, shown, was_read};
use super::replace::Replacements;
use super::report::Messages;
use crate::diag::escape::on_one_line;

/// Writes to standard output. Whoever has read enough of it may close it: what the command found still
/// decides how it exits.
pub(super) fn print(bytes: &[u8]) -> io::Result<Outcome> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(Outcome::Good),
    }
}

/// Writes a file, or standard output if there is no path or it is `-`, or if that is where it leads.
///
/// A file appears complete or not at all: see [`replace`](super::replace).
///
/// # Errors
///
/// Also if the file was read, which would be lost.
pub(super) fn write(path: Option<&Path>, text: &str) -> io::Result<Outcome> {
    let is_standard =
        |path: &&Path| is_standard(path) || STANDARD.iter().any(|own| *path == Path::new(own));
    let Some(path) = path.filter(|path| !is_standard(path)) else { return print(text.as_bytes()) };
    spare(path)?;
    rewrite(path, text)
}

/// Where standard output is, by the kernel's names.
const STANDARD: [&str; 3] = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// Makes sure that a file was not read, so that nothing that anything depends on is lost.
///
/// # Errors
///
/// If it was.
pub(super) fn spare(path: &Path) -> io::Result<()> {
    if was_read(path) {
        let path = shown(path);
        return Err(io::Error::other(format!("{path} is read by this command; write elsewhere")));
    }
    Ok(())
}

/// Writes a file that may have been read: see [`write`].
pub(super) fn rewrite(path: &Path, text: &str) -> io::Result<Outcome> {
    let mut replacements = Replacements::some_at_once();
    let written = replacements.add(path, text).and_then(|()| replacements.finish());
    written.map_err(|error| unwritten(path, &error))?;
    Ok(Outcome::Good)
}

/// Writes a policy anew that was read.
///
/// # Errors
///
/// Also if it is a symbolic link: that would become a file, and what it leads to would stay.
pub(super) fn rewrite_source(path: &Path, text: &str) -> io::Result<Outcome> {
    if fs::symlink_metadata(path).is_ok_and(|known| known.is_symlink()) {
        let path = shown(path);
        return Err(io::Error::other(format!(
            "{path} is a symbolic link; name the file that it leads to"
        )));
    }
    rewrite(path, text)
}

/// What lists the files of a set while they get their names.
const UNFINISHED: &str = ".weir-unfinished";

/// Writes a set of files into a folder, by their names in it: all or none, as far as a run that is not
/// stopped goes. One that is leaves a list behind, and the next one says which files it had not written.
///
/// # Errors
///
/// Also if one of the files was read, or another run is writing into the folder.
pub(super) fn write_all(
    folder: &Path,
    texts: &[(String, String)],
    messages: &Messages,
) -> io::Result<Outcome> {
    fs::create_dir_all(folder).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot make {}: {error}", shown(folder)))
    })?;
    texts.iter().try_for_each(|(name, _)| spare(&folder.join(name)))?;
    let handle = fs::File::open(folder).map_err(|error| unwritten(folder, &error))?;
    // Some file systems cannot lock.
    if let Err(fs::TryLockError::WouldBlock) = handle.try_lock() {
        let folder = shown(folder);
        return Err(io::Error::other(format!("another run is writing into {folder}")));
    }
    let list = folder.join(UNFINISHED);
    say_unfinished(folder, &list, messages);
    let mut replacements = Replacements::all_at_once();
    for (name, text) in texts {
        let path = folder.join(name);
        replacements.add(&path, text).map_err(|error| unwritten(&path, &error))?;
    }
    let lines = replacements.waiting().map(|(path, temporary)| {
        let name =
            |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        format!("{} {}\n", name(temporary), name(path))
    });
    rewrite(&list, &lines.collect::<String>())?;
    replacements.finish().map_err(|error| unwritten(folder, &error))?;
    fs::remove_file(&list).map_err(|error| unwritten(&list, &error))?;
    Ok(Outcome::Good)
}

/// Says what a run that was stopped did not write: what is still called as it was until then.
fn say_unfinished(folder: &Path, list: &Path, messages: &Messages) {
    let Ok(lines) = fs::read_to_string(list) else { return };
    let lines = lines.lines().filter_map(|line| line.split_once(' '));
    let lacking = lines.filter(|(temporary, _)| folder.join(temporary).exists());
    let lacking: Vec<String> = lacking.map(|(_, name)| on_one_line(name)).collect();
    if !lacking.is_empty() {
        messages.note(&format!(
            "an earlier run was stopped before it had written {}; all files are written now",
            lacking.join(", ")
        ));
    }
}

/// That `path` cannot be written.
pub(super) fn unwritten(path: &Path, error: &io::Error) -> io::Error {
    if let (io::ErrorKind::NotFound, Some(folder)) = (error.kind(), path.parent())
        && !folder.as_os_str().is_empty()
        && !folder.exists()
    {
        let (path, folder) = (shown(path), shown(folder));
        let text = format!("cannot write {path}: there is no folder {folder}");
        return io::Error::new(error.kind(), text);
    }
    io::Error::new(error.kind(), format!("cannot write {}: {error}", shown(path)))
}
