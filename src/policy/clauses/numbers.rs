//! Numbers, typed by where they stand: ports, users, groups, marks, tables, priorities.

use std::ops::Range;

use super::words::bare;
use crate::diag::{Hint, Problem, shown};
use crate::net::{Mark, PortRange};

/// Why a text is not a value, and which part of it says so.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) problem: Problem,
    /// In a box, as most values are right.
    pub(crate) label: Box<Hint>,
    /// Bytes of the text; all of it if empty.
    pub(crate) part: Range<usize>,
}

impl Mistake {
    pub(crate) fn new(problem: Problem, label: impl Into<Hint>) -> Self {
        Self { problem, label: Box::new(label.into()), part: 0..0 }
    }

    /// The mistake, moved to where `part` begins in the whole text.
    pub(crate) fn moved(mut self, start: usize, part: &str) -> Self {
        if self.part.is_empty() {
            self.part = 0..part.len();
        }
        self.part = self.part.start + start..self.part.end + start;
        self
    }
}

/// A kind of number.
#[derive(Debug)]
pub(crate) struct Number {
    /// `port`.
    name: &'static str,
    /// `a port`.
    one: &'static str,
    lowest: u32,
    highest: u32,
    /// What there is, and other ways to write it.
    form: &'static str,
    /// Whether `0x…` is a way to write it.
    hexadecimal: bool,
}

pub(crate) const PORT: Number = Number {
    name: "port",
    one: "a port",
    lowest: 1,
    highest: 65535,
    form: "a port is `1` to `65535`",
    hexadecimal: false,
};

const LISTED_PORT: Number =
    Number { form: "a port is `1` to `65535`, and a range has a `-` between two", ..PORT };

/// A port in a list in which 0 may stand as well, which a packet can carry.
const ANY_LISTED_PORT: Number = Number {
    lowest: 0,
    form: "a port is `0` to `65535` here, and a range has a `-` between two",
    ..PORT
};

/// The user of a proxy, where 0 means nobody.
pub(crate) const USER_OR_NOBODY: Number = Number {
    lowest: 1,
    form: "a user number is `1` to `4294967294` here; the mesh takes 0 for nobody: `none`",
    ..USER
};

/// The group of a proxy, where 0 means none.
pub(crate) const GROUP_OR_NOBODY: Number = Number {
    lowest: 1,
    form: "a group number is `1` to `4294967294` here; the mesh takes 0 for no group: `none`",
    ..GROUP
};

pub(crate) const USER: Number = Number {
    name: "user",
    one: "a user number",
    lowest: 0,
    highest: u32::MAX - 1,
    form: "a user number is `0` to `4294967294`; 4294967295 means no user to the kernel",
    hexadecimal: false,
};

pub(crate) const GROUP: Number = Number {
    name: "group",
    one: "a group number",
    lowest: 0,
    highest: u32::MAX - 1,
    form: "a group number is `0` to `4294967294`; 4294967295 means no group to the kernel",
    hexadecimal: false,
};

pub(crate) const MARK: Number = Number {
    name: "mark",
    one: "a mark",
    lowest: 1,
    highest: u32::MAX,
    form: "a mark is `1` to `4294967295`, or `0x1` to `0xffffffff`; unmarked packets have 0",
    hexadecimal: true,
};

const MASK: Number = Number {
    name: "mask",
    one: "a mask",
    lowest: 1,
    highest: u32::MAX,
    form: "a mask is `1` to `4294967295`, or `0x1` to `0xffffffff`",
    hexadecimal: true,
};

pub(crate) const TABLE: Number = Number {
    name: "table",
    one: "a routing table",
    lowest: 1,
    highest: u32::MAX,
    form: "a routing table is `1` to `4294967295`, but not 253 to 255",
    hexadecimal: false,
};

pub(crate) const PRIORITY: Number = Number {
    name: "priority",
    one: "a priority",
    lowest: 1,
    highest: u32::MAX,
    form: "a priority is `1` to `4294967295`; at 0 is the kernel's own rule for local addresses",
    hexadecimal: false,
};

/// What is in brackets or the like, if that is a value.
fn bracketed(text: &str, is_value: impl Fn(&str) -> bool) -> Option<&str> {
    let plain = bare(text);
    (plain != text && is_value(plain)).then_some(plain)
}

fn alone(problem: Problem, plain: &str) -> Mistake {
    Mistake::new(problem, Hint::with("a value stands alone", plain))
}

