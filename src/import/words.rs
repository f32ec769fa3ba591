//! Words for messages: what was meant, and texts that are short enough to show.

use crate::diag::escape::on_one_line;

/// The word of `known` that `word` may have been meant to be: the one nearest to it, if nothing is
/// as near and no more than a third of it has to change.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut near: Vec<_> = known
        .into_iter()
        .filter(|known| !known.is_empty())
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .collect();
    near.sort_unstable();
    near.dedup();
    match near[..] {
        [(distance, _), (second, _), ..] if distance == second => None,
        [(distance, known), ..] if distance * 3 <= word.len() => Some(known),
        _ => None,
    }
}

/// The word of `known` that `word` is a letter or two away from, and none of.
pub(crate) fn misspelt<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    nearest(word, known).filter(|near| (1..=2).contains(&strsim::damerau_levenshtein(word, near)))
}

/// `; did you mean …?`, or nothing.
pub(crate) fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"))
}

/// `text` for a message: on one line, printable, and 60 characters at most.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    let printable = on_one_line(text);
    let mut short: String = printable.chars().take(MOST).collect();
    if printable.chars().count() > MOST {
        short.pop();
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::{nearest, shortened};

    #[test]
    fn only_one_near_word_is_suggested() {
        let known = ["dry-run", "drop-invalid", "dual-stack"];
        assert_eq!(nearest("drop-invald", known), Some("drop-invalid"));
        assert_eq!(nearest("dry", known), None);
        assert_eq!(nearest("ab", ["ac", "ad"]), None);
        assert_eq!(nearest("x", [""]), None);
    }

    #[test]
    fn a_value_stays_on_its_line() {
        assert_eq!(shortened("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
        assert_eq!(shortened("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(shortened(&"x".repeat(60)), "x".repeat(60));
        assert_eq!(shortened(&"x".repeat(61)), format!("{}…", "x".repeat(59)));
    }
}
