//! One change of a namespace at a time.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;

/// The name of the socket, without a file: it is the namespace's own, and goes with whoever holds it.
const NAME: &str = "weir-apply";

/// Held while a namespace is changed. Whoever is killed lets go of it.
#[derive(Debug)]
pub struct Lock {
    held: UnixListener,
}

impl Lock {
    /// Takes the lock of the namespace that this thread is in, or waits for who holds it, at most for
    /// `patience`.
    ///
    /// # Errors
    ///
    /// If that is over, with who holds it; or if sockets cannot be made.
    pub fn take(patience: Duration) -> io::Result<Self> {
        let address = SocketAddr::from_abstract_name(NAME)?;
        let end = Instant::now() + patience;
        loop {
            match UnixListener::bind_addr(&address) {
                Ok(held) => return Ok(Self { held }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
            // Nobody accepts, so that this ends when the holder does.
            let Ok(mut holder) = UnixStream::connect_addr(&address) else { continue };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::WouldBlock, held_by(&holder)));
            }
            holder.set_read_timeout(Some(left))?;
            // At an end, of the holder's or of the time, it is tried again.
            let _ = holder.read(&mut [0]);
        }
    }

    /// The lock that another process took, from a file of [`share`](Self::share).
    #[must_use]
    pub fn shared(file: OwnedFd) -> Self {
        Self { held: file.into() }
    }

    /// The lock as a file: as long as a process has it open, it holds the lock, too.
    ///
    /// # Errors
    ///
    /// If there are too many open files.
    pub fn share(&self) -> io::Result<OwnedFd> {
        self.held.as_fd().try_clone_to_owned()
    }
}

/// Who holds the lock.
fn held_by(holder: &UnixStream) -> String {
    socket_peercred(holder).map_or_else(
        |_| "another process changes the namespace".to_owned(),
        |who| {
            let (pid, uid) = (who.pid.as_raw_nonzero(), who.uid.as_raw());
            format!(
                "process {pid} of user {uid} changes the namespace, or its change waits for `weir apply \
                 --confirmed`"
            )
        },
    )
}
