use std::net::IpAddr;

use super::finding::{Given, Reason, Remark, Report};
use super::value;
use crate::net::{Families, Family};
use crate::policy::{AmbientHost, AmbientPod, Dns, Setting};

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
        let mut pod = AmbientPod::default();
        pod.families = Setting::default_to(self.families());
        let dns = self.pod_dns.unwrap_or(self.dns);
        pod.dns = Setting::default_to(dns.then_some(Dns::DEFAULT_PORT));
        pod.capture_inbound = Setting::default_to(!self.ingress);
        if let Some(given) = &self.reroute {
            pod.reroute = Setting::default_to(value::interfaces(given, report));
        }
        self.probe_source(&mut pod.probe_from.value, report);
        pod
    }

    /// The policy of the node.
    pub(super) fn host(&self, report: &mut Report) -> AmbientHost {
        let mut host = AmbientHost::default();
        host.families = Setting::default_to(self.families());
        self.probe_source(&mut host.probe.from.value, report);
        host
    }

    fn families(&self) -> Families {
        if self.ipv6 { Families::Both } else { Families::Ipv4 }
    }

    fn probe_source(
        &self,
        from: &mut crate::net::PerFamily<std::net::Ipv4Addr, std::net::Ipv6Addr>,
        report: &mut Report,
    ) {
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
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Given, Report};
    use super::Ambient;

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
