//! Rulesets that are written for nft and read back: as they are written, and as the kernel lists
//! them, as script and as JSON.

use std::collections::BTreeMap;

use crate::common::corpus;
use crate::common::netns::{self, Netns};
use crate::common::policies::policies;
use crate::common::rulesets;
use netweir::backend::nft::{self, Context};
use netweir::ir::{CtState, Hook, Ruleset};
use netweir::net::{Families, Family};
use netweir::optimise::Layout;
use netweir::reader::nft::{Options, ReadError, json as read_json, script as read_script};
use netweir::reader::{Found, ReadErrors, iptables};
use netweir::semantics::{Difference, Sender, compare};
use proptest::prelude::*;
use serde_json::Value;

/// A spelling of nft: how it is written, and read.
#[derive(Clone, Copy)]
struct Spelling {
    write: fn(&nft::Legal, &Context<'_>, &nft::Options) -> String,
    read: fn(&str, &Options) -> Result<Found, ReadErrors<ReadError>>,
    /// What prints what is loaded so.
    list: &'static [&'static str],
}

const SCRIPT: Spelling =
    Spelling { write: nft::script, read: read_script, list: &["list", "ruleset"] };
const JSON: Spelling =
    Spelling { write: nft::json, read: read_json, list: &["-j", "list", "ruleset"] };

impl Spelling {
    fn text(self, ruleset: &Ruleset, options: &nft::Options) -> String {
        let clauses = rulesets::clauses();
        let policy = rulesets::name("reviews");
        let owned = rulesets::sidecar_tables();
        let legal = nft::legal(ruleset, options.target).unwrap();
        let context = Context { policy: &policy, owned: &owned, clauses: &clauses };
        (self.write)(&legal, &context, options)
    }
}

/// Rulesets made by hand.
fn samples() -> Vec<Ruleset> {
    vec![
        Ruleset::default(),
        rulesets::sidecar(),
        rulesets::everything(Families::Both),
        rulesets::everything(Families::Ipv4),
        rulesets::everything(Families::Ipv6),
        rulesets::ambient_host(Families::Both),
        rulesets::sidecar_without(200),
    ]
}

/// What is written for `ruleset`.
fn written(ruleset: &Ruleset) -> Ruleset {
    nft::legal(ruleset, nft::Target::OLDEST).unwrap().ruleset().clone()
}

fn assert_equal(left: &Ruleset, right: &Ruleset, text: &str) {
    if let [first, ..] = compare(left, right).unwrap().as_slice() {
        panic!("{}: {} or {}\n{text:.20000}", first.packet, first.left, first.right);
    }
}

/// Asserts that what is written for `ruleset` is read as it was.
fn assert_read_back(ruleset: &Ruleset, options: &nft::Options) {
    for spelling in [SCRIPT, JSON] {
        assert_read_back_as(spelling, ruleset, options);
    }
}

fn assert_read_back_as(spelling: Spelling, ruleset: &Ruleset, options: &nft::Options) {
    let text = spelling.text(ruleset, options);
    let read = Options { target: Some(options.target), ..Options::default() };
    let back = (spelling.read)(&text, &read);
    let back = back.unwrap_or_else(|errors| panic!("{errors:?}\n{text}")).ruleset;
    let written = written(ruleset);
    let rules = |ruleset: &Ruleset| {
        let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
        chains.flat_map(|chain| chain.rules.clone()).collect::<Vec<_>>()
    };
    // Rule by rule first, for the sake of the message.
    for (back, written) in rules(&back).iter().zip(&rules(&written)) {
        assert_eq!(back, written, "{text:.20000}");
    }
    assert_eq!(back, written, "{text:.20000}");
}

