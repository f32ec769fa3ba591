//! What stands between the values of a list, where commas belong and nothing else.

use super::form::Room;
use super::spelling::{is_word, term_text};
use super::words::bare;
use super::{addresses, numbers};
use crate::diag::{Diagnostic, Hint, Problem, shown};
use crate::net::Name;
use crate::syntax::ast::{Block, Clause, Item, Term, TermKind};

/// The first mistake in how `values` are put together, for which there is `room` behind `words`:
/// `exclude port`.
pub(crate) fn mistake(words: &str, values: &[Term], room: Room) -> Option<Diagnostic> {
    let is_sign = |term: &&Term| matches!(term.kind, TermKind::Equals | TermKind::Arrow);
    if let Some(sign) = values.iter().find(is_sign) {
        let plain: Vec<Term> = values.iter().filter(|term| !is_sign(term)).cloned().collect();
        let what = "a sign where a value belongs";
        let is_first = values.first().is_some_and(|first| first.span == sign.span);
        let (label, instead) = match (plain.is_empty(), is_first) {
            (true, _) => (Hint::default(), "write a value in its place".to_owned()),
            (false, true)
                if plain.len() + 1 == values.len()
                    && parts(&plain).iter().all(|it| is_value(it)) =>
            {
                let at = sign.span.to(values[1].span.before());
                (Hint::with("", "").replacing(at), written(words, &parts(&plain)))
            }
            (false, _) => (Hint::default(), written(words, &parts(&plain))),
        };
        return Some(Problem::Punctuation { what, instead: instead.into() }.at(sign.span, label));
    }
    if let ([first, .., last], true) = (values, is_bracketed(values)) {
        let parts: Vec<String> =
            values.iter().map(|term| bare(&term_text(term)).to_owned()).collect();
        let (what, at) = ("a list in brackets", first.span.to(last.span));
        let label = Hint::with("values stand without", parts.join(", "));
        let instead = written(words, &parts);
        return Some(Problem::Punctuation { what, instead: instead.into() }.at(at, label));
    }
    let at = values.windows(2).position(|pair| !pair[0].comma)?;
    let behind = values[at + 1..].iter().position(|term| term.comma);
    let end = behind.map_or(values.len(), |behind| at + 1 + behind + 1);
    let run = &values[at..end];
    let (glued, others) = (parts(run), run.len());
    let span = run[0].span.to(run[others - 1].span);
    let all: Vec<String> = [parts(&values[..at]), glued.clone(), parts(&values[end..])].concat();
    let fits = |part: &String| is_value_of(words, part);
    let is_whole = glued.iter().all(fits);
    let instead = written(words, &all);
    if glued.len() < others && is_whole {
        let what = if glued.len() == 1 {
            "a value with spaces in it"
        } else {
            "values with spaces in them"
        };
        let label = Hint::with("", glued.join(", "));
        return Some(Problem::Punctuation { what, instead: instead.into() }.at(span, label));
    }
    let place = run[0].span.behind();
    let has_room = match room {
        Room::Many => true,
        Room::OnePerFamily => {
            let is_ipv6 = |part: &String| part.contains(':');
            matches!(&all[..], [one, other] if is_ipv6(one) != is_ipv6(other))
        }
        Room::One => false,
    };
    if !has_room {
        let most = if room == Room::One { "one value" } else { "one address of each family" };
        let problem = Problem::TooManyValues { clause: words.to_owned(), most };
        let second = run[0].span.behind().to(run[1].span);
        let is_again = others == 2 && run[0].text == run[1].text;
        let label =
            if is_again { Hint::with("again", "").replacing(second) } else { Hint::default() };
        return Some(problem.at(run[1].span, label));
    }
    if is_whole {
        let label = Hint::with("expected `,` here", glued.join(", ")).replacing(span);
        let problem = Problem::MissingSeparator { separator: ',', instead: Some(instead) };
        return Some(problem.at(place, label));
    }
    let odd = glued.iter().find(|part| !fits(part)).map_or("", String::as_str);
    let instead = Some(format!("remove `{}`, or write `,` before it if it is a value", shown(odd)));
    let problem = Problem::MissingSeparator { separator: ',', instead };
    Some(problem.at(place, "expected `,` or the end of the clause here"))
}

/// The values in `{ 80, 81 }`, if nothing else is in there.
pub(crate) fn braced(block: &Block) -> Option<Vec<String>> {
    let mut values = Vec::new();
    for item in &block.items {
        let Item::Clause(clause) = item else { return None };
        let Clause { terms, block: None, comment: None, broken: false, .. } = &**clause else {
            return None;
        };
        values.extend(parts(terms));
    }
    let is_list = !values.is_empty() && block.comment.is_none();
    (is_list && values.iter().all(|value| is_value(value))).then_some(values)
}

