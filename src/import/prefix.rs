//! Prefixes as the meshes' tools, and iptables behind them, take them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Given;
use super::general::GeneralRemark;
use super::report::Report;

/// A prefix that both Go and iptables read, and alike: to iptables, a length that begins with a
/// zero is octal.
pub(crate) fn prefix(item: &str) -> Option<IpNet> {
    let (address, length) = item.split_once('/')?;
    let plain = length.bytes().all(|byte| byte.is_ascii_digit());
    let plain = plain && (length == "0" || !length.starts_with('0'));
    IpNet::new(address.parse().ok()?, length.parse().ok().filter(|_| plain)?).ok()
}

/// As [`prefix`], or an address without a length.
pub(crate) fn address_or_prefix(item: &str) -> Option<IpNet> {
    if item.contains('/') { prefix(item) } else { item.parse().ok().map(IpAddr::into) }
}

/// The prefix without the bits behind it, which are noted: packets have nothing to do with them.
pub(crate) fn network<R: From<GeneralRemark>, M>(
    given: &Given,
    written: &str,
    net: IpNet,
    report: &mut Report<R, M>,
) -> IpNet {
    let network = net.trunc();
    if network != net {
        let (written, network) = (written.to_owned(), network.to_string());
        report.note(given, GeneralRemark::HostBits { written, network });
    }
    network
}
