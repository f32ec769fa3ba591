//! Values as iptables, which Consul hands them to, reads them (1.8.9).

use ipnet::IpNet;

use super::finding::Reason;
use crate::import::GeneralRemark;
use crate::import::iptables::{self, NoOwner};
use crate::import::prefix::address_or_prefix;
use crate::net::PortRange;
use crate::policy::GroupIds;
use crate::policy::consul::UserRange;

/// A port, `first:last`, `:last` or `first:`, each a number or the name of a service, of which there is
/// something to `note`.
pub(super) fn ports(item: &str, mut note: impl FnMut(GeneralRemark)) -> Result<PortRange, Reason> {
    let mut port = |text: &str| {
        iptables::port(text, &mut note).map_err(|why| {
            why.map_or_else(|| Reason::NotPorts { item: item.to_owned() }, Reason::from)
        })
    };
    let Some((first, last)) = item.split_once(':') else { return port(item).map(PortRange::one) };
    let first = if first.is_empty() { 0 } else { port(first)? };
    let last = if last.is_empty() { u16::MAX } else { port(last)? };
    PortRange::new(first, last).ok_or_else(|| Reason::NotPorts { item: item.to_owned() })
}

/// A user, by number or by a name of `names`, or a range of users.
pub(super) fn users(item: &str, names: &GroupIds) -> Result<UserRange, Reason> {
    let users = iptables::owners(item, names).map_err(|why| match why {
        NoOwner::UnknownName => Reason::UnknownUser { item: item.to_owned() },
        NoOwner::Other => Reason::NotUsers { item: item.to_owned() },
    })?;
    UserRange::try_from(users).map_err(|_| Reason::NotUsers { item: item.to_owned() })
}

/// An IPv4 address or prefix, perhaps with host bits, which iptables drops.
pub(super) fn network(item: &str) -> Result<IpNet, Reason> {
    let not = || Reason::NotPrefix { item: item.to_owned() };
    match address_or_prefix(item).ok_or_else(not)? {
        IpNet::V6(_) => Err(Reason::Ipv6Network { item: item.to_owned() }),
        net @ IpNet::V4(_) => Ok(net),
    }
}

#[cfg(test)]
mod tests {
    use super::{network, ports, users};
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
    }
}
