//! `weir doctor` says what is wrong with manifests, with the place and what to write.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use netweir::diag::{CODES, explain, render};
use netweir::import::{Context, examine};
use netweir::span::Sources;
use serde_json::Value;

use crate::common::shipped::root;
use crate::common::snapshots;

/// Codes, and the faults of one short line each, of manifests.
fn found(text: &str) -> Vec<String> {
    let sources = Sources::of("m.yaml", text);
    let examined = examine(&sources, &Context::default());
    let lines = render::short(&sources, &examined.diagnostics);
    lines.lines().map(str::to_owned).collect()
}

#[test]
fn every_page_on_manifests_has_an_example_of_its_fault_and_of_what_is_right() {
    let codes = CODES.iter().filter(|code| code[1..].starts_with('7'));
    let mut pages = 0;
    for code in codes {
        pages += 1;
        let examples: Vec<_> = explain(code).unwrap().split("```yaml\n").skip(1).collect();
        let examples: Vec<_> =
            examples.iter().map(|text| text.split_once("```").unwrap().0).collect();
        let [wrong, right] = examples[..] else { panic!("{code} has two examples") };
        let codes = |text| -> BTreeSet<String> {
            let lines = found(text);
            let code = |line: &String| line.split_once('[').unwrap().1[..4].to_owned();
            lines.iter().map(code).collect()
        };
        assert_eq!(codes(wrong), BTreeSet::from([(*code).to_owned()]), "wrong on {code}");
        assert_eq!(found(right), [""; 0], "right on {code}");
    }
    assert_eq!(pages, 15);
}

