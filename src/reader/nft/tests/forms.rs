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
    icmp: accept
meta nfproto ipv4 accept
    IPv4: accept
nfproto ipv4 accept
    always: `nfproto ipv4 accept`
iifname "eth0" accept
    in eth0: accept
iifname eth0 accept
    in eth0: accept
meta iifname "eth0.100" accept
    in eth0.100: accept
iifname not-a-nic accept
    in not-a-nic: accept
iifname "veth0@if3" accept
    `iifname veth0@if3`: accept
iifname veth0@if3 accept
    in veth0: `@if3 accept`
iifname ip accept
    in ip: accept
iifname "1eth" accept
    in 1eth: accept
iifname 1eth accept
    always: `iifname 1eth accept`
iifname 100 accept
    in 100: accept
iifname "eth+" accept
    `iifname eth+`: accept
iifname "eth*" accept
    in eth*: accept
iifname eth* accept
    in eth*: accept
iifname "eth\*" accept
    `iifname eth\*`: accept
iifname "*" accept
    `iifname *`: accept
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
    out lo: accept
meta skuid 1337 accept
    user 1337: accept
skuid != 1337 accept
    not user 1337 (but some): accept
meta skuid root accept
    `meta skuid root`: accept
meta skuid "root" accept
    `meta skuid root`: accept
meta skuid { 1337, 1338 } accept
    user 1337-1338: accept
meta skuid 0-4294967294 accept
    user 0-4294967294: accept
meta skuid >= 1000 accept
    user 1000-4294967295: accept
meta skuid 4294967296 accept
    `meta skuid 4294967296`: accept
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
    always: `meta mark 1337/4095 accept`
meta mark { 1, 2 } accept
    mark 0x1: accept | mark 0x2: accept
ct mark & 0x00000fff == 0x00000111 accept
    connection mark 0x111/0xfff: accept
meta mark set 0x00000539
    always: set mark 0x539
meta mark set 4294967296
    always: `meta mark set 4294967296`
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
    tcp, to port 80: set mark 0x1 | tcp, to port 443: set mark 0x2
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
    `ct state snat`: accept
ct status dnat accept
    `ct status dnat`: accept
ct direction original accept
    `ct direction original`: accept
ct original ip daddr 10.0.0.1 accept
    IPv4, `ct original ip daddr 10.0.0.1`: accept
ct zone set 1
    always: track in zone 1
ct original zone set 1
    always: `ct original zone set 1`
notrack
    always: `notrack`
ip daddr 127.0.0.1 accept
    to 127.0.0.1/32: accept
ip daddr != 10.0.0.0/8 accept
    not to 10.0.0.0/8: accept
ip daddr 10.1.2.3/8 accept
    to 10.0.0.0/8: accept
ip daddr & 255.0.0.0 == 10.0.0.0 accept
    IPv4, `ip daddr & 255.0.0.0 == 10.0.0.0`: accept
ip daddr 10.0.0.1-10.0.0.9 accept
    to { 10.0.0.1/32, 10.0.0.2/31, 10.0.0.4/30, 10.0.0.8/31 }: accept
ip daddr { 10.0.0.0/8, 192.168.1.1 } accept
    to { 10.0.0.0/8, 192.168.1.1/32 }: accept
ip daddr { 10.0.0.0/8, 10.1.0.0/16 } accept
    to 10.0.0.0/8: accept
ip daddr 0.0.0.0/0 accept
    to 0.0.0.0/0: accept
ip daddr localhost accept
    IPv4, `ip daddr localhost`: accept
ip daddr @nets4 accept
    to { 10.0.0.0/8, 192.168.1.1/32 }: accept
ip daddr @none accept
    ! column 1: no set `none`
ip daddr @filled accept
    IPv4, to set filled: accept
ip daddr . tcp dport { 10.0.0.1 . 80 } accept
    tcp, to 10.0.0.1/32, to port 80: accept
ip6 daddr ::1 accept
    to ::1/128: accept
ip6 daddr 2001:db8::/33 accept
    to 2001:db8::/33: accept
