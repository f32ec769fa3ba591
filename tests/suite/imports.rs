//! What every mesh's import makes of what people have: `tests/import/MESH/*.yaml` are manifests,
//! `*.json` configurations, `*.args` command lines and `*.env` variables.

use std::fs;

use netweir::import::{Context, IMPORTERS, Imported, Refused};
use netweir::policy::{Detail, print_with};
use netweir::span::Sources;
use netweir::syntax::NoIncludes;
use netweir::{Options, compile};

use crate::common::snapshots;

/// A comment stands before each clause, and comments change nothing of the policy.
fn every_clause_is_accounted_for(text: &str) {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    for (at, line) in lines.iter().enumerate() {
        let is_clause = !line.starts_with('#') && !line.ends_with(['{', '}', ',']);
        let is_first = at == 0 || !lines[at - 1].ends_with(',');
        if is_clause && is_first {
            assert!(lines[at - 1].starts_with("# "), "{line} in\n{text}");
        }
    }
    let compiled =
        compile("imported", text, &NoIncludes, &Options { verify: false, ..Options::default() });
    assert!(compiled.is_ok(), "{text}");
}

#[test]
fn everything_that_people_have() {
    insta::glob!("../import", "*/*.*", |path| {
        let part = |part: Option<&std::ffi::OsStr>| part.unwrap().to_str().unwrap().to_owned();
        let mesh = part(path.parent().unwrap().file_name());
        let form = match part(path.extension()).as_str() {
            "yaml" => "pod",
            "json" => "config",
            "args" => "args",
            "env" => "variables",
            other => panic!("no import reads `.{other}`"),
        };
        let importer = IMPORTERS.iter().find(|importer| importer.name == mesh);
        let importer = importer.expect("a folder of a mesh that has an import");
        let form = importer.forms.iter().find(|known| known.flag == form).unwrap();
        let text = fs::read_to_string(path).unwrap();
        let mut lines = Vec::new();
        match form.read(&Sources::of("input", &text), &Context::default()) {
            Ok(Imported { policies, comments, notes, .. }) => {
                let texts = policies.iter().zip(&comments);
                let texts = texts.map(|(policy, it)| print_with(policy, Detail::Differences, it));
                let texts: Vec<_> = texts.collect();
                for text in &texts {
                    every_clause_is_accounted_for(text);
                }
                lines.extend(texts);
                lines.extend(notes.iter().map(|note| format!("note: {note}\n")));
            }
            Err(Refused { mistakes, notes, .. }) => {
                lines.extend(notes.iter().map(|note| format!("note: {note}\n")));
                lines.extend(mistakes.iter().map(|mistake| format!("error: {mistake}\n")));
            }
        }
        let shown = format!("{text}{:─<79}\n{}", "", lines.join(""));
        let name = format!("{mesh}-{}-{}", form.flag, part(path.file_stem()));
        snapshots::of("import").bind(|| insta::assert_snapshot!(name, shown));
    });
}
