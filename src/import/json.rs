//! Configuration in JSON: one object, or several.

use serde_json::{Map, Value};

use super::general::{GeneralReason, GeneralRemark};
use super::naming::Names;
use super::report::Report;
use super::words::nearest;
use super::{Context, Given, Imported, Refused};
use crate::policy::{Kind, Unchecked};

/// An object of a configuration.
pub(crate) type Object = Map<String, Value>;

/// The policies that `read` makes of the objects of `text`: one, several, or an array of them.
/// `mesh` is what a policy is called whose object has no `name`.
pub(crate) fn configurations<R, M>(
    text: &str,
    mesh: &'static str,
    context: &Context,
    mut read: impl FnMut(&Object, &mut Report<R, M>) -> Option<Kind>,
) -> Result<Imported<R>, Refused<R, M>>
where
    R: From<GeneralRemark>,
    M: From<GeneralReason>,
{
    let mut report = Report::default();
    let mut policies = Vec::new();
    let mut names = Names::of(mesh);
    let entries = entries(text, &mut report);
    let several = entries.len() > 1;
    for (at, entry) in entries.iter().enumerate() {
        let Value::Object(entry) = entry else {
            report.fail(wrong_type(entry, "an object"));
            continue;
        };
        let written = entry.get("name").and_then(Value::as_str);
        report.about = several
            .then(|| written.map_or_else(|| format!("configuration {}", at + 1), str::to_owned));
        if let Some(kind) = read(entry, &mut report) {
            let name = names.take(context.name.as_ref(), written, &mut report);
            let comments = std::mem::take(&mut report.comments);
            policies.push((Unchecked::of(name, kind), comments, None));
        }
    }
    report.about = None;
    if entries.is_empty() && report.mistakes.is_empty() {
        report.fail(GeneralReason::Nothing);
    }
    report.finish(policies)
}

/// The objects of the text.
fn entries<R, M: From<GeneralReason>>(text: &str, report: &mut Report<R, M>) -> Vec<Value> {
    let mut entries = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        match value {
            Ok(Value::Array(several)) => entries.extend(several),
            Ok(one) => entries.push(one),
            Err(error) => report.fail(unreadable(&error)),
        }
    }
    entries
}

/// What the reader said, and where.
pub(crate) fn unreadable(error: &serde_json::Error) -> GeneralReason {
    let said = error.to_string();
    GeneralReason::Unreadable {
        form: "JSON",
        // It puts the place at the end.
        why: said.split(" at line ").next().unwrap_or_default().to_owned(),
        line: error.line() as u64,
        column: error.column() as u64,
    }
}

/// The `kind` and the `config` of an object; an object without a `config` is one itself. `None`,
/// with a mistake, if the `config` is no object.
pub(crate) fn config<'a, R, M: From<GeneralReason>>(
    entry: &'a Object,
    report: &mut Report<R, M>,
) -> Option<(Option<&'a Value>, &'a Object)> {
    match entry.get("config") {
        Some(Value::Object(config)) => Some((entry.get("kind"), config)),
        Some(other) => {
            report.refuse(&Given::field("config", ""), wrong_type(other, "an object"));
            None
        }
        None => Some((None, entry)),
    }
}

/// The `config` of an object as [`config`] has it, whose `kind` is `kind` if it has one. `None`, with a
/// mistake, if it is of another.
pub(crate) fn config_of<'a, R, M: From<GeneralReason>>(
    kind: &'static str,
    entry: &'a Object,
    report: &mut Report<R, M>,
) -> Option<&'a Object> {
    let (found, config) = config(entry, report)?;
    if let Some(found) = found.filter(|found| *found != kind) {
        report.refuse(&Given::field("kind", found.to_string()), GeneralReason::OtherKind { kind });
        return None;
    }
    Some(config)
}

/// Refuses an option that is none of `known`.
pub(crate) fn refuse_unknown<'a, R, M: From<GeneralReason>>(
    key: &str,
    known: impl Iterator<Item = &'a str>,
    report: &mut Report<R, M>,
) {
    let nearest = nearest(key, known).map(str::to_owned);
    report.refuse(&Given::field(key, ""), GeneralReason::UnknownOption { nearest });
}

/// The text; `null` is none, as for Go.
pub(crate) fn text<R, M: From<GeneralReason>>(
    key: &str,
    value: &Value,
    report: &mut Report<R, M>,
) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => refuse_type(key, other, "text", report),
    }
}

/// The boolean; `null` is none, as for Go.
pub(crate) fn switch<R, M: From<GeneralReason>>(
    key: &str,
    value: &Value,
    report: &mut Report<R, M>,
) -> Option<bool> {
    match value {
        Value::Bool(on) => Some(*on),
        Value::Null => None,
        other => refuse_type(key, other, "`true` or `false`", report),
    }
}

/// The number, as text; `null` is none, as for Go.
pub(crate) fn number<R, M: From<GeneralReason>>(
    key: &str,
    value: &Value,
    report: &mut Report<R, M>,
) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::Null => None,
        other => refuse_type(key, other, "a number", report),
    }
}

/// The texts of an array, with commas between them; `null` is none, as for Go.
pub(crate) fn list<R, M: From<GeneralReason>>(
    key: &str,
    value: &Value,
    report: &mut Report<R, M>,
) -> Option<String> {
    list_of(key, value, report, |item, report| text(key, item, report)).map(|texts| texts.join(","))
}

/// The items of an array, as `read` reads them; `null` is none, as for Go.
pub(crate) fn list_of<T, R, M: From<GeneralReason>>(
    key: &str,
    value: &Value,
    report: &mut Report<R, M>,
    mut read: impl FnMut(&Value, &mut Report<R, M>) -> Option<T>,
) -> Option<Vec<T>> {
    match value {
        // Every item is read, so that everything that is wrong is said.
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| read(item, report)).collect();
            items.into_iter().collect()
        }
        Value::Null => None,
        other => refuse_type(key, other, "an array", report),
    }
}

/// The object; `null` is none, as for Go.
pub(crate) fn object<'a, R, M: From<GeneralReason>>(
    key: &str,
    value: &'a Value,
    report: &mut Report<R, M>,
) -> Option<&'a Object> {
    match value {
        Value::Object(object) => Some(object),
        Value::Null => None,
        other => refuse_type(key, other, "an object", report),
    }
}

/// Refuses a value of the wrong type.
pub(crate) fn refuse_type<T, R, M: From<GeneralReason>>(
    key: &str,
    found: &Value,
    expected: &'static str,
    report: &mut Report<R, M>,
) -> Option<T> {
    let value =
        if found.is_object() || found.is_array() { String::new() } else { found.to_string() };
    report.refuse(&Given::field(key, value), wrong_type(found, expected));
    None
}

/// What is there, and what should be.
pub(crate) fn wrong_type(found: &Value, expected: &'static str) -> GeneralReason {
    let found = match found {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    GeneralReason::WrongType { found, expected }
}
