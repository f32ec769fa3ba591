//! Faults, seeded into everything that is written for a machine: each is stopped by the proof of the
//! compile that would have written it, or means the same: the kernel lists the same, or else no packet
//! of a small domain, which has all that the rules tell apart, fares differently.
//!
//! A fault is a change of the bytes, as a mistake in a printer would make it: everywhere, or in one
//! place. `cargo test --release --test suite faults -- --include-ignored --nocapture` seeds all of them
//! into every policy that ships and one with long lists, in both layouts, and prints how many there were of each kind.

mod host;
mod nft;
mod same;
mod update;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use netweir::backend::nft::{Form, MemberChange, Members};
use netweir::ir::Ruleset;
use netweir::net::Family;
use netweir::policy::Policy;
use netweir::{Compilation, Layout, Options, View};

use crate::common::netns::{self, Netns};
use crate::common::shipped::{compile_file, root, rulesets};

/// A kind of fault: what stands in the text, and what the fault makes of it.
type Kind = (&'static str, &'static str);

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    /// A policy.
    Policy(View),
    /// A change of its sets, as a script or as JSON.
    Members(MemberChange, View),
}

/// A text that is written, and what it is for.
struct Subject<'a> {
    compilation: &'a Compilation,
    policy: &'a Policy,
    output: Output,
    /// What holds the sets.
    ruleset: Ruleset,
    text: String,
    /// For messages.
    name: String,
}

impl<'a> Subject<'a> {
    /// What is written; `None` if that is nothing, or cannot be.
    fn new(compilation: &'a Compilation, name: &str, output: Output) -> Option<Self> {
        let policy = compilation.policies.first()?;
        let ruleset = Layout::Compact.of(policy).ruleset;
        let text = match output {
            Output::Policy(view) => compilation.emit(policy, view).ok()?,
            Output::Members(change, view) => {
                compilation.emit_members(&members(&ruleset, change)?, view).unwrap()
            }
        };
        let name = name.to_owned();
        Some(Self { compilation, policy, output, ruleset, text, name })
            .filter(|subject| !subject.text.is_empty())
    }

    /// Whether the proof stops `fault`.
    fn stops(&self, fault: &str) -> bool {
        let proved = match self.output {
            Output::Policy(view) => self.compilation.prove(&[self.policy], view, fault),
            Output::Members(change, view) => {
                let members = members(&self.ruleset, change).unwrap();
                self.compilation.prove_members(&members, view, fault)
            }
        };
        proved.is_err()
    }

    fn kinds(&self) -> &'static [Kind] {
        match self.output {
            Output::Policy(View::Nft) if self.text.contains("\nadd rule ") => nft::FLAT,
            Output::Policy(View::Json) => nft::JSON,
            Output::Policy(View::Iptables(_)) => host::IPTABLES,
            Output::Policy(View::IptablesScript) => host::IPTABLES_SCRIPT,
            Output::Policy(View::Routing) => host::ROUTING,
            Output::Policy(View::RoutingBatch(_)) => host::BATCH,
            Output::Policy(View::Teardown) => host::TEARDOWN,
            Output::Policy(_) => nft::SCRIPT,
            Output::Members(_, View::Json) => host::MEMBERS_JSON,
            Output::Members(..) => host::MEMBERS,
        }
    }

    /// The text without the lines that are remarks.
    fn commands(&self) -> String {
        self.text.lines().filter(|line| !line.starts_with("# ")).collect::<Vec<_>>().join("\n")
    }

    /// Lines that no text may have behind its own.
    fn trailers(&self) -> &'static [&'static str] {
        match self.output {
            Output::Policy(View::Routing | View::Teardown | View::IptablesScript) => {
                &["ip -4 rule flush\n", "ip link set lo down\n", "nft flush ruleset\n", "exit 1\n"]
            }
            Output::Policy(View::RoutingBatch(_)) => &["rule flush\n", "link set lo down\n"],
            Output::Policy(View::Iptables(_)) => {
                &["*nat\n-F OUTPUT\nCOMMIT\n", "*filter\n:INPUT DROP [0:0]\nCOMMIT\n"]
            }
            _ => &["flush ruleset\n", "delete table ip filter\n", "add element inet x y { 1 }\n"],
        }
    }

    /// Texts with one fault each, at most `most` of a kind, and the kind of each in words.
    fn faults(&self, most: usize) -> Vec<(String, String)> {
        let replaced = self.kinds().iter().flat_map(|kind| {
            let what = format!("`{}` for `{}`", kind.1.escape_debug(), kind.0.escape_debug());
            seeded(&self.text, *kind, most).into_iter().map(move |fault| (what.clone(), fault))
        });
        let torn = torn(&self.text, most).into_iter().map(|(what, fault)| (what.to_owned(), fault));
        let more = self.trailers().iter().flat_map(|line| {
            let behind = ("behind it".to_owned(), format!("{}{line}", self.text));
            [behind, ("before it".to_owned(), format!("{line}{}", self.text))]
        });
        let all = replaced.chain(torn).chain(more);
        all.filter(|(_, fault)| *fault != self.text).collect()
    }
}

