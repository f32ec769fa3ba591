//! Chains of others that run at the priority of a policy's own.
//!
//! No clause chooses a priority, and translations of one hook tie always. So what is told here is no
//! fault of a policy, and said by nobody who was not asked.

use crate::Compilation;
use crate::diag::{Diagnostic, Problem, in_order};
use crate::explain::Treatment;
use crate::ir::Ruleset;
use crate::lower::{Lowered, Owners};
use crate::optimise::listed;
use crate::policy::Finder;
use crate::reader;
use crate::semantics::{Limit, Outcome, Packet, Sender, order_dependent, runs};

/// A program that translates destinations, as the policy does.
struct WellKnown {
    who: &'static str,
    /// What it does, with addresses of its own for those that it chooses.
    rules: &'static str,
    /// Packets that it translates, of which one tells of most policies.
    usual: &'static [&'static str],
}

/// What programs do by default. Each is from their source at the revision that is named.
const WELL_KNOWN: &[WellKnown] = &[
    // pkg/proxy/nftables/proxier.go, kubernetes 01d7de5464: `nat-output` and `nat-prerouting`. Its
    // iptables mode has the same in `nat`. 10.96.0.0/12 is where kubeadm has services.
    WellKnown {
        who: "kube-proxy",
        rules: "table ip kube-proxy {
            chain nat-output {
                type nat hook output priority -100
                ip daddr 10.96.0.0/12 meta l4proto { tcp, udp } dnat to 10.244.0.2
            }
            chain nat-prerouting {
                type nat hook prerouting priority -100
                ip daddr 10.96.0.0/12 meta l4proto { tcp, udp } dnat to 10.244.0.2
            }
        }",
        usual: &["outbound tcp to 10.96.0.1:443 user 1000"],
    },
    // libnetwork/drivers/bridge/setup_ip_tables_linux.go, moby 01d8303167: `DOCKER` in `nat`, for what
    // goes to this machine.
    WellKnown {
        who: "Docker's published ports",
        rules: "table ip docker {
            chain output {
                type nat hook output priority -100
                fib daddr type local ip daddr != 127.0.0.0/8 tcp dport 8080 dnat to 172.17.0.2
            }
            chain prerouting {
                type nat hook prerouting priority -100
                fib daddr type local tcp dport 8080 dnat to 172.17.0.2
            }
        }",
        usual: &["inbound tcp to 10.0.0.7:8080"],
    },
    // daemon/libnetwork/resolver_unix.go, moby 2dc38a87dc: `docker-dns`, in the container's namespace.
    WellKnown {
        who: "Docker's resolver",
        rules: "table ip docker-dns {
            chain dns-dnat {
                type nat hook output priority -100
                ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:40053
                ip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.11:40053
            }
        }",
        usual: &[
            "outbound tcp to 127.0.0.11:53 user 1000 out lo",
            "outbound udp to 127.0.0.11:53 user 1000 out lo",
        ],
    },
];

/// A packet of which the order of chains decides, what that supposes, and what becomes of it then and
/// otherwise.
type Decided = (Packet, Vec<String>, Outcome, Outcome);

impl Compilation {
    /// Which well-known programs have chains that tie with those of its policies, where the order decides
    /// what becomes of packets, and that is nowhere allowed: `W520`, for each policy and program, in
    /// source order; and what is allowed and not so. `E404`, where rules are too entangled to tell.
    #[must_use]
    pub fn ties(&self) -> Vec<Diagnostic> {
        let mut allows = self.allows();
        let mut found = Vec::new();
        for (policy, at) in self.policies.iter().zip(self.names()) {
            let lowered = listed(policy);
            for known in WELL_KNOWN {
                match decided(known, &lowered) {
                    Ok(None) => {}
                    Ok(Some(decided)) => found.push(known.problem(&lowered, decided).at(*at, "")),
                    Err(limit) => {
                        let subject = "chains that tie with those of others";
                        let problem = Problem::TooEntangled { subject, why: limit.to_string() };
                        found.push(problem.at(*at, ""));
                    }
                }
            }
        }
        allows.filter(&mut found);
        let idle: Vec<_> = allows.idle(Finder::Ties).collect();
        found.extend(in_order(idle));
        found
    }
}

