//! `weir graph`: pictures of ladders and of chains.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use netweir::explain::Context;
use netweir::ir::Ruleset;
use netweir::picture::{self, Overlay, Picture};
use netweir::reader::forms::{Form, recognise};
use netweir::reader::{iptables, nft};
use netweir::{Layout, Options};

use crate::cli::{exits, stderr, stdout, weir};
use crate::common::shipped::{compile_file, root, rulesets};
use crate::common::snapshots;

/// Policies of which every form is a snapshot.
const SHOWN: [&str; 6] = [
    "rulesets/istio/default.weir",
    "rulesets/istio/dns.weir",
    "rulesets/istio/tproxy.weir",
    "rulesets/ambient/pod.weir",
    "rulesets/kuma/kuma-dns.weir",
    "rulesets/linkerd/skipped-subnets.weir",
];

/// What `weir graph` prints, 80 columns wide.
fn graph(arguments: &[&str]) -> String {
    let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
    weir.arg("graph").args(arguments).current_dir(root()).env("COLUMNS", "80");
    let output = weir.stdin(Stdio::null()).output().unwrap();
    exits(&output, 0);
    assert_eq!(stderr(&output), "");
    stdout(&output).to_owned()
}

fn snapshot(case: &str, view: &str, text: &str) {
    snapshots::of(case).bind(|| insta::assert_snapshot!(view, text));
}

#[test]
fn ladders_are_drawn_with_the_values_of_the_policy() {
    for policy in SHOWN {
        let case = Path::new(policy).file_stem().unwrap().to_str().unwrap();
        for format in ["text", "svg", "dot", "mermaid"] {
            let view = format!("ladder-{format}");
            snapshot(case, &view, &graph(&[policy, "--format", format]));
        }
    }
}

#[test]
fn chains_are_drawn_of_policies_and_of_rules_of_others() {
    let cases =
        [("default", "rulesets/istio/default.weir"), ("host", "tests/hosts/kube-proxy.nft")];
    for (case, subject) in cases {
        for format in ["text", "svg", "dot", "mermaid"] {
            let view = format!("chains-{format}");
            snapshot(case, &view, &graph(&[subject, "--chains", "--format", format]));
        }
    }
    // What is no policy has no ladder.
    let rules = "tests/hosts/docker.v4";
    assert_eq!(graph(&[rules]), graph(&[rules, "--chains"]));
}

#[test]
fn the_way_of_a_packet_is_shown() {
    let dns = "rulesets/istio/dns.weir";
    let query = "outbound udp to 10.96.0.10:53";
    for format in ["text", "svg"] {
        let view = format!("ladder-way-{format}");
        snapshot("dns", &view, &graph(&[dns, "--packet", query, "--format", format]));
    }
    // One that a rung in the middle sends past others.
    let tproxy =
        graph(&["rulesets/istio/tproxy.weir", "--packet", "inbound tcp to 10.0.0.7:15020"]);
    snapshot("tproxy", "ladder-way-text", &tproxy);
    let chains = graph(&[
        "tests/hosts/docker.nft",
        "--packet",
        "inbound tcp from 10.0.0.9 to 10.0.0.7:8080",
    ]);
    snapshot("host", "chains-way-text", &chains);
}

#[test]
fn what_expectations_touch_is_shown() {
    let reviews = "rulesets/examples/reviews.weir";
    for format in ["text", "svg"] {
        let view = format!("ladder-coverage-{format}");
        snapshot("reviews", &view, &graph(&[reviews, "--coverage", "--format", format]));
    }
}

/// What the text says of the packet is what `weir explain` says: the rungs that it takes are those whose rules
/// match, and the last of the direction decides.
#[test]
fn a_packet_takes_the_rung_that_explain_names() {
    let packets = [
        "outbound tcp to 10.96.0.1:443",
        "outbound udp to 10.96.0.10:53",
        "outbound tcp to 10.96.0.1:443 user 1337",
        "outbound tcp to 127.0.0.1:80 out lo",
        "inbound tcp from 10.0.0.9 to 10.0.0.7:8080",
        "inbound tcp from 10.0.0.9 to 10.0.0.7:15020",
        "inbound udp from 10.0.0.9 to 10.0.0.7:53",
    ];
    let mut named = 0;
    for path in rulesets() {
        let compilation = compile_file(&path, &Options::default());
        for policy in &compilation.policies {
            for packet in packets {
                let packet = packet.parse().unwrap();
                let context = Context { policy: Some(policy), ..Context::default() };
                let lowered = netweir::optimise::listed(policy);
                let told =
                    netweir::explain::explain_way(&lowered.ruleset, &packet, &context).unwrap();
                let overlay = Overlay { packet: Some(&packet), coverage: None };
                let picture = picture::ladder(policy, &overlay).unwrap();
                let taken = picture.nodes.iter().filter(|node| node.way == picture::Way::Taken);
                let taken: Vec<&str> = taken.map(|node| node.name.as_str()).collect();
                if let Some(rung) = told.rung {
                    assert!(
                        taken.contains(&rung.number.as_str()),
                        "{packet}: {} {taken:?}",
                        rung.number
                    );
                    named += 1;
                } else {
                    assert!(taken.iter().all(|name| name.is_empty()), "{packet}: {taken:?}");
                }
            }
        }
    }
    assert!(named > 100, "only {named} packets were decided by a rung");
}

