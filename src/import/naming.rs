//! Names for imported policies.

use std::collections::{BTreeMap, BTreeSet};

use super::general::GeneralRemark;
use super::report::Report;
use crate::net::Name;

/// Names that policies have already.
#[derive(Debug)]
pub(crate) struct Names {
    /// What a policy is called that has no name: `istio`.
    mesh: &'static str,
    taken: BTreeSet<Name>,
    /// The number to try next behind a name, so that many of one name do not take forever.
    next: BTreeMap<String, usize>,
}

impl Names {
    /// None so far, of policies for `mesh`, which is a name itself.
    pub(crate) fn of(mesh: &'static str) -> Self {
        Self { mesh, taken: BTreeSet::new(), next: BTreeMap::new() }
    }

    /// A name that no other policy has: the one `asked` for, else the one nearest to what the
    /// input calls it, else that of the mesh. A change is noted.
    pub(crate) fn take<R: From<GeneralRemark>, M>(
        &mut self,
        asked: Option<&Name>,
        written: Option<&str>,
        report: &mut Report<R, M>,
    ) -> Name {
        let (base, why) = match (asked, written) {
            (Some(asked), _) => (asked.to_string(), None),
            (None, Some(written)) if Name::new(written).is_ok() => (written.to_owned(), None),
            (None, Some(written)) => (self.nearest(written), Some("is not a policy's name")),
            (None, None) => (self.mesh.to_owned(), None),
        };
        let name = self.free(&base);
        let why = why.or((name.as_str() != base).then_some("is taken"));
        if let (Some(why), None, Some(written)) = (why, asked, written) {
            let (name, written) = (name.to_string(), written.to_owned());
            report.remark(GeneralRemark::Renamed { name, written, why });
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

    /// A name like `written`: what a name cannot have becomes `-`, and it begins with a letter.
    fn nearest(&self, written: &str) -> String {
        let name: String = written
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
            .collect();
        let name = name.trim_matches('-');
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
        let name = if begins { name.to_owned() } else { format!("{}-{name}", self.mesh) };
        name.trim_end_matches('-').chars().take(Name::MAX_LEN).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Names;
    use crate::import::report::Report;
    use crate::import::{GeneralReason, GeneralRemark};
    use crate::net::Name;

    type Findings = Report<GeneralRemark, GeneralReason>;

    #[test]
    fn every_text_has_a_name_and_no_two_the_same() {
        let mut names = Names::of("istio");
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
            let name = names.take(None, written, &mut Findings::default());
            assert_eq!(name.as_str(), expected, "{written:?}");
        }
    }

    #[test]
    fn a_change_is_noted_unless_the_name_was_asked_for() {
        let (mut names, mut report) = (Names::of("istio"), Findings::default());
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
