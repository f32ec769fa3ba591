//! What a CNI plugin does with the library: a policy in memory, compiled for one pod, with every
//! problem ready to be logged.
//!
//! `cargo run --example cni`

use std::collections::BTreeMap;

use netweir::syntax::Loader;
use netweir::{Options, View, compile};

/// Policies that the plugin has from its configuration; the library opens no file itself.
struct Configured(BTreeMap<&'static str, &'static str>);

impl Loader for Configured {
    fn read(&self, path: &str) -> Result<String, String> {
        self.0.get(path).map(|text| (*text).to_owned()).ok_or_else(|| "not configured".to_owned())
    }
}

fn main() -> Result<(), String> {
    let loader = Configured(BTreeMap::from([(
        "company.weir",
        "sidecar company { inbound { capture port *; exclude port 15020, 15021, 15090 } }",
    )]));
    let pod = "include \"company.weir\"\n\
               sidecar web-7d9c extends company { outbound { exclude to 10.20.0.0/16 } }\n";

    let compilation =
        compile("web-7d9c.weir", pod, &loader, &Options::default()).map_err(|failure| {
            let lines = failure.diagnostics.iter().map(|found| {
                let place = failure.sources.place(found.labels[0].at);
                format!("{place}: {}: {}", found.problem.code(), found.problem)
            });
            lines.collect::<Vec<_>>().join("\n")
        })?;
    for warning in &compilation.warnings {
        eprintln!("{}: {}", compilation.sources.place(warning.labels[0].at), warning.problem);
    }

    let policy = &compilation.policies[0];
    let script =
        compilation.emit(policy, View::Nft).map_err(|problems| problems[0].problem.to_string())?;
    // A plugin would hand this to `nft -f -` in the pod's network namespace, or call `host::apply`.
    print!("{script}");
    Ok(())
}
