//! Random small edits of good policies: what is said of them, and whether what is suggested helps.

use std::fs;
use std::ops::Range;

use netweir::diag::{Diagnostic, Suggestion, apply};
use netweir::policy::{Detail, print};
use netweir::span::Sources;
use netweir::{Options, compile};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::common::policies::policies;
use crate::common::shipped::{Files, root, rulesets};

/// How many edits are tried.
const EDITS: usize = 3000;

/// A sequence of numbers that is the same every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % most
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Good policies, by the names that their includes are relative to: those that ship, and random ones.
fn good() -> Vec<(String, String)> {
    let shipped = rulesets().into_iter().map(|path| {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(&path).unwrap())
    });
    let mut runner = TestRunner::deterministic();
    let random = (0..60).map(|at| {
        let policy = policies().new_tree(&mut runner).unwrap().current();
        (format!("random-{at}.weir"), print(&policy, Detail::Differences))
    });
    let is_good =
        |(name, text): &(String, String)| text.len() < 2000 && errors(name, text).1.is_empty();
    shipped.chain(random.collect::<Vec<_>>()).filter(is_good).collect()
}

/// The errors of a text.
fn errors(name: &str, text: &str) -> (Sources, Vec<Diagnostic>) {
    let options = Options { verify: false, ..Options::default() };
    match compile(name, text, &Files, &options) {
        Ok(compilation) => (compilation.sources, Vec::new()),
        Err(failure) => {
            let errors = failure.diagnostics.into_iter().filter(Diagnostic::is_error).collect();
            (failure.sources, errors)
        }
    }
}

/// The places of words and signs, comments left out.
fn tokens(text: &str) -> Vec<Range<usize>> {
    let mut tokens = Vec::new();
    let mut rest = 0;
    while let Some(start) = text[rest..].find(|c: char| !c.is_whitespace()).map(|at| rest + at) {
        let end_of = |stop: &dyn Fn(char) -> bool| {
            text[start..].find(stop).map_or(text.len(), |at| start + at)
        };
        let is_sign = |c: char| ",;{}".contains(c);
        rest = match text[start..].chars().next() {
            Some('#') => end_of(&|c| c == '\n'),
            Some('"') => text[start + 1..].find('"').map_or(text.len(), |at| start + at + 2),
            Some(c) if is_sign(c) => start + 1,
            _ => end_of(&|c| c.is_whitespace() || is_sign(c)),
        };
        if !text[start..].starts_with('#') {
            tokens.push(start..rest);
        }
    }
    tokens
}

/// A text that was good.
struct Edit {
    /// What was done to it.
    kind: &'static str,
    /// Whether that is one mistake, as people make it: what is put in the place of a word is one too many, and
    /// one is missing.
    is_one_mistake: bool,
    text: String,
}

