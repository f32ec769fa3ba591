//! No text makes the compiler panic, and what it accepts it can write in every view.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netweir::syntax::NoIncludes;
use netweir::{Options, View, compile};

fuzz_target!(|text: &str| {
    if let Ok(compilation) = compile("fuzz.weir", text, &NoIncludes, &Options::default()) {
        for policy in &compilation.policies {
            for view in View::ALL {
                // What nft 1.0.1 cannot say is refused, not written.
                let _ = compilation.emit(policy, view);
            }
        }
    }
});
