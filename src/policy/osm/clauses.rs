//! The clauses of a policy for Open Service Mesh.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::meaning::{Inbound, LocalMode, MOST_EXCLUDED_PORTS, Osm, Outbound, Proxy};
use crate::diag::{Problem, Report};
use crate::net::{Families, Interface, PortRange, PortSet};
use crate::policy::clauses::addresses;
use crate::policy::clauses::effects::{self, Port, is_every_port};
use crate::policy::clauses::families::Strays;
use crate::policy::clauses::form::{Draft, Ending, Form};
use crate::policy::clauses::given::{Given, Specials};
use crate::policy::clauses::lists::{List, Repeated, Visitor};
use crate::policy::clauses::numbers::USER;
use crate::policy::setting::{Selection, Setting};

/// What messages call the mesh.
const MESH: &str = "Open Service Mesh";

const NO_IPV6: &str = "it has no rules for IPv6, and leaves it alone";

/// A policy for Open Service Mesh while its clauses are read.
#[derive(Clone)]
pub(crate) struct OsmDraft {
    families: Setting<Families>,
    proxy: Proxy,
    inbound_exclude: List<PortRange>,
    capture_to: List<IpNet>,
    exclude_to: List<IpNet>,
    outbound_exclude: List<PortRange>,
    exclude_interfaces: List<Interface>,
}

impl Default for OsmDraft {
    fn default() -> Self {
        Self {
            families: Setting::default_to(Families::Ipv4),
            proxy: Osm::default().proxy,
            inbound_exclude: List::default(),
            capture_to: List::everything(),
            exclude_to: List::default(),
            outbound_exclude: List::default(),
            exclude_interfaces: List::default(),
        }
    }
}

/// Refuses a list of captured ports.
fn no_captured_ports(_: &mut OsmDraft, given: &mut Given<'_, '_>) {
    given.cannot(
        MESH,
        "it captures every port that is not excluded",
        "exclude the others: `exclude port 9090`, 15 of them at most",
    );
}

impl Draft for OsmDraft {
    type Policy = Osm;

    const FORMS: &'static [Form<Self>] = &[
        Form::one("", "family", "ipv4", |draft, given| {
            given.families(&mut draft.families);
            if draft.families.value != Families::Ipv4 {
                given.cannot(MESH, NO_IPV6, "write `family ipv4`");
                draft.families.value = Families::Ipv4;
            }
        }),
        Form::one("proxy", "user", "1500", |draft, given| {
            let user = given.number(&USER);
            given.set(&mut draft.proxy.user, user);
        }),
        Form::one("proxy", "inbound-port", "15003", |draft, given| {
            given.port(&mut draft.proxy.inbound_port);
        }),
        Form::one("proxy", "outbound-port", "15001", |draft, given| {
            given.port(&mut draft.proxy.outbound_port);
        }),
        Form::bare("proxy", "local-mode localhost", |draft, given| {
            draft.proxy.local_mode = Setting::written(LocalMode::Localhost, given.span);
        }),
        Form::one("proxy", "local-mode pod-ip", "10.244.1.2", |draft, given| {
            match given.scalar(addresses::address) {
                Some(IpAddr::V4(address)) => {
                    given.set(&mut draft.proxy.local_mode, Some(LocalMode::PodIp(address)));
                }
                Some(IpAddr::V6(_)) => given.cannot(MESH, NO_IPV6, "write an IPv4 address"),
                None => {}
            }
        }),
        Form::list("inbound", "exclude port", "9090", |draft, given| {
            const NO_STAR: Specials = Specials::no_star("name the ports, 15 of them at most");
            given.list(&mut draft.inbound_exclude, NO_STAR);
        }),
        Form::list("inbound", "capture port", "80", no_captured_ports),
        Form::list("outbound", "capture to", "10.0.0.0/8", |draft, given| {
            const NO_NONE: Specials = Specials {
                star: None,
                none: Some("write `exclude to 0.0.0.0/0`: OSM takes an empty list for `*`"),
            };
            given.list(&mut draft.capture_to, NO_NONE);
        }),
        Form::list("outbound", "exclude to", "169.254.169.254", |draft, given| {
            const NO_STAR: Specials = Specials::no_star("write `exclude to 0.0.0.0/0`");
            given.list(&mut draft.exclude_to, NO_STAR);
        }),
        Form::list("outbound", "exclude port", "3306", |draft, given| {
            const NO_STAR: Specials = Specials::no_star("write `exclude to 0.0.0.0/0`");
            given.list(&mut draft.outbound_exclude, NO_STAR);
        }),
        Form::list("outbound", "capture port", "80", no_captured_ports),
        Form::list("interface", "exclude", "eth1, net*", |draft, given| {
            given.list(&mut draft.exclude_interfaces, Specials::INTERFACES);
        }),
    ];

    fn lists(&mut self, visitor: &mut impl Visitor) {
        let Self {
            families: _,
            proxy: _,
            inbound_exclude,
            capture_to,
            exclude_to,
            outbound_exclude,
            exclude_interfaces,
        } = self;
        visitor.visit(inbound_exclude);
        visitor.visit(capture_to);
        visitor.visit(exclude_to);
        visitor.visit(outbound_exclude);
        visitor.visit(exclude_interfaces);
    }

    fn finish(mut self, ending: &mut Ending<'_>) -> Osm {
        if let Some(mut strays) = Strays::under(&self.families) {
            self.lists(&mut strays);
            strays.report_as(ending, |_, _, _| Problem::MeshCannot {
                mesh: MESH,
                why: NO_IPV6,
                instead: "remove what is IPv6",
            });
        }
        local_modes(ending);
        for ports in [&self.inbound_exclude, &self.outbound_exclude] {
            too_many_ports(ports, ending);
        }
        self.lists(&mut Repeated(ending.report));
        self.capture_to.excluded("destination", &self.exclude_to, ending.report);
        effects::excluded_beside(
            &self.capture_to,
            &List::default(),
            &self.exclude_to,
            ending.report,
        );
        own_ports(&self.inbound_exclude, ending.report);
        let ports = Port::of_proxy(self.proxy.inbound_port, self.proxy.outbound_port);
        effects::same_ports(&ports, ending);
        let everywhere = effects::is_everywhere(&self.exclude_to.values(), Families::Ipv4);
        if everywhere && is_every_port(&self.inbound_exclude.values()) {
            let name = ending.name.to_owned();
            ending.report.push(Problem::CapturesNothing { name }.at(ending.at, ""));
        }
        let selection = self.capture_to.selection();
        Osm {
            proxy: self.proxy,
            inbound: Inbound { exclude_ports: self.inbound_exclude.setting() },
            outbound: Outbound {
                capture_to: Setting {
                    value: match selection.value {
                        Selection::All => Selection::All,
                        Selection::Only(nets) => Selection::Only(ipv4(nets)),
                    },
                    clause: selection.clause,
                },
                exclude_to: Setting {
                    value: ipv4(self.exclude_to.values()),
                    clause: self.exclude_to.clause,
                },
                exclude_ports: self.outbound_exclude.setting(),
            },
            exclude_interfaces: self.exclude_interfaces.setting(),
        }
    }
}