/// The pictures of everything that ships, of every layout, and of rules of others.
fn every_picture() -> Vec<(String, Picture)> {
    let mut all = Vec::new();
    for path in rulesets() {
        let compilation = compile_file(&path, &Options::default());
        for policy in &compilation.policies {
            let coverage = compilation.coverage(policy).unwrap();
            let packet = "outbound tcp to 10.96.0.1:443".parse().unwrap();
            let name = path.display().to_string();
            let plain = picture::ladder(policy, &Overlay::default()).unwrap();
            let overlay = Overlay { packet: Some(&packet), coverage: Some(&coverage) };
            let laid_over = picture::ladder(policy, &overlay).unwrap();
            all.extend([plain, laid_over].map(|picture| (name.clone(), picture)));
            for layout in [Layout::Compact, Layout::Upstream] {
                let ruleset = layout.of(policy).ruleset;
                let context = Context::default();
                let chains =
                    picture::chains(&name, &ruleset, &context, &Overlay::default()).unwrap();
                all.push((name.clone(), chains));
            }
        }
    }
    all
}

/// Elements of an SVG that are drawn, and the text in it.
fn read_svg(svg: &str) -> (Vec<String>, String) {
    let mut reader = quick_xml::Reader::from_str(svg);
    reader.config_mut().check_end_names = true;
    let (mut elements, mut text) = (Vec::new(), String::new());
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Start(start) | quick_xml::events::Event::Empty(start) => {
                start.attributes().for_each(|attribute| drop(attribute.unwrap()));
                elements.push(String::from_utf8(start.name().as_ref().to_vec()).unwrap());
            }
            quick_xml::events::Event::Text(part) => text.push_str(&part.decode().unwrap()),
            quick_xml::events::Event::Eof => return (elements, text),
            _ => {}
        }
    }
}

/// Every element that a picture may have.
const ELEMENTS: [&str; 10] =
    ["svg", "title", "desc", "style", "defs", "marker", "path", "rect", "text", "g"];

/// Whether two boxes of an SVG overlap without one being within the other.
fn overlaps(svg: &str) -> Vec<String> {
    let number = |line: &str, name: &str| -> f64 {
        let start = line.split(&format!(" {name}=\"")).nth(1).unwrap_or("0\"");
        start.split('"').next().unwrap().parse().unwrap()
    };
    let boxes: Vec<[f64; 4]> = svg
        .lines()
        .filter(|line| line.starts_with("<rect x="))
        .map(|line| ["x", "y", "width", "height"].map(|name| number(line, name)))
        .map(|[x, y, width, height]| [x, y, x + width, y + height])
        .collect();
    let mut found = Vec::new();
    for (at, one) in boxes.iter().enumerate() {
        for other in &boxes[at + 1..] {
            if one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3] {
                found.push(format!("{one:?} {other:?}"));
            }
        }
    }
    found
}

#[test]
fn every_form_is_well_formed() {
    let has_dot = Command::new("dot").arg("-V").stderr(Stdio::null()).status().is_ok();
    if !has_dot {
        println!("skipped: `dot` is not installed, so DOT is not drawn");
    }
    let pictures = every_picture();
    assert!(pictures.len() > 100);
    for (name, picture) in &pictures {
        let svg = picture::svg(picture);
        let (elements, _) = read_svg(&svg);
        assert!(elements.iter().all(|it| ELEMENTS.contains(&it.as_str())), "{name}: {elements:?}");
        assert_eq!(overlaps(&svg), [""; 0], "{name}");
        let mermaid = picture::mermaid(picture);
        assert!(mermaid.starts_with("flowchart "), "{name}");
        let dot = picture::dot(picture);
        assert_eq!(dot.matches('{').count(), dot.matches('}').count(), "{name}");
        let narrowest = if picture.of == picture::Subject::Ladder { 48 } else { 80 };
        for columns in [10, 40, 80, 200] {
            let text = picture::text(picture, columns);
            let widest = columns.clamp(narrowest, 110);
            let long = text.lines().find(|line| line.chars().count() > widest);
            assert_eq!(long, None, "{name} at {columns}");
        }
    }
    if has_dot {
        for (name, picture) in pictures.iter().step_by(7) {
            assert!(is_drawn(&picture::dot(picture)), "{name}");
        }
    }
}

