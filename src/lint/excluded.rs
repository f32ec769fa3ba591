//! Ways that are captured, and of which a clause leaves nothing.

use super::{Linted, connections, is_captured, some_ends};
use crate::diag::{Diagnostic, Problem};
use crate::explain::Treatment;
use crate::lower::Lowered;
use crate::net::PortRange;
use crate::optimise::listed;
use crate::policy::{Expectation, Way};
use crate::semantics::Limit;
use crate::span::Span;
use crate::variants::{Edit, Variant};

/// Says where a clause excludes all that would be captured of a way: `W510`. Of a clause that `is_known`, that was
/// said.
pub(super) fn lint(
    linted: &Linted<'_>,
    variant: &mut Variant<'_, '_>,
    is_known: impl Fn(Span) -> bool,
) -> Result<Vec<Diagnostic>, Limit> {
    let mut found = Vec::new();
    for (way, name, usual) in WAYS {
        if usual.iter().any(|packet| is_captured(linted.lowered, packet))
            || captures(linted.lowered, way)?
        {
            continue;
        }
        let clauses = variant.clauses().into_iter();
        // Who writes that nothing is to be captured means it.
        for clause in clauses.filter(|it| it.words.split(' ').any(|word| word == "exclude")) {
            let Some(with) = variant.with(&[(clause.place, Edit::Drop)]) else { continue };
            if captures(&listed(&with), way)? {
                if is_known(clause.span) {
                    break;
                }
                let by = clause.words.as_str().into();
                let problem = Problem::NothingLeft { way: name, by };
                found.push(problem.at(clause.span, "all of it is excluded here"));
                break;
            }
        }
    }
    Ok(found)
}

/// Both ways, what they are called, and packets that most policies capture.
const WAYS: [(Way, &str, [&str; 2]); 2] = [
    (
        Way::Inbound,
        "inbound",
        [
            "inbound tcp from 10.0.0.9 to 10.0.0.7:8080",
            "inbound tcp from fd00::9 to [fd00::7]:8080",
        ],
    ),
    (
        Way::Outbound,
        "outbound",
        ["outbound tcp to 10.96.0.1:443 user 1000", "outbound tcp to [fd00:96::1]:443 user 1000"],
    ),
];

/// Whether some connection goes to the proxy that way.
fn captures(lowered: &Lowered, way: Way) -> Result<bool, Limit> {
    // No connection goes to port 0.
    let ports = PortRange::new(1, u16::MAX).into_iter().collect();
    let about = Expectation { ports, ..connections(way) };
    some_ends(lowered, &about, |outcome| Treatment::of(outcome).is_captured())
}
