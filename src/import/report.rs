//! What an import finds, while it reads.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::general::{GeneralReason, GeneralRemark};
use super::naming::Names;
use super::{Context, Finding, Given, Imported, Refused};
use crate::policy::{ClauseKey, Comments, Kind, Policy, Unchecked};
use crate::span::Span;

/// Where options are written.
pub(crate) type Places = BTreeMap<String, Span>;

/// A policy, where its clauses come from, and where its workload is.
pub(crate) type MadePolicy = (Unchecked, Comments, Option<Span>);

/// Findings as they are made: notes `R` and mistakes `M`.
#[derive(Debug)]
pub(crate) struct Report<R, M> {
    /// What they are about.
    pub(crate) about: Option<String>,
    /// Where that is.
    pub(crate) here: Option<Span>,
    /// Where its options are.
    pub(crate) places: Rc<Places>,
    /// Where the clauses of the policy at hand come from.
    pub(crate) comments: Comments,
    pub(crate) notes: Vec<Finding<R>>,
    pub(crate) mistakes: Vec<Finding<M>>,
}

impl<R, M> Default for Report<R, M> {
    fn default() -> Self {
        Self {
            about: None,
            here: None,
            places: Rc::default(),
            comments: Comments::default(),
            notes: Vec::new(),
            mistakes: Vec::new(),
        }
    }
}

impl<R, M> Report<R, M> {
    /// Leaves out what findings are about: there is one thing only.
    #[cfg(feature = "import-pod")]
    pub(crate) fn forget_about(&mut self) {
        self.about = None;
        self.notes.iter_mut().for_each(|note| note.about = None);
        self.mistakes.iter_mut().for_each(|mistake| mistake.about = None);
    }

    /// What follows is about an object of this name, at this place.
    #[cfg(feature = "import-pod")]
    pub(crate) fn begin(&mut self, about: Option<&str>, here: Option<Span>) {
        self.about = about.map(str::to_owned);
        self.here = here;
        self.places = Rc::default();
    }

    /// What `find` finds is at `place`.
    #[cfg(feature = "import-pod")]
    pub(crate) fn at(&mut self, place: Span, find: impl FnOnce(&mut Self)) {
        let (here, places) = (self.here.replace(place), std::mem::take(&mut self.places));
        find(self);
        (self.here, self.places) = (here, places);
    }

    /// A clause comes from an option.
    pub(crate) fn origin(&mut self, clause: ClauseKey, given: &Given) {
        self.comments.add(clause, given.to_string());
    }

    /// A clause comes from something that is no option.
    pub(crate) fn origin_in_words(&mut self, clause: ClauseKey, words: impl Into<String>) {
        self.comments.add(clause, words);
    }

    fn finding<T>(&self, given: Option<&Given>, what: T) -> Finding<T> {
        let place = given.and_then(|given| self.places.get(&given.option).copied());
        let at = place.or(self.here);
        Finding { about: self.about.clone(), given: given.cloned(), at, what }
    }

    /// Adds a note on an option.
    pub(crate) fn note(&mut self, given: &Given, what: impl Into<R>) {
        self.notes.push(self.finding(Some(given), what.into()));
    }

    /// Adds a note on no option.
    pub(crate) fn remark(&mut self, what: impl Into<R>) {
        self.notes.push(self.finding(None, what.into()));
    }

    /// Adds a mistake in an option.
    pub(crate) fn refuse(&mut self, given: &Given, what: impl Into<M>) {
        self.mistakes.push(self.finding(Some(given), what.into()));
    }

    /// Adds a mistake in no option.
    pub(crate) fn fail(&mut self, what: impl Into<M>) {
        self.mistakes.push(self.finding(None, what.into()));
    }

    /// The same import with what was found before it.
    #[cfg(feature = "import-pod")]
    pub(crate) fn before(
        self,
        import: Result<Imported<R>, Refused<R, M>>,
    ) -> Result<Imported<R>, Refused<R, M>> {
        let Self { mut notes, mut mistakes, .. } = self;
        let policies = match import {
            Ok(Imported { policies, comments, places, notes: more }) => {
                notes.extend(more);
                let made = policies.into_iter().zip(comments).zip(places);
                made.map(|((policy, comments), place)| (policy, comments, place)).collect()
            }
            Err(refused) => {
                notes.extend(refused.notes);
                mistakes.extend(refused.mistakes);
                let rest = refused.rest.into_iter();
                rest.map(|(policy, place)| (policy, Comments::default(), place)).collect()
            }
        };
        Self { notes, mistakes, ..Self::default() }.end(policies)
    }

    /// As [`finish`](Self::finish), of the one policy for `mesh` that a command line says.
    pub(crate) fn finish_one(
        mut self,
        mesh: &'static str,
        kind: impl Into<Kind>,
        context: &Context,
    ) -> Result<Imported<R>, Refused<R, M>>
    where
        R: From<GeneralRemark>,
        M: From<GeneralReason>,
    {
        let name = Names::of(mesh).take(context.name.as_ref(), None, &mut self);
        let comments = std::mem::take(&mut self.comments);
        self.finish(vec![(Unchecked::of(name, kind.into()), comments, None)])
    }

    /// What was imported, unless something is wrong, be it that no policy can say it.
    pub(crate) fn finish(mut self, made: Vec<MadePolicy>) -> Result<Imported<R>, Refused<R, M>>
    where
        M: From<GeneralReason>,
    {
        let mut checked = Vec::new();
        // What comes of a mistake is no other.
        let is_good = self.mistakes.is_empty();
        for (policy, comments, place) in made {
            let about = policy.name.clone();
            match policy.check() {
                Ok(policy) => checked.push((policy, comments, place)),
                Err(failure) if is_good => {
                    let problems = failure.diagnostics.iter().map(|found| &found.problem);
                    let why: Vec<_> = problems.map(ToString::to_string).collect();
                    let what = GeneralReason::NotAPolicy { why: why.join("; ") }.into();
                    let (about, at) = (Some(about), place);
                    self.mistakes.push(Finding { about, given: None, at, what });
                }
                Err(_) => {}
            }
        }
        self.end(checked)
    }

    fn end(
        self,
        made: Vec<(Policy, Comments, Option<Span>)>,
    ) -> Result<Imported<R>, Refused<R, M>> {
        let Self { notes, mistakes, .. } = self;
        if mistakes.is_empty() {
            let places = made.iter().map(|(_, _, place)| *place).collect();
            let (policies, comments) =
                made.into_iter().map(|(policy, comments, _)| (policy, comments)).unzip();
            Ok(Imported { policies, comments, places, notes })
        } else {
            let rest = made.into_iter().map(|(policy, _, place)| (policy, place)).collect();
            Err(Refused { mistakes, notes, rest })
        }
    }
}
