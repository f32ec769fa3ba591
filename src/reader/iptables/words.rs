//! The words of a line, without their quotes.

use super::ReadProblem;

/// The words of a line, and a place among them.
#[derive(Clone)]
pub(super) struct Words {
    words: Vec<String>,
    at: usize,
}

impl Words {
    /// Splits `line` at white space, except within double quotes, where a backslash makes the next
    /// character an ordinary one. So does iptables-restore.
    pub(super) fn split(line: &str) -> Result<Self, ReadProblem> {
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut quoted = false;
        let mut characters = line.chars();
        while let Some(character) = characters.next() {
            match character {
                '"' => {
                    quoted = !quoted;
                    word.get_or_insert_default();
                }
                '\\' if quoted => {
                    word.get_or_insert_default()
                        .push(characters.next().ok_or(ReadProblem::OpenQuote)?);
                }
                _ if character.is_whitespace() && !quoted => words.extend(word.take()),
                _ => word.get_or_insert_default().push(character),
            }
        }
        if quoted {
            return Err(ReadProblem::OpenQuote);
        }
        words.extend(word);
        Ok(Self { words, at: 0 })
    }

    /// The word at the place, which moves on.
    pub(super) fn next(&mut self) -> Option<String> {
        let word = self.words.get_mut(self.at).map(std::mem::take);
        self.at += 1;
        word
    }

    /// The value of `option`, which was the last word.
    pub(super) fn value(&mut self, option: &str) -> Result<String, ReadProblem> {
        self.next().ok_or_else(|| ReadProblem::MissingValue { after: option.to_owned() })
    }

    /// The next word, if it is a number: the place moves on only then.
    pub(super) fn number(&mut self) -> Option<usize> {
        let number = self.words.get(self.at)?.parse().ok()?;
        self.at += 1;
        Some(number)
    }

    /// The words up to the first that `is_end` holds for, or to the end of the line. The place moves
    /// behind them.
    pub(super) fn until(&mut self, is_end: impl Fn(&str) -> bool) -> Vec<String> {
        let rest = self.words.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|word| !is_end(word)).count();
        let words = rest[..count].to_vec();
        self.at += count;
        words
    }

    /// The words from the place on.
    pub(super) fn rest(&self) -> &[String] {
        self.words.get(self.at..).unwrap_or_default()
    }
}
