//! Random policies, as `check` makes them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netweir::Options;
use netweir::net::{Families, Family, Interface, Mark, Name, OnMiss, PerFamily, PortRange};
use netweir::policy::appmesh::{self, AppMesh};
use netweir::policy::consul::{self, Consul, UserRange};
use netweir::policy::linkerd::{self, Linkerd};
use netweir::policy::osm::{self, LocalMode, Osm};
use netweir::policy::{
    AmbientHost, AmbientPod, AmbientProxy, Dns, Expectation, Expected, Groups, HostProbe, Inbound,
    Interfaces, Kind, Mode, Outbound, PodRoute, Policy, ProbeOwner, Proxy, Selection, Setting,
    Sidecar, Tproxy, Transport, Unchecked, Way,
};
use proptest::prelude::*;
use proptest::{collection::vec, option, strategy::Union};

/// What a clause or a policy says, field by field. It may get fields that are not named here, for which reason it is
/// no expression of Rust's.
macro_rules! with {
    ($type:path { $($field:ident $(: $value:expr)?),* $(,)? }) => {{
        let mut it = <$type>::default();
        $(it.$field = with!(@ $field $($value)?);)*
        it
    }};
    (@ $field:ident) => { $field };
    (@ $field:ident $value:expr) => { $value };
}

/// Any policy.
pub(crate) fn policies() -> impl Strategy<Value = Policy> {
    let kind = prop_oneof![
        4 => sidecars().prop_map(|sidecar| Kind::Sidecar(Box::new(sidecar))),
        1 => ambient_pods().prop_map(|pod| Kind::AmbientPod(Box::new(pod))),
        1 => ambient_hosts().prop_map(|host| Kind::AmbientHost(Box::new(host))),
        1 => consuls().prop_map(Kind::from),
        1 => linkerds().prop_map(Kind::from),
        1 => osms().prop_map(Kind::from),
        1 => appmeshes().prop_map(Kind::from),
    ];
    (names(), kind, vec(expectations(), 0..3)).prop_map(|(name, kind, mut expectations)| {
        // They hold in any order, and are printed in one.
        expectations.sort_by_key(Expectation::words);
        let mut policy = Unchecked::of(name, kind);
        policy.expectations = expectations.into_iter().map(set).collect();
        // Hardly any expectation holds.
        let options = Options { verify: false, ..Options::default() };
        policy.compile(&options).expect("the language can say it").policies.remove(0)
    })
}

/// Any expectation, of which hardly any holds.
fn expectations() -> impl Strategy<Value = Expectation> {
    let becomes = prop_oneof![
        Just(Expected::Untouched),
        Just(Expected::Dropped),
        (1_u16..).prop_map(Expected::Proxy),
        (address(), option::of(1_u16..)).prop_map(|(to, port)| Expected::To(to, port)),
    ];
    let protocol = prop::sample::select(vec![None, Some(Transport::Tcp), Some(Transport::Udp)]);
    let ids = || vec(owner(), 0..3);
    let lists = (vec(net(), 0..3), vec(net(), 0..3), ports(), vec(interface(), 0..2));
    let becomes = (any::<bool>(), becomes);
    (any::<bool>(), protocol, lists, ids(), ids(), becomes).prop_map(
        |(is_inbound, protocol, (from, to, ports, interfaces), users, groups, (not, becomes))| {
            let way = if is_inbound { Way::Inbound } else { Way::Outbound };
            let sent = |ids| if is_inbound { Vec::new() } else { ids };
            let (users, groups) = (sent(users), sent(groups));
            let mut expectation = Expectation::of(way, becomes);
            (expectation.protocol, expectation.ports, expectation.not) = (protocol, ports, not);
            (expectation.from, expectation.to) = (from, to);
            (expectation.users, expectation.groups) = (users, groups);
            expectation.interfaces = interfaces;
            expectation
        },
    )
}

/// Any sidecar.
pub(crate) fn sidecars() -> impl Strategy<Value = Sidecar> {
    (families(), modes(), proxies(), inbounds(), outbounds(), dns(), interfaces(), any::<bool>())
        .prop_map(|(families, mode, proxy, inbound, outbound, dns, interfaces, drop_invalid)| {
            let mut sidecar = with!(Sidecar {
                families: set(families),
                mode: set(mode),
                proxy,
                inbound,
                outbound,
                dns: set(dns),
                interfaces,
                drop_invalid: set(drop_invalid),
            });
            govern(&mut sidecar, families);
            sidecar
        })
}

