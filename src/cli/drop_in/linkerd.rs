//! `linkerd2-proxy-init`.

use std::fs;

use super::loading::{self, Asked};
use super::log::{Log, Shape};
use super::{decided, machine, place};
use crate::import::linkerd::{CommandLine, Run, command_line};
use crate::policy::Policy;

/// The kernel's setting that the tool can change with the rules.
const CLOSE_WAIT: &str = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait";

/// Does what `linkerd2-proxy-init` does.
pub(super) fn run(arguments: &[String]) -> u8 {
    let CommandLine { run, imported } = command_line(arguments, &machine::variables());
    let shape = if run.log_as_json { Shape::PairsObject } else { Shape::Pairs };
    let Ok(mut log) = Log::to(shape, run.log_level, &["stderr".to_owned()]) else {
        unreachable!("standard error needs no opening")
    };
    let Some(policy) = decided(&imported, &mut log) else { return 1 };
    let ended = place(run.network_namespace.as_ref()).enter(|| inside(&run, policy, &mut log));
    match ended.map_err(|error| vec![error.to_string()]).and_then(|ended| ended) {
        Ok(()) => 0,
        Err(errors) => {
            log.errors(&errors);
            1
        }
    }
}

/// Does it in the namespace that is meant.
fn inside(run: &Run, policy: &Policy, log: &mut Log) -> Result<(), Vec<String>> {
    if let Some(seconds) = run.close_wait {
        if run.simulate {
            log.info(&format!("{CLOSE_WAIT} would be {seconds}"));
        } else {
            let written = fs::write(CLOSE_WAIT, seconds.to_string());
            written.map_err(|error| vec![format!("cannot write {CLOSE_WAIT}: {error}")])?;
            log.info(&format!("{CLOSE_WAIT} is {seconds}"));
        }
    }
    let variant = run.iptables_mode.as_deref().filter(|mode| *mode != "plain");
    let asked = Asked { dry_run: run.simulate, only_removes: false, variant };
    loading::load(policy, &asked, log)
}
