//! How scripts are laid out, and how nft spells each value.

use std::fmt::{self, Display, Write};
use std::net::IpAddr;

use crate::ir::Base;
use crate::nft::{
    Beside, Chain, Command, Comparison, Elements, Expr, Object, Operator, Right, Rule, Script, Set,
    SetType, Statement, Table, TableFamily, Translate, Value, Verb, Verdict, hook_name, kind_name,
};

/// Columns that the elements of a named set fill.
const WIDTH: usize = 88;
/// Most columns of a rule with its comment.
const WIDEST: usize = 100;

/// `script` as text.
pub(crate) fn print(script: &Script<'_>) -> String {
    let mut text = String::with_capacity(8 * 1024);
    write_script(&mut text, script).expect("a String takes every write");
    text
}

fn write_script(out: &mut String, script: &Script<'_>) -> fmt::Result {
    let mut before: Option<&Command<'_>> = None;
    for command in &script.commands {
        match (&command.object, before) {
            (Object::Remark(text), _) if text.is_empty() => out.push('\n'),
            (Object::Remark(text), _) => writeln!(out, "# {text}")?,
            (Object::Block(table), _) => write_table(out, table)?,
            // What is made only to be taken away, on one line.
            (object, Some(before))
                if before.verb == Verb::Add
                    && matches!(command.verb, Verb::Delete | Verb::Flush)
                    && is_same(&before.object, object) =>
            {
                let start = out.trim_end().rfind('\n').map_or(0, |end| end + 1);
                let end = out.len() - 1;
                write_command(out, command)?;
                if out.len() - start <= WIDEST {
                    out.replace_range(end..=end, "; ");
                }
            }
            _ => write_command(out, command)?,
        }
        before = Some(command);
    }
    Ok(())
}

/// Whether both are about one table, or one chain.
fn is_same(one: &Object<'_>, other: &Object<'_>) -> bool {
    match (one, other) {
        (Object::Table(one), Object::Table(other)) => one.name == other.name,
        (
            Object::Chain { table, chain },
            Object::Chain { table: other_table, chain: other_chain },
        ) => table == other_table && chain.name == other_chain.name,
        _ => false,
    }
}

pub(super) fn write_command(out: &mut String, command: &Command<'_>) -> fmt::Result {
    let verb = match command.verb {
        Verb::Add => "add",
        Verb::Create => "create",
        Verb::Insert => "insert",
        Verb::Delete => "delete",
        Verb::Destroy => "destroy",
        Verb::Flush => "flush",
    };
    match &command.object {
        Object::Table(table) => writeln!(out, "{verb} table {}", table.name),
        Object::Chain { table, chain } => writeln!(out, "{verb} chain {table} {}", chain.name),
        Object::Set { table, set } if matches!(command.verb, Verb::Delete | Verb::Flush) => {
            writeln!(out, "{verb} set {table} {}", set.name)
        }
        Object::Set { table, set } => {
            writeln!(out, "{verb} set {table} {} {{ type {}; }}", set.name, set.of)
        }
        Object::Elements { table, set, elements } => {
            writeln!(out, "{verb} element {table} {set} {elements}")
        }
        Object::Rule { table, chain, beside, rule } => {
            write!(out, "{verb} rule {table} {chain} ")?;
            match beside {
                Some(Beside::Handle(handle)) => write!(out, "handle {handle} ")?,
                Some(Beside::Index(index)) => write!(out, "index {index} ")?,
                None => {}
            }
            writeln!(out, "{rule}")
        }
        Object::Handle { table, chain, handle } => {
            writeln!(out, "{verb} rule {table} {chain} handle {handle}")
        }
        Object::Ruleset(_) => writeln!(out, "{verb} ruleset"),
        Object::Remark(_) | Object::Block(_) | Object::Passive => Ok(()),
    }
}

fn write_table(out: &mut String, table: &Table<'_>) -> fmt::Result {
    writeln!(out, "table {} {{", table.name)?;
    let mut first = true;
    for set in &table.sets {
        separate(out, &mut first);
        write_set(out, set)?;
    }
    for chain in &table.chains {
        separate(out, &mut first);
        write_chain(out, chain)?;
    }
    out.push_str("}\n");
    Ok(())
}

/// An empty line between the blocks of a table.
fn separate(out: &mut String, first: &mut bool) {
    if !std::mem::take(first) {
        out.push('\n');
    }
}

fn write_set(out: &mut String, set: &Set<'_>) -> fmt::Result {
    writeln!(out, "    set {} {{", set.name)?;
    writeln!(out, "        type {}", set.of)?;
    if let Some(size) = set.size {
        writeln!(out, "        size {size}")?;
    }
    if !set.flags.is_empty() {
        writeln!(out, "        flags {}", set.flags.join(", "))?;
    }
    if !set.elements.is_empty() {
        write_elements(out, &set.elements.values)?;
    }
    writeln!(out, "    }}")
}

