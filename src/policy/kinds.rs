//! The table of kinds: the one place that lists them.

use std::any::Any;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clauses::given::Context;
use super::clauses::reading::{self, Heading, Read};
use super::clauses::spelling::{NO_POLICY, Spelling};
use super::json;
use super::kind::PolicyKind;
use crate::net::Families;
use crate::span::Span;

/// Makes all that depends on the list of kinds from a line each. `$dollar` is a `$`, for the macro
/// that it makes.
macro_rules! kinds {
    ($dollar:tt $($(#[doc = $doc:literal])* $keyword:literal => $kind:ident($policy:ty);)*) => {
        /// What a policy governs.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[doc = $doc])* #[serde(rename = $keyword)] $kind(Box<$policy>),)*
        }

        $(impl From<$policy> for Kind {
            fn from(policy: $policy) -> Self {
                Self::$kind(Box::new(policy))
            }
        })*

        impl Kind {
            /// The word the language has for it.
            #[must_use]
            pub const fn keyword(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $keyword,)*
                }
            }
        }

        /// The word and the schema of each kind.
        #[cfg(test)]
        pub(crate) fn schemas(generator: &mut schemars::SchemaGenerator) -> Vec<(&'static str, schemars::Schema)> {
            vec![$(($keyword, <$policy as schemars::JsonSchema>::json_schema(generator))),*]
        }

        /// The kinds, in the order in which messages name them.
        pub(super) const KINDS: &[Entry] = &[$(Entry::of::<$policy>($keyword)),*];

        /// `of_kind!(&policy.kind, it => …)`: an expression about the policy of whatever kind.
        macro_rules! of_kind {
            ($dollar kind:expr, $dollar policy:ident => $dollar then:expr) => {
                match $dollar kind {
                    $($crate::policy::Kind::$kind($dollar policy) => $dollar then,)*
                }
            };
        }
        pub(crate) use of_kind;
    };
}

kinds! { $
    /// The namespace of a workload with a proxy beside it, in Istio.
    "sidecar" => Sidecar(super::istio::Sidecar);
    /// The namespace of a workload whose proxy runs on the node, in Istio.
    "ambient-pod" => AmbientPod(super::istio::AmbientPod);
    /// The node's own namespace, in Istio.
    "ambient-host" => AmbientHost(super::istio::AmbientHost);
    /// The namespace of a workload with a proxy beside it, in Kuma.
    "kuma" => Kuma(super::kuma::Kuma);
    /// The namespace of a workload with a proxy beside it, in Linkerd.
    "linkerd" => Linkerd(super::linkerd::Linkerd);
    /// The namespace of a workload with a proxy beside it, in Consul.
    "consul" => Consul(super::consul::Consul);
    /// The namespace of a workload with a proxy beside it, in Open Service Mesh.
    "osm" => Osm(super::osm::Osm);
    /// The namespace of a workload with a proxy beside it, in AWS App Mesh.
    "appmesh" => AppMesh(super::appmesh::AppMesh);
}

impl Kind {
    /// The families that it governs.
    pub(super) fn families(&self) -> Families {
        *of_kind!(self, policy => policy.families())
    }

    /// The clause that says so.
    pub(super) fn family_clause(&self) -> Option<Span> {
        of_kind!(self, policy => policy.families().clause)
    }
}

/// Whether a policy or a list begins with `word`, as text of other programs hardly does.
pub(crate) fn begins_policy(word: &str) -> bool {
    word == "let" || is_kind(word)
}

/// Whether something at the top level of a file begins with `word`.
pub(crate) fn begins_top_level(word: &str) -> bool {
    NO_POLICY.contains(&word) || is_kind(word)
}

fn is_kind(word: &str) -> bool {
    KINDS.iter().any(|kind| kind.keyword == word)
}

/// A kind, for those who read policies and know none.
pub(super) struct Entry {
    /// `sidecar`.
    pub(super) keyword: &'static str,
    /// What other tools, and people, call it.
    pub(super) also_called: &'static [&'static str],
    /// How its clauses are spelt.
    pub(super) spellings: fn(&'static str) -> Vec<Spelling>,
    /// Reads what a policy of it says in JSON.
    pub(super) read_json: fn(Value) -> Result<Kind, json::Wrong>,
    /// Reads a policy of it, which extends another of which the draft is given.
    pub(super) read: for<'a> fn(Heading<'_, 'a>, Option<&dyn Any>, &mut Context<'a>) -> Read<Kind>,
}

impl Entry {
    const fn of<P: PolicyKind + Into<Kind> + DeserializeOwned>(keyword: &'static str) -> Self {
        Self {
            keyword,
            also_called: P::ALSO_CALLED,
            spellings: reading::spellings::<P::Draft>,
            read_json: json::kind::<P>,
            read: |heading, parent, context| {
                reading::policy::<P::Draft>(heading, parent, context).map(Into::into)
            },
        }
    }
}
