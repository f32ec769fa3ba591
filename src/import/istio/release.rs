//! Which release a manifest names, and where that release did otherwise than the rules here.
//!
//! The rules are those of 1.29 to 1.31, in which nothing about packets changed. [`CHANGES`] has what
//! changed before, each found in upstream's history by the release that first has it.

use super::finding::{Remark, Report};
use super::mesh::Mesh;
use crate::import::manifest::Pod;
use crate::policy::{AmbientPod, Kind, Selection, Sidecar};

/// A release, by its first two numbers.
type Release = (u32, u32);

/// The first and the last release whose rules a policy has: [`RULES`](super::RULES) in numbers.
const FIRST: Release = (1, 29);
const LAST: Release = (1, 31);

/// Something that an older release did otherwise.
struct Change {
    /// The first release that does it as here.
    since: Release,
    /// The commit or the file that shows it.
    shown_by: &'static str,
    /// A packet that fares differently, and how it fared; `None` if the policy says nothing that does.
    told: fn(&Kind) -> Option<(String, String)>,
}

/// What changed, the newest first.
const CHANGES: &[Change] = &[
    Change {
        since: (1, 29),
        shown_by: "cni/pkg/iptables/iptables.go of 1.28.0 and 1.29.0",
        told: |kind| {
            let AmbientPod { capture_inbound, .. } = ambient(kind)?;
            let packet = "a reply to a connection that the node's proxy marked";
            (!**capture_inbound).then(|| (packet.to_owned(), "was not marked as one".to_owned()))
        },
    },
    Change {
        since: (1, 25),
        shown_by: "tools/istio-iptables/pkg/capture/run.go of 1.24.0 and 1.25.0",
        told: |kind| {
            let sidecar = sidecar(kind)?;
            let dns = sidecar.dns.as_ref()?;
            let is_excluded = sidecar.outbound.exclude_ports.iter().any(|ports| ports.contains(53));
            let server = match &dns.servers {
                Selection::All => "10.96.0.10".to_owned(),
                Selection::Only(servers) => servers.first()?.to_string(),
            };
            let went = format!("was redirected to port {}", dns.port);
            is_excluded.then(|| (format!("outbound udp to {}:53", bracketed(&server)), went))
        },
    },
    Change {
        since: (1, 21),
        shown_by: "cni/pkg/ambient/net_linux.go of 1.20.0",
        told: |kind| {
            ambient(kind)?;
            let went = "was redirected on the node, because pods had no rules of their own";
            Some(("outbound tcp to 10.96.0.1:80".to_owned(), went.to_owned()))
        },
    },
    Change {
        since: (1, 20),
        shown_by: "istio 8a0ca290b81",
        told: |kind| {
            let dns = sidecar(kind)?.dns.as_ref()?;
            let Selection::Only(servers) = &dns.servers else { return None };
            let server = servers.first()?.to_string();
            let packet = format!("inbound udp from {}:53 to 10.0.0.7:40000", bracketed(&server));
            let went = "was in no conntrack zone, because the rule looked at its destination";
            Some((packet, went.to_owned()))
        },
    },
    Change {
        since: (1, 13),
        shown_by: "istio f1f7487b9cb",
        told: |kind| {
            let inbound = &sidecar(kind)?.inbound;
            let all = *inbound.capture_ports == Selection::All;
            let is_excluded = inbound.exclude_ports.iter().any(|ports| ports.contains(22));
            let packet = || ("inbound tcp to 10.0.0.7:22".to_owned(), "was untouched".to_owned());
            (all && !is_excluded).then(packet)
        },
    },
    Change {
        since: (1, 13),
        shown_by: "istio 82aa122cdc0",
        told: |kind| {
            let packet = "an inbound packet that conntrack finds invalid";
            let drops = *sidecar(kind)?.drop_invalid;
            drops.then(|| (packet.to_owned(), "was not dropped".to_owned()))
        },
    },
    Change {
        since: (1, 7),
        shown_by: "tools/istio-iptables/pkg/cmd/run.go of 1.6.0 and 1.7.0",
        told: |kind| {
            let sidecar = sidecar(kind)?;
            let port = *sidecar.proxy.tunnel_port;
            let inbound = &sidecar.inbound;
            let is_excluded = inbound.exclude_ports.iter().any(|ports| ports.contains(port));
            let all = *inbound.capture_ports == Selection::All;
            let packet = || (format!("inbound tcp to 10.0.0.7:{port}"), "was captured".to_owned());
            (all && !is_excluded).then(packet)
        },
    },
    Change {
        since: (1, 6),
        shown_by: "tools/istio-iptables/pkg/cmd/run.go:356 of 1.5.0",
        told: |kind| {
            let sidecar = sidecar(kind)?;
            let Selection::Only(ports) = &*sidecar.inbound.capture_ports else { return None };
            let port = ports.first()?.first();
            let went = format!("was redirected to port {}", *sidecar.proxy.outbound_port);
            Some((format!("inbound tcp to 10.0.0.7:{port}"), went))
        },
    },
    Change {
        since: (1, 3),
        shown_by: "tools/packaging/common/istio-iptables.sh:325 of 1.2.0",
        told: |kind| {
            let sidecar = sidecar(kind)?;
            let all = *sidecar.inbound.capture_ports == Selection::All;
            let went = format!("was redirected to port {}", *sidecar.proxy.outbound_port);
            all.then(|| ("inbound tcp to 10.0.0.7:8080".to_owned(), went))
        },
    },
];

