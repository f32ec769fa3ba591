//! Kuma's options: every name that one has.

use std::collections::BTreeMap;

use serde_json::Value;

use super::finding::{Reason, Remark, Report};
use crate::import::environment::Environment;
use crate::import::flags::{self, Flag};
use crate::import::json::{Object, wrong_type};
use crate::import::words::nearest;
use crate::import::{GeneralReason, GeneralRemark, Given, Source};

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// A boolean; on a command line, none is `true`.
    Switch,
    /// One port.
    Port,
    /// Ports, with commas between.
    Ports,
    /// Text, or a number.
    Text,
    /// Texts. A flag may be given several times.
    Texts,
    /// Anything: it is about how rules are applied or logged.
    Anything,
}

/// Kuma's names for an option, and its type.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) option: Opt,
    /// Path in a configuration file.
    pub(super) key: &'static str,
    /// Flag; empty if there is none.
    pub(super) flag: &'static str,
    pub(super) takes: Takes,
}

macro_rules! options {
    ($($option:ident $key:literal $flag:literal $takes:ident)*) => {
        /// An option of `kumactl install transparent-proxy`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Opt {
            $($option,)*
        }

        /// Every option (Kuma 348b6528 of 2026-08-21): `pkg/transparentproxy/config/config.go` for
        /// paths and types, `app/kumactl/cmd/install/install_transparent_proxy.go` for flags.
        pub(super) const OPTIONS: &[Spec] = &[$(Spec {
            option: Opt::$option,
            key: $key,
            flag: $flag,
            takes: Takes::$takes,
        },)*];
    };
}

options! {
    User "kumaDPUser" "kuma-dp-user" Text
    Inbound "redirect.inbound.enabled" "redirect-inbound" Switch
    InboundPort "redirect.inbound.port" "redirect-inbound-port" Port
    InboundIncludes "redirect.inbound.includePorts" "" Ports
    InboundExcludes "redirect.inbound.excludePorts" "exclude-inbound-ports" Ports
    InboundUsers "redirect.inbound.excludePortsForUIDs" "" Texts
    InboundIps "redirect.inbound.excludePortsForIPs" "exclude-inbound-ips" Texts
    InboundInsert "redirect.inbound.insertRedirectInsteadOfAppend" "redirect-inbound-insert-instead-of-append" Switch
    Outbound "redirect.outbound.enabled" "" Switch
    OutboundPort "redirect.outbound.port" "redirect-outbound-port" Port
    OutboundIncludes "redirect.outbound.includePorts" "" Ports
    OutboundExcludes "redirect.outbound.excludePorts" "exclude-outbound-ports" Ports
    OutboundUsers "redirect.outbound.excludePortsForUIDs" "exclude-outbound-ports-for-uids" Texts
    OutboundIps "redirect.outbound.excludePortsForIPs" "exclude-outbound-ips" Texts
    OutboundInsert "redirect.outbound.insertRedirectInsteadOfAppend" "redirect-outbound-insert-instead-of-append" Switch
    Dns "redirect.dns.enabled" "redirect-dns" Switch
    AllDns "redirect.dns.captureAll" "redirect-all-dns-traffic" Switch
    DnsPort "redirect.dns.port" "redirect-dns-port" Port
    SkipZones "redirect.dns.skipConntrackZoneSplit" "skip-dns-conntrack-zone-split" Switch
    ResolvConf "redirect.dns.resolvConfigPath" "" Text
    Networks "redirect.vnet.networks" "vnet" Texts
    DropInvalid "dropInvalidPackets" "drop-invalid-packets" Switch
    Family "ipFamilyMode" "ip-family-mode" Text
    CniMode "cniMode" "" Switch
    Verbose "verbose" "verbose" Switch
    DryRun "dryRun" "dry-run" Switch
    Log "log.enabled" "iptables-logs" Switch
    LogLevel "log.level" "" Anything
    Wait "wait" "wait" Anything
    WaitInterval "waitInterval" "wait-interval" Anything
    Retries "retry.maxRetries" "max-retries" Anything
    RetrySleep "retry.sleepBetweenRetries" "sleep-between-retries" Anything
    Firewalld "storeFirewalld" "store-firewalld" Switch
    Executables "iptablesExecutables" "iptables-executables" Anything
    NoComments "comments.disabled" "disable-comments" Switch
}

