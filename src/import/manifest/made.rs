//! Policies as they are made: named after the workload, and equal ones together.

use std::collections::{BTreeMap, BTreeSet};

use super::Mesh;
use super::pod::Pod;
use crate::import::Context;
use crate::import::general::GeneralRemark;
use crate::import::naming::Names;
use crate::import::report::{MadePolicy, Report};
use crate::policy::{Kind, Unchecked};

/// Most workloads of a policy, and most origins of a clause, that comments list.
const MOST_WORKLOADS: usize = 20;
const MOST_ORIGINS: usize = 3;

/// Adds a line, or says that there are others.
fn push(lines: &mut Vec<String>, line: String, most: usize) {
    match lines.len() {
        count if count < most => lines.push(line),
        count if count == most => lines.push("and others".to_owned()),
        _ => {}
    }
}

/// What was made of pods so far.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) policies: Vec<MadePolicy>,
    /// Where a policy is that means the same, by what it means.
    known: BTreeMap<String, usize>,
    /// What policies mean, and of which workloads they are.
    workloads: BTreeSet<(String, String)>,
    names: Names,
}

impl Made {
    /// Nothing.
    pub(super) fn of(mesh: &Mesh) -> Self {
        Self {
            policies: Vec::new(),
            known: BTreeMap::new(),
            workloads: BTreeSet::new(),
            names: Names::of(mesh.name),
        }
    }

    /// Adds the policy of a pod, or the pod to those of an equal one.
    pub(super) fn add<R: From<GeneralRemark>, M>(
        &mut self,
        kind: Kind,
        pod: &Pod<'_>,
        context: &Context,
        report: &mut Report<R, M>,
    ) {
        let mut comments = std::mem::take(&mut report.comments);
        let workload = pod.workload();
        let meaning = serde_json::to_string(&kind).unwrap_or_default();
        if let Some((_, others, _)) =
            self.known.get(&meaning).and_then(|at| self.policies.get_mut(*at))
        {
            let is_new = self.workloads.insert((meaning, workload.clone()));
            if is_new {
                push(&mut others.policy, workload, MOST_WORKLOADS);
            }
            for (clause, lines) in comments.clauses {
                let said = others.clauses.entry(clause).or_default();
                for line in lines {
                    if !said.contains(&line) {
                        push(said, line, MOST_ORIGINS);
                    }
                }
            }
            return;
        }
        self.workloads.insert((meaning.clone(), workload.clone()));
        comments.policy.push(workload);
        let written = pod.policy_name();
        let name = self.names.take(context.name.as_ref(), written.as_deref(), report);
        self.known.insert(meaning, self.policies.len());
        self.policies.push((Unchecked::of(name, kind), comments, report.here));
    }
}