/// Whether Graphviz draws it.
fn is_drawn(dot: &str) -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), dot).unwrap();
    let mut command = Command::new("dot");
    command.arg("-Tsvg").arg(file.path()).stdout(Stdio::null());
    command.status().unwrap().success()
}

#[test]
fn rules_of_hosts_are_drawn() {
    let mut count = 0;
    for host in fs::read_dir(root().join("tests/hosts")).unwrap() {
        let path = host.unwrap().path();
        let output = weir(&["graph", path.to_str().unwrap(), "--format", "svg"]);
        exits(&output, 0);
        let svg = stdout(&output);
        assert!(read_svg(svg).0.len() > 20, "{}", path.display());
        assert_eq!(overlaps(svg), [""; 0], "{}", path.display());
        count += 1;
    }
    assert!(count >= 10);
}

/// Rulesets whose words would mean something to each form.
const HOSTILE_NFT: &str = r#"table inet a {
    chain c {
        type filter hook input priority 0; policy accept;
        iifname "</text><x>" drop
        iifname "a];--%%" drop
        iifname "`b`#*_[l](h)" jump d
    }
    chain d {
        oifname "e&f;<!--" accept comment "</text><script>alert(1)</script>"
    }
}
"#;
const HOSTILE_IPTABLES: &str = r#"*filter
:INPUT ACCEPT [0:0]
:x];y - [0:0]
-A INPUT -m string --string "\"]; x -> y; </text><script>" --algo bm -j x];y
-A INPUT -m string --string "\\\"<br>%%" --algo bm -j DROP
COMMIT
"#;

#[test]
fn nothing_of_others_is_obeyed() {
    let found = nft::script(HOSTILE_NFT, &nft::Options::default()).unwrap();
    drawn_harmlessly(&found.ruleset);
    let Form::Iptables(dumps) = recognise(HOSTILE_IPTABLES).unwrap().form else {
        panic!("a dump of iptables is taken for something else");
    };
    let found = iptables::read_dumps(dumps.first(), None, &iptables::Options::default()).unwrap();
    drawn_harmlessly(&found.ruleset);
}

fn drawn_harmlessly(ruleset: &Ruleset) {
    let name = "n\x1b[2J</title>\"]; x -> y [label=\"\u{202e}\n%% end";
    let picture = picture::chains(name, ruleset, &Context::default(), &Overlay::default()).unwrap();
    let svg = picture::svg(&picture);
    let (elements, _) = read_svg(&svg);
    assert!(elements.iter().all(|it| ELEMENTS.contains(&it.as_str())), "{elements:?}");
    assert!(svg.contains("&lt;/text&gt;&lt;"), "{svg}");
    let (dot, mermaid) = (picture::dot(&picture), picture::mermaid(&picture));
    for drawn in [&svg, &picture::text(&picture, 80), &dot, &mermaid] {
        assert!(!drawn.contains(['\x1b', '\u{202e}']), "{drawn}");
    }
    assert!(!svg.contains("<script") && !mermaid.contains("<script"));
    // Outside of its strings, DOT has only our own words.
    for line in dot.lines() {
        let bare = line.replace("\\\\", "").replace("\\\"", "");
        assert_eq!(bare.matches('"').count() % 2, 0, "{line}");
        let outside: String = bare.split('"').step_by(2).collect();
        assert!(!outside.contains(['<', '%']), "{line}");
    }
    for line in mermaid.lines().filter(|line| line.contains("[\"")) {
        assert_eq!(line.matches('"').count(), 2, "{line}");
        let label = line.split('"').nth(1).unwrap().replace("<br/>", "");
        assert!(!label.contains(['<', '>', '`', '[', ']', '*', '%', '&']), "{line}");
    }
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let output = weir(&["graph", "tests/hosts/docker.v4", "--coverage"]);
    exits(&output, 2);
    assert!(stderr(&output).contains("--coverage is for policies"), "{}", stderr(&output));
    let output = weir(&["graph", "rulesets/istio/default.weir", "--packet", "outbound"]);
    exits(&output, 2);
    assert!(stderr(&output).contains("is not a packet"), "{}", stderr(&output));
}

#[test]
fn a_picture_is_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ladder.svg");
    let policy = "rulesets/istio/default.weir";
    graph(&[policy, "--format", "svg", "-o", path.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&path).unwrap(), graph(&[policy, "--format", "svg"]));
}
