//! Options to ambient policies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::finding::{Reason, Remark, Report};
use super::value;
use crate::import::Given;
use crate::net::{Families, Family, PerFamily};
use crate::policy::{AmbientHost, AmbientPod, Dns, HostProbe, Setting};

/// The source of kubelet's probes.
type ProbeSource = PerFamily<Ipv4Addr, Ipv6Addr>;

/// Options of upstream's ambient mode (`cni/pkg/config/config.go`), as given.
#[derive(Debug, Default)]
pub(super) struct Ambient {
    /// Whether IPv6 is captured.
    pub(super) ipv6: bool,
    /// Whether DNS is captured where the pod does not say.
    pub(super) dns: bool,
    /// The IPv4 source of probes.
    pub(super) probe_v4: Option<Given>,
    /// The IPv6 source of probes.
    pub(super) probe_v6: Option<Given>,
    /// What the pod says about DNS: it has the last word, in both directions.
    pub(super) pod_dns: Option<bool>,
    /// Whether inbound connections are left alone.
    pub(super) ingress: bool,
    /// The pod's virtual interfaces.
    pub(super) reroute: Option<Given>,
}

impl Ambient {
    /// The policy of a pod.
    pub(super) fn pod(&self, report: &mut Report) -> AmbientPod {
        let default = AmbientPod::default();
        self.origins(report);
        let dns = self.pod_dns.unwrap_or(self.dns);
        let reroute = self.reroute.as_ref().map(|given| value::interfaces(given, report));
        AmbientPod {
            families: Setting::default_to(self.families()),
            probe_from: self.probe_source(*default.probe_from, report),
            dns: Setting::default_to(dns.then_some(Dns::DEFAULT_PORT)),
            capture_inbound: Setting::default_to(!self.ingress),
            reroute: Setting::default_to(reroute.unwrap_or_default()),
            ..default
        }
    }

    /// The policy of the node.
    pub(super) fn host(&self, report: &mut Report) -> AmbientHost {
        self.origins(report);
        let HostProbe { from, owner, pods } = AmbientHost::default().probe;
        AmbientHost {
            families: Setting::default_to(self.families()),
            probe: HostProbe { from: self.probe_source(*from, report), owner, pods },
        }
    }

    /// Says where clauses come from.
    fn origins(&self, report: &mut Report) {
        report.comments.otherwise = Some("Istio's default".to_owned());
        let on = |on: bool| if on { "on" } else { "off" };
        report
            .origin_in_words(("", "family"), format!("IPv6 of ambient mode is {}", on(self.ipv6)));
        let dns = match self.pod_dns {
            Some(dns) => format!("ambient.istio.io/dns-capture: {dns}"),
            None => format!("DNS capture of ambient mode is {}", on(self.dns)),
        };
        report.origin_in_words(("", "dns"), dns);
        let ingress = format!("ambient.istio.io/bypass-inbound-capture: {}", self.ingress);
        report.origin_in_words(("inbound", "capture"), ingress);
        if let Some(given) = &self.reroute {
            report.origin(("interface", "reroute"), given);
        }
        for given in [&self.probe_v4, &self.probe_v6].into_iter().flatten() {
            report.origin(("probe", "from"), given);
        }
    }

    fn families(&self) -> Families {
        if self.ipv6 { Families::Both } else { Families::Ipv4 }
    }

    /// The source of probes, as given or by `default`.
    fn probe_source(&self, default: ProbeSource, report: &mut Report) -> Setting<ProbeSource> {
        let mut from = default;
        let mut refuse = |given: &Given, family| {
            report.refuse(given, Reason::NotAddress { item: given.value.clone(), family });
        };
        if let Some(given) = &self.probe_v4 {
            match given.value.parse() {
                Ok(IpAddr::V4(address)) => from.ipv4 = address,
                _ => refuse(given, Family::Ipv4),
            }
        }
        if let Some(given) = &self.probe_v6 {
            match given.value.parse() {
                Ok(IpAddr::V6(_)) if !self.ipv6 => {
                    let items = format!("`{}`", given.value);
                    report.note(given, Remark::FamilyOff { items });
                }
                Ok(IpAddr::V6(address)) => from.ipv6 = address,
                _ => refuse(given, Family::Ipv6),
            }
        }
        Setting::default_to(from)
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Report;
    use super::Ambient;
    use crate::import::Given;

    #[test]
    fn the_pod_has_the_last_word_about_dns() {
        for (global, pod, expected) in [
            (false, None, None),
            (true, None, Some(15053)),
            (false, Some(true), Some(15053)),
            (true, Some(false), None),
        ] {
            let ambient = Ambient { dns: global, pod_dns: pod, ..Ambient::default() };
            assert_eq!(*ambient.pod(&mut Report::default()).dns, expected, "{global} {pod:?}");
        }
    }

    #[test]
    fn the_probe_source_is_of_its_family() {
        for (ipv6, v4, v6, expected) in [
            (true, "198.18.0.1", "fd00::1", "198.18.0.1 fd00::1 "),
            (
                false,
                "198.18.0.1",
                "fd00::1",
                "198.18.0.1 fd16:9254:7127:1337:ffff:ffff:ffff:ffff `V6: fd00::1`: `fd00::1`: no \
                 effect, because IPv6 is not captured",
            ),
            (
                true,
                "::1",
                "1.1.1.1",
                "169.254.7.127 fd16:9254:7127:1337:ffff:ffff:ffff:ffff `V4: ::1`: `::1` is not an \
                 IPv4 address | `V6: 1.1.1.1`: `1.1.1.1` is not an IPv6 address",
            ),
        ] {
            let mut report = Report::default();
            let ambient = Ambient {
                ipv6,
                probe_v4: Some(Given::field("V4", v4)),
                probe_v6: Some(Given::field("V6", v6)),
                ..Ambient::default()
            };
            let from = *ambient.host(&mut report).probe.from;
            let said: Vec<_> = report
                .notes
                .iter()
                .map(ToString::to_string)
                .chain(report.mistakes.iter().map(ToString::to_string))
                .collect();
            assert_eq!(format!("{} {} {}", from.ipv4, from.ipv6, said.join(" | ")), expected);
            if let [mistake, ..] = &report.mistakes[..] {
                assert!(mistake.given.is_some());
            } else {
                assert_eq!(*ambient.pod(&mut Report::default()).probe_from, from);
            }
        }
    }
}
