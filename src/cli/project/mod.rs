//! A folder with policies: which there are, and how they are compiled.

mod each;
mod find;
mod settings;

pub(super) use find::{Found, Goldens, MANIFEST, NotFound, Scope};
pub(super) use settings::Settings;

/// Where the settings of a folder, and of those below it, stand.
const SETTINGS: &str = "weir.toml";
