//! Policies in JSON, read as strictly as text: what is not known is refused, with what may have been meant.

mod strict;
mod unique;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

pub(super) use self::strict::Wrong;
use self::strict::{Step, strictly};
use self::unique::Unique;
use super::Unchecked;
use super::kinds::{KINDS, Kind};
use crate::diag::{Diagnostic, Problem, shown};
use crate::import::nearest;
use crate::span::{Sources, Span};

/// Whether a text that should be a policy is JSON, and none of the language: it begins with a list, or with an
/// object that has a field.
pub(crate) fn is_json(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.trim_start();
    let in_object = text.strip_prefix('{').map(str::trim_start);
    text.starts_with('[') || in_object.is_some_and(|text| text.starts_with('"'))
}

/// Whether a text in JSON is a policy, and not rules.
pub(crate) fn is_policy(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Probe {
        kind: Option<Value>,
        nftables: Option<serde::de::IgnoredAny>,
    }
    // Rules may be long, and have no field of this name.
    if !text.contains("\"kind\"") {
        return false;
    }
    let probes = if text.trim_start().starts_with('[') {
        serde_json::from_str::<Vec<Probe>>(text)
    } else {
        serde_json::from_str::<Probe>(text).map(|probe| vec![probe])
    };
    probes.is_ok_and(|all| all.iter().all(|it| it.kind.is_some() && it.nftables.is_none()))
}

/// The policy, or the policies of a list, that a text in JSON says.
///
/// # Errors
///
/// What is wrong with it. Its place lies in `sources`, which has nothing but the text.
pub(crate) fn read(sources: &Sources) -> Result<Vec<Unchecked>, Diagnostic> {
    let beginning = sources.beginning();
    let text = beginning.map_or("", |at| &sources.file(at.file).text);
    let at = |range: Option<(usize, usize)>| {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let (start, end) = range.unwrap_or_default();
        beginning.map(|it| Span { start: offset(start), end: offset(end), ..it })
    };
    let Unique(value) = serde_json::from_str(text).map_err(|error| {
        let place = offset(text, error.line(), error.column());
        let said = error.to_string();
        // It puts the place at the end.
        let why = said.split(" at line ").next().unwrap_or_default().to_owned();
        let problem = Problem::NotInJson { field: String::new(), why, instead: None };
        problem.of(at(Some((place, place))))
    })?;
    let policies = match value {
        Value::Array(policies) => {
            let policies = policies.into_iter().enumerate();
            let one =
                |(at, policy)| unchecked(policy).map_err(|wrong| wrong.under(Step::Index(at)));
            policies.map(one).collect()
        }
        policy => unchecked(policy).map(|policy| vec![policy]),
    };
    policies.map_err(|wrong| {
        let place = at(located(text, wrong.path()));
        Problem::NotInJson { field: wrong.field(), why: wrong.why, instead: wrong.instead }
            .of(place)
    })
}

/// Reads an object with a name and a kind. What it does not say is as the language has it.
impl<'de> Deserialize<'de> for Unchecked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Unique(value) = Unique::deserialize(deserializer)?;
        unchecked(value).map_err(serde::de::Error::custom)
    }
}

fn unchecked(value: Value) -> Result<Unchecked, Wrong> {
    let Value::Object(mut fields) = value else {
        return Err(Wrong::new("expected an object, with `kind` and `name`"));
    };
    let mut word = |field: &str| match fields.remove(field) {
        Some(Value::String(word)) => Ok(word),
        Some(_) => Err(Wrong::new("expected a string").under(Step::Field(field.to_owned()))),
        None => Err(Wrong::new(format!("expected the field `{field}`"))),
    };
    let kind = word("kind")?;
    let name = word("name")?;
    let Some(entry) = KINDS.iter().find(|entry| entry.keyword == kind) else {
        let known = || KINDS.iter().map(|entry| entry.keyword);
        let wrong = Wrong::unknown("kind", &kind, nearest(&kind, known()), known());
        return Err(wrong.under(Step::Field("kind".to_owned())));
    };
    let expectations = match fields.remove("expectations") {
        None => Vec::new(),
        Some(value) => strictly(value)
            .map_err(|wrong: Wrong| wrong.under(Step::Field("expectations".to_owned())))?,
    };
    let kind: Kind = (entry.read_json)(Value::Object(fields))?;
    Ok(Unchecked { name, kind, expectations })
}

/// Reads a policy of a kind.
pub(super) fn kind<P: for<'de> Deserialize<'de> + Into<Kind>>(value: Value) -> Result<Kind, Wrong> {
    strictly::<P>(value).map(Into::into)
}

/// Where the value is to which `path` leads; of a field that is not there, where it should be.
fn located<'p>(text: &str, path: impl Iterator<Item = &'p Step>) -> Option<(usize, usize)> {
    let mut raw: &RawValue = serde_json::from_str(text).ok()?;
    for step in path {
        let next = match step {
            Step::Field(field) => serde_json::from_str::<Fields<'_>>(raw.get())
                .ok()
                .and_then(|fields| fields.get(field).copied()),
            Step::Index(at) => serde_json::from_str::<Vec<&RawValue>>(raw.get())
                .ok()
                .and_then(|items| items.get(*at).copied()),
        };
        let Some(next) = next else { break };
        raw = next;
    }
    let start = raw.get().as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    // An object that lacks something is long: where it begins will do.
    let is_long = raw.get().starts_with(['{', '[']);
    Some((start, if is_long { start + 1 } else { start + raw.get().len() }))
}

type Fields<'a> = std::collections::BTreeMap<String, &'a RawValue>;

/// The byte at a line and a column, both from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let at = (before + column.saturating_sub(1)).min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// `text` for a message.
fn quoted(text: &str) -> String {
    format!("`{}`", shown(text))
}
