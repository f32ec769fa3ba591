//! Shell scripts and batches of `ip`, as the shell and `ip -batch` would run them.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::iptables::{self, Whose};
use super::line::Line;
use super::{Change, Command, Route, Selector, Statement, sweep};
use crate::net::Family;
use crate::nft::{At, Place, ReadError, Reads, Script, bad, text};

/// The first line of a script.
const INTERPRETER: &str = "#!/bin/sh";
/// Where the kernel says whether IPv6 is off, and the question whether it is on.
const OFF: &str = "off=/proc/sys/net/ipv6/conf/lo/disable_ipv6";
const IF_ON: &str = "if [ -e $off ] && [ \"$(cat $off)\" = 0 ]; then";
/// Begins a text for nft, up to a line that is [`END`].
const NFT: &str = "nft -f - <<'END'";
const END: &str = "END";
/// What stands around the command that lists rules, and before the one that runs if there are none.
const LISTED: (&str, &str) = ("[ -n \"$(", ")\" ] || ");

/// What a script of weir's does, each statement with its place.
///
/// # Errors
///
/// The first thing that is not known.
pub(crate) fn script(text: &str) -> Result<Vec<(At, Statement<'_>)>, ReadError> {
    if text.lines().next() != Some(INTERPRETER) {
        let found = text.lines().next().unwrap_or_default();
        return Err(Line { number: 1, column: 1, text: found }.wants(INTERPRETER));
    }
    let mut reader = Reader::of(text);
    let mut statements = Vec::new();
    while let Some(line) = reader.next_line() {
        if line.text == IF_ON && reader.knows_off {
            statements.push((line.at(), Statement::WithIpv6(reader.block(line)?)));
        } else if line.text == sweep::BEGIN {
            reader.sweeps = Some(reader.function(line)?);
        } else if line.text == iptables::CAPTURED.0 {
            let text = reader.block_of(line, iptables::CAPTURED.1)?;
            if text != iptables::captured() {
                return Err(line.unknown("function"));
            }
            reader.knows_captured = true;
        } else if line.text == iptables::BEGIN {
            let text = reader.block_of(line, iptables::END)?;
            let whose = Whose::of(text).ok_or_else(|| line.unknown("function"))?;
            statements.push((line.at(), Statement::Iptables(whose)));
        } else if line.text == NFT {
            statements.push((line.at(), Statement::Nft(reader.transaction(line)?)));
        } else if let Some(statement) = reader.statement(line)? {
            statements.push((line.at(), statement));
        }
    }
    Ok(statements)
}

/// What a batch does, each line for `family`.
///
/// # Errors
///
/// The first thing that is not known.
pub(crate) fn batch(text: &str, family: Family) -> Result<Vec<(At, Statement<'_>)>, ReadError> {
    let mut reader = Reader::of(text);
    let mut statements = Vec::new();
    while let Some(line) = reader.next_line() {
        if !line.is_remark() {
            let change = change(line, family)?;
            statements.push((line.at(), Statement::Ip(Command { family, change })));
        }
    }
    Ok(statements)
}

struct Reader<'a> {
    text: &'a str,
    /// Bytes read.
    offset: usize,
    /// Lines read.
    number: u32,
    /// Whether `$off` is where the kernel says whether IPv6 is off.
    knows_off: bool,
    /// The protocol of the function that sweeps, as it was defined last.
    sweeps: Option<u8>,
    /// Whether it is defined what asks for captures.
    knows_captured: bool,
}

impl<'a> Reader<'a> {
    const fn of(text: &'a str) -> Self {
        Self { text, offset: 0, number: 0, knows_off: false, sweeps: None, knows_captured: false }
    }

