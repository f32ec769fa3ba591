//! Compiles interception policies, which say which traffic of a network namespace goes through a
//! service-mesh proxy, to Linux packet-filter rules with exactly the meaning of Istio's iptables
//! rules.
//!
//! ```text
//!  .weir text ──load──▶ syntax::Loaded ──check──▶ Policy ──lower──▶ Lowered
//!                                                 ▲    │             │ │
//!  Istio's flags, pods, configuration ──import────┘  print           │ └─▶ ir::HostStep ─┬─routing────────▶ ip -batch, sh
//!                                                      ▼          optimise               └─teardown───────▶ sh
//!                                                 .weir text         ▼
//!                                                               ir::Ruleset ─┬─nft::script────▶ nft -f
//!                                                                ▲   │       ├─nft::json──────▶ nft -j -f
//!                                                                │   │       ├─iptables::emit─▶ iptables-restore
//!  iptables-save, nft list ruleset, nft -f ──reader──────────────┘   │       └─dump───────────▶ words
//!                                                                    ├─semantics: run · compare · find
//!                                                                    └─smt::question──▶ a solver
//! ```
//!
//! A shell script around the texts for iptables replaces what is loaded (`iptables::script`).
//!
//! Every arrow is one function, every box one plain type, and nothing of it opens a file or a socket:
//! includes come through a [`Loader`](syntax::Loader) that the caller supplies. [`compile`] is all
//! of it in one call; [`ir`] defines what the rules do to a packet, and with it what "the same
//! meaning" is.
//!
//! ```
//! use netweir::{Options, View, compile, syntax::NoIncludes};
//!
//! let text = "sidecar web { inbound { capture port * } outbound { exclude to 10.1.2.3/8 } }";
//! let failure = compile("web.weir", text, &NoIncludes, &Options::default()).unwrap_err();
//! let problem = &failure.diagnostics[0].problem;
//! assert_eq!(problem.code(), "E302");
//! assert_eq!(problem.to_string(), "`10.1.2.3/8` has host bits set");
//!
//! let text = text.replace("10.1.2.3/8", "10.0.0.0/8");
//! let compilation = compile("web.weir", &text, &NoIncludes, &Options::default()).unwrap();
//! let script = compilation.emit(&compilation.policies[0], View::Nft).unwrap();
//! assert!(script.contains("ip daddr { 10.0.0.0/8, 127.0.0.1 } counter return"));
//! ```
//!
//! A CNI plugin's use of it is `examples/cni.rs`. The feature `host` adds what loads rules into a
//! namespace, which runs programs, and the feature `picture` what draws rules. The feature `cli` (on by
//! default) adds the `weir` command; a library user turns it off.

pub mod backend;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod compile;
pub mod diag;
pub mod explain;
#[cfg(feature = "host")]
pub mod host;
pub mod import;
mod ip;
pub mod ir;
mod lint;
pub mod lower;
pub mod net;
mod nft;
pub mod optimise;
#[cfg(feature = "picture")]
pub mod picture;
pub mod policy;
mod prove;
pub mod reader;
pub mod semantics;
mod since;
pub mod smt;
pub mod span;
pub mod syntax;
pub mod testing;
pub mod update;
mod variants;
pub mod verify;

pub use compile::{Compilation, Failure, Options, View, compile};
pub use optimise::Layout;
pub use since::{Since, Telling, Way};

/// The README's Rust is compiled and run, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
