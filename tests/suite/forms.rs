//! What weir says in every form, read back by what others read it with.
#![cfg(feature = "cli")]

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use jsonschema::Validator;
use quick_junit::{Report, TestCaseStatus};
use serde_json::Value;
use serde_sarif::sarif::Sarif;

use crate::cli::{exits, snapshot, stderr, stdout, weir, weir_with};
use crate::common::junit::assert_is_junit;
use crate::common::repository::Repository;
use crate::common::shipped::root;

/// The validator of `docs/schema/NAME.schema.json`, which admits no field that it does not name.
fn schema(name: &str) -> Validator {
    let path = root().join(format!("docs/schema/{name}.schema.json"));
    let mut schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    close(&mut schema);
    jsonschema::validator_for(&schema).unwrap()
}

/// Forbids the fields that a schema does not name, so that a field without a description is noticed.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.contains_key("properties") {
                object.insert("unevaluatedProperties".to_owned(), false.into());
            }
            object.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn assert_valid(schema: &Validator, value: &Value) {
    let errors: Vec<_> = schema.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{value:#}");
}

/// The validator of SARIF's own schema.
static OASIS: LazyLock<Validator> = LazyLock::new(|| {
    let path = root().join("tests/schema/sarif-2.1.0.schema.json");
    let text = fs::read_to_string(path).unwrap();
    // A bracket that nothing opens, which only some readers of expressions let pass.
    let (wrong, right) = ("-[a-zA-Z]{2}]?$", "-[a-zA-Z]{2}$");
    assert_eq!(text.matches(wrong).count(), 2);
    let schema = serde_json::from_str(&text.replace(wrong, right)).unwrap();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
});

/// The document, which is SARIF: nothing in it is lost when it is read and written again.
fn sarif(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap();
    assert_valid(&OASIS, &value);
    let read: Sarif = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), value);
    for result in value["runs"][0]["results"].as_array().unwrap() {
        let rules = &value["runs"][0]["tool"]["driver"]["rules"];
        if let Some(index) = result["ruleIndex"].as_u64() {
            let index = usize::try_from(index).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
        }
    }
    value
}

/// The document, which is JUnit's.
fn junit(text: &str) -> Report {
    assert_is_junit(text);
    let report = Report::deserialize_from_str(text).unwrap();
    let again = report.to_string().unwrap();
    assert_eq!(again.replacen(" skipped=\"0\"", "", 1), text);
    report
}

/// Every test of a document: its suite, its name, and whether it is as it should be.
fn verdicts(report: &Report) -> Vec<(String, String, bool)> {
    let mut all = Vec::new();
    for suite in &report.test_suites {
        for case in &suite.test_cases {
            let is_good = matches!(case.status, TestCaseStatus::Success { .. });
            all.push((suite.name.to_string(), case.name.to_string(), is_good));
        }
    }
    all
}

fn in_form(arguments: &[&str], form: &str) -> Output {
    weir(&[arguments, &["--message-format", form]].concat())
}

const WRONG: &str = "sidecar x {
  inbuond { capture port 70000 }
  outbound { exclude to 10.1.2.3/8 }
  mode transparent
}
";

#[test]
fn messages_have_six_forms() {
    let mut text = String::new();
    for form in ["human", "short", "json", "github", "junit"] {
        let output = weir_with(&["check", "-", "--message-format", form], WRONG);
        exits(&output, 1);
        assert_eq!(stdout(&output), "");
        text.extend(["── ", form, "\n", stderr(&output)]);
    }
    snapshot("cli", "forms", &text);
    let output = weir_with(&["check", "-", "--message-format", "sarif"], WRONG);
    exits(&output, 1);
    let mut document = sarif(stderr(&output));
    // The pages are files of their own.
    for rule in document["runs"][0]["tool"]["driver"]["rules"].as_array_mut().unwrap() {
        assert!(rule["help"]["markdown"].as_str().unwrap().starts_with("# E"));
        rule.as_object_mut().unwrap().remove("help");
    }
    snapshot("cli", "sarif", &format!("{document:#}"));
}

