//! A folder with policies: which there are, and how they are compiled.

mod each;
mod find;
mod manifest;
mod settings;
mod spare;

pub(super) use find::{Found, Goldens, MANIFEST, NotFound, Scope};
pub(super) use manifest::Manifest;
pub(super) use settings::Settings;
pub(super) use spare::spare;

/// Where the settings of a folder, and of those below it, stand.
const SETTINGS: &str = "weir.toml";