ip6 saddr { fd00::/8, ::ffff:10.0.0.1 } accept
    from { ::ffff:10.0.0.1/128, fd00::/8 }: accept
ip protocol tcp accept
    IPv4, tcp: accept
ip ttl 5 accept
    IPv4, `ip ttl 5`: accept
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
    tcp, `tcp dport 90-80`: accept
tcp dport 65536 accept
    tcp, `tcp dport 65536`: accept
tcp dport https accept
    tcp, `tcp dport https`: accept
tcp dport < 1024 accept
    tcp, to port 0-1023: accept
tcp dport != @ports accept
    tcp, not to port { 80, 443 }: accept
tcp sport { } accept
    always: `tcp sport { } accept`
th dport 53 accept
    to port 53: accept | not tcp, not udp, `th dport 53`: accept
meta l4proto { tcp, udp } th dport 53 accept
    to port 53: accept
tcp flags syn / fin,syn,rst,ack accept
    tcp, `tcp flags & (fin | syn | rst | ack) == syn`: accept
tcp flags & (fin | syn) == syn accept
    tcp, `tcp flags & (fin | syn) == syn`: accept
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
    tcp, `tcp dport { 22 : return }`: accept
tcp dport vmap { 22 }
    always: `tcp dport vmap { 22 }`
meta l4proto tcp counter packets 5 bytes 300 redirect to :15001
    tcp: redirect to port 15001
udp dport 53 redirect to 15053
    udp, to port 53: redirect to port 15053
meta l4proto tcp redirect
    tcp: `redirect`
redirect to :15001
    always: `redirect to :15001`
meta l4proto tcp redirect to :15001-15002
    tcp: `redirect to :15001-15002`
meta l4proto tcp redirect to :15001 return
    tcp: redirect to port 15001
snat ip to 169.254.7.127
    IPv4: translate source to 169.254.7.127
snat to 169.254.7.127
    always: `snat to 169.254.7.127`
ip daddr 10.0.0.1 snat to 169.254.7.127
    to 10.0.0.1/32: translate source to 169.254.7.127
snat ip6 to fd16::1
    IPv6: translate source to fd16::1
ip6 daddr ::1 snat ip to 169.254.7.127
    -
masquerade
    always: `masquerade`
meta l4proto tcp dnat ip to 10.0.0.1:80
    IPv4, tcp: translate destination to 10.0.0.1:80
meta l4proto tcp dnat ip6 to [::1]:80
    IPv6, tcp: translate destination to [::1]:80
meta l4proto tcp tproxy ip to :15006 meta mark set 0x00000539 counter accept
    IPv4, tcp: hand to port 15006 and set mark 0x539; if nobody listens, go on
meta l4proto tcp tproxy to :15006 accept
    tcp: hand to port 15006 and set mark (old & 0xffffffff) ^ 0x0; if nobody listens, go on
meta l4proto tcp ip daddr 10.0.0.1 tproxy to :15006 accept
    tcp, to 10.0.0.1/32: `tproxy to :15006 accept`
meta l4proto tcp tproxy ip to 127.0.0.1:15006 accept
    tcp: `tproxy ip to 127.0.0.1:15006 accept`
meta l4proto tcp tproxy ip6 to [::1]:15006 accept
    tcp: `tproxy ip6 to [::1]:15006 accept`
meta l4proto tcp tproxy ip to :15006
    tcp: `tproxy ip to :15006`
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
    always: accept
accept counter
    always: accept
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
    `fib daddr . iif type local`: accept
socket transparent 1 socket wildcard 0 accept
    for a transparent socket: accept
socket transparent 1 accept
    `socket transparent 1`: accept
meta mark set socket mark
    always: `meta mark set socket mark`
log prefix "istio: " level debug
    always: log
log prefix "x" group 5 snaplen 10 queue-threshold 3
    always: log
log flags tcp sequence,options flags ip options
    always: log
limit rate 10/second accept
    `limit rate 10/second`: accept
limit rate over 400/minute burst 5 packets drop
    `limit rate over 400/minute`: drop
meta l4proto tcp reject with tcp reset
    tcp: `reject with tcp reset`
