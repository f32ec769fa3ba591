//! JUnit's XML, in which test runners and code hosts have their results.

use std::collections::BTreeMap;
use std::io;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::escape::xml;
use super::{Case, Verdict};

/// The document of what `command` looked at. A suite is a file, or what else cases are a part of.
pub(in crate::cli) fn document(command: &str, cases: &[Case]) -> io::Result<String> {
    let mut suites: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in cases {
        suites.entry(&case.suite).or_default().push(case);
    }
    let mut report = Report::new(xml(&format!("weir {command}")));
    for (name, cases) in suites {
        let mut suite = TestSuite::new(xml(name));
        suite.add_test_cases(cases.into_iter().map(|case| test_case(command, case)));
        report.add_test_suite(suite);
    }
    let text = report.to_string().map_err(io::Error::other)?;
    // Jenkins' schema has it of a suite, and not of all together; nothing of weir's is skipped.
    Ok(text.replacen(" skipped=\"0\"", "", 1))
}

fn test_case(command: &str, case: &Case) -> TestCase {
    let status = match &case.verdict {
        Verdict::Good | Verdict::Remarked(_) => TestCaseStatus::success(),
        Verdict::Bad { code, message, text } => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(xml(code)).set_message(xml(message)).set_description(xml(text));
            status
        }
        Verdict::Failed(message) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(xml(message));
            status
        }
    };
    let mut test_case = TestCase::new(xml(&case.name), status);
    test_case.set_classname(xml(&format!("weir.{command}")));
    if let Verdict::Remarked(text) = &case.verdict {
        test_case.set_system_out(xml(text));
    }
    test_case
}
