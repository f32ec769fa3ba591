//! What to write instead, for every problem.

use super::Problem;
use crate::net::{Interface, Name};

impl Problem {
    /// What to do about it, as the text to write where there is one.
    ///
    /// Lines behind the first are part of a list.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one arm for each problem, so that none is left out")]
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::UnclosedText
            | Self::Unreadable { is_missing: false, .. }
            | Self::Unsupported { .. } => return None,
            Self::SameMark { mark } => {
                let other = if *mark == u32::MAX { 1 } else { mark + 1 };
                format!("give each its own: `outbound-mark {other}`")
            }
            Self::Unknown { instead, .. }
            | Self::MissingSeparator { instead, .. }
            | Self::NotInJson { instead, .. }
            | Self::Manifest { instead, .. } => {
                return instead.clone();
            }
            Self::UnclosedBlock { place, count } => {
                format!("write `{}` {place}", "}".repeat(*count))
            }
            Self::Lookalike { instead, .. } => format!("write `{instead}`"),
            Self::StrayBrace => "remove it, or write the `{` that it should close".to_owned(),
            Self::Invisible { character } => invisible(*character).to_owned(),
            Self::TooDeep => {
                "a clause stands in at most 2 blocks: `sidecar reviews { outbound { … } }`".to_owned()
            }
            Self::TooMany { .. } => "correct these, and run it again".to_owned(),
            Self::Refused => {
                "look at the message of the command that was to write this; `set -o pipefail` makes a \
                 shell stop there"
                    .to_owned()
            }
            Self::NothingToCompile => {
                "write `sidecar reviews {}`, or name a file that has a policy; if a command was to \
                 write this, look at its message"
                    .to_owned()
            }
            Self::Missing { example, .. } | Self::MissingBlock { example, .. } => {
                format!("write {example}")
            }
            Self::Punctuation { instead, .. } => instead.clone().into_owned(),
            Self::Contradiction { instead, .. }
            | Self::MeshCannot { instead, .. }
            | Self::MeshFault { instead, .. }
            | Self::NoUpdate { instead, .. } => (*instead).to_owned(),
            Self::SurplusBlock { .. } => {
                "end the clause before the `{`, or remove the braces".to_owned()
            }
            Self::IncludeCycle { hops, .. } => {
                format!("cut the cycle at one of\n{}", hops.join("\n"))
            }
            Self::Unreadable { .. } => "a path is relative to the file that includes it".to_owned(),
            Self::TooLarge { most, .. } => format!("the most is {most} bytes"),
            Self::TooManyTerms => {
                "join neighbouring prefixes and ports, or use several files".to_owned()
            }
            Self::NotText { is_utf_16: true, .. } => "it looks like UTF-16: save it as UTF-8".to_owned(),
            Self::NotText { .. } => "a policy is UTF-8 text without NUL bytes".to_owned(),
            Self::IncludeTooDeep => {
                "include the file from one that is nearer to the first".to_owned()
            }
            Self::NotAPath { path } => format!("write `include \"{path}\"`"),

            Self::OutOfRange { form, .. } | Self::Reserved { form, .. } => (*form).to_owned(),
            Self::HostBits { network, host, .. } => {
                format!("write `{network}` for the network, or `{host}` for the one host")
            }
            Self::NotProved { .. } => {
                "this is a mistake in weir, not in the policy: report it with the policy; \
                 `--no-verify` writes the text all the same"
                    .to_owned()
            }
            Self::TooEntangled { .. } => {
                "`--no-verify` writes the text without the proof".to_owned()
            }
            Self::Unmet { policy, .. } => format!(
                "change policy `{policy}`, or what is expected; `weir explain` shows the packet's \
                 way through the rules"
            ),
            Self::UnknownChoice { choices, .. } => (*choices).to_owned(),
            Self::Duplicate { joined: Some(joined), .. } => format!("join them: `{joined}`"),
            Self::Duplicate { joined: None, .. } => "remove one of the two".to_owned(),
            Self::NotAnInterface { .. } => format!(
                "a name has 1 to {} characters out of `A-Z a-z 0-9 . _ -`; a `*` at its end means \
                 every name that begins so",
                Interface::MAX_LEN
            ),
            Self::Reversed { turned, .. } => format!("write `{turned}`"),
            Self::NotAPolicy { instead, .. }
            | Self::NotANumber { instead, .. }
            | Self::NotAnAddress { instead, .. }
            | Self::AddsNothing { instead, .. }
            | Self::WrongPlace { instead, .. }
            | Self::NotAList { instead, .. } => instead.clone(),
            Self::ExcludedOutside { block, captures_some: false, .. } => {
                format!("remove it: `{block}` captures no port")
            }
            Self::ExcludedOutside { block, .. } => format!(
                "remove it: `{block}` captures only the listed ports, and this is none of them"
            ),
            Self::OtherFamily { other, .. } => {
                format!("remove what is {other}, or govern both families: `family ipv4, ipv6`")
            }
            Self::UnknownGroup { name } if name == "root" => "write `0`".to_owned(),
            Self::UnknownGroup { .. } => {
                "write its number, or name the file that has it: `--group-file /etc/group`, or \
                 `group-file` in weir.toml"
                    .to_owned()
            }
            Self::Undefined { meant: Some(name), .. } => format!("write `${name}`"),
            Self::Undefined { name, .. } if Name::new(name).is_err() => {
                "the name of a list stands behind a `$`, and nothing else".to_owned()
            }
            Self::Undefined { name, .. } => {
                format!("define it at the top level: `let {name} = …`")
            }
            Self::DefinedTwice { .. } => {
                "rename one of the two; names are shared by every file".to_owned()
            }
            Self::RecursiveLet { .. } => "write the values themselves".to_owned(),
            Self::NotAName { most, .. } => format!(
                "a name begins with a letter and has 1 to {most} characters out of `A-Z a-z 0-9 _ -`"
            ),
            Self::UnknownParent { .. } => "define it, or include the file that does".to_owned(),
            Self::OtherKind { .. } => "a policy extends one of its own kind".to_owned(),
            Self::ExtendsCycle { name, is_direct: true, .. } => format!("remove `extends {name}`"),
            Self::ExtendsCycle { .. } => "remove one `extends` of the cycle".to_owned(),
            Self::TooLong { .. } => "build on one that is nearer to the first".to_owned(),
            Self::TooManyValues { most, .. } => match *most {
                "no value" => "remove it",
                "one value" => "keep one of them",
                _ => "keep one IPv4 and one IPv6 address",
            }
            .to_owned(),
            Self::NobodysProxy => {
                "give one of them, or the proxy's own connections are sent to the proxy: \
                 `user 1337`"
                    .to_owned()
            }
            Self::ListTooLong => {
                "join neighbouring prefixes or ports, or use several policies".to_owned()
            }
            Self::TooMuch { .. } => {
                "compile some of the policies from files of their own".to_owned()
            }
            Self::OutsideMask { within, .. } => format!("write `{within}`"),
            Self::NotLoopback { .. } => {
                "write an IPv4 prefix inside of `127.0.0.0/8`, and for IPv6 `::1/128`".to_owned()
            }
            Self::SharedTable { .. } => {
                "load each into a namespace of its own; one namespace has one of them".to_owned()
            }
            Self::SharedMark { .. } => "give one of them bits that the other does not use, or \
                                        load each into a namespace of its own"
                .to_owned(),
            Self::SharedRoute { .. } => {
                "give one of them another: `table 134`, for example".to_owned()
            }
            Self::Tie { supposes, then, otherwise, .. } => format!(
                "if {supposes}: {then}; otherwise: {otherwise}; load the two into namespaces of \
                 their own, or give each another family"
            ),
            Self::SharedBits { .. } => {
                "on a packet that both mark, one overwrites the other's; load each into a \
                 namespace of its own"
                    .to_owned()
            }