meta pkttype unicast accept
    `meta pkttype unicast`: accept
meta protocol ip accept
    IPv4: accept
meta cgroup 1 accept
    `meta cgroup 1`: accept
meta time "2026-01-01" accept
    `meta time 2026-01-01`: accept
icmp type echo-request accept
    icmp, `icmp type echo-request`: accept
xt match "comment"
    -
quota over 25 mbytes drop
    `quota over 25 mbytes`: drop
queue num 0
    always: `queue to 0`
update @seen { ip saddr timeout 1h }
    always: `update @seen { ip saddr }`
meta l4proto tcp ct helper set "ftp"
    tcp: `ct helper set ftp`
$P accept
    ! column 1: `$` where a statement must be
iifname "unclosed accept
    ! column 9: `\"` where a value must be
meta l4proto { tcp, icmp, gre } accept
    tcp: accept | icmp: accept | gre: accept
meta l4proto != { tcp, icmp } accept
    not tcp, not icmp: accept
ip protocol gre accept
    IPv4, gre: accept
icmpv6 type { nd-neighbor-solicit, echo-request } accept
    ipv6-icmp, `icmpv6 type { nd-neighbor-solicit, echo-request }`: accept
icmp type != echo-request accept
    icmp, not `icmp type echo-request`: accept
ip6 nexthdr tcp accept
    IPv6, `ip6 nexthdr tcp`: accept
meta protocol ip6 accept
    IPv6: accept
meta length 0-500 accept
    `meta length 0-500`: accept
meta length != 0-500 accept
    not `meta length 0-500`: accept
tcp flags syn accept
    tcp, `tcp flags syn`: accept
tcp flags == syn accept
    tcp, `tcp flags == syn`: accept
tcp flags != syn accept
    tcp, not `tcp flags == syn`: accept
tcp flags ! syn,rst accept
    tcp, not `tcp flags syn,rst`: accept
tcp flags & syn != 0 accept
    tcp, not `tcp flags & syn == 0`: accept
tcp flags syn,ack / syn,ack accept
    tcp, `tcp flags & (syn | ack) == syn | ack`: accept
tcp option maxseg size 1460 accept
    tcp, `tcp option maxseg size 1460`: accept
tcp option maxseg size set rt mtu
    always: `tcp option maxseg size set rt mtu`
tcp option sack-perm exists accept
    tcp, `tcp option sack-perm exists`: accept
tcp option sack-perm missing accept
    tcp, not `tcp option sack-perm exists`: accept
exthdr frag missing accept
    IPv6, not `exthdr frag exists`: accept
frag id 5 accept
    IPv6, `frag id 5`: accept
rt nexthop 10.0.0.1 accept
    `rt nexthop 10.0.0.1`: accept
rt ip nexthop 10.0.0.1 accept
    IPv4, `rt ip nexthop 10.0.0.1`: accept
@th,0,16 0x5 accept
    `@th,0,16 5`: accept
ether saddr 02:42:ac:11:00:02 accept
    `ether saddr 02:42:ac:11:00:02`: accept
vlan id 5 accept
    `vlan id 5`: accept
ip dscp cs1 accept
    IPv4, `ip dscp cs1`: accept
ip dscp set cs1
    always: `ip dscp set cs1`
ip daddr set 10.0.0.1
    always: `ip daddr set 10.0.0.1`
fib saddr . iif oif missing drop
    not `fib saddr . iif oif exists`: drop
fib saddr . iif oif exists accept
    `fib saddr . iif oif exists`: accept
fib daddr type { local, broadcast } accept
    `fib daddr type { local, broadcast }`: accept
numgen random mod 2 0 accept
    `numgen random mod 2 0`: accept
numgen inc mod 3 offset 5 { 5, 6 } accept
    `numgen inc mod 3 offset 5 { 5, 6 }`: accept
jhash ip saddr . tcp dport mod 4 seed 0xff 1 accept
    `jhash ip saddr . tcp dport mod 4 seed 255 1`: accept
symhash mod 2 1 accept
    `symhash mod 2 1`: accept
ct direction reply accept
    not `ct direction original`: accept
