//! Group files: `name:password:number:members`, one a line, as `group(5)` has them.

use std::io;
use std::path::Path;

use super::files::read_whole;
use crate::policy::GroupIds;

/// The names and numbers in a group file; none without one.
pub(super) fn read(path: Option<&Path>) -> io::Result<GroupIds> {
    match path {
        Some(path) => parse(path, &read_whole(path)?),
        None => Ok(GroupIds::new()),
    }
}

/// The names and numbers in the text of a group file.
///
/// # Errors
///
/// The first line that is not of the form.
fn parse(path: &Path, text: &str) -> io::Result<GroupIds> {
    let mut groups = GroupIds::new();
    for (index, line) in text.lines().enumerate() {
        // `+` lines ask for NIS, which nobody is here to answer.
        if line.trim().is_empty() || line.starts_with(['#', '+', '-']) {
            continue;
        }
        let mut fields = line.split(':');
        let (name, number) = (fields.next(), fields.nth(1).and_then(|number| number.parse().ok()));
        let (Some(name), Some(number)) = (name, number) else {
            let place = format!("{}:{}", path.display(), index + 1);
            return Err(io::Error::other(format!("{place}: not a line of a group file: `{line}`")));
        };
        // The first line of a name counts, as for getgrnam(3).
        groups.entry(name.to_owned()).or_insert(number);
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn names_are_read_and_broken_lines_are_not() {
        let path = Path::new("group");
        let groups = super::parse(path, "root:x:0:\n\n# a comment\njava:x:1001:a,b\njava:x:7:\n");
        let groups = groups.unwrap();
        assert_eq!(groups.get("java"), Some(&1001));
        assert_eq!(groups.len(), 2);
        let error = super::parse(path, "root:x:0:\njava 1001\n").unwrap_err();
        assert_eq!(error.to_string(), "group:2: not a line of a group file: `java 1001`");
    }
}
