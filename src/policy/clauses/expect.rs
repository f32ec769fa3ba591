//! `expect outbound tcp to 10.96.0.0/12 port 443 => untouched`.

use super::form::Room;
use super::given::{Context, Given, Specials};
use super::lists::List;
use super::numbers::{self, Mistake};
use super::spelling::text_of;
use super::values::{Group, Read, User};
use super::words::hint;
use super::{addresses, between};
use crate::diag::{Diagnostic, Hint, Problem, shown};
use crate::net::PortRange;
use crate::policy::expectation::{Expectation, Expected, Transport, Way};
use crate::span::Span;
use crate::syntax::ast::{Term, TermKind};

const EXAMPLE: &str = "`expect outbound tcp to 10.96.0.0/12 => untouched`";

/// Reads `terms`, the first of which is `expect`; `None` if something is wrong, which is reported.
pub(crate) fn read<'a>(
    terms: &'a [Term],
    span: Span,
    context: &mut Context<'a>,
) -> Option<Expectation> {
    let arrow = terms.iter().position(|term| term.kind == TermKind::Arrow);
    let Some(arrow) = arrow else {
        context.report.push(without_arrow(terms, span));
        return None;
    };
    let mut reading = Reading { context };
    let outcome = &terms[arrow + 1..];
    let (before, outcome) = match outcome.split_first() {
        Some((first, rest)) if is(first, "not") => (first, rest),
        _ => (&terms[arrow], outcome),
    };
    let not = before.kind == TermKind::Word;
    let is_inbound = terms.get(1).is_some_and(|way| is(way, Way::Inbound.keyword()));
    let becomes = reading.becomes(before, outcome, if is_inbound { "15006" } else { "15001" });
    let (way, rest) = reading.way(&terms[1..arrow], &terms[arrow])?;
    let expectation = reading.traffic(way, rest);
    Some(Expectation { not, becomes: becomes?, ..expectation? })
}

struct Reading<'c, 'a> {
    context: &'c mut Context<'a>,
}

