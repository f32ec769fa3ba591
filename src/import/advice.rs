//! What is wrong with a manifest, of what an import finds: which fault it is, and what to write.

use super::general::{GeneralReason, GeneralRemark, Sort};
use crate::diag::Fault;

/// What an import found, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The words.
    pub text: String,
    /// What is wrong with the manifest; `None` if that is nothing of its.
    pub advice: Option<Advice>,
}

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// What is wrong with a manifest, and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advice {
    /// Which fault it is.
    pub fault: Fault,
    /// What to write.
    pub instead: Option<String>,
}

impl Advice {
    /// A fault without a word about what to write.
    #[expect(clippy::unnecessary_wraps, reason = "arms beside it have no advice")]
    pub(crate) const fn of(fault: Fault) -> Option<Self> {
        Some(Self { fault, instead: None })
    }

    /// A fault, and what to write.
    #[expect(clippy::unnecessary_wraps, reason = "arms beside it have no advice")]
    pub(crate) fn with(fault: Fault, instead: impl Into<String>) -> Option<Self> {
        Some(Self { fault, instead: Some(instead.into()) })
    }
}

/// What an import finds, as advice on the manifest.
pub(crate) trait Advise {
    /// The advice; `None` if the manifest has nothing to do with it.
    fn advice(&self) -> Option<Advice>;
}

impl Advise for GeneralRemark {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::Overridden { by } => {
                Advice::with(Fault::NoEffect, format!("remove it, or what decides: `{by}`"))
            }
            Self::NotAnOption { nearest: Some(nearest) } => {
                Advice::with(Fault::UnknownName, format!("write `{nearest}`"))
            }
            Self::NotAnOption { nearest: None } => {
                Advice::with(Fault::UnknownName, "remove it, or write a name that the mesh reads")
            }
            Self::StrayWord { .. } => Advice::with(Fault::UnknownName, "remove it"),
            Self::OtherObject { belongs, .. } => {
                Advice::with(Fault::OtherObject, format!("move it to `{belongs}`"))
            }
            Self::OtherSort { sort, .. } => {
                let key = Sort::key(sort.other());
                Advice::with(Fault::OtherSort, format!("move it to `metadata.{key}`"))
            }
            Self::NoPod { kind } if WORKLOADS.contains(&&**kind) => {
                Advice::with(Fault::Unreadable, "write the containers of its pods")
            }
            _ => None,
        }
    }
}

/// Kinds of objects that have pods, or are one.
const WORKLOADS: [&str; 9] = [
    "Pod",
    "PodTemplate",
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "ReplicationController",
    "Job",
    "CronJob",
];

impl Advise for GeneralReason {
    fn advice(&self) -> Option<Advice> {
        match self {
            Self::Nothing | Self::NotUnderstood { .. } | Self::NotAPolicy { .. } => None,
            Self::Unreadable { .. } => Advice::of(Fault::Unreadable),
            Self::NoManifest { .. } => Advice::with(
                Fault::Unreadable,
                "name a file with pods or with what makes them, in YAML or JSON",
            ),
            Self::WrongType { expected: "text in quotes", .. } => {
                Advice::with(Fault::Unreadable, "put the value into quotes")
            }
            Self::WrongType { expected, .. } => {
                Advice::with(Fault::Unreadable, format!("write {expected}"))
            }
            Self::UnknownFlag { nearest: Some(nearest), .. }
            | Self::UnknownOption { nearest: Some(nearest) } => {
                Advice::with(Fault::Refused, format!("write `{nearest}`"))
            }
            Self::NotBoolean => Advice::with(Fault::Refused, "write `true` or `false`"),
            Self::Mapped { .. } => Advice::with(Fault::Refused, "write it as IPv4"),
            _ => Advice::of(Fault::Refused),
        }
    }
}
