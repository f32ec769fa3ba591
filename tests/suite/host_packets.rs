//! What becomes of packets under the rules of whole hosts, by `explain` and in the kernel.

use netweir::explain::Context;
use netweir::net::Family;
use netweir::reader::iptables;

use crate::common::hosts;
use crate::common::machine::{Text, World, load};
use crate::common::netns;
use crate::common::told::{Tally, probes};

/// The interfaces of the files, and those of the machine that packets are sent to.
const LINKS: &[(&str, &str)] = &[
    ("docker0", "toc"),
    ("cali1", "toc"),
    ("cali+", "toc"),
    ("virbr0", "toc"),
    ("tailscale0", "alt"),
];

/// A text as the machine takes it, where source ports are kept, by which packets are known.
fn there(text: &str) -> String {
    let text = text.replace(" --random-fully", "");
    LINKS.iter().fold(text, |text, (name, link)| {
        text.replace(&format!("-i {name} "), &format!("-i {link} "))
            .replace(&format!("-o {name} "), &format!("-o {link} "))
    })
}

#[test]
fn packets_end_where_it_is_told() {
    if !netns::available_to_root() {
        return;
    }
    let probes = probes(Family::Ipv4);
    let mut tally = Tally::default();
    let mut world = World::new();
    let context = Context { is_iptables: true, ..Context::default() };
    for host in hosts::iptables() {
        let texts = host.iptables.each_ref().map(|text| there(text));
        let read = iptables::read(Some(&texts[0]), Some(&texts[1]), &iptables::Options::default());
        let ruleset = read.unwrap_or_else(|errors| panic!("{}: {errors:?}", host.name)).ruleset;
        for text in [Text::Legacy(texts.clone()), Text::Variant(texts.clone())] {
            if !world.has_ports(probes.len()) {
                world = World::new();
            }
            load(&world, &[text]);
            tally.hold(&host.name, (&ruleset, &context), &mut world, &probes);
        }
    }
    tally.assert_right(
        500,
        &["delivered", "sent", "nowhere", "by open questions", "otherwise than usual"],
    );
}