impl<'a> Reading<'_, 'a> {
    fn way(&mut self, terms: &'a [Term], arrow: &Term) -> Option<(Way, &'a [Term])> {
        const WORDS: [&str; 2] = ["inbound", "outbound"];
        let Some((first, rest)) = terms.split_first() else {
            let problem = Problem::Missing {
                what: "traffic",
                clause: "expect".to_owned(),
                example: EXAMPLE.to_owned(),
            };
            self.context
                .report
                .push(problem.at(arrow.span, format!("{} before it", hint("", &WORDS))));
            return None;
        };
        let way = [Way::Inbound, Way::Outbound].into_iter().find(|way| is(first, way.keyword()));
        if way.is_none() {
            self.unknown(first, &WORDS);
        }
        Some((way?, rest))
    }

    fn traffic(&mut self, way: Way, mut terms: &'a [Term]) -> Option<Expectation> {
        let mut expectation = Expectation::of(way, Expected::Untouched);
        let mut seen: Vec<&Term> = Vec::new();
        let mut is_whole = true;
        while let Some((word, rest)) = terms.split_first() {
            let protocol =
                [Transport::Tcp, Transport::Udp].into_iter().find(|one| is(word, one.keyword()));
            let same = |other: &&&Term| {
                other.text == word.text
                    || protocol.is_some() && matches!(&*other.text, "tcp" | "udp")
            };
            if let Some(first) = seen.iter().find(same) {
                let problem = Problem::Duplicate { clause: word.text.to_string(), joined: None };
                self.context.report.push(problem.at(word.span, "second").also(first.span, "first"));
                is_whole = false;
            }
            seen.push(word);
            let (given, behind) = rest.split_at(if protocol.is_some() { 0 } else { values(rest) });
            terms = behind;
            if protocol.is_some() {
                expectation.protocol = protocol;
                continue;
            }
            let Expectation { from, to, ports, users, groups, interfaces, .. } = &mut expectation;
            if given.is_empty() && behind.first().is_some_and(|next| next.text == word.text) {
                let second = word.span.behind().to(behind[0].span);
                let instead = format!("remove one `{}`", word.text).into();
                let problem = Problem::Punctuation { what: "a word that is there twice", instead };
                let label = Hint::with("the second", "").replacing(second);
                self.context.report.push(problem.at(behind[0].span, label));
                return None;
            }
            if is_known(word)
                && let Some(mistake) = between::mistake(&word.text, given, Room::Many)
            {
                self.context.report.push(mistake);
                is_whole = false;
                continue;
            }
            if let ("to", [only]) = (&*word.text, given)
                && ports.is_empty()
                && let Some((host, port)) = addresses::with_port(&only.text)
                && let Some(port) = PortRange::new(port, port)
            {
                to.push(host.into());
                ports.push(port);
                continue;
            }
            is_whole &= match &*word.text {
                "from" => self.list("from", "10.0.0.0/8", word, given, |it| it, from),
                "to" => self.list("to", "10.96.0.0/12", word, given, |it| it, to),
                "port" => self.list("port", "443", word, given, |it| it, ports),
                "user" if way == Way::Outbound => {
                    self.list("user", "1000", word, given, |user: User| user.0, users)
                }
                "group" if way == Way::Outbound => {
                    self.list("group", "1000", word, given, |group: Group| group.0, groups)
                }
                keyword if keyword == way.interface_keyword() => {
                    let keyword = way.interface_keyword();
                    self.list(keyword, "eth1", word, given, |it| it, interfaces)
                }
                "user" | "group" | "in" | "out" => {
                    self.of_another_way(way, word, given);
                    false
                }
                "state" | "mark" | "connmark" | "kernel-socket" | "no-socket" => {
                    self.of_packets(word);
                    return None;
                }
                _ => {
                    let known: &[&str] = match way {
                        Way::Inbound => &["tcp", "udp", "from", "to", "port", "in"],
                        Way::Outbound => {
                            &["tcp", "udp", "from", "to", "port", "user", "group", "out"]
                        }
                    };
                    self.unknown(word, known);
                    false
                }
            };
        }
        is_whole.then_some(expectation)
    }

    /// Reports a word that traffic of this way has not.
    fn of_another_way(&mut self, way: Way, word: &Term, given: &[Term]) {
        let (found, values) = (shown(&word.text), shown(&text_of(given)));
        let right = way.interface_keyword();
        let (label, instead) = match (way, &*word.text) {
            (Way::Inbound, "out") => (
                Hint::with("what arrives came `in` by an interface", right),
                format!("write `in {values}`"),
            ),
            (Way::Outbound, _) => (
                Hint::with("what leaves goes `out` by an interface", right),
                format!("write `out {values}`"),
            ),
            (Way::Inbound, _) => {
                let all = word.span.to(given.last().unwrap_or(word).span);
                let label =
                    Hint::with("only what leaves has a user and a group", "").replacing(all);
                (label, format!("remove `{found} {values}`"))
            }
        };
        let problem = Problem::Unknown { what: "word", found, instead: Some(instead) };
        self.context.report.push(problem.at(word.span, label));
    }

    /// Reports a word that only one packet has.
    fn of_packets(&mut self, word: &Term) {
        let instead =
            "leave it out: an expectation is about new connections without a mark, of any process";
        let (found, instead) = (shown(&word.text), Some(instead.to_owned()));
        let problem = Problem::Unknown { what: "word", found, instead };
        self.context.report.push(problem.at(word.span, "one packet has it"));
    }

    /// Reads the values behind `word`; whether all is well with them.
    fn list<R: Read, T: Clone>(
        &mut self,
        clause: &'static str,
        example: &'static str,
        word: &'a Term,
        terms: &'a [Term],
        value: impl Fn(R) -> T,
        place: &mut Vec<T>,
    ) -> bool {
        const ANY: &str = "leave it out: what is not said may be anything";
        const REFUSED: Specials = Specials { star: Some(ANY), none: Some(ANY) };
        let span = terms.last().map_or(word.span, |last| word.span.to(last.span));
        let before = self.context.report.errors();
        let (values, is_whole) = self.context.lets.values(terms, span, &mut self.context.report);
        if values.is_empty() && !terms.is_empty() {
            return false;
        }
        let context = &mut *self.context;
        let mut given = Given { context, clause, example, values, is_whole, also: false, span };
        let mut list = List::default();
        given.list_of(&mut list, REFUSED, value);
        place.extend(list.values());
        is_whole && !list.is_none() && self.context.report.errors() == before
    }

    /// Reads what stands behind `before`, which is the arrow or `not`.
    ///
    /// `port` is where traffic of this way goes, by default.
    fn becomes(
        &mut self,
        before: &Term,
        terms: &'a [Term],
        port: &'static str,
    ) -> Option<Expected> {
        const WORDS: [&str; 5] = ["untouched", "dropped", "proxy", "to", "not"];
        let example = port;
        let words = if before.kind == TermKind::Word { &WORDS[..4] } else { &WORDS };
        let Some((first, rest)) = terms.split_first() else {
            let problem = Problem::Missing {
                what: "outcome",
                clause: "expect".to_owned(),
                example: EXAMPLE.to_owned(),
            };
            self.context.report.push(problem.at(before.span.behind(), hint("", words)));
            return None;
        };
        let (becomes, rest) = match &*first.text {
            "untouched" => (Some(Expected::Untouched), rest),
            "dropped" => (Some(Expected::Dropped), rest),
            "proxy" => {
                let (port, rest) = rest.split_at(rest.len().min(1));
                (self.one("proxy", example, first, port, numbers::port).map(Expected::Proxy), rest)
            }
            "to" => self.destination(first, rest),
            _ => {
                let Some(meant) = outcome_called(&first.text, example) else {
                    self.unknown(first, words);
                    return None;
                };
                let problem = Problem::Unknown {
                    what: "word",
                    found: shown(&first.text),
                    instead: Some(format!("write `=> {meant}`")),
                };
                let label = Hint::meant(meant, false);
                let label = if rest.is_empty() { label } else { label.to_string().into() };
                self.context.report.push(problem.at(first.span, label));
                return None;
            }
        };
        if let Some(surplus) = rest.first() {
            let found = shown(&surplus.text);
            let problem = Problem::Unknown { what: "word", found, instead: None };
            self.context.report.push(problem.at(surplus.span, "expected the end of the clause"));
            return None;
        }
        becomes
    }

    /// Reads an address and perhaps a port behind `word`; also what follows them.
    fn destination(&mut self, word: &Term, terms: &'a [Term]) -> (Option<Expected>, &'a [Term]) {
        let (address, rest) = terms.split_at(terms.len().min(1));
        let address = self.one("to", "127.0.0.1", word, address, addresses::address);
        let Some((port_word, behind)) = rest.split_first().filter(|(word, _)| is(word, "port"))
        else {
            return (address.map(|address| Expected::To(address, None)), rest);
        };
        let (port, rest) = behind.split_at(behind.len().min(1));
        let port = self.one("port", "8600", port_word, port, numbers::port);
        (address.zip(port).map(|(address, port)| Expected::To(address, Some(port))), rest)
    }

    /// Reads the one value behind `word`.
    fn one<T>(
        &mut self,
        clause: &'static str,
        example: &'static str,
        word: &Term,
        terms: &'a [Term],
        read: impl Fn(&str) -> Result<T, Mistake>,
    ) -> Option<T> {
        let span = terms.last().map_or(word.span, |last| word.span.to(last.span));
        let (values, is_whole) = self.context.lets.values(terms, span, &mut self.context.report);
        let context = &mut *self.context;
        let mut given = Given { context, clause, example, values, is_whole, also: false, span };
        given.scalar(read)
    }

    fn unknown(&mut self, word: &Term, known: &[&str]) {
        let problem = Problem::Unknown { what: "word", found: shown(&word.text), instead: None };
        self.context.report.push(problem.at(word.span, hint(&word.text, known)));
    }
}

