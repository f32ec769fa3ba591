//! The `ip rule`, `ip route` and `ip addr` commands for what a policy needs beside its rules.
//!
//! They come to what upstream does with netlink (Istio 86c9f01f of 2026-08-22,
//! `tools/common/tproxy/run_linux.go` and `cni/pkg/iptables/iptables_linux.go`), with one
//! difference: running them twice is running them once, where upstream's sidecar adds its rule
//! again; and with a protocol number of weir's own on what they add, by which what an older version added
//! under other numbers is found and taken away. Tried with iproute2 6.1; `ip rule` knows protocols since
//! 4.17 of 2018, and `ip -N` is there since 5.0 of 2019. The `ip` of `BusyBox` has neither.

use std::fmt::{self, Write};

use ipnet::IpNet;

use crate::ip::Selector;
use crate::ip::iptables::{UNLESS_CAPTURED, captured};
use crate::ip::sweep::{arguments, definition};
use crate::ir::{HostPart, HostStep};
use crate::lower::Lowered;
use crate::net::{Family, Name};

/// What the commands are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A POSIX shell script for both families. Where the kernel has IPv6 off, it leaves IPv6 out.
    Shell,
    /// A file for `ip -batch` (IPv4) or `ip -6 -batch` (IPv6): one process, no shell. A line of
    /// such a file cannot choose a family, so each has its own.
    ///
    /// Running it again takes the rule away for a moment, in which a marked packet finds none. It finds
    /// what older versions added by its protocol alone, and so nothing of weir 0.1.0 under other numbers.
    Batch(Family),
}

/// What a policy needs beside its rules.
#[derive(Clone, Copy, Debug)]
pub struct Needs<'a> {
    /// What it adds.
    pub steps: &'a [HostStep],
    /// The protocol number that its routes and rules bear, in any version of it.
    pub protocol: Option<u8>,
}

impl<'a> Needs<'a> {
    /// What a policy needs that was lowered.
    #[must_use]
    pub fn of(lowered: &'a Lowered) -> Self {
        Self { steps: &lowered.host, protocol: lowered.protocol }
    }

    fn of_family(self, family: Family) -> Vec<Step> {
        let steps = self.steps.iter().filter(|step| step.family == family).copied();
        steps.map(|step| Step { step, protocol: self.protocol }).collect()
    }
}

/// The commands for what the policy called `name` needs beside its rules. Run them before its
/// rules are loaded.
#[must_use]
pub fn emit(name: &Name, needs: Needs<'_>, form: Form) -> String {
    let mut out = String::new();
    let written = match form {
        Form::Shell => {
            writeln!(out, "#!/bin/sh\n# Routing of policy `{name}`. Twice is like once.\nset -eu")
                .and_then(|()| define_sweep(&mut out, needs))
                .and_then(|()| write_shell(&mut out, |family| add_in_shell(needs, family)))
        }
        Form::Batch(family) => {
            let option = if family == Family::Ipv6 { "-6 " } else { "" };
            writeln!(
                out,
                "# Routing of policy `{name}`, for `ip {option}-batch`. Twice is like once."
            )
            .and_then(|()| write_lines(&mut out, add_in_batch(needs, family)))
        }
    };
    written.expect("a String takes every write");
    out
}

/// Appends to a shell script what takes away what [`emit`] adds, in any version of the policy, and does
/// nothing where it is not there.
pub(super) fn write_removal(out: &mut String, needs: Needs<'_>) -> fmt::Result {
    define_sweep(out, needs)?;
    if needs.steps.iter().any(|step| matches!(step.adds, HostPart::Address(_))) {
        writeln!(out, "# Several meshes need the address: it goes with the last of them.")?;
        out.write_str(&captured())?;
    }
    write_shell(out, |family| {
        let steps = needs.of_family(family);
        // While a rule stands, so does the route to which it leads.
        let (rules, others): (Vec<_>, Vec<_>) = steps.iter().rev().partition(|step| step.is_rule());
        let remove = |step: &&Step| {
            let commands = step.remove().into_iter().map(|it| step.ip(&it));
            let unless = if step.is_address() { UNLESS_CAPTURED } else { "" };
            commands.map(|command| format!("{unless}{command}")).collect()
        };
        let mut commands: Vec<String> = rules.iter().flat_map::<Vec<_>, _>(remove).collect();
        commands.extend(needs.protocol.map(|_| sweep(family, None)));
        commands.extend(others.iter().flat_map::<Vec<_>, _>(remove));
        commands
    })
}

