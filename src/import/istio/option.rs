//! Upstream's options: every name that one has, and its default.

use std::collections::BTreeMap;

use super::finding::{Reason, Remark, Report};
use crate::import::go::boolean;
use crate::import::{GeneralReason, GeneralRemark, Given, Source};

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Text.
    Text,
    /// A boolean; on a command line, none is `true`.
    Switch,
    /// A number, in a configuration; nothing that matters here.
    Number,
    /// A list of texts, in a configuration only.
    List,
}

/// Upstream's name, flag, variables, type and default of an option.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) option: Opt,
    /// Name in a configuration.
    pub(super) key: &'static str,
    /// Long flag; empty if there is none.
    pub(super) flag: &'static str,
    /// Short flag; a space if there is none.
    pub(super) short: char,
    /// Variables; a later one wins.
    pub(super) environment: &'static [&'static str],
    pub(super) takes: Takes,
    pub(super) default: &'static str,
}

macro_rules! options {
    ($($option:ident $key:literal $flag:literal $short:literal [$($variable:literal),*] $takes:ident $default:literal)*) => {
        /// An option of upstream's `istio-iptables`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Opt {
            $($option,)*
        }

        /// Every option, as istio 1.29 has them: `tools/istio-iptables/pkg/cmd/root.go` for flags
        /// and variables, `tools/common/config/config.go` for names and defaults.
        pub(super) const OPTIONS: &[Spec] = &[$(Spec {
            option: Opt::$option,
            key: $key,
            flag: $flag,
            short: $short,
            environment: &[$($variable),*],
            takes: Takes::$takes,
            default: $default,
        },)*];
    };
}

