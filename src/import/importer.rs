//! The table of imports: the one place that lists them.

use super::{Context, Imported, Refused, Words, appmesh, consul, istio, kuma, linkerd, osm};
use crate::span::Sources;

/// Every mesh whose configuration can be imported, in the order in which help lists them.
pub const IMPORTERS: &[Importer] = &[
    istio::IMPORTER,
    kuma::IMPORTER,
    linkerd::IMPORTER,
    consul::IMPORTER,
    osm::IMPORTER,
    appmesh::IMPORTER,
];

/// A mesh whose configuration can be imported, for those who import and know none.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Importer {
    /// `istio`: what the command calls it, and policies that have no other name.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// What messages call it: `Istio`.
    pub mesh: &'static str,
    /// The rules that a policy has the meaning of: `Istio's iptables rules`.
    pub rules: &'static str,
    /// Of which version of the mesh those rules are.
    pub release: &'static str,
    /// What stands in manifests that have to do with it: `istio.io`.
    pub marks: &'static [&'static str],
    /// Commands that show how it is used, one a line.
    pub examples: &'static [&'static str],
    /// The forms in which configuration is read. One of them is given.
    pub forms: &'static [Form],
    /// What may be given beside, and what that is for.
    pub extras: &'static [(Extra, &'static str)],
}

impl Importer {
    /// What it does, below the line that says so.
    #[must_use]
    pub fn details(&self) -> String {
        let Self { mesh, rules, .. } = self;
        format!(
            "Prints the policy that does to packets what {rules} do, formatted, without clauses that \
             only restate defaults. Notes on standard error say what is not carried over, and why. If \
             {mesh} would refuse the input, or a policy cannot express it, that is an error, and \
             nothing is printed."
        )
    }
}

/// A form in which configuration is read.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Form {
    /// What the command calls it: `pod`, for `--pod`.
    pub flag: &'static str,
    /// What is given, in a line.
    pub help: &'static str,
    /// How it is given, and what reads it.
    pub given: GivenAs,
    /// What has a use beside it.
    pub extras: &'static [Extra],
}

impl Form {
    /// Reads what was given. Of a form that is one text, that is the first one.
    ///
    /// # Errors
    ///
    /// Everything that the mesh refuses, or that a policy cannot say.
    pub fn read(&self, sources: &Sources, context: &Context) -> Told {
        match self.given {
            GivenAs::Arguments(read) | GivenAs::File(read) => {
                let text = sources.files().next().map_or("", |file| &file.text);
                read(text, context)
            }
            GivenAs::Files(read) => read(sources, context),
        }
    }

    /// `--args`: words of a command line.
    pub(super) const fn arguments(
        help: &'static str,
        extras: &'static [Extra],
        read: fn(&str, &Context) -> Told,
    ) -> Self {
        Self { flag: "args", help, given: GivenAs::Arguments(read), extras }
    }

    /// `--pod`: manifests.
    #[cfg(feature = "import-pod")]
    pub(super) const fn pod(
        extras: &'static [Extra],
        read: fn(&Sources, &Context) -> Told,
    ) -> Self {
        let help = "Manifests in YAML or JSON: pods, anything with a pod template, and what else \
                    matters for them, such as namespaces; several files are read together, and `-` is \
                    standard input";
        Self { flag: "pod", help, given: GivenAs::Files(read), extras }
    }

    /// `--config`: the mesh's own configuration.
    pub(super) const fn config(
        help: &'static str,
        extras: &'static [Extra],
        read: fn(&str, &Context) -> Told,
    ) -> Self {
        Self { flag: "config", help, given: GivenAs::File(read), extras }
    }
}

/// How a configuration is given, and what reads it.
#[derive(Clone, Copy, Debug)]
pub enum GivenAs {
    /// As words of a command line, in one text that is split as a shell splits it.
    Arguments(fn(&str, &Context) -> Told),
    /// As the path of a file; `-` is standard input.
    File(fn(&str, &Context) -> Told),
    /// As the paths of files, which are read together.
    Files(fn(&Sources, &Context) -> Told),
}

/// What the configuration itself does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extra {
    /// [`Context::environment`].
    Environment,
    /// [`Context::users`].
    Users,
    /// [`Context::groups`].
    Groups,
    /// [`Context::ipv6`].
    Ipv6,
    /// [`Context::resolv_conf`].
    ResolvConf,
    /// [`Context::mesh_config`].
    MeshConfig,
}

/// What was imported, or why nothing was, in words.
pub type Told = Result<Imported<Words>, Refused<Words, Words>>;
