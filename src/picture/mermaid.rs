//! A picture as a flowchart of Mermaid, which code hosts draw within Markdown.

use std::fmt::Write as _;

use super::escape::mermaid as escaped;
use super::{Becomes, Node, Picture, Subject, Way};

/// Most lines of a box: Mermaid draws no text of more than 50,000 characters (`maxTextSize`, 11.x).
const MOST_LINES: usize = 12;

/// `picture` as a flowchart.
#[must_use]
pub fn mermaid(picture: &Picture) -> String {
    let direction = match picture.of {
        Subject::Ladder => "TB",
        Subject::Chains => "LR",
    };
    let mut out = format!("flowchart {direction}\n");
    let _ = writeln!(out, "  accTitle: {}", escaped(&picture.title));
    let _ = writeln!(out, "  accDescr: {}", escaped(&picture.description));
    for (at, part) in picture.parts.iter().enumerate() {
        let titles: Vec<&str> =
            part.heading.as_deref().into_iter().chain([part.title.as_str()]).collect();
        let _ = writeln!(out, "  subgraph p{at}[\"{}\"]", escaped(&titles.join(" - ")));
        for place in part.nodes.clone() {
            node(&mut out, &picture.nodes[place], place);
        }
        out.push_str("  end\n");
    }
    let mut way = Vec::new();
    let mut count = 0;
    for part in &picture.parts {
        for place in part.nodes.clone() {
            let has_next = place + 1 < part.nodes.end;
            for (edge, is_way) in edges(picture, place, has_next) {
                let _ = writeln!(out, "  {edge}");
                if is_way {
                    way.push(count.to_string());
                }
                count += 1;
            }
        }
    }
    if !way.is_empty() {
        let _ = writeln!(out, "  linkStyle {} stroke:#bc4c00,stroke-width:3px", way.join(","));
    }
    classes(&mut out, picture);
    if !picture.notes.is_empty() {
        let _ = writeln!(
            out,
            "  notes[\"{}\"]",
            picture.notes.iter().map(|note| escaped(note)).collect::<Vec<_>>().join("<br/>")
        );
    }
    out
}

fn node(out: &mut String, node: &Node, place: usize) {
    let head = if node.name.is_empty() {
        node.title.clone()
    } else {
        format!("{} {}", node.name, node.title)
    };
    let mut words = vec![escaped(&head)];
    words.extend(node.lines.iter().take(MOST_LINES).map(|line| escaped(&line.text)));
    if let Some(more) = node.lines.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
        words.push(format!("… {more} more rules"));
    }
    words.extend(node.cover.map(|cover| format!("({})", cover.words())));
    let _ = writeln!(out, "    n{place}[\"{}\"]", words.join("<br/>"));
    if let Some(end) = &node.end {
        let _ = writeln!(out, "    e{place}([\"{}\"])", escaped(&end.text));
    }
}

/// What leads out of a box, each with whether the packet goes there.
fn edges(picture: &Picture, place: usize, has_next: bool) -> Vec<(String, bool)> {
    let node = &picture.nodes[place];
    let mut edges = Vec::new();
    if node.end.is_some() {
        edges.push((format!("n{place} -->|fits| e{place}"), node.way == Way::Taken));
        if has_next {
            let next = place + 1;
            let falls = node.way != Way::Aside && picture.nodes[next].way != Way::Aside;
            edges.push((format!("n{place} --> n{next}"), falls));
        }
    }
    let mut known = Vec::new();
    for to in node.lines.iter().flat_map(|line| &line.leads_to) {
        if !known.contains(&to) {
            known.push(to);
            let is_way =
                node.lines.iter().any(|it| it.way == Way::Taken && it.leads_to.contains(to));
            edges.push((format!("n{place} --> n{to}"), is_way));
        }
    }
    edges
}

/// How boxes look: in colours that are read on light and on dark.
fn classes(out: &mut String, picture: &Picture) {
    let all = [
        (Becomes::Captured, "captured", "fill:#ddf4ff,stroke:#0969da,color:#1f2328"),
        (Becomes::Dns, "dns", "fill:#fbefff,stroke:#8250df,color:#1f2328"),
        (Becomes::Dropped, "dropped", "fill:#ffebe9,stroke:#cf222e,color:#1f2328"),
        (Becomes::Marked, "marked", "fill:#fff8c5,stroke:#9a6700,color:#1f2328"),
        (Becomes::Translated, "translated", "fill:#dafbe1,stroke:#1a7f37,color:#1f2328"),
    ];
    let mut class = |name: &str, looks: &str, places: Vec<String>| {
        if !places.is_empty() {
            let _ = writeln!(out, "  classDef {name} {looks}");
            let _ = writeln!(out, "  class {} {name}", places.join(","));
        }
    };
    let nodes = || picture.nodes.iter().enumerate();
    for (becomes, name, looks) in all {
        let is = |node: &Node| node.end.as_ref().is_some_and(|end| end.becomes == becomes);
        class(
            name,
            looks,
            nodes().filter(|(_, node)| is(node)).map(|(at, _)| format!("e{at}")).collect(),
        );
    }
    let bare = nodes().filter(|(_, node)| node.is_bare()).map(|(at, _)| format!("n{at}"));
    class("bare", "stroke-dasharray:5 4", bare.collect());
    let taken = nodes().filter(|(_, node)| node.way == Way::Taken).map(|(at, _)| format!("n{at}"));
    class("taken", "stroke:#bc4c00,stroke-width:3px", taken.collect());
}
