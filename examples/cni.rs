//! What a CNI plugin does: from what it knows of a pod to rules that are loaded in the pod's network
//! namespace, and proved to be what the policy says.
//!
//! `cargo run --example cni -- /var/run/netns/cni-1234`

use std::error::Error;

use netweir::Options;
use netweir::host::{self, Compiled, Namespace};
use netweir::ipnet::IpNet;
use netweir::policy::Sidecar;

/// What the plugin knows of a pod, from its annotations and the mesh's configuration.
struct Pod {
    name: &'static str,
    proxy_user: u32,
    health_ports: [u16; 3],
    excluded: [&'static str; 1],
}

fn main() -> Result<(), Box<dyn Error>> {
    let netns = std::env::args().nth(1).ok_or("say in which namespace: cni NETNS")?;
    let pod = Pod {
        name: "web-7d9c",
        proxy_user: 1337,
        health_ports: [15020, 15021, 15090],
        excluded: ["10.20.0.0/16"],
    };

    // Data to a policy. What is not said is what Istio does by default; what is wrong is refused here,
    // in words that can go to the log.
    let excluded = pod.excluded.iter().map(|net| net.parse()).collect::<Result<Vec<IpNet>, _>>()?;
    let policy = Sidecar::new(pod.name)
        .proxy_users([pod.proxy_user])
        .exclude_inbound_ports(pod.health_ports)
        .exclude_outbound_to(excluded)
        .check()?;

    // A policy to rules, in one transaction that replaces the last version. They are read back from the
    // kernel, and compared with the policy for every packet; if anything fails, all is as it was.
    let compiled = Compiled::of(&policy, &Options::default())?;
    let namespace = Namespace::at(netns.into());
    let done = host::apply(&namespace, &compiled, &host::Options::default())?;
    let what = if done.is_changed { "loaded" } else { "left as it was" };
    println!("policy {} is {what}, and proved: {}", policy.name, done.answer);

    // Why a connection goes where it goes.
    for packet in ["outbound tcp to 10.96.0.1:443 user 1000", "outbound tcp to 10.20.1.1:443"] {
        println!("{packet}: {}", policy.explain(&packet.parse()?)?.outcome);
    }
    Ok(())
}
