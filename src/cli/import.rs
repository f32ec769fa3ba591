//! `weir import`: the meshes, and the forms of their configuration, are those of the table of
//! imports.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use clap::{
    Arg, ArgAction, ArgGroup, ArgMatches, Args, Command, FromArgMatches, Subcommand, value_parser,
};

use super::files::{self, once, read_whole};
use super::import_rules::ImportRules;
use super::report::Messages;
use super::{Outcome, numbers, output};
use crate::diag::render::Level;
use crate::import::{
    Context, Extra, Form, GivenAs, IMPORTERS, Imported, Importer, Refused, Told, Words,
};
use crate::net::Name;
use crate::policy::{Detail, Policy, print, print_with};
use crate::span::Sources;

/// Turn another system's configuration into a policy that says the same
#[derive(Args)]
pub(super) struct Import {
    #[command(subcommand)]
    from: Of,
}

/// What is turned into a policy.
#[derive(Subcommand)]
enum Of {
    #[command(flatten)]
    Configuration(From),
    Rules(ImportRules),
}

/// What is imported, and how it was given.
struct From {
    importer: &'static Importer,
    given: ArgMatches,
}

const NAME: &str = "name";
const OUTPUT: &str = "output";
const OUT_DIR: &str = "out-dir";
const NO_COMMENTS: &str = "no-comments";
const INPUT: &str = "input";

impl Import {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let from = match &self.from {
            Of::Configuration(from) => from,
            Of::Rules(rules) => return rules.run(messages),
        };
        let (told, sources) = from.read()?;
        match told {
            Ok(imported) => {
                messages.imported(Level::Note, &sources, &imported.notes);
                from.write(&imported, messages)
            }
            Err(Refused { mistakes, notes, rest: _ }) => {
                messages.imported(Level::Note, &sources, &notes);
                messages.imported(Level::Error, &sources, &mistakes);
                Ok(Outcome::Bad)
            }
        }
    }
}

impl From {
    /// Writes the policies, to one place or each to a file of its own.
    fn write(&self, imported: &Imported<Words>, messages: &Messages) -> io::Result<Outcome> {
        let texts = imported.policies.iter().zip(&imported.comments).map(|(policy, comments)| {
            if self.given.get_flag(NO_COMMENTS) {
                print(policy, Detail::Differences)
            } else {
                print_with(policy, Detail::Differences, comments)
            }
        });
        let head = self.head();
        let Some(folder) = self.path(OUT_DIR) else {
            let texts: Vec<String> = texts.collect();
            let head = if texts.is_empty() { "" } else { &head };
            return output::write(self.path(OUTPUT), &format!("{head}{}", texts.join("\n")));
        };
        let name = |policy: &Policy| format!("{}.weir", policy.name);
        let files = imported.policies.iter().map(name);
        let texts: Vec<_> = files.zip(texts.map(|text| format!("{head}{text}"))).collect();
        output::write_all(folder, &texts, messages)
    }

    /// The first comment: which rules the policies have the meaning of.
    fn head(&self) -> String {
        let Importer { rules, release, .. } = self.importer;
        if self.given.get_flag(NO_COMMENTS) {
            return String::new();
        }
        format!("# What {rules} do, those of {release}. Made by weir import.\n\n")
    }

    fn read(&self) -> io::Result<(Told, Sources)> {
        self.reads_standard_input_once()?;
        let context = Context {
            name: self.given.get_one::<Name>(NAME).cloned(),
            environment: self.text(Extra::Environment)?.unwrap_or_default(),
            users: numbers::read(self.extra(Extra::Users), "user file")?,
            groups: numbers::read(self.extra(Extra::Groups), "group file")?,
            ipv6: self.ipv6(),
            addresses: Vec::new(),
            resolv_conf: self.text(Extra::ResolvConf)?,
            mesh_config: self.text(Extra::MeshConfig)?,
            is_examined: false,
        };
        let (form, sources) = self.form()?;
        let told = form.read(&sources, &context);
        Ok((told, sources))
    }

    /// The form of configuration that was given, and its texts.
    fn form(&self) -> io::Result<(&'static Form, Sources)> {
        let mut forms = self.importer.forms.iter();
        let form = forms
            .find(|form| self.given.contains_id(form.flag))
            .expect("clap asks for a form of configuration");
        let mut sources = Sources::default();
        match form.given {
            GivenAs::Arguments(_) => {
                let text = self.given.get_one::<String>(form.flag);
                sources.add(form.flag, text.map_or("", String::as_str));
            }
            GivenAs::File(_) | GivenAs::Files(_) => {
                for path in self.paths(form.flag) {
                    sources.add(files::name(path), &read_whole(path)?);
                }
            }
        }
        Ok((form, sources))
    }

    /// The paths that an option is given; none if the mesh has no such option.
    fn paths(&self, flag: &str) -> impl Iterator<Item = &Path> {
        let paths = self.given.try_get_many::<PathBuf>(flag).ok().flatten();
        paths.into_iter().flatten().map(PathBuf::as_path)
    }

    /// The path that an option is given; `None` if the mesh has no such option.
    fn path(&self, flag: &str) -> Option<&Path> {
        let path = self.given.try_get_one::<PathBuf>(flag).ok().flatten();
        path.map(PathBuf::as_path)
    }

    fn extra(&self, extra: Extra) -> Option<&Path> {
        self.path(flag(extra))
    }

