//! Laws of reading, checking, printing and formatting.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::common::policies::policies;
use crate::common::shipped::{compile_file, rulesets};
use netweir::Options;
use netweir::diag::{Diagnostic, in_order};
use netweir::policy::{Checked, Detail, GroupIds, Kind, Policy, check, print};
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
    let Checked { mut policies, diagnostics, .. } = checked(text);
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
fn a_block_on_a_later_line_belongs_to_the_word_before_it() {
    for text in ["let a =#c\nb {x}\n", "let a =#c\nb\n{x}\n", "=#\nb\n\n{x}\n"] {
        assert_eq!(parsed(text).diagnostics.len(), 1, "{text}");
    }
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
        (
            "let a =\n  # why\n  1,\n  2\nlet b = # x\n\n3",
            "let a =\n    # why\n    1, 2\nlet b =  # x\n    3\n",
        ),
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

/// A line must not begin with what would be taken for another clause.
#[test]
fn lists_are_not_broken_before_two_words() {
    let text = "tunnel-port extends y ambient-pod 1337 dns loopback interface drop family user , \
                drop 443 9-8 table x , redirect interface 443 from 80 70000 \n - loopback capture \
                80 10.0.0.0/8\n";
    for text in [text.to_owned(), format!("{}z, a {{ b }}\n", "x ".repeat(46))] {
        let formatted = syntax::format(&tree(&text));
        assert_eq!(tree(&formatted), tree(&text), "{formatted}");
        assert_eq!(syntax::format(&tree(&formatted)), formatted);
    }
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
        explosion("80"),
        explosion("80é0"),
        explosion("80 80"),
        explosion("$nothing"),
        explosion("$a15"),
    ] {
        let Checked { policies, diagnostics, .. } = checked(&text);
        assert_eq!(policies, [], "{}", &text[..40]);
        assert!(!diagnostics.is_empty(), "{}", &text[..40]);
    }
}

/// Lists of lists of lists, at the bottom of which is `value`: more values than fit a machine.
fn explosion(value: &str) -> String {
    let list = |n: usize| format!("let a{n} = {}\n", vec![format!("$a{}", n - 1); 100].join(", "));
    let lists: String = (1..16).map(list).collect();
    format!("let a0 = {value}\n{lists}sidecar a {{ inbound {{ exclude port $a15 }} }}")
}

#[test]
fn a_mistake_spoils_its_own_policy_only() {
    let text = "sidecar a { inbound { exclude port 0 } }\nsidecar b { family ipv4 }\n\
                sidecar c { familie ipv4 }\nsidecar d { mode \u{7} }\nsidecar e {}";
    let names: Vec<_> = checked(text).policies.iter().map(|p| p.node.name.to_string()).collect();
    assert_eq!(names, ["b", "e"]);
}

#[test]
fn a_mistake_in_a_list_spoils_every_policy_that_uses_it() {
    let text = "let a = 80, 0, 80\nlet b = $a, $a\nsidecar a { inbound { exclude port $b } }\n\
                sidecar b { inbound { exclude port $a } }\nsidecar c {}";
    let Checked { policies, diagnostics, .. } = checked(text);
    assert_eq!(policies.len(), 1);
    assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
    let text = text.replace(" 0,", "");
    assert_eq!(checked(&text).policies.len(), 3);
    assert_eq!(codes(&text), ["W505", "W505"], "each of the two is repeated once");
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
    let Checked { policies, diagnostics, .. } = check(&loaded, &GroupIds::new());
    assert_eq!(diagnostics, []);
    let excluded =
        |policy: &Policy| print(policy, Detail::Differences).lines().nth(2).map(str::to_owned);
    let lines: Vec<_> = policies.iter().map(|policy| excluded(&policy.node)).collect();
    let line = |ports: &str| Some(format!("    exclude port {ports}"));
    assert_eq!(lines, [line("80, 81, 82"), line("80, 81"), line("80, 81, 82")]);
}

/// What differs from the defaults in the policy that is written last, without its braces.
fn differences(text: &str) -> String {
    let Checked { policies, diagnostics, .. } = checked(text);
    let errors: Vec<_> = diagnostics.iter().filter(|found| found.is_error()).collect();
    assert_eq!(errors, Vec::<&Diagnostic>::new(), "{text}");
    let printed = print(&policies.last().unwrap().node, Detail::Differences);
    let lines = printed.lines().skip(1).map(str::trim).collect::<Vec<_>>().join("; ");
    let lines = lines.replace("{; ", "{ ").replace("; }", " }");
    lines.trim_end_matches('}').trim_end_matches([' ', ';']).to_owned()
}

