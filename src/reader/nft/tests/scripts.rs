//! What blocks and commands of scripts leave, and what would be refused.

use proptest::prelude::*;

use super::in_words;
use crate::reader::nft::{OfIptables, Options, Target, script};

/// What the text leaves, on one line, or what is wrong with it.
fn left(text: &str, options: &Options) -> String {
    match script(text, options) {
        Ok(found) => {
            let words = in_words(&found.ruleset);
            words
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .collect::<Vec<_>>()
                .join(" | ")
        }
        Err(errors) => {
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            format!("! {}", errors.join(" && "))
        }
    }
}

fn assert_left(rows: &[(&str, &str)], options: &Options) {
    for (text, expected) in rows {
        assert_eq!(left(text, options), *expected, "{text}");
    }
}

#[test]
fn blocks_are_read_as_nft_lists_them() {
    let rows = [
        ("", ""),
        ("# a comment\n;; table ip a { }", "table a for IPv4"),
        ("table a {\n}", "table a for IPv4"),
        (
            "table inet t { # handle 5\n\tcomment \"x\"\n\tflags owner,persist\n\n\tchain c { # handle 1\n\t\tcomment \"y\"\n\t\ttype nat hook output priority dstnat; policy accept;\n\t\tcounter packets 1 bytes 2 accept # handle 3\n\t}\n}\n",
            "table t for IPv4 and IPv6 | chain c, nat at output, priority -100 | always: accept",
        ),
        (
            "table ip6 t {\nchain c {\ntype filter hook prerouting priority mangle + 5; policy drop;\n}\n}",
            "table t for IPv6 | chain c, filter at prerouting, priority -145 | IPv6: drop",
        ),
        (
            "table ip t {\nflags dormant\nchain c {\ntype filter hook input priority security - 5\naccept\n}\n}",
            "table t for IPv4 | chain c | IPv4: accept",
        ),
        (
            "table ip t {\nchain a {\njump b\n}\nchain b {\n}\n}",
            "table t for IPv4 | chain a | IPv4: jump b | chain b",
        ),
        (
            "table ip t {\nset s {\ntypeof ip daddr\nsize 65535\nflags interval\nauto-merge\ngc-interval 1h\ncomment \"x\"\nelements = { 10.0.0.1,\n\t10.0.0.2-10.0.0.3 }\n}\nchain c {\nip daddr @s drop\n}\n}",
            "table t for IPv4 | chain c | to { 10.0.0.1/32, 10.0.0.2/31 }: drop",
        ),
        // What no rule looks up need not be known.
        (
            "table inet t {\nset s {\ntype ipv4_addr . inet_service\nflags timeout,dynamic\ntimeout 1h\nelements = { 10.0.0.1 . 80 timeout 1h expires 59m58s }\n}\nmap m {\ntype inet_service : mark\nelements = { 22 : 0x00000001 }\n}\nset o {\ntype ether_addr\nelements = { 02:42:ac:11:00:02 }\n}\ncounter hits {\npackets 0 bytes 0\n}\nflowtable f {\nhook ingress priority 0\ndevices = { eth0 }\n}\nct helper ftp {\ntype \"ftp\" protocol tcp\n}\n}",
            "table t for IPv4 and IPv6",
        ),
        ("table arp a {\nchain c {\narp operation request\n}\n}", ""),
        (
            "table netdev n {\nchain i {\ntype filter hook ingress device \"eth0\" priority 0\n}\n}",
            "",
        ),
        (
            "table inet t {\nchain c {\ntype filter hook ingress device \"eth0\" priority 0\n}\n}",
            "table t for IPv4 and IPv6 | chain c",
        ),
        (
            "table inet t {\nchain c {\ntype nat hook prerouting priority srcnat\n}\n}",
            "! line 3, column 35: unknown priority at this hook `srcnat`",
        ),
        (
            "table inet t {\nchain c {\ntype nat hook output priority -2147483649\n}\n}",
            "! line 3, column 31: priority `-`: not an integer of 32 bits",
        ),
        (
            "table inet t {\nchain c {\npolicy drop\n}\n}",
            "! line 3, column 8: `policy` needs a hook",
        ),
        (
            "table inet t {\nchain c {\ntype nat hook output priority -100; policy accept;\ntype nat hook output priority -100; policy accept;\n}\n}",
            "! line 4, column 44: policy `accept`: the chain has one already",
        ),
        // A rule behind its chain is no counter.
        (
            "table inet t {\nchain c {\n}\ncounter return comment \"x\"\n}",
            "! line 4, column 16: `comment` where `{` must be",
        ),
        (
            "table inet t {\ncounter web {\npackets 0 bytes 0\n}\nct helper ftp {\ntype \"ftp\" protocol tcp\n}\n}",
            "table t for IPv4 and IPv6",
        ),
        ("table inet t {\nrules c { }\n}", "! line 2, column 1: unknown part of a table `rules`"),
        (
            "table inet t {\nset s {\nelements = { 1 }\n}\n}",
            "! line 2, column 7: `set` needs a type",
        ),
        (
            "table inet t {\nset s {\ntype mark; color red\n}\n}",
            "! line 3, column 12: unknown part of a set `color`",
        ),
        (
            "table inet t { chain c { accept } }",
            "! line 1, column 33: `}` where an end of line or `;` must be && line 1, column 35: `}` where an end of line or `;` must be",
        ),
        ("table inet t {\nchain log {\n}\n}", "table t for IPv4 and IPv6 | chain log"),
        ("table inet \"t\" {\n}", "! line 1, column 12: `\"t\"` where the name of a table must be"),
        ("table inet t {", "! line 1, column 15: `end of script` where `}` must be"),
        ("}\ntable ip a { }", "! line 1, column 1: `}` where a command must be"),
        ("table inet t {\r\n}", "! line 1, column 15: `\\r` where what is in a table must be"),
    ];
    assert_left(&rows, &Options::default());
}

