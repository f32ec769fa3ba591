//! What every mesh's import makes of what people have: `tests/import/MESH/*.yaml` are manifests,
//! `*.json` configurations, `*.args` command lines and `*.env` variables.

use std::fs;

use netweir::import::{Context, IMPORTERS, Imported, Refused};
use netweir::policy::{Detail, print};
use netweir::span::Sources;

use crate::common::snapshots;

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
            Ok(Imported { policies, notes }) => {
                lines.extend(policies.iter().map(|policy| print(policy, Detail::Differences)));
                lines.extend(notes.iter().map(|note| format!("note: {note}\n")));
            }
            Err(Refused { mistakes, notes }) => {
                lines.extend(notes.iter().map(|note| format!("note: {note}\n")));
                lines.extend(mistakes.iter().map(|mistake| format!("error: {mistake}\n")));
            }
        }
        let shown = format!("{text}{:─<79}\n{}", "", lines.join(""));
        let name = format!("{mesh}-{}-{}", form.flag, part(path.file_stem()));
        snapshots::of("import").bind(|| insta::assert_snapshot!(name, shown));
    });
}