/// A change of the sets of a node, of both families.
fn members(ruleset: &Ruleset, change: MemberChange) -> Option<Members<'_>> {
    let pods = ["10.0.1.2", "10.0.1.3", "fd00::2"].map(|pod| pod.parse::<IpAddr>().unwrap());
    Members::new(ruleset, change, &pods).ok()
}

/// Texts with one fault of the kind: in all places, and in each of at most `most`.
fn seeded(text: &str, (from, to): Kind, most: usize) -> Vec<String> {
    let places: Vec<usize> = text.match_indices(from).map(|(at, _)| at).collect();
    let step = places.len().div_ceil(most.max(1)).max(1);
    let at = |at: usize| format!("{}{to}{}", &text[..at], &text[at + from.len()..]);
    let mut all: Vec<String> = places.iter().step_by(step).map(|place| at(*place)).collect();
    if places.len() > 1 {
        all.push(text.replace(from, to));
    }
    all
}

/// Texts without one line, with one line twice, with two lines swapped, and cut off.
fn torn(text: &str, most: usize) -> Vec<(&'static str, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let join = |lines: &[&str]| lines.join("\n") + "\n";
    let step = lines.len().div_ceil(most.max(1)).max(1);
    let mut all = Vec::new();
    for at in (0..lines.len()).step_by(step) {
        all.push(("a line lost", join(&[&lines[..at], &lines[at + 1..]].concat())));
        all.push(("a line twice", join(&[&lines[..=at], &lines[at..]].concat())));
        all.push(("cut off", join(&lines[..at])));
        let mut swapped = lines.clone();
        if at + 1 < lines.len() {
            swapped.swap(at, at + 1);
            all.push(("two lines swapped", join(&swapped)));
        }
    }
    // Tables, as a printer would lose them.
    let end = if text.contains("COMMIT\n") { "COMMIT\n" } else { "\n}\n" };
    let mut blocks: Vec<&str> = text.split_inclusive(end).collect();
    if blocks.len() > 1 {
        let without_last = blocks[..blocks.len() - 1].concat();
        all.push(("the last table lost", without_last));
        blocks.swap(0, 1);
        all.push(("two tables swapped", blocks.concat()));
    }
    all.push(("before it", format!("\u{feff}{text}")));
    all
}

/// How faults of a kind fared.
#[derive(Default)]
struct Tally {
    seeded: usize,
    stopped: usize,
    /// Those that pass and do something else.
    slipped: Vec<String>,
}

type Tallies = BTreeMap<String, Tally>;

/// How many faults are seeded.
#[derive(Clone, Copy)]
struct Density {
    /// Most of a kind in one text.
    most: usize,
    /// Of those in text for iptables, whose proof takes longest, one in so many.
    one_in: usize,
}

/// Seeds faults into `subject`; those that pass must mean the same.
fn seed(subject: &Subject<'_>, density: Density, netns: Option<&Netns>, tallies: &mut Tallies) {
    let is_iptables = matches!(subject.output, Output::Policy(View::Iptables(_)));
    let step = if is_iptables { density.one_in } else { 1 };
    for (what, fault) in subject.faults(density.most).into_iter().step_by(step) {
        let tally = tallies.entry(what.clone()).or_default();
        tally.seeded += 1;
        if subject.stops(&fault) {
            tally.stopped += 1;
        } else if let Some(netns) = netns {
            let slipped = same::check(subject, netns, &fault).err();
            let name = &subject.name;
            tally.slipped.extend(slipped.map(|why| format!("{name}, {what}: {why}\n{fault}")));
        }
    }
}

fn compiled(path: &Path, layout: Layout, form: Form) -> Compilation {
    let nft = netweir::backend::nft::Options { form, ..Default::default() };
    compile_file(path, &Options { layout, nft, ..Options::default() })
}

/// Says what became of the faults; asserts that none slipped through, how many kinds there were, and that
/// fewer than one in so many means the same.
fn report(tallies: &Tallies, kinds: usize, one_in: usize) {
    let (mut seeded, mut stopped) = (0, 0);
    for (what, tally) in tallies {
        println!("{:5} of {:5} stopped: {what}", tally.stopped, tally.seeded);
        (seeded, stopped) = (seeded + tally.seeded, stopped + tally.stopped);
    }
    println!(
        "{} kinds, {seeded} faults: {stopped} stopped, {} the same to the kernel",
        tallies.len(),
        seeded - stopped
    );
    let slipped: Vec<_> = tallies.values().flat_map(|tally| &tally.slipped).collect();
    assert!(slipped.is_empty(), "{} slip through: {slipped:#?}", slipped.len());
    assert!(tallies.len() >= kinds, "{} kinds", tallies.len());
    // Few faults are none.
    assert!((seeded - stopped) * one_in < seeded, "{stopped} of {seeded}");
}

