//! Words in lines of a width, as a terminal counts it.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many columns `text` takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// `text` in lines of at most `columns`, broken at spaces, and within a word only where the word alone is
/// longer. At least one line.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(8);
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut word = word;
        loop {
            let line = lines.last_mut().expect("there is a line");
            let used = width(line);
            let space = usize::from(used > 0);
            if used + space + width(word) <= columns {
                line.push_str(&" ".repeat(space));
                line.push_str(word);
                break;
            }
            if used > 0 {
                lines.push(String::new());
                continue;
            }
            let (head, tail) = word.split_at(fitting(word, columns));
            line.push_str(head);
            if tail.is_empty() {
                break;
            }
            word = tail;
            lines.push(String::new());
        }
    }
    lines
}

/// How many bytes of `word` fit into `columns`, at least one character.
fn fitting(word: &str, columns: usize) -> usize {
    let mut used = 0;
    for (at, c) in word.char_indices() {
        used += c.width().unwrap_or_default();
        if used > columns && at > 0 {
            return at;
        }
    }
    word.len()
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