impl Opt {
    /// What Kuma says about it.
    pub(super) fn spec(self) -> &'static Spec {
        &OPTIONS[self as usize]
    }

    /// Whether it decides about traffic, and not only about how rules are applied or logged.
    fn is_traffic(self) -> bool {
        self < Self::CniMode
    }
}

/// What `--config` names in arguments, in order: paths, or `-` for standard input.
pub(super) fn config_paths(arguments: &[String]) -> Vec<String> {
    let mut paths = Vec::new();
    flags::read(arguments, COMMAND, &flags(), &mut Report::default(), |sets, given, _| {
        if matches!(sets, Sets::Config) {
            let given = given.value.split(',').map(str::trim).filter(|path| !path.is_empty());
            paths.extend(given.map(str::to_owned));
        }
    });
    paths
}

/// The words of the command.
const COMMAND: &[&str] = &["kumactl", "install", "transparent-proxy"];

/// Every flag of the command.
fn flags() -> Vec<Flag<Sets>> {
    let options = OPTIONS.iter().filter(|spec| !spec.flag.is_empty()).map(|spec| Flag {
        long: spec.flag,
        short: None,
        is_switch: spec.takes == Takes::Switch,
        sets: Sets::Option(spec.option),
    });
    let others = [("config", false, Sets::Config), ("no-config", true, Sets::Nothing)]
        .into_iter()
        .chain([("api-timeout", false, Sets::Nothing), ("log-level", false, Sets::Nothing)])
        .chain([("config-file", false, Sets::Nothing)])
        .map(|(long, is_switch, sets)| Flag { long, short: None, is_switch, sets });
    options.chain(others).collect()
}

/// What a flag sets.
#[derive(Clone, Copy)]
enum Sets {
    Option(Opt),
    /// The path of a configuration file.
    Config,
    /// Nothing about rules.
    Nothing,
}

/// Kuma's options, as far as they are given. An option with a list has one [`Given`] an item.
#[derive(Debug, Default)]
pub(super) struct Options(BTreeMap<Opt, Vec<Given>>);

impl Options {
    /// What was given for it: several for a list.
    pub(super) fn all(&self, option: Opt) -> &[Given] {
        self.0.get(&option).map_or(&[], Vec::as_slice)
    }

    /// What was given for it.
    pub(super) fn get(&self, option: Opt) -> Option<&Given> {
        self.all(option).last()
    }

    /// Whether a switch is on, which is `default` if it was not given.
    pub(super) fn is_on(&self, option: Opt, default: bool) -> bool {
        self.get(option).map_or(default, |given| given.value == "true")
    }

    /// Sets an option in place of what it was. What is not about traffic is noted.
    pub(super) fn set(&mut self, option: Opt, given: Vec<Given>, report: &mut Report) {
        if !option.is_traffic()
            && let Some(given) = given.last().filter(|given| given.value != "false")
        {
            match option {
                Opt::Log => report.note(given, Remark::Log),
                _ => report.note(given, GeneralRemark::NotTraffic),
            }
        }
        self.0.insert(option, given);
    }

