//! Names and words of others, as each form of a picture may have them: nothing of them is obeyed by what
//! reads the form. All forms get them from here, and what a terminal would obey is in none of them.

use std::fmt::Write as _;

use crate::diag::escape::on_one_line;

/// Text in a terminal, on one line.
pub(super) fn plain(text: &str) -> String {
    on_one_line(text)
}

/// Text or an attribute's value in XML 1.0.
pub(super) fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in on_one_line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// What is between the quotation marks of a string of DOT. Of a label, a backslash would be an escape, too.
pub(super) fn dot(text: &str) -> String {
    on_one_line(text).replace('\\', "\\\\").replace('"', "\\\"")
}

/// What is between the quotation marks of a label of Mermaid, in which `#` and a number stand for a
/// character. Whatever Markdown, HTML or Mermaid might read into it is told so.
pub(super) fn mermaid(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in on_one_line(text).chars() {
        if c.is_alphanumeric() || matches!(c, ' ' | ',' | '.' | ':' | '/' | '-' | '(' | ')' | '…')
        {
            out.push(c);
        } else {
            let _ = write!(out, "#{};", u32::from(c));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{dot, mermaid, plain, xml};

    const NASTY: &str = "</text><script>\"x\" 'y' \\N & \n\x1b[2J\u{202e}#quot;`*%%";

    #[test]
    fn xml_has_no_markup_of_others() {
        assert_eq!(
            xml(NASTY),
            "&lt;/text&gt;&lt;script&gt;&quot;x&quot; &#39;y&#39; \\N &amp; \\n\\u{1b}[2J\\u{202e}#quot;`*%%"
        );
        assert_eq!(xml("a\u{ffff}"), "a\u{fffd}");
    }

    #[test]
    fn a_string_of_dot_ends_where_it_should() {
        assert_eq!(dot("a\"]; b [x=\"\\"), "a\\\"]; b [x=\\\"\\\\");
        assert!(!dot(NASTY).contains(['\n', '\x1b', '\u{202e}']));
    }

    #[test]
    fn a_label_of_mermaid_is_letters_and_numbers() {
        assert_eq!(mermaid("a\"]; `b`#"), "a#34;#93;#59; #96;b#96;#35;");
        let shown = mermaid(NASTY);
        assert!(!shown.contains(['<', '>', '"', '\'', '\\', '\n', '`', '*', '%', '&']), "{shown}");
    }

    #[test]
    fn a_terminal_obeys_nothing() {
        assert!(!plain(NASTY).contains(['\n', '\x1b', '\u{202e}']));
    }
}