/// Those of IPv4: of what is left, others were reported.
fn ipv4(nets: Vec<IpNet>) -> Vec<Ipv4Net> {
    let one = |net| match net {
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => None,
    };
    nets.into_iter().filter_map(one).collect()
}

/// Reports two ways to reach the workload.
fn local_modes(ending: &mut Ending<'_>) {
    let seen = |words| ending.seen.get(&("proxy", words)).copied();
    let (localhost, pod) = (seen("local-mode localhost"), seen("local-mode pod-ip"));
    if localhost.is_some() && pod.is_some() {
        ending.contradiction(
            ("local-mode localhost", localhost),
            ("local-mode pod-ip", pod),
            "keep one of the two",
        );
    }
}

/// Reports more excluded ports than one rule of OSM takes.
fn too_many_ports(exclude: &List<PortRange>, ending: &mut Ending<'_>) {
    let ports: PortSet = exclude.values().into_iter().collect();
    let count: usize = ports
        .ranges()
        .iter()
        .map(|range| usize::from(range.last()) - usize::from(range.first()) + 1)
        .sum();
    if count > MOST_EXCLUDED_PORTS {
        let at = exclude.clause.filter(|_| ending.has(exclude.clause)).unwrap_or(ending.at);
        let problem = Problem::MeshCannot {
            mesh: MESH,
            why: "it names every excluded port in one rule, and iptables takes 15 there",
            instead: "exclude at most 15 ports, those in ranges counted one by one",
        };
        ending.report.push(problem.at(at, format!("{count} ports")));
    }
}

/// Reports excluded inbound ports that are the proxy's own, which are never captured.
fn own_ports(exclude: &List<PortRange>, report: &mut Report) {
    for item in exclude.items.iter().filter(|item| item.own) {
        let own = Osm::OWN_PORTS.iter().any(|port| item.value == PortRange::one(*port));
        if let Some(at) = item.at.filter(|_| own) {
            let reason = "remove it: the proxy's own ports are never captured";
            report.push(Problem::NoEffect { clause: "exclude port", reason }.at(at, ""));
        }
    }
}
