//! What is wrong with manifests, or does nothing: what the imports of all meshes find, and what becomes of
//! the policies.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::general::{GeneralReason, GeneralRemark};
use super::manifest::Manifest;
use super::report::Report;
use super::{Context, Finding, GivenAs, IMPORTERS, Imported, Refused, Words, in_words};
use crate::diag::{Diagnostic, Fault, Problem, in_order};
use crate::net::{Family, PortRange, PortSet};
use crate::policy::{Detail, Kind, Policy, Selection, Sidecar, print};
use crate::span::{Sources, Span};
use crate::syntax::NoIncludes;
use crate::{Options, compile};

/// What manifests hold, and what is wrong with them.
#[derive(Debug, Default)]
pub struct Examined {
    /// How many policies they come to, those of equal workloads counted once.
    pub policies: usize,
    /// What is wrong, in the order of the manifests.
    pub diagnostics: Vec<Diagnostic>,
}

/// Examines manifests for every mesh whose names are in them. What would have to be asked for is taken for
/// the widest case: it is no fault of theirs.
#[must_use]
pub fn examine(sources: &Sources, context: &Context) -> Examined {
    let context = Context { is_examined: true, ..context.clone() };
    let mut examined = Examined::default();
    let mut said = BTreeSet::new();
    let mut tell = |findings: Vec<Finding<Words>>| -> Vec<Diagnostic> {
        // Pods of one workload say the same, and every mesh reads the same texts; once is enough.
        let new = findings.into_iter().filter(|finding| said.insert(format!("{finding}")));
        new.filter_map(|finding| of_finding(&finding)).collect()
    };
    examined.diagnostics.extend(tell(unread(sources)));
    for importer in IMPORTERS {
        let is_spoken_of = |text: &str| importer.marks.iter().any(|mark| text.contains(mark));
        let forms = importer.forms.iter();
        let Some(form) = forms.clone().find(|form| matches!(form.given, GivenAs::Files(_))) else {
            continue;
        };
        if !sources.files().any(|file| is_spoken_of(&file.text)) {
            continue;
        }
        let mut findings = Vec::new();
        let policies: Vec<_> = match form.read(sources, &context) {
            Ok(Imported { policies, comments: _, places, notes }) => {
                findings.extend(notes);
                policies.into_iter().zip(places).collect()
            }
            Err(Refused { mistakes, notes, rest }) => {
                findings.extend(notes.into_iter().chain(mistakes));
                rest
            }
        };
        examined.policies += policies.len();
        for (policy, place) in &policies {
            examined.diagnostics.extend(of_policy(policy, *place));
        }
        examined.diagnostics.extend(tell(findings));
    }
    examined.diagnostics = in_order(std::mem::take(&mut examined.diagnostics));
    examined
}

/// The files that cannot be read, or hold nothing that could be a manifest.
fn unread(sources: &Sources) -> Vec<Finding<Words>> {
    let mut report: Report<GeneralRemark, GeneralReason> = Report::default();
    let manifest = Manifest::read(sources, &mut report);
    for (file, source) in sources.with_ids() {
        let is_of_it = |at: Span| at.file == file;
        if manifest.has_objects_of(file)
            || report.mistakes.iter().filter_map(|it| it.at).any(is_of_it)
        {
            continue;
        }
        let at = Span { file, start: 0, end: 0 };
        let reason = GeneralReason::NoManifest { file: source.name.clone() };
        report.mistakes.push(Finding { about: None, given: None, at: Some(at), what: reason });
    }
    in_words(report.mistakes)
}

fn of_finding(finding: &Finding<Words>) -> Option<Diagnostic> {
    let advice = finding.what.advice.clone()?;
    let about = finding.about.clone().unwrap_or_default();
    let message = Finding { about: None, ..finding.clone() }.to_string();
    let problem = Problem::Manifest { fault: advice.fault, message, instead: advice.instead };
    Some(match finding.at {
        Some(at) => problem.at(at, about),
        None => problem.of(None),
    })
}

/// What is wrong with what a pod's options come to.
fn of_policy(policy: &Policy, place: Option<Span>) -> Vec<Diagnostic> {
    let options = Options { verify: false, ..Options::default() };
    let text = print(policy, Detail::Differences);
    let Ok(compilation) = compile("policy", &text, &NoIncludes, &options) else {
        return Vec::new();
    };
    let warnings = compilation.all_warnings().into_iter().filter_map(|found| {
        let (fault, message, instead) = match found.problem {
            Problem::CapturesNothing { .. } => (
                Fault::NothingCaptured,
                "nothing is captured, inbound or outbound".to_owned(),
                "capture something, or turn injection off",
            ),
            Problem::OpenFamily { family, other } => (
                Fault::OpenFamily,
                format!("everything of {other} is captured, and nothing of {family}"),
                if family == Family::Ipv6 {
                    "list `::/0` too, or write `*`"
                } else {
                    "list `0.0.0.0/0` too, or write `*`"
                },
            ),
            Problem::DnsExcluded { .. } => (
                Fault::DnsNeeds,
                "DNS is captured, and every query is left out of it".to_owned(),
                "take port 53 out of the excluded outbound ports",
            ),
            _ => return None,
        };
        Some((fault, message, instead.to_owned()))
    });
    let mut found: Vec<_> = warnings.collect();
    let captures_nothing = found.iter().any(|(fault, ..)| *fault == Fault::NothingCaptured);
    if let Kind::Sidecar(sidecar) = &policy.kind
        && !captures_nothing
        && leaves_everything_out(sidecar)
    {
        let message = "nothing outbound is captured".to_owned();
        let instead = "exclude less; where that is meant, include nothing instead".to_owned();
        found.push((Fault::NothingCaptured, message, instead));
    }
    let problem = |(fault, message, instead)| {
        let problem = Problem::Manifest { fault, message, instead: Some(instead) };
        match place {
            Some(at) => problem.at(at, ""),
            None => problem.of(None),
        }
    };
    found.into_iter().map(problem).collect()
}

/// Whether what is excluded leaves nothing of what is to be captured.
fn leaves_everything_out(sidecar: &Sidecar) -> bool {
    let outbound = &sidecar.outbound;
    if outbound.capture_to.is_none() && outbound.capture_ports.is_empty() {
        return false;
    }
    let excluded = IpNet::aggregate(&outbound.exclude_to);
    let is_all = |family: Family| {
        excluded
            .iter()
            .any(|net| net.prefix_len() == 0 && net.addr().is_ipv4() == (family == Family::Ipv4))
    };
    let ports: PortSet = outbound.exclude_ports.iter().copied().collect();
    let is_captured = |family: Family| match &*outbound.capture_to {
        Selection::All => true,
        Selection::Only(nets) => {
            nets.iter().any(|net| net.addr().is_ipv4() == (family == Family::Ipv4))
                || !outbound.capture_ports.is_empty()
        }
    };
    let captured: Vec<_> = sidecar.families.iter().filter(|family| is_captured(*family)).collect();
    let all_ports: PortSet = PortRange::new(1, u16::MAX).into_iter().collect();
    captured.iter().all(|family| is_all(*family)) || all_ports.minus(&ports).is_empty()
}