/// Any ambient pod.
pub(crate) fn ambient_pods() -> impl Strategy<Value = AmbientPod> {
    let proxy = (marks(), marks(), port(), port(), port()).prop_map(
        |(mark, connmark, outbound, inbound, tunnel)| {
            with!(AmbientProxy {
                mark: set(mark),
                connmark: set(connmark),
                outbound_port: set(outbound),
                inbound_port: set(inbound),
                tunnel_port: set(tunnel),
            })
        },
    );
    let route = (tables(), 1_u32..)
        .prop_map(|(table, priority)| PodRoute { table: set(table), priority: set(priority) });
    let dns = option::of(port());
    let reroute = vec(interface(), 0..3);
    (families(), proxy, addresses(), dns, any::<bool>(), reroute, route).prop_map(
        |(families, proxy, probe_from, dns, capture_inbound, reroute, route)| {
            with!(AmbientPod {
                families: set(families),
                proxy,
                probe_from: set(of(families, probe_from, *AmbientPod::default().probe_from)),
                dns: set(dns),
                capture_inbound: set(capture_inbound),
                reroute: set(reroute),
                route,
            })
        },
    )
}

/// Any ambient host.
pub(crate) fn ambient_hosts() -> impl Strategy<Value = AmbientHost> {
    let owner = prop_oneof![Just(ProbeOwner::Any), owner().prop_map(ProbeOwner::User)];
    (families(), addresses(), owner, names()).prop_map(|(families, from, owner, pods)| {
        with!(AmbientHost {
            families: set(families),
            probe: HostProbe {
                from: set(of(families, from, *AmbientHost::default().probe.from)),
                owner: set(owner),
                pods: set(pods),
            },
        })
    })
}

/// Any policy for Consul.
pub(crate) fn consuls() -> impl Strategy<Value = Consul> {
    let users = vec((owner(), 0_u32..2000), 0..3).prop_map(|users| {
        let range = |(first, more): (u32, u32)| {
            UserRange::new(first, first.saturating_add(more).min(u32::MAX - 1)).unwrap()
        };
        users.into_iter().map(range).collect::<Vec<_>>()
    });
    let proxy = (owner(), port(), port()).prop_map(|(user, inbound, outbound)| {
        with!(consul::Proxy {
            user: set(user),
            inbound_port: set(inbound),
            outbound_port: set(outbound),
        })
    });
    let dns = option::of((address(), option::of(1_u16..)));
    (any::<bool>(), proxy, dns, (ports(), ports()), vec(net(), 0..4), users).prop_map(
        |(is_dual, proxy, dns, (inbound, outbound), mut exclude_to, users)| {
            let families = if is_dual { Families::Both } else { Families::Ipv4 };
            exclude_to.retain(|net| is_dual || net.addr().is_ipv4());
            // In dual stack, Consul takes an IPv6 address for DNS, otherwise one of IPv4.
            let dns = dns.filter(|(to, _)| to.is_ipv6() == is_dual);
            with!(Consul {
                families: set(families),
                proxy,
                dns: set(dns.map(|(to, port)| consul::Dns { to, port })),
                inbound: with!(consul::Inbound { exclude_ports: set(inbound) }),
                outbound: with!(consul::Outbound {
                    exclude_ports: set(outbound),
                    exclude_to: set(exclude_to),
                    exclude_users: set(users),
                }),
            })
        },
    )
}

/// Any policy for Linkerd.
pub(crate) fn linkerds() -> impl Strategy<Value = Linkerd> {
    let id = || option::of(often(&[2102], 1..u32::MAX));
    let proxy = (id(), id(), port(), port()).prop_map(|(user, group, inbound, outbound)| {
        with!(linkerd::Proxy {
            user: set(user),
            group: set(group),
            inbound_port: set(inbound),
            outbound_port: set(outbound),
        })
    });
    (any::<bool>(), proxy, inbounds(), vec(net(), 0..3), ports()).prop_map(
        |(is_dual, proxy, Inbound { capture_ports, exclude_ports, .. }, mut sources, ports)| {
            // Linkerd captures something inbound, and tells sources apart without IPv6 only.
            let capture_ports =
                if capture_ports.is_none() { set(Selection::All) } else { capture_ports };
            sources.retain(|net| !is_dual && net.addr().is_ipv4());
            with!(Linkerd {
                families: set(if is_dual { Families::Both } else { Families::Ipv4 }),
                proxy,
                inbound: with!(linkerd::Inbound {
                    capture_ports,
                    exclude_ports,
                    exclude_from: set(sources),
                }),
                outbound: with!(linkerd::Outbound { exclude_ports: set(ports) }),
            })
        },
    )
}

