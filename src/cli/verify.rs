//! `weir verify`.

use std::io;
use std::path::PathBuf;

use clap::Args;

use super::compile::LayoutName;
use super::differences::{Answer as How, Asked, Compare, between};
use super::files::{once, read, read_unpacked};
use super::loaded::{Loaded, State};
use super::page::paragraph;
use super::place::Where;
use super::report::Messages;
use super::rules::{Rules, nothing};
use super::subject::{Reading, Subject};
use super::{Outcome, output};
use crate::Layout;
use crate::diag::escape::on_one_line;
use crate::diag::render::Message;
use crate::explain::Sides;
use crate::host::Namespace;
use crate::host::live::Live;
use crate::lower::Lowered;
use crate::reader::forms::{Form, recognise};
use crate::verify::{Answer, beside, compared, verified};

/// Prove that rules treat every packet as a policy says, or show packets that they do not
///
/// Compares the rules for all packets of the given families, at the hooks where the policy has rules, and
/// along the path of what it captures: what is captured and by which port, what is dropped, marks, and
/// connection-tracking zones. One line says what other rules do elsewhere.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Verify {
    /// The policy file, or `-` for standard input.
    #[arg(value_name = "POLICY")]
    file: PathBuf,
    /// Rules in any form, which is recognised by content, as with `--rules`.
    #[arg(value_name = "RULES", conflicts_with_all = ["iptables", "ip6tables", "nft_json", "beside"])]
    given: Vec<PathBuf>,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    place: Where,
    /// Verify every namespace of this machine that has a name or a process, and print a line for each.
    #[arg(long, conflicts_with_all = ["live", "netns", "beside", "json", "emit"])]
    all_netns: bool,
    /// Instead, prove that the policy's traffic is still treated as the policy says while other rules are
    /// loaded as well: those in these files, in any form, or, with --live, those of this namespace.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..,
        conflicts_with_all = ["iptables", "ip6tables", "nft_json", "rules"]
    )]
    beside: Option<Vec<PathBuf>>,
    #[command(flatten)]
    reading: Reading,
    /// Compare at every hook, not only where the policy has rules and along the path of what it
    /// captures.
    #[arg(long, conflicts_with = "beside")]
    all_hooks: bool,
    #[command(flatten)]
    answer: How,
}

const EXAMPLES: &str = "\
Examples:
  weir verify policy.weir rules.txt             rules in any form
  weir verify policy.weir --iptables v4.txt --ip6tables v6.txt
  nft -j list ruleset | weir verify policy.weir --nft-json -
  weir verify policy.weir --netns 4711          in the namespace of that process
  weir verify policy.weir --live --leave-out 'KUBE-*' --leave-out docker
  weir verify policy.weir --beside cni.nft node-iptables.txt
                                                whether other rules change what happens
  weir verify policy.weir --beside --live
  weir verify policy.weir --nft-json rules.json --emit smt2 | z3 -in
                                                a second opinion: `unsat` if they are equal

Without --ip6tables, only IPv4 is compared; an empty file means that IPv6 is untouched.
Exit status: 0 equal, 1 different or the policy is wrong, 2 bad usage or I/O, 3 equal as far as
known: rules that are not understood, or were left out, could still make a difference.";

