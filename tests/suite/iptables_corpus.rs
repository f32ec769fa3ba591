//! Upstream's own rules, configuration by configuration, if `WEIR_CORPUS` names a file of them:
//! one JSON object a line, with the texts under `iptables` and `ip6tables`.

use std::collections::BTreeMap;

use netweir::backend::iptables::emit;
use netweir::net::Family;
use netweir::reader::iptables::{Options, read};

#[test]
fn every_text_is_read_and_written_back_equal() {
    let Ok(path) = std::env::var("WEIR_CORPUS") else {
        println!("skipped: WEIR_CORPUS is not set");
        return;
    };
    let groups = BTreeMap::from([("java".to_owned(), 3001), ("ftp".to_owned(), 3002)]);
    let options = Options { groups, ..Options::default() };
    let mut entries = 0;
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = &entry["name"];
        let text = |key: &str| entry[key].as_str().filter(|text| !text.trim().is_empty());
        let first = read(text("iptables"), text("ip6tables"), &options)
            .unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        let [v4, v6] = Family::ALL.map(|family| {
            emit(&first, family).unwrap_or_else(|problems| panic!("{name}: {problems:?}"))
        });
        let second = read(Some(&v4), Some(&v6), &options)
            .unwrap_or_else(|errors| panic!("{name}: {errors:?}\n{v4}{v6}"));
        assert_eq!(first, second, "{name}\n{v4}{v6}");
        entries += 1;
    }
    println!("{entries} entries");
}