/// Any policy for Open Service Mesh.
pub(crate) fn osms() -> impl Strategy<Value = Osm> {
    let mode = prop_oneof![
        Just(LocalMode::Localhost),
        (1..u32::MAX).prop_map(|address| LocalMode::PodIp(address.into())),
    ];
    let proxy = (owner(), port(), port(), mode).prop_map(|(user, inbound, outbound, mode)| {
        with!(osm::Proxy {
            user: set(user),
            inbound_port: set(inbound),
            outbound_port: set(outbound),
            local_mode: set(mode),
        })
    });
    // Both directions have a rule for few ports only.
    let few = || vec((1_u16..).prop_map(PortRange::one), 0..5);
    let nets = || {
        vec(net(), 0..4).prop_map(|nets| -> Vec<Ipv4Net> {
            let ipv4 = |net| if let IpNet::V4(net) = net { Some(net) } else { None };
            nets.into_iter().filter_map(ipv4).collect()
        })
    };
    (proxy, few(), nets(), nets(), few(), vec(interface(), 0..3)).prop_map(
        |(proxy, inbound, capture, exclude_to, outbound, interfaces)| {
            with!(Osm {
                proxy,
                inbound: with!(osm::Inbound { exclude_ports: set(inbound) }),
                outbound: with!(osm::Outbound {
                    capture_to: set(if capture.is_empty() {
                        Selection::All
                    } else {
                        Selection::Only(capture)
                    }),
                    exclude_to: set(exclude_to),
                    exclude_ports: set(outbound),
                }),
                exclude_interfaces: set(interfaces),
            })
        },
    )
}

/// Any policy for App Mesh.
pub(crate) fn appmeshes() -> impl Strategy<Value = AppMesh> {
    let id = || option::of(often(&[1337], 0..u32::MAX));
    let proxy = (id(), id(), port(), port()).prop_map(|(user, group, inbound, outbound)| {
        with!(appmesh::Proxy {
            // The script wants one of them.
            user: set(user.or(group.is_none().then_some(1337))),
            group: set(group),
            inbound_port: set(inbound),
            outbound_port: set(outbound),
        })
    });
    let few = vec((0_u16..).prop_map(PortRange::one), 0..5);
    (any::<bool>(), proxy, few, ports(), vec(net(), 0..4)).prop_map(
        |(is_dual, proxy, captured, excluded, mut exclude_to)| {
            exclude_to.retain(|net| is_dual || net.addr().is_ipv4());
            with!(AppMesh {
                families: set(if is_dual { Families::Both } else { Families::Ipv4 }),
                proxy,
                inbound: with!(appmesh::Inbound { capture_ports: set(captured) }),
                outbound: with!(appmesh::Outbound {
                    exclude_ports: set(excluded),
                    exclude_to: set(exclude_to),
                }),
            })
        },
    )
}

fn set<T>(value: T) -> Setting<T> {
    Setting::default_to(value)
}

/// Some values out of a few that meet often, and some out of all.
fn often<T: Clone + std::fmt::Debug + 'static>(
    few: &[T],
    all: impl Strategy<Value = T> + 'static,
) -> Union<BoxedStrategy<T>> {
    Union::new([proptest::sample::select(few.to_vec()).boxed(), all.boxed()])
}

fn families() -> impl Strategy<Value = Families> {
    prop_oneof![4 => Just(Families::Both), 1 => Just(Families::Ipv4), 1 => Just(Families::Ipv6)]
}

fn modes() -> impl Strategy<Value = Mode> {
    let on_miss = prop_oneof![Just(OnMiss::Drop), Just(OnMiss::Continue)];
    let tproxy = (often(&[1337], 1_u32..), often(&[1338], 1_u32..), tables(), on_miss).prop_map(
        |(mark, outbound_mark, table, on_miss)| {
            Mode::Tproxy(Tproxy { mark, outbound_mark, table, on_miss })
        },
    );
    prop_oneof![Just(Mode::Redirect), Just(Mode::Tproxy(Tproxy::default())), tproxy]
}

fn tables() -> impl Strategy<Value = u32> {
    often(&[100, 133], (1_u32..).prop_filter("the kernel's", |table| !(253..=255).contains(table)))
}

fn port() -> impl Strategy<Value = u16> {
    often(&[15001, 15006, 15008, 15053], 1_u16..)
}

fn owner() -> impl Strategy<Value = u32> {
    often(&[0, 1000, 1337], 0..u32::MAX)
}

