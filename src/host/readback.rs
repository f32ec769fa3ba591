//! Whether what the kernel holds is what policies say.

use std::collections::BTreeSet;

use super::compiled::{Compiled, PLAIN};
use super::live::{Live, Unreadable};
use super::session::Options;
use crate::diag::escape::on_one_line;
use crate::ip::standing;
use crate::ir::Ruleset;
use crate::prove::{have_one_frame, holds};
use crate::reader::{iptables, nft};
use crate::verify::{Verdict, verified};

/// Whether the tables of policies are there, are those that loading makes, and treat every packet as the
/// policies say.
pub(super) fn is_loaded(live: &Live, compiled: &Compiled) -> Result<bool, String> {
    let own = own(live, compiled)?;
    if !have_one_frame(&own, &compiled.frame) {
        return Ok(false);
    }
    Ok(holds(&compiled.meaning, &own, false))
}

/// What is in the tables of policies.
fn own(live: &Live, compiled: &Compiled) -> Result<Ruleset, String> {
    let mut own = live.clone();
    own.nft = live
        .tables()
        .filter(|(family, name, _)| compiled.owned.has_table(family, name))
        .map(|(_, _, text)| text)
        .collect();
    own.iptables.clear();
    own.has_iptables_nft = false;
    let options = nft::Options { filled: compiled.filled(), ..nft::Options::default() };
    let read = own.read(options, &iptables::Options::default());
    read.map(|rules| rules.found.ruleset).map_err(|why| unreadable(&why))
}

/// Everything that is loaded.
pub(super) fn all(live: &Live, compiled: &Compiled, options: &Options) -> Result<Ruleset, String> {
    let of_nft = nft::Options {
        leave_out: options.leave_out.clone(),
        filled: compiled.filled(),
        ..nft::Options::default()
    };
    let of_iptables = iptables::Options {
        groups: options.groups.clone(),
        leave_out: options.leave_out.clone(),
        ..iptables::Options::default()
    };
    let rules = live.read(of_nft, &of_iptables).map_err(|why| unreadable(&why))?;
    let found = rules.found;
    match found.unused.first() {
        Some(pattern) => {
            let pattern = on_one_line(pattern);
            Err(format!("there is no table or chain `{pattern}`, which is to be left out"))
        }
        None => Ok(found.ruleset),
    }
}

/// Whether traffic fares as the policies say while all of `loaded` is.
pub(super) fn beside(loaded: &Ruleset, compiled: &Compiled) -> Result<Verdict, String> {
    verified(compiled.side(), (loaded, &PLAIN)).map_err(|limit| limit.to_string())
}

/// The first way in which it does not, in words.
pub(super) fn first_way(verdict: &Verdict) -> String {
    verdict.ways.ways.first().map_or_else(String::new, |way| {
        let packet = way.begins.as_ref().unwrap_or(&way.packet);
        format!("`{packet}` must be {}, and is {}", way.left.words(), way.right.words())
    })
}

/// What policies need beside their rules and is not there.
pub(super) fn missing(live: &Live, compiled: &Compiled) -> Result<Vec<String>, String> {
    let Some(listings) = &live.routing else { return Ok(Vec::new()) };
    let mut missing = BTreeSet::new();
    for policy in compiled.owned.policies() {
        missing.extend(standing(policy, listings)?.missing);
    }
    Ok(missing.into_iter().collect())
}

fn unreadable(why: &Unreadable) -> String {
    let (name, first, others) = match why {
        Unreadable::Nft(errors) => ("nft", errors.first().map(ToString::to_string), errors.len()),
        Unreadable::Iptables(errors) => {
            ("iptables-save", errors.first().map(ToString::to_string), errors.len())
        }
    };
    let more = if others > 1 { format!(", and {} more", others - 1) } else { String::new() };
    format!(
        "cannot read {name}: {}{more}; leave out what is somebody else's",
        first.unwrap_or_default()
    )
}
