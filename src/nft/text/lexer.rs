//! Tokens of nft scripts.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::nft::At;

/// A token; its text is part of the script.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// A name or a word: `tcp`, `istio-output`, `eth*`.
    Word(&'a str),
    /// Between quotation marks, which it is without.
    Text(&'a str),
    /// Decimal digits, no more than 32 bits.
    Number(u32),
    /// Hexadecimal digits behind `0x`, no more than 32 bits.
    Hex(u32),
    Address(IpAddr),
    /// Digits that are none of these: a time (`1h30s`), or more than 32 bits.
    Digits(&'a str),
    /// An operator, a bracket, a comma.
    Sign(&'a str),
    /// The end of a line.
    Newline,
    /// `;`, which ends what the end of a line ends.
    Semicolon,
    /// The end of the script.
    Eof,
    /// A character that begins no token.
    Stray(char),
}

/// As a message shows it.
impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) | Self::Digits(text) | Self::Sign(text) => f.write_str(text),
            Self::Text(text) => write!(f, "\"{}\"", text.escape_debug()),
            Self::Number(number) => write!(f, "{number}"),
            Self::Hex(number) => write!(f, "{number:#x}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Newline => f.write_str("end of line"),
            Self::Semicolon => f.write_str(";"),
            Self::Eof => f.write_str("end of script"),
            Self::Stray(character) => write!(f, "{}", character.escape_debug()),
        }
    }
}

/// Signs, the longest first.
const SIGNS: [&str; 27] = [
    "==", "!=", "<=", ">=", "<<", ">>", "{", "}", "(", ")", "[", "]", "<", ">", "=", "!", "&", "|",
    "^", ",", ".", ":", "-", "+", "/", "*", "@",
];

/// Reads one token after another.
#[derive(Clone)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    /// Bytes read.
    offset: usize,
    /// Bytes before the token that was read last.
    start: usize,
    line: u32,
    /// Of what comes next.
    column: u32,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, offset: 0, start: 0, line: 1, column: 1 }
    }

    /// The next token, and where it stands.
    pub(super) fn next(&mut self) -> (At, Token<'a>) {
        self.skip_space();
        let at = At::Line { line: self.line, column: self.column };
        self.start = self.offset;
        let rest = &self.text[self.offset..];
        let (token, len) = match token(rest) {
            // Nothing else of the line can be told from the text.
            (token @ Token::Stray('"'), _) => (token, run(rest, |byte| byte != b'\n')),
            token => token,
        };
        self.offset += len;
        if token == Token::Newline {
            self.begin_line();
        } else {
            // Only a text, or what is stray, can have others than ASCII's.
            let characters = match token {
                Token::Text(_) | Token::Stray(_) => rest[..len].chars().count(),
                _ => len,
            };
            self.column = self.column.saturating_add(u32::try_from(characters).unwrap_or(u32::MAX));
        }
        (at, token)
    }

    /// Bytes before the token that was read last.
    pub(super) const fn start(&self) -> usize {
        self.start
    }

    /// The text from a byte on up to the token that was read last.
    pub(super) fn since(&self, start: usize) -> &'a str {
        self.text[start..self.start].trim_end()
    }

    /// The line up to the token that was read last.
    pub(super) fn line(&self) -> &'a str {
        let before = &self.text[..self.start];
        before.rsplit('\n').next().unwrap_or_default().trim_end()
    }

    const fn begin_line(&mut self) {
        self.line = self.line.saturating_add(1);
        self.column = 1;
    }

    /// Skips spaces, comments, and ends of lines behind a `\`.
    fn skip_space(&mut self) {
        loop {
            let rest = &self.text[self.offset..];
            match rest.as_bytes() {
                [b' ' | b'\t', ..] => {
                    let len = run(rest, |byte| matches!(byte, b' ' | b'\t'));
                    self.offset += len;
                    let len = u32::try_from(len).unwrap_or(u32::MAX);
                    self.column = self.column.saturating_add(len);
                }
                [b'\\', b'\n', ..] => {
                    self.offset += 2;
                    self.begin_line();
                }
                // Up to the end of the line, so that the column matters no more.
                [b'#', ..] => self.offset += run(rest, |byte| byte != b'\n'),
                _ => return,
            }
        }
    }
}

