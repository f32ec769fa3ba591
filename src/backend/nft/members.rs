//! What goes into the sets that others fill, and out of them again.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::ir::Ruleset;
use crate::net::{Family, Name};
use crate::nft::{
    At, Command, Elements, Object, Script, TableFamily, TableName, Value, Verb, json, text,
};

/// What happens to the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// They are in the sets afterwards, whether they were before or not.
    Add,
    /// They are not in the sets afterwards, whether they were before or not.
    Delete,
}

/// An address that no set of the ruleset can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no set holds {} addresses such as `{address}`", Family::of(*.address))]
#[non_exhaustive]
pub struct NoSet {
    /// The address.
    pub address: IpAddr,
}

/// Addresses to put into sets that others fill, or to take out; every address goes to the sets of
/// its family. The ruleset has to be loaded: the sets are not made here.
///
/// Either is one transaction. nft cannot delete what is not there, so each address is added first.
/// Tried with nft 0.9.8, 1.0.6, 1.1.3 and 1.1.7 on Linux 6.18.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members<'a> {
    ruleset: &'a Ruleset,
    change: MemberChange,
    asked: BTreeSet<IpAddr>,
    /// Those that go to each set. Sorted, each once.
    of: BTreeMap<(TableFamily, &'a Name, &'a Name), BTreeSet<IpAddr>>,
}

impl<'a> Members<'a> {
    /// A change of the sets of `ruleset`.
    ///
    /// # Errors
    ///
    /// The first address whose family no set has: the policy does not govern it, or is no host's.
    pub fn new(
        ruleset: &'a Ruleset,
        change: MemberChange,
        addresses: &[IpAddr],
    ) -> Result<Self, NoSet> {
        let mut of: BTreeMap<_, BTreeSet<IpAddr>> = BTreeMap::new();
        for &address in addresses {
            let mut found = false;
            for table in &ruleset.tables {
                for set in table.sets.iter().filter(|set| set.family == Family::of(address)) {
                    let key = (TableFamily::from(table.families), &table.name, &set.name);
                    of.entry(key).or_default().insert(address);
                    found = true;
                }
            }
            if !found {
                return Err(NoSet { address });
            }
        }
        Ok(Self { ruleset, change, asked: addresses.iter().copied().collect(), of })
    }

    /// The ruleset whose sets change.
    pub(crate) const fn ruleset(&self) -> &'a Ruleset {
        self.ruleset
    }

    /// What happens to the addresses.
    pub(crate) const fn change(&self) -> MemberChange {
        self.change
    }

    /// The addresses that were asked for.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.asked.iter().copied()
    }

    /// A script for `nft -f`.
    #[must_use]
    pub fn script(&self) -> String {
        text::print(&self.commands())
    }

    /// The same as libnftables JSON, for `nft -j -f`.
    #[must_use]
    pub fn json(&self) -> String {
        json::print(&self.commands())
    }

    /// What is done to each set, in the order in which it is.
    fn commands(&self) -> Script<'_> {
        let verbs: &[Verb] = match self.change {
            MemberChange::Add => &[Verb::Add],
            MemberChange::Delete => &[Verb::Add, Verb::Delete],
        };
        let mut commands = Vec::new();
        for ((family, table, set), addresses) in &self.of {
            let name = Cow::Borrowed(table.as_str());
            for verb in verbs {
                let object = Object::Elements {
                    table: TableName { family: *family, name: name.clone() },
                    set: Cow::Borrowed(set.as_str()),
                    elements: Elements::of(addresses.iter().copied().map(Value::Address).collect()),
                };
                commands.push(Command { at: At::Nowhere, verb: *verb, object });
            }
        }
        Script::of(commands)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{MemberChange, Members, NoSet};
    use crate::ir::Ruleset;
    use crate::net::{Families, Name};
    use crate::optimise::Layout;
    use crate::policy::{AmbientHost, Policy, Setting};

    fn host(families: Families) -> Ruleset {
        let host =
            AmbientHost { families: Setting::default_to(families), ..AmbientHost::default() };
        let name = Name::new("node").unwrap();
        Layout::Compact.of(&Policy::unchecked(name, host.into(), Vec::new())).ruleset
    }

    fn addresses(text: &str) -> Vec<IpAddr> {
        text.split(' ').map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn addresses_go_to_the_set_of_their_family() {
        let (ruleset, pods) =
            (host(Families::Both), addresses("fd00::2 10.0.1.3 10.0.1.2 10.0.1.3"));
        let add = Members::new(&ruleset, MemberChange::Add, &pods).unwrap();
        insta::assert_snapshot!(add.script(), @"
        add element inet istio-ambient-nat istio-inpod-probes-v4 { 10.0.1.2, 10.0.1.3 }
        add element inet istio-ambient-nat istio-inpod-probes-v6 { fd00::2 }
        ");
        insta::assert_snapshot!(add.json(), @r#"
        {"nftables": [
        {"metainfo":{"json_schema_version":1}},
        {"add":{"element":{"family":"inet","table":"istio-ambient-nat","name":"istio-inpod-probes-v4","elem":["10.0.1.2","10.0.1.3"]}}},
        {"add":{"element":{"family":"inet","table":"istio-ambient-nat","name":"istio-inpod-probes-v6","elem":["fd00::2"]}}}
        ]}
        "#);
        let delete = Members::new(&ruleset, MemberChange::Delete, &pods[..1]).unwrap();
        insta::assert_snapshot!(delete.script(), @"
        add element inet istio-ambient-nat istio-inpod-probes-v6 { fd00::2 }
        delete element inet istio-ambient-nat istio-inpod-probes-v6 { fd00::2 }
        ");
        insta::assert_snapshot!(delete.json(), @r#"
        {"nftables": [
        {"metainfo":{"json_schema_version":1}},
        {"add":{"element":{"family":"inet","table":"istio-ambient-nat","name":"istio-inpod-probes-v6","elem":["fd00::2"]}}},
        {"delete":{"element":{"family":"inet","table":"istio-ambient-nat","name":"istio-inpod-probes-v6","elem":["fd00::2"]}}}
        ]}
        "#);
    }

    #[test]
    fn the_table_has_the_family_of_the_policy() {
        let ruleset = host(Families::Ipv4);
        let pods = addresses("10.0.1.2 fd00::2");
        let add = Members::new(&ruleset, MemberChange::Add, &pods[..1]).unwrap();
        assert!(add.script().starts_with("add element ip istio-ambient-nat "), "{}", add.script());
        let refused = Members::new(&ruleset, MemberChange::Add, &pods);
        assert_eq!(refused, Err(NoSet { address: pods[1] }));
        assert_eq!(
            NoSet { address: pods[1] }.to_string(),
            "no set holds IPv6 addresses such as `fd00::2`"
        );
    }
}
