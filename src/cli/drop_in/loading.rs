//! Making a policy be what is loaded, or be gone: with nft, or with iptables where nothing else is there.

use super::iptables;
use super::log::Log;
use crate::diag::Diagnostic;
use crate::host::{self, Compiled, Form, Namespace, Owned};
use crate::policy::{Detail, Policy, print};
use crate::syntax::NoIncludes;
use crate::verify::Answer;
use crate::{Compilation, Failure, Options, View, compile};

/// What is asked for beside the policy.
pub(super) struct Asked<'a> {
    /// Nothing is changed.
    pub(super) dry_run: bool,
    /// What is there of the policy goes, and nothing is loaded.
    pub(super) only_removes: bool,
    /// The variant of iptables that is wanted, `legacy` or `nft`.
    pub(super) variant: Option<&'a str>,
}

/// Does it in the namespace that the thread is in. What a mesh's own tool left in iptables goes once the new
/// rules are there.
///
/// # Errors
///
/// With each thing that is wrong. The namespace is as it was then, unless one of them says otherwise.
pub(super) fn load(policy: &Policy, asked: &Asked<'_>, log: &mut Log) -> Result<(), Vec<String>> {
    if asked.only_removes {
        return remove(policy, asked, log);
    }
    let compilation = compiled(policy)?;
    let Some(policy) = compilation.policies.first() else { unreachable!("one policy is printed") };
    if !is_installed("nft") && iptables::is_installed() {
        return iptables::load(&compilation, policy, asked, log);
    }
    if let Some(variant) = asked.variant {
        log.warn(&format!("nft loads the rules, though iptables-{variant} is asked for"));
    }
    if asked.dry_run {
        log.info(&compilation.emit(policy, View::Nft).map_err(in_words)?);
        return Ok(());
    }
    let compiled = Compiled::new(&compilation, &[policy], Form::Script).map_err(in_words)?;
    let done = host::apply(&Namespace::this(), &compiled, &options());
    let done = done.map_err(|error| vec![error.to_string()])?;
    log.info(match (done.is_changed, done.answer) {
        (true, Answer::Equal) => "Rules are loaded, read back, and proved to be the policy",
        (true, _) => {
            "Rules are loaded, read back, and proved to be the policy as far as rules of others are known"
        }
        (false, _) => "Rules are there already, and proved to be the policy",
    });
    done.notes.iter().for_each(|note| log.info(note));
    Ok(())
}

/// Takes away what is there of the policy, of any version, and what a mesh's own tool left.
fn remove(policy: &Policy, asked: &Asked<'_>, log: &mut Log) -> Result<(), Vec<String>> {
    // Upstream's words.
    log.info("Performing cleanup of existing iptables");
    if asked.dry_run {
        return Ok(());
    }
    let owned = Owned::by(&[policy]);
    let done = host::remove(&Namespace::this(), &owned, true, &options());
    let done = done.map_err(|error| vec![error.to_string()])?;
    done.notes.iter().for_each(|note| log.info(note));
    Ok(())
}

/// How namespaces are changed here.
pub(super) fn options() -> host::Options {
    host::Options { replace_istio: true, ..host::Options::default() }
}

/// The policy, from its own text: what is said of it later is about that.
fn compiled(policy: &Policy) -> Result<Compilation, Vec<String>> {
    let text = print(policy, Detail::Everything);
    compile("policy", &text, &NoIncludes, &Options::default()).map_err(in_words)
}

/// What is wrong, a line each.
pub(super) fn in_words(failure: Failure) -> Vec<String> {
    let errors = failure.diagnostics.into_iter().filter(Diagnostic::is_error);
    errors.map(|found| found.problem.to_string()).collect()
}

/// Whether a program is on the path.
pub(super) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
