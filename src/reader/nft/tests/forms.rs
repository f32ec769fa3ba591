//! What scripts and listings of nft say, form by form, and which words of them are not known.

use super::in_words;
use crate::reader::nft::{Options, ReadError, script};

/// Rules of a chain at output, each with what it is read as: the rules of the chain, with ` | ` between,
/// and of chains that they need; `-` if there are none. Behind `!`, what is wrong, and where.
const RULES: &str = r#"
meta l4proto tcp accept
    tcp: accept
meta l4proto 6 accept
    tcp: accept
meta l4proto != tcp accept
    not tcp: accept
meta l4proto { tcp, udp } accept
    to port 0-65535: accept
meta l4proto { 6, 17 } accept
    to port 0-65535: accept
meta l4proto icmp accept
    ! column 1: protocol `icmp`: only tcp and udp can be read
meta nfproto ipv4 accept
    IPv4: accept
nfproto ipv4 accept
    ! column 1: unknown statement `nfproto`
iifname "eth0" accept
    in eth0: accept
iifname eth0 accept
    in eth0: accept
meta iifname "eth0.100" accept
    in eth0.100: accept
iifname not-a-nic accept
    in not-a-nic: accept
iifname "veth0@if3" accept
    ! column 1: interface `"veth0@if3"`: `@` cannot be in a name
iifname veth0@if3 accept
    ! column 14: `@` where a statement must be
iifname ip accept
    in ip: accept
iifname "1eth" accept
    in 1eth: accept
iifname 1eth accept
    ! column 9: `1eth` where a value must be
iifname 100 accept
    in 100: accept
iifname "eth+" accept
    ! column 1: interface `"eth+"`: `+` cannot be in a name
iifname "eth*" accept
    in eth*: accept
iifname eth* accept
    in eth*: accept
iifname "eth\*" accept
    ! column 1: interface `"eth\*"`: `\\` cannot be in a name
iifname "*" accept
    ! column 1: interface `"*"`: `*` alone is every interface
iifname != "lo" accept
    not in lo: accept
iifname { "eth0", "eth1" } accept
    in { eth0, eth1 }: accept
iifname { "eth*", "lo" } accept
    in { eth*, lo }: accept
iifname != { "eth0", "lo" } accept
    not in { eth0, lo }: accept
oifname @nics accept
    out { eth0, lo }: accept
oif "lo" accept
    ! column 1: unknown meta key `oif`
meta skuid 1337 accept
    user 1337: accept
skuid != 1337 accept
    not user 1337 (but some): accept
meta skuid root accept
    ! column 1: id `root`: not a number of at most 32 bits
meta skuid "root" accept
    ! column 1: id `"root"`: not a number of at most 32 bits
meta skuid { 1337, 1338 } accept
    user 1337-1338: accept
meta skuid 0-4294967294 accept
    user 0-4294967294: accept
meta skuid >= 1000 accept
    user 1000-4294967295: accept
meta skuid 4294967296 accept
    ! column 1: id `4294967296`: not a number of at most 32 bits
skgid != 1 skgid != 202 accept
    not group 1 (but some), not group 202 (but some): accept
meta mark 1337 accept
    mark 0x539: accept
meta mark 0x00000539 accept
    mark 0x539: accept
mark != 1338 accept
    not mark 0x53a: accept
meta mark & 0x00000fff == 0x00000539 accept
    mark 0x539/0xfff: accept
meta mark and 0xfff == 0x539 accept
    mark 0x539/0xfff: accept
meta mark & 0xfff 0x539 accept
    mark 0x539/0xfff: accept
mark and 0xfff != 0x539 accept
    not mark 0x539/0xfff: accept
(meta mark & 0xfff) != 0x539 accept
    not mark 0x539/0xfff: accept
meta mark 0x00001000/20 accept
    mark 0x1000/0xfffff000: accept
meta mark 0x539/0xfff accept
    ! column 17: len `0xfff`: longer than an address
meta mark { 1, 2 } accept
    mark 0x1: accept | mark 0x2: accept
ct mark & 0x00000fff == 0x00000111 accept
    connection mark 0x111/0xfff: accept
meta mark set 0x00000539
    always: set mark 0x539
meta mark set 4294967296
    ! column 1: mark `4294967296`: not a number of at most 32 bits
