//! Which network namespace a command is about.

use std::io;

use clap::Args;

use crate::host::Namespace;

/// Which network namespace is asked.
#[derive(Args)]
pub(super) struct Where {
    /// Use what is loaded in this namespace: nft, both variants of iptables, and routing.
    #[arg(long)]
    live: bool,
    /// Use what is loaded in another namespace, given by name (`ip netns list`) or by the PID of a process.
    #[arg(long, value_name = "NAME|PID")]
    netns: Option<String>,
}

impl Where {
    /// The namespace, if one is asked.
    pub(super) fn namespace(&self) -> io::Result<Option<Namespace>> {
        match &self.netns {
            Some(called) => Namespace::called(called).map(Some),
            None => Ok(self.live.then(Namespace::this)),
        }
    }
}
