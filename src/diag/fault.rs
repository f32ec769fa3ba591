//! What can be wrong with a manifest.

/// What is wrong with a manifest, by its code. Codes of manifests are `E7xx` and `W7xx`, with numbers that
/// no two share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fault {
    /// `E701`: a value that the mesh refuses.
    Refused,
    /// `E702`: no YAML, or a value of the wrong type.
    Unreadable,
    /// `E703`: a range of ports where only ports are allowed.
    Range,
    /// `W704`: on the wrong object.
    OtherObject,
    /// `W705`: a label for an annotation, or the other way round.
    OtherSort,
    /// `W706`: a name that nobody reads.
    UnknownName,
    /// `W707`: deprecated.
    Deprecated,
    /// `W708`: no effect.
    NoEffect,
    /// `W709`: two that fight.
    Contradiction,
    /// `W710`: a workload that runs as the proxy's user.
    RunsAsTheProxy,
    /// `W711`: nothing is captured.
    NothingCaptured,
    /// `W712`: a family is open.
    OpenFamily,
    /// `W713`: an opt-out that does not opt out.
    NoOptOut,
    /// `W714`: DNS that needs another option.
    DnsNeeds,
    /// `W715`: a release that does otherwise.
    Release,
}

impl Fault {
    /// Its code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Refused => "E701",
            Self::Unreadable => "E702",
            Self::Range => "E703",
            Self::OtherObject => "W704",
            Self::OtherSort => "W705",
            Self::UnknownName => "W706",
            Self::Deprecated => "W707",
            Self::NoEffect => "W708",
            Self::Contradiction => "W709",
            Self::RunsAsTheProxy => "W710",
            Self::NothingCaptured => "W711",
            Self::OpenFamily => "W712",
            Self::NoOptOut => "W713",
            Self::DnsNeeds => "W714",
            Self::Release => "W715",
        }
    }
}
