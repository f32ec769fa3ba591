//! Rules of meshes, read back: the policy that comes out is proved to say the same, of every
//! configuration of a corpus, if `WEIR_CORPUS` names one, of all that ships, and of random policies.

use netweir::import::rules::{FromRules, recover};
use netweir::ir::Ruleset;
use netweir::net::Families;
use netweir::policy::{Detail, print};
use netweir::verify::Answer;

use crate::common::corpus;

/// The one policy that rules are read back to.
fn recovered(ruleset: &Ruleset, given: Families, what: &str) -> Result<FromRules, String> {
    let found = recover(ruleset, given, None).map_err(|refused| format!("{what}: {refused}"))?;
    match <[FromRules; 1]>::try_from(found.policies) {
        Ok([found]) if found.verdict.answer == Answer::Equal => Ok(found),
        Ok([found]) => Err(format!(
            "{what}: {:?}\n{}{}",
            found.verdict.answer,
            print(&found.policy, Detail::Differences),
            found
                .verdict
                .ways
                .ways
                .iter()
                .take(3)
                .map(|way| format!("{}: {} -> {}\n", way.packet, way.left.words(), way.right.words()))
                .collect::<String>()
        )),
        Err(all) => Err(format!("{what}: {} policies", all.len())),
    }
}

#[test]
fn every_configuration_of_a_corpus_comes_back() {
    let mut wrong = Vec::new();
    for mesh in ["istio", "kuma", "linkerd", "consul", "osm", "appmesh"] {
        let (mut equal, mut all) = (0, 0);
        for entry in corpus::of(mesh) {
            let Ok(texts) = &entry.upstream else { continue };
            all += 1;
            let given = match (&texts.ipv4, &texts.ipv6) {
                (Some(_), Some(_)) => Families::Both,
                (Some(_), None) => Families::Ipv4,
                _ => Families::Ipv6,
            };
            let ruleset = texts.read().unwrap();
            match recovered(&ruleset, given, &entry.name) {
                Ok(_) => equal += 1,
                Err(why) => wrong.push(why),
            }
        }
        println!("{mesh}: {equal} of {all} equal");
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
}
