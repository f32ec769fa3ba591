//! What is given in the place of a policy and is something else, which another command may read.

use crate::Failure;
use crate::diag::{Diagnostic, Problem, refusal, shown};
use crate::policy::begins_policy;
use crate::reader::forms::{Form, FormError, recognise};
use crate::span::{FileId, Sources, Span};

/// Why `text`, of which `name` is asked for as a policy, is none to compile.
pub(crate) fn failure(name: &str, text: &str) -> Option<Failure> {
    let is_said_otherwise = text.contains('\0') || refusal(text).is_some();
    if text.len() > Sources::MAX_BYTES || is_said_otherwise {
        return None;
    }
    let mut sources = Sources::default();
    let file = sources.add(name, text);
    let diagnostics = vec![found(name, text, file)?];
    Some(Failure { sources, diagnostics })
}

/// What `text` is, of which `name` is asked for as a policy; `None` if it may well be one.
///
/// A policy in which something is wrong is one: a text with a line that begins as policies do is never
/// something else.
fn found(name: &str, text: &str, file: FileId) -> Option<Diagnostic> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (start, line) = said(text).next()?;
    let (what, instead) = told(line, text, if name == "<stdin>" { "-" } else { name })?;
    let begins = |line: &str| line.split_whitespace().next().is_some_and(begins_policy);
    if text.lines().any(begins) {
        return None;
    }
    let byte = |at: usize| u32::try_from(at).ok();
    let at = Span { file, start: byte(start)?, end: byte(start + line.len())? };
    Some(Problem::NotAPolicy { what, instead }.at(at, ""))
}

/// The lines that are neither empty nor comments, without blanks, and where each begins.
fn said(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let start = |line: &str| line.as_ptr() as usize - text.as_ptr() as usize;
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && (!line.starts_with('#') || line.starts_with("#!")))
        .map(move |line| (start(line), line))
}

/// What a text is that begins with `line`, and what reads it.
fn told(line: &str, text: &str, file: &str) -> Option<(&'static str, String)> {
    let file = shown(file);
    if line.starts_with('<') {
        let instead = "it may be the answer of a web server: look at what was to be downloaded";
        return Some(("HTML or XML", instead.to_owned()));
    }
    let is_json = line.starts_with('{') || line.starts_with('[') && !is_section(line);
    if is_json && text.contains("\"apiVersion\"") || !is_json && is_manifest(text) {
        let instead = format!(
            "`weir import istio --pod {file}` makes a policy of a pod, `weir doctor {file}` says what is \
             wrong with it"
        );
        return Some(("a Kubernetes manifest", instead));
    }
    // A policy may be JSON, too.
    if is_json && !text.contains("\"nftables\"") {
        return None;
    }
    if is_section(line) {
        let instead =
            "settings stand in `weir.toml`, which commands find by themselves; name a policy";
        return Some(("TOML", instead.to_owned()));
    }
    if line.starts_with("#!") && !line.contains("nft") {
        return Some(("a shell script", SCRIPT.to_owned()));
    }
    let is_command = |line: &str| {
        let word = line.split_whitespace().next().unwrap_or_default();
        matches!(word, "iptables" | "ip6tables" | "nft" | "ip" | "sudo")
    };
    if is_command(line) {
        return Some(("a list of commands", SCRIPT.to_owned()));
    }
    let rules = |what| {
        let instead = format!(
            "`weir explain {file} PACKET` and `weir diff {file} POLICY` read rules, and \
             `weir import rules {file}` makes a policy of them"
        );
        Some((what, instead))
    };
    // Without what shows it in the first line, a mistake in a policy would be taken for rules.
    let looks = |line: &str| {
        let word = line.split_whitespace().next().unwrap_or_default();
        line.starts_with(['*', '-', ':', '{', '#'])
            || matches!(
                word,
                "table" | "add" | "create" | "insert" | "delete" | "destroy" | "flush"
            )
            || word == "define"
    };
    if looks(line) {
        match recognise(text) {
            Ok(recognised) => match recognised.form {
                Form::Iptables(_) => return rules("what `iptables-save` prints"),
                Form::NftJson(_) => return rules("libnftables JSON"),
                Form::NftScript(_) => return rules("an nft script"),
                Form::Nothing | Form::Policy => {}
            },
            // Which rules these are is open, and rules they are.
            Err(FormError::NoTable { .. }) => return rules("what `iptables -S` prints"),
            Err(_) => return rules("a list of rules"),
        }
    }
    let is_key = |line: &str| {
        line.split_once(':').is_some_and(|(key, value)| {
            let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            key.starts_with(|c: char| c.is_ascii_alphabetic())
                && key.chars().all(is_letter)
                && (value.is_empty() || value.starts_with(' '))
        })
    };
    if line == "---" || is_key(line) {
        let instead = "a policy is written as `sidecar NAME { … }`; `weir doctor` reads manifests and \
                       values, `weir import` the configuration of a mesh";
        return Some(("YAML", instead.to_owned()));
    }
    None
}

/// Whether a line of `text` says which API it is of, as each manifest does.
fn is_manifest(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("apiVersion:"))
}

/// `[golden]`.
fn is_section(line: &str) -> bool {
    let inside = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
    inside.is_some_and(|name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic() || ".-_[]".contains(c))
    })
}

/// What to do with commands, which weir does not read.
const SCRIPT: &str = "run it where nothing else is loaded; `weir import rules` makes a policy of what \
                      `iptables-save` or `nft list ruleset` prints then";

#[cfg(test)]
mod tests {
    use super::found;
    use crate::diag::Problem;
    use crate::span::Sources;

    fn what(text: &str) -> Option<&'static str> {
        let mut sources = Sources::default();
        let file = sources.add("x", text);
        match found("x", text, file)?.problem {
            Problem::NotAPolicy { what, .. } => Some(what),
            _ => None,
        }
    }

    #[test]
    fn each_is_told_by_its_beginning() {
        for (text, expected) in [
            ("apiVersion: v1\nkind: Pod\n", "a Kubernetes manifest"),
            ("# a chart\n---\n# Source\napiVersion: apps/v1\n", "a Kubernetes manifest"),
            ("{\n  \"apiVersion\": \"v1\"\n}\n", "a Kubernetes manifest"),
            ("global:\n  proxy: x\n", "YAML"),
            ("[golden]\npolicies = [\"a\"]\n", "TOML"),
            (
                "# Generated by iptables-save\n*nat\n:X - [0:0]\nCOMMIT\n",
                "what `iptables-save` prints",
            ),
            ("-P INPUT ACCEPT\n-A INPUT -j DROP\n", "what `iptables -S` prints"),
            ("table inet x {\n}\n", "an nft script"),
            ("#!/usr/sbin/nft -f\nflush ruleset\n", "an nft script"),
            ("{\"nftables\": []}", "libnftables JSON"),
            ("iptables -t nat -F\n", "a list of commands"),
            ("#!/bin/sh\nset -e\n", "a shell script"),
            ("<!DOCTYPE html>\n", "HTML or XML"),
        ] {
            assert_eq!(what(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_policy_with_a_mistake_is_a_policy() {
        for text in [
            "",
            "# nothing\n",
            "sidecar x {}\n",
            "sidcar x {}\n",
            "flush\nsidecar x {}\n",
            "{\nsidecar x {}\n",
            "kind: x\nlet a = 80\n",
            "ports: 80\n  sidecar x {}",
            "include \"a.weir\"\n",
            "{\"kind\": \"sidecar\", \"name\": \"x\"}",
            "[{\"a\": 1}]",
        ] {
            assert_eq!(what(text), None, "{text}");
        }
    }
}
