//! Every problem, with its message.

use std::borrow::Cow;
use std::fmt;

use super::Fault;
use crate::net::{BadInterface, BadName, Family, Mark};
use crate::syntax::MOST_TERMS;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The policy means something, but probably not what was wanted.
    Warning,
    /// The policy means nothing.
    Error,
}

/// `error` or `warning`.
impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// What is wrong, independent of where.
///
/// A message is one lower-case clause without a period, with what the user wrote in backticks. It
/// states a fact; what to do about it is [`Problem::help`]. Codes by phase: `E1xx` syntax, `E2xx`
/// files, `E3xx` values and clauses, `E4xx` a target cannot say this, `W5xx` suspicious, `E6xx`
/// `weir.toml`, `E7xx` and `W7xx` manifests. A released code is never reused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// `E101`: a quotation mark without a second one on its line.
    #[error("expected a closing `\"` on this line")]
    UnclosedText,
    /// `E102`: a word that is nothing here.
    #[error("unknown {what} `{found}`")]
    Unknown {
        /// What was looked for: `clause`, `keyword`.
        what: &'static str,
        /// What was written.
        found: String,
        /// What to write instead, where the label cannot say it.
        instead: Option<String>,
    },
    /// `E103`: two clauses, or two values, without anything between.
    #[error("missing `{separator}`")]
    MissingSeparator {
        /// `;` or `,`.
        separator: char,
        /// What to write, where more than the separator is to change.
        instead: Option<String>,
    },
    /// `E104`: a `{` without its `}`.
    #[error("expected a closing `}}`")]
    UnclosedBlock {
        /// Where it belongs: ``before `outbound` ``.
        place: String,
        /// How many are missing there.
        count: usize,
    },
    /// `E105`: a `}` without its `{`.
    #[error("`}}` closes nothing")]
    StrayBrace,
    /// `E106`: a character that nobody can see, or that changes how a line is shown.
    #[error("the character U+{:04X} cannot be seen", u32::from(*.character))]
    Invisible {
        /// The character.
        character: char,
    },
    /// `E107`: blocks in blocks in blocks.
    #[error("blocks are nested more than {} deep", crate::syntax::MOST_NESTED)]
    TooDeep,
    /// `E108`: a clause that ends where its value or name should be.
    #[error("`{clause}` has no {what}")]
    Missing {
        /// What is missing: `value`, `name`.
        what: &'static str,
        /// The clause.
        clause: String,
        /// It with what is missing.
        example: String,
    },
    /// `E109`: punctuation with nothing for it to part or open.
    #[error("{what}")]
    Punctuation {
        /// `a comma without a value behind it`.
        what: &'static str,
        /// What to write.
        instead: Cow<'static, str>,
    },
    /// `E110`: a clause that needs a block, without one.
    #[error("`{clause}` has no block")]
    MissingBlock {
        /// The clause.
        clause: String,
        /// It with its block.
        example: String,
    },
    /// `E111`: a block where none belongs.
    #[error("`{clause}` takes no block")]
    SurplusBlock {
        /// The clause.
        clause: String,
    },

    /// `E112` or `W512`: more errors, or more warnings, than anybody reads.
    #[error("more than {} {severity}s in this file", super::MOST_REPORTED)]
    TooMany {
        /// What there are too many of.
        severity: Severity,
    },

    /// `E113`: what a command of weir that failed left in the place of its product.
    #[error("this is what a command of weir leaves that failed")]
    Refused,
    /// `E114`: a command that is about policies, and a file without one of its own.
    #[error("there is no policy in this file")]
    NothingToCompile,

    /// `E115`: a character that looks like another one of the language.
    #[error("`{character}` is {name}, U+{:04X}", u32::from(*.character))]
    Lookalike {
        /// The character.
        character: char,
        /// What it is called: `an en dash`.
        name: &'static str,
        /// What was probably meant.
        instead: String,
    },

    /// `E201`: a file that includes itself, perhaps by way of others.
    #[error("`{file}` includes itself")]
    IncludeCycle {
        /// The file.
        file: String,
        /// Every include of the cycle as `file:line`.
        hops: Vec<String>,
    },
    /// `E202`: a file that the loader does not have.
    #[error("cannot read `{file}`")]
    Unreadable {
        /// The file.
        file: String,
        /// Whether there is no such file, as far as the loader says.
        is_missing: bool,
    },
    /// `E203`: a file that is larger than one of its kind may be.
    #[error("`{file}` is too large")]
    TooLarge {
        /// The file.
        file: String,
        /// The most bytes.
        most: usize,
    },
    /// `E204`: a file with NUL bytes.
    #[error("`{file}` is not a text")]
    NotText {
        /// The file.
        file: String,
        /// Whether it looks like UTF-16.
        is_utf_16: bool,
    },
    /// `E205`: includes in includes in includes.
    #[error("includes are nested more than {} deep", crate::syntax::MOST_INCLUDES)]
    IncludeTooDeep,
    /// `E206`: an `include` without one quoted path.
    #[error("`include` takes one path in quotation marks")]
    NotAPath {
        /// What was probably meant.
        path: String,
    },
    /// `E207`: a file of so many words that a tree of it would fill the memory.
    #[error("more than {MOST_TERMS} words, values, signs and comments in this file")]
    TooManyTerms,

    /// `E208`: a text that is something else, as its beginning shows.
    #[error("this is {what}, and no policy")]
    NotAPolicy {
        /// `a Kubernetes manifest`.
        what: &'static str,
        /// What reads it.
        instead: String,
    },

    /// `E301`: a number that is too small or too large for what it says.
    #[error("{what} {found} is out of range")]
    OutOfRange {
        /// `port`, `mark`, `prefix length`.
        what: &'static str,
        /// The number as written.
        found: String,
        /// The numbers there are, and other ways to write them.
        form: &'static str,
    },
    /// `E302`: bits set to the right of the prefix length.
    #[error("`{found}` has host bits set")]
    HostBits {
        /// The prefix as written.
        found: String,
        /// The same prefix with the host bits cleared.
        network: String,
        /// The address alone, as a single-host prefix.
        host: String,
    },
    /// `E303`: a clause with few possible values, and another one.
    #[error("unknown {what} `{found}`")]
    UnknownChoice {
        /// `mode`, `family`.
        what: &'static str,
        /// What was written.
        found: String,
        /// The choices and what they do.
        choices: &'static str,
    },
    /// `E304`: a clause that is given twice.
    #[error("`{clause}` is given twice")]
    Duplicate {
        /// The clause without its values.
        clause: String,
        /// Both as one clause, if it takes a list.
        joined: Option<String>,
    },
    /// `E305`: a name that not every backend takes.
    #[error("`{found}` is not an interface name")]
    NotAnInterface {
        /// What was written.
        found: String,
        /// Why.
        reason: BadInterface,
    },
    /// `E306`: a range from high to low.
    #[error("`{found}` ends before it begins")]
    Reversed {
        /// The range as written.
        found: String,
        /// The same range from low to high.
        turned: String,
    },
    /// `E307`: not a number, or not as numbers are written here.
    #[error("`{found}` is not {what}")]
    NotANumber {
        /// `a port`, `a user number`.
        what: &'static str,
        /// What was written.
        found: String,
        /// What to write.
        instead: String,
    },
    /// `E308`: not an address, or not a prefix.
    #[error("`{found}` is not {what}")]
    NotAnAddress {
        /// `an address`, `an address or a prefix`.
        what: &'static str,
        /// What was written.
        found: String,
        /// What to write.
        instead: String,
    },
    /// `E309`: an exclude outside of what is captured.
    #[error("port {port} is excluded but not captured")]
    ExcludedOutside {
        /// The excluded port or range.
        port: String,
        /// Whether any other port is captured.
        captures_some: bool,
        /// The block of both clauses.
        block: &'static str,
    },
    /// `E310`: a value of a family that the policy does not govern.
    #[error("{} under `family {}`", values(*.count, *.other), .family.keyword())]
    OtherFamily {
        /// The family governed.
        family: Family,
        /// The family of the values.
        other: Family,
        /// How many values there are.
        count: usize,
    },
    /// `E311`: two clauses that exclude each other.
    #[error("`{first}` contradicts `{second}`")]
    Contradiction {
        /// One clause.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// Which to keep for what.
        instead: &'static str,
    },
    /// `E312`: a group by name, and no number for it.
    #[error("the number of the group `{name}` is not known")]
    UnknownGroup {
        /// The name.
        name: String,
    },
    /// `E313`: a `$name` without a `let`.
    #[error("`${name}` is not defined")]
    Undefined {
        /// The name, without `$`.
        name: String,
        /// The list that was probably meant.
        meant: Option<String>,
    },
    /// `E314`: two things of one name.
    #[error("{what} `{name}` is defined twice")]
    DefinedTwice {
        /// `policy`, `list`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// `E315`: a list that has itself among its values.
    #[error("`${name}` is defined by itself")]
    RecursiveLet {
        /// The name, without `$`.
        name: String,
    },
    /// `E316`: not a name.
    #[error("`{found}` is not a name")]
    NotAName {
        /// What was written.
        found: String,
        /// Why.
        reason: BadName,
        /// How long a name may be here, in bytes.
        most: usize,
    },
    /// `E317`: the policy that is extended does not exist.
    #[error("there is no {kind} `{name}`")]
    UnknownParent {
        /// The kind of the policy that extends it.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// `E318`: the policy that is extended is of another kind.
    #[error("{kind} `{name}` extends {parent_kind} `{parent}`")]
    OtherKind {
        /// The kind of the policy.
        kind: &'static str,
        /// The policy.
        name: String,
        /// The kind of the policy that it extends.
        parent_kind: &'static str,
        /// The policy that it extends.
        parent: String,
    },
    /// `E319`: a policy that extends itself, perhaps by way of others.
    #[error("{kind} `{name}` extends itself")]
    ExtendsCycle {
        /// The kind.
        kind: &'static str,
        /// The name.
        name: String,
        /// Whether no other policy is in between.
        is_direct: bool,
    },
    /// `E320`: a list of lists of lists, or a policy that extends one that extends one.
    #[error("`{name}` builds on more than {} others in a row", crate::policy::MOST_EXTENDED)]
    TooLong {
        /// The list or the policy.
        name: String,
    },
    /// `E321`: `also` where there is nothing to add to, or nothing to add.
    #[error("`also {clause}` adds nothing")]
    AddsNothing {
        /// The clause.
        clause: String,
        /// What to write.
        instead: String,
    },
    /// `E322`: a clause of another block or another kind of policy.
    #[error("`{clause}` does not belong {place}")]
    WrongPlace {
        /// The clause.
        clause: String,
        /// Where it stands: `` in `inbound` ``, `in an ambient-pod policy`.
        place: String,
        /// Where it belongs: `outbound { exclude to … }`.
        instead: String,
    },
    /// `E323`: `*` or `none` as one of several values, or where it says nothing.
    #[error("{}", not_a_list(.clause, .found, *.alone))]
    NotAList {
        /// The clause.
        clause: String,
        /// `*` or `none`.
        found: &'static str,
        /// Whether it is allowed, but only alone.
        alone: bool,
        /// What to write.
        instead: String,
    },
    /// `E324`: more values than the clause takes.
    #[error("`{clause}` takes {most}")]
    TooManyValues {
        /// The clause.
        clause: String,
        /// `one value`, `one address of each family`.
        most: &'static str,
    },
    /// `E325`: nothing tells the proxy's packets from others.
    #[error("the proxy has neither a user nor a group")]
    NobodysProxy,
    /// `E326`: a list that is too long.
    #[error("a list has more than {} values", crate::policy::MOST_VALUES)]
    ListTooLong,
    /// `E327`: a number that the kernel keeps for itself.
    #[error("{what} {found} belongs to the kernel")]
    Reserved {
        /// `table`, `priority`.
        what: &'static str,
        /// The number.
        found: u32,
        /// What the kernel uses it for, and what is free.
        form: &'static str,
    },
    /// `E328`: bits of a mark that its mask hides.
    #[error("`{found}` has bits outside its mask")]
    OutsideMask {
        /// The mark as written.
        found: String,
        /// The mark without those bits.
        within: String,
    },
    /// `E329`: an address that is not the workload itself.
    #[error("`{found}` is not a loopback prefix")]
    NotLoopback {
        /// What was written.
        found: String,
    },
    /// `E330`: policies that are loaded together and replace each other.
    #[error("policies `{first}` and `{second}` both own the table `{table}`")]
    SharedTable {
        /// The first policy.
        first: String,
        /// The second.
        second: String,
        /// A table that both own.
        table: String,
    },
    /// `E331`: policies that are loaded together and mean different things by one mark.
    #[error("{first} and {second} can be one mark")]
    SharedMark {
        /// Clause, mark and policy: `` `mark 0x539` of `reviews` ``.
        first: String,
        /// Those of the other.
        second: String,
    },
    /// `E332`: policies that are loaded together and fill one routing table.
    #[error("policies `{first}` and `{second}` both own routing table {table}")]
    SharedRoute {
        /// The first policy.
        first: String,
        /// The second.
        second: String,
        /// The table.
        table: u32,
    },
    /// `E333`: so much in all files together that what it means would fill the memory.
    #[error("more than {most} {what} in all")]
    TooMuch {
        /// `policies`, `values`.
        what: &'static str,
        /// The most.
        most: usize,
    },
    /// `E334`: the mesh that the policy is for cannot do it.
    #[error("{mesh} cannot do this: {why}")]
    MeshCannot {
        /// The mesh.
        mesh: &'static str,
        /// Why not.
        why: &'static str,
        /// What to write.
        instead: &'static str,
    },
    /// `E335`: an `allow` of something that is no warning.
    #[error("`{found}` is not the code of a warning")]
    NotAWarning {
        /// What was written.
        found: String,
    },
    /// `E340`: a policy of data that its text does not say.
    #[error("no policy says `{said}` for `{field}`")]
    NotSayable {
        /// Which field, as JSON has it: `outbound.loopback.ipv6`.
        field: String,
        /// What it is, in JSON.
        said: String,
        /// What the text of the policy comes to instead.
        read: String,
    },
    /// `E341`: JSON that is no policy.
    #[error("{}{why}", at_field(.field))]
    NotInJson {
        /// Where: `outbound.exclude-to[0]`; empty for all of it.
        field: String,
        /// What is wrong.
        why: String,
        /// What to write, if that is known.
        instead: Option<String>,
    },
    /// `E401`: a backend cannot express a rule exactly, so it writes nothing.
    #[error("{target} cannot express this exactly: {what}")]
    Unsupported {
        /// The backend and its version: `nft 1.0.1`.
        target: String,
        /// What it lacks.
        what: String,
    },
    /// `E402`: a text does not mean what its policy means, so it is not written.
    #[error("{target} would not mean what the policy means: {why}")]
    NotProved {
        /// The text: `the nft script`.
        target: &'static str,
        /// A packet that breaks it, with what must become of it and what would; or why the text
        /// cannot be read back.
        why: String,
    },
    /// `E404`: nobody can tell whether the rules mean what they should.
    #[error("cannot prove anything of {subject}: {why}")]
    TooEntangled {
        /// What cannot be proved.
        subject: &'static str,
        /// Why not.
        why: String,
    },

    /// `E405`: no transaction turns what is loaded into the new version, and keeps what does not change.
    #[error("no update can be made: {why}")]
    NoUpdate {
        /// Why not.
        why: String,
        /// What to do.
        instead: &'static str,
    },

    /// `E403`: an `expect` that does not hold.
    #[error("expected {expected}, but `{packet}` is {becomes}")]
    Unmet {
        /// The policy under which it does not hold.
        policy: Box<str>,
        /// `untouched`, `proxy 15006`.
        expected: Box<str>,
        /// A packet that breaks it.
        packet: Box<str>,
        /// What becomes of it.
        becomes: Box<str>,
    },

    /// `W501`: a value that is captured and, all of it, excluded.
    #[error("{what} {value} is both captured and excluded")]
    CapturedAndExcluded {
        /// `destination`, `port`.
        what: &'static str,
        /// The captured value.
        value: String,
    },
    /// `W502`: a `let` that no clause uses.
    #[error("`${name}` is never used")]
    UnusedLet {
        /// The name, without `$`.
        name: String,
    },
    /// `W503`: the proxy's group among the groups that are captured or excluded.
    #[error("group {group} is the proxy's own")]
    ProxyGroup {
        /// The group.
        group: u32,
    },
    /// `W503`: the proxy's user among the users that are excluded.
    #[error("user {user} is the proxy's own")]
    ProxyUser {
        /// The user as written, perhaps with a protocol and ports.
        user: String,
    },
    /// `W504`: an interface that is rerouted and excluded.
    #[error("interface `{name}` is both rerouted and excluded")]
    ReroutedAndExcluded {
        /// The interface.
        name: String,
    },
    /// `W505`: a value that says nothing new.
    #[error("`{value}` is in the list already")]
    Repeated {
        /// The value.
        value: String,
    },
    /// `W506`: DNS is captured, and every query is left out.
    #[error("DNS capture has no effect: no query of the workload is left for it")]
    DnsExcluded {
        /// The clause that leaves them out, behind the words of its block; `None` if it is no single one.
        by: Option<Box<str>>,
    },
    /// `W507`: one mark for two things.
    #[error("`mark` and `outbound-mark` are both {mark}")]
    SameMark {
        /// The mark.
        mark: u32,
    },
    /// `W508`: one port of the proxy for two things.
    #[error("{first} and {second} are both port {port}")]
    SamePort {
        /// `inbound-port`.
        first: &'static str,
        /// `tunnel-port`.
        second: &'static str,
        /// The port.
        port: u16,
    },
    /// `W509`: a clause that changes nothing, because of another one.
    #[error("`{clause}` has no effect")]
    NoEffect {
        /// The clause.
        clause: &'static str,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// `W509`: a clause without which every packet fares the same, because of another one.
    #[error("`{clause}` has no effect")]
    Shadowed {
        /// The clause, behind the words of its block.
        clause: Box<str>,
        /// The clause without which it would have one.
        by: Box<str>,
        /// A packet that would fare otherwise without both than without the other.
        packet: Box<str>,
    },
    /// `W510`: a policy under which everything stays as it is.
    #[error("policy `{name}` captures nothing")]
    CapturesNothing {
        /// The policy.
        name: String,
    },
    /// `W510`: a clause that leaves nothing of a way that is captured.
    #[error("nothing {way} is captured")]
    NothingLeft {
        /// `inbound` or `outbound`.
        way: &'static str,
        /// The clause.
        by: Box<str>,
    },
    /// `W511`: files without any policy.
    #[error("there is no policy")]
    NoPolicy,
    /// `W513`: TPROXY takes what arrives on a rerouted interface before `reroute` does.
    #[error("in TPROXY mode, connections on a rerouted interface are captured as inbound first")]
    ReroutedLate,
    /// `W514`: policies that are loaded together and have bits of a mark in common.
    #[error("{first} and {second} share bits")]
    SharedBits {
        /// Clause, mark and policy: `` `mark 0x1` of `reviews` ``.
        first: String,
        /// Those of the other.
        second: String,
    },
    /// `W515`: chains of policies that are loaded together tie, and their order decides.
    #[error("which chain runs first decides what becomes of `{packet}`")]
    Tie {
        /// The order that is supposed.
        supposes: Box<str>,
        /// A packet that fares otherwise then.
        packet: Box<str>,
        /// What becomes of it then.
        then: Box<str>,
        /// What becomes of it in the other order.
        otherwise: Box<str>,
    },
    /// `W516`: the policy does what the rules of its mesh do, which is not what they say.
    #[error("a fault of {mesh}: {what}")]
    MeshFault {
        /// The mesh: `Kuma`.
        mesh: &'static str,
        /// What its rules do.
        what: &'static str,
        /// How to avoid it.
        instead: &'static str,
    },
    /// `W517`: a mark that a well-known program gives a meaning.
    #[error("`{words} {mark}` has a meaning to {whose}")]
    WellKnownMark {
        /// The clause that sets it: `outbound-mark`.
        words: &'static str,
        /// The mark.
        mark: Mark,
        /// The programs, and what it means to them: `kube-proxy (masquerade)`.
        whose: Box<str>,
    },
    /// `W518`: a family that is governed and not captured, where all of the other is.
    #[error("everything of {other} is captured, and nothing of {family}")]
    OpenFamily {
        /// The family that is open.
        family: Family,
        /// The other.
        other: Family,
    },
    /// `W519`: an `allow` of which there is no need.
    #[error("`allow {code}` allows nothing")]
    IdleAllow {
        /// The code.
        code: &'static str,
    },
    /// `W520`: chains of a well-known program tie with the policy's, and their order decides.
    #[error("who was loaded last, the policy or {who}, decides what becomes of `{packet}`")]
    WellKnownTie {
        /// The program: `kube-proxy`.
        who: &'static str,
        /// A packet that both translate.
        packet: Box<str>,
        /// The order that is supposed.
        supposes: Box<str>,
        /// What becomes of it then.
        then: Box<str>,
        /// What becomes of it in the other order.
        otherwise: Box<str>,
    },
    /// `E601`: a `weir.toml` that is no TOML.
    #[error("this is not TOML: {why}")]
    NotToml {
        /// What the parser says.
        why: Box<str>,
    },
    /// `E602`: a key of `weir.toml` that is none.
    #[error("unknown key `{found}`")]
    UnknownKey {
        /// What was written.
        found: String,
        /// The keys that stand there.
        known: Box<str>,
    },
    /// `E603`: a value of `weir.toml` that is none.
    #[error("`{key}` cannot be {found}")]
    NotASetting {
        /// The key.
        key: &'static str,
        /// What was written: `` `tight` ``, `a number`.
        found: String,
        /// What to write.
        instead: Box<str>,
    },
    /// `E7xx` and `W7xx`: a manifest, of which an import says this.
    #[error("{message}")]
    Manifest {
        /// What is wrong with it.
        fault: Fault,
        /// In words.
        message: String,
        /// What to write.
        instead: Option<String>,
    },
}

fn values(count: usize, family: Family) -> String {
    if count == 1 { format!("{family} value") } else { format!("{count} {family} values") }
}

fn not_a_list(clause: &str, found: &str, alone: bool) -> String {
    if alone {
        format!("`{found}` is one of several values")
    } else {
        format!("`{clause}` takes no `{found}`")
    }
}

/// `` `outbound.exclude-to[0]`:  ``, or nothing.
fn at_field(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!("`{}`: ", super::shown(field)) }
}
