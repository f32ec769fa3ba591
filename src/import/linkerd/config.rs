//! Configuration in JSON: the flags of `linkerd-init` by name, or that of the CNI plugin.

use serde_json::Value;

use super::finding::Report;
use super::option::{Items, OPTIONS, Opt, Options, Takes};
use super::{Context, Imported, Refused, meaning};
use crate::import::json::{self, Object, refuse_type};
use crate::import::words::nearest;
use crate::import::{GeneralRemark, Given};
use crate::policy::Kind;

/// Linkerd's configuration in JSON: one object, several, or an array of them.
///
/// An object is `{"kind": "linkerd", "name": …, "config": {…}}`, whose options have the names of
/// the flags of `linkerd-init`, and lists of which are one text, as on a command line; or such a
/// configuration itself; or what the CNI plugin is given, with its options under `linkerd`, alone or
/// among `plugins`. What is absent has the default of either; that of the plugin leaves IPv6 alone.
/// What a pod's annotations change is not in it.
///
/// # Errors
///
/// If the text is not JSON, an option is unknown or of the wrong type, and everything that Linkerd
/// refuses, or that a policy cannot say.
pub fn configurations(text: &str, context: &Context) -> Result<Imported, Refused> {
    json::configurations(text, super::NAME, context, read)
}

fn read(entry: &Object, report: &mut Report) -> Option<Kind> {
    let options = if let Some(plugin) = plugin(entry) {
        cni(plugin, report)?
    } else {
        let config = json::config_of(super::NAME, entry, report)?;
        flags(config, report)
    };
    Some(Kind::from(meaning::linkerd(&options, report)))
}

/// The options of the CNI plugin, if the object has them.
fn plugin(entry: &Object) -> Option<&Value> {
    let plugins = entry.get("plugins").and_then(Value::as_array);
    let among = plugins.into_iter().flatten().find_map(|plugin| plugin.get("linkerd"));
    among.or_else(|| entry.get("linkerd"))
}

/// The flags by name, each as on a command line.
fn flags(config: &Object, report: &mut Report) -> Options {
    let mut options = Options::default();
    for (key, value) in config {
        let Some(spec) = OPTIONS.iter().find(|spec| spec.name == key) else {
            json::refuse_unknown(key, OPTIONS.iter().map(|spec| spec.name), report);
            continue;
        };
        let text = match spec.takes {
            Takes::Number => json::number(key, value, report),
            Takes::Switch => json::switch(key, value, report).map(|on| on.to_string()),
            Takes::Text | Takes::Numbers | Takes::Texts => json::text(key, value, report),
        };
        match text {
            Some(text) => options.read(spec.option, Given::field(key, text), report),
            None if !value.is_null() => options.spoil(spec.option),
            None => {}
        }
    }
    options
}

/// The plugin's options. It ignores what it does not know.
fn cni(config: &Value, report: &mut Report) -> Option<Options> {
    let Value::Object(config) = config else {
        return refuse_type("linkerd", config, "an object", report);
    };
    let known = || OPTIONS.iter().filter(|spec| spec.in_cni);
    let mut options = Options::default();
    for (key, value) in config {
        let Some(spec) = known().find(|spec| spec.name == key) else {
            let nearest = nearest(key, known().map(|spec| spec.name)).map(str::to_owned);
            report.note(&Given::field(key, ""), GeneralRemark::NotAnOption { nearest });
            continue;
        };
        if value.is_null() {
            continue;
        }
        match spec.takes {
            Takes::Number => match json::number(key, value, report) {
                Some(text) => options.read(spec.option, Given::field(key, text), report),
                None => options.spoil(spec.option),
            },
            Takes::Switch => {
                if let Some(on) = json::switch(key, value, report) {
                    options.set(spec.option, Given::field(key, on.to_string()), report);
                }
            }
            Takes::Text => {
                if let Some(text) = json::text(key, value, report) {
                    options.set(spec.option, Given::field(key, text), report);
                }
            }
            Takes::Numbers | Takes::Texts => {
                let is_number = spec.takes == Takes::Numbers;
                if let Some(items) = items(key, value, is_number, report) {
                    let given = Given::field(key, items.join(","));
                    options.add(spec.option, Items { given, items });
                }
            }
        }
    }
    // Go's values for what is absent.
    for option in [Opt::InboundPort, Opt::OutboundPort] {
        if options.get(option).is_none() && !options.is_spoiled(option) {
            options.set(option, Given::field(option.spec().name, "0"), report);
        }
    }
    if options.get(Opt::Ipv6).is_none() {
        options.set(Opt::Ipv6, Given::field(Opt::Ipv6.spec().name, "false"), report);
    }
    Some(options)
}

/// The items of an array.
fn items(key: &str, value: &Value, numbers: bool, report: &mut Report) -> Option<Vec<String>> {
    json::list_of(key, value, report, |item, report| {
        if numbers { json::number(key, item, report) } else { json::text(key, item, report) }
    })
}
