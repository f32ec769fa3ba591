//! The code of every problem, and the page on every code.

use super::{Problem, Severity};

impl Problem {
    /// Its code: `E301`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnclosedText => "E101",
            Self::Unknown { .. } => "E102",
            Self::MissingSeparator { .. } => "E103",
            Self::UnclosedBlock => "E104",
            Self::StrayBrace => "E105",
            Self::Invisible { .. } => "E106",
            Self::TooDeep => "E107",
            Self::Missing { .. } => "E108",
            Self::Punctuation { .. } => "E109",
            Self::MissingBlock { .. } => "E110",
            Self::SurplusBlock { .. } => "E111",
            Self::TooMany { severity: Severity::Error } => "E112",
            Self::Refused => "E113",
            Self::NothingToCompile => "E114",
            Self::IncludeCycle { .. } => "E201",
            Self::Unreadable { .. } => "E202",
            Self::TooLarge { .. } => "E203",
            Self::NotText { .. } => "E204",
            Self::IncludeTooDeep => "E205",
            Self::NotAPath { .. } => "E206",
            Self::TooManyTerms => "E207",
            Self::OutOfRange { .. } => "E301",
            Self::HostBits { .. } => "E302",
            Self::UnknownChoice { .. } => "E303",
            Self::Duplicate { .. } => "E304",
            Self::NotAnInterface { .. } => "E305",
            Self::Reversed { .. } => "E306",
            Self::NotANumber { .. } => "E307",
            Self::NotAnAddress { .. } => "E308",
            Self::ExcludedOutside { .. } => "E309",
            Self::OtherFamily { .. } => "E310",
            Self::Contradiction { .. } => "E311",
            Self::UnknownGroup { .. } => "E312",
            Self::Undefined { .. } => "E313",
            Self::DefinedTwice { .. } => "E314",
            Self::RecursiveLet { .. } => "E315",
            Self::NotAName { .. } => "E316",
            Self::UnknownParent { .. } => "E317",
            Self::OtherKind { .. } => "E318",
            Self::ExtendsCycle { .. } => "E319",
            Self::TooLong { .. } => "E320",
            Self::AddsNothing { .. } => "E321",
            Self::WrongPlace { .. } => "E322",
            Self::NotAList { .. } => "E323",
            Self::TooManyValues { .. } => "E324",
            Self::NobodysProxy => "E325",
            Self::ListTooLong => "E326",
            Self::Reserved { .. } => "E327",
            Self::OutsideMask { .. } => "E328",
            Self::NotLoopback { .. } => "E329",
            Self::SharedTable { .. } => "E330",
            Self::SharedMark { .. } => "E331",
            Self::SharedRoute { .. } => "E332",
            Self::TooMuch { .. } => "E333",
            Self::MeshCannot { .. } => "E334",
            Self::NotAWarning { .. } => "E335",
            Self::Unsupported { .. } => "E401",
            Self::NotProved { .. } => "E402",
            Self::Unmet { .. } => "E403",
            Self::TooEntangled { .. } => "E404",
            Self::NoUpdate { .. } => "E405",
            Self::CapturedAndExcluded { .. } => "W501",
            Self::UnusedLet { .. } => "W502",
            Self::ProxyGroup { .. } | Self::ProxyUser { .. } => "W503",
            Self::ReroutedAndExcluded { .. } => "W504",
            Self::Repeated { .. } => "W505",
            Self::DnsExcluded { .. } => "W506",
            Self::SameMark { .. } => "W507",
            Self::SamePort { .. } => "W508",
            Self::NoEffect { .. } | Self::Shadowed { .. } => "W509",
            Self::CapturesNothing { .. } | Self::NothingLeft { .. } => "W510",
            Self::NoPolicy => "W511",
            Self::TooMany { severity: Severity::Warning } => "W512",
            Self::ReroutedLate => "W513",
            Self::SharedBits { .. } => "W514",
            Self::Tie { .. } => "W515",
            Self::MeshFault { .. } => "W516",
            Self::WellKnownMark { .. } => "W517",
            Self::OpenFamily { .. } => "W518",
            Self::IdleAllow { .. } => "W519",
            Self::WellKnownTie { .. } => "W520",
            Self::NotToml { .. } => "E601",
            Self::UnknownKey { .. } => "E602",
            Self::NotASetting { .. } => "E603",
            Self::Manifest { fault, .. } => fault.code(),
        }
    }

    /// How bad it is: what begins with `W` is a warning.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        if self.code().as_bytes()[0] == b'W' { Severity::Warning } else { Severity::Error }
    }
}

macro_rules! pages {
    ($($code:literal)*) => {
        /// Every code that a problem can have, in order.
        pub const CODES: &[&str] = &[$($code),*];

        /// The page on `code`, in Markdown: what it means, what causes it, and what is right.
        /// `None` if no problem has the code.
        #[must_use]
        pub fn explain(code: &str) -> Option<&'static str> {
            match code {
                $($code => Some(include_str!(concat!("explain/", $code, ".md"))),)*
                _ => None,
            }
        }
    };
}

pages! {
    "E101" "E102" "E103" "E104" "E105" "E106" "E107" "E108" "E109" "E110" "E111" "E112"
    "E113" "E114"
    "E201" "E202" "E203" "E204" "E205" "E206" "E207"
    "E301" "E302" "E303" "E304" "E305" "E306" "E307" "E308" "E309" "E310" "E311" "E312" "E313"
    "E314" "E315" "E316" "E317" "E318" "E319" "E320" "E321" "E322" "E323" "E324" "E325" "E326"
    "E327" "E328" "E329" "E330" "E331" "E332" "E333" "E334" "E335"
    "E401" "E402" "E403" "E404" "E405"
    "W501" "W502" "W503" "W504" "W505" "W506" "W507" "W508" "W509" "W510" "W511" "W512"
    "W513" "W514" "W515" "W516" "W517" "W518" "W519" "W520"
    "E601" "E602" "E603"
    "E701" "E702" "E703" "W704" "W705" "W706" "W707" "W708" "W709" "W710" "W711" "W712" "W713"
    "W714" "W715"
}
