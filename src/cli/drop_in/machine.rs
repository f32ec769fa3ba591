//! What the tools look up on the machine that they run on.

use std::env;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::cli::numbers;
use crate::import::Context;

/// All of it.
pub(super) struct Machine {
    /// What an importer is told.
    pub(super) context: Context,
    /// Whether there is an IPv6 address that is not of loopback, which is what Kuma asks.
    pub(super) has_ipv6: bool,
}

impl Machine {
    /// Looks everything up.
    ///
    /// # Errors
    ///
    /// If `ip`, which is asked for the addresses, cannot be run.
    pub(super) fn look_up() -> io::Result<Self> {
        let addresses = addresses()?;
        let has_ipv6 = addresses.iter().any(IpAddr::is_ipv6);
        let context = Context {
            users: numbers::of_machine(Path::new("/etc/passwd")),
            groups: numbers::of_machine(Path::new("/etc/group")),
            addresses: addresses.into_iter().filter(|address| !is_of_link(*address)).collect(),
            resolv_conf: fs::read_to_string("/etc/resolv.conf").ok(),
            ..variables()
        };
        Ok(Self { context, has_ipv6 })
    }
}

/// What the environment says, and nothing else.
pub(super) fn variables() -> Context {
    Context { environment: environment(), ..Context::default() }
}

/// The environment as assignments, quoted for a shell.
fn environment() -> String {
    let is_name = |name: &str| {
        let is_good = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(is_good)
    };
    let variables = env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        let value = value.replace('\'', r"'\''");
        is_name(&name).then(|| format!("{name}='{value}'\n"))
    });
    variables.collect()
}

/// The addresses of the namespace that are not of loopback.
fn addresses() -> io::Result<Vec<IpAddr>> {
    let cannot = |why: &str| io::Error::other(format!("cannot list addresses with ip: {why}"));
    let output = Command::new("ip").args(["-j", "-N", "address", "show"]).output();
    let output = output.map_err(|error| cannot(&error.to_string()))?;
    if !output.status.success() {
        return Err(cannot(String::from_utf8_lossy(&output.stderr).trim()));
    }
    let listed: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| cannot(&error.to_string()))?;
    Ok(read_addresses(&listed))
}

/// Those of what `ip -j address show` prints.
fn read_addresses(listed: &Value) -> Vec<IpAddr> {
    let links = listed.as_array().into_iter().flatten();
    let infos = links.flat_map(|link| link["addr_info"].as_array().into_iter().flatten());
    let addresses = infos.filter_map(|info| info["local"].as_str()?.parse::<IpAddr>().ok());
    addresses
        .map(|address| address.to_canonical())
        .filter(|address| !address.is_loopback())
        .collect()
}

/// Whether Istio passes an address over (`getLocalIP`).
fn is_of_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local() || address.octets()[..3] == [224, 0, 0],
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || address.segments()[0] & 0xff0f == 0xff02
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_of_link, read_addresses};

    #[test]
    fn addresses_of_loopback_do_not_count_and_those_of_links_are_known() {
        let listed = r#"[
            {"ifname":"lo","addr_info":[{"local":"127.0.0.1"},{"local":"::1"},{"local":"::6"}]},
            {},
            {"ifname":"eth0","addr_info":[{"local":"169.254.1.1"},{"local":"10.0.0.7"},
             {"local":"fe80::1"},{"local":"fd00::7"},{"label":"eth0"}]}
        ]"#;
        let addresses = read_addresses(&serde_json::from_str(listed).unwrap());
        let shown: Vec<_> =
            addresses.iter().map(|address| format!("{address} {}", is_of_link(*address))).collect();
        let all =
            ["::6 false", "169.254.1.1 true", "10.0.0.7 false", "fe80::1 true", "fd00::7 false"];
        assert_eq!(shown, all);
    }
}
