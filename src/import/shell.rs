//! Text split into words, as a shell does it.

/// A word, and the line on which it begins, from 1.
pub(crate) type Word = (usize, String);

/// The words of `text` as a POSIX shell splits it: quotes, backslashes and comments count, nothing
/// is expanded. `None` if a quote is not closed, or a backslash is last.
pub(crate) fn split(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut line = 1;
    let mut rest = text.chars();
    let mut next = |line: &mut usize| {
        let c = rest.next()?;
        *line += usize::from(c == '\n');
        Some(c)
    };
    loop {
        let begins_on = line;
        let Some(c) = next(&mut line) else { break };
        if c.is_ascii_whitespace() {
            words.extend(word.take());
            continue;
        }
        if c == '#' && word.is_none() {
            while next(&mut line).is_some_and(|c| c != '\n') {}
            continue;
        }
        let escaped = if c == '\\' { Some(next(&mut line)?) } else { None };
        if escaped == Some('\n') {
            continue;
        }
        let (_, word) = word.get_or_insert_with(|| (begins_on, String::new()));
        match (c, escaped) {
            (_, Some(c)) => word.push(c),
            ('\'', _) => loop {
                match next(&mut line)? {
                    '\'' => break,
                    c => word.push(c),
                }
            },
            ('"', _) => loop {
                match next(&mut line)? {
                    '"' => break,
                    '\\' => match next(&mut line)? {
                        '\n' => {}
                        c @ ('$' | '`' | '"' | '\\') => word.push(c),
                        c => word.extend(['\\', c]),
                    },
                    c => word.push(c),
                }
            },
            (c, None) => word.push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn words_are_those_of_a_shell() {
        for (text, expected) in [
            ("", Some(&[][..])),
            ("  -i * -x \"\" -b '*'\n", Some(&["-i", "*", "-x", "", "-b", "*"])),
            ("a#b # c\nd", Some(&["a#b", "d"])),
            (r#"A='x "y"'z"\$\a'""#, Some(&[r#"A=x "y"z$\a'"#])),
            ("a\\ b\\\nc \\\n d", Some(&["a bc", "d"])),
            ("'", None),
            ("\"a\\\"", None),
            ("a\\", None),
        ] {
            let words = split(text);
            let words = words.map(|words| words.into_iter().map(|(_, word)| word).collect());
            let expected: Option<Vec<_>> =
                expected.map(|words| words.iter().map(|&word| word.to_owned()).collect());
            assert_eq!(words, expected, "{text}");
        }
    }

    #[test]
    fn a_word_knows_its_line() {
        let lines: Vec<_> =
            split("a\n\n'b\nc' d\n# e\nf").unwrap().into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [1, 3, 4, 6]);
    }
}