fn marks() -> impl Strategy<Value = Mark> {
    let exact = (1_u32..).prop_map(Mark::exactly);
    let masked = (1_u32.., any::<u32>()).prop_map(|(value, more)| {
        Mark::new(value, value | more).expect("the bits are in the mask")
    });
    prop_oneof![exact, masked]
}

fn names() -> impl Strategy<Value = Name> {
    "[a-z][a-z0-9_-]{0,20}".prop_map(|name| Name::new(&name).unwrap())
}

fn interface() -> impl Strategy<Value = Interface> {
    let names = ["eth0", "eth1", "eth*", "net*", "lo", "virt0", "a.b", "1-_"];
    let few: Vec<_> = names.iter().map(|name| Interface::new(name).unwrap()).collect();
    often(&few, "[a-z0-9_][a-z0-9._-]{0,10}".prop_map(|name| Interface::new(&name).unwrap()))
}

fn proxies() -> impl Strategy<Value = Proxy> {
    let owners = || vec(owner(), 0..3);
    let groups = option::of(owners());
    (owners(), groups, port(), port(), port(), addresses()).prop_map(
        |(users, groups, outbound, inbound, tunnel, passthrough)| {
            let groups = groups.unwrap_or_else(|| users.clone());
            let nobody = users.is_empty() && groups.is_empty();
            with!(Proxy {
                users: set(if nobody { vec![1337] } else { users }),
                groups: set(groups),
                outbound_port: set(outbound),
                inbound_port: set(inbound),
                tunnel_port: set(tunnel),
                passthrough: set(passthrough),
            })
        },
    )
}

fn ports() -> impl Strategy<Value = Vec<PortRange>> {
    let range = (1_u16.., 0_u16..2000)
        .prop_map(|(first, more)| PortRange::new(first, first.saturating_add(more)).unwrap());
    let few: Vec<_> = [22, 25, 53, 80, 443].into_iter().map(PortRange::one).collect();
    vec(often(&few, range), 0..5)
}

fn inbounds() -> impl Strategy<Value = Inbound> {
    (option::of(ports()), ports()).prop_map(|(capture, exclude)| {
        let capture = capture.map_or(Selection::All, Selection::Only);
        // An exclude that nothing captures is a mistake.
        let captured = |exclude: &PortRange| match &capture {
            Selection::All => true,
            Selection::Only(ranges) => ranges
                .iter()
                .any(|range| range.first() <= exclude.last() && exclude.first() <= range.last()),
        };
        let exclude = exclude.into_iter().filter(captured).collect();
        with!(Inbound { capture_ports: set(capture), exclude_ports: set(exclude) })
    })
}

pub(crate) fn net() -> impl Strategy<Value = IpNet> {
    let texts = ["10.0.0.0/8", "10.96.0.0/12", "127.0.0.0/8", "169.254.169.254/32", "fd00::/8"];
    let few: Vec<IpNet> = texts.iter().map(|net| net.parse().unwrap()).collect();
    let ipv4 = (any::<[u8; 4]>(), 0_u8..=32)
        .prop_map(|(address, length)| IpNet::new(address.into(), length).unwrap().trunc());
    let ipv6 = (any::<[u16; 8]>(), 0_u8..=128)
        .prop_map(|(address, length)| IpNet::new(address.into(), length).unwrap().trunc());
    often(&few, prop_oneof![ipv4, ipv6])
}

fn short_list() -> BoxedStrategy<Vec<IpNet>> {
    vec(net(), 0..5).boxed()
}

/// Networks, and now and then so many of one length that they are looked up by hash.
fn list() -> BoxedStrategy<Vec<IpNet>> {
    let alike = |family: Family, length: u8| {
        (any::<u32>(), 66_u32..80).prop_map(move |(first, count)| -> Vec<IpNet> {
            let net = |at: u32| {
                let begins = first.wrapping_add(at.wrapping_mul(0x0010_0200));
                let address = match family {
                    Family::Ipv4 => IpAddr::from(begins.to_be_bytes()),
                    Family::Ipv6 => IpAddr::from((u128::from(begins) << 96).to_be_bytes()),
                };
                IpNet::new(address, length).unwrap().trunc()
            };
            (0..count).map(net).collect()
        })
    };
    let many = prop_oneof![
        alike(Family::Ipv4, 24),
        alike(Family::Ipv4, 32),
        alike(Family::Ipv6, 29),
        alike(Family::Ipv6, 64),
    ];
    let long = (many, short_list()).prop_map(|(many, few)| [many, few].concat());
    prop_oneof![15 => short_list(), 1 => long].boxed()
}

