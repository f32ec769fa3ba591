//! Which clause a line is, and the reading of it.

use std::any::Any;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::between;
use super::braces::{value_inside, without_block};
use super::expect;
use super::form::{Draft, Ending, Form, Seen};
use super::given::{Context, Given};
use super::lists::Inherit;
use super::misread::{Place, misread};
use super::spelling::{EXPECT, Spelling, is_word, term_text};
use super::words::suggest;
use crate::diag::{Diagnostic, Hint, Problem, Report, shown};
use crate::policy::expectation::Expectation;
use crate::policy::setting::Setting;
use crate::span::Span;
use crate::syntax::ast::{Block, Clause, Term, TermKind};
use crate::syntax::{ALLOW, trailing_allow};

/// Most clauses of a block among which is looked for one that stands there already.
const MOST_SIBLINGS: usize = 100;

/// How the clauses of a kind of policy are spelt.
pub(crate) fn spellings<D: Draft>(kind: &'static str) -> Vec<Spelling> {
    let spelling = |form: &Form<D>| {
        let Form { block, words, example, .. } = *form;
        Spelling { kind, block, words, example }
    };
    D::FORMS.iter().map(spelling).collect()
}

/// What stands before the clauses of a policy.
#[derive(Clone, Copy)]
pub(crate) struct Heading<'n, 'a> {
    /// `sidecar`.
    pub(crate) kind: &'static str,
    /// Its name; empty if it has none.
    pub(crate) name: &'n str,
    /// The place of the name, or of what is where it should be.
    pub(crate) at: Span,
    /// All of the policy.
    pub(crate) clause: &'a Clause,
}

/// A policy that was read.
pub(crate) struct Read<P> {
    /// What its clauses say, for those that extend it.
    pub(crate) draft: Rc<dyn Any>,
    /// How many values there are in its lists.
    pub(crate) values: usize,
    /// What it means.
    pub(crate) policy: P,
    /// Whether every value was there.
    pub(crate) is_whole: bool,
    /// What it expects.
    pub(crate) expectations: Vec<Setting<Expectation>>,
}

impl<P> Read<P> {
    /// The same, with its meaning as something else.
    pub(crate) fn map<Q>(self, change: impl FnOnce(P) -> Q) -> Read<Q> {
        let Self { draft, values, policy, is_whole, expectations } = self;
        Read { draft, values, policy: change(policy), is_whole, expectations }
    }
}

/// Reads a policy, which extends the one whose draft `parent` is.
pub(crate) fn policy<'a, D: Draft>(
    heading: Heading<'_, 'a>,
    parent: Option<&dyn Any>,
    context: &mut Context<'a>,
) -> Read<D::Policy> {
    let Heading { kind, name, at, clause } = heading;
    // A policy extends none of another kind.
    let mut draft: D = parent.and_then(|parent| parent.downcast_ref()).cloned().unwrap_or_default();
    let (seen, is_whole, expectations) = read(&mut draft, (kind, name), clause, context);
    let report = &mut context.report;
    let policy =
        draft.clone().finish(&mut Ending { name, at, span: clause.span, seen: &seen, report });
    let mut inherit = Inherit::default();
    draft.lists(&mut inherit);
    Read { draft: Rc::new(draft), values: inherit.values, policy, is_whole, expectations }
}

/// The clauses of one policy, before they are read.
struct Collected<'c, 'a, D: 'static> {
    /// `sidecar`.
    kind: &'static str,
    /// Its name.
    name: &'c str,
    context: &'c mut Context<'a>,
    /// The block whose clauses are read.
    siblings: Option<&'a Block>,
    found: Vec<Found<'a, D>>,
    /// Whether every value is there.
    is_whole: bool,
    expectations: Vec<Setting<Expectation>>,
}

/// A line, and the clause that it is.
struct Found<'a, D: 'static> {
    form: &'static Form<D>,
    also: bool,
    values: &'a [Term],
    span: Span,
}

/// Reads the clauses of `policy`, which is of `kind` and called `name`, into `draft`; which there were,
/// whether every value was there, and what the policy expects.
fn read<'a, D: Draft>(
    draft: &mut D,
    (kind, name): (&'static str, &str),
    policy: &'a Clause,
    context: &mut Context<'a>,
) -> (Seen, bool, Vec<Setting<Expectation>>) {
    let mut collected = Collected::<D> {
        kind,
        name,
        context,
        siblings: None,
        found: Vec::new(),
        is_whole: true,
        expectations: Vec::new(),
    };
    collected.block("", policy);
    let Collected { found, mut is_whole, expectations, .. } = collected;
    // `also` adds to what the policy says, wherever the two stand.
    let (last, first): (Vec<_>, Vec<_>) = found.iter().partition(|found| found.also);
    for &Found { form, also, values: terms, span } in first.into_iter().chain(last) {
        let (values, all) = context.lets.values(terms, span, &mut context.report);
        is_whole &= all;
        let is_whole = all;
        if values.is_empty() && !terms.is_empty() {
            continue;
        }
        let (clause, example) = (form.words, form.example);
        let mut given = Given { context, clause, example, values, is_whole, also, span };
        if !example.is_empty() || given.has_no_value() {
            (form.apply)(draft, &mut given);
        }
    }
    (once_each(&found, context), is_whole, expectations)
}

