//! Rules that Istio's own tool leaves in built-in chains of iptables, where nothing but their form tells whose
//! they are.
//!
//! Forms of Istio 1.7 to 1.27 (`tools/istio-iptables/pkg/capture/run.go` and its predecessors), as `iptables-save`
//! 1.8.9 prints them. Rules that lead to chains of Istio's are known by those.

use super::iptables::Table;
use super::owned::Owned;

/// How the names of Istio's chains begin.
const CHAINS: &str = ":ISTIO_";

/// A word of a form.
const NUMBER: &str = "{number}";
const ADDRESS: &str = "{address}";
const OWNER: &str = "{owner}";
const DNS_PORT: &str = "{port}";
const MARK: &str = "{mark}";
const INTERFACE: &str = "{interface}";

/// The forms, each behind the table that it is in.
const FORMS: [(&str, &str); 16] = [
    // Queries of the proxy's, and of all others, with `dns`.
    ("nat", "OUTPUT -p udp -m udp --dport 53 -m owner {owner} {number} -j RETURN"),
    ("nat", "OUTPUT -p udp -m udp --dport 53 -j REDIRECT --to-ports {port}"),
    ("nat", "OUTPUT -d {address} -p udp -m udp --dport 53 -j REDIRECT --to-ports {port}"),
    ("nat", "POSTROUTING -p udp -m udp --dport {port} -j SNAT --to-source {address}"),
    ("nat", "POSTROUTING -d {address} -p udp -m udp --dport {port} -j SNAT --to-source {address}"),
    ("raw", "OUTPUT -p udp -m udp --dport 53 -m owner {owner} {number} -j CT --zone {number}"),
    ("raw", "OUTPUT -p udp -m udp --sport {port} -m owner {owner} {number} -j CT --zone {number}"),
    ("raw", "OUTPUT -p udp -m udp --dport 53 -j CT --zone {number}"),
    ("raw", "OUTPUT -d {address} -p udp -m udp --dport 53 -j CT --zone {number}"),
    ("raw", "PREROUTING -p udp -m udp --sport 53 -j CT --zone {number}"),
    ("raw", "PREROUTING -s {address} -p udp -m udp --sport 53 -j CT --zone {number}"),
    // `mode tproxy`.
    (
        "mangle",
        "PREROUTING -p tcp -m mark --mark {mark} -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff",
    ),
    ("mangle", "OUTPUT -o lo -p tcp -m mark --mark {mark} -j RETURN"),
    (
        "mangle",
        "OUTPUT ! -d {address} -o lo -p tcp -m owner {owner} {number} -j MARK --set-xmark {mark}",
    ),
    (
        "mangle",
        "OUTPUT -p tcp -m connmark --mark {mark} -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
    ),
    // Invalid packets.
    ("mangle", "PREROUTING -m conntrack --ctstate INVALID -j DROP"),
];

/// Forms of any table that has a chain of Istio's: virtual interfaces of `KubeVirt`, and excluded interfaces.
const OF_INTERFACES: [&str; 2] =
    ["PREROUTING -i {interface} -j RETURN", "OUTPUT -o {interface} -j RETURN"];

/// Whether a rule of a built-in chain, in words, is one that Istio's tool leaves in a table. Only where `saved`,
/// all of the same variant and family, has a chain of Istio's, and one of the policies is Istio's.
pub(super) fn left(table: &Table<'_>, words: &[&str], saved: &str, owned: &Owned) -> bool {
    let is_istios = owned.policies().iter().any(|policy| policy.chains == &CHAINS[1..]);
    let declares = |line: &str| line.starts_with(CHAINS);
    let of_table = || FORMS.iter().any(|(of, form)| *of == table.name && fits(form, words));
    let of_interfaces = || OF_INTERFACES.iter().any(|form| fits(form, words));
    is_istios
        && (of_table() && saved.lines().any(declares)
            || of_interfaces() && table.lines.iter().any(|line| declares(line)))
}

fn fits(form: &str, words: &[&str]) -> bool {
    let form: Vec<&str> = form.split(' ').collect();
    form.len() == words.len() && form.iter().zip(words).all(|(form, word)| is(form, word))
}

fn is(form: &str, word: &str) -> bool {
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    match form {
        NUMBER | DNS_PORT => is_number(word),
        ADDRESS => word.contains('.') || word.contains(':'),
        OWNER => ["--uid-owner", "--gid-owner"].contains(&word),
        MARK => word.starts_with("0x"),
        INTERFACE => !word.starts_with('-'),
        _ => form == word,
    }
}