/// Appends the definition of the function that sweeps, if there can be something to sweep.
fn define_sweep(out: &mut String, needs: Needs<'_>) -> fmt::Result {
    let Some(protocol) = needs.protocol else { return Ok(()) };
    writeln!(out, "# Takes away what an older version routed by other numbers.")?;
    out.write_str(&definition(protocol))
}

/// A call of that function.
fn sweep(family: Family, keep: Option<&Selector>) -> String {
    format!("sweep {}", arguments(family, keep))
}

/// Appends the commands for each family; for IPv6, to run only where the kernel has it on.
fn write_shell(out: &mut String, commands: impl Fn(Family) -> Vec<String>) -> fmt::Result {
    write_lines(out, commands(Family::Ipv4))?;
    let ipv6 = commands(Family::Ipv6);
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

/// Without a moment in which the rule is gone; what an older version needed goes last.
fn add_in_shell(needs: Needs<'_>, family: Family) -> Vec<String> {
    let steps = needs.of_family(family);
    let command = |step: &Step| {
        let add = step.ip(&step.add());
        if step.is_rule() {
            let list = step.ip(&format!("rule list {step}"));
            format!("[ -n \"$({list})\" ] || {add}")
        } else {
            add
        }
    };
    let mut commands: Vec<String> = steps.iter().map(command).collect();
    let keep = steps.iter().find_map(|step| Selector::of(&step.step));
    commands.extend(needs.protocol.map(|_| sweep(family, keep.as_ref())));
    commands
}

/// What was there goes first: rules, and then the routes to which they led.
fn add_in_batch(needs: Needs<'_>, family: Family) -> Vec<String> {
    let steps = needs.of_family(family);
    let rules = steps.iter().filter(|step| step.is_rule());
    let mut commands: Vec<String> = rules.flat_map(Step::remove).collect();
    if let Some(protocol) = needs.protocol {
        commands.push(format!("rule flush protocol {protocol}"));
        commands.push(format!("route flush table all proto {protocol}"));
    }
    commands.extend(steps.iter().map(Step::add));
    commands
}

/// One of what a policy needs. Displays as `ip` selects it.
struct Step {
    step: HostStep,
    protocol: Option<u8>,
}

impl Step {
    const fn is_rule(&self) -> bool {
        matches!(self.step.adds, HostPart::MarkRule { .. })
    }

    const fn is_address(&self) -> bool {
        matches!(self.step.adds, HostPart::Address(_))
    }

    /// The arguments of `ip` that add it; of an address or a route, also if it is there.
    fn add(&self) -> String {
        let protocol = |word| self.protocol.map(|it| format!(" {word} {it}")).unwrap_or_default();
        match self.step.adds {
            HostPart::Address(_) => format!("addr replace {self} nodad"),
            HostPart::LocalRoute { .. } => format!("route replace {self}{}", protocol("proto")),
            HostPart::MarkRule { .. } => format!("rule add {self}{}", protocol("protocol")),
        }
    }

    /// The arguments of `ip` that remove it, also if it is not there.
    fn remove(&self) -> Vec<String> {
        match self.step.adds {
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
        match self.step.family {
            Family::Ipv4 => format!("ip -4 {arguments}"),
            Family::Ipv6 => format!("ip -6 {arguments}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step.adds {
            HostPart::Address(address) => write!(f, "{} dev lo", IpNet::from(address)),
            HostPart::LocalRoute { table } => {
                let everywhere = self.step.family.everywhere();
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
    use crate::lower::lower;
    use crate::net::{Families, Name, PerFamily};
    use crate::policy::{AmbientHost, AmbientPod, Kind, Mode, Policy, Selection, Setting, Sidecar};

    fn emit(kind: &Kind, form: Form) -> String {
        let name = Name::new("reviews").unwrap();
        let policy = Policy::unchecked(name.clone(), kind.clone(), Vec::new());
        super::emit(&name, super::Needs::of(&lower(&policy)), form)
    }

    fn tproxy() -> Sidecar {
        let mode = Setting::default_to(Mode::Tproxy(crate::policy::Tproxy::default()));
        Sidecar { mode, ..Sidecar::default() }
    }

    #[test]
    fn the_shell_script_of_a_tproxy_sidecar() {
        let script = emit(&Kind::Sidecar(Box::new(tproxy())), Form::Shell);
        let sweep = crate::ip::sweep::definition(87);
        assert!(script.contains(&sweep), "{script}");
        insta::assert_snapshot!(script.replace(&sweep, "…\n"), @r#"
        #!/bin/sh
        # Routing of policy `reviews`. Twice is like once.
        set -eu
        # Takes away what an older version routed by other numbers.
        …
        ip -4 route replace local 0.0.0.0/0 dev lo table 133 proto 87
        [ -n "$(ip -4 rule list fwmark 0x539/0xffffffff table 133)" ] || ip -4 rule add fwmark 0x539/0xffffffff table 133 protocol 87
        sweep -4 '*:from all fwmark 0x539 lookup 133' 133
        # Where IPv6 is off, it has no addresses, routes or rules.
        off=/proc/sys/net/ipv6/conf/lo/disable_ipv6
        if [ -e $off ] && [ "$(cat $off)" = 0 ]; then
            ip -6 addr replace ::6/128 dev lo nodad
            ip -6 route replace local ::/0 dev lo table 133 proto 87
            [ -n "$(ip -6 rule list fwmark 0x539/0xffffffff table 133)" ] || ip -6 rule add fwmark 0x539/0xffffffff table 133 protocol 87
            sweep -6 '*:from all fwmark 0x539 lookup 133' 133
        fi
        "#);
    }

    #[test]
    fn the_batches_of_an_ambient_pod() {
        let pod = Kind::AmbientPod(Box::default());
        insta::assert_snapshot!(emit(&pod, Form::Batch(Family::Ipv4)), @"
        # Routing of policy `reviews`, for `ip -batch`. Twice is like once.
        rule flush fwmark 0x111/0xfff table 100 priority 32764
        rule flush protocol 88
        route flush table all proto 88
        route replace local 0.0.0.0/0 dev lo table 100 proto 88
        rule add fwmark 0x111/0xfff table 100 priority 32764 protocol 88
        ");
        insta::assert_snapshot!(emit(&pod, Form::Batch(Family::Ipv6)), @"
        # Routing of policy `reviews`, for `ip -6 -batch`. Twice is like once.
        rule flush fwmark 0x111/0xfff table 100 priority 32764
        rule flush protocol 88
        route flush table all proto 88
        route replace local ::/0 dev lo table 100 proto 88
        rule add fwmark 0x111/0xfff table 100 priority 32764 protocol 88
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
            (Kind::Sidecar(Box::new(tproxy())), [2, 3]),
            (Kind::Sidecar(Box::new(ipv4_only)), [2, 0]),
            (Kind::Sidecar(Box::new(nothing_inbound)), [0, 1]),
            (Kind::Sidecar(Box::new(bound_to_loopback)), [0, 0]),
            (Kind::AmbientPod(Box::<AmbientPod>::default()), [2, 2]),
            (Kind::AmbientHost(Box::<AmbientHost>::default()), [0, 0]),
        ] {
            // What takes away is for older versions, which may have needed something.
            let adds = |line: &&str| !line.contains(" flush ");
            let written = Family::ALL.map(|family| {
                emit(&kind, Form::Batch(family)).lines().skip(1).filter(adds).count()
            });
            assert_eq!(written, lines, "{kind:?}");
        }
    }
}
