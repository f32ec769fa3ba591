//! Rules that well-known programs make themselves, in the kernel: read back in every form, with every kind of
//! policy beside them, and `explain` held against what becomes of packets.
//!
//! Each program runs by a script of `tests/programs`, in a network and a mount namespace of its own. Kubernetes'
//! and other programs that do not run in one have rules in their shape in `tests/hosts`.

use std::collections::{BTreeMap, BTreeSet};

use netweir::explain::Context;
use netweir::ir::Ruleset;
use netweir::net::{Family, Name};
use netweir::reader::forms::{Form, recognise};
use netweir::reader::iptables::Dump;
use netweir::reader::{Found, ReadErrors, iptables, nft};

use crate::common::beside::{self, Beside};
use crate::common::machine::{OBSERVER, World, watch};
use crate::common::netns::{self, Netns};
use crate::common::shipped::root;
use crate::common::told::{Tally, probes};

/// A program, and what it is asked to do.
struct Program {
    /// The script, without its ending.
    script: &'static str,
    /// A program that has to be installed for it; empty: what every machine has.
    needs: &'static str,
    /// What its rules are kept in.
    variant: &'static str,
    /// What the script calls `FORM`.
    form: &'static str,
}

const fn program(
    script: &'static str,
    needs: &'static str,
    variant: &'static str,
    form: &'static str,
) -> Program {
    Program { script, needs, variant, form }
}

/// nftables' own examples, of which `load_balancing.nft` and `secmark.nft` are no rules that every kernel takes.
const EXAMPLES: [&str; 6] = [
    "all-in-one.nft",
    "ct_helpers.nft",
    "nat.nft",
    "overview.nft",
    "sets_and_maps.nft",
    "workstation.nft",
];

const TABLES: [&str; 4] = ["raw", "mangle", "nat", "filter"];

/// Policies of which every packet ends at a port on which no transparent proxy has to listen.
const WITHOUT_PROXY: fn(&&Beside) -> bool =
    |policy| !["istio/tproxy.weir", "ambient/host.weir"].contains(&policy.path);

impl Program {
    /// Whether it is installed, or a printed note.
    fn is_installed(&self) -> bool {
        let folders = "/usr/lib/podman:/usr/libexec/podman";
        let command = format!("PATH=$PATH:{folders} command -v {} >/dev/null", self.needs);
        let mut shell = std::process::Command::new("sh");
        let is_there = self.needs.is_empty()
            || shell.args(["-c", &command]).status().is_ok_and(|status| status.success());
        if !is_there {
            netns::skip(&format!("`{}` is not installed", self.needs));
        }
        is_there
    }

    fn run(&self, netns: &Netns) {
        let folder = tempfile::tempdir().unwrap();
        let script = root().join(format!("tests/programs/{}.sh", self.script));
        let [script, folder] = [&script, folder.path()].map(|path| path.to_str().unwrap());
        let arguments = ["-m", "sh", script, folder, self.variant, self.form];
        let done = netns.run("unshare", &arguments, "");
        assert!(done.ok, "{self}: {}{}", done.out, done.err);
    }

    /// Whether it keeps its rules in iptables.
    fn is_of_iptables(&self) -> bool {
        self.script != "examples" && self.form != "nftables"
    }

    /// The rules that it made, as they are listed.
    fn made(&self, netns: &Netns) -> Ruleset {
        let mut rules = of_nft(netns, &self.to_string());
        if self.is_of_iptables() {
            let others: Vec<_> = rules.tables.iter().map(|table| &table.name).collect();
            assert!(others.is_empty(), "{self}: {others:?}");
            rules = of_iptables(netns, self.variant, &self.to_string());
        }
        rules
    }
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { script, variant, form, .. } = self;
        write!(f, "{script} {variant} {form}")
    }
}

/// Asserts that two have the same rules, chains in whatever order.
fn assert_same(what: &str, one: &Ruleset, other: &Ruleset) {
    let sorted = |ruleset: &Ruleset| {
        let tables = ruleset.tables.iter();
        let chains = tables.flat_map(|table| {
            table.chains.iter().map(|chain| ((table.name.clone(), chain.name.clone()), chain))
        });
        chains.map(|(name, chain)| (name, chain.clone())).collect::<BTreeMap<_, _>>()
    };
    let (one, other) = (sorted(one), sorted(other));
    let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    for name in names {
        assert_eq!(one.get(name), other.get(name), "{what} {name:?}");
    }
}

/// What nft lists in each of its forms, which say the same.
fn of_nft(netns: &Netns, what: &str) -> Ruleset {
    let options =
        nft::Options { of_iptables: nft::OfIptables::PassOver, ..nft::Options::default() };
    let list = |flags: &[&str]| netns.output("nft", &[flags, &["list", "ruleset"][..]].concat());
    let read = |form: &str, found: Result<Found, ReadErrors<nft::ReadError>>| {
        let found = found.unwrap_or_else(|errors| panic!("{what} {form}: {errors:?}"));
        let mut ruleset = found.ruleset;
        ruleset.tables.retain(|table| table.name.as_str() != OBSERVER);
        ruleset
    };
    let text = read("text", nft::script(&list(&[]), &options));
    for (form, other) in [
        ("-a", nft::script(&list(&["-a"]), &options)),
        ("-j", nft::json(&list(&["-j"]), &options)),
        ("-j -a", nft::json(&list(&["-j", "-a"]), &options)),
    ] {
        assert_same(&format!("{what} {form}"), &read(form, other), &text);
    }
    text
}

