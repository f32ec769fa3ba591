//! What there is to say about an import whatever the mesh.

use std::fmt;

use super::words::did_you_mean;
use crate::net::BadInterface;

/// What a policy does not carry over, or says in another way, whatever the mesh.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GeneralRemark {
    /// Something else decides.
    #[error("no effect, because of `{by}`")]
    Overridden {
        /// What decides.
        by: String,
    },
    /// Neither a flag nor the value of one.
    #[error("`{word}` is not a flag, and is ignored")]
    StrayWord {
        /// The word.
        word: String,
    },
    /// How, not which.
    #[error("says how rules are applied or logged, not which: not carried over")]
    NotTraffic,
    /// A number in a variable that is none.
    #[error("not a number that the option takes, so it is ignored")]
    NumberIgnored,
    /// Host bits.
    #[error("`{written}` means `{network}`")]
    HostBits {
        /// As written.
        written: String,
        /// Without the bits behind the prefix.
        network: String,
    },
    /// A port by its name.
    #[error("`{name}` is port {port}, as `/etc/services` usually has it")]
    ServiceName {
        /// As written.
        name: String,
        /// The port.
        port: u16,
    },
    /// A word near a known one.
    #[error("not an option{}", did_you_mean(.nearest.as_deref()))]
    NotAnOption {
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// A name of the mesh's on another object than it belongs to.
    #[error("no effect on the {kind}, where {mesh} does not read it: it belongs in `{belongs}`")]
    OtherObject {
        /// The mesh.
        mesh: &'static str,
        /// The kind of the object.
        kind: String,
        /// Where it belongs.
        belongs: String,
    },
    /// A label that should be an annotation, or the other way round.
    #[error(
        "no effect as {sort}: {mesh} reads {}, which belongs in `metadata.{}`",
        .sort.other(),
        .sort.other().key()
    )]
    OtherSort {
        /// The mesh.
        mesh: &'static str,
        /// What it is.
        sort: Sort,
    },
    /// Containers without the rest.
    #[error("without `kind`, `metadata` and `spec` this is read as the `spec` of a pod")]
    Fragment,
    /// Neither a kind nor a pod.
    #[error("no pod here: there is neither a `kind` nor a `spec` with `containers`")]
    NoKind,
    /// A variable whose value is elsewhere.
    #[error("the value is not in the manifest; it is left at its default")]
    ValueElsewhere,
    /// Variables whose names are elsewhere.
    #[error("`envFrom` may set more options; what it refers to is not in the manifest")]
    EnvironmentElsewhere,
    /// A pod for which the mesh makes no rules.
    #[error("no policy, because {0}")]
    NoRules(NoRules),
    /// An object without a pod.
    #[error("no pod in this {kind}")]
    NoPod {
        /// Its kind.
        kind: String,
    },
    /// Another name.
    #[error("called `{name}` here, because `{written}` {why}")]
    Renamed {
        /// The name here.
        name: String,
        /// The name there.
        written: String,
        /// What is the matter with it.
        why: &'static str,
    },
}

/// What a name of Kubernetes' is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// An annotation.
    Annotation,
    /// A label.
    Label,
}

impl Sort {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Annotation => Self::Label,
            Self::Label => Self::Annotation,
        }
    }

    /// The key of `metadata` that has them.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Annotation => "annotations",
            Self::Label => "labels",
        }
    }
}

/// `an annotation`, `a label`.
impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Annotation => "an annotation",
            Self::Label => "a label",
        })
    }
}

/// Why a mesh makes no rules for a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoRules {
    /// It shares the node's network.
    #[error("the pod is in the node's network namespace")]
    HostNetwork,
    /// Somebody said so.
    #[error("injection is off")]
    InjectionOff,
    /// Nothing says that the mesh has to do with it.
    #[error("nothing in it asks for {mesh}")]
    Unasked {
        /// The mesh.
        mesh: &'static str,
    },
    /// Something that only this mesh has.
    #[error("{why}")]
    Otherwise {
        /// What it is.
        why: &'static str,
    },
}

/// Why there is no policy, whatever the mesh.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GeneralReason {
    /// No such flag.
    #[error("unknown flag `{flag}`{}", did_you_mean(.nearest.as_deref()))]
    UnknownFlag {
        /// As written.
        flag: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// A flag at the end.
    #[error("a value is missing behind it")]
    MissingValue,
    /// Shell quoting.
    #[error("a quote or a `\\` is not closed")]
    OpenQuote,
    /// A line of an environment file.
    #[error("line {line}: `{word}` is not of the form `NAME=value`")]
    NotAssignment {
        /// The line, from 1.
        line: usize,
        /// The word.
        word: String,
    },
    /// Go's `strconv.ParseBool`.
    #[error("not a boolean: `true` or `false`")]
    NotBoolean,
    /// A file without anything that could be a manifest.
    #[error("there is no manifest in {file}")]
    NoManifest {
        /// What it is called.
        file: String,
    },
    /// Unreadable text.
    #[error("not {form}: {why} (line {line}, column {column})")]
    Unreadable {
        /// The form that was expected.
        form: &'static str,
        /// The reader's words.
        why: String,
        /// From 1.
        line: u64,
        /// From 1.
        column: u64,
    },
    /// The wrong type.
    #[error("{found} where {expected} is expected")]
    WrongType {
        /// What is there.
        found: &'static str,
        /// What should be.
        expected: &'static str,
    },
    /// Not a port.
    #[error("`{item}` is not a port of 1 to 65535")]
    NotPort {
        /// As written.
        item: String,
    },
    /// A port by a name that is not known.
    #[error("the port of the service `{item}` is not known here; write its number")]
    UnknownService {
        /// As written.
        item: String,
    },
    /// Not a prefix.
    #[error("`{item}` is not a prefix like `10.0.0.0/8`")]
    NotPrefix {
        /// As written.
        item: String,
    },
    /// Not an interface.
    #[error("`{item}` is not an interface: {why}")]
    NotInterface {
        /// As written.
        item: String,
        /// What is the matter with it.
        why: BadInterface,
    },
    /// The configuration of another mesh.
    #[error("the kind is `{kind}`")]
    OtherKind {
        /// The kind that it should be.
        kind: &'static str,
    },
    /// Not an option of upstream's.
    #[error("unknown option{}", did_you_mean(.nearest.as_deref()))]
    UnknownOption {
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// Nothing there.
    #[error("there is nothing to import")]
    Nothing,
    /// Something there, but nothing that is known.
    #[error("nothing of this was understood, so there is nothing to import: {hint}")]
    NotUnderstood {
        /// What would be.
        hint: &'static str,
    },
    /// No policy says what the input does.
    #[error("a policy cannot say this: {why}")]
    NotAPolicy {
        /// Why `weir check` would refuse one that did.
        why: String,
    },
    /// An address of IPv4 written as one of IPv6.
    #[error("`{item}` maps IPv4, which no packet of IPv6 carries; write it as IPv4")]
    Mapped {
        /// As written.
        item: String,
    },
}
