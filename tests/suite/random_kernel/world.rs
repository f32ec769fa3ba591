//! A machine between two others, and packets that are really sent.
//!
//! ```text
//! client ──toc── host ──tos── server
//!                    ──alt──
//! ```
//!
//! A mark leads packets of the host over `alt`, or to the host itself.

use std::collections::BTreeMap;
use std::fmt;
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
pub(super) enum Place {
    Host,
    Client,
    Server,
}

/// The first packet of a connection.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) from: Place,
    pub(super) protocol: Protocol,
    pub(super) user: u32,
    pub(super) group: u32,
    /// The mark of the socket; 0 if another machine sends.
    pub(super) mark: u32,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) port: u16,
}

impl Probe {
    pub(super) const fn family(&self) -> Family {
        if self.source.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, protocol, user, group, mark, source, destination, port } = self;
        write!(
            f,
            "{protocol:?} of {from:?} from {source} to {destination} port {port} \
             user {user} group {group} mark {mark:#x}"
        )
    }
}

/// The ports of services, and those of proxies.
pub(super) const PORTS: [u16; 6] = [53, 80, 443, 8080, 15001, 15006];

/// The addresses of a place.
pub(super) const fn addresses(place: Place, family: Family) -> &'static [&'static str] {
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

/// A datagram that was received: who got it, and where it came from.
pub(super) type Received = (Place, SocketAddr, SocketAddr);

pub(super) struct World {
    pub(super) host: Netns,
    client: Netns,
    server: Netns,
    datagrams: Vec<(Place, SocketAddr, UdpSocket)>,
    listeners: Vec<Socket>,
    next_port: u16,
}

/// Runs `act` in a namespace as a user: what it opens belongs there and to them.
pub(super) fn inside<T: Send>(
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
    pub(super) fn new() -> Self {
        let [host, client, server] = [Netns::new(), Netns::new(), Netns::new()];
        let mut world = Self {
            host,
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
              echo 0 > /proc/sys/net/ipv4/conf/$name/rp_filter
              echo 1 > /proc/sys/net/ipv4/conf/$name/accept_local
              echo 0 > /proc/sys/net/ipv6/conf/$name/accept_dad
              echo 0 > /proc/sys/net/ipv6/conf/$name/accept_ra
            done
            echo 0 > /proc/sys/net/ipv4/conf/lo/rp_filter
        ";
        let mut scripts = [Place::Host, Place::Client, Place::Server]
            .map(|place| (place, format!("set -e\n{sysctl}\n")));
        let [(_, host), (_, client), (_, server)] = &mut scripts;
        *host += "echo 1 > /proc/sys/net/ipv4/ip_forward
                  echo 1 > /proc/sys/net/ipv6/conf/all/forwarding\n";
        for (link, net, peer) in LINKS {
            let pid = self.netns(peer).pid();
            *host += &format!(
                "ip link add {link} address 02:00:00:00:0{net}:01 type veth \
                 peer {link} address 02:00:00:00:0{net}:02 netns {pid}\n"
            );
            let far = if peer == Place::Client { &mut *client } else { &mut *server };
            for (script, near, other) in [(&mut *host, 1, 2), (far, 2, 1)] {
                *script += &format!(
                    "ip addr add 10.{net}.0.{near}/24 dev {link}
                     ip addr add fd0{net}::{near}/64 dev {link} nodad
                     ip link set {link} up
                     ip neigh add 10.{net}.0.{other} lladdr 02:00:00:00:0{net}:0{other} dev {link}
                     ip neigh add fd0{net}::{other} lladdr 02:00:00:00:0{net}:0{other} dev {link}\n"
                );
            }
        }
        *host += &format!(
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
        );
        *client += "ip route add default via 10.1.0.1\nip -6 route add default via fd01::1\n";
        *server += "ip addr add 192.0.2.8/32 dev lo
                    ip addr add 2001:db8::8/128 dev lo nodad
                    ip route add default via 10.2.0.1
                    ip -6 route add default via fd02::1\n";
        for (place, script) in scripts {
            let done = self.netns(place).run("sh", &["-s"], &script);
            assert!(done.ok, "{place:?}: {}", done.err);
        }
        // iptables' own tables stay from their first use on.
        for command in ["iptables-legacy", "ip6tables-legacy"] {
            for table in ["raw", "mangle", "nat", "filter"] {
                self.host.output(command, &["-t", table, "-S"]);
            }
        }
    }

    fn listen(&mut self, place: Place) {
        let made = inside(self.netns(place), 0, 0, || {
            let mut made = Vec::new();
            for family in Family::ALL {
                for address in addresses(place, family) {
                    let address: IpAddr = address.parse().unwrap();
                    for port in PORTS {
                        let at = SocketAddr::new(address, port);
                        let datagrams = open(at, Protocol::Udp);
                        let listener = open(at, Protocol::Tcp);
                        listener.listen(1024).unwrap();
                        made.push((at, datagrams, listener));
                    }
                }
            }
            made
        });
        for (at, datagrams, listener) in made {
            self.datagrams.push((place, at, datagrams.into()));
            self.listeners.push(listener);
        }
    }

    /// Whether there are source ports for so many packets.
    pub(super) fn has_ports(&self, count: usize) -> bool {
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
        for (port, probe, socket) in &sockets {
            if probe.mark != 0 {
                socket.set_mark(probe.mark).unwrap();
            }
            let to = SocketAddr::new(probe.destination, probe.port).into();
            // Whether it got anywhere is seen elsewhere.
            let _ = match probe.protocol {
                Protocol::Udp => socket.send_to(&port.to_be_bytes(), &to).map(|_| ()),
                Protocol::Tcp => socket.connect(&to),
            };
        }
        let sockets = sockets.into_iter().map(|(_, _, socket)| socket).collect();
        Sent { first, received: BTreeMap::new(), _sockets: sockets }
    }

    /// Takes what has arrived by now, until `count` datagrams have or it takes too long.
    pub(super) fn receive(&self, sent: &mut Sent, count: usize, patience: Duration) {
        let end = Instant::now() + patience;
        loop {
            for (place, at, socket) in &self.datagrams {
                let mut port = [0; 2];
                while let Ok((_, from)) = socket.recv_from(&mut port) {
                    let port = u16::from_be_bytes(port);
                    sent.received.entry(port).or_default().push((*place, *at, from));
                }
            }
            if sent.received.len() >= count || Instant::now() > end {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        for listener in &self.listeners {
            while let Ok((stream, _)) = listener.accept() {
                let _ = stream.set_linger(Some(Duration::ZERO));
            }
        }
    }
}

/// Packets under way.
pub(super) struct Sent {
    /// The source port of the first.
    pub(super) first: u16,
    /// Datagrams that arrived, by source port.
    pub(super) received: BTreeMap<u16, Vec<Received>>,
    _sockets: Vec<Socket>,
}

/// A socket that does not wait.
fn open(at: SocketAddr, protocol: Protocol) -> Socket {
    let kind = match protocol {
        Protocol::Tcp => Type::STREAM,
        Protocol::Udp => Type::DGRAM,
    };
    let socket = Socket::new(Domain::for_address(at), kind, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    if protocol == Protocol::Tcp {
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
    socket.bind(&at.into()).unwrap_or_else(|error| panic!("{at}: {error}"));
    socket
}
