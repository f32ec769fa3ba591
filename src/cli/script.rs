//! nft scripts, read by the only program that knows the whole language: nft.

use std::io::{self, Write};
use std::process::{Command, Output, Stdio};

/// Words that an nft script can begin with, and a policy cannot.
const FIRST_WORDS: [&str; 9] = [
    "table",
    "add",
    "create",
    "delete",
    "destroy",
    "flush",
    "define",
    "undefine",
    "#!/usr/sbin/nft",
];

/// Whether `text` is an nft script, by its first line that says something.
pub(super) fn is_script(text: &str) -> bool {
    let lines = text.lines().map(str::trim_start);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with("# "));
    let first = lines.next().and_then(|line| line.split_whitespace().next());
    first.is_some_and(|word| FIRST_WORDS.contains(&word))
}

/// What `nft -j list ruleset` prints when `script` is loaded and nothing else is.
///
/// nft loads it into a network namespace that is made for it and ends with it, so that nothing of
/// this machine changes.
///
/// # Errors
///
/// If nft or unshare is not installed, no namespace can be made, or nft refuses the script.
pub(super) fn listing(script: &str) -> io::Result<String> {
    // Root needs no user namespace, and may not be allowed one.
    let own = in_namespace("-n", script)?;
    let output = if is_refused(&own) { in_namespace("-rn", script)? } else { own };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("nft cannot read the script: {}", said.trim())));
    }
    String::from_utf8(output.stdout).map_err(|_| io::Error::other("nft prints no UTF-8"))
}

fn is_refused(output: &Output) -> bool {
    !output.status.success() && output.stderr.starts_with(b"unshare:")
}

fn in_namespace(flags: &str, script: &str) -> io::Result<Output> {
    let mut child = Command::new("unshare")
        .args([flags, "sh", "-c", "nft -f - && nft -j list ruleset"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("cannot run unshare: {error}")))?;
    // nft reads all of a script before it prints; what stops reading early says why.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(script.as_bytes()));
    child.wait_with_output()
}

#[cfg(test)]
mod tests {
    use super::is_script;

    #[test]
    fn scripts_and_policies_begin_with_other_words() {
        for script in ["#!/usr/sbin/nft -f\n", "# x\n\nadd table ip a\n", "table ip a {\n}\n"] {
            assert!(is_script(script), "{script}");
        }
        for other in ["", "# add\nsidecar a {}", "let a = 1", "{ \"nftables\": [] }", "*nat\n"] {
            assert!(!is_script(other), "{other}");
        }
    }
}
