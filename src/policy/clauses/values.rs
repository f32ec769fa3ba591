//! Values that lists are made of.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::addresses;
use super::numbers::{self, GROUP, Mistake, USER};
use crate::diag::{Hint, Problem, shown};
use crate::net::{Interface, PortRange};

/// Numbers of the groups that policies may name, as a group file has them.
pub type GroupIds = BTreeMap<String, u32>;

/// A value that lists are made of.
pub(crate) trait Read: Sized {
    /// Reads it.
    fn read(text: &str, groups: &GroupIds) -> Result<Self, Mistake>;
    /// Whether it may stand in quotation marks.
    const QUOTED: bool = false;
}

impl Read for PortRange {
    fn read(text: &str, _: &GroupIds) -> Result<Self, Mistake> {
        numbers::ports(text)
    }
}

/// Ports, 0 among them: where the mesh takes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnyPorts(pub(crate) PortRange);

impl Read for AnyPorts {
    fn read(text: &str, _: &GroupIds) -> Result<Self, Mistake> {
        numbers::any_ports(text).map(Self)
    }
}

impl Read for IpNet {
    fn read(text: &str, _: &GroupIds) -> Result<Self, Mistake> {
        addresses::prefix(text)
    }
}

impl Read for IpAddr {
    fn read(text: &str, _: &GroupIds) -> Result<Self, Mistake> {
        addresses::address(text)
    }
}

impl Read for Interface {
    const QUOTED: bool = true;

    fn read(text: &str, _: &GroupIds) -> Result<Self, Mistake> {
        Self::new(text).map_err(|reason| {
            Mistake::new(Problem::NotAnInterface { found: shown(text), reason }, reason.to_string())
        })
    }
}

/// The number of a user. Names of users are never known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User(pub(crate) u32);

impl Read for User {
    fn read(text: &str, _: &GroupIds) -> Result<Self, Mistake> {
        numbers::number(text, &USER).map(Self)
    }
}

/// The number of a group, or its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group(pub(crate) u32);

impl Read for Group {
    fn read(text: &str, groups: &GroupIds) -> Result<Self, Mistake> {
        if let Some(number) = groups.get(text) {
            return Ok(Self(*number));
        }
        let begins_name = |c: char| c.is_alphabetic() || c == '_';
        if text.starts_with(begins_name) {
            let problem = Problem::UnknownGroup { name: shown(text) };
            let label = "names are not looked up on this machine";
            let label = if text == "root" { Hint::with(label, "0") } else { label.into() };
            return Err(Mistake::new(problem, label));
        }
        numbers::number(text, &GROUP).map(Self)
    }
}
