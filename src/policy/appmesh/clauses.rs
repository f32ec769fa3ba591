//! The clauses of a policy for App Mesh.

use ipnet::IpNet;

use super::meaning::{AppMesh, Inbound, MOST_CAPTURED_PORTS, Outbound, Proxy};
use crate::diag::{Problem, Report};
use crate::net::{Families, PortRange};
use crate::policy::clauses::effects::{self, Port, is_every_port, is_everywhere};
use crate::policy::clauses::families::{self, Strays};
use crate::policy::clauses::form::{Draft, Ending, Form};
use crate::policy::clauses::given::{Given, Specials};
use crate::policy::clauses::lists::{List, Repeated, Visitor};
use crate::policy::clauses::numbers::{GROUP, USER};
use crate::policy::setting::Setting;

/// What messages call the mesh.
const MESH: &str = "App Mesh";

/// A policy for App Mesh while its clauses are read.
#[derive(Clone)]
pub(crate) struct AppMeshDraft {
    families: Setting<Families>,
    proxy: Proxy,
    capture_ports: List<PortRange>,
    exclude_ports: List<PortRange>,
    exclude_to: List<IpNet>,
}

impl Default for AppMeshDraft {
    fn default() -> Self {
        let AppMesh { families, proxy, inbound, outbound } = AppMesh::default();
        Self {
            families,
            proxy,
            capture_ports: List::default_to(inbound.capture_ports.value),
            exclude_ports: List::default_to(outbound.exclude_ports.value),
            exclude_to: List::default_to(outbound.exclude_to.value),
        }
    }
}

/// Refuses what says which outbound connections are captured.
fn captures_what_is_left(_: &mut AppMeshDraft, given: &mut Given<'_, '_>) {
    given.cannot(
        MESH,
        "it captures every outbound connection that is not excluded",
        "exclude the others: `exclude to 10.0.0.0/8`, `exclude port 5432`",
    );
}

impl Draft for AppMeshDraft {
    type Policy = AppMesh;

    const FORMS: &'static [Form<Self>] = &[
        Form::one("", "family", "ipv4", |draft, given| given.families(&mut draft.families)),
        Form::one("proxy", "user", "1337", |draft, given| {
            given.number_or_none(&mut draft.proxy.user, &USER);
        }),
        Form::one("proxy", "group", "1337", |draft, given| {
            given.number_or_none(&mut draft.proxy.group, &GROUP);
        }),
        Form::one("proxy", "inbound-port", "15000", |draft, given| {
            given.port(&mut draft.proxy.inbound_port);
        }),
        Form::one("proxy", "outbound-port", "15001", |draft, given| {
            given.port(&mut draft.proxy.outbound_port);
        }),
        Form::list("inbound", "capture port", "8080", |draft, given| {
            const NO_STAR: Specials = Specials::no_star("write `capture port 0-65535`");
            given.any_ports(&mut draft.capture_ports, NO_STAR);
        }),
        Form::list("inbound", "exclude port", "9090", |_, given| {
            given.cannot(
                MESH,
                "it captures inbound connections to the ports that are listed, and to no others",
                "leave the port out of `capture port`",
            );
        }),
        Form::list("outbound", "exclude port", "5432", |draft, given| {
            const NO_STAR: Specials = Specials::no_star("write `exclude port 0-65535`");
            given.any_ports(&mut draft.exclude_ports, NO_STAR);
        }),
        Form::list("outbound", "exclude to", "169.254.169.254", |draft, given| {
            const NO_STAR: Specials = Specials::no_star("write `exclude to 0.0.0.0/0`");
            given.list(&mut draft.exclude_to, NO_STAR);
        }),
        Form::list("outbound", "capture port", "80", captures_what_is_left),
        Form::list("outbound", "capture to", "10.0.0.0/8", captures_what_is_left),
    ];

    fn lists(&mut self, visitor: &mut impl Visitor) {
        let Self { families: _, proxy: _, capture_ports, exclude_ports, exclude_to } = self;
        visitor.visit(capture_ports);
        visitor.visit(exclude_ports);
        visitor.visit(exclude_to);
    }

    fn finish(mut self, ending: &mut Ending<'_>) -> AppMesh {
        let why = "it always sets up IPv4, and IPv6 beside it";
        families::ipv4_is_always_set_up(MESH, why, self.families, ending);
        if let Some(mut strays) = Strays::under(&self.families) {
            self.lists(&mut strays);
            strays.report(ending);
        }
        too_many_ports(&self.capture_ports, ending);
        self.lists(&mut Repeated(ending.report));
        ssh(&self.exclude_ports, ending.report);
        let ports = Port::of_proxy(self.proxy.inbound_port, self.proxy.outbound_port);
        effects::same_ports(&ports, ending);
        let appmesh = AppMesh {
            families: self.families,
            proxy: self.proxy,
            inbound: Inbound { capture_ports: self.capture_ports.setting() },
            outbound: Outbound {
                exclude_ports: self.exclude_ports.setting(),
                exclude_to: self.exclude_to.setting(),
            },
        };
        report(&appmesh, ending);
        appmesh
    }
}

/// Reports more captured ports than one rule of App Mesh takes.
fn too_many_ports(capture: &List<PortRange>, ending: &mut Ending<'_>) {
    let places = |range: PortRange| if range.first() == range.last() { 1 } else { 2 };
    let count: usize = capture.values().into_iter().map(places).sum();
    if count > MOST_CAPTURED_PORTS {
        let at = capture.clause.filter(|_| ending.has(capture.clause)).unwrap_or(ending.at);
        let problem = Problem::MeshCannot {
            mesh: MESH,
            why: "it names every captured port in one rule, and iptables takes 15 there, of which a \
                  range counts two",
            instead: "capture fewer, or a range that has them: `capture port 8000-8099`",
        };
        ending.report.push(problem.at(at, format!("{count} ports")));
    }
}

/// Reports port 22 among excluded ports, which is excluded always.
fn ssh(exclude: &List<PortRange>, report: &mut Report) {
    for item in exclude.items.iter().filter(|item| item.own && item.value == AppMesh::SSH) {
        if let Some(at) = item.at {
            let reason = "remove it: App Mesh never captures connections to port 22";
            report.push(Problem::NoEffect { clause: "exclude port", reason }.at(at, ""));
        }
    }
}

/// Reports what the clauses say together.
fn report(appmesh: &AppMesh, ending: &mut Ending<'_>) {
    let AppMesh { families, proxy, inbound, outbound } = appmesh;
    let sends_nothing =
        is_every_port(&outbound.exclude_ports) || is_everywhere(&outbound.exclude_to, **families);
    if inbound.capture_ports.is_empty() && sends_nothing {
        let name = ending.name.to_owned();
        ending.report.push(Problem::CapturesNothing { name }.at(ending.at, ""));
    }
    if proxy.user.is_none() && proxy.group.is_none() {
        let clauses = [proxy.user.clause, proxy.group.clause];
        let mut own = clauses.into_iter().filter(|clause| ending.has(*clause)).flatten();
        let at = own.next().unwrap_or(ending.at);
        let problem = Problem::MeshCannot {
            mesh: MESH,
            why: "it sets up nothing without a user or a group of the proxy",
            instead: "write `user 1337`, or a group",
        };
        ending.report.push(problem.at(at, "").and(own.next(), "nor a group"));
    }
}
