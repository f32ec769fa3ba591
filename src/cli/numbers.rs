//! Files of numbers: `name:password:number:…`, one a line, as `group(5)` and `passwd(5)` have them.

use std::io;
use std::path::Path;

use super::files::{read_whole, shown};
use crate::diag::escape::on_one_line;
use crate::policy::GroupIds;

/// The names and numbers in a file, which messages call `what`; none without one.
pub(super) fn read(path: Option<&Path>, what: &str) -> io::Result<GroupIds> {
    match path {
        Some(path) => parse(path, &read_whole(path)?, what),
        None => Ok(GroupIds::new()),
    }
}

/// The names and numbers in the text of such a file.
///
/// # Errors
///
/// The first line that is not of the form.
fn parse(path: &Path, text: &str, what: &str) -> io::Result<GroupIds> {
    let mut groups = GroupIds::new();
    for (index, line) in text.lines().enumerate() {
        // `+` lines ask for NIS, which nobody is here to answer.
        if line.trim().is_empty() || line.starts_with(['#', '+', '-']) {
            continue;
        }
        let Some((name, number)) = name_and_number(line) else {
            let (place, line) = (format!("{}:{}", shown(path), index + 1), on_one_line(line));
            return Err(io::Error::other(format!("{place}: not a line of a {what}: `{line}`")));
        };
        // The first line of a name counts, as for getgrnam(3) and getpwnam(3).
        groups.entry(name.to_owned()).or_insert(number);
    }
    Ok(groups)
}

/// The names and numbers in a file of the machine that weir runs on, as getgrnam(3) and getpwnam(3) find them:
/// lines that are not of the form are passed over, and where there is no file, there are none.
pub(super) fn of_machine(path: &Path) -> GroupIds {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut numbers = GroupIds::new();
    for (name, number) in text.lines().filter_map(name_and_number) {
        numbers.entry(name.to_owned()).or_insert(number);
    }
    numbers
}

fn name_and_number(line: &str) -> Option<(&str, u32)> {
    let mut fields = line.split(':');
    let (name, number) = (fields.next()?, fields.nth(1)?);
    Some((name, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn names_are_read_and_broken_lines_are_not() {
        let path = Path::new("group");
        let groups = super::parse(
            path,
            "root:x:0:\n\n# a comment\njava:x:1001:a,b\njava:x:7:\n",
            "group file",
        );
        let groups = groups.unwrap();
        assert_eq!(groups.get("java"), Some(&1001));
        assert_eq!(groups.len(), 2);
        let error = super::parse(path, "root:x:0:\njava 1001\n", "group file").unwrap_err();
        assert_eq!(error.to_string(), "group:2: not a line of a group file: `java 1001`");
        let error = super::parse(path, "a\u{202e}\x1b[2J\n", "group file").unwrap_err();
        assert!(error.to_string().ends_with(": `a\\u{202e}\\u{1b}[2J`"), "{error}");
    }
}
