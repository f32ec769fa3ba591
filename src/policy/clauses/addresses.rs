//! Addresses and prefixes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::numbers::Mistake;
use super::words::bare;
use crate::diag::{Hint, Problem, shown};

const PREFIX: &str = "an address or a prefix";
const ADDRESS: &str = "an address";

/// Reads a prefix; an address is the prefix of itself: `10.96.0.0/12`, `fd00::a`.
pub(crate) fn prefix(text: &str) -> Result<IpNet, Mistake> {
    let Some((address, length)) = text.split_once('/') else {
        let address = text.parse().map_err(|_| not_an_address(text, None, PREFIX))?;
        return unmapped(text, address, None, PREFIX).map(IpNet::from);
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return Err(not_an_address(address, Some(length), PREFIX));
    };
    let start = text.len() - length.len();
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = self::length(length, address)
        .map_err(|mistake| Mistake { part: start..start + length.len(), ..mistake })?;
    let address = unmapped(text, address, Some(length), PREFIX)?;
    let net = IpNet::new(address, length).map_err(|_| not(text, PREFIX, form(PREFIX), ""))?;
    let network = net.trunc();
    if network == net {
        return Ok(net);
    }
    let host = IpNet::from(address);
    let bits = most - length;
    let label = match bits {
        1 => "the last bit must be 0".to_owned(),
        _ => format!("the last {bits} bits must be 0"),
    };
    Err(Mistake::new(
        Problem::HostBits {
            found: shown(text),
            network: network.to_string(),
            host: host.to_string(),
        },
        label,
    ))
}

/// The address, unless it is one of IPv4 in the clothes of IPv6, which no packet has.
fn unmapped(
    text: &str,
    address: IpAddr,
    length: Option<u8>,
    what: &'static str,
) -> Result<IpAddr, Mistake> {
    let IpAddr::V6(v6) = address else { return Ok(address) };
    let Some(v4) = v6.to_ipv4_mapped() else { return Ok(address) };
    let instead = match length.map(|length| length.checked_sub(96)) {
        None => format!("write `{v4}`"),
        Some(Some(length)) => format!("write `{v4}/{length}`"),
        Some(None) => return Ok(address),
    };
    Err(not(text, what, instead, "packets have the IPv4 address in it"))
}

/// Reads an address of a machine, without a prefix length.
pub(crate) fn address(text: &str) -> Result<IpAddr, Mistake> {
    let address = any_address(text)?;
    if address.is_unspecified() {
        return Err(not(text, "the address of a machine", form(ADDRESS), "it stands for none"));
    }
    unmapped(text, address, None, ADDRESS)
}

fn any_address(text: &str) -> Result<IpAddr, Mistake> {
    match text.split_once('/') {
        Some((address, length)) if let Ok(parsed) = address.parse::<IpAddr>() => {
            let part = address.len()..text.len();
            // The address of a network is that of no machine in it.
            let most = if parsed.is_ipv4() { 32 } else { 128 };
            let is_network = length.parse().is_ok_and(|length| {
                length < most && IpNet::new(parsed, length).is_ok_and(|net| net.trunc() == net)
            });
            let label = "no prefix stands here";
            if is_network {
                let instead = format!("write the address of each machine in `{}`", shown(text));
                return Err(Mistake { part, ..not(text, ADDRESS, instead, label) });
            }
            let instead = format!("write `{address}`");
            let label = Box::new(Hint::with(label, ""));
            Err(Mistake { label, part, ..not(text, ADDRESS, instead, "") })
        }
        _ => text.parse().map_err(|_| not_an_address(text, None, ADDRESS)),
    }
}

/// Reads the length of a prefix of `address`.
fn length(text: &str, address: IpAddr) -> Result<u8, Mistake> {
    let most: u8 = if address.is_ipv4() { 32 } else { 128 };
    let form = if address.is_ipv4() {
        "an IPv4 prefix length is `0` to `32`"
    } else {
        "an IPv6 prefix length is `0` to `128`"
    };
    let found = || shown(text);
    let is_plain = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    if is_plain {
        return text.parse().ok().filter(|length| *length <= most).ok_or_else(|| {
            let problem = Problem::OutOfRange { what: "prefix length", found: found(), form };
            Mistake::new(problem, format!("the longest is {most}"))
        });
    }
    let plain = text.trim_start_matches('0');
    if plain.parse::<u8>().is_ok_and(|length| length <= most) && !plain.starts_with('+') {
        let instead = format!("write `{address}/{plain}`");
        let problem = Problem::NotANumber { what: "a prefix length", found: found(), instead };
        return Err(Mistake::new(problem, "a number has no zeros before it"));
    }
    let mask = text.parse::<Ipv4Addr>().ok();
    let instead = mask
        .filter(|_| address.is_ipv4())
        .and_then(|mask| ipnet::ip_mask_to_prefix(IpAddr::V4(mask)).ok())
        .map_or_else(|| form.to_owned(), |length| format!("write `{address}/{length}`"));
    let problem = Problem::NotANumber { what: "a prefix length", found: found(), instead };
    Err(Mistake::new(problem, ""))
}

