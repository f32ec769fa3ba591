//! `weir graph`.

use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::compile::LayoutName;
use super::report::Messages;
use super::subject::Reading;
use super::{Outcome, output, page};
use crate::diag::escape::on_one_line;
use crate::picture::{Overlay, chains, dot, ladder, mermaid, svg, text};
use crate::semantics::Packet;

/// Draw what a packet meets
///
/// Draws the ladder of a policy with its own values: which conditions come first, what happens to a packet
/// that matches, and what falls through. With --chains, and for rules in any form, draws the chains of each
/// hook, in the order in which the kernel enters them, and where their rules lead.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Graph {
    /// A policy, or rules in any form: the output of `iptables-save`, `iptables -S` or `nft list ruleset`,
    /// or a log that contains it.
    #[arg(value_name = "POLICY")]
    file: PathBuf,
    /// What to draw for.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Draw the chains and jumps of a policy's rules instead of its ladder.
    #[arg(long)]
    chains: bool,
    /// Highlight the path of this packet: see `weir explain --help`.
    #[arg(long, value_name = "PACKET")]
    packet: Option<String>,
    /// Show which rungs the policy's expectations touch.
    #[arg(long, conflicts_with = "chains")]
    coverage: bool,
    /// The layout of the rules whose chains are drawn.
    #[arg(long, value_enum, default_value_t, value_name = "LAYOUT")]
    layout: LayoutName,
    #[command(flatten)]
    reading: Reading,
    /// Write to this file instead of standard output, as a whole or not at all.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What a picture is drawn for.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A terminal, as wide as it is.
    #[default]
    Text,
    /// Documents and browsers, in light and dark themes.
    Svg,
    /// Graphviz.
    Dot,
    /// Mermaid, which code hosts draw.
    Mermaid,
}

const EXAMPLES: &str = "\
Examples:
  weir graph policy.weir
  weir graph policy.weir --packet 'outbound tcp to 10.96.0.1:443'
  weir graph policy.weir --coverage             which rungs no expectation reaches
  weir graph policy.weir --format svg -o ladder.svg
  nft list ruleset | weir graph - --format dot | dot -Tsvg

Text is as wide as the terminal; without one, as COLUMNS says, or else 80 columns.
Exit status: 0 drawn, 1 the policy is wrong, 2 bad usage, packet or I/O.";

impl Graph {
    pub(super) fn run(&self, messages: &Messages) -> io::Result<Outcome> {
        let packet = self.packet.as_deref().map(packet).transpose()?;
        let nothing = std::collections::BTreeSet::new();
        let subject = self.reading.file(&self.file, self.layout, &nothing, messages)?;
        let Some(subject) = subject else { return Ok(Outcome::Bad) };
        let packet = packet.as_ref();
        if let Some(packet) = packet
            && !subject.families.has(packet.family())
        {
            let (name, family) = (&subject.name, packet.family());
            return Err(io::Error::other(format!("{name} says nothing about {family}")));
        }
        let picture = match subject.compiled().filter(|_| !self.chains) {
            Some((compilation, policy)) => {
                let coverage = self.coverage.then(|| compilation.coverage(policy)).transpose();
                let coverage = coverage.map_err(io::Error::other)?;
                ladder(policy, &Overlay { packet, coverage: coverage.as_ref() })
            }
            None if self.coverage => {
                return Err(io::Error::other(format!(
                    "{} has no expectations: --coverage is for policies",
                    subject.name
                )));
            }
            None => {
                let overlay = Overlay { packet, coverage: None };
                chains(&subject.name, &subject.ruleset, &subject.context(), &overlay)
            }
        };
        let picture = picture.map_err(io::Error::other)?;
        let drawn = match self.format {
            Format::Text => text(&picture, page::width()),
            Format::Svg => svg(&picture),
            Format::Dot => dot(&picture),
            Format::Mermaid => mermaid(&picture),
        };
        output::write(self.output.as_deref(), &drawn)
    }
}

/// Reads a packet that can be.
fn packet(text: &str) -> io::Result<Packet> {
    let packet: Packet = text.parse().map_err(|bad| {
        io::Error::other(format!(
            "`{}` is not a packet: {bad}\nfor example: outbound tcp to 10.96.0.1:443 user 1000",
            on_one_line(text)
        ))
    })?;
    packet.check().map_err(io::Error::other)?;
    Ok(packet)
}
