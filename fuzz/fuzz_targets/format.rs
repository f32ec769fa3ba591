//! Formatting changes nothing that is said, and formatting twice nothing at all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netweir::span::Sources;
use netweir::syntax::{Parsed, format, parse};

fn read(text: &str) -> Parsed {
    let mut sources = Sources::default();
    let file = sources.add("fuzz.weir", text);
    parse(&sources, file)
}

fuzz_target!(|text: &str| {
    let Parsed { tree, diagnostics } = read(text);
    if diagnostics.is_empty() {
        let formatted = format(&tree);
        let again = read(&formatted).tree;
        assert_eq!(tree, again);
        assert_eq!(formatted, format(&again));
    }
});
