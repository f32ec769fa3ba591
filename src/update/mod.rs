//! The transaction that turns a version of policies that is loaded into another.
//!
//! ```text
//! OLD: a listing with handles ──listing──▶ ┌───────┐
//!      policies ──lower──build───────────▶ │ State │ ──┐
//!                                          └───────┘   ├─table─▶ sets · rules ──order──▶ Script ──print──▶ text
//! NEW: policies ──lower──build───────────▶ │ State │ ──┘
//! ```
//!
//! The difference of two programs is: tables, chains and sets by their names, elements of sets one by one, and
//! rules of a chain as a longest common subsequence. Two rules are the same if they are one rule in the IR with the
//! sets of NEW, name the same sets, have the same comment, and both count or both do not (`same.rs`). What is the
//! same is in no command, so that it keeps its counters.
//!
//! Rules that go are named by their handles where OLD is a listing, and such a transaction fails whole where one is
//! gone. Where OLD is policies, nobody knows handles: chains that differ are flushed and filled again, and the
//! transaction comes to NEW also where NEW is loaded.
//!
//! Commands stand in this order (`order.rs`): rules go; then chains, sets and tables, which nothing names any
//! longer; then sets with their elements, and chains come; and then the rules that name them. A set of another type
//! goes and comes again. A chain that the kernel enters, and that both have, stays where it is among others'; a set
//! that others fill is never flushed, filled or deleted. What cannot be done so is no update: the text that replaces
//! every version stands in its place, and its first line says why; so it does where an update would be longer.
//!
//! What comes out is proved like every text: read back and run on a model in which OLD is loaded, and NEW if it must
//! do there too, it leaves NEW.

mod listing;
mod order;
mod rules;
mod same;
mod sets;
mod table;

use std::collections::BTreeSet;

use crate::backend::nft;
use crate::compile::{Compilation, Failure, View};
use crate::diag::{Diagnostic, Problem};
use crate::net::Name;
use crate::nft::{Script, State, Target, text};
use crate::policy::Policy;
use crate::prove;

pub(crate) use order::By;
use order::Order;
pub(crate) use same::{Same, ties};

