//! Users whose connections to some ports are left alone.

use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::diag::{Problem, shown};
use crate::net::PortRange;
use crate::policy::clauses::lists::Covers;
use crate::policy::clauses::numbers::{self, Mistake, USER};
use crate::policy::clauses::values::{GroupIds, Read};
use crate::policy::expectation::Transport;

/// Connections of some users to some ports, as Kuma writes them: `1000`, `53:1000`,
/// `tcp:3000-5000:106-108`, `udp:*:1000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserExclusion {
    /// Their protocol; `None`: TCP and UDP.
    pub protocol: Option<Transport>,
    /// The ports that they go to. `*` is [`UserExclusion::EVERY_PORT`].
    pub ports: PortRange,
    /// The users, from the first to the last, at most [`UserExclusion::LAST_USER`]; `None`:
    /// everybody, and who has no user.
    pub users: Option<(u32, u32)>,
}

impl UserExclusion {
    /// Every port but 0, which upstream leaves out.
    pub const EVERY_PORT: PortRange = PortRange::new(1, u16::MAX).expect("1 is not above 65535");

    /// The highest user: upstream reads 16 bits (Kuma 348b6528, `validateUintValueOrRange`).
    pub const LAST_USER: u32 = 65535;
}

impl Read for UserExclusion {
    fn read(text: &str, _: &GroupIds) -> Result<Self, Mistake> {
        let form = || {
            let problem = Problem::NotANumber {
                what: "a user, or ports and a user",
                found: shown(text),
                instead: "write `1000`, `53:1000` or `tcp:3000-5000:106-108`".to_owned(),
            };
            Mistake::new(problem, "")
        };
        let fields: Vec<&str> = text.split(':').collect();
        if fields.contains(&"") {
            return Err(form());
        }
        let (protocol, ports, users) = match fields[..] {
            [users] => (None, "*", users),
            [ports, users] => (None, ports, users),
            [protocol, ports, users] => (Some(protocol), ports, users),
            _ => return Err(form()),
        };
        let protocol = match protocol {
            None | Some("*") => None,
            Some("tcp") => Some(Transport::Tcp),
            Some("udp") => Some(Transport::Udp),
            Some(_) => return Err(form()),
        };
        let users_at = text.len() - users.len();
        let ports = match ports {
            "*" => Self::EVERY_PORT,
            ports => {
                let at = users_at - ports.len() - 1;
                self::ports(ports).map_err(|mistake| mistake.moved(at, ports))?
            }
        };
        let users = match users {
            "*" => None,
            users => Some(self::users(users).map_err(|mistake| mistake.moved(users_at, users))?),
        };
        Ok(Self { protocol, ports, users })
    }
}

/// Reads ports, which may begin at 0 here, as Kuma has it.
fn ports(text: &str) -> Result<PortRange, Mistake> {
    match text.strip_prefix("0-") {
        _ if text == "0" => Ok(PortRange::one(0)),
        Some(last) => {
            let last = numbers::port(last).map_err(|mistake| mistake.moved(2, last))?;
            Ok(PortRange::new(0, last).expect("0 is the lowest port"))
        }
        None => numbers::ports(text),
    }
}

/// Reads a user, or a range of users.
fn users(text: &str) -> Result<(u32, u32), Mistake> {
    numbers::range(text, |user| numbers::number(user, &USER).and_then(within))
}

fn within(user: u32) -> Result<u32, Mistake> {
    if user <= UserExclusion::LAST_USER {
        return Ok(user);
    }
    let problem = Problem::MeshCannot {
        mesh: "Kuma",
        why: "it excludes no user above 65535",
        instead: "exclude the ports or the destinations of that user instead",
    };
    Err(Mistake::new(problem, "kumactl reads numbers of users as 16 bits here"))
}

/// As Kuma writes it.
impl FromStr for UserExclusion {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        Self::read(text, &GroupIds::new()).map_err(|mistake| mistake.problem)
    }
}

impl TryFrom<String> for UserExclusion {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self, Problem> {
        text.parse()
    }
}

impl From<UserExclusion> for String {
    fn from(exclusion: UserExclusion) -> Self {
        exclusion.to_string()
    }
}

impl fmt::Display for UserExclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_every_port = self.ports == Self::EVERY_PORT;
        match self.protocol {
            Some(protocol) if is_every_port => write!(f, "{}:*:", protocol.keyword())?,
            Some(protocol) => write!(f, "{}:{}:", protocol.keyword(), self.ports)?,
            None if is_every_port && self.users.is_some() => {}
            None if is_every_port => f.write_str("*:")?,
            None => write!(f, "{}:", self.ports)?,
        }
        match self.users {
            None => f.write_str("*"),
            Some((first, last)) if first == last => write!(f, "{first}"),
            Some((first, last)) => write!(f, "{first}-{last}"),
        }
    }
}

impl Covers for UserExclusion {
    fn order(&self, other: &Self) -> Ordering {
        let key = |it: &Self| {
            let users = it.users.map(|(first, last)| (first, Reverse(last)));
            (users, it.protocol, it.ports.first(), Reverse(it.ports.last()))
        };
        key(self).cmp(&key(other))
    }

    fn covers(&self, other: &Self) -> bool {
        let has_users = match (self.users, other.users) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(its)) => own.0 <= its.0 && its.1 <= own.1,
        };
        has_users
            && self.protocol.is_none_or(|protocol| other.protocol == Some(protocol))
            && self.ports.covers(&other.ports)
    }
}