/// In columns of equal width.
fn write_elements(out: &mut String, elements: &[Value<'_>]) -> fmt::Result {
    const INDENT: &str = "            ";
    out.push_str("        elements = {");
    // One buffer, so that no element is formatted twice or allocates.
    let mut words = String::with_capacity(elements.len() * 20);
    let mut ends = Vec::with_capacity(elements.len());
    for element in elements {
        write!(words, "{element}")?;
        ends.push(words.len());
    }
    let starts = || std::iter::once(0).chain(ends.iter().copied());
    let widest = starts().zip(&ends).map(|(start, end)| end - start).max().unwrap_or(0);
    let columns = ((WIDTH - INDENT.len()) / (widest + 2)).max(1);
    for (at, (start, end)) in starts().zip(ends.iter().copied()).enumerate() {
        if at % columns == 0 {
            out.push('\n');
            out.push_str(INDENT);
        }
        out.push_str(&words[start..end]);
        if at + 1 < ends.len() {
            out.push(',');
            if (at + 1) % columns != 0 {
                out.extend(std::iter::repeat_n(' ', widest + 1 - (end - start)));
            }
        }
    }
    out.push_str("\n        }\n");
    Ok(())
}

fn write_chain(out: &mut String, chain: &Chain<'_>) -> fmt::Result {
    writeln!(out, "    chain {} {{", chain.name)?;
    if let Some(base) = chain.base {
        writeln!(out, "        {}", Hooked(base))?;
    }
    for (at, rule) in chain.rules.iter().enumerate() {
        if at > 0 && rule.begins_group {
            out.push('\n');
        }
        if let Some(heading) = &rule.heading {
            writeln!(out, "        # {heading}")?;
        }
        write_rule(out, rule)?;
    }
    writeln!(out, "    }}")
}

/// On one line, or, where that would be too long, with the comment on a line of its own, and what the rule
/// does too.
fn write_rule(out: &mut String, rule: &Rule<'_>) -> fmt::Result {
    const INDENT: &str = "        ";
    const BREAK: &str = " \\\n            ";
    let start = out.len();
    write!(out, "{INDENT}{rule}")?;
    if out.len() - start > WIDEST {
        out.truncate(start);
        let statements: Vec<&Statement<'_>> =
            rule.statements.iter().flatten().map(|(_, statement)| statement).collect();
        let asks = |statement: &&Statement<'_>| {
            matches!(statement, Statement::Match { .. } | Statement::Counter)
        };
        let does = statements.iter().position(|one| !asks(one)).unwrap_or(statements.len());
        let [asked, done] = [&statements[..does], &statements[does..]].map(spaced);
        let comment = rule.comment.as_ref().map(|comment| format!("comment \"{comment}\""));
        let comment = comment.unwrap_or_default();
        // With a backslash behind it, or the comment.
        let is_short = INDENT.len() + asked.len() + done.len() + 3 <= WIDEST;
        let ends_short = INDENT.len() + 4 + done.len() + 1 + comment.len() <= WIDEST;
        write!(out, "{INDENT}{asked}{}{done}", if is_short { " " } else { BREAK })?;
        if !comment.is_empty() {
            write!(out, "{}{comment}", if !is_short && ends_short { " " } else { BREAK })?;
        }
    }
    out.push('\n');
    Ok(())
}

/// The statements with spaces between them.
fn spaced(statements: &[&Statement<'_>]) -> String {
    statements.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// How a base chain says where the kernel enters it.
struct Hooked(Base);

impl Display for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Base { kind, hook, priority } = self.0;
        let (kind, hook) = (kind_name(kind), hook_name(hook));
        write!(f, "type {kind} hook {hook} priority {priority}; policy accept;")
    }
}

impl Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statements = self.statements.iter().flatten();
        for (at, (_, statement)) in statements.enumerate() {
            write!(f, "{}{statement}", if at == 0 { "" } else { " " })?;
        }
        match &self.comment {
            Some(comment) => write!(f, " comment \"{comment}\""),
            None => Ok(()),
        }
    }
}

/// A match as a script has it.
pub(crate) fn comparison(left: &Expr<'_>, op: Comparison, right: &Right<'_>) -> String {
    match (op, left) {
        // Without it, one would have to know how strongly `&` binds, or another comparison would be
        // meant.
        (Comparison::Equal, Expr::Binary(..)) => format!("{left} == {right}"),
        (Comparison::Equal, left) if left.is_mask() && right.is_one() => {
            format!("{left} == {right}")
        }
        (Comparison::In | Comparison::Equal, _) => format!("{left} {right}"),
        (op, _) => format!("{left} {} {right}", op.word()),
    }
}