/// What is loaded.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Old<'a> {
    /// Text that `nft -a list ruleset` or `nft -j list ruleset` printed. Tables of others are passed over.
    Listing(&'a str),
    /// Policies as the same release of weir compiles them with the same options: layout, counters and comments are as
    /// those of NEW.
    Policies(&'a Compilation, &'a [&'a Policy]),
}

/// Two versions, and how the one becomes the other.
pub(crate) struct Versions<'v, 's> {
    /// The first of the policies that are to be loaded.
    policy: &'v Name,
    /// What is loaded.
    pub(crate) old: &'v State<'s>,
    /// What is to be loaded.
    pub(crate) new: &'v State<'s>,
    /// How rules that go are named; by chains, all comes to the same where `new` is loaded.
    pub(crate) by: By,
    /// Every table that may be touched.
    pub(crate) owned: &'v [Name],
    /// The oldest nft that has to load the text.
    pub(crate) target: Target,
}

/// Why the update is no change of single objects, or none at all.
enum Stop {
    /// The replacing transaction does it, because of this.
    Whole(&'static str),
    /// Nothing does it as the library promises.
    Refused(Problem),
}

/// Writes the transaction for `nft -f` that turns what is loaded, `old`, into `policies` of `new`.
///
/// # Errors
///
/// If `old` is not of the same kind, cannot be read, is a listing without handles, or holds what no policy makes
/// (`E405`); if nft cannot say a policy exactly (`E401`); or if the text is not proved to leave just what `new`
/// says, and everything of others (`E402`).
///
/// ```
/// use netweir::update::{Old, update};
/// use netweir::{Options, compile, syntax::NoIncludes};
///
/// let version = |ports: &str| {
///     let text = format!("sidecar web {{ inbound {{ exclude port {ports} }} }}");
///     compile("web.weir", &text, &NoIncludes, &Options::default()).unwrap()
/// };
/// let (old, new) = (version("22"), version("22, 9090"));
/// let [loaded, wanted] = [&old, &new].map(|version| [&version.policies[0]]);
///
/// let text = update(Old::Policies(&old, &loaded), &new, &wanted).unwrap();
/// assert!(text.contains("flush chain inet istio-proxy-nat istio-inbound\n"));
/// assert!(!text.contains("istio-output"));
/// ```
pub fn update(old: Old<'_>, new: &Compilation, policies: &[&Policy]) -> Result<String, Failure> {
    let made = between(old, new, policies, |versions| {
        // Which says, too, what two policies would claim both.
        let whole = new.texts(policies, View::Nft)?;
        let text = match Order::of(versions.old, versions.new, versions.by) {
            Ok(order) => {
                let commands = text::print_flat(&order.script());
                format!("{}{commands}", head(versions))
            }
            Err(Stop::Refused(problem)) => return Err(vec![problem.of(None)]),
            Err(Stop::Whole(why)) => return Ok(instead(why, &whole)),
        };
        if text.len() > whole.len() {
            let (longer, shorter) = (text.len(), whole.len());
            let why = format!("an update has {longer} bytes, and this {shorter}");
            return Ok(instead(&why, &whole));
        }
        if new.verifies() {
            proved(versions, &text)?;
        }
        Ok(text)
    });
    made.map_err(|found| new.failure(found))
}

/// Proves that `text`, which may have come from elsewhere, is as good as what [`update`] writes: where `old` is
/// loaded, and where it is policies also where `policies` of `new` are, it leaves these just as they are loaded on
/// nothing, what others have filled, and everything of others.
///
/// # Errors
///
/// If it is not (`E402`), and as for [`update`].
pub fn prove(
    old: Old<'_>,
    new: &Compilation,
    policies: &[&Policy],
    text: &str,
) -> Result<(), Failure> {
    let proved = between(old, new, policies, |versions| proved(versions, text));
    proved.map_err(|found| new.failure(found))
}

fn proved(versions: &Versions<'_, '_>, text: &str) -> Result<(), Vec<Diagnostic>> {
    prove::update::update(versions, text).map_err(|problem| vec![problem])
}

/// Does something about two versions.
fn between<T>(
    old: Old<'_>,
    new: &Compilation,
    policies: &[&Policy],
    then: impl FnOnce(&Versions<'_, '_>) -> Result<T, Vec<Diagnostic>>,
) -> Result<T, Vec<Diagnostic>> {
    let refused = |problem: Problem| vec![problem.of(None)];
    let Some(first) = policies.first() else {
        let why = "there is no policy to be loaded".to_owned();
        let instead = "take away what is loaded with `weir compile --emit teardown`";
        return Err(refused(Problem::NoUpdate { why, instead }));
    };
    let (policy, options) = (&first.name, new.nft_options());
    let (legal, owned) = new.legal(policies)?;
    let context = nft::Context { policy, owned: &owned, clauses: &new.clauses };
    let is = nft::commands(&legal, &context, options);
    let is = loaded(&is)?;
    let then = |was: &State<'_>, by| {
        let (owned, target) = (&*owned, options.target);
        then(&Versions { policy, old: was, new: &is, by, owned, target })
    };
    match old {
        Old::Listing(text) => {
            let script = listing::read(text, &owned).map_err(refused)?;
            then(&listing::loaded(&script).map_err(refused)?, By::Handle)
        }
        Old::Policies(old, loaded_policies) => {
            let (legal, its) = old.legal(loaded_policies)?;
            same_tables((loaded_policies, &its), (policies, &owned))?;
            let context = nft::Context { policy, owned: &its, clauses: &old.clauses };
            let was = nft::commands(&legal, &context, options);
            then(&loaded(&was)?, By::Chain)
        }
    }
}

/// What is there behind a script that is loaded on nothing.
fn loaded<'s>(script: &'s Script<'s>) -> Result<State<'s>, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let state = script.apply(State::default(), true, &mut errors);
    match errors.first() {
        None => Ok(state),
        Some(error) => {
            let why = error.to_string();
            Err(vec![Problem::NotProved { target: "the nft script", why }.of(None)])
        }
    }
}

/// What stands before the commands.
fn head(Versions { policy, by, .. }: &Versions<'_, '_>) -> String {
    let rest = match by {
        By::Handle => {
            "# It is for the ruleset that was listed, and names rules by their handles: `nft -f` loads all of it or,\n\
             # where a handle is gone, nothing. Between the listing and this, nobody else may change these tables."
        }
        By::Chain => {
            "# It is for where that one is loaded, or this one. `nft -f` loads all of it, or nothing: no packet meets\n\
             # a chain that is flushed and not yet filled again."
        }
    };
    format!(
        "# Policy `{policy}`, compiled by weir: what makes this version of the one that is loaded.\n{rest}\n"
    )
}

/// The text that replaces, and why it does.
fn instead(why: &str, whole: &str) -> String {
    format!("# Replaces the version that is loaded, where an update was asked for: {why}.\n{whole}")
}

/// That both are of the same kinds.
fn same_tables(
    (old, its): (&[&Policy], &[Name]),
    (new, owned): (&[&Policy], &[Name]),
) -> Result<(), Vec<Diagnostic>> {
    let set = |names: &[Name]| names.iter().cloned().collect::<BTreeSet<_>>();
    if set(its) == set(owned) {
        return Ok(());
    }
    let words = |policies: &[&Policy]| {
        let words = policies.iter().map(|it| format!("`{} {}`", it.kind.keyword(), it.name));
        words.collect::<Vec<_>>().join(" and ")
    };
    let why = format!("{} has other tables than {}", words(new), words(old));
    let instead = "take the old one away with `weir compile --emit teardown`, and load the new one \
                   with `weir compile --emit nft`";
    Err(vec![Problem::NoUpdate { why, instead }.of(None)])
}