    fn text(&self, extra: Extra) -> io::Result<Option<String>> {
        self.extra(extra).map(read_whole).transpose()
    }

    fn ipv6(&self) -> Option<bool> {
        let switch = self.given.try_get_one::<String>(flag(Extra::Ipv6)).ok().flatten();
        switch.map(|switch| switch == "on")
    }

    fn reads_standard_input_once(&self) -> io::Result<()> {
        let is_file = |form: &&Form| !matches!(form.given, GivenAs::Arguments(_));
        let files = self.importer.forms.iter().filter(is_file);
        let extras = self.importer.extras.iter().filter(|(extra, _)| *extra != Extra::Ipv6);
        let flags = files.map(|form| form.flag).chain(extras.map(|(extra, _)| flag(*extra)));
        once(flags.flat_map(|flag| self.paths(flag)))
    }
}

impl Subcommand for From {
    fn augment_subcommands(command: Command) -> Command {
        command
            .subcommands(IMPORTERS.iter().map(subcommand))
            .subcommand_required(true)
            .arg_required_else_help(true)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        IMPORTERS.iter().any(|importer| importer.name == name)
    }
}

impl FromArgMatches for From {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = matches.subcommand().and_then(|(name, given)| {
            let importer = IMPORTERS.iter().find(|importer| importer.name == name)?;
            Some(Self { importer, given: given.clone() })
        });
        given.ok_or_else(|| clap::Error::new(clap::error::ErrorKind::MissingSubcommand))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The version of weir, and of the rules of each mesh that it implements.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let meshes: Vec<_> = IMPORTERS.iter().map(|importer| importer.release).collect();
    format!("{}\nrules of {}", env!("CARGO_PKG_VERSION"), meshes.join(",\n         "))
});

/// The command of a mesh.
fn subcommand(importer: &'static Importer) -> Command {
    let mut forms = importer.forms.iter();
    let name = format!(
        "Name of the policy [default: the pod's namespace and owner, or the name in the configuration, or \
         else `{}`]",
        importer.name
    );
    let mut command = Command::new(importer.name)
        .about(importer.about)
        .long_about(format!("{}\n\n{}", importer.about, importer.details()))
        .after_help(after_help(importer))
        .args(forms.clone().map(form_argument))
        .group(ArgGroup::new(INPUT).required(true).args(forms.clone().map(|form| form.flag)));
    for (extra, help) in importer.extras {
        let useless = forms.clone().filter(|form| !form.extras.contains(extra));
        let argument = extra_argument(*extra, help);
        command = command.arg(argument.conflicts_with_all(useless.map(|form| form.flag)));
    }
    debug_assert!(forms.all(|form| {
        form.extras.iter().all(|extra| importer.extras.iter().any(|(known, _)| known == extra))
    }));
    command
        .arg(
            Arg::new(NAME)
                .long(NAME)
                .value_name("NAME")
                .value_parser(|text: &str| Name::new(text).map_err(|bad| bad.to_string()))
                .help(name),
        )
        .arg(
            file(OUTPUT)
                .short('o')
                .help("Write to this file instead of standard output, as a whole or not at all"),
        )
        .arg(
            Arg::new(OUT_DIR)
                .long(OUT_DIR)
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .conflicts_with(OUTPUT)
                .help("Write each policy to a file of its own, NAME.weir, in this folder"),
        )
        .arg(Arg::new(NO_COMMENTS).long(NO_COMMENTS).action(ArgAction::SetTrue).help(
            "Leave out the comments, which say where each clause comes from and whose rules these are",
        ))
}

fn form_argument(form: &'static Form) -> Arg {
    let argument = match form.given {
        GivenAs::Arguments(_) => {
            Arg::new(form.flag).long(form.flag).allow_hyphen_values(true).value_name("ARGUMENTS")
        }
        GivenAs::File(_) => file(form.flag),
        GivenAs::Files(_) => file(form.flag).num_args(1..).action(ArgAction::Append),
    };
    argument.help(form.help)
}

fn extra_argument(extra: Extra, help: &'static str) -> Arg {
    let argument = match extra {
        Extra::Ipv6 => {
            Arg::new(flag(extra)).long(flag(extra)).value_name("SWITCH").value_parser(["on", "off"])
        }
        Extra::Environment
        | Extra::Users
        | Extra::Groups
        | Extra::ResolvConf
        | Extra::MeshConfig => file(flag(extra)),
    };
    let argument = if extra == Extra::Users { argument.alias("passwd-file") } else { argument };
    argument.help(help)
}

/// What the command calls it.
fn flag(extra: Extra) -> &'static str {
    match extra {
        Extra::Environment => "env",
        Extra::Users => "user-file",
        Extra::Groups => "group-file",
        Extra::Ipv6 => "ipv6",
        Extra::ResolvConf => "resolv-conf",
        Extra::MeshConfig => "mesh-config",
    }
}

fn file(flag: &'static str) -> Arg {
    Arg::new(flag).long(flag).value_name("FILE").value_parser(value_parser!(PathBuf))
}

fn after_help(importer: &Importer) -> String {
    let examples: Vec<_> =
        importer.examples.iter().map(|example| format!("  {example}\n")).collect();
    format!(
        "Examples:\n{}\nExit status: 0 imported, 1 the configuration is wrong, 2 bad usage or I/O.",
        examples.concat()
    )
}
