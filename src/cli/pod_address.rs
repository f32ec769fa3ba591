//! `weir pod-address`.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::compile::{Selected, names};
use super::input::Input;
use super::report::Messages;
use super::{Outcome, output};
use crate::backend::nft::{MemberChange, Members};
use crate::lower::lower;
use crate::policy::{Kind, Policy};
use crate::{Compilation, Options, View};

/// Print commands that add or delete addresses of the node's pods
///
/// An ambient-host policy recognises the node's pods by their addresses. These are in sets that are
/// empty at first, and that keep their content when the policy is loaded again. This command prints a
/// script for `nft -f` that adds addresses to the sets or deletes them, in one transaction. Adding an
/// address that is there, or deleting one that is not, changes nothing. The policy has to be loaded.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PodAddress {
    /// What to do.
    #[arg(value_enum, value_name = "CHANGE")]
    change: Change,
    #[command(flatten)]
    input: Input,
    /// The addresses, of the families that the policy governs.
    #[arg(value_name = "ADDRESS", required = true, value_parser = of_a_pod)]
    addresses: Vec<IpAddr>,
    #[command(flatten)]
    selected: Selected,
    /// Print libnftables JSON, for `nft -j -f`.
    #[arg(long)]
    json: bool,
    /// Write to this file instead of standard output, as a whole or not at all.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Change {
    /// A pod has started.
    Add,
    /// A pod has ended.
    #[value(alias = "remove")]
    Delete,
}

/// Reads an address that a pod can have.
fn of_a_pod(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| match text.split_once(['/', ':']) {
        Some((address, _)) if address.parse::<IpAddr>().is_ok() => {
            format!("an address of a pod stands alone: `{address}`")
        }
        _ => "not an address; the policy comes before the addresses".to_owned(),
    })?;
    let mapped = match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped(),
        IpAddr::V4(_) => None,
    };
    if let Some(v4) = mapped {
        return Err(format!("it is an IPv4 address in the form of IPv6; write `{v4}`"));
    }
    if address.is_unspecified() {
        return Err("it stands for no address, and no pod has it".to_owned());
    }
    if address.is_loopback() || address.is_multicast() {
        return Err("no pod has it on the network of its node".to_owned());
    }
    Ok(address)
}

const EXAMPLES: &str = "\
Examples:
  weir pod-address add node.weir 10.0.1.2 fd00:1::2 | nft -f -
  weir pod-address delete --json node.weir 10.0.1.2 > gone.json";

impl PodAddress {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let options = Options { groups: self.input.groups()?, ..Options::default() };
        let Some(compilation) = self.input.compile(&options, messages)? else {
            return Ok(Outcome::Bad);
        };
        let policy = self.host(&compilation)?;
        let ruleset = lower(policy).ruleset;
        let change = match self.change {
            Change::Add => MemberChange::Add,
            Change::Delete => MemberChange::Delete,
        };
        let members = Members::new(&ruleset, change, &self.addresses).map_err(|refused| {
            let families = policy.families();
            let governed: Vec<_> = families.iter().map(|family| family.to_string()).collect();
            let (name, address) = (&policy.name, refused.address);
            let governed = governed.join(" and ");
            io::Error::other(format!(
                "policy `{name}` governs {governed} only, and not `{address}`"
            ))
        })?;
        let view = if self.json { View::Json } else { View::Nft };
        match compilation.emit_members(&members, view) {
            Ok(text) => output::write(self.output.as_deref(), &text),
            Err(failure) => Ok(messages.report(&failure.sources, &failure.diagnostics)),
        }
    }

    /// The policy whose sets hold pods: the only one of its kind, unless it is named.
    fn host<'a>(&self, compilation: &'a Compilation) -> io::Result<&'a Policy> {
        let policies = self.selected.some(compilation)?;
        let is_host = |policy: &&&Policy| matches!(policy.kind, Kind::AmbientHost(_));
        let hosts: Vec<&Policy> = policies.iter().filter(is_host).copied().collect();
        match (hosts.as_slice(), policies.as_slice()) {
            ([host], _) => Ok(host),
            ([], [other]) => Err(io::Error::other(format!(
                "policy `{}` is of kind {}, and only an ambient-host has addresses of pods",
                other.name,
                other.kind.keyword()
            ))),
            ([], _) => Err(io::Error::other("the file has no ambient-host policy")),
            (several, _) => Err(io::Error::other(format!(
                "there are several ambient-host policies; choose one with --policy: {}",
                names(several)
            ))),
        }
    }
}
