//! Values as iptables, which Consul hands them to, reads them (1.8.9).

use std::net::IpAddr;

use ipnet::IpNet;

use super::finding::{Reason, Remark};
use super::services;
use crate::import::prefix::prefix;
use crate::net::PortRange;
use crate::policy::GroupIds;
use crate::policy::consul::UserRange;

/// A port, `first:last`, `:last` or `first:`, each a number or the name of a service, of which there is
/// something to `note`.
pub(super) fn ports(item: &str, mut note: impl FnMut(Remark)) -> Result<PortRange, Reason> {
    let mut port = |text: &str| {
        let Some(number) = number(text) else {
            let port = services::port(text).ok_or_else(|| {
                if text.starts_with(|c: char| c.is_ascii_alphabetic()) {
                    Reason::UnknownService { item: text.to_owned() }
                } else {
                    Reason::NotPorts { item: item.to_owned() }
                }
            })?;
            note(Remark::ServiceName { name: text.to_owned(), port });
            return Ok(port);
        };
        u16::try_from(number).map_err(|_| Reason::NotPorts { item: item.to_owned() })
    };
    let Some((first, last)) = item.split_once(':') else { return port(item).map(PortRange::one) };
    let first = if first.is_empty() { 0 } else { port(first)? };
    let last = if last.is_empty() { u16::MAX } else { port(last)? };
    PortRange::new(first, last).ok_or_else(|| Reason::NotPorts { item: item.to_owned() })
}

/// A user, by number or by a name of `names`, or a range of users.
pub(super) fn users(item: &str, names: &GroupIds) -> Result<UserRange, Reason> {
    if let Some(user) = names.get(item) {
        return UserRange::new(*user, *user)
            .ok_or_else(|| Reason::NotUsers { item: item.to_owned() });
    }
    if item.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return Err(Reason::UnknownUser { item: item.to_owned() });
    }
    let ends = match item.split_once(['-', ':']) {
        Some((first, last)) => (number(first), number(last)),
        None => (number(item), number(item)),
    };
    let (Some(first), Some(last)) = ends else {
        return Err(Reason::NotUsers { item: item.to_owned() });
    };
    UserRange::new(first, last).ok_or_else(|| Reason::NotUsers { item: item.to_owned() })
}

/// An IPv4 address or prefix, perhaps with host bits, which iptables drops.
pub(super) fn network(item: &str) -> Result<IpNet, Reason> {
    let not = || Reason::NotPrefix { item: item.to_owned() };
    let (address, has_length) = match item.split_once('/') {
        Some((address, _)) => (address, true),
        None => (item, false),
    };
    let address: IpAddr = address.parse().map_err(|_| not())?;
    if address.is_ipv6() {
        return Err(Reason::Ipv6Network { item: item.to_owned() });
    }
    if has_length { prefix(item).ok_or_else(not) } else { Ok(IpNet::from(address)) }
}

/// A number as C's `strtoul` reads it if it finds the radix itself, without sign and space.
fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    let plain = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    if plain { u32::from_str_radix(digits, radix).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::{network, number, ports, users};
    use crate::policy::GroupIds;

    #[test]
    fn values_are_those_of_iptables() {
        for (text, expected) in [
            ("80", Some("80")),
            ("0", Some("0")),
            ("0x50", Some("80")),
            ("010", Some("8")),
            (":1024", Some("0-1024")),
            ("49152:", Some("49152-65535")),
            ("ssh:http-alt", Some("22-8080")),
            ("90:80", None),
            ("8000-8999", None),
            ("65536", None),
            ("080", None),
            ("gopherd", None),
            ("", None),
        ] {
            let read = ports(text, |_| {}).ok().map(|ports| ports.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
        let names = GroupIds::from([("root".to_owned(), 0)]);
        for (text, expected) in [
            ("root", Some("0")),
            ("1000-2000", Some("1000-2000")),
            ("5:9", Some("5-9")),
            ("4294967294", Some("4294967294")),
            ("4294967295", None),
            ("9-5", None),
            ("nobody", None),
            ("-1", None),
        ] {
            let read = users(text, &names).ok().map(|users| users.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
        for (text, expected) in [
            ("1.1.1.1", Some("1.1.1.1/32")),
            ("2.2.2.2/24", Some("2.2.2.2/24")),
            ("10.0.0.0/08", None),
            ("10.0.0.0/33", None),
            ("::1", None),
            ("example.org", None),
        ] {
            assert_eq!(
                network(text).ok().map(|net| net.to_string()).as_deref(),
                expected,
                "{text}"
            );
        }
        assert_eq!(number("+5"), None);
    }
}
