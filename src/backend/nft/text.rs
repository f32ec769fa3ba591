//! nft script.

use std::fmt::{self, Write};

use super::program::{
    Chain, Element, Expr, Op, Program, Right, Rule, Set, Statement, Table, TableFamily,
};
use crate::ir::{Base, ChainKind, Hook};
use crate::net::Name;

/// Columns that the elements of a named set fill.
const WIDTH: usize = 88;

/// `program` as a script.
pub(super) fn print(program: &Program<'_>) -> String {
    let mut script = String::with_capacity(8 * 1024);
    write_program(&mut script, program).expect("a String takes every write");
    script
}

fn write_program(out: &mut String, program: &Program<'_>) -> fmt::Result {
    writeln!(
        out,
        "# Policy `{}`, compiled by weir. Edit the policy, not this file.",
        program.policy
    )?;
    writeln!(out, "# `nft -f` loads all of it, or nothing.")?;
    if !program.replaced.is_empty() {
        writeln!(
            out,
            "
# Whatever an earlier version of the policy loaded goes away. (`add` first, because"
        )?;
        writeln!(out, "# `delete` fails for a table that is not there.)")?;
    }
    for (family, name) in &program.replaced {
        let table = Full(*family, name);
        writeln!(out, "add table {table}; delete table {table}")?;
    }
    for table in &program.tables {
        out.push('\n');
        write_table(out, table)?;
    }
    Ok(())
}

fn write_table(out: &mut String, table: &Table<'_>) -> fmt::Result {
    let full = Full(table.family, table.name);
    if table.kept {
        writeln!(out, "# Others fill sets of this table, so it stays; its chains are replaced.")?;
        writeln!(out, "add table {full}; flush table {full}")?;
        for set in &table.sets {
            writeln!(out, "add set {full} {} {{ type {}; }}", set.name, set.of.name())?;
        }
        for chain in &table.chains {
            let chain = chain.name;
            writeln!(out, "add chain {full} {chain}; delete chain {full} {chain}")?;
        }
    }
    writeln!(out, "table {full} {{")?;
    let mut first = true;
    // Not those of a table that stays: nft 0.9.8 crashes on a set in the block of a table that it
    // knows already.
    for set in table.sets.iter().filter(|_| !table.kept) {
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
    writeln!(out, "        type {}", set.of.name())?;
    if set.interval {
        writeln!(out, "        flags interval")?;
    }
    write_elements(out, &set.elements)?;
    writeln!(out, "    }}")
}

/// In columns of equal width.
fn write_elements(out: &mut String, elements: &[Element<'_>]) -> fmt::Result {
    const INDENT: &str = "            ";
    out.push_str("        elements = {");
    // One buffer, so that no element is formatted twice or allocates.
    let mut words = String::with_capacity(elements.len() * 20);
    let mut ends = Vec::with_capacity(elements.len());
    for element in elements {
        write!(words, "{}", Nft(element))?;
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
        writeln!(out, "        {}", Nft(&base))?;
        if !chain.rules.is_empty() {
            out.push('\n');
        }
    }
    for (at, rule) in chain.rules.iter().enumerate() {
        if at > 0 && rule.begins_group {
            out.push('\n');
        }
        if let Some(heading) = &rule.heading {
            writeln!(out, "        # {heading}")?;
        }
        writeln!(out, "        {}", Nft(rule))?;
    }
    writeln!(out, "    }}")
}

/// Family and name of a table.
struct Full<'a>(TableFamily, &'a Name);

impl fmt::Display for Full<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.name(), self.1)
    }
}

/// A value in nft's spelling.
struct Nft<'a, T>(&'a T);

impl fmt::Display for Nft<'_, Base> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Base { kind, hook, priority } = self.0;
        let (kind, hook) = (kind_name(*kind), hook_name(*hook));
        write!(f, "type {kind} hook {hook} priority {priority}; policy accept;")
    }
}

