//! A pod with its proxy, a peer, and packets that are really sent: to which socket each comes.
//!
//! ```text
//! pod 10.0.0.7 ──eth0── 10.0.0.9 peer, which has every other address, too
//!     10.5.0.7 ──NAME── 10.5.0.9
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::machine::inside;
use super::netns::Netns;

/// Where services listen, on both. A datagram to another port is answered by ICMP, which Linux limits.
pub(crate) const SERVICES: &[u16] = &[53, 80, 443];

/// Where the proxy's agent answers DNS.
const DNS: u16 = 15053;

/// The link that can be called otherwise, as it is called first.
const SECOND: &str = "net1";

/// First and last source port. Each is used once, and is what a packet is known by.
const SOURCE_PORTS: (u16, u16) = (20_000, 60_000);

/// The first packet of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    /// Whether the pod sends it, and not the peer.
    pub(crate) from_pod: bool,
    pub(crate) is_tcp: bool,
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// The address that it comes from; `None`: the one that the kernel picks.
    pub(crate) source: Option<IpAddr>,
    pub(crate) to: SocketAddr,
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from_pod, is_tcp, user, group, source, to } = self;
        let (from, protocol) =
            (if *from_pod { "pod" } else { "peer" }, if *is_tcp { "tcp" } else { "udp" });
        write!(f, "{protocol} of {from} from {source:?} to {to} user {user} group {group}")
    }
}

/// What became of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Landing {
    /// It came to a socket, of the pod or of the peer, at this address; of datagrams, the port is known alone.
    At { in_pod: bool, address: SocketAddr },
    /// It came where nobody listens.
    Refused,
    /// Nothing came back.
    Silent,
}

/// Who the proxy is, and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) user: u32,
    pub(crate) outbound_port: u16,
    pub(crate) inbound_port: u16,
    pub(crate) tunnel_port: u16,
}

pub(crate) struct Pod {
    pub(crate) netns: Netns,
    peer: Netns,
    /// What the second link is called.
    second: String,
    next_port: u16,
}

/// Sockets that wait for packets.
struct Listening {
    streams: Vec<(bool, Socket)>,
    datagrams: Vec<(bool, Socket)>,
}

impl Pod {
    pub(crate) fn new() -> Self {
        let [netns, peer] = [Netns::new(), Netns::new()];
        let pid = peer.pid();
        for (netns, script) in [
            (
                &netns,
                format!(
                    "ip link add eth0 type veth peer eth0 netns {pid}
                     ip link add {SECOND} type veth peer {SECOND} netns {pid}
                     ip addr add 10.0.0.7/24 dev eth0
                     ip addr add fd00::7/64 dev eth0 nodad
                     ip link set eth0 up"
                ),
            ),
            (
                &peer,
                format!(
                    "for net in 0 5; do
                       if [ $net = 0 ]; then link=eth0; else link={SECOND}; fi
                       ip addr add 10.$net.0.9/24 dev $link
                       ip addr add fd0$net::9/64 dev $link nodad
                       ip link set $link up
                     done
                     ip route add local 0.0.0.0/0 dev lo table main
                     ip -6 route add local ::/0 dev lo table main"
                ),
            ),
        ] {
            let sysctl = "for name in all default; do
                            echo 0 > /proc/sys/net/ipv4/conf/$name/rp_filter
                            echo 0 > /proc/sys/net/ipv6/conf/$name/accept_dad
                          done
                          echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start";
            let done = netns.run("sh", &["-s"], &format!("set -e\n{sysctl}\n{script}\n"));
            assert!(done.ok, "{}", done.err);
        }
        let mut pod = Self { netns, peer, second: SECOND.to_owned(), next_port: SOURCE_PORTS.0 };
        pod.set_up_second();
        let done = pod.netns.run(
            "sh",
            &["-ec", "ip route add default via 10.0.0.9; ip -6 route add default via fd00::9"],
            "",
        );
        assert!(done.ok, "{}", done.err);
        // The links take a moment.
        let to = ["10.0.0.9:80", "[fd00::9]:80", "10.5.0.9:80", "[fd05::9]:80"];
        let probes: Vec<_> = to.map(|to| Probe::of_pod(true, 1000, to.parse().unwrap())).into();
        let proxy =
            Proxy { user: 1337, outbound_port: 15001, inbound_port: 15006, tunnel_port: 15008 };
        let is_ready = |pod: &mut Self| {
            let landings = pod.send(&probes, &proxy, Duration::from_millis(100));
            landings.iter().all(|landing| matches!(landing, Landing::At { .. }))
        };
        assert!((0..50).any(|_| is_ready(&mut pod)), "the peer does not answer");
        pod
    }

