//! What the meshes' own code makes of many configurations, if `WEIR_CORPUS` names a folder with it.
//!
//! The folder has a file a mesh, `istio.jsonl`, with one JSON object a line: the `config` of a
//! `kind`, and the texts for IPv4 and IPv6 under `iptables` and `ip6tables`, of which an empty one
//! means that the family is left alone; or `error`, where the mesh refuses the configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use netweir::import::{Context, Form, IMPORTERS, Told};
use netweir::ir::Ruleset;
use netweir::policy::{GroupIds, Policy};
use netweir::reader::{ReadErrors, iptables};
use netweir::span::Sources;
use serde_json::Value;

use super::shipped::root;

/// A configuration.
pub(crate) struct Entry {
    /// What the corpus calls it.
    pub(crate) name: String,
    /// The texts of the mesh, or what it says where it refuses the configuration.
    pub(crate) upstream: Result<Texts, String>,
    /// What becomes of it here.
    pub(crate) imported: Told,
    /// All of it.
    pub(crate) json: Value,
}

/// The rules that a mesh makes, as iptables-restore and ip6tables-restore take them; `None` where a
/// family is left alone.
pub(crate) struct Texts {
    pub(crate) ipv4: Option<String>,
    pub(crate) ipv6: Option<String>,
}

impl Texts {
    /// The rules.
    pub(crate) fn read(&self) -> Result<Ruleset, ReadErrors<iptables::ReadError>> {
        let others = ["DOCKER_OUTPUT".to_owned()].into();
        let options = iptables::Options { groups: groups(), others, ..Default::default() };
        let found = iptables::read(self.ipv4.as_deref(), self.ipv6.as_deref(), &options)?;
        Ok(found.ruleset)
    }
}

impl Entry {
    /// What becomes of the configuration where nothing says which chains the host has of others, as in
    /// no other form.
    pub(crate) fn of_any_host(&self, mesh: &str) -> Told {
        let mut entry = self.json.clone();
        if let Some(host) = entry["host"].as_object_mut() {
            host.remove("docker_output_chain");
        }
        form(mesh, "config").read(&Sources::of("entry", &entry.to_string()), &context())
    }

    /// What becomes of the same configuration in other forms, as far as these can say it: which address
    /// a pod has is in none of them.
    pub(crate) fn other_forms(&self, mesh: &str) -> Vec<(&'static str, Told)> {
        let entry = &self.json;
        if !entry["config"]["POD_IP"].is_null() {
            return Vec::new();
        }
        let servers = entry["resolv"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mesh_config = &entry["config"]["meshConfig"];
        let lines: Vec<_> = servers.map(|server| format!("nameserver {server}\n")).collect();
        let context = Context {
            ipv6: Some(entry["host"]["ipv6_address"] != false),
            resolv_conf: Some(lines.concat()),
            mesh_config: Some(mesh_config.to_string()),
            ..context()
        };
        let words = entry["args"].as_array().map(|words| {
            let quoted = words.iter().map(|word| format!("'{}' ", word.as_str().unwrap()));
            ("args", quoted.collect::<String>())
        });
        let variables = entry["variables"].as_str().map(|text| ("variables", text.to_owned()));
        let pod = &entry["pod"];
        let pod = (!pod.is_null()).then(|| ("pod", pod.to_string()));
        let forms = words.into_iter().chain(variables).chain(pod);
        forms
            .map(|(flag, text)| {
                (flag, form(mesh, flag).read(&Sources::of("entry", &text), &context))
            })
            .collect()
    }

    /// The one policy that the configuration becomes, and the mesh's rules; `None` if both refuse
    /// it. Nothing else is right.
    pub(crate) fn both(&self) -> Option<(&Policy, Ruleset)> {
        let name = &self.name;
        match (&self.imported, &self.upstream) {
            (Ok(imported), Ok(texts)) => {
                let [policy] = &imported.policies[..] else {
                    panic!("{name}: one policy an entry")
                };
                let rules = texts.read().unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
                Some((policy, rules))
            }
            (Err(_), Err(_)) => None,
            (Err(refused), Ok(_)) => panic!("{name}: {refused}"),
            (Ok(_), Err(error)) => panic!("{name}: imported, but the mesh says: {error}"),
        }
    }
}

/// Every configuration of a mesh; none, with a printed note, if no corpus is named.
pub(crate) fn of(mesh: &str) -> Vec<Entry> {
    text(mesh).iter().flat_map(|text| text.lines()).map(|line| entry(mesh, line)).collect()
}

/// So many entries of a mesh, or a few more, from all over the corpus.
pub(crate) fn sample(mesh: &str, count: usize) -> Vec<Entry> {
    let text = text(mesh).unwrap_or_default();
    let step = (text.lines().count() / count).max(1);
    text.lines().step_by(step).map(|line| entry(mesh, line)).collect()
}

/// What the corpus has of a mesh, a line an entry; `None`, with a printed note, if no corpus is
/// named. A file that is named stands for its folder. The corpus of a mesh whose configurations are few
/// is `tests/corpus/MESH.jsonl`.
pub(crate) fn text(mesh: &str) -> Option<String> {
    if let Ok(text) = std::fs::read_to_string(root().join(format!("tests/corpus/{mesh}.jsonl"))) {
        return Some(text);
    }
    let Some(path) = std::env::var_os("WEIR_CORPUS").map(PathBuf::from) else {
        println!("skipped: WEIR_CORPUS is not set");
        return None;
    };
    let folder = if path.is_file() { path.parent().unwrap().to_owned() } else { path };
    let file = folder.join(format!("{mesh}.jsonl"));
    let text = std::fs::read_to_string(&file);
    Some(text.unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}

fn entry(mesh: &str, line: &str) -> Entry {
    let parsed: Value = serde_json::from_str(line).unwrap();
    let text =
        |key: &str| parsed[key].as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned);
    let upstream = match text("error") {
        Some(error) => Err(error),
        None => Ok(Texts { ipv4: text("iptables"), ipv6: text("ip6tables") }),
    };
    let imported = form(mesh, "config").read(&Sources::of("entry", line), &context());
    Entry { name: text("name").unwrap(), upstream, imported, json: parsed }
}

/// A form in which the mesh's import reads configurations.
fn form(mesh: &str, flag: &str) -> &'static Form {
    let importer = IMPORTERS.iter().find(|importer| importer.name == mesh);
    let mut forms = importer.expect("the mesh has an import").forms.iter();
    forms.find(|form| form.flag == flag).expect("the import reads the form")
}

/// Names that configurations use.
fn context() -> Context {
    Context { users: users(), groups: groups(), ..Context::default() }
}

/// The groups that upstream's own cases name.
pub(crate) fn groups() -> GroupIds {
    BTreeMap::from([("java".to_owned(), 3001), ("ftp".to_owned(), 3002)])
}

/// The users that they name.
fn users() -> GroupIds {
    let users = [("root", 0), ("proxyuser", 1337), ("kuma-dp", 5678)];
    users.map(|(name, number)| (name.to_owned(), number)).into()
}