meta mark set meta mark & 0xfffff000 | 0x00000539
    always: set mark (old & 0xfffff000) ^ 0x539
meta mark set meta mark and 0xfffff000 or 0x539
    always: set mark (old & 0xfffff000) ^ 0x539
meta mark set meta mark | 0x4000
    always: set mark (old & 0xffffbfff) ^ 0x4000
meta mark set meta mark ^ 0x1
    always: set mark (old & 0xffffffff) ^ 0x1
ct mark set ct mark & 0xfffff000 | 0x00000111
    always: set connection mark (old & 0xfffff000) ^ 0x111
ct mark set (ct mark & 0xfffff000) | 0x111
    always: set connection mark (old & 0xfffff000) ^ 0x111
ct mark set meta mark
    always: save mark & 0xffffffff as connection mark & 0xffffffff
ct mark set mark
    always: save mark & 0xffffffff as connection mark & 0xffffffff
meta mark set ct mark & 0xfff
    always: restore mark & 0xffffffff from connection mark & 0xfff
ct mark set ct mark & 0xfffff000 | meta mark & 0x00000fff
    always: save mark & 0xfff as connection mark & 0xfff
meta mark set tcp dport map { 80 : 1, 443 : 2 }
    ! column 25: unknown expression `map`
ct state invalid drop
    invalid: drop
ct state == invalid drop
    invalid: drop
ct state established,related accept
    established or related: accept
ct state related, established accept
    established or related: accept
ct state { established, related } accept
    established or related: accept
ct state established | related accept
    established or related: accept
ct state != invalid accept
    not invalid: accept
ct state ! invalid accept
    not invalid: accept
ct state vmap { invalid : drop, established : accept }
    invalid: drop | established: accept
ct state snat accept
    ! column 1: state `snat`: not a state
ct status dnat accept
    ! column 1: unknown ct key `status`
ct direction original accept
    ! column 1: unknown ct key `direction`
ct original ip daddr 10.0.0.1 accept
    ! column 4: unknown ct key `original`
ct zone set 1
    always: track in zone 1
ct original zone set 1
    ! column 4: unknown ct key `original`
notrack
    ! column 1: unknown statement `notrack`
ip daddr 127.0.0.1 accept
    to 127.0.0.1/32: accept
ip daddr != 10.0.0.0/8 accept
    not to 10.0.0.0/8: accept
ip daddr 10.1.2.3/8 accept
    to 10.0.0.0/8: accept
ip daddr & 255.0.0.0 == 10.0.0.0 accept
    ! column 1: unknown mark `ip daddr`
ip daddr 10.0.0.1-10.0.0.9 accept
    to { 10.0.0.1/32, 10.0.0.2/31, 10.0.0.4/30, 10.0.0.8/31 }: accept
ip daddr { 10.0.0.0/8, 192.168.1.1 } accept
    to { 10.0.0.0/8, 192.168.1.1/32 }: accept
ip daddr { 10.0.0.0/8, 10.1.0.0/16 } accept
    to 10.0.0.0/8: accept
ip daddr 0.0.0.0/0 accept
    to 0.0.0.0/0: accept
ip daddr localhost accept
    ! column 1: address `localhost`: not an address
ip daddr @nets4 accept
    to { 10.0.0.0/8, 192.168.1.1/32 }: accept
ip daddr @none accept
    ! column 1: no set `none`
ip daddr @filled accept
    IPv4, to set filled: accept
ip daddr . tcp dport { 10.0.0.1 . 80 } accept
    ! column 10: unknown operator `.`
ip6 daddr ::1 accept
    to ::1/128: accept
ip6 daddr 2001:db8::/33 accept
    to 2001:db8::/33: accept
ip6 saddr { fd00::/8, ::ffff:10.0.0.1 } accept
    from { ::ffff:10.0.0.1/128, fd00::/8 }: accept
ip protocol tcp accept
    IPv4, tcp: accept
ip ttl 5 accept
    ! column 1: unknown field `ip ttl`
tcp dport 80 accept
    tcp, to port 80: accept
meta l4proto tcp tcp dport 80 accept
    tcp, to port 80: accept
tcp dport != { 53, 15008 } accept
    tcp, not to port { 53, 15008 }: accept