    /// Sets a switch from the text of a flag or a variable, as Go's `strconv.ParseBool` reads it.
    fn switch(&mut self, option: Opt, given: Given, report: &mut Report) {
        let on = match given.value.as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
            "0" | "f" | "F" | "FALSE" | "false" | "False" => false,
            _ => return report.refuse(&given, GeneralReason::NotBoolean),
        };
        self.set(option, vec![Given { value: on.to_string(), ..given }], report);
    }

    /// Reads a configuration as Kuma's file has it. What Kuma does not know it ignores, and this
    /// notes.
    pub(super) fn read_config(&mut self, config: &Object, report: &mut Report) {
        self.read_object("", config, report);
    }

    fn read_object(&mut self, path: &str, object: &Object, report: &mut Report) {
        for (name, value) in object {
            let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            // Go's names in JSON are the same in whatever case.
            let known = OPTIONS.iter().find(|spec| spec.key.eq_ignore_ascii_case(&key));
            let is_block = || {
                let begins = |spec: &Spec| {
                    spec.key.len() > key.len()
                        && spec.key.as_bytes()[key.len()] == b'.'
                        && spec.key[..key.len()].eq_ignore_ascii_case(&key)
                };
                OPTIONS.iter().any(begins)
            };
            match (known, value) {
                (Some(spec), value) => self.read_value(spec, value, report),
                (None, Value::Object(inner)) if is_block() => {
                    self.read_object(&key, inner, report);
                }
                (None, Value::Null) if is_block() => {}
                (None, other) if is_block() => {
                    report.refuse(&Given::field(key, ""), wrong_type(other, "an object"));
                }
                (None, _) => {
                    let nearest = nearest(&key, OPTIONS.iter().map(|spec| spec.key));
                    let nearest = nearest.map(str::to_owned);
                    report.note(&Given::field(key, ""), GeneralRemark::NotAnOption { nearest });
                }
            }
        }
    }

    fn read_value(&mut self, spec: &Spec, value: &Value, report: &mut Report) {
        let refuse = |expected, report: &mut Report| {
            report.refuse(&Given::field(spec.key, text_of(value)), wrong_type(value, expected));
        };
        let given = |text| vec![Given::field(spec.key, text)];
        match (spec.takes, value) {
            (Takes::Anything, value) => {
                self.set(spec.option, given(text_of(value)), report);
            }
            (Takes::Switch | Takes::Text | Takes::Texts, Value::Null) => {}
            (Takes::Switch, Value::Bool(on)) => {
                self.set(spec.option, given(on.to_string()), report);
            }
            (Takes::Switch, _) => refuse("`true` or `false`", report),
            (Takes::Port, Value::Number(port)) => {
                self.set(spec.option, given(port.to_string()), report);
            }
            (Takes::Port, _) => refuse("a number", report),
            (Takes::Ports, Value::Array(items)) => {
                // Items that are neither are passed over by Kuma.
                let items = items.iter().filter(|item| item.is_number() || item.is_string());
                let text: Vec<_> = items.map(text_of).collect();
                self.set(spec.option, given(text.join(",")), report);
            }
            // Kuma's reader of YAML makes text of what is not, where text is asked for.
            (Takes::Ports | Takes::Text, Value::String(_) | Value::Number(_))
            | (Takes::Text, Value::Bool(_)) => {
                self.set(spec.option, given(text_of(value)), report);
            }
            (Takes::Ports, _) => refuse("a list of ports", report),
            (Takes::Text, _) => refuse("text", report),
            (Takes::Texts, Value::Array(items))
                if !items.iter().any(|item| item.is_array() || item.is_object()) =>
            {
                let items = items.iter().map(|item| Given::field(spec.key, text_of(item)));
                self.set(spec.option, items.collect(), report);
            }
            (Takes::Texts, _) => refuse("a list of texts", report),
        }
    }

    /// Reads `KUMA_TRANSPARENT_PROXY_…`.
    pub(super) fn read_environment(&mut self, environment: &Environment, report: &mut Report) {
        for (name, value) in environment {
            let Some(rest) = name.strip_prefix("KUMA_TRANSPARENT_PROXY_") else { continue };
            let given = |value: &str| Given {
                option: name.clone(),
                value: value.to_owned(),
                source: Source::Environment,
            };
            let Some(spec) = OPTIONS.iter().find(|spec| variable(spec.key) == rest) else {
                report.note(&given(value), GeneralRemark::NotAnOption { nearest: None });
                continue;
            };
            match spec.takes {
                Takes::Switch => self.switch(spec.option, given(value), report),
                // As envconfig splits lists.
                Takes::Texts => {
                    let items = value.split(',').filter(|_| !value.trim().is_empty());
                    self.set(spec.option, items.map(given).collect(), report);
                }
                _ => self.set(spec.option, vec![given(value)], report),
            }
        }
    }

    /// Reads arguments of `kumactl install transparent-proxy`, with or without the command before
    /// them. `has_config` says that what `--config` names was read.
    pub(super) fn read_arguments(
        &mut self,
        arguments: &[String],
        has_config: bool,
        report: &mut Report,
    ) {
        let mut lists: BTreeMap<Opt, Vec<Given>> = BTreeMap::new();
        let mut dns = [false; 2];
        flags::read(arguments, COMMAND, &flags(), report, |sets, given, report| match *sets {
            Sets::Nothing => report.note(&given, GeneralRemark::NotTraffic),
            Sets::Config if has_config || given.value.trim().is_empty() => {}
            Sets::Config => report.refuse(&given, Reason::ConfigElsewhere),
            Sets::Option(option) => match option.spec().takes {
                Takes::Switch => {
                    self.switch(option, given, report);
                    for (at, one) in [Opt::Dns, Opt::AllDns].into_iter().enumerate() {
                        if option == one {
                            dns[at] = self.is_on(option, false);
                        }
                    }
                }
                Takes::Texts => lists.entry(option).or_default().push(given),
                _ => self.set(option, vec![given], report),
            },
        });
        if dns == [true, true] {
            report.fail(Reason::BothDns);
        }
        for (option, given) in lists {
            self.set(option, given, report);
        }
    }
}