ct helper "ftp" accept
    `ct helper ftp`: accept
ct label set 5
    always: `ct label set 5`
ct original ip saddr . ct original proto-dst { 10.0.0.1 . 80 } accept
    IPv4, `ct original ip saddr . ct original proto-dst { 10.0.0.1 . 80 }`: accept
ct bytes > 1000 accept
    `ct bytes > 1000`: accept
ct count over 5 drop
    `ct count over 5`: drop
ct count 5 accept
    `ct count 5`: accept
osf ttl loose name "Linux" accept
    `osf ttl loose name Linux`: accept
ipsec in reqid 5 accept
    `ipsec in reqid 5`: accept
ipsec in ip saddr 10.0.0.1 accept
    `ipsec in ip saddr 10.0.0.1`: accept
socket cgroupv2 level 1 "user.slice" accept
    `socket cgroupv2 level 1 user.slice`: accept
socket wildcard 0 socket transparent 1 accept
    for a transparent socket: accept
meta hour "09:00"-"17:00" accept
    `meta hour 09:00-17:00`: accept
meta priority 1:2 accept
    `meta priority 1:2`: accept
meta priority set 1:2 accept
    always: jump c-then | chain c-then | always: `meta priority set 1:2` | always: accept
meta random 5 accept
    `meta random 5`: accept
meta foo 5 accept
    `meta foo 5`: accept
limit rate 10 mbytes/second burst 5 kbytes accept
    `limit rate 10 mbytes/second burst 5 kbytes`: accept
limit rate 1/hour counter limit rate 2/hour accept
    `limit rate 1/hour`, `limit rate 2/hour`: accept
quota 5 mbytes used 2 mbytes accept
    `quota 5 mbytes`: accept
quota name "q" accept
    `quota name q`: accept
queue flags bypass to 0-3
    always: `queue to 0-3 bypass`
queue num 5 bypass,fanout
    always: `queue to 5 bypass,fanout`
queue to symhash mod 2
    always: `queue to symhash mod 2`
reject
    always: `reject`
reject with icmpx admin-prohibited
    always: `reject with icmpx admin-prohibited`
reject with icmp type port-unreachable
    always: `reject`
ip protocol icmp reject with icmp host-unreachable
    IPv4, icmp: `reject with icmp host-unreachable`
dup to 10.0.0.1 device "eth0" accept
    always: jump c-then | chain c-then | always: `dup to 10.0.0.1 device eth0` | always: accept
flow add @f accept
    always: jump c-then | chain c-then | always: `flow add @f` | `flow add @f`: accept
flow add @f
    always: `flow add @f`
synproxy mss 1460 wscale 7 timestamp sack-perm
    always: `synproxy mss 1460 wscale 7 timestamp sack-perm`
notrack accept
    always: jump c-then | chain c-then | always: `notrack` | always: accept
last used 5m accept
    always: accept
add @dyn { ip saddr timeout 5m } accept
    always: jump c-then | chain c-then | always: `add @dyn { ip saddr }` | `add @dyn { ip saddr }`: accept
update @dyn { ip saddr limit rate over 10/second } drop
    `update @dyn { ip saddr limit rate over 10/second }`: drop
delete @dyn { ip saddr } accept
    always: jump c-then | chain c-then | always: `delete @dyn { ip saddr }` | always: accept
set update ip saddr timeout 5s @dyn accept
    always: jump c-then | chain c-then | always: `update @dyn { ip saddr }` | `update @dyn { ip saddr }`: accept
meter m size 10 { ip saddr limit rate 5/second } accept
    `update @m { ip saddr limit rate 5/second }`: accept
ip saddr @dyn drop
    IPv4, from set dyn: drop
ip saddr != @timed drop
    IPv4, not `ip saddr @timed`: drop
ip saddr @empty drop
    -
ip saddr . tcp dport @pairs accept
    tcp, from { 10.0.0.1/32, 10.0.0.2/32 }, to port 80: accept | tcp, from 10.0.0.1/32, to port 81: accept
ip saddr . tcp dport != @pairs accept
    IPv4, tcp, `ip saddr . tcp dport != @pairs`: accept