impl Display for Statement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Match { left, op, right } => f.write_str(&comparison(left, *op, right)),
            Self::Counter => f.write_str("counter"),
            Self::Verdict(verdict) => write!(f, "{verdict}"),
            Self::Translate(translate) => write!(f, "{translate}"),
            Self::Tproxy { family, address, port } => {
                write!(f, "tproxy{} to ", Spaced(*family))?;
                match (address, port) {
                    (Some(Value::Address(IpAddr::V6(to))), Some(port)) => {
                        write!(f, "[{to}]:{port}")
                    }
                    (to, port) => {
                        to.as_ref().map_or(Ok(()), |to| write!(f, "{to}"))?;
                        port.as_ref().map_or(Ok(()), |port| write!(f, ":{port}"))
                    }
                }
            }
            Self::Mangle { key, value } => write!(f, "{key} set {value}"),
            Self::Log => f.write_str("log"),
            Self::Vmap { key, to } => write!(f, "{key} vmap {to}"),
            Self::Update { text, .. } | Self::Other { text, .. } => f.write_str(text),
            Self::Unknown { text, .. } => f.write_str(text),
        }
    }
}

/// A family that a statement names, with a space before it.
struct Spaced(Option<TableFamily>);

impl Display for Spaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |family| write!(f, " {}", family.name()))
    }
}

impl Display for Translate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.word())?;
        write!(f, "{}", Spaced(self.family))?;
        match (&self.to, &self.port) {
            (None, None) => {}
            (None, Some(port)) => write!(f, " to :{port}")?,
            (Some(Expr::Value(Value::Address(IpAddr::V6(to)))), Some(port)) => {
                write!(f, " to [{to}]:{port}")?;
            }
            (Some(to), Some(port)) => write!(f, " to {to}:{port}")?,
            (Some(to), None) => write!(f, " to {to}")?,
        }
        if self.flags.is_empty() { Ok(()) } else { write!(f, " {}", self.flags.join(",")) }
    }
}

impl Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jump(target) | Self::Goto(target) => write!(f, "{} {target}", self.word()),
            _ => f.write_str(self.word()),
        }
    }
}

impl Display for Expr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meta(key) if matches!(&**key, "iifname" | "oifname") => f.write_str(key),
            Self::Meta(key) => write!(f, "meta {key}"),
            Self::Ct(key) => write!(f, "ct {key}"),
            Self::Payload { protocol, field } => write!(f, "{protocol} {field}"),
            Self::Fib { result, flags } => write!(f, "fib {} {result}", flags.join(" . ")),
            Self::Socket(key) => write!(f, "socket {key}"),
            Self::Concat(parts) => separated(f, parts, " . "),
            Self::Map(both) => write!(f, "{} map {}", both.0, both.1),
            Self::Other(text) => f.write_str(text),
            Self::Binary(operator, both) => {
                // `&` binds stronger than `^`, and that stronger than `|`.
                let side = |f: &mut fmt::Formatter<'_>, side: &Self, is_left: bool| {
                    let as_is = match side {
                        Self::Binary(inner, _) => {
                            *inner == Operator::And
                                && matches!(operator, Operator::Or | Operator::Xor)
                                || inner == operator && is_left
                        }
                        Self::Value(Value::Bits(bits)) => bits.len() < 2,
                        _ => true,
                    };
                    if as_is { write!(f, "{side}") } else { write!(f, "({side})") }
                };
                side(f, &both.0, true)?;
                write!(f, " {} ", operator.word())?;
                side(f, &both.1, false)
            }
            Self::Value(value) => write!(f, "{value}"),
        }
    }
}

impl Display for Right<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(elements) => write!(f, "{elements}"),
            Self::One(value) => write!(f, "{value}"),
            Self::Named(name) => write!(f, "@{name}"),
        }
    }
}

impl Display for Elements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ ")?;
        separated(f, &self.values, ", ")?;
        for (at, (key, verdict)) in self.entries.iter().enumerate() {
            write!(f, "{}{key} : {verdict}", if at == 0 { "" } else { ", " })?;
        }
        for (at, (key, value)) in self.pairs.iter().enumerate() {
            write!(f, "{}{key} : {value}", if at == 0 { "" } else { ", " })?;
        }
        f.write_str(" }")
    }
}

impl Display for SetType<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Of(field) => write!(f, "{field}"),
        }
    }
}

impl Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Hex(number) => write!(f, "{number:#x}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Prefix(address, len) => write!(f, "{address}/{len}"),
            Self::NumberPrefix(number, len) => write!(f, "{number:#x}/{len}"),
            Self::Range(ends) => write!(f, "{}-{}", ends.0, ends.1),
            Self::Word(word) => f.write_str(word),
            // Quoted, because nft takes some names for words of its own.
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::List(values) => separated(f, values, ","),
            Self::Bits(values) => separated(f, values, " | "),
            Self::Concat(values) => separated(f, values, " . "),
            Self::Rest => f.write_str("*"),
        }
    }
}

fn separated(f: &mut fmt::Formatter<'_>, values: &[impl Display], by: &str) -> fmt::Result {
    for (at, value) in values.iter().enumerate() {
        write!(f, "{}{value}", if at == 0 { "" } else { by })?;
    }
    Ok(())
}
