//! Pods of a corpus of Consul's, if `WEIR_CORPUS` names one: they say what their configurations say.

use netweir::import::{Context, consul};
use netweir::policy::GroupIds;

use crate::common::corpus;

#[test]
fn a_pod_says_what_its_configuration_says() {
    let users = GroupIds::from([("root".to_owned(), 0)]);
    let context = Context { users, ..Context::default() };
    let entries = corpus::of("consul");
    let mut pods = 0;
    for entry in &entries {
        let line = &entry.json;
        let Some(pod) = line.get("pod") else { continue };
        pods += 1;
        let read = consul::pods(&pod.to_string(), &context);
        match (&entry.imported, read) {
            (Ok(config), Ok(pod)) => {
                assert_eq!(pod.policies[0].kind, config.policies[0].kind, "{}", entry.name);
            }
            (Err(_), Err(_)) => {}
            (Ok(_), Err(refused)) => panic!("{}: {refused}", entry.name),
            (Err(refused), Ok(_)) => panic!("{}: imported, but {refused}", entry.name),
        }
    }
    assert!(entries.is_empty() || pods > 10, "{pods}");
}
