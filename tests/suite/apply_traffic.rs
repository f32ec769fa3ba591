//! Moving a running workload from iptables to nft, while traffic never stops.
//!
//! ```text
//! client ──▶ proxy, 15001   pod ──eth0──▶ outside   server, 80: nothing must get here
//!            proxy, 15006 ◀─────eth0──── outside    client of 8080, where nothing must get past the proxy
//! ```

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use socket2::{Domain, Protocol, Socket, Type};

use crate::apply::{DEFAULT, TPROXY, apply, is_loaded, load_upstream, saved};
use crate::common::netns::{self, Netns};

/// What a server says first: the proxy, and what is behind it.
const PROXY: u8 = b'p';
const PAST_IT: u8 = b'x';

/// As long as a packet that was lost may take to be sent again, some times over.
const PATIENCE: Duration = Duration::from_secs(15);

/// A pod, what is outside, and threads in both.
struct World {
    pod: Netns,
    outside: Netns,
    is_over: Arc<AtomicBool>,
    /// Connections that came to the proxy.
    captured: Arc<AtomicU32>,
}

impl World {
    fn new() -> Self {
        let (pod, outside) = (Netns::new(), Netns::new());
        let pid = outside.pid();
        pod.output("ip", &["link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", &pid]);
        for (netns, host) in [(&outside, 1), (&pod, 2)] {
            netns.output("ip", &["addr", "add", &format!("10.9.0.{host}/24"), "dev", "eth0"]);
            netns.output(
                "ip",
                &["addr", "add", &format!("fd09::{host}/64"), "dev", "eth0", "nodad"],
            );
            netns.output("ip", &["link", "set", "eth0", "up"]);
        }
        let (is_over, captured) = (Arc::default(), Arc::default());
        Self { pod, outside, is_over, captured }
    }

    /// Runs something in a namespace, until it is over.
    fn spawn<T: Send + 'static>(
        netns: &Netns,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let handle = std::fs::File::open(format!("/proc/{}/ns/net", netns.pid())).unwrap();
        thread::spawn(move || {
            move_into_link_name_space(handle.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            run()
        })
    }

    /// A server that says who it is, and then what it hears.
    fn serve(netns: &Netns, address: &str, who: u8) {
        let address: SocketAddr = address.parse().unwrap();
        let listener = Self::spawn(netns, move || {
            let domain = Domain::for_address(address);
            let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).unwrap();
            if address.is_ipv4() {
                socket.set_ip_transparent_v4(true).unwrap();
            } else {
                socket.set_only_v6(true).unwrap();
            }
            socket.set_reuse_address(true).unwrap();
            socket.bind(&address.into()).unwrap();
            socket.listen(1024).unwrap();
            TcpListener::from(socket)
        });
        let listener = listener.join().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || echo(stream, who));
            }
        });
    }

    /// Connects again and again, and to nobody but the proxy.
    fn connect(&self, netns: &Netns, address: &str) -> JoinHandle<()> {
        let address: SocketAddr = address.parse().unwrap();
        let (is_over, captured) = (Arc::clone(&self.is_over), Arc::clone(&self.captured));
        Self::spawn(netns, move || {
            while !is_over.load(Ordering::Relaxed) {
                let began = Instant::now();
                let answer =
                    TcpStream::connect_timeout(&address, PATIENCE).and_then(|mut stream| {
                        stream.set_read_timeout(Some(PATIENCE))?;
                        let mut who = [0];
                        stream.read_exact(&mut who).map(|()| who[0])
                    });
                assert_eq!(answer.ok(), Some(PROXY), "{address} after {:?}", began.elapsed());
                captured.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(2));
            }
        })
    }

    /// Uses one connection all the time.
    fn talk(&self, netns: &Netns, address: &str) -> JoinHandle<u32> {
        let address: SocketAddr = address.parse().unwrap();
        let is_over = Arc::clone(&self.is_over);
        Self::spawn(netns, move || {
            let mut stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut heard = [0];
            stream.read_exact(&mut heard).unwrap();
            assert_eq!(heard[0], PROXY);
            let mut count = 0;
            while !is_over.load(Ordering::Relaxed) {
                stream.write_all(b"?").unwrap();
                stream.read_exact(&mut heard).unwrap();
                count += 1;
                thread::sleep(Duration::from_millis(2));
            }
            count
        })
    }
}

fn echo(mut stream: TcpStream, who: u8) {
    let mut heard = [who];
    while stream.write_all(&heard).is_ok() {
        match stream.read(&mut heard) {
            Ok(0) => return,
            Err(error) if error.kind() != ErrorKind::Interrupted => return,
            _ => {}
        }
    }
}

#[test]
fn no_connection_is_lost_or_passes_by_while_a_workload_moves_to_nft() {
    let programs = ["iptables-legacy-save", "iptables-nft-save"];
    if !netns::available_to_root() || !netns::are_installed(&programs) {
        return;
    }
    for (variant, policy) in
        [("legacy", DEFAULT), ("nft", DEFAULT), ("legacy", TPROXY), ("nft", TPROXY)]
    {
        let world = World::new();
        load_upstream(&world.pod, policy, variant);
        for address in ["127.0.0.1:15001", "0.0.0.0:15006"] {
            World::serve(&world.pod, address, PROXY);
        }
        World::serve(&world.pod, "[::1]:15001", PROXY);
        World::serve(&world.pod, "0.0.0.0:8080", PAST_IT);
        for address in ["10.9.0.1:80", "[fd09::1]:80"] {
            World::serve(&world.outside, address, PAST_IT);
        }
        let mut clients = Vec::new();
        for (netns, address) in [
            (&world.pod, "10.9.0.1:80"),
            (&world.pod, "[fd09::1]:80"),
            (&world.outside, "10.9.0.2:8080"),
        ] {
            clients.push(world.connect(netns, address));
            clients.push(world.connect(netns, address));
        }
        let out = world.talk(&world.pod, "10.9.0.1:80");
        let into = world.talk(&world.outside, "10.9.0.2:8080");
        let wait_for = |count: u32| {
            let before = world.captured.load(Ordering::Relaxed);
            let end = Instant::now() + PATIENCE;
            while world.captured.load(Ordering::Relaxed) < before + count {
                assert!(Instant::now() < end, "{variant} {policy}: traffic stops");
                thread::sleep(Duration::from_millis(5));
            }
        };
        wait_for(100);
        apply(&world.pod, policy, &["--replace-istio"]);
        wait_for(100);
        world.is_over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap();
        }
        assert!(out.join().unwrap() > 10 && into.join().unwrap() > 10);
        assert_eq!(saved(&world.pod), [""; 0], "{variant} {policy}");
        is_loaded(&world.pod, policy);
    }
}