/// The report on a list in the braces of `block`, which stands behind `words` and ends with `line`.
pub(crate) fn in_braces(
    words: &str,
    last_word: &Term,
    line: &Clause,
    block: &Block,
    values: &[String],
) -> Diagnostic {
    let at = last_word.span.behind().to(line.span.behind());
    let label = Hint::with("a list has no braces", format!(" {}", values.join(", "))).replacing(at);
    let problem =
        Problem::Punctuation { what: "a list in braces", instead: written(words, values).into() };
    problem.at(block.open, label)
}

/// What to write for values that are negated behind `words`, which are the clause of `block`.
pub(crate) fn negation(
    block: &str,
    words: &str,
    values: &[Term],
    opposite: bool,
) -> Option<Diagnostic> {
    let is_negation = |term: &Term| {
        term.kind == TermKind::Word
            && (term.text.starts_with('!') || is_word(term, "not") || is_word(term, "except"))
    };
    let first = values.iter().find(|term| is_negation(term))?;
    let mut negated = Vec::new();
    let mut others = Vec::new();
    let mut is_negated = false;
    for term in values {
        let text = term_text(term);
        let plain = text.trim_start_matches('!');
        is_negated |= is_negation(term);
        if plain.is_empty() || is_negation(term) && !text.starts_with('!') {
            continue;
        }
        if std::mem::take(&mut is_negated) { &mut negated } else { &mut others }
            .push(plain.to_owned());
    }
    let what = "a value that is negated";
    let turned = match words.split_once(' ') {
        Some(("capture", kind)) if opposite => Some(format!("exclude {kind}")),
        Some(("exclude", kind)) if opposite => Some(format!("capture {kind}")),
        _ => None,
    };
    let instead = match turned {
        Some(turned) if !negated.is_empty() => {
            let negated = shown(&negated.join(", "));
            let has_star =
                words.starts_with("capture") && (block == "inbound" || words != "capture port");
            match (&others[..], has_star) {
                ([], true) => format!("write `{words} *; {turned} {negated}`"),
                ([], false) => format!("write `{turned} {negated}`"),
                (others, _) => {
                    format!("write `{words} {}; {turned} {negated}`", shown(&others.join(", ")))
                }
            }
        }
        _ => format!("write what `{words}` is about; nothing is negated"),
    };
    Some(Problem::Punctuation { what, instead: instead.into() }.at(first.span, ""))
}

/// ``write `exclude port 80, 81` ``.
fn written(words: &str, values: &[String]) -> String {
    format!("write `{words} {}`", shown(&values.join(", ")))
}

fn is_bracketed(values: &[Term]) -> bool {
    let ends = |term: &Term, sign: char| term.kind == TermKind::Word && term.text.ends_with(sign);
    matches!(values, [first, .., last]
        if first.text.starts_with('[') && ends(last, ']') && !first.text.contains(']')
            || first.text.starts_with('(') && ends(last, ')') && !first.text.contains(')'))
}

/// The values that `terms` are, with those as one that only spaces part.
fn parts(terms: &[Term]) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut joins = false;
    for (at, term) in terms.iter().enumerate() {
        let text = term_text(term);
        let follows = at > 0 && !terms[at - 1].comma;
        let is_range = matches!(&*text, "to" | "through" | ".." | "until")
            && follows
            && terms.get(at + 1).is_some_and(|next| numbers::port(&next.text).is_ok());
        let begins = |text: &str| text.starts_with(['-', '/']);
        let Some(before) = parts.last_mut().filter(|_| follows) else {
            parts.push(text);
            continue;
        };
        let whole = format!("{before}{}", if is_range { "-" } else { &text });
        let goes_on = is_range || matches!(&*text, "-" | "/") && terms.get(at + 1).is_some();
        if joins || goes_on || (begins(&text) || before.ends_with(['-', '/'])) && is_value(&whole) {
            *before = whole;
            joins = goes_on;
        } else {
            parts.push(text);
        }
    }
    parts
}

/// Whether `text` is a value of the clause that begins with `words`, as far as these tell.
fn is_value_of(words: &str, text: &str) -> bool {
    if text.starts_with('$') {
        return is_value(text);
    }
    match words.rsplit(' ').next().unwrap_or_default() {
        "family" => matches!(text, "ipv4" | "ipv6"),
        "port" => numbers::any_ports(text).is_ok(),
        "to" | "from" => addresses::prefix(text).is_ok() || has_host_bits(text),
        _ => is_value(text),
    }
}

fn has_host_bits(text: &str) -> bool {
    addresses::prefix(text).is_err_and(|it| matches!(it.problem, Problem::HostBits { .. }))
}

/// Whether something reads `text` as a value; a prefix with host bits is one for this.
pub(crate) fn is_value(text: &str) -> bool {
    let has_digit = || text.contains(|c: char| c.is_ascii_digit());
    text.strip_prefix('$').is_some_and(|name| Name::new(name).is_ok())
        || numbers::any_ports(text).is_ok()
        || addresses::prefix(text).is_ok()
        || has_host_bits(text)
        || numbers::masked(text).is_ok()
        || matches!(text, "ipv4" | "ipv6")
        || has_digit()
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'*')
}
