//! What every mesh's import makes of what people have: `tests/import/MESH/*.yaml` are manifests,
//! `*.json` configurations, `*.args` command lines and `*.env` variables.

use std::fs;

use netweir::import::{Context, IMPORTERS, Imported, Refused};
use netweir::policy::{Detail, print, print_with};
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

/// What the import of `mesh` makes of manifests: its policies, and why there are none.
fn made(mesh: &str, text: &str) -> String {
    let importer = IMPORTERS.iter().find(|importer| importer.name == mesh).unwrap();
    let form = importer.forms.iter().find(|form| form.flag == "pod").unwrap();
    let context = Context { ipv6: Some(false), ..Context::default() };
    let told = form.read(&Sources::of("input", text), &context).unwrap();
    let policies = told.policies.iter();
    let policies = policies.map(|policy| print(policy, Detail::Differences));
    let why = told.notes.iter().map(ToString::to_string);
    policies.chain(why.filter(|note| note.contains("no policy"))).collect()
}

#[test]
fn pods_take_from_their_namespace_what_they_do_not_say() {
    let input = |metadata: &str, own: &str| {
        format!(
            "kind: Namespace\nmetadata: {{name: shop, {metadata}}}\n---\nkind: Pod\n\
             metadata: {{name: web, namespace: shop, {own}}}\nspec: {{containers: []}}\n"
        )
    };
    let linkerd =
        "annotations: {linkerd.io/inject: enabled, config.linkerd.io/skip-outbound-ports: '25'}";
    let text = made("linkerd", &input(linkerd, ""));
    assert!(text.contains("exclude port 25\n"), "{text}");
    let own = "annotations: {config.linkerd.io/skip-outbound-ports: '587'}";
    let text = made("linkerd", &input(linkerd, own));
    assert!(text.contains("exclude port 587\n") && !text.contains("25"), "{text}");
    let off = "annotations: {linkerd.io/inject: disabled}";
    assert_eq!(made("linkerd", &input(linkerd, off)), "web: no policy, because injection is off");
    let kuma = "labels: {kuma.io/sidecar-injection: enabled}";
    assert!(made("kuma", &input(kuma, "")).starts_with("kuma shop-web {"));
    let unasked = "web: no policy, because nothing in it asks for ";
    assert_eq!(made("kuma", &input("", "")), format!("{unasked}Kuma"));
    let osm = "annotations: {openservicemesh.io/sidecar-injection: enabled}";
    assert_eq!(made("osm", &input(osm, "")), "osm shop-web {}\n");
    assert_eq!(made("osm", &input("", "")), format!("{unasked}OSM"));
}