#[test]
fn a_policy_means_what_it_says() {
    for (inside, meaning) in [
        ("", ""),
        ("family ipv4", "family ipv4"),
        ("family ipv6, ipv4", ""),
        ("mode tproxy", "mode tproxy"),
        ("mode tproxy { mark 0x5; on-miss continue }", "mode tproxy { mark 5; on-miss continue }"),
        ("proxy { user 0, 4294967294 }", "proxy { user 0, 4294967294 }"),
        ("proxy { user none; group 7 }", "proxy { user none; group 7 }"),
        ("proxy { user 5; group 5 }", "proxy { user 5 }"),
        ("proxy { also group 5 }", "proxy { group 1337, 5 }"),
        ("proxy { also group 5; user 1 }", "proxy { user 1; group 1, 5 }"),
        ("proxy { passthrough ::9 }", "proxy { passthrough 127.0.0.6, ::9 }"),
        ("inbound { capture port none }", "inbound { capture port none }"),
        ("inbound { also exclude port 80 }", "inbound { exclude port 80 }"),
        ("outbound { capture to 10.0.0.1/32 }", "outbound { capture to 10.0.0.1 }"),
        ("outbound { capture to 127.1.2.3 }", "outbound { capture to 127.1.2.3 }"),
        (
            "outbound { capture to ::1; exclude loopback }",
            "outbound { capture to ::1; exclude loopback }",
        ),
        ("outbound { capture loopback }", "outbound { capture loopback }"),
        ("outbound { loopback 127.0.0.0/8 }", "outbound { loopback 127.0.0.0/8, ::1 }"),
        ("outbound { capture group 7 }", "outbound { capture group 7 }"),
        ("outbound { capture group *; exclude group 7 }", "outbound { exclude group 7 }"),
        ("dns {}", "dns { capture * }"),
        ("dns { port 53 }", "dns { capture *; port 53 }"),
        ("dns { capture none }", "dns { capture none }"),
        ("interface { exclude \"eth0\", net* }", "interface { exclude eth0, net* }"),
        ("drop invalid", "drop invalid"),
        ("drop none", ""),
    ] {
        assert_eq!(differences(&format!("sidecar a {{ {inside} }}")), meaning, "{inside}");
    }
}

#[test]
fn a_policy_inherits_what_it_does_not_say() {
    for (base, inside, meaning) in [
        ("family ipv4", "", "family ipv4"),
        ("family ipv4", "family ipv4, ipv6", ""),
        ("inbound { exclude port 1 }", "inbound { exclude port 2 }", "inbound { exclude port 2 }"),
        (
            "inbound { exclude port 1 }",
            "inbound { also exclude port 2 }",
            "inbound { exclude port 1, 2 }",
        ),
        ("inbound { exclude port 1 }", "inbound { exclude port none }", ""),
        (
            "inbound { exclude port 1, 80 }",
            "inbound { capture port 80-90 }",
            "inbound { capture port 80-90; exclude port 80 }",
        ),
        (
            "inbound { capture port none }",
            "inbound { also capture port 5 }",
            "inbound { capture port 5 }",
        ),
        (
            "outbound { exclude to 10.0.0.0/8, fd00::/8 }",
            "family ipv6",
            "family ipv6; outbound { exclude to fd00::/8 }",
        ),
        ("proxy { passthrough ::9; user 5 }", "family ipv4", "family ipv4; proxy { user 5 }"),
        ("proxy { user 5 }", "proxy { user 6 }", "proxy { user 6 }"),
        ("proxy { group 5 }", "proxy { user 6 }", "proxy { user 6; group 5 }"),
        ("outbound { capture to ::1 }", "outbound { capture to * }", ""),
        (
            "outbound { capture loopback }",
            "outbound { capture to 10.0.0.1 }",
            "outbound { capture to 10.0.0.1; capture loopback }",
        ),
        ("outbound { capture group 5 }", "outbound { capture group * }", ""),
        (
            "outbound { exclude group 5 }",
            "outbound { exclude group none; capture group 6 }",
            "outbound { capture group 6 }",
        ),
        ("mode tproxy { mark 5 }", "mode tproxy { table 6 }", "mode tproxy { mark 5; table 6 }"),
        ("mode tproxy { mark 5 }", "mode redirect", ""),
        ("dns { capture ::1 }", "dns { port 5353 }", "dns { capture ::1; port 5353 }"),
        ("dns { capture ::1 }", "dns { also capture ::2 }", "dns { capture ::1, ::2 }"),
        ("dns { capture ::1 }", "dns none", ""),
        ("drop invalid", "drop none", ""),
    ] {
        // The order of policies does not matter, nor that there are some between.
        let text = format!(
            "sidecar base {{ {base} }}\nsidecar between extends base {{}}\n\
             sidecar a extends between {{ {inside} }}"
        );
        assert_eq!(differences(&text), meaning, "{base} / {inside}");
        let text = format!("sidecar z extends b {{}} sidecar b {{ {base} }}");
        assert_eq!(checked(&text).policies.len(), 2, "{text}");
    }
}

