//! Files in the place of others: each whole or not at all.
//!
//! A text goes to a temporary file beside the one that it is for, whose name that takes once the text is on the
//! disk. Permissions stay, and the owner where the caller may give files away; a symbolic link becomes a file,
//! and hard links keep the old text, as with `sed -i`. What is no regular file, and what a descriptor
//! leads to (`/dev/fd/3`), is opened as the kernel opens it, and gets the text behind what is there.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// What temporary files are called, and how many characters follow.
const TEMPORARY: &str = ".weir-";
const RANDOM: usize = 6;

/// Most files that wait for each other, where they need not.
const MOST_WAITING: usize = 64;

/// Most of them that are brought to the disk one by one, and not with all that waits for it.
const MOST_ALONE: usize = 4;

/// Whether a file of this name was to become another one.
fn is_temporary(name: &str) -> bool {
    name.strip_prefix(TEMPORARY).is_some_and(|rest| {
        rest.len() == RANDOM && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Texts that are written and do not have their names yet.
pub(super) struct Replacements {
    waiting: Vec<(NamedTempFile, PathBuf)>,
    folders: BTreeSet<PathBuf>,
    most: usize,
}

/// How a file is written.
enum How {
    /// Another takes its place, with what is known of it.
    Replaced(Option<Metadata>),
    /// It stays, and is opened.
    Opened,
}

impl Replacements {
    /// None yet, and never very many at once.
    pub(super) fn some_at_once() -> Self {
        Self { waiting: Vec::new(), folders: BTreeSet::new(), most: MOST_WAITING }
    }

    /// None yet, and all of them get their names together.
    pub(super) fn all_at_once() -> Self {
        Self { most: usize::MAX, ..Self::some_at_once() }
    }

    /// Writes a text that is to become the file at `path`, which it is after [`finish`](Self::finish) at
    /// the latest.
    ///
    /// # Errors
    ///
    /// If it cannot be written. What waits keeps its old text.
    pub(super) fn add(&mut self, path: &Path, text: &str) -> io::Result<()> {
        let known = match how(path)? {
            How::Replaced(known) => known,
            How::Opened => {
                return File::options().append(true).open(path)?.write_all(text.as_bytes());
            }
        };
        if self.waiting.len() == self.most {
            self.rename()?;
        }
        let folder = match path.parent() {
            Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
            Some(folder) => folder,
            None => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let file = written(folder, text, known.as_ref())?;
        if self.folders.insert(folder.to_owned()) {
            sweep(folder);
        }
        self.waiting.push((file, path.to_owned()));
        Ok(())
    }

    /// What waits: the file, and what it is called until then.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (&Path, &Path)> {
        self.waiting.iter().map(|(file, path)| (path.as_path(), file.path()))
    }

    /// Gives all files their names.
    ///
    /// # Errors
    ///
    /// If one does not get its name. Those behind it keep their old texts.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.rename()
    }

    fn rename(&mut self) -> io::Result<()> {
        if self.waiting.len() <= MOST_ALONE {
            self.waiting.iter().try_for_each(|(file, _)| file.as_file().sync_all())?;
        } else {
            self.folders.iter().try_for_each(|folder| synced_with_all(folder))?;
        }
        for (file, path) in self.waiting.drain(..) {
            file.persist(&path).map_err(|error| error.error)?;
        }
        for folder in std::mem::take(&mut self.folders) {
            // Who may write into a folder may still not be allowed to open it.
            if let Ok(folder) = File::open(&folder) {
                folder.sync_all()?;
            }
        }
        Ok(())
    }
}

fn how(path: &Path) -> io::Result<How> {
    let absent = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Ok(How::Replaced(None)),
        _ => Err(error),
    };
    let known = match fs::symlink_metadata(path) {
        Ok(known) => known,
        Err(error) => return absent(error),
    };
    if known.is_file() {
        return Ok(How::Replaced(Some(known)));
    }
    match fs::metadata(path) {
        Ok(known) if known.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(known) if known.is_file() && !is_descriptor(path) => Ok(How::Replaced(None)),
        Ok(_) => Ok(How::Opened),
        Err(error) => absent(error),
    }
}

/// Whether the kernel keeps the link at `path`, as it does `/dev/stdout` and `/proc/self/fd/1`.
fn is_descriptor(path: &Path) -> bool {
    let folder = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
    folder.is_some_and(|folder| ["/dev", "/proc"].iter().any(|kept| folder.starts_with(kept)))
}

/// A temporary file in `folder`, locked, that is as what is `known` of the one that it is to replace.
fn written(folder: &Path, text: &str, known: Option<&Metadata>) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY).rand_bytes(RANDOM);
    // The kernel takes the umask off, as for any new file.
    builder.permissions(fs::Permissions::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(|error| unnamed(&error))?;
    // Whoever sweeps leaves it alone then. Some file systems cannot lock, and nothing is swept there.
    let _ = file.as_file().try_lock();
    file.write_all(text.as_bytes())?;
    if let Some(known) = known {
        let own = file.as_file().metadata()?;
        if (own.uid(), own.gid()) != (known.uid(), known.gid()) {
            // Only root may, and the file is the caller's then.
            let _ = fchown(file.as_file(), Some(known.uid()), Some(known.gid()));
        }
        file.as_file().set_permissions(known.permissions())?;
    }
    Ok(file)
}

/// The error without the temporary file, which nobody asked for.
fn unnamed(error: &io::Error) -> io::Error {
    let inner = error.get_ref().and_then(std::error::Error::source);
    let number = inner.and_then(|inner| inner.downcast_ref::<io::Error>()?.raw_os_error());
    number.map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// Removes what runs of the same user that were stopped have left in `folder`: what no run has locked.
pub(super) fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let user = rustix::process::geteuid().as_raw();
    let is_left = |entry: &fs::DirEntry| {
        entry.file_name().to_str().is_some_and(is_temporary)
            && entry.metadata().is_ok_and(|known| known.is_file() && known.uid() == user)
    };
    for entry in entries.flatten().filter(is_left) {
        if File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            // It may be gone by now, which is as well.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Brings all that waits for the disk of a folder there.
fn synced_with_all(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(folder)?)?)
}