/// Reads a number, or a range of them such as `106-108`, where `one` reads a number.
pub(crate) fn range(
    text: &str,
    one: impl Fn(&str) -> Result<u32, Mistake>,
) -> Result<(u32, u32), Mistake> {
    let Some((first, last)) = text.split_once('-').filter(|(first, _)| !first.is_empty()) else {
        return one(text).map(|number| (number, number));
    };
    let end = |part, at| one(part).map_err(|mistake| mistake.moved(at, part));
    let (first, last) = (end(first, 0)?, end(last, first.len() + 1)?);
    if first > last {
        let (found, turned) = (shown(text), format!("{last}-{first}"));
        return Err(Mistake::new(Problem::Reversed { found, turned }, ""));
    }
    Ok((first, last))
}

/// Reads one number.
pub(crate) fn number(text: &str, kind: &Number) -> Result<u32, Mistake> {
    let digits = text.strip_prefix("0x").filter(|_| kind.hexadecimal);
    let (digits, radix) = digits.map_or((text, 10), |digits| (digits, 16));
    let is_number = !digits.is_empty() && digits.bytes().all(|b| char::from(b).is_digit(radix));
    if !is_number || radix == 10 && digits.len() > 1 && digits.starts_with('0') {
        return Err(not_a_number(text, kind));
    }
    let value = u32::from_str_radix(digits, radix).ok();
    let label = match value {
        Some(value) if value < kind.lowest => {
            format!("the lowest {} is {}", kind.name, kind.lowest)
        }
        Some(value) if value <= kind.highest => return Ok(value),
        _ => format!("the highest {} is {}", kind.name, kind.highest),
    };
    let problem = Problem::OutOfRange { what: kind.name, found: shown(text), form: kind.form };
    Err(Mistake::new(problem, label))
}

/// Reads one port.
pub(crate) fn port(text: &str) -> Result<u16, Mistake> {
    small(text, &PORT)
}

fn small(text: &str, kind: &Number) -> Result<u16, Mistake> {
    number(text, kind).map(|port| u16::try_from(port).expect("no port is higher than 65535"))
}

/// Reads a port or a range of ports: `80`, `8000-8999`.
pub(crate) fn ports(text: &str) -> Result<PortRange, Mistake> {
    listed_ports(text, &LISTED_PORT)
}

/// Reads a port or a range of ports, 0 among them.
pub(crate) fn any_ports(text: &str) -> Result<PortRange, Mistake> {
    listed_ports(text, &ANY_LISTED_PORT)
}

fn listed_ports(text: &str, kind: &Number) -> Result<PortRange, Mistake> {
    if let Some(plain) = bracketed(text, |plain| listed_ports(plain, kind).is_ok()) {
        return Err(alone(not_a(kind, text, format!("write `{plain}`")), plain));
    }
    let is_open = |(first, last): &(&str, &str)| first.is_empty() || last.is_empty();
    let Some((first, last)) = text.split_once('-').filter(|ends| !is_open(ends)) else {
        return small(text, kind).map(PortRange::one).map_err(|mistake| {
            match range_otherwise(text) {
                Some(range) => {
                    let problem = not_a(kind, text, format!("write `{range}`"));
                    Mistake::new(problem, "a range has a `-`")
                }
                None => mistake,
            }
        });
    };
    let end = |text: &str, start| small(text, kind).map_err(|m| m.moved(start, text));
    if last.contains('-') {
        return Err(not_a_number(text, kind));
    }
    let (first, last) = (end(first, 0)?, end(last, first.len() + 1)?);
    PortRange::new(first, last).ok_or_else(|| {
        let turned = format!("{last}-{first}");
        Mistake::new(Problem::Reversed { found: text.to_owned(), turned }, "")
    })
}

/// `80-90` for `80:90` and `80..90`.
fn range_otherwise(text: &str) -> Option<String> {
    let (first, last) = ["..=", "..", ":", "/", "~"].iter().find_map(|by| text.split_once(by))?;
    let (first, last) = (small(first, &PORT).ok()?, small(last, &PORT).ok()?);
    Some(format!("{first}-{last}"))
}

/// Reads a mark with or without a mask: `0x539/0xfff`, `1337`.
pub(crate) fn masked(text: &str) -> Result<Mark, Mistake> {
    if let Some(plain) = bracketed(text, |plain| masked(plain).is_ok()) {
        return Err(alone(not_a(&MARK, text, format!("write `{plain}`")), plain));
    }
    let (value, mask) = match text.split_once('/') {
        None => (number(text, &MARK)?, u32::MAX),
        Some((value, mask)) => {
            let start = value.len() + 1;
            let value = number(value, &MARK).map_err(|mistake| mistake.moved(0, value))?;
            (value, number(mask, &MASK).map_err(|mistake| mistake.moved(start, mask))?)
        }
    };
    Mark::new(value, mask).map_err(|_| {
        let within = match value & mask {
            0 => format!("{value:#x}/{:#x}", mask | value),
            within => format!("{within:#x}/{mask:#x}"),
        };
        let label = format!("the mask does not have the bits {:#x}", value & !mask);
        Mistake::new(Problem::OutsideMask { found: text.to_owned(), within }, label)
    })
}

