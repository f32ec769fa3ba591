//! What kubectl gets from a cluster, and nothing else of it: `kubectl get … -o yaml`.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::Args;

use crate::diag::escape::on_one_line;
use crate::span::Sources;

/// The name by which kubectl finds its plugin `weir`.
const PLUGIN: &str = "kubectl-weir";

/// What runs, and what it is made by.
const WORKLOADS: &str = "pods,deployments.apps,statefulsets.apps,daemonsets.apps,replicationcontrollers,\
                         jobs.batch,cronjobs.batch";

/// The mesh's own configuration.
const CONFIGURATION: [&str; 3] = ["istio", "istio-sidecar-injector", "istio-cni-config"];

/// Which cluster, and what of it.
#[derive(Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct Cluster {
    /// Read what runs in this namespace, by means of kubectl.
    #[arg(short, long, value_name = "NAME", conflicts_with = "files")]
    namespace: Option<String>,
    /// Read what runs in every namespace.
    #[arg(short = 'A', long, conflicts_with_all = ["files", "namespace"])]
    all_namespaces: bool,
    /// The context in kubectl's configuration.
    #[arg(long, value_name = "NAME", conflicts_with = "files")]
    context: Option<String>,
    /// The namespace of the mesh's own configuration.
    #[arg(long, value_name = "NAME", default_value = "istio-system")]
    mesh_namespace: String,
}

/// Whether this is the plugin of kubectl: a binary of that name.
fn is_plugin() -> bool {
    let name = std::env::args_os().next();
    let name = name.as_deref().map(Path::new).and_then(Path::file_stem).map(OsStr::to_owned);
    name.is_some_and(|name| name == PLUGIN)
}

impl Cluster {
    /// Adds what kubectl gets.
    ///
    /// # Errors
    ///
    /// If nobody asks for a cluster, or kubectl is not there or fails.
    pub(super) fn get(&self, sources: &mut Sources) -> io::Result<()> {
        let is_asked = self.namespace.is_some() || self.all_namespaces || self.context.is_some();
        if !is_asked && !is_plugin() {
            return Err(io::Error::other(
                "name manifests, or a namespace that kubectl reads: `weir doctor -n shop`",
            ));
        }
        let place: Vec<&str> = match (&self.namespace, self.all_namespaces) {
            (Some(namespace), _) => vec!["-n", namespace],
            (None, true) => vec!["-A"],
            (None, false) => Vec::new(),
        };
        self.add(&[&["get", WORKLOADS][..], &place].concat(), sources)?;
        self.add(&["get", "namespaces"], sources)?;
        let names = [&["get", "configmaps"][..], &CONFIGURATION].concat();
        let more = ["-n", &self.mesh_namespace, "--ignore-not-found"];
        self.add(&[&names[..], &more].concat(), sources)
    }

    fn add(&self, words: &[&str], sources: &mut Sources) -> io::Result<()> {
        let mut command = Command::new("kubectl");
        command.args(words).args(["-o", "yaml"]);
        if let Some(context) = &self.context {
            command.args(["--context", context]);
        }
        let name = format!("kubectl {}", words.join(" "));
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot run kubectl: {error}"))
        })?;
        if !output.status.success() {
            let status = output.status;
            return Err(io::Error::other(format!("`{}`: {status}", on_one_line(&name))));
        }
        if output.stdout.len() > Sources::MAX_BYTES {
            let most = Sources::MAX_BYTES;
            return Err(io::Error::other(format!("`{name}`: the most is {most} bytes")));
        }
        let text = String::from_utf8(output.stdout).map_err(io::Error::other)?;
        sources.add(name, &text);
        Ok(())
    }
}
