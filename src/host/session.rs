//! A change of a namespace, from looking at it to proving it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::compiled::Compiled;
use super::error::{Error, Left, Step};
use super::gate;
use super::iptables::{self, Removal};
use super::live::Live;
use super::lock::Lock;
use super::owned::Owned;
use super::preflight;
use super::program::Program;
use super::readback;
use super::routing::Routing;
use super::undo::{Reached, Undo, is_back};
use crate::ip::iptables::is_of_a_capture;
use crate::policy::GroupIds;
use crate::verify::Answer;

/// How a namespace is changed.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long to wait while another change is made. Default: 10 seconds.
    pub patience: Duration,
    /// Whether rules of iptables go that a mesh's own tool, or weir, left, once the new ones are there, in
    /// both variants and families. Default: no.
    pub replace_istio: bool,
    /// Chains of iptables and tables of nft that are somebody else's, and are not read. A `*` at the end stands
    /// for any rest. What may be in them is not known then, and the answer says so.
    pub leave_out: BTreeSet<String>,
    /// Numbers of groups that rules of others name.
    pub groups: GroupIds,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(10),
            replace_istio: false,
            leave_out: BTreeSet::new(),
            groups: GroupIds::new(),
        }
    }
}

/// What was done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Done {
    /// Whether anything was changed.
    pub is_changed: bool,
    /// Whether traffic fares as the policies say: [`Answer::Equal`], or [`Answer::EqualAsFarAsKnown`] where rules
    /// of others are not understood or were left out.
    pub answer: Answer,
    /// What else is to be told, each a sentence without a period.
    pub notes: Vec<String>,
}

/// A namespace that is about to be changed, and that nobody else changes meanwhile who takes the lock. It is the
/// one that this thread is in: see [`Namespace::enter`](super::Namespace::enter).
#[derive(Debug)]
pub struct Session {
    live: Live,
    lock: Lock,
    options: Options,
}

/// What is to be done.
#[derive(Debug)]
pub struct Plan<'p> {
    goal: Goal<'p>,
    routing: Option<Routing>,
    rules: Option<Program>,
    removals: Vec<Removal>,
    /// Whether a gate was left, by a run that was killed.
    is_gated: bool,
    undo: Undo,
}

