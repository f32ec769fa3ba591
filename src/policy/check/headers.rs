//! The top level: which policies there are, and which extends which.

use std::collections::BTreeMap;

use crate::diag::{Diagnostic, Hint, MOST_REPORTED, Problem, Report, shown};
use crate::net::Name;
use crate::policy::clauses::graph;
use crate::policy::clauses::lets::{self, Lets, MOST_EXTENDED};
use crate::policy::clauses::spelling::{Spellings, article, is_word, term_text, text_of};
use crate::policy::clauses::words::{Names, hint, suggest};
use crate::policy::kinds::{Entry, KINDS};
use crate::span::{Span, Spanned};
use crate::syntax::ast::{Clause, Term, TermKind};
use crate::syntax::{ALLOW, Loaded};

/// Most policies of a compilation.
pub const MOST_POLICIES: usize = 100_000;

/// `sidecar reviews extends istio { … }`.
pub(super) struct Header<'a> {
    pub(super) kind: &'static Entry,
    /// `None` if it has none that can be one.
    pub(super) name: Option<Spanned<Name>>,
    /// The name, or what is where it should be.
    pub(super) at: Span,
    extends: Option<&'a Term>,
    /// The place in [`Headers::list`] of the policy that it extends.
    pub(super) parent: Option<usize>,
    /// Whether nothing was reported about it.
    pub(super) is_sound: bool,
    pub(super) clause: &'a Clause,
}

/// Every policy of every file, in the order in which they were read.
pub(super) struct Headers<'a> {
    pub(super) list: Vec<Header<'a>>,
}

impl<'a> Headers<'a> {
    /// Reads the top level of every file.
    pub(super) fn read(
        loaded: &'a Loaded,
        spellings: &Spellings,
        lists: &mut Lets<'a>,
        report: &mut Report,
    ) -> Self {
        let mut list = Vec::new();
        let mut unknown = Vec::new();
        for clause in loaded.files.iter().flat_map(|(_, tree)| tree.clauses()) {
            let kind = KINDS.iter().find(|kind| clause.keyword() == Some(kind.keyword));
            match (kind, clause.keyword()) {
                (Some(_), _) if list.len() == MOST_POLICIES => {
                    report.push_error(clause.head(), || {
                        let problem = Problem::TooMuch { what: "policies", most: MOST_POLICIES };
                        problem.at(clause.head(), "this one and the rest are not checked")
                    });
                    // Those that are not read may be extended, and may use lists.
                    lists.may_lack_some = true;
                    break;
                }
                (Some(kind), _) if clause.block.is_some() || !clause.broken => {
                    list.push(header(kind, clause, report));
                }
                // It is wrong, but what uses it is not.
                _ if clause.broken && !lets::is_without_values(clause) => {}
                (_, Some("let")) => lists.define(clause, report),
                // Loading has read and checked it.
                (_, Some("include")) => {}
                // All of these are read together.
                (_, Some(ALLOW)) if clause.block.is_none() => {}
                _ => {
                    if let [name, sign, ..] = &clause.terms[..]
                        && sign.kind == TermKind::Equals
                    {
                        lists.define_broken(name);
                    }
                    if let Some(first) = clause.terms.first() {
                        // More are not kept, however many there are.
                        if unknown.len() <= MOST_REPORTED {
                            unknown.push(self::unknown(clause, first, spellings));
                        } else {
                            report
                                .push_error(first.span, || self::unknown(clause, first, spellings));
                        }
                    }
                }
            }
        }
        // Where nothing is a policy, and nothing is nearly one, this is some other text.
        let is_other = list.is_empty() && unknown.iter().all(Diagnostic::is_without_way_out);
        let unknown = unknown.into_iter().take(if is_other { 1 } else { usize::MAX });
        report.extend(unknown.map(with_example));
        let mut headers = Self { list };
        headers.resolve(lists, report);
        headers
    }

