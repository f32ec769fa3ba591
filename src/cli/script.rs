//! How nft scripts are told from policies.

/// Words that an nft script can begin with, and a policy cannot.
const FIRST_WORDS: [&str; 9] =
    ["table", "add", "create", "insert", "delete", "destroy", "flush", "define", "undefine"];

/// What the first line of a script that can be run begins with.
const INTERPRETER: &str = "#!/usr/sbin/nft";

/// Whether `text` is an nft script, by its first line that says something.
pub(super) fn is_script(text: &str) -> bool {
    let lines = text.lines().map(str::trim_start);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines.next().and_then(|line| line.split_whitespace().next());
    text.starts_with(INTERPRETER) || first.is_some_and(|word| FIRST_WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::is_script;

    #[test]
    fn scripts_and_policies_begin_with_other_words() {
        for script in ["#!/usr/sbin/nft -f\n", "#x\n\nadd table ip a\n", "table ip a {\n}\n"] {
            assert!(is_script(script), "{script}");
        }
        for other in ["", "# add\nsidecar a {}", "let a = 1", "{ \"nftables\": [] }", "*nat\n"] {
            assert!(!is_script(other), "{other}");
        }
    }
}