/// What is to be in the end.
#[derive(Clone, Copy, Debug)]
enum Goal<'p> {
    Loaded(&'p Compiled),
    Gone(&'p Owned),
}

impl Session {
    /// Looks whether the namespace can be changed, takes its lock, and reads what is loaded.
    ///
    /// # Errors
    ///
    /// [`Step::Preflight`], [`Step::Lock`], [`Step::Read`]; nothing was changed then.
    pub fn begin(options: Options) -> Result<Self, Error> {
        preflight::capability().map_err(|why| Error::before(Step::Preflight, why))?;
        let lock = Lock::take(options.patience).map_err(|why| Error::before(Step::Lock, why))?;
        let live = Live::ask().map_err(|why| Error::before(Step::Read, why))?;
        Ok(Self { live, lock, options })
    }

    /// What has to be done so that policies are loaded, and nothing if they are.
    ///
    /// # Errors
    ///
    /// [`Step::Preflight`], if something is missing or too old, or the kernel would refuse the rules;
    /// [`Step::Read`], if rules of others cannot be read, or what is listed cannot.
    pub fn plan<'p>(&self, compiled: &'p Compiled) -> Result<Plan<'p>, Error> {
        let read = |why| Error::before(Step::Read, why);
        let preflight = |why| Error::before(Step::Preflight, why);
        preflight::nft(compiled).map_err(preflight)?;
        // Rules that cannot be read are better known before anything is changed.
        readback::all(&self.live, compiled, &self.options).map_err(read)?;
        let routing = match &self.live.routing {
            Some(listings) => Some(Routing::with(&compiled.owned, listings).map_err(preflight)?),
            None if compiled.owned.needs() => {
                preflight::ip().map_err(preflight)?;
                None
            }
            None => None,
        };
        if routing.as_ref().is_some_and(|routing| !routing.is_settled()) {
            preflight::ip().map_err(preflight)?;
        }
        let is_loaded = readback::is_loaded(&self.live, compiled).map_err(read)?;
        let rules = (!is_loaded).then(|| preflight::loader(compiled));
        if rules.is_some() {
            preflight::kernel(compiled).map_err(preflight)?;
        }
        let removals = if self.options.replace_istio {
            iptables::removals(&self.live, &compiled.owned, true)
        } else {
            Vec::new()
        };
        let undo = Undo::to(&self.live, &compiled.owned, routing.as_ref(), &removals);
        let is_gated = gate::is_there(&self.live);
        Ok(Plan { goal: Goal::Loaded(compiled), routing, rules, removals, is_gated, undo })
    }

    /// What has to be done so that nothing of policies is left, of no version; with `of_upstream`, also of what
    /// Istio's own tool leaves in chains that are not its own.
    ///
    /// # Errors
    ///
    /// [`Step::Read`], if what is listed cannot be read.
    pub fn plan_removal<'p>(&self, owned: &'p Owned, of_upstream: bool) -> Result<Plan<'p>, Error> {
        let live = &self.live;
        let has_table = live.tables().any(|(family, name, _)| owned.has_table(family, name));
        let rules = has_table.then(|| removal(owned));
        let removals = iptables::removals(live, owned, of_upstream);
        let routing = live
            .routing
            .as_ref()
            .map(|listings| Routing::without(owned, listings, is_captured_by_another(live, owned)));
        let routing = routing.transpose().map_err(|why| Error::before(Step::Read, why))?;
        let undo = Undo::to(live, owned, routing.as_ref(), &removals);
        let is_gated = gate::is_there(live);
        Ok(Plan { goal: Goal::Gone(owned), routing, rules, removals, is_gated, undo })
    }

    /// Does what is planned, and proves that it is done. If it fails, or what is there then is not what is
    /// wanted, everything is put back.
    ///
    /// New routing comes first, then rules, then rules of iptables go, and old routing goes last, once it is proved
    /// that the rules are what is wanted. After a kill the rules are old or new. While rules go that set marks, TCP
    /// is held back for a moment.
    ///
    /// # Errors
    ///
    /// [`Step::Routing`], [`Step::Rules`], [`Step::Verify`], or [`Step::Undo`] if something could not be put back.
    pub fn carry_out(&self, plan: &Plan<'_>) -> Result<Done, Error> {
        // What can be known to go wrong is not tried: even for a moment it would meet packets.
        if !plan.is_nothing() {
            self.foresee(plan)?;
        }
        let mut reached = Reached::Routing;
        let done = self.try_out(plan, &mut reached);
        done.map_err(|(step, why)| {
            if plan.is_nothing() {
                return Error::before(step, why);
            }
            // A transaction that failed has changed nothing.
            if Live::ask().is_ok_and(|now| now.uncounted() == self.live.uncounted()) {
                reached = Reached::Routing;
            }
            let back = plan.undo.run_from(reached, &self.lock).map_err(|error| error.to_string());
            let back = back.and_then(|()| {
                let now = Live::ask().map_err(|error| error.to_string())?;
                if is_back(&self.live, &now)? {
                    return Ok(());
                }
                Err("what is listed is not what was listed before".to_owned())
            });
            match back {
                Ok(()) => Error { step, why, left: Left::Restored },
                Err(undo) => {
                    let why = format!("{undo}, behind {step}: {why}");
                    Error { step: Step::Undo, why, left: Left::Changed }
                }
            }
        })
    }

    fn try_out(&self, plan: &Plan<'_>, reached: &mut Reached) -> Result<Done, (Step, String)> {
        let run_all = |step: Step, programs: &[Program]| {
            let mut runs = programs.iter().map(|program| program.change(&self.lock));
            runs.try_for_each(|run| run.map_err(|error| (step, error.to_string())))
        };
        let routing = plan.routing.as_ref().filter(|routing| !routing.is_settled());
        if let Some(routing) = routing {
            run_all(Step::Routing, &routing.additions())?;
        }
        let holds_back = plan.rules.is_some() && plan.removals.iter().any(|removal| removal.marks);
        if holds_back {
            *reached = Reached::Rules;
            run_all(Step::Rules, &[gate::close()])?;
        }
        if let Some(rules) = &plan.rules {
            *reached = Reached::Rules;
            rules.change(&self.lock).map_err(|error| match plan.goal {
                Goal::Loaded(compiled) => (Step::Rules, preflight::refused(compiled, &error)),
                Goal::Gone(_) => (Step::Rules, error.to_string()),
            })?;
        }
        if !plan.removals.is_empty() {
            // Only once it is proved that the new rules are there, the old ones may go.
            if let Goal::Loaded(compiled) = plan.goal {
                own_rules(&ask()?, compiled)?;
            }
            *reached = Reached::Iptables;
            let away: Vec<_> = plan.removals.iter().map(|it| it.away.clone()).collect();
            run_all(Step::Rules, &away)?;
        }
        if holds_back || plan.is_gated {
            *reached = (*reached).max(Reached::Rules);
            run_all(Step::Rules, &[gate::open()])?;
        }
        let is_changed = !plan.is_nothing();
        let live = if is_changed { &ask()? } else { &self.live };
        let done = match plan.goal {
            Goal::Loaded(compiled) => self.proved(live, compiled, is_changed)?,
            Goal::Gone(owned) => gone(live, owned)?,
        };
        if let Some(routing) = routing {
            run_all(Step::Routing, &routing.removals())?;
        }
        Ok(Done { is_changed, ..done })
    }

    /// Proves that what is loaded is what the policies say, beside whatever else is.
    fn proved(
        &self,
        live: &Live,
        compiled: &Compiled,
        is_changed: bool,
    ) -> Result<Done, (Step, String)> {
        let verify = |why| (Step::Verify, why);
        if is_changed {
            own_rules(live, compiled)?;
        }
        let missing = readback::missing(live, compiled).map_err(verify)?;
        if !missing.is_empty() {
            return Err(verify(format!("not there: {}", missing.join(", "))));
        }
        let all = readback::all(live, compiled, &self.options).map_err(verify)?;
        let verdict = readback::beside(&all, compiled).map_err(verify)?;
        let mut notes = Vec::new();
        if live.routing.is_none() {
            notes.push("routing was not looked at: `ip` is not installed".to_owned());
        }
        match verdict.answer {
            Answer::Different => {
                let way = readback::first_way(&verdict);
                Err(verify(format!("rules of others stand in its way: {way}")))
            }
            answer => Ok(Done { is_changed, answer, notes }),
        }
    }

    /// Whether traffic would fare as the policies say if the plan were carried out, beside what is loaded now.
    ///
    /// # Errors
    ///
    /// [`Step::Verify`], if it would not.
    pub fn foresee(&self, plan: &Plan<'_>) -> Result<Done, Error> {
        let is_changed = !plan.is_nothing();
        let notes = Vec::new();
        let Goal::Loaded(compiled) = plan.goal else {
            return Ok(Done { is_changed, answer: Answer::Equal, notes });
        };
        let mut live = self.live.clone();
        live.nft = live
            .tables()
            .filter(|(family, name, _)| !compiled.owned.has_table(family, name))
            .filter(|(family, name, _)| !gate::is(family, name))
            .map(|(_, _, text)| text)
            .collect();
        if !plan.removals.is_empty() {
            iptables::without(&mut live, &compiled.owned, true);
        }
        let all = readback::all(&live, compiled, &self.options);
        let mut all = all.map_err(|why| Error::before(Step::Read, why))?;
        all.tables.extend(compiled.frame.tables.iter().cloned());
        let verify = |why| Error::before(Step::Verify, why);
        let verdict = readback::beside(&all, compiled).map_err(verify)?;
        if verdict.answer == Answer::Different {
            let way = readback::first_way(&verdict);
            let has_old = !iptables::removals(&live, &compiled.owned, true).is_empty();
            let hint = if has_old { " (`--replace-istio` takes iptables' away)" } else { "" };
            return Err(verify(format!("rules of others would stand in its way: {way}{hint}")));
        }
        Ok(Done { is_changed, answer: verdict.answer, notes })
    }

    /// The lock of the namespace.
    #[must_use]
    pub const fn lock(&self) -> &Lock {
        &self.lock
    }
}

