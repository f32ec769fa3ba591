//! Values as upstream takes them: lists, ports, prefixes, marks.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

use super::finding::{Reason, Remark, Report};
use crate::import::prefix::network;
use crate::import::{GeneralReason, Given};
use crate::net::{BadInterface, Family, Interface, PortRange};
use crate::policy::GroupIds;

/// The items of a list, as upstream splits it: at commas, without empty ones.
pub(super) fn items(given: &Given) -> impl Iterator<Item = &str> {
    given.value.split(',').filter(|item| !item.is_empty())
}

/// The items that `read` makes sense of, each once, in order. White space around an item means
/// nothing to `iptables-restore`.
fn list<T: Ord + Clone>(
    given: &Given,
    report: &mut Report,
    read: impl Fn(&str) -> Result<T, Reason>,
) -> Vec<T> {
    untrimmed_list(given, report, |item| read(item.trim()))
}

/// The items that `read` makes sense of, each once, in order.
fn untrimmed_list<T: Ord + Clone>(
    given: &Given,
    report: &mut Report,
    read: impl Fn(&str) -> Result<T, Reason>,
) -> Vec<T> {
    let mut seen = BTreeSet::new();
    let mut values = Vec::new();
    for item in items(given) {
        match read(item) {
            Ok(value) if seen.insert(value.clone()) => values.push(value),
            Ok(_) => {}
            Err(reason) => report.refuse(given, reason),
        }
    }
    values
}

/// A decimal number without sign or leading zero. iptables would take `010` for 8.
pub(super) fn number<T: FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    if plain && (text == "0" || !text.starts_with('0')) { text.parse().ok() } else { None }
}

/// The port, or 0.
pub(super) fn port(given: &Given, report: &mut Report) -> u16 {
    let port = number(given.value.trim()).filter(|port| *port != 0);
    if port.is_none() {
        report.refuse(given, GeneralReason::NotPort { item: given.value.clone() });
    }
    port.unwrap_or_default()
}

/// Ports, and ranges of them as iptables writes them: `8000:8999`, `:1023`, `49152:`.
pub(super) fn ports(given: &Given, report: &mut Report) -> Vec<PortRange> {
    list(given, report, |item| {
        if item == "*" {
            return Err(Reason::WildcardPort);
        }
        let (first, last) = match item.split_once(':') {
            Some(("", "")) | None => (number(item), number(item)),
            Some(("", last)) => (None, number(last)),
            Some((first, "")) => (number(first), Some(u16::MAX)),
            Some((first, last)) => (number(first), number(last)),
        };
        first
            .zip(last)
            .and_then(|(first, last)| PortRange::new(first, last))
            .filter(|range| range.first() != 0)
            .ok_or_else(|| Reason::NotPort { item: item.to_owned() })
    })
}

/// Prefixes, as Go's `netip.ParsePrefix` takes them, with the bits behind the prefix as written.
pub(super) fn prefixes(given: &Given, report: &mut Report) -> Vec<IpNet> {
    untrimmed_list(given, report, prefix)
}

fn prefix(item: &str) -> Result<IpNet, Reason> {
    let reason = || Reason::from(GeneralReason::NotPrefix { item: item.to_owned() });
    let Some((address, bits)) = item.split_once('/') else {
        return Err(item.parse::<IpAddr>().map_or_else(
            |_| reason(),
            |address| Reason::BareAddress {
                item: item.to_owned(),
                prefix: IpNet::from(address).to_string(),
            },
        ));
    };
    let address: IpAddr = address.parse().map_err(|_| reason())?;
    if address != address.to_canonical() {
        return Err(GeneralReason::Mapped { item: item.to_owned() }.into());
    }
    IpNet::new(address, number(bits).ok_or_else(reason)?).map_err(|_| reason())
}

/// Whether upstream takes the prefix for one of loopback: by its address, whatever its length.
pub(super) fn is_loopback(prefix: &IpNet) -> bool {
    prefix.addr().to_canonical().is_loopback()
}