options! {
    ProxyPort "PROXY_PORT" "envoy-port" 'p' [] Text "15001"
    InboundPort "INBOUND_CAPTURE_PORT" "inbound-capture-port" 'z' ["INBOUND_CAPTURE_PORT"] Text "15006"
    TunnelPort "INBOUND_TUNNEL_PORT" "inbound-tunnel-port" 'e' ["INBOUND_TUNNEL_PORT"] Text "15008"
    ProxyUid "PROXY_UID" "proxy-uid" 'u' ["PROXY_UID"] Text ""
    ProxyGid "PROXY_GID" "proxy-gid" 'g' ["PROXY_GID"] Text ""
    Mode "INBOUND_INTERCEPTION_MODE" "istio-inbound-interception-mode" 'm' ["ISTIO_INBOUND_INTERCEPTION_MODE"] Text ""
    TproxyMark "INBOUND_TPROXY_MARK" "istio-inbound-tproxy-mark" 't' ["ISTIO_INBOUND_TPROXY_MARK"] Text "1337"
    TproxyTable "INBOUND_TPROXY_ROUTE_TABLE" "istio-inbound-tproxy-route-table" 'r' ["ISTIO_INBOUND_TPROXY_ROUTE_TABLE"] Text "133"
    InboundPorts "INBOUND_PORTS_INCLUDE" "istio-inbound-ports" 'b' ["ISTIO_INBOUND_PORTS"] Text ""
    InboundExcludes "INBOUND_PORTS_EXCLUDE" "istio-local-exclude-ports" 'd' ["ISTIO_LOCAL_EXCLUDE_PORTS"] Text ""
    Groups "OUTBOUND_OWNER_GROUPS_INCLUDE" "" ' ' ["ISTIO_OUTBOUND_OWNER_GROUPS"] Text "*"
    GroupExcludes "OUTBOUND_OWNER_GROUPS_EXCLUDE" "" ' ' ["ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE"] Text ""
    OutboundPorts "OUTBOUND_PORTS_INCLUDE" "istio-outbound-ports" 'q' ["ISTIO_OUTBOUND_PORTS"] Text ""
    OutboundPortExcludes "OUTBOUND_PORTS_EXCLUDE" "istio-local-outbound-ports-exclude" 'o' ["ISTIO_LOCAL_OUTBOUND_PORTS_EXCLUDE"] Text ""
    Destinations "OUTBOUND_IPRANGES_INCLUDE" "istio-service-cidr" 'i' ["ISTIO_SERVICE_CIDR"] Text ""
    DestinationExcludes "OUTBOUND_IPRANGES_EXCLUDE" "istio-service-exclude-cidr" 'x' ["ISTIO_SERVICE_EXCLUDE_CIDR"] Text ""
    Reroute "KUBE_VIRT_INTERFACES" "kube-virt-interfaces" 'k' ["KUBE_VIRT_INTERFACES"] Text ""
    InterfaceExcludes "EXCLUDE_INTERFACES" "istio-exclude-interfaces" 'c' ["ISTIO_EXCLUDE_INTERFACES"] Text ""
    Loopback "HOST_IPV4_LOOPBACK_CIDR" "" ' ' ["ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR"] Text "127.0.0.1/32"
    Dns "REDIRECT_DNS" "redirect-dns" ' ' ["REDIRECT_DNS", "ISTIO_META_DNS_CAPTURE"] Switch "false"
    AllDns "CAPTURE_ALL_DNS" "capture-all-dns" ' ' ["CAPTURE_ALL_DNS"] Switch "false"
    ResolversV4 "DNS_SERVERS_V4" "" ' ' [] List ""
    ResolversV6 "DNS_SERVERS_V6" "" ' ' [] List ""
    DropInvalid "DROP_INVALID" "drop-invalid" ' ' ["DROP_INVALID", "INVALID_DROP"] Switch "false"
    Ipv6 "ENABLE_INBOUND_IPV6" "" ' ' [] Switch "false"
    DualStack "DUAL_STACK" "dual-stack" ' ' ["DUAL_STACK", "ISTIO_DUAL_STACK"] Switch "false"
    Binary "FORCE_IPTABLES_BINARY" "force-iptables-binary" ' ' ["FORCE_IPTABLES_BINARY"] Text ""
    NativeNftables "NATIVE_NFTABLES" "native-nftables" ' ' ["NATIVE_NFTABLES"] Switch "false"
    DryRun "DRY_RUN" "dry-run" 'n' ["DRY_RUN"] Switch "false"
    SkipRuleApply "SKIP_RULE_APPLY" "skip-rule-apply" ' ' ["SKIP_RULE_APPLY"] Switch "false"
    RunValidation "RUN_VALIDATION" "run-validation" ' ' ["RUN_VALIDATION"] Switch "false"
    ProbePort "IPTABLES_PROBE_PORT" "iptables-probe-port" ' ' ["IPTABLES_PROBE_PORT"] Number "15002"
    ProbeTimeout "PROBE_TIMEOUT" "probe-timeout" ' ' ["PROBE_TIMEOUT"] Number "5s"
    NetworkNamespace "NETWORK_NAMESPACE" "network-namespace" ' ' ["NETWORK_NAMESPACE"] Text ""
    CniMode "CNI_MODE" "cni-mode" ' ' ["CNI_MODE"] Switch "false"
    HostIp "HOST_IP" "" ' ' [] Text ""
    Reconcile "RECONCILE" "reconcile" ' ' ["RECONCILE"] Switch "false"
    CleanupOnly "CLEANUP_ONLY" "cleanup-only" ' ' ["CLEANUP_ONLY"] Switch "false"
    ForceApply "FORCE_APPLY" "force-apply" ' ' ["FORCE_APPLY"] Switch "false"
}

impl Opt {
    /// Everything upstream says about it.
    pub(super) fn spec(self) -> &'static Spec {
        &OPTIONS[self as usize]
    }

    /// Whether it decides about traffic, and not only about how rules are applied.
    fn is_traffic(self) -> bool {
        self < Self::Binary
    }
}

/// Upstream's configuration of a sidecar: every option, as given or by default.
#[derive(Debug)]
pub(super) struct Options(BTreeMap<Opt, Given>);

