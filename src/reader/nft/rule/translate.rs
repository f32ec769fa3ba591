//! Translations of addresses and ports.

use std::borrow::Cow;
use std::net::IpAddr;

use super::super::ReadProblem;
use super::super::opaque::Asker;
use super::super::value::{address, target_port};
use super::{Place, Spec, inexact};
use crate::ir::Action;
use crate::net::Families;
use crate::nft::{Expr, TableFamily, Translate, Translation, Value, bad, needs, refused};

impl Spec {
    /// A translation that the IR can say.
    pub(super) fn translate<'v>(
        &mut self,
        translate: &'v Translate<'v>,
        place: &Place<'v, '_>,
    ) -> Result<(), ReadProblem> {
        let word = translate.kind.word();
        // Of one address, there is nothing to choose that would have to stay the same.
        let is_ours = place.target.is_some();
        let matters = |flag: &&Cow<'_, str>| is_ours || **flag != "persistent";
        if let Some(flag) = translate.flags.iter().find(matters) {
            return Err(crate::nft::unknown("flag", flag));
        }
        let port = match &translate.port {
            None => None,
            Some(Expr::Value(port)) => Some(target_port(port)?),
            Some(Expr::Map(map)) if translate.to.is_none() => {
                let family = translate.family;
                return self.map(&map.0, &map.1, place, |spec, value| {
                    spec.translation(translate.kind, family, None, Some(target_port(value)?))
                });
            }
            Some(other) => return Err(bad("port", other, "not a number")),
        };
        let to = match &translate.to {
            None => None,
            Some(Expr::Value(to)) => Some(address(to)?),
            Some(Expr::Map(map)) if port.is_none() => {
                let family = translate.family;
                return self.map(&map.0, &map.1, place, |spec, value| {
                    let (to, port) = destination(value)?;
                    spec.translation(translate.kind, family, Some(to), port)
                });
            }
            Some(other) => return Err(bad("address", other, "not an address")),
        };
        if translate.kind == Translation::Snat && port.is_some() {
            return Err(inexact(word, "it gives a port"));
        }
        let then = self.translation(translate.kind, translate.family, to, port)?;
        self.act(then, false);
        Ok(())
    }

    /// A translation to what a map says for keys of which not every one can be said exactly; whether
    /// it can be told.
    pub(super) fn translate_inexactly<'v>(
        &mut self,
        translate: &'v Translate<'v>,
        place: &Place<'v, '_>,
        asker: &Asker<'_>,
    ) -> bool {
        let (Some(Expr::Map(map)), None, true) =
            (&translate.to, &translate.port, translate.flags.is_empty())
        else {
            return false;
        };
        let Ok(pairs) = place.sets.pairs(&map.1) else { return false };
        let before = self.clone();
        let mut actions = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let action = destination(value).and_then(|(to, port)| {
                self.translation(translate.kind, translate.family, Some(to), port)
            });
            let Ok(action) = action else {
                *self = before;
                return false;
            };
            actions.push((key, Some(action)));
        }
        let is_told = self.end_inexactly(&map.0, actions, place, asker);
        if !is_told {
            *self = before;
        }
        is_told
    }

    /// What a translation of the kind does, to this address and port.
    fn translation(
        &mut self,
        kind: Translation,
        family: Option<TableFamily>,
        to: Option<IpAddr>,
        port: Option<u16>,
    ) -> Result<Action, ReadProblem> {
        let word = kind.word();
        match (kind, to, port) {
            (Translation::Redirect, None, Some(port)) => {
                self.ensure_transport(word)?;
                Ok(Action::Redirect { port })
            }
            (Translation::Redirect, ..) => Err(needs(word, "a port")),
            (Translation::Dnat, Some(to), port) => {
                if port.is_some() {
                    self.ensure_transport(word)?;
                }
                self.check_address(word, family, to)?;
                Ok(Action::Dnat { to, port })
            }
            (Translation::Snat, Some(to), None) => {
                self.check_address(word, family, to)?;
                Ok(Action::Snat { to })
            }
            _ => Err(crate::nft::unknown("statement", word)),
        }
    }

    /// What `word` gives a connection instead of an address says the family.
    fn check_address(
        &mut self,
        word: &str,
        family: Option<TableFamily>,
        to: IpAddr,
    ) -> Result<(), ReadProblem> {
        let families = if to.is_ipv4() { Families::Ipv4 } else { Families::Ipv6 };
        if family.is_none() && self.families == Some(Families::Both) {
            return Err(refused(word, "it has to say which family it is for"));
        }
        self.narrow(family, families)?;
        self.narrow_to(families);
        Ok(())
    }
}

/// An address, and the port of it if one is given.
fn destination(value: &Value<'_>) -> Result<(IpAddr, Option<u16>), ReadProblem> {
    match value {
        Value::Concat(both) => match both.as_slice() {
            [to, port] => Ok((address(to)?, Some(target_port(port)?))),
            _ => Err(bad("address", value, "not one, and a port")),
        },
        to => Ok((address(to)?, None)),
    }
}
