//! How much is in a file, counted before a tree is made of it, which is many times as large.

/// Most words, values, signs and comments of a file: more than a list of as many values as a list
/// may have, and so few that reading them takes less than 1 GiB.
pub const MOST_TERMS: usize = 2_500_000;

/// Where the first one past [`MOST_TERMS`] begins, if there are more.
pub(super) fn past_limit(text: &str) -> Option<usize> {
    // Each has a byte of its own.
    if text.len() <= MOST_TERMS { None } else { starts(text).nth(MOST_TERMS) }
}

/// Where each word, value, sign and comment begins. A character that is none of them counts as one,
/// and so does every one beyond ASCII outside of comments and quotation marks.
fn starts(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let is_blank = |at: &usize| match bytes[*at] {
            b'\r' => bytes.get(at + 1) == Some(&b'\n'),
            byte => matches!(byte, b' ' | b'\t' | b'\n'),
        };
        let start = (at..bytes.len()).find(|at| !is_blank(at))?;
        at = start;
        let rest = &bytes[at..];
        let length = match rest[0] {
            b'#' => rest.iter().position(|byte| *byte == b'\n'),
            b'"' => {
                let end = rest[1..].iter().position(|byte| matches!(byte, b'"' | b'\n'));
                end.map(|end| end + 1 + usize::from(rest[end + 1] == b'"'))
            }
            first if is_letter(first) => rest.iter().position(|byte| !is_letter(*byte)),
            _ => Some(rest.iter().skip(1).take_while(|byte| is_continuation(**byte)).count() + 1),
        };
        at += length.unwrap_or(rest.len());
        Some(start)
    })
}

/// Whether the byte can be in a word.
const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b',' | b';' | b'{' | b'}' | b'#' | b'"' | b'=')
}

/// Whether the byte goes on with a character that another byte begins.
const fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests {
    use super::{MOST_TERMS, past_limit, starts};

    #[test]
    fn what_is_past_the_limit_is_found() {
        assert_eq!(past_limit(&";".repeat(MOST_TERMS)), None);
        assert_eq!(past_limit(&" ;".repeat(MOST_TERMS)), None);
        assert_eq!(past_limit(&" ;".repeat(MOST_TERMS + 2)), Some(2 * MOST_TERMS + 1));
    }

    #[test]
    fn words_signs_and_comments_are_counted() {
        for (text, count) in [
            ("", 0),
            (" \t\n\r\n", 0),
            ("sidecar a { }", 4),
            ("let a=1,2;  # one, two; and more\nlet b", 10),
            ("include \"a b, c\"", 2),
            ("include \"a b\nc", 3),
            ("a \"", 2),
            ("a\u{200b}é b", 4),
            ("\u{7}\u{7}", 2),
            ("$a => $b", 4),
            ("#", 1),
        ] {
            assert_eq!(starts(text).count(), count, "{text:?}");
        }
        assert_eq!(starts("ab, \"c\" #d").collect::<Vec<_>>(), [0, 2, 4, 8]);
    }
}
