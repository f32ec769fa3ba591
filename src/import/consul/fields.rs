//! The fields of Consul's configuration, as they were written.

use serde_json::Value;

use super::finding::Report;
use crate::import::json::{self, Object, refuse_type};
use crate::import::{GeneralRemark, Given};

/// What the injector writes, field by field. What is absent has Go's value for it.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) user: Option<Given>,
    pub(super) inbound_port: Option<Given>,
    pub(super) outbound_port: Option<Given>,
    pub(super) exclude_inbound_ports: Vec<Items>,
    pub(super) exclude_outbound_ports: Vec<Items>,
    pub(super) exclude_networks: Vec<Items>,
    pub(super) exclude_users: Vec<Items>,
    pub(super) dns_address: Option<Given>,
    pub(super) dns_port: Option<Given>,
    pub(super) dual_stack: bool,
}

/// A list, as it was written.
#[derive(Debug)]
pub(super) struct Items {
    pub(super) given: Given,
    pub(super) items: Vec<String>,
}

/// The names of the fields (`sdk/iptables`, `Config`), and `dualStack`.
const NAMES: &[&str] = &[
    "ConsulDNSIP",
    "ConsulDNSPort",
    "ProxyUserID",
    "ProxyInboundPort",
    "ProxyOutboundPort",
    "ExcludeInboundPorts",
    "ExcludeOutboundPorts",
    "ExcludeOutboundCIDRs",
    "ExcludeUIDs",
    "NetNS",
    "IptablesProvider",
    "NftablesProvider",
    "dualStack",
];

impl Fields {
    /// The fields of `config`.
    pub(super) fn read(config: &Object, report: &mut Report) -> Self {
        let mut fields = Self::default();
        for (key, value) in config {
            match key.as_str() {
                "ProxyUserID" => fields.user = text(key, value, report),
                "ConsulDNSIP" => fields.dns_address = text(key, value, report),
                "ProxyInboundPort" => fields.inbound_port = number(key, value, report),
                "ProxyOutboundPort" => fields.outbound_port = number(key, value, report),
                "ConsulDNSPort" => fields.dns_port = number(key, value, report),
                "ExcludeInboundPorts" => {
                    fields.exclude_inbound_ports.extend(items(key, value, report));
                }
                "ExcludeOutboundPorts" => {
                    fields.exclude_outbound_ports.extend(items(key, value, report));
                }
                "ExcludeOutboundCIDRs" => fields.exclude_networks.extend(items(key, value, report)),
                "ExcludeUIDs" => fields.exclude_users.extend(items(key, value, report)),
                "dualStack" => fields.dual_stack = json::switch(key, value, report) == Some(true),
                // Where and by what the rules are applied.
                "NetNS" | "IptablesProvider" | "NftablesProvider" => {
                    if !value.is_null() && value != "" {
                        let value = value.as_str().unwrap_or_default();
                        report.note(&Given::field(key, value), GeneralRemark::NotTraffic);
                    }
                }
                _ => json::refuse_unknown(key, NAMES.iter().copied(), report),
            }
        }
        fields
    }
}

/// The text, unless it is empty, which is what Go has for an absent one.
fn text(key: &str, value: &Value, report: &mut Report) -> Option<Given> {
    let text = json::text(key, value, report)?;
    (!text.is_empty()).then(|| Given::field(key, text))
}

/// The number, unless it is 0, which is what Go has for an absent one.
fn number(key: &str, value: &Value, report: &mut Report) -> Option<Given> {
    let number = json::number(key, value, report)?;
    (number != "0").then(|| Given::field(key, number))
}

/// The texts of an array.
fn items(key: &str, value: &Value, report: &mut Report) -> Option<Items> {
    let array = match value {
        Value::Array(array) => array,
        Value::Null => return None,
        other => return refuse_type(key, other, "an array", report),
    };
    let items: Option<Vec<_>> = array.iter().map(|item| json::text(key, item, report)).collect();
    let items = items?;
    Some(Items { given: Given::field(key, items.join(",")), items })
}
