//! What the backends write, loaded by the real tools into the real kernel.
//!
//! Every test has namespaces of its own. Where `unshare`, `nft` or `ip` is missing, tests print a
//! line and pass; with `WEIR_REQUIRE_KERNEL=1` they fail.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::netns::{self, Netns, same_ruleset};
use common::rulesets;
use netweir::backend::nft::{self, Context, Options};
use netweir::ir::Ruleset;
use netweir::net::{Families, Name};

/// Script and JSON of `ruleset`.
fn both(ruleset: &Ruleset, owned: &[Name], options: &Options) -> [String; 2] {
    let (sources, _) = rulesets::source();
    let policy = rulesets::name("reviews");
    let context = Context { policy: &policy, owned, sources: &sources };
    [nft::script(ruleset, &context, options), nft::json(ruleset, &context, options)]
}

#[test]
fn script_and_json_load_to_the_same_ruleset() {
    if !netns::available() {
        return;
    }
    let netns = Netns::new();
    let owned = rulesets::sidecar_tables();
    let plain = Options { counters: false, comments: false, ..Options::default() };
    for options in [Options::default(), plain] {
        for ruleset in [
            Ruleset::default(),
            rulesets::sidecar(),
            rulesets::everything(Families::Both),
            rulesets::everything(Families::Ipv4),
            rulesets::everything(Families::Ipv6),
            rulesets::ambient_host(Families::Both),
            rulesets::sidecar_without(2000),
        ] {
            let [script, json] = both(&ruleset, &owned, &options);
            same_ruleset(&netns, &script, &json);
        }
    }
}
