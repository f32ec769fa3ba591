//! libnftables JSON, schema version 1: what `nft -j -f` takes and `nft -j list ruleset` prints.
//!
//! Commands are taken in their order: `add`, `delete` and `flush`, or bare objects, which mean
//! `add`. Counters, comments, handles and what is logged mean nothing and are passed over. A form
//! that is not known here is an error, never a guess. The forms are those of nft 1.0.1 to 1.1.7.

mod action;
mod commands;
mod matching;
mod value;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::ir::Ruleset;

/// What to read, and what the text cannot say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The names of the tables to read; all others are someone else's, and passed over unread.
    /// `None`: every table.
    pub tables: Option<BTreeSet<String>>,
    /// Sets that others fill. A set without elements is taken for one.
    pub filled: BTreeSet<String>,
}

/// A part of the text that cannot be read exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("object {object}: {problem}")]
pub struct ReadError {
    /// The place of the object in `nftables`, from 0.
    pub object: usize,
    /// What is wrong with it.
    pub problem: ReadProblem,
}

/// Why a part of the text cannot be read exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadProblem {
    /// Not JSON at all, or without `nftables`.
    #[error("not libnftables JSON: {why}")]
    NotJson {
        /// Why not.
        why: String,
    },
    /// Something that is known, but not in this form.
    #[error("cannot read this {what}: {json}")]
    Unknown {
        /// What it is: `match`, `statement`.
        what: &'static str,
        /// The JSON, or its beginning.
        json: String,
    },
    /// A part that is not there.
    #[error("no `{key}` in {json}")]
    Missing {
        /// The part.
        key: &'static str,
        /// The JSON around it, or its beginning.
        json: String,
    },
    /// A name that means nothing.
    #[error("no {what} `{name}`")]
    NoSuch {
        /// What was looked for: `table`, `chain`, `set`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Chains that jump to each other in a circle.
    #[error("chain `{chain}` leads back to itself")]
    Circle {
        /// A chain of the circle.
        chain: String,
    },
}

/// The ruleset of `text`.
///
/// # Errors
///
/// Every object that cannot be read, in the order of the text.
pub fn read(text: &str, options: &Options) -> Result<Ruleset, Vec<ReadError>> {
    let not_json = |why: &str| {
        vec![ReadError { object: 0, problem: ReadProblem::NotJson { why: why.to_owned() } }]
    };
    let json: Value = serde_json::from_str(text).map_err(|why| not_json(&why.to_string()))?;
    let objects = json.get("nftables").and_then(Value::as_array);
    let objects = objects.ok_or_else(|| not_json("no list `nftables`"))?;
    commands::run(objects, options)
}

fn unknown(what: &'static str, json: &Value) -> ReadProblem {
    ReadProblem::Unknown { what, json: shown(json) }
}

/// The value of `key`, which must be there.
fn part<'a>(json: &'a Value, key: &'static str) -> Result<&'a Value, ReadProblem> {
    json.get(key).ok_or_else(|| ReadProblem::Missing { key, json: shown(json) })
}

fn text<'a>(json: &'a Value, key: &'static str) -> Result<&'a str, ReadProblem> {
    let value = part(json, key)?;
    value.as_str().ok_or_else(|| unknown(key, value))
}

/// The one key of an object, and its value.
fn single<'a>(what: &'static str, json: &'a Value) -> Result<(&'a str, &'a Value), ReadProblem> {
    let mut entries = json.as_object().into_iter().flatten();
    match (entries.next(), entries.next()) {
        (Some((key, value)), None) => Ok((key, value)),
        _ => Err(unknown(what, json)),
    }
}

/// Whether `json` has no keys but `keys`.
fn only_keys(json: &Value, keys: &[&str]) -> bool {
    json.as_object().is_none_or(|object| object.keys().all(|key| keys.contains(&key.as_str())))
}

/// The beginning of `json`, for messages.
fn shown(json: &Value) -> String {
    const MOST: usize = 120;
    let text = json.to_string();
    match text.char_indices().nth(MOST) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests;
