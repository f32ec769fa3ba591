//! What may have been meant by a word that is nothing here.

use std::fmt::Write as _;

/// Words of other tools, and of people who are used to them, under the word of this language.
const SYNONYMS: &[(&str, &[&str])] = &[
    ("*", &["all", "any", "every", "everything", "yes", "on", "true"]),
    ("none", &["nothing", "off", "no", "never", "false", "empty", "disabled"]),
    (
        "capture",
        &["allow", "include", "includes", "intercept", "proxied", "permit", "match", "only"],
    ),
    ("exclude", &["deny", "ignore", "skip", "bypass", "except", "excludes", "not", "reject"]),
    ("port", &["ports", "dport", "dports", "tcp", "udp", "service"]),
    (
        "to",
        &[
            "cidr",
            "cidrs",
            "ip",
            "ips",
            "range",
            "ranges",
            "destination",
            "destinations",
            "dst",
            "daddr",
            "dest",
            "address",
            "addresses",
            "network",
            "networks",
            "subnet",
            "host",
            "hosts",
            "net",
            "nets",
        ],
    ),
    ("from", &["source", "src", "saddr", "snat"]),
    ("user", &["uid", "uids", "users", "proxy-uid", "owner"]),
    ("group", &["gid", "gids", "groups", "proxy-gid", "owner-group"]),
    ("interface", &["nic", "nics", "iface", "ifaces", "interfaces", "device", "devices", "dev"]),
    ("inbound", &["ingress", "input", "incoming", "in", "prerouting"]),
    ("outbound", &["egress", "output", "outgoing", "out"]),
    ("mode", &["interception", "interception-mode", "method"]),
    ("redirect", &["redirection", "redir", "nat", "dnat"]),
    ("tproxy", &["transparent", "transparent-proxy"]),
    ("family", &["families", "protocol", "dual-stack", "ip-version"]),
    ("ipv4", &["v4", "ip4", "inet", "ip"]),
    ("ipv6", &["v6", "ip6", "inet6"]),
    ("proxy", &["envoy", "sidecar-proxy", "linkerd"]),
    ("outbound-port", &["envoy-port", "proxy-port", "listen-port"]),
    ("inbound-port", &["inbound-capture-port", "capture-port"]),
    ("tunnel-port", &["inbound-tunnel-port", "hbone-port", "hbone"]),
    ("passthrough", &["pass-through", "passthru", "source"]),
    ("mark", &["fwmark", "tproxy-mark", "packet-mark"]),
    ("connmark", &["ctmark", "connection-mark", "ct-mark"]),
    ("table", &["route-table", "routing-table", "tproxy-route-table"]),
    ("priority", &["pref", "preference", "prio"]),
    ("on-miss", &["fallback", "no-listener"]),
    ("continue", &["accept", "pass", "open", "fail-open"]),
    ("drop", &["invalid-drop", "drop-invalid", "fail-closed", "closed"]),
    ("dns", &["resolver", "resolvers", "nameserver", "nameservers", "redirect-dns"]),
    ("reroute", &["kubevirt", "virtual", "kube-virt", "redirect"]),
    ("pods", &["set", "sets", "ipset"]),
    ("extends", &["extend", "inherits", "inherit", "from", "is", ":", "<", "like"]),
    ("let", &["var", "set", "define", "const", "list"]),
    ("include", &["import", "use", "source", "load"]),
];

/// The candidate that `found` probably means: what other tools call so, or the only one at the
/// least distance of at most a third of its length.
pub(crate) fn suggest<'a>(found: &str, candidates: &[&'a str]) -> Option<&'a str> {
    if found.len() > crate::diag::LONGEST {
        return None;
    }
    let lower = found.to_ascii_lowercase();
    let called_so = |candidate: &&&str| {
        **candidate == lower
            || SYNONYMS.iter().any(|(word, others)| word == *candidate && others.contains(&&*lower))
    };
    if let Some(candidate) = candidates.iter().find(called_so) {
        return Some(candidate);
    }
    let most = found.chars().count() / 3;
    let distance = |candidate: &&str| strsim::osa_distance(&lower, candidate);
    let mut near: Vec<_> = candidates
        .iter()
        .map(|candidate| (distance(candidate), *candidate))
        .filter(|(distance, _)| *distance <= most)
        .collect();
    near.sort_unstable();
    match near[..] {
        [(_, only)] => Some(only),
        [(first, nearest), (second, _), ..] if first < second => Some(nearest),
        _ => None,
    }
}

/// ``did you mean `port`?``, or what fits here: ``expected `port` or `to` ``.
pub(crate) fn hint(found: &str, candidates: &[&str]) -> String {
    match suggest(found, candidates) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("expected {}", either(candidates)),
    }
}

/// `` `a`, `b` or `c` ``.
pub(crate) fn either(words: &[&str]) -> String {
    let mut text = String::new();
    for (at, word) in words.iter().enumerate() {
        let before = match at {
            0 => "",
            _ if at + 1 == words.len() => " or ",
            _ => ", ",
        };
        write!(text, "{before}`{word}`").expect("a String accepts every write");
    }
    text
}

/// `text` without the punctuation that other languages put around values.
pub(crate) fn bare(text: &str) -> &str {
    text.trim_matches(['(', ')', '[', ']', '\'', '`', '<', '>', '!', '“', '”'])
}

#[cfg(test)]
mod tests {
    use super::{either, suggest};

    #[test]
    fn a_word_is_suggested_if_it_is_near_or_known() {
        let verbs = ["capture", "exclude"];
        let kinds = ["port", "to", "group"];
        for (found, candidates, meant) in [
            ("captrue", &verbs[..], Some("capture")),
            ("Capture", &verbs, Some("capture")),
            ("excldue", &verbs, Some("exclude")),
            ("deny", &verbs, Some("exclude")),
            ("include", &verbs, Some("capture")),
            ("nonsense", &verbs, None),
            ("ports", &kinds, Some("port")),
            ("cidr", &kinds, Some("to")),
            ("gid", &kinds, Some("group")),
            ("x", &kinds, None),
            ("ab", &["ac", "ad"], None),
            ("abcdef", &["abcdeg", "abcdeh"], None),
        ] {
            assert_eq!(suggest(found, candidates), meant, "{found}");
        }
    }

    #[test]
    fn alternatives_read_as_a_list() {
        assert_eq!(either(&["a"]), "`a`");
        assert_eq!(either(&["a", "b"]), "`a` or `b`");
        assert_eq!(either(&["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
