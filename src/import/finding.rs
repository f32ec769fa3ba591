//! What there is to say about an import: which option it is about, and what.

use std::fmt;

use super::words::shortened;
use crate::span::Span;

/// Where an option was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nowhere: upstream's default.
    Default,
    /// A command line.
    Argument,
    /// An environment variable.
    Environment,
    /// An annotation, a label, or a field of a manifest or of a configuration.
    Field,
}

/// An option and its value, as they were written.
///
/// Displays as they were written, too: `-d 15090`, `ISTIO_INBOUND_PORTS=80`, `PROXY_UID: 1337`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Given {
    /// The flag, variable, annotation or field.
    pub option: String,
    /// Its text.
    pub value: String,
    /// Where it was read.
    pub source: Source,
}

impl Given {
    /// `value`, from a field called `option`.
    pub(crate) fn field(option: impl Into<String>, value: impl Into<String>) -> Self {
        Self { option: option.into(), value: value.into(), source: Source::Field }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joint = match self.source {
            Source::Argument if !self.option.starts_with("--") => " ",
            Source::Argument | Source::Environment => "=",
            Source::Default | Source::Field => ": ",
        };
        if self.value.is_empty() {
            return write!(f, "{}", shortened(&self.option));
        }
        write!(f, "{}{joint}{}", shortened(&self.option), shortened(&self.value))
    }
}

/// Something to know about what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding<T> {
    /// The pod or configuration concerned, if the input holds several.
    pub about: Option<String>,
    /// The option concerned, if there is one.
    pub given: Option<Given>,
    /// The place in the manifests, if it was read there: the option, or what it is about.
    pub at: Option<Span>,
    /// What there is to know.
    pub what: T,
}

impl<T: fmt::Display> fmt::Display for Finding<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(about) = &self.about {
            write!(f, "{}: ", shortened(about))?;
        }
        if let Some(given) = &self.given {
            write!(f, "`{given}`: ")?;
        }
        self.what.fmt(f)
    }
}

/// The types of what an import finds, beside its `Remark` and its `Reason`.
macro_rules! findings {
    () => {
        /// What the policy does not carry over, or says in another way.
        pub type Note = crate::import::Finding<Remark>;

        /// Why there is no policy.
        pub type Mistake = crate::import::Finding<Reason>;

        /// What was imported.
        pub type Imported = crate::import::Imported<Remark>;

        /// Why nothing was imported.
        pub type Refused = crate::import::Refused<Remark, Reason>;

        /// Findings as they are made.
        pub(super) type Report = crate::import::report::Report<Remark, Reason>;
    };
}
pub(super) use findings;
