//! Policies as their sources would say them with clauses left out or changed.
//!
//! What a clause is good for is told by what the policy means without it, and that is decided where
//! every meaning is: the changed source is checked anew. Every kind of policy is served alike.

use std::collections::BTreeMap;

use crate::ir::Clauses;
use crate::net::Name;
use crate::policy::{Detail, GroupIds, Policy, check, print};
use crate::span::{Sources, Span};
use crate::syntax::ast::{Clause, Comment, Item, Term};
use crate::syntax::{self, Loaded, Loader};

/// The sources of a compilation, in which clauses can be changed.
pub(crate) struct Variants<'a> {
    /// What stands outside of policies; those that are looked at stand behind it meanwhile.
    loaded: Loaded,
    /// Every policy: the place of its file, itself, and the name of the one that it extends.
    policies: BTreeMap<String, (usize, Box<Clause>, Option<String>)>,
    groups: &'a GroupIds,
    clauses: Clauses,
}

/// A clause of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Where it stands among the lines of the policy and of its block.
    pub(crate) place: Place,
    /// All of it but its block.
    pub(crate) span: Span,
    /// Its words behind those of its block: `outbound exclude port 25`.
    pub(crate) words: String,
    /// The first word of its block; empty without one.
    pub(crate) block: String,
    /// Words and values.
    pub(crate) terms: Vec<Term>,
    /// How many of the terms at the end are values.
    pub(crate) values: usize,
    /// Whether it opens a block.
    pub(crate) is_block: bool,
}

/// Where a clause stands: among the lines of the policy, and among those of a block.
pub(crate) type Place = (usize, Option<usize>);

/// A change of a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// It is not there, nor is its block.
    Drop,
    /// The term at this place is not there.
    DropTerm(usize),
    /// The term at this place is another one.
    Term(usize, String),
}

/// A policy whose clauses can be changed.
pub(crate) struct Variant<'v, 'a> {
    variants: &'v mut Variants<'a>,
    name: Name,
    /// The place of its file.
    file: usize,
    /// How many lines of each file stand outside of policies.
    outside: Vec<usize>,
}

/// Texts that were read before.
struct Again<'a>(&'a Sources);

impl Loader for Again<'_> {
    fn read(&self, path: &str) -> Result<String, String> {
        let file = self.0.files().find(|file| file.name == path);
        file.map(|file| file.text.clone()).ok_or_else(|| "no such file".to_owned())
    }
}

impl<'a> Variants<'a> {
    /// The policies of `sources`, which were read without an error.
    pub(crate) fn of(sources: &Sources, groups: &'a GroupIds) -> Self {
        let main = sources.files().next();
        let (name, text) = main.map_or(("", ""), |main| (&main.name, &main.text));
        let mut loaded = syntax::load(name, text, &Again(sources));
        let clauses = syntax::clauses(loaded.files.iter().map(|(_, file)| file)).collect();
        let mut policies = BTreeMap::new();
        for (at, (_, file)) in loaded.files.iter_mut().enumerate() {
            let (own, outside): (Vec<_>, Vec<_>) =
                std::mem::take(&mut file.items).into_iter().partition(is_policy);
            file.items = outside;
            for item in own {
                let Item::Clause(policy) = item else { continue };
                let text = |at: usize| policy.terms.get(at).map(|term| term.text.to_string());
                let parent = text(2).filter(|word| word == "extends").and_then(|_| text(3));
                if let Some(name) = text(1) {
                    policies.insert(name, (at, policy, parent));
                }
            }
        }
        Self { loaded, policies, groups, clauses }
    }

    /// The policy called `name`; `None` if there is none.
    pub(crate) fn policy(&mut self, name: &Name) -> Option<Variant<'_, 'a>> {
        let file = self.policies.get(name.as_str())?.0;
        let outside = self.loaded.files.iter().map(|(_, file)| file.items.len()).collect();
        let mut next = self.policies.get(name.as_str());
        // Those that it extends stand before it in no certain order, which means nothing.
        while let Some((at, policy, parent)) = next {
            self.loaded.files[*at].1.items.push(Item::Clause(policy.clone()));
            next = parent.as_ref().and_then(|parent| self.policies.get(parent));
        }
        Some(Variant { variants: self, name: name.clone(), file, outside })
    }
}

fn is_policy(item: &Item) -> bool {
    let Item::Clause(clause) = item else { return false };
    clause.block.is_some() && !matches!(clause.keyword(), Some("let" | "include"))
}

