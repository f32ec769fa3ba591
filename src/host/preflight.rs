//! What a change needs: programs and their versions, a capability, and what the kernel can do.

use std::fs;
use std::io;

use super::compiled::{Compiled, Form};
use super::program::Program;
use crate::backend::nft::Target;
use crate::diag::escape::on_one_line;

/// The place of `CAP_NET_ADMIN` among capabilities (`capabilities(7)`).
const NET_ADMIN: u32 = 12;

/// That this thread may change its network namespace, as far as it can be known before.
///
/// # Errors
///
/// If it lacks the capability.
pub(super) fn capability() -> Result<(), String> {
    // Without /proc nothing is known, and whoever refuses says so.
    let Ok(status) = fs::read_to_string("/proc/thread-self/status") else { return Ok(()) };
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    match effective {
        Some(bits) if bits & (1 << NET_ADMIN) == 0 => {
            Err("CAP_NET_ADMIN is missing: run as root, or add the capability NET_ADMIN".to_owned())
        }
        _ => Ok(()),
    }
}

/// That an nft is there that reads what was compiled.
///
/// # Errors
///
/// What is missing or too old.
pub(super) fn nft(compiled: &Compiled) -> Result<(), String> {
    let said = Program::new("nft", &["-V"]).output().map_err(|error| error.to_string())?;
    let Some(said) = said else {
        return Err("nft is not installed (Debian, Alpine, Fedora: package nftables)".to_owned());
    };
    let version = said.split_whitespace().find_map(|word| word.strip_prefix('v'));
    let version = version.and_then(|version| version.parse::<Target>().ok());
    let needed = compiled.target;
    if version.is_none_or(|version| version < needed) {
        let is = said.lines().next().map(on_one_line).unwrap_or_default();
        return Err(format!("nft is too old: it is `{is}`, and {needed} is needed"));
    }
    let has_json = said.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("json:") && words.next() == Some("yes")
    });
    if compiled.form == Form::Json && !has_json {
        return Err("nft is built without JSON: load the script instead".to_owned());
    }
    Ok(())
}

/// That an `ip` is there that knows protocol numbers of rules.
///
/// # Errors
///
/// What is missing or too old.
pub(super) fn ip() -> Result<(), String> {
    let said = Program::new("ip", &["-V"]).output();
    let Ok(Some(said)) = said else {
        return Err("`ip` of iproute2 is not installed (package iproute2)".to_owned());
    };
    let version = said.split(['-', ',', ' ', '\n']).find(|word| {
        let digits = word.strip_prefix("ss").unwrap_or(word);
        digits.starts_with(|it: char| it.is_ascii_digit())
    });
    let is_new = version.is_some_and(|version| {
        // Up to 5.8, the version was a day.
        let number = |text: &str| text.split('.').next()?.parse::<u32>().ok();
        match version.strip_prefix("ss") {
            Some(day) => number(day).is_some_and(|day| day >= 190_101),
            None => number(version).is_some_and(|major| major >= 5),
        }
    });
    if is_new {
        return Ok(());
    }
    let is = said.lines().next().map(on_one_line).unwrap_or_default();
    Err(format!("`ip` is too old: it is `{is}`, and iproute2 5.0 is needed"))
}

/// That the kernel takes the rules: all of loading them but the end.
///
/// # Errors
///
/// What it refuses.
pub(super) fn kernel(compiled: &Compiled) -> Result<(), String> {
    let mut check = loader(compiled);
    check.arguments.insert(0, "--check".to_owned());
    check.check().map_err(|error| refused(compiled, &error))
}

/// What loads the rules.
pub(super) fn loader(compiled: &Compiled) -> Program {
    let arguments: &[&str] = match compiled.form {
        Form::Script => &["-f", "-"],
        Form::Json => &["-j", "-f", "-"],
    };
    Program::reading("nft", arguments, compiled.text.clone())
}

/// Why rules are not taken, with the rule.
pub(super) fn refused(compiled: &Compiled, error: &io::Error) -> String {
    let said = error.to_string();
    let mut numbers = said.split(':').map_while(|part| Some(part.trim())).skip(1);
    let line = numbers.find_map(|part| part.parse::<usize>().ok()).filter(|line| *line > 0);
    let line = line.and_then(|line| compiled.text.lines().nth(line - 1));
    let rule = line.map(|line| format!(" (`{}`)", on_one_line(line.trim()))).unwrap_or_default();
    let lacks = ["No such file or directory", "not supported", "Protocol not supported"];
    if lacks.iter().any(|word| said.contains(word)) {
        return format!("the kernel lacks what a rule needs: {said}{rule}");
    }
    format!("{said}{rule}")
}