impl Options {
    /// Upstream's defaults. With them nothing is captured: what an injected pod has is in the
    /// arguments of its init container.
    pub(super) fn new() -> Self {
        Self(
            OPTIONS
                .iter()
                .map(|spec| {
                    let given = Given {
                        option: spec.key.to_owned(),
                        value: spec.default.to_owned(),
                        source: Source::Default,
                    };
                    (spec.option, given)
                })
                .collect(),
        )
    }

    /// The option, as given or by default.
    pub(super) fn get(&self, option: Opt) -> &Given {
        self.0.get(&option).expect("every option has a default")
    }

    /// The text of the option.
    pub(super) fn text(&self, option: Opt) -> &str {
        &self.get(option).value
    }

    /// Whether the switch is on.
    pub(super) fn is_on(&self, option: Opt) -> bool {
        self.text(option) == "true"
    }

    /// Whether somebody gave any option.
    pub(super) fn is_any_given(&self) -> bool {
        self.0.values().any(|given| given.source != Source::Default)
    }

    /// Whether somebody gave the option a value that is not the default.
    pub(super) fn is_changed(&self, option: Opt) -> bool {
        self.text(option) != option.spec().default
    }

    /// Sets the option. What it takes the place of is noted, unless it says the same.
    ///
    /// A switch that is no boolean is a mistake on a command line; upstream ignores it elsewhere.
    pub(super) fn set(&mut self, option: Opt, mut given: Given, report: &mut Report) {
        if option.spec().takes == Takes::Switch {
            match boolean(&given.value) {
                Some(on) => given.value = on.to_string(),
                None if given.source == Source::Argument => {
                    return report.refuse(&given, GeneralReason::NotBoolean);
                }
                None => return report.note(&given, Remark::BooleanIgnored),
            }
        }
        let old = self.0.insert(option, given).expect("every option has a default");
        let new = self.get(option);
        if old.source != Source::Default && old.value != new.value {
            report.note(&old, GeneralRemark::Overridden { by: new.to_string() });
        }
    }

    /// Sets the option to what an installation of upstream's does without being asked.
    pub(super) fn preset(&mut self, option: Opt, value: &str) {
        let given = self.0.get_mut(&option).expect("every option has a default");
        value.clone_into(&mut given.value);
    }

    /// Notes the options that were given and do not decide about traffic.
    pub(super) fn note_unrelated(&self, report: &mut Report) {
        for spec in OPTIONS.iter().filter(|spec| !spec.option.is_traffic()) {
            let given = self.get(spec.option);
            match spec.option {
                Opt::Binary if !matches!(given.value.as_str(), "" | "legacy" | "nft") => {
                    report.refuse(given, Reason::NotBinary);
                }
                _ if !self.is_changed(spec.option) => {}
                Opt::NativeNftables => report.note(given, Remark::NativeNftables),
                _ => report.note(given, GeneralRemark::NotTraffic),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OPTIONS, Takes};

    #[test]
    fn every_name_is_given_once() {
        for (at, spec) in OPTIONS.iter().enumerate() {
            assert_eq!(spec.option.spec().key, spec.key);
            let others = || OPTIONS.iter().skip(at + 1);
            assert!(others().all(|other| other.key != spec.key), "{}", spec.key);
            assert!(
                spec.short == ' ' || others().all(|other| other.short != spec.short),
                "-{}",
                spec.short
            );
            for name in spec.environment {
                assert!(others().all(|other| !other.environment.contains(name)), "{name}");
            }
            // Upstream derives the variable from the flag, except for `-p`.
            if !spec.flag.is_empty() && spec.flag != "envoy-port" {
                assert_eq!(spec.environment[0], spec.flag.replace('-', "_").to_uppercase());
            }
            if spec.takes == Takes::Switch {
                assert_eq!(spec.default, "false");
            }
        }
    }
}
