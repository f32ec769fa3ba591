//! Lines of a log, as the tools write them in whose place weir runs.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::diag::escape::harmless;
use crate::import::Level;

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Time, level and message with tabs between, as Istio's (`pkg/log/config.go`).
    Tabs,
    /// The same as an object in JSON, as Istio's `--log_as_json`.
    Object,
    /// `time="2026-11-26T03:00:00Z" level=info msg="message"`, as Linkerd's (logrus 1.9).
    Pairs,
    /// An object in JSON, as Linkerd's `--log-format json`.
    PairsObject,
    /// The message, behind a `#`, as Kuma's.
    Remark,
    /// The message alone.
    Plain,
}

/// Where lines go, and what they look like.
pub(super) struct Log {
    pub(super) shape: Shape,
    /// The least level that is written.
    pub(super) level: Level,
    sinks: Vec<Box<dyn Write + Send>>,
}

impl Log {
    /// One that goes to `targets`: paths, or `stdout` and `stderr`.
    ///
    /// # Errors
    ///
    /// If a file cannot be opened.
    pub(super) fn to(shape: Shape, level: Level, targets: &[String]) -> io::Result<Self> {
        let open = |target: &String| -> io::Result<Box<dyn Write + Send>> {
            Ok(match target.as_str() {
                "stdout" => Box::new(io::stdout()),
                "stderr" => Box::new(io::stderr()),
                path => {
                    let file = OpenOptions::new().create(true).append(true).open(path);
                    Box::new(file.map_err(|error| {
                        io::Error::new(error.kind(), format!("cannot open log {path}: {error}"))
                    })?)
                }
            })
        };
        Ok(Self { shape, level, sinks: targets.iter().map(open).collect::<io::Result<_>>()? })
    }

    pub(super) fn info(&mut self, message: &str) {
        self.line(Level::Info, message);
    }

    pub(super) fn warn(&mut self, message: &str) {
        self.line(Level::Warn, message);
    }

    /// Writes each on a line of its own.
    pub(super) fn errors<T: Display>(&mut self, all: &[T]) {
        for error in all {
            self.error(&error.to_string());
        }
    }

    pub(super) fn error(&mut self, message: &str) {
        self.line(Level::Error, message);
    }

    /// Writes a line, if its level is written. Nobody may be reading; the exit status says it all the same.
    fn line(&mut self, level: Level, message: &str) {
        if level > self.level {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = line(self.shape, now, level, message);
        for sink in &mut self.sinks {
            let _ = sink.write_all(line.as_bytes()).and_then(|()| sink.flush());
        }
    }
}

/// A line of Istio's in JSON.
#[derive(Serialize)]
struct Object<'a> {
    level: &'a str,
    time: &'a str,
    msg: &'a str,
}

/// A line at a time since 1970.
fn line(shape: Shape, now: Duration, level: Level, message: &str) -> String {
    let (level, long) = match level {
        Level::Off | Level::Error => ("error", "error"),
        Level::Warn => ("warn", "warning"),
        Level::Info => ("info", "info"),
        Level::Debug => ("debug", "debug"),
    };
    let (seconds, micros) = (now.as_secs(), now.subsec_micros());
    let time = date(seconds);
    let object = |level, time: &str| {
        let object = Object { level, time, msg: message };
        serde_json::to_string(&object).expect("texts can be written") + "\n"
    };
    match shape {
        Shape::Tabs => format!("{time}.{micros:06}Z\t{level}\t{}\n", harmless(message)),
        Shape::Object => object(level, &format!("{time}.{micros:06}Z")),
        Shape::Pairs => {
            let message = serde_json::to_string(message).expect("texts can be written");
            format!("time=\"{time}Z\" level={long} msg={message}\n")
        }
        Shape::PairsObject => object(long, &format!("{time}Z")),
        Shape::Plain => format!("{}\n", harmless(message)),
        Shape::Remark if level == "info" => format!("# {}\n", harmless(message)),
        Shape::Remark => format!("# [{}] {}\n", long.to_uppercase(), harmless(message)),
    }
}

/// `2026-11-26T03:00:00` of seconds since 1970, in the Gregorian calendar and UTC.
fn date(seconds: u64) -> String {
    /// Days from March of year 0 to January of 1970, and of 400 years.
    const TO_1970: u64 = 719_468;
    const OF_400_YEARS: u64 = 146_097;

    let (days, second) = (seconds / 86_400 + TO_1970, seconds % 86_400);
    let (era, day_of_era) = (days / OF_400_YEARS, days % OF_400_YEARS);
    let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months count from March, so that the odd one is the last.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Level, Shape, date, line};

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_800, "2000-03-01T00:00:00"),
            (1_709_210_096, "2024-02-29T12:34:56"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (1_795_662_000, "2026-11-26T03:00:00"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }

    #[test]
    fn lines_are_those_of_the_tools() {
        let now = Duration::new(1_795_662_000, 12_345_678);
        for (shape, level, expected) in [
            (Shape::Tabs, Level::Info, "2026-11-26T03:00:00.012345Z\tinfo\ta \"b\"\n"),
            (
                Shape::Object,
                Level::Warn,
                "{\"level\":\"warn\",\"time\":\"2026-11-26T03:00:00.012345Z\",\"msg\":\"a \\\"b\\\"\"}\n",
            ),
            (
                Shape::Pairs,
                Level::Warn,
                "time=\"2026-11-26T03:00:00Z\" level=warning msg=\"a \\\"b\\\"\"\n",
            ),
            (
                Shape::PairsObject,
                Level::Error,
                "{\"level\":\"error\",\"time\":\"2026-11-26T03:00:00Z\",\"msg\":\"a \\\"b\\\"\"}\n",
            ),
            (Shape::Remark, Level::Info, "# a \"b\"\n"),
            (Shape::Remark, Level::Warn, "# [WARNING] a \"b\"\n"),
            (Shape::Plain, Level::Error, "a \"b\"\n"),
        ] {
            assert_eq!(line(shape, now, level, "a \"b\""), expected);
        }
    }
}
