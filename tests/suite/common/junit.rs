//! What a document of JUnit's XML may have in it.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// An element: its name, its attributes and those of them that it must have, and what may be in it.
type Element =
    (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

/// As `junit-10.xsd` of Jenkins' xUnit plugin has it (jenkinsci/xunit-plugin 031e285ef3), the strictest of those
/// that readers go by, without what weir never writes.
const ELEMENTS: &[Element] = &[
    ("testsuites", &["name", "time", "tests", "failures", "errors"], &[], &["testsuite"]),
    (
        "testsuite",
        &[
            "name",
            "tests",
            "failures",
            "errors",
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
        ],
        &["name", "tests", "failures", "errors"],
        &["testcase", "system-out", "system-err"],
    ),
    (
        "testcase",
        &["name", "time", "classname", "group"],
        &["name"],
        &["skipped", "error", "failure", "system-out", "system-err"],
    ),
    ("failure", &["type", "message"], &[], &[]),
    ("error", &["type", "message"], &[], &[]),
    ("skipped", &["type", "message"], &[], &[]),
    ("system-out", &[], &[], &[]),
    ("system-err", &[], &[], &[]),
];

/// Elements in which there is text.
const WITH_TEXT: &[&str] = &["failure", "error", "skipped", "system-out", "system-err"];

/// An element that was begun: what it is, its attributes, and how much of each there is in it.
struct Begun {
    of: &'static Element,
    attributes: BTreeMap<String, String>,
    counts: BTreeMap<&'static str, usize>,
}

/// Asserts that `text` is JUnit's, and that its sums are right.
pub(crate) fn assert_is_junit(text: &str) {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Begun> = Vec::new();
    let mut is_ended = false;
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => break,
            Event::Decl(_) => assert!(open.is_empty() && !is_ended),
            Event::Start(start) => {
                let begun = begin(&start);
                match open.last() {
                    None => assert!(begun.of.0 == "testsuites" && !is_ended),
                    Some(around) => {
                        let (name, _, _, inside) = around.of;
                        assert!(inside.contains(&begun.of.0), "{} in {name}", begun.of.0);
                    }
                }
                open.push(begun);
            }
            Event::Text(said) => {
                let said = String::from_utf8(said.to_vec()).unwrap();
                let may = open.last().is_some_and(|it| WITH_TEXT.contains(&it.of.0));
                assert!(may || said.trim().is_empty(), "`{said}`");
            }
            Event::GeneralRef(_) | Event::CData(_) => {
                assert!(open.last().is_some_and(|it| WITH_TEXT.contains(&it.of.0)));
            }
            Event::End(_) => {
                let ended = open.pop().unwrap();
                ended.assert_sums();
                is_ended = open.is_empty();
                if let Some(around) = open.last_mut() {
                    *around.counts.entry(ended.of.0).or_default() += 1;
                    for (what, count) in ended.counts {
                        *around.counts.entry(what).or_default() += count;
                    }
                }
            }
            other => panic!("{other:?} is nothing that weir writes"),
        }
    }
    assert!(is_ended && text.ends_with('\n'), "{text}");
}

fn begin(start: &BytesStart<'_>) -> Begun {
    let name = String::from_utf8(start.name().as_ref().to_vec()).unwrap();
    let of = ELEMENTS.iter().find(|(known, ..)| *known == name);
    let of = of.unwrap_or_else(|| panic!("no element is called {name}"));
    let mut attributes = BTreeMap::new();
    for attribute in start.attributes() {
        let attribute = attribute.unwrap();
        let key = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
        assert!(of.1.contains(&key.as_str()), "{name} has no {key}");
        attributes.insert(key, String::from_utf8(attribute.value.to_vec()).unwrap());
    }
    for key in of.2 {
        assert!(attributes.contains_key(*key), "{name} lacks {key}");
    }
    Begun { of, attributes, counts: BTreeMap::new() }
}

impl Begun {
    fn assert_sums(&self) {
        for (attribute, counted) in [
            ("tests", "testcase"),
            ("failures", "failure"),
            ("errors", "error"),
            ("skipped", "skipped"),
        ] {
            if let Some(said) = self.attributes.get(attribute) {
                let count = self.counts.get(counted).copied().unwrap_or_default();
                assert_eq!(*said, count.to_string(), "{attribute} of {}", self.of.0);
            }
        }
        if self.of.0 == "testcase" {
            let ends = ["failure", "error", "skipped"];
            let ends = ends.iter().filter_map(|end| self.counts.get(end)).sum::<usize>();
            assert!(ends <= 1, "one test ends in {ends} ways");
        }
    }
}
