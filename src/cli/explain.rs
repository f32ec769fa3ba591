//! `weir explain`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::compile::LayoutName;
use super::differences::passed_over;
use super::files::{once, shown};
use super::page::{columns, paragraph};
use super::place::Where;
use super::report::Messages;
use super::rules::Rules;
use super::subject::{Reading, Subject};
use super::{Outcome, output};
use crate::diag::escape::on_one_line;
use crate::diag::render::Message;
use crate::explain::{Explanation, OpenRule, StepWords, Unless, explain_hook, explain_way};
use crate::host::live::Live;
use crate::semantics::Packet;

/// Say what happens to a packet, and why
///
/// Names the rung of the ladder and the clause that decide, and the rules that the packet meets.
#[derive(Args)]
#[command(after_help = EXAMPLES, override_usage = "weir explain [OPTIONS] [POLICY] PACKET")]
pub(super) struct Explain {
    /// A policy, or rules in any form: the output of `iptables-save`, `iptables -S` or `nft list ruleset`,
    /// or a log that contains it; leave it out if an option names rules or a namespace. Then the packet, in
    /// one argument or several: its direction, its protocol, and what differs from the defaults.
    #[arg(value_name = "POLICY] [PACKET", required = true)]
    words: Vec<OsString>,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    reading: Reading,
    /// The layout of the rules that are shown.
    #[arg(long, value_enum, default_value_t, value_name = "LAYOUT")]
    layout: LayoutName,
    /// Consider the packet's first hook only, even for a packet that could never get there.
    #[arg(long)]
    hook: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Packets:
  outbound tcp to 10.96.0.1:443                 from user 1000, out on eth0, a new connection
  outbound udp from 10.0.0.7 to 10.96.0.10:53 user 1337 group 1337
  outbound tcp to [fd00::1]:443 out lo kernel-socket
  inbound tcp from 10.0.0.9 to 10.0.0.7:8080 in eth0 state established mark 0x539
  inbound tcp to 10.0.0.7:8080 no-listener 15006    while the transparent proxy is down
  inbound tcp to 10.1.2.3:80 to-foreign             for another machine, to be forwarded

The source of an outbound packet, the destination of an inbound packet, and loopback addresses are
taken to be this machine's; `from-local`, `to-local`, `from-foreign` and `to-foreign` override that.
A packet to this machine leaves over lo and comes in again.

Examples:
  weir explain policy.weir 'outbound tcp to 10.96.0.1:443 user 1000'
  weir explain policy.weir outbound tcp to 10.96.0.1 port 443
  weir explain --iptables v4.txt --ip6tables v6.txt 'inbound tcp to 10.0.0.7:8080'
  kubectl logs POD -c istio-init | weir explain - 'inbound tcp to 10.0.0.7:8080'
  weir explain --netns web 'inbound tcp to 10.0.0.7:8080'
  weir explain --json policy.weir 'outbound udp to 10.96.0.10:53' | jq .outcome

Exit status: 0 explained, 1 the policy is wrong, 2 bad usage, packet or I/O.";

impl Explain {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let namespace = self.place.namespace()?;
        let (file, packet) = self.asked(namespace.is_some() || self.rules.is_given())?;
        let packet: Packet = packet.parse().map_err(|bad| {
            io::Error::other(format!("`{}` is not a packet: {bad}", on_one_line(&packet)))
        })?;
        let nothing = std::collections::BTreeSet::new();
        let subject: Subject = match &file {
            _ if namespace.is_some() && (file.is_some() || self.rules.is_given()) => {
                return Err(io::Error::other("give a policy, rules, or a namespace, not several"));
            }
            None if let Some(namespace) = &namespace => {
                let live = namespace.enter(Live::ask)??;
                self.reading.live(namespace.name(), &live, &nothing)?
            }
            Some(_) if self.rules.is_given() => {
                return Err(io::Error::other("give a policy or rules, not both"));
            }
            Some(file) => match self.reading.file(file, self.layout, &nothing, messages)? {
                Some(subject) => subject,
                None => return Ok(Outcome::Bad),
            },
            None => {
                once(self.rules.paths())?;
                match self.rules.read(&self.reading, &nothing, messages)? {
                    Some(subject) => subject,
                    None => return Ok(Outcome::Bad),
                }
            }
        };
        if !self.hook {
            packet.check().map_err(io::Error::other)?;
        }
        if !subject.families.has(packet.family()) {
            return Err(io::Error::other(format!(
                "{} says nothing about {}",
                subject.name,
                packet.family()
            )));
        }
        let context = subject.context();
        let explanation = if self.hook {
            explain_hook(&subject.ruleset, &packet, &context)
        } else {
            explain_way(&subject.ruleset, &packet, &context).map_err(io::Error::other)?
        };
        let text = if self.json {
            Message::new("explanation", &explanation).pretty()
        } else {
            let mut text = words(&explanation);
            passed_over(&mut text, [&subject]);
            text
        };
        output::print(text.as_bytes())
    }
}

