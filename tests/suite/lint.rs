//! What is probably not meant is told by what rules do, and denied where that is asked.
#![cfg(feature = "cli")]

use netweir::diag::{Problem, REFUSAL};
use netweir::lower::{Layout, lower};
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
    lower(&compilation.policies[0], Layout::Upstream).ruleset
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
    assert!(said.ends_with(" files: 0 warnings\n") && said.lines().count() == 1, "{said}");
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
