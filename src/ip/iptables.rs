//! Shell functions around iptables-save and iptables-restore: what is there of a policy, whatever version of
//! it was loaded, and how it goes.
//!
//! Of a policy are the chains whose names begin as it says, with every rule that leads to one, whoever has it;
//! and rules of built-in chains that bear the name of one of its tables as a comment. Each function prints a
//! text for `iptables-restore --noflush`, whose tables are a transaction each.

use crate::net::{Family, Name};

/// What old chains are called behind the beginning of their names, before a number.
const OLD: &str = "OLD_";

/// The definition of `removal`, which reads what iptables-save prints, and prints what takes away all chains
/// whose names begin with `chains`, and what is theirs. Without any, it prints nothing for the table.
///
/// Chains are emptied first and deleted last, once no rule leads to them.
pub(crate) fn removal(chains: &str, owned: &[Name]) -> String {
    let remarks = owned.iter().map(|table| {
        format!("    s/^-A \\(.* --comment \"\\{{0,1\\}}{table}\"\\{{0,1\\}} .*\\)$/-D \\1/p\n")
    });
    format!(
        r"removal() {{
    sed -n '
    /^\*/{{ h; p; }}
    /^:{chains}/{{ s/^:\([A-Z0-9_]*\) .*/-F \1/p; s/^-F/-X/; H; d; }}
    /^-A {chains}/d
    s/^-A \(.* -[jg] {chains}[A-Z0-9_]*\)$/-D \1/p
{remarks}    /^COMMIT$/{{ x; s/^\*[a-z]*//; s/^\n//; p; s/.*/COMMIT/p; }}
    '
}}
",
        remarks = remarks.collect::<String>()
    )
}

/// The definition of `renamed`, which is given what iptables-save prints, and prints what calls the chains
/// whose names begin with `chains` otherwise, so that new ones can be made. Jumps follow.
pub(crate) fn renaming(chains: &str) -> String {
    format!(
        r#"renamed() {{
    n=0
    printf '%s\n' "$1" | while read -r word rest; do
        case "$word" in
            \** | COMMIT) echo "$word" ;;
            :{chains}{OLD}*) ;;
            :{chains}*)
                n=$((n + 1))
                until case "$1" in *":{chains}{OLD}$n "*) false ;; esac; do n=$((n + 1)); done
                echo "-E ${{word#:}} {chains}{OLD}$n" ;;
        esac
    done
}}
"#
    )
}

/// What stands around the text of a family.
const TEXT: (&str, &str) = ("restore --noflush <<'END'\n", "END\n");

/// All of a script behind its remark that loads the texts of both families, and takes away what was there.
///
/// For each family: what is there is saved, before anything changes; chains that are there get other names;
/// what is to go is written down; the new text is loaded; what was written down goes. Each of these is done
/// for both families before the next begins.
pub(crate) fn replacing<'t>(
    chains: &str,
    owned: &[Name],
    text: impl Fn(Family) -> &'t str,
) -> String {
    let old = removal(&format!("{chains}{OLD}"), owned);
    let renamed = renaming(chains);
    let (open, close) = TEXT;
    let load = |program: &str, indent: &str, family| match text(family) {
        "" => format!("{indent}:\n"),
        text => format!("{indent}{program}{open}{text}{close}"),
    };
    let (ipv4, ipv6) = (load("iptables-", "", Family::Ipv4), load("ip6tables-", "", Family::Ipv6));
    format!(
        r#"set -eu
# Where the kernel has no IPv6, there is nothing to load it into.
ipv6=/proc/sys/net/ipv6
# What takes away old chains and what is of them, of what iptables-save prints.
{old}# What gives chains another name, so that there is room for new ones. Jumps to them follow.
{renamed}saved4=$(iptables-save)
if [ -e $ipv6 ]; then
saved6=$(ip6tables-save)
fi
renamed "$saved4" | iptables-restore --noflush
if [ -e $ipv6 ]; then
renamed "$saved6" | ip6tables-restore --noflush
fi
saved4=$(iptables-save)
old4=$(printf '%s\n' "$saved4" | removal)
if [ -e $ipv6 ]; then
saved6=$(ip6tables-save)
old6=$(printf '%s\n' "$saved6" | removal)
fi
# The new rules stand behind the old ones from here on.
{ipv4}if [ -e $ipv6 ]; then
{ipv6}fi
# The old ones go.
printf '%s\n' "$old4" | iptables-restore --noflush
if [ -e $ipv6 ]; then
printf '%s\n' "$old6" | ip6tables-restore --noflush
fi
"#
    )
}