/// Asserts that what the kernel lists of `ruleset` treats every packet as the ruleset does.
fn assert_listed(netns: &Netns, ruleset: &Ruleset) {
    netns.load(&JSON.text(ruleset, &nft::Options::default()));
    let written = written(ruleset);
    for spelling in [SCRIPT, JSON] {
        let list = netns.output("nft", spelling.list);
        let back = (spelling.read)(&list, &Options::default());
        let back = back.unwrap_or_else(|errors| panic!("{errors:?}\n{list}")).ruleset;
        assert_equal(&back, &written, &list);
        // What was read can be written, and loads.
        netns.load(&spelling.text(&back, &nft::Options::default()));
        netns.flush();
        netns.load(&JSON.text(ruleset, &nft::Options::default()));
    }
    netns.flush();
}

#[test]
fn what_is_written_is_read_as_it_was() {
    let plain = nft::Options { counters: false, comments: false, ..nft::Options::default() };
    for ruleset in samples() {
        for options in [nft::Options::default(), plain] {
            assert_read_back(&ruleset, &options);
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_for_any_policy_is_read_as_it_was(policy in policies()) {
        for layout in [Layout::Compact, Layout::Upstream] {
            assert_read_back(&layout.of(&policy).ruleset, &nft::Options::default());
        }
    }
}

#[test]
fn what_the_kernel_lists_is_what_was_written() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    for ruleset in samples() {
        assert_listed(&netns, &ruleset);
    }
    let config =
        ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(policy in policies())| {
        for layout in [Layout::Compact, Layout::Upstream] {
            assert_listed(&netns, &layout.of(&policy).ruleset);
        }
    });
}

/// Calls `change` with the place of every object within what is at `pointer`.
fn with_each_object(
    document: &mut Value,
    pointer: &str,
    change: &mut impl FnMut(&mut Value, &str),
) {
    let keys: Vec<String> = match document.pointer(pointer) {
        Some(Value::Object(fields)) => fields.keys().cloned().collect(),
        Some(Value::Array(values)) => (0..values.len()).map(|at| at.to_string()).collect(),
        _ => return,
    };
    if document.pointer(pointer).is_some_and(Value::is_object) {
        change(document, pointer);
    }
    for key in keys {
        with_each_object(document, &format!("{pointer}/{key}"), change);
    }
}

#[test]
fn a_key_that_is_not_known_is_named_wherever_it_is() {
    let options = nft::Options { counters: false, ..nft::Options::default() };
    let strict = Options { target: Some(options.target), ..Options::default() };
    for ruleset in [rulesets::everything(Families::Both), rulesets::ambient_host(Families::Both)] {
        let mut document = serde_json::from_str(&JSON.text(&ruleset, &options)).unwrap();
        let mut changed = 0;
        with_each_object(&mut document, "", &mut |document, pointer| {
            let fields = document.pointer_mut(pointer).and_then(Value::as_object_mut).unwrap();
            fields.insert("zzz".to_owned(), Value::Null);
            let read = read_json(&document.to_string(), &strict);
            let fields = document.pointer_mut(pointer).and_then(Value::as_object_mut).unwrap();
            fields.remove("zzz");
            let Err(errors) = read else { panic!("{pointer}") };
            let message = errors[0].to_string();
            // Of a long object, the message has the beginning.
            assert!(message.contains("zzz") || message.contains('…'), "{pointer}: {message}");
            changed += 1;
        });
        assert!(changed > 20, "{changed}");
    }
}

/// Why upstream's nft rules treat a packet otherwise than its iptables rules, if it is known.
fn known_difference(difference: &Difference, has_ipv6: bool) -> Option<&'static str> {
    let packet = &difference.packet;
    Some(match packet.sender {
        Sender::Nobody | Sender::Kernel if packet.hook == Hook::Output => {
            "`skuid !=` is not for packets without an owner"
        }
        _ if !packet.no_listener.is_empty() => "nobody drops what the proxy does not take",
        _ if packet.family() == Family::Ipv6 && !has_ipv6 => "IPv6 is off",
        _ if packet.state == CtState::Invalid => "only invalid TCP is dropped",
        _ if packet.hook == Hook::Postrouting => "only one user's probes are translated",
        _ => return None,
    })
}