impl Plan<'_> {
    /// Whether nothing has to be done.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.rules.is_none()
            && self.removals.is_empty()
            && !self.is_gated
            && self.routing.as_ref().is_none_or(Routing::is_settled)
    }

    /// The way back.
    #[must_use]
    pub const fn undo(&self) -> &Undo {
        &self.undo
    }

    /// What it does, a line each, in order.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let routing = self.routing.as_ref().filter(|routing| !routing.is_settled());
        let batches = |programs: Vec<Program>| {
            let lines = programs.into_iter().flat_map(|program| {
                let option = program.arguments.first().cloned().unwrap_or_default();
                let lines = program.input.lines().map(move |line| format!("ip {option} {line}"));
                lines.collect::<Vec<_>>()
            });
            lines.collect::<Vec<_>>()
        };
        let mut lines = routing.map(|it| batches(it.additions())).unwrap_or_default();
        lines.extend(self.rules.as_ref().map(|rules| {
            format!("nft {}: {} lines", rules.arguments.join(" "), rules.input.lines().count())
        }));
        lines.extend(self.removals.iter().map(|removal| {
            let Program { name, arguments, input } = &removal.away;
            format!("{name} {}: {} lines", arguments.join(" "), input.lines().count())
        }));
        lines.extend(routing.map(|it| batches(it.removals())).unwrap_or_default());
        lines
    }
}

