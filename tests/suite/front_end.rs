//! Laws of reading, checking, printing and formatting.


use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::common::policies::policies;
use netweir::diag::{Diagnostic, in_order};
use netweir::policy::{Checked, Detail, GroupIds, Policy, check, print};
use netweir::span::Sources;
use netweir::syntax::{self, NoIncludes, Parsed, ast, load};
use proptest::prelude::*;

fn parsed(text: &str) -> Parsed {
    let mut sources = Sources::default();
    let file = sources.add("x.weir", text);
    syntax::parse(&sources, file)
}

/// The tree of a text that is right.
fn tree(text: &str) -> ast::File {
    let Parsed { tree, diagnostics } = parsed(text);
    assert_eq!(diagnostics, [], "{text}");
    tree
}

fn checked(text: &str) -> Checked {
    check(&load("x.weir", text, &NoIncludes), &GroupIds::new())
}

/// The only policy of a text that is right.
fn policy(text: &str) -> Policy {
    let Checked { mut policies, diagnostics } = checked(text);
    let errors: Vec<_> = diagnostics.iter().filter(|found| found.is_error()).collect();
    assert_eq!(errors, Vec::<&Diagnostic>::new(), "{text}");
    assert_eq!(policies.len(), 1, "{text}");
    policies.remove(0).node
}

/// The mistakes, as texts to change.
fn mistakes() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.is_file()).collect();
    files.sort();
    files.into_iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// What is formatted in one way only.
const FORMATTED: &str = "\
# The company's.
include \"company.weir\"

let metadata = 169.254.169.254
let health = 15020, 15021  # two
expect outbound tcp to 10.96.0.0/12 port 443 => untouched

sidecar istio {}

sidecar reviews extends istio {
  # Why.
  mode tproxy { mark 1337; table 133 }
  family ipv4, ipv6  # both

  inbound {  # what comes in
    capture port *

    exclude port $health,  # health
      9090
  }  # in
  interface { exclude \"eth0\", net* }
}  # out
# The end.
";

#[test]
fn what_is_formatted_stays() {
    let text = FORMATTED.replace("\n      9090", "\n        9090");
    assert_eq!(syntax::format(&tree(&text)), text);
}

#[test]
fn formatting_makes_one_of_many_ways() {
    for (given, formatted) in [
        ("", ""),
        ("\n\n\n", ""),
        ("\u{feff}# x", "# x\n"),
        ("sidecar  a{family\tipv4;mode redirect}", "sidecar a { family ipv4; mode redirect }\n"),
        ("sidecar a\n{\n}\n", "sidecar a {}\n"),
        ("sidecar a { # why\n}", "sidecar a {  # why\n}\n"),
        ("sidecar a # why\n{ # what\n}", "sidecar a {  # why\n  # what\n}\n"),
        (
            "sidecar a { inbound { capture port * } }",
            "sidecar a {\n  inbound { capture port * }\n}\n",
        ),
        ("\r\n\r\nlet a=1,\r\n\r\n 2\r\n\r\n\r\n\r\nlet b = 3", "let a = 1, 2\n\nlet b = 3\n"),
        ("let a = 1, # one\n# two\n2", "let a = 1,  # one\n    # two\n    2\n"),
        ("a { # x\n\n\n b\n\n\n}\n\n\n\n# y\n\n", "a {  # x\n  b\n}\n\n# y\n"),
    ] {
        assert_eq!(syntax::format(&tree(given)), formatted, "{given:?}");
    }
}

#[test]
fn long_lists_are_broken_behind_a_comma() {
    let list: Vec<_> = (10000..10030).map(|port| port.to_string()).collect();
    let text = format!("sidecar a {{\n  inbound {{ exclude port {} }}\n}}\n", list.join(", "));
    let formatted = syntax::format(&tree(&text));
    assert!(formatted.lines().all(|line| line.len() <= 100), "{formatted}");
    assert_eq!(formatted.lines().count(), 7, "{formatted}");
    assert_eq!(tree(&formatted), tree(&text));
    assert_eq!(syntax::format(&tree(&formatted)), formatted);
}

#[test]
fn nothing_but_its_own_text_says_what_a_policy_is() {
    let text = mistakes().join("\n");
    let (one, other) = (checked(&text), checked(&text));
    assert_eq!(one.policies, other.policies);
    assert_eq!(one.diagnostics, other.diagnostics);
    assert_eq!(in_order(one.diagnostics.clone()), one.diagnostics, "they are in order");
}

#[test]
fn hostile_texts_are_read() {
    let many = |text: &str| text.repeat(10_000);
    for text in [
        "{".repeat(100_000),
        many("}"),
        many("{ a "),
        many("a { }"),
        many("{}"),
        many(","),
        many(", a"),
        many("a ,\n"),
        many("\""),
        many("$"),
        many("="),
        many("\u{0}"),
        many("\u{202e}"),
        many("also "),
        many("sidecar "),
        many("sidecar a {"),
        many("sidecar a { outbound { exclude to "),
        many("#\n,"),
        many("a,#\n"),
        format!("sidecar a {{ inbound {{ exclude port {} }} }}", many("80-90-")),
        format!("sidecar a {{ {} 80 }}", many("x")),
        format!("let a = {}", many("$a, ")),
    ] {
        let Checked { policies, diagnostics } = checked(&text);
        assert_eq!(policies, [], "{}", &text[..40]);
        assert!(!diagnostics.is_empty(), "{}", &text[..40]);
    }
}

#[test]
fn a_mistake_spoils_its_own_policy_only() {
    let text = "sidecar a { inbound { exclude port 0 } }\nsidecar b { family ipv4 }\n\
                sidecar c { familie ipv4 }\nsidecar d { mode \u{7} }\nsidecar e {}";
    let names: Vec<_> = checked(text).policies.iter().map(|p| p.node.name.to_string()).collect();
    assert_eq!(names, ["b", "e"]);
}

#[test]
fn files_are_read_once_and_names_are_shared() {
    let files: BTreeMap<String, String> = [
        ("lib/all.weir", "include \"a.weir\"\ninclude \"../lib/./a.weir\"\ninclude \"b.weir\""),
        ("lib/a.weir", "let ports = 80, 81\nsidecar a { inbound { exclude port $ports } }"),
        (
            "lib/b.weir",
            "include \"a.weir\"\nsidecar b extends a { inbound { also exclude port 82 } }",
        ),
    ]
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .into();
    let loaded = load("main.weir", "include \"lib/all.weir\"\nsidecar c extends b {}", &files);
    assert_eq!(loaded.files.len(), 4);
    let Checked { policies, diagnostics } = check(&loaded, &GroupIds::new());
    assert_eq!(diagnostics, []);
    let excluded =
        |policy: &Policy| print(policy, Detail::Differences).lines().nth(2).map(str::to_owned);
    let lines: Vec<_> = policies.iter().map(|policy| excluded(&policy.node)).collect();
    let line = |ports: &str| Some(format!("    exclude port {ports}"));
    assert_eq!(lines, [line("80, 81, 82"), line("80, 81"), line("80, 81, 82")]);
}

/// A text near a right one, or near a wrong one.
fn nearly() -> impl Strategy<Value = String> {
    let mut texts = mistakes();
    texts.push(FORMATTED.to_owned());
    let change = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), snippet());
    (prop::sample::select(texts), prop::collection::vec(change, 0..6)).prop_map(
        |(text, changes)| {
            let mut characters: Vec<char> = text.chars().take(2000).collect();
            for (from, length, new) in changes {
                if characters.is_empty() {
                    break;
                }
                let from = from.index(characters.len());
                let to = (from + length.index(8)).min(characters.len());
                characters.splice(from..to, new.chars());
            }
            characters.into_iter().collect()
        },
    )
}

