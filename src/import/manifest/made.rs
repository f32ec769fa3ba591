//! Policies as they are made: named after the workload, and equal ones together.

use std::collections::BTreeMap;

use super::Mesh;
use super::pod::Pod;
use crate::import::Context;
use crate::import::general::GeneralRemark;
use crate::import::naming::Names;
use crate::import::report::{MadePolicy, Report};
use crate::policy::{Kind, Policy};

/// What was made of pods so far.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) policies: Vec<MadePolicy>,
    /// Where a policy is that means the same, by what it means.
    known: BTreeMap<String, usize>,
    names: Names,
}

impl Made {
    /// Nothing.
    pub(super) fn of(mesh: &Mesh) -> Self {
        Self { policies: Vec::new(), known: BTreeMap::new(), names: Names::of(mesh.name) }
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
            if !others.policy.contains(&workload) {
                others.policy.push(workload);
            }
            for (clause, lines) in comments.clauses {
                for line in lines {
                    others.add(clause, line);
                }
            }
            return;
        }
        comments.policy.push(workload);
        let written = pod.policy_name();
        let name = self.names.take(context.name.as_ref(), written.as_deref(), report);
        self.known.insert(meaning, self.policies.len());
        let policy = Policy { name, kind, expectations: Vec::new() };
        self.policies.push((policy, comments, report.here));
    }
}