    /// Finds what every policy extends.
    fn resolve(&mut self, lets: &Lets<'_>, report: &mut Report) {
        let mut by_name: BTreeMap<&Name, usize> = BTreeMap::new();
        let mut twice = Vec::new();
        for (at, header) in self.list.iter().enumerate() {
            let Some(name) = &header.name else { continue };
            if let Some(&first) = by_name.get(&name.node) {
                let problem = Problem::DefinedTwice { what: "policy", name: name.node.to_string() };
                report.push(problem.at(name.span, "second").also(self.list[first].at, "first"));
                twice.push(at);
            } else {
                by_name.insert(&name.node, at);
            }
        }
        let mut names = None;
        let mut parents = vec![None; self.list.len()];
        let mut orphans = twice;
        for (at, header) in self.list.iter().enumerate() {
            let Some(extends) = header.extends else { continue };
            let parent = Name::new(&extends.text).ok().and_then(|name| by_name.get(&name).copied());
            match parent {
                Some(parent) if self.list[parent].kind.keyword == header.kind.keyword => {
                    parents[at] = Some(parent);
                    continue;
                }
                Some(parent) => report.push(self.other_kind(header, extends, parent)),
                // Perhaps it is in a file that was not read.
                None if lets.may_lack_some => {}
                None => report.push_error(extends.span, || {
                    let names = names.get_or_insert_with(|| self.names());
                    Self::unknown_parent(names, header, extends)
                }),
            }
            orphans.push(at);
        }
        for at in orphans {
            self.list[at].is_sound = false;
        }
        for (header, parent) in self.list.iter_mut().zip(parents) {
            header.parent = parent;
        }
    }

    /// The names of all policies by kind.
    fn names(&self) -> BTreeMap<&'static str, Names<'_>> {
        let of = |kind| {
            let headers = self.list.iter().filter(move |header| header.kind.keyword == kind);
            headers.filter_map(|header| Some(header.name.as_ref()?.node.as_str())).collect()
        };
        KINDS.iter().map(|kind| (kind.keyword, of(kind.keyword))).collect()
    }

    fn other_kind(&self, header: &Header<'_>, extends: &Term, parent: usize) -> Diagnostic {
        let parent = &self.list[parent];
        Problem::OtherKind {
            kind: header.kind.keyword,
            name: header.name.as_ref().map_or_else(String::new, |name| name.node.to_string()),
            parent_kind: parent.kind.keyword,
            parent: extends.text.to_string(),
        }
        .at(extends.span, "")
        .also(parent.at, format!("{} {}", article(parent.kind.keyword), parent.kind.keyword))
    }

    /// What `header` extends is not among `names`, which are those of all policies by kind.
    fn unknown_parent(
        names: &BTreeMap<&'static str, Names<'_>>,
        header: &Header<'_>,
        extends: &Term,
    ) -> Diagnostic {
        let own = header.name.as_ref().map(|name| name.node.as_str());
        let names = names.get(header.kind.keyword);
        let nearest = names.and_then(|names| names.nearest(&extends.text, own));
        let label = nearest.map_or_else(Hint::default, |name| Hint::meant(name, false));
        Problem::UnknownParent { kind: header.kind.keyword, name: shown(&extends.text) }
            .at(extends.span, label)
    }

    /// The policies, each behind the one that it extends.
    pub(super) fn order(&mut self, report: &mut Report) -> Vec<usize> {
        let on: Vec<Vec<usize>> =
            self.list.iter().map(|header| header.parent.into_iter().collect()).collect();
        let order = graph::order(&on);
        for circle in &order.circles {
            let Some((&first, others)) = circle.round.split_first() else { continue };
            let header = &self.list[first];
            let name = header.name.as_ref().map_or("", |name| name.node.as_str()).to_owned();
            let problem = Problem::ExtendsCycle {
                kind: header.kind.keyword,
                name,
                is_direct: others.is_empty(),
            };
            let at = header.extends.map_or(header.at, |extends| extends.span);
            let label = if others.is_empty() { "the policy itself" } else { "leads back to it" };
            let extends = |other: &usize| Some(self.list[*other].extends?.span);
            report.push(problem.at(at, label).by_way_of(others.iter().filter_map(extends)));
            for &at in &circle.members {
                self.list[at].is_sound = false;
                self.list[at].parent = None;
            }
        }
        for &at in &order.nodes {
            let header = &mut self.list[at];
            if order.depth[at] <= MOST_EXTENDED + 1 {
                continue;
            }
            header.is_sound = false;
            header.parent = None;
            // Those that extend it are deeper still, and wrong because of it.
            if let (Some(extends), true) = (header.extends, order.depth[at] == MOST_EXTENDED + 2) {
                let name = header.name.as_ref().map_or("", |name| name.node.as_str()).to_owned();
                report.push(Problem::TooLong { name }.at(extends.span, ""));
            }
        }
        order.nodes
    }
}

