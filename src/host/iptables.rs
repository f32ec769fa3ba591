//! How rules of iptables go: those of policies, and those that a mesh's own tool left.

use super::live::Live;
use super::owned::Owned;
use super::program::Program;
use super::upstream;
use crate::net::Family;

/// Rules of one variant and family that go, and how they come back.
#[derive(Debug)]
pub(super) struct Removal {
    /// Whether there are rules among them that set marks.
    pub(super) marks: bool,
    /// What takes them away.
    pub(super) away: Program,
    /// What makes the tables that they are in be as they are.
    pub(super) back: Program,
}

/// What takes away what iptables has of policies, in whichever variant: chains whose names begin as theirs
/// do, with all that leads there, and rules of built-in chains that bear the name of one of their tables. With
/// `of_upstream`, rules of built-in chains go too that upstream's tool leaves there without a name.
///
/// In each variant and family, what is for packets before connections go by is taken first, and nat last: what
/// tells that upstream's tool was here stands there.
pub(super) fn removals(live: &Live, owned: &Owned, of_upstream: bool) -> Vec<Removal> {
    let mut removals = Vec::new();
    for (variant, texts) in &live.iptables {
        for (family, text) in Family::ALL.into_iter().zip(texts) {
            let mut parts: Vec<(bool, [String; 2])> = tables(text)
                .filter_map(|table| {
                    Some((table.name == "nat", gone(&table, text, owned, of_upstream)?))
                })
                .collect();
            parts.sort_by_key(|(is_last, _)| *is_last);
            if parts.is_empty() {
                continue;
            }
            let word = if family == Family::Ipv4 { "iptables" } else { "ip6tables" };
            let program = match *variant {
                "iptables" => format!("{word}-restore"),
                variant => format!("{word}-{variant}-restore"),
            };
            let text =
                |at: usize| -> String { parts.iter().map(|(_, both)| both[at].as_str()).collect() };
            removals.push(Removal {
                marks: text(0).contains("*mangle\n"),
                away: Program::reading(&program, &["--noflush"], text(0)),
                back: Program::reading(&program, &["--counters"], text(1)),
            });
        }
    }
    removals
}

/// Takes away from what is listed what [`removals`] take away.
pub(super) fn without(live: &mut Live, owned: &Owned, of_upstream: bool) {
    for (_, texts) in &mut live.iptables {
        for text in texts {
            let kept = tables(text).map(|table| {
                let goes = |line: &str| goes(&table, line, text, owned, of_upstream);
                let lines = table.lines.iter().filter(|line| !goes(line));
                let lines: Vec<_> = lines.copied().collect();
                format!("*{}\n{}\nCOMMIT\n", table.name, lines.join("\n"))
            });
            *text = kept.collect();
        }
    }
}

/// A table of what iptables-save prints.
pub(super) struct Table<'t> {
    pub(super) name: &'t str,
    /// The lines of its chains and rules.
    pub(super) lines: Vec<&'t str>,
}

/// The tables of what iptables-save prints.
pub(super) fn tables(text: &str) -> impl Iterator<Item = Table<'_>> {
    let mut lines = text.lines();
    std::iter::from_fn(move || {
        let name = lines.by_ref().find_map(|line| line.strip_prefix('*'))?;
        let lines = lines.by_ref().take_while(|line| *line != "COMMIT").collect();
        Some(Table { name: name.trim(), lines })
    })
}

/// Whether a line goes: a chain, or a rule. `saved` is all of its variant and family.
fn goes(table: &Table<'_>, line: &str, saved: &str, owned: &Owned, of_upstream: bool) -> bool {
    if let Some(chain) = line.strip_prefix(':') {
        return owned.has_chain(chain);
    }
    let Some(rule) = line.strip_prefix("-A ") else { return false };
    let words: Vec<&str> = rule.split(' ').collect();
    let leads = |pair: &[&str]| ["-j", "-g"].contains(&pair[0]) && owned.has_chain(pair[1]);
    let bears = |pair: &[&str]| {
        pair[0] == "--comment" && owned.has_table("inet", pair[1].trim_matches('"'))
    };
    owned.has_chain(rule)
        || words.windows(2).any(|pair| leads(pair) || bears(pair))
        || (of_upstream && upstream::left(table, &words, saved, owned))
}