impl WellKnown {
    fn ruleset(&self) -> Ruleset {
        let found = reader::nft::script(self.rules, &reader::nft::Options::default());
        found.unwrap_or_default().ruleset
    }

    fn problem(&self, lowered: &Lowered, (packet, supposes, then, otherwise): Decided) -> Problem {
        let words = |outcome: &Outcome| lowered.ports.words(&Treatment::of(outcome)).into();
        Problem::WellKnownTie {
            who: self.who,
            packet: packet.to_string().into(),
            supposes: supposes.join(" and ").into(),
            then: words(&then),
            otherwise: words(&otherwise),
        }
    }
}

/// Whether the order decides beside `known`, and of which packet.
fn decided(known: &WellKnown, lowered: &Lowered) -> Result<Option<Decided>, Limit> {
    let mut both = lowered.ruleset.clone();
    both.tables.extend(known.ruleset().tables);
    for usual in known.usual {
        let Ok(packet) = usual.parse::<Packet>() else { continue };
        if let [(first, _), (second, supposes), ..] = &runs(&both, &packet)?[..] {
            let (then, otherwise) = (second.outcome.clone(), first.outcome.clone());
            return Ok(Some((packet, supposes.clone(), then, otherwise)));
        }
    }
    // Of what the proxy sends, policies say nothing.
    let Owners { users, groups } = &lowered.owners;
    let is_proxys = |packet: &Packet| match packet.sender {
        Sender::Process { user, group } => users.contains(&user) || groups.contains(&group),
        Sender::Kernel | Sender::Nobody => false,
    };
    let found = order_dependent(&both)?.into_iter().find(|it| !is_proxys(&it.packet));
    Ok(found.map(|it| (it.packet, it.supposes, it.right, it.left)))
}

#[cfg(test)]
mod tests {
    use super::WELL_KNOWN;
    use crate::diag::Problem;
    use crate::semantics::{Packet, Translation, run};
    use crate::syntax::NoIncludes;
    use crate::{Options, compile};

    /// Who ties with a policy that says this.
    fn ties(inside: &str) -> Vec<&'static str> {
        let text = format!("sidecar s {{ {inside} }}");
        let compilation = compile("s.weir", &text, &NoIncludes, &Options::default()).unwrap();
        let found = compilation.ties().into_iter().map(|found| match found.problem {
            Problem::WellKnownTie { who, .. } => who,
            other => panic!("{other}"),
        });
        found.collect()
    }

    #[test]
    fn what_others_do_can_be_read() {
        for known in WELL_KNOWN {
            for usual in known.usual {
                let packet: Packet = usual.parse().unwrap();
                let translation = run(&known.ruleset(), &packet).outcome.translation;
                let is_dnat = matches!(translation, Some(Translation::Dnat { .. }));
                assert!(is_dnat, "{}: {usual}: {translation:?}", known.who);
            }
        }
    }

    #[test]
    fn who_translates_what_the_policy_captures_ties_with_it() {
        let usual = ["kube-proxy", "Docker's published ports"];
        assert_eq!(ties(""), usual);
        let all = ["kube-proxy", "Docker's published ports", "Docker's resolver"];
        assert_eq!(ties("dns { capture * }"), all);
        let inside = "outbound { exclude to 10.96.0.0/12 }; inbound { capture port none }";
        assert_eq!(ties(inside), [""; 0]);
        // The usual packet is excluded, and others are not.
        let inside = "outbound { exclude to 10.96.0.1/32 }; inbound { capture port 80 }";
        assert_eq!(ties(inside), ["kube-proxy"]);
        assert_eq!(ties("family ipv6"), [""; 0]);
        assert_eq!(ties("outbound { capture to none }; inbound { capture port none }"), [""; 0]);
    }
}
