//! Networks of containers or virtual machines inside of a workload.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::diag::{Problem, shown};
use crate::net::{Family, Interface, written_net};
use crate::policy::clauses::addresses;
use crate::policy::clauses::lists::Covers;
use crate::policy::clauses::numbers::Mistake;
use crate::policy::clauses::values::{GroupIds, Read};

/// A network behind an interface of the workload's namespace: `docker0:172.17.0.0/16`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VirtualNetwork {
    /// The interface, or the beginning of several: `br*`.
    pub interface: Interface,
    /// The addresses behind it.
    pub net: IpNet,
}

impl VirtualNetwork {
    /// The family of its addresses.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(self.net.addr())
    }
}

impl Read for VirtualNetwork {
    fn read(text: &str, _: &GroupIds) -> Result<Self, Mistake> {
        let parts = text.split_once(':').filter(|(name, net)| !name.is_empty() && !net.is_empty());
        let Some((name, net)) = parts else {
            let problem = Problem::NotAnAddress {
                what: "an interface and its network",
                found: shown(text),
                instead: "write `docker0:172.17.0.0/16`".to_owned(),
            };
            return Err(Mistake::new(problem, ""));
        };
        let interface = Interface::new(name).map_err(|reason| {
            let label = match name.strip_suffix('+') {
                Some(stem) => format!("write `{stem}*` for every name that begins so"),
                None => reason.to_string(),
            };
            let problem = Problem::NotAnInterface { found: shown(name), reason };
            Mistake::new(problem, label).moved(0, name)
        })?;
        let net = addresses::prefix(net).map_err(|mistake| mistake.moved(name.len() + 1, net))?;
        Ok(Self { interface, net })
    }
}

/// `docker0:172.17.0.0/16`.
impl FromStr for VirtualNetwork {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        Self::read(text, &GroupIds::new()).map_err(|mistake| mistake.problem)
    }
}

impl TryFrom<String> for VirtualNetwork {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        text.parse()
    }
}

impl From<VirtualNetwork> for String {
    fn from(network: VirtualNetwork) -> Self {
        network.to_string()
    }
}

impl fmt::Display for VirtualNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.interface, written_net(self.net))
    }
}

impl Covers for VirtualNetwork {
    fn order(&self, other: &Self) -> Ordering {
        Covers::order(&self.interface, &other.interface).then_with(|| self.net.cmp(&other.net))
    }

    fn covers(&self, other: &Self) -> bool {
        self == other
    }

    fn family(&self) -> Option<Family> {
        Some(self.family())
    }
}