tcp dport { 80, 1000-2000 } accept
    tcp, to port { 80, 1000-2000 }: accept
tcp dport 1000-2000 accept
    tcp, to port 1000-2000: accept
tcp dport 90-80 accept
    ! column 1: port `90-80`: the first port is above the last
tcp dport 65536 accept
    ! column 1: port `65536`: the highest port is 65535
tcp dport https accept
    ! column 1: port `https`: not a number of at most 32 bits
tcp dport < 1024 accept
    tcp, to port 0-1023: accept
tcp dport != @ports accept
    tcp, not to port { 80, 443 }: accept
tcp sport { } accept
    ! column 13: `}` where a value must be
th dport 53 accept
    ! column 1: `th` needs a match on tcp or udp before it
meta l4proto { tcp, udp } th dport 53 accept
    to port 53: accept
tcp flags syn / fin,syn,rst,ack accept
    ! column 17: `fin` where the length of a prefix must be
tcp flags & (fin | syn) == syn accept
    ! column 1: unknown mark `tcp flags`
tcp dport vmap { 22 : return, 80 : jump x }
    tcp, to port 22: return | tcp, to port 80: jump x
tcp dport vmap { 22 : return, * : goto x }
    tcp, to port 22: return | tcp, not to port 22: go to x
tcp dport vmap @verdicts
    tcp, to port 22: return | tcp, to port 80: jump x
meta skuid vmap { 1337 : return, 0-1336 : jump x }
    user 1337: return | user 0-1336: jump x
meta l4proto vmap { tcp : jump x, udp : jump y }
    tcp: jump x | udp: jump y
tcp dport { 22 : return } accept
    ! column 1: set `{ 22 : return }`: its elements lead somewhere, as those of a map
tcp dport vmap { 22 }
    ! column 1: data `{ 22 }`: not a map of verdicts
meta l4proto tcp counter packets 5 bytes 300 redirect to :15001
    tcp: redirect to port 15001
udp dport 53 redirect to 15053
    udp, to port 53: redirect to port 15053
meta l4proto tcp redirect
    ! column 18: `redirect` needs a port
redirect to :15001
    ! column 1: `redirect` needs a match on tcp or udp before it
meta l4proto tcp redirect to :15001-15002
    ! column 18: port `15001-15002`: not a number of at most 32 bits
meta l4proto tcp redirect to :15001 return
    ! column 37: `return` cannot be read exactly: it stands behind the end of the rule
snat ip to 169.254.7.127
    IPv4: translate source to 169.254.7.127
snat to 169.254.7.127
    ! column 1: `snat` would be refused: it has to say which family it is for
ip daddr 10.0.0.1 snat to 169.254.7.127
    to 10.0.0.1/32: translate source to 169.254.7.127
snat ip6 to fd16::1
    IPv6: translate source to fd16::1
ip6 daddr ::1 snat ip to 169.254.7.127
    ! column 15: `family` would be refused: a match before is for another one
masquerade
    ! column 1: unknown statement `masquerade`
meta l4proto tcp dnat ip to 10.0.0.1:80
    IPv4, tcp: translate destination to 10.0.0.1:80
meta l4proto tcp dnat ip6 to [::1]:80
    IPv6, tcp: translate destination to [::1]:80
meta l4proto tcp tproxy ip to :15006 meta mark set 0x00000539 counter accept
    IPv4, tcp: hand to port 15006 and set mark 0x539; if nobody listens, go on
meta l4proto tcp tproxy to :15006 accept
    tcp: hand to port 15006 and set mark (old & 0xffffffff) ^ 0x0; if nobody listens, go on
meta l4proto tcp ip daddr 10.0.0.1 tproxy to :15006 accept
    ! column 36: `tproxy` would be refused: it has to say which family it is for
meta l4proto tcp tproxy ip to 127.0.0.1:15006 accept
    ! column 18: `tproxy` cannot be read exactly: it names an address
meta l4proto tcp tproxy ip6 to [::1]:15006 accept
    ! column 18: `tproxy` cannot be read exactly: it names an address
meta l4proto tcp tproxy ip to :15006
    ! column 18: `tproxy` cannot be read exactly: only `meta mark set` and `accept` may stand behind it
