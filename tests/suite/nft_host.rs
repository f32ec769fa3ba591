//! What rules of others come to, as script and as JSON, as this machine's nft lists them.

use netweir::ir::{Action, Match};
use netweir::reader::nft::{Options, ReadError, json, script};
use netweir::reader::{Found, ReadErrors};
use netweir::semantics::{Packet, compare, run};

use crate::common::netns::{self, Netns};

/// Rules, each of a chain of its own, of which not every nft takes every one.
const RULES: &str = r#"
meta l4proto { tcp, icmp, gre, 200 } accept
ip protocol != gre accept
icmp type { echo-request, destination-unreachable } icmp code 3 accept
icmpv6 type { nd-neighbor-solicit, nd-router-advert } accept
ip6 nexthdr tcp accept
ip ttl > 5 ip dscp cs1 ip length 0-500 accept
ip6 hoplimit != 255 accept
meta protocol ip accept
meta length 100-500 accept
meta pkttype { broadcast, multicast } drop
meta cpu 0 accept
meta cgroup 5 accept
meta priority 1:2 accept
meta priority set 1:2
meta nftrace set 1
meta random 5 accept
meta iifgroup 5 accept
meta iiftype ether accept
meta hour "09:00"-"17:00" accept
meta day "Monday" accept
meta time > "2026-01-01 00:00:00" accept
iif "lo" accept
oif != "lo" accept
tcp flags syn accept
tcp flags == syn accept
tcp flags != syn accept
tcp flags & (fin | syn | rst | ack) == syn accept
tcp flags & (syn | rst) != syn accept
tcp flags & (fin | syn) == 0 accept
tcp flags & (fin | syn) == fin | syn accept
tcp flags syn,rst accept
tcp flags { syn, ack } accept
tcp flags ! syn,rst accept
tcp option maxseg size 1460 accept
tcp option maxseg size set rt mtu
tcp option sack-perm exists accept
tcp option timestamp missing accept
tcp sequence 5 tcp window 100 accept
udp length 100 accept
sctp dport 80 accept
dccp dport 80 accept
udplite dport 80 accept
esp spi 5 accept
ah spi 5 accept
th dport 53 accept
meta l4proto { tcp, udp } th dport { 53, 80-90 } accept
exthdr frag exists accept
frag id 5 accept
rt nexthop 10.0.0.1 accept
rt ip nexthop 10.0.0.1 accept
rt mtu 1500 accept
@th,0,16 53 accept
@nh,64,8 17 accept
ether saddr 02:42:ac:11:00:02 accept
vlan id 5 accept
ip dscp set cs1
ip ttl set 64
ip daddr set 10.0.0.1
fib saddr . iif oif missing drop
fib daddr type { local, broadcast } accept
fib daddr . iif type local accept
fib saddr oifname "lo" accept
numgen random mod 2 0 accept
numgen inc mod 3 offset 5 { 5, 6 } accept
jhash ip saddr . tcp dport mod 4 seed 0xff 1 accept
symhash mod 2 1 accept
ct state new,untracked accept
ct state != { established, related } accept
ct status dnat accept
ct status assured,confirmed accept
ct status != snat accept
ct direction reply accept
ct helper "ftp" accept
ct mark set ct mark | 0x10
ct expiration 30s-1h accept
ct original ip saddr 10.0.0.0/8 accept
ct original proto-dst 80 accept
ct reply packets > 100 accept
ct bytes > 1000 accept
ct count over 5 drop
ct zone 5 accept
ct l3proto ipv4 accept
ct protocol tcp accept
ct id 5 accept
ct event set new,destroy
ct label 5 accept
osf name "Linux" accept
osf ttl loose name "Linux" accept
ipsec in reqid 5 accept
ipsec in ip saddr 10.0.0.1 accept
socket transparent 1 accept
socket mark 5 accept
socket wildcard 0 socket transparent 1 accept
limit rate 10/second accept
limit rate over 5/minute burst 20 packets drop
limit rate 10 mbytes/second accept
limit rate over 1 kbytes/second burst 5 kbytes drop
limit name "slow" accept
quota over 25 mbytes drop
quota name "much" drop
counter name "hits" accept
counter packets 5 bytes 300 accept
ct helper set "ftp"
ct timeout set "short"
ct expectation set "soon"
synproxy name "shield"
synproxy mss 1460 wscale 7 timestamp sack-perm
log prefix "a b: " level debug flags all
log group 5 snaplen 20 queue-threshold 3
notrack
queue
queue num 5 bypass
queue num 1-3 fanout,bypass
dup to 10.0.0.1 device "lo"
dup to 10.0.0.1
reject
reject with icmpx admin-prohibited
reject with icmp host-unreachable
reject with icmpv6 no-route
meta l4proto tcp reject with tcp reset
flow add @fast
add @seen { ip saddr timeout 5m }
update @seen { ip saddr limit rate over 10/second burst 5 packets } drop
add @seen { ip saddr ct count over 5 } drop
delete @seen { ip saddr }
update @marks { ip saddr : 0x00000005 }
ip saddr @seen drop
ip saddr != @timed drop
ip saddr @nets accept
ip saddr . tcp dport @pairs accept
ip saddr . tcp dport != @pairs accept
ip daddr . meta l4proto . th dport { 10.0.0.1 . tcp . 80, 10.0.0.2 . udp . 53 } accept
ip saddr . icmp type { 10.0.0.1 . echo-request } accept
iifname . tcp dport { "eth0" . 80, "eth1" . 81 } accept
tcp dport vmap { 22 : drop, 80-90 : jump x }
ip saddr . tcp dport vmap { 10.0.0.1 . 80 : jump x, 10.0.0.2 . 81 : goto x }
ip saddr vmap @verdicts
ct state vmap { established : accept, invalid : drop }
icmp type vmap { echo-request : accept, echo-reply : drop }
numgen random mod 2 vmap { 0 : jump x, 1 : jump y }
meta mark set tcp dport map { 80 : 1, 443 : 2 }
meta mark set ip saddr map @marks
meta mark set numgen inc mod 4
meta mark set jhash ip saddr mod 8 offset 16
meta mark set meta mark & 0xffffff00 | 0x5
ip saddr & 255.255.0.0 == 10.1.0.0 accept
meta mark & 0xff == { 1, 2 } accept
masquerade
masquerade random,persistent
masquerade fully-random
meta l4proto tcp masquerade to :1024-65535
redirect
meta l4proto tcp redirect to :8080-8090
meta l4proto tcp redirect to :8080 random
snat ip to 10.0.0.1
snat ip to 10.0.0.1-10.0.0.9 persistent
meta l4proto tcp snat ip to 10.0.0.1:5000-6000 random
snat ip6 to fd00::1
snat ip to ip saddr map { 10.0.0.1 : 10.0.0.9 }
dnat ip to 10.0.0.1
meta l4proto tcp dnat ip to 10.0.0.1:80
meta l4proto tcp dnat ip6 to [fd00::1]:80
dnat ip to 10.0.0.1-10.0.0.9 random,persistent
meta l4proto tcp dnat ip to 10.0.0.1-10.0.0.9:80-90
dnat ip to tcp dport map { 80 : 10.0.0.1, 443 : 10.0.0.2 }
meta l4proto tcp dnat ip addr . port to tcp dport map { 80 : 10.0.0.1 . 8080, 81 : 10.0.0.2 . 8081 }
dnat ip to numgen inc mod 2 map { 0 : 10.0.0.1, 1 : 10.0.0.2 }
dnat ip to ip daddr map @targets
meta l4proto tcp tproxy ip to 127.0.0.1:15001 accept
meta l4proto tcp tproxy ip to :15001
meta l4proto tcp tproxy ip6 to [::1]:15001 meta mark set 5 accept
limit rate 5/second log prefix "x" accept
meta mark 5 meta mark set 6 meta l4proto tcp return
meta mark set 6 tcp dport vmap { 80 : return, 81 : jump x }
"#;

