//! What the commands that change a namespace have in common.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io;
use std::time::Duration;

use clap::Args;

use super::apply::Unconfirmed;
use super::page::paragraph;
use super::{Outcome, output};
use crate::host::{Done, Error, Namespace, Options, Step};
use crate::policy::GroupIds;
use crate::verify::Answer;

/// Which namespace is changed, and how.
#[derive(Args)]
pub(super) struct Target {
    /// Change another namespace, given by name (`ip netns list`) or by the PID of a process.
    #[arg(long, value_name = "NAME|PID")]
    netns: Option<String>,
    /// Do not read this iptables chain or nft table, because it is someone else's. It is then assumed
    /// to take any packet, and the answer says so. A final `*` stands for any ending. May be repeated.
    #[arg(long, value_name = "NAME")]
    leave_out: Vec<String>,
    /// How long to wait if another change of the namespace is in progress: `500ms`, `10s`, `2m`.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    wait: Duration,
}

impl Target {
    /// The namespace.
    pub(super) fn namespace(&self) -> io::Result<Namespace> {
        self.netns.as_deref().map_or_else(|| Ok(Namespace::this()), Namespace::called)
    }

    /// How it is changed.
    pub(super) fn options(&self, groups: GroupIds) -> Options {
        let leave_out: BTreeSet<String> = self.leave_out.iter().cloned().collect();
        Options { patience: self.wait, leave_out, groups, ..Options::default() }
    }
}

/// Says what was done, behind what comes of it; and in `lines` how.
pub(super) fn say(how: &str, done: &Done, lines: &[String]) -> io::Result<Outcome> {
    let mut said = String::new();
    paragraph(&mut said, "", how, "  ");
    for note in &done.notes {
        paragraph(&mut said, "", note, "  ");
    }
    for line in lines {
        let _ = writeln!(said, "  {line}");
    }
    output::print(said.as_bytes())?;
    Ok(match done.answer {
        Answer::Equal => Outcome::Good,
        Answer::EqualAsFarAsKnown => Outcome::Unknown,
        Answer::Different => Outcome::Bad,
    })
}

/// What came of a change, as the command ends with it.
pub(super) fn ended<T>(entered: io::Result<Result<T, Error>>) -> io::Result<T> {
    entered?.map_err(io::Error::other)
}

/// The exit status of a change that failed, or was not confirmed; `None` if the error is another.
pub(super) fn status(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Option<u8> {
    if error.is::<Unconfirmed>() {
        return Some(17);
    }
    Some(match error.downcast_ref::<Error>()?.step {
        Step::Preflight => 10,
        Step::Lock => 11,
        Step::Read => 12,
        Step::Routing => 13,
        Step::Rules => 14,
        Step::Verify => 15,
        Step::Undo => 16,
    })
}

/// A span of time: a number with `ms`, `s` or `m` behind it.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let end = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..end].parse::<u64>().ok();
    let time = number.and_then(|number| match &text[end..] {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    });
    time.ok_or_else(|| "write a number with `ms`, `s` or `m` behind it: `30s`".to_owned())
}
