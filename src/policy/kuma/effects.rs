//! What the clauses of a Kuma policy say together: what has no effect, and where Kuma's own rules do
//! something else than their options say.

use super::VirtualNetwork;
use super::meaning::Kuma;
use crate::diag::{Problem, Report};
use crate::net::PortRange;
use crate::policy::clauses::effects::{is_every_port, is_everywhere};
use crate::policy::clauses::form::Ending;
use crate::policy::clauses::lists::List;
use crate::policy::setting::{Selection, Setting};
use crate::span::Span;

const MESH: &str = "Kuma";

/// Reports networks that Kuma would not keep beside others, and those that nothing leaves.
pub(super) fn networks(networks: &List<VirtualNetwork>, report: &mut Report) {
    for (at, second) in networks.items.iter().enumerate() {
        let is_beside = |first: &VirtualNetwork| {
            first.interface == second.value.interface
                && first.family() == second.value.family()
                && first.net != second.value.net
        };
        let first = networks.items[..at].iter().find(|first| is_beside(&first.value));
        let own = |first: bool| first || second.own;
        if let Some(first) = first.filter(|first| own(first.own))
            && let Some(place) = second.at
        {
            let problem = Problem::MeshCannot {
                mesh: MESH,
                why: "it keeps one network of each family for an interface",
                instead: "write one prefix that holds both; kumactl would keep the last alone",
            };
            report.push(problem.at(place, "the second").and(first.at, "the first"));
        }
        if let Some(place) = second.at.filter(|_| second.own && second.value.net.prefix_len() == 0)
        {
            let reason = "every destination is in the network, so that of its TCP nothing is \
                          captured; name the network itself";
            report.push(Problem::NoEffect { clause: "vnet", reason }.at(place, ""));
        }
    }
}

/// Reports clauses without effect, and Kuma's faults.
pub(super) fn report(kuma: &Kuma, ending: &mut Ending<'_>) {
    let Kuma { families, inbound, outbound, dns, networks, drop_invalid, .. } = kuma;
    let no_inbound = captures_no(&inbound.capture_ports, &inbound.exclude_ports)
        || is_everywhere(&inbound.exclude_from, **families);
    let no_outbound = captures_no(&outbound.capture_ports, &outbound.exclude_ports)
        && dns.is_none()
        || is_everywhere(&outbound.exclude_to, **families);
    if no_inbound && no_outbound && networks.is_empty() && !**drop_invalid {
        let name = ending.name.to_owned();
        ending.report.push(Problem::CapturesNothing { name }.at(ending.at, ""));
        return;
    }
    beside_capture(&inbound.capture_ports, &inbound.exclude_ports, ending);
    beside_capture(&outbound.capture_ports, &outbound.exclude_ports, ending);
    if inbound.capture_ports.is_none() && !inbound.exclude_from.is_empty() {
        let reason = "remove it: nothing inbound is captured";
        ending.no_effect("exclude from", inbound.exclude_from.clause, reason);
    }
    if outbound.capture_ports.is_none() && dns.is_none() {
        const REASON: &str = "remove it: nothing outbound is captured";
        ending.no_effect("exclude to", outbound.exclude_to.clause, REASON);
        ending.no_effect("exclude user", outbound.exclude_users.clause, REASON);
    }
    if outbound.exclude_users.iter().any(|exclusion| exclusion.users.is_none()) {
        fault(
            ending,
            [outbound.exclude_users.clause, None],
            "an exclude without a user is taken, and leaves out the ports for everybody",
            "name the users",
        );
    }
    tcp_captured(kuma, ending);
    docker_output(kuma, ending);
    if dns.is_none() && !networks.is_empty() {
        fault(
            ending,
            [networks.clause, dns.clause],
            "the DNS queries of virtual networks are redirected though DNS is not captured, and \
             the proxy may not listen for them",
            "capture DNS too: `dns { capture * }`",
        );
    }
}

/// Whether no TCP is captured.
fn captures_no(capture: &Selection<PortRange>, exclude: &[PortRange]) -> bool {
    capture.is_none() || *capture == Selection::All && is_every_port(exclude)
}

/// Reports excluded ports beside captured ones.
fn beside_capture(
    capture: &Setting<Selection<PortRange>>,
    exclude: &Setting<Vec<PortRange>>,
    ending: &mut Ending<'_>,
) {
    if exclude.is_empty() {
        return;
    }
    match &**capture {
        Selection::All => {}
        captured if captured.is_none() => {
            ending.no_effect("exclude port", exclude.clause, "remove it: no port is captured");
        }
        Selection::Only(_) => fault(
            ending,
            [exclude.clause, capture.clause],
            "excluded ports are ignored where ports are listed to be captured",
            "leave the excluded ports out of `capture port`, and remove `exclude port`",
        ),
    }
}

fn tcp_captured(kuma: &Kuma, ending: &mut Ending<'_>) {
    let Some(dns) = kuma.dns.as_ref().filter(|dns| *dns.captures_tcp) else { return };
    if kuma.outbound.capture_ports.is_none() {
        let reason = "remove it: no outbound TCP is captured";
        ending.no_effect("tcp", dns.captures_tcp.clause, reason);
        return;
    }
    fault(
        ending,
        [dns.captures_tcp.clause, None],
        "the workload's DNS over TCP goes to the outbound proxy port, where Kuma inserts its \
         redirection before the exemption",
        "write `tcp untouched`, which is Kuma without \
         `redirect.outbound.insertRedirectInsteadOfAppend`",
    );
}

fn docker_output(kuma: &Kuma, ending: &mut Ending<'_>) {
    let Some(dns) = kuma.dns.as_ref() else { return };
    let Some(docker) = *dns.docker_output else { return };
    if docker.and(*kuma.families) != Some(docker) {
        let reason = "the policy does not govern every family that it names";
        ending.no_effect("docker-output", dns.docker_output.clause, reason);
    }
}

/// Reports a fault at the first of `clauses` that the policy itself has.
fn fault(
    ending: &mut Ending<'_>,
    clauses: [Option<Span>; 2],
    what: &'static str,
    instead: &'static str,
) {
    let [first, second] = clauses;
    let (at, other) = if ending.has(first) { (first, second) } else { (second, first) };
    if let Some(at) = at.filter(|_| ending.has(at)) {
        let problem = Problem::MeshFault { mesh: MESH, what, instead };
        ending.report.push(problem.at(at, "").and(other, "because of this"));
    }
}
