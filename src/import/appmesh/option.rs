//! What decides about traffic in App Mesh: variables of the route manager.

use std::collections::BTreeMap;

use super::finding::Report;
use crate::import::environment::Environment;
use crate::import::words::misspelt;
use crate::import::{GeneralRemark, Given, Source};

/// An option, and what it is called.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) option: Opt,
    /// The variable of the route manager.
    pub(super) variable: &'static str,
}

macro_rules! options {
    ($($option:ident $variable:literal)*) => {
        /// An option of the route manager.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Opt {
            $($option,)*
        }

        /// Every option.
        pub(super) const OPTIONS: &[Spec] = &[$(Spec {
            option: Opt::$option,
            variable: $variable,
        },)*];
    };
}

options! {
    User "APPMESH_IGNORE_UID"
    Group "APPMESH_IGNORE_GID"
    Ports "APPMESH_APP_PORTS"
    InboundPort "APPMESH_ENVOY_INGRESS_PORT"
    OutboundPort "APPMESH_ENVOY_EGRESS_PORT"
    ExcludedAddresses "APPMESH_EGRESS_IGNORED_IP"
    ExcludedPorts "APPMESH_EGRESS_IGNORED_PORTS"
    Ipv6 "APPMESH_ENABLE_IPV6"
    Start "APPMESH_START_ENABLED"
}

impl Opt {
    /// What it is called.
    pub(super) fn spec(self) -> &'static Spec {
        &OPTIONS[self as usize]
    }
}

/// The options that are given. To App Mesh, an empty one is not.
#[derive(Clone, Debug, Default)]
pub(super) struct Options(BTreeMap<Opt, Given>);

impl Options {
    /// The options of `environment`. A variable that is nearly one is noted; any other is somebody
    /// else's.
    pub(super) fn of_environment(environment: &Environment, report: &mut Report) -> Self {
        let mut options = Self::default();
        for (name, value) in environment {
            let given =
                Given { option: name.clone(), value: value.clone(), source: Source::Environment };
            let known = OPTIONS.iter().find(|spec| spec.variable == name);
            if let Some(spec) = known {
                options.set(spec.option, given);
                continue;
            }
            let near = misspelt(name, OPTIONS.iter().map(|spec| spec.variable));
            if near.is_some() || name.starts_with("APPMESH_") {
                let nearest = near.map(str::to_owned);
                report.note(&given, GeneralRemark::NotAnOption { nearest });
            }
        }
        options
    }

    /// Sets an option in place of what it was.
    pub(super) fn set(&mut self, option: Opt, given: Given) {
        if given.value.is_empty() {
            self.0.remove(&option);
        } else {
            self.0.insert(option, given);
        }
    }

    pub(super) fn get(&self, option: Opt) -> Option<&Given> {
        self.0.get(&option)
    }
}
