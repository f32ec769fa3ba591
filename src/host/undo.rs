//! The way back from a change.

use std::io;

use serde::{Deserialize, Serialize};

use super::gate;
use super::iptables::Removal;
use super::live::Live;
use super::lock::Lock;
use super::owned::Owned;
use super::program::Program;
use super::routing::{self, Routing};

/// How a namespace becomes what it was before a change. It can be written down, for another process to do.
///
/// As on the way there, routes that rules need are there before them, and in no moment is less captured than by
/// what was there or by what will be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Undo {
    /// Routing that was there.
    routing: Vec<Program>,
    /// Rules of iptables that were there.
    iptables: Vec<Program>,
    /// Tables of nft's that were there.
    rules: Program,
    /// Routing that was not there.
    routed: Vec<Program>,
}

/// How far a change went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reached {
    /// Routing was added.
    Routing,
    /// Rules of nft were changed.
    Rules,
    /// Rules of iptables were taken away.
    Iptables,
}

impl Undo {
    /// The way back to `live`.
    pub(super) fn to(
        live: &Live,
        owned: &Owned,
        routing: Option<&Routing>,
        removals: &[Removal],
    ) -> Self {
        let mut script = owned.removal() + &gate::opening();
        let own = live.tables().filter(|(family, name, _)| owned.has_table(family, name));
        script.extend(own.map(|(_, _, text)| text));
        Self {
            routing: routing.map(Routing::additions_again).unwrap_or_default(),
            iptables: removals.iter().map(|removal| removal.back.clone()).collect(),
            rules: Program::reading("nft", &["-f", "-"], script),
            routed: routing.map(Routing::additions_undone).unwrap_or_default(),
        }
    }

    /// Puts back everything.
    ///
    /// # Errors
    ///
    /// What could not be put back.
    pub fn run(&self, lock: &Lock) -> io::Result<()> {
        self.run_from(Reached::Iptables, lock)
    }

    /// Puts back what was changed.
    pub(super) fn run_from(&self, reached: Reached, lock: &Lock) -> io::Result<()> {
        // What is there already is an error to `ip`, and none here.
        let forced = |programs: &[Program]| {
            for program in programs {
                let mut program = program.clone();
                program.arguments.insert(0, "-force".to_owned());
                let _ = program.change(lock);
            }
        };
        forced(&self.routing);
        let mut rules = Vec::new();
        if reached >= Reached::Iptables {
            rules.extend(&self.iptables);
        }
        if reached >= Reached::Rules {
            rules.push(&self.rules);
        }
        // As much as can be put back is.
        let tried: Vec<_> = rules.into_iter().map(|program| program.change(lock)).collect();
        forced(&self.routed);
        tried.into_iter().collect()
    }
}

/// Whether a namespace is what it was.
pub(super) fn is_back(before: &Live, now: &Live) -> Result<bool, String> {
    let routing = match (&before.routing, &now.routing) {
        (Some(before), Some(now)) => routing::are_same(before, now)?,
        _ => true,
    };
    Ok(routing && before.uncounted() == now.uncounted())
}
