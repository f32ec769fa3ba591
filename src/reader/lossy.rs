//! Forms that do not show all that rules mean, and the command that prints what does.

use super::forms::FormError;
use super::iptables::changes_rules;

/// A form, and how it is known.
struct Lossy {
    what: &'static str,
    lacks: &'static str,
    run: &'static str,
    shows: fn(&Place<'_>) -> bool,
}

/// Where a form may show.
struct Place<'a> {
    /// A line, without blanks around it.
    line: &'a str,
    /// The next that says something.
    next: &'a str,
    /// Whether nothing stands before it but comments.
    is_first: bool,
    text: &'a str,
}

const FORMS: [Lossy; 11] = [
    Lossy {
        what: "what `ip6tables -L` prints",
        lacks: "leaves out interfaces, modules and values",
        run: "ip6tables-save",
        shows: |place| {
            heads_chain(place.line)
                && (place.text.contains("::/0") || place.text.contains("ip6tables"))
        },
    },
    Lossy {
        what: "what `iptables -L` prints",
        lacks: "leaves out interfaces, modules and values",
        run: "iptables-save",
        shows: |place| heads_chain(place.line),
    },
    Lossy {
        what: "what `iptables-xml` makes",
        lacks: "no program reads back",
        run: "iptables-save",
        shows: |place| place.line.starts_with("<iptables-rules"),
    },
    Lossy {
        what: "a list of commands of iptables",
        lacks: "says what was done and not what there is",
        run: "iptables-save",
        shows: |place| place.is_first && changes_rules(place.line),
    },
    Lossy {
        what: "a log with `\\n` for the end of a line",
        lacks: "has rules that stand in one line",
        run: r#"sed 's/\\n/\n/g; s/\\"/"/g'"#,
        shows: |&Place { line, .. }| {
            let tables = ["raw", "mangle", "nat", "filter", "security"];
            line.match_indices('*').any(|(at, _)| {
                let rest = line[at + 1..].trim_start();
                tables.iter().any(|table| {
                    rest.strip_prefix(table).is_some_and(|rest| rest.starts_with("\\n"))
                })
            })
        },
    },
    Lossy {
        what: "what `ebtables -L` prints",
        lacks: "is about frames of a bridge",
        run: "iptables-save",
        shows: |&Place { line, .. }| {
            line.starts_with("Bridge table: ")
                || line.starts_with("Bridge chain: ") && line.contains(", policy: ")
        },
    },
    Lossy {
        what: "what `ipset list` prints",
        lacks: "has sets and no rules",
        run: "iptables-save",
        shows: |place| place.line.starts_with("Name: ") && place.next.starts_with("Type: "),
    },
    Lossy {
        what: "what `ipset save` prints",
        lacks: "has sets and no rules",
        run: "iptables-save",
        shows: |&Place { line, .. }| {
            let mut words = line.split_whitespace();
            words.next() == Some("create")
                && words.nth(1).is_some_and(|kind| {
                    ["hash:", "bitmap:", "list:"].iter().any(|of| kind.starts_with(of))
                })
        },
    },
    Lossy {
        what: "what `conntrack -L` prints",
        lacks: "has connections and no rules",
        run: "iptables-save",
        shows: |&Place { line, .. }| {
            let has = |key: &str| line.split_whitespace().any(|word| word.starts_with(key));
            has("src=") && has("dst=") && (has("sport=") || has("type="))
        },
    },
    Lossy {
        what: "what `nft monitor` prints",
        lacks: "has what changed and not what there is",
        run: "nft list ruleset",
        shows: |place| place.line.starts_with("# new generation "),
    },
    Lossy {
        what: "what `nft list tables` prints",
        lacks: "has names and no rules",
        run: "nft list ruleset",
        shows: |place| {
            let is_name = |line: &str| {
                matches!(line.split_whitespace().collect::<Vec<_>>()[..], ["table", _, _])
            };
            let mut lines = place.text.lines().filter(|line| !line.trim().is_empty());
            place.is_first && lines.all(is_name)
        },
    },
];

/// Refuses a form that does not show all.
pub(super) fn check(text: &str) -> Result<(), FormError> {
    let mut lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    let mut at = lines.next();
    let mut has_begun = false;
    while let Some((index, line)) = at {
        at = lines.next();
        let next = at.map_or("", |(_, line)| line);
        let is_first = !has_begun && !line.starts_with('#');
        has_begun |= is_first;
        let place = Place { line, next, is_first, text };
        if let Some(form) = FORMS.iter().find(|form| (form.shows)(&place)) {
            let Lossy { what, lacks, run, .. } = *form;
            return Err(FormError::Lossy { line: index + 1, what, lacks, run });
        }
    }
    Ok(())
}

/// Whether a listing of a chain begins in this line, be it in a log.
fn heads_chain(line: &str) -> bool {
    let Some((_, rest)) = line.split_once("Chain ") else { return false };
    let Some((name, rest)) = rest.split_once(" (") else { return false };
    let is_name = !name.is_empty() && !name.contains(char::is_whitespace);
    is_name
        && !line.starts_with('#')
        && (rest.starts_with("policy ") || rest.ends_with(" references)"))
}