fn outbounds() -> impl Strategy<Value = Outbound> {
    let owners = || vec(owner(), 0..3);
    let groups = prop_oneof![
        3 => owners().prop_map(Groups::Except),
        1 => vec(owner(), 1..3).prop_map(Groups::Only),
    ];
    let loopback = (any::<[u8; 3]>(), 8_u8..=32).prop_map(|([a, b, c], length)| PerFamily {
        ipv4: Ipv4Net::new(Ipv4Addr::new(127, a, b, c), length).unwrap().trunc(),
        ipv6: Ipv6Net::from(Ipv6Addr::LOCALHOST),
    });
    let default = *Outbound::default().loopback;
    let loopback = often(&[default], loopback);
    let capture_to = option::of(list());
    let exclude_to = list();
    (capture_to, exclude_to, ports(), ports(), groups, loopback, option::of(any::<bool>()))
        .prop_map(
            |(
                capture,
                exclude,
                capture_ports,
                exclude_ports,
                groups,
                loopback,
                capture_loopback,
            )| {
                let mut outbound = with!(Outbound {
                    capture_to: set(capture.map_or(Selection::All, Selection::Only)),
                    exclude_to: set(exclude),
                    capture_ports: set(capture_ports),
                    exclude_ports: set(exclude_ports),
                    groups: set(groups),
                    loopback: set(loopback),
                    capture_loopback: set(false),
                });
                let implied = outbound.names_loopback();
                outbound.capture_loopback = set(capture_loopback.unwrap_or(implied));
                outbound
            },
        )
}

/// The address of a machine.
fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u16; 8]>().prop_map(IpAddr::from),]
        .prop_filter("no packet has it", |address| {
            !address.is_unspecified() && address.to_canonical() == *address
        })
}

fn dns() -> impl Strategy<Value = Option<Dns>> {
    let servers = option::of(vec(address(), 0..3));
    option::of((servers, port()).prop_map(|(servers, port)| Dns {
        servers: servers.map_or(Selection::All, Selection::Only),
        port,
    }))
}

fn interfaces() -> impl Strategy<Value = Interfaces> {
    (vec(interface(), 0..3), vec(interface(), 0..3)).prop_map(|(exclude, reroute)| {
        with!(Interfaces { exclude: set(exclude), reroute: set(reroute) })
    })
}

fn addresses() -> impl Strategy<Value = PerFamily<Ipv4Addr, Ipv6Addr>> {
    (any::<[u8; 4]>(), any::<[u16; 8]>())
        .prop_map(|(ipv4, ipv6)| PerFamily { ipv4: ipv4.into(), ipv6: ipv6.into() })
        .prop_filter("no packet has them", |addresses: &PerFamily<Ipv4Addr, Ipv6Addr>| {
            let ipv6 = addresses.ipv6;
            !addresses.ipv4.is_unspecified()
                && !ipv6.is_unspecified()
                && ipv6.to_ipv4_mapped().is_none()
        })
}

/// `value` for the families governed, and the default for the other.
fn of<A, B>(
    families: Families,
    value: PerFamily<A, B>,
    default: PerFamily<A, B>,
) -> PerFamily<A, B> {
    match families {
        Families::Both => value,
        Families::Ipv4 => PerFamily { ipv6: default.ipv6, ..value },
        Families::Ipv6 => PerFamily { ipv4: default.ipv4, ..value },
    }
}

/// Takes out what is of a family that the policy does not govern.
fn govern(sidecar: &mut Sidecar, families: Families) {
    let governed = |ipv4: bool| match families {
        Families::Both => true,
        Families::Ipv4 => ipv4,
        Families::Ipv6 => !ipv4,
    };
    let nets = |nets: &mut Vec<IpNet>| nets.retain(|net| governed(net.addr().is_ipv4()));
    let outbound = &mut sidecar.outbound;
    let implied = outbound.names_loopback();
    if let Selection::Only(list) = &mut outbound.capture_to.value {
        nets(list);
    }
    if *outbound.capture_loopback == implied {
        outbound.capture_loopback = set(outbound.names_loopback());
    }
    nets(&mut outbound.exclude_to.value);
    outbound.loopback = set(of(families, *outbound.loopback, *Outbound::default().loopback));
    let passthrough = &mut sidecar.proxy.passthrough;
    *passthrough = set(of(families, **passthrough, *Proxy::default().passthrough));
    if let Some(Dns { servers: Selection::Only(servers), .. }) = &mut sidecar.dns.value {
        servers.retain(|server| governed(server.is_ipv4()));
    }
}
