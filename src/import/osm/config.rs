//! Configuration in JSON: annotations, the `MeshConfig` and the pod's address.

use super::finding::Report;
use super::meaning::{self, POD_ADDRESS};
use super::option::Options;
use super::{Context, Imported, Refused};
use crate::import::json::{self, Object};
use crate::import::{GeneralRemark, Given};
use crate::policy::Kind;

const ANNOTATIONS: &str = "annotations";
const MESH_CONFIG: &str = "meshConfig";

/// OSM's configuration in JSON: one object, several, or an array of them.
///
/// An object is `{"kind": "osm", "name": …, "config": {…}}`, or the configuration itself: the
/// `annotations` of a pod, the `meshConfig`, and the pod's address under `POD_IP`, where the mode is
/// `PodIP`. What is absent has OSM's default.
///
/// # Errors
///
/// If the text is not JSON, an option is unknown or of the wrong type, and everything that OSM
/// refuses, or that a policy cannot say.
pub fn configurations(text: &str, context: &Context) -> Result<Imported, Refused> {
    json::configurations(text, super::NAME, context, read)
}

fn read(entry: &Object, report: &mut Report) -> Option<Kind> {
    let config = json::config_of(super::NAME, entry, report)?;
    let mut options = Options::default();
    for (key, value) in config {
        match key.as_str() {
            ANNOTATIONS => {
                for (name, value) in json::object(key, value, report).into_iter().flatten() {
                    if let Some(text) = json::text(name, value, report)
                        && !options.annotation(name, &text)
                    {
                        let given = Given::field(name, text);
                        report.note(&given, GeneralRemark::NotAnOption { nearest: None });
                    }
                }
            }
            MESH_CONFIG => options.mesh_config(value, report),
            POD_ADDRESS => {
                let address = json::text(key, value, report);
                options.pod_address = address.map(|address| Given::field(key, address));
            }
            _ => {
                let known = [ANNOTATIONS, MESH_CONFIG, POD_ADDRESS].into_iter();
                json::refuse_unknown(key, known, report);
            }
        }
    }
    Some(Kind::from(meaning::osm(&options, report)))
}