ip daddr . meta l4proto . th dport { 10.0.0.1 . tcp . 80, 10.0.0.2 . tcp . 80, 10.0.0.1 . udp . 53 } accept
    tcp, to { 10.0.0.1/32, 10.0.0.2/32 }, to port 80: accept | udp, to 10.0.0.1/32, to port 53: accept
meta iifname . tcp dport { "eth0" . 80, "eth1" . 81-82 } accept
    tcp, to port 80, in eth0: accept | tcp, to port 81-82, in eth1: accept
meta skuid . meta skgid { 1 . 2 } accept
    user 1, group 2: accept
ip daddr . icmp type { 10.0.0.1 . echo-request } accept
    IPv4, icmp, `ip daddr . icmp type { 10.0.0.1 . echo-request }`: accept
masquerade random,persistent
    always: `masquerade random,persistent`
masquerade to :1024-65535 fully-random
    always: `masquerade to :1024-65535 fully-random`
redirect to :8080 random
    always: `redirect to :8080 random`
meta l4proto tcp redirect to :tcp dport map { 80 : 8080, 443 : 8443 }
    tcp, to port 80: redirect to port 8080 | tcp, to port 443: redirect to port 8443
meta l4proto tcp dnat ip to 10.0.0.1:80 persistent
    IPv4, tcp: translate destination to 10.0.0.1:80
meta l4proto tcp dnat ip to 10.0.0.1-10.0.0.9:80-90 random
    IPv4, tcp: `dnat ip to 10.0.0.1-10.0.0.9:80-90 random`
dnat ip prefix to 10.1.0.0/16
    IPv4: `dnat ip to 10.1.0.0/16`
dnat ip to tcp dport map { 80 : 10.0.0.1, 443 : 10.0.0.2 }
    IPv4, tcp, to port 80: translate destination to 10.0.0.1 | IPv4, tcp, to port 443: translate destination to 10.0.0.2
dnat ip addr . port to tcp dport map { 80 : 10.0.0.1 . 8080 }
    IPv4, tcp, to port 80: translate destination to 10.0.0.1:8080
dnat ip to numgen inc mod 2 map { 0 : 10.0.0.1, 1 : 10.0.0.2 }
    IPv4, `numgen inc mod 2 0`: translate destination to 10.0.0.1 | IPv4: translate destination to 10.0.0.2
dnat ip to ip daddr map @nets
    IPv4, `ip daddr @nets`: `dnat ip to ip daddr map @nets`
snat ip to ip saddr map { 10.0.0.1 : 10.0.0.9 }
    from 10.0.0.1/32: translate source to 10.0.0.9
snat ip to 10.0.0.1-10.0.0.9 persistent
    IPv4: `snat ip to 10.0.0.1-10.0.0.9 persistent`
snat ip to 10.0.0.1:5000
    IPv4: `snat ip to 10.0.0.1:5000`
meta mark set tcp dport map { 80 : 1, 443 : 2 } accept
    always: `meta mark set tcp dport map { 80 : 1, 443 : 2 } accept`
meta mark set numgen inc mod 2
    always: `meta mark set numgen inc mod 2`
meta mark set meta mark & 0xff | ct mark & 0xff00
    always: restore mark & 0xffffff00 from connection mark & 0xff00
ct mark set ct mark >> 8
    always: `ct mark set ct mark >> 8`
numgen random mod 2 vmap { 0 : goto x, 1 : goto y }
    `numgen random mod 2 0`: go to x | always: go to y
numgen random mod 2 vmap { 0 : jump x, 1 : jump y }
    always: jump c-map | chain c-map | `numgen random mod 2 0`: go to x | always: go to y
numgen random mod 3 vmap { 0 : drop, 1 : jump x }
    always: jump c-map | chain c-map | `numgen random mod 3 0`: drop | `numgen random mod 3 1`: go to x
ip daddr . meta l4proto . th dport vmap { 10.0.0.1 . tcp . 80 : goto x, 10.0.0.2 . sctp . 81 : goto y }
    tcp, to 10.0.0.1/32, to port 80: go to x | to 10.0.0.2/32, sctp, `th dport 81`: go to y