    fn set_up_second(&self) {
        let name = &self.second;
        let script = format!(
            "ip addr replace 10.5.0.7/24 dev {name}
             ip addr replace fd05::7/64 dev {name} nodad
             ip link set {name} up"
        );
        let done = self.netns.run("sh", &["-ec", &script], "");
        assert!(done.ok, "{}", done.err);
    }

    /// Calls the second link otherwise.
    pub(crate) fn rename_second(&mut self, name: &str) {
        if self.second != name {
            self.netns.output("ip", &["link", "set", &self.second, "down"]);
            self.netns.output("ip", &["link", "set", &self.second, "name", name]);
            name.clone_into(&mut self.second);
            self.set_up_second();
        }
    }

    /// Whether there are source ports for so many packets.
    pub(crate) fn has_ports(&self, count: usize) -> bool {
        usize::from(SOURCE_PORTS.1 - self.next_port) > count
    }

    /// Sends all of them, and looks where they come. What is silent had so long to answer.
    pub(crate) fn send(
        &mut self,
        probes: &[Probe],
        proxy: &Proxy,
        patience: Duration,
    ) -> Vec<Landing> {
        let first = self.next_port;
        self.next_port += u16::try_from(probes.len()).unwrap();
        let listening = self.listen(proxy);
        let mut by_sender: BTreeMap<_, Vec<(usize, &Probe)>> = BTreeMap::new();
        for (at, probe) in probes.iter().enumerate() {
            by_sender
                .entry((probe.from_pod, probe.user, probe.group))
                .or_default()
                .push((at, probe));
        }
        let mut sockets: BTreeMap<usize, Socket> = BTreeMap::new();
        for ((from_pod, user, group), probes) in by_sender {
            let netns = if from_pod { &self.netns } else { &self.peer };
            sockets.extend(inside(netns, user, group, || {
                let open = |(at, probe): (usize, &Probe)| {
                    let port = first + u16::try_from(at).unwrap();
                    (at, probe.send(port))
                };
                probes.into_iter().map(open).collect::<Vec<_>>()
            }));
        }
        let mut landings: BTreeMap<usize, Landing> = BTreeMap::new();
        let mut accepted = Vec::new();
        let mut end = Instant::now() + patience;
        while landings.len() < probes.len() && Instant::now() < end {
            let known = landings.len();
            listening.take(first, &mut landings, &mut accepted);
            for (at, socket) in &sockets {
                let error = socket.take_error().unwrap();
                if error.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
                    landings.entry(*at).or_insert(Landing::Refused);
                }
            }
            if landings.len() > known {
                end = Instant::now() + patience;
            }
            thread::sleep(Duration::from_millis(1));
        }
        (0..probes.len()).map(|at| landings.remove(&at).unwrap_or(Landing::Silent)).collect()
    }

    fn listen(&self, proxy: &Proxy) -> Listening {
        let mut ports: Vec<u16> =
            [proxy.outbound_port, proxy.inbound_port, proxy.tunnel_port, DNS].into();
        ports.sort_unstable();
        ports.dedup();
        let services: Vec<u16> =
            SERVICES.iter().copied().filter(|port| !ports.contains(port)).collect();
        let mut all = Listening { streams: Vec::new(), datagrams: Vec::new() };
        for (in_pod, user, ports) in
            [(true, proxy.user, &ports[..]), (true, 0, &services), (false, 0, SERVICES)]
        {
            let netns = if in_pod { &self.netns } else { &self.peer };
            let (streams, datagrams) = inside(netns, user, user, || {
                let any = ["0.0.0.0", "::"];
                let streams = ports.iter().flat_map(|port| any.map(|at| (at, *port)));
                let streams = streams.map(|(at, port)| open(true, at, port));
                let datagrams = ports.iter().flat_map(|port| any.map(|at| (at, *port)));
                let datagrams = datagrams.map(|(at, port)| open(false, at, port));
                (streams.collect::<Vec<_>>(), datagrams.collect::<Vec<_>>())
            });
            all.streams.extend(streams.into_iter().map(|socket| (in_pod, socket)));
            all.datagrams.extend(datagrams.into_iter().map(|socket| (in_pod, socket)));
        }
        for (_, socket) in all.streams.iter().filter(|(in_pod, _)| *in_pod) {
            let at = local(socket);
            // TPROXY leads to none but these. It takes a capability that the proxy's user has in a pod.
            if at.port() == proxy.inbound_port {
                match at {
                    SocketAddr::V4(_) => socket.set_ip_transparent_v4(true).unwrap(),
                    SocketAddr::V6(_) => socket.set_ip_transparent_v6(true).unwrap(),
                }
            }
            socket.listen(1024).unwrap();
        }
        for (_, socket) in all.streams.iter().filter(|(in_pod, _)| !*in_pod) {
            socket.listen(1024).unwrap();
        }
        all
    }
}

