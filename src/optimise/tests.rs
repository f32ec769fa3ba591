//! Laws of the passes, and how many rules packets meet.

use ipnet::IpNet;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{
    assured, complement, hoist, inline, join, lengths, once, optimise, past, prune, together,
    unreached,
};
use crate::ir::{
    Action, Also, BuiltInTable, Chain, Direction, Hook, MarkChange, Match, Origin, Owner, OwnerIs,
    Protocol, Rule, Ruleset, Table,
};
use crate::net::{Families, Family, Interface, Mark, Name, Nets, aggregate};
use crate::semantics::are_alike;
use crate::semantics::tests::arbitrary::ruleset;

/// A pass, by its name.
type Pass = (&'static str, fn(&mut Table));

const PASSES: [Pass; 12] = [
    ("join of one origin", |table| join::neighbours(table, join::Of::OneOrigin)),
    ("join", |table| join::neighbours(table, join::Of::Any)),
    ("complement", complement::drop),
    ("unreached", unreached::drop),
    ("together", together::neighbours),
    ("inline", inline::chains),
    ("assured", assured::drop),
    ("once", once::ask),
    ("hoist", hoist::conditions),
    ("past", past::chains),
    ("lengths", lengths::part),
    ("prune", prune::idle),
];

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A list that is long, of two lengths.
fn long_list() -> Nets {
    let net = |at: u8| [format!("10.1.{}.0/24", 2 * at), format!("127.0.{at}.1/32")];
    let nets: Vec<IpNet> = (0..40).flat_map(net).map(|net| net.parse().unwrap()).collect();
    aggregate(&nets, Family::Ipv4).unwrap()
}

fn matching() -> impl Strategy<Value = Match> {
    let interface = |(text, not): (&str, bool)| Match::Interface {
        of: Direction::Destination,
        names: vec![Interface::new(text).unwrap()],
        not,
    };
    let of = Direction::Destination;
    let net = move |(nets, not)| Match::Address { of, nets, not };
    let ids = vec![(5, 5)];
    let owner = select(vec![
        OwnerIs::In(ids.clone()),
        OwnerIs::NotIn { ids: ids.clone(), ownerless: true },
        OwnerIs::NotIn { ids, ownerless: false },
    ]);
    let one = |text: &str| Nets::from(text.parse::<IpNet>().unwrap());
    let nets = vec![one("127.0.0.1/32"), one("10.0.0.0/8"), one("::1/128"), long_list()];
    prop_oneof![
        4 => (select(&["lo", "lo", "eth0", "e*"]), select(&[false, false, true])).prop_map(interface),
        2 => select(&[Protocol::Tcp, Protocol::Udp])
            .prop_map(|protocol| Match::Protocol { protocol, not: false }),
        2 => (select(&[53_u16, 80, 443]), any::<bool>())
            .prop_map(move |(port, not)| Match::Port { of, ports: port.into(), not }),
        2 => (select(nets), any::<bool>()).prop_map(net),
        2 => owner.prop_map(|is| Match::Owner { owner: Owner::User, is }),
        1 => (select(&[1, 2]), any::<bool>())
            .prop_map(|(mark, not)| Match::Mark { mark: Mark::exactly(mark), not }),
    ]
}

/// An action of a rule in the chain at `place`.
fn action(place: usize) -> impl Strategy<Value = Action> {
    let later: Vec<Name> = (place + 1..4).map(|place| name(&format!("c{place}"))).collect();
    let ways = if later.is_empty() {
        vec![Action::Return]
    } else {
        later
            .iter()
            .flat_map(|to| {
                [Action::Jump(to.clone()), Action::Jump(to.clone()), Action::Goto(to.clone())]
            })
            .collect()
    };
    prop_oneof![
        6 => Just(Action::Return),
        2 => Just(Action::Accept),
        1 => Just(Action::Drop),
        3 => Just(Action::Redirect { port: 15001 }),
        1 => select(&[1, 2]).prop_map(|mark| Action::SetMark(MarkChange::set(mark))),
        1 => select(&[1, 2]).prop_map(|mark| Action::MarkAndAccept(MarkChange::set(mark))),
        4 => select(ways),
    ]
}

fn rules(place: usize) -> impl Strategy<Value = Vec<Rule>> {
    let families = select(&[Families::Both, Families::Both, Families::Both, Families::Ipv4]);
    let rule =
        (families, vec(matching(), 0..3), action(place)).prop_map(|(families, mut when, then)| {
            if matches!(then, Action::Redirect { .. }) {
                when.push(Match::Protocol { protocol: Protocol::Tcp, not: false });
            }
            when.sort_by_key(super::facts::place);
            Rule { families, when, then, origin: Origin::ENTRY, also: Also::NOTHING }
        });
    // At times the same again, asked for loopback, as ladders have it, or an accept behind it; and marked
    // packets first.
    (vec((rule, 0..5_usize), 0..6), 0..6_usize).prop_map(|(rules, first)| {
        let lo = || Match::Interface {
            of: Direction::Destination,
            names: vec![Interface::lo()],
            not: false,
        };
        let again = |(rule, times): (Rule, usize)| {
            let over_lo = Rule {
                when: std::iter::once(lo()).chain(rule.when.clone()).collect(),
                ..rule.clone()
            };
            let accepts = Rule { then: Action::Accept, ..rule.clone() };
            match times {
                3 => vec![over_lo, rule],
                4 => vec![rule, accepts],
                _ => vec![rule],
            }
        };
        let past = |then| Rule {
            families: Families::Both,
            when: vec![Match::Mark { mark: Mark::exactly(1), not: false }],
            then,
            origin: Origin::ENTRY,
            also: Also::NOTHING,
        };
        let past = [Action::Return, Action::Return, Action::Accept].map(past);
        past.into_iter().skip(first).take(1).chain(rules.into_iter().flat_map(again)).collect()
    })
}

/// One table at output, with chains that lead to each other as those of a ladder do.
pub(crate) fn ladder() -> impl Strategy<Value = Ruleset> {
    let kernel = select(&[BuiltInTable::Nat, BuiltInTable::Mangle]);
    (kernel, rules(0), rules(1), rules(2), rules(3)).prop_map(|(kernel, a, b, c, d)| {
        let chain = |at: usize, rules| Chain {
            name: name(&format!("c{at}")),
            base: if at == 0 { kernel.base(Hook::Output) } else { None },
            rules,
        };
        let chains = vec![chain(0, a), chain(1, b), chain(2, c), chain(3, d)];
        let table = Table { name: name("t"), families: Families::Both, sets: Vec::new(), chains };
        Ruleset { tables: vec![table] }
    })
}

fn keeps_its_meaning(ruleset: &Ruleset) -> Result<(), TestCaseError> {
    let mut changed: Vec<(&str, Ruleset)> = PASSES
        .iter()
        .map(|(name, pass)| {
            let mut ruleset = ruleset.clone();
            ruleset.tables.iter_mut().for_each(pass);
            (*name, ruleset)
        })
        .collect();
    changed.push(("all", optimise(ruleset.clone())));
    for (pass, changed) in changed {
        prop_assert_eq!(are_alike(ruleset, &changed, false), Ok(true), "{}\n{:#?}", pass, changed);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 200 } else { 20_000 }))]

    #[test]
    fn every_pass_keeps_what_a_ladder_means(ruleset in ladder()) {
        keeps_its_meaning(&ruleset)?;
    }

    #[test]
    fn every_pass_keeps_what_any_ruleset_means(ruleset in ruleset()) {
        keeps_its_meaning(&ruleset)?;
    }
}
