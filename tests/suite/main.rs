//! All tests that look at weir from outside, in one program so that they share and link once.
//!
//! Tests that load rules into the kernel make network namespaces of their own. Where they cannot,
//! they print a line and pass; with `WEIR_REQUIRE_KERNEL=1` they fail.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod apply;
mod apply_killed;
mod apply_traffic;
mod bounds;
mod ci;
mod cli;
mod common;
mod conformance;
mod data;
mod docs;
mod doctor;
mod drop_in;
mod drop_in_calls;
mod dumps;
mod edits;
mod embedding;
mod explain;
mod faults;
mod files;
mod fix;
mod flat;
mod forms;
mod front_end;
mod golden;
mod graph;
mod growth;
mod host;
mod host_kernel;
mod host_live;
mod host_packets;
mod host_programs;
mod import;
mod import_laws;
mod imports;
mod iptables;
mod iptables_corpus;
mod kernel;
mod kernel_facts;
mod kuma_import;
mod libnftables;
mod lint;
mod loads;
mod mistakes;
mod mutants;
mod nft;
mod nft_host;
mod pages;
mod provenance;
mod public_api;
mod random_kernel;
mod reality;
mod refusal;
mod routing;
mod rules_import;
mod rulesets;
mod screens;
mod shortest;
mod smt;
mod supply;
mod table;
mod testing;
mod update;
