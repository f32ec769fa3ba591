//! `weir check --fix`, and `weir format` on folders.
#![cfg(feature = "cli")]

use std::fs;

use netweir::diag::{Diagnostic, apply};
use netweir::span::Sources;
use netweir::syntax::NoIncludes;
use netweir::{Options, compile};

use crate::cli::{exits, stderr, stdout, weir_with};
use crate::common::repository::Repository;
use crate::common::shipped::root;

fn compiled(text: &str) -> (Sources, Vec<Diagnostic>) {
    match compile("p.weir", text, &NoIncludes, &Options::default()) {
        Ok(compilation) => (compilation.sources, compilation.warnings),
        Err(failure) => (failure.sources, failure.diagnostics),
    }
}

#[test]
fn whatever_is_suggested_ends_the_problem() {
    let mut tried = 0;
    for entry in fs::read_dir(root().join("tests/mistakes")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "weir") {
            continue;
        }
        let (sources, diagnostics) = compiled(&fs::read_to_string(&path).unwrap());
        for diagnostic in &diagnostics {
            for suggestion in diagnostic.suggestions(&sources) {
                let text = &sources.file(suggestion.range.file).text;
                let fixed = apply(text, std::slice::from_ref(&suggestion));
                let (_, after) = compiled(&fixed);
                let start = |found: &Diagnostic| found.at().map(|at| at.start);
                let is_there = after.iter().any(|found| {
                    found.problem == diagnostic.problem && start(found) == start(diagnostic)
                });
                let path = path.display();
                assert!(!is_there, "{path}: {} by {suggestion:?}", diagnostic.problem);
                tried += 1;
            }
        }
    }
    assert!(tried > 60, "only {tried} suggestions were tried");
}

#[test]
fn what_is_sure_is_written_and_the_rest_is_shown() {
    let repository = Repository::new();
    let text = "\u{feff}sidecar x {\r\n  inbuond { exclude port 9-5 }\r\n\toutbound { exlude to \
                10.1.2.3/8 }\u{a0}# é\r\n}";
    repository.write("p.weir", text);
    let output = repository.weir_in("", &["check", "--fix", "p.weir", "--message-format", "short"]);
    exits(&output, 1);
    assert_eq!(
        repository.read("p.weir"),
        text.replace("inbuond", "inbound").replace("exlude", "exclude").replace('\u{a0}', " ")
    );
    let said = stderr(&output);
    assert!(said.starts_with("note: p.weir: 3 fixes written\n"), "{said}");
    assert!(said.contains("error[E306]: `9-5` ends before it begins; help: write `5-9`"), "{said}");
    assert!(said.contains("error[E302]"), "{said}");
    assert_eq!(said.lines().count(), 3, "{said}");
    // A second time, there is nothing more to write.
    let fixed = repository.files();
    exits(&repository.weir_in("", &["check", "--fix", "p.weir"]), 1);
    assert_eq!(repository.files(), fixed);
}

#[test]
fn a_file_that_becomes_good_is_good() {
    let repository = Repository::new();
    repository.write("p.weir", "sidecar x {\n  outbuond { exclude port 22 }\n}\n");
    exits(&repository.weir_in("", &["check", "--fix", "p.weir"]), 0);
    assert_eq!(repository.read("p.weir"), "sidecar x {\n  outbound { exclude port 22 }\n}\n");
    let names = repository.names();
    assert_eq!(names, ["p.weir"]);
}

#[test]
fn warnings_go_where_the_meaning_stays() {
    let repository = Repository::new();
    let text = "sidecar x {\n  inbound { exclude port 80, 443, 80, 400-500 }\n}\n";
    repository.write("p.weir", text);
    let lists = "let p = 80, 81\nsidecar x { inbound { exclude port 80, $p } }\n";
    repository.write("lists.weir", lists);
    let output = repository.weir_in("", &["check", "--fix", "p.weir"]);
    exits(&output, 0);
    assert_eq!(
        repository.read("p.weir"),
        "sidecar x {\n  inbound { exclude port 80, 400-500 }\n}\n"
    );
    assert_eq!(stderr(&output), "note: p.weir: 2 fixes written\n");
    // What is in a list, others may use.
    exits(&repository.weir_in("", &["check", "--fix", "lists.weir"]), 0);
    assert_eq!(repository.read("lists.weir"), lists);
}

#[test]
fn nothing_gets_worse_and_nothing_of_others_is_written() {
    let repository = Repository::new();
    // Without what cannot be seen, the ports are read, and two of them are wrong.
    let hidden = "sidecar x { inbound { exclude port 7\u{200b}0000, 80000 } }\n";
    repository.write("hidden.weir", hidden);
    repository.write("base.weir", "sidecar base { outbuond { exclude port 22 } }\n");
    repository.write("p.weir", "include \"base.weir\"\nsidecar x extends base {}\n");
    repository.write("good.weir", "sidecar x { inbound { exclude port 22 } }\n");
    let before = repository.files();
    exits(&repository.weir_in("", &["check", "--fix", "hidden.weir"]), 1);
    exits(&repository.weir_in("", &["check", "--fix", "p.weir"]), 1);
    exits(&repository.weir_in("", &["check", "--fix", "good.weir"]), 0);
    assert_eq!(repository.files(), before);
}