#[test]
fn commands_are_run_in_their_order() {
    let table = "add table inet t\nadd chain inet t c { type filter hook output priority 0; policy accept; }\n";
    let head = "table t for IPv4 and IPv6 | chain c, filter at output, priority 0";
    for (commands, expected) in [
        ("add rule inet t c accept; insert rule inet t c drop", " | always: drop | always: accept"),
        (
            "add rule inet t c accept\nadd rule inet t c index 0 drop\ninsert rule inet t c index 1 log",
            " | always: accept | always: log | always: drop",
        ),
        ("add rule inet t c accept\nflush table inet t", ""),
        ("add rule inet t c accept\nflush chain inet t c", ""),
        (
            "add chain inet t d\nadd rule inet t c jump d\nflush chain inet t c\ndelete chain inet t d",
            "",
        ),
        ("chain inet t c { accept; }", " | always: accept"),
        (
            "add set inet t s { type ipv4_addr; }\nadd element inet t s { 10.0.0.1, 10.0.0.2 }\ndelete element inet t s { 10.0.0.1 }\nadd rule inet t c ip daddr @s drop",
            " | to 10.0.0.2/32: drop",
        ),
        (
            "create set inet t s { type ipv4_addr; elements = { 10.0.0.1 }; }\nflush set inet t s\nadd rule inet t c ip daddr @s drop\ndestroy table ip none",
            "; set s",
        ),
        ("add counter inet t hits\nadd rule inet t c counter name hits drop", " | always: drop"),
    ] {
        let expected = match expected {
            "; set s" => format!(
                "table t for IPv4 and IPv6 | set s of IPv4 addresses, filled by others{} | IPv4, to set s: drop",
                &head[25..]
            ),
            _ => format!("{head}{expected}"),
        };
        assert_eq!(
            left(&format!("{table}{commands}\n"), &Options::default()),
            expected,
            "{commands}"
        );
    }
    for (commands, expected) in [
        ("flush ruleset", ""),
        ("delete table inet t", ""),
        ("delete table ip t", "! line 3, column 1: no table `ip t`"),
        ("create table inet t", "! line 3, column 1: table `t` is there already"),
        ("add rule inet t d accept", "! line 3, column 1: no chain `d`"),
        ("add rule inet t c index 0 accept", "! line 3, column 1: no rule `0`"),
        (
            "delete rule inet t c handle 5",
            "! line 3, column 8: `rule` cannot be read exactly: rules are taken away by handles that the text does not show",
        ),
        (
            "add rule inet t c handle 5 accept",
            "! line 3, column 19: `handle` cannot be read exactly: it stands for a place among rules that the text does not show",
        ),
        ("delete element inet t s { 1 }", "! line 3, column 1: no set `s`"),
        (
            "add chain inet t c { type filter hook output priority 5; }",
            "! line 3, column 1: chain `c` is there already",
        ),
        (
            "add chain inet t d\nadd rule inet t c jump d\ndelete chain inet t d",
            "! line 5, column 1: `d` would be refused: the kernel does not delete what a rule leads to or looks up",
        ),
        (
            "add set inet t s { type mark; }\nadd rule inet t c mark @s drop\ndelete set inet t s",
            "! line 5, column 1: `s` would be refused: the kernel does not delete what a rule leads to or looks up",
        ),
        ("define P = 5", "! line 3, column 1: unknown command or object `define`"),
        ("list ruleset", "! line 3, column 1: unknown command or object `list`"),
        ("insert table inet t", "! line 3, column 8: unknown command or object `table`"),
        ("5", "! line 3, column 1: `5` where a command must be"),
        ("add table inet t x", "! line 3, column 18: `x` where an end of line or `;` must be"),
    ] {
        assert_eq!(
            left(&format!("{table}{commands}\n"), &Options::default()),
            expected,
            "{commands}"
        );
    }
}