/// The token at the beginning of `rest`, and how many bytes it has.
fn token(rest: &str) -> (Token<'_>, usize) {
    let Some(first) = rest.chars().next() else { return (Token::Eof, 0) };
    match first {
        '\n' => (Token::Newline, 1),
        ';' => (Token::Semicolon, 1),
        '"' => match rest[1..].find(['"', '\n']) {
            Some(end) if rest[1 + end..].starts_with('"') => (Token::Text(&rest[1..=end]), end + 2),
            _ => (Token::Stray('"'), 1),
        },
        _ if first.is_ascii_hexdigit() || first == ':' => hardware(rest)
            .or_else(|| address(rest))
            .or_else(|| digits(rest))
            .or_else(|| word(rest))
            .unwrap_or_else(|| sign(rest)),
        _ => word(rest).unwrap_or_else(|| sign(rest)),
    }
}

fn sign(rest: &str) -> (Token<'_>, usize) {
    let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
    let stray = || {
        let first = rest.chars().next().unwrap_or_default();
        (Token::Stray(first), first.len_utf8())
    };
    sign.map_or_else(stray, |sign| (Token::Sign(sign), sign.len()))
}

/// How many bytes of `rest` are of a kind.
fn run(rest: &str, is_of: impl Fn(u8) -> bool) -> usize {
    rest.bytes().position(|byte| !is_of(byte)).unwrap_or(rest.len())
}

/// An address of a link: `02:42:ac:11:00:02`.
fn hardware(rest: &str) -> Option<(Token<'_>, usize)> {
    const LEN: usize = "02:42:ac:11:00:02".len();
    let len = run(rest, |byte| byte.is_ascii_hexdigit() || byte == b':');
    let mut parts = rest[..len].split(':');
    let is_it = len == LEN && parts.all(|part| part.len() == 2);
    is_it.then(|| (Token::Word(&rest[..len]), len))
}