impl Listening {
    /// Takes what has come by now from source ports behind `first`.
    fn take(
        &self,
        first: u16,
        landings: &mut BTreeMap<usize, Landing>,
        accepted: &mut Vec<Socket>,
    ) {
        let mut note = |from: SocketAddr, landing| {
            landings.insert(usize::from(from.port() - first), landing);
        };
        for (in_pod, socket) in &self.streams {
            while let Ok((stream, from)) = socket.accept() {
                let landing = Landing::At { in_pod: *in_pod, address: local(&stream) };
                note(from.as_socket().unwrap(), landing);
                accepted.push(stream);
            }
        }
        for (in_pod, socket) in &self.datagrams {
            let mut bytes = [std::mem::MaybeUninit::uninit(); 8];
            while let Ok((_, from)) = socket.recv_from(&mut bytes) {
                let landing = Landing::At { in_pod: *in_pod, address: local(socket) };
                note(from.as_socket().unwrap(), landing);
            }
        }
    }
}

impl Probe {
    /// One of the pod's.
    pub(crate) const fn of_pod(is_tcp: bool, user: u32, to: SocketAddr) -> Self {
        Self { from_pod: true, is_tcp, user, group: user, source: None, to }
    }

    /// Sends it from a port. Whether it gets anywhere is seen elsewhere.
    fn send(&self, port: u16) -> Socket {
        let any = if self.to.is_ipv4() { "0.0.0.0" } else { "::" };
        let source = self.source.map_or_else(|| any.to_owned(), |source| source.to_string());
        let socket = open(self.is_tcp, &source, port);
        let _ = socket.connect(&self.to.into());
        if !self.is_tcp {
            let _ = socket.send(b"?");
        }
        socket
    }
}

fn local(socket: &Socket) -> SocketAddr {
    socket.local_addr().unwrap().as_socket().unwrap()
}

/// A socket that does not wait.
fn open(is_tcp: bool, at: &str, port: u16) -> Socket {
    let at = SocketAddr::new(at.parse().unwrap(), port);
    let kind = if is_tcp { Type::STREAM } else { Type::DGRAM };
    let socket = Socket::new(Domain::for_address(at), kind, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    if is_tcp {
        // Connections of the run before may not be gone yet.
        socket.set_reuse_address(true).unwrap();
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
    if at.is_ipv6() {
        socket.set_only_v6(true).unwrap();
    }
    // A process that another test starts has the sockets of the run before, until it is another program.
    for _ in 0..500 {
        match socket.bind(&at.into()) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                thread::sleep(Duration::from_millis(10));
            }
            bound => {
                bound.unwrap_or_else(|error| panic!("{at}: {error}"));
                return socket;
            }
        }
    }
    panic!("{at} stays in use")
}
