//! Trying what is loaded: a connection from the passthrough address must come to the proxy's port, with the
//! destination that it had before.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::log::Log;
use crate::import::istio::Validation;
use crate::net::Family;

/// What a connection is given before it is tried again.
const PATIENCE: Duration = Duration::from_secs(1);

/// The loopback address of a family, and the one that the proxy's own connections to the workload come
/// from, to which a connection must be redirected.
const fn addresses(family: Family) -> [IpAddr; 2] {
    match family {
        Family::Ipv4 => [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 6))],
        Family::Ipv6 => {
            [IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6))]
        }
    }
}

/// Tries the rules of every family in turn, as upstream does of one
/// (`tools/istio-iptables/pkg/validation/validator.go`), with listeners on the proxy's `ports`.
///
/// # Errors
///
/// If no connection arrives as it should while there is time.
pub(super) fn run(
    families: impl Iterator<Item = Family>,
    ports: [u16; 2],
    validation: Validation,
    log: &mut Log,
) -> Result<(), String> {
    log.info(
        "Starting iptables validation. This check verifies that iptables rules are properly \
         established for the network.",
    );
    let end = Instant::now() + validation.timeout;
    for family in families {
        let [local, passthrough] = addresses(family);
        let listeners = listen(local, ports, log)?;
        let target = SocketAddr::new(passthrough, validation.port);
        while !try_once(&listeners, local, target, end, log) {
            if Instant::now() >= end {
                return Err(format!("validation timeout: {family}"));
            }
        }
    }
    log.info("Validation passed, iptables rules established");
    Ok(())
}

/// Listens on the ports that can be had.
fn listen(address: IpAddr, ports: [u16; 2], log: &mut Log) -> Result<Vec<Socket>, String> {
    let all = ports.map(|port| SocketAddr::new(address, port));
    let mut listeners = Vec::new();
    for at in all {
        log.info(&format!("Listening on {at}"));
        match listener(at) {
            Ok(listener) => listeners.push(listener),
            Err(error) => log.error(&format!("Error on listening: {error}")),
        }
    }
    if listeners.is_empty() {
        return Err(format!("no listener available: {},{}", all[0], all[1]));
    }
    Ok(listeners)
}

fn listener(at: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, None)?;
    // The proxy may be there already.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&at.into())?;
    socket.listen(16)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Connects from `local` to `target`, and looks for the connection on the listeners.
fn try_once(
    listeners: &[Socket],
    local: IpAddr,
    target: SocketAddr,
    end: Instant,
    log: &mut Log,
) -> bool {
    let end = end.min(Instant::now() + PATIENCE);
    let client = connect(local, target);
    if let Err(error) = &client {
        log.error(&format!("Error connecting to {target}: {error}"));
    }
    while Instant::now() < end {
        for listener in listeners {
            match listener.accept().and_then(|(stream, _)| original(&stream, target)) {
                Ok(original) if original == target => {
                    log.info(&format!("Original addr {}: {}", target.ip(), target.port()));
                    return true;
                }
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    log.error(&format!("Error getting original dst: {error}"));
                }
                // Nothing yet, or somebody else's.
                _ => {}
            }
        }
        thread::sleep(Duration::from_millis(2));
    }
    false
}

/// A connection that is not waited for.
fn connect(local: IpAddr, target: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(local, 0).into())?;
    socket.connect_timeout(&target.into(), PATIENCE)?;
    Ok(socket)
}

/// Where a connection went before it was redirected, which whoever made it is told, too.
fn original(stream: &Socket, target: SocketAddr) -> io::Result<SocketAddr> {
    let original = match target {
        SocketAddr::V4(_) => stream.original_dst_v4(),
        SocketAddr::V6(_) => stream.original_dst_v6(),
    }?;
    let original = original.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    let mut stream = TcpStream::from(stream.try_clone()?);
    // It is for people who try it by hand.
    let _ = stream.write_all(original.port().to_string().as_bytes());
    Ok(original)
}