meta l4proto tcp meta mark set 1337 tproxy ip to :15006 accept
    tcp: jump c-then | chain c-then | always: set mark 0x539 | IPv4, tcp: hand to port 15006 and set mark (old & 0xffffffff) ^ 0x0; if nobody listens, go on
continue
    -
goto x
    always: go to x
jump none
    ! column 1: no chain without a hook `none`
jump c
    ! column 1: no chain without a hook `c`
accept drop
    ! column 8: `drop` cannot be read exactly: it stands behind the end of the rule
accept counter
    ! column 8: `counter` cannot be read exactly: it stands behind the end of the rule
counter comment "a: b, é #{};"
    -
comment "x" counter
    ! column 13: `counter` where an end of line or `;` must be
counter comment "say \"x\""
    ! column 24: `x` where the end of the rule, behind its comment, must be
counter name "hits" accept
    always: accept
fib daddr type local accept
    to an address of this machine: accept
fib saddr type != local accept
    not from an address of this machine: accept
fib daddr . iif type local accept
    ! column 1: unknown fib `daddr . iif type`
socket transparent 1 socket wildcard 0 accept
    for a transparent socket: accept
socket transparent 1 accept
    ! column 22: `socket transparent` needs `socket wildcard 0`
meta mark set socket mark
    ! column 1: unknown mark `socket mark`
log prefix "istio: " level debug
    always: log
log prefix "x" group 5 snaplen 10 queue-threshold 3
    always: log
log flags tcp sequence,options flags ip options
    always: log
limit rate 10/second accept
    ! column 1: unknown statement `limit`
limit rate over 400/minute burst 5 packets drop
    ! column 1: unknown statement `limit`
meta l4proto tcp reject with tcp reset
    ! column 18: unknown statement `reject`
meta pkttype unicast accept
    ! column 1: unknown meta key `pkttype`
meta protocol ip accept
    ! column 1: unknown meta key `protocol`
meta cgroup 1 accept
    ! column 1: unknown meta key `cgroup`
meta time "2026-01-01" accept
    ! column 1: unknown meta key `time`
icmp type echo-request accept
    ! column 1: unknown field `icmp type`
xt match "comment"
    ! column 1: unknown statement `xt`
quota over 25 mbytes drop
    ! column 1: unknown statement `quota`
queue num 0
    ! column 1: unknown statement `queue`
update @seen { ip saddr timeout 1h }
    ! column 1: unknown statement `update`
meta l4proto tcp ct helper set "ftp"
    ! column 18: unknown key to set `ct helper`
$P accept
    ! column 1: `$` where a statement must be
iifname "unclosed accept
    ! column 9: `\"` where a value must be
"#;

/// A table with `rule` in it, on line 11.
fn around(rule: &str) -> String {
    format!(
        "table inet t {{
set nics {{ type ifname; elements = {{ \"eth0\", \"lo\" }}; }}
set nets4 {{ type ipv4_addr; flags interval; elements = {{ 10.0.0.0/8, 192.168.1.1 comment \"x\" }}; }}
set filled {{ type ipv4_addr; }}
set ports {{ type inet_service; flags constant; elements = {{ 80, 443 counter packets 0 bytes 0 }}; }}
map verdicts {{ type inet_service : verdict; elements = {{ 22 : return, 80 : jump x }}; }}
chain x {{ }}
chain y {{ }}
chain c {{
type filter hook output priority filter; policy accept;
{rule}
}}
}}
"
    )
}

fn messages(errors: &[ReadError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" && ")
}

#[test]
fn every_form_of_a_rule_is_read_or_its_word_is_named() {
    let rows: Vec<_> = RULES.lines().filter(|line| !line.is_empty()).collect();
    for row in rows.chunks(2) {
        let [rule, expected] = row else { panic!("{row:?}") };
        let read = match script(&around(rule), &Options::default()) {
            Ok(ruleset) => {
                let words = in_words(&ruleset);
                let rules = words.lines().skip_while(|line| !line.contains("chain c,")).skip(1);
                rules.map(str::trim).collect::<Vec<_>>().join(" | ")
            }
            Err(errors) => format!("! {}", messages(&errors).replace("line 11, ", "")),
        };
        let read = if read.is_empty() { "-" } else { &read };
        assert_eq!(read, expected.trim(), "{rule}");
    }
}
