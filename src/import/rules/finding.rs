//! What there is to say about rules that are read back.

use crate::import::GeneralRemark;
use crate::net::{Family, Name};
use crate::semantics::Limit;

/// What a policy does not say of the rules, or what it says that they do not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Remark {
    /// What every import says.
    #[error(transparent)]
    General(#[from] GeneralRemark),
    /// Rules of others.
    #[error("left aside: {count} rules that are no mesh's")]
    LeftAside {
        /// How many.
        count: usize,
    },
    /// Something that rules of others do to what a policy has to do with.
    #[error(
        "beside them, traffic of `{policy}` is treated differently, for example {packet}: {alone} alone, and {all} \
         by all rules"
    )]
    InTheWay {
        /// The policy.
        policy: Name,
        /// A packet.
        packet: String,
        /// What becomes of it by the policy.
        alone: String,
        /// What becomes of it by all rules that were given.
        all: String,
    },
    /// A family of which nothing is known.
    #[error("no rules of {family} were given: it is not governed")]
    NotGiven {
        /// The family.
        family: Family,
    },
    /// A family that the mesh leaves alone.
    #[error("there are no rules for {family}: it is not governed")]
    NoRules {
        /// The family.
        family: Family,
    },
    /// A rule of the mesh's chains that the mesh does not make.
    #[error("chain {chain} of {table} has a rule{at} that is not known of the mesh")]
    Strange {
        /// The table.
        table: Name,
        /// The chain.
        chain: Name,
        /// Where the rule stands: ` in line 7`.
        at: String,
    },
    /// A number of which rules do not tell.
    #[error("no rule tells the routing table: {table}, the default, is taken")]
    Table {
        /// The table.
        table: u32,
    },
}

/// Why there is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// No chain of a mesh.
    #[error(
        "no rules of a mesh: none of Istio's, Kuma's, Linkerd's, Consul's, Open Service Mesh's and App \
         Mesh's chains is there"
    )]
    NoMesh,
    /// Chains without a rule that is known.
    #[error("its chains have no rule that is known of it")]
    NothingRead,
    /// No policy of the language says that.
    #[error("no policy says that: {why}")]
    NotSayable {
        /// What is wrong with the policy.
        why: String,
    },
    /// Jumps.
    #[error("jumps lead too deep, or in too many ways, to read the rules one by one")]
    Entangled,
    /// The rules cannot be compared.
    #[error("whether a policy is equal cannot be told: {limit}")]
    NotCompared {
        /// Why.
        limit: Limit,
    },
}
