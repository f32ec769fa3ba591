//! The way back: a shell script that removes what a policy added, and nothing else.

use std::fmt::{self, Write};

use super::routing::{self, Needs};
use crate::ip::iptables;
use crate::lower::Lowered;
use crate::net::Name;

/// A POSIX shell script that removes what the policy called `name` added: the nft tables that it
/// owns, in whatever family, its rules and chains in both variants of iptables, in whatever number, and the
/// rules, routes and addresses that it needs beside them.
///
/// It does nothing where they are not there, and where iptables is not. The tables of nft go first and in
/// one transaction, so that no packet meets half of them; each table of iptables is one of its own.
#[must_use]
pub fn emit(name: &Name, lowered: &Lowered) -> String {
    let mut script = String::new();
    write(&mut script, name, lowered).expect("a String takes every write");
    script
}

fn write(out: &mut String, name: &Name, lowered: &Lowered) -> fmt::Result {
    let Lowered { owned, chains, .. } = lowered;
    writeln!(out, "#!/bin/sh")?;
    writeln!(out, "# Removes policy `{name}`. Does nothing where it is not loaded.")?;
    writeln!(out, "set -eu")?;
    writeln!(out, "# `add` first, because `delete` fails for a table that is not there.")?;
    writeln!(out, "nft -f - <<'END'")?;
    for table in owned {
        for family in ["inet", "ip", "ip6"] {
            writeln!(out, "add table {family} {table}; delete table {family} {table}")?;
        }
    }
    writeln!(out, "END")?;
    writeln!(out, "# Rules of iptables: its chains, what leads to them, and what bears its name.")?;
    out.write_str(&iptables::teardown(chains, owned))?;
    routing::write_removal(out, Needs::of(lowered))
}

#[cfg(test)]
mod tests {
    use super::emit;
    use crate::lower::lower;
    use crate::net::Name;
    use crate::policy::{Kind, Policy};

    #[test]
    fn the_script_of_an_ambient_pod() {
        let name = Name::new("reviews").unwrap();
        let kind = Kind::AmbientPod(Box::default());
        let policy = Policy::unchecked(name, kind, Vec::new());
        let lowered = lower(&policy);
        let script = emit(&policy.name, &lowered);
        let sweep = crate::ip::sweep::definition(88);
        assert!(script.contains(&sweep), "{script}");
        let of_iptables = crate::ip::iptables::teardown(lowered.chains, &lowered.owned);
        assert!(script.contains(&of_iptables), "{script}");
        let script = script.replace(&of_iptables, "…\n");
        insta::assert_snapshot!(script.replace(&sweep, "…\n"), @r#"
        #!/bin/sh
        # Removes policy `reviews`. Does nothing where it is not loaded.
        set -eu
        # `add` first, because `delete` fails for a table that is not there.
        nft -f - <<'END'
        add table inet istio-ambient-raw; delete table inet istio-ambient-raw
        add table ip istio-ambient-raw; delete table ip istio-ambient-raw
        add table ip6 istio-ambient-raw; delete table ip6 istio-ambient-raw
        add table inet istio-ambient-mangle; delete table inet istio-ambient-mangle
        add table ip istio-ambient-mangle; delete table ip istio-ambient-mangle
        add table ip6 istio-ambient-mangle; delete table ip6 istio-ambient-mangle
        add table inet istio-ambient-nat; delete table inet istio-ambient-nat
        add table ip istio-ambient-nat; delete table ip istio-ambient-nat
        add table ip6 istio-ambient-nat; delete table ip6 istio-ambient-nat
        END
        # Rules of iptables: its chains, what leads to them, and what bears its name.
        …
        # Takes away what an older version routed by other numbers.
        …
        ip -4 rule flush fwmark 0x111/0xfff table 100 priority 32764
        sweep -4 '' ''
        ip -4 route replace local 0.0.0.0/0 dev lo table 100
        ip -4 route del local 0.0.0.0/0 dev lo table 100
        # Where IPv6 is off, it has no addresses, routes or rules.
        off=/proc/sys/net/ipv6/conf/lo/disable_ipv6
        if [ -e $off ] && [ "$(cat $off)" = 0 ]; then
            ip -6 rule flush fwmark 0x111/0xfff table 100 priority 32764
            sweep -6 '' ''
            ip -6 route replace local ::/0 dev lo table 100
            ip -6 route del local ::/0 dev lo table 100
        fi
        "#);
    }
}
