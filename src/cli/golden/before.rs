//! The goldens that there are: of the working tree, or of a revision of its repository.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::cli::files::shown;
use crate::diag::escape::on_one_line;
use crate::span::Sources;

/// Where goldens are read from, by their paths below the root.
pub(super) enum Before<'a> {
    /// The files below this folder.
    Files(&'a Path),
    /// A revision.
    Revision(Revision),
}

/// A commit of a repository, of which git is asked for the bytes of files. Nothing that the
/// repository configures is run for that: no filter, no hook, no conversion of text.
pub(super) struct Revision {
    root: PathBuf,
    /// The commit.
    commit: String,
    asked: Mutex<Asked>,
}

/// A git that answers.
struct Asked {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Before<'_> {
    /// The bytes of the file at `path`; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If it is no regular file, or has more bytes than any text of weir's.
    pub(super) fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Files(root) => {
                read_regular(&root.join(path)).map_err(|error| failed(path, &error))
            }
            Self::Revision(revision) => revision.read(path).map_err(|error| failed(path, &error)),
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot read {}: {error}", shown(path)))
}

fn read_regular(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::symlink_metadata(path) {
        Ok(known) if !known.is_file() => Err(io::Error::other("it is no regular file")),
        Ok(known) if known.len() > limit() => Err(too_long()),
        Ok(_) => fs::read(path).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Goldens may be longer than policies: JSON takes a line for each rule.
fn limit() -> u64 {
    16 * Sources::MAX_BYTES as u64
}

fn too_long() -> io::Error {
    io::Error::other(format!("the most is {} bytes", limit()))
}

impl Revision {
    /// The commit that `name` names in the repository at `root`.
    ///
    /// # Errors
    ///
    /// If there is none, and what to do about it.
    pub(super) fn open(root: &Path, name: &str) -> io::Result<Self> {
        if name.is_empty() || name.contains(char::is_control) || name.starts_with('-') {
            let name = on_one_line(name);
            return Err(io::Error::other(format!("`{name}` cannot be a revision")));
        }
        let known = ask(root, &["cat-file", "--batch-check"], &format!("{name}^{{commit}}\n"))?;
        let commit = known.split_once(" commit ").map(|(commit, _)| commit.to_owned());
        let is_id = |commit: &String| commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        let Some(commit) = commit.filter(is_id) else {
            return Err(unknown(root, name));
        };
        let mut child =
            git(root, &["cat-file", "--batch"]).spawn().map_err(|error| no_git(&error))?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("git has no standard streams"));
        };
        let asked = Asked { child, questions, answers: BufReader::new(answers) };
        Ok(Self { root: root.to_owned(), commit, asked: Mutex::new(asked) })
    }

    /// The paths of all files that are called `name`.
    pub(super) fn called(&self, name: &str) -> io::Result<Vec<PathBuf>> {
        let list = ["ls-tree", "-r", "-z", "--name-only", "--full-tree", &self.commit];
        let paths = ask(&self.root, &list, "")?;
        let called = paths.split('\0').map(PathBuf::from);
        Ok(called.filter(|path| path.file_name().is_some_and(|it| it == name)).collect())
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let path = path.to_str().filter(|path| !path.contains(['\n', '\0']));
        let Some(path) = path else {
            return Err(io::Error::other("its name is no plain text"));
        };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(asked.questions, "{}:{path}", self.commit)?;
        asked.questions.flush()?;
        let mut head = String::new();
        asked.answers.read_line(&mut head)?;
        if head.ends_with(" missing\n") {
            return Ok(None);
        }
        let size = match head.trim_end().rsplit(' ').collect::<Vec<_>>()[..] {
            [size, "blob", _] => size.parse::<u64>().ok(),
            _ => None,
        };
        let size = size.ok_or_else(|| io::Error::other("it is no regular file"))?;
        if size > limit() {
            return Err(too_long());
        }
        let mut bytes = Vec::new();
        asked.answers.by_ref().take(size).read_to_end(&mut bytes)?;
        let mut end = [0];
        asked.answers.read_exact(&mut end)?;
        Ok(Some(bytes))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // It waits for questions; nothing of it is wanted any longer.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What git prints when it is asked so.
fn ask(root: &Path, arguments: &[&str], question: &str) -> io::Result<String> {
    let mut child = git(root, arguments).spawn().map_err(|error| no_git(&error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // Git may end before it has read it, and says why.
        let _ = stdin.write_all(question.as_bytes());
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let place = shown(root);
    Err(io::Error::other(if said.contains("dubious ownership") {
        format!(
            "git reads no repository of another owner ({place} is one); if you trust it, write \
             `git config --global --add safe.directory '{place}'`"
        )
    } else {
        let first = on_one_line(said.lines().next().unwrap_or_default());
        format!("git cannot read the repository at {place}: {first}")
    }))
}

fn git(root: &Path, arguments: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(root).args(arguments);
    // A hook runs with the repository and the index of its own; the files are those of the root.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE"] {
        git.env_remove(variable);
    }
    for (variable, value) in [
        ("LC_ALL", "C"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        ("GIT_OPTIONAL_LOCKS", "0"),
    ] {
        git.env(variable, value);
    }
    git.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    git
}

fn no_git(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`--base` asks git, which cannot be run: {error}"))
}

/// Why there is no commit of that name.
fn unknown(root: &Path, name: &str) -> io::Error {
    let shallow = ask(root, &["rev-parse", "--is-shallow-repository"], "");
    if shallow.is_ok_and(|answer| answer.trim() == "true") {
        let branch = name.strip_prefix("origin/").unwrap_or(name);
        return io::Error::other(format!(
            "`{name}` is not in this clone, which is shallow: write `git fetch --unshallow`, or \
             `git fetch --depth=1 origin {branch}` and `--base FETCH_HEAD`; for actions/checkout, \
             `fetch-depth: 0`"
        ));
    }
    io::Error::other(format!("there is no revision `{name}`; `git fetch` may bring it"))
}
