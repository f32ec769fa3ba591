//! `weir explain-code`.

use std::io;

use clap::Args;

use super::{Outcome, output};
use crate::diag;
use crate::diag::escape::on_one_line;

/// Say what the code of a diagnostic means, with a wrong and a right example
#[derive(Args)]
pub(super) struct ExplainCode {
    /// The code, for example E301. Without one, all codes are listed.
    code: Option<String>,
}

impl ExplainCode {
    pub(super) fn run(&self) -> io::Result<Outcome> {
        let Some(code) = &self.code else {
            // The first line of a page is its heading, the code and what it is about.
            let heading = |code| diag::explain(code)?.lines().next()?.strip_prefix("# ");
            let mut list: Vec<_> = diag::CODES.iter().filter_map(|code| heading(code)).collect();
            list.push("");
            return output::print(list.join("\n").as_bytes());
        };
        match diag::explain(&code.to_ascii_uppercase()) {
            Some(page) => output::print(page.as_bytes()),
            None => Err(io::Error::other(format!(
                "there is no code `{}`; `weir explain-code` lists them all",
                on_one_line(code)
            ))),
        }
    }
}
