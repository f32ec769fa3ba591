//! Writing: whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::Outcome;
use super::input::is_standard;

/// Writes to standard output.
pub(super) fn print(bytes: &[u8]) -> io::Result<Outcome> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()?;
    Ok(Outcome::Good)
}

/// Writes a file, or standard output if there is no path or it is `-`.
///
/// A file appears complete or not at all, and keeps its permissions if it was there: the text goes
/// to a temporary file beside it, which then takes its name. What is not a regular file (a pipe,
/// `/dev/null`) is written to as it is.
pub(super) fn write(path: Option<&Path>, text: &str) -> io::Result<Outcome> {
    let Some(path) = path.filter(|path| !is_standard(path)) else { return print(text.as_bytes()) };
    replace(path, text).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
    })?;
    Ok(Outcome::Good)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let known = match fs::metadata(path) {
        Ok(known) if !known.is_file() && !known.is_dir() => return fs::write(path, text),
        Ok(known) if known.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(known) => Some(known),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    // Through a symbolic link, the file it leads to is replaced, not the link.
    let path = if known.is_some() { fs::canonicalize(path)? } else { path.to_owned() };
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Err(io::ErrorKind::InvalidInput.into()),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".weir-");
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::PermissionsExt;
        // The kernel takes the umask off, as for any new file.
        builder.permissions(fs::Permissions::from_mode(0o666))
    };
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Some(known) = known {
        file.as_file().set_permissions(known.permissions())?;
    }
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
