//! What is probably not meant is told by what rules do, and denied where that is asked.
#![cfg(feature = "cli")]

use netweir::diag::{Problem, REFUSAL};
use netweir::lower::lower;
use netweir::semantics::{Packet, run};
use netweir::syntax::NoIncludes;
use netweir::{Options, compile};

use crate::cli::{stderr, stdout};
use crate::common::repository::Repository;

const SHADOWED: &str = "\
sidecar web {
  outbound { capture to 10.0.0.0/8; exclude to 0.0.0.0/0, ::/0; capture port 25 }
}
";

fn ruleset(text: &str) -> netweir::ir::Ruleset {
    let compilation = compile("x.weir", text, &NoIncludes, &Options::default()).unwrap();
    lower(&compilation.policies[0]).ruleset
}

#[test]
fn the_packet_of_a_clause_without_effect_would_have_needed_it() {
    let compilation = compile("x.weir", SHADOWED, &NoIncludes, &Options::default()).unwrap();
    let found = compilation.lint();
    let [found] = &found[..] else { panic!("{found:?}") };
    let Problem::Shadowed { clause, by, packet } = &found.problem else { panic!("{found:?}") };
    assert_eq!(&**clause, "outbound capture port 25");
    assert_eq!(&**by, "outbound exclude to 0.0.0.0/0, ::/0");
    let packet: Packet = packet.parse().unwrap();
    let outcome = |left_out: &[&str]| {
        let text = left_out.iter().fold(SHADOWED.to_owned(), |text, it| text.replace(it, ""));
        run(&ruleset(&text), &packet).outcome
    };
    let (port, exclude) = ("; capture port 25", "exclude to 0.0.0.0/0, ::/0;");
    let exclude_alone = exclude.trim_end_matches(';');
    assert_eq!(outcome(&[]), outcome(&[port]));
    assert_ne!(outcome(&[exclude]), outcome(&[port, exclude_alone]));
}

#[test]
fn what_is_shipped_has_nothing_that_is_not_meant() {
    let mut weir = std::process::Command::new(env!("CARGO_BIN_EXE_weir"));
    weir.args(["lint", "--deny", "warnings", "rulesets", "examples"]);
    let output = weir.current_dir(crate::common::shipped::root()).output().unwrap();
    let said = stdout(&output);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""), "{said}");
    assert!(said.ends_with(" files: 0 warnings\n") && !said.contains("warning["), "{said}");
    // What is no fault of a policy is said once a program, and not once a policy.
    assert_eq!(said.matches("note[W520]").count(), 3, "{said}");
}