fn not(text: &str, what: &'static str, instead: String, label: &str) -> Mistake {
    Mistake::new(Problem::NotAnAddress { what, found: shown(text), instead }, label)
}

fn form(what: &str) -> String {
    if what == PREFIX {
        "write an address such as `10.0.0.1` or `fd00::a`, or a prefix such as `10.96.0.0/12`"
    } else {
        "write an address such as `10.0.0.1` or `fd00::a`"
    }
    .to_owned()
}

/// Why `address` is not one, perhaps with a prefix length behind it.
fn not_an_address(address: &str, length: Option<&str>, what: &'static str) -> Mistake {
    let whole = length.map_or_else(|| address.to_owned(), |length| format!("{address}/{length}"));
    let behind = length.map_or_else(String::new, |length| format!("/{length}"));
    let write = |address: &str| format!("write `{address}{behind}`");
    let not = |instead: String, label: &str| not(&whole, what, instead, label);
    for plain in [format!("{}{behind}", bare(address)), bare(&whole).to_owned()] {
        if plain == whole {
            continue;
        }
        let (instead, network) = match (plain.parse::<IpAddr>().is_ok(), prefix_of(&plain)) {
            (true, _) => (format!("write `{plain}`"), plain),
            (false, Some(Ok(_))) if what == PREFIX => (format!("write `{plain}`"), plain),
            (false, Some(Err((network, host)))) if what == PREFIX => (
                format!("write `{network}` for the network, or `{host}` for the one host"),
                network,
            ),
            _ => continue,
        };
        let label = Box::new(Hint::with("an address stands alone", network));
        return Mistake { label, ..not(instead, "") };
    }
    if length.is_none()
        && let Some((host, _)) = with_port(address)
    {
        let label = Box::new(Hint::with("no port stands here", host.to_string()));
        let instead = format!("write `{host}`");
        return Mistake { label, ..not(instead, "") };
    }
    if let Some((inside, _)) = address.split_once('%')
        && inside.parse::<Ipv6Addr>().is_ok()
    {
        return Mistake {
            part: inside.len()..address.len(),
            ..not(write(inside), "no zone stands here")
        };
    }
    if let Some((first, last)) = address.split_once('-')
        && let (Ok(first), Ok(last)) = (first.parse(), last.parse())
    {
        let instead = match &covering(first, last)[..] {
            [] => form(what),
            nets => format!("write `{}`", nets.join(", ")),
        };
        return not(instead, "ranges are written as prefixes");
    }
    let parts: Vec<&str> = address.split('.').collect();
    let is_digits = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if parts.len() < 2 || !parts.iter().all(is_digits) {
        let is_name = address.contains('.') && address.contains(|c: char| c.is_ascii_alphabetic());
        return not(form(what), if is_name { "names are not resolved" } else { "" });
    }
    let mut octets = Vec::new();
    let mut start = 0;
    for part in &parts {
        let Ok(octet) = part.parse::<u8>() else {
            return Mistake {
                part: start..start + part.len(),
                ..not(form(what), "the highest is 255")
            };
        };
        octets.push(octet);
        start += part.len() + 1;
    }
    let count = octets.len();
    octets.resize(4, 0);
    let full = Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]);
    match count {
        4 => not(write(&full.to_string()), "a part has no zeros before it"),
        0..4 if length.is_some() => not(write(&full.to_string()), "an IPv4 address has four parts"),
        0..4 if what == PREFIX => {
            not(format!("write `{full}/{}`", count * 8), "an IPv4 address has four parts")
        }
        _ => not(form(what), "an IPv4 address has four parts"),
    }
}

/// The address and the port in `10.0.0.1:443` or `[fd00::1]:443`.
pub(super) fn with_port(text: &str) -> Option<(IpAddr, u16)> {
    let end: std::net::SocketAddr = text.parse().ok()?;
    Some((end.ip(), end.port()))
}

/// The prefix that `text` is, or the network and the host of one with host bits.
fn prefix_of(text: &str) -> Option<Result<IpNet, (String, String)>> {
    match prefix(text) {
        Ok(net) => Some(Ok(net)),
        Err(Mistake { problem: Problem::HostBits { network, host, .. }, .. }) => {
            Some(Err((network, host)))
        }
        Err(_) => None,
    }
}

/// The prefixes that make up a range, if they are few.
fn covering(first: IpAddr, last: IpAddr) -> Vec<String> {
    const FEW: usize = 4;
    let nets: Vec<IpNet> = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
            ipnet::Ipv4Subnets::new(first, last, 0).take(FEW + 1).map(IpNet::V4).collect()
        }
        (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
            ipnet::Ipv6Subnets::new(first, last, 0).take(FEW + 1).map(IpNet::V6).collect()
        }
        _ => Vec::new(),
    };
    if nets.len() > FEW { Vec::new() } else { nets.iter().map(ToString::to_string).collect() }
}

/// Whether connections to `net` may stay on the workload's own loopback.
pub(crate) fn is_loopback(net: &IpNet) -> bool {
    net.addr().is_loopback()
}