/// Reads the words before the block of a policy.
fn header<'a>(entry: &'static Entry, clause: &'a Clause, report: &mut Report) -> Header<'a> {
    let before = report.errors();
    let kind = entry.keyword;
    let words = &clause.terms[1..];
    let mut header = Header {
        kind: entry,
        name: None,
        at: words.first().map_or(clause.head(), |name| name.span),
        extends: None,
        parent: None,
        is_sound: false,
        clause,
    };
    if clause.broken {
        return header;
    }
    let name = words.first().map_or_else(|| "NAME".to_owned(), |name| shown(&name.text));
    if let Some(name) = words.first() {
        match Name::new(&name.text) {
            _ if name.kind != TermKind::Word => {
                let problem = Problem::Punctuation {
                    what: "a name that is not a word",
                    instead: "write it alone: `sidecar reviews {`".into(),
                };
                report.push(problem.at(name.span, ""));
            }
            Ok(found) => header.name = Some(Spanned::new(found, name.span)),
            Err(_) if in_parentheses(&name.text).is_some() => report.push(as_a_base(kind, name)),
            Err(reason) => {
                let found = shown(&name.text);
                let label = reason.to_string();
                let most = Name::MAX_LEN;
                report.push(Problem::NotAName { found, reason, most }.at(name.span, label));
            }
        }
    } else {
        let example = format!("`{kind} NAME {{ … }}`");
        let problem = Problem::Missing { what: "name", clause: kind.to_owned(), example };
        report.push(problem.at(clause.head().behind(), "expected a name here"));
    }
    if let Some(comma) = clause.terms.iter().find(|term| term.comma) {
        let problem = Problem::Punctuation {
            what: "a comma in the name of a policy",
            instead: "a policy has one name, and extends one other".into(),
        };
        report.push(problem.at(comma.span.behind(), ""));
        return header;
    }
    match words {
        [] | [_] => {}
        [_, extends, parent] if &*extends.text == "extends" => header.extends = Some(parent),
        [_, extends] if &*extends.text == "extends" => {
            let clause = "extends".to_owned();
            let example = format!("`{kind} {name} extends NAME {{ … }}`");
            let problem = Problem::Missing { what: "name", clause, example };
            report.push(problem.at(extends.span.behind(), "expected the name of a policy here"));
        }
        [_, extends, _, surplus, ..] if &*extends.text == "extends" => {
            let found = shown(&surplus.text);
            let problem = Problem::Unknown { what: "keyword", found, instead: None };
            report.push(problem.at(surplus.span, "expected `{` before it"));
        }
        [own, base] if in_parentheses(&format!("{}{}", own.text, base.text)).is_some() => {
            let own = Term { text: format!("{}{}", own.text, base.text).into(), ..base.clone() };
            report.push(as_a_base(kind, &own));
        }
        [_, surplus, ..] => {
            let found = shown(&surplus.text);
            let problem = Problem::Unknown { what: "keyword", found, instead: None };
            let label = match suggest(&surplus.text, &["extends"]) {
                Some(word) if words.len() == 3 => Hint::meant(word, false),
                Some(word) => Hint::meant(word, false).said(),
                None => "expected `extends` or `{`".into(),
            };
            report.push(problem.at(surplus.span, label));
        }
    }
    if clause.block.is_none() && !words.is_empty() {
        let example = format!("`{kind} {name} {{ … }}`");
        let problem = Problem::MissingBlock { clause: format!("{kind} {name}"), example };
        report.push(problem.at(clause.head().behind(), "expected `{` here"));
    }
    header.is_sound = report.errors() == before;
    header
}

