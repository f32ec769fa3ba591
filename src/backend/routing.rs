//! The `ip rule`, `ip route` and `ip addr` commands for what a policy needs beside its rules.
//!
//! They come to what upstream does with netlink (Istio 86c9f01f of 2026-08-22,
//! `tools/common/tproxy/run_linux.go` and `cni/pkg/iptables/iptables_linux.go`), with one
//! difference: running them twice is running them once, where upstream's sidecar adds its rule
//! again. Tried with iproute2 6.1; `ip rule flush` takes a selector since 4.14 of 2017.

use std::fmt::{self, Write};

use ipnet::IpNet;

use crate::ir::{HostPart, HostStep};
use crate::net::{Family, Name};

/// What the commands are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A POSIX shell script for both families. Where the kernel has IPv6 off, it leaves IPv6 out.
    Shell,
    /// A file for `ip -batch` (IPv4) or `ip -6 -batch` (IPv6): one process, no shell. A line of
    /// such a file cannot choose a family, so each has its own.
    ///
    /// Running it again takes the rule away for a moment, in which a marked packet finds none.
    Batch(Family),
}

/// The commands for what the policy called `name` needs beside its rules. Run them before its
/// rules are loaded.
#[must_use]
pub fn emit(name: &Name, needs: &[HostStep], form: Form) -> String {
    let mut out = String::new();
    let written = match form {
        Form::Shell => {
            writeln!(out, "#!/bin/sh\n# Routing of policy `{name}`. Twice is like once.\nset -eu")
                .and_then(|()| write_shell(&mut out, needs, add_in_shell))
        }
        Form::Batch(family) => {
            let option = if family == Family::Ipv6 { "-6 " } else { "" };
            writeln!(
                out,
                "# Routing of policy `{name}`, for `ip {option}-batch`. Twice is like once."
            )
            .and_then(|()| {
                write_lines(&mut out, of(needs, family).iter().flat_map(Step::add).collect())
            })
        }
    };
    written.expect("a String takes every write");
    out
}

/// Appends to a shell script what takes away what [`emit`] adds, and does nothing where it is not
/// there.
pub(super) fn write_removal(out: &mut String, needs: &[HostStep]) -> fmt::Result {
    write_shell(out, needs, |steps| {
        let remove = |step: &Step| step.remove().into_iter().map(|it| step.ip(&it)).collect();
        steps.iter().rev().flat_map::<Vec<_>, _>(remove).collect()
    })
}

/// Appends the commands for each family; for IPv6, to run only where the kernel has it on.
fn write_shell(
    out: &mut String,
    needs: &[HostStep],
    commands: impl Fn(&[Step]) -> Vec<String>,
) -> fmt::Result {
    write_lines(out, commands(&of(needs, Family::Ipv4)))?;
    let ipv6 = commands(&of(needs, Family::Ipv6));
    if ipv6.is_empty() {
        return Ok(());
    }
    writeln!(out, "# Where IPv6 is off, it has no addresses, routes or rules.")?;
    writeln!(out, "off=/proc/sys/net/ipv6/conf/lo/disable_ipv6")?;
    writeln!(out, "if [ -e $off ] && [ \"$(cat $off)\" = 0 ]; then")?;
    write_lines(out, ipv6.into_iter().map(|command| format!("    {command}")).collect())?;
    writeln!(out, "fi")
}

