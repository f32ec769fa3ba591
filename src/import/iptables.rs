//! Values as iptables, which meshes hand them to, reads them (1.8.9).

use super::general::{GeneralReason, GeneralRemark};
use crate::policy::GroupIds;

/// A port, by number or by the name of a service, of which there is something to `note`.
///
/// # Errors
///
/// If it is neither; with a reason if it is a name, of which the port is not known.
pub(crate) fn port(
    text: &str,
    mut note: impl FnMut(GeneralRemark),
) -> Result<u16, Option<GeneralReason>> {
    if let Some(number) = number(text) {
        return u16::try_from(number).map_err(|_| None);
    }
    let known = SERVICES.iter().find(|(known, _)| *known == text);
    let Some((_, port)) = known else {
        let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic());
        return Err(is_name.then(|| GeneralReason::UnknownService { item: text.to_owned() }));
    };
    note(GeneralRemark::ServiceName { name: text.to_owned(), port: *port });
    Ok(*port)
}

/// Why a word names no owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoOwner {
    /// A name of which the number is not known.
    UnknownName,
    /// Neither a name nor numbers.
    Other,
}

/// A user or a group, by number or by a name of `names`, or a range of them: the first and the last.
pub(crate) fn owners(item: &str, names: &GroupIds) -> Result<(u32, u32), NoOwner> {
    let ends = match (names.get(item), item.split_once(['-', ':'])) {
        (Some(id), _) => (Some(*id), Some(*id)),
        (None, _) if item.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') => {
            return Err(NoOwner::UnknownName);
        }
        (None, Some((first, last))) => (number(first), number(last)),
        (None, None) => (number(item), number(item)),
    };
    match ends {
        // The highest number means nobody to the kernel, and iptables refuses it.
        (Some(first), Some(last)) if first <= last && last < u32::MAX => Ok((first, last)),
        _ => Err(NoOwner::Other),
    }
}

/// A number as C's `strtoul` reads it if it finds the radix itself, without sign and space.
pub(crate) fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    let plain = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    if plain { u32::from_str_radix(digits, radix).ok() } else { None }
}

/// TCP ports that `/etc/services` has a name for (Debian's netbase 6.4), of those that workloads
/// are likely to serve.
const SERVICES: &[(&str, u16)] = &[
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("mail", 25),
    ("domain", 53),
    ("http", 80),
    ("www", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("sunrpc", 111),
    ("nntp", 119),
    ("imap2", 143),
    ("imap", 143),
    ("snmp", 161),
    ("bgp", 179),
    ("ldap", 389),
    ("https", 443),
    ("submissions", 465),
    ("submission", 587),
    ("ldaps", 636),
    ("domain-s", 853),
    ("imaps", 993),
    ("pop3s", 995),
    ("socks", 1080),
    ("ms-sql-s", 1433),
    ("nfs", 2049),
    ("mysql", 3306),
    ("epmd", 4369),
    ("sip", 5060),
    ("postgresql", 5432),
    ("postgres", 5432),
    ("amqps", 5671),
    ("amqp", 5672),
    ("http-alt", 8080),
    ("webcache", 8080),
];

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn the_radix_is_in_the_number() {
        for (text, expected) in
            [("80", Some(80)), ("0x50", Some(80)), ("010", Some(8)), ("080", None), ("+5", None)]
        {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
