//! Policies of a repository, side by side.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use super::{Found, Scope};
use crate::cli::files::{FilesBelow, read_named};
use crate::{Compilation, Failure, Options, compile};

/// Enough for the deepest comparison: what the main thread has.
const STACK: usize = 8 * 1024 * 1024;

/// How long a run may take before a bar says how far it is.
const A_MOMENT: Duration = Duration::from_millis(700);

impl Scope {
    /// What `look` makes of each file, in their order.
    ///
    /// # Errors
    ///
    /// The first of those of `look`.
    pub(in crate::cli) fn each<T: Send>(
        &self,
        look: impl Fn(&Found) -> io::Result<T> + Sync,
    ) -> io::Result<Vec<T>> {
        Self::some(&self.files, look)
    }

    /// The same of some of the files.
    pub(in crate::cli) fn some<'f, T: Send>(
        files: impl IntoIterator<Item = &'f Found>,
        look: impl Fn(&Found) -> io::Result<T> + Sync,
    ) -> io::Result<Vec<T>> {
        let files: Vec<&Found> = files.into_iter().collect();
        let pool = ThreadPoolBuilder::new().stack_size(STACK).build().map_err(io::Error::other)?;
        let (bar, begun) =
            (ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()), Instant::now());
        bar.set_length(files.len() as u64);
        let looked = pool.install(|| {
            let look = |found| {
                let looked = look(found);
                progress(&bar, begun);
                looked
            };
            files.into_par_iter().map(look).collect()
        });
        bar.finish_and_clear();
        looked
    }

    /// Compiles the policies of a file, as `weir compile` does with the options of the settings;
    /// `verify` says whether it proves what they expect.
    pub(in crate::cli) fn compiled(
        &self,
        found: &Found,
        verify: bool,
    ) -> io::Result<Result<Compilation, Failure>> {
        Ok(self.compiled_from(found, &self.text(found)?, verify))
    }

    /// The text of a file.
    pub(in crate::cli) fn text(&self, found: &Found) -> io::Result<String> {
        let name = Path::new(&found.name);
        read_named(&self.root.join(name), name)
    }

    /// The same as [`compiled`](Self::compiled), of another text in place of the file's.
    pub(in crate::cli) fn compiled_from(
        &self,
        found: &Found,
        text: &str,
        verify: bool,
    ) -> Result<Compilation, Failure> {
        let settings = &found.project.settings;
        let options = Options {
            groups: found.project.groups.clone(),
            layout: settings.layout,
            nft: settings.nft,
            verify,
        };
        compile(&found.name, text, &FilesBelow(&self.root), &options)
    }
}

/// Says how far the run is, if it takes longer than a moment and somebody looks.
fn progress(bar: &ProgressBar, begun: Instant) {
    bar.inc(1);
    if bar.is_hidden() && begun.elapsed() > A_MOMENT && io::stderr().is_terminal() {
        let style = ProgressStyle::with_template("{bar:40} {pos} of {len} files");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
}
