//! `weir apply --confirm`: a change that goes away again unless somebody says that it is good.
//!
//! ```text
//! weir apply ──undo, time──▶ guard      it leaves the session, and holds the lock
//!            ◀────ready─────
//!            ───loaded──────▶           from here on, only time or a word ends it
//!            ───keep────────▶           Enter; or `weir apply --confirmed`, by a socket of the namespace
//!            ◀──kept, undone─
//! ```

use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;
use rustix::process::{geteuid, setsid};
use serde::{Deserialize, Serialize};

use crate::cli::Outcome;
use crate::host::{Lock, Namespace, Undo};

/// What the hidden command is called.
pub(in crate::cli) const GUARD: &str = "apply-guard";

/// The name of the socket on which a change is confirmed, without a file: it is the namespace's own.
const SOCKET: &str = "weir-confirm";

/// How long a program may still run whose caller was killed.
const LAST_BREATH: Duration = Duration::from_millis(500);

/// What the guard has to know.
#[derive(Serialize, Deserialize)]
struct Orders {
    undo: Undo,
    time: Duration,
}

/// A process that puts back what was there, unless it hears that it need not.
pub(super) struct Guard {
    stream: BufReader<UnixStream>,
    end: Duration,
}

/// How a change that waited was decided.
pub(super) enum Decided {
    /// It stays.
    Kept,
    /// What was there is back.
    Undone,
    /// Nobody waited here for it.
    Pending,
}

impl Guard {
    /// Starts it in the namespace that this thread is in. It holds the lock, too.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or another change waits to be confirmed.
    pub(super) fn start(undo: &Undo, time: Duration, lock: &Lock) -> io::Result<Self> {
        let (mut here, there) = UnixStream::pair()?;
        // This very program, also where its file was replaced meanwhile. A file that it need not know about
        // is passed on as its standard output: so the lock stays held.
        Command::new("/proc/self/exe")
            .arg(GUARD)
            .stdin(Stdio::from(OwnedFd::from(there)))
            .stdout(Stdio::from(lock.share()?))
            .stderr(Stdio::null())
            .spawn()?;
        let orders = serde_json::to_string(&Orders { undo: undo.clone(), time })?;
        here.write_all(format!("{orders}\n").as_bytes())?;
        let mut stream = BufReader::new(here);
        match &*word(&mut stream)? {
            "ready" => Ok(Self { stream, end: time }),
            other => Err(io::Error::other(match other {
                "" => "the process that would put back what was there does not start",
                _ => "another change waits to be confirmed",
            })),
        }
    }

    /// Says that the change failed, and that nothing is to be put back.
    pub(super) fn dismiss(mut self) {
        // If it is gone, it will do nothing.
        let _ = self.say("failed");
    }

    /// Says that the change is made, and waits for somebody to confirm it, if a person is there.
    pub(super) fn decided(mut self) -> io::Result<Decided> {
        self.say("loaded")?;
        let (stdin, stderr) = (io::stdin(), io::stderr());
        if !stdin.is_terminal() {
            return Ok(Decided::Pending);
        }
        let seconds = self.end.as_secs_f32();
        let _ = write!(&stderr, "press Enter within {seconds} s to keep this, or it is undone: ");
        let mut answer = self.stream.get_ref().try_clone()?;
        thread::spawn(move || {
            let mut line = String::new();
            // At an end of the file, nobody has pressed Enter.
            if stdin.lock().read_line(&mut line).is_ok_and(|count| count > 0) {
                let _ = answer.write_all(b"keep\n");
            }
        });
        let decided = match &*word(&mut self.stream)? {
            "kept" => Decided::Kept,
            "undone" => Decided::Undone,
            _ => return Err(io::Error::other("the process that waits for confirmation is gone")),
        };
        if matches!(decided, Decided::Undone) {
            let _ = writeln!(&stderr);
        }
        Ok(decided)
    }

    fn say(&mut self, word: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(format!("{word}\n").as_bytes())
    }
}

/// Confirms the change that waits for it in a namespace.
///
/// # Errors
///
/// If none does.
pub(super) fn confirm(namespace: &Namespace) -> io::Result<()> {
    namespace.enter(|| {
        let none = |_| {
            let name = namespace.name();
            io::Error::other(format!("no change waits in {name} to be confirmed"))
        };
        let stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(SOCKET)?);
        match word(&mut BufReader::new(stream.map_err(none)?)).as_deref() {
            Ok("kept") => Ok(()),
            _ => Err(io::Error::other("no change waits any longer that you may confirm")),
        }
    })?
}

/// The next line; empty at the end.
fn word(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// What the guard hears.
enum Heard {
    /// From whoever started it.
    Word(String),
    /// From somebody else, who is answered.
    Confirmed(UnixStream),
}

/// What the guard does, which `weir apply --confirm` starts.
pub(in crate::cli) fn wait() -> io::Result<Outcome> {
    // Who closes the terminal, or the connection to the machine, ends the session.
    setsid()?;
    let lock = Lock::shared(io::stdout().as_fd().try_clone_to_owned()?);
    let mut stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut input = BufReader::new(stream.try_clone()?);
    let mut orders = String::new();
    input.read_line(&mut orders)?;
    let Orders { undo, time } = serde_json::from_str(&orders)?;
    let mut say = |word: &str| {
        // Who started this may be gone.
        let _ = stream.write_all(format!("{word}\n").as_bytes());
    };
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(SOCKET)?);
    let Ok(listener) = listener else {
        say("busy");
        return Ok(Outcome::Bad);
    };
    say("ready");
    match &*word(&mut input)? {
        "loaded" => {}
        "failed" => return Ok(Outcome::Good),
        _ => {
            // It was killed in the middle.
            thread::sleep(LAST_BREATH);
            undo.run(&lock)?;
            return Ok(Outcome::Good);
        }
    }
    let end = Instant::now() + time;
    let (sender, heard) = mpsc::channel();
    let from_outside = sender.clone();
    thread::spawn(move || listen(&listener, &from_outside));
    thread::spawn(move || {
        while let Ok(word) = word(&mut input)
            && !word.is_empty()
            && sender.send(Heard::Word(word)).is_ok()
        {}
    });
    loop {
        match heard.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(Heard::Word(word)) if word != "keep" => {}
            Ok(Heard::Word(_)) => break say("kept"),
            Ok(Heard::Confirmed(mut by)) => {
                let _ = by.write_all(b"kept\n");
                break say("kept");
            }
            Err(_) => {
                undo.run(&lock)?;
                break say("undone");
            }
        }
    }
    Ok(Outcome::Good)
}

/// Hears who confirms, and may: the user that made the change, and root.
fn listen(listener: &UnixListener, heard: &Sender<Heard>) {
    for stream in listener.incoming().flatten() {
        let may = |user: rustix::process::Uid| user == geteuid() || user.is_root();
        if socket_peercred(&stream).is_ok_and(|who| may(who.uid)) {
            let _ = heard.send(Heard::Confirmed(stream));
        }
    }
}
