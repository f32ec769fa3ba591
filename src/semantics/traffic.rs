//! Which packets, in few words.

use std::fmt;

use super::text::hook_word;
use crate::ir::Hook;
use crate::net::Families;

/// A kind of packets: all that have something in common. Displays as `outbound IPv4 tcp to 10.96.0.0/12
/// user not 1337`; if it is of ordinary packets only, as `outbound tcp port 53 of the workload`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Where they are.
    pub hook: Hook,
    /// Their families.
    pub families: Families,
    /// What else they have in common. What is not said may be anything, but the state: packets begin
    /// a connection unless a word says otherwise.
    pub words: Vec<Word>,
    /// Whether only the ordinary ones of them are meant: see [`Among::Ordinary`](super::Among).
    pub is_ordinary: bool,
}

/// What packets have in common in one respect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// In which.
    pub topic: Topic,
    /// Whether they have anything but these values.
    pub not: bool,
    /// The values as they are written: `10.96.0.0/12`, `80-90`, `0x539/0xfff`. Never empty.
    pub values: Vec<String>,
}

/// In which respect packets are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Topic {
    /// The protocol.
    Protocol,
    /// Where they go to.
    Destination,
    /// The port that they go to.
    DestinationPort,
    /// The interface on which they leave.
    Output,
    /// The interface on which they came.
    Input,
    /// The state of their connection.
    State,
    /// Whether a process, the kernel or nobody sent them.
    Sender,
    /// The user of the process that sent them.
    User,
    /// Its group.
    Group,
    /// Where they come from.
    Source,
    /// The port that they come from.
    SourcePort,
    /// Their mark.
    Mark,
    /// The mark of their connection.
    Connmark,
    /// Whether their connection is translated already.
    Decided,
    /// Where their connection was translated to.
    Translated,
    /// The port that it was translated to.
    TranslatedPort,
    /// Something that holds or does not.
    Fact,
}

/// Most values that are told of one respect.
pub(super) const MOST_VALUES: usize = 6;

impl Word {
    pub(super) fn new(topic: Topic, not: bool, values: Vec<String>) -> Self {
        Self { topic, not, values }
    }

    /// The values as a list, behind `not` where they are those that packets have not.
    #[must_use]
    pub fn list(&self) -> String {
        let shown = &self.values[..self.values.len().min(MOST_VALUES)];
        let more = self.values.len() - shown.len();
        let not = if self.not { "not " } else { "" };
        let list = match self.topic {
            Topic::Protocol => format!("{not}{}", shown.join(" or ")),
            topic if topic.is_address() && self.not => format!("not {}", shown.join(", not ")),
            topic if topic.is_address() => shown.join(", "),
            Topic::Mark | Topic::Connmark => shown.join(","),
            _ => format!("{not}{}", shown.join(",")),
        };
        if more > 0 { format!("{list} and {more} more") } else { list }
    }

    /// What is true of packets of one family or of the other, of which the words say this and `other`.
    fn of_both(&self, other: &Self) -> Option<Self> {
        if self == other {
            return Some(self.clone());
        }
        let fits = self.topic.is_address() && (self.topic, self.not) == (other.topic, other.not);
        fits.then(|| Self { values: self.united(other), ..self.clone() })
    }
}

impl Word {
    /// The values of both, each once: protocols with TCP first, numbers in their order.
    fn united(&self, other: &Self) -> Vec<String> {
        let more = other.values.iter().filter(|value| !self.values.contains(value));
        let mut all: Vec<_> = self.values.iter().chain(more).cloned().collect();
        match self.topic {
            Topic::Protocol => all.sort_by_key(|name| (name != "tcp", name != "udp")),
            topic if !topic.is_address() => {
                let first = |value: &String| -> Option<u64> {
                    value.split('-').next().and_then(|first| first.parse().ok())
                };
                all.sort_by_key(first);
            }
            _ => {}
        }
        all
    }
}

/// `tcp`, `to 10.96.0.0/12`, `port not 22`, `not mark 0x539/0xfff`.
impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = self.list();
        match self.topic {
            Topic::Protocol | Topic::State | Topic::Sender | Topic::Decided | Topic::Fact => {
                f.write_str(&list)
            }
            Topic::Destination => write!(f, "to {list}"),
            Topic::DestinationPort => write!(f, "port {list}"),
            Topic::Output => write!(f, "out {list}"),
            Topic::Input => write!(f, "in {list}"),
            Topic::User => write!(f, "user {list}"),
            Topic::Group => write!(f, "group {list}"),
            Topic::Source => write!(f, "from {list}"),
            Topic::SourcePort => write!(f, "from port {list}"),
            Topic::Mark if self.not => write!(f, "not mark {list}"),
            Topic::Mark => write!(f, "mark {list}"),
            Topic::Connmark if self.not => write!(f, "not connmark {list}"),
            Topic::Connmark => write!(f, "connmark {list}"),
            Topic::Translated => write!(f, "translated to {list}"),
            Topic::TranslatedPort => write!(f, "translated to port {list}"),
        }
    }
}

