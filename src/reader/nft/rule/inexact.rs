//! What a rule asks and does that cannot be said exactly: not for what is to be loaded.

use super::super::condition::Condition;
use super::super::field::Field;
use super::super::opaque::{Asker, target};
use super::{Place, Spec};
use crate::ir::{Action, Also, Direction, Effect, Match, Origin, Protocol, Rule};
use crate::net::Families;
use crate::nft::{At, Comparison, Expr, Right, Statement, TableFamily, Translation};

/// Keys whose change nothing follows that is compared: as nft writes them.
const OF_NO_MATTER: [&str; 19] = [
    "meta priority",
    "meta pkttype",
    "meta nftrace",
    "meta secmark",
    "meta broute",
    "ct event",
    "ct helper",
    "ct timeout",
    "ct expectation",
    "ct label",
    "ct secmark",
    "ip dscp",
    "ip ecn",
    "ip ttl",
    "ip id",
    "ip6 dscp",
    "ip6 ecn",
    "ip6 hoplimit",
    "ip6 flowlabel",
];

/// What of a rule is not known: one target, which may take every packet that the table sees.
pub(in super::super) fn unknown(
    statements: &[(At, Statement<'_>)],
    place: &Place<'_, '_>,
    asker: &Asker<'_>,
) -> Rule {
    let held = place.sets.held_by(statements.iter().map(|(_, one)| one));
    let then = Action::Opaque(asker.unknown_target(&in_words(statements), &held));
    Rule {
        families: place.families,
        when: Vec::new(),
        then,
        origin: Origin::FOREIGN,
        also: Also::NOTHING,
    }
}

fn in_words(statements: &[(At, Statement<'_>)]) -> String {
    statements.iter().map(|(_, one)| one.to_string()).collect::<Vec<_>>().join(" ")
}

impl Spec {
    /// The rule, with a target instead of `rest` of which nothing is known.
    pub(super) fn ended_by(
        mut self,
        rest: &[(At, Statement<'_>)],
        place: &Place<'_, '_>,
        asker: &Asker<'_>,
    ) -> Self {
        if self.check_socket().is_err() {
            self.ask_for_socket(asker);
        }
        let held = place.sets.held_by(rest.iter().map(|(_, one)| one));
        let target = asker.unknown_target(&in_words(rest), &held);
        self.act(Action::Opaque(target), false);
        self.is_over = true;
        self
    }

    /// Half of a match on a transparent socket is a question of its own.
    pub(super) fn ask_for_socket(&mut self, asker: &Asker<'_>) {
        let text = match self.socket.take() {
            Some(Field::Wildcard) => "socket wildcard 0",
            _ => "socket transparent 1",
        };
        self.all(vec![asker.fact(text)]);
    }

    /// A statement as a question, or as an outcome of its own; whether it can be told as one.
    /// `goes_on`: whether others stand behind it.
    pub(super) fn add_inexactly<'v>(
        &mut self,
        statement: &'v Statement<'v>,
        goes_on: bool,
        place: &Place<'v, '_>,
        asker: &Asker<'_>,
    ) -> bool {
        if self.tproxy.is_some() {
            return false;
        }
        if let Statement::Match { left, op, right } = statement {
            if self.has_any_port((left, *op, right), asker) {
                return true;
            }
            let condition = asker.comparison((left, *op, right), place.sets);
            return self.narrow_by(condition).is_ok();
        }
        if self.check_socket().is_err() {
            self.ask_for_socket(asker);
            if self.statement(statement, place).is_ok() {
                return true;
            }
        }
        match statement {
            Statement::Other { word, text } => self.other(word, text, goes_on, asker),
            Statement::Update { limits, deletes, text, .. } => {
                if *limits {
                    self.all(vec![asker.limit(text)]);
                } else {
                    self.stays(text, goes_on && !deletes, asker);
                }
                true
            }
            Statement::Mangle { key, .. } => {
                let (key, text) = (key.to_string(), statement.to_string());
                if OF_NO_MATTER.contains(&key.as_str()) || key.starts_with("tcp option") {
                    self.stays(&text, false, asker);
                } else {
                    self.act(
                        Action::Opaque(
                            asker.not_followed(
                                &text,
                                place.sets.held_by(std::iter::once(statement)),
                            ),
                        ),
                        false,
                    );
                }
                true
            }
            Statement::Translate(translate) => {
                if self.translate_inexactly(translate, place, asker) {
                    return true;
                }
                let to = [&translate.to, &translate.port].into_iter().flatten();
                for map in
                    to.filter_map(|to| if let Expr::Map(map) = to { Some(map) } else { None })
                {
                    let (key, to) = (&map.0, &map.1);
                    let condition = asker.comparison((key, Comparison::In, to), place.sets);
                    if self.narrow_by(condition).is_err() {
                        return false;
                    }
                }
                let to_this_machine =
                    matches!(translate.kind, Translation::Redirect | Translation::Masquerade);
                let effect = Effect::Translates { to_this_machine };
                self.narrow_to(translate.family.map_or(Families::Both, TableFamily::families));
                // What a map holds is part of the question whether it has the packet's key.
                let then = target(&statement.to_string(), effect);
                self.act(Action::Opaque(then), false);
                self.is_over = true;
                true
            }
            Statement::Vmap { key, to } => self.vmap_inexactly(key, to, place, asker),
            _ => false,
        }
    }

    fn other(&mut self, word: &str, text: &str, goes_on: bool, asker: &Asker<'_>) -> bool {
        match word {
            "limit" | "quota" | "ct count" => self.all(vec![asker.limit(text)]),
            "reject" | "queue" | "fwd" => {
                self.act(Action::Opaque(target(text, Effect::Takes)), false);
                self.is_over = true;
            }
            "notrack" => self.act(Action::Notrack, false),
            "synproxy" => {
                self.act(Action::Opaque(asker.not_followed(text, String::new())), false);
            }
            "last" => {}
            "dup" | "reset" => self.stays(text, false, asker),
            "flow" => self.stays(text, goes_on, asker),
            "xt" if text.starts_with("xt match") => self.all(vec![asker.unknown_match(text)]),
            _ => return false,
        }
        true
    }

    /// A target that changes nothing that is compared; `may_end`: the rule can end here.
    fn stays(&mut self, text: &str, may_end: bool, asker: &Asker<'_>) {
        self.act(Action::Opaque(target(text, Effect::Stays)), false);
        if may_end {
            self.all(vec![asker.goes_on(text)]);
        }
    }

    /// A port of whatever protocol: that of TCP and UDP is known, of others it is a question.
    fn has_any_port(
        &mut self,
        (left, op, right): (&Expr<'_>, Comparison, &Right<'_>),
        asker: &Asker<'_>,
    ) -> bool {
        let Expr::Payload { protocol, field } = left else { return false };
        if protocol != "th" || self.transport.is_some() {
            return false;
        }
        let of = match &**field {
            "sport" => Direction::Source,
            "dport" => Direction::Destination,
            _ => return false,
        };
        let Right::One(value) = right else { return false };
        let field = Field::Port(of, None);
        let right_value = super::condition::Right::One(value);
        let Ok(known) = super::condition::compare(field, op, &right_value) else { return false };
        let mut others: Vec<Match> = [Protocol::Tcp, Protocol::Udp]
            .map(|protocol| Match::Protocol { protocol, not: true })
            .into();
        let text = crate::nft::text::comparison(left, op, right);
        others.push(asker.fact(&text));
        let mut any = known.any;
        any.push(others);
        self.narrow_by(Condition { families: Some(Families::Both), any }).is_ok()
    }
}