/// `text` with one small edit.
fn edited(text: &str, chance: &mut Chance) -> Edit {
    const SIGNS: &[&str] = &[
        ",", ";", "{", "}", "=", "=>", ":", "(", ")", "!", "-", "/", "//", "->", "*", "not", "none",
    ];
    const UNITS: &[&str] =
        &["/tcp", "/8", "/33", "s", ".0", ":80", "-", "0", "!", "%", "k", "/", "]"];
    let tokens = tokens(text);
    let at = chance.below(tokens.len());
    let token = tokens[at].clone();
    let word = &text[token.clone()];
    let replaced = |range: Range<usize>, with: &str| {
        format!("{}{with}{}", &text[..range.start], &text[range.end..])
    };
    let letter = |chance: &mut Chance| {
        let starts: Vec<usize> = word.char_indices().map(|(at, _)| at).collect();
        *chance.one_of(&starts)
    };
    let is_word = word.starts_with(|c: char| c.is_ascii_alphanumeric());
    let pick = |chance: &mut Chance, all: &[&'static str]| -> &'static str {
        all[chance.below(all.len())]
    };
    let (kind, is_one_mistake, text) = match chance.below(11) {
        0 => ("a token less", true, replaced(token, "")),
        1 => ("a token twice", true, replaced(token, &format!("{word} {word}"))),
        2 => ("another token", false, replaced(token, &text[chance.one_of(&tokens).clone()])),
        3 if at + 1 < tokens.len() => {
            let next = tokens[at + 1].clone();
            let between = &text[token.end..next.start];
            let swapped = format!("{}{between}{word}", &text[next.clone()]);
            ("neighbours swapped", false, replaced(token.start..next.end, &swapped))
        }
        4 => {
            let letter = letter(chance);
            let end = letter + word[letter..].chars().next().map_or(0, char::len_utf8);
            ("a letter less", true, replaced(token.start + letter..token.start + end, ""))
        }
        5 => {
            let at = token.start + letter(chance);
            let letter = pick(chance, &["x", "1", "-", ".", "O"]);
            ("a letter more", true, replaced(at..at, letter))
        }
        6 => ("another unit", true, replaced(token.end..token.end, pick(chance, UNITS))),
        7 => ("another sign", false, replaced(token, pick(chance, SIGNS))),
        8 => {
            let sign = format!(" {}", pick(chance, SIGNS));
            ("a sign more", false, replaced(token.end..token.end, &sign))
        }
        9 if is_word => ("brackets", true, replaced(token, &format!("[{word}]"))),
        _ if word.contains('"') || word.contains('-') || word.contains("=>") => {
            let typographic = word.replace('-', "–").replace("=>", "→");
            let typographic = typographic.replacen('"', "“", 1).replace('"', "”");
            ("a text processor", true, replaced(token, &typographic))
        }
        _ if is_word => ("a text processor", true, replaced(token, &format!("“{word}”"))),
        _ => ("a token less", true, replaced(token, "")),
    };
    Edit { kind, is_one_mistake, text }
}

/// Where the byte `at` is in the text that `suggestion` makes; `None` inside of what it replaces.
fn moved(at: usize, suggestion: &Suggestion) -> Option<usize> {
    let (start, end) = (suggestion.range.start as usize, suggestion.range.end as usize);
    if at < start {
        Some(at)
    } else if at >= end {
        Some(at - end + start + suggestion.replacement.len())
    } else {
        None
    }
}

/// The line of `text` that the byte `at` is in.
fn at_place(text: &str, at: usize) -> &str {
    let start = text[..at.min(text.len())].rfind('\n').map_or(0, |at| at + 1);
    text[start..].lines().next().unwrap_or_default()
}

/// What is wrong with a suggestion about one of `errors` of `text`, if anything is.
fn harm(
    (name, text): (&str, &str),
    errors: &[Diagnostic],
    about: &Diagnostic,
    suggestion: &Suggestion,
) -> Option<String> {
    let fixed = apply(text, std::slice::from_ref(suggestion));
    let (_, after) = self::errors(name, &fixed);
    let place = |found: &Diagnostic| found.at().map_or(0, |at| at.start as usize);
    let known = |found: &Diagnostic| {
        errors.iter().any(|error| {
            error.problem.code() == found.problem.code()
                && !std::ptr::eq(error, about)
                && moved(place(error), suggestion).is_none_or(|at| at == place(found))
        })
    };
    let is_hidden = |found: &Diagnostic| {
        let codes = (about.problem.code(), found.problem.code());
        HIDDEN.iter().any(|(before, behind, _)| codes == (*before, *behind))
    };
    let new = after.iter().find(|found| !known(found) && !is_hidden(found))?;
    Some(format!(
        "{} ({}) by {:?} becomes {} ({}) in {}\n{text}",
        about.problem.code(),
        about.problem,
        suggestion.replacement,
        new.problem.code(),
        new.problem,
        at_place(&fixed, place(new)),
    ))
}

/// What a suggestion may bring to light, as it was behind what was wrong.
const HIDDEN: &[(&str, &str, &str)] = &[(
    "E306",
    "E334",
    "a range that is turned is read, and may have more ports than a mesh takes",
)];

#[test]
fn whatever_is_suggested_helps_and_does_no_harm() {
    let mut tried = 0;
    let mut harmful = Vec::new();
    each_edit(|name, text, _, sources, errors| {
        let own = sources.beginning().map(|at| at.file);
        for error in errors {
            for suggestion in error.suggestions(sources) {
                if Some(suggestion.range.file) == own {
                    tried += 1;
                    harmful.extend(harm((name, text), errors, error, &suggestion));
                }
            }
        }
    });
    assert!(tried > EDITS / 3, "only {tried} suggestions were tried");
    harmful.sort_by_key(String::len);
    let shown: Vec<_> = harmful.iter().take(3).map(String::as_str).collect();
    assert!(
        harmful.is_empty(),
        "{} of {tried} do harm, such as\n{}",
        harmful.len(),
        shown.join("\n")
    );
}

#[test]
fn one_mistake_is_one_error() {
    let (mut one, mut several) = (0, Vec::new());
    each_edit(|_, text, edit, _, errors| {
        if edit.is_one_mistake && errors.len() == 1 {
            one += 1;
        } else if edit.is_one_mistake && errors.len() > 1 {
            let said: Vec<_> = errors.iter().map(|error| error.problem.to_string()).collect();
            several.push(format!("{}: {}\n{text}", edit.kind, said.join("; ")));
        }
    });
    several.sort_by_key(String::len);
    let share = one * 100 / (one + several.len());
    assert!(one > EDITS / 3 && share >= 97, "{share} %; others are\n{}", several.join("\n"));
}

/// Shows `see` the same edits every time, with what is wrong with each.
fn each_edit(mut see: impl FnMut(&str, &str, &Edit, &Sources, &[Diagnostic])) {
    let good = good();
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for _ in 0..EDITS {
        let (name, text) = chance.one_of(&good);
        let edit = edited(text, &mut chance);
        let (sources, errors) = errors(name, &edit.text);
        see(name, &edit.text, &edit, &sources, &errors);
    }
}
