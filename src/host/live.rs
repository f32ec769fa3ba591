//! What is loaded in a network namespace: what `nft`, iptables and `ip` say there.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use super::iptables::tables as saved_tables;
use super::program::Program;
use crate::ip::Listings;
use crate::net::{Family, Name};
use crate::reader::{Found, ReadErrors, iptables, nft};

/// What the tools print in a namespace.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    /// `nft -a list ruleset`.
    pub(crate) nft: String,
    /// What `iptables-save` and `ip6tables-save` print, of each variant of iptables that is
    /// installed and has tables, with what the variant is called: `nft`, `legacy`, or `iptables` where only
    /// programs of that name are there.
    pub(crate) iptables: Vec<(&'static str, [String; 2])>,
    /// Whether the variant that keeps its tables in nft was asked.
    pub(crate) has_iptables_nft: bool,
    /// What `ip` lists of IPv4 and IPv6; `None` if it is not installed.
    pub(crate) routing: Option<[Listings; 2]>,
}

/// Why what is loaded cannot be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// What nft lists.
    Nft(ReadErrors<nft::ReadError>),
    /// What iptables-save prints.
    Iptables(ReadErrors<iptables::ReadError>),
}

/// The rules that are loaded.
#[cfg_attr(
    not(feature = "cli"),
    expect(dead_code, reason = "only commands tell whose the tables are")
)]
pub(crate) struct Rules {
    /// What was read.
    pub(crate) found: Found,
    /// The tables of iptables among them, by the names that they have there.
    pub(crate) of_iptables: Vec<Name>,
    /// Whether nothing but iptables has any.
    pub(crate) has_only_iptables: bool,
}

impl Live {
    /// Asks `nft`, every variant of iptables that is installed, and `ip`, in the namespace that this thread
    /// is in. Programs that could only say that nothing is there are not asked.
    ///
    /// # Errors
    ///
    /// If neither nft nor iptables is there, or one of all fails.
    pub(crate) fn ask() -> io::Result<Self> {
        let nft = Program::new("nft", &["-a", "list", "ruleset"]).output()?;
        let mut iptables = Vec::new();
        let mut has_iptables_nft = false;
        let (mut is_wanted, mut is_installed) = (false, false);
        for variant in ["nft", "legacy"] {
            let asked = match (&nft, variant) {
                (Some(listing), "nft") => may_be_of_iptables(listing),
                (Some(_), _) => Family::ALL.into_iter().any(has_legacy_tables),
                (None, _) => true,
            };
            if !asked {
                continue;
            }
            is_wanted = true;
            let v4 = Program::new(&format!("iptables-{variant}-save"), &[]).output()?;
            let v6 = Program::new(&format!("ip6tables-{variant}-save"), &[]).output()?;
            if v4.is_none() && v6.is_none() {
                continue;
            }
            has_iptables_nft |= variant == "nft";
            let texts = [v4.unwrap_or_default(), v6.unwrap_or_default()];
            if texts.iter().any(|text| !text.trim().is_empty()) {
                iptables.push((variant, texts));
            }
            is_installed = true;
        }
        if is_wanted
            && !is_installed
            && let Some(v4) = Program::new("iptables-save", &[]).output()?
        {
            let v6 = Program::new("ip6tables-save", &[]).output()?.unwrap_or_default();
            iptables.push(("iptables", [v4, v6]));
            is_installed = true;
        }
        if nft.is_none() && !is_installed {
            return Err(io::Error::other("neither nft nor iptables-save is installed"));
        }
        let routing = match [listings("-4")?, listings("-6")?] {
            [Some(v4), Some(v6)] => Some([v4, v6]),
            _ => None,
        };
        Ok(Self { nft: nft.unwrap_or_default(), iptables, has_iptables_nft, routing })
    }