    /// The next line as it stands there; `None` at the end.
    fn next_raw(&mut self) -> Option<&'a str> {
        let rest = self.text.get(self.offset..).filter(|rest| !rest.is_empty())?;
        let end = rest.find('\n').unwrap_or(rest.len());
        self.offset += (end + 1).min(rest.len());
        self.number = self.number.saturating_add(1);
        Some(&rest[..end])
    }

    /// The next line, without blanks around it.
    fn next_line(&mut self) -> Option<Line<'a>> {
        let text = self.next_raw()?;
        Some(Line { number: self.number, column: 1, text }.trimmed())
    }

    /// What stands between `if` and `fi`.
    fn block(&mut self, begin: Line<'a>) -> Result<Vec<(At, Statement<'a>)>, ReadError> {
        let mut statements = Vec::new();
        while let Some(line) = self.next_line() {
            if line.text == "fi" {
                return Ok(statements);
            }
            if let Some(statement) = self.statement(line)? {
                statements.push((line.at(), statement));
            }
        }
        Err(Line { text: "", ..begin }.wants("fi"))
    }

    /// The function that sweeps, whose first line this is; its protocol.
    fn function(&mut self, begin: Line<'a>) -> Result<u8, ReadError> {
        let text = self.block_of(begin, sweep::END)?;
        sweep::protocol(text).ok_or_else(|| begin.unknown("function"))
    }

    /// The text from the line that was read to one that is `end`, as it stands there.
    fn block_of(&mut self, begin: Line<'a>, end: &str) -> Result<&'a str, ReadError> {
        let start = self.offset.saturating_sub(begin.text.len() + 1);
        while let Some(line) = self.next_raw() {
            if line == end {
                return Ok(self.text.get(start..self.offset).unwrap_or_default());
            }
        }
        Err(Line { text: "", ..begin }.wants(end))
    }

    /// The text for nft, whose places become those of the script.
    fn transaction(&mut self, begin: Line<'a>) -> Result<Script<'a>, ReadError> {
        let (start, before) = (self.offset, self.number);
        let mut end = start;
        while let Some(line) = self.next_raw() {
            if line != END {
                end = self.offset;
                continue;
            }
            let (mut script, errors) = text::read(&self.text[start..end], &|_, _| Reads::All);
            for command in &mut script.commands {
                if let At::Line { line, .. } = &mut command.at {
                    *line = line.saturating_add(before);
                }
            }
            let Some(mut error) = errors.into_iter().next() else { return Ok(script) };
            if let Place::Line { line, .. } = &mut error.at {
                *line = line.saturating_add(before);
            }
            return Err(error);
        }
        Err(Line { text: "", ..begin }.wants(END))
    }

    /// A line that is a statement; `None` if it does nothing.
    fn statement(&mut self, line: Line<'a>) -> Result<Option<Statement<'a>>, ReadError> {
        if line.is_remark() {
            return Ok(None);
        }
        if line.text == OFF {
            self.knows_off = true;
            return Ok(None);
        }
        if line.text == "set -eu" {
            return Ok(Some(Statement::EndOnFailure));
        }
        if let Some(protocol) = self.sweeps
            && line.text.starts_with(sweep::CALL)
        {
            return Ok(Some(called(line.behind(sweep::CALL.len()), protocol)?));
        }
        if self.knows_captured && line.text.starts_with(iptables::UNLESS_CAPTURED) {
            let then = command(line.behind(iptables::UNLESS_CAPTURED.len()))?;
            return Ok(Some(Statement::UnlessCaptured(then)));
        }
        let Some(listed) = line.text.strip_prefix(LISTED.0) else {
            return Ok(Some(Statement::Ip(command(line)?)));
        };
        let Some(len) = listed.find(LISTED.1) else { return Err(line.unknown("test")) };
        let question = Line { text: &listed[..len], ..line.behind(LISTED.0.len()) };
        let then = command(line.behind(LISTED.0.len() + len + LISTED.1.len()))?;
        let (family, question) = ip(question)?;
        let selector = selector(question.after("rule")?.after("list")?)?;
        Ok(Some(Statement::UnlessListed { family, selector, then }))
    }
}

/// A call of the function that sweeps.
fn called(line: Line<'_>, protocol: u8) -> Result<Statement<'static>, ReadError> {
    let (word, rest) = line.word().ok_or_else(|| line.wants("-4"))?;
    let family = match word.text {
        "-4" => Family::Ipv4,
        "-6" => Family::Ipv6,
        _ => return Err(word.unknown("option")),
    };
    let quoted = rest.trimmed().text.split('\'').nth(1).unwrap_or_default();
    let keep = if quoted.is_empty() { None } else { Some(kept(quoted, rest)?) };
    if line.trimmed().text != sweep::arguments(family, keep.as_ref()) {
        return Err(line.trimmed().unknown("rule to keep"));
    }
    Ok(Statement::Sweep { family, protocol, keep })
}

/// The rule of a pattern for `PRIORITY:RULE`; `place` is where it stands.
fn kept(pattern: &str, place: Line<'_>) -> Result<Selector, ReadError> {
    let wrong = || place.trimmed().unknown("rule to keep");
    let (priority, rule) = pattern.split_once(":from all ").ok_or_else(wrong)?;
    let (mark, table) = rule.split_once(" lookup ").ok_or_else(wrong)?;
    let rule = format!("{mark} table {table}");
    let mut keep = selector(Line { text: &rule, ..place })?;
    keep.mask = keep.mask.or(Some(u32::MAX));
    if priority != "*" {
        keep.priority = Some(as_number(Line { text: priority, ..place })?);
    }
    Ok(keep)
}

/// A command of `ip`, with its family.
fn command(line: Line<'_>) -> Result<Command, ReadError> {
    let (family, rest) = ip(line)?;
    Ok(Command { family, change: change(rest, family)? })
}

/// `ip -4` or `ip -6`, and what follows.
fn ip(line: Line<'_>) -> Result<(Family, Line<'_>), ReadError> {
    let Some((word, rest)) = line.word() else { return Err(line.wants("ip")) };
    if word.text != "ip" {
        return Err(word.unknown("command"));
    }
    let Some((option, rest)) = rest.word() else { return Err(rest.wants("-4")) };
    match option.text {
        "-4" => Ok((Family::Ipv4, rest)),
        "-6" => Ok((Family::Ipv6, rest)),
        _ => Err(option.unknown("option")),
    }
}

/// What a command is told behind its family.
fn change(line: Line<'_>, family: Family) -> Result<Change, ReadError> {
    let Some((object, rest)) = line.word() else { return Err(line.wants("rule")) };
    let Some((verb, rest)) = rest.word() else { return Err(rest.wants("add")) };
    match (object.text, verb.text) {
        ("addr", "replace") => {
            let (address, rest) = network(rest, family)?;
            rest.after("dev")?.after("lo")?.after("nodad")?.end()?;
            Ok(Change::ReplaceAddress(address))
        }
        ("addr", "flush") => {
            let rest = rest.after("dev")?.after("lo")?;
            if rest.word().is_none() {
                return Ok(Change::FlushAddresses(None));
            }
            let (network, rest) = network(rest.after("to")?, family)?;
            rest.end()?;
            Ok(Change::FlushAddresses(Some(network)))
        }
        ("route", "replace") => Ok(Change::ReplaceRoute(route(rest, family)?)),
        ("route", "del") => Ok(Change::DeleteRoute(route(rest, family)?)),
        ("route", "flush") => {
            let (protocol, rest) = protocol(rest.after("table")?.after("all")?.after("proto")?)?;
            rest.end()?;
            Ok(Change::FlushRoutes { protocol })
        }
        ("rule", "add") => Ok(Change::AddRule(selector(rest)?)),
        ("rule", "flush") => Ok(Change::FlushRules(selector(rest)?)),
        ("addr" | "route" | "rule", _) => Err(verb.unknown("verb")),
        _ => Err(object.unknown("object")),
    }
}

/// `local 0.0.0.0/0 dev lo table 133`, with `proto 87` behind it or not.
fn route(line: Line<'_>, family: Family) -> Result<Route, ReadError> {
    let (to, rest) = network(line.after("local")?, family)?;
    let (table, rest) = number(rest.after("dev")?.after("lo")?.after("table")?)?;
    if rest.word().is_none() {
        return Ok(Route { table, to, protocol: 0 });
    }
    let (protocol, rest) = protocol(rest.after("proto")?)?;
    rest.end()?;
    Ok(Route { table, to, protocol })
}

/// `fwmark 0x111/0xfff table 100 priority 32764 protocol 88`, or less of it.
fn selector(line: Line<'_>) -> Result<Selector, ReadError> {
    let mut selector = Selector::default();
    let mut rest = line;
    while let Some((word, value)) = rest.word() {
        let known = match word.text {
            "fwmark" => selector.mark.is_some(),
            "table" => selector.table.is_some(),
            "priority" => selector.priority.is_some(),
            "protocol" => selector.protocol.is_some(),
            _ => return Err(word.unknown("selector")),
        };
        if known {
            return Err(word.error(bad("selector", word.text, "it is given twice")));
        }
        if word.text == "fwmark" {
            let (bits, mask);
            (bits, mask, rest) = masked(value)?;
            (selector.mark, selector.mask) = (Some(bits), mask);
            continue;
        }
        if word.text == "protocol" {
            let given;
            (given, rest) = protocol(value)?;
            selector.protocol = Some(given);
            continue;
        }
        let given;
        (given, rest) = number(value)?;
        match word.text {
            "table" => selector.table = Some(given),
            _ => selector.priority = Some(given),
        }
    }
    Ok(selector)
}

/// A mark and its mask, if it has one.
fn masked(line: Line<'_>) -> Result<(u32, Option<u32>, Line<'_>), ReadError> {
    let Some((word, rest)) = line.word() else { return Err(line.wants("0x1")) };
    let Some(at) = word.text.find('/') else {
        return Ok((as_number(word)?, None, rest));
    };
    let mark = as_number(Line { text: &word.text[..at], ..word })?;
    Ok((mark, Some(as_number(word.behind(at + 1))?), rest))
}

fn number(line: Line<'_>) -> Result<(u32, Line<'_>), ReadError> {
    let Some((word, rest)) = line.word() else { return Err(line.wants("1")) };
    Ok((as_number(word)?, rest))
}

/// A protocol number, 1 to 255.
fn protocol(line: Line<'_>) -> Result<(u8, Line<'_>), ReadError> {
    let (number, rest) = number(line)?;
    let number = u8::try_from(number).ok().filter(|number| *number > 0);
    Ok((number.ok_or_else(|| line.trimmed().unknown("protocol"))?, rest))
}

/// Decimal, or hexadecimal behind `0x`. What begins with 0 is octal to `ip`, and nothing here.
fn as_number(word: Line<'_>) -> Result<u32, ReadError> {
    let (digits, radix) =
        word.text.strip_prefix("0x").map_or((word.text, 10), |digits| (digits, 16));
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_octal = radix == 10 && digits.len() > 1 && digits.starts_with('0');
    let number = u32::from_str_radix(digits, radix).ok().filter(|_| is_plain && !is_octal);
    number.ok_or_else(|| word.unknown("number"))
}

/// An address with the length of a prefix, of `family`.
fn network(line: Line<'_>, family: Family) -> Result<(IpNet, Line<'_>), ReadError> {
    let Some((word, rest)) = line.word() else { return Err(line.wants("::/0")) };
    let network = IpNet::from_str(word.text).ok();
    let is_of = |network: &IpNet| match network.addr() {
        IpAddr::V4(_) => family == Family::Ipv4,
        IpAddr::V6(_) => family == Family::Ipv6,
    };
    let network = network.filter(is_of).filter(|network| network.addr() == network.network());
    Ok((network.ok_or_else(|| word.unknown("network"))?, rest))
}

#[cfg(test)]
mod tests {
    use super::{batch, script};
    use crate::net::Family;

    /// What is wrong with a script that says this behind its first line.
    fn wrong(text: &str) -> String {
        let text = format!("#!/bin/sh\n{text}");
        script(&text).map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn what_the_shell_would_take_for_something_else_is_named_with_its_place() {
        for (text, said) in [
            ("", ""),
            ("# ip -4 rule flush\n\n \t# x\nset -eu", ""),
            ("ip -4 rule add  fwmark 0x539\ttable 133 ", ""),
            ("set -e\n", "line 2, column 1: unknown command `set`"),
            ("ip rule add table 133\n", "line 2, column 4: unknown option `rule`"),
            ("ip\n", "line 2, column 3: `end of line` where `-4` must be"),
            ("ip -4 rule add table 0133\n", "line 2, column 22: unknown number `0133`"),
            ("ip -4 rule add table +1\n", "line 2, column 22: unknown number `+1`"),
            ("ip -4 rule add table 4294967296\n", "line 2, column 22: unknown number `4294967296`"),
            (
                "ip -4 rule add table 1 table 2\n",
                "line 2, column 24: selector `table`: it is given twice",
            ),
            ("ip -4 rule add table 133\r\n", "line 2, column 22: unknown number `133\\r`"),
            ("ip -4 rule add table 133 # x\n", "line 2, column 26: unknown selector `#`"),
            ("ip -4 rule add table 133; ip link\n", "line 2, column 22: unknown number `133;`"),
            ("ip -4 rule add table $t\n", "line 2, column 22: unknown number `$t`"),
            ("ip -4 rule save table 1\n", "line 2, column 12: unknown verb `save`"),
            ("ip -4 link set lo down\n", "line 2, column 7: unknown object `link`"),
            (
                "ip -4 route replace local ::/0 dev lo table 1\n",
                "line 2, column 27: unknown network `::/0`",
            ),
            (
                "ip -6 addr replace ::6/64 dev lo nodad\n",
                "line 2, column 20: unknown network `::6/64`",
            ),
            (
                "ip -6 addr replace ::6/128 dev lo\n",
                "line 2, column 34: `end of line` where `nodad` must be",
            ),
            ("ip -6 addr flush dev lo to ::6/128 up\n", "line 2, column 36: unknown word `up`"),
            (
                "[ -n \"$(ip -4 rule list table 1)\" ]\n",
                "line 2, column 1: unknown test `[ -n \\\"$(ip -4 rule list table 1)\\\" ]`",
            ),
            (
                "[ -n \"$(ip -4 rule show table 1)\" ] || ip -4 rule add table 1\n",
                "line 2, column 20: `show` where `list` must be",
            ),
            (
                "if [ -e $off ] && [ \"$(cat $off)\" = 0 ]; then\nfi\n",
                "line 2, column 1: unknown command `if`",
            ),
            (
                "off=/proc/sys/net/ipv6/conf/lo/disable_ipv6\nif [ -e $off ] && [ \"$(cat $off)\" = 0 ]; then\n",
                "line 3, column 1: `end of line` where `fi` must be",
            ),
            ("fi\n", "line 2, column 1: unknown command `fi`"),
            (
                "nft -f - <<'END'\nadd table inet t\n",
                "line 2, column 1: `end of line` where `END` must be",
            ),
            (
                "nft -f - <<'END'\nadd table inet t\n END\nEND\n",
                "line 4, column 2: unknown command or object `END`",
            ),
            (
                "nft -f - <<'END'\n\nadd tabel\nEND\n",
                "line 4, column 5: unknown command or object `tabel`",
            ),
            ("nft -f - <<END\nEND\n", "line 2, column 1: unknown command `nft`"),
        ] {
            assert_eq!(wrong(text), said, "{text}");
        }
        let error = script("#!/bin/bash\n").unwrap_err();
        assert_eq!(error.to_string(), "line 1, column 1: `#!/bin/bash` where `#!/bin/sh` must be");
    }

    #[test]
    fn a_batch_has_one_family_and_no_shell() {
        let wrong = |text, family| {
            batch(text, family).map_or_else(|error| error.to_string(), |_| String::new())
        };
        assert_eq!(wrong("# x\n\nroute replace local ::/0 dev lo table 1\n", Family::Ipv6), "");
        for (text, said) in [
            (
                "rule add fwmark 0x1/0xff table 1\nset -eu\n",
                "line 2, column 1: unknown object `set`",
            ),
            (
                "route replace local ::/0 dev lo table 1\n",
                "line 1, column 21: unknown network `::/0`",
            ),
            ("-6 rule add table 1\n", "line 1, column 1: unknown object `-6`"),
            ("rule add fwmark 1/0x table 1\n", "line 1, column 19: unknown number `0x`"),
            ("rule\n", "line 1, column 5: `end of line` where `add` must be"),
        ] {
            assert_eq!(wrong(text, Family::Ipv4), said, "{text}");
        }
    }
}
