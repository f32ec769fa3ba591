//! Values of iptables: numbers, ranges, addresses, marks.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net, Ipv4Subnets, Ipv6Subnets};

use super::ReadProblem;
use super::words::Words;
use crate::net::{Destination, Family, Interface, Mark, Nets, PortRange, PortSet, aggregate};

/// A text and the option that it is the value of, for messages.
pub(super) struct Value<'a> {
    pub(super) option: &'a str,
    pub(super) text: String,
}

impl<'a> Value<'a> {
    /// The next word, as the value of `option`.
    pub(super) fn of(option: &'a str, words: &mut Words) -> Result<Self, ReadProblem> {
        Ok(Self { option, text: words.value(option)? })
    }

    pub(super) fn bad(&self, why: &(impl ToString + ?Sized)) -> ReadProblem {
        ReadProblem::BadValue {
            option: self.option.to_owned(),
            value: self.text.clone(),
            why: why.to_string(),
        }
    }

    /// A number in decimal or, behind `0x`, in hexadecimal. iptables reads a leading 0 as octal,
    /// which nobody means, so that is an error.
    fn number(&self, text: &str) -> Result<u32, ReadProblem> {
        let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                u32::from_str_radix(digits, 16).ok()
            }
            None if text.len() > 1 && text.starts_with('0') => {
                return Err(self.bad("a leading 0 means octal to iptables"));
            }
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| self.bad("not a number of at most 32 bits"))
    }

    fn port_of(&self, text: &str) -> Result<u16, ReadProblem> {
        u16::try_from(self.number(text)?).map_err(|_| self.bad("the highest port is 65535"))
    }

    /// One port from 1 on, to which connections are sent.
    pub(super) fn port(&self) -> Result<u16, ReadProblem> {
        self.target_port(&self.text)
    }

    fn target_port(&self, text: &str) -> Result<u16, ReadProblem> {
        match self.port_of(text)? {
            0 => Err(self.bad("the lowest port is 1")),
            port => Ok(port),
        }
    }

    /// `80`, `8000:9000`, `:1023` or `1024:`.
    pub(super) fn ports(&self) -> Result<PortSet, ReadProblem> {
        Ok(PortSet::from_iter([self.port_range(&self.text)?]))
    }

    /// Ports and ranges with commas between; at most 15, where a range counts as two.
    pub(super) fn port_list(&self) -> Result<PortSet, ReadProblem> {
        let items: Vec<_> = self.text.split(',').collect();
        if items.iter().map(|item| 1 + usize::from(item.contains(':'))).sum::<usize>() > 15 {
            return Err(self.bad("more than 15 ports"));
        }
        items.into_iter().map(|item| self.port_range(item)).collect()
    }

    fn port_range(&self, text: &str) -> Result<PortRange, ReadProblem> {
        let Some((first, last)) = text.split_once(':') else {
            return Ok(PortRange::one(self.port_of(text)?));
        };
        let first = if first.is_empty() { 0 } else { self.port_of(first)? };
        let last = if last.is_empty() { u16::MAX } else { self.port_of(last)? };
        PortRange::new(first, last).ok_or_else(|| self.bad("the first port is above the last"))
    }

    /// An address, with a prefix length or (IPv4) a dotted mask behind a slash.
    pub(super) fn net(&self, family: Family) -> Result<IpNet, ReadProblem> {
        let (address, mask) =
            self.text.split_once('/').map_or((self.text.as_str(), None), |(a, m)| (a, Some(m)));
        let address: IpAddr = address.parse().map_err(|_| self.bad("not an address"))?;
        if address.is_ipv4() != (family == Family::Ipv4) {
            return Err(self.bad("an address of the other family"));
        }
        let prefix = match (mask, address) {
            (None, _) => family.address_bits(),
            (Some(mask), IpAddr::V4(_)) if mask.contains('.') => mask
                .parse::<Ipv4Addr>()
                .ok()
                .and_then(|mask| Ipv4Net::with_netmask(Ipv4Addr::UNSPECIFIED, mask).ok())
                .ok_or_else(|| self.bad("not a mask of leading ones"))?
                .prefix_len(),
            (Some(mask), _) => u8::try_from(self.number(mask)?)
                .map_err(|_| self.bad("the prefix is longer than an address"))?,
        };
        IpNet::new(address, prefix).map_err(|_| self.bad("the prefix is longer than an address"))
    }

    /// The addresses from one to another: `10.0.0.1-10.0.0.9`.
    pub(super) fn net_range(&self, family: Family) -> Result<Nets, ReadProblem> {
        let (first, last) =
            self.text.split_once('-').ok_or_else(|| self.bad("not two addresses"))?;
        let nets: Vec<IpNet> =
            match (self.address_of(first, family)?, self.address_of(last, family)?) {
                (IpAddr::V4(first), IpAddr::V4(last)) => {
                    Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect()
                }
                (IpAddr::V6(first), IpAddr::V6(last)) => {
                    Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect()
                }
                _ => Vec::new(),
            };
        aggregate(&nets, family).ok_or_else(|| self.bad("the first address is above the last"))
    }

    /// One address of `family`.
    pub(super) fn address(&self, family: Family) -> Result<IpAddr, ReadProblem> {
        self.address_of(&self.text, family)
    }

    fn address_of(&self, text: &str, family: Family) -> Result<IpAddr, ReadProblem> {
        match text.parse::<IpAddr>() {
            Ok(address) if address.is_ipv4() == (family == Family::Ipv4) => Ok(address),
            _ => Err(self.bad(&format!("not one {family} address"))),
        }
    }

    /// One address, and perhaps a port behind a colon; an IPv6 address with a port in brackets.
    pub(super) fn destination(&self, family: Family) -> Result<Destination, ReadProblem> {
        let (address, port) = match (family, self.text.strip_prefix('[')) {
            (Family::Ipv4, _) => match self.text.split_once(':') {
                Some((address, port)) => (address, Some(port)),
                None => (self.text.as_str(), None),
            },
            (Family::Ipv6, None) => (self.text.as_str(), None),
            (Family::Ipv6, Some(bracketed)) => match bracketed.split_once(']') {
                Some((address, "")) => (address, None),
                Some((address, port)) => (address, Some(port.strip_prefix(':').unwrap_or(port))),
                None => return Err(self.bad("a bracket is not closed")),
            },
        };
        let address = self.address_of(address, family)?;
        let port = port.map(|port| self.target_port(port)).transpose()?;
        Ok(Destination { address, port })
    }

    /// A name, or the beginning of one with `+` behind it; `None` for `+` alone, which is any.
    pub(super) fn interface(&self) -> Result<Option<Interface>, ReadProblem> {
        if self.text == "+" {
            return Ok(None);
        }
        let (stem, star) =
            self.text.strip_suffix('+').map_or((self.text.as_str(), ""), |stem| (stem, "*"));
        if stem.ends_with('*') {
            return Err(self.bad("`*` is a plain character to iptables"));
        }
        Interface::new(&format!("{stem}{star}")).map(Some).map_err(|why| self.bad(&why))
    }

    /// `value` or `value/mask`, each a number.
    pub(super) fn value_mask(&self) -> Result<(u32, Option<u32>), ReadProblem> {
        Ok(match self.text.split_once('/') {
            None => (self.number(&self.text)?, None),
            Some((value, mask)) => (self.number(value)?, Some(self.number(mask)?)),
        })
    }

    /// One number.
    pub(super) fn bits(&self) -> Result<u32, ReadProblem> {
        self.number(&self.text)
    }

    /// A mark to compare with.
    pub(super) fn mark(&self) -> Result<Mark, ReadProblem> {
        let (value, mask) = self.value_mask()?;
        Mark::new(value, mask.unwrap_or(u32::MAX)).map_err(|why| self.bad(&why))
    }

    /// A number, `first-last`, `first:last`, or a name of `names`.
    pub(super) fn ids(&self, names: &BTreeMap<String, u32>) -> Result<(u32, u32), ReadProblem> {
        if let Some(id) = names.get(&self.text) {
            return Ok((*id, *id));
        }
        if !self.text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.bad("a name whose number is not known"));
        }
        let (first, last) = match self.text.split_once(['-', ':']) {
            None => (self.number(&self.text)?, self.number(&self.text)?),
            Some((first, last)) => (self.number(first)?, self.number(last)?),
        };
        if first > last {
            return Err(self.bad("the first number is above the last"));
        }
        if last == u32::MAX {
            return Err(self.bad("the highest number is 4294967294"));
        }
        Ok((first, last))
    }
}