    /// The rules that are loaded.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub(crate) fn read(
        &self,
        mut of_nft: nft::Options,
        of_iptables: &iptables::Options,
    ) -> Result<Rules, Unreadable> {
        // What is listed is all that is there now.
        of_nft.empty_sets = nft::EmptySets::Empty;
        if self.has_iptables_nft {
            // What iptables-nft keeps in nft is read from iptables-save, which can say it.
            of_nft.of_iptables = nft::OfIptables::PassOver;
        }
        let mut found = nft::script(&self.nft, &of_nft).map_err(Unreadable::Nft)?;
        let of_nft: Vec<Name> =
            found.ruleset.tables.iter().map(|table| table.name.clone()).collect();
        let (mut has_only_iptables, mut in_iptables) = (false, Vec::new());
        let has_several = self.iptables.len() > 1;
        for (variant, [v4, v6]) in &self.iptables {
            let saved = iptables::read(Some(v4), Some(v6), of_iptables);
            let mut saved = saved.map_err(Unreadable::Iptables)?;
            for rule in saved.ruleset.rules_mut() {
                // There is no file of which this would be a line.
                rule.origin.locator = None;
            }
            for table in &mut saved.ruleset.tables {
                // Both variants, and nft, can have a table of one name.
                if has_several || of_nft.contains(&table.name) {
                    let called = format!("{variant}-{}", table.name);
                    table.name =
                        Name::new(&called).expect("a name with a word before it is a name");
                }
                in_iptables.push(table.name.clone());
            }
            has_only_iptables |=
                found.ruleset.tables.is_empty() && !saved.ruleset.tables.is_empty();
            found.ruleset.tables.extend(saved.ruleset.tables);
            found.left_out.extend(saved.left_out);
            found.passed_over.extend(saved.passed_over);
            found.unused.retain(|pattern| saved.unused.contains(pattern));
        }
        Ok(Rules { found, of_iptables: in_iptables, has_only_iptables })
    }

    /// The parts of what nft lists that are tables, each with its family, its name and its whole text.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (&str, &str, String)> {
        let mut lines = self.nft.lines();
        std::iter::from_fn(move || {
            loop {
                let head = lines.next()?;
                let mut words = head.split(' ');
                let (Some("table"), Some(family), Some(name)) =
                    (words.next(), words.next(), words.next())
                else {
                    continue;
                };
                let mut text = format!("{head}\n");
                for line in lines.by_ref() {
                    text += line;
                    text.push('\n');
                    if line == "}" {
                        break;
                    }
                }
                return Some((family, name, text));
            }
        })
    }

    /// Everything that is loaded, in an order of its own and without counts: equal where equal rules are.
    pub(crate) fn uncounted(&self) -> BTreeSet<String> {
        // What iptables-nft keeps, iptables-save says.
        let is_shown = |family: &str, name: &str| {
            self.has_iptables_nft && family != "inet" && OF_IPTABLES.contains(&name)
        };
        let tables = self.tables().filter(|(family, name, _)| !is_shown(family, name));
        let tables = tables.map(|(_, _, text)| without_counts(&text));
        let saved = self.iptables.iter().flat_map(|(variant, texts)| {
            texts.iter().zip(Family::ALL).flat_map(move |(text, family)| {
                saved_tables(text).map(move |table| {
                    let mut lines: Vec<_> =
                        table.lines.iter().map(|line| line.split(" [").next()).collect();
                    // Of chains, only the order of the rules in each means something.
                    lines.sort_by_key(|line| line.and_then(|line| line.split(' ').nth(1)));
                    lines.sort_by_key(|line| line.filter(|line| line.starts_with(':')));
                    format!("{variant} {family} {} {lines:?}", table.name)
                })
            })
        });
        tables.chain(saved).collect()
    }
}

/// A listing without handles, whose counters say nothing: `counter packets 7 bytes 420` is `counter`.
fn without_counts(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(without_handle).collect();
    let text = lines.join("\n");
    let mut words = text.split(' ');
    let mut kept: Vec<&str> = Vec::new();
    while let Some(word) = words.next() {
        kept.push(word);
        // An end of a line may stand before it.
        if word.split_whitespace().next_back() == Some("counter") {
            let mut rest = words.clone();
            if rest.next() == Some("packets") {
                rest.next();
                rest.next();
                // What follows the last count stands behind it, with or without an end of a line.
                let end = rest.next().unwrap_or_default();
                kept.push(end.trim_start_matches(|it: char| it.is_ascii_digit()));
                words = rest;
            }
        }
    }
    kept.join(" ")
}

fn without_handle(line: &str) -> &str {
    match line.rsplit_once(" # handle ") {
        Some((rest, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => line,
    }
}

/// The tables that iptables has.
const OF_IPTABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];

/// Whether a table of nft's may be one that iptables-nft keeps.
fn may_be_of_iptables(listing: &str) -> bool {
    listing.lines().any(|line| {
        let mut words = line.split(' ');
        words.next() == Some("table")
            && matches!(words.next(), Some("ip" | "ip6"))
            && words.next().is_some_and(|name| OF_IPTABLES.contains(&name))
    })
}

/// Whether iptables-legacy may have tables. The kernel lists them; where it has no such list, it has none.
fn has_legacy_tables(family: Family) -> bool {
    let list = match family {
        Family::Ipv4 => "/proc/thread-self/net/ip_tables_names",
        Family::Ipv6 => "/proc/thread-self/net/ip6_tables_names",
    };
    match fs::read_to_string(list) {
        Ok(names) => !names.trim().is_empty(),
        // Without /proc nothing is known.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            !fs::exists("/proc/thread-self/net").unwrap_or(false)
        }
        Err(_) => true,
    }
}

/// What `ip` lists of a family; `None` if it is not installed.
fn listings(family: &str) -> io::Result<Option<Listings>> {
    let ip =
        |what: &[&str]| Program::new("ip", &[&["-j", "-N", family][..], what].concat()).output();
    let Some(rules) = ip(&["rule", "list"])? else { return Ok(None) };
    let routes = ip(&["route", "show", "table", "all"])?.unwrap_or_default();
    let addresses = ip(&["address", "show", "dev", "lo"])?.unwrap_or_default();
    Ok(Some(Listings { rules, routes, addresses }))
}

#[cfg(test)]
mod tests {
    use super::{Live, without_counts};

    #[test]
    fn counts_are_no_rules() {
        let listed = "\t\tcounter packets 12 bytes 720 jump a\n\t\tmeta mark 1 counter packets 0 bytes 0\n\t}\n";
        let plain = "\t\tcounter  jump a\n\t\tmeta mark 1 counter \n\t}\n";
        assert_eq!(without_counts(listed), plain);
        assert_eq!(without_counts("counter name \"packets\""), "counter name \"packets\"");
        assert_eq!(without_counts("\taccept # handle 7\n}"), "\taccept\n}");
    }

    #[test]
    fn tables_are_cut_out_of_a_listing_whole() {
        let one = "table inet a {\n\tchain c {\n\t}\n}\n";
        let other = "table ip b {\n}\n";
        let nft = format!("{one}{other}");
        let live = Live { nft, iptables: Vec::new(), has_iptables_nft: false, routing: None };
        let tables: Vec<_> = live.tables().collect();
        assert_eq!(tables, [("inet", "a", one.to_owned()), ("ip", "b", other.to_owned())]);
    }
}
