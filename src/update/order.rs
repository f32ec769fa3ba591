//! The order of commands: what something names is there before it, and goes behind it.

use crate::nft::{At, Command, Object, Script, State, Verb};

use super::{Stop, ties};

/// How rules that go are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// By their handles. What is loaded is known.
    Handle,
    /// All of a chain together. What comes may be there already, and what goes may be gone.
    Chain,
}

/// When a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Rules go.
    RulesGo,
    /// Chains go, which no rule leads to any longer.
    ChainsGo,
    /// Sets, which no rule names any longer, and tables go.
    SetsGo,
    /// Tables, sets, elements and chains come.
    ThingsCome,
    /// Rules come.
    RulesCome,
}

/// The commands of an update.
pub(super) struct Order<'s> {
    pub(super) by: By,
    phases: [Vec<Command<'s>>; 5],
}

impl<'s> Order<'s> {
    /// What makes `new` of `old`.
    pub(super) fn of(old: &State<'s>, new: &State<'s>, by: By) -> Result<Self, Stop> {
        let mut order = Self { by, phases: Default::default() };
        order.tables(old, new)?;
        Ok(order)
    }

    pub(super) fn push(&mut self, phase: Phase, verb: Verb, object: Object<'s>) {
        self.phases[phase as usize].push(Command { at: At::Nowhere, verb, object });
    }

    /// The transaction.
    pub(super) fn script(self) -> Script<'s> {
        let mut commands: Vec<_> = self.phases.into_iter().flatten().collect();
        if commands.is_empty() {
            let object = Object::Remark("Nothing differs.".into());
            commands.push(Command { at: At::Nowhere, verb: Verb::Add, object });
        }
        Script::of(commands)
    }
}

/// Whether base chains that stay and base chains that come would run in another order than those of `new` alone.
pub(super) fn is_in_order(old: &State<'_>, new: &State<'_>) -> bool {
    let (was, is) = (ties(old), ties(new));
    is.iter().all(|(place, chains)| {
        let kept: Vec<_> =
            was.get(place).into_iter().flatten().filter(|it| chains.contains(it)).collect();
        let come = chains.iter().filter(|it| !kept.contains(it));
        kept.iter().copied().chain(come).eq(chains.iter())
    })
}