fn snippet() -> impl Strategy<Value = String> {
    const TEXTS: &[&str] = &[
        "",
        "{",
        "}",
        ",",
        ";",
        "\n",
        "\r\n",
        "\"",
        "$",
        "=",
        "=>",
        "#",
        " ",
        "\t",
        "\u{0}",
        "\u{a0}",
        "é",
        "𝒳",
        "none",
        "*",
        "also",
        "exclude",
        "port",
        "80",
        "0",
        "4294967295",
        "10.0.0.0/8",
        "::",
        "/",
        "-",
        "$health",
        "sidecar",
        "a",
        "extends",
    ];
    prop_oneof![3 => prop::sample::select(TEXTS).prop_map(str::to_owned), 1 => ".{0,8}"]
}

proptest! {
    #[test]
    fn printed_policies_are_read_again(policy in policies()) {
        for detail in [Detail::Everything, Detail::Differences] {
            let text = print(&policy, detail);
            prop_assert_eq!(&self::policy(&text), &policy, "{}", text);
            prop_assert_eq!(syntax::format(&tree(&text)), text);
        }
    }

    #[test]
    fn formatted_texts_say_the_same(text in nearly()) {
        let Parsed { tree, diagnostics } = parsed(&text);
        if diagnostics.is_empty() {
            let formatted = syntax::format(&tree);
            let again = self::tree(&formatted);
            prop_assert_eq!(&again, &tree, "{}", formatted);
            prop_assert_eq!(&syntax::format(&again), &formatted);
            let (said, says) = (checked(&text), checked(&formatted));
            let nodes = |checked: Checked| -> Vec<Policy> {
                checked.policies.into_iter().map(|policy| policy.node).collect()
            };
            prop_assert_eq!(nodes(said), nodes(says));
        }
    }

    #[test]
    fn any_text_is_checked_and_shown(text in nearly()) {
        let loaded = load("x.weir", &text, &NoIncludes);
        let checked = check(&loaded, &GroupIds::new());
        for diagnostic in &checked.diagnostics {
            let source = &loaded.sources;
            for label in &diagnostic.labels {
                prop_assert!(label.at.start <= label.at.end);
                let _ = source.text(label.at);
            }
            let message = diagnostic.problem.to_string();
            let harmful = |c: char| c.is_control() && c != '\t';
            prop_assert!(!message.ends_with('.') && !message.contains(harmful), "{}", message);
        }
        #[cfg(feature = "cli")]
        {
            use netweir::diag::render;
            let harmless = |text: &str| !text.contains(|c: char| c.is_control() && c != '\n' && c != '\t');
            prop_assert!(harmless(&render::human(&loaded.sources, &checked.diagnostics, false)));
            prop_assert!(harmless(&render::short(&loaded.sources, &checked.diagnostics)));
            let json = render::json(&loaded.sources, &checked.diagnostics);
            prop_assert_eq!(json.lines().count(), checked.diagnostics.len());
            prop_assert!(json.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
        }
    }
}
