//! A machine between two others, and packets that are really sent.
//!
//! ```text
//! client ──toc── host ──tos── server
//!                    ──alt──
//! ```
//!
//! A mark leads packets of the host over `alt`, or to the host itself.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use netweir::ir::Protocol;
use netweir::net::Family;
use rustix::thread::{
    Gid, LinkNameSpaceType, Uid, move_into_link_name_space, set_thread_gid, set_thread_groups,
    set_thread_uid,
};
use socket2::{Domain, Socket, Type};

use crate::common::netns::Netns;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Host,
    Client,
    Server,
}

/// The first packet of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) from: Place,
    pub(crate) protocol: Protocol,
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// The mark of the socket; 0 if another machine sends.
    pub(crate) mark: u32,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) port: u16,
    /// Whether the socket takes packets of its peer only, as a TCP socket does.
    pub(crate) is_connected: bool,
}

impl Probe {
    pub(crate) const fn family(&self) -> Family {
        if self.source.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, protocol, user, group, mark, source, destination, port, is_connected } =
            self;
        write!(
            f,
            "{protocol:?} of {from:?} from {source} to {destination} port {port} \
             user {user} group {group} mark {mark:#x} connected {is_connected}"
        )
    }
}

/// The ports of services, and those of proxies.
pub(crate) const PORTS: [u16; 6] = [53, 80, 443, 8080, 15001, 15006];

/// The addresses of a place.
pub(crate) const fn addresses(place: Place, family: Family) -> &'static [&'static str] {
    match (place, family) {
        (Place::Host, Family::Ipv4) => &["127.0.0.1", "10.1.0.1", "10.2.0.1", "10.3.0.1"],
        (Place::Host, Family::Ipv6) => &["::1", "fd01::1", "fd02::1", "fd03::1"],
        (Place::Client, Family::Ipv4) => &["10.1.0.2"],
        (Place::Client, Family::Ipv6) => &["fd01::2"],
        (Place::Server, Family::Ipv4) => &["10.2.0.2", "10.3.0.2", "192.0.2.8"],
        (Place::Server, Family::Ipv6) => &["fd02::2", "fd03::2", "2001:db8::8"],
    }
}

/// The place at the other end of an interface of the host.
pub(super) const LINKS: [(&str, u8, Place); 3] =
    [("toc", 1, Place::Client), ("tos", 2, Place::Server), ("alt", 3, Place::Server)];

/// Marks that lead over `alt`, and to the host itself, whatever the destination.
pub(super) const MARK_MASK: u32 = 3;
pub(super) const MARK_ALT: u32 = 1;
pub(super) const MARK_LOCAL: u32 = 2;

/// First and last source port. Each is used once, and is what a packet is known by.
const SOURCE_PORTS: (u16, u16) = (20_000, 60_000);

/// What Linux takes before it sends the first packet of a TCP connection again, less a little.
const RETRANSMISSION: Duration = Duration::from_millis(900);

/// A connection or a datagram that arrived: who got it, on which address, and where it came from.
pub(crate) type Received = (Place, SocketAddr, SocketAddr);

/// A port on which nobody listens.
pub(crate) const CLOSED: u16 = 9;

/// The port of a transparent proxy, which takes packets for every address.
pub(crate) const PROXY: u16 = 15_008;

/// The user and the group that listen on a port.
pub(super) const fn owner_of(port: u16) -> u32 {
    if port < 15_000 { 0 } else { 1337 }
}

pub(crate) struct World {
    pub(crate) host: Netns,
    /// Whether iptables' own tables are registered.
    pub(crate) has_legacy: bool,
    client: Netns,
    server: Netns,
    datagrams: Vec<(Place, SocketAddr, UdpSocket)>,
    listeners: Vec<(Place, SocketAddr, Socket)>,
    next_port: u16,
}

/// Runs `act` in a namespace as a user: what it opens belongs there and to them.
pub(crate) fn inside<T: Send>(
    netns: &Netns,
    user: u32,
    group: u32,
    act: impl FnOnce() -> T + Send,
) -> T {
    let path = format!("/proc/{}/ns/net", netns.pid());
    thread::scope(|scope| {
        let run = || {
            let file = std::fs::File::open(path).unwrap();
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), kind).unwrap();
            set_thread_groups(&[]).unwrap();
            set_thread_gid(Gid::from_raw(group)).unwrap();
            set_thread_uid(Uid::from_raw(user)).unwrap();
            act()
        };
        scope.spawn(run).join().unwrap()
    })
}

