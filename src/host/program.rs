//! Programs that are run: through pipes, without a shell and without files.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::thread;

use serde::{Deserialize, Serialize};

use super::lock::Lock;
use crate::diag::escape::on_one_line;

/// A program to run, and what it reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Program {
    /// Its name, which is looked for on the path.
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    pub(super) input: String,
}

impl Program {
    /// A program that reads nothing.
    pub(super) fn new(name: &str, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&it| it.to_owned()).collect();
        Self { name: name.to_owned(), arguments, input: String::new() }
    }

    /// The same, reading `input`.
    pub(super) fn reading(name: &str, arguments: &[&str], input: String) -> Self {
        Self { input, ..Self::new(name, arguments) }
    }

    /// What it prints; `None` if it is not installed.
    ///
    /// # Errors
    ///
    /// If it cannot be run, or fails: with what it says.
    pub(super) fn output(&self) -> io::Result<Option<String>> {
        self.output_to(Stdio::piped())
    }

    fn output_to(&self, stdout: Stdio) -> io::Result<Option<String>> {
        let name = &self.name;
        let mut command = Command::new(name);
        command.args(&self.arguments).stdout(stdout).stderr(Stdio::piped());
        command.stdin(if self.input.is_empty() { Stdio::null() } else { Stdio::piped() });
        lock_elsewhere(name, &mut command);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(io::Error::new(error.kind(), format!("cannot run {name}: {error}")));
            }
        };
        let stdin = child.stdin.take();
        let output = thread::scope(|scope| {
            // It may write before it has read everything. If it stops reading, it says why.
            scope.spawn(|| stdin.map(|mut stdin| stdin.write_all(self.input.as_bytes())));
            child.wait_with_output()
        })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
            let said = lines.next().map_or_else(|| output.status.to_string(), on_one_line);
            return Err(io::Error::other(format!("{name} says: {said}")));
        }
        let text = String::from_utf8(output.stdout);
        text.map(Some).map_err(|_| io::Error::other(format!("{name} prints no UTF-8")))
    }

    /// Runs it to see whether it succeeds.
    ///
    /// # Errors
    ///
    /// The same; also if it is not installed.
    pub(super) fn check(&self) -> io::Result<()> {
        self.output()?.map(drop).ok_or_else(|| self.absent())
    }

    /// Runs it to change something.
    ///
    /// # Errors
    ///
    /// The same; also if it is not installed.
    pub(super) fn change(&self, lock: &Lock) -> io::Result<()> {
        // It holds the lock, as a file that it does not know about: whoever started it may be killed, and what
        // it still changes must not meet the next change.
        let changed = self.output_to(Stdio::from(lock.share()?))?;
        changed.map(drop).ok_or_else(|| self.absent())
    }

    fn absent(&self) -> io::Error {
        io::Error::other(format!("{} is not installed", self.name))
    }
}

/// Where iptables-legacy keeps others out (iptables 1.8.6 and later).
const XTABLES_LOCK: &str = "/run/xtables.lock";

/// Lets iptables-legacy work where its lock cannot be made, as on a read-only file system: nobody there could
/// hold it either.
fn lock_elsewhere(name: &str, command: &mut Command) {
    if !name.contains("tables") || std::env::var_os("XTABLES_LOCKFILE").is_some() {
        return;
    }
    let mut open = std::fs::OpenOptions::new();
    if open.create(true).append(true).open(XTABLES_LOCK).is_err() {
        command.env("XTABLES_LOCKFILE", "/dev/null");
    }
}
