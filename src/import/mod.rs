//! Other systems' configuration, to policies that say the same.
//!
//! Each mesh has a folder: what its configuration says, to what its kinds of policies mean. What a
//! policy cannot say, or the mesh refuses, is a mistake; what has no effect, or says nothing about
//! traffic, is left out with a note. Nothing is dropped in silence. [`IMPORTERS`] lists the meshes.
//! [`rules`] goes the way back from a mesh's rules.

mod advice;
pub mod appmesh;
pub mod consul;
#[cfg(feature = "import-pod")]
mod doctor;
mod environment;
mod finding;
mod flags;
mod general;
mod go;
mod importer;
mod iptables;
pub mod istio;
mod json;
pub mod kuma;
mod level;
pub mod linkerd;
#[cfg(feature = "import-pod")]
mod manifest;
mod naming;
pub mod osm;
mod prefix;
mod report;
pub mod rules;
mod shell;
mod words;

pub(crate) use words::nearest;

use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::net::IpAddr;

pub use advice::{Advice, Words};
#[cfg(feature = "import-pod")]
pub use doctor::{Examined, examine};
pub use finding::{Finding, Given, Source};
pub use general::{GeneralReason, GeneralRemark, NoRules, Sort};
pub use importer::{Extra, Form, GivenAs, IMPORTERS, Importer, Told};
pub use level::Level;

use advice::Advise;

use crate::net::Name;
use crate::policy::{Comments, GroupIds, Policy};
use crate::span::Span;

/// What the input does not say.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// What to call the policy. Without one, it is called after the pod or the configuration, and
    /// otherwise after the mesh; several policies get numbers behind a name they share.
    pub name: Option<Name>,
    /// Variables beside the arguments: lines of `NAME=value`, as a shell reads them.
    pub environment: String,
    /// Numbers of the users that are given by name.
    pub users: GroupIds,
    /// Numbers of the groups that are given by name.
    pub groups: GroupIds,
    /// Whether IPv6 is captured, where the mesh would look at the workload's addresses.
    pub ipv6: Option<bool>,
    /// The workload's addresses, without those of loopback and of links, where the mesh would look at them
    /// and `ipv6` does not say it.
    pub addresses: Vec<IpAddr>,
    /// The text of the workload's `/etc/resolv.conf`, where the mesh would read it.
    pub resolv_conf: Option<String>,
    /// Whether only findings are wanted: what is not known is then taken for the widest case, and not
    /// asked for.
    pub is_examined: bool,
    /// The text of the mesh's own configuration, which all pods share, in YAML or JSON.
    pub mesh_config: Option<String>,
}

/// What was imported, with remarks `R`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported<R> {
    /// The policies, in the order of the input. No two have the same name.
    pub policies: Vec<Policy>,
    /// Where each of them comes from, in the same order.
    pub comments: Vec<Comments>,
    /// Where in the manifests the first workload of each is, in the same order.
    pub places: Vec<Option<Span>>,
    /// What they do not carry over, and why.
    pub notes: Vec<Finding<R>>,
}

/// Why nothing was imported: everything that is wrong with the input, with remarks `R` and reasons
/// `M`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused<R, M> {
    /// What is wrong. Never empty.
    pub mistakes: Vec<Finding<M>>,
    /// What there is to know besides.
    pub notes: Vec<Finding<R>>,
    /// The policies of the workloads in which nothing is wrong, and their places.
    pub rest: Vec<(Policy, Option<Span>)>,
}

/// The mistakes, one a line.
impl<R, M: Display> Display for Refused<R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.mistakes.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl<R: Debug, M: Debug + Display> Error for Refused<R, M> {}

/// Leaves out the notes that `is_kept` does not keep.
fn keep_notes<R, M>(
    result: &mut Result<Imported<R>, Refused<R, M>>,
    is_kept: impl Fn(&Finding<R>) -> bool,
) {
    let notes = match result {
        Ok(imported) => &mut imported.notes,
        Err(refused) => &mut refused.notes,
    };
    notes.retain(is_kept);
}

/// The same in words, for those who know no mesh.
fn told<R: Display + Advise, M: Display + Advise>(
    result: Result<Imported<R>, Refused<R, M>>,
) -> Told {
    match result {
        Ok(Imported { policies, comments, places, notes }) => {
            Ok(Imported { policies, comments, places, notes: in_words(notes) })
        }
        Err(Refused { mistakes, notes, rest }) => {
            Err(Refused { mistakes: in_words(mistakes), notes: in_words(notes), rest })
        }
    }
}

/// What `arguments` makes of the words of a command line, in words.
fn told_arguments<R: Display + Advise, M: Display + Advise + From<GeneralReason>>(
    text: &str,
    context: &Context,
    arguments: impl FnOnce(&[String], &Context) -> Result<Imported<R>, Refused<R, M>>,
) -> Told {
    let words = split(text);
    told(words.map_err(refused).and_then(|words| arguments(&words, context)))
}

/// Refuses everything, for one reason.
fn refused<R, M: From<GeneralReason>>(why: GeneralReason) -> Refused<R, M> {
    let mistake = Finding { about: None, given: None, at: None, what: why.into() };
    Refused { mistakes: vec![mistake], notes: Vec::new(), rest: Vec::new() }
}

fn in_words<T: Display + Advise>(findings: Vec<Finding<T>>) -> Vec<Finding<Words>> {
    let word = |Finding { about, given, at, what }: Finding<T>| Finding {
        about,
        given,
        at,
        what: Words { text: what.to_string(), advice: what.advice() },
    };
    findings.into_iter().map(word).collect()
}

/// The words of a command line, as a shell splits it; nothing is expanded. A text that begins with `[`
/// is an array of texts in JSON, as `kubectl -o jsonpath` prints arguments.
///
/// # Errors
///
/// If a quote is not closed, a backslash is the last character, or the array is none.
pub fn split(text: &str) -> Result<Vec<String>, GeneralReason> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(|error| json::unreadable(&error));
    }
    let words = shell::split(text).map(|words| words.into_iter().map(|(_, word)| word).collect());
    words.ok_or(GeneralReason::OpenQuote)
}