#[test]
fn what_is_wrong_is_all_named_but_not_in_tables_of_others() {
    let text = "table ip a {\nchain c {\nfoo\ntcp dport https accept\n}\nbar\n}\ntable ip b {\nchain c {\nxt match \"x\"\n}\n}\nbaz ip b\n";
    assert_eq!(
        left(text, &Options::default()),
        "! line 6, column 1: unknown part of a table `bar` && line 13, column 1: unknown command or object `baz`"
    );
    let leave_out = ["a", "ip b"].map(str::to_owned).into();
    let options = Options { leave_out, ..Options::default() };
    assert_eq!(left(text, &options), "! line 13, column 1: unknown command or object `baz`");
}

#[test]
fn tables_that_iptables_nft_keeps_are_left_to_iptables_save() {
    let table = |family: &str, name: &str, chain: &str| {
        format!(
            "table {family} {name} {{\nchain {chain}\nmeta skuid != 1337 accept\n}}\nchain KUBE {{\n}}\n}}\n"
        )
    };
    let output = "OUTPUT {\ntype nat hook output priority -100; policy accept;";
    let refuse = |text: &str| left(text, &Options::default());
    let pass = |text: &str| {
        left(text, &Options { of_iptables: OfIptables::PassOver, ..Options::default() })
    };
    for text in [
        table("ip", "nat", output),
        table("ip6", "nat", output),
        table("ip", "filter", "INPUT {\ntype filter hook input priority filter;"),
        table("ip", "raw", "PREROUTING {\ntype filter hook prerouting priority raw;"),
        table("ip6", "mangle", "OUTPUT {\ntype route hook output priority mangle;"),
        table("ip", "security", "FORWARD {\ntype filter hook forward priority 150;"),
    ] {
        assert!(refuse(&text).contains("read what `iptables-save` prints"), "{text}");
        assert_eq!(pass(&text), "", "{text}");
    }
    for text in [
        table("inet", "nat", output),
        table("ip", "proxy", output),
        table("ip", "filter", output),
        table("ip", "nat", "output {\ntype nat hook output priority -100;"),
        table("ip", "nat", "OUTPUT {\ntype nat hook output priority -99;"),
        table("ip", "nat", "OUTPUT {"),
        table("ip", "security", "FORWARD {\ntype filter hook forward priority security;"),
    ] {
        assert!(refuse(&text).contains("not user 1337 (but some): accept"), "{}", refuse(&text));
        assert_eq!(pass(&text), refuse(&text));
    }
}

