//! The target of a line of iptables.

use std::net::IpAddr;

use super::opaque;
use super::rule::{Place, is_valued, needs, once};
use super::tables::chain_name;
use super::value::Value;
use super::words::Words;
use super::{Options, ReadProblem};
use crate::ir::{Action, BuiltInTable, MarkChange, MaskPair};
use crate::net::{Destination, Family, OnMiss};

/// What `-j` or `-g` leads to, with the options read so far.
pub(super) enum Target {
    /// One that takes no options.
    Plain(Action),
    Log,
    Redirect(Option<u16>),
    Snat(Option<IpAddr>),
    Dnat(Option<Destination>),
    Tproxy {
        port: Option<u16>,
        mark: MarkChange,
    },
    Mark(Option<MarkChange>),
    Connmark {
        mode: Option<ConnmarkMode>,
        masks: MaskPair,
    },
    Zone(Option<u16>),
    /// One that the IR cannot say, with its options as they are written.
    Opaque {
        name: String,
        options: Vec<String>,
    },
}

/// What CONNMARK does.
pub(super) enum ConnmarkMode {
    Set(MarkChange),
    Save,
    Restore,
}

impl Target {
    pub(super) fn new(name: &str, goto: bool, options: &Options) -> Result<Self, ReadProblem> {
        let opaque = || Self::Opaque { name: name.to_owned(), options: Vec::new() };
        Ok(match name {
            _ if goto => Self::Plain(Action::Goto(chain_name(name, options)?)),
            "ACCEPT" => Self::Plain(Action::Accept),
            "DROP" => Self::Plain(Action::Drop),
            "RETURN" => Self::Plain(Action::Return),
            "LOG" => Self::Log,
            "REDIRECT" => Self::Redirect(None),
            "SNAT" => Self::Snat(None),
            "DNAT" => Self::Dnat(None),
            "TPROXY" => Self::Tproxy { port: None, mark: MarkChange { clear: 0, flip: 0 } },
            "MARK" => Self::Mark(None),
            "CONNMARK" => Self::Connmark { mode: None, masks: MaskPair::FULL },
            "CT" => Self::Zone(None),
            _ if !OTHERS.contains(&name) => Self::Plain(Action::Jump(chain_name(name, options)?)),
            _ if options.to_load => {
                return Err(ReadProblem::Unknown { what: "target", word: name.to_owned() });
            }
            _ => opaque(),
        })
    }

    /// Reads the target called `name` with the options that stand behind it in `words`. What the IR
    /// cannot say of them makes it opaque.
    pub(super) fn of_others(
        name: &str,
        goto: bool,
        words: &mut Words,
        family: Family,
        options: &Options,
    ) -> Result<Self, ReadProblem> {
        let start = words.clone();
        let mut target = Self::new(name, goto, options)?;
        loop {
            let before = words.clone();
            let Some(word) = words.next() else { break };
            if target.option(&word, words, family) == Ok(true) || target.is_moot(&word) {
                continue;
            }
            *words = before;
            // Options of matches may stand behind the target.
            if word.starts_with("--") && !is_valued(&word) {
                target = Self::Opaque { name: name.to_owned(), options: Vec::new() };
            }
            break;
        }
        if let Self::Redirect(None) | Self::Zone(None) | Self::Opaque { .. } = target {
            *words = start;
            let options = words.until(opaque::is_of_every_rule);
            let is_notrack = match name {
                "NOTRACK" => options.is_empty(),
                "CT" => options == ["--notrack"],
                _ => false,
            };
            if is_notrack {
                return Ok(Self::Plain(Action::Notrack));
            }
            return Ok(Self::Opaque { name: name.to_owned(), options });
        }
        Ok(target)
    }

    /// Whether an option says how a port is chosen, where the rule leaves no choice.
    fn is_moot(&self, word: &str) -> bool {
        matches!(self, Self::Redirect(_) | Self::Snat(_) | Self::Dnat(_))
            && matches!(word, "--random" | "--random-fully" | "--persistent")
    }

