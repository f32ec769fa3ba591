//! What others wrote, as each form may have it: nothing of it is obeyed by what reads the form. All
//! forms get it from here, and what a terminal would obey is in none of them.

use std::fmt::Write as _;

use crate::diag::escape::{harmless, on_one_line};

/// The message of a workflow command of GitHub's runners: `::error::MESSAGE`.
///
/// As `escapeData` of actions/toolkit 1.11 does it.
pub(in crate::cli) fn github_message(text: &str) -> String {
    harmless(text).replace('%', "%25").replace('\n', "%0A")
}

/// A property of such a command: `::error file=PROPERTY::`, as `escapeProperty` does it.
pub(in crate::cli) fn github_property(text: &str) -> String {
    github_message(text).replace(':', "%3A").replace(',', "%2C")
}

/// Text in Markdown, or in HTML within it.
pub(in crate::cli) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in on_one_line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '|' | '`' | '@' | '*' | '_' | '[' | ']' | '\\' | '#' | '~' | '!' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Code in Markdown, which nothing in it can end.
pub(in crate::cli) fn markdown_code(text: &str) -> String {
    format!("<code>{}</code>", markdown(text))
}

/// Text in XML, whose own signs the writer escapes. XML 1.0 has no way to write most control
/// characters, nor U+FFFE and U+FFFF.
pub(in crate::cli) fn xml(text: &str) -> String {
    harmless(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// A plain message in SARIF, in which `[text](place)` would be a link (2.1.0, section 3.11.6).
pub(in crate::cli) fn sarif_message(text: &str) -> String {
    let text = harmless(text);
    if text.contains("](") { text.replace('[', "\\[").replace(']', "\\]") } else { text }
}

/// A path as a reference of RFC 3986, relative where the path is.
pub(in crate::cli) fn uri(path: &str) -> String {
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::{github_message, github_property, markdown_code, sarif_message, uri, xml};

    const NASTY: &str = "a:b,c%0A\r\n::set-env name=x::y\x1b[2J\u{202e}";

    #[test]
    fn a_message_is_one_command_of_github() {
        assert_eq!(
            github_message(NASTY),
            "a:b,c%250A\\u{d}%0A::set-env name=x::y\\u{1b}[2J\\u{202e}"
        );
        assert_eq!(
            github_property(NASTY),
            "a%3Ab%2Cc%250A\\u{d}%0A%3A%3Aset-env name=x%3A%3Ay\\u{1b}[2J\\u{202e}"
        );
    }

    #[test]
    fn nothing_of_a_name_is_markdown() {
        let name = "a|b`c`<img src=x>@team [x](y) *z*\n# h\u{202e}";
        let shown = markdown_code(name);
        assert!(!shown.contains(['|', '`', '@', '[', '*', '\n', '\u{202e}']), "{shown}");
        assert!(shown.contains("&lt;img src=x&gt;"), "{shown}");
    }

    #[test]
    fn xml_has_only_its_own_characters() {
        assert_eq!(xml("a\0b\x1b\u{ffff}<é>\n"), "a\\u{0}b\\u{1b}\u{fffd}<é>\n");
    }

    #[test]
    fn a_message_of_sarif_has_no_links() {
        assert_eq!(sarif_message("see [this](http://x)"), "see \\[this\\](http://x)");
        assert_eq!(sarif_message("`[::1]`"), "`[::1]`");
    }

    #[test]
    fn a_path_is_a_reference() {
        assert_eq!(uri("a b/ü?#%.weir"), "a%20b/%C3%BC%3F%23%25.weir");
        assert_eq!(uri("/x"), "file:///x");
        assert_eq!(uri("C:x"), "C%3Ax");
    }
}