/// What is loaded now, to be verified.
fn ask() -> Result<Live, (Step, String)> {
    Live::ask().map_err(|error| (Step::Verify, error.to_string()))
}

fn own_rules(live: &Live, compiled: &Compiled) -> Result<(), (Step, String)> {
    match readback::is_loaded(live, compiled) {
        Ok(true) => Ok(()),
        Ok(false) => Err((Step::Verify, "what the kernel holds is not what was loaded".to_owned())),
        Err(why) => Err((Step::Verify, why)),
    }
}

/// Proves that nothing of the policies' rules is left.
fn gone(live: &Live, owned: &Owned) -> Result<Done, (Step, String)> {
    let left = live.tables().find(|(family, name, _)| owned.has_table(family, name));
    if let Some((family, name, _)) = left {
        return Err((Step::Verify, format!("table {family} {name} is still there")));
    }
    if !iptables::removals(live, owned, false).is_empty() {
        return Err((Step::Verify, "rules of iptables are still there".to_owned()));
    }
    Ok(Done { is_changed: true, answer: Answer::Equal, notes: Vec::new() })
}

/// What takes the tables of policies away, in one transaction.
fn removal(owned: &Owned) -> Program {
    Program::reading("nft", &["-f", "-"], owned.removal())
}

/// Whether a capture is loaded, of a mesh that is none of these policies', which needs the address that theirs do.
fn is_captured_by_another(live: &Live, owned: &Owned) -> bool {
    let tables = live.tables().filter(|(family, name, _)| !owned.has_table(family, name));
    let chains = live.iptables.iter().flat_map(|(_, [_, v6])| v6.lines());
    let chains =
        chains.filter_map(|line| line.strip_prefix(':')).filter(|name| !owned.has_chain(name));
    tables
        .map(|(_, name, _)| (name, true))
        .chain(chains.map(|name| (name, false)))
        .any(|(name, is_table)| is_of_a_capture(name, is_table))
}
