//! A packet of which something else becomes, without asking about all packets.
//!
//! Most changes are of a number or an address, and a packet that has it shows them.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::ir::{Direction, Match, Owner, OwnerIs, Ruleset};
use crate::semantics::{Difference, Outcome, Packet, runs};

/// Most packets that are tried.
const MOST: usize = 64;

/// A packet with something that only one of the two names, if they treat it differently, whatever the
/// order of chains that tie; none says nothing.
pub(super) fn difference(old: &Ruleset, new: &Ruleset) -> Option<Difference> {
    let [was, is] = [old, new].map(Named::by);
    let ports = was.ports.symmetric_difference(&is.ports).map(|port| {
        [
            format!("outbound tcp to 10.96.0.1:{port} user 1000"),
            format!("inbound tcp to 10.0.0.7:{port}"),
        ]
    });
    let nets = was.nets.symmetric_difference(&is.nets).map(|net| {
        let (first, last) = (net.hosts().next().unwrap_or(net.addr()), net.broadcast());
        [first, last].map(|address| match address {
            std::net::IpAddr::V4(address) => format!("outbound tcp to {address}:443 user 1000"),
            std::net::IpAddr::V6(address) => format!("outbound tcp to [{address}]:443 user 1000"),
        })
    });
    let users = was.users.symmetric_difference(&is.users);
    let users = users.map(|user| [format!("outbound tcp to 10.96.0.1:443 user {user}")]);
    let all = ports.flatten().chain(nets.flatten()).chain(users.flatten());
    all.take(MOST).find_map(|text| {
        let packet: Packet = text.parse().ok()?;
        let [left, right] = [outcome(old, &packet)?, outcome(new, &packet)?];
        (left != right).then(|| Difference { packet, left, right, supposes: Vec::new() })
    })
}

/// What becomes of a packet; `None` if that depends on the order of chains.
fn outcome(rules: &Ruleset, packet: &Packet) -> Option<Outcome> {
    match &runs(rules, packet).ok()?[..] {
        [(run, _)] => Some(run.outcome.clone()),
        _ => None,
    }
}

/// What rules name.
#[derive(Default)]
struct Named {
    ports: BTreeSet<u16>,
    nets: BTreeSet<IpNet>,
    users: BTreeSet<u32>,
}

impl Named {
    fn by(rules: &Ruleset) -> Self {
        let mut named = Self::default();
        let chains = rules.tables.iter().flat_map(|table| &table.chains);
        for when in chains.flat_map(|chain| &chain.rules).flat_map(|rule| &rule.when) {
            match when {
                Match::Port { of: Direction::Destination, ports, .. } => {
                    let ends =
                        ports.ranges().iter().flat_map(|range| [range.first(), range.last()]);
                    named.ports.extend(ends);
                }
                Match::Address { of: Direction::Destination, nets, .. } => {
                    named.nets.extend(nets.iter());
                }
                Match::Owner { owner: Owner::User, is } => {
                    let (OwnerIs::In(ids) | OwnerIs::NotIn { ids, .. }) = is;
                    named.users.extend(ids.iter().flat_map(|(first, last)| [*first, *last]));
                }
                _ => {}
            }
        }
        named
    }
}

#[cfg(test)]
mod tests {
    use super::difference;
    use crate::lower::lower;
    use crate::syntax::NoIncludes;
    use crate::{Options, compile};

    /// The packet that shows how the one differs from the other.
    fn shown(was: &str, is: &str) -> Option<String> {
        let [old, new] = [was, is].map(|inside| {
            let text = format!("sidecar s {{ {inside} }}");
            let compilation = compile("s.weir", &text, &NoIncludes, &Options::default()).unwrap();
            lower(&compilation.policies[0]).ruleset
        });
        difference(&old, &new).map(|found| {
            assert_ne!(found.left, found.right);
            found.packet.to_string()
        })
    }

    #[test]
    fn what_one_of_the_two_names_shows_the_change() {
        for (was, is, part) in [
            ("outbound { exclude port 25 }", "outbound { exclude port 26 }", ":25 user 1000"),
            ("inbound { exclude port 80-90 }", "inbound { exclude port 80-91 }", "to 10.0.0.7:91"),
            (
                "outbound { exclude to 10.2.0.0/16 }",
                "outbound { exclude to 10.2.0.0/15 }",
                "to 10.3.",
            ),
            ("", "outbound { exclude to fd00::/64 }", "to [fd00::]:443"),
            ("proxy { user 1337 }", "proxy { user 1337, 7 }", "user 7 "),
        ] {
            let packet = shown(was, is).unwrap();
            assert!(packet.contains(part), "{was} {is}: {packet}");
        }
        assert_eq!(shown("outbound { exclude port 25 }", "outbound { exclude port 25 }"), None);
        // Nothing that is named differs: others ask about all packets.
        assert_eq!(shown("", "drop invalid"), None);
    }
}