fn write_lines(out: &mut String, lines: Vec<String>) -> fmt::Result {
    lines.into_iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// As [`Step::add`], but without a moment in which the rule is gone.
fn add_in_shell(steps: &[Step]) -> Vec<String> {
    let command = |step: &Step| match step.0.adds {
        HostPart::Address(_) | HostPart::LocalRoute { .. } => {
            step.add().into_iter().map(|command| step.ip(&command)).collect()
        }
        HostPart::MarkRule { .. } => {
            let [list, add] = [format!("rule list {step}"), format!("rule add {step}")];
            vec![format!("[ -n \"$({})\" ] || {}", step.ip(&list), step.ip(&add))]
        }
    };
    steps.iter().flat_map(command).collect()
}

/// One of what a policy needs. Displays as `ip` selects it.
struct Step(HostStep);

/// Those of a family.
fn of(needs: &[HostStep], family: Family) -> Vec<Step> {
    needs.iter().filter(|step| step.family == family).copied().map(Step).collect()
}

impl Step {
    /// The arguments of `ip` that add it, also if it is there.
    fn add(&self) -> Vec<String> {
        match self.0.adds {
            HostPart::Address(_) => vec![format!("addr replace {self} nodad")],
            HostPart::LocalRoute { .. } => vec![format!("route replace {self}")],
            HostPart::MarkRule { .. } => {
                vec![format!("rule flush {self}"), format!("rule add {self}")]
            }
        }
    }

    /// The arguments of `ip` that remove it, also if it is not there.
    fn remove(&self) -> Vec<String> {
        match self.0.adds {
            HostPart::Address(address) => {
                vec![format!("addr flush dev lo to {}", IpNet::from(address))]
            }
            // `del` alone fails where there is no such route, and `flush` where there is no table.
            HostPart::LocalRoute { .. } => {
                vec![format!("route replace {self}"), format!("route del {self}")]
            }
            HostPart::MarkRule { .. } => vec![format!("rule flush {self}")],
        }
    }

    /// The command with these arguments.
    fn ip(&self, arguments: &str) -> String {
        match self.0.family {
            Family::Ipv4 => format!("ip -4 {arguments}"),
            Family::Ipv6 => format!("ip -6 {arguments}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.adds {
            HostPart::Address(address) => write!(f, "{} dev lo", IpNet::from(address)),
            HostPart::LocalRoute { table } => {
                let everywhere = self.0.family.everywhere();
                write!(f, "local {everywhere} dev lo table {table}")
            }
            HostPart::MarkRule { mark, table, priority } => {
                // Where no mask is given, `ip` lists and flushes rules of every mask.
                let (value, mask) = (mark.value(), mark.mask());
                write!(f, "fwmark {value:#x}/{mask:#x} table {table}")?;
                match priority {
                    Some(priority) => write!(f, " priority {priority}"),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Family, Form};
    use crate::lower::{Layout, lower};
    use crate::net::{Families, Name, PerFamily};
    use crate::policy::{AmbientHost, AmbientPod, Kind, Mode, Policy, Selection, Setting, Sidecar};

    fn emit(kind: &Kind, form: Form) -> String {
        let name = Name::new("reviews").unwrap();
        let policy = Policy { name: name.clone(), kind: kind.clone(), expectations: Vec::new() };
        super::emit(&name, &lower(&policy, Layout::default()).host, form)
    }

    fn tproxy() -> Sidecar {
        let mode = Setting::default_to(Mode::Tproxy(crate::policy::Tproxy::default()));
        Sidecar { mode, ..Sidecar::default() }
    }

    #[test]
    fn the_shell_script_of_a_tproxy_sidecar() {
        let script = emit(&Kind::Sidecar(Box::new(tproxy())), Form::Shell);
        insta::assert_snapshot!(script, @r#"
        #!/bin/sh
        # Routing of policy `reviews`. Twice is like once.
        set -eu
        ip -4 route replace local 0.0.0.0/0 dev lo table 133
        [ -n "$(ip -4 rule list fwmark 0x539/0xffffffff table 133)" ] || ip -4 rule add fwmark 0x539/0xffffffff table 133
        # Where IPv6 is off, it has no addresses, routes or rules.
        off=/proc/sys/net/ipv6/conf/lo/disable_ipv6
        if [ -e $off ] && [ "$(cat $off)" = 0 ]; then
            ip -6 addr replace ::6/128 dev lo nodad
            ip -6 route replace local ::/0 dev lo table 133
            [ -n "$(ip -6 rule list fwmark 0x539/0xffffffff table 133)" ] || ip -6 rule add fwmark 0x539/0xffffffff table 133
        fi
        "#);
    }

    #[test]
    fn the_batches_of_an_ambient_pod() {
        let pod = Kind::AmbientPod(Box::default());
        insta::assert_snapshot!(emit(&pod, Form::Batch(Family::Ipv4)), @"
        # Routing of policy `reviews`, for `ip -batch`. Twice is like once.
        route replace local 0.0.0.0/0 dev lo table 100
        rule flush fwmark 0x111/0xfff table 100 priority 32764
        rule add fwmark 0x111/0xfff table 100 priority 32764
        ");
        insta::assert_snapshot!(emit(&pod, Form::Batch(Family::Ipv6)), @"
        # Routing of policy `reviews`, for `ip -6 -batch`. Twice is like once.
        route replace local ::/0 dev lo table 100
        rule flush fwmark 0x111/0xfff table 100 priority 32764
        rule add fwmark 0x111/0xfff table 100 priority 32764
        ");
    }

    #[test]
    fn nothing_is_routed_without_a_reason() {
        let mut ipv4_only = tproxy();
        ipv4_only.families = Setting::default_to(Families::Ipv4);
        let mut nothing_inbound = tproxy();
        nothing_inbound.inbound.capture_ports = Setting::default_to(Selection::none());
        let mut bound_to_loopback = Sidecar::default();
        bound_to_loopback.proxy.passthrough = Setting::default_to(PerFamily {
            ipv4: std::net::Ipv4Addr::LOCALHOST,
            ipv6: std::net::Ipv6Addr::LOCALHOST,
        });
        for (kind, lines) in [
            (Kind::Sidecar(Box::default()), [0, 1]),
            (Kind::Sidecar(Box::new(tproxy())), [3, 4]),
            (Kind::Sidecar(Box::new(ipv4_only)), [3, 0]),
            (Kind::Sidecar(Box::new(nothing_inbound)), [0, 1]),
            (Kind::Sidecar(Box::new(bound_to_loopback)), [0, 0]),
            (Kind::AmbientPod(Box::<AmbientPod>::default()), [3, 3]),
            (Kind::AmbientHost(Box::<AmbientHost>::default()), [0, 0]),
        ] {
            let written =
                Family::ALL.map(|family| emit(&kind, Form::Batch(family)).lines().skip(1).count());
            assert_eq!(written, lines, "{kind:?}");
        }
    }
}
