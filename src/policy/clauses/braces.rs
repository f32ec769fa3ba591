//! What is said of blocks whose braces are missing, or stand elsewhere.

use super::form::Draft;
use super::reading::{form, form_of};
use super::spelling::text_of;
use crate::diag::{Diagnostic, Hint, Problem, shown};
use crate::syntax::ast::{Clause, Term};

/// The report on `mode { tproxy }`, whose value stands in the block.
pub(super) fn value_inside<D: Draft>(name: &'static str, line: &Clause) -> Option<Diagnostic> {
    let block = line.block.as_ref()?;
    let mut inside = block.clauses();
    let first = inside.next()?;
    let [value] = &first.terms[..] else { return None };
    if form_of::<D>(name, &first.terms).is_some() || first.block.is_some() || first.broken {
        return None;
    }
    let name_end = line.terms[0].span.behind();
    let is_alone = block.items.len() == 1 && block.comment.is_none() && first.comment.is_none();
    let others: Vec<_> = inside.map(|clause| text_of(&clause.terms)).collect();
    let (at, text, rest) = if is_alone {
        (name_end.to(line.span.behind()), format!(" {}", value.text), String::new())
    } else {
        let at = name_end.to(first.span);
        (at, format!(" {} {{", value.text), format!(" {{ {} }}", shown(&others.join("; "))))
    };
    let label = Hint::with("its value stands before the `{`", text).replacing(at);
    let example = format!("`{name} {}{rest}`", shown(&value.text));
    let problem = Problem::Missing { what: "value", clause: name.to_owned(), example };
    Some(problem.at(value.span, label))
}

/// The report on `dns capture *`, a block without braces.
pub(super) fn without_block<D: Draft>(
    name: &'static str,
    words: &[Term],
    is_clause: bool,
    line: &Clause,
) -> Diagnostic {
    let value = form::<D>("", name).filter(|_| form::<D>(name, "").is_none());
    let opening = value.map_or_else(|| name.to_owned(), |form| format!("{name} {}", form.example));
    let clause = name.to_owned();
    if is_clause {
        let text = format!("{opening} {{ {} }}", text_of(&words[1..]));
        let example = format!("`{}`", shown(&text));
        let at = words[0].span.to(words[words.len() - 1].span);
        let is_plain = line.block.is_none() && line.comments.is_empty();
        let label = "expected `{` behind it";
        let label = if is_plain { Hint::with(label, text).replacing(at) } else { label.into() };
        return Problem::MissingBlock { clause, example }.at(words[0].span, label);
    }
    let inside = D::FORMS.iter().find(|form| form.block == name && !form.words.is_empty());
    let inside = inside.map_or_else(
        || "…".to_owned(),
        |form| format!("{} {}", form.words, form.example).trim_end().to_owned(),
    );
    let example = format!("`{opening} {{ {inside} }}`");
    Problem::MissingBlock { clause, example }.at(words[0].span, "expected `{` behind it")
}