#[test]
fn every_mistake_is_said_in_every_form_for_programs() {
    let line = schema("message");
    let mut codes = BTreeSet::new();
    for entry in fs::read_dir(root().join("tests/mistakes")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "weir") {
            continue;
        }
        let path = path.to_str().unwrap();
        let json = in_form(&["check", path], "json");
        let lines: Vec<Value> =
            stderr(&json).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for value in &lines {
            assert_valid(&line, value);
        }
        codes.extend(lines.iter().filter_map(|line| Some(line["code"].as_str()?.to_owned())));
        let document = sarif(stderr(&in_form(&["check", path], "sarif")));
        let results = document["runs"][0]["results"].as_array().unwrap();
        assert_eq!(results.len(), lines.len(), "{path}");
        for (result, line) in results.iter().zip(&lines) {
            assert_eq!(result["ruleId"], line["code"]);
            let fixes = result["fixes"].as_array().map_or(0, Vec::len);
            assert_eq!(fixes, line["suggestions"].as_array().unwrap().len());
        }
        let errors = lines.iter().filter(|line| line["severity"] == "error").count();
        let report = junit(stderr(&in_form(&["check", path], "junit")));
        assert_eq!(report.failures, errors, "{path}");
        let annotations = in_form(&["check", path], "github");
        assert_eq!(stderr(&annotations).lines().count(), lines.len(), "{path}");
        for annotation in stderr(&annotations).lines() {
            assert!(
                annotation.starts_with("::error ") || annotation.starts_with("::warning "),
                "{annotation}"
            );
        }
    }
    assert!(codes.len() > 50, "{codes:?}");
}

#[test]
fn nothing_of_a_policy_or_its_name_is_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let name = "a,b%0A::set-env name=x::y [x](z)\u{1b}[2J.weir";
    let path = folder.path().join(name);
    fs::write(&path, "sidecar x { interface { exclude \"%0A::e]]><b>\" } }\n").unwrap();
    let path = path.to_str().unwrap();
    let github = in_form(&["check", path], "github");
    let line = stderr(&github);
    assert_eq!(line.lines().count(), 1, "{line}");
    let (properties, message) = line.strip_prefix("::error ").unwrap().split_once("::").unwrap();
    assert!(properties.contains("/a%2Cb%250A%3A%3Aset-env name=x%3A%3Ay"), "{properties}");
    assert!(message.contains("`%250A::e"), "{message}");
    let document = sarif(stderr(&in_form(&["check", path], "sarif")));
    let place = &document["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    let uri = place["artifactLocation"]["uri"].as_str().unwrap();
    assert!(
        uri.ends_with("/a%2Cb%250A%3A%3Aset-env%20name%3Dx%3A%3Ay%20%5Bx%5D%28z%29%1B%5B2J.weir")
    );
    let report = junit(stderr(&in_form(&["check", path], "junit")));
    assert!(report.test_suites[0].name.as_str().ends_with("[x](z)\\u{1b}[2J.weir"));
    for form in ["human", "short", "json", "github", "sarif", "junit"] {
        assert!(!stderr(&in_form(&["check", path], form)).contains('\x1b'), "{form}");
    }
}

#[test]
fn what_cannot_run_is_no_success_in_any_form() {
    for form in ["sarif", "junit"] {
        let output = in_form(&["check", "no/such.weir"], form);
        exits(&output, 2);
        if form == "sarif" {
            let document = sarif(stderr(&output));
            let invocation = &document["runs"][0]["invocations"][0];
            assert_eq!(invocation["executionSuccessful"], false);
            let why = &invocation["toolExecutionNotifications"][0]["message"]["text"];
            assert!(why.as_str().unwrap().starts_with("cannot read no/such.weir"), "{why}");
        } else {
            assert_eq!(junit(stderr(&output)).errors, 1);
        }
    }
    let line: Value =
        serde_json::from_str(stderr(&in_form(&["check", "no/such.weir"], "json"))).unwrap();
    assert_valid(&schema("message"), &line);
    assert_eq!(line["kind"], "failure");
    // Rules that differ are no diagnostics of a policy, and no success either.
    let (old, new) = ("rulesets/istio/default.weir", "rulesets/kuma/kuma.weir");
    let output = in_form(&["diff", old, new], "junit");
    exits(&output, 1);
    let is = |suite: &str, name: &str, is_good| (suite.to_owned(), name.to_owned(), is_good);
    let differs = [is(old, "no error", true), is(new, "diff/different", false)];
    assert_eq!(verdicts(&junit(stderr(&output))), differs);
    let document = sarif(stderr(&in_form(&["diff", old, new], "sarif")));
    let message = document["runs"][0]["results"][0]["message"]["text"].as_str().unwrap();
    assert!(message.contains("kuma `web` differs from sidecar `istio`\n"), "{message}");
    assert!(message.contains("\n  for example inbound "), "{message}");
    let output = in_form(&["diff", old, old], "junit");
    exits(&output, 0);
    assert_eq!(junit(stderr(&output)).failures, 0);
}

