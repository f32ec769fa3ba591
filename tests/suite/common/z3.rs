//! The solver z3, from the distribution's packages.

use std::io::Write;
use std::process::{Command, Stdio};

use super::skip::skip;

/// What z3 says of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// There is no such packet.
    Unsat,
    /// There is one, which `netweir::smt::packet` reads from this.
    Sat(String),
}

/// Whether z3 is installed, or a printed note.
///
/// # Panics
///
/// If it is not and `WEIR_REQUIRE_KERNEL` is 1.
pub(crate) fn available() -> bool {
    let found = Command::new("z3").arg("--version").output();
    let is_there = found.is_ok_and(|output| output.status.success());
    if !is_there {
        skip("z3 is not installed");
    }
    is_there
}

const END: &str = "the end of a question";

/// Lets z3 decide each of `questions`, half of them in one process, half in another.
pub(crate) fn decide(questions: &[String]) -> Vec<Answer> {
    let (first, second) = questions.split_at(questions.len() / 2);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| decide_in_one(first));
        let second = decide_in_one(second);
        let mut answers = first.join().unwrap();
        answers.extend(second);
        answers
    })
}

fn decide_in_one(questions: &[String]) -> Vec<Answer> {
    let mut script = String::new();
    for question in questions {
        let (question, values) = question.trim_end().rsplit_once("\n; ").unwrap();
        script.extend([question, "\n", values, "\n(echo \"", END, "\")\n(reset)\n"]);
    }
    let mut z3 =
        Command::new("z3").arg("-in").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = z3.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(script.as_bytes()).unwrap());
        z3.wait_with_output().unwrap()
    });
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<_> = text.split(END).map(answer).take(questions.len()).collect();
    assert_eq!(answers.len(), questions.len(), "{text}");
    answers
}

fn answer(text: &str) -> Answer {
    // Behind `unsat` there are no values, which z3 calls an error.
    match text.trim().split_once('\n') {
        Some(("unsat", error)) if error.lines().count() == 1 => Answer::Unsat,
        Some(("sat", values)) if values.starts_with("((") => Answer::Sat(values.to_owned()),
        _ => panic!("{text}"),
    }
}
