//! The options of Linkerd's tools: their names, and what is given for them.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Reason, Report};
use crate::import::{GeneralReason, GeneralRemark, Given, go};

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// A number.
    Number,
    /// A boolean; on a command line, none is `true`.
    Switch,
    /// Text.
    Text,
    /// Numbers. Those that are given again come behind those that were.
    Numbers,
    /// Texts. Those that are given again come behind those that were.
    Texts,
}

/// Name, flag and type of an option.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) option: Opt,
    /// The flag, and the field of the CNI plugin's configuration.
    pub(super) name: &'static str,
    /// The short flag.
    pub(super) short: Option<char>,
    pub(super) takes: Takes,
    /// Whether the CNI plugin has it.
    pub(super) in_cni: bool,
}

macro_rules! options {
    ($($option:ident $name:literal $short:expr, $takes:ident $in_cni:literal)*) => {
        /// An option of `linkerd-init`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Opt {
            $($option,)*
        }

        /// Every option, as linkerd2-proxy-init 183e791 has them: `proxy-init/cmd/root.go`, and
        /// `cni-plugin/main.go` for what the plugin has.
        pub(super) const OPTIONS: &[Spec] = &[$(Spec {
            option: Opt::$option,
            name: $name,
            short: $short,
            takes: Takes::$takes,
            in_cni: $in_cni,
        },)*];
    };
}

options! {
    InboundPort "incoming-proxy-port" Some('p'), Number true
    OutboundPort "outgoing-proxy-port" Some('o'), Number true
    User "proxy-uid" Some('u'), Number true
    Group "proxy-gid" Some('g'), Number true
    InboundPorts "ports-to-redirect" Some('r'), Numbers true
    InboundExcludes "inbound-ports-to-ignore" None, Texts true
    OutboundExcludes "outbound-ports-to-ignore" None, Texts true
    Subnets "subnets-to-ignore" None, Texts true
    Ipv6 "ipv6" None, Switch true
    Simulate "simulate" None, Switch true
    Mode "iptables-mode" None, Text true
    Binary "firewall-bin-path" None, Text false
    SaveBinary "firewall-save-bin-path" None, Text false
    NetworkNamespace "netns" None, Text false
    Wait "use-wait-flag" Some('w'), Switch true
    CloseWait "timeout-close-wait-secs" None, Number false
    LogFormat "log-format" None, Text false
    LogLevel "log-level" None, Text false
}

/// Some items of a list, and where they are from.
#[derive(Clone, Debug)]
pub(super) struct Items {
    pub(super) given: Given,
    pub(super) items: Vec<String>,
}

/// What is given for every option that something is given for.
#[derive(Debug, Default)]
pub(super) struct Options {
    /// Options for which something is given that is wrong, and was reported.
    spoiled: BTreeSet<Opt>,
    values: BTreeMap<Opt, Given>,
    lists: BTreeMap<Opt, Vec<Items>>,
}

impl Opt {
    /// Everything there is to know about it.
    pub(super) fn spec(self) -> &'static Spec {
        &OPTIONS[self as usize]
    }
}

impl Options {
    /// What is given for an option that takes no list.
    pub(super) fn get(&self, option: Opt) -> Option<&Given> {
        self.values.get(&option)
    }

    /// Whether something wrong is given for it.
    pub(super) fn is_spoiled(&self, option: Opt) -> bool {
        self.spoiled.contains(&option)
    }

    /// Remembers that something wrong is given for it.
    pub(super) fn spoil(&mut self, option: Opt) {
        self.spoiled.insert(option);
    }

    /// The number that is given.
    pub(super) fn number(&self, option: Opt) -> Option<i64> {
        self.get(option).and_then(|given| go::number(&given.value))
    }

    /// Whether the switch is on; `None` if nothing is given.
    pub(super) fn switch(&self, option: Opt) -> Option<bool> {
        self.get(option).and_then(|given| go::boolean(&given.value))
    }

    /// The text that is given.
    pub(super) fn text(&self, option: Opt) -> &str {
        self.get(option).map_or("", |given| &given.value)
    }

    /// What is given for an option that takes a list, in order.
    pub(super) fn list(&self, option: Opt) -> &[Items] {
        self.lists.get(&option).map_or(&[], Vec::as_slice)
    }

    /// Reads the text of a flag, as pflag does.
    pub(super) fn read(&mut self, option: Opt, given: Given, report: &mut Report) {
        let items = match option.spec().takes {
            Takes::Number if go::number(&given.value).is_none() => {
                self.spoil(option);
                return report.refuse(&given, Reason::NotNumber { item: given.value.clone() });
            }
            Takes::Switch if go::boolean(&given.value).is_none() => {
                return report.refuse(&given, GeneralReason::NotBoolean);
            }
            Takes::Number | Takes::Switch | Takes::Text => {
                return self.set(option, given, report);
            }
            // pflag reads a record of CSV.
            Takes::Texts if given.value.contains(['"', '\n', '\r']) => {
                return report.refuse(&given, Reason::Quoted);
            }
            Takes::Texts if given.value.is_empty() => Vec::new(),
            Takes::Texts | Takes::Numbers => given.value.split(',').map(str::to_owned).collect(),
        };
        self.add(option, Items { given, items });
    }

    /// Sets an option that takes no list. What it takes the place of is noted, unless it says the
    /// same.
    pub(super) fn set(&mut self, option: Opt, given: Given, report: &mut Report) {
        let by = given.to_string();
        if let Some(old) = self.values.insert(option, given)
            && old.value != self.text(option)
        {
            report.note(&old, GeneralRemark::Overridden { by });
        }
    }

    /// Adds to a list.
    pub(super) fn add(&mut self, option: Opt, items: Items) {
        self.lists.entry(option).or_default().push(items);
    }

    /// Sets a number or a switch in the place of what is installed.
    #[cfg(feature = "import-pod")]
    pub(super) fn preset(&mut self, option: Opt, given: Given, report: &mut Report) {
        self.values.remove(&option);
        self.read(option, given, report);
    }
}

#[cfg(test)]
mod tests {
    use super::OPTIONS;

    #[test]
    fn every_name_is_given_once() {
        for (at, spec) in OPTIONS.iter().enumerate() {
            assert_eq!(spec.option.spec().name, spec.name);
            let mut others = OPTIONS.iter().skip(at + 1);
            assert!(others.all(|other| {
                other.name != spec.name && (other.short != spec.short || spec.short.is_none())
            }));
        }
    }
}
