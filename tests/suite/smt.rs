//! A second opinion: what weir says of two rulesets, z3 says too, without decision diagrams.

use std::io::Write;
use std::process::Command;

use netweir::ir::{Action, ChainKind, Hook, Rule, Ruleset, Rung};
use netweir::lower::lower;
use netweir::net::Families;
use netweir::optimise::Layout;
use netweir::reader::nft;
use netweir::semantics::{compare, run};
use netweir::smt::{self, NoQuestion};
use netweir::{Options, View};

use super::mutants::is_opaque;
use crate::common::corpus::{self, Entry};
use crate::common::mutants::mutants;
use crate::common::rulesets::{base, chain, jump, rule, sidecar_without, table};
use crate::common::shipped::{compile_file, root, rulesets};
use crate::common::z3::{self, Answer};

/// Two rulesets that weir has compared.
struct Pair {
    what: String,
    left: Ruleset,
    right: Ruleset,
    is_equal: bool,
}

impl Pair {
    fn new(what: String, left: &Ruleset, right: Ruleset) -> Self {
        let is_equal = compare(left, &right).unwrap().is_empty();
        Self { what, left: left.clone(), right, is_equal }
    }
}

/// Asserts that z3 says of each of `pairs` what weir says, and that a packet that it finds fares
/// differently.
fn assert_same_opinion(pairs: &[Pair]) {
    let questions: Vec<_> = pairs
        .iter()
        .map(|Pair { left, right, .. }| smt::question(("left", left), ("right", right)).unwrap())
        .collect();
    let answers = z3::decide(&questions);
    for (Pair { what, left, right, is_equal }, answer) in pairs.iter().zip(answers) {
        match answer {
            Answer::Unsat => assert!(is_equal, "z3 finds no difference: {what}"),
            Answer::Sat(values) => {
                let (packet, _) = smt::packet(&values).unwrap();
                assert!(!is_equal, "z3 finds a difference: {what}\n{packet}");
                let [left, right] = [left, right].map(|side| run(side, &packet).outcome);
                assert_ne!(left, right, "{what}\n{packet}");
            }
        }
    }
}

/// So many of `all`, evenly.
fn sample<T>(all: Vec<T>, count: usize) -> Vec<T> {
    let step = (all.len() / count).max(1);
    all.into_iter().step_by(step).collect()
}

#[test]
fn what_is_compiled_means_what_upstreams_rules_mean() {
    if !z3::available() {
        return;
    }
    let entries = corpus::sample("istio", 100);
    if entries.is_empty() {
        return;
    }
    let pair = |entry: &Entry| {
        let (policy, rules) = entry.both()?;
        let ours = Layout::Compact.of(policy).ruleset;
        Some(Pair::new(policy.name.to_string(), &rules, ours))
    };
    let pairs: Vec<_> = entries.iter().filter_map(pair).collect();
    assert!(pairs.len() >= 60 && pairs.iter().all(|pair| pair.is_equal));
    assert_same_opinion(&pairs);
}

#[test]
fn every_ruleset_means_the_same_in_both_layouts() {
    if !z3::available() {
        return;
    }
    let mut pairs = Vec::new();
    for path in rulesets() {
        for policy in &compile_file(&path, &Options::default()).policies {
            let [left, right] = [Layout::Upstream, Layout::Compact].map(|to| to.of(policy).ruleset);
            let pair = Pair::new(path.display().to_string(), &left, right);
            assert!(pair.is_equal, "{}", pair.what);
            pairs.push(pair);
        }
    }
    assert_same_opinion(&pairs);
}

#[test]
fn mutants_are_found_or_are_none() {
    if !z3::available() {
        return;
    }
    let mut pairs = Vec::new();
    for name in ["default", "dns", "tproxy", "drop-invalid"] {
        let path = root().join(format!("rulesets/istio/{name}.weir"));
        let compilation = compile_file(&path, &Options::default());
        let policy = &compilation.policies[0];
        let meaning = lower(policy).ruleset;
        let all = mutants(&compilation.emit(policy, View::Json).unwrap());
        for (change, mutant) in sample(all, 36) {
            // Some are refused.
            let read = nft::json(&mutant.to_string(), &nft::Options::default());
            let read = read.ok().filter(|found| !is_opaque(&found.ruleset));
            pairs.extend(read.map(|read| Pair::new(change, &meaning, read.ruleset)));
        }
    }
    let different = pairs.iter().filter(|pair| !pair.is_equal).count();
    let equal = pairs.len() - different;
    assert!(different >= 60 && equal >= 10, "{different} different, {equal} equal");
    assert_same_opinion(&pairs);
}

#[test]
fn long_lists_are_decided_too() {
    if !z3::available() {
        return;
    }
    let (left, right) = (sidecar_without(3000), sidecar_without(2999));
    let pairs = [
        Pair::new("the same".to_owned(), &left, left.clone()),
        Pair::new("one less".to_owned(), &left, right),
    ];
    assert_eq!(pairs.each_ref().map(|pair| pair.is_equal), [true, false]);
    assert_same_opinion(&pairs);
}

#[test]
fn both_commands_write_the_question() {
    let file = |name: &str| root().join(format!("rulesets/istio/{name}.weir"));
    let (default, dns) = (file("default"), file("dns"));
    let compilation = compile_file(&default, &Options::default());
    let json = compilation.emit(&compilation.policies[0], View::Json).unwrap();
    let mut rules = tempfile::NamedTempFile::new().unwrap();
    rules.write_all(json.as_bytes()).unwrap();
    let written = |command: &str, options: &[&std::ffi::OsStr]| {
        let output = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args([command.as_ref(), default.as_os_str()])
            .args(options)
            .args(["--emit", "smt2"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let equal = written("verify", &["--nft-json".as_ref(), rules.path().as_os_str()]);
    let different = written("diff", &[dns.as_os_str()]);
    assert!(equal.contains("\n;   left:  policy `istio`\n"), "{equal}");
    if !z3::available() {
        return;
    }
    let answers = z3::decide(&[equal, different]);
    assert!(matches!(&answers[..], [Answer::Unsat, Answer::Sat(_)]), "{answers:?}");
}

#[test]
fn what_has_no_question_says_why() {
    let asked = |chains| {
        let ruleset = Ruleset { tables: vec![table("istio-t", Families::Both, chains)] };
        smt::question(("left", &ruleset), ("right", &ruleset))
    };
    let output = || base(ChainKind::Filter, Hook::Output, 0, vec![always(jump("istio-c0"))]);
    let circle = asked(vec![
        output(),
        chain("istio-c0", vec![always(jump("istio-c1"))]),
        chain("istio-c1", vec![always(jump("istio-c0"))]),
    ]);
    assert_eq!(circle, Err(NoQuestion::Circle { chain: "istio-c0".to_owned() }));
    let next = |at: usize| jump(&format!("istio-c{}", at + 1));
    let nested = |rules: usize| {
        let chains =
            (0..600).map(|at| chain(&format!("istio-c{at}"), vec![always(next(at)); rules]));
        std::iter::once(output()).chain(chains).collect()
    };
    let deep = NoQuestion::Depth { chain: "istio-c511".to_owned() };
    assert_eq!(asked(nested(1)), Err(deep));
    let mut wide: Vec<_> = nested(2);
    wide.truncate(30);
    assert_eq!(asked(wide), Err(NoQuestion::Rules));
}

fn always(then: Action) -> Rule {
    rule(Rung::FOREIGN, Vec::new(), then)
}
