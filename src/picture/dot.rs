//! A picture as DOT, for Graphviz.

use std::fmt::Write as _;

use super::escape::dot as escaped;
use super::{Becomes, Node, Picture, Subject, Way};

/// `picture` as a directed graph of DOT.
#[must_use]
pub fn dot(picture: &Picture) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "digraph weir {{");
    let _ = writeln!(
        out,
        "  label=\"{}\"; labelloc=t; rankdir={};",
        label(&labels(picture)),
        direction(picture)
    );
    out.push_str("  fontname=\"monospace\";\n");
    out.push_str(
        "  node [shape=box, style=\"filled\", fillcolor=\"#f6f8fa\", fontname=\"monospace\"];\n",
    );
    out.push_str("  edge [fontname=\"monospace\"];\n");
    for (at, part) in picture.parts.iter().enumerate() {
        let titles: Vec<&str> =
            part.heading.as_deref().into_iter().chain([part.title.as_str()]).collect();
        let _ = writeln!(out, "  subgraph cluster_{at} {{");
        let _ = writeln!(out, "    label=\"{}\";", label(&titles));
        for place in part.nodes.clone() {
            node(&mut out, picture, place);
        }
        out.push_str("  }\n");
    }
    for part in &picture.parts {
        for place in part.nodes.clone() {
            edges(&mut out, picture, place, place + 1 < part.nodes.end);
        }
    }
    out.push_str("}\n");
    out
}

fn labels(picture: &Picture) -> Vec<&str> {
    std::iter::once(&picture.title).chain(&picture.notes).map(String::as_str).collect()
}

const fn direction(picture: &Picture) -> &'static str {
    match picture.of {
        Subject::Ladder => "TB",
        Subject::Chains => "LR",
    }
}

/// Lines of a label, each as long as it is and at the left.
fn label(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [escaped(line), "\\l".to_owned()]).collect()
}

fn node(out: &mut String, picture: &Picture, place: usize) {
    let node = &picture.nodes[place];
    let Node { name, title, lines, end, way, cover } = node;
    let head = if name.is_empty() { title.clone() } else { format!("{name}  {title}") };
    let mut words = vec![head];
    words.extend(lines.iter().map(|line| line.text.clone()));
    words.extend(cover.map(|cover| format!("({})", cover.words())));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let bare = if node.is_bare() { ", style=\"dashed\"" } else { "" };
    let way = match way {
        Way::Aside => "",
        Way::Asked => ", color=\"#bc4c00\"",
        Way::Taken => ", color=\"#bc4c00\", penwidth=3",
    };
    let _ = writeln!(out, "    n{place} [label=\"{}\"{bare}{way}];", label(&words));
    if let Some(end) = end {
        let colour = colour(end.becomes);
        let text = escaped(&end.text);
        let _ = writeln!(
            out,
            "    e{place} [label=\"{text}\", shape=box, style=\"rounded,filled\", fillcolor=\"{colour}\"];"
        );
        let _ = writeln!(out, "    {{ rank=same; n{place}; e{place}; }}");
    }
}

const fn colour(becomes: Becomes) -> &'static str {
    match becomes {
        Becomes::Captured => "#ddf4ff",
        Becomes::Dns => "#fbefff",
        Becomes::Untouched => "#ffffff",
        Becomes::Dropped => "#ffebe9",
        Becomes::Marked => "#fff8c5",
        Becomes::Translated => "#dafbe1",
    }
}

fn edges(out: &mut String, picture: &Picture, place: usize, has_next: bool) {
    let node = &picture.nodes[place];
    let thick = |is_way: bool| if is_way { " [color=\"#bc4c00\", penwidth=3]" } else { "" };
    if node.end.is_some() {
        let _ = writeln!(out, "  n{place} -> e{place}{};", thick(node.way == Way::Taken));
        if has_next {
            let next = place + 1;
            let falls = node.way != Way::Aside && picture.nodes[next].way != Way::Aside;
            let _ = writeln!(out, "  n{place} -> n{next}{};", thick(falls));
        }
    }
    let mut known = Vec::new();
    for line in &node.lines {
        for to in &line.leads_to {
            if !known.contains(&to) {
                known.push(to);
                let is_way =
                    node.lines.iter().any(|it| it.way == Way::Taken && it.leads_to.contains(to));
                let _ = writeln!(out, "  n{place} -> n{to}{};", thick(is_way));
            }
        }
    }
}
