//! What a test says that cannot run.

use std::io::Write;

/// Says `why`, without the test harness, which keeps what a passing test prints to itself.
pub(crate) fn skip(why: &str) {
    let required = std::env::var_os("WEIR_REQUIRE_KERNEL").is_some_and(|value| value == "1");
    assert!(!required, "{why}, and WEIR_REQUIRE_KERNEL is 1");
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
