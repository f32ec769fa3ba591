//! The command over a folder: settings, manifests of goldens, and what writes into files.
//!
//! It runs within the process, so that its branches are seen.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What is done with the folder, which is changed to.
const COMMANDS: [&[&str]; 8] = [
    &["golden"],
    &["golden", "--bless"],
    &["check", "--fix"],
    &["check", "--fix", "web.weir"],
    &["format", "web.weir"],
    &["format"],
    &["lint"],
    &["test"],
];

/// The files that the bytes fill, one behind the other.
const FILES: [&str; 5] =
    ["web.weir", "weir.toml", "golden/MANIFEST", "golden/web.nft", "base.weir"];

/// What stands between files.
const END: u8 = 0xff;

/// Fills a folder and runs a command there. It ends as it says that commands end, and leaves no file but
/// those that it says it writes.
pub(crate) fn commands(bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else { return };
    let arguments = COMMANDS[usize::from(*which) % COMMANDS.len()];
    let folder = folder();
    let _ = fs::remove_dir_all(folder.join("golden"));
    for (name, content) in FILES.iter().zip(rest.split(|byte| *byte == END)) {
        let file = folder.join(name);
        if content.is_empty() {
            let _ = fs::remove_file(file);
            continue;
        }
        fs::create_dir_all(folder.join("golden")).expect("the folder can be written to");
        fs::write(file, content).expect("the folder can be written to");
    }
    let words = std::iter::once("weir").chain(arguments.iter().copied());
    let status = netweir::cli::run(&words.map(OsString::from).collect::<Vec<_>>());
    assert!(status < 3, "{arguments:?} ended with {status}");
    let is_temporary = |path: &Path| path.to_string_lossy().contains("/.weir-");
    for entry in fs::read_dir(folder).expect("the folder is there").flatten() {
        assert!(!is_temporary(&entry.path()), "{arguments:?} left {}", entry.path().display());
    }
}

/// A folder of this process, in which it is.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("weir-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("temporary folders can be made");
        std::env::set_current_dir(&folder).expect("it has been made");
        folder
    })
}
