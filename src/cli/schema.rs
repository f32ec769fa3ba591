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
use crate::net::Name;
use crate::policy::{self, Expectation};

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

/// The schema of a policy in JSON: of each kind, its fields beside those that all have. A field that has a
/// default may be left out.
fn policy() -> String {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let expectations = generator.subschema_for::<Vec<Expectation>>();
    let kinds = policy::schemas(&mut generator).into_iter().map(|(keyword, schema)| {
        let mut schema = Value::from(schema);
        let fields = schema["properties"].as_object_mut().unwrap();
        fields.insert("kind".to_owned(), json!({ "const": keyword }));
        fields.insert("name".to_owned(), json!({ "$ref": "#/$defs/Name" }));
        let what = "What must become of traffic.";
        let mut expectations = Value::from(expectations.clone());
        expectations["description"] = json!(what);
        fields.insert("expectations".to_owned(), expectations);
        schema["required"] = json!(["kind", "name"]);
        schema["title"] = json!(keyword);
        schema
    });
    let kinds: Vec<Value> = kinds.collect();
    generator.subschema_for::<Name>();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A policy, or a list of policies, as commands take it and `weir show --json` prints it",
        "anyOf": [
            { "$ref": "#/$defs/Policy" },
            { "type": "array", "items": { "$ref": "#/$defs/Policy" } }
        ],
        "$defs": generator.take_definitions(true),
    });
    schema["$defs"]["Policy"] = json!({ "oneOf": kinds });
    optional(&mut schema);
    serde_json::to_string_pretty(&sorted(schema)).unwrap() + "\n"
}

/// Takes from `required` what has a default, or is left out where it is empty.
fn optional(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let has_default = |field: &Value| {
                let property = fields.get("properties").and_then(|all| all.get(field.as_str()?));
                property.is_some_and(|it| it.get("default").is_some() || is_nullable(it))
            };
            let required = fields.get("required").and_then(Value::as_array);
            let left = required.map(|all| all.iter().filter(|field| !has_default(field)).cloned());
            if let Some(left) = left.map(Iterator::collect::<Vec<_>>) {
                fields.insert("required".to_owned(), left.into());
            }
            fields.values_mut().for_each(optional);
        }
        Value::Array(items) => items.iter_mut().for_each(optional),
        _ => {}
    }
}

/// Whether it may be `null`, which is what it is where it is left out.
fn is_nullable(property: &Value) -> bool {
    property["type"].as_array().is_some_and(|types| types.contains(&json!("null")))
        || property["anyOf"].as_array().is_some_and(|all| all.contains(&json!({ "type": "null" })))
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
        ("policy", policy()),
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
