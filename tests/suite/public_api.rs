//! What others can name of the library, as a list in which a change to it shows.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use public_api::Builder;

use crate::common::shipped::root;
use crate::common::skip::skip;
use crate::common::snapshots;

/// The public items, one a line, out of what rustdoc says in JSON; or why this Rust does not tell them.
fn items() -> Result<String, String> {
    let weir = Path::new(env!("CARGO_BIN_EXE_weir"));
    // Of its own: cargo would build anew what stands there with other features.
    let target = weir.ancestors().nth(2).unwrap().join("public-api");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["rustdoc", "--quiet", "--locked", "--offline", "--lib", "--no-default-features"]);
    cargo.args(["--features", "host", "--target-dir"]).arg(&target);
    cargo.args(["--", "-Z", "unstable-options", "--output-format", "json", "--cap-lints", "allow"]);
    // This JSON changes with the compiler, and is stable in none. What reads it reads one version of it.
    let output = cargo.env("RUSTC_BOOTSTRAP", "1").current_dir(root()).output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let items = |without_derived| {
        let builder = Builder::from_rustdoc_json(target.join("doc/netweir.json"))
            .omit_blanket_impls(true)
            .omit_auto_trait_impls(true)
            .omit_auto_derived_impls(without_derived);
        let api = builder.build().map_err(|error| error.to_string())?;
        Ok::<Vec<String>, String>(api.items().map(ToString::to_string).collect())
    };
    let own: BTreeSet<String> = items(true)?.into_iter().collect();
    // Of what is derived, that it is there says all.
    let is_listed = |item: &String| own.contains(item) || item.starts_with("impl");
    let listed: Vec<String> = items(false)?.into_iter().filter(is_listed).collect();
    Ok(listed.join("\n"))
}

/// Semantic Versioning is about the lines of `snapshots/public-api/list.snap`: one that goes or changes breaks somebody's
/// build, and one that comes has to stay.
#[test]
fn the_public_items_are_those_of_the_list() {
    match items() {
        Ok(items) => snapshots::of("public-api").bind(|| insta::assert_snapshot!("list", items)),
        Err(why) => skip(&format!("this Rust does not tell the public items: {why}")),
    }
}
