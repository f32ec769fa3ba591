//! Words that nft keeps for itself, which no table, chain or set can be called in a script.
//!
//! Read from the scanner of nft 1.0.1 to 1.1.6 (`src/scanner.l`: what it takes for a word of its own
//! wherever it stands), and tried as names of chains with 1.0.6, 1.1.3 and 1.1.7. Names of hooks and
//! priorities are none: `output` and `filter` may be names.

use std::sync::LazyLock;

use super::Target;

/// Whether some nft from `target` on takes `name` for a word of its own.
pub(crate) fn is_keyword(name: &str, target: Target) -> bool {
    match kept(name) {
        None => false,
        Some(Kept::Early) => target <= LAST_EARLY,
        Some(Kept::Always | Kept::Late) => true,
    }
}

/// Which versions keep a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Always,
    Early,
    Late,
}

/// All words in order, those of each length together, once for the program.
static WORDS: LazyLock<Vec<Vec<(&'static str, Kept)>>> = LazyLock::new(|| {
    let mut all: Vec<Vec<_>> = Vec::new();
    for (words, kept) in [(ALWAYS, Kept::Always), (EARLY, Kept::Early), (LATE, Kept::Late)] {
        for word in words.split(' ') {
            all.resize_with(all.len().max(word.len() + 1), Vec::new);
            all[word.len()].push((word, kept));
        }
    }
    for words in &mut all {
        words.sort_unstable_by_key(|(word, _)| *word);
    }
    all
});

/// Which versions keep `name`, if some do.
fn kept(name: &str) -> Option<Kept> {
    let words = WORDS.get(name.len())?;
    let found = words.binary_search_by_key(&name, |(word, _)| word).ok()?;
    Some(words[found].1)
}

/// The last version that keeps [`EARLY`].
const LAST_EARLY: Target = Target::new(1, 0, 2);

/// Since 1.0.1, and still.
const ALWAYS: &str = "\
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
    udp udplite undefine update vlan vmap xor";

/// Only up to 1.0.2: later versions take them for words where they can mean something only.
const EARLY: &str = "\
    ackseq addr chains checksum code count counters cpi doff dport dscp echo eol frag-off \
    fully-random gateway group hdrlength icmpx id json kind last-entry left length ll maps max-delay \
    maxseg memory minute more-fragments mrt mss mtu name nexthdr nh noop nop option options \
    param-problem performance persistent port prefix protocol quotas reserved reserved2 right \
    rules sack sack-perm sack-permitted sack0 sack1 sack2 sack3 second seg-left sequence sets \
    sid spi sport tables tag timestamp to trace tsecr tsval ttl urgptr version vm week window \
    with wscale xml";

/// Since 1.0.6 (`xt`), 1.0.7 and 1.1.6 (`tunnel`).
const LATE: &str = "\
    destroy geneve gre gretap tunnel vni vxlan xt";

#[cfg(test)]
mod tests {
    use super::{Target, WORDS, is_keyword};

    #[test]
    fn no_word_is_there_twice() {
        let all: Vec<_> = WORDS.iter().flatten().map(|(word, _)| *word).collect();
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert!(all.iter().all(|word| !word.is_empty() && !word.contains(char::is_whitespace)));
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
