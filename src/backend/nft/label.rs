//! What rules are called: comments in the kernel, or headings in a script that has none.

use crate::ir::{Clauses, Rule, Rung};

/// Most bytes of a comment on a rule, so that its line fits in 100 columns. nft 1.0.1 to 1.1.7 take 128.
const MOST: usize = 78;

/// Says where rules come from.
pub(super) struct Labels<'a> {
    clauses: &'a Clauses,
}

impl<'a> Labels<'a> {
    pub(super) const fn new(clauses: &'a Clauses) -> Self {
        Self { clauses }
    }

    /// `O8 excluded destination: untouched (reviews: outbound exclude to 10.0.0.0/8)`, of a rule that was made
    /// of several one behind the other. `None` for a rule that only leads to others.
    pub(super) fn heading(&self, rule: &Rule) -> Option<String> {
        let rungs = rungs(rule, |_, rung| rung.title())?;
        Some(format!("{rungs}{}", self.said(rule, true)))
    }

    /// The same in few words, for the kernel to keep with the rule: `O8 excluded destination, O7 loopback
    /// destination (reviews: outbound exclude to 10.0.0.0/8)`. Where that is too long, as much as fits: at
    /// least the numbers of the rungs, and rather the clauses with their policies than what rungs are called.
    pub(super) fn comment(&self, rule: &Rule) -> Option<String> {
        let subjects = rungs(rule, |_, rung| rung.subject())?;
        let first = rungs(rule, |at, rung| if at == 0 { rung.subject() } else { "" })?;
        let numbers = rungs(rule, |_, _| "")?;
        let mut forms = [true, false].into_iter().flat_map(|policies| {
            let said = self.said(rule, policies);
            [&subjects, &first, &numbers].map(|rungs| format!("{rungs}{said}"))
        });
        let fits = |form: &String| form.len() <= MOST;
        Some(forms.find(fits).or_else(|| Some(subjects).filter(fits)).unwrap_or(numbers))
    }

    /// ` (reviews: outbound exclude to 10.0.0.0/8; proxy user 5)`: each clause once, with its policy where it
    /// is another than before, if `policies`.
    fn said(&self, rule: &Rule, policies: bool) -> String {
        let mut said: Vec<String> = Vec::new();
        let mut policy = None;
        let known = rule.origins().filter(|origin| !origin.rung.number().is_empty());
        for clause in known.filter_map(|origin| self.clauses.at(origin.clause?)) {
            let is_other = policy.replace(&clause.policy) != Some(&clause.policy);
            let words =
                if policies && is_other { clause.to_string() } else { clause.words.clone() };
            if !said.iter().any(|known| known.ends_with(&words)) {
                said.push(words);
            }
        }
        if said.is_empty() { String::new() } else { format!(" ({})", said.join("; ")) }
    }
}

/// The rungs of a rule, each once, with the words that `words` has for each and its place; `None` if it is
/// of none.
fn rungs(rule: &Rule, words: impl Fn(usize, Rung) -> &'static str) -> Option<String> {
    let mut rungs: Vec<Rung> = rule.origins().map(|origin| origin.rung).collect();
    rungs.retain(|rung| !rung.number().is_empty());
    rungs.dedup();
    let text = |(at, rung): (usize, &Rung)| format!("{} {}", rung.number(), words(at, *rung));
    let texts: Vec<String> = rungs.iter().enumerate().map(text).collect();
    let texts: Vec<&str> = texts.iter().map(|text| text.trim_end()).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}
