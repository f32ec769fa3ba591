//! The table of imports: the one place that lists them.

use super::{Context, Imported, Refused, consul, istio, kuma, linkerd, osm};

/// Every mesh whose configuration can be imported, in the order in which help lists them.
pub const IMPORTERS: &[Importer] =
    &[istio::IMPORTER, kuma::IMPORTER, linkerd::IMPORTER, consul::IMPORTER, osm::IMPORTER];

/// A mesh whose configuration can be imported, for those who import and know none.
#[derive(Clone, Copy, Debug)]
pub struct Importer {
    /// `istio`: what the command calls it, and policies that have no other name.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// What it does, below that line.
    pub details: &'static str,
    /// Commands that show how it is used, one a line.
    pub examples: &'static [&'static str],
    /// The forms in which configuration is read. One of them is given.
    pub forms: &'static [Form],
    /// What may be given beside, and what that is for.
    pub extras: &'static [(Extra, &'static str)],
}

/// A form in which configuration is read.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// What the command calls it: `pod`, for `--pod`.
    pub flag: &'static str,
    /// What is given, in a line.
    pub help: &'static str,
    /// How it is given.
    pub given: GivenAs,
    /// What has a use beside it.
    pub extras: &'static [Extra],
    /// Reads the text.
    pub read: fn(&str, &Context) -> Told,
}

/// How a configuration is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenAs {
    /// As words of a command line, in one text that is split as a shell splits it.
    Arguments,
    /// As the path of a file; `-` is standard input.
    File,
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
pub type Told = Result<Imported<String>, Refused<String, String>>;
