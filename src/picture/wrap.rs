//! Words in lines of a width, as a terminal counts it.

use std::borrow::Cow;

pub(super) use textwrap::core::display_width as width;

use crate::lines::at_spaces;

/// Fewest columns of a line.
const FEWEST: usize = 8;

/// `text` in lines of at most `columns`, broken at spaces, and within a word only where the word alone is
/// longer. At least one line.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let words: Vec<_> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let how = at_spaces(columns.max(FEWEST)).break_words(true);
    textwrap::wrap(&words.join(" "), how).into_iter().map(Cow::into_owned).collect()
}

/// `text` with spaces behind it up to `columns`.
pub(super) fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

#[cfg(test)]
mod tests {
    use super::{padded, width, wrap};

    #[test]
    fn lines_are_no_longer_than_asked() {
        assert_eq!(wrap("to port 15008, user 1337", 12), ["to port", "15008, user", "1337"]);
        assert_eq!(wrap("", 12), [""]);
        assert_eq!(wrap("aaaaaaaaaaaaaaaaaa b", 8), ["aaaaaaaa", "aaaaaaaa", "aa b"]);
        for line in wrap("名前名前名前名前 x名前", 8) {
            assert!(width(&line) <= 8, "{line}");
        }
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(width("名"), 2);
        assert_eq!(padded("名", 4), "名  ");
    }
}
