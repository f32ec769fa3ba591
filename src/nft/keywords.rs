//! Words that nft keeps for itself, which no table, chain or set can be called in a script.
//!
//! Read from the scanner of nft 1.0.1 to 1.1.6 (`src/scanner.l`: what it takes for a word of its own
//! wherever it stands), and tried as names of chains with 1.0.6, 1.1.3 and 1.1.7. Names of hooks and
//! priorities are none: `output` and `filter` may be names.

use std::sync::LazyLock;

use super::Target;

/// Whether some nft from `target` on takes `name` for a word of its own.
pub(crate) fn is_keyword(name: &str, target: Target) -> bool {
    is_in(&ALWAYS, name) || is_in(&LATE, name) || target <= LAST_EARLY && is_in(&EARLY, name)
}

/// Words in order, each list once for the program.
type Words = LazyLock<Vec<&'static str>>;

fn is_in(words: &Words, name: &str) -> bool {
    words.binary_search(&name).is_ok()
}

/// The last version that keeps [`EARLY`].
const LAST_EARLY: Target = Target::new(1, 0, 2);

/// Since 1.0.1, and still.
static ALWAYS: Words = LazyLock::new(|| {
    "\
    accept add ah all and arp auto-merge bridge cgroup chain comment comp constant continue \
    counter cpu create ct day dccp define delete describe device devices dnat drop dst dup \
    dynamic ecn element elements eq esp ether exists expires export exthdr fib flags flow \
    flowtable flush frag fwd gc-interval ge get goto gt handle hbh hook hour ibriport ibrname \
    icmp icmpv6 igmp iif iifgroup iifname iiftype import include index inet insert interval ip \
    ip6 ipsec jhash jump le limit list log lshift lt map mark masquerade meta meter mh missing \
    monitor ne netdev nftrace not notrack numgen obriport obrname offload oif oifgroup oifname \
    oiftype or osf pkttype policy position priority queue quota random redefine redirect reject \
    rename replace reset return rshift rt rt0 rt2 rtclassid rule ruleset sctp secmark set size \
    skgid skuid snat socket srh symhash synproxy table tcp th time timeout tproxy type typeof \
    udp udplite undefine update vlan vmap xor"
        .split(' ')
        .collect()
});

/// Only up to 1.0.2: later versions take them for words where they can mean something only.
static EARLY: Words = LazyLock::new(|| {
    "\
    ackseq addr chains checksum code count counters cpi doff dport dscp echo eol frag-off \
    fully-random gateway group hdrlength icmpx id json kind last-entry left length ll maps max-delay \
    maxseg memory minute more-fragments mrt mss mtu name nexthdr nh noop nop option options \
    param-problem performance persistent port prefix protocol quotas reserved reserved2 right \
    rules sack sack-perm sack-permitted sack0 sack1 sack2 sack3 second seg-left sequence sets \
    sid spi sport tables tag timestamp to trace tsecr tsval ttl urgptr version vm week window \
    with wscale xml"
        .split(' ')
        .collect()
});

/// Since 1.0.6 (`xt`), 1.0.7 and 1.1.6 (`tunnel`).
static LATE: Words = LazyLock::new(|| {
    "\
    destroy geneve gre gretap tunnel vni vxlan xt"
        .split(' ')
        .collect()
});

#[cfg(test)]
mod tests {
    use super::{ALWAYS, EARLY, LATE, Target, is_keyword};

    #[test]
    fn every_list_is_in_order_and_no_word_is_in_two() {
        for list in [&ALWAYS, &EARLY, &LATE] {
            assert!(list.is_sorted_by(|left, right| left < right));
        }
        let all = ALWAYS.iter().chain(EARLY.iter()).chain(LATE.iter());
        let distinct: std::collections::BTreeSet<_> = all.clone().collect();
        assert_eq!(distinct.len(), all.count());
    }

    #[test]
    fn a_word_is_kept_from_some_version_on_or_up_to_one() {
        for (word, oldest, later) in [
            ("mark", true, true),
            ("vm", true, false),
            ("destroy", true, true),
            ("tunnel", true, true),
            ("last", false, false),
            ("output", false, false),
            ("istio-output", false, false),
        ] {
            assert_eq!(is_keyword(word, Target::OLDEST), oldest, "{word}");
            assert_eq!(is_keyword(word, Target::new(1, 0, 3)), later, "{word}");
        }
    }
}
