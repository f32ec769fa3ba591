//! The policies that ship, and snapshots of what becomes of them.

use std::fs;
use std::path::{Path, PathBuf};

use netweir::syntax::Loader;
use netweir::{Compilation, Options, compile};

use super::snapshots;

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every policy file that ships, sorted.
pub(crate) fn rulesets() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("rulesets")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "weir") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() >= 12, "the shipped policies are gone: {found:?}");
    found
}

/// Includes, from the file system.
pub(crate) struct Files;

impl Loader for Files {
    fn read(&self, path: &str) -> Result<String, String> {
        fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

/// Compiles a policy that has no error. Its sources are called by their path below the root.
pub(crate) fn compile_file(path: &Path, options: &Options) -> Compilation {
    let name = path.strip_prefix(root()).unwrap_or(path).to_str().unwrap();
    let text = fs::read_to_string(path).unwrap();
    // Tests run in the root of the package, so that the name is also where the file is.
    compile(name, &text, &Files, options)
        .unwrap_or_else(|failure| panic!("{name}: {:#?}", failure.diagnostics))
}

/// Asserts `output` against `snapshots/<stem of input>/<view>.snap`, which starts with the input
/// so that a reviewer sees cause and effect together.
pub(crate) fn snapshot(input: &Path, view: &str, text: &str, output: &str) {
    let case = input.file_stem().unwrap().to_str().unwrap();
    let shown = format!("{text}{:─<79}\n{output}", "");
    snapshots::of(case).bind(|| insta::assert_snapshot!(view, shown));
}

/// A policy that ships with another text, as an older version of it: the folder in which it is, and its path.
pub(crate) fn changed(policy: &str, old: &str, new: &str) -> (tempfile::TempDir, String) {
    let text = fs::read_to_string(root().join(policy)).unwrap();
    assert!(text.contains(old), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("older.weir");
    fs::write(&path, text.replace(old, new)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}