/// What rules name, each in a line, in a table that takes the rule besides.
const NAMED: &str = "
    chain x { }
    chain y { }
    set seen { type ipv4_addr; flags dynamic,timeout; size 100; }
    set timed { type ipv4_addr; flags timeout; timeout 1h; elements = { 10.0.0.1, 10.0.0.2 timeout 5m comment \"two\" } }
    set nets { type ipv4_addr; flags interval; auto-merge; elements = { 10.0.0.0/8, 192.168.1.1-192.168.1.9 } }
    set pairs { type ipv4_addr . inet_service; counter; elements = { 10.0.0.1 . 80, 10.0.0.2 . 80 } }
    map marks { type ipv4_addr : mark; elements = { 10.0.0.1 : 0x10, 10.0.0.2 : 0x20 } }
    map verdicts { type ipv4_addr : verdict; flags interval; elements = { 10.0.0.0/8 : jump x, 11.0.0.1 : drop } }
    map targets { type ipv4_addr : ipv4_addr; elements = { 10.0.0.1 : 10.1.0.1 } }
    counter hits { packets 0 bytes 0 }
    quota much { over 25 mbytes }
    limit slow { rate 5/second }
    synproxy shield { mss 1460; wscale 7; }
    ct helper ftp { type \"ftp\" protocol tcp; }
    ct timeout short { protocol tcp; policy = { established : 100 }; }
    ct expectation soon { protocol tcp; dport 5; timeout 1h; size 5; }
    flowtable fast { hook ingress priority 0; devices = { lo }; }
";

/// Base chains, in one of which each rule can be.
const HOOKS: [&str; 5] = [
    "type filter hook prerouting priority -350",
    "type filter hook forward priority 0",
    "type nat hook prerouting priority -100",
    "type nat hook postrouting priority 100",
    "type filter hook output priority 0",
];

/// What a table has with it that a rule names.
fn needed(rule: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in NAMED.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let name = line.split(" {").next().and_then(|head| head.split(' ').next_back());
        let name = name.unwrap_or_default();
        let words: Vec<&str> = rule.split([' ', '@', '"', ',']).collect();
        if line.starts_with("chain") || words.contains(&name) {
            lines.push(line);
        }
    }
    lines.join("\n")
}

#[test]
fn a_listing_means_the_same_as_script_and_as_json() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let (mut read, mut refused, mut wrong) = (0, Vec::new(), Vec::new());
    for rule in RULES.lines().filter(|rule| !rule.is_empty()) {
        let table = |hook: &str| {
            format!(
                "table inet t {{\n{}\nchain c {{\n{hook}; policy accept;\n{rule}\n}}\n}}\n",
                needed(rule)
            )
        };
        if !HOOKS.iter().any(|hook| netns.try_load(&table(hook)).ok) {
            refused.push(rule);
            continue;
        }
        let options = Options::default();
        let (text, other) = (
            netns.output("nft", &["list", "ruleset"]),
            netns.output("nft", &["-j", "list", "ruleset"]),
        );
        let text_read =
            script(&text, &options).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
        let json_read =
            json(&other, &options).unwrap_or_else(|errors| panic!("{errors:?}\n{other}"));
        if text_read.ruleset != json_read.ruleset {
            wrong.push(format!(
                "{rule}\n{text}\n{other}\n{:?}\n{:?}",
                text_read.ruleset, json_read.ruleset
            ));
        }
        read += 1;
        netns.flush();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    println!("{read} read, this nft refuses {refused:?}");
    assert!(read > 140, "{read}, but not {refused:?}");
}

/// Whether a rule is one of those that come to a target of which nothing is known: what stands behind
/// them decides, or what they compare changes before they return.
fn is_unknown(rule: &str) -> bool {
    rule.contains("tproxy") || rule.starts_with("meta mark 5 meta mark set")
}

#[test]
fn nothing_that_this_nft_lists_is_unknown() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let mut unknown = Vec::new();
    for rule in RULES.lines().filter(|rule| !rule.is_empty() && !is_unknown(rule)) {
        let table = |hook: &str| {
            format!(
                "table inet t {{\n{}\nchain c {{\n{hook}; policy accept;\n{rule}\n}}\n}}\n",
                needed(rule)
            )
        };
        if !HOOKS.iter().any(|hook| netns.try_load(&table(hook)).ok) {
            continue;
        }
        let text = netns.output("nft", &["list", "ruleset"]);
        let found = script(&text, &Options::default()).unwrap();
        let chains = found.ruleset.tables.iter().flat_map(|table| &table.chains);
        for rule in chains.flat_map(|chain| &chain.rules) {
            // A question that weir does not know keeps the words of the match that nobody knows.
            let asked = rule.when.iter().all(|one| match one {
                Match::Opaque { condition, .. } => !condition.text.starts_with("xt "),
                _ => true,
            });
            let done = match &rule.then {
                Action::Opaque(target) => match &target.effect {
                    netweir::ir::Effect::Unknown(condition) => condition.is_understood,
                    _ => true,
                },
                _ => true,
            };
            if !asked || !done {
                unknown.push(format!("{rule:?}\n{text}"));
            }
        }
        netns.flush();
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n\n"));
}

/// Rules of a host, and what becomes of packets there.
struct Host {
    name: &'static str,
    rules: &'static str,
    packets: &'static [(&'static str, &'static str)],
}

const HOSTS: [Host; 4] = [
    Host {
        name: "kube-proxy",
        rules: include_str!("../hosts/kube-proxy.nft"),
        packets: &[
            (
                "outbound tcp to 10.96.0.1:443",
                "accepted, destination 192.168.0.5:6443, mark 0x4000",
            ),
            (
                "outbound udp from 10.244.0.9 to 10.96.0.10:53",
                "accepted, destination 10.244.0.3:53",
            ),
            ("outbound tcp to 10.96.0.9:80", "taken, by `reject`"),
            ("inbound tcp to 192.168.0.5:30080", "dropped"),
            ("outbound tcp to 10.96.0.1:80", "accepted"),
            (
                "postrouting tcp to 192.168.0.5:6443 mark 0x4000",
                "accepted, translated by `masquerade fully-random`",
            ),
        ],
    },
    Host {
        name: "docker",
        rules: include_str!("../hosts/docker.nft"),
        packets: &[
            ("inbound tcp to 192.168.0.5:8080", "accepted, destination 172.17.0.2:80"),
            ("inbound tcp to 192.168.0.5:8081", "accepted"),
            ("forward tcp to 172.17.0.2:80 out docker0", "accepted"),
            ("forward tcp to 172.17.0.2:81 out docker0", "dropped"),
        ],
    },
    Host {
        name: "firewalld",
        rules: include_str!("../hosts/firewalld.nft"),
        packets: &[
            ("inbound tcp to 192.168.0.5:8888", "accepted, redirected to port 80, mark 0x64"),
            ("inbound tcp to 192.168.0.5:2222", "accepted, destination 10.0.0.22:22"),
            ("input tcp to 192.168.0.5:22", "accepted"),
            ("input tcp to 192.168.0.5:25", "taken, by `reject with icmpx admin-prohibited`"),
            ("input tcp to 192.168.0.5:80", "taken, by `reject with icmpx admin-prohibited`"),
            ("input icmp to 192.168.0.5", "accepted"),
            ("postrouting tcp to 10.0.0.1:80", "accepted, translated by `masquerade`"),
        ],
    },
    Host {
        name: "others",
        rules: include_str!("../hosts/others.nft"),
        packets: &[
            ("input tcp from 192.0.2.10 to 192.168.0.5:22", "taken, by `reject`"),
            (
                "postrouting tcp from 192.168.122.5 to 10.0.0.1:80",
                "accepted, translated by `masquerade to :1024-65535`",
            ),
            ("inbound udp to [fd00::1]:53", "dropped"),
            ("input tcp to [fd00::1]:22", "accepted"),
            ("input tcp to [fd00::1]:5001", "accepted"),
            ("input tcp to [fd00::1]:80", "dropped"),
        ],
    },
];

#[test]
fn hosts_are_read_alike_in_every_form_and_packets_meet_what_they_say() {
    for Host { name, rules, packets } in HOSTS {
        let found = script(rules, &Options::default())
            .unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        for (packet, expected) in packets {
            let asked: Packet = packet.parse().unwrap();
            let outcome = run(&found.ruleset, &asked).outcome.to_string();
            let outcome = outcome.replace(", mark 0x0", "").replace(", connmark 0x0", "");
            assert_eq!(outcome, *expected, "{name}: {packet}");
        }
    }
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    for Host { name, rules, .. } in HOSTS {
        netns.load(rules);
        let options = Options::default();
        let read = |read: Result<Found, ReadErrors<ReadError>>| {
            read.unwrap_or_else(|errors| panic!("{name}: {errors:?}")).ruleset
        };
        let written = read(script(rules, &options));
        let listed = read(script(&netns.output("nft", &["list", "ruleset"]), &options));
        let json = read(json(&netns.output("nft", &["-j", "list", "ruleset"]), &options));
        assert_eq!(listed, json, "{name}");
        // The kernel has elements in an order of its own.
        let differences = compare(&written, &json).unwrap();
        assert_eq!(differences.first().map(|first| first.packet.to_string()), None, "{name}");
        netns.flush();
    }
}
