//! Where the clauses of a sidecar come from.

use super::finding::Report;
use super::option::{Opt, Options};
use crate::import::Source;
use crate::policy::ClauseKey;

/// The clauses that options become.
const CLAUSES: &[(Opt, &[ClauseKey])] = &[
    (Opt::ProxyPort, &[("proxy", "outbound-port")]),
    (Opt::InboundPort, &[("proxy", "inbound-port")]),
    (Opt::TunnelPort, &[("proxy", "tunnel-port")]),
    (Opt::ProxyUid, &[("proxy", "user")]),
    (Opt::ProxyGid, &[("proxy", "group")]),
    (Opt::Mode, &[("", "mode")]),
    (Opt::TproxyMark, &[("mode tproxy", "mark")]),
    (Opt::TproxyTable, &[("mode tproxy", "table")]),
    (Opt::InboundPorts, &[("inbound", "capture port")]),
    (Opt::InboundExcludes, &[("inbound", "exclude port")]),
    (Opt::Groups, &[("outbound", "capture group")]),
    (Opt::GroupExcludes, &[("outbound", "exclude group")]),
    (Opt::OutboundPorts, &[("outbound", "capture port")]),
    (Opt::OutboundPortExcludes, &[("outbound", "exclude port")]),
    (
        Opt::Destinations,
        &[
            ("outbound", "capture to"),
            ("outbound", "capture loopback"),
            ("outbound", "exclude loopback"),
        ],
    ),
    (Opt::DestinationExcludes, &[("outbound", "exclude to")]),
    (Opt::Reroute, &[("interface", "reroute")]),
    (Opt::InterfaceExcludes, &[("interface", "exclude")]),
    (Opt::Loopback, &[("outbound", "loopback")]),
    (Opt::Dns, &[("dns", "capture"), ("", "dns")]),
    (Opt::DropInvalid, &[("", "drop")]),
    (Opt::Ipv6, &[("", "family")]),
];

/// Says where clauses come from, of which nobody said so before.
pub(super) fn tell(options: &Options, report: &mut Report) {
    report.comments.otherwise = Some("Istio's default".to_owned());
    for (option, clauses) in CLAUSES {
        let given = options.get(*option);
        for clause in *clauses {
            if report.comments.has(*clause) {
                continue;
            }
            if given.source == Source::Default {
                let value = if given.value.is_empty() { "none" } else { &given.value };
                report.origin_in_words(*clause, format!("Istio's default: {value}"));
            } else {
                report.origin(*clause, given);
            }
        }
    }
}
