//! Matches and targets that the IR cannot say: what is known of them.
//!
//! The lists are those of iptables 1.8.9 and its extensions (`libxt_*`, `libipt_*`, `libip6t_*`). A match,
//! an option or a target that stands in none of them is not understood.

use std::sync::Arc;

use super::words::Words;
use crate::ir::{Condition, Direction, Effect, Match, Protocol, Target};

/// Matches that the packet alone decides, by what the IR's packet does not have, each with its options:
/// asked twice, they answer the same, and each answer is possible whatever else the packet is.
const OF_OTHER_FIELDS: &[(&str, &str)] = &[
    ("ah", "--ahspi --ahlen --ahres"),
    ("cgroup", "--path --cgroup"),
    ("dccp", "--sport --source-port --dport --destination-port --dccp-types --dccp-option"),
    ("dscp", "--dscp --dscp-class"),
    ("dst", "--dst-len --dst-opts"),
    ("ecn", "--ecn-tcp-cwr --ecn-tcp-ece --ecn-ip-ect"),
    ("esp", "--espspi"),
    ("eui64", ""),
    ("frag", "--fragid --fraglen --fragres --fragfirst --fragmore --fraglast"),
    ("hbh", "--hbh-len --hbh-opts"),
    ("hl", "--hl-eq --hl-lt --hl-gt"),
    ("icmp", "--icmp-type"),
    ("icmp6", "--icmpv6-type"),
    ("icmpv6", "--icmpv6-type"),
    ("ipcomp", "--ipcompspi --compres"),
    ("ipv6-icmp", "--icmpv6-type"),
    ("ipv6header", "--header --soft"),
    ("length", "--length"),
    ("mac", "--mac-source"),
    ("mh", "--mh-type"),
    ("multiport", "--sports --source-ports --dports --destination-ports --ports"),
    ("osf", "--genre --ttl --log"),
    ("pkttype", "--pkt-type"),
    (
        "policy",
        "--dir --pol --strict --reqid --spi --proto --mode --tunnel-src --tunnel-dst --next",
    ),
    ("rt", "--rt-type --rt-segsleft --rt-len --rt-0-res --rt-0-addrs --rt-0-not-strict"),
    ("sctp", "--sport --source-port --dport --destination-port --chunk-types"),
    ("string", "--from --to --algo --string --hex-string --icase"),
    ("tcp", "--tcp-flags --syn --tcp-option"),
    ("tcpmss", "--mss"),
    (
        "time",
        "--datestart --datestop --timestart --timestop --monthdays --weekdays --kerneltz \
         --contiguous",
    ),
    ("tos", "--tos"),
    ("ttl", "--ttl --ttl-eq --ttl-lt --ttl-gt"),
    ("udplite", "--sport --source-port --dport --destination-port"),
];

/// Matches that the packet alone decides, with its connection, its socket and the routes, of which the IR's
/// packet says something: how the answer depends on that is not followed.
const OF_KNOWN_FIELDS: &[&str] = &[
    "addrtype",
    "cluster",
    "connlabel",
    "conntrack",
    "devgroup",
    "helper",
    "ipvs",
    "owner",
    "physdev",
    "realm",
    "rpfilter",
    "set",
    "socket",
    "state",
];

/// Matches that chance decides, or a rate, or what came before, each with its options.
const OF_MORE: &[(&str, &str)] = &[
    ("connbytes", "--connbytes --connbytes-dir --connbytes-mode"),
    (
        "connlimit",
        "--connlimit-upto --connlimit-above --connlimit-mask --connlimit-saddr --connlimit-daddr",
    ),
    ("cpu", "--cpu"),
    (
        "hashlimit",
        "--hashlimit --hashlimit-upto --hashlimit-above --hashlimit-burst --hashlimit-mode \
         --hashlimit-srcmask --hashlimit-dstmask --hashlimit-name --hashlimit-htable-size \
         --hashlimit-htable-max --hashlimit-htable-expire --hashlimit-htable-gcinterval \
         --hashlimit-rate-match --hashlimit-rate-interval",
    ),
    ("limit", "--limit --limit-burst"),
    ("nfacct", "--nfacct-name"),
    ("quota", "--quota"),
    (
        "recent",
        "--set --rcheck --update --remove --seconds --reap --hitcount --rttl --name --rsource \
         --rdest --mask",
    ),
    ("statistic", "--mode --probability --every --packet"),
];