#[test]
fn what_imports_say_has_its_schema() {
    let arguments = ["import", "istio", "--ipv6", "on", "--args", "-u 1337 -p 0 -b 80 -d 90"];
    let output = in_form(&arguments, "json");
    exits(&output, 1);
    let line = schema("message");
    assert_eq!(stderr(&output).lines().count(), 2);
    for text in stderr(&output).lines() {
        assert_valid(&line, &serde_json::from_str(text).unwrap());
    }
    let document = sarif(stderr(&in_form(&arguments, "sarif")));
    assert_eq!(document["runs"][0]["results"][1]["level"], "error");
}

#[test]
fn explanations_and_comparisons_have_their_schemas() {
    let (policy, other) = ("rulesets/istio/default.weir", "rulesets/kuma/kuma.weir");
    let explanation = schema("explanation");
    for packet in ["outbound tcp to 10.96.0.1:443", "inbound tcp to 10.0.0.7:15020"] {
        let output = weir(&["explain", "--json", policy, packet]);
        exits(&output, 0);
        assert_valid(&explanation, &serde_json::from_str(stdout(&output)).unwrap());
    }
    let comparison = schema("comparison");
    for (new, status) in [(policy, 0), (other, 1)] {
        let output = weir(&["diff", "--json", policy, new]);
        exits(&output, status);
        let value: Value = serde_json::from_str(stdout(&output)).unwrap();
        assert_valid(&comparison, &value);
        assert_eq!(value["equal"], status == 0);
    }
}

/// A repository with goldens of each state.
fn drifted() -> Repository {
    let repository = Repository::new();
    for name in ["current", "other", "missing", "orphan", "refused"] {
        let text = format!("sidecar {name} {{\n  inbound {{ exclude port 22 }}\n}}\n");
        repository.write(&format!("p/{name}.weir"), &text);
    }
    exits(&repository.golden(&["--bless", "p"]), 0);
    repository.edit("p/other.weir", "22", "23");
    fs::remove_file(repository.path("p/golden/missing.nft")).unwrap();
    fs::remove_file(repository.path("p/orphan.weir")).unwrap();
    repository.edit("p/refused.weir", "22", "70000");
    repository
}