/// Reports what is given twice.
fn once_each<D>(found: &[Found<'_, D>], context: &mut Context<'_>) -> Seen {
    let mut seen: BTreeMap<_, &Found<'_, D>> = BTreeMap::new();
    for second in found {
        let key = (second.form.block, second.form.words);
        let Some(first) = seen.get(&key).filter(|_| !second.form.words.is_empty()) else {
            seen.insert(key, second);
            continue;
        };
        context.report.push(
            Problem::Duplicate {
                clause: second.form.words.to_owned(),
                joined: joined(first, second, &context.report),
            }
            .at(second.span, "second")
            .also(first.span, "first"),
        );
    }
    seen.into_iter().map(|(key, found)| (key, found.span)).collect()
}

/// Both clauses as one, if that is a clause without a mistake, and short enough to read.
fn joined<D>(first: &Found<'_, D>, second: &Found<'_, D>, report: &Report) -> Option<String> {
    const LONGEST: usize = 200;
    let both = || first.values.iter().chain(second.values);
    let is_plain = |term: &Term| {
        matches!(term.kind, TermKind::Word | TermKind::Variable)
            && !matches!(&*term.text, "*" | "none")
    };
    let length: usize = both().map(|term| term.text.len() + 3).sum();
    if !first.form.is_list
        || length > LONGEST
        || !both().all(is_plain)
        || [first, second].iter().any(|found| report.has_error_in(found.span))
    {
        return None;
    }
    let sign = |term: &Term| if term.kind == TermKind::Variable { "$" } else { "" };
    let values: Vec<_> = both().map(|term| format!("{}{}", sign(term), term.text)).collect();
    let also = if first.also && second.also { "also " } else { "" };
    Some(format!("{also}{} {}", first.form.words, values.join(", ")))
}

impl<'a, D: Draft> Collected<'_, 'a, D> {
    /// The clauses of the block of `around`, which is called `name`.
    fn block(&mut self, name: &'static str, around: &'a Clause) {
        let outside = std::mem::replace(&mut self.siblings, around.block.as_ref());
        for clause in around.block.iter().flat_map(Block::clauses) {
            if !clause.broken {
                let mut terms = &clause.terms[..];
                while !terms.is_empty() {
                    terms = self.clause(name, clause, terms);
                }
            } else if let Some(block) = clause.keyword().and_then(block_named::<D>)
                && name.is_empty()
            {
                self.block(block, clause);
            }
        }
        self.siblings = outside;
    }

    /// The first clause of `terms`, which are those of `line` or what is left of them. What is
    /// left behind it is another clause without a `;` before it.
    fn clause(&mut self, block: &'static str, line: &'a Clause, terms: &'a [Term]) -> &'a [Term] {
        let also = is_word(&terms[0], "also");
        let words = if also { &terms[1..] } else { terms };
        let Some(first) = words.first() else {
            let example = "`also exclude port 15020`".to_owned();
            let problem = Problem::Missing { what: "clause", clause: "also".to_owned(), example };
            return self.spoiled(problem.at(terms[0].span.behind(), "expected a clause here"));
        };
        if first.kind != TermKind::Word {
            let problem = Problem::Punctuation {
                what: "a clause that does not begin with a word",
                instead: "write the words before the values: `exclude port $health`".into(),
            };
            return self.spoiled(problem.at(first.span, ""));
        }
        if let (Some(inside), true) = (&line.block, matches!(&*first.text, ALLOW | EXPECT)) {
            let clause = first.text.to_string();
            return self.spoiled(Problem::SurplusBlock { clause }.at(inside.open, ""));
        }
        if is_word(first, ALLOW) {
            if also {
                let instead = "leave out `also`: each `allow` stands for itself".to_owned();
                let problem = Problem::AddsNothing { clause: ALLOW.to_owned(), instead };
                return self.spoiled(problem.at(terms[0].span, ""));
            }
            return &[];
        }
        if is_word(first, EXPECT) {
            if also {
                let instead = "leave out `also`: expectations are never replaced".to_owned();
                let problem = Problem::AddsNothing { clause: EXPECT.to_owned(), instead };
                return self.spoiled(problem.at(terms[0].span, ""));
            }
            if !block.is_empty() {
                let place = format!("in `{block}`");
                let instead = format!("write it in the policy, outside of `{block}`");
                let problem = Problem::WrongPlace { clause: EXPECT.to_owned(), place, instead };
                return self.spoiled(problem.at(first.span, ""));
            }
            let span = first.span.to(words[words.len() - 1].span);
            let read = expect::read(words, span, self.context);
            self.is_whole &= read.is_some();
            self.expectations.extend(read.map(|read| Setting::written(read, span)));
            return &[];
        }
        if let Some(name) = block_named::<D>(&first.text).filter(|_| block.is_empty()) {
            let is_clause = form_of::<D>(name, &words[1..]).is_some();
            if line.block.is_some() && !is_clause {
                self.opened(name, line, words, also);
                return &[];
            }
            if form::<D>("", name).is_none() || is_clause {
                return self.spoiled(without_block::<D>(name, words, is_clause, line));
            }
        }
        let Some((form, count)) = form_of::<D>(block, words) else {
            self.unknown(block, line, words);
            return &[];
        };
        let last_word = &words[count - 1];
        if last_word.comma || count > 1 && words[0].comma {
            let problem = Problem::Punctuation {
                what: "a comma without a value before it",
                instead: "remove the comma: values stand right behind the words".into(),
            };
            return self.spoiled(problem.at(last_word.span.behind(), ""));
        }
        if also && !form.is_list {
            let instead = format!("write `{} …`, which replaces what was inherited", form.words);
            let problem = Problem::AddsNothing { clause: form.words.to_owned(), instead };
            return self.spoiled(problem.at(terms[0].span, "there is no list to add to"));
        }
        let said = trailing_allow(words).unwrap_or(words.len()).max(count);
        if let (Some(inside), true) =
            (&line.block, words.len() == count && !form.example.is_empty())
            && let Some(values) = between::braced(inside)
        {
            let found = between::in_braces(form.words, last_word, line, inside, &values);
            return self.spoiled(found);
        }
        let (values, rest) = self.values(form, &words[count..said], last_word);
        let Some(values) = values else { return rest };
        let last = values.last().unwrap_or(last_word);
        if let (Some(inside), true) = (&line.block, rest.is_empty()) {
            let problem = Problem::SurplusBlock { clause: form.words.to_owned() };
            self.context.report.push(problem.at(inside.open, ""));
        }
        self.found.push(Found { form, also, values, span: terms[0].span.to(last.span) });
        rest
    }

    /// Parts the values of a clause from another clause behind them; no values if something is wrong with
    /// how they are put together, which is reported.
    fn values(
        &mut self,
        form: &Form<D>,
        terms: &'a [Term],
        last_word: &Term,
    ) -> (Option<&'a [Term]>, &'a [Term]) {
        let begins_clause = |at: usize| {
            is_word(&terms[at], "also") || form_of::<D>(form.block, &terms[at..]).is_some()
        };
        let before = |at: usize| if at == 0 { last_word } else { &terms[at - 1] };
        let starts = usize::from(terms.len() < 2);
        let end = (starts..terms.len()).find(|at| !before(*at).comma && begins_clause(*at));
        let (values, rest) = terms.split_at(end.unwrap_or(terms.len()));
        if values.is_empty()
            && let Some((again, count)) = form_of::<D>(form.block, rest)
            && again.words == form.words
            && rest.len() > count
        {
            let instead = format!("remove one `{}`", form.words).into();
            let problem = Problem::Punctuation { what: "a clause that begins twice", instead };
            let second = last_word.span.behind().to(rest[count - 1].span);
            let label = Hint::with("the second", "").replacing(second);
            self.context.report.push(problem.at(rest[0].span, label));
            return (None, &[]);
        }
        if !rest.is_empty() && !values.is_empty() {
            let problem = Problem::MissingSeparator { separator: ';', instead: None };
            let label = "expected `;` or a new line here";
            self.context.report.push(problem.at(before(values.len()).span.behind(), label));
        }
        let opposite = |verb: &str| {
            let kind = form.words.split_once(' ').map_or("", |(_, kind)| kind);
            self::form::<D>(form.block, &format!("{verb} {kind}")).is_some()
        };
        let has_both = opposite("capture") && opposite("exclude");
        let mistake = between::negation(form.block, form.words, values, has_both)
            .or_else(|| between::mistake(form.words, values, form.room()));
        let Some(mistake) = mistake else { return (Some(values), rest) };
        self.context.report.push(mistake);
        (None, rest)
    }

    /// `inbound { … }`, `mode tproxy { … }`.
    fn opened(&mut self, name: &'static str, line: &'a Clause, words: &'a [Term], also: bool) {
        if also {
            let instead = format!("write it before the clauses inside: `{name} {{ also … }}`");
            let problem = Problem::AddsNothing { clause: name.to_owned(), instead };
            self.context.report.push(problem.at(line.head(), ""));
        }
        let values = &words[1..];
        let opening = form::<D>(name, "");
        if let Some(form) = opening {
            self.found.push(Found { form, also: false, values: &[], span: line.head() });
        }
        match form::<D>("", name) {
            Some(form) if opening.is_none() && values.is_empty() => {
                if let Some(problem) = value_inside::<D>(name, line) {
                    self.context.report.push(problem);
                    return;
                }
                let example = format!("`{name} {} {{ … }}`", form.example);
                let problem = Problem::Missing { what: "value", clause: name.to_owned(), example };
                let behind = words[0].span.behind();
                self.context.report.push(problem.at(behind, "expected a value here"));
            }
            Some(form) if opening.is_none() || !values.is_empty() => {
                self.found.push(Found { form, also: false, values, span: line.head() });
            }
            None if !values.is_empty() => {
                let problem = Problem::TooManyValues { clause: name.to_owned(), most: "no value" };
                let at = values[0].span.to(values[values.len() - 1].span);
                self.context.report.push(problem.at(at, "expected `{` before it"));
            }
            _ => {}
        }
        self.block(name, line);
    }

    /// The clause whose list a value at `at` may belong to, with its values.
    fn list_before(&self, block: &'static str, words: &[Term]) -> Option<(&'static str, String)> {
        let are_values = words.iter().all(|word| between::is_value(&term_text(word)));
        let last =
            self.found.last().filter(|last| last.form.block == block && last.form.is_list)?;
        let is_before = last.span.end <= words[0].span.start && !last.values.is_empty();
        let all = last.values.iter().chain(words).map(term_text);
        (are_values && is_before).then(|| (last.form.words, all.collect::<Vec<_>>().join(", ")))
    }

    /// Reports a line that is no clause of `block`.
    fn unknown(&mut self, block: &'static str, line: &'a Clause, words: &'a [Term]) {
        let (kind, spellings) = (self.kind, self.context.spellings);
        let place = Place { kind, name: self.name, block, has_block: line.block.is_some() };
        let list = self.list_before(block, words);
        let siblings = self.siblings;
        // In a longer block, nobody looks for one by hand either.
        let begins_likewise = || {
            let clauses = siblings.into_iter().flat_map(Block::clauses).take(MOST_SIBLINGS);
            clauses.into_iter().any(|other| {
                let [first, second, ..] = &other.terms[..] else { return false };
                let is_other = first.span != words[0].span && first.text == words[0].text;
                is_other
                    && second.kind == TermKind::Word
                    && form_of::<D>(block, &other.terms).is_some()
            })
        };
        let report = &mut self.context.report;
        report.push_error(words[0].span, || {
            if let Some((clause, all)) = list {
                let instead = Some(format!("write `{clause} {}`", shown(&all)));
                let found = shown(&words[0].text);
                let label = format!("the list of `{clause}` has ended before it");
                return Problem::Unknown { what: "clause", found, instead }
                    .at(words[0].span, label);
            }
            let found = misread(place, words, spellings);
            // What stands there already would be there twice.
            if found.has_suggestion() && begins_likewise() {
                found.without_suggestion()
            } else {
                found
            }
        });
        // What is in it is checked as if it were called right.
        let blocks: Vec<_> = blocks::<D>();
        if block.is_empty()
            && line.block.is_some()
            && let Some(name) = suggest(&words[0].text, &blocks)
        {
            self.block(name, line);
        }
    }

    fn spoiled(&mut self, diagnostic: Diagnostic) -> &'a [Term] {
        self.context.report.push(diagnostic);
        &[]
    }
}

