//! `weir table`.

use std::io;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::compile::LayoutName;
use super::differences::passed_over;
use super::page::{paragraph_within, width};
use super::report::Messages;
use super::subject::Reading;
use super::{Outcome, output};
use crate::diag::escape::on_one_line;
use crate::diag::render::Message;
use crate::explain::{Fate, Rest, Row, Table, Values, tables};

/// Say what happens to ordinary packets, in a table
///
/// Lists destinations and ports, and what happens there to the first packets of new connections. These are
/// ordinary packets: without marks, not over loopback, and not the proxy's; the heading says exactly which.
/// A table is computed from what the rules mean, for every such packet. No packet is in two rows, and
/// `all else` is every packet that is in none.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TableOf {
    /// A policy, or rules in any form: the output of `iptables-save`, `iptables -S` or `nft list ruleset`,
    /// or a log that contains it.
    #[arg(value_name = "POLICY")]
    file: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// Print JSON, with every item of every list.
    #[arg(long)]
    json: bool,
    /// Print every item of every list.
    #[arg(long)]
    all: bool,
}

const EXAMPLES: &str = "\
Examples:
  weir table policy.weir
  nft list ruleset | weir table -
  weir table --json policy.weir | jq '.tables[].rows[] | select(.becomes[].captured)'

There is a table for each hook at which packets meet chains, for both families together if they are
equal. Marks, zones and connection tracking are left out: `weir explain` says all about one packet.
Exit status: 0 printed, 1 the policy is wrong, 2 bad usage or I/O.";

/// What is printed with `--json`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Tables {
    /// What it is about.
    of: String,
    /// A table for each hook at which packets meet chains.
    tables: Vec<Table>,
}

impl TableOf {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let nothing = std::collections::BTreeSet::new();
        let layout = LayoutName::default();
        let subject = self.reading.file(&self.file, layout, &nothing, messages)?;
        let Some(subject) = subject else { return Ok(Outcome::Bad) };
        let told = tables(&subject.ruleset, subject.families, &subject.context());
        let tables = Tables { of: subject.name.clone(), tables: told.map_err(io::Error::other)? };
        let text = if self.json {
            Message::new("table", &tables).pretty()
        } else {
            let mut text = words(&tables, width(), self.all);
            passed_over(&mut text, [&subject]);
            text
        };
        output::print(text.as_bytes())
    }
}

/// Most items of a list that are told, unless all are asked for.
const MOST_ITEMS: usize = 6;

fn words(Tables { of, tables }: &Tables, columns: usize, all: bool) -> String {
    let mut out = format!("{}\n", on_one_line(of));
    if tables.is_empty() {
        out.push_str("\nno chain is at any hook: every packet is untouched\n");
    }
    for table in tables {
        out.push('\n');
        let head = format!("{}: ", table.direction.to_uppercase());
        paragraph_within(&mut out, &head, &table.packets, "  ", columns);
        out.push('\n');
        let names_families = table.rest.len() > 1;
        let mut lines: Vec<[String; 3]> = Vec::new();
        for row in &table.rows {
            let (addresses, ports) = (addresses(row, table, all), ports(row, all));
            for (at, fate) in row.becomes.iter().enumerate() {
                let first = |text: &String| if at == 0 { text.clone() } else { String::new() };
                lines.push([first(&addresses), first(&ports), fate_words(fate, row.becomes.len())]);
            }
        }
        let is_alone = table.rows.is_empty();
        for Rest { families, becomes } in &table.rest {
            let mut what = if is_alone { "everything" } else { "all else" }.to_owned();
            if names_families {
                what = format!("{what}, {}", family(families));
            }
            for (at, fate) in becomes.iter().enumerate() {
                let what = if at == 0 { what.clone() } else { String::new() };
                lines.push([what, String::new(), fate_words(fate, becomes.len())]);
            }
        }
        columns_of(&mut out, &lines, columns);
        if !table.asks.is_empty() {
            let asks = table.asks.iter().map(|text| format!("`{}`", on_one_line(text)));
            let asks = list(&asks.collect::<Vec<_>>(), all);
            let text = format!("{asks}, which packets do not tell, are answered as usual");
            paragraph_within(&mut out, "  if ", &text, "     ", columns);
        }
        for supposed in &table.supposes {
            paragraph_within(
                &mut out,
                "  if ",
                &format!("{supposed}, which no listing tells"),
                "     ",
                columns,
            );
        }
    }
    out
}

fn fate_words(fate: &Fate, count: usize) -> String {
    let outcome = on_one_line(&fate.summary);
    if count == 1 {
        return outcome;
    }
    let of: Vec<String> = fate.of.iter().map(|of| on_one_line(of)).collect();
    format!("{outcome}, if {}", of.join("; or "))
}

fn family(families: &[String]) -> &'static str {
    match families {
        [one] if one == "ipv4" => "IPv4",
        [one] if one == "ipv6" => "IPv6",
        _ => "both families",
    }
}

fn addresses(row: &Row, table: &Table, all: bool) -> String {
    let word = &table.address;
    let is_one = row.families.len() == 1;
    match &row.addresses {
        None if is_one => format!("{word} any {}", family(&row.families)),
        None => format!("{word} any"),
        Some(Values { items, not: true }) => {
            let of = if is_one { format!("{} ", family(&row.families)) } else { String::new() };
            format!("{word} {of}not {}", list(items, all))
        }
        Some(Values { items, not: false }) => format!("{word} {}", list(items, all)),
    }
}

fn ports(row: &Row, all: bool) -> String {
    let protocols = match &row.protocols {
        None => "any protocol".to_owned(),
        Some(Values { items, not }) => {
            format!("{}{}", if *not { "not " } else { "" }, items.join(" or "))
        }
    };
    match &row.ports {
        None => protocols,
        Some(Values { items, not }) => {
            format!("{protocols} port {}{}", if *not { "not " } else { "" }, list(items, all))
        }
    }
}

fn list(items: &[String], all: bool) -> String {
    let shown = if all { items.len() } else { items.len().min(MOST_ITEMS) };
    let mut words = items[..shown].to_vec();
    if items.len() > shown {
        words.push(format!("… {} more", items.len() - shown));
    }
    words.join(", ")
}

/// Lines of three columns, of which the first two are as wide as they have to be, and at most a third each.
fn columns_of(out: &mut String, lines: &[[String; 3]], columns: usize) {
    let most = (columns / 3).max(16);
    let width = |at: usize| {
        let texts = lines.iter().map(|line| line[at].as_str());
        let whole = texts.clone().map(|text| text.chars().count()).max().unwrap_or_default();
        let words = texts.flat_map(|text| text.split(' ')).map(|word| word.chars().count());
        whole.min(most.max(words.max().unwrap_or_default()))
    };
    let (first, second) = (width(0), width(1));
    let third = columns.saturating_sub(first + second + 6).max(20);
    for line in lines {
        let wrapped = [(0, first), (1, second), (2, third)].map(|(at, width)| {
            let mut text = String::new();
            paragraph_within(&mut text, "", &line[at], "", width);
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        });
        let height = wrapped.iter().map(Vec::len).max().unwrap_or_default();
        for at in 0..height {
            let [one, two, three] =
                [0, 1, 2].map(|column: usize| wrapped[column].get(at).map_or("", String::as_str));
            let text = format!("  {one:first$}  {two:second$}  {three}");
            out.push_str(text.trim_end());
            out.push('\n');
        }
    }
}
