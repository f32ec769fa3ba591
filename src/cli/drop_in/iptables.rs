//! Loading with iptables, where there is no nft: the texts that are proved, through iptables-restore.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use super::loading::{Asked, in_words, is_installed as is_there, options};
use super::log::Log;
use crate::diag::escape::on_one_line;
use crate::host::{self, Namespace, Owned};
use crate::net::Family;
use crate::policy::Policy;
use crate::{Compilation, View};

/// The variants of iptables, by what stands in the names of their programs.
const VARIANTS: [&str; 3] = ["-nft", "-legacy", ""];

/// Whether any variant is installed.
pub(super) fn is_installed() -> bool {
    VARIANTS.iter().any(|variant| is_there(&program(Family::Ipv4, variant, "restore")))
}

/// Loads the policy, in the place of every version of it and of what a mesh's own tool left.
///
/// # Errors
///
/// With each thing that is wrong. Nothing of the policy is loaded then.
pub(super) fn load(
    compilation: &Compilation,
    policy: &Policy,
    asked: &Asked<'_>,
    log: &mut Log,
) -> Result<(), Vec<String>> {
    let alone = |error: io::Error| vec![error.to_string()];
    let variant = variant(asked.variant).map_err(alone)?;
    let mut steps = Vec::new();
    for family in Family::ALL {
        let batch = compilation.emit(policy, View::RoutingBatch(family)).map_err(in_words)?;
        let flag = if family == Family::Ipv4 { "-4" } else { "-6" };
        steps.push(("ip".to_owned(), vec![flag, "-batch", "-"], batch));
    }
    for family in Family::ALL {
        let text = compilation.emit(policy, View::Iptables(family)).map_err(in_words)?;
        steps.push((program(family, variant, "restore"), vec!["--noflush"], text));
    }
    steps.retain(|(.., text)| !text.is_empty());
    if asked.dry_run {
        for (program, arguments, text) in &steps {
            log.info(&format!("{program} {}\n{text}", arguments.join(" ")));
        }
        return Ok(());
    }
    let owned = Owned::by(&[policy]);
    let remove = || host::remove(&Namespace::this(), &owned, true, &options());
    // A text for iptables-restore cannot take the place of another.
    remove().map_err(|error| vec![error.to_string()])?;
    for (program, arguments, text) in &steps {
        if let Err(error) = run(program, arguments, text) {
            let mut errors = vec![error.to_string()];
            errors.extend(remove().err().map(|error| error.to_string()));
            return Err(errors);
        }
    }
    log.info(
        "nft is not installed: rules are loaded with iptables, from texts proved to be the policy",
    );
    Ok(())
}

/// The variant to load with, as upstream chooses it (`DetectIptablesVersion`): the one that is asked for; the
/// older one where it has rules; otherwise the newer one.
fn variant(asked: Option<&str>) -> io::Result<&'static str> {
    let save = |variant: &str| run(&program(Family::Ipv4, variant, "save"), &[], "");
    if let Some(asked) = asked {
        let found = VARIANTS.into_iter().find(|variant| variant.strip_prefix('-') == Some(asked));
        let variant =
            found.ok_or_else(|| io::Error::other(format!("there is no iptables-{asked}")))?;
        return save(variant).map(|_| variant);
    }
    if save("-legacy").is_ok_and(|rules| rules.lines().any(|line| line.starts_with("-A "))) {
        return Ok("-legacy");
    }
    let mut why = io::Error::other("iptables is not installed");
    for variant in VARIANTS {
        match save(variant) {
            Ok(_) => return Ok(variant),
            Err(error) => why = error,
        }
    }
    Err(why)
}

fn program(family: Family, variant: &str, verb: &str) -> String {
    let word = if family == Family::Ipv4 { "iptables" } else { "ip6tables" };
    format!("{word}{variant}-{verb}")
}

/// Runs a program that reads `input`.
fn run(program: &str, arguments: &[&str], input: &str) -> io::Result<String> {
    /// Where iptables-legacy keeps others out; and what does it for this namespace alone, where that cannot be
    /// made, as upstream has it for pods (`UsePodScopedXtablesLock`).
    const LOCKS: [&str; 2] = ["/run/xtables.lock", "/proc/self/ns/net"];

    let refused = |why: String| io::Error::other(format!("{program}: {why}"));
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let [usual, own] = LOCKS;
    let can_be_locked = OpenOptions::new().create(true).append(true).open(usual).is_ok();
    if std::env::var_os("XTABLES_LOCKFILE").is_none() && !can_be_locked {
        command.env("XTABLES_LOCKFILE", own);
    }
    let mut child = command.spawn().map_err(|error| refused(error.to_string()))?;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // It may write before it has read everything. If it stops reading, it says why.
        scope.spawn(|| stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
        child.wait_with_output()
    })?;
    if !output.status.success() {
        return Err(refused(on_one_line(String::from_utf8_lossy(&output.stderr).trim())));
    }
    String::from_utf8(output.stdout).map_err(|_| refused("prints no UTF-8".to_owned()))
}