/// The clause of `block` that is spelt `words`.
pub(super) fn form<D: Draft>(block: &str, words: &str) -> Option<&'static Form<D>> {
    D::FORMS.iter().find(|form| form.block == block && form.words == words)
}

/// The clause of `block` that `terms` begin with, and how many words it has.
pub(super) fn form_of<D: Draft>(block: &str, terms: &[Term]) -> Option<(&'static Form<D>, usize)> {
    let matches = |form: &&Form<D>| {
        let mut words = form.words.split(' ');
        let count = words.clone().count();
        form.block == block
            && terms.len() >= count
            && terms.iter().zip(&mut words).all(|(term, word)| is_word(term, word))
    };
    let longest = |form: &&'static Form<D>| form.words.split(' ').count();
    let form = D::FORMS.iter().filter(matches).max_by_key(longest)?;
    Some((form, longest(&form)))
}

fn blocks<D: Draft>() -> Vec<&'static str> {
    let mut blocks: Vec<_> = D::FORMS.iter().map(|form| form.block).collect();
    blocks.dedup();
    blocks.retain(|block| !block.is_empty());
    blocks
}

fn block_named<D: Draft>(word: &str) -> Option<&'static str> {
    D::FORMS.iter().map(|form| form.block).find(|block| *block == word)
}
