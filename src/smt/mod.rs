//! Whether two rulesets treat a packet differently, as a question to an SMT solver.
//!
//! [`question`] writes it in SMT-LIB 2, in the logic of bit-vectors (`QF_BV`): a solver answers
//! `unsat` if there is no such packet, and `sat` with one if there is. [`packet`] reads that one.
//!
//! It is a second opinion on [`semantics::compare`](crate::semantics::compare): made from
//! [`ir`](crate::ir), with nothing of the decision diagrams. The text reads from top to bottom as
//! the definition in `ir` does: `packet.smt2` says what packets there are, `kernel.smt2` what
//! actions and the steps of a hook do to one, and the rest, which is written here, which rules
//! there are. A chain is a function from a packet's way so far to its way behind the chain, so that
//! the text grows with the rules and not with the ways through them.

mod model;
mod rules;
mod ways;

use std::fmt::{self, Write};

use crate::backend::dump::Words;
use crate::ir::{Hook, Ruleset, Schedule, Step, TooManyTies};
use crate::net::{Families, Family};
use rules::Side;
use ways::Ways;

pub use model::{BadModel, packet};

/// Why there is no question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoQuestion {
    /// Chains tie in too many ways.
    #[error(transparent)]
    Ties(#[from] TooManyTies),
    /// Jumps lead in a circle, which the kernel refuses.
    #[error("chain `{chain}` leads back to itself")]
    Circle {
        /// One of the chains.
        chain: String,
    },
    /// Jumps are nested too deeply.
    #[error("jumps lead more than 512 chains deep, to chain `{chain}`")]
    Depth {
        /// The first chain that is too deep.
        chain: String,
    },
    /// There are too many rules, each counted as often as chains lead to it.
    #[error("more than 200000 rules have to be written, each as often as chains lead to it")]
    Rules,
    /// A rule asks or does what the model leaves open.
    #[error("a rule that is not followed: `{rule}`")]
    Opaque {
        /// The rule.
        rule: String,
    },
}

/// What a packet can have come to on its way through a hook, with the bits that hold it, the
/// highest first. All are 0 at first.
const FIELDS: [(&str, u32, &str); 13] = [
    ("flow", 2, "whether rules run, see below"),
    ("mark", 32, "its mark"),
    ("routed", 32, "the mark under which it was routed last"),
    ("connmark", 32, "the mark of its connection"),
    ("source", 128, "where it comes from by now"),
    ("destination", 128, "where it goes by now"),
    ("source-port", 16, "the port that it comes from by now"),
    ("destination-port", 16, "the port that it goes to by now"),
    (
        "translation",
        147,
        "#b01: redirected to a port; #b10: given a source; #b11: sent to an address, and to a port \
         behind #b1; then the port, and the address",
    ),
    ("proxy", 17, "#b1 and the port of the transparent proxy that took it"),
    ("zone", 17, "#b1 and the zone of its connection"),
    ("tracked", 1, "whether its connection is looked up"),
    ("moved", 1, "whether one of its ends has become another"),
];

const PACKET: &str = include_str!("packet.smt2");
const KERNEL: &str = include_str!("kernel.smt2");

/// Asks whether there is a packet that the two rulesets treat differently, in some order of chains
/// that tie. Where the same chains tie on both sides, the same order is supposed.
///
/// Each ruleset comes with what it is called, which a comment repeats.
///
/// # Errors
///
/// If chains tie in too many ways, jumps lead in a circle, too deep, or to too many rules, or a rule is
/// [opaque](crate::ir::Rule::is_opaque).
pub fn question(left: (&str, &Ruleset), right: (&str, &Ruleset)) -> Result<String, NoQuestion> {
    let rules = [left.1, right.1].into_iter().flat_map(rules::rules);
    if let Some((_, rule)) = rules.into_iter().find(|(_, rule)| rule.is_opaque()) {
        return Err(NoQuestion::Opaque { rule: Words(rule).to_string() });
    }
    let namesakes = &rules::namesakes(&[left.1, right.1]);
    let sides = [
        Side { word: "left", ruleset: left.1, namesakes },
        Side { word: "right", ruleset: right.1, namesakes },
    ];
    let mut ways = Ways::default();
    let cases = cases(sides, &mut ways)?;
    let mut out = String::new();
    let names = [left.0, right.0].map(one_line);
    write_question(&mut out, &sides, &names, &ways, &cases).expect("a String accepts every write");
    Ok(out)
}

/// A hook with an order of its chains on each side.
struct Case {
    hook: Hook,
    /// `None` if it is the same for both families.
    family: Option<Family>,
    supposes: Vec<String>,
    /// The way of packets on each side.
    ways: [String; 2],
}