impl Topic {
    /// Whether its values are addresses, each of one family.
    const fn is_address(self) -> bool {
        matches!(self, Self::Destination | Self::Source | Self::Translated)
    }

    /// Whether values of several kinds can be in one list.
    const fn has_list(self) -> bool {
        !matches!(self, Self::State | Self::Sender | Self::Decided | Self::Fact)
    }
}

impl Traffic {
    /// What is said in one respect. Of facts, there may be more.
    #[must_use]
    pub fn word(&self, topic: Topic) -> Option<&Word> {
        self.words.iter().find(|word| word.topic == topic)
    }

    /// `self` and `other` as one kind, if there is one that is just both.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Option<Self> {
        if (self.hook, self.is_ordinary) != (other.hook, other.is_ordinary) {
            return None;
        }
        match self.families.and(other.families) {
            None => self.of_both(other),
            Some(_) if self.families == other.families => {
                self.united(other).or_else(|| self.filled(other)).or_else(|| other.filled(self))
            }
            Some(families) if families == self.families => other.filled(self),
            Some(_) => self.filled(other),
        }
    }

    /// [`Traffic::joined`] with packets of the same families, or of one of them, that have what `self` lacks
    /// in one respect. Of one family, only addresses can be it: what else they have, only they have.
    fn filled(&self, other: &Self) -> Option<Self> {
        let [mine, theirs] = [self.apart(other), other.apart(self)];
        let ([mine], [theirs]) = (&mine[..], &theirs[..]) else { return None };
        let is_it = mine.topic == theirs.topic && mine.topic.has_list() && mine.not && !theirs.not;
        let is_of_all = self.families == other.families || mine.topic.is_address();
        let is_lacking = theirs.values.iter().all(|value| mine.values.contains(value));
        if !is_it || !is_of_all || !is_lacking {
            return None;
        }
        let mut filled = self.clone();
        for word in filled.words.iter_mut().filter(|word| word == mine) {
            word.values.retain(|value| !theirs.values.contains(value));
        }
        filled.words.retain(|word| !word.values.is_empty());
        Some(filled)
    }

    /// The words that `other` has not.
    fn apart(&self, other: &Self) -> Vec<&Word> {
        self.words.iter().filter(|word| !other.words.contains(word)).collect()
    }

    /// [`Traffic::joined`] of two that differ in no family. They may differ in one respect.
    fn united(&self, other: &Self) -> Option<Self> {
        let (mine, theirs) = (self.apart(other), other.apart(self));
        match (&mine[..], &theirs[..]) {
            // Who says less has the packets of both; to say no state says one.
            ([], rest) if rest.iter().all(|word| word.topic != Topic::State) => Some(self.clone()),
            (rest, []) if rest.iter().all(|word| word.topic != Topic::State) => Some(other.clone()),
            ([one], [two]) => {
                let fits = one.topic == two.topic && one.topic.has_list() && !one.not && !two.not;
                fits.then(|| {
                    let values = one.united(two);
                    let mut joined = self.clone();
                    joined.words.iter_mut().filter(|word| word == one).for_each(|word| {
                        word.values.clone_from(&values);
                    });
                    joined
                })
            }
            _ => None,
        }
    }

    /// [`Traffic::joined`] of two families. Addresses are of one family each, so that packets of the other
    /// are never among them.
    fn of_both(&self, other: &Self) -> Option<Self> {
        let plain = |some: &Self| -> Vec<Word> {
            some.words.iter().filter(|word| !word.topic.is_address()).cloned().collect()
        };
        if plain(self) != plain(other) {
            return None;
        }
        let mut joined = Self { families: Families::Both, ..self.clone() };
        joined.words.retain(|word| !word.topic.is_address());
        for topic in [Topic::Destination, Topic::Source, Topic::Translated] {
            let word = match (self.word(topic), other.word(topic)) {
                (None, None) => continue,
                (Some(one), Some(two)) => one.of_both(two)?,
                (Some(word), None) | (None, Some(word)) if word.not => word.clone(),
                _ => return None,
            };
            let place = joined.words.partition_point(|before| before.topic < topic);
            joined.words.insert(place, word);
        }
        Some(joined)
    }
}