    /// Reads the option `word` if the target has it.
    pub(super) fn option(
        &mut self,
        word: &str,
        words: &mut Words,
        family: Family,
    ) -> Result<bool, ReadProblem> {
        match (self, word) {
            // getopt takes the beginning of an option's name; upstream relies on this one.
            (Self::Redirect(port), "--to-ports" | "--to-port")
            | (Self::Tproxy { port, .. }, "--on-port") => {
                once(word, port, Value::of(word, words)?.port()?)?;
            }
            (Self::Snat(to), "--to-source") => {
                once(word, to, Value::of(word, words)?.address(family)?)?;
            }
            (Self::Dnat(to), "--to-destination") => {
                once(word, to, Value::of(word, words)?.destination(family)?)?;
            }
            // iptables-nft-save prints this where no address was given: the packet keeps its own.
            (Self::Tproxy { .. }, "--on-ip") => {
                let address = Value::of(word, words)?;
                if !address.address(family)?.is_unspecified() {
                    return Err(address.bad("another address than the packet's own"));
                }
            }
            (Self::Tproxy { mark, .. }, "--tproxy-mark") => {
                *mark = xmark(Value::of(word, words)?.value_mask()?);
            }
            (Self::Mark(change), _) if is_mark_change(word) => {
                once(word, change, mark_change(&Value::of(word, words)?)?)?;
            }
            (Self::Connmark { mode, .. }, _) if is_mark_change(word) => {
                let change = mark_change(&Value::of(word, words)?)?;
                once(word, mode, ConnmarkMode::Set(change))?;
            }
            (Self::Connmark { mode, .. }, "--save-mark") => once(word, mode, ConnmarkMode::Save)?,
            (Self::Connmark { mode, .. }, "--restore-mark") => {
                once(word, mode, ConnmarkMode::Restore)?;
            }
            (Self::Connmark { masks, .. }, "--nfmask") => {
                masks.packet = Value::of(word, words)?.bits()?;
            }
            (Self::Connmark { masks, .. }, "--ctmask") => {
                masks.connection = Value::of(word, words)?.bits()?;
            }
            (Self::Connmark { masks, .. }, "--mask") => {
                let mask = Value::of(word, words)?.bits()?;
                *masks = MaskPair { packet: mask, connection: mask };
            }
            (Self::Zone(zone), "--zone") => {
                let value = Value::of(word, words)?;
                let number = u16::try_from(value.bits()?);
                once(word, zone, number.map_err(|_| value.bad("the highest zone is 65535"))?)?;
            }
            (Self::Log, "--log-level" | "--log-prefix") => {
                words.value(word)?;
            }
            (
                Self::Log,
                "--log-uid" | "--log-tcp-options" | "--log-ip-options" | "--log-tcp-sequence"
                | "--log-macdecode",
            ) => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The IR's action, if the kernel takes the target in `table` and it has what it needs.
    pub(super) fn action(
        self,
        Place { table, named, .. }: Place<'_>,
        has_protocol: bool,
    ) -> Result<Action, ReadProblem> {
        let in_table = |name: &str, wanted: BuiltInTable, what: &'static str| {
            if table == wanted { Ok(()) } else { Err(needs(name, what)) }
        };
        let with_protocol = |name: &str| {
            if has_protocol { Ok(()) } else { Err(needs(name, "`-p tcp` or `-p udp`")) }
        };
        Ok(match self {
            Self::Plain(action) => action,
            Self::Log => Action::Log,
            Self::Opaque { name, options } => {
                Action::Opaque(opaque::target(&name, &options, named))
            }
            Self::Redirect(port) => {
                in_table("REDIRECT", BuiltInTable::Nat, "table nat")?;
                with_protocol("REDIRECT")?;
                Action::Redirect { port: port.ok_or_else(|| needs("REDIRECT", "`--to-ports`"))? }
            }
            Self::Snat(to) => {
                in_table("SNAT", BuiltInTable::Nat, "table nat")?;
                Action::Snat { to: to.ok_or_else(|| needs("SNAT", "`--to-source`"))? }
            }
            Self::Dnat(to) => {
                in_table("DNAT", BuiltInTable::Nat, "table nat")?;
                let to = to.ok_or_else(|| needs("DNAT", "`--to-destination`"))?;
                if to.port.is_some() {
                    with_protocol("DNAT")?;
                }
                Action::Dnat { to: to.address, port: to.port }
            }
            Self::Tproxy { port, mark } => {
                in_table("TPROXY", BuiltInTable::Mangle, "table mangle")?;
                with_protocol("TPROXY")?;
                let port = port.ok_or_else(|| needs("TPROXY", "`--on-port`"))?;
                Action::Tproxy { port, mark, on_miss: OnMiss::Drop }
            }
            Self::Mark(change) => {
                Action::SetMark(change.ok_or_else(|| needs("MARK", "what to set"))?)
            }
            Self::Connmark { mode, masks } => {
                match mode.ok_or_else(|| needs("CONNMARK", "what to do"))? {
                    ConnmarkMode::Set(_) if masks != MaskPair::FULL => {
                        return Err(needs("--mask", "`--save-mark` or `--restore-mark`"));
                    }
                    ConnmarkMode::Set(change) => Action::SetConnmark(change),
                    ConnmarkMode::Save => Action::SaveMark(masks),
                    ConnmarkMode::Restore => Action::RestoreMark(masks),
                }
            }
            Self::Zone(zone) => {
                in_table("CT", BuiltInTable::Raw, "table raw")?;
                Action::SetZone(zone.ok_or_else(|| needs("CT", "`--zone`"))?)
            }
        })
    }
}

/// Targets of iptables 1.8.9 that are not read; a chain cannot have such a name.
const OTHERS: &[&str] = &[
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CLUSTERIP",
    "CONNSECMARK",
    "DNPT",
    "DSCP",
    "ECN",
    "HL",
    "HMARK",
    "IDLETIMER",
    "LED",
    "MASQUERADE",
    "NETMAP",
    "NFLOG",
    "NFQUEUE",
    "NOTRACK",
    "QUEUE",
    "RATEEST",
    "REJECT",
    "SECMARK",
    "SET",
    "SNPT",
    "SYNPROXY",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TEE",
    "TOS",
    "TRACE",
    "TTL",
    "ULOG",
];

fn is_mark_change(word: &str) -> bool {
    matches!(word, "--set-mark" | "--set-xmark" | "--and-mark" | "--or-mark" | "--xor-mark")
}

fn xmark((value, mask): (u32, Option<u32>)) -> MarkChange {
    MarkChange { clear: mask.unwrap_or(u32::MAX), flip: value }
}

fn mark_change(value: &Value<'_>) -> Result<MarkChange, ReadProblem> {
    Ok(match value.option {
        "--set-xmark" => xmark(value.value_mask()?),
        "--set-mark" => {
            let (bits, mask) = value.value_mask()?;
            MarkChange { clear: mask.unwrap_or(u32::MAX) | bits, flip: bits }
        }
        "--and-mark" => MarkChange { clear: !value.bits()?, flip: 0 },
        "--or-mark" => MarkChange { clear: value.bits()?, flip: value.bits()? },
        _ => MarkChange { clear: 0, flip: value.bits()? },
    })
}
