//! Files and standard input as text, of bounded length.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use clap::Args;

use super::packed;
use crate::diag::escape::on_one_line;
use crate::diag::refusal;
use crate::span::Sources;
use crate::syntax::{Loader, NoIncludes};
use crate::{Failure, Options, compile};

/// What standard input is called.
static STANDARD_INPUT: OnceLock<String> = OnceLock::new();

/// Calls standard input `name`, if there is one.
pub(super) fn name_standard_input(name: Option<String>) {
    if let Some(name) = name {
        // It is called once, at the beginning.
        let _ = STANDARD_INPUT.set(name);
    }
}

/// What diagnostics call the file.
pub(super) fn name(file: &Path) -> Cow<'_, str> {
    if is_standard(file) {
        STANDARD_INPUT.get().map_or("<stdin>", String::as_str).into()
    } else {
        file.to_string_lossy()
    }
}

/// Whether `path` means standard input or output.
pub(super) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A path as messages show it: without control characters.
pub(super) fn shown(path: &Path) -> String {
    on_one_line(&path.to_string_lossy())
}

/// Refuses standard input where several are to be it: the second reader would find nothing there, and
/// say something wrong about it.
pub(super) fn once<'a>(paths: impl Iterator<Item = &'a Path>) -> io::Result<()> {
    if paths.filter(|path| is_standard(path)).count() > 1 {
        return Err(io::Error::other("standard input can be read once, and `-` is given twice"));
    }
    Ok(())
}

/// The files that were read so far, so that none of them is written over.
static READ: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Whether a file was read.
pub(super) fn was_read(path: &Path) -> bool {
    let read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    fs::canonicalize(path).is_ok_and(|path| read.contains(&path))
}

/// Opens a file to read it.
fn open(path: &Path) -> io::Result<fs::File> {
    let file = fs::File::open(path)?;
    // What is no regular file, as a pipe, is not lost by being written to.
    if let Ok(known) = fs::canonicalize(path)
        && known.is_file()
    {
        READ.lock().unwrap_or_else(PoisonError::into_inner).insert(known);
    }
    Ok(file)
}

/// The text of a file, or of standard input.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let text = if is_standard(path) { text(io::stdin().lock()) } else { file(path) };
    text.map_err(|error| unreadable(path, &error))
}

/// The text of a file, or of standard input; of one that is packed with gzip, what is in it. Too long a text
/// is an error.
pub(super) fn read_unpacked(path: &Path) -> io::Result<String> {
    let read = || {
        let bytes = if is_standard(path) { bytes(io::stdin().lock()) } else { bytes(open(path)?) }?;
        let bytes = packed::unpack(bytes, Sources::MAX_BYTES)?;
        if bytes.len() > Sources::MAX_BYTES {
            return Err(io::Error::other(format!("the most is {} bytes", Sources::MAX_BYTES)));
        }
        utf8(bytes)
    };
    read().map_err(|error| unreadable(path, &error))
}

/// The text of a file, which messages call `name`, whatever the file is called.
pub(super) fn read_named(path: &Path, name: &Path) -> io::Result<String> {
    file(path).map_err(|error| unreadable(name, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot read {}: {error}", shown(path)))
}

/// The text of a file with rules, which is no policy.
///
/// # Errors
///
/// Also if a command that was to write it failed: that is [`Bad`].
pub(super) fn read_rules(path: &Path) -> io::Result<String> {
    let text = read_unpacked(path)?;
    if refusal(&text).is_none() {
        return Ok(text);
    }
    let parsed = compile(&name(path), &text, &NoIncludes, &Options::default());
    parsed.map_or_else(|failure| Err(io::Error::other(Bad(failure))), |_| Ok(text))
}

/// What is wrong with an input, as an error: a command that meets it ends as with a wrong policy.
#[derive(Debug)]
pub(super) struct Bad(pub(super) Failure);

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Failure { diagnostics, .. }) = self;
        diagnostics.iter().try_for_each(|found| write!(f, "{}", found.problem))
    }
}

impl std::error::Error for Bad {}

/// As [`read`], but too long a text is an error and not cut.
pub(super) fn read_whole(path: &Path) -> io::Result<String> {
    let text = read(path)?;
    if text.len() > Sources::MAX_BYTES {
        let (path, most) = (shown(path), Sources::MAX_BYTES);
        return Err(io::Error::other(format!("cannot read {path}: the most is {most} bytes")));
    }
    Ok(text)
}

fn file(path: &Path) -> io::Result<String> {
    text(open(path)?)
}

fn text(reader: impl Read) -> io::Result<String> {
    utf8(bytes(reader)?)
}

/// Never more than [`Sources::MAX_BYTES`] and a byte.
fn bytes(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(Sources::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn utf8(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let half = |at: usize| bytes.iter().skip(at).step_by(2).take(32).all(|byte| *byte == 0);
        let is_utf_16 = matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..])
            || bytes.len() > 3 && half(0) != half(1);
        if is_utf_16 {
            return io::Error::other("this is UTF-16: save it as UTF-8");
        }
        let before = &bytes[..at];
        let line = before.split(|byte| *byte == b'\n').count();
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        let byte = bytes.get(at).copied().unwrap_or_default();
        io::Error::other(format!(
            "the byte {byte:#04x} in line {line}, column {column} is not UTF-8: save it as UTF-8"
        ))
    })
}

/// Includes, from the file system. `-` is a file of that name.
#[derive(Args, Clone, Default)]
pub(super) struct Includes {
    /// Include only files below this folder.
    ///
    /// Without it, an `include` may name any file that the caller may read. For other people's policies, give
    /// the folder that is theirs. Symbolic links are followed, but cannot lead outside it.
    #[arg(long, value_name = "FOLDER")]
    include_root: Option<PathBuf>,
}

impl Loader for Includes {
    fn read(&self, path: &str) -> Result<String, String> {
        included(Path::new(path), self.include_root.as_deref())
    }
}

/// Includes below the root of a project, and none beyond it.
pub(super) struct FilesBelow<'a>(pub(super) &'a Path);

impl Loader for FilesBelow<'_> {
    fn read(&self, path: &str) -> Result<String, String> {
        included(&self.0.join(path), Some(self.0))
    }
}

/// The text of a regular file, which is below `root`.
fn included(path: &Path, root: Option<&Path>) -> Result<String, String> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        _ => error.to_string(),
    };
    let is_beyond = |root: &Path| Ok(!fs::canonicalize(path)?.starts_with(fs::canonicalize(root)?));
    if let Some(root) = root
        && is_beyond(root).map_err(failed)?
    {
        return Err(format!("it is not below `{}`, and nothing else is included", shown(root)));
    }
    // To open a pipe would wait for who writes to it.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err("it is no regular file".to_owned());
    }
    file(path).map_err(failed)
}