fn weir(arguments: &[&str]) -> Output {
    let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
    weir.current_dir(root()).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const SHOP: &str = "tests/doctor/shop.yaml";

#[test]
fn what_is_wrong_is_shown_with_its_place_and_what_to_write() {
    let output = weir(&["doctor", SHOP]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "");
    let shown = text(&output.stdout);
    snapshots::of("doctor").bind(|| insta::assert_snapshot!("shop", shown));
    let short = weir(&["doctor", SHOP, "--message-format", "short"]);
    snapshots::of("doctor").bind(|| insta::assert_snapshot!("shop-short", text(&short.stdout)));
}

#[test]
fn every_form_has_the_report() {
    let json = weir(&["doctor", SHOP, "--message-format", "json"]);
    let report: Value = serde_json::from_str(text(&json.stdout)).unwrap();
    let schema = fs::read_to_string(root().join("docs/schema/doctor.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    assert!(schema.is_valid(&report), "{report}");
    let codes = |of: &Value| {
        let found = of["findings"]["diagnostics"].as_array().unwrap();
        found.iter().map(|it| it["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let expected = codes(&report);
    let github = weir(&["doctor", SHOP, "--message-format", "github"]);
    let lines = text(&github.stdout);
    assert!(expected.iter().all(|code| lines.contains(&format!("title={code}"))), "{lines}");
    assert!(lines.contains(&format!("file={SHOP},line=15")), "{lines}");
    let sarif = weir(&["doctor", SHOP, "--message-format", "sarif"]);
    let sarif: Value = serde_json::from_str(text(&sarif.stdout)).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let rules = results.iter().map(|it| it["ruleId"].as_str().unwrap().to_owned());
    assert_eq!(rules.collect::<Vec<_>>(), expected);
    let junit = weir(&["doctor", SHOP, "--message-format", "junit"]);
    // Warnings are no failures there.
    let errors = expected.iter().filter(|code| code.starts_with('E')).count();
    assert_eq!(text(&junit.stdout).matches("<failure").count(), errors);
    for output in [json, github, junit] {
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn warnings_are_no_failure_unless_they_are_denied() {
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    let manifest = "kind: Deployment\nmetadata: {name: a, labels: {istio.io/dataplane-mode: none}}\n\
                    spec: {template: {spec: {containers: []}}}\n";
    fs::write(&file, manifest).unwrap();
    let path = file.path().to_str().unwrap();
    for (arguments, code, said) in [
        (&["doctor", path][..], 0, "W704"),
        (&["doctor", path, "--deny", "W704"], 1, "W704"),
        (&["doctor", path, "--deny", "W705"], 0, "W704"),
        (&["doctor", "tests/import/injected.yaml", "--deny", "warnings"], 1, "W712"),
        (&["doctor", "tests/import/cni.yaml", "--deny", "warnings"], 0, "0 warnings"),
    ] {
        let output = weir(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        assert!(text(&output.stdout).contains(said), "{arguments:?}: {output:?}");
    }
    let output = weir(&["doctor"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("weir doctor -n shop"), "{output:?}");
}

/// What people brought, and the code that they needed.
#[test]
fn the_mistakes_of_the_field_are_told() {
    for (text, expected) in [
        (
            "kind: Pod\nmetadata: {name: p, annotations: {traffic.sidecar.istio.io/excludeOutboundPorts: 8000-9000}}\n\
             spec: {containers: []}\n",
            "m.yaml:2:35: error[E703]: `traffic.sidecar.istio.io/excludeOutboundPorts: 8000-9000`: \
             `8000-9000` is a range, which upstream refuses in annotations; list the ports; help: list \
             the ports, with commas between them",
        ),
        (
            "kind: Pod\nmetadata: {name: p, annotations: {traffic.sidecar.istio.io/excludeOutboundIPRanges: 0.0.0.0/0}}\n\
             spec: {containers: []}\nstatus: {podIP: 10.0.0.1}\n",
            "m.yaml:2:12: warning[W711]: nothing outbound is captured; help: exclude less; where that \
             is meant, include nothing instead",
        ),
        (
            "kind: Namespace\nmetadata: {name: shop, annotations: {istio.io/dataplane-mode: ambient}}\n",
            "m.yaml:2:38: warning[W705]: `istio.io/dataplane-mode: ambient`: no effect as an annotation: \
             Istio reads a label, which belongs in `metadata.labels`; help: move it to `metadata.labels`",
        ),
        (
            "kind: Namespace\nmetadata: {name: shop, labels: {istio.io/dataplane-mode: ambient}}\n",
            "",
        ),
        (
            "kind: Namespace\nmetadata: {name: shop, labels: {linkerd.io/inject: enabled}}\n",
            "m.yaml:2:33: warning[W705]: `linkerd.io/inject: enabled`: no effect as a label: Linkerd reads \
             an annotation, which belongs in `metadata.annotations`; help: move it to \
             `metadata.annotations`",
        ),
        (
            "kind: Pod\nmetadata: {name: p, annotation: {linkerd.io/inject: enabled}}\nspec: {}\n",
            "m.yaml:2:12: error[E702]: no pod in this Pod; help: write the containers of its pods",
        ),
        (
            "",
            "m.yaml:1:1: error[E702]: there is no manifest in m.yaml; help: name a file with pods or with \
             what makes them, in YAML or JSON",
        ),
        (
            "sidecar web {}\n",
            "m.yaml:1:1: error[E702]: there is no manifest in m.yaml; help: name a file with pods or with \
             what makes them, in YAML or JSON",
        ),
        ("a: [\n", "m.yaml:1:4: error[E702]: not YAML: unclosed bracket '[' (line 1, column 4)"),
        ("kind: Service\nmetadata: {name: s}\n", ""),
        (
            "metadata:\n  name: x\n bad: y\n# istio.io\n",
            "m.yaml:3:2: error[E702]: not YAML: while parsing a \
             block mapping, did not find expected key (line 3, column 2)",
        ),
        (
            "kind: Pod\nmetadata: {name: p, labels: {openservicemesh.io/sidecar-injection: disabled}}\n\
             spec: {containers: []}\n",
            "m.yaml:2:30: warning[W705]: `openservicemesh.io/sidecar-injection: disabled`: no effect as a \
             label: OSM reads an annotation, which belongs in `metadata.annotations`; help: move it to \
             `metadata.annotations`",
        ),
    ] {
        assert_eq!(found(text).join("\n"), expected, "{text}");
    }
}

/// A `kubectl` that serves files and writes down how it was called.
fn stand_in(folder: &Path) {
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> {0}/calls\ncase \"$*\" in\n\
         'get namespaces'*) printf 'kind: List\\nitems: []\\n';;\n\
         'get configmaps'*) ;;\n\
         *'-n broken'*) echo 'no such namespace' >&2; exit 1;;\n\
         *) cat {1};;\nesac\n",
        folder.display(),
        root().join(SHOP).display(),
    );
    let kubectl = folder.join("kubectl");
    fs::write(&kubectl, script).unwrap();
    let mut permissions = fs::metadata(&kubectl).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&kubectl, permissions).unwrap();
}

#[test]
fn kubectl_is_asked_for_what_is_in_a_cluster_and_for_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    stand_in(folder.path());
    let plugin = folder.path().join("kubectl-weir");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_weir"), &plugin).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let run = |program: &Path, arguments: &[&str]| {
        let calls = folder.path().join("calls");
        let _ = fs::remove_file(&calls);
        let mut weir = Command::new(program);
        let output = weir.env("PATH", &path).args(arguments).output().unwrap();
        let calls = fs::read_to_string(&calls).unwrap_or_default();
        (output, calls.lines().map(str::to_owned).collect::<Vec<_>>())
    };
    let weir = Path::new(env!("CARGO_BIN_EXE_weir"));
    let (output, calls) = run(weir, &["doctor", "-n", "shop", "--message-format", "short"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("error[E703]"), "{output:?}");
    let workloads = "get pods,deployments.apps,statefulsets.apps,daemonsets.apps,\
                     replicationcontrollers,jobs.batch,cronjobs.batch";
    let maps = "get configmaps istio istio-sidecar-injector istio-cni-config -n istio-system \
                --ignore-not-found -o yaml";
    assert_eq!(calls, [&format!("{workloads} -n shop -o yaml"), "get namespaces -o yaml", maps]);
    // As the plugin, the namespace of kubectl's own configuration is enough.
    let (output, calls) = run(&plugin, &["doctor"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(calls[0], format!("{workloads} -o yaml"));
    let (_, calls) = run(&plugin, &["doctor", "-A", "--context", "test"]);
    assert_eq!(calls[0], format!("{workloads} -A -o yaml --context test"));
    let (output, _) = run(&plugin, &["doctor", "-n", "broken"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no such namespace"), "{output:?}");
    // Everything else of weir is there under that name, and asks no cluster.
    let (output, calls) = run(&plugin, &["explain-code", "W704"]);
    assert_eq!((output.status.code(), calls.len()), (Some(0), 0));
    let mut alone = Command::new(weir);
    let output = alone.env("PATH", "").args(["doctor", "-n", "shop"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot run kubectl"), "{output:?}");
}
