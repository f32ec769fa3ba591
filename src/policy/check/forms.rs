//! Which clauses there are, and which of them a line is.

use std::collections::BTreeMap;

use super::expect;
use super::given::{Context, Given, Seen};
use super::misread::misread;
use super::words::suggest;
use crate::diag::{Diagnostic, Problem, Report, shown};
use crate::policy::{Expectation, Kind, Setting};
use crate::span::Span;
use crate::syntax::ast::{Block, Clause, Term, TermKind};

/// A policy while its clauses are read.
pub(super) trait Draft: Default + Clone + 'static {
    /// `sidecar`.
    const KIND: &'static str;
    /// The clauses of it and of its blocks.
    const FORMS: &'static [Form<Self>];

    /// Forgets what only matters to the policy that a clause was written in; how many values those
    /// that extend it inherit.
    fn inherit(&mut self) -> usize;

    /// Checks what several clauses say together, and makes the policy's meaning of it.
    fn finish(self, ending: &mut Ending<'_>) -> Kind;
}

/// What a draft is finished with.
pub(super) struct Ending<'a> {
    /// The name of the policy.
    pub(super) name: &'a str,
    /// Where it is.
    pub(super) at: Span,
    /// All of the policy.
    pub(super) span: Span,
    /// The clauses that the policy itself has.
    pub(super) seen: &'a Seen,
    pub(super) report: &'a mut Report,
}

impl Ending<'_> {
    /// Whether the policy itself has `clause`, and not one that it extends.
    pub(super) fn has(&self, clause: Option<Span>) -> bool {
        clause.is_some_and(|clause| {
            clause.file == self.span.file
                && self.span.start <= clause.start
                && clause.end <= self.span.end
        })
    }
}

/// A clause of the language.
pub(super) struct Form<D> {
    /// `outbound`; empty for a clause of the policy itself.
    pub(super) block: &'static str,
    /// `exclude port`; empty for what opening the block says.
    pub(super) words: &'static str,
    /// `15020`; empty for a clause without values.
    pub(super) example: &'static str,
    /// Whether `also` may stand before it.
    pub(super) is_list: bool,
    /// Reads it.
    pub(super) apply: fn(&mut D, &mut Given<'_, '_>),
}

impl<D> Form<D> {
    /// A clause with one value, or one of each family.
    pub(super) const fn one(
        block: &'static str,
        words: &'static str,
        example: &'static str,
        apply: fn(&mut D, &mut Given<'_, '_>),
    ) -> Self {
        Self { block, words, example, is_list: false, apply }
    }

    /// A clause with a list, to which `also` adds.
    pub(super) const fn list(
        block: &'static str,
        words: &'static str,
        example: &'static str,
        apply: fn(&mut D, &mut Given<'_, '_>),
    ) -> Self {
        Self { block, words, example, is_list: true, apply }
    }

    /// A clause without a value.
    pub(super) const fn bare(
        block: &'static str,
        words: &'static str,
        apply: fn(&mut D, &mut Given<'_, '_>),
    ) -> Self {
        Self { block, words, example: "", is_list: false, apply }
    }
}

/// The word that an expectation begins with.
pub(super) const EXPECT: &str = "expect";

/// The clauses of one policy, before they are read.
struct Collected<'c, 'a, D: 'static> {
    context: &'c mut Context<'a>,
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

