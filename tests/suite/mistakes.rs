//! Every mistake in `tests/mistakes` is reported as its snapshot shows it.
#![cfg(feature = "cli")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use netweir::diag::{CODES, Diagnostic, MOST_REPORTED, explain, render};
use netweir::policy::{GroupIds, check};
use netweir::span::Sources;
use netweir::syntax::{NoIncludes, load};
use netweir::{Options, View, compile};

use crate::common::snapshots;

/// Files that mistakes include, by path.
fn files() -> BTreeMap<String, String> {
    let read = |name: &str| {
        let path = folder().join("included").join(name);
        (name.to_owned(), fs::read_to_string(path).unwrap())
    };
    let names = fs::read_dir(folder().join("included")).unwrap();
    names.map(|entry| read(entry.unwrap().file_name().to_str().unwrap())).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes")
}

/// Groups that mistakes may name.
fn groups() -> GroupIds {
    GroupIds::from([("java".to_owned(), 202), ("ftp".to_owned(), 888)])
}

#[test]
fn mistakes() {
    let files = files();
    insta::glob!("../mistakes", "*.weir", |path| {
        let text = fs::read_to_string(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let (sources, diagnostics) = compiled(name, &text, &files, groups());
        assert!(!diagnostics.is_empty(), "{name} has nothing wrong with it");
        let shown = render::human(&sources, &diagnostics, false);
        snapshot(path, &text, &shown);
    });
}

/// What compiling says.
fn compiled(
    name: &str,
    text: &str,
    files: &BTreeMap<String, String>,
    groups: GroupIds,
) -> (Sources, Vec<Diagnostic>) {
    let options = Options { groups, ..Options::default() };
    match compile(name, text, files, &options) {
        Ok(compilation) => (compilation.sources.clone(), compilation.all_warnings()),
        Err(failure) => (failure.sources, failure.diagnostics),
    }
}

/// Asserts `output` against `snapshots/mistakes/<name>.snap`, which starts with `text` so that a
/// reviewer sees cause and effect together.
fn snapshot(input: &Path, text: &str, output: &str) {
    let name = input.file_stem().unwrap().to_str().unwrap();
    let input: String = text.lines().map(visible).collect();
    let shown = format!("{input}{:─<79}\n{output}", "");
    snapshots::of("mistakes").bind(|| insta::assert_snapshot!(name, shown));
}

/// A line, with what cannot be seen in a review as an escape.
fn visible(line: &str) -> String {
    let hidden = |c: char| c != '\t' && (c.is_control() || c.is_whitespace() && c != ' ');
    let mut visible = String::new();
    for c in line.chars() {
        if hidden(c) || matches!(c, '\u{200b}'..='\u{202e}' | '\u{feff}') {
            visible.extend(c.escape_unicode());
        } else {
            visible.push(c);
        }
    }
    visible + "\n"
}

/// Codes whose pages have no examples that a compiler of texts could judge.
const WITHOUT_EXAMPLES: &[(&str, &str)] = &[
    ("E112", "a thousand errors are no example"),
    ("W512", "a thousand warnings are no example"),
    ("E114", "is about commands: tests/suite/refusal.rs"),
    ("E203", "64 MiB are no example"),
    ("E204", "a page has no NUL"),
    ("E340", "no text has it: tests/suite/data.rs"),
    ("E341", "is about JSON: tests/suite/data.rs"),
    ("E205", "a page is one file"),
    ("E207", "2,500,000 words are no example"),
    ("E333", "100,000 policies are no example"),
    ("E401", "depends on the target"),
    ("E402", "is a mistake in weir"),
    ("E404", "nobody has written one"),
    ("E405", "depends on what is loaded: tests/suite/update.rs"),
    ("E601", "is about weir.toml: tests/suite/golden.rs"),
    ("E602", "is about weir.toml: tests/suite/golden.rs"),
    ("E603", "is about weir.toml: tests/suite/golden.rs"),
    ("E701", MANIFESTS),
    ("E702", MANIFESTS),
    ("E703", MANIFESTS),
    ("W704", MANIFESTS),
    ("W705", MANIFESTS),
    ("W706", MANIFESTS),
    ("W707", MANIFESTS),
    ("W708", MANIFESTS),
    ("W709", MANIFESTS),
    ("W710", MANIFESTS),
    ("W711", MANIFESTS),
    ("W712", MANIFESTS),
    ("W713", MANIFESTS),
    ("W714", MANIFESTS),
    ("W715", MANIFESTS),
];

const MANIFESTS: &str = "is about manifests, whose examples tests/suite/doctor.rs runs";

/// Codes of policies that are good alone.
const TOGETHER: &[&str] = &["E330", "E331", "E332", "W514", "W515"];

/// What is wrong when all policies of `text` are loaded together.
fn together(text: &str) -> Vec<Diagnostic> {
    let compilation = compile("policy.weir", text, &NoIncludes, &Options::default()).unwrap();
    assert!(compilation.warnings.is_empty(), "{text}");
    compilation.conflicts(&compilation.policies.iter().collect::<Vec<_>>())
}

#[test]
fn what_is_expected_must_hold_beside_the_others() {
    let text = "sidecar s { expect outbound tcp port 80 => proxy 15001 }\n\
                ambient-pod a { proxy { outbound-port 16001 } }\n";
    let compilation = compile("a.weir", text, &NoIncludes, &Options::default()).unwrap();
    let all: Vec<_> = compilation.policies.iter().collect();
    let failure = compilation.emit_together(&all, View::Nft).unwrap_err();
    let [problem] = &failure.diagnostics[..] else { panic!() };
    assert_eq!(problem.problem.code(), "E403");
    let shown = problem.problem.to_string();
    assert!(shown.contains("is redirected to port 16001"), "{shown}");
    assert!(compilation.emit(all[0], View::Nft).is_ok());
}

#[test]
fn policies_for_one_namespace_do_not_meet() {
    let mut shown = String::new();
    for (text, expected) in [
        ("sidecar a {}\nsidecar b { mode tproxy }\nsidecar c {}\n", &["E330", "E330", "E330"][..]),
        ("ambient-pod a {}\nambient-host b {}\n", &["E330"]),
        ("sidecar a { mode tproxy }\nambient-host b {}\n", &[]),
        ("sidecar a {}\nambient-pod b {}\n", &["W515", "W515"]),
        ("ambient-pod b {}\nsidecar a { mode tproxy }\n", &["E331"]),
        (
            "sidecar a {\n  mode tproxy { mark 0x539; outbound-mark 0x111; table 100 }\n}\n\
             ambient-pod b { route { table 100 } }\n",
            &["E331", "E331", "E332"],
        ),
        (
            "sidecar a { mode tproxy { mark 1; outbound-mark 2 } }\n\
             ambient-pod b { proxy { connmark 0x222/0xfff } }\n",
            &["W514"],
        ),
        ("sidecar a { family ipv4; mode tproxy }\nambient-pod b { family ipv6 }\n", &[]),
        (
            "sidecar a { mode tproxy { table 100 }; inbound { capture port none } }\n\
             ambient-pod b { family ipv4 }\n",
            &["E331"],
        ),
    ] {
        let compilation = compile("a.weir", text, &NoIncludes, &Options::default()).unwrap();
        let all: Vec<_> = compilation.policies.iter().collect();
        let found = compilation.conflicts(&all);
        let codes: Vec<_> = found.iter().map(|found| found.problem.code()).collect();
        assert_eq!(codes, expected, "{text}");
        let refused = compilation.emit_together(&all, View::Nft);
        assert_eq!(refused.is_err(), found.iter().any(Diagnostic::is_error), "{text}");
        shown.push_str(&render::human(&compilation.sources, &found, false));
    }
    snapshots::of("mistakes").bind(|| insta::assert_snapshot!("together", shown));
}

#[test]
fn every_page_has_an_example_of_its_problem_and_of_what_is_right() {
    for code in CODES.iter().filter(|code| WITHOUT_EXAMPLES.iter().all(|(of, _)| of != *code)) {
        let page = explain(code).unwrap();
        let examples: Vec<&str> = page.split("```weir\n").skip(1).collect();
        let examples: Vec<&str> =
            examples.iter().map(|text| text.split_once("```").unwrap().0).collect();
        let [wrong, right] = examples[..] else { panic!("{code} has two examples") };
        let codes = |text: &str| -> BTreeSet<&str> {
            let mut files = files();
            files.insert("policy.weir".to_owned(), text.to_owned());
            let (_, diagnostics) = compiled("policy.weir", text, &files, GroupIds::new());
            let found = match *code {
                "W520" => {
                    compile("policy.weir", text, &NoIncludes, &Options::default()).unwrap().ties()
                }
                _ if TOGETHER.contains(code) => together(text),
                _ => diagnostics,
            };
            found.iter().map(|found| found.problem.code()).collect()
        };
        assert_eq!(codes(wrong), BTreeSet::from([*code]), "wrong on {code}");
        assert_eq!(codes(right), BTreeSet::new(), "right on {code}");
    }
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/diag/explain");
    let pages = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let pages: BTreeSet<String> =
        pages.map(|page| page.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let codes: BTreeSet<String> = CODES.iter().map(|code| (*code).to_owned()).collect();
    assert_eq!(pages, codes);
    for code in CODES {
        assert!(explain(code).unwrap().starts_with(&format!("# {code}: ")), "{code}");
    }
    assert_eq!(explain("E999"), None);
    // Every code of a problem is in the list, and none is made up.
    let source = include_str!("../../src/diag/codes.rs");
    let source = source.split_once("macro_rules!").unwrap().0;
    let source = source.to_owned() + include_str!("../../src/diag/fault.rs");
    let used: BTreeSet<String> = source
        .split('"')
        .filter(|word| word.len() == 4 && word.starts_with(['E', 'W']))
        .filter(|word| word[1..].bytes().all(|byte| byte.is_ascii_digit()))
        .map(str::to_owned)
        .collect();
    assert_eq!(used, codes);
}

#[test]
fn what_is_no_text_is_a_failure_like_others() {
    let long = "#".repeat(Sources::MAX_BYTES + 1);
    for (text, code) in [("sidecar a {}\0", "E204"), (&long, "E203")] {
        let failure = compile("x.weir", text, &files(), &Options::default()).unwrap_err();
        let codes: Vec<_> = failure.diagnostics.iter().map(|found| found.problem.code()).collect();
        assert_eq!(codes, [code]);
        let shown = render::human(&failure.sources, &failure.diagnostics, false);
        assert!(shown.contains("x.weir"), "{shown}");
    }
}

#[test]
fn the_rest_of_many_problems_is_counted() {
    for (text, code, last) in [
        ("foo bar\n".repeat(3000), "E102", "E112"),
        ("}".repeat(3000), "E105", "E112"),
        (format!("sidecar a {{\n{}}}", "foo bar\n".repeat(3000)), "E102", "E112"),
        (
            format!("sidecar a {{ inbound {{ exclude port {}81 }} }}", "80, ".repeat(3000)),
            "W505",
            "W512",
        ),
    ] {
        let checked = check(&load("x.weir", &text, &files()), &groups());
        let codes: Vec<_> = checked.diagnostics.iter().map(|found| found.problem.code()).collect();
        assert_eq!(codes.len(), MOST_REPORTED + 1);
        assert_eq!(codes.iter().filter(|found| **found == code).count(), MOST_REPORTED);
        assert_eq!(codes.last(), Some(&last));
        assert_eq!(checked.policies.is_empty(), last == "E112");
    }
    // None of them is right because its mistake is past the last that is kept.
    let text = format!("{}sidecar a {{ mode \u{7} }}", "}\n".repeat(3000));
    assert_eq!(check(&load("x.weir", &text, &files()), &groups()).policies, []);
}

#[test]
fn mistakes_are_shown_in_lines_of_bearable_length() {
    let addresses: Vec<_> =
        (0..80_000).map(|n| format!("10.{}.{}.1", n >> 8 & 255, n & 255)).collect();
    let text = format!(
        "sidecar a {{ outbound {{ exclude to {}, 10.0.0.300; {} 80 }} }}",
        addresses.join(", "),
        "x".repeat(100_000)
    );
    let loaded = load("long.weir", &text, &files());
    let diagnostics = check(&loaded, &groups()).diagnostics;
    let few: Vec<_> = diagnostics.into_iter().filter(Diagnostic::is_error).collect();
    let shown = render::human(&loaded.sources, &few, false);
    assert!(shown.lines().all(|line| line.chars().count() < 400), "{shown}");
    snapshots::of("mistakes").bind(|| insta::assert_snapshot!("long-line", shown));
}

/// Whether a line is a line of the source, or the mark below or before one, with nothing to break.
fn is_of_the_source(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with(|c: char| c.is_ascii_digit())
        || line.starts_with('╭')
        || line.starts_with('·') && !line.contains(char::is_alphabetic)
}

#[test]
fn mistakes_fit_the_width_and_say_the_same() {
    /// Fewest columns that a label is given, whatever stands before it.
    const LABEL: usize = 24;
    let files = files();
    let words = |text: &str| -> String {
        text.chars().filter(|c| !c.is_whitespace() && !"·│┤├╰─".contains(*c)).collect()
    };
    let mut broken = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let name = path.file_name().unwrap().to_str().unwrap();
        let (sources, diagnostics) = compiled(name, &text, &files, groups());
        let whole = render::human(&sources, &diagnostics, false);
        for width in [60, 80] {
            let shown = render::human_within(&sources, &diagnostics, false, width);
            assert_eq!(words(&shown), words(&whole), "{name} at {width}");
            broken += shown.lines().count() - whole.lines().count();
            for line in shown.lines().filter(|line| !is_of_the_source(line)) {
                let text = line.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '`');
                let can_be_broken = text.contains(' ') && text.chars().count() > LABEL;
                let columns = line.chars().count();
                assert!(columns <= width || !can_be_broken, "{name} at {width}:\n{shown}");
            }
        }
    }
    assert!(broken > 100, "only {broken} lines were broken");
    let text = "workload shop { }\nsidecar shop { outbound { exclude owner 0 } }\n";
    let (sources, diagnostics) = compiled("shop.weir", text, &files, groups());
    snapshots::of("mistakes").bind(|| {
        for width in [60, 80] {
            let shown = render::human_within(&sources, &diagnostics, false, width);
            insta::assert_snapshot!(format!("within-{width}"), shown);
        }
    });
}

#[test]
fn editors_and_programs_get_the_same() {
    let text = "sidecar a {\n\tfamily é, ipx; inbound { exclude port 0, $x }\n}\nlet y = 1\n";
    let loaded = load("a b.weir", text, &files());
    let diagnostics = check(&loaded, &groups()).diagnostics;
    snapshots::of("mistakes").bind(|| {
        let short = render::short(&loaded.sources, &diagnostics);
        let json = render::json(&loaded.sources, &diagnostics);
        insta::assert_snapshot!("as-lines", format!("{short}\n{json}"));
    });
}
