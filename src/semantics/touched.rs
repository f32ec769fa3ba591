//! Which rules packets meet.

use std::collections::HashSet;

use super::Limit;
use super::diagram::Function;
use super::find::asked;
use super::space::Space;
use super::symbolic::hits;
use crate::ir::{Hook, Match, Rule, Ruleset};
use crate::net::Family;

/// The rules of `ruleset`, in its order, that some packet meets and matches which all of `when` hold
/// for as it arrives at `hook`, in any order of chains that tie.
///
/// The packets are those that [`find`](super::find) looks at.
///
/// # Errors
///
/// If the ruleset is too entangled to tell.
pub fn touched<'a>(
    ruleset: &'a Ruleset,
    hook: Hook,
    when: &[Match],
) -> Result<Vec<&'a Rule>, Limit> {
    let mut met: HashSet<*const Rule> = HashSet::new();
    for family in Family::ALL {
        let mut space = Space::new(hook, family, &[ruleset], when);
        for schedule in ruleset.schedules(hook, family)? {
            let asked = asked(&mut space, ruleset, when);
            for (rule, packets) in hits(&mut space, ruleset, &schedule)? {
                if space.diagrams.and(packets, asked) != Function::FALSE {
                    met.insert(rule);
                }
            }
            if space.diagrams.is_full() {
                return Err(Limit::Memory);
            }
        }
    }
    let chains = ruleset.tables.iter().flat_map(|table| &table.chains);
    let rules = chains.flat_map(|chain| &chain.rules);
    Ok(rules.filter(|rule| met.contains(&std::ptr::from_ref(*rule))).collect())
}

#[cfg(test)]
mod tests {
    use super::touched;
    use crate::ir::{CtState, CtStates, Direction, Hook, Match};
    use crate::optimise::listed;
    use crate::syntax::NoIncludes;
    use crate::{Options, compile};

    #[test]
    fn a_rule_behind_one_that_takes_the_packets_is_not_met() {
        let text = "sidecar s { inbound { exclude port 15020, 80 } }";
        let compilation = compile("s.weir", text, &NoIncludes, &Options::default()).unwrap();
        let ruleset = listed(&compilation.policies[0]).ruleset;
        let met = |port: u16| -> Vec<&str> {
            let ports = [crate::net::PortRange::one(port)].into_iter().collect();
            let when = [
                Match::CtState { states: CtStates::from_iter([CtState::New]), not: false },
                Match::Port { of: Direction::Destination, ports, not: false },
            ];
            let met = touched(&ruleset, Hook::Prerouting, &when).unwrap();
            let rungs = met.iter().map(|rule| rule.origin.rung.number());
            rungs.filter(|number| !number.is_empty()).collect()
        };
        assert_eq!(met(15020), ["I6"]);
        assert_eq!(met(15008), ["I5"]);
        assert_eq!(met(8080), ["I7"]);
    }
}
