//! What becomes of packets under the rules of whole hosts, by `explain` and in the kernel.

use netweir::explain::Context;
use netweir::net::Family;
use netweir::reader::{iptables, nft};

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

/// The same of the rules for nft, which know other machines than this one.
const MACHINE: &[(&str, &str)] = &[
    (" fully-random", ""),
    // kube-proxy
    ("elements = { 192.168.0.5 }", "elements = { 10.1.0.1 }"),
    ("192.168.0.5", "10.2.0.2"),
    ("10.244.0.0/16", "10.1.0.0/24"),
    ("10.244.0.2", "10.2.0.2"),
    ("10.244.0.3", "10.1.0.2"),
    ("10.96.0.1 . tcp . 443", "10.96.0.20 . tcp . 80"),
    ("10.96.0.1 tcp dport 443", "10.96.0.20 tcp dport 80"),
    ("10.96.0.1,", "10.96.0.20,"),
    ("10.96.0.9 . tcp", "10.96.0.99 . tcp"),
    // Docker and libvirt
    ("172.17.0.2", "10.1.0.2"),
    ("172.17.0.0/16", "10.1.0.0/24"),
    ("192.168.122.0/24", "10.1.0.0/24"),
    ("\"docker0\"", "\"toc\""),
    // firewalld and others
    ("\"eth0\"", "\"toc\""),
    ("tcp dport 2222 dnat ip to 10.0.0.22:22", "tcp dport 30080 dnat ip to 10.2.0.2:80"),
    ("tcp dport 8888", "tcp dport 8443"),
    ("192.0.2.10,", "10.1.0.2,"),
    ("tcp dport { 22 }", "tcp dport { 80 }"),
    ("tcp dport 22 ", "tcp dport 8080 "),
];

/// Rules for nft as the machine takes them, those of one family for the other as well.
fn of_both(text: &str) -> String {
    let text = MACHINE.iter().fold(text.to_owned(), |text, (name, here)| text.replace(name, here));
    let tables = text.split("\n}").filter(|table| table.contains("table ip "));
    let other: String = tables.map(|table| hosts::in_ipv6(table) + "}\n").collect();
    text + &other
}

const KINDS: &[&str] =
    &["delivered", "sent", "nowhere", "by open questions", "otherwise than usual"];

#[test]
fn packets_end_where_it_is_told_of_iptables() {
    if !netns::available_to_root() {
        return;
    }
    let probes = Family::ALL.map(probes);
    let mut tallies = [Tally::default(), Tally::default()];
    let mut world = World::new();
    let context = Context { is_iptables: true, ..Context::default() };
    for host in hosts::iptables() {
        let [v4, v6] = host.iptables.each_ref().map(|text| there(text));
        let v6 = if v6.is_empty() { hosts::in_ipv6(&v4) } else { v6 };
        let read = iptables::read(Some(&v4), Some(&v6), &iptables::Options::default());
        let ruleset = read.unwrap_or_else(|errors| panic!("{}: {errors:?}", host.name)).ruleset;
        let texts = [v4, v6];
        for text in [Text::Legacy(texts.clone()), Text::Variant(texts.clone())] {
            if !world.has_ports(probes.concat().len()) {
                world = World::new();
            }
            load(&world, &[text]);
            for (tally, probes) in tallies.iter_mut().zip(&probes) {
                tally.hold(&host.name, (&ruleset, &context), &mut world, probes);
            }
        }
    }
    for tally in &tallies {
        tally.assert_right(1500, KINDS);
    }
}

#[test]
fn packets_end_where_it_is_told_of_nft() {
    if !netns::available_to_root() {
        return;
    }
    let probes = Family::ALL.map(probes).concat();
    let mut tally = Tally::default();
    let mut world = World::new();
    for (name, text) in hosts::nft() {
        let text = of_both(&text);
        let read = nft::script(&text, &nft::Options::default());
        let ruleset = read.unwrap_or_else(|errors| panic!("{name}: {errors:?}\n{text}")).ruleset;
        load(&world, &[Text::Nft(text)]);
        // Chance decides some of it.
        for _ in 0..2 {
            tally.hold(&name, (&ruleset, &Context::default()), &mut world, &probes);
        }
    }
    tally.assert_right(1500, KINDS);
}
