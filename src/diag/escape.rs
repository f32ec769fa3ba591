//! What others wrote, as a terminal may be shown it.

/// `text` without what a terminal would obey, or what would change the order of its characters. Line
/// feeds stay.
#[cfg(feature = "miette")]
pub(crate) fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && is_harmful(c) {
            harmless.extend(c.escape_unicode());
        } else {
            harmless.push(c);
        }
    }
    harmless
}

/// The same on one line: line feeds and their like are told by their escapes.
pub(crate) fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => line.extend(c.escape_default()),
            c if is_harmful(c) => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    line
}

/// Whether a terminal would obey `c`, or show what is around it in another order or on another line.
pub(crate) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(all(test, feature = "miette"))]
mod tests {
    use super::{harmless, on_one_line};

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let text = "a\x1b[2J\u{202e}b\u{9b}\r\n\tc\u{2028}";
        assert_eq!(harmless(text), "a\\u{1b}[2J\\u{202e}b\\u{9b}\\u{d}\n\\u{9}c\\u{2028}");
        assert_eq!(on_one_line(text), "a\\u{1b}[2J\\u{202e}b\\u{9b}\\r\\n\\tc\\u{2028}");
        assert_eq!(harmless("plain é → text"), "plain é → text");
    }
}
