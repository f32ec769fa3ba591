//! Scripts with one command a line, and no blocks: the form that programs write that add and remove single
//! objects, and that the tests of several are in.

use std::fmt::{self, Write};

use super::print::write_command;
use crate::nft::ast::TableName;
use crate::nft::{Chain, Command, Object, Script, Set, Table, Verb, hook_name, kind_name};

/// `script` as text, one command a line. Elements of a set are one command, behind the set.
pub(crate) fn print_flat(script: &Script<'_>) -> String {
    let mut text = String::with_capacity(8 * 1024);
    for command in &script.commands {
        write(&mut text, command).expect("a String takes every write");
    }
    text
}

fn write(out: &mut String, command: &Command<'_>) -> fmt::Result {
    match (&command.object, command.verb) {
        (Object::Remark(text), _) if text.is_empty() => writeln!(out),
        (Object::Remark(text), _) => writeln!(out, "# {text}"),
        (Object::Block(table), _) => write_block(out, table),
        (Object::Chain { table, chain }, Verb::Add) => write_chain(out, table, chain),
        (Object::Set { table, set }, Verb::Add) => write_set(out, table, set),
        _ => write_command(out, command),
    }
}

/// What is in a table, everything behind what it names.
fn write_block(out: &mut String, table: &Table<'_>) -> fmt::Result {
    let name = &table.name;
    writeln!(out, "add table {name}")?;
    table.sets.iter().try_for_each(|set| write_set(out, name, set))?;
    table.chains.iter().try_for_each(|chain| write_chain(out, name, chain))?;
    for chain in &table.chains {
        for rule in &chain.rules {
            if let Some(heading) = &rule.heading {
                writeln!(out, "# {heading}")?;
            }
            writeln!(out, "add rule {name} {} {rule}", chain.name)?;
        }
    }
    Ok(())
}

fn write_chain(out: &mut String, table: &TableName<'_>, chain: &Chain<'_>) -> fmt::Result {
    write!(out, "add chain {table} {}", chain.name)?;
    if let Some(base) = chain.base {
        let (kind, hook, priority) = (kind_name(base.kind), hook_name(base.hook), base.priority);
        write!(out, " {{ type {kind} hook {hook} priority {priority} ; policy accept ; }}")?;
    }
    writeln!(out)
}

fn write_set(out: &mut String, table: &TableName<'_>, set: &Set<'_>) -> fmt::Result {
    write!(out, "add set {table} {} {{ type {} ; ", set.name, set.of)?;
    if let Some(size) = set.size {
        write!(out, "size {size} ; ")?;
    }
    if !set.flags.is_empty() {
        write!(out, "flags {} ; ", set.flags.join(","))?;
    }
    writeln!(out, "}}")?;
    if !set.elements.is_empty() {
        writeln!(out, "add element {table} {} {}", set.name, set.elements)?;
    }
    Ok(())
}