#[test]
fn inherited_clauses_are_not_reported_again() {
    let base = "sidecar base {\n\
        outbound { exclude to 10.0.0.0/8, 10.0.0.0/8; exclude port 53, 53 }\n\
        proxy { user 1, 1; outbound-port 15006 }\n\
        dns {}\n\
        interface { exclude eth0; reroute eth0 }\n\
        mode tproxy { mark 5; outbound-mark 5 }\n}\n";
    let alone = codes(base);
    assert_eq!(alone, ["W505", "W505", "W505", "W508", "W513", "W504", "W507"]);
    assert_eq!(codes(&format!("{base}sidecar a extends base {{ family ipv4 }}")), alone);
    assert_eq!(codes(&format!("{base}sidecar a extends base {{ family ipx }}")).len(), 8);
}

/// The codes of everything that is reported, in order.
fn codes(text: &str) -> Vec<&'static str> {
    checked(text).diagnostics.iter().map(|found| found.problem.code()).collect()
}

#[test]
fn every_setting_knows_its_clause() {
    let text = "sidecar base { inbound { exclude port 1 }; dns { port 5 } }\n\
                sidecar a extends base { also_not; inbound { also exclude port 2 } }\n\
                sidecar b extends base { mode tproxy { table 5 }; outbound { capture to ::1 } }";
    let loaded = load("x.weir", text, &NoIncludes);
    let policies = check(&loaded, &GroupIds::new()).policies;
    let names: Vec<_> = policies.iter().map(|policy| policy.node.name.as_str()).collect();
    assert_eq!(names, ["base", "b"]);
    assert_eq!(loaded.sources.text(policies[1].span), "b");
    let Kind::Sidecar(sidecar) = &policies[1].node.kind else { panic!("a sidecar") };
    let clause = |span: Option<netweir::span::Span>| span.map(|span| loaded.sources.text(span));
    assert_eq!(clause(sidecar.inbound.exclude_ports.clause), Some("exclude port 1"));
    assert_eq!(clause(sidecar.inbound.capture_ports.clause), None);
    assert_eq!(clause(sidecar.mode.clause), Some("mode tproxy"));
    assert_eq!(clause(sidecar.outbound.capture_to.clause), Some("capture to ::1"));
    assert_eq!(clause(sidecar.outbound.capture_loopback.clause), Some("capture to ::1"));
    assert_eq!(clause(sidecar.dns.clause), Some("dns"));
    assert_eq!(clause(sidecar.proxy.groups.clause), None);
}

#[test]
fn the_reference_is_right() {
    let company = ("company.weir".to_owned(), String::new());
    let examples = include_str!("../../docs/language.md").split("```weir\n").skip(1);
    let mut everything = BTreeSet::new();
    for example in examples.map(|text| text.split_once("```").unwrap().0) {
        let files = BTreeMap::from([company.clone()]);
        let checked = check(&load("x.weir", example, &files), &GroupIds::new());
        assert_eq!(checked.diagnostics, [], "{example}");
        // The examples that show every clause with its default are complete and formatted.
        for policy in checked.policies.iter().filter(|p| p.node.name.as_str() == "everything") {
            let default = format!("{} everything {{}}", policy.node.kind.keyword());
            assert_eq!(policy.node, self::policy(&default), "{example}");
            let printed = print(&policy.node, Detail::Everything);
            assert_eq!(tree(&printed), tree(example), "{printed}");
            assert!(everything.insert(policy.node.kind.keyword()), "{example}");
        }
    }
    // Every kind that ships is shown.
    let shipped: BTreeSet<_> = rulesets()
        .iter()
        .flat_map(|path| compile_file(path, &Options::default()).policies)
        .map(|policy| policy.kind.keyword())
        .collect();
    assert_eq!(everything, shipped);
}

/// Long rows of words and values, whatever they mean.
fn rows() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &["redirect", "exclude", "port", "80", "9-8", "10.0.0.0/8", "$health"];
    let token = prop_oneof![
        40 => (prop::sample::select(WORDS), prop::sample::select(vec![", ", " "]))
            .prop_map(|(word, behind)| format!("{word}{behind}")),
        1 => prop::sample::select(vec!["a; b ", "a # why\n", "a {}\n"]).prop_map(str::to_owned),
    ];
    prop::collection::vec(token, 10..60).prop_map(|tokens| format!("a {} 80\n", tokens.concat()))
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
    // A case that fails belongs into a table above, not into a file of seeds.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printed_policies_are_read_again(policy in policies()) {
        for detail in [Detail::Everything, Detail::Differences] {
            let text = print(&policy, detail);
            prop_assert_eq!(&self::policy(&text), &policy, "{}", text);
            prop_assert_eq!(syntax::format(&tree(&text)), text);
        }
    }

    #[test]
    fn formatted_texts_say_the_same(text in prop_oneof![nearly(), rows()]) {
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