/// Targets that change nothing that is compared, after which the next rule runs.
const STAYING: &[&str] = &[
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CONNSECMARK",
    "DSCP",
    "ECN",
    "HL",
    "IDLETIMER",
    "LED",
    "NFLOG",
    "RATEEST",
    "SECMARK",
    "SET",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TEE",
    "TOS",
    "TRACE",
    "TTL",
    "ULOG",
];

/// Those of them that change what opaque matches ask for.
const REWRITING: &[&str] =
    &["CLASSIFY", "DSCP", "ECN", "HL", "SECMARK", "SET", "TCPMSS", "TCPOPTSTRIP", "TOS", "TTL"];

/// Targets that take the packet: they answer it, or hand it to a program that decides.
const TAKING: &[&str] = &["NFQUEUE", "QUEUE", "REJECT", "SYNPROXY", "TARPIT"];

/// A question of a line, and whether the opposite answer is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) module: String,
    /// With `-m` and the module: `-m tcp --tcp-flags SYN,RST SYN`.
    pub(super) text: String,
    pub(super) not: bool,
}

impl Question {
    /// The options of a module in a rule of `protocol`, which stand in `words` up to the next option
    /// that every such rule has.
    pub(super) fn of_block(module: &str, protocol: Option<Protocol>, words: &mut Words) -> Self {
        let count = block(words.rest(), protocol).len();
        let block: Vec<String> = (0..count).filter_map(|_| words.next()).collect();
        // A question of one option is negated as a whole.
        let options = block.iter().filter(|word| word.starts_with("--")).count();
        let not = options <= 1 && block.first().is_some_and(|word| word == "!");
        let asked = if not { &block[1..] } else { &block[..] };
        Self { module: module.to_owned(), text: text(module, asked), not }
    }

    /// One option of a module, with its values.
    pub(super) fn of_option(module: &str, option: &str, not: bool, words: &mut Words) -> Self {
        let values = words.until(|word| word.starts_with('-') || word == "!");
        let asked: Vec<String> = std::iter::once(option.to_owned()).chain(values).collect();
        Self { module: module.to_owned(), text: text(module, &asked), not }
    }

    /// What is asked, by a rule that `place` names.
    pub(super) fn condition(&self, place: &str) -> Condition {
        let module = self.module.as_str();
        let listed = |all: &'static [(&str, &'static str)]| {
            all.iter().find(|(known, _)| *known == module).map(|(_, options)| *options)
        };
        let of_other_fields = listed(OF_OTHER_FIELDS);
        let is_of_more = of_other_fields.is_none() && !OF_KNOWN_FIELDS.contains(&module);
        // An option that nobody knows may ask for anything.
        let knows_options = |options: &str| {
            let asked = self.text.split(' ').filter(|word| word.starts_with("--"));
            asked.into_iter().all(|word| options.split(' ').any(|option| option == word))
        };
        Condition {
            text: self.text.as_str().into(),
            asked_by: is_of_more.then(|| place.into()),
            is_understood: of_other_fields.or_else(|| listed(OF_MORE)).is_some_and(knows_options),
            is_usual: is_usual(module, &self.text),
        }
    }
}

/// Whether the usual answer is yes: a rate is not exceeded, and what begins a connection of TCP is a
/// SYN.
fn is_usual(module: &str, text: &str) -> bool {
    match module {
        "limit" => true,
        "hashlimit" => !text.contains("--hashlimit-above"),
        "connlimit" => text.contains("--connlimit-upto"),
        "rpfilter" => !text.contains("--invert"),
        "policy" => text.contains("--pol none"),
        "tcp" => {
            text.ends_with("--syn")
                || text.ends_with("--tcp-flags FIN,SYN,RST,ACK SYN")
                || text.ends_with("--tcp-flags SYN SYN")
                || text.ends_with("--tcp-flags SYN,RST SYN")
        }
        _ => false,
    }
}

fn text(module: &str, words: &[String]) -> String {
    let words = words.iter().map(|word| quoted(word));
    std::iter::once(format!("-m {module}")).chain(words).collect::<Vec<_>>().join(" ")
}

/// `word`, between quotation marks if it has a space in it.
fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains(char::is_whitespace) {
        format!("\"{word}\"")
    } else {
        word.to_owned()
    }
}

