//! How texts of nft are told from others, and found within them.

use serde::de::IgnoredAny;

use crate::reader::forms::Form;

/// Words that an nft script can begin with, and a policy cannot.
const FIRST_WORDS: [&str; 9] =
    ["table", "add", "create", "insert", "delete", "destroy", "flush", "define", "undefine"];

/// What the first line of a script that can be run begins with.
const INTERPRETER: &str = "#!/usr/sbin/nft";

/// Whether `text` is an nft script, of which `first` is the first line that says something.
pub(in crate::reader) fn is_script(text: &str, first: &str) -> bool {
    text.starts_with(INTERPRETER) || begins_command(first)
}

fn begins_command(line: &str) -> bool {
    line.split_whitespace().next().is_some_and(|word| FIRST_WORDS.contains(&word))
}

/// Whether a table begins here, as `nft list ruleset` prints it.
pub(in crate::reader) fn opens_table(line: &str) -> bool {
    const FAMILIES: [&str; 6] = ["ip", "ip6", "inet", "arp", "bridge", "netdev"];
    let words: Vec<&str> = line.split_whitespace().take(4).collect();
    matches!(words[..], ["table", family, _, "{"] if FAMILIES.contains(&family))
}

/// What `nft list ruleset` printed, with `-j` or without, between lines of other programs, as a text with
/// the same places; and its first and last line.
pub(in crate::reader) fn within(text: &str) -> Option<(Form<'static>, usize, usize)> {
    let at =
        text.lines().position(|line| opens_table(line) || line.starts_with("{\"nftables\""))?;
    let start: usize = text.split_inclusive('\n').take(at).map(str::len).sum();
    let before = "\n".repeat(at);
    let rest = &text[start..];
    if rest.starts_with('{') {
        let mut documents = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        documents.next()?.ok()?;
        let json = &rest[..documents.byte_offset()];
        let last = at + json.lines().count();
        return Some((Form::NftJson((before + json).into()), at + 1, last));
    }
    let mut script = before;
    let mut is_inside = false;
    let mut last = at;
    for (index, line) in rest.lines().enumerate() {
        is_inside |= opens_table(line);
        // A command between tables is left for the reader of scripts.
        if is_inside || begins_command(line) {
            script += line;
            last = at + index;
        }
        script.push('\n');
        is_inside &= line.trim_end() != "}";
    }
    Some((Form::NftScript(script.into()), at + 1, last + 1))
}

#[cfg(test)]
mod tests {
    use super::{is_script, within};
    use crate::reader::forms::Form;

    #[test]
    fn scripts_and_policies_begin_with_other_words() {
        for script in ["#!/usr/sbin/nft -f\n", "add table ip a\n", "table ip a {\n}\n"] {
            assert!(is_script(script, script.lines().next().unwrap()), "{script}");
        }
        for other in ["", "sidecar a {}", "let a = 1", "{ \"nftables\": [] }", "*nat"] {
            assert!(!is_script(other, other), "{other}");
        }
    }

    #[test]
    fn listings_are_found_between_other_lines() {
        let text = "$ nft list ruleset\ntable ip a {\n}\n\ntable ip6 b { # handle 1\n\tchain c {\n\t}\n}\n$ exit\n";
        let script = "\ntable ip a {\n}\n\ntable ip6 b { # handle 1\n\tchain c {\n\t}\n}\n\n";
        assert_eq!(within(text), Some((Form::NftScript(script.into()), 2, 8)));
        let text = "$ nft -j list ruleset\r\n{\"nftables\": []}\n$ exit\n";
        assert_eq!(within(text), Some((Form::NftJson("\n{\"nftables\": []}".into()), 2, 2)));
        for other in ["", "sidecar a {}\n", "table a\n", "x\n{\"nftables\": [\n"] {
            assert_eq!(within(other), None, "{other}");
        }
    }
}