/// The report on `terms`, which have no `=>`.
fn without_arrow(terms: &[Term], span: Span) -> Diagnostic {
    let said = shown(&text_of(terms));
    let missing = |example: String| Problem::Missing {
        what: "outcome",
        clause: "expect".to_owned(),
        example,
    };
    let is_sign = |term: &&Term| {
        term.kind == TermKind::Equals
            || matches!(
                &*term.text,
                "->" | "-->" | ">" | "is" | "be" | "becomes" | ":" | "then" | "==>"
            )
    };
    if let Some(sign) = terms.iter().find(is_sign) {
        let before: Vec<Term> =
            terms.iter().take_while(|term| term.span != sign.span).cloned().collect();
        let behind: Vec<Term> = terms.iter().skip(before.len() + 1).cloned().collect();
        let text = format!("{} => {}", text_of(&before), text_of(&behind));
        let found = if sign.kind == TermKind::Equals { "=".to_owned() } else { shown(&sign.text) };
        let instead = Some(format!("write `{}`", shown(&text)));
        let problem = Problem::Unknown { what: "word", found, instead };
        // `=->`: what follows without a space is part of it.
        let part = behind.first().filter(|next| next.span.start == sign.span.end);
        let at = part.map_or(sign.span, |next| sign.span.to(next.span));
        return problem.at(at, Hint::meant("=>", false));
    }
    let is_outcome = |term: &&Term| matches!(&*term.text, "untouched" | "dropped" | "proxy");
    if let Some(at) = terms.iter().skip(1).position(|term| is_outcome(&term)) {
        let at = if is(&terms[at], "not") { at } else { at + 1 };
        let outcome = &terms[at];
        let before: Vec<Term> =
            terms.iter().take_while(|term| term.span != outcome.span).cloned().collect();
        let behind: Vec<Term> = terms.iter().skip(before.len()).cloned().collect();
        let example =
            format!("`{}`", shown(&format!("{} => {}", text_of(&before), text_of(&behind))));
        let at = outcome.span.before();
        // Only behind a value, nothing else can be missing there.
        let is_odd = before.last().is_none_or(|last| !between::is_value(&last.text));
        let label = Hint::with("expected `=>` here", "=> ");
        return missing(example).at(at, if is_odd { label.said() } else { label });
    }
    let example =
        if terms.len() < 2 { EXAMPLE.to_owned() } else { format!("`{said} => untouched`") };
    missing(example).at(span.behind(), "expected `=>` here")
}