/// Reads a routing table that is not the kernel's own.
pub(crate) fn table(text: &str) -> Result<u32, Mistake> {
    let found = number(text, &TABLE)?;
    let name = match found {
        253 => "default",
        254 => "main",
        255 => "local",
        _ => return Ok(found),
    };
    let problem = Problem::Reserved { what: "table", found, form: TABLE.form };
    Err(Mistake::new(problem, format!("the table `{name}`")))
}

fn not_a(kind: &Number, text: &str, instead: String) -> Problem {
    Problem::NotANumber { what: kind.one, found: shown(text), instead }
}

fn not_a_number(text: &str, kind: &Number) -> Mistake {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (plain, label) = if is_digits(text) {
        let plain = text.trim_start_matches('0');
        let plain = if plain.is_empty() { "0" } else { plain };
        (plain.to_owned(), "a number has no zeros before it")
    } else if let Some(digits) = text.strip_prefix('+').filter(|digits| is_digits(digits)) {
        (digits.to_owned(), "a number has no sign")
    } else if text.starts_with(|c: char| c.is_ascii_digit())
        && is_digits(&text.replace(['_', '\''], ""))
    {
        (text.replace(['_', '\''], ""), "digits stand without anything between")
    } else if bare(text) != text && number(bare(text), kind).is_ok() {
        (bare(text).to_owned(), "a value stands alone")
    } else if let Some((plain, label)) = surplus(text, kind) {
        (plain, label)
    } else if let Some(value) = hexadecimal(text) {
        let plain = if kind.hexadecimal { format!("{value:#x}") } else { value.to_string() };
        let label = if kind.hexadecimal { "" } else { "only marks may be hexadecimal" };
        (plain, label)
    } else if kind.highest != PORT.highest
        && text.split_once('-').is_some_and(|(first, last)| is_digits(first) && is_digits(last))
    {
        let instead = "only ports have ranges; write every number: `1, 2`".to_owned();
        return Mistake::new(not_a(kind, text, instead), "a range");
    } else if let Some(port) = service(text).filter(|_| kind.highest == PORT.highest) {
        (port.to_string(), "names of services are not known here")
    } else {
        let is_name = text != "none" && text.starts_with(|c: char| c.is_ascii_alphabetic());
        if kind.name == "user" && is_name {
            let instead = format!("write its number, as `id -u {}` prints it", shown(text));
            return Mistake::new(not_a(kind, text, instead), "names of users are not known here");
        }
        return Mistake::new(not_a(kind, text, kind.form.to_owned()), "");
    };
    // A help that would be the next mistake is none.
    match number(&plain, kind) {
        Ok(_) => {
            let instead = format!("write `{plain}`");
            Mistake::new(not_a(kind, text, instead), Hint::with(label, plain))
        }
        Err(_) => Mistake::new(not_a(kind, text, kind.form.to_owned()), label),
    }
}

/// The number in `text`, and why the rest of it does not belong there.
fn surplus(text: &str, kind: &Number) -> Option<(String, &'static str)> {
    let is_number = |text: &str| {
        let is_plain =
            text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        let fits = |value: u32| (kind.lowest..=kind.highest).contains(&value);
        is_plain && text.parse().is_ok_and(fits)
    };
    let protocol =
        text.split(['/', ':']).find(|part| matches!(*part, "tcp" | "udp" | "TCP" | "UDP"));
    if protocol.is_some() {
        let port = text.split(['/', ':']).find(|part| is_number(part))?;
        return Some((port.to_owned(), "the protocol does not stand here"));
    }
    if let Some(plain) = text.strip_prefix('-').filter(|plain| is_number(plain)) {
        return Some((plain.to_owned(), "a number has no sign"));
    }
    let plain = text.trim_matches([':', '-', '.', '=', '/', '~']);
    if plain != text && is_number(plain) {
        return Some((plain.to_owned(), "a value stands alone"));
    }
    let digits: String = text
        .chars()
        .map(|c| match c {
            'O' | 'o' => '0',
            'l' | 'I' => '1',
            _ => c,
        })
        .collect();
    if text.starts_with(|c: char| c.is_ascii_digit()) && is_number(&digits) {
        return Some((digits, "there is a letter in it"));
    }
    if kind.name == "user" && text == "root" {
        return Some(("0".to_owned(), "names of users are not known here"));
    }
    None
}

fn hexadecimal(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    u32::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
}

