//! What may have been meant by a word that is nothing here.

use std::collections::BTreeMap;

use crate::diag::Hint;

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

/// Names that people made up, of which there can be any number, by their lengths.
#[derive(Debug, Default)]
pub(crate) struct Names<'a>(BTreeMap<usize, Vec<&'a str>>);

impl<'a> Names<'a> {
    /// Most names that one is compared with. Among more, hardly one alone is the nearest, and
    /// comparing a thousand unknown names with all others would take minutes.
    const MOST: usize = 1000;

    /// The name other than `except` that `found` probably means, if few enough are of such a
    /// length.
    pub(crate) fn nearest(&self, found: &str, except: Option<&str>) -> Option<&'a str> {
        let most = found.chars().count() / 3;
        let lengths = found.len().saturating_sub(most)..=found.len() + most;
        let fitting = self.0.range(lengths).flat_map(|(_, names)| names).copied();
        let fitting: Vec<_> =
            fitting.filter(|name| Some(*name) != except).take(Self::MOST + 1).collect();
        if fitting.len() > Self::MOST {
            return None;
        }
        suggest(found, &fitting).or_else(|| self.beginning(found, except))
    }

    /// The only name that begins with `found`.
    fn beginning(&self, found: &str, except: Option<&str>) -> Option<&'a str> {
        let longer = self.0.range(found.len() + 1..).flat_map(|(_, names)| names).copied();
        let mut longer = longer
            .take(Self::MOST)
            .filter(|name| found.len() > 1 && Some(*name) != except && name.starts_with(found));
        longer.next().filter(|_| longer.next().is_none())
    }
}

impl<'a> FromIterator<&'a str> for Names<'a> {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        let mut by_length: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for name in names {
            by_length.entry(name.len()).or_default().push(name);
        }
        Self(by_length)
    }
}

/// ``did you mean `port`?``, or what fits here: ``expected `port` or `to` ``.
pub(crate) fn hint(found: &str, candidates: &[&str]) -> Hint {
    match suggest(found, candidates).filter(|word| *word != found) {
        Some(word) => Hint::meant(word, is_slip(found, word, candidates)),
        None => format!("expected {}", either(candidates)).into(),
    }
}

/// Whether `found` can only be `word`: in other capitals, or with one slip in a long word that no
/// other candidate is near to.
fn is_slip(found: &str, word: &str, candidates: &[&str]) -> bool {
    /// Shorter words are near to too many others.
    const SHORTEST: usize = 5;
    let distance = |candidate: &str| strsim::osa_distance(found, candidate);
    found.eq_ignore_ascii_case(word)
        || word.len() >= SHORTEST
            && distance(word) == 1
            && candidates.iter().all(|other| *other == word || distance(other) > 2)
}

/// `` `a`, `b` or `c` ``.
pub(crate) fn either(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    alternatives(&quoted)
}

/// `a, b or c`.
pub(crate) fn alternatives(ways: &[String]) -> String {
    match ways {
        [] => String::new(),
        [only] => only.clone(),
        [others @ .., last] => format!("{} or {last}", others.join(", ")),
    }
}

/// `text` without the punctuation that other languages put around values.
pub(crate) fn bare(text: &str) -> &str {
    let bare = text.trim_matches(['(', ')', '[', ']', '\'', '`', '<', '>', '“', '”']);
    bare.trim_end_matches('!')
}

#[cfg(test)]
mod tests {
    use super::{Names, either, is_slip, suggest};

    #[test]
    fn only_a_slip_in_a_long_word_is_sure() {
        let words = ["capture", "exclude", "port", "ipv4", "ipv6", "tcp", "udp"];
        for (found, word, is_sure) in [
            ("captrue", "capture", true),
            ("Port", "port", true),
            ("exclud", "exclude", true),
            ("ipv44", "ipv4", false),
            ("icp", "tcp", false),
            ("ports", "port", false),
            ("cptre", "capture", false),
        ] {
            assert_eq!(is_slip(found, word, &words), is_sure, "{found}");
        }
        assert!(!is_slip("inbounds", "inbound", &["inbound", "inbounded"]));
    }

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
    fn a_name_is_suggested_among_few_of_its_length() {
        let names: Names<'_> = ["health", "metadata", "wealthy", "h"].into_iter().collect();
        assert_eq!(names.nearest("heatlh", None), Some("health"));
        assert_eq!(names.nearest("meta-data", None), Some("metadata"));
        assert_eq!(names.nearest("heatlh", Some("health")), None);
        let many: Vec<String> = (0..Names::MOST).map(|index| format!("name-{index:04}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let nearest = |names: &[&'static str], many: &[&str]| {
            let names: Names<'_> = many.iter().chain(names).copied().collect();
            names.nearest("name-9999", None).map(str::to_owned)
        };
        assert_eq!(nearest(&["of-another-length"], &many).as_deref(), Some("name-0999"));
        assert_eq!(nearest(&["name-abcd"], &many), None);
    }

    #[test]
    fn alternatives_read_as_a_list() {
        assert_eq!(either(&["a"]), "`a`");
        assert_eq!(either(&["a", "b"]), "`a` or `b`");
        assert_eq!(either(&["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