impl Explain {
    /// The file and the packet. Where an option says what is asked about, there may be no file.
    fn asked(&self, is_given: bool) -> io::Result<(Option<PathBuf>, String)> {
        const EXAMPLE: &str = "outbound tcp to 10.96.0.1:443";
        let text = |words: &[OsString]| {
            let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
            words.join(" ")
        };
        let begins = |word: &OsString| {
            let word = word.to_string_lossy();
            word.split_whitespace().next().is_some_and(Packet::begins)
        };
        match &self.words[..] {
            [first, ..] if begins(first) && !Path::new(first).exists() => {
                let packet = text(&self.words);
                if is_given {
                    return Ok((None, packet));
                }
                Err(io::Error::other(format!(
                    "no policy is given: name its file before the packet: `weir explain policy.weir '{}'`",
                    on_one_line(&packet)
                )))
            }
            [file] if !is_given => Err(io::Error::other(format!(
                "no packet is given: write it behind the file: `weir explain {} '{EXAMPLE}'`",
                shown(Path::new(file))
            ))),
            words if is_given && words.len() == 1 => Ok((None, text(words))),
            [file, packet @ ..] => Ok((Some(file.into()), text(packet))),
            [] => Err(io::Error::other("no packet is given")),
        }
    }
}

fn words(explanation: &Explanation) -> String {
    let mut out = explanation.outcome.clone();
    let rules = explanation.unless.iter().flat_map(|other| &other.rules);
    let unknown: BTreeSet<String> =
        rules.filter(|rule| !rule.is_understood).map(|rule| on_one_line(&rule.place())).collect();
    match unknown.first() {
        Some(rule) if unknown.len() == 1 => {
            let _ = write!(out, ", unless {rule} takes it, which is not understood");
        }
        Some(_) => out += ", unless a rule takes it that is not understood",
        None => {}
    }
    let said = std::mem::take(&mut out);
    paragraph(&mut out, "", &said, "  ");
    out.push('\n');
    let line = |out: &mut String, name: &str, value: &str| {
        paragraph(out, &format!("{name:<8}"), value, "          ");
    };
    line(&mut out, "packet", &explanation.packet);
    if !explanation.also.is_empty() {
        line(&mut out, "also", &explanation.also.join(", "));
    }
    match &explanation.rung {
        Some(rung) => line(&mut out, "rung", &format!("{} {}", rung.number, rung.title)),
        None if explanation.clause.is_none()
            && explanation.path.iter().all(|step| !step.matters) =>
        {
            line(&mut out, "rung", "none fits");
        }
        None => {}
    }
    if let Some(clause) = &explanation.clause {
        let file = on_one_line(&clause.file);
        let place = format!("{file}:{}:{}", clause.line, clause.column);
        line(&mut out, "clause", &format!("{place}  {}", clause.text));
    } else if explanation.rung.is_some() {
        line(&mut out, "clause", "none: this is the default");
    }
    for (at, (before, step)) in path(&explanation.path).into_iter().enumerate() {
        let name = if at == 0 { "path" } else { "" };
        let before = format!("{name:<8}{before}");
        let next = " ".repeat(columns(&before) + 2);
        paragraph(&mut out, &before, &step, &next);
    }
    if let Some(end) = explanation.end.as_ref().filter(|_| explanation.outcome != "dropped") {
        line(&mut out, "ends", end);
    }
    for supposed in &explanation.supposes {
        line(&mut out, "if", &format!("{supposed}, which no listing tells"));
    }
    for other in &explanation.unless {
        paragraph(&mut out, "unless  ", &unless(other), "        ");
    }
    if explanation.unless_more {
        out += "unless  other rules decide otherwise that are open, too\n";
    }
    out
}

/// ``filter INPUT 3 (`-m bpf …`, not understood) matches: dropped``.
fn unless(Unless { rules, outcome, end }: &Unless) -> String {
    let rules = rules.iter().map(
        |OpenRule { table, chain, rule, at, text, is_target, is_understood, matches }| {
            let at = at
                .as_ref()
                .map_or_else(String::new, |at| format!("{}: ", on_one_line(&at.to_string())));
            let known = if *is_understood { "" } else { ", not understood" };
            let does = match (matches, is_target) {
                (true, false) => "matches",
                (true, true) => "takes it",
                (false, _) => "does not match",
            };
            format!("{table} {chain} {rule} ({at}`{}`{known}) {does}", on_one_line(text))
        },
    );
    let rules = rules.collect::<Vec<_>>().join(", and ");
    let end = end.as_ref().map_or_else(String::new, |end| format!(", ends {end}"));
    format!("{rules}: {outcome}{end}")
}

/// The rules in columns, each in two parts: where it stands, and what it does. A table is named where it is
/// another than before.
fn path(steps: &[StepWords]) -> Vec<(String, String)> {
    let width = |of: fn(&StepWords) -> usize| steps.iter().map(of).max().unwrap_or_default();
    let (table, chain) = (width(|step| step.table.len()), width(|step| step.chain.len()));
    let mut before = "";
    let mut lines = Vec::new();
    let hooks = steps.chunk_by(|one, other| one.hook == other.hook);
    let has_several = hooks.clone().count() > 1;
    for step in hooks.flat_map(|steps| {
        let head = has_several.then(|| format!("at {}", steps[0].hook));
        head.map(Err).into_iter().chain(steps.iter().map(Ok))
    }) {
        let step = match step {
            Ok(step) => step,
            Err(head) => {
                before = "";
                lines.push((String::new(), head));
                continue;
            }
        };
        let shown = if step.table == before { "" } else { &step.table };
        before = &step.table;
        let why = step.why().map_or_else(String::new, |why| format!("  [{}]", on_one_line(&why)));
        let StepWords { chain: name, rule, does, .. } = step;
        let before = format!("{shown:table$}  {name:chain$} {rule:>3}  ");
        lines.push((before, format!("{does}{why}")));
    }
    lines
}