/// The two names of `reviews(istio)`.
fn in_parentheses(text: &str) -> Option<(&str, &str)> {
    let (name, base) = text.strip_suffix(')')?.split_once('(')?;
    (Name::new(name).is_ok() && Name::new(base).is_ok()).then_some((name, base))
}

/// The report on `reviews(istio)`, as other languages name what something builds on.
fn as_a_base(kind: &str, word: &Term) -> Diagnostic {
    let (name, base) = in_parentheses(&word.text).unwrap_or(("NAME", "NAME"));
    let instead = format!("write `{kind} {name} extends {base} {{`");
    Problem::Punctuation { what: "a policy in parentheses", instead: instead.into() }
        .at(word.span, "")
}

/// The report on a clause that is nothing at the top level.
fn unknown(clause: &Clause, first: &Term, spellings: &Spellings) -> Diagnostic {
    if let [name, sign, values @ ..] = &clause.terms[..]
        && sign.kind == TermKind::Equals
        && Name::new(&name.text).is_ok()
    {
        let text = format!("let {} = {}", name.text, shown(&text_of(values)));
        let (found, instead) =
            (shown(&term_text(name)), Some(format!("write `{}`", text.trim_end())));
        let label = Hint::with("expected `let` before it", format!("let {}", name.text));
        return Problem::Unknown { what: "clause", found, instead }.at(name.span, label);
    }
    if is_word(first, "extends") {
        let parent =
            clause.terms.get(1).map_or_else(|| "NAME".to_owned(), |name| shown(&name.text));
        let instead =
            format!("write it before the `{{` of a policy: `sidecar NAME extends {parent} {{`");
        let place = "at the top level".to_owned();
        let problem = Problem::WrongPlace { clause: "extends".to_owned(), place, instead };
        return problem.at(first.span, "");
    }
    if first.kind != TermKind::Word {
        let problem = Problem::Punctuation {
            what: "a clause that does not begin with a word",
            instead: "a policy begins with its kind and its name: `sidecar reviews {`".into(),
        };
        return problem.at(first.span, "");
    }
    let word = shown(&first.text);
    let inside = |block: bool| {
        let inside = if block { format!("{word} {{ … }}") } else { format!("{word} …") };
        let instead = format!("write it inside of a policy: `sidecar NAME {{ {inside} }}`");
        let place = "at the top level".to_owned();
        Problem::WrongPlace { clause: word.clone(), place, instead }.at(first.span, "")
    };
    if spellings.is_block(&first.text)
        && (clause.block.is_some() || !spellings.is_first_word(&first.text))
    {
        return inside(true);
    }
    if spellings.is_first_word(&first.text) {
        return inside(false);
    }
    let lower = first.text.to_ascii_lowercase();
    let meant = KINDS.iter().find(|kind| kind.also_called.contains(&&*lower));
    let label = meant.map_or_else(
        || hint(&first.text, &spellings.top_level()),
        |kind| Hint::meant(kind.keyword, false),
    );
    // Each of them has a name, and a policy a block.
    let second = clause.terms.get(1);
    let is_complete =
        second.is_some_and(|name| Name::new(&name.text).is_ok() || name.kind == TermKind::Text);
    let label = if is_complete { label } else { label.said() };
    Problem::Unknown { what: "keyword", found: word, instead: None }.at(first.span, label)
}

/// `found` with a policy to write, where nothing in it says what to write.
fn with_example(mut found: Diagnostic) -> Diagnostic {
    if found.is_without_way_out()
        && let Problem::Unknown { instead, .. } = &mut found.problem
    {
        *instead =
            Some("write a policy: `sidecar NAME { outbound { exclude port 5432 } }`".to_owned());
    }
    found
}
