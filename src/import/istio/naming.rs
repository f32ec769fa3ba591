//! Names for imported policies.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Remark, Report};
use crate::net::Name;

/// Names that policies have already.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: BTreeSet<Name>,
    /// The number to try next behind a name, so that many of one name do not take forever.
    next: BTreeMap<String, usize>,
}

impl Names {
    /// A name that no other policy has: the one `asked` for, else the one nearest to what the
    /// input calls it, else `istio`. A change is noted.
    pub(super) fn take(
        &mut self,
        asked: Option<&Name>,
        written: Option<&str>,
        report: &mut Report,
    ) -> Name {
        let (base, why) = match (asked, written) {
            (Some(asked), _) => (asked.to_string(), None),
            (None, Some(written)) if Name::new(written).is_ok() => (written.to_owned(), None),
            (None, Some(written)) => (nearest(written), Some("is not a policy's name")),
            (None, None) => ("istio".to_owned(), None),
        };
        let name = self.free(&base);
        let why = why.or((name.as_str() != base).then_some("is taken"));
        if let (Some(why), None, Some(written)) = (why, asked, written) {
            let (name, written) = (name.to_string(), written.to_owned());
            report.remark(Remark::Renamed { name, written, why });
        }
        name
    }

    /// `base`, or `base-2`, `base-3` …, shortened if it has to be.
    fn free(&mut self, base: &str) -> Name {
        let numbered = |count: usize| {
            let tail = if count == 1 { String::new() } else { format!("-{count}") };
            let most = Name::MAX_LEN - tail.len();
            Name::new(&format!("{}{tail}", &base[..base.len().min(most)]))
                .expect("a name with a number behind it is a name")
        };
        let next = self.next.entry(base.to_owned()).or_insert(1);
        loop {
            let name = numbered(*next);
            *next += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// A name like `written`: what a name cannot have becomes `-`, and it begins with a letter.
fn nearest(written: &str) -> String {
    let name: String = written
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .collect();
    let name = name.trim_matches('-');
    let start = if name.starts_with(|c: char| c.is_ascii_alphabetic()) { "" } else { "istio-" };
    format!("{start}{name}").trim_end_matches('-').chars().take(Name::MAX_LEN).collect()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Report;
    use super::Names;
    use crate::net::Name;

    #[test]
    fn every_text_has_a_name_and_no_two_the_same() {
        let mut names = Names::default();
        let long = "x".repeat(70);
        for (written, expected) in [
            (Some("reviews-v1"), "reviews-v1"),
            (Some("reviews-v1"), "reviews-v1-2"),
            (Some("upstream/sidecar/tproxy"), "upstream-sidecar-tproxy"),
            (Some("a.b"), "a-b"),
            (Some("7up"), "istio-7up"),
            (Some("é"), "istio"),
            (None, "istio-2"),
            (Some(&long), &long[..63]),
            (Some(&long), &format!("{}-2", &long[..61])),
        ] {
            let name = names.take(None, written, &mut Report::default());
            assert_eq!(name.as_str(), expected, "{written:?}");
        }
    }

    #[test]
    fn a_change_is_noted_unless_the_name_was_asked_for() {
        let (mut names, mut report) = (Names::default(), Report::default());
        let asked = Name::new("mine").unwrap();
        names.take(Some(&asked), Some("a.b"), &mut report);
        names.take(Some(&asked), Some("a.b"), &mut report);
        assert!(report.notes.is_empty());
        names.take(None, Some("a.b"), &mut report);
        names.take(None, Some("mine"), &mut report);
        let notes: Vec<_> = report.notes.iter().map(ToString::to_string).collect();
        assert_eq!(
            notes,
            [
                "called `a-b` here, because `a.b` is not a policy's name",
                "called `mine-3` here, because `mine` is taken"
            ]
        );
    }
}
