//! Open Service Mesh's configuration, to policies that say the same.
//!
//! ```text
//!  annotations of a pod, MeshConfig ──┐
//!                                     ├─► options ──► Osm
//!  configuration ─────────────────────┘
//! ```
//!
//! The same is what the rules of its init container do (osm 7bec5b6 of 2023-07-10). What a policy
//! cannot say, or OSM or its init container refuses, is a [`Mistake`]; what has no effect, or says
//! nothing about traffic, is left out with a [`Note`].
//!
//! ```
//! use netweir::import::{Context, osm};
//!
//! let text = r#"{"annotations": {"openservicemesh.io/inbound-port-exclusion-list": "9090"}}"#;
//! let imported = osm::configurations(text, &Context::default()).unwrap();
//! assert_eq!(imported.policies[0].name.as_str(), "osm");
//! ```

mod config;
mod finding;
mod meaning;
mod option;
#[cfg(feature = "import-pod")]
mod pod;

pub use config::configurations;
pub use finding::{Imported, Mistake, Note, Reason, Refused, Remark};
#[cfg(feature = "import-pod")]
pub use pod::{manifests, pods};

use super::Context;
#[cfg(feature = "import-pod")]
use super::importer::Extra;
use super::importer::{Form, Importer};

/// What the command calls this import, and policies that have no other name.
const NAME: &str = "osm";

/// Open Service Mesh, among the imports.
pub(super) const IMPORTER: Importer = Importer {
    name: NAME,
    about: "Turn Open Service Mesh's configuration into a policy that says the same",
    mesh: "OSM",
    rules: "the rules of OSM's init container",
    release: "OSM 7bec5b6",
    marks: &["openservicemesh.io"],
    examples: &[
        "kubectl get pod web -o yaml | weir import osm --pod -",
        "weir import osm --pod deployment.yaml --mesh-config meshconfig.yaml -o web.weir",
    ],
    forms: &[
        #[cfg(feature = "import-pod")]
        Form::pod(&[Extra::MeshConfig], |sources, context| {
            super::told(manifests(sources, context))
        }),
        Form::config(
            "Annotations, MeshConfig and the pod's address in JSON, one object or several; \
             `-` is standard input",
            &[],
            |text, context| super::told(configurations(text, context)),
        ),
    ],
    extras: &[
        #[cfg(feature = "import-pod")]
        (
            Extra::MeshConfig,
            "The mesh's MeshConfig in YAML or JSON, which OSM would read in the cluster",
        ),
    ],
};
