//! What logs put before each line: the name of a pod, a time.

/// What stands before the first line, and in the same form before the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix<'a> {
    /// With the blanks behind it.
    text: &'a str,
}

impl<'a> Prefix<'a> {
    /// Nothing.
    pub(super) const NONE: Self = Self { text: "" };

    /// `text`, if it can be a prefix: what makes a line a comment is none.
    pub(super) fn new(text: &'a str) -> Option<Self> {
        (!text.starts_with('#')).then_some(Self { text })
    }

    pub(super) const fn is_none(self) -> bool {
        self.text.is_empty()
    }

    /// Whether lines behind either may be of one program.
    pub(super) fn is_like(self, other: Prefix<'_>) -> bool {
        self.cut(other.text) == Some("") && other.cut(self.text) == Some("")
    }

    /// `line` without the prefix; `None` if it has none. Words of it may differ if they are times.
    pub(super) fn cut(self, line: &str) -> Option<&str> {
        if let Some(rest) = line.strip_prefix(self.text) {
            return Some(rest.trim());
        }
        let mut rest = line;
        for expected in self.text.split_whitespace() {
            rest = rest.trim_start();
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            if word != expected && !(is_time(word) && is_time(expected)) {
                return None;
            }
            rest = behind;
        }
        Some(rest.trim())
    }
}

/// Whether a word may be a time or a part of one: `2022-08-08T08:42:36.382289Z`, `[00:44:27,5]`.
fn is_time(word: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_digit() || b":.,-+/[]TZ".contains(&byte);
    word.bytes().all(is_part) && word.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::Prefix;

    #[test]
    fn only_times_differ_from_line_to_line() {
        for (prefix, line, rest) in [
            ("", "  -A X ", Some("-A X")),
            ("[pod/a/init] ", "[pod/a/init] -A X", Some("-A X")),
            ("[pod/a/init] ", "[pod/a/init]", Some("")),
            ("[pod/web-0/init] ", "[pod/web-1/init] -A X", None),
            ("2022-08-08T08:42:36.3Z ", "2022-08-08T08:42:36.45Z   -A X", Some("-A X")),
            ("Nov 26 00:44:59 host a[7]: ", "Nov 26 00:45:00 host a[7]: -A X", Some("-A X")),
            ("Nov 26 00:44:59 host a[7]: ", "Nov 26 00:45:00 host b[7]: -A X", None),
            ("init-1  | ", "init-1  | COMMIT", Some("COMMIT")),
            ("init-1  | ", "init-1", None),
            ("msg=", "msg=-A X", Some("-A X")),
        ] {
            assert_eq!(Prefix::new(prefix).unwrap().cut(line), rest, "{prefix}{line}");
        }
        assert_eq!(Prefix::new("# "), None);
    }

    #[test]
    fn prefixes_of_one_program_differ_in_times_only() {
        let is_like = |one, other| Prefix::new(one).unwrap().is_like(Prefix::new(other).unwrap());
        assert!(is_like("[pod/a] 12:00:01 ", "[pod/a] 12:00:02 "));
        assert!(is_like("", ""));
        for other in ["[pod/b] ", "", "[pod/a] x "] {
            assert!(!is_like("[pod/a] ", other), "{other}");
        }
    }
}