impl World {
    pub(crate) fn new() -> Self {
        let mut world = Self::without_legacy();
        // iptables' own tables stay from their first use on.
        for command in ["iptables-legacy", "ip6tables-legacy"] {
            for table in ["raw", "mangle", "nat", "filter"] {
                world.host.output(command, &["-t", table, "-S"]);
            }
        }
        world.has_legacy = true;
        world
    }

    /// One in which iptables' own tables are not registered yet.
    pub(crate) fn without_legacy() -> Self {
        let [host, client, server] = [Netns::new(), Netns::new(), Netns::new()];
        let mut world = Self {
            host,
            has_legacy: false,
            client,
            server,
            datagrams: Vec::new(),
            listeners: Vec::new(),
            next_port: SOURCE_PORTS.0,
        };
        world.connect();
        for place in [Place::Host, Place::Client, Place::Server] {
            world.listen(place);
        }
        world.listen_transparently();
        world
    }

    fn netns(&self, place: Place) -> &Netns {
        match place {
            Place::Host => &self.host,
            Place::Client => &self.client,
            Place::Server => &self.server,
        }
    }

    /// Makes links and routes. Neighbours are known, so that no rule can hide them.
    fn connect(&self) {
        let sysctl = "
            for name in all default; do
              echo 1 > /proc/sys/net/ipv4/conf/$name/route_localnet
              echo 0 > /proc/sys/net/ipv4/conf/$name/rp_filter
              echo 1 > /proc/sys/net/ipv4/conf/$name/accept_local
              echo 0 > /proc/sys/net/ipv6/conf/$name/accept_dad
              echo 0 > /proc/sys/net/ipv6/conf/$name/accept_ra
            done
            echo 0 > /proc/sys/net/ipv4/conf/lo/rp_filter
            echo 0 > /proc/sys/net/ipv4/tcp_synack_retries
        ";
        let mut scripts = [Place::Host, Place::Client, Place::Server]
            .map(|place| (place, format!("set -e\n{sysctl}\n")));
        let [(_, host), (_, client), (_, server)] = &mut scripts;
        *host += "echo 1 > /proc/sys/net/ipv4/ip_forward
                  echo 1 > /proc/sys/net/ipv6/conf/all/forwarding\n";
        for (link, net, peer) in LINKS {
            let pid = self.netns(peer).pid();
            writeln!(
                host,
                "ip link add {link} address 02:00:00:00:0{net}:01 type veth \
                 peer {link} address 02:00:00:00:0{net}:02 netns {pid}"
            )
            .unwrap();
            let far = if peer == Place::Client { &mut *client } else { &mut *server };
            let mac = format!("02:00:00:00:0{net}");
            for (script, near, other) in [(&mut *host, 1, 2), (far, 2, 1)] {
                write!(
                    script,
                    "ip addr add 10.{net}.0.{near}/24 dev {link}
                     ip addr add fd0{net}::{near}/64 dev {link} nodad
                     ip link set {link} up
                     ip neigh add 10.{net}.0.{other} lladdr {mac}:0{other} dev {link}
                     ip neigh add fd0{net}::{other} lladdr {mac}:0{other} dev {link}\n"
                )
                .unwrap();
            }
        }
        write!(
            host,
            "ip route add default via 10.2.0.2 dev tos
             ip -6 route add default via fd02::2 dev tos
             ip route add default via 10.3.0.2 dev alt table 101
             ip -6 route add default via fd03::2 dev alt table 101
             ip route add local default dev lo table 102
             ip -6 route add local default dev lo table 102
             for family in -4 -6; do
               ip $family rule add fwmark {MARK_ALT}/{MARK_MASK} lookup 101
               ip $family rule add fwmark {MARK_LOCAL}/{MARK_MASK} lookup 102
             done\n"
        )
        .unwrap();
        *client += "ip route add default via 10.1.0.1\nip -6 route add default via fd01::1\n";
        // Answers to a source that the host made up.
        *server += "ip neigh add 10.2.0.77 lladdr 02:00:00:00:02:01 dev tos
                    ip neigh add fd02::77 lladdr 02:00:00:00:02:01 dev tos
                    ip addr add 192.0.2.8/32 dev lo
                    ip addr add 2001:db8::8/128 dev lo nodad
                    ip route add default via 10.2.0.1
                    ip -6 route add default via fd02::1\n";
        for (place, script) in scripts {
            let done = self.netns(place).run("sh", &["-s"], &script);
            assert!(done.ok, "{place:?}: {}", done.err);
        }
    }