/// What counts as this workload's IPv4 loopback.
pub(super) fn loopback(given: &Given, report: &mut Report) -> Option<Ipv4Net> {
    match prefix(&given.value) {
        Ok(net @ IpNet::V4(v4)) if v4.addr().is_loopback() && v4.prefix_len() >= 8 => {
            network(given, &net.to_string(), net, report);
            Some(v4.trunc())
        }
        _ => {
            report.refuse(given, Reason::NotLoopback);
            None
        }
    }
}

/// IPv4 addresses.
pub(super) fn ipv4(given: &Given, report: &mut Report) -> Vec<Ipv4Addr> {
    addresses(given, Family::Ipv4, report)
}

/// IPv6 addresses.
pub(super) fn ipv6(given: &Given, report: &mut Report) -> Vec<Ipv6Addr> {
    addresses(given, Family::Ipv6, report)
}

fn addresses<T: FromStr + Ord + Clone>(
    given: &Given,
    family: Family,
    report: &mut Report,
) -> Vec<T> {
    list(given, report, |item| {
        let is_mapped = item.parse().is_ok_and(|address: IpAddr| address != address.to_canonical());
        if is_mapped {
            return Err(GeneralReason::Mapped { item: item.to_owned() }.into());
        }
        item.parse().map_err(|_| Reason::NotAddress { item: item.to_owned(), family })
    })
}

/// Numbers of users or groups.
pub(super) fn ids(given: &Given, report: &mut Report) -> Vec<u32> {
    list(given, report, id)
}

/// Groups by number, or by a name that `known` has.
pub(super) fn groups(given: &Given, known: &GroupIds, report: &mut Report) -> Vec<u32> {
    list(given, report, |item| {
        known.get(item).copied().map_or_else(
            || {
                id(item).map_err(|reason| match reason {
                    Reason::NotId { item } if item.bytes().any(|byte| !byte.is_ascii_digit()) => {
                        Reason::UnknownGroup { name: item }
                    }
                    reason => reason,
                })
            },
            Ok,
        )
    })
}

fn id(item: &str) -> Result<u32, Reason> {
    let range = item
        .split_once('-')
        .and_then(|(first, last)| number::<u32>(first).zip(number::<u32>(last)));
    if range.is_some() {
        return Err(Reason::IdRange { item: item.to_owned() });
    }
    // The highest number means "nobody" to the kernel, and iptables refuses it.
    number(item).filter(|id| *id != u32::MAX).ok_or_else(|| Reason::NotId { item: item.to_owned() })
}

/// Interfaces, and beginnings of them as iptables writes them: `eth+`.
pub(super) fn interfaces(given: &Given, report: &mut Report) -> Vec<Interface> {
    list(given, report, |item| {
        let refuse = |why| Reason::from(GeneralReason::NotInterface { item: item.to_owned(), why });
        match item.strip_suffix('+') {
            // To iptables, `*` is a character like any other.
            None if item.contains('*') => Err(refuse(BadInterface::Forbidden { character: '*' })),
            None => Interface::new(item).map_err(refuse),
            Some(stem) => Interface::new(&format!("{stem}*")).map_err(refuse),
        }
    })
}

/// A mark other than 0, in decimal or with `0x` before it.
pub(super) fn mark(given: &Given, report: &mut Report) -> Option<u32> {
    let text = given.value.trim();
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let mark = match hexadecimal {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            u32::from_str_radix(digits, 16).ok()
        }
        Some(_) => None,
        None => number(text),
    };
    let mark = mark.filter(|mark| *mark != 0);
    match mark {
        None => report.refuse(given, Reason::NotMark),
        Some(_) if hexadecimal.is_some() => report.note(given, Remark::HexadecimalMark),
        Some(_) => {}
    }
    mark
}

