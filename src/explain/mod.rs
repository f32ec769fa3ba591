//! What a ruleset does to packets, in words: what becomes of one and which rule and clause decide
//! it, and in what two rulesets differ.

mod difference;
mod path;
mod treatment;

use serde::Serialize;

use crate::ir::{Origin, Ruleset};
use crate::lower::{Layout, lower};
use crate::policy::Policy;
use crate::semantics::{Packet, Run, run};
use crate::span::Sources;

pub use difference::{Change, DifferenceWords, differences};
pub use path::{ClauseWords, RungWords, StepWords};
pub use treatment::Treatment;

pub use crate::lower::Ports;

/// What rules are told with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The policy that they were made from, if they were.
    pub policy: Option<&'a Policy>,
    /// What the clauses of the policy lie in.
    pub sources: Option<&'a Sources>,
    /// Whether chains are called as iptables calls them: `ISTIO_OUTPUT`.
    pub is_iptables: bool,
}

/// What becomes of a packet, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The packet, with everything that is as usual written out.
    pub packet: String,
    /// What becomes of it: `captured: redirected to the outbound proxy port 15001`.
    pub outcome: String,
    /// Whether it goes to the proxy.
    pub captured: bool,
    /// The port that it goes to instead of its own.
    pub port: Option<u16>,
    /// What changes beside that: `mark 0x539`, `zone 2`.
    pub also: Vec<String>,
    /// The rung of the ladder that decides; `None` if no rung fits, or the rules are not a
    /// policy's.
    pub rung: Option<RungWords>,
    /// The clause that decides; `None` if a default does.
    pub clause: Option<ClauseWords>,
    /// The rules that match, in the order in which they run.
    pub path: Vec<StepWords>,
}

/// Why a packet fares as it does: the rung and the clause of the rule that decides. `None` if no
/// rule does.
pub(crate) fn origin(run: &Run<'_>) -> Option<Origin> {
    path::deciding(run).map(|at| run.trace[at].rule.origin)
}

/// Takes `packet` through `ruleset` and says why it fares so.
#[must_use]
pub fn explain(ruleset: &Ruleset, packet: &Packet, context: &Context<'_>) -> Explanation {
    let run = run(ruleset, packet);
    let ports =
        context.policy.map_or_else(Ports::default, |policy| lower(policy, Layout::default()).ports);
    let treatment = Treatment::of(&run.outcome);
    let decides = path::deciding(&run);
    let origin = origin(&run);
    Explanation {
        packet: packet.to_string(),
        outcome: ports.words(treatment),
        captured: treatment.is_captured(),
        port: treatment.port(),
        also: treatment::effects(packet, &run.outcome),
        rung: origin.and_then(|origin| RungWords::of(origin.rung)),
        clause: origin.and_then(|origin| Some(ClauseWords::of(origin.clause?, context.sources?))),
        path: path::words(&run, decides, context),
    }
}
