//! The schemas in `docs/schema` are those of the types that are printed.

use std::fs;
use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use super::differences::Compared;
use super::golden::report::Report;
use super::report::ImportRecord;
use super::table::Tables;
use super::{doctor, lint, test};
use crate::diag::render::{Message, Record};
use crate::explain::Explanation;

/// A line of `--message-format json` on standard error.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "its schema is all that is asked for")]
enum Line {
    /// Something that was found.
    Record(Message<Record>),
    /// What an import has to say.
    Import(Message<ImportRecord>),
}

/// The schema of `T`, whose `kind` is one of some words.
fn schema<T: JsonSchema>(title: &str, kinds: &[(&str, &[&str])]) -> String {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema: Value = Schema::into(generator.into_root_schema_for::<T>());
    schema["title"] = json!(title);
    for (pointer, words) in kinds {
        let message = schema.pointer_mut(pointer).unwrap();
        message["properties"]["kind"]["enum"] = json!(words);
        message["properties"]["version"]["const"] = json!(1);
    }
    serde_json::to_string_pretty(&sorted(schema)).unwrap() + "\n"
}

/// `value` with its keys in order, whatever order the features of other crates give them.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.into_iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries.into_iter().map(|(key, value)| (key, sorted(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

/// `WEIR_WRITE_SCHEMAS=1 cargo test --lib schema` writes them.
#[test]
fn schemas_are_those_of_what_is_printed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    let all = [
        (
            "message",
            schema::<Line>(
                "A line of `--message-format json`",
                &[
                    ("/$defs/Message", &["diagnostic", "note", "failure"]),
                    ("/$defs/Message2", &["import"]),
                ],
            ),
        ),
        ("golden", schema::<Message<Report>>("What `weir golden` reports", &[("", &["golden"])])),
        (
            "lint",
            schema::<Message<lint::report::Report>>("What `weir lint` reports", &[("", &["lint"])]),
        ),
        (
            "doctor",
            schema::<Message<doctor::report::Report>>(
                "What `weir doctor` reports",
                &[("", &["doctor"])],
            ),
        ),
        (
            "test",
            schema::<Message<test::report::Report>>("What `weir test` reports", &[("", &["test"])]),
        ),
        (
            "explanation",
            schema::<Message<Explanation>>(
                "What `weir explain --json` says",
                &[("", &["explanation"])],
            ),
        ),
        ("table", schema::<Message<Tables>>("What `weir table --json` says", &[("", &["table"])])),
        (
            "comparison",
            schema::<Message<Compared<'static>>>(
                "What `weir verify --json` and `weir diff --json` say",
                &[("", &["comparison"])],
            ),
        ),
    ];
    for (name, is) in all {
        let path = folder.join(format!("{name}.schema.json"));
        if std::env::var_os("WEIR_WRITE_SCHEMAS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &is).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap_or_default(), is, "{name}");
    }
}