/// A routing table that is neither 0 nor one of the kernel's three.
pub(super) fn table(given: &Given, report: &mut Report) -> Option<u32> {
    let table = number(given.value.trim()).filter(|table| !matches!(table, 0 | 253..=255));
    if table.is_none() {
        report.refuse(given, Reason::NotTable);
    }
    table
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::super::finding::Report;
    use super::{
        groups, ids, interfaces, is_loopback, loopback, mark, port, ports, prefixes, table,
    };
    use crate::import::Given;

    /// What `read` makes of `text`, in one line: values, then notes and mistakes.
    fn told<T: Debug>(text: &str, read: impl Fn(&Given, &mut Report) -> T) -> String {
        let mut report = Report::default();
        let value = read(&Given::field("X", text), &mut report);
        let findings = report.notes.iter().map(ToString::to_string);
        let findings: Vec<_> =
            findings.chain(report.mistakes.iter().map(ToString::to_string)).collect();
        format!(
            "{value:?} {}",
            findings.join(" | ").replace(&format!("`X: {text}`: "), "").replace("`X`: ", "")
        )
        .trim_end()
        .to_owned()
    }

    fn show<T: ToString>(values: &[T]) -> Vec<String> {
        values.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn ports_are_those_of_iptables() {
        for (text, expected) in [
            ("", "[]"),
            (",80,,443, 80 ,", r#"["80", "443"]"#),
            ("8000:8999,1024:,7:7", r#"["8000-8999", "1024-65535", "7"]"#),
            (
                "*",
                "[] `*` is every port only where it stands alone among the captured inbound ports",
            ),
            ("0", "[] `0` is neither a port of 1 to 65535 nor a range like `8000:8999`"),
            ("65536", "[] `65536` is neither a port of 1 to 65535 nor a range like `8000:8999`"),
            (":80", "[] `:80` is neither a port of 1 to 65535 nor a range like `8000:8999`"),
            ("9:8", "[] `9:8` is neither a port of 1 to 65535 nor a range like `8000:8999`"),
            (":", "[] `:` is neither a port of 1 to 65535 nor a range like `8000:8999`"),
            ("+80", "[] `+80` is neither a port of 1 to 65535 nor a range like `8000:8999`"),
            ("080", "[] `080` is neither a port of 1 to 65535 nor a range like `8000:8999`"),
            ("http", "[] `http` is neither a port of 1 to 65535 nor a range like `8000:8999`"),
            (
                "80 -j DROP",
                "[] `80 -j DROP` is neither a port of 1 to 65535 nor a range like `8000:8999`",
            ),
        ] {
            assert_eq!(told(text, |given, report| show(&ports(given, report))), expected);
        }
        assert_eq!(told("15001", port), "15001");
        assert_eq!(told("15001:15002", port), "0 `15001:15002` is not a port of 1 to 65535");
    }

    #[test]
    fn prefixes_are_those_of_go() {
        for (text, expected) in [
            ("10.1.2.3/8,::1/128,10.1.2.3/8", r#"["10.1.2.3/8", "::1/128"]"#),
            ("10.0.0.1", "[] `10.0.0.1` has no prefix length; the one address is `10.0.0.1/32`"),
            ("fd00::a", "[] `fd00::a` has no prefix length; the one address is `fd00::a/128`"),
            ("*", "[] `*` is not a prefix like `10.0.0.0/8`"),
            ("10.0.0.0/33", "[] `10.0.0.0/33` is not a prefix like `10.0.0.0/8`"),
            ("10.0.0.0/08", "[] `10.0.0.0/08` is not a prefix like `10.0.0.0/8`"),
            ("::1/128, ::/0", "[\"::1/128\"] ` ::/0` is not a prefix like `10.0.0.0/8`"),
            ("10.0.0/8", "[] `10.0.0/8` is not a prefix like `10.0.0.0/8`"),
            (
                "::ffff:10.0.0.0/104",
                "[] `::ffff:10.0.0.0/104` maps IPv4, which no packet of IPv6 carries; write it as IPv4",
            ),
            ("fe80::1%eth0/64", "[] `fe80::1%eth0/64` is not a prefix like `10.0.0.0/8`"),
        ] {
            assert_eq!(told(text, |given, report| show(&prefixes(given, report))), expected);
        }
        for (prefix, expected) in [
            ("127.0.0.1/0", true),
            ("126.0.0.0/7", false),
            ("::1/1", true),
            ("::ffff:127.0.0.1/104", true),
            ("::/0", false),
        ] {
            assert_eq!(is_loopback(&prefix.parse().unwrap()), expected, "{prefix}");
        }
    }

    #[test]
    fn a_loopback_prefix_has_8_to_32_bits() {
        let refused = "None not an IPv4 loopback prefix of 8 to 32 bits, like `127.0.0.1/32`";
        for (text, expected) in [
            ("127.0.0.1/32", "Some(127.0.0.1/32)"),
            ("127.0.0.1/8", "Some(127.0.0.0/8) `127.0.0.1/8` means `127.0.0.0/8`"),
            ("127.0.0.1/7", refused),
            ("126.0.0.1/8", refused),
            ("127.0.0.1", refused),
            ("::1/128", refused),
            ("", refused),
        ] {
            assert_eq!(told(text, loopback), expected);
        }
    }

    #[test]
    fn ids_are_numbers_and_groups_may_be_names() {
        let known = [("java".to_owned(), 202), ("7".to_owned(), 70)].into();
        for (text, expected) in [
            ("0,4294967294,0", "[0, 4294967294]"),
            ("4294967295", "[] `4294967295` is not an id of 0 to 4294967294"),
            ("root", "[] `root` is not an id of 0 to 4294967294"),
            (
                "100-200",
                "[] `100-200` is a range of ids, which a policy cannot say; list them instead",
            ),
        ] {
            assert_eq!(told(text, ids), expected);
        }
        for (text, expected) in [
            ("java,202,1", "[202, 1]"),
            ("7", "[70]"),
            ("ftp", "[] the number of group `ftp` is not known; a group file can give it"),
            ("my-1", "[] the number of group `my-1` is not known; a group file can give it"),
            ("4294967295", "[] `4294967295` is not an id of 0 to 4294967294"),
            ("1-2", "[] `1-2` is a range of ids, which a policy cannot say; list them instead"),
        ] {
            assert_eq!(told(text, |given, report| groups(given, &known, report)), expected);
        }
    }

    #[test]
    fn interfaces_have_the_wildcard_of_iptables() {
        for (text, expected) in [
            ("eth0, eth+,eth0", r#"["eth0", "eth*"]"#),
            ("eth*", "[] `eth*` is not an interface: `*` cannot be in a name"),
            ("+", "[] `+` is not an interface: `*` alone is every interface"),
            ("a+b", "[] `a+b` is not an interface: `+` cannot be in a name"),
            (
                "abcdefghijklmnop",
                "[] `abcdefghijklmnop` is not an interface: 16 bytes, and the most is 15",
            ),
        ] {
            assert_eq!(told(text, |given, report| show(&interfaces(given, report))), expected);
        }
    }

    #[test]
    fn marks_and_tables_are_not_zero() {
        for (text, expected) in [
            ("1337", "Some(1337)"),
            ("4294967295", "Some(4294967295)"),
            (
                "0x539",
                "Some(1337) upstream's rules take hexadecimal, but its routes need the mark in decimal",
            ),
            ("0", "None not a mark of 1 to 4294967295"),
            ("0x0", "None not a mark of 1 to 4294967295"),
            ("0x+1", "None not a mark of 1 to 4294967295"),
            ("4294967296", "None not a mark of 1 to 4294967295"),
            ("1337/0xfff", "None not a mark of 1 to 4294967295"),
        ] {
            assert_eq!(told(text, mark), expected);
        }
        for (text, expected) in [("133", "Some(133)"), ("252", "Some(252)"), ("256", "Some(256)")] {
            assert_eq!(told(text, table), expected);
        }
        for text in ["0", "253", "254", "255", "main", "0x85"] {
            assert_eq!(
                told(text, table),
                "None not a routing table of 1 to 252 or 256 to 4294967295"
            );
        }
    }
}
