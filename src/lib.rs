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
//! A policy comes from text or JSON by [`compile`], or from data by the constructors of its kind, and whoever has
//! one has a good one:
//!
//! ```
//! use netweir::policy::Sidecar;
//! use netweir::syntax::NoIncludes;
//! use netweir::{Options, View, compile};
//!
//! let text = "sidecar web { inbound { capture port * } outbound { exclude to 10.1.2.3/8 } }";
//! let failure = compile("web.weir", text, &NoIncludes, &Options::default()).err();
//! let said = failure.map(|failure| failure.to_string());
//! assert_eq!(said.as_deref(), Some("web.weir:1:64: E302: `10.1.2.3/8` has host bits set"));
//!
//! let net: netweir::ipnet::IpNet = "10.0.0.0/8".parse()?;
//! let policy = Sidecar::new("web").exclude_outbound_to([net]).check()?;
//! let script = policy.emit(View::Nft, &Options::default())?;
//! assert!(script.contains("ip daddr { 10.0.0.0/8, 127.0.0.1 } counter return"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `docs/library.md` has a task a paragraph, and `examples/cni.rs` is a CNI plugin, from data to rules that are loaded
//! and proved.
//!
//! | feature | adds |
//! |---|---|
//! | `host` | [`host`]: loads rules into a namespace, for which it runs programs |
//! | `import-pod` | imports of manifests in YAML |
//! | `picture` | [`picture`]: draws what packets meet |
//! | `miette` | [`diag::render`]: diagnostics as the command draws them |
//! | `cli` (default) | the command `weir`, and all of these |

pub mod backend;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod compile;
pub mod diag;
pub mod explain;
mod foreign;
#[cfg(feature = "host")]
pub mod host;
pub mod import;
mod ip;
pub mod ir;
#[cfg(any(feature = "miette", feature = "picture"))]
mod lines;
mod lint;
pub mod lower;
pub mod net;
mod nft;
pub mod optimise;
#[cfg(feature = "picture")]
pub mod picture;
pub mod policy;
mod prove;
mod questions;
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
pub use ipnet;
pub use optimise::Layout;
pub use since::{Since, Telling, Way};

/// The README's Rust is compiled and run, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// And so is that of the page about the library.
#[cfg(all(doctest, feature = "host"))]
#[doc = include_str!("../docs/library.md")]
struct Library;