/// What is written for iptables.
const FOR_IPTABLES: [Output; 2] =
    [Output::Policy(View::Iptables(Family::Ipv4)), Output::Policy(View::Iptables(Family::Ipv6))];

/// What is written beside rules.
fn beside_rules() -> Vec<Output> {
    let views = [
        View::Routing,
        View::RoutingBatch(Family::Ipv4),
        View::RoutingBatch(Family::Ipv6),
        View::Teardown,
        View::IptablesScript,
    ];
    let changes = [MemberChange::Add, MemberChange::Delete];
    let members = changes
        .into_iter()
        .flat_map(|change| [View::Nft, View::Json].map(|view| Output::Members(change, view)));
    views.into_iter().map(Output::Policy).chain(members).collect()
}

/// What a policy is written as, in which layout and form.
#[derive(Clone, Copy)]
struct Written {
    layout: Layout,
    form: Form,
}

const COMPACT: Written = Written { layout: Layout::Compact, form: Form::Block };
const UPSTREAM: Written = Written { layout: Layout::Upstream, ..COMPACT };
const FLAT: Written = Written { form: Form::Flat, ..COMPACT };

const FOR_NFT: [Output; 2] = [Output::Policy(View::Nft), Output::Policy(View::Json)];

/// Seeds faults into all that is written of some policies.
fn seed_all(
    paths: &[&Path],
    writings: &[Written],
    outputs: &[Output],
    density: Density,
) -> Tallies {
    let netns = netns::available().then(Netns::new);
    let mut tallies = BTreeMap::new();
    // A text that is like another but for its remarks has the same faults.
    let mut seen = BTreeSet::new();
    for path in paths {
        for Written { layout, form } in writings {
            let compilation = compiled(path, *layout, *form);
            let name = path.display().to_string();
            for output in outputs {
                if let Some(subject) = Subject::new(&compilation, &name, *output)
                    && seen.insert((subject.kinds().as_ptr(), subject.commands()))
                {
                    seed(&subject, density, netns.as_ref(), &mut tallies);
                }
            }
        }
    }
    tallies
}

/// A policy whose lists are looked up by hash: none that ships has lists so long.
fn long_lists() -> PathBuf {
    root().join("tests/suite/faults/long-lists.weir")
}

/// Seeds a sample.
fn sample(names: &[&str], writing: Written, outputs: &[Output]) -> Tallies {
    let paths: Vec<_> =
        names.iter().map(|name| root().join(format!("rulesets/{name}.weir"))).collect();
    let paths: Vec<&Path> = paths.iter().map(AsRef::as_ref).collect();
    seed_all(&paths, &[writing], outputs, Density { most: 1, one_in: 10 })
}

#[test]
fn a_sample_of_faults_is_stopped() {
    report(&sample(&["istio/default", "istio/tproxy", "ambient/host"], COMPACT, &FOR_NFT), 120, 9);
}

#[test]
fn a_sample_of_faults_in_the_flat_form_is_stopped() {
    let names = ["istio/tproxy", "istio/many-networks", "ambient/host"];
    report(&sample(&names, FLAT, &FOR_NFT[..1]), 70, 5);
}

#[test]
fn a_sample_of_faults_in_long_lists_is_stopped() {
    let density = Density { most: 1, one_in: 1 };
    report(&seed_all(&[&long_lists()], &[COMPACT, FLAT], &FOR_NFT, density), 100, 5);
}

#[test]
fn a_sample_of_faults_beside_nft_is_stopped() {
    let names = ["istio/tproxy", "ambient/pod", "ambient/host"];
    report(&sample(&names, COMPACT, &[&FOR_IPTABLES[..], &beside_rules()].concat()), 200, 12);
}

/// Seeds everything into all that is written of the policies that ship, and of long lists.
fn seed_every(writings: &[Written], outputs: &[Output]) -> Tallies {
    let paths: Vec<_> = rulesets().into_iter().chain([long_lists()]).collect();
    let paths: Vec<&Path> = paths.iter().map(AsRef::as_ref).collect();
    seed_all(&paths, writings, outputs, Density { most: 8, one_in: 1 })
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_is_stopped() {
    report(&seed_every(&[COMPACT, UPSTREAM, FLAT], &FOR_NFT), 180, 5);
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_for_iptables_is_stopped() {
    report(&seed_every(&[COMPACT], &FOR_IPTABLES), 115, 9);
}

#[test]
#[ignore = "takes minutes"]
fn every_fault_beside_rules_is_stopped() {
    report(&seed_every(&[COMPACT], &beside_rules()), 240, 12);
}
