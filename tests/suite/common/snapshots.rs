//! Where snapshots are: `snapshots/<case>/<view>.snap`.

use std::path::Path;

/// Settings under which snapshots of `case` are taken; what is asserted names the view.
pub(crate) fn of(case: &str) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots").join(case));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // `glob!` would append the path below the inputs' common prefix.
    settings.remove_snapshot_suffix();
    settings
}
