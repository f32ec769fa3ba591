//! Every ruleset that ships, in every view, as snapshots that show input and output together.

use std::fs;

use crate::common::shipped::{compile_file, rulesets, snapshot};
use netweir::{Layout, Options, View};

#[test]
fn every_ruleset_in_every_view() {
    for path in rulesets() {
        let input = fs::read_to_string(&path).unwrap();
        for (layout, views) in [
            (Layout::Compact, View::ALL),
            (Layout::Upstream, [View::Nft, View::Json, View::Ir].as_slice()),
        ] {
            let options = Options { layout, ..Options::default() };
            let compilation = compile_file(&path, &options);
            assert!(
                compilation.warnings.is_empty(),
                "{}: {:?}",
                path.display(),
                compilation.warnings
            );
            for view in views {
                let texts: Vec<String> = compilation
                    .policies
                    .iter()
                    .map(|policy| compilation.emit(policy, *view).unwrap())
                    .collect();
                let suffix = if layout == Layout::Upstream { ".upstream" } else { "" };
                snapshot(
                    &path,
                    &format!("{}{suffix}", view.extension()),
                    &input,
                    &texts.join("\n"),
                );
            }
        }
    }
}

#[test]
fn every_ruleset_says_first_what_it_is_for() {
    for path in rulesets() {
        let text = fs::read_to_string(&path).unwrap();
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("# ") && first.len() > 20, "{}: {first}", path.display());
    }
}

#[test]
fn compiling_twice_gives_the_same_bytes() {
    for path in rulesets() {
        let options = Options::default();
        let (once, twice) = (compile_file(&path, &options), compile_file(&path, &options));
        for (a, b) in once.policies.iter().zip(&twice.policies) {
            for &view in View::ALL {
                assert_eq!(once.emit(a, view), twice.emit(b, view), "{}", path.display());
            }
        }
    }
}