impl Variant<'_, '_> {
    /// The clauses that the policy itself has, expectations aside.
    pub(crate) fn clauses(&self) -> Vec<Written> {
        let mut all = Vec::new();
        let items = &self.variants.loaded.files[self.file].1.items;
        let Item::Clause(itself) = &items[self.outside[self.file]] else { return all };
        for (at, line) in lines(itself) {
            if matches!(line.keyword(), Some("expect" | syntax::ALLOW)) {
                continue;
            }
            all.push(self.written((at, None), "", line));
            let within = lines(line).filter(|(_, line)| line.keyword() != Some(syntax::ALLOW));
            let block = line.keyword().unwrap_or_default();
            all.extend(within.map(|(within, line)| self.written((at, Some(within)), block, line)));
        }
        all
    }

    /// Whether opening a block says something beside the clauses that are in it.
    pub(crate) fn says_something(&mut self, block: &Written, clauses: &[Written]) -> bool {
        let within = clauses.iter().filter(|clause| clause.place.0 == block.place.0);
        let within = within.filter(|clause| clause.place.1.is_some());
        let edits: Vec<_> = within.map(|clause| (clause.place, Edit::Drop)).collect();
        let empty = self.with(&edits);
        empty.is_none() || empty != self.with(&[(block.place, Edit::Drop)])
    }

    fn written(&self, place: Place, block: &str, line: &Clause) -> Written {
        let (span, said) = (syntax::said_at(line), syntax::said(line));
        let words = self.variants.clauses.at(span);
        Written {
            place,
            span,
            words: words.map(|clause| clause.words.clone()).unwrap_or_default(),
            block: block.to_owned(),
            terms: said.to_vec(),
            values: syntax::values(said),
            is_block: line.block.is_some(),
        }
    }

    /// The policy with these changes; `None` if something would be wrong with it then.
    pub(crate) fn with(&mut self, edits: &[(Place, Edit)]) -> Option<Policy> {
        let items = &mut self.variants.loaded.files[self.file].1.items;
        let place = self.outside[self.file];
        let mut changed = match &items[place] {
            Item::Clause(policy) => policy.clone(),
            Item::Comment(_) => return None,
        };
        for (place, edit) in edits {
            change(&mut changed, *place, edit)?;
        }
        let before = std::mem::replace(&mut items[place], Item::Clause(changed));
        let checked = check(&self.variants.loaded, self.variants.groups);
        self.variants.loaded.files[self.file].1.items[place] = before;
        let is_it = |policy: &Policy| policy.name == self.name;
        checked.policies.into_iter().map(|written| written.node).find(is_it)
    }
}

impl Drop for Variant<'_, '_> {
    fn drop(&mut self) {
        for ((_, file), outside) in self.variants.loaded.files.iter_mut().zip(&self.outside) {
            file.items.truncate(*outside);
        }
    }
}

/// All that a policy says but what it expects.
pub(crate) fn said(policy: &Policy) -> String {
    print(&policy.without_expectations(), Detail::Everything)
}

/// The clauses in the block of `around`, each with its place.
fn lines(around: &Clause) -> impl Iterator<Item = (usize, &Clause)> {
    let items = around.block.iter().flat_map(|block| block.items.iter().enumerate());
    items.filter_map(|(at, item)| match item {
        Item::Clause(clause) => Some((at, &**clause)),
        Item::Comment(_) => None,
    })
}

/// Changes the clause of `policy` at `place`; `None` if there is none.
fn change(policy: &mut Clause, (line, within): Place, edit: &Edit) -> Option<()> {
    let mut item = policy.block.as_mut()?.items.get_mut(line)?;
    if let Some(within) = within {
        let Item::Clause(around) = item else { return None };
        item = around.block.as_mut()?.items.get_mut(within)?;
    }
    match (edit, &mut *item) {
        (Edit::Drop, item) => {
            let text = "#".into();
            *item = Item::Comment(Comment { text, on_own_line: true, after_gap: false });
        }
        (Edit::Term(at, text), Item::Clause(clause)) => {
            clause.terms.get_mut(*at)?.text = text.as_str().into();
        }
        (Edit::DropTerm(at), Item::Clause(clause)) => {
            if *at >= clause.terms.len() {
                return None;
            }
            let dropped = clause.terms.remove(*at);
            if let (false, Some(before)) = (dropped.comma, at.checked_sub(1)) {
                clause.terms[before].comma = false;
            }
        }
        (_, Item::Comment(_)) => return None,
    }
    Some(())
}