    fn listen(&mut self, place: Place) {
        for user in [owner_of(0), owner_of(u16::MAX)] {
            let ports: Vec<_> = PORTS.into_iter().filter(|port| owner_of(*port) == user).collect();
            let made = inside(self.netns(place), user, user, || {
                let all = Family::ALL.map(|family| addresses(place, family)).concat();
                let all = all.iter().flat_map(|address| {
                    let address: IpAddr = address.parse().unwrap();
                    ports.iter().map(move |port| SocketAddr::new(address, *port))
                });
                all.map(|at| (at, open(at, Protocol::Udp), open(at, Protocol::Tcp))).collect()
            });
            let made: Vec<(SocketAddr, Socket, Socket)> = made;
            for (at, datagrams, listener) in made {
                listener.listen(1024).unwrap();
                self.datagrams.push((place, at, datagrams.into()));
                self.listeners.push((place, at, listener));
            }
        }
    }

    fn listen_transparently(&mut self) {
        let user = owner_of(PROXY);
        let made = inside(&self.host, user, user, || {
            [(Family::Ipv4, "0.0.0.0"), (Family::Ipv6, "::")].map(|(family, any)| {
                let at = SocketAddr::new(any.parse().unwrap(), PROXY);
                (family, at, open(at, Protocol::Udp), open(at, Protocol::Tcp))
            })
        });
        for (family, at, datagrams, listener) in made {
            for socket in [&datagrams, &listener] {
                match family {
                    Family::Ipv4 => socket.set_ip_transparent_v4(true).unwrap(),
                    Family::Ipv6 => socket.set_ip_transparent_v6(true).unwrap(),
                }
            }
            listener.listen(1024).unwrap();
            self.datagrams.push((Place::Host, at, datagrams.into()));
            self.listeners.push((Place::Host, at, listener));
        }
    }

    /// Whether there are source ports for so many packets.
    pub(crate) fn has_ports(&self, count: usize) -> bool {
        usize::from(SOURCE_PORTS.1 - self.next_port) > count
    }

    /// Sends the first packets of connections. They are known by their source ports.
    pub(super) fn send(&mut self, probes: &[Probe]) -> Sent {
        let first = self.next_port;
        self.next_port += u16::try_from(probes.len()).unwrap();
        let mut by_sender: BTreeMap<_, Vec<(u16, &Probe)>> = BTreeMap::new();
        for (port, probe) in (first..).zip(probes) {
            let sender = (probe.from, probe.user, probe.group);
            by_sender.entry(sender).or_default().push((port, probe));
        }
        let mut sockets: Vec<(u16, &Probe, Socket)> = Vec::new();
        for ((place, user, group), probes) in by_sender {
            sockets.extend(inside(self.netns(place), user, group, || {
                let opened = probes.into_iter().map(|(port, probe)| {
                    (port, probe, open(SocketAddr::new(probe.source, port), probe.protocol))
                });
                opened.collect::<Vec<_>>()
            }));
        }
        sockets.sort_by_key(|(port, ..)| *port);
        let mut sent = Sent {
            first,
            at: Instant::now(),
            received: Default::default(),
            sockets: BTreeMap::new(),
            connecting: BTreeMap::new(),
            streams: Vec::new(),
        };
        for (port, probe, socket) in sockets {
            if probe.mark != 0 {
                socket.set_mark(probe.mark).unwrap();
            }
            let to = SocketAddr::new(probe.destination, probe.port);
            // Whether it gets anywhere is seen elsewhere.
            match probe.protocol {
                Protocol::Udp => {
                    let socket = UdpSocket::from(socket);
                    if probe.is_connected {
                        socket.connect(to).unwrap();
                    }
                    let _ = socket.send_to(&port.to_be_bytes(), to);
                    sent.sockets.insert(port, (probe.from, to, socket));
                }
                Protocol::Other(number) => unreachable!("no probe is of protocol {number}"),
                Protocol::Tcp => {
                    let _ = socket.connect(&to.into());
                    sent.connecting.insert(port, socket);
                }
            }
        }
        sent
    }