impl Verify {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let given = self.given.iter().map(PathBuf::as_path);
        once(self.rules.paths().chain(given).chain([self.file.as_path()]))?;
        let text = read(&self.file)?;
        let layout = LayoutName::default();
        let Some(policy) = self.reading.policy(&self.file, &text, layout, messages)? else {
            return Ok(Outcome::Bad);
        };
        if let Some(beside) = &self.beside {
            return self.beside(&policy, beside, messages);
        }
        if self.all_netns {
            return self.everywhere(&policy);
        }
        if let Some(namespace) = self.place.namespace()? {
            self.alone()?;
            return self.live(&policy, &namespace, messages);
        }
        if !self.is_given() {
            return Err(io::Error::other(
                "say what to verify: files of rules in any form, --iptables and --ip6tables, --live, or \
                 --netns",
            ));
        }
        let read = self.rules.read_with(&self.given, &self.reading, &policy.filled(), messages)?;
        let Some(rules) = read else { return Ok(Outcome::Bad) };
        self.print(&policy, &rules, None, messages)
    }

    /// Refuses files of rules beside a namespace.
    fn alone(&self) -> io::Result<()> {
        if self.is_given() {
            return Err(io::Error::other("give files of rules or a namespace, not both"));
        }
        Ok(())
    }

    /// Whether files of rules are given.
    fn is_given(&self) -> bool {
        self.rules.is_given() || !self.given.is_empty()
    }

    fn print(
        &self,
        policy: &Subject,
        rules: &Subject,
        namespace: Option<(&Loaded, &str)>,
        messages: &Messages,
    ) -> io::Result<Outcome> {
        let (says, done) = (&policy.name, &rules.name);
        let head = namespace.map_or("", |(_, head)| head);
        self.answer.print(
            Asked { pair: [policy, rules], sides: Sides::PolicyAndRules, compare: self.compare() },
            |families| {
                format!(": under {done}, every packet of {families} is treated as {says} says")
            },
            |ways| format!("{head}different in {ways}: what {says} says, and {done}\n"),
            (messages, "verify/different", &self.file),
            namespace.map(|(loaded, _)| loaded),
        )
    }

    fn compare(&self) -> Compare<'static> {
        if self.all_hooks { &compared } else { &verified }
    }

    /// Says whether the policy is loaded in a namespace, whether what is there is what it says, and whether
    /// something stands in its way.
    fn live(
        &self,
        policy: &Subject,
        namespace: &Namespace,
        messages: &Messages,
    ) -> io::Result<Outcome> {
        let live = namespace.enter(Live::ask)??;
        let lowered = lowered(policy);
        let loaded = Loaded::of(&lowered, &live)?;
        if let Some(words) = loaded.state.words(&lowered, namespace.name()) {
            let text = if self.answer.is_json() {
                Message::new("namespace", &loaded).pretty()
            } else {
                let mut text = String::new();
                paragraph(&mut text, "", &words, "  ");
                text
            };
            output::print(text.as_bytes())?;
            messages.result("verify/different", &self.file, words);
            return Ok(Outcome::Bad);
        }
        let all = self.reading.live(namespace.name(), &live, &policy.filled())?;
        if let Some(own) = own(&all, &lowered, loaded.state) {
            // What stands in its own tables decides first: others are not to blame for it.
            let (_, verdict) = between(policy, &own, &compared)?;
            if verdict.answer == Answer::Different {
                let head = format!(
                    "loaded, but not as {} says, perhaps in another version: ",
                    policy.name
                );
                return self.print(policy, &own, Some((&loaded, &head)), messages);
            }
        }
        let head = "loaded, but rules of others stand in its way: ";
        self.print(policy, &all, Some((&loaded, head)), messages)
    }

    /// Says a line about each namespace of the machine.
    fn everywhere(&self, policy: &Subject) -> io::Result<Outcome> {
        self.alone()?;
        let lowered = lowered(policy);
        let mut outcome = Outcome::Good;
        let mut failed = None;
        for namespace in Namespace::all()? {
            let judged = self.judged(policy, &lowered, &namespace);
            let line = match judged {
                Ok((words, one)) => {
                    if outcome != Outcome::Bad && one != Outcome::Good {
                        outcome = one;
                    }
                    words
                }
                Err(error) => {
                    let words = format!("cannot be asked: {}", on_one_line(&error.to_string()));
                    failed = Some(error);
                    words
                }
            };
            output::print(format!("{}: {line}\n", namespace.name()).as_bytes())?;
        }
        failed.map_or(Ok(outcome), Err)
    }

    fn judged(
        &self,
        policy: &Subject,
        lowered: &Lowered,
        namespace: &Namespace,
    ) -> io::Result<(String, Outcome)> {
        let live = namespace.enter(Live::ask)??;
        let loaded = Loaded::of(lowered, &live)?;
        match loaded.state {
            State::NotLoaded => return Ok(("not loaded".to_owned(), Outcome::Bad)),
            State::Dormant => return Ok(("not in force: dormant".to_owned(), Outcome::Bad)),
            State::InNft | State::InIptables => {}
        }
        let all = self.reading.live(namespace.name(), &live, &policy.filled())?;
        let (_, verdict) = between(policy, &all, self.compare())?;
        let routing = loaded.outcome();
        let (words, outcome) = match verdict.answer {
            Answer::Equal => ("equal", Outcome::Good),
            Answer::EqualAsFarAsKnown => ("equal as far as known", Outcome::Unknown),
            Answer::Different => ("different", Outcome::Bad),
        };
        let lacks = if routing == Outcome::Bad { ", but for routing" } else { "" };
        let outcome = if outcome == Outcome::Good { routing } else { outcome };
        Ok((format!("{words}{lacks}"), outcome))
    }

    fn beside(
        &self,
        policy: &Subject,
        files: &[PathBuf],
        messages: &Messages,
    ) -> io::Result<Outcome> {
        once(files.iter().chain([&self.file]).map(PathBuf::as_path))?;
        let mut others = Vec::new();
        for file in files {
            let text = read_unpacked(file)?;
            if recognise(&text).is_ok_and(|it| it.form == Form::Nothing) {
                return Err(nothing(file));
            }
            let (layout, filled) = (LayoutName::default(), policy.filled());
            let read = self.reading.text(file, &text, layout, &filled, messages)?;
            let Some(subject) = read else { return Ok(Outcome::Bad) };
            others.push(subject);
        }
        if let Some(namespace) = self.place.namespace()? {
            let live = namespace.enter(Live::ask)??;
            let mut live = self.reading.live(namespace.name(), &live, &policy.filled())?;
            let owned = lowered(policy).owned;
            live.ruleset.tables.retain(|table| !owned.contains(&table.name));
            others.push(live);
        }
        let Some(others) = Subject::together(others) else {
            return Err(io::Error::other("say beside what: `--beside FILE`, or `--beside --live`"));
        };
        let (says, done) = (&policy.name, &others.name);
        self.answer.print(
            Asked { pair: [policy, &others], sides: Sides::AloneAndBeside, compare: &beside },
            |families| {
                format!(
                    ": beside {done}, all traffic of {families} that {says} touches is treated as it says"
                )
            },
            |ways| {
                format!(
                    "different in {ways}: what {says} says, and what becomes of it beside {done}\n"
                )
            },
            (messages, "verify/beside", &self.file),
            None,
        )
    }
}

fn lowered(policy: &Subject) -> Lowered {
    let policy = policy.policy().expect("it was read as a policy");
    Layout::default().of(policy)
}

/// The policy's own tables among all of a namespace, if they are nft's.
fn own(all: &Subject, lowered: &Lowered, state: State) -> Option<Subject> {
    (state == State::InNft).then(|| {
        let mut ruleset = all.ruleset.clone();
        ruleset.tables.retain(|table| lowered.owned.contains(&table.name));
        all.with(format!("what {} has in its tables", all.name), ruleset)
    })
}
