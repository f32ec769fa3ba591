//! `weir diff`.

use std::io;
use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use super::compile::LayoutName;
use super::differences::{Answer, Asked};
use super::files::shown;
use super::report::Messages;
use super::subject::{Reading, Side};
use crate::explain::Sides;
use crate::policy::Policy;
use crate::verify::compared;

/// Say which traffic two policies or rulesets treat differently
///
/// Each side can be a policy, or rules in any form: the output of iptables-save, iptables -S or nft list
/// ruleset, or a log that contains it; weir recognises which. The output of iptables-save and of
/// ip6tables-save can form one side together, in one file or two, to compare both families.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Diff {
    /// The old side.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The new side; not needed to compare two policies of OLD.
    #[arg(value_name = "NEW")]
    new: Option<PathBuf>,
    /// Output of ip6tables-save that belongs to OLD, which is output of iptables-save.
    #[arg(long, value_name = "FILE")]
    old_ip6tables: Option<PathBuf>,
    /// Output of ip6tables-save that belongs to NEW, which is output of iptables-save.
    #[arg(long, value_name = "FILE")]
    new_ip6tables: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    answer: Answer,
}

const EXAMPLES: &str = "\
Examples:
  weir diff old.weir new.weir
  weir diff --ways --all old.weir new.weir      with the rules that decide, and with every corner
  git show HEAD:policy.weir | weir diff --stdin-name policy.weir - policy.weir
  weir diff policies.weir --policy web --policy batch
                                                two policies of one file
  weir diff old.weir new.weir --policy shop --policy store
                                                a policy that has been renamed
  iptables-save | weir diff - policy.weir       IPv4 only: the dump says nothing about IPv6
  weir diff v4.txt rules.nft --old-ip6tables v6.txt
                                                both families of one backend, and another
  weir diff v4.txt new-v4.txt --old-ip6tables v6.txt --new-ip6tables new-v6.txt

A family is compared if both sides say something about it. A policy, JSON and a script say something
about both; an empty iptables file means that its family is untouched.
Exit status, like diff(1)'s except for a wrong policy: 0 equal, 1 different or a policy is wrong,
2 bad usage or I/O, 3 equal as far as known.";

impl Diff {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let layout = LayoutName::default();
        let to = match &self.new {
            Some(new) => new,
            // A policy is not the same as itself by another name.
            None if self.reading.names_a_pair() => &self.old,
            None => {
                return Err(io::Error::other(format!(
                    "nothing is given to compare {} with: name another file, or two of its policies: \
                     `--policy OLD --policy NEW`",
                    shown(&self.old)
                )));
            }
        };
        let old = Side { path: &self.old, ip6tables: self.old_ip6tables.as_deref() };
        let new = Side { path: to, ip6tables: self.new_ip6tables.as_deref() };
        let pair = self.reading.pair([old, new], layout, messages)?;
        let Some([mut old, mut new]) = pair else { return Ok(Outcome::Bad) };
        if let (Some(one), Some(other)) = (old.policy(), new.policy())
            && one.kind.keyword() != other.kind.keyword()
        {
            let called = |policy: &Policy| format!("{} `{}`", policy.kind.keyword(), policy.name);
            (old.name, new.name) = (called(one), called(other));
        }
        let equal = |families: &str| format!(" for every packet of {families}");
        let about = (messages, "diff/different", to.as_path());
        let asked = Asked { pair: [&old, &new], sides: Sides::InTime, compare: &compared };
        self.answer.print(asked, equal, |_| String::new(), about, None)
    }
}
