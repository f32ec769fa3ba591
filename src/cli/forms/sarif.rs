//! SARIF 2.1.0, which code hosts show as findings of static analysis.
//!
//! Only what weir has to say of the standard (OASIS, 2020) is here; `serde-sarif` reads it back in the
//! tests.

use std::collections::BTreeMap;

use serde::Serialize;

use super::escape::{sarif_message, uri};
use crate::diag::explain;
use crate::diag::render::{Extent, Level, Record, RecordLabel, RecordSuggestion};

/// The document of one run. `failures` are why the run could not end; `described` says what codes
/// mean that have no page.
pub(in crate::cli) fn document(
    records: &[Record],
    failures: &[String],
    described: &[(&str, &str)],
) -> String {
    let mut rules: Vec<Rule> = Vec::new();
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for code in records.iter().filter_map(|record| record.code.as_deref()) {
        known.entry(code).or_insert_with(|| {
            rules.push(Rule::of(code, described));
            rules.len() - 1
        });
    }
    let results = records.iter().map(|record| {
        let index = record.code.as_deref().and_then(|code| known.get(code).copied());
        Finding::of(record, index)
    });
    let notification = |text: &String| Notification { level: "error", message: Text::plain(text) };
    let log = Log {
        schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver { name: "weir", version: env!("CARGO_PKG_VERSION"), rules },
            },
            invocations: [Invocation {
                execution_successful: failures.is_empty(),
                tool_execution_notifications: failures.iter().map(notification).collect(),
            }],
            column_kind: "unicodeCodePoints",
            results: results.collect(),
        }],
    };
    serde_json::to_string_pretty(&log).expect("strings and numbers are JSON") + "\n"
}

#[derive(Serialize)]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    invocations: [Invocation; 1],
    column_kind: &'static str,
    results: Vec<Finding>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    level: &'static str,
    message: Text,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    short_description: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<Text>,
}

#[derive(Serialize)]
struct Text {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    markdown: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_index: Option<usize>,
    level: &'static str,
    message: Text,
    locations: Vec<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixes: Vec<Fix>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Text>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: usize,
    start_column: usize,
    end_line: usize,
    end_column: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fix {
    description: Text,
    artifact_changes: [Change; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    artifact_location: Artifact,
    replacements: [Replacement; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Replacement {
    deleted_region: Region,
    inserted_content: Content,
}

#[derive(Serialize)]
struct Content {
    text: String,
}

impl Rule {
    fn of(code: &str, described: &[(&str, &str)]) -> Self {
        let page = explain(code);
        let heading =
            page.and_then(|page| page.lines().next()?.strip_prefix("# ")?.split_once(": "));
        let described = described.iter().find(|(known, _)| *known == code).map(|(_, words)| *words);
        let short = heading.map(|(_, title)| title).or(described);
        let help = |page: &str| Text { text: page.to_owned(), markdown: Some(page.to_owned()) };
        Self {
            id: code.to_owned(),
            short_description: short.map(Text::plain),
            help: page.map(help),
        }
    }
}

impl Finding {
    fn of(record: &Record, rule_index: Option<usize>) -> Self {
        let level = match record.severity {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        let mut labels = record.labels.iter();
        Self {
            rule_id: record.code.clone(),
            rule_index,
            level,
            message: Text::plain(&super::text(record)),
            locations: labels.next().map(|label| Location::of(label, false)).into_iter().collect(),
            related_locations: labels.map(|label| Location::of(label, true)).collect(),
            fixes: record.suggestions.iter().map(Fix::of).collect(),
        }
    }
}

impl Text {
    fn plain(text: &str) -> Self {
        Self { text: sarif_message(text), markdown: None }
    }
}

impl Location {
    fn of(label: &RecordLabel, is_told: bool) -> Self {
        let message = Some(&label.text).filter(|text| is_told && !text.is_empty());
        Self {
            physical_location: PhysicalLocation {
                artifact_location: Artifact { uri: uri(&label.file) },
                region: label.at.as_ref().map(Region::of),
            },
            message: message.map(|text| Text::plain(text)),
        }
    }
}

impl Region {
    fn of(at: &Extent) -> Self {
        Self {
            start_line: at.line,
            start_column: at.column,
            end_line: at.end_line,
            end_column: at.end_column,
        }
    }
}

impl Fix {
    fn of(suggestion: &RecordSuggestion) -> Self {
        let words = match suggestion.replacement.as_str() {
            "" => "remove it".to_owned(),
            replacement => format!("write `{replacement}`"),
        };
        Self {
            description: Text::plain(&words),
            artifact_changes: [Change {
                artifact_location: Artifact { uri: uri(&suggestion.file) },
                replacements: [Replacement {
                    deleted_region: Region::of(&suggestion.at),
                    // What a program writes is to be exact, and JSON escapes it.
                    inserted_content: Content { text: suggestion.replacement.clone() },
                }],
            }],
        }
    }
}
