//! What is loaded in the namespace that weir runs in.

use std::io;
use std::process::Command;

/// What the tools print.
pub(super) struct Live {
    /// `nft -j list ruleset`.
    pub(super) nft: String,
    /// What `iptables-save` and `ip6tables-save` print, of each variant of iptables that is
    /// installed.
    pub(super) iptables: Vec<[String; 2]>,
    /// The tables that iptables-nft keeps in nft.
    in_nft: Vec<String>,
}

impl Live {
    /// Whether a table of nft is one that iptables-nft keeps there.
    pub(super) fn is_iptables(&self, table: &str) -> bool {
        self.in_nft.iter().any(|name| name == table)
    }
}

/// Asks `nft`, and every variant of iptables that is installed.
///
/// # Errors
///
/// If none of them is there, or one fails.
pub(super) fn ask() -> io::Result<Live> {
    let nft = output("nft", &["-j", "list", "ruleset"])?;
    let mut iptables = Vec::new();
    let mut in_nft = Vec::new();
    for variant in ["-nft", "-legacy"] {
        let v4 = output(&format!("iptables{variant}-save"), &[])?;
        let v6 = output(&format!("ip6tables{variant}-save"), &[])?;
        if v4.is_none() && v6.is_none() {
            continue;
        }
        let texts = [v4.unwrap_or_default(), v6.unwrap_or_default()];
        if variant == "-nft" {
            let tables = texts.iter().flat_map(|text| text.lines());
            in_nft.extend(tables.filter_map(|line| line.strip_prefix('*')).map(str::to_owned));
        }
        iptables.push(texts);
    }
    if iptables.is_empty()
        && let Some(v4) = output("iptables-save", &[])?
    {
        iptables.push([v4, output("ip6tables-save", &[])?.unwrap_or_default()]);
    }
    if nft.is_none() && iptables.is_empty() {
        return Err(io::Error::other("neither nft nor iptables-save is installed"));
    }
    let nft = nft.unwrap_or_else(|| "{\"nftables\": []}".to_owned());
    Ok(Live { nft, iptables, in_nft })
}

/// What a program prints; `None` if it is not installed.
fn output(program: &str, arguments: &[&str]) -> io::Result<Option<String>> {
    let output = match Command::new(program).args(arguments).output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(io::Error::new(error.kind(), format!("cannot run {program}: {error}")));
        }
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("{program} fails: {}", said.trim())));
    }
    let text = String::from_utf8(output.stdout);
    text.map(Some).map_err(|_| io::Error::other(format!("{program} prints no UTF-8")))
}
