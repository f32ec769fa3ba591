//! The JSON that weir writes for nft, as others' programs take it: through the types of the `nftables` crate, and
//! by the schema that comes with nft's module for Python.

use std::fs;

use jsonschema::Draft;
use netweir::backend::nft;
use netweir::{Layout, Options, View};
use nftables::schema::Nftables;
use serde_json::{Value, json};

use crate::common::shipped::{compile_file, rulesets};
use crate::common::skip::skip;

/// Where Debian's package `python3-nftables` has it.
const SCHEMA: &str = "/usr/lib/python3/dist-packages/nftables/schema.json";

/// What is written for every policy that ships, in both layouts, with comments and counters and without; each with
/// the name of its policy.
fn documents() -> Vec<(String, String)> {
    let plain = nft::Options { counters: false, comments: false, ..nft::Options::default() };
    let mut all = Vec::new();
    for path in rulesets() {
        for layout in [Layout::Compact, Layout::Upstream] {
            for nft in [nft::Options::default(), plain] {
                // What the text means is held elsewhere.
                let options = Options { layout, nft, verify: false, ..Options::default() };
                let compilation = compile_file(&path, &options);
                for policy in &compilation.policies {
                    let text = compilation.emit(policy, View::Json).unwrap();
                    all.push((format!("{} in {}", policy.name, path.display()), text));
                }
            }
        }
    }
    all
}

#[test]
fn the_types_of_the_nftables_crate_lose_nothing() {
    for (name, text) in documents() {
        let written: Value = serde_json::from_str(&text).unwrap();
        let read: Nftables<'_> = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{name}: {error}\n{written:#}"));
        assert_eq!(serde_json::to_value(read).unwrap(), written, "{name}");
    }
}

#[test]
fn the_schema_of_nfts_module_for_python_takes_it() {
    let Ok(schema) = fs::read_to_string(SCHEMA) else {
        return skip("python3-nftables is not installed");
    };
    let schema = serde_json::from_str(&schema).unwrap();
    let schema = jsonschema::options().with_draft(Draft::Draft7).build(&schema).unwrap();
    for (name, text) in documents() {
        let written = serde_json::from_str(&text).unwrap();
        let errors: Vec<_> = schema.iter_errors(&written).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
    // It says little, but not nothing.
    assert!(!schema.is_valid(&json!({ "nftables": ["flush ruleset"] })));
    assert!(!schema.is_valid(&json!([])));
}