icmp type vmap { echo-request : accept, echo-reply : return, destination-unreachable : jump x }
    icmp, `icmp type echo-reply`: return | always: jump c-map | chain c-map | icmp, `icmp type echo-request`: accept | icmp, `icmp type destination-unreachable`: go to x
meta mark vmap { 1 : jump x, 2 : return }
    mark 0x2: return | always: jump c-map | chain c-map | mark 0x1: go to x
meta mark vmap { 1 : jump x, 2 : jump y, * : drop }
    always: jump c-map | chain c-map | mark 0x1: go to x | mark 0x2: go to y | not mark 0x1, not mark 0x2: drop
meta mark set 1 tcp dport vmap { 80 : return, 81 : jump x }
    always: set mark 0x1 | tcp, to port 80: return | tcp, to port 81: jump x
log prefix "a" tcp dport 80 return
    always: log | tcp, to port 80: return
limit rate 1/second log accept
    `limit rate 1/second`: jump c-then | chain c-then | always: log | always: accept
meta mark 5 meta mark set 6 meta l4proto tcp return
    always: `meta mark 5 meta mark set 6 meta l4proto tcp return`
counter limit rate 5/second burst 5 packets log prefix "x" reject
    `limit rate 5/second`: jump c-then | chain c-then | always: log | always: `reject`
xt match "comment" counter accept
    `xt match comment`: accept
xt target "MASQUERADE"
    always: `xt target MASQUERADE`
tcp dport 80 xt target "CT" accept
    tcp, to port 80: `xt target CT accept`
tcp dport 80 frobnicate { 1, 2 } accept
    tcp, to port 80: `frobnicate { 1, 2 } accept`
ct state new ct state vmap { new : accept }
    new: accept
iif != "lo" accept
    not in lo: accept
iif 5 accept
    `meta iif 5`: accept
tcp dport 80 accept comment "say \"x\""
    ! column 36: `x` where the end of the rule, behind its comment, must be
secmark set "x"
    always: `secmark set x`
meta secmark set "x"
    always: `meta secmark set x`
ct timeout set "t"
    always: `ct timeout set t`
meta nftrace set 1
    always: `meta nftrace set 1`
meta pkttype { broadcast, multicast } drop
    `meta pkttype { broadcast, multicast }`: drop
"#;

/// A table with `rule` in it, on line 16.
fn around(rule: &str) -> String {
    format!(
        "table inet t {{
set nics {{ type ifname; elements = {{ \"eth0\", \"lo\" }}; }}
set nets4 {{ type ipv4_addr; flags interval; elements = {{ 10.0.0.0/8, 192.168.1.1 comment \"x\" }}; }}
set filled {{ type ipv4_addr; }}
set ports {{ type inet_service; flags constant; elements = {{ 80, 443 counter packets 0 bytes 0 }}; }}
map verdicts {{ type inet_service : verdict; elements = {{ 22 : return, 80 : jump x }}; }}
set dyn {{ type ipv4_addr; flags dynamic,timeout; }}
set timed {{ type ipv4_addr; flags timeout; elements = {{ 10.0.0.1 timeout 1h expires 5m }}; }}
set empty {{ type ipv4_addr; flags interval; }}
set pairs {{ type ipv4_addr . inet_service; elements = {{ 10.0.0.1 . 80, 10.0.0.2 . 80, 10.0.0.1 . 81 }}; }}
map nets {{ type ipv4_addr : interval ipv4_addr; flags interval; elements = {{ 10.0.0.0/8 : 10.1.0.1-10.1.0.9 }}; }}
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
            Ok(found) => {
                let words = in_words(&found.ruleset);
                let rules = words.lines().skip_while(|line| !line.contains("chain c,")).skip(1);
                rules.map(str::trim).collect::<Vec<_>>().join(" | ")
            }
            Err(errors) => format!("! {}", messages(&errors).replace("line 16, ", "")),
        };
        let read = if read.is_empty() { "-" } else { &read };
        assert_eq!(read, expected.trim(), "{rule}");
    }
}