#[test]
fn goldens_are_reported_in_every_form() {
    let repository = drifted();
    let run = |form: &str| {
        let output = repository.golden(&["p", "--message-format", form]);
        exits(&output, 1);
        output
    };
    let short = run("short");
    let codes: Vec<_> = stdout(&short)
        .lines()
        .map(|line| line.split(['[', ']']).nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(codes, ["golden/missing", "golden/orphaned", "golden/other-meaning"]);
    assert!(stderr(&short).starts_with("p/refused.weir:2:26: error[E301]: "), "{}", stderr(&short));

    let json = run("json");
    assert_eq!(stderr(&json), "");
    let report: Value = serde_json::from_str(stdout(&json)).unwrap();
    assert_valid(&schema("golden"), &report);
    assert_eq!(report["findings"][0]["diagnostics"][0]["code"], "E301");

    let github = run("github");
    assert_eq!(stdout(&github).lines().count(), 3);
    assert!(stdout(&github).contains("::error file=p/missing.weir,title=golden/missing::"));
    assert!(stderr(&github).starts_with("::error file=p/refused.weir,line=2,"));

    let document = run("sarif");
    assert_eq!(stderr(&document), "");
    let document = sarif(stdout(&document));
    let results = document["runs"][0]["results"].as_array().unwrap();
    let rules: Vec<_> = results.iter().map(|result| result["ruleId"].as_str().unwrap()).collect();
    assert_eq!(rules, ["E301", "golden/missing", "golden/orphaned", "golden/other-meaning"]);

    let document = run("junit");
    let is = |suite: &str, name: &str, is_good| (suite.to_owned(), name.to_owned(), is_good);
    assert_eq!(
        verdicts(&junit(stdout(&document))),
        [
            is("p/current.weir", "p/golden/current.nft", true),
            is("p/golden/orphan.nft", "p/golden/orphan.nft", false),
            is("p/missing.weir", "p/golden/missing.nft", false),
            is("p/other.weir", "p/golden/other.nft", false),
            is("p/refused.weir", "2:26 E301", false),
        ]
    );
}

#[test]
fn goldens_that_cannot_be_looked_at_are_a_document_too() {
    let repository = drifted();
    repository.write("p/weir.toml", "[golden]\nviwes = []\n");
    let output = repository.golden(&["p", "--message-format", "sarif"]);
    exits(&output, 1);
    let document = sarif(stdout(&output));
    assert_eq!(document["runs"][0]["results"][0]["ruleId"], "E602");
    assert_eq!(junit(stdout(&repository.golden(&["p", "--message-format", "junit"]))).failures, 1);
    let output = repository.golden(&["nowhere", "--message-format", "junit"]);
    exits(&output, 2);
    assert_eq!(junit(stdout(&output)).errors, 1);
    assert!(stderr(&output).starts_with("error: cannot read nowhere"), "{}", stderr(&output));
}

#[test]
fn goldens_that_were_blessed_are_no_failures() {
    let repository = drifted();
    let before = repository.files();
    let output = repository.golden(&["--bless", "p", "--message-format", "json"]);
    exits(&output, 1);
    assert_eq!(repository.files(), before);
    repository.edit("p/refused.weir", "70000", "22");
    let output = repository.golden(&["--bless", "p", "--message-format", "junit"]);
    exits(&output, 0);
    let report = junit(stdout(&output));
    assert_eq!((report.failures, report.tests), (0, 5));
    exits(&repository.golden(&["p"]), 0);
}

#[test]
fn a_report_is_written_whole_and_never_over_a_policy() {
    let repository = drifted();
    for form in ["human", "short", "json", "github", "sarif", "junit"] {
        let plain = repository.golden(&["p", "--message-format", form]);
        let arguments = ["p", "--message-format", form, "--report", "report"];
        let output = repository.golden(&arguments);
        exits(&output, 1);
        assert_eq!((stdout(&output), stderr(&output)), ("", ""), "{form}");
        let all = format!("{}{}", stderr(&plain), stdout(&plain));
        assert_eq!(repository.read("report"), all, "{form}");
    }
    // Nor over what a policy includes, nor over what else the command line names.
    repository.write("p/includes.weir", "include \"current.weir\"\nsidecar i {}\n");
    repository.write("rules", "*nat\nCOMMIT\n");
    let before = repository.files();
    for (arguments, said) in [
        (&["golden", "p", "--report", "p/current.weir"][..], "write elsewhere"),
        (&["check", "p/current.weir", "--report", "p/current.weir"], "named twice"),
        (&["check", "p/includes.weir", "--report", "p/current.weir"], "write elsewhere"),
        (&["diff", "rules", "p/current.weir", "--report", "./rules"], "named twice"),
        (&["check", "no-policy", "--report", "no-policy"], "named twice"),
        (&["golden", "p", "--summary=new", "--report=new"], "named twice"),
    ] {
        let output = repository.weir_in("", arguments);
        exits(&output, 2);
        assert!(stderr(&output).contains(said), "{arguments:?}: {}", stderr(&output));
    }
    assert_eq!(repository.files(), before);
    let output = repository.weir_in("", &["check", "p/refused.weir", "--report", "no/such/folder"]);
    exits(&output, 2);
    assert!(stderr(&output).contains("cannot write no/such/folder"), "{}", stderr(&output));
}

#[test]
fn nothing_that_a_repository_lives_by_is_written_over() {
    let repository = Repository::new();
    repository.write("weir.toml", "group-file = \"groups\"\n");
    repository.write("groups", "web:x:7:\n");
    repository.write("a/lists", "let probes = 15021\n");
    repository
        .write("a/a.weir", "include \"lists\"\nsidecar a { inbound { exclude port $probes } }\n");
    repository.write("b/b.weir", "sidecar b { outbound { exclude group web } }\n");
    repository.write("b/golden/mine", "not weir's\n");
    exits(&repository.golden(&["--bless", "."]), 0);
    let before = repository.files();
    let kept = [
        "weir.toml",
        "other/weir.toml",
        "groups",
        "a/lists",
        "a/a.weir",
        "b/b.weir",
        "a/golden/a.nft",
        "a/golden/other.nft",
        "a/golden/MANIFEST",
        "b/golden/b.nft",
        "b/golden/MANIFEST",
    ];
    fs::create_dir(repository.path("other")).unwrap();
    for file in kept {
        let refused = |commands: &[&[&str]]| {
            for command in commands {
                let output = repository.weir_in("", &[command, &[file][..]].concat());
                assert_eq!(
                    output.status.code(),
                    Some(2),
                    "{command:?} {file}: {}",
                    stdout(&output)
                );
                assert!(stderr(&output).contains("write elsewhere"), "{}", stderr(&output));
                assert_eq!(repository.files(), before, "{command:?} {file}");
            }
        };
        refused(&[
            &["golden", ".", "--report"],
            &["golden", ".", "--bless", "--summary"],
            &["lint", ".", "--report"],
            &["test", ".", "--lcov"],
        ]);
        if !["groups", "a/lists", "a/golden/other.nft"].contains(&file) {
            // These are known by what they are, also to who was not asked about them.
            let other = if file.starts_with("a/") { "b/b.weir" } else { "a/a.weir" };
            refused(&[&["golden", other, "--summary"], &["lint", other, "--report"]]);
            refused(&[&["show", other, "--report"]]);
        }
    }
    for (number, free) in ["report", "other/report", "b/report.txt"].iter().enumerate() {
        exits(&repository.golden(&[".", "--summary", free]), 0);
        assert_eq!(repository.files().len(), before.len() + 1 + number);
    }
    // A link to one of them is one of them.
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("b/b.weir", repository.path("link")).unwrap();
        exits(&repository.golden(&["a/a.weir", "--summary", "link"]), 2);
        assert!(repository.read("b/b.weir").starts_with("sidecar b"));
    }
}