/// `all` in fewer kinds, of which each is just several of them.
#[must_use]
pub fn joined(mut all: Vec<Traffic>) -> Vec<Traffic> {
    while let Some((one, two, both)) = (0..all.len()).find_map(|one| {
        let mut others = one + 1..all.len();
        others.find_map(|two| Some((one, two, all[one].joined(&all[two])?)))
    }) {
        all.remove(two);
        all[one] = both;
    }
    all
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(hook_word(self.hook))?;
        match self.families {
            Families::Ipv4 => f.write_str(" IPv4")?,
            Families::Ipv6 => f.write_str(" IPv6")?,
            Families::Both => {}
        }
        self.words.iter().try_for_each(|word| write!(f, " {word}"))?;
        match self.hook {
            Hook::Output if self.is_ordinary => f.write_str(" of the workload"),
            _ if self.is_ordinary => f.write_str(" to the workload"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Topic, Traffic, Word, joined};
    use crate::ir::Hook;
    use crate::net::Families;

    fn kind(families: Families, words: &[(Topic, bool, &[&str])]) -> Traffic {
        let words = words.iter().map(|(topic, not, values)| {
            Word::new(*topic, *not, values.iter().map(|value| (*value).to_owned()).collect())
        });
        Traffic { hook: Hook::Output, families, words: words.collect(), is_ordinary: false }
    }

    fn told(all: &[Traffic]) -> Vec<String> {
        joined(all.to_vec()).iter().map(ToString::to_string).collect()
    }

    const V4: Families = Families::Ipv4;
    const V6: Families = Families::Ipv6;

    #[test]
    fn what_is_true_of_both_families_is_one_kind() {
        let to = |families, not, net| kind(families, &[(Topic::Destination, not, &[net])]);
        let all = kind(V6, &[]);
        assert_eq!(told(&[kind(V4, &[]), all.clone()]), ["outbound"]);
        assert_eq!(told(&[to(V4, true, "10.0.0.1"), all.clone()]), ["outbound to not 10.0.0.1"]);
        let both = [to(V4, false, "10.0.0.0/8"), to(V6, false, "fd00::/8")];
        assert_eq!(told(&both), ["outbound to 10.0.0.0/8, fd00::/8"]);
        // Less than all of IPv4 is not what is true of all of IPv6.
        let kept = [to(V4, false, "10.0.0.0/8"), all];
        assert_eq!(told(&kept), ["outbound IPv4 to 10.0.0.0/8", "outbound IPv6"]);
    }

    #[test]
    fn kinds_that_differ_in_one_respect_are_one() {
        let port = |families, not, ports: &[&str]| {
            kind(
                families,
                &[(Topic::Protocol, false, &["udp"]), (Topic::DestinationPort, not, ports)],
            )
        };
        let tcp = kind(
            V4,
            &[(Topic::Protocol, false, &["tcp"]), (Topic::DestinationPort, false, &["53"])],
        );
        let udp = port(V4, false, &["53"]);
        assert_eq!(told(&[udp.clone(), tcp.clone()]), ["outbound IPv4 tcp or udp port 53"]);
        assert_eq!(told(&[udp.clone(), port(V4, false, &["8"])]), ["outbound IPv4 udp port 8,53"]);
        assert_eq!(
            told(&[udp.clone(), port(V4, true, &["22", "53"])]),
            ["outbound IPv4 udp port not 22"]
        );
        assert_eq!(told(&[udp.clone(), port(V4, true, &["53"])]), ["outbound IPv4 udp"]);
        assert_eq!(told(&[udp.clone(), kind(V4, &[])]), ["outbound IPv4"]);
        // They differ in two, are of other families, or have what the other has already.
        for other in [
            kind(
                V4,
                &[(Topic::Protocol, false, &["tcp"]), (Topic::DestinationPort, false, &["8"])],
            ),
            port(Families::Both, true, &["53"]),
            port(V4, true, &["50-60"]),
            Traffic { is_ordinary: true, ..tcp },
            kind(V4, &[(Topic::State, false, &["any state"]), (Topic::Mark, false, &["0x1"])]),
        ] {
            assert_eq!(told(&[udp.clone(), other.clone()]).len(), 2, "{other}");
        }
    }

    #[test]
    fn addresses_of_one_family_fill_what_both_lack() {
        let to = |families, not, nets: &[&str]| kind(families, &[(Topic::Destination, not, nets)]);
        let most = to(Families::Both, true, &["10.0.0.1", "::1"]);
        assert_eq!(told(&[to(V4, false, &["10.0.0.1"]), most.clone()]), ["outbound to not ::1"]);
        assert_eq!(told(&[most, to(V4, false, &["10.0.0.2"])]).len(), 2);
    }
}
