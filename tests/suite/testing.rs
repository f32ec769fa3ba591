//! `weir test` says what holds, what nobody expects and what nobody would notice.
#![cfg(feature = "cli")]

use std::process::Output;

use netweir::lower::lower;
use netweir::semantics::{Packet, run};
use netweir::syntax::NoIncludes;
use netweir::testing::Fate;
use netweir::{Options, compile};

use crate::cli::{stderr, stdout};
use crate::common::repository::Repository;

const WEB: &str = "\
sidecar web {
  inbound { exclude port 9090, 9091 }
  outbound { exclude to 10.30.0.0/16 }
  drop invalid
  expect inbound tcp port 9090 => untouched
  expect inbound tcp port 8080 => not proxy 15001
}
";

fn test(repository: &Repository, arguments: &[&str]) -> Output {
    repository.weir_in("", &[&["test"], arguments].concat())
}

fn repository(text: &str) -> Repository {
    let repository = Repository::new();
    repository.write("policies/web.weir", text);
    repository
}

#[test]
fn each_expectation_has_a_line_and_a_broken_one_a_packet() {
    let repository = repository(WEB);
    let good = test(&repository, &["policies"]);
    assert_eq!(good.status.code(), Some(0), "{}", stderr(&good));
    assert_eq!(
        stdout(&good),
        "holds      policies/web.weir:5:3 web: expect inbound tcp port 9090 => untouched\n\
         holds      policies/web.weir:6:3 web: expect inbound tcp port 8080 => not proxy 15001\n\n\
         2 expectations of 1 policy: 2 hold\n"
    );
    repository.edit("policies/web.weir", "not proxy 15001", "proxy 15001");
    let bad = test(&repository, &["policies"]);
    assert_eq!((bad.status.code(), stderr(&bad)), (Some(1), ""));
    assert_eq!(
        stdout(&bad),
        "holds      policies/web.weir:5:3 web: expect inbound tcp port 9090 => untouched\n\
         broken     policies/web.weir:6:3 web: expect inbound tcp port 8080 => proxy 15001\n  \
           `inbound tcp from 10.0.0.9 to 10.0.0.7:8080 in eth0` is redirected to the\n      \
               inbound proxy port 15006\n  \
           by default: I7 captured port: inbound proxy port\n\n\
         2 expectations of 1 policy: 1 holds, 1 is broken\n"
    );
}

#[test]
fn what_is_about_no_packet_and_what_is_refused_is_no_success() {
    // No packet goes from an address of one family to one of the other.
    let idle =
        repository("sidecar s { expect outbound tcp from 10.0.0.1 out lo to ::1 => untouched }\n");
    let output = test(&idle, &["policies"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(stdout(&output).contains("there is no packet that it is about"), "{}", stdout(&output));
    let refused = repository("sidecar s { outbund { } }\n");
    let output = test(&refused, &["policies"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("E102"), "{}", stderr(&output));
    assert!(stdout(&output).contains("1 file is refused"), "{}", stdout(&output));
    let nowhere = test(&refused, &["elsewhere"]);
    assert_eq!((nowhere.status.code(), stdout(&nowhere)), (Some(2), ""));
}

#[test]
fn coverage_tells_rungs_and_clauses_that_nothing_is_about() {
    let repository = repository(WEB);
    let output = test(&repository, &["policies", "--coverage", "--lcov", "weir.info"]);
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for line in [
        "coverage of web (policies/web.weir)",
        "    1  I6 excluded port: untouched",
        "    1  I7 captured port: inbound proxy port",
        "    0  O8 excluded destination: untouched",
        "    -  I4 invalid packet: dropped",
        "    1  policies/web.weir:2:13 inbound exclude port 9090, 9091",
        "    0  policies/web.weir:3:14 outbound exclude to 10.30.0.0/16",
        "    -  policies/web.weir:4:3 drop invalid",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}\n{said}");
    }
    assert!(said.contains("1 of 2 clauses"), "{said}");
    assert_eq!(
        repository.read("weir.info"),
        "TN:\nSF:policies/web.weir\nDA:2,1\nDA:3,0\nLF:2\nLH:1\nend_of_record\n"
    );
    let lost = test(&repository, &["policies", "--lcov", "policies/web.weir"]);
    assert_eq!(lost.status.code(), Some(2), "{}", stderr(&lost));
    assert_eq!(repository.read("policies/web.weir"), WEB);
}

#[test]
fn changes_that_nobody_notices_are_told_with_a_packet() {
    let repository = repository(WEB);
    let output = test(&repository, &["policies", "--mutants"]);
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for line in [
        "unnoticed  policies/web.weir:2:13 web: without `9091` in `inbound exclude port 9090, 9091`",
        "unnoticed  policies/web.weir:3:14 web: without `outbound exclude to 10.30.0.0/16`",
        "unnoticed  policies/web.weir:4:3 web: without `drop invalid`",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}\n{said}");
    }
    // An expectation is about port 9090.
    assert!(!said.contains("without `inbound exclude port"), "{said}");
    assert!(!said.contains("without `9090`"), "{said}");
}

#[test]
fn the_packet_of_a_change_tells_it_from_the_policy() {
    let text = "let health = 15020, 15021\n\
                sidecar base { drop invalid }\n\
                sidecar web extends base {\n\
                  mode tproxy { mark 5 }\n\
                  inbound { capture port 80, 8000-8999, $health; exclude port 8001 }\n\
                  outbound { capture to 10.0.0.0/8; exclude to 10.30.0.0/16; capture loopback }\n\
                  dns { capture 10.0.0.1 }\n\
                }\n";
    let compilation = compile("x.weir", text, &NoIncludes, &Options::default()).unwrap();
    let web = &compilation.policies[1];
    let meaning = lower(web).ruleset;
    let mutants = compilation.mutants(web).unwrap();
    let changes: Vec<&str> = mutants.iter().map(|mutant| mutant.change.as_str()).collect();
    for change in [
        "without `mode tproxy`",
        "`5` changed to `6` in `mode mark 5`",
        "`8000-8999` changed to `8000-9000` in `inbound capture port 80, 8000-8999, $health`",
        "without `$health` in `inbound capture port 80, 8000-8999, $health`",
        "`10.0.0.0/8` changed to `10.0.0.0/7` in `outbound capture to 10.0.0.0/8`",
        "without `dns`",
        "`10.0.0.1` changed to `10.0.0.0` in `dns capture 10.0.0.1`",
    ] {
        assert!(changes.contains(&change), "{change}\n{changes:#?}");
    }
    // What the block says beside its clauses is asked, and a block that says nothing is no change.
    assert!(!changes.contains(&"without `inbound`"), "{changes:#?}");
    let mut told = 0;
    for mutant in &mutants {
        let Fate::Unnoticed { packet, before, after } = &mutant.fate else {
            assert_eq!(mutant.fate, Fate::Same, "nothing is expected: {}", mutant.change);
            continue;
        };
        told += 1;
        assert_ne!(before, after, "{}", mutant.change);
        let packet: Packet = packet.parse().unwrap();
        let outcome = run(&meaning, &packet).outcome.to_string();
        let is_captured = before.starts_with("redirected") || before.starts_with("handed");
        assert_eq!(
            is_captured || outcome == *before,
            outcome.contains("port") || outcome == *before,
            "{}: {packet} {outcome} {before}",
            mutant.change
        );
    }
    assert!(told > 10, "{told}");
}