/// Whether the options of a module say exactly what the IR can. Of most modules, each option is a
/// condition of its own; of these, they bear on each other.
pub(super) fn is_exact(module: &str, words: &[String], protocol: Option<Protocol>) -> bool {
    let mut block = block(words, protocol).iter().map(String::as_str);
    match module {
        "multiport" => protocol.is_none_or(Protocol::has_ports),
        "socket" => block.eq(["--transparent"]),
        "set" => {
            let named: Vec<_> = block.filter(|word| *word != "!").collect();
            matches!(named[..], ["--match-set", _, "src" | "dst"])
        }
        "addrtype" => block.all(|word| matches!(word, "!" | "--src-type" | "--dst-type" | "LOCAL")),
        "owner" => !block.any(|word| word == "--suppl-groups"),
        "tcp" | "udp" | "mark" | "connmark" | "conntrack" | "state" | "comment" | "iprange" => true,
        _ => false,
    }
}

/// The options of a module at the beginning of `words`, in a rule of `protocol`.
fn block(words: &[String], protocol: Option<Protocol>) -> &[String] {
    let count = words.iter().take_while(|word| !ends_block(word, protocol)).count();
    match &words[..count] {
        // What comes next is negated.
        [block @ .., not] if not == "!" => block,
        block => block,
    }
}

/// Whether an option ends those of a module, in a rule of `protocol`: every rule has it, or every one of
/// that protocol.
fn ends_block(word: &str, protocol: Option<Protocol>) -> bool {
    let is_port = matches!(word, "--sport" | "--source-port" | "--dport" | "--destination-port");
    is_of_every_rule(word) || is_port && protocol.is_some_and(Protocol::has_ports)
}

/// Whether every rule can have the option.
pub(super) fn is_of_every_rule(word: &str) -> bool {
    FOLLOWING.contains(&word) || NEGATABLE.contains(&word) || matches!(word, "-f" | "--fragment")
}

/// The options of every rule that `!` may stand before, each of one value.
pub(super) const NEGATABLE: [&str; 12] = [
    "-p",
    "--protocol",
    "-s",
    "--source",
    "--src",
    "-d",
    "--destination",
    "--dst",
    "-i",
    "--in-interface",
    "-o",
    "--out-interface",
];

/// Those that cannot be negated.
pub(super) const FOLLOWING: [&str; 8] =
    ["-m", "--match", "-j", "--jump", "-g", "--goto", "-c", "--set-counters"];

/// What is known of the target `name` with these options, of a rule that `place` names.
pub(super) fn target(name: &str, options: &[String], place: &str) -> Target {
    let words = options.iter().map(|word| quoted(word));
    let text = std::iter::once(name.to_owned()).chain(words).collect::<Vec<_>>().join(" ");
    let text: Arc<str> = text.into();
    let effect = match name {
        _ if STAYING.contains(&name) => Effect::Stays,
        _ if TAKING.contains(&name) => Effect::Takes,
        "MASQUERADE" | "REDIRECT" => Effect::Translates { to_this_machine: true },
        "SNAT" | "DNAT" | "NETMAP" => Effect::Translates { to_this_machine: false },
        _ => Effect::Unknown(Condition {
            text: Arc::clone(&text),
            asked_by: Some(place.into()),
            // Known, though not what the IR can say.
            is_understood: matches!(
                name,
                "TPROXY" | "CLUSTERIP" | "DNPT" | "SNPT" | "HMARK" | "CT"
            ),
            is_usual: false,
        }),
    };
    Target { text, effect }
}

/// The first word of a target.
pub(super) fn name(target: &Target) -> &str {
    target.text.split(' ').next().unwrap_or_default()
}

/// Makes a question without an answer of what is asked of a set.
pub(super) fn unsettle(when: &mut Match) {
    if let Match::InSet { of, set, not } = when {
        let of = match of {
            Direction::Source => "src",
            Direction::Destination => "dst",
        };
        let text = format!("-m set --match-set {set} {of}");
        let asked = Question { module: "set".to_owned(), text, not: *not };
        *when = Match::Opaque { condition: asked.condition(""), not: *not };
    }
}

/// Whether the target changes what opaque matches ask a packet for.
pub(super) fn rewrites(target: &Target) -> bool {
    REWRITING.contains(&name(target)) || matches!(target.effect, Effect::Unknown(_))
}