/// The texts for both families of a script that is what [`replacing`] writes, word for word, whatever the
/// texts; `None` if it is not.
pub(crate) fn replaced<'a>(script: &'a str, chains: &str, owned: &[Name]) -> Option<[&'a str; 2]> {
    let text = |program: &str| {
        let begin = format!("\n{program}{}", TEXT.0);
        let start = script.find(&begin).map(|at| at + begin.len());
        let text = start.and_then(|at| script.get(at..)).map(|rest| {
            // Behind a line of its own, as the shell looks for it.
            let end = format!("\n{}", TEXT.1);
            rest.find(&end).and_then(|at| rest.get(..=at)).unwrap_or_default()
        });
        text.unwrap_or_default()
    };
    let texts = [text("iptables-"), text("ip6tables-")];
    let rest = script.strip_prefix("#!/bin/sh\n# ")?.split_once('\n')?.1;
    let [ipv4, ipv6] = texts;
    let expected = replacing(chains, owned, |family| match family {
        Family::Ipv4 => ipv4,
        Family::Ipv6 => ipv6,
    });
    (expected == rest).then_some(texts)
}

/// How what takes away the rules of iptables begins and ends in a script.
pub(super) const BEGIN: &str = "removal() {";
pub(super) const END: &str = "done";

/// What takes away the rules of iptables, with every program for them that is installed.
pub(crate) fn teardown(chains: &str, owned: &[Name]) -> String {
    let removal = removal(chains, owned);
    format!(
        r#"{removal}for save in iptables-save ip6tables-save iptables-legacy-save ip6tables-legacy-save \
    iptables-nft-save ip6tables-nft-save; do
    command -v $save >/dev/null || continue
    rules=$($save)
    rules=$(printf '%s\n' "$rules" | removal)
    case "$rules" in
        *-*) printf '%s\n' "$rules" | ${{save%save}}restore --noflush ;;
    esac
done
"#
    )
}

/// How the names of nft's tables and of iptables' chains begin of the meshes that give `::6/128` to the
/// loopback interface: Istio's sidecars and Kuma's.
const CAPTURES: [(&str, &str); 2] = [("istio-proxy-", "ISTIO_"), ("kuma-", "KUMA_MESH_")];

/// The shell function that succeeds where one of them is loaded, how its definition begins and ends, and
/// what asks it before a command.
pub(super) const CAPTURED: (&str, &str) = ("captured() {", "}");
pub(crate) const UNLESS_CAPTURED: &str = "captured || ";

/// Its definition.
pub(crate) fn captured() -> String {
    let patterns = CAPTURES.map(|(tables, chains)| format!("*\" {tables}\"* | *\":{chains}\"*"));
    format!(
        r#"captured() {{
    loaded=$(
        nft list tables
        for save in ip6tables-save ip6tables-legacy-save ip6tables-nft-save; do
            ! command -v $save >/dev/null || $save
        done
    )
    case "$loaded" in
        {}) ;;
        *) return 1 ;;
    esac
}}
"#,
        patterns.join(" | ")
    )
}

/// Whether one of them is loaded, by a table of nft's or a chain of iptables'.
pub(super) fn is_captured<'n>(tables: impl Iterator<Item = &'n str>, held: &[Held]) -> bool {
    let mut names =
        tables.map(|name| (name, true)).chain(held.iter().filter_map(|held| match held {
            Held::Chain(name) => Some((name.as_str(), false)),
            Held::Remark(_) => None,
        }));
    names.any(|(name, is_table)| is_of_a_capture(name, is_table))
}

/// Whether a table of nft's, or a chain of iptables', is one of theirs.
pub(crate) fn is_of_a_capture(name: &str, is_table: bool) -> bool {
    CAPTURES.iter().any(|(tables, chains)| name.starts_with(if is_table { tables } else { chains }))
}

/// A chain of a mesh that is none of those whose chains begin so.
pub(crate) fn chain_of_another(own: &[&str]) -> Option<Held> {
    let other = CAPTURES.iter().find(|(_, chains)| !own.contains(chains));
    other.map(|(_, chains)| Held::Chain(format!("{chains}OUTPUT")))
}

/// Whose rules [`teardown`] takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Whose {
    /// How the names of their chains begin.
    pub(crate) chains: String,
    /// Comments that rules of built-in chains bear.
    pub(crate) owned: Vec<Name>,
}

impl Whose {
    /// That of a text, word for word; `None` if it is none.
    pub(super) fn of(text: &str) -> Option<Self> {
        let chains = text.split_once("/^-A ")?.1.split_once("/d\n")?.0;
        let remarks = text.split("--comment \"\\{0,1\\}").skip(1);
        let owned: Option<Vec<Name>> =
            remarks.map(|rest| Name::new(rest.split_once('"')?.0).ok()).collect();
        let whose = Self { chains: chains.to_owned(), owned: owned? };
        (teardown(&whose.chains, &whose.owned) == text).then_some(whose)
    }

    /// Whether it takes away what is there.
    pub(crate) fn has(&self, held: &Held) -> bool {
        match held {
            Held::Chain(name) => name.starts_with(&self.chains),
            Held::Remark(remark) => self.owned.iter().any(|table| table.as_str() == remark),
        }
    }
}

/// Something that iptables has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// A chain, and all that leads to it.
    Chain(String),
    /// A rule of a built-in chain with this comment.
    Remark(String),
}
