//! Packets that are really sent land where `semantics::run` says.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Child;
use std::thread;
use std::time::Duration;

use netweir::ir::Ruleset;
use netweir::lower::lower;
use netweir::net::Family;
use netweir::semantics::{Packet, Translation, Verdict, run};
use netweir::syntax::NoIncludes;
use netweir::{Options, View, compile};

use crate::common::netns::{self, Netns};

/// Where services listen, in every namespace.
const SERVICES: &[u16] = &[53, 80, 5432, 8080, 9090, 15020];

/// Where proxies listen, in every namespace.
const PROXY: &[u16] = &[15001, 15006, 15008, 15053];

const PATIENCE: Duration = Duration::from_millis(400);

/// Answers on every port of the proxy, or of services, over TCP and UDP, with the number of the
/// port. Ends when its standard input does, with its parent.
pub(crate) fn serve(is_proxy: bool) -> String {
    for &port in if is_proxy { PROXY } else { SERVICES } {
        let listener = TcpListener::bind(("::", port)).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = stream.and_then(|mut stream| stream.write_all(port.to_string().as_bytes()));
            }
        });
        // A datagram that was redirected must be answered from where it was redirected to, so the
        // agent that answers DNS binds loopback addresses.
        for address in if is_proxy { &["127.0.0.1", "::1"][..] } else { &["::"] } {
            let socket = UdpSocket::bind((*address, port)).unwrap();
            thread::spawn(move || {
                while let Ok((_, from)) = socket.recv_from(&mut [0; 8]) {
                    let _ = socket.send_to(port.to_string().as_bytes(), from);
                }
            });
        }
    }
    println!("serving");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    "ended".to_owned()
}

/// Which port answers.
pub(crate) fn ask_tcp(address: SocketAddr) -> String {
    let mut said = String::new();
    match TcpStream::connect_timeout(&address, PATIENCE) {
        Ok(mut stream) => stream.read_to_string(&mut said).map_or("reset".to_owned(), |_| said),
        Err(_) => "silent".to_owned(),
    }
}

/// Which port answers.
pub(crate) fn ask_udp(address: SocketAddr) -> String {
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(address).unwrap();
    let mut said = [0; 8];
    let answer = socket.send(b"?").and_then(|_| socket.recv(&mut said));
    answer.map_or("silent".to_owned(), |count| String::from_utf8_lossy(&said[..count]).into_owned())
}

/// A workload and a peer with a link between them, and servers on both.
struct World {
    pod: Netns,
    peer: Netns,
    servers: Vec<Child>,
}

impl World {
    fn new() -> Self {
        let [pod, peer] = [Netns::new(), Netns::new()];
        let pid = peer.pid();
        pod.output("ip", &["link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", &pid]);
        for (netns, host) in [(&pod, 7), (&peer, 9)] {
            for address in [format!("10.0.0.{host}/24"), format!("fd00::{host}/64")] {
                let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
                netns.output("ip", &[&["addr", "add", &address, "dev", "eth0"], nodad].concat());
            }
            netns.output("ip", &["link", "set", "eth0", "up"]);
        }
        let mut world = Self { pod, peer, servers: Vec::new() };
        for netns in [&world.pod, &world.peer] {
            // The rules tell the proxy's answers by its user.
            for mut command in [netns.probe(0, "serve [::]:0"), netns.probe(1337, "serve [::]:1")] {
                let server = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
                world.servers.push(server);
            }
        }
        // The link may take a moment, and so may the servers.
        let ready = |_| {
            thread::sleep(Duration::from_millis(50));
            let all = ["10.0.0.9:80", "[fd00::9]:80", "10.0.0.7:15001", "[::1]:15053"];
            all.map(|to| world.ask(true, 0, 0, "tcp", to)) == ["80", "80", "15001", "15053"]
        };
        assert!((0..100).any(ready), "the servers do not answer");
        world
    }

    fn ask(&self, from_pod: bool, user: u32, group: u32, protocol: &str, to: &str) -> String {
        let netns = if from_pod { &self.pod } else { &self.peer };
        let task = format!("ask-{protocol} {to}");
        netns::answer(netns.probe_as(user, group, &task).spawn().unwrap())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for server in &mut self.servers {
            drop(server.stdin.take());
            let _ = server.wait();
        }
    }
}