#[test]
fn what_nft_of_the_target_would_refuse_is_an_error() {
    let chain = |rule: &str| {
        format!(
            "table inet t {{\nchain x {{\n}}\nchain c {{\ntype nat hook output priority -100;\n{rule}\n}}\n}}\n"
        )
    };
    let base = |base: &str| format!("table inet t {{\nchain c {{\ntype {base};\n}}\n}}\n");
    let set = |set: &str| format!("table inet t {{\nset s {{\n{set}\n}}\n}}\n");
    // A base chain, and as many below each other.
    let nested = |depth: u32| {
        let below = (0..depth).rev().map(|at| format!("chain c{at} {{\njump c{}\n}}\n", at + 1));
        let base = "type filter hook output priority 0;\njump c1\n";
        let below = below.collect::<String>().replacen(
            "chain c0 {\njump c1\n",
            &format!("chain c0 {{\n{base}"),
            1,
        );
        format!("table inet t {{\nchain c{depth} {{\n}}\n{below}}}\n")
    };
    let oldest = Target::OLDEST;
    let newer: Target = "1.1.2".parse().unwrap();
    for (text, target, expected) in [
        (set("type ipv4_addr; elements = { 10.0.0.0/8 }"), newer, "`10.0.0.0/8` would be refused: its set needs `flags interval`"),
        (set("type inet_service; elements = { 1-9 }"), newer, "`1-9` would be refused: its set needs `flags interval`"),
        (set("type ipv4_addr; size 2; elements = { 10.0.0.1, 10.0.0.2 }"), newer, ""),
        (set("type ipv4_addr; size 1; elements = { 10.0.0.1, 10.0.0.2 }"), newer, "`s` would be refused: it has more elements than its size"),
        (set("type ipv4_addr; flags interval; elements = { 10.1.0.0/16, 10.0.0.0/8 }"), newer, "`s` would be refused: two of its elements overlap"),
        (set("type ipv4_addr; flags interval; elements = { 10.0.0.0/9, 10.128.0.0/9 }"), newer, ""),
        (set("type ipv4_addr; flags interval; auto-merge; elements = { 10.1.0.0/16, 10.0.0.0/8 }"), newer, ""),
        (set("type ifname; flags interval; elements = { \"eth*\" }"), oldest, "`eth*` would be refused: nft before 1.0.3 has no wildcards in sets"),
        (set("type ifname; flags interval; elements = { \"eth*\" }"), newer, ""),
        (base("nat hook output priority -200"), newer, "`priority` would be refused: a nat chain needs one above -200"),
        (base("nat hook forward priority 0"), newer, "`type nat` would be refused: the kernel has none at forward"),
        (base("route hook prerouting priority 0"), newer, "`type route` would be refused: the kernel has it at output only"),
        (chain("tcp dport 80-80 accept"), oldest, "`80-80` would be refused: nft before 1.0.3 has no range of one value"),
        (chain("tcp dport 80-80 accept"), newer, ""),
        (base("nat hook output priority dstnat"), oldest, "`priority` would be refused: only nft 1.0.9 and newer take this form"),
        (base("nat hook output priority dstnat"), "1.0.9".parse().unwrap(), ""),
        (base("nat hook prerouting priority dstnat"), oldest, ""),
        (chain("ct mark set ct mark & 0xff | meta mark & 0xf00"), oldest, "`|` would be refused: nft before 1.1.2 has a number behind it only"),
        (chain("ct mark set ct mark & 0xff | meta mark & 0xf00"), newer, ""),
        (chain("ct mark set meta mark & 0xff ^ 0x1"), oldest, ""),
        (chain("ct mark set 0xff & meta mark"), oldest, "`&` would be refused: nft before 1.1.2 has a number behind it only"),
        (base("filter hook prerouting priority -150;\nmeta l4proto tcp meta mark set 1 tproxy ip to :5 accept"), oldest, "`mark set` would be refused: nft 1.0.3 and 1.0.4 do not take it before `tproxy`"),
        (base("filter hook prerouting priority -150;\nmeta l4proto tcp meta mark set 1 tproxy ip to :5 accept"), "1.0.5".parse().unwrap(), ""),
        (base("filter hook prerouting priority -150;\nip daddr 10.0.0.1 meta l4proto tcp tproxy to :5 accept"), newer, "`tproxy` would be refused: it has to say which family it is for"),
        (nested(15), oldest, ""),
        (nested(16), newer, "`chain c16` would be refused: the kernel has a packet in 16 chains at most"),
        (chain("iifname { \"a*\", \"b\" } accept"), oldest, "`a*` would be refused: nft before 1.0.3 has no wildcards in sets"),
        (chain("ip daddr 10.0.0.1 ip6 daddr ::1 accept"), newer, "`family` would be refused: a match before is for another one"),
        (chain("meta l4proto udp tcp dport 80 accept"), newer, "`protocol` would be refused: a match before is for another one"),
        (chain("meta l4proto tcp redirect to :5"), newer, ""),
        (chain("snat ip to 10.0.0.1"), newer, "`snat` would be refused: packets come to chain c where the kernel has none"),
        (chain("meta l4proto tcp tproxy to :5 accept"), newer, "`tproxy` would be refused: packets come to chain c where the kernel has none"),
        (base("filter hook output priority 0;\nmeta l4proto tcp redirect to :5"), newer, "`redirect` would be refused: packets come to chain c where the kernel has none"),
        ("table inet t {\nchain c {\n}\nchain vm {\n}\n}\n".to_owned(), newer, ""),
        ("table inet t {\nchain c {\n}\nchain vm {\n}\n}\n".to_owned(), oldest, "`vm` would be refused: it is a word of nft's own, and no name"),
        ("add table ip t\ndestroy table ip t".to_owned(), oldest, "`destroy` would be refused: nft before 1.0.7 does not know it"),
        ("add table ip t\ndestroy table ip t".to_owned(), "1.0.7".parse().unwrap(), ""),
        ("add table ip t\nadd chain ip t a\nadd rule ip t a jump b\nadd chain ip t b".to_owned(), newer, "no chain `b`"),
        ("add table ip t\nadd chain ip t a\nadd rule ip t a ip daddr @s drop\nadd set ip t s { type ipv4_addr; }".to_owned(), newer, "no set `s`"),
    ] {
        let strict = left(&text, &Options { target: Some(target), ..Options::default() });
        let said = strict.split_once(": ").map_or("", |(_, why)| why);
        assert_eq!(if strict.starts_with('!') { said } else { "" }, expected, "{text}{strict}");
    }
    // As a listing, most of it is read.
    assert!(!left(&chain("tcp dport 80-80 accept"), &Options::default()).starts_with('!'));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z{}@*:;.,/\\\\!=&|\"# \n0-9-]{0,80}") {
        let _ = script(&text, &Options::default());
        let _ = script(&format!("table inet t {{\nchain c {{\n{text}\n}}\n}}"), &Options::default());
        let _ = script(&format!("table inet t {{\nset s {{\ntype mark; elements = {{ {text}"), &Options::default());
    }

    #[test]
    fn no_words_make_it_panic(words in proptest::collection::vec(proptest::sample::select(&[
        "table", "inet", "t", "{", "}", "chain", "c", "\n", ";", "type", "nat", "hook", "output", "priority",
        "-", "100", "dstnat", "rule", "add", "delete", "flush", "set", "s", "elements", "=", ",", "meta", "mark",
        "&", "(", ")", "==", "vmap", "@s", ":", "jump", "10.0.0.0", "/", "8", "::1", "\"x\"", "counter", "log",
    ][..]), 0..30)) {
        let _ = script(&words.join(" "), &Options { target: Some(Target::OLDEST), ..Options::default() });
    }
}
