//! Values as Go, in which the meshes' tools are written, reads them.

use std::time::Duration;

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

/// A number of 16 bits as `pflag` reads one without a sign.
pub(crate) fn uint16(text: &str) -> Option<u16> {
    if text.starts_with(['+', '-']) {
        return None;
    }
    number(text).and_then(|number| number.try_into().ok())
}

/// A span of time as `time.ParseDuration` reads it: `5s`, `1m30s`, `1.5h`, `0`. One below 0 is none at all.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (sign, mut rest) = sign_of(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    loop {
        let is_digit = |c: char| c.is_ascii_digit() || c == '.';
        let (number, behind) = rest.split_at(rest.find(|c| !is_digit(c))?);
        let (unit, next) = behind.split_at(behind.find(is_digit).unwrap_or(behind.len()));
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = next;
        if rest.is_empty() {
            return Some(if sign.is_empty() { total } else { Duration::ZERO });
        }
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
    use std::time::Duration;

    use super::{boolean, decimal, duration, number, uint16};

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

    #[test]
    fn durations_and_ports_are_those_of_go() {
        for (text, milliseconds) in [
            ("5s", Some(5000)),
            ("1m30.5s", Some(90_500)),
            (".5s", Some(500)),
            ("1h", Some(3_600_000)),
            ("+2ms3us", Some(2)),
            ("0", Some(0)),
            ("-1s", Some(0)),
            ("5", None),
            ("", None),
            (".s", None),
            ("5 s", None),
            ("1d", None),
            ("1.2.3s", None),
            ("99999999999999999999h", None),
        ] {
            let read = duration(text);
            assert_eq!(read.map(|it| it.as_millis()), milliseconds, "{text:?}");
        }
        assert_eq!(duration("1ns"), Some(Duration::from_nanos(1)));
        assert_eq!([uint16("0xff"), uint16("+1"), uint16("65536")], [Some(255), None, None]);
    }
}