/// Reads what counts as the workload itself: an IPv4 prefix inside of 127.0.0.0/8, or `::1`.
pub(crate) fn loopback(text: &str) -> Result<IpNet, Mistake> {
    let fits = |net: &IpNet| match net {
        IpNet::V4(net) => Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8).contains(net),
        IpNet::V6(net) => *net == Ipv6Net::from(Ipv6Addr::LOCALHOST),
    };
    let not_loopback = || Mistake::new(Problem::NotLoopback { found: shown(text) }, "");
    match prefix(text) {
        Ok(net) if fits(&net) => Ok(net),
        Ok(_) => Err(not_loopback()),
        // Without the host bits it would be the next mistake.
        Err(Mistake { problem: Problem::HostBits { network, .. }, .. })
            if !network.parse().is_ok_and(|net| fits(&net)) =>
        {
            Err(not_loopback())
        }
        Err(mistake) => Err(mistake),
    }
}

#[cfg(test)]
mod tests {
    use super::{Mistake, address, loopback, prefix};

    fn said<T>(text: &str, result: Result<T, Mistake>) -> String {
        let mistake = result.err().unwrap();
        let part = if mistake.part.is_empty() { text } else { &text[mistake.part.clone()] };
        let help = mistake.problem.help().unwrap();
        format!("{}: {} [{part}: {}]", mistake.problem.code(), help, mistake.label)
    }

    #[test]
    fn prefixes() {
        for (text, shown) in [
            ("10.96.0.0/12", "10.96.0.0/12"),
            ("10.0.0.1", "10.0.0.1/32"),
            ("fd00::a", "fd00::a/128"),
            ("fd00:96::/112", "fd00:96::/112"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(prefix(text).unwrap().to_string(), shown);
        }
        let form = "write an address such as `10.0.0.1` or `fd00::a`, or a prefix such as \
                    `10.96.0.0/12`";
        for (text, expected) in [
            (
                "10.1.2.3/8",
                "E302: write `10.0.0.0/8` for the network, or `10.1.2.3/32` for the one host \
                 [10.1.2.3/8: the last 24 bits must be 0]",
            ),
            (
                "fd00::1/127",
                "E302: write `fd00::/127` for the network, or `fd00::1/128` for the one host \
                 [fd00::1/127: the last bit must be 0]",
            ),
            ("10.0.0.0/33", "E301: an IPv4 prefix length is `0` to `32` [33: the longest is 32]"),
            ("::/129", "E301: an IPv6 prefix length is `0` to `128` [129: the longest is 128]"),
            ("10.0.0.0/", "E307: an IPv4 prefix length is `0` to `32` [10.0.0.0/: ]"),
            ("10.0.0.0/08", "E307: write `10.0.0.0/8` [08: a number has no zeros before it]"),
            ("10.0.0.0/255.0.0.0", "E307: write `10.0.0.0/8` [255.0.0.0: ]"),
            ("10.0.0/24", "E308: write `10.0.0.0/24` [10.0.0/24: an IPv4 address has four parts]"),
            ("010.0.0.1", "E308: write `10.0.0.1` [010.0.0.1: a part has no zeros before it]"),
            ("[::1]", "E308: write `::1` [[::1]: an address stands alone]"),
            ("fe80::1%eth0", "E308: write `fe80::1` [%eth0: no zone stands here]"),
            (
                "10.0.0.0-10.0.0.255",
                "E308: write `10.0.0.0/24` [10.0.0.0-10.0.0.255: ranges are written as prefixes]",
            ),
        ] {
            assert_eq!(said(text, prefix(text)), expected);
        }
        for (text, v4) in [("::ffff:1.2.3.4", "1.2.3.4"), ("::ffff:a00:0/104", "10.0.0.0/8")] {
            let label = format!("[{text}: packets have the IPv4 address in it]");
            assert_eq!(said(text, prefix(text)), format!("E308: write `{v4}` {label}"));
        }
        for (text, part) in [
            ("10.0.0.256", "256: the highest is 255"),
            ("example.com", "example.com: names are not resolved"),
            ("fd00::g", "fd00::g: "),
            ("nonsense", "nonsense: "),
            ("1.2.3.4.5", "1.2.3.4.5: an IPv4 address has four parts"),
        ] {
            assert_eq!(said(text, prefix(text)), format!("E308: {form} [{part}]"));
        }
    }

    #[test]
    fn addresses_have_no_length() {
        assert!(address("10.0.0.1").is_ok());
        for none in ["0.0.0.0", "::", "::ffff:10.0.0.1"] {
            assert!(address(none).is_err(), "{none}");
        }
        assert_eq!(
            said("10.0.0.1/32", address("10.0.0.1/32")),
            "E308: write `10.0.0.1` [/32: no prefix stands here]"
        );
    }

    #[test]
    fn loopback_is_the_workload_itself() {
        for good in ["127.0.0.1", "127.0.0.0/8", "127.128.0.0/9", "::1", "::1/128"] {
            assert!(loopback(good).is_ok(), "{good}");
        }
        for bad in ["127.0.0.0/7", "126.0.0.0/7", "10.0.0.1", "::/0", "fd00::1", "0.0.0.0/0"] {
            assert!(loopback(bad).is_err(), "{bad}");
        }
    }
}