/// Reads the clauses of `policy` into `draft`; which there were, whether every value was there, and
/// what the policy expects.
pub(super) fn read<'a, D: Draft>(
    draft: &mut D,
    policy: &'a Clause,
    context: &mut Context<'a>,
) -> (Seen, bool, Vec<Setting<Expectation>>) {
    let mut collected =
        Collected::<D> { context, found: Vec::new(), is_whole: true, expectations: Vec::new() };
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
                instead: "write the words before the values: `exclude port $health`",
            };
            return self.spoiled(problem.at(first.span, ""));
        }
        if is_word(first, EXPECT) && line.block.is_none() {
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
            if line.block.is_some() {
                self.opened(name, line, words, also);
                return &[];
            }
            if form::<D>("", name).is_none() {
                let is_clause = form_of::<D>(name, &words[1..]).is_some();
                let inside =
                    if is_clause { shown(&text_of(&words[1..])) } else { "…".to_owned() };
                let example = format!("`{name} {{ {inside} }}`");
                let problem = Problem::MissingBlock { clause: name.to_owned(), example };
                return self.spoiled(problem.at(first.span, "expected `{` behind it"));
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
                instead: "remove the comma: values stand right behind the words",
            };
            return self.spoiled(problem.at(last_word.span.behind(), ""));
        }
        if also && !form.is_list {
            let instead = format!("write `{} …`, which replaces what was inherited", form.words);
            let problem = Problem::AddsNothing { clause: form.words.to_owned(), instead };
            return self.spoiled(problem.at(terms[0].span, "there is no list to add to"));
        }
        let Ok((values, rest)) = self.values(block, &words[count..], last_word) else {
            return &[];
        };
        let last = values.last().unwrap_or(last_word);
        if let Some(inside) = line.block.as_ref().filter(|_| rest.is_empty()) {
            let problem = Problem::SurplusBlock { clause: form.words.to_owned() };
            self.context.report.push(problem.at(inside.open, ""));
        }
        self.found.push(Found { form, also, values, span: terms[0].span.to(last.span) });
        rest
    }

    /// Parts the values of a clause from another clause behind them.
    fn values(
        &mut self,
        block: &'static str,
        terms: &'a [Term],
        last_word: &Term,
    ) -> Result<(&'a [Term], &'a [Term]), ()> {
        for (at, term) in terms.iter().enumerate() {
            let before = if at == 0 { last_word } else { &terms[at - 1] };
            if before.comma {
                continue;
            }
            let begins_clause =
                is_word(term, "also") || form_of::<D>(block, &terms[at..]).is_some();
            if at > 0 || begins_clause && terms.len() > 1 {
                if at == 0 {
                    return Ok(terms.split_at(0));
                }
                if begins_clause {
                    let problem = Problem::MissingSeparator { separator: ';', instead: None };
                    let label = "expected `;` or a new line here";
                    self.context.report.push(problem.at(before.span.behind(), label));
                    return Ok(terms.split_at(at));
                }
                let sign = [before, term]
                    .into_iter()
                    .find(|term| matches!(term.kind, TermKind::Equals | TermKind::Arrow));
                let diagnostic = if let Some(sign) = sign {
                    Problem::Punctuation {
                        what: "a sign where a value belongs",
                        instead: "values stand right behind the words: `exclude port 80`",
                    }
                    .at(sign.span, "")
                } else if is_word(term, "-") && at + 1 < terms.len() {
                    Problem::Punctuation {
                        what: "a range with spaces in it",
                        instead: "write it without: `8000-8999`",
                    }
                    .at(before.span.to(terms[at + 1].span), "")
                } else {
                    Problem::MissingSeparator { separator: ',', instead: None }
                        .at(before.span.behind(), "expected `,` here")
                };
                self.context.report.push(diagnostic);
                return Err(());
            }
        }
        Ok((terms, &[]))
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

    /// Reports a line that is no clause of `block`.
    fn unknown(&mut self, block: &'static str, line: &'a Clause, words: &'a [Term]) {
        self.context.report.push_error(words[0].span, || misread(D::KIND, block, words));
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

pub(super) fn is_word(term: &Term, word: &str) -> bool {
    term.kind == TermKind::Word && &*term.text == word
}

/// The first few of `terms` as they were written.
pub(super) fn text_of(terms: &[Term]) -> String {
    let text = |term: &Term| {
        let sign = if term.kind == TermKind::Variable { "$" } else { "" };
        format!("{sign}{}{}", term.text, if term.comma { "," } else { "" })
    };
    terms.iter().take(64).map(text).collect::<Vec<_>>().join(" ")
}

fn form<D: Draft>(block: &str, words: &str) -> Option<&'static Form<D>> {
    D::FORMS.iter().find(|form| form.block == block && form.words == words)
}

/// The clause of `block` that `terms` begin with, and how many words it has.
fn form_of<D: Draft>(block: &str, terms: &[Term]) -> Option<(&'static Form<D>, usize)> {
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