    /// Answers the datagrams that arrived.
    pub(super) fn reply(&self, sent: &Sent) {
        let sockets: BTreeMap<_, _> =
            self.datagrams.iter().map(|(place, at, socket)| ((*place, *at), socket)).collect();
        for (port, received) in &sent.received[0] {
            for (place, at, from) in received {
                // The proxy would have to answer as another.
                if at.ip().is_unspecified() {
                    continue;
                }
                let [high, low] = port.to_be_bytes();
                let _ = sockets[&(*place, *at)].send_to(&[high, low, 0], from);
            }
        }
    }

    /// Takes what has arrived by now, until the packets of a kind have come on `count` connections
    /// or it takes too long.
    pub(super) fn receive(&self, sent: &mut Sent, kind: usize, count: usize, patience: Duration) {
        let end = Instant::now() + patience;
        loop {
            self.take(sent);
            if sent.received[kind].len() >= count || Instant::now() > end {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn take(&self, sent: &mut Sent) {
        let Sent { received, sockets, streams, .. } = sent;
        let mut note = |kind: usize, port, what| received[kind].entry(port).or_default().push(what);
        let mut bytes = [0; 4];
        for (place, at, socket) in &self.datagrams {
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                let port = u16::from_be_bytes([bytes[0], bytes[1]]);
                note(length - 2, port, (*place, *at, from));
            }
        }
        for (place, at, listener) in &self.listeners {
            while let Ok((stream, from)) = listener.accept() {
                let _ = stream.set_linger(Some(Duration::ZERO));
                streams.push(stream);
                let from = from.as_socket().unwrap();
                note(2, from.port(), (*place, *at, from));
            }
        }
        for (port, (place, _, socket)) in sockets {
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                let at = socket.local_addr().unwrap();
                assert_eq!((length, &bytes[..2]), (3, &port.to_be_bytes()[..]));
                note(1, *port, (*place, at, from));
            }
        }
    }
}

/// Connections under way, known by their source ports.
pub(super) struct Sent {
    /// The source port of the first.
    pub(super) first: u16,
    /// What arrived of each: the first datagram, the answer, and the second datagram or the
    /// accepted connection.
    pub(super) received: [BTreeMap<u16, Vec<Received>>; 3],
    /// Who sends datagrams, and where to.
    sockets: BTreeMap<u16, (Place, SocketAddr, UdpSocket)>,
    /// When the first was sent.
    at: Instant,
    connecting: BTreeMap<u16, Socket>,
    /// Are open as long as somebody looks.
    streams: Vec<Socket>,
}

impl Sent {
    /// Ends the connections that are not made by now, before their first packet is sent again:
    /// the second one would meet what the first left. Whether that was in time.
    pub(super) fn give_up(&mut self) -> bool {
        let Self { connecting, received, .. } = self;
        connecting.retain(|port, _| received[2].contains_key(port));
        self.at.elapsed() < RETRANSMISSION
    }

    /// Sends a second datagram where the answer to the first came.
    pub(super) fn again(&self) {
        for port in self.received[1].keys() {
            let (_, to, socket) = &self.sockets[port];
            let [high, low] = port.to_be_bytes();
            let _ = socket.send_to(&[high, low, 0, 0], to);
        }
    }
}

/// A socket that does not wait.
fn open(at: SocketAddr, protocol: Protocol) -> Socket {
    let kind = match protocol {
        Protocol::Tcp => Type::STREAM,
        Protocol::Udp => Type::DGRAM,
        Protocol::Other(number) => unreachable!("no probe is of protocol {number}"),
    };
    let socket = Socket::new(Domain::for_address(at), kind, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    if protocol == Protocol::Tcp {
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
    if at.is_ipv6() {
        socket.set_only_v6(true).unwrap();
    }
    socket.bind(&at.into()).unwrap_or_else(|error| panic!("{at}: {error}"));
    socket
}
