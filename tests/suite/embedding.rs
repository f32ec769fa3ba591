//! What others build on the library.

use std::process::Command;

use crate::common::netns::{self, Netns};
use crate::common::shipped::root;

/// The example is what a CNI author reads first, so it has to work as it stands there.
#[test]
fn the_cni_example_loads_and_proves_its_policy() {
    let text = std::fs::read_to_string(root().join("examples/cni.rs")).unwrap();
    assert!(text.lines().count() < 60, "it is to be read at once");
    if !netns::available_to_root() {
        return;
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--offline", "--example", "cni"]);
    let built = cargo.current_dir(root()).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let weir = std::path::Path::new(env!("CARGO_BIN_EXE_weir"));
    let example = weir.ancestors().nth(2).unwrap().join("debug/examples/cni");
    let netns = Netns::new();
    let namespace = format!("/proc/{}/ns/net", netns.pid());
    for what in ["loaded", "left as it was"] {
        let done = Command::new(&example).arg(&namespace).output().unwrap();
        let said = String::from_utf8(done.stdout).unwrap();
        let expected = format!(
            "policy web-7d9c is {what}, and proved: equal\n\
             outbound tcp to 10.96.0.1:443 user 1000: captured: redirected to the outbound proxy port 15001\n\
             outbound tcp to 10.20.1.1:443: untouched\n"
        );
        assert_eq!(said, expected, "{}", String::from_utf8_lossy(&done.stderr));
    }
    let rules = netns.output("nft", &["list", "ruleset"]);
    assert!(rules.contains("tcp dport { 15008, 15020-15021, 15090 }"), "{rules}");
}
