//! What is fuzzed: every entry that takes a text. None may panic, hang, or take back what it said.

use netweir::diag::apply;
use netweir::explain::{Context as Telling, explain_way};
use netweir::import::{Context, IMPORTERS};
use netweir::policy::{Detail, Policy, print};
use netweir::reader::{forms, iptables, nft};
use netweir::semantics::Packet;
use netweir::span::Sources;
use netweir::syntax::{self, NoIncludes, Parsed};
use netweir::{Compilation, Failure, Options, View, compile};

use crate::{commands, differential};

/// What is done with the bytes that the fuzzer made.
pub(crate) type Target = fn(&[u8]);

/// Every target, by name.
pub(crate) const TARGETS: [(&str, Target); 16] = [
    ("commands", commands::commands),
    ("compile", |bytes| text(bytes, compiles)),
    ("edits", edits),
    ("explain", |bytes| text(bytes, explains)),
    ("fix", |bytes| text(bytes, fixes)),
    ("format", |bytes| text(bytes, formats)),
    ("forms", |bytes| text(bytes, recognises)),
    ("import", import),
    ("iptables", |bytes| text(bytes, reads_iptables)),
    ("iptables-to-load", |bytes| text(bytes, reads_iptables_to_load)),
    ("nft", |bytes| text(bytes, reads_nft)),
    ("nft-json", |bytes| text(bytes, reads_nft_json)),
    ("packet", |bytes| text(bytes, packet)),
    ("policy-json", |bytes| text(bytes, policy_json)),
    ("policies", differential::policies),
    ("rulesets", differential::rulesets),
];

/// Does something with bytes that are a text.
fn text(bytes: &[u8], then: fn(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        then(text);
    }
}

fn compiled(text: &str) -> Result<Compilation, Failure> {
    compile("fuzz.weir", text, &NoIncludes, &Options::default())
}

/// What is accepted can be written in every view, or is refused there.
fn compiles(text: &str) {
    if let Ok(compilation) = compiled(text) {
        for policy in &compilation.policies {
            for &view in View::ALL {
                let _ = compilation.emit(policy, view);
            }
        }
    }
}

/// Shipped policies with one place changed: all that is said about them can be shown.
fn edits(bytes: &[u8]) {
    const SHIPPED: [&str; 4] = [
        include_str!("../../rulesets/istio/default.weir"),
        include_str!("../../rulesets/istio/tproxy.weir"),
        include_str!("../../rulesets/kuma/kuma-dns.weir"),
        include_str!("../../rulesets/ambient/pod.weir"),
    ];
    let [which, high, low, length, rest @ ..] = bytes else { return };
    let shipped = SHIPPED[usize::from(*which) % SHIPPED.len()];
    let mut edited = shipped.as_bytes().to_vec();
    let at = usize::from(u16::from_be_bytes([*high, *low])) % edited.len();
    let end = (at + usize::from(*length)).min(edited.len());
    edited.splice(at..end, rest.iter().copied());
    text(&edited, |text| {
        compiles(text);
        fixes(text);
    });
}

/// What is suggested can be applied, whichever parts of it are.
fn fixes(text: &str) {
    let (sources, diagnostics) = match compiled(text) {
        Ok(Compilation { sources, warnings, .. }) => (sources, warnings),
        Err(Failure { sources, diagnostics, .. }) => (sources, diagnostics),
    };
    let suggestions = diagnostics.iter().flat_map(|found| found.suggestions(&sources));
    let _ = apply(text, &suggestions.collect::<Vec<_>>());
}

fn parsed(text: &str) -> Parsed {
    let mut sources = Sources::default();
    let file = sources.add("fuzz.weir", text);
    syntax::parse(&sources, file)
}

/// Formatting changes nothing that is said, and formatting twice nothing at all.
fn formats(text: &str) {
    let Parsed { tree, diagnostics } = parsed(text);
    if diagnostics.is_empty() {
        let formatted = syntax::format(&tree);
        let again = parsed(&formatted).tree;
        assert_eq!(tree, again);
        assert_eq!(formatted, syntax::format(&again));
    }
}

fn recognises(text: &str) {
    let _ = forms::recognise(text);
}

/// What every mesh's importer makes of a text is a policy that the language takes.
fn import(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let forms = || IMPORTERS.iter().flat_map(|importer| importer.forms);
    let form = forms().nth(usize::from(*first) % forms().count()).expect("there are some");
    let Ok(text) = std::str::from_utf8(rest) else { return };
    if let Ok(told) = form.read(&Sources::of("input", text), &Context::default()) {
        for policy in &told.policies {
            let text = print(policy, Detail::Differences);
            assert!(compiled(&text).is_ok(), "{text}");
        }
    }
}

fn reads_iptables(text: &str) {
    let _ = iptables::read(Some(text), None, &iptables::Options::default());
    let _ = iptables::read(None, Some(text), &iptables::Options::default());
}

fn reads_iptables_to_load(text: &str) {
    let options = iptables::Options { to_load: true, ..iptables::Options::default() };
    let _ = iptables::read(Some(text), None, &options);
}

fn reads_nft(text: &str) {
    let _ = nft::script(text, &nft::Options::default());
}

fn reads_nft_json(text: &str) {
    let _ = nft::json(text, &nft::Options::default());
}

/// What is read can be run with the packet on its first line.
fn explains(text: &str) {
    let Some((packet, rules)) = text.split_once('\n') else { return };
    let (Ok(packet), Ok(found)) = (packet.parse(), nft::script(rules, &nft::Options::default()))
    else {
        return;
    };
    let telling =
        Telling { policy: None, sources: None, is_iptables: false, iptables: &[], files: &[] };
    let _ = explain_way(&found.ruleset, &packet, &telling);
}

/// A packet is said as it is read.
fn packet(text: &str) {
    if let Ok(packet) = text.parse::<Packet>() {
        assert_eq!(packet.to_string().parse(), Ok(packet));
    }
}

/// A policy that is read from JSON is written to the same.
fn policy_json(text: &str) {
    if let Ok(policy) = serde_json::from_str::<Policy>(text) {
        let written = serde_json::to_string(&policy).expect("a policy is JSON");
        assert_eq!(serde_json::from_str::<Policy>(&written).expect("it was written so"), policy);
    }
}
