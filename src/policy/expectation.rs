//! What a policy is expected to do.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::net::{Interface, PortRange, written_net};

/// What must become of new connections, proved for all of them when the policy is compiled.
///
/// A list that is empty says nothing. Then it is about connections of the workload itself (not the
/// proxy's), over any interface but loopback, to any address but a loopback one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Expectation {
    /// Whether they arrive or leave.
    pub way: Way,
    /// Their protocol; `None`: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Transport>,
    /// Where they come from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub from: Vec<IpNet>,
    /// Where they go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub to: Vec<IpNet>,
    /// The ports that they go to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortRange>,
    /// The users whose processes open them. Empty, if they arrive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<u32>,
    /// The groups whose processes open them. Empty, if they arrive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<u32>,
    /// The interfaces on which they arrive or leave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<Interface>,
    /// Whether `becomes` must not become of any of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not: bool,
    /// What must become of them.
    pub becomes: Expected,
}

/// Whether connections arrive or leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// They arrive.
    Inbound,
    /// A process of the workload opens them.
    Outbound,
}

/// A protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// What must become of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Expected {
    /// They go where they want to.
    Untouched,
    /// Nobody gets them.
    Dropped,
    /// They go to this port of the proxy.
    Proxy(u16),
    /// They go to this address instead of their own, and to this port if there is one.
    To(IpAddr, Option<u16>),
}

impl Way {
    /// The word that the language has for it.
    #[must_use]
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }

    /// The word before an interface.
    #[must_use]
    pub const fn interface_keyword(self) -> &'static str {
        match self {
            Self::Inbound => "in",
            Self::Outbound => "out",
        }
    }
}

impl Transport {
    /// The word that the language has for it.
    #[must_use]
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// `untouched`, `dropped`, `proxy 15006`, `to 127.0.0.1 port 8600`.
impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untouched => f.write_str("untouched"),
            Self::Dropped => f.write_str("dropped"),
            Self::Proxy(port) => write!(f, "proxy {port}"),
            Self::To(address, None) => write!(f, "to {address}"),
            Self::To(address, Some(port)) => write!(f, "to {address} port {port}"),
        }
    }
}

impl Expectation {
    /// That `becomes` becomes of all connections of the workload itself.
    #[must_use]
    pub const fn of(way: Way, becomes: Expected) -> Self {
        Self {
            way,
            protocol: None,
            from: Vec::new(),
            to: Vec::new(),
            ports: Vec::new(),
            users: Vec::new(),
            groups: Vec::new(),
            interfaces: Vec::new(),
            not: false,
            becomes,
        }
    }

    /// What stands behind the arrow: `not proxy 15001`.
    #[must_use]
    pub fn outcome(&self) -> String {
        let not = if self.not { "not " } else { "" };
        format!("{not}{}", self.becomes)
    }

    /// The clause, word for word; a list goes on behind a word that ends with a comma.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words = vec!["expect".to_owned(), self.way.keyword().to_owned()];
        words.extend(self.protocol.map(|protocol| protocol.keyword().to_owned()));
        let nets = |nets: &[IpNet]| nets.iter().copied().map(written_net).collect();
        list(&mut words, "from", nets(&self.from));
        list(&mut words, "to", nets(&self.to));
        list(&mut words, "port", texts(&self.ports));
        list(&mut words, "user", texts(&self.users));
        list(&mut words, "group", texts(&self.groups));
        list(&mut words, self.way.interface_keyword(), texts(&self.interfaces));
        words.push("=>".to_owned());
        words.extend(self.outcome().split(' ').map(str::to_owned));
        words
    }
}

fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn list(words: &mut Vec<String>, keyword: &str, values: Vec<String>) {
    let Some(last) = values.len().checked_sub(1) else { return };
    words.push(keyword.to_owned());
    let comma = |(at, value)| if at == last { value } else { format!("{value},") };
    words.extend(values.into_iter().enumerate().map(comma));
}
