//! The README and `docs/` as pages: every link leads somewhere, every page is in the book, and what is made of
//! something else is as that says. `WEIR_WRITE_DOCS=1 cargo test --test suite pages` makes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use netweir::diag;
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::cli::exits;
use crate::common::shipped::root;

/// The pictures in the README and in `docs/`, and what draws them.
const PICTURES: [(&str, &[&str]); 4] = [
    ("default", &["rulesets/istio/default.weir"]),
    ("dns-query", &["rulesets/istio/dns.weir", "--packet", "outbound udp to 10.96.0.10:53"]),
    ("coverage", &["rulesets/examples/reviews.weir", "--coverage"]),
    ("docker", &["tests/hosts/docker.nft"]),
];

/// Holds a file against what it is made of, or makes it anew.
fn made_anew(path: &Path, is: &str) {
    if std::env::var_os("WEIR_WRITE_DOCS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, is).unwrap();
    }
    let known = fs::read_to_string(path).unwrap_or_default();
    assert!(known == is, "{} is old: see tests/suite/pages.rs", path.display());
}

#[test]
fn pictures_are_those_that_weir_draws() {
    let folder = root().join("docs/pictures");
    for (name, arguments) in PICTURES {
        let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
        weir.args(["graph", "--format", "svg"]).args(arguments).current_dir(root());
        let output = weir.stdin(Stdio::null()).output().unwrap();
        exits(&output, 0);
        made_anew(&folder.join(format!("{name}.svg")), &String::from_utf8(output.stdout).unwrap());
    }
    let there = fs::read_dir(&folder).unwrap().count();
    assert_eq!(there, PICTURES.len(), "a picture is there that nothing draws");
}

/// What stands before the codes.
const CODES: &str = "\
# Codes

```console
$ weir explain-code E302
…
```

Whatever weir finds has a code, and `weir explain-code` prints its page: what it means, with a wrong and a right
example. This page is all of them. Codes that begin with `E` are errors and those with `W` warnings; a code is never
used for anything else later.
";

#[test]
fn the_page_of_codes_has_every_code() {
    let mut page = CODES.to_owned();
    for code in diag::CODES {
        let text = diag::explain(code).unwrap();
        // The first line of each is its heading.
        page.extend(["\n#", text.trim_end(), "\n"]);
    }
    made_anew(&root().join("docs/codes.md"), &page);
}

/// A page: what it links to, and what can be linked to in it.
struct Page {
    links: Vec<String>,
    anchors: BTreeSet<String>,
    /// What its first block of code is marked with.
    first_block: Option<String>,
}

impl Page {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
        let (mut links, mut anchors) = (Vec::new(), BTreeSet::new());
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        let mut heading: Option<String> = None;
        let mut first_block = None;
        for event in Parser::new_ext(&text, options) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    links.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(level)) => {
                    let anchor = slug(&heading.take().unwrap());
                    let known = times.entry(anchor.clone()).or_default();
                    let is_title = level == HeadingLevel::H1;
                    anchors.insert(match *known {
                        0 => anchor,
                        _ if is_title => anchor,
                        again => format!("{anchor}-{again}"),
                    });
                    *known += 1;
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::Start(Tag::CodeBlock(pulldown_cmark::CodeBlockKind::Fenced(mark))) => {
                    first_block.get_or_insert(mark.into_string());
                }
                Event::Html(html) | Event::InlineHtml(html) => {
                    for part in html.split("src=\"").skip(1) {
                        links.push(part.split('"').next().unwrap().to_owned());
                    }
                }
                _ => {}
            }
        }
        Self { links, anchors, first_block }
    }
}

/// What a heading is linked to by, on code hosts and in the book.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn docs() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|it| it == "md")).collect();
    pages.sort();
    pages
}

#[test]
fn every_link_leads_somewhere() {
    let mut pages = docs();
    pages.extend(
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(|it| root().join(it)),
    );
    let read: BTreeMap<&PathBuf, Page> =
        pages.iter().map(|path| (path, Page::read(path))).collect();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (path, page) in &read {
        let is_of_book = path.parent().unwrap().ends_with("docs");
        for link in page.links.iter().filter(|link| !link.contains("://")) {
            count += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let to =
                if file.is_empty() { (*path).clone() } else { path.parent().unwrap().join(file) };
            let place = format!("{}: {link}", path.strip_prefix(root()).unwrap().display());
            if !to.exists() {
                wrong.push(format!("{place}: there is no such file"));
            } else if is_of_book && file.starts_with("..") {
                wrong.push(format!("{place}: not in the book"));
            } else if !anchor.is_empty() {
                let known = read
                    .iter()
                    .find(|(path, _)| path.canonicalize().unwrap() == to.canonicalize().unwrap());
                if known.is_none_or(|(_, page)| !page.anchors.contains(anchor)) {
                    wrong.push(format!("{place}: there is no such heading"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 100, "only {count} links");
}

#[test]
fn every_page_is_in_the_book_once() {
    let summary = Page::read(&root().join("docs/SUMMARY.md"));
    let mut listed = summary.links;
    listed.sort();
    let names =
        docs().into_iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    let there: Vec<String> = names.filter(|name| name != "SUMMARY.md").collect();
    assert_eq!(listed, there);
}

#[test]
fn pages_about_a_task_begin_with_a_command() {
    for path in docs() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_task = name.starts_with("coming-from-")
            || [
                "getting-started",
                "operating",
                "proof",
                "testing",
                "ci",
                "doctor",
                "rules",
                "pictures",
                "codes",
                "benchmarks",
                "library",
                "language",
                "meshes",
            ]
            .iter()
            .any(|task| name == format!("{task}.md"));
        if is_task {
            // The docs test runs what stands in such a block.
            assert_eq!(Page::read(&path).first_block.as_deref(), Some("console"), "{name}");
        }
    }
}