#[test]
fn lint_and_test_speak_to_machines_too() {
    let repository = Repository::new();
    repository.write(
        "web.weir",
        "sidecar web {\n  outbound { capture to 10.0.0.0/8; exclude to 10.0.0.0/8 }\n  expect outbound tcp \
         to 10.0.0.1 port 443 => proxy 15001\n}\n",
    );
    for command in ["lint", "test"] {
        let inside = |form: &str, more: &[&str]| {
            let arguments = [&[command, "--message-format", form], more, &["."]].concat();
            repository.weir_in("", &arguments)
        };
        let more: &[&str] = if command == "test" { &["--coverage", "--mutants"] } else { &[] };
        let value: Value = serde_json::from_str(stdout(&inside("json", more))).unwrap();
        assert_eq!(value["kind"], command);
        assert_valid(&schema(command), &value);
        assert!(sarif(stdout(&inside("sarif", &[])))["runs"][0]["results"].is_array());
        assert!(junit(stdout(&inside("junit", &[]))).tests > 0);
    }
}

#[test]
fn a_warning_that_is_denied_is_no_success_in_any_form() {
    let repository = Repository::new();
    repository.write(
        "web.weir",
        "sidecar web { outbound { capture to 10.0.0.0/8; exclude to 0.0.0.0/0, ::/0 } }\n",
    );
    for command in ["check", "lint", "golden"] {
        for (more, is_denied) in [(&[][..], false), (&["--deny", "W501"][..], true)] {
            let said = |form: &str| {
                let arguments = [&[command, "--message-format", form], more, &["web.weir"]];
                let output = repository.weir_in("", &arguments.concat());
                if command == "check" { stderr(&output) } else { stdout(&output) }.to_owned()
            };
            let suites = junit(&said("junit")).test_suites;
            let mut cases = suites.iter().flat_map(|suite| &suite.test_cases);
            let warned = cases.find(|case| case.name.as_str().ends_with("W501")).unwrap();
            let is_bad = matches!(warned.status, TestCaseStatus::NonSuccess { .. });
            assert_eq!(is_bad, is_denied, "{command}");
            let document = sarif(&said("sarif"));
            let results = document["runs"][0]["results"].as_array().unwrap();
            let warned = results.iter().find(|result| result["ruleId"] == "W501").unwrap();
            assert_eq!(warned["level"], if is_denied { "error" } else { "warning" }, "{command}");
        }
    }
    let output = repository.golden(&["--bless", "--deny", "W501", "web.weir"]);
    exits(&output, 1);
    assert!(stdout(&output).ends_with("1 golden: 1 missing\nnothing is written\n"));
    assert_eq!(repository.names(), ["web.weir"]);
}

#[test]
fn who_reads_no_further_changes_no_verdict() {
    let repository = Repository::new();
    repository.write("web.weir", "sidecar web {\n  expect outbound tcp => untouched\n}\n");
    let (old, new) =
        (root().join("rulesets/istio/default.weir"), root().join("rulesets/kuma/kuma.weir"));
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    for (arguments, status) in [
        (&["golden", "web.weir"][..], 1),
        (&["lint", "web.weir"], 1),
        (&["test", "web.weir"], 1),
        (&["test", "web.weir", "--message-format", "junit"], 1),
        (&["diff", old, new], 1),
        (&["diff", old, old], 0),
        (&["compile", old], 0),
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_weir"));
        child.args(arguments).current_dir(repository.path("")).stdin(Stdio::null());
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(status), "{arguments:?}");
    }
}