fn sidecar(kind: &Kind) -> Option<&Sidecar> {
    match kind {
        Kind::Sidecar(sidecar) => Some(sidecar),
        _ => None,
    }
}

fn ambient(kind: &Kind) -> Option<&AmbientPod> {
    match kind {
        Kind::AmbientPod(pod) => Some(pod),
        _ => None,
    }
}

fn bracketed(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

/// Notes what the release that the pod, or else the mesh, names did otherwise.
pub(super) fn note(pod: &Pod<'_>, mesh: &Mesh, kind: &Kind, report: &mut Report) {
    let images = ["istio-init", "istio-proxy", "istio-validation"].into_iter();
    let mut images = images.filter_map(|name| pod.container(name)?["image"].as_str());
    let tag = images.find_map(|image| of_tag(image.rsplit_once(':')?.1));
    let Some(release) = tag.or_else(|| of_tag(mesh.tag.as_deref()?)) else { return };
    let shown = format!("{}.{}", release.0, release.1);
    if release > LAST {
        return report.remark(Remark::NewerRelease { release: shown });
    }
    if release >= FIRST {
        return;
    }
    for change in CHANGES.iter().filter(|change| release < change.since) {
        if let Some((packet, fared)) = (change.told)(kind) {
            let (release, shown_by) = (shown.clone(), change.shown_by);
            report.remark(Remark::OlderRelease { release, packet, fared, shown_by });
        }
    }
}

/// The release that a tag names: `1.29.0`, `v1.29`, `1.8.1-distroless`.
fn of_tag(tag: &str) -> Option<Release> {
    let mut numbers = tag.trim_start_matches('v').split(['.', '-', '_']);
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    (major == 1).then_some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::{CHANGES, FIRST, of_tag};

    #[test]
    fn a_tag_names_a_release() {
        for (tag, release) in [
            ("1.29.0", Some((1, 29))),
            ("v1.8.1-distroless", Some((1, 8))),
            ("1.12", Some((1, 12))),
            ("1.13-alpha.8f", Some((1, 13))),
            ("latest", None),
            ("5000/proxyv2", None),
            ("0123456789abcdef", None),
            ("", None),
        ] {
            assert_eq!(of_tag(tag), release, "{tag}");
        }
    }

    #[test]
    fn changes_are_in_order_and_older_than_the_rules() {
        assert!(CHANGES.windows(2).all(|pair| pair[0].since >= pair[1].since));
        assert!(CHANGES.iter().all(|change| change.since <= FIRST));
    }
}
