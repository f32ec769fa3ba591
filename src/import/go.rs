//! Values as Go, in which the meshes' tools are written, reads them.

/// A boolean as `strconv.ParseBool` reads it.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A decimal number as `strconv.Atoi` reads it: with or without a sign, and with zeros before it.
pub(crate) fn decimal(text: &str) -> Option<i64> {
    let (sign, digits) = sign_of(text);
    in_radix(sign, digits, 10)
}

/// A number as `strconv.ParseInt` reads it, and `pflag` with it, if the radix is in the text: `10`,
/// `0xa`, `0b1010`, `0o12`, `012`. One with `_` in it is none here.
pub(crate) fn number(text: &str) -> Option<i64> {
    let (sign, digits) = sign_of(text);
    let lower = digits.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            return in_radix(sign, digits, radix);
        }
    }
    match lower.strip_prefix('0').filter(|rest| !rest.is_empty()) {
        Some(octal) => in_radix(sign, octal, 8),
        None => in_radix(sign, &lower, 10),
    }
}

fn sign_of(text: &str) -> (&str, &str) {
    match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    }
}

fn in_radix(sign: &str, digits: &str, radix: u32) -> Option<i64> {
    let plain = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    if plain { i64::from_str_radix(&format!("{sign}{digits}"), radix).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::{boolean, decimal, number};

    #[test]
    fn values_are_those_of_go() {
        for (text, as_decimal, as_number) in [
            ("80", Some(80), Some(80)),
            ("-1", Some(-1), Some(-1)),
            ("+7", Some(7), Some(7)),
            ("010", Some(10), Some(8)),
            ("0", Some(0), Some(0)),
            ("0x1F", None, Some(31)),
            ("0b11", None, Some(3)),
            ("0o17", None, Some(15)),
            ("08", Some(8), None),
            ("", None, None),
            ("-", None, None),
            ("--1", None, None),
            (" 80", None, None),
            ("9223372036854775808", None, None),
            ("-9223372036854775808", Some(i64::MIN), Some(i64::MIN)),
        ] {
            assert_eq!((decimal(text), number(text)), (as_decimal, as_number), "{text:?}");
        }
        assert_eq!((boolean("T"), boolean("0"), boolean("yes")), (Some(true), Some(false), None));
    }
}
