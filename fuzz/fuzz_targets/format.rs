//! Formatting changes nothing that is said, and formatting twice nothing at all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netweir::syntax::{NoIncludes, format, load};

fuzz_target!(|text: &str| {
    let loaded = load("fuzz.weir", text, &NoIncludes);
    if !loaded.diagnostics.is_empty() {
        return;
    }
    let formatted = format(loaded.main().1);
    let again = load("fuzz.weir", &formatted, &NoIncludes);
    assert_eq!(loaded.main().1, again.main().1);
    assert_eq!(formatted, format(again.main().1));
});
