//! Characters that look like those of the language: typographic marks, and letters of other scripts.

use crate::diag::{Diagnostic, Hint, Problem, shown};
use crate::span::Span;

/// What the language has in the place of `c`, and what `c` is called; `None` if nothing looks like it.
fn meant(c: char) -> Option<(&'static str, &'static str)> {
    const PRINTABLE: &str = "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`\
                             abcdefghijklmnopqrstuvwxyz{|}~";
    const LETTERS: &[(&str, &str)] =
        &[("авсеорхуіѕјкмнт", "abceopxyisjkmht"), ("АВСЕОРХУІЅЈКМНТ", "ABCEOPXYISJKMHT")];
    Some(match c {
        '“' | '”' | '„' | '‟' | '«' | '»' => ("\"", "a typographic quotation mark"),
        '‘' | '’' | '‚' | '‛' => ("'", "a typographic quotation mark"),
        '‐' | '‑' => ("-", "a typographic hyphen"),
        '‒' | '–' => ("-", "an en dash"),
        '—' | '―' => ("-", "an em dash"),
        '−' => ("-", "a minus sign"),
        '…' => ("-", "an ellipsis"),
        '→' | '⇒' | '➜' | '⟶' | '⟹' => ("=>", "an arrow"),
        '、' => (",", "an ideographic comma"),
        '。' => (".", "an ideographic full stop"),
        '⁄' | '∕' => ("/", "a typographic slash"),
        '∗' | '×' => ("*", "a typographic asterisk"),
        '！'..='～' => {
            let plain = char::from_u32(u32::from(c) - 0xfee0)?;
            let at = PRINTABLE.find(plain)?;
            (&PRINTABLE[at..=at], "a full-width character")
        }
        _ => LETTERS.iter().find_map(|(letters, latin)| {
            let at = letters.chars().position(|letter| letter == c)?;
            Some((&latin[at..=at], "a Cyrillic letter"))
        })?,
    })
}

/// `word` with what its characters look like; `None` if it has no such character, or others as well that are
/// not of the language.
pub(super) fn plain(word: &str) -> Option<String> {
    if word.is_ascii() {
        return None;
    }
    let mut plain = String::with_capacity(word.len());
    for c in word.chars() {
        match meant(c) {
            Some((text, _)) => plain.push_str(text),
            None if c.is_ascii() => plain.push(c),
            None => return None,
        }
    }
    Some(plain)
}

/// The report on `words`, which stand at `at`. Quotation marks stay only where paths stand.
pub(super) fn found(at: Span, words: &str, is_path: bool) -> Diagnostic {
    let first = words.char_indices().find_map(|(start, c)| Some((start, c, meant(c)?.1)));
    let (start, character, name) = first.unwrap_or_default();
    let mut instead: String = words
        .chars()
        .map(|c| meant(c).map_or_else(|| c.to_string(), |(text, _)| text.to_owned()))
        .collect();
    if is_path {
        instead = instead.replace('\'', "\"");
    } else {
        instead.retain(|c| !matches!(c, '"' | '\''));
    }
    let byte = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let place = Span { start: at.start + byte(start), ..at };
    let place = Span { end: place.start + byte(character.len_utf8()), ..place };
    let label = Hint::with("", instead.clone()).replacing(at);
    Problem::Lookalike { character, name, instead: shown(&instead) }.at(place, label)
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_looks_like_it_is_told_from_what_is_not() {
        for (word, expected) in [
            ("80–90", Some("80-90")),
            ("“eth0”", Some("\"eth0\"")),
            ("８０，８１", Some("80,81")),
            ("ехclude", Some("exclude")),
            ("→", Some("=>")),
            ("exclude", None),
            ("grün", None),
            ("сидекар", None),
            ("é", None),
        ] {
            assert_eq!(plain(word).as_deref(), expected, "{word}");
        }
    }
}
