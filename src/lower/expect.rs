//! What an expectation is about, as conditions on packets.

use ipnet::IpNet;

use super::items::id_ranges;
use super::lowered::{Lowered, Owners};
use crate::ir::{CtState, CtStates, Direction, Hook, Match, Owner, OwnerIs, Protocol};
use crate::net::{Families, Family, Interface, Mark, Nets, aggregate};
use crate::policy::{Expectation, Expected, Transport, Way};

/// Packets that an expectation is about: those at a hook that all conditions hold for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// Where.
    pub(crate) hook: Hook,
    /// The conditions, as the packets arrive there.
    pub(crate) when: Vec<Match>,
}

/// What `expectation` of the policy that came to `lowered` is about: the first packets of connections, without marks.
pub(crate) fn questions(lowered: &Lowered, expectation: &Expectation) -> Vec<Question> {
    let hooks: &[Hook] = match (expectation.way, expectation.becomes) {
        (Way::Inbound, _) => &[Hook::Prerouting],
        // A source that is translated is not untouched. One that must not be untouched has to be
        // touched where it leaves its process.
        (Way::Outbound, Expected::Untouched) if !expectation.not => {
            &[Hook::Output, Hook::Postrouting]
        }
        (Way::Outbound, _) => &[Hook::Output],
    };
    let owners = match expectation.way {
        Way::Inbound => vec![Vec::new()],
        Way::Outbound => owners(&lowered.owners, expectation),
    };
    let mut questions = Vec::new();
    for family in Family::ALL {
        let Some(common) = common(lowered.families, expectation, family) else { continue };
        for (hook, owners) in hooks.iter().flat_map(|hook| owners.iter().map(move |it| (hook, it)))
        {
            let when = common.iter().chain(owners).cloned().collect();
            questions.push(Question { hook: *hook, when });
        }
    }
    questions
}

/// What any expectation could be about: the first packets of
/// connections, without marks, whoever opens them.
pub(crate) fn every_question() -> Vec<Question> {
    let hooks = [Hook::Prerouting, Hook::Output, Hook::Postrouting];
    hooks.into_iter().map(|hook| Question { hook, when: first().into() }).collect()
}

/// The first packets of connections, without marks.
fn first() -> [Match; 3] {
    [
        Match::CtState { states: CtStates::from_iter([CtState::New]), not: false },
        Match::Mark { mark: Mark::exactly(0), not: false },
        Match::Connmark { mark: Mark::exactly(0), not: false },
    ]
}

/// The conditions on packets of `family` but those on who sends them; `None` if the expectation is
/// not about the family: it names addresses and none of them is of it, or it names none and the
/// policy leaves the family alone.
fn common(governed: Families, expectation: &Expectation, family: Family) -> Option<Vec<Match>> {
    let Expectation { way, protocol, from, to, ports, interfaces, .. } = expectation;
    if from.is_empty() && to.is_empty() && !governed.has(family) {
        return None;
    }
    let address = |of, nets, not| Match::Address { of, nets, not };
    let mut when = first().to_vec();
    let protocol = protocol.map(|protocol| match protocol {
        Transport::Tcp => Protocol::Tcp,
        Transport::Udp => Protocol::Udp,
    });
    when.extend(protocol.map(|protocol| Match::Protocol { protocol, not: false }));
    if !from.is_empty() {
        when.push(address(Direction::Source, aggregate(from, family)?, false));
    }
    when.push(if to.is_empty() {
        address(Direction::Destination, loopback(family), true)
    } else {
        address(Direction::Destination, aggregate(to, family)?, false)
    });
    if !ports.is_empty() {
        let ports = ports.iter().copied().collect();
        when.push(Match::Port { of: Direction::Destination, ports, not: false });
    }
    let (of, others) = match way {
        Way::Inbound => (Direction::Source, from),
        Way::Outbound => (Direction::Destination, to),
    };
    // What this machine sends to itself goes over loopback, which has to be named.
    let is_loopback = |net: &IpNet| net.addr().is_loopback();
    if interfaces.is_empty() && !others.iter().any(is_loopback) {
        when.push(Match::Local { of, not: true });
    }
    let names = if interfaces.is_empty() { vec![Interface::lo()] } else { interfaces.clone() };
    when.push(Match::Interface { of, names, not: interfaces.is_empty() });
    Some(when)
}

/// Every loopback address of a family.
fn loopback(family: Family) -> Nets {
    Nets::from(match family {
        Family::Ipv4 => IpNet::new_assert([127, 0, 0, 0].into(), 8),
        Family::Ipv6 => IpNet::new_assert(std::net::Ipv6Addr::LOCALHOST.into(), 128),
    })
}

/// Who sends: for each way to be one of those that are meant, the conditions.
///
/// Whoever is neither a user nor a group of the proxy is the workload. An expectation that names
/// the proxy's user is about the proxy, whatever its group; one that names another user is about
/// the workload, so not about the proxy's groups. The same with users and groups exchanged.
fn owners(proxy: &Owners, expectation: &Expectation) -> Vec<Vec<Match>> {
    let Owners { users, groups } = proxy;
    let one_of = |owner, ids: &[u32]| Match::Owner { owner, is: OwnerIs::In(id_ranges(ids)) };
    let none_of = |owner, ids: &[u32]| {
        let ids = id_ranges(ids);
        Match::Owner { owner, is: OwnerIs::NotIn { ids, ownerless: false } }
    };
    let split = |named: &[u32], proxy: &[u32]| -> [Vec<u32>; 2] {
        let (its, others) = named.iter().partition(|id| proxy.contains(id));
        [its, others]
    };
    match (&expectation.users[..], &expectation.groups[..]) {
        ([], []) => vec![vec![none_of(Owner::User, users), none_of(Owner::Group, groups)]],
        (named, []) => {
            let [its, others] = split(named, users);
            let proxy = (!its.is_empty()).then(|| vec![one_of(Owner::User, &its)]);
            let workload = (!others.is_empty())
                .then(|| vec![one_of(Owner::User, &others), none_of(Owner::Group, groups)]);
            proxy.into_iter().chain(workload).collect()
        }
        ([], named) => {
            let [its, others] = split(named, groups);
            let proxy = (!its.is_empty()).then(|| vec![one_of(Owner::Group, &its)]);
            let workload = (!others.is_empty())
                .then(|| vec![one_of(Owner::Group, &others), none_of(Owner::User, users)]);
            proxy.into_iter().chain(workload).collect()
        }
        (users, groups) => vec![vec![one_of(Owner::User, users), one_of(Owner::Group, groups)]],
    }
}