impl fmt::Display for Nft<'_, Rule<'_>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, statement) in self.0.statements.iter().enumerate() {
            write!(f, "{}{}", if at == 0 { "" } else { " " }, Nft(statement))?;
        }
        match &self.0.comment {
            Some(comment) => write!(f, " comment \"{comment}\""),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Nft<'_, Statement<'_>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = |family: &Option<TableFamily>| family.map_or("", TableFamily::name);
        match self.0 {
            Statement::Match { op, left, right } => {
                let op = match (op, left) {
                    (Op::Unequal, _) => "!= ",
                    // Without it, one would have to know how strongly `&` binds.
                    (Op::Equal, Expr::And(_)) => "== ",
                    (Op::Equal | Op::In, _) => "",
                };
                write!(f, "{} {op}{}", Nft(left), Nft(right))
            }
            Statement::Counter(()) => f.write_str("counter"),
            Statement::Accept(()) => f.write_str("accept"),
            Statement::Drop(()) => f.write_str("drop"),
            Statement::Return(()) => f.write_str("return"),
            Statement::Jump { target } => write!(f, "jump {target}"),
            Statement::Goto { target } => write!(f, "goto {target}"),
            Statement::Redirect { port } => write!(f, "redirect to :{port}"),
            Statement::Snat { family: None, addr } => write!(f, "snat to {addr}"),
            Statement::Snat { family: of, addr } => write!(f, "snat {} to {addr}", family(of)),
            Statement::Tproxy { family: None, port } => write!(f, "tproxy to :{port}"),
            Statement::Tproxy { family: of, port } => write!(f, "tproxy {} to :{port}", family(of)),
            Statement::Mangle { key, value } => write!(f, "{} set {}", Nft(key), Nft(value)),
            Statement::Log(()) => f.write_str("log"),
        }
    }
}

impl fmt::Display for Nft<'_, Expr> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::Meta { key: key @ ("iifname" | "oifname") } => f.write_str(key),
            Expr::Meta { key } => write!(f, "meta {key}"),
            Expr::Ct { key } => write!(f, "ct {key}"),
            Expr::Payload { protocol, field } => write!(f, "{protocol} {field}"),
            Expr::Fib { result, flags: [flag] } => write!(f, "fib {flag} {result}"),
            Expr::And(both) => write!(f, "{} & {}", Nft(&both.0), Nft(&both.1)),
            Expr::Or(both) => write!(f, "{} | {}", Nft(&both.0), Nft(&both.1)),
            Expr::Xor(both) => write!(f, "{} ^ {}", Nft(&both.0), Nft(&both.1)),
            Expr::Mark(mark) => write!(f, "{mark:#x}"),
            Expr::Number(number) => write!(f, "{number}"),
        }
    }
}

impl fmt::Display for Nft<'_, Right<'_>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Right::Set(elements) => {
                for (at, element) in elements.iter().enumerate() {
                    write!(f, "{}{}", if at == 0 { "{ " } else { ", " }, Nft(element))?;
                }
                f.write_str(" }")
            }
            Right::Bits(names) => f.write_str(&names.join(",")),
            Right::One(element) => write!(f, "{}", Nft(element)),
            Right::Named(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Nft<'_, Element<'_>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Element::Prefix { addr, len } => write!(f, "{addr}/{len}"),
            Element::Range(first, last) => write!(f, "{first}-{last}"),
            Element::Address(address) => write!(f, "{address}"),
            Element::Number(number) => write!(f, "{number}"),
            Element::Mark(mark) => write!(f, "{mark:#x}"),
            // Quoted, because nft takes some names for words of its own.
            Element::Interface(name) => write!(f, "\"{name}\""),
            Element::Word(word) => f.write_str(word),
        }
    }
}

/// The name of a kind of chain.
pub(super) const fn kind_name(kind: ChainKind) -> &'static str {
    match kind {
        ChainKind::Filter => "filter",
        ChainKind::Nat => "nat",
        ChainKind::Route => "route",
    }
}

/// The name of a hook.
pub(super) const fn hook_name(hook: Hook) -> &'static str {
    match hook {
        Hook::Prerouting => "prerouting",
        Hook::Input => "input",
        Hook::Forward => "forward",
        Hook::Output => "output",
        Hook::Postrouting => "postrouting",
    }
}