#[test]
fn standard_input_is_not_fixed_and_folders_are() {
    let output = weir_with(&["check", "--fix", "-"], "sidecar x {}\n");
    exits(&output, 2);
    assert!(stderr(&output).contains("`--fix` writes files"), "{}", stderr(&output));
    let repository = Repository::new();
    repository.write("p/a.weir", "sidecar x { inbuond {} }\n");
    exits(&repository.weir_in("", &["check", "--fix", "p"]), 0);
    assert_eq!(repository.read("p/a.weir"), "sidecar x { inbound {} }\n");
}

#[test]
fn a_folder_is_formatted_without_its_goldens() {
    let repository = Repository::new();
    let odd = "sidecar   x{inbound{exclude port 22}}\n";
    repository.write("p/one.weir", odd);
    repository.write("p/deep/two.weir", &odd.replacen("   x", "   y", 1));
    repository.write("p/notes.txt", odd);
    repository.write("weir.toml", "[golden]\nviews = [\"policy\"]\n");
    exits(&repository.golden(&["--bless", "p"]), 0);
    let goldens = || {
        let files = repository.files();
        files.into_iter().filter(|(name, _)| name.contains("golden")).collect::<Vec<_>>()
    };
    let standing = goldens();
    assert!(!standing.is_empty());
    let output = repository.weir_in("", &["format", "--check", "p"]);
    exits(&output, 1);
    let differs = |path: &str, name: &str| {
        format!(
            "--- {path}\n+++ {path} (formatted)\n@@ -1 +1,3 @@\n-sidecar   {name}{{inbound{{exclude \
             port 22}}}}\n+sidecar {name} {{\n+  inbound {{ exclude port 22 }}\n+}}\n"
        )
    };
    let all = differs("p/deep/two.weir", "y") + &differs("p/one.weir", "x");
    assert_eq!(stdout(&output), all);
    assert_eq!(repository.read("p/one.weir"), odd);
    exits(&repository.weir_in("", &["format", "p"]), 0);
    exits(&repository.weir_in("p", &["format", "--check", "."]), 0);
    assert_eq!(repository.read("p/one.weir"), "sidecar x {\n  inbound { exclude port 22 }\n}\n");
    assert_eq!(repository.read("p/notes.txt"), odd);
    assert_eq!(goldens(), standing);
    fs::create_dir(repository.path("empty")).unwrap();
    let output = repository.weir_in("", &["format", "empty"]);
    exits(&output, 2);
    assert!(stderr(&output).contains("there is no policy in"), "{}", stderr(&output));
}

#[test]
fn a_difference_shows_line_ends_and_obeys_nothing() {
    let repository = Repository::new();
    repository.write("p.weir", "sidecar x {\r\n\tfamily ipv4\r\n}\r\n");
    let output = repository.weir_in("", &["format", "--check", "p.weir"]);
    exits(&output, 1);
    assert!(stdout(&output).contains("-\tfamily ipv4\\u{d}\n"), "{}", stdout(&output));
    assert!(!stdout(&output).contains('\r'));
}

#[test]
fn every_policy_of_a_repository_is_fixed() {
    for command in [&["lint"][..], &["golden", "--bless"]] {
        let repository = Repository::new();
        repository.write("weir.toml", "");
        repository.write("a/web.weir", "sidecar web {\n  outbuond { exclude port 22 }\n}\n");
        repository.write("b/good.weir", "sidecar good {}\n");
        repository.write("b/base.weir", "sidecar base { inbuond { exclude port 22 } }\n");
        repository.write(
            "b/rest.weir",
            "include \"base.weir\"\nsidecar rest { outbound { exclude port 9-5 } }\n",
        );
        let weir = |fix: &[&str]| {
            repository.weir_in("", &[command, &["--message-format", "short"], fix].concat())
        };
        let before = repository.files();
        exits(&weir(&[]), 1);
        assert_eq!(repository.files(), before);
        let output = weir(&["--fix"]);
        exits(&output, 1);
        assert_eq!(
            repository.read("a/web.weir"),
            "sidecar web {\n  outbound { exclude port 22 }\n}\n"
        );
        let fixed = "note: a/web.weir: 1 fix written\nnote: b/base.weir: 1 fix written\n";
        assert!(stderr(&output).starts_with(fixed), "{}", stderr(&output));
        let said = format!("{}{}", stderr(&output), stdout(&output));
        assert!(said.contains("b/rest.weir:2:40: error[E306]"), "{said}");
        repository.edit("b/rest.weir", "9-5", "5-9");
        exits(&weir(&["--fix"]), 0);
        assert_eq!(repository.path("a/golden/web.nft").exists(), command[0] == "golden");
    }
}