/// Ports that people call by name, as `/etc/services` does.
fn service(name: &str) -> Option<u16> {
    Some(match name.to_ascii_lowercase().as_str() {
        "ssh" => 22,
        "smtp" => 25,
        "dns" | "domain" => 53,
        "http" => 80,
        "https" => 443,
        "mysql" => 3306,
        "postgres" | "postgresql" => 5432,
        "redis" => 6379,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{GROUP, Mistake, PRIORITY, USER, masked, number, port, ports, table};

    /// What the first line of a diagnostic would say, with the underlined part and the help.
    fn said<T>(text: &str, result: Result<T, Mistake>) -> String {
        let mistake = result.err().unwrap();
        let part = if mistake.part.is_empty() { text } else { &text[mistake.part.clone()] };
        let help = mistake.problem.help().unwrap();
        format!("{}: {} [{part}: {}]", mistake.problem.code(), help, mistake.label)
    }

    #[test]
    fn ports_and_ranges() {
        for (text, range) in [("1", (1, 1)), ("65535", (65535, 65535)), ("8000-8999", (8000, 8999))]
        {
            let found = ports(text).unwrap();
            assert_eq!((found.first(), found.last()), range, "{text}");
        }
        let form = "a port is `1` to `65535`, and a range has a `-` between two";
        for (text, expected) in [
            ("0", format!("E301: {form} [0: the lowest port is 1]")),
            ("70000", format!("E301: {form} [70000: the highest port is 65535]")),
            ("99999999999", format!("E301: {form} [99999999999: the highest port is 65535]")),
            ("80-70000", format!("E301: {form} [70000: the highest port is 65535]")),
            ("0-80", format!("E301: {form} [0: the lowest port is 1]")),
            ("90-80", "E306: write `80-90` [90-80: ]".to_owned()),
            ("080", "E307: write `80` [080: a number has no zeros before it]".to_owned()),
            ("80-090", "E307: write `90` [090: a number has no zeros before it]".to_owned()),
            ("+5", "E307: write `5` [+5: a number has no sign]".to_owned()),
            ("-5", "E307: write `5` [-5: a number has no sign]".to_owned()),
            (
                "1_000",
                "E307: write `1000` [1_000: digits stand without anything between]".to_owned(),
            ),
            ("0x50", "E307: write `80` [0x50: only marks may be hexadecimal]".to_owned()),
            ("https", "E307: write `443` [https: names of services are not known here]".to_owned()),
            ("80:90", "E307: write `80-90` [80:90: a range has a `-`]".to_owned()),
            ("80..90", "E307: write `80-90` [80..90: a range has a `-`]".to_owned()),
            ("80-", "E307: write `80` [80-: a value stands alone]".to_owned()),
            ("80/tcp", "E307: write `80` [80/tcp: the protocol does not stand here]".to_owned()),
            ("(80-90)", "E307: write `80-90` [(80-90): a value stands alone]".to_owned()),
            ("8O", "E307: write `80` [8O: there is a letter in it]".to_owned()),
            ("1-2-3", format!("E307: {form} [1-2-3: ]")),
            ("٣", format!("E307: {form} [٣: ]")),
        ] {
            assert_eq!(said(text, ports(text)), expected);
        }
        assert!(port("8000-8999").is_err());
    }

    #[test]
    fn owners_tables_and_priorities() {
        assert_eq!(number("4294967294", &USER), Ok(4_294_967_294));
        assert!(number("4294967295", &GROUP).is_err());
        assert_eq!(number("0", &USER), Ok(0));
        assert!(number("0", &PRIORITY).is_err());
        assert_eq!(table("133"), Ok(133));
        assert_eq!(
            said("254", table("254")),
            "E327: a routing table is `1` to `4294967295`, but not 253 to 255 [254: the table `main`]"
        );
    }

    #[test]
    fn marks() {
        for (text, shown) in [
            ("1337", "0x539"),
            ("0x539", "0x539"),
            ("0x539/0xfff", "0x539/0xfff"),
            ("1337/4095", "0x539/0xfff"),
            ("0xFF/0xFFFFFFFF", "0xff"),
        ] {
            assert_eq!(masked(text).unwrap().to_string(), shown);
        }
        for (text, expected) in [
            (
                "0x539/0xff",
                "E328: write `0x39/0xff` [0x539/0xff: the mask does not have the bits 0x500]",
            ),
            (
                "0x100/0xff",
                "E328: write `0x100/0x1ff` [0x100/0xff: the mask does not have the bits 0x100]",
            ),
            ("0x1/0x", "E307: a mask is `1` to `4294967295`, or `0x1` to `0xffffffff` [0x: ]"),
            ("0X539", "E307: write `0x539` [0X539: ]"),
        ] {
            assert_eq!(said(text, masked(text)), expected);
        }
        assert!(masked("0x100000000").is_err());
        assert!(masked("0/0xfff").is_err());
        assert!(masked("0x+1").is_err());
    }
}