/// Which port answers a connection whose first packet is `packet`, by the rules: the one that it
/// goes to, unless a rule changes that or drops it. What leaves over loopback arrives again.
fn predicted(ruleset: &Ruleset, packet: &Packet) -> String {
    let outcome = run(ruleset, packet).outcome;
    let loopback = match packet.family() {
        Family::Ipv4 => Ipv4Addr::LOCALHOST.into(),
        Family::Ipv6 => Ipv6Addr::LOCALHOST.into(),
    };
    let (destination, port) = match outcome.translation {
        Some(Translation::Redirect { port }) => (loopback, port),
        _ => (packet.destination, packet.destination_port),
    };
    let mut verdict = outcome.verdict;
    if packet.output.as_deref() == Some("lo") && verdict == Verdict::Accept {
        let arrives = Packet {
            hook: netweir::ir::Hook::Prerouting,
            input: packet.output.clone(),
            output: None,
            sender: netweir::semantics::Sender::Nobody,
            destination,
            destination_port: port,
            mark: outcome.mark,
            connmark: outcome.connmark,
            ..packet.clone()
        };
        // Its connection has been through a nat chain, so no other one sees it.
        verdict = run(ruleset, &arrives).outcome.verdict;
    }
    if verdict == Verdict::Drop { "silent".to_owned() } else { port.to_string() }
}

#[test]
fn packets_land_where_run_says() {
    if !netns::available_to_root() {
        return;
    }
    let world = World::new();
    let mut sent = 0;
    for text in [
        "sidecar a { inbound { exclude port 9090, 15020 } }",
        "sidecar a { outbound { exclude to 10.0.0.9, fd00::9; exclude port 5432 }; dns { capture * } }",
        "sidecar a { outbound { capture group 202; capture to none; capture port 80 }; dns { capture 10.0.0.9 } }",
        "sidecar a { mode tproxy; inbound { exclude port 9090 } }",
        "sidecar a { family ipv4; proxy { user 1337, 1338; group none }; inbound { capture port 80 } }",
    ] {
        let compilation = compile("a.weir", text, &NoIncludes, &Options::default()).unwrap();
        let policy = &compilation.policies[0];
        let ruleset = lower(policy).ruleset;
        world.pod.flush();
        world.pod.load(&compilation.emit(policy, View::Nft).unwrap());
        for (family, pod, peer, loopback) in [
            (Family::Ipv4, "10.0.0.7", "10.0.0.9", "127.0.0.1"),
            (Family::Ipv6, "[fd00::7]", "[fd00::9]", "[::1]"),
        ] {
            let bare = |address: &str| address.trim_matches(['[', ']']).to_owned();
            for protocol in ["tcp", "udp"] {
                for (user, group) in [(1000, 1000), (1337, 1337), (1338, 202), (0, 1337)] {
                    for (to, from, out, port) in [
                        (peer, pod, "eth0", 80),
                        (peer, pod, "eth0", 53),
                        (peer, pod, "eth0", 5432),
                        (pod, pod, "lo", 8080),
                        (loopback, loopback, "lo", 8080),
                        (loopback, loopback, "lo", 53),
                    ] {
                        let packet = format!(
                            "outbound {protocol} from {} to {to}:{port} user {user} group {group} \
                             out {out} no-listener 15006",
                            bare(from)
                        );
                        let expected = predicted(&ruleset, &packet.parse().unwrap());
                        let to = format!("{to}:{port}");
                        let said = world.ask(true, user, group, protocol, &to);
                        assert_eq!(said, expected, "{text}: {packet}");
                        sent += 1;
                    }
                }
                // The tunnel is TCP.
                let ports = [80, 8080, 9090, 15020, 15008];
                for port in &ports[..if protocol == "tcp" { 5 } else { 4 }] {
                    let packet = format!(
                        "inbound {protocol} from {} to {pod}:{port} in eth0 no-listener 15006",
                        bare(peer)
                    );
                    let expected = predicted(&ruleset, &packet.parse().unwrap());
                    let said = world.ask(false, 0, 0, protocol, &format!("{pod}:{port}"));
                    assert_eq!(said, expected, "{family} {text}: {packet}");
                    sent += 1;
                }
            }
        }
    }
    assert!(sent > 500, "{sent}");
}