fn address(rest: &str) -> Option<(Token<'_>, usize)> {
    let v6 = run(rest, |byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
    let v4 = run(rest, |byte| byte.is_ascii_digit() || byte == b'.');
    // A letter behind it would make it another word to nft.
    let ends =
        |len: usize| !rest[len..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let v6 = Some(v6).filter(|len| v4 < *len && ends(*len));
    let v6 = v6.and_then(|len| Some((rest[..len].parse::<Ipv6Addr>().ok()?.into(), len)));
    let v4 = || Some(v4).filter(|len| ends(*len));
    let v4 = || v4().and_then(|len| Some((rest[..len].parse::<Ipv4Addr>().ok()?.into(), len)));
    v6.or_else(v4).map(|(address, len): (IpAddr, usize)| (Token::Address(address), len))
}

fn digits(rest: &str) -> Option<(Token<'_>, usize)> {
    if !rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let len = run(rest, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let text = &rest[..len];
    let hex =
        text.strip_prefix("0x").filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let token = if let Some(hex) = hex {
        u32::from_str_radix(hex, 16).ok().map(Token::Hex)
    } else if text.len() > 1 && text.starts_with('0') {
        // Octal to some versions of nft, and nobody means that.
        None
    } else {
        text.parse().ok().map(Token::Number)
    };
    Some((token.unwrap_or(Token::Digits(text)), len))
}

/// Letters, digits and what else nft has in words. A `*` at the end, also behind `\`, belongs to it.
fn word(rest: &str) -> Option<(Token<'_>, usize)> {
    let starts = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '.');
    let is_name =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.');
    let mut len = if rest.starts_with(starts) { run(rest, is_name) } else { 0 };
    // A dot alone parts values.
    if &rest[..len] == "." {
        return None;
    }
    if rest[len..].starts_with("\\*") {
        len += 2;
        len += run(&rest[len..], is_name);
    } else if len > 0 && rest[len..].starts_with('*') {
        len += 1;
    }
    (len > 0).then_some((Token::Word(&rest[..len]), len))
}

#[cfg(test)]
mod tests {
    use super::{Lexer, Token};
    use crate::nft::At;

    fn tokens(text: &str) -> Vec<Token<'_>> {
        let mut lexer = Lexer::new(text);
        std::iter::repeat_with(|| lexer.next().1).take_while(|token| *token != Token::Eof).collect()
    }

    #[test]
    fn tokens_are_those_of_nft() {
        use Token::{Address, Digits, Hex, Newline, Number, Semicolon, Sign, Stray, Text, Word};
        let address = |text: &str| Address(text.parse().unwrap());
        for (text, expected) in [
            (
                "tcp dport 80-90\n",
                vec![Word("tcp"), Word("dport"), Number(80), Sign("-"), Number(90), Newline],
            ),
            (
                "10.0.0.0/8, fd00::/8",
                vec![
                    address("10.0.0.0"),
                    Sign("/"),
                    Number(8),
                    Sign(","),
                    address("fd00::"),
                    Sign("/"),
                    Number(8),
                ],
            ),
            ("::1-::2", vec![address("::1"), Sign("-"), address("::2")]),
            ("::ffff:10.0.0.1", vec![address("::ffff:10.0.0.1")]),
            ("[::1]:80", vec![Sign("["), address("::1"), Sign("]"), Sign(":"), Number(80)]),
            ("to :15001", vec![Word("to"), Sign(":"), Number(15001)]),
            ("10.0.0.1:80", vec![address("10.0.0.1"), Sign(":"), Number(80)]),
            ("22 : jump add", vec![Number(22), Sign(":"), Word("jump"), Word("add")]),
            ("10.0.0.1 . 80", vec![address("10.0.0.1"), Sign("."), Number(80)]),
            (
                "eth0.100 not-nic eth* eth\\* a/b",
                vec![Word("eth0.100"), Word("not-nic"), Word("eth*"), Word("eth\\*"), Word("a/b")],
            ),
            (
                "0x539/0xfff 4294967296 1h 007",
                vec![
                    Hex(0x539),
                    Sign("/"),
                    Hex(0xfff),
                    Digits("4294967296"),
                    Digits("1h"),
                    Digits("007"),
                ],
            ),
            ("\"a; #b\" # c\n;x", vec![Text("a; #b"), Newline, Semicolon, Word("x")]),
            ("a \\\n b", vec![Word("a"), Word("b")]),
            (
                "a & (b|c) == d",
                vec![
                    Word("a"),
                    Sign("&"),
                    Sign("("),
                    Word("b"),
                    Sign("|"),
                    Word("c"),
                    Sign(")"),
                    Sign("=="),
                    Word("d"),
                ],
            ),
            ("$P \"x\n", vec![Stray('$'), Word("P"), Stray('"'), Newline]),
            ("02:42:ac:11:00:0f 1", vec![Word("02:42:ac:11:00:0f"), Number(1)]),
            ("@s -150", vec![Sign("@"), Word("s"), Sign("-"), Number(150)]),
            ("fd00::1x", vec![Word("fd00"), Sign(":"), Sign(":"), Digits("1x")]),
        ] {
            assert_eq!(tokens(text), expected, "{text}");
        }
    }

    #[test]
    fn places_are_counted_in_characters() {
        let mut lexer = Lexer::new("é \"ü\" b\n  c");
        let mut places = Vec::new();
        loop {
            let (At::Line { line, column }, token) = lexer.next() else { panic!("in a script") };
            places.push((line, column));
            if token == Token::Eof {
                break;
            }
        }
        assert_eq!(places, [(1, 1), (1, 3), (1, 7), (1, 8), (2, 3), (2, 4)]);
    }
}