/// What a variant of iptables prints in each of its forms, which say the same.
fn of_iptables(netns: &Netns, variant: &str, what: &str) -> Ruleset {
    let programs = ["iptables", "ip6tables"];
    let read = |[v4, v6]: [Option<&Dump<'_>>; 2], form: &str| {
        let found = iptables::read_dumps(v4, v6, &iptables::Options::default());
        found.unwrap_or_else(|errors| panic!("{what} {form}: {errors:?}")).ruleset
    };
    let save = |flags: &[&str]| {
        let texts = programs.map(|it| netns.output(&format!("{it}-{variant}-save"), flags));
        let dumps = texts.each_ref().map(|text| Dump::whole(text));
        read(dumps.each_ref().map(Some), &format!("save {flags:?}"))
    };
    let saved = save(&[]);
    assert_same(&format!("{what} save -c"), &save(&["-c"]), &saved);
    for flags in [&["-S"][..], &["-S", "-v"]] {
        let mut listed = Ruleset::default();
        for table in TABLES {
            let texts = programs.map(|program| {
                netns.output(&format!("{program}-{variant}"), &[&["-t", table], flags].concat())
            });
            let dumps = texts.each_ref().map(|text| match recognise(text).map(|it| it.form) {
                Ok(Form::Iptables(mut dumps)) if dumps.len() == 1 => dumps.remove(0),
                other => panic!("{what} {table} {flags:?}: {other:?}\n{text}"),
            });
            let form = format!("{table} {flags:?}");
            listed.tables.extend(read(dumps.each_ref().map(Some), &form).tables);
        }
        // What is listed of table security cannot be told from what is listed of table filter.
        let mut expected = saved.clone();
        expected.tables.retain(|table| TABLES.contains(&table.name.as_str()));
        assert_same(&format!("{what} {flags:?}"), &listed, &expected);
    }
    saved
}

/// All rules of the machine. Of chains that tie, those of `first` are first.
fn all(first: &[netweir::ir::Table], others: &Ruleset) -> Ruleset {
    let tables = first.iter().map(|table| ("a", table));
    let tables = tables.chain(others.tables.iter().map(|table| ("b", table)));
    let named = tables.map(|(place, table)| {
        let name = Name::new(&format!("{place}-{}", table.name)).unwrap();
        netweir::ir::Table { name, ..table.clone() }
    });
    Ruleset { tables: named.collect() }
}

/// Runs the programs, and holds what is read and told of their rules against the kernel.
fn hold(programs: &[Program], kinds: &[&str]) {
    if !netns::available_to_root() || !netns::are_installed(&["iptables-legacy", "iptables-nft"]) {
        return;
    }
    let policies = beside::policies();
    let without_proxy: Vec<&Beside> = policies.iter().filter(WITHOUT_PROXY).collect();
    let probes = Family::ALL.map(probes).concat();
    let mut tally = Tally::default();
    for (at, program) in programs.iter().enumerate() {
        if !program.is_installed() {
            return;
        }
        let what = program.to_string();
        let mut world = World::new();
        watch(&world);
        program.run(&world.host);
        let rules = program.made(&world.host);
        for policy in &policies {
            policy.load(&world.host);
            policy.assert_loaded(&world.host, &format!("{what} {}", policy.path));
            policy.unload(&world.host);
        }
        assert_same(&what, &program.made(&world.host), &rules);
        let context = Context { is_iptables: program.is_of_iptables(), ..Context::default() };
        tally.hold(&what, (&all(&[], &rules), &context), &mut world, &probes);
        let policy = without_proxy[(programs.len() + at) % without_proxy.len()];
        policy.load(&world.host);
        let context = Context { policy: Some(&policy.compilation.policies[0]), ..context };
        let together = all(&policy.lowered.ruleset.tables, &rules);
        let what = format!("{what} {}", policy.path);
        tally.hold(&what, (&together, &context), &mut world, &probes);
    }
    tally.assert_right(400 * programs.len(), kinds);
}

#[test]
fn ufw_is_read_and_told() {
    let programs = ["legacy", "nft"].map(|variant| program("ufw", "ufw", variant, ""));
    hold(&programs, &["delivered", "sent", "nowhere", "by open questions"]);
}

#[test]
fn fail2ban_is_read_and_told() {
    let programs = [
        program("fail2ban", "fail2ban-server", "legacy", "iptables"),
        program("fail2ban", "fail2ban-server", "nft", "iptables"),
        program("fail2ban", "fail2ban-server", "nft", "nftables"),
    ];
    hold(&programs, &["delivered", "sent", "nowhere"]);
}

#[test]
fn firewalld_is_read_and_told() {
    let programs = [
        program("firewalld", "firewalld", "legacy", "iptables"),
        program("firewalld", "firewalld", "nft", "iptables"),
        program("firewalld", "firewalld", "nft", "nftables"),
    ];
    hold(&programs, &["delivered", "sent", "nowhere"]);
}

#[test]
fn podman_is_read_and_told() {
    let programs =
        [program("netavark", "netavark", "legacy", ""), program("netavark", "netavark", "nft", "")];
    hold(&programs, &["delivered", "sent"]);
}

#[test]
fn examples_of_nft_are_read_and_told() {
    let programs = EXAMPLES.map(|form| program("examples", "", "nft", form));
    hold(&programs, &["delivered", "sent", "nowhere"]);
}
