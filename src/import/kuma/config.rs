//! Kuma's configuration file, to policies.

use serde_json::Value;

use super::finding::Report;
use super::option::Options;
use super::proxy::{self, Host};
use super::{Context, Imported, Refused};
use crate::import::environment::{self, Environment};
use crate::import::json::{self, Object, refuse_unknown, wrong_type};
use crate::import::{GeneralReason, Given};
use crate::policy::Kind;

/// Kuma's configuration: the file of `kumactl install transparent-proxy --config` in YAML or JSON,
/// or JSON with one object, several, or an array of them.
///
/// An object is such a configuration, or `{"kind": "kuma", "name": …, "config": {…}}`, where
/// `resolv` may list the addresses in the host's resolv.conf, and `host` may say of it
/// `ipv6_address` and `docker_output_chain`, each true or false.
///
/// # Errors
///
/// If the text is neither YAML nor JSON, an option is of the wrong type, and everything that Kuma
/// refuses, or that a policy cannot say.
pub fn configurations(text: &str, context: &Context) -> Result<Imported, Refused> {
    let mut report = Report::default();
    let environment = environment::parse(&context.environment, &mut report);
    let json = match as_json(text) {
        Ok(json) => json,
        Err(why) => {
            report.fail(why);
            return report.finish(Vec::new());
        }
    };
    if !report.mistakes.is_empty() {
        return report.finish(Vec::new());
    }
    json::configurations(&json, super::NAME, context, |entry, report| {
        read(entry, &environment, context, report)
    })
}

/// The one configuration of a file of Kuma's, in YAML or JSON.
///
/// # Errors
///
/// If it is neither, or holds something else.
pub(super) fn object(text: &str) -> Result<Object, GeneralReason> {
    let json = as_json(text)?;
    if json.trim().is_empty() {
        return Ok(Object::new());
    }
    match serde_json::from_str(&json) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null) => Ok(Object::new()),
        Ok(other) => Err(wrong_type(&other, "an object")),
        Err(error) => Err(json::unreadable(&error)),
    }
}

/// The same in JSON: a text that begins like JSON is.
fn as_json(text: &str) -> Result<String, GeneralReason> {
    if text.trim_start().starts_with(['{', '[']) {
        return Ok(text.to_owned());
    }
    from_yaml(text)
}

#[cfg(feature = "import-pod")]
fn from_yaml(text: &str) -> Result<String, GeneralReason> {
    let documents = crate::import::manifest::documents(text)?;
    Ok(documents.iter().map(Value::to_string).collect::<Vec<_>>().join("\n"))
}

#[cfg(not(feature = "import-pod"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature it fails")]
fn from_yaml(text: &str) -> Result<String, GeneralReason> {
    Ok(text.to_owned())
}

fn read(
    entry: &Object,
    environment: &Environment,
    context: &Context,
    report: &mut Report,
) -> Option<Kind> {
    let config = json::config_of(super::NAME, entry, report)?;
    let mut host = super::host(context);
    if entry.contains_key("config") {
        said_of_host(entry, &mut host, report);
    }
    let mut options = Options::default();
    options.read_config(config, report);
    options.read_environment(environment, report);
    Some(proxy::kuma(&options, &host, &context.users, report).into())
}

/// What the entry itself says of the host.
fn said_of_host(entry: &Object, host: &mut Host, report: &mut Report) {
    match entry.get("resolv") {
        None | Some(Value::Null) => {}
        Some(Value::Array(servers)) if servers.iter().all(Value::is_string) => {
            let servers = servers.iter().filter_map(Value::as_str).map(str::to_owned);
            host.servers = Some(servers.collect());
        }
        Some(other) => {
            report.refuse(&Given::field("resolv", ""), wrong_type(other, "a list of addresses"));
        }
    }
    match entry.get("host") {
        None | Some(Value::Null) => {}
        Some(Value::Object(said)) => {
            for (key, value) in said {
                let place = match key.as_str() {
                    "ipv6_address" => &mut host.ipv6,
                    "docker_output_chain" => &mut host.docker_output,
                    other => {
                        let known = ["ipv6_address", "docker_output_chain"];
                        refuse_unknown(other, known.into_iter(), report);
                        continue;
                    }
                };
                *place = json::switch(key, value, report).or(*place);
            }
        }
        Some(other) => {
            report.refuse(&Given::field("host", ""), wrong_type(other, "an object"));
        }
    }
}
