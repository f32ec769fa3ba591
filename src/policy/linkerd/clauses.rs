//! The clauses of a policy for Linkerd.

use ipnet::IpNet;

use super::meaning::{Inbound, Linkerd, Outbound, Proxy};
use crate::diag::Problem;
use crate::net::{Families, PortRange};
use crate::policy::clauses::effects::{self, Port, is_every_port};
use crate::policy::clauses::families::{self, Strays};
use crate::policy::clauses::form::{Draft, Ending, Form};
use crate::policy::clauses::given::{Given, Specials};
use crate::policy::clauses::lists::{List, Repeated, Visitor};
use crate::policy::clauses::numbers::{GROUP_OR_NOBODY, USER_OR_NOBODY};
use crate::policy::setting::Setting;

/// What messages call the mesh.
const MESH: &str = "Linkerd";

/// A policy for Linkerd while its clauses are read.
#[derive(Clone)]
pub(crate) struct LinkerdDraft {
    families: Setting<Families>,
    proxy: Proxy,
    inbound_capture: List<PortRange>,
    inbound_exclude: List<PortRange>,
    exclude_from: List<IpNet>,
    outbound_exclude: List<PortRange>,
}

impl Default for LinkerdDraft {
    fn default() -> Self {
        let Linkerd { families, proxy, inbound, outbound } = Linkerd::default();
        Self {
            families,
            proxy,
            inbound_capture: List::everything(),
            inbound_exclude: List::default_to(inbound.exclude_ports.value),
            exclude_from: List::default(),
            outbound_exclude: List::default_to(outbound.exclude_ports.value),
        }
    }
}

const FAMILIES_OF_SUBNETS: &str = "iptables and, with IPv6, ip6tables get every subnet, and each \
                                   refuses those of the other family";

const EXCLUDED_STAR: Specials = Specials::no_star("write `exclude port 0-65535`");

/// Refuses a clause about destinations.
fn no_destinations(_: &mut LinkerdDraft, given: &mut Given<'_, '_>) {
    given.cannot(
        MESH,
        "it tells outbound connections apart by their port alone",
        "exclude ports: `exclude port 5432`; only `inbound` has subnets, and they are sources",
    );
}

impl Draft for LinkerdDraft {
    type Policy = Linkerd;

    const FORMS: &'static [Form<Self>] = &[
        Form::one("", "family", "ipv4", |draft, given| given.families(&mut draft.families)),
        Form::one("proxy", "user", "2102", |draft, given| {
            given.number_or_none(&mut draft.proxy.user, &USER_OR_NOBODY);
        }),
        Form::one("proxy", "group", "2102", |draft, given| {
            given.number_or_none(&mut draft.proxy.group, &GROUP_OR_NOBODY);
        }),
        Form::one("proxy", "inbound-port", "4143", |draft, given| {
            given.port(&mut draft.proxy.inbound_port);
        }),
        Form::one("proxy", "outbound-port", "4140", |draft, given| {
            given.port(&mut draft.proxy.outbound_port);
        }),
        Form::list("inbound", "capture port", "80, 8000-8999", |draft, given| {
            const NO_NONE: Specials = Specials {
                star: None,
                none: Some("write `exclude port 0-65535`: Linkerd takes an empty list for `*`"),
            };
            given.any_ports(&mut draft.inbound_capture, NO_NONE);
        }),
        Form::list("inbound", "exclude port", "4190, 4191", |draft, given| {
            given.any_ports(&mut draft.inbound_exclude, EXCLUDED_STAR);
        }),
        Form::list("inbound", "exclude from", "10.0.0.0/8", |draft, given| {
            const NO_STAR: Specials = Specials::no_star("write `exclude from 0.0.0.0/0`");
            given.list(&mut draft.exclude_from, NO_STAR);
        }),
        Form::list("outbound", "exclude port", "4567, 4568", |draft, given| {
            given.any_ports(&mut draft.outbound_exclude, EXCLUDED_STAR);
        }),
        Form::list("outbound", "exclude to", "10.0.0.0/8", no_destinations),
        Form::list("outbound", "capture to", "10.0.0.0/8", no_destinations),
    ];

    fn lists(&mut self, visitor: &mut impl Visitor) {
        let Self {
            families: _,
            proxy: _,
            inbound_capture,
            inbound_exclude,
            exclude_from,
            outbound_exclude,
        } = self;
        for ports in [inbound_capture, inbound_exclude, outbound_exclude] {
            visitor.visit(ports);
        }
        visitor.visit(exclude_from);
    }

    fn finish(mut self, ending: &mut Ending<'_>) -> Linkerd {
        self.families(ending);
        if let Some(mut strays) = Strays::under(&self.families) {
            self.lists(&mut strays);
            strays.report_as(ending, |_, _, _| Problem::MeshCannot {
                mesh: MESH,
                why: FAMILIES_OF_SUBNETS,
                instead: "remove what is IPv6",
            });
        }
        effects::excluded_outside(&self.inbound_capture, &mut self.inbound_exclude, ending);
        self.lists(&mut Repeated(ending.report));
        self.inbound_capture.excluded("port", &self.inbound_exclude, ending.report);
        let ports = Port::of_proxy(self.proxy.inbound_port, self.proxy.outbound_port);
        effects::same_ports(&ports, ending);
        let linkerd = Linkerd {
            families: self.families,
            proxy: self.proxy,
            inbound: Inbound {
                capture_ports: self.inbound_capture.selection(),
                exclude_ports: self.inbound_exclude.setting(),
                exclude_from: self.exclude_from.setting(),
            },
            outbound: Outbound { exclude_ports: self.outbound_exclude.setting() },
        };
        report(&linkerd, ending);
        linkerd
    }
}

impl LinkerdDraft {
    /// Reports families with which Linkerd sets up no rules.
    fn families(&self, ending: &mut Ending<'_>) {
        let why = "it always sets up IPv4, and IPv6 beside it";
        families::ipv4_is_always_set_up(MESH, why, self.families, ending);
        if *self.families == Families::Both && !self.exclude_from.is_none() {
            let problem = Problem::MeshCannot {
                mesh: MESH,
                why: FAMILIES_OF_SUBNETS,
                instead: "write `family ipv4`, and exclude IPv4 subnets",
            };
            let own = |clause| if ending.has(clause) { clause } else { None };
            let (sources, families) = (own(self.exclude_from.clause), own(self.families.clause));
            let at = sources.or(families).unwrap_or(ending.at);
            let evidence = self.families.clause.filter(|clause| *clause != at);
            ending.report.push(problem.at(at, "").and(evidence, "both families"));
        }
    }
}

/// Reports what the clauses say together.
fn report(linkerd: &Linkerd, ending: &mut Ending<'_>) {
    let Linkerd { proxy, inbound, outbound, .. } = linkerd;
    if is_every_port(&inbound.exclude_ports) && is_every_port(&outbound.exclude_ports) {
        let name = ending.name.to_owned();
        ending.report.push(Problem::CapturesNothing { name }.at(ending.at, ""));
    } else if proxy.user.is_none() && proxy.group.is_none() {
        let clauses = [proxy.user.clause, proxy.group.clause];
        let mut own = clauses.into_iter().filter(|clause| ending.has(*clause)).flatten();
        let Some(at) = own.next() else { return };
        let problem = Problem::MeshFault {
            mesh: MESH,
            what: "with neither user nor group, the proxy's own connections come back to it",
            instead: "let the proxy run as a user or a group of its own, not as root: `user 2102`",
        };
        ending.report.push(problem.at(at, "").and(own.next(), "nor a group"));
    }
}
