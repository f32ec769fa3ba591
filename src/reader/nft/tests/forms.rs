//! What scripts and listings of nft say, form by form, and which words of them are not known.

use super::in_words;
use crate::reader::nft::{Options, ReadError, script};

/// Rules of a chain at output, each with what it is read as: the rules of the chain, with ` | ` between,
/// and of chains that they need; `-` if there are none. Behind `!`, what is wrong, and where.
const RULES: &str = include_str!("forms.txt");

/// A table with `rule` in it, on line 16.
fn around(rule: &str) -> String {
    format!(
        "table inet t {{
set nics {{ type ifname; elements = {{ \"eth0\", \"lo\" }}; }}
set nets4 {{ type ipv4_addr; flags interval; elements = {{ 10.0.0.0/8, 192.168.1.1 comment \"x\" }}; }}
set filled {{ type ipv4_addr; }}
set ports {{ type inet_service; flags constant; elements = {{ 80, 443 counter packets 0 bytes 0 }}; }}
map verdicts {{ type inet_service : verdict; elements = {{ 22 : return, 80 : jump x }}; }}
set dyn {{ type ipv4_addr; flags dynamic,timeout; }}
set timed {{ type ipv4_addr; flags timeout; elements = {{ 10.0.0.1 timeout 1h expires 5m }}; }}
set empty {{ type ipv4_addr; flags interval; }}
set pairs {{ type ipv4_addr . inet_service; elements = {{ 10.0.0.1 . 80, 10.0.0.2 . 80, 10.0.0.1 . 81 }}; }}
map nets {{ type ipv4_addr : interval ipv4_addr; flags interval; elements = {{ 10.0.0.0/8 : 10.1.0.1-10.1.0.9 }}; }}
chain x {{ }}
chain y {{ }}
chain c {{
type filter hook output priority filter; policy accept;
{rule}
}}
}}
"
    )
}

fn messages(errors: &[ReadError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" && ")
}

#[test]
fn every_form_of_a_rule_is_read_or_its_word_is_named() {
    let rows: Vec<_> = RULES.lines().filter(|line| !line.is_empty()).collect();
    for row in rows.chunks(2) {
        let [rule, expected] = row else { panic!("{row:?}") };
        let read = match script(&around(rule), &Options::default()) {
            Ok(found) => {
                let words = in_words(&found.ruleset);
                let rules = words.lines().skip_while(|line| !line.contains("chain c,")).skip(1);
                rules.map(str::trim).collect::<Vec<_>>().join(" | ")
            }
            Err(errors) => format!("! {}", messages(&errors).replace("line 16, ", "")),
        };
        let read = if read.is_empty() { "-" } else { &read };
        assert_eq!(read, expected.trim(), "{rule}");
    }
}
