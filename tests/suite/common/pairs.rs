//! Random pairs of policies of one kind: an older version, and a newer one that has some of it.

use netweir::policy::{Kind, Policy, Setting, Sidecar, Unchecked};
use proptest::collection::vec;
use proptest::prelude::*;

use super::policies::{
    ambient_hosts, ambient_pods, appmeshes, consuls, linkerds, net, osms, policies, sidecars,
};

/// Two versions of a policy, of which one or the other part differs.
pub(crate) fn pairs() -> impl Strategy<Value = [Policy; 2]> {
    let both = |kinds: BoxedStrategy<Kind>| (kinds.clone(), kinds).boxed();
    let kinds = prop_oneof![
        2 => lists().prop_map(|[old, new]| {
            (Kind::Sidecar(Box::new(old)), Kind::Sidecar(Box::new(new)))
        }),
        5 => versions().prop_map(|[old, new]| {
            (Kind::Sidecar(Box::new(old)), Kind::Sidecar(Box::new(new)))
        }),
        1 => both(ambient_pods().prop_map(|pod| Kind::AmbientPod(Box::new(pod))).boxed()),
        1 => both(ambient_hosts().prop_map(|host| Kind::AmbientHost(Box::new(host))).boxed()),
        1 => both(consuls().prop_map(Kind::from).boxed()),
        1 => both(linkerds().prop_map(Kind::from).boxed()),
        1 => both(osms().prop_map(Kind::from).boxed()),
        1 => both(appmeshes().prop_map(Kind::from).boxed()),
    ];
    (policies(), kinds).prop_map(|(named, (old, new))| {
        let made = |kind| Unchecked::of(named.name.clone(), kind).check();
        [old, new].map(|kind| made(kind).expect("the language can say it"))
    })
}

/// Two versions of a sidecar.
fn versions() -> impl Strategy<Value = [Sidecar; 2]> {
    (sidecars(), sidecars(), 0..6).prop_map(|(old, other, part)| {
        let mut new = old.clone();
        match part {
            0 => new.inbound = other.inbound,
            1 => new.outbound.exclude_ports = other.outbound.exclude_ports,
            2 => {
                // What is of a family that the other does not govern stays.
                let passthrough = new.proxy.passthrough;
                new.proxy = other.proxy;
                new.proxy.passthrough = passthrough;
            }
            3 => new.drop_invalid = other.drop_invalid,
            4 => new.interfaces = other.interfaces,
            _ => new = other,
        }
        [old, new]
    })
}

/// Two versions of a sidecar with lists so long that they are sets with names, in one of the layouts.
fn lists() -> impl Strategy<Value = [Sidecar; 2]> {
    (vec(net(), 12..40), vec(any::<u16>(), 10..30), 0..20_usize, 0..3_usize).prop_map(
        |(networks, users, come, goes)| {
            let version = |networks: &[_], users: &[u16]| {
                let mut sidecar = Sidecar::default();
                sidecar.outbound.exclude_to = Setting::default_to(networks.to_vec());
                let users = users.iter().copied().map(u32::from).collect();
                sidecar.proxy.users = Setting::default_to(users);
                sidecar
            };
            let end = networks.len() - come.min(networks.len() - 1);
            [version(&networks[goes..], &users), version(&networks[..end], &users[goes..])]
        },
    )
}