#[test]
fn warnings_are_denied_one_by_one_or_all() {
    let repository = Repository::new();
    repository.write("web.weir", SHADOWED);
    repository.write("good.weir", "sidecar good {}\n");
    let weir = |arguments: &[&str]| repository.weir_in("", arguments);
    let denied = |output: &std::process::Output| {
        let said = stderr(output);
        (output.status.code(), said.lines().filter(|line| line.ends_with("denied")).count())
    };
    let lint = weir(&["lint", "."]);
    assert_eq!((lint.status.code(), stderr(&lint)), (Some(0), ""));
    let said = stdout(&lint);
    assert!(said.contains("`outbound capture port 25` has no effect"), "{said}");
    assert!(said.ends_with("\n2 policies of 2 files: 2 warnings\n"), "{said}");
    // The captured network is excluded, as compiling tells: W501; W509 is for rules to tell.
    for (arguments, expected) in [
        (&["lint", ".", "--deny", "warnings"][..], (Some(1), 1)),
        (&["lint", ".", "--deny", "W509"], (Some(1), 1)),
        (&["lint", ".", "--deny", "W510"], (Some(0), 0)),
        (&["lint", ".", "--deny", "W510", "--deny", "W501"], (Some(1), 1)),
        (&["check", "web.weir", "--deny", "W509"], (Some(1), 1)),
        (&["check", "web.weir"], (Some(0), 0)),
        (&["check", "good.weir", "--deny", "warnings"], (Some(0), 0)),
        (&["compile", "web.weir", "--deny", "W501"], (Some(1), 1)),
        (&["compile", "web.weir", "--deny", "W509"], (Some(0), 0)),
        (&["golden", ".", "--bless", "--deny", "W509"], (Some(1), 1)),
    ] {
        let output = weir(arguments);
        assert_eq!(denied(&output), expected, "{arguments:?}\n{}", stderr(&output));
        if expected.0 == Some(1) && arguments[0] == "compile" {
            assert_eq!(stdout(&output), format!("{REFUSAL}\n"), "{arguments:?}");
        }
    }
    assert!(!repository.path("golden").exists(), "what is denied is not blessed");
    assert_eq!(weir(&["golden", ".", "--bless"]).status.code(), Some(0));
    assert_eq!(denied(&weir(&["golden", ".", "--deny", "W509"])), (Some(1), 1));
    for wrong in ["E302", "W000", "warning"] {
        assert_eq!(weir(&["lint", ".", "--deny", wrong]).status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn what_is_allowed_is_no_warning_and_changes_no_output() {
    let repository = Repository::new();
    repository.write("web.weir", SHADOWED);
    let weir = |arguments: &[&str]| repository.weir_in("", arguments);
    let before = weir(&["compile", "web.weir"]);
    repository.edit("web.weir", "capture port 25", "capture port 25 allow W509 \"for later\"");
    repository.edit("web.weir", "{\n  out", "{\n  allow W501 \"so it is\"\n  out");
    let output = weir(&["check", "web.weir", "--deny", "warnings"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    let after = weir(&["compile", "web.weir"]);
    assert_eq!((stdout(&after), stderr(&after)), (stdout(&before), ""));
    // Formatting leaves it where it is.
    assert_eq!(weir(&["format", "web.weir"]).status.code(), Some(0));
    let output = weir(&["check", "web.weir", "--deny", "warnings"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    // Another clause, and another code, are not meant.
    repository.edit("web.weir", "W501", "W503");
    let output = weir(&["check", "web.weir", "--message-format", "short"]);
    let said = stderr(&output);
    assert!(said.contains("[W501]") && said.contains("[W519]: `allow W503`"), "{said}");
    assert!(!said.contains("W509"), "{said}");
}

/// The codes that `weir lint` has for a policy that says this, with what they are about.
fn lint(text: &str) -> Vec<(&'static str, String)> {
    let compilation = compile("x.weir", text, &NoIncludes, &Options::default()).unwrap();
    let source = &compilation.sources;
    let told = compilation.lint().into_iter().map(|found| {
        let at = found.at().unwrap();
        let text = &source.file(at.file).text;
        (found.problem.code(), text[at.start as usize..at.end as usize].to_owned())
    });
    told.collect()
}

#[test]
fn a_value_without_effect_is_told_of_a_list_that_has_one() {
    // 10.0.0.0/8 is captured, so that of the excluded ports only those beside it matter.
    let text = "sidecar web {\n  outbound {\n    capture to 10.0.0.0/8\n    exclude to 10.1.0.0/16, \
                10.2.0.0/16\n    capture port 25, 26\n    exclude port 25\n  }\n}\n";
    let ports = "sidecar web { outbound { exclude to 10.0.0.0/8 }; inbound { capture port *; exclude \
                 port 80-90, 15090, 91-95, 88-93 } }";
    assert_eq!(lint(ports), [("W509", "88-93".to_owned())]);
    let compilation = compile("x.weir", ports, &NoIncludes, &Options::default()).unwrap();
    let found = &compilation.lint()[0];
    let Problem::Shadowed { clause, by, packet } = &found.problem else { panic!("{found:?}") };
    assert_eq!(&**clause, "inbound exclude port 88-93");
    let outcome = |left_out: &[&str]| {
        let text = left_out.iter().fold(ports.to_owned(), |text, it| text.replace(it, ""));
        run(&ruleset(&text), &packet.parse().unwrap()).outcome
    };
    let other = by.strip_prefix("inbound exclude port ").unwrap();
    let (other, own) = (format!("{other}, "), ", 88-93");
    assert_eq!(outcome(&[]), outcome(&[own]), "{by}");
    assert_ne!(outcome(&[&other]), outcome(&[&other, own]), "{by}");
    assert_eq!(lint(text), [], "what compiling tells is not told again");
}

#[test]
fn dns_capture_that_no_query_meets_is_told_whatever_leaves_it_out() {
    let told = |inside: &str| lint(&format!("sidecar web {{ {inside}; dns {{ capture * }} }}"));
    let one = |at: &str| [("W506", at.to_owned())];
    assert_eq!(told("outbound { exclude port 22, 50-60, 80 }"), one("50-60"));
    assert_eq!(told("outbound { exclude port 53 }"), one("exclude port 53"));
    assert_eq!(told("outbound { exclude port 54 }"), []);
    // Some queries are left, and those are captured.
    assert_eq!(told("outbound { exclude to 10.0.0.0/8 }"), []);
    // Queries are looked at before excluded destinations are.
    assert_eq!(told("outbound { exclude to 0.0.0.0/0, ::/0 }"), []);
    // Nothing else is left then, which is said instead.
    let all = "exclude port 1-65535";
    assert_eq!(told(&format!("outbound {{ {all} }}")), [("W510", all.to_owned())]);
}

#[test]
fn a_clause_that_leaves_nothing_of_a_direction_is_told() {
    let told = |inside: &str| lint(&format!("sidecar web {{ {inside} }}"));
    let one = |at: &str| [("W510", at.to_owned())];
    let all = "exclude to 0.0.0.0/0";
    assert_eq!(told(&format!("family ipv4; outbound {{ {all} }}")), one(all));
    for way in ["inbound", "outbound"] {
        let all = "exclude port 1-65535";
        assert_eq!(told(&format!("{way} {{ {all} }}")), one(all));
        assert_eq!(told(&format!("{way} {{ exclude port 1-65534 }}")), []);
    }
    // Who says so means it.
    assert_eq!(told("inbound { capture port none }"), []);
    assert_eq!(told("outbound { capture to none }"), []);
    let linkerd = "linkerd web { outbound { exclude port 1-65535 } }";
    assert_eq!(lint(linkerd), one("exclude port 1-65535"));
}

#[test]
fn who_runs_as_the_proxy_is_told_where_a_policy_names_it() {
    let told = |expected: &str| lint(&format!("sidecar web {{ expect outbound tcp {expected} }}"));
    assert_eq!(told("user 1337 => untouched"), []);
    assert_eq!(told("user 1000 => proxy 15001"), []);
    assert_eq!(told("user 1337 group 1337 => untouched"), []);
    let [(code, at)] = &told("user 1337 group 1000 => untouched")[..] else { panic!() };
    assert_eq!((*code, &**at), ("W503", "expect outbound tcp user 1337 group 1000 => untouched"));
    // An inherited one is told once.
    let text = "sidecar base { expect outbound tcp port 80 group 1337 user 7 => untouched }\n\
                sidecar web extends base {}\n";
    assert_eq!(lint(text).len(), 1, "{:?}", lint(text));
}

#[test]
fn chains_of_others_that_tie_are_a_note_on_all_policies() {
    let repository = Repository::new();
    repository.write("a.weir", "sidecar a { dns {} }\n");
    repository.write("b.weir", "sidecar b { outbound { exclude port 25 } }\nsidecar c {}\n");
    let weir = |arguments: &[&str]| repository.weir_in("", &[&["lint", "."], arguments].concat());
    let said = |arguments: &[&str]| {
        let output = weir(arguments);
        (output.status.code(), stdout(&output).to_owned())
    };
    let (status, text) = said(&["--deny", "warnings"]);
    assert_eq!(status, Some(0), "{text}");
    assert_eq!(text.matches("note[W520]").count(), 3, "{text}");
    assert!(
        text.starts_with("a.weir:1:9: note[W520]: who was loaded last, the policy or"),
        "{text}"
    );
    assert!(text.ends_with("3 policies of 2 files: 0 warnings\n"), "{text}");
    assert!(text.replace("\n    ", " ").contains("(and so it is with 2 other policies)"), "{text}");
    assert_eq!(text.matches("and so it is").count(), 2, "only one captures DNS\n{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for (form, expected) in
        [("github", "::notice "), ("sarif", "\"level\": \"note\""), ("short", "note[W520]")]
    {
        let (status, text) = said(&["--message-format", form]);
        assert_eq!((status, text.matches(expected).count()), (Some(0), 3), "{text}");
    }
    assert_eq!(said(&["--deny", "W520"]).0, Some(1));
    let (status, text) = said(&["--deny", "W520", "--message-format", "junit"]);
    assert_eq!((status, text.matches("<failure ").count()), (Some(1), 3), "{text}");
    // Nobody else says it.
    for arguments in [&["check", "a.weir"][..], &["golden", ".", "--bless"]] {
        let output = repository.weir_in("", &[arguments, &["--deny", "warnings"]].concat());
        assert!(
            !format!("{}{}", stdout(&output), stderr(&output)).contains("W520"),
            "{arguments:?}"
        );
    }
    for file in ["a.weir", "b.weir"] {
        let text = repository.read(file);
        repository.write(file, &format!("allow W520 \"pods have none of these\"\n{text}"));
    }
    assert_eq!(
        said(&["--deny", "W520"]),
        (Some(0), "3 policies of 2 files: 0 warnings\n".to_owned())
    );
    repository.write("a.weir", "allow W520 \"no\"\nsidecar a { family ipv6 }\n");
    assert!(said(&[]).1.contains("W519"), "{}", said(&[]).1);
    exits_well(&repository.weir_in("", &["check", "a.weir", "--deny", "warnings"]));
}

fn exits_well(output: &std::process::Output) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
}
