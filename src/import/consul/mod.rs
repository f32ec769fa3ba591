//! Consul's configuration, to policies that say the same.
//!
//! ```text
//!  annotations of a pod ──┐
//!  configuration ─────────┴─► fields ──► Consul
//! ```
//!
//! The same is what the rules of Consul's `sdk/iptables` do (hashicorp/consul 5123e1ea). What a
//! policy cannot say, or Consul refuses, is a [`Mistake`]; what has no effect, or says nothing about
//! traffic, is left out with a [`Note`].
//!
//! ```
//! use netweir::import::{Context, consul};
//!
//! let text = r#"{"ProxyUserID": "5995", "ProxyInboundPort": 20000, "ConsulDNSPort": 8600}"#;
//! let imported = consul::configurations(text, &Context::default()).unwrap();
//! assert_eq!(imported.policies[0].name.as_str(), "consul");
//! ```

mod fields;
mod finding;
mod meaning;
#[cfg(feature = "import-pod")]
mod pod;
mod value;

pub use finding::{Imported, Mistake, Note, Reason, Refused, Remark};
#[cfg(feature = "import-pod")]
pub use pod::{manifests, pods};

use fields::Fields;
use finding::Report;

use super::Context;
use super::importer::{Extra, Form, Importer};
use super::json::{self, Object};
use crate::policy::Kind;

/// What the command calls this import, and policies that have no other name.
const NAME: &str = "consul";

/// Consul, among the imports.
pub(super) const IMPORTER: Importer = Importer {
    name: NAME,
    about: "Turn Consul's configuration into a policy that says the same",
    mesh: "Consul",
    rules: "Consul's rules for transparent proxies",
    release: "Consul sdk/iptables 0.18.1",
    marks: &["consul.hashicorp.com"],
    examples: &[
        "kubectl get pod web -o yaml | weir import consul --pod -",
        "weir import consul --config redirect-traffic.json -o web.weir",
    ],
    forms: &[
        #[cfg(feature = "import-pod")]
        Form::pod(&[Extra::Users], |sources, context| super::told(manifests(sources, context))),
        Form::config(
            "What Consul's injector writes into `redirect-traffic-config`, in JSON, one \
             object or several; `-` is standard input",
            &[Extra::Users],
            |text, context| super::told(configurations(text, context)),
        ),
    ],
    extras: &[(Extra::Users, "Lines of /etc/passwd, for users that are given by name")],
};

/// Consul's configuration in JSON: one object, several, or an array of them.
///
/// An object is `{"kind": "consul", "name": …, "config": {…}}`, whose fields are those of the
/// annotation `consul.hashicorp.com/redirect-traffic-config` and `dualStack`; or such a configuration
/// itself.
///
/// # Errors
///
/// If the text is not JSON, a field is unknown or of the wrong type, and everything that Consul
/// refuses, or that a policy cannot say.
pub fn configurations(text: &str, context: &Context) -> Result<Imported, Refused> {
    json::configurations(text, NAME, context, |entry, report| read(entry, context, report))
}

fn read(entry: &Object, context: &Context, report: &mut Report) -> Option<Kind> {
    let config = json::config_of(NAME, entry, report)?;
    let fields = Fields::read(config, report);
    Some(Kind::from(meaning::consul(&fields, &context.users, report)))
}