/// The text that takes away what goes of a table, and the text that makes the table as it is; `None` if nothing
/// goes.
fn gone(table: &Table<'_>, saved: &str, owned: &Owned, of_upstream: bool) -> Option<[String; 2]> {
    let all = || table.lines.iter().filter(|line| goes(table, line, saved, owned, of_upstream));
    let chains: Vec<&str> = all()
        .filter_map(|line| line.strip_prefix(':'))
        .filter_map(|chain| chain.split(' ').next())
        .collect();
    // What stands in chains that go need not be taken out one by one.
    let is_inside = |rule: &str| chains.iter().any(|chain| rule.split(' ').next() == Some(chain));
    let rules = all().filter_map(|line| line.strip_prefix("-A ")).filter(|rule| !is_inside(rule));
    let mut lines: Vec<String> = chains.iter().map(|chain| format!("-F {chain}")).collect();
    lines.extend(rules.map(|rule| format!("-D {rule}")));
    lines.extend(chains.iter().map(|chain| format!("-X {chain}")));
    if lines.is_empty() {
        return None;
    }
    let framed = |lines: &str| format!("*{}\n{lines}\nCOMMIT\n", table.name);
    Some([framed(&lines.join("\n")), framed(&table.lines.join("\n"))])
}

#[cfg(test)]
mod tests {
    use super::{Live, Owned, removals};
    use crate::syntax::NoIncludes;
    use crate::{Options, compile};

    /// What is taken away of a text for IPv4, and what puts it back.
    fn removal(text: &str, of_upstream: bool) -> Option<[String; 2]> {
        let compiled = compile("s.weir", "sidecar s {}", &NoIncludes, &Options::default()).unwrap();
        let owned = Owned::by(&[&compiled.policies[0]]);
        let iptables = vec![("legacy", [text.to_owned(), String::new()])];
        let live = Live { nft: String::new(), iptables, has_iptables_nft: false, routing: None };
        let mut removals = removals(&live, &owned, of_upstream);
        assert!(removals.len() < 2);
        let removal = removals.pop()?;
        assert_eq!(removal.away.name, "iptables-legacy-restore");
        Some([removal.away.input, removal.back.input])
    }

    const SAVED: &str = "\
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [7:420]
:ISTIO_OUTPUT - [0:0]
:ISTIOLOGY - [0:0]
-A OUTPUT -d 192.0.2.1/32 -j ACCEPT
-A OUTPUT -o net1 -j RETURN
-A OUTPUT -j ISTIO_OUTPUT
-A OUTPUT -j ISTIOLOGY
-A OUTPUT -p tcp -m comment --comment \"istio-proxy-nat\" -j ACCEPT
-A OUTPUT -p tcp -m comment --comment \"not istio-proxy-nat\" -j ACCEPT
-A ISTIO_OUTPUT -j RETURN
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -m conntrack --ctstate INVALID -j DROP
-A PREROUTING -i net1 -j RETURN
-A PREROUTING -p tcp -m conntrack --ctstate INVALID -j DROP
COMMIT
";

    #[test]
    fn what_goes_is_known_by_names() {
        let [away, back] = removal(SAVED, false).unwrap();
        assert_eq!(
            away,
            "*nat\n-F ISTIO_OUTPUT\n-D OUTPUT -j ISTIO_OUTPUT\n\
             -D OUTPUT -p tcp -m comment --comment \"istio-proxy-nat\" -j ACCEPT\n\
             -X ISTIO_OUTPUT\nCOMMIT\n"
        );
        let (nat, _) = SAVED.split_once("*mangle").unwrap();
        assert_eq!(back, nat);
    }

    #[test]
    fn what_upstream_leaves_is_known_by_its_form_where_its_chains_are() {
        let [away, _] = removal(SAVED, true).unwrap();
        let (mangle, nat) = away.split_once("*nat").unwrap();
        // Interfaces are only where a chain of Istio's is in the same table.
        assert_eq!(
            mangle,
            "*mangle\n-D PREROUTING -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n"
        );
        assert!(nat.contains("-D OUTPUT -o net1 -j RETURN\n"), "{nat}");
        assert!(!nat.contains("192.0.2.1"), "{nat}");
        let without: String = SAVED
            .lines()
            .filter(|line| !line.contains("ISTIO_"))
            .flat_map(|line| [line, "\n"])
            .collect();
        let [away, _] = removal(&without, true).unwrap();
        assert!(!away.contains("INVALID") && !away.contains("net1"), "{away}");
    }
}