            Self::CapturedAndExcluded { value, .. } => {
                format!("`exclude` always wins; remove `{value}` or narrow the exclude")
            }
            Self::UnusedLet { name } => format!("write `${name}` where it belongs, or remove it"),
            Self::ProxyUser { .. } => {
                "remove it; a workload that runs as this user is taken for the proxy: give it another"
                    .to_owned()
            }
            Self::ProxyGroup { .. } => {
                "remove it: the proxy's own connections are never captured".to_owned()
            }
            Self::ReroutedAndExcluded { .. } => {
                "`reroute` wins on arrival, `exclude` on departure; keep one".to_owned()
            }
            Self::Repeated { .. } => "remove it".to_owned(),
            Self::DnsExcluded { by: Some(by) } => {
                format!("take port 53 out of `{by}`, or write `dns none`")
            }
            Self::DnsExcluded { by: None } => {
                "leave port 53 captured somewhere, or write `dns none`".to_owned()
            }
            Self::SamePort { .. } => "give each its own port".to_owned(),
            Self::NoEffect { reason, .. } => (*reason).to_owned(),
            Self::Shadowed { by, packet, .. } => format!(
                "remove it, or narrow `{by}`: without that, it would decide about `{packet}`"
            ),
            Self::WellKnownMark { .. } => {
                "choose another mark, if the policy is for the network of a node on which it runs"
                    .to_owned()
            }
            Self::WellKnownTie { supposes, then, otherwise, .. } => format!(
                "if {supposes}: {then}; otherwise: {otherwise}; that concerns policies for a network \
                 namespace that has both"
            ),
            Self::OpenFamily { family, other } => {
                let everywhere = family.everywhere();
                let other = other.keyword();
                format!(
                    "capture `{everywhere}` too, or exclude it, or write `family {other}`; `*` is \
                     everything of both"
                )
            }
            Self::IdleAllow { .. } => "remove it: there is no such warning here".to_owned(),
            Self::NotAWarning { .. } => {
                "write the code of a warning, as messages show it: `allow W509 \"why\"`; an error \
                 cannot be allowed"
                    .to_owned()
            }
            Self::NotSayable { read, .. } => {
                format!("its text says `{read}`; the language has no word for anything else here")
            }
            Self::NoPolicy => {
                "write one: `sidecar istio {}` does what Istio does by default".to_owned()
            }
            Self::ReroutedLate => {
                "leave the inbound ports of the virtual machines uncaptured, or write `mode redirect`"
                    .to_owned()
            }
            Self::CapturesNothing { .. } => "capture something, or remove the policy".to_owned(),
            Self::NothingLeft { by, .. } => {
                format!("narrow `{by}`, or say that nothing is captured: `capture … none`")
            }
            Self::NotToml { .. } => {
                "a line is `key = value`, a section begins with its name in brackets: `[golden]`"
                    .to_owned()
            }
            Self::UnknownKey { known, .. } => format!("the keys here are {known}"),
            Self::NotASetting { instead, .. } => instead.to_string(),
        };
        Some(help)
    }
}

fn invisible(character: char) -> &'static str {
    match character {
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            "it only looks like a space; write a space"
        }
        '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => "it has no width; remove it",
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            "it changes the order in which the line is shown; remove it"
        }
        '\r' => "end a line with a line feed, or a carriage return and a line feed",
        _ => "remove it",
    }
}
