//! Writing: whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Outcome;
use super::files::{is_standard, shown};
use crate::span::Sources;

/// What temporary files are called, and how many characters follow.
const TEMPORARY: &str = ".weir-";
const RANDOM: usize = 6;

/// Whether a file of this name was to become another one, and was left behind.
pub(super) fn is_temporary(name: &str) -> bool {
    name.strip_prefix(TEMPORARY).is_some_and(|rest| {
        rest.len() == RANDOM && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Writes to standard output. Whoever has read enough of it may close it: what the command found still
/// decides how it exits.
pub(super) fn print(bytes: &[u8]) -> io::Result<Outcome> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(Outcome::Good),
    }
}

/// Writes a file, or standard output if there is no path or it is `-`.
///
/// A file appears complete or not at all, and keeps its permissions if it was there: the text goes
/// to a temporary file beside it, which then takes its name. What is not a regular file (a pipe,
/// `/dev/null`) is written to as it is.
///
/// # Errors
///
/// Also if the file is one of `inputs`, which would be lost.
pub(super) fn write(path: Option<&Path>, inputs: &Sources, text: &str) -> io::Result<Outcome> {
    let Some(path) = path.filter(|path| !is_standard(path)) else { return print(text.as_bytes()) };
    spare(path, inputs.names())?;
    rewrite(path, text)
}

/// Makes sure that a file is none of `inputs`, which would be lost.
///
/// # Errors
///
/// If it is one.
pub(super) fn spare<'a>(
    path: &Path,
    inputs: impl IntoIterator<Item = &'a (impl AsRef<Path> + ?Sized + 'a)>,
) -> io::Result<()> {
    let Ok(output) = fs::canonicalize(path) else { return Ok(()) };
    let mut inputs = inputs.into_iter();
    if inputs.any(|input| fs::canonicalize(input).is_ok_and(|input| input == output)) {
        let path = shown(path);
        return Err(io::Error::other(format!("{path} is the policy itself; write elsewhere")));
    }
    Ok(())
}

/// Writes a file that may be an input: see [`write`].
pub(super) fn rewrite(path: &Path, text: &str) -> io::Result<Outcome> {
    replace(path, text).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot write {}: {error}", shown(path)))
    })?;
    Ok(Outcome::Good)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = followed(path)?;
    let known = match fs::metadata(&path) {
        Ok(known) if known.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(known) if !known.is_file() => return fs::write(path, text),
        Ok(known) => Some(known),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Err(io::ErrorKind::InvalidInput.into()),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY).rand_bytes(RANDOM);
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::PermissionsExt;
        // The kernel takes the umask off, as for any new file.
        builder.permissions(fs::Permissions::from_mode(0o666))
    };
    // The error would name the temporary file, which nobody asked for.
    let mut file = builder.tempfile_in(folder).map_err(|error| io::Error::from(error.kind()))?;
    file.write_all(text.as_bytes())?;
    if let Some(known) = known {
        file.as_file().set_permissions(known.permissions())?;
    }
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

/// Where symbolic links lead from `path`, so that the file is replaced and not the link; also
/// where that file does not exist yet.
fn followed(path: &Path) -> io::Result<PathBuf> {
    /// As many as Linux follows (`path_resolution(7)`).
    const MOST_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}