/// Asserts that the commands, and what nft lists of them, are read as `list`, what `nft -j` lists, is;
/// what cannot be read of one cannot be of the others, for the same word.
fn assert_read_alike(netns: &Netns, name: &Value, commands: &str) -> Result<Ruleset, String> {
    let options = Options::default();
    let first = |errors: ReadErrors<ReadError>| errors[0].problem.to_string();
    let json = read_json(&netns.output("nft", JSON.list), &options);
    let json = json.map(|found| found.ruleset).map_err(first);
    for text in [commands, &netns.output("nft", SCRIPT.list)] {
        match (read_script(text, &options), &json) {
            (Ok(read), Ok(json)) => assert_equal(&read.ruleset, json, text),
            (Err(errors), Err(word)) => assert_eq!(&first(errors), word, "{name}: {text}"),
            (read, json) => panic!("{name}: {read:?} and {json:?}"),
        }
    }
    json
}

/// Consul's nft commands, which the corpus has under `nft`.
#[test]
fn every_text_of_consul_that_loads_is_read() {
    let Some(corpus) = corpus::text("consul") else { return };
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let mut read = 0;
    for line in corpus.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let Some(commands) = entry["nft"].as_str() else { continue };
        if !netns.try_load(commands).ok {
            let strict = Options { target: Some(nft::Target::OLDEST), ..Options::default() };
            assert!(read_script(commands, &strict).is_err(), "{}", entry["name"]);
            continue;
        }
        let name = &entry["name"];
        assert_read_alike(&netns, name, commands).unwrap_or_else(|word| panic!("{name}: {word}"));
        read += 1;
        netns.flush();
    }
    assert!(read > 40, "{read}");
}

/// Istio's own nft commands, which the corpus has under `nft`. Some do not load: Istio jumps to chains
/// that it does not make.
#[test]
fn every_text_of_upstream_that_loads_is_read() {
    let Some(corpus) = corpus::text("istio") else { return };
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let groups = [("java", 3001), ("ftp", 3002)];
    let options = iptables::Options {
        groups: groups.map(|(name, id)| (name.to_owned(), id)).into(),
        ..iptables::Options::default()
    };
    let (mut entries, mut loaded) = (0, 0);
    let mut differences: BTreeMap<&str, usize> = BTreeMap::new();
    for line in corpus.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let name = &entry["name"];
        let text = |key: &str| entry[key].as_str().filter(|text| !text.trim().is_empty());
        let Some(commands) = text("nft") else { continue };
        entries += 1;
        let commands = loadable(commands, &groups);
        if !netns.try_load(&commands).ok {
            println!("{name} does not load");
            let strict = Options { target: Some(nft::Target::OLDEST), ..Options::default() };
            assert!(read_script(&commands, &strict).is_err(), "{name}: {commands}");
            continue;
        }
        loaded += 1;
        let back = assert_read_alike(&netns, name, &commands);
        let back = back.unwrap_or_else(|error| panic!("{name}: {error}"));
        netns.flush();
        let standard =
            iptables::read(text("iptables"), text("ip6tables"), &options).unwrap().ruleset;
        for difference in compare(&back, &standard).unwrap() {
            let Difference { packet, left, right, .. } = &difference;
            let why = known_difference(&difference, text("ip6tables").is_some())
                .unwrap_or_else(|| panic!("{name}: {packet}: {left} or {right}"));
            *differences.entry(why).or_default() += 1;
        }
    }
    println!("{loaded} of {entries} load, and are read; {differences:#?}");
}

/// `commands`, with numbers for groups that this machine may not have, behind the sets that
/// upstream's agent makes.
fn loadable(commands: &str, groups: &[(&str, u32)]) -> String {
    let mut text = commands.to_owned();
    for (name, id) in groups {
        for before in ["skgid", "!="] {
            text = text.replace(&format!("{before} {name} "), &format!("{before} {id} "));
        }
    }
    if !text.contains("@istio-inpod-probes") {
        return text;
    }
    let table = "table inet istio-ambient-nat {
set istio-inpod-probes-v4 { type ipv4_addr; }
set istio-inpod-probes-v6 { type ipv6_addr; }
}";
    format!("{table}\n{text}")
}