/// The outcome that others, and people, call `word`; `port` is where traffic of this way goes by default.
fn outcome_called(word: &str, port: &str) -> Option<String> {
    Some(match word {
        "captured" | "capture" | "redirected" | "redirect" | "intercepted" | "proxied"
        | "envoy" => {
            format!("proxy {port}")
        }
        "allowed" | "accepted" | "accept" | "passed" | "excluded" | "exclude" | "direct"
        | "bypassed" | "ignored" | "returned" | "return" | "unchanged" => "untouched".to_owned(),
        "denied" | "rejected" | "blocked" | "drop" | "deny" => "dropped".to_owned(),
        _ => return None,
    })
}

/// The words that traffic is told by, with those of packets that an expectation cannot have.
const KNOWN: [&str; 14] = [
    "tcp",
    "udp",
    "from",
    "to",
    "port",
    "user",
    "group",
    "in",
    "out",
    "state",
    "mark",
    "connmark",
    "kernel-socket",
    "no-socket",
];

fn is_known(term: &Term) -> bool {
    term.kind == TermKind::Word && KNOWN.contains(&&*term.text)
}

/// How many of the first of `terms` stand before the next word that traffic is told by.
fn values(terms: &[Term]) -> usize {
    let is_next = |at: &usize| is_known(&terms[*at]) && (*at == 0 || !terms[at - 1].comma);
    (0..terms.len()).find(is_next).unwrap_or(terms.len())
}

fn is(term: &Term, word: &str) -> bool {
    term.kind == TermKind::Word && &*term.text == word
}