/// Notes that variables are not read.
pub(super) fn note_unread(environment: &Environment, report: &mut Report) {
    if environment.keys().any(|name| name.starts_with("KUMA_TRANSPARENT_PROXY_")) {
        report.remark(Remark::EnvironmentUnread);
    }
}

/// `REDIRECT_INBOUND_EXCLUDE_PORTS_FOR_UIDS` of `redirect.inbound.excludePortsForUIDs`.
fn variable(key: &str) -> String {
    // `DP` and `IPs` do not fall apart as Go's names do.
    let key = key
        .replace("kumaDPUser", "kumaDpUser")
        .replace("ForUIDs", "ForUids")
        .replace("ForIPs", "ForIps");
    let mut name = String::new();
    for c in key.chars() {
        if c == '.' {
            name.push('_');
            continue;
        }
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{OPTIONS, Opt, variable};

    #[test]
    fn variables_are_called_as_kuma_calls_them() {
        for (option, name) in [
            (Opt::User, "KUMA_DP_USER"),
            (Opt::InboundUsers, "REDIRECT_INBOUND_EXCLUDE_PORTS_FOR_UIDS"),
            (Opt::OutboundIps, "REDIRECT_OUTBOUND_EXCLUDE_PORTS_FOR_IPS"),
            (Opt::SkipZones, "REDIRECT_DNS_SKIP_CONNTRACK_ZONE_SPLIT"),
            (Opt::Networks, "REDIRECT_VNET_NETWORKS"),
            (Opt::Family, "IP_FAMILY_MODE"),
            (Opt::DropInvalid, "DROP_INVALID_PACKETS"),
            (Opt::OutboundInsert, "REDIRECT_OUTBOUND_INSERT_REDIRECT_INSTEAD_OF_APPEND"),
        ] {
            assert_eq!(variable(option.spec().key), name);
        }
    }

    #[test]
    fn every_option_stands_at_its_place() {
        for (at, spec) in OPTIONS.iter().enumerate() {
            assert_eq!(spec.option as usize, at, "{}", spec.key);
        }
    }
}
