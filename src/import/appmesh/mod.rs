//! App Mesh's configuration, to policies that say the same.
//!
//! ```text
//!  variables, proxyinit of a pod ──┐
//!  annotations of a pod ───────────┼─► options ──► AppMesh
//!  configuration ──────────────────┘
//! ```
//!
//! The same is what the rules of its route manager do (the script `envoy-networking.sh`, a public copy
//! of 2024). What a policy cannot say, or the script or iptables refuses, is a
//! [`Mistake`]; what has no effect, or says nothing about traffic, is left out with a [`Note`].
//!
//! ```
//! use netweir::import::{Context, appmesh};
//!
//! let text = "APPMESH_IGNORE_UID=1337\nAPPMESH_ENVOY_EGRESS_PORT=15001";
//! let imported = appmesh::variables(text, &Context::default()).unwrap();
//! assert_eq!(imported.policies[0].name.as_str(), "appmesh");
//! ```

mod finding;
mod meaning;
mod option;
#[cfg(feature = "import-pod")]
mod pod;

pub use finding::{Imported, Mistake, Note, Reason, Refused, Remark};
#[cfg(feature = "import-pod")]
pub use pod::{manifests, pods};

use finding::Report;
use option::{OPTIONS, Options};

use super::importer::{Extra, Form, GivenAs, Importer};
use super::json::{self, Object};
use super::{Context, Given, environment, told};
use crate::policy::Kind;

/// What the command calls this import, and policies that have no other name.
const NAME: &str = "appmesh";

/// App Mesh, among the imports.
pub(super) const IMPORTER: Importer = Importer {
    name: NAME,
    about: "Turn AWS App Mesh's configuration into a policy that says the same",
    mesh: "App Mesh",
    rules: "the rules of App Mesh's route manager",
    release: "App Mesh route manager",
    marks: &["appmesh.k8s.aws", "APPMESH_"],
    examples: &[
        "kubectl get pod web -o yaml | weir import appmesh --pod -",
        "weir import appmesh --variables envoy-networking.env -o web.weir",
    ],
    forms: &[
        Form {
            flag: "variables",
            help: "Variables of the route manager: lines of `NAME=value`, as a shell reads them; \
                   `-` is standard input",
            given: GivenAs::File(|text, context| told(variables(text, context))),
            extras: &[Extra::Users, Extra::Groups],
        },
        #[cfg(feature = "import-pod")]
        Form::pod(&[Extra::Users, Extra::Groups, Extra::Ipv6], |sources, context| {
            told(manifests(sources, context))
        }),
        Form::config(
            "Variables of the route manager by name, in JSON, one object or several; `-` is \
             standard input",
            &[Extra::Users, Extra::Groups],
            |text, context| told(configurations(text, context)),
        ),
    ],
    extras: &[
        (Extra::Users, "Lines of /etc/passwd, for a user that is given by name"),
        (Extra::Groups, "Lines of /etc/group, for a group that is given by name"),
        #[cfg(feature = "import-pod")]
        (Extra::Ipv6, "Whether IPv6 is captured, as the controller's flag would decide"),
    ],
};

/// The policy that the route manager would set up under the variables of `text`: lines of `NAME=value`,
/// as a shell reads them.
///
/// # Errors
///
/// Everything that App Mesh refuses, or that a policy cannot say.
pub fn variables(text: &str, context: &Context) -> Result<Imported, Refused> {
    let mut report = Report::default();
    let environment = environment::parse(text, &mut report);
    let options = Options::of_environment(&environment, &mut report);
    let appmesh = meaning::appmesh(&options, context, &mut report);
    report.finish_one(NAME, appmesh, context)
}

/// App Mesh's configuration in JSON: one object, several, or an array of them.
///
/// An object is `{"kind": "appmesh", "name": …, "config": {…}}`, whose options have the names of the
/// route manager's variables; or such a configuration itself.
///
/// # Errors
///
/// If the text is not JSON, an option is unknown or of the wrong type, and everything that App Mesh
/// refuses, or that a policy cannot say.
pub fn configurations(text: &str, context: &Context) -> Result<Imported, Refused> {
    json::configurations(text, NAME, context, |entry, report| read(entry, context, report))
}

fn read(entry: &Object, context: &Context, report: &mut Report) -> Option<Kind> {
    let config = json::config_of(NAME, entry, report)?;
    let mut options = Options::default();
    for (key, value) in config {
        let Some(spec) = OPTIONS.iter().find(|spec| spec.variable == key) else {
            json::refuse_unknown(key, OPTIONS.iter().map(|spec| spec.variable), report);
            continue;
        };
        // Every variable is text; numbers are what people write.
        let text = if value.is_number() {
            json::number(key, value, report)
        } else {
            json::text(key, value, report)
        };
        if let Some(text) = text {
            options.set(spec.option, Given::field(key, text));
        }
    }
    Some(Kind::from(meaning::appmesh(&options, context, report)))
}
