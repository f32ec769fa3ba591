//! `kumactl install transparent-proxy`.

use std::path::Path;

use super::loading::{self, Asked};
use super::log::{Log, Shape};
use super::{machine, only, say};
use crate::cli::files::read_whole;
use crate::import::Level;
use crate::import::kuma::{CommandLine, command_line, config_paths};

/// What `kumactl` is told to do that weir does.
const WORDS: [&str; 2] = ["install", "transparent-proxy"];

/// Does what `kumactl install transparent-proxy` does.
pub(super) fn run(arguments: &[String]) -> u8 {
    let told = Log::to(Shape::Remark, Level::Info, &["stdout".to_owned()]);
    let failed = Log::to(Shape::Plain, Level::Info, &["stderr".to_owned()]);
    let (Ok(mut log), Ok(mut errors)) = (told, failed) else {
        unreachable!("standard streams need no opening")
    };
    match try_run(arguments, &mut log) {
        Ok(()) => 0,
        Err(found) => {
            let found: Vec<_> = found.iter().map(|error| format!("Error: {error}")).collect();
            errors.errors(&found);
            1
        }
    }
}

fn try_run(arguments: &[String], log: &mut Log) -> Result<(), Vec<String>> {
    if !arguments.iter().take(WORDS.len()).eq(WORDS.iter()) {
        let [verb, what] = WORDS;
        return Err(vec![format!(
            "weir does what `kumactl {verb} {what}` does, and nothing else of kumactl"
        )]);
    }
    let alone = |error: std::io::Error| vec![error.to_string()];
    let configs = config_paths(arguments);
    let configs = configs.iter().map(|path| read_whole(Path::new(path)));
    let configs: Vec<String> = configs.collect::<Result<_, _>>().map_err(alone)?;
    let machine = machine::Machine::look_up().map_err(alone)?;
    let mut context = machine.context;
    context.ipv6 = Some(machine.has_ipv6);
    let CommandLine { dry_run, imported } = command_line(arguments, &configs, &context);
    let imported = imported
        .map_err(|refused| refused.mistakes.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let policy = only(&imported.policies);
    say(log, policy, &imported.notes);
    loading::load(policy, &Asked { dry_run, only_removes: false, variant: None }, log)
}
