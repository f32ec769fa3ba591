//! `istio-iptables`.

use super::loading::{self, Asked};
use super::log::{Log, Shape};
use super::machine::{self, Machine};
use super::{decided, place, validation};
use crate::import::istio::{CommandLine, Context, Rules, Run, command_line};
use crate::net::Family;
use crate::policy::{Kind, Policy, Sidecar};

/// What is left of the status -1 of pilot-agent where its arguments are wrong.
pub(super) const WRONG_ARGUMENTS: u8 = 255;

/// The status of rules that do not stand the validation (`constants.ValidationErrorCode`).
const INVALID: u8 = 126;

/// What upstream says then (`tools/istio-iptables/pkg/cmd/root.go`): what operators look for in logs.
const INVALID_MESSAGE: &str = "iptables validation failed; workload is not ready for Istio.";

/// What upstream says where no address of the machine decides about IPv6.
const NO_ADDRESS: &str = "no valid local IP address found";

/// Does what `istio-iptables` does.
pub(super) fn run(arguments: &[String]) -> u8 {
    let looked_up = Machine::look_up().map(|machine| machine.context);
    // The command line is read all the same: it says what the log looks like.
    let context = looked_up.as_ref().map_or_else(|_| machine::variables(), Clone::clone);
    let CommandLine { run, imported } = command_line(arguments, &context);
    let shape = if run.log.as_json { Shape::Object } else { Shape::Tabs };
    let mut log = match Log::to(shape, run.log.level, &run.log.targets) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("Error: {error}");
            return WRONG_ARGUMENTS;
        }
    };
    // In upstream's order: words, the machine, what is meant.
    let mistakes = imported.as_ref().err().map_or(&[][..], |refused| &refused.mistakes);
    if mistakes.iter().any(|mistake| mistake.what.is_of_the_line()) {
        log.errors(mistakes);
        return WRONG_ARGUMENTS;
    }
    if let Err(why) = looked_up.as_ref().map_err(ToString::to_string).and_then(has_address) {
        log.error(&why);
        return 1;
    }
    let Some(policy) = decided(&imported, &mut log) else { return 1 };
    match place(run.network_namespace.as_ref()).enter(|| inside(&run, policy, &mut log)) {
        Ok(status) => status,
        Err(error) => {
            log.error(&error.to_string());
            1
        }
    }
}

fn has_address(context: &Context) -> Result<(), String> {
    if context.addresses.is_empty() { Err(NO_ADDRESS.to_owned()) } else { Ok(()) }
}

/// Does it in the namespace that is meant.
fn inside(run: &Run, policy: &Policy, log: &mut Log) -> u8 {
    if run.dry_run {
        log.info("running iptables in dry-run mode, no rule changes will be made");
    }
    if run.rules != Rules::LeftAlone {
        let asked = Asked {
            dry_run: run.dry_run,
            only_removes: run.rules == Rules::Removed,
            variant: run.iptables_binary.as_deref(),
        };
        if let Err(errors) = loading::load(policy, &asked, log) {
            log.errors(&errors);
            return 1;
        }
    }
    let Some(validation) = run.validation else { return 0 };
    let sidecar = sidecar(policy);
    let families = Family::ALL.into_iter().filter(|family| sidecar.families.has(*family));
    let ports = [*sidecar.proxy.outbound_port, *sidecar.proxy.inbound_port];
    match validation::run(families, ports, validation, log) {
        Ok(()) => 0,
        Err(why) => {
            log.error(&format!("Validation failed: {why}"));
            log.error(INVALID_MESSAGE);
            INVALID
        }
    }
}

fn sidecar(policy: &Policy) -> &Sidecar {
    match &policy.kind {
        Kind::Sidecar(sidecar) => sidecar,
        other => unreachable!("a command line is a sidecar, and not {other:?}"),
    }
}
