//! What a solver answers, read as a packet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ir::{CtState, Hook, Protocol};
use crate::net::Name;
use crate::semantics::{DECIDED_PORT, Decided, End, InSet, Packet, Sender};

/// A model that is none of a question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model gives `{variable}` the value `{value}`")]
#[non_exhaustive]
pub struct BadModel {
    /// The variable.
    pub variable: String,
    /// Its value.
    pub value: String,
}

/// The packet that a solver answers to the `get-value` in the last line of a
/// [`question`](super::question), and the number of the case. A variable that is not in the answer is
/// 0, or false.
///
/// # Errors
///
/// If a variable has a value that no packet has.
pub fn packet(answer: &str) -> Result<(Packet, usize), BadModel> {
    let values = Values(pairs(answer));
    let one = |name, all: &[usize]| {
        let value = values.number(name)?;
        let place = all.iter().position(|known| u128::try_from(*known) == Ok(value));
        place.ok_or_else(|| values.bad(name))
    };
    let hook = Hook::ALL[one("hook", &[0, 1, 2, 3, 4])?];
    let protocol = [Some(Protocol::Tcp), Some(Protocol::Udp), None][one("protocol", &[0, 1, 2])?];
    let state = CtState::ALL[one("state", &[0, 1, 2, 3, 4])?];
    let (user, group) = (values.small("user")?, values.small("group")?);
    let sender = [Sender::Process { user, group }, Sender::Kernel, Sender::Nobody]
        [one("sender", &[0, 1, 2])?];
    let becomes =
        Decided::Becomes(values.address("becomes-address")?, values.small("becomes-port")?);
    let translation = [Decided::Nothing, Decided::Unchanged, becomes][one("decided", &[0, 1, 2])?];
    let ends = [
        (End::Source, "source"),
        (End::Destination, "destination"),
        (End::Translated, "translated"),
    ];
    let packet = Packet {
        hook,
        protocol,
        source: values.address("source")?,
        destination: values.address("destination")?,
        source_port: values.small("source-port")?,
        destination_port: values.small("destination-port")?,
        input: values.interface("in-interface")?,
        output: values.interface("out-interface")?,
        sender,
        mark: values.small("mark")?,
        connmark: values.small("connmark")?,
        state,
        translation,
        interface_address: values.address("interface-address")?,
        translated_port: DECIDED_PORT,
        no_listener: values.deaf()?,
        sets: values.sets(&ends)?,
        local: ends
            .iter()
            .filter(|(_, word)| values.is(&format!("{word}-is-local")))
            .map(|(end, _)| *end)
            .collect(),
        transparent_socket: values.is("transparent-socket"),
        holds: BTreeSet::new(),
    };
    Ok((packet, values.small::<u16>("case")?.into()))
}

/// The variables with their values, of `((hook #b011) (|listens on 15006| true))`.
fn pairs(answer: &str) -> BTreeMap<String, String> {
    let pairs = answer.split('(').filter_map(|pair| {
        let (name, value) = match pair.strip_prefix('|') {
            Some(quoted) => quoted.split_once('|')?,
            None => pair.split_once(char::is_whitespace)?,
        };
        let value = value.split(')').next()?.trim();
        Some((name.to_owned(), value.to_owned()))
    });
    pairs.collect()
}

struct Values(BTreeMap<String, String>);

impl Values {
    fn bad(&self, variable: &str) -> BadModel {
        let value = self.0.get(variable).cloned().unwrap_or_default();
        BadModel { variable: variable.to_owned(), value }
    }

    fn is(&self, variable: &str) -> bool {
        self.0.get(variable).is_some_and(|value| value == "true")
    }

    fn number(&self, variable: &str) -> Result<u128, BadModel> {
        let Some(value) = self.0.get(variable) else { return Ok(0) };
        let number = match (value.strip_prefix("#x"), value.strip_prefix("#b")) {
            (Some(digits), _) => u128::from_str_radix(digits, 16),
            (_, Some(digits)) => u128::from_str_radix(digits, 2),
            (None, None) => value.parse(),
        };
        number.map_err(|_| self.bad(variable))
    }

    fn small<T: TryFrom<u128>>(&self, variable: &str) -> Result<T, BadModel> {
        self.number(variable)?.try_into().map_err(|_| self.bad(variable))
    }

    fn address(&self, variable: &str) -> Result<IpAddr, BadModel> {
        if self.is("is-ipv6") {
            return Ok(Ipv6Addr::from_bits(self.number(variable)?).into());
        }
        Ok(Ipv4Addr::from_bits(self.small(variable)?).into())
    }

    /// The name whose bytes a number has, up to the zeros; `None` if there is none.
    fn interface(&self, variable: &str) -> Result<Option<String>, BadModel> {
        let bytes = self.number(variable)?.to_be_bytes();
        let name = String::from_utf8(bytes.into_iter().filter(|byte| *byte != 0).collect());
        let name = name.map_err(|_| self.bad(variable))?;
        Ok((!name.is_empty()).then_some(name))
    }

    /// The ports on which no transparent proxy listens.
    fn deaf(&self) -> Result<BTreeSet<u16>, BadModel> {
        let ports = self.0.keys().filter_map(|variable| {
            let port = variable.strip_prefix("listens on ")?;
            (!self.is(variable)).then(|| port.parse().map_err(|_| self.bad(variable)))
        });
        ports.collect()
    }

    fn sets(&self, ends: &[(End, &str)]) -> Result<BTreeSet<InSet>, BadModel> {
        let sets = self.0.keys().filter_map(|variable| {
            let (word, set) = variable.split_once(" in ")?;
            let (end, _) = ends.iter().find(|(_, known)| *known == word)?;
            let (set, table) = match set.split_once(" of ") {
                Some((set, table)) => (set, Some(table.to_owned())),
                None => (set, None),
            };
            let set = Name::new(set).map_err(|_| self.bad(variable));
            self.is(variable).then(|| Ok(InSet { end: *end, table, set: set? }))
        });
        sets.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{BadModel, packet};

    const MODEL: &str = "((hook #b011)
 (is-ipv6 false)
 (out-interface #x657468300000000000000000000000)
 (destination #x0000000000000000000000000a600001)
 (interface-address #x0000000000000000000000000a600001)
 (destination-port #x01bb)
 (state #b001)
 (|destination in istio-pods of istio-host| true)
 (|listens on 15006| false)
 (case #x0002))
";

    #[test]
    fn a_model_is_a_packet_and_a_case() {
        let (packet, case) = packet(MODEL).unwrap();
        assert_eq!(
            packet.to_string(),
            "outbound tcp from 0.0.0.0:0 to 10.96.0.1:443 user 0 group 0 out eth0 \
             no-listener 15006 to-set istio-host:istio-pods from-foreign"
        );
        assert_eq!(case, 2);
    }

    #[test]
    fn a_value_that_no_packet_has_is_refused() {
        let model = MODEL.replace("#b011", "#b111");
        let bad = BadModel { variable: "hook".to_owned(), value: "#b111".to_owned() };
        assert_eq!(packet(&model), Err(bad));
        let model = MODEL.replace("#x0000000000000000000000000a600001", "#b2");
        let bad = BadModel { variable: "destination".to_owned(), value: "#b2".to_owned() };
        assert_eq!(packet(&model), Err(bad));
    }
}