/// Every hook, family and pair of orders in which a packet meets a rule.
fn cases(sides: [Side<'_>; 2], ways: &mut Ways) -> Result<Vec<Case>, NoQuestion> {
    let mut cases = Vec::new();
    for hook in Hook::ALL {
        let [v4, v6] = Family::ALL.map(|family| {
            let [left, right] = sides.map(|side| side.ruleset.schedules(hook, family));
            Ok::<_, TooManyTies>([left?, right?])
        });
        let (v4, v6) = (v4?, v6?);
        let each = if (0..2).all(|side| is_same(&v4[side], &v6[side])) {
            vec![(None, v4)]
        } else {
            vec![(Some(Family::Ipv4), v4), (Some(Family::Ipv6), v6)]
        };
        for (family, schedules) in each {
            if !schedules.iter().flatten().any(has_rules) {
                continue;
            }
            let mut ends = [Vec::new(), Vec::new()];
            for side in 0..2 {
                for schedule in &schedules[side] {
                    ends[side].push(ways.schedule(sides[side], schedule)?);
                }
            }
            for (left, right) in Schedule::pairs(&schedules[0], &schedules[1]) {
                let mut supposes = schedules[0][left].supposes.clone();
                supposes.extend(schedules[1][right].supposes.iter().cloned());
                supposes.dedup();
                let ways = [ends[0][left].clone(), ends[1][right].clone()];
                cases.push(Case { hook, family, supposes, ways });
            }
        }
    }
    Ok(cases)
}

fn is_same(left: &[Schedule<'_>], right: &[Schedule<'_>]) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .all(|(left, right)| left.is_same(right) && left.supposes == right.supposes)
}

fn has_rules(schedule: &Schedule<'_>) -> bool {
    schedule.steps.iter().any(|step| match step {
        Step::Track => false,
        Step::Chain(_) => true,
        Step::Translate(entries) => !entries.is_empty(),
    })
}

fn write_question(
    out: &mut String,
    sides: &[Side<'_>; 2],
    [left, right]: &[String; 2],
    ways: &Ways,
    cases: &[Case],
) -> fmt::Result {
    writeln!(out, "; Is there a packet that the two treat differently?")?;
    writeln!(out, ";   left:  {left}\n;   right: {right}")?;
    writeln!(
        out,
        "; `unsat`: there is none. `sat`: there is one, for which the last line asks; `case`"
    )?;
    writeln!(
        out,
        "; is its place and the order of chains that tie, which are numbered at the end.\n"
    )?;
    writeln!(out, "(set-option :produce-models true)\n(set-logic QF_BV)")?;
    out.push_str(PACKET);
    rules::write_variables(out, sides)?;
    writeln!(out, "\n; The case.\n(declare-const case (_ BitVec 16))")?;
    let variables: Vec<String> = out.lines().filter_map(declared).map(str::to_owned).collect();
    write_fields(out)?;
    out.push_str(KERNEL);
    writeln!(
        out,
        "\n; The ways of packets on both sides, and whether they come to the same.\n(assert"
    )?;
    out.push_str(&ways.text);
    writeln!(out)?;
    let mut differ = "false".to_owned();
    for (number, case) in cases.iter().enumerate().rev() {
        let Case { hook, family, supposes, ways: [left, right] } = case;
        let supposes: Vec<_> = supposes.iter().map(|one| format!("  ;   if {one}\n")).collect();
        let supposes = supposes.concat();
        let (family, families) = match family {
            None => ("", Families::Both),
            Some(Family::Ipv4) => (" (not is-ipv6)", Families::Ipv4),
            Some(Family::Ipv6) => (" is-ipv6", Families::Ipv6),
        };
        let (hook, families) = (hook.name(), Words(&families));
        differ = format!(
            "(or\n  ; {number}: {hook}, {families}\n{supposes}  (and (= case #x{number:04x}) \
             (= hook {hook}){family} (not (alike {left} {right})))\n  {differ})"
        );
    }
    writeln!(out, "{differ}{})\n(check-sat)", ")".repeat(ways.count))?;
    // Behind `unsat`, solvers call it an error to ask for values.
    writeln!(out, "; Behind `sat`, this asks for the packet:")?;
    writeln!(out, "; (get-value ({}))", variables.join(" "))
}

/// The variable that a line declares.
fn declared(line: &str) -> Option<&str> {
    line.strip_prefix("(declare-const ")?
        .rsplit_once(" Bool)")
        .map_or_else(|| line.split(' ').nth(1), |(name, _)| Some(name))
}

/// The sort of ways, and how each part of one is read and changed.
fn write_fields(out: &mut String) -> fmt::Result {
    let width: u32 = FIELDS.iter().map(|(_, bits, _)| bits).sum();
    writeln!(out, "\n; What a packet has come to, in one vector of bits.")?;
    writeln!(out, "(define-sort Way () (_ BitVec {width}))")?;
    writeln!(out, "(define-fun nowhere () Way (_ bv0 {width}))")?;
    let mut above = width;
    for (name, bits, what) in FIELDS {
        let (high, low) = (above - 1, above - bits);
        writeln!(out, "; {what}")?;
        writeln!(
            out,
            "(define-fun {name}-of ((w Way)) (_ BitVec {bits}) ((_ extract {high} {low}) w))"
        )?;
        let mut new = "new".to_owned();
        if low > 0 {
            new = format!("(concat {new} ((_ extract {} 0) w))", low - 1);
        }
        if above < width {
            new = format!("(concat ((_ extract {} {above}) w) {new})", width - 1);
        }
        writeln!(out, "(define-fun with-{name} ((w Way) (new (_ BitVec {bits}))) Way {new})")?;
        above = low;
    }
    Ok(())
}

/// A name that ends no comment.
fn one_line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
