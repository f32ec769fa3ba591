//! What is found about the policies of one file.

use std::io;

use super::report::{Coverage, Covered, Expectation, File, Mutant, Place, Policy, State};
use crate::cli::forms::Findings;
use crate::cli::project::{Found, Scope};
use crate::diag::{Diagnostic, Problem};
use crate::policy;
use crate::semantics::Limit;
use crate::span::Span;
use crate::testing::{Tested, Verdict};
use crate::{Compilation, Failure};

/// What is asked beside whether expectations hold.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) coverage: bool,
    pub(super) mutants: bool,
}

/// Tests the policies of a file.
pub(super) fn look(found: &Found, scope: &Scope, wanted: Wanted) -> io::Result<File> {
    let mut file = File { source: found.name.clone(), policies: Vec::new(), findings: None };
    let compilation = match scope.compiled(found, false)? {
        Ok(compilation) => compilation,
        Err(Failure { sources, diagnostics }) => {
            file.findings = Some(Findings::new(&found.name, sources, diagnostics));
            return Ok(file);
        }
    };
    for policy in &compilation.policies {
        match tested(&compilation, policy, wanted) {
            Ok(policy) => file.policies.push(policy),
            Err(limit) => {
                let subject = "a policy and its changes";
                let problem = Problem::TooEntangled { subject, why: limit.to_string() };
                let found = vec![problem.of(None)];
                let sources = compilation.sources.clone();
                file.findings = Some(Findings::new(&file.source, sources, found));
            }
        }
    }
    Ok(file)
}

fn tested(
    compilation: &Compilation,
    policy: &policy::Policy,
    wanted: Wanted,
) -> Result<Policy, Limit> {
    let tested = compilation.test(policy).into_iter();
    let coverage = || -> Result<Coverage, Limit> {
        let found = compilation.coverage(policy)?;
        let rungs = found.rungs.iter().map(|covered| {
            let words = format!("{} {}", covered.part.number(), covered.part.title());
            Covered { place: None, words, times: covered.times, can_be: covered.can_be }
        });
        let clauses = found.clauses.iter().map(|covered| {
            let words = compilation.clauses.at(covered.part);
            Covered {
                place: Some(place(compilation, covered.part)),
                words: words.map(|clause| clause.words.clone()).unwrap_or_default(),
                times: covered.times,
                can_be: covered.can_be,
            }
        });
        Ok(Coverage { rungs: rungs.collect(), clauses: clauses.collect() })
    };
    let mutants = || -> Result<Vec<Mutant>, Limit> {
        let mutants = compilation.mutants(policy)?.into_iter().map(|mutant| Mutant {
            place: place(compilation, mutant.clause),
            change: mutant.change,
            fate: mutant.fate,
        });
        Ok(mutants.collect())
    };
    Ok(Policy {
        name: policy.name.to_string(),
        expectations: tested.map(|tested| expectation(compilation, tested)).collect(),
        coverage: wanted.coverage.then(coverage).transpose()?,
        mutants: wanted.mutants.then(mutants).transpose()?,
    })
}

fn place(compilation: &Compilation, at: Span) -> Place {
    let (line, column) = compilation.sources.line_column(at);
    Place { file: compilation.sources.file(at.file).name.clone(), line, column }
}

fn expectation(compilation: &Compilation, tested: Tested) -> Expectation {
    let (state, why, because) = match &tested.verdict {
        Verdict::Holds => (State::Holds, None, None),
        Verdict::Idle => {
            (State::Idle, Some("there is no packet that it is about".to_owned()), None)
        }
        Verdict::Broken(found) => {
            (State::Broken, Some(why(found)), because(compilation, tested.clause, found))
        }
    };
    let place = tested.clause.map(|clause| place(compilation, clause));
    Expectation { place, words: tested.words, state, why, because }
}

/// ``outbound tcp … is untouched``.
fn why(found: &Diagnostic) -> String {
    match &found.problem {
        Problem::Unmet { packet, becomes, .. } => format!("`{packet}` is {becomes}"),
        other => other.to_string(),
    }
}

/// The rung and the clause that decide.
fn because(compilation: &Compilation, own: Option<Span>, found: &Diagnostic) -> Option<String> {
    let told = found.labels.iter().find(|label| !label.text.is_empty())?;
    if Some(told.at) == own {
        return Some(told.text.clone());
    }
    let Place { file, line, column } = place(compilation, told.at);
    let words = compilation.clauses.at(told.at);
    let words = words.map(|clause| clause.words.clone()).unwrap_or_default();
    Some(format!("{}; {file}:{line}:{column} {words}", told.text))
}
