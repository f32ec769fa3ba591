//! What is loaded in the namespace that weir runs in.

use std::io;
use std::process::Command;

/// What the tools print.
pub(super) struct Live {
    /// `nft -j list ruleset`.
    pub(super) nft: String,
    /// What `iptables-save` and `ip6tables-save` print, of each variant of iptables that is
    /// installed and has tables, with what the variant is called.
    pub(super) iptables: Vec<(&'static str, [String; 2])>,
    /// Whether that is so of the variant that keeps its tables in nft.
    pub(super) has_iptables_nft: bool,
}

/// Asks `nft`, and every variant of iptables that is installed.
///
/// # Errors
///
/// If none of them is there, or one fails.
pub(super) fn ask() -> io::Result<Live> {
    let nft = output("nft", &["-j", "list", "ruleset"])?;
    let mut iptables = Vec::new();
    let mut has_iptables_nft = false;
    let mut is_installed = false;
    for variant in ["-nft", "-legacy"] {
        let v4 = output(&format!("iptables{variant}-save"), &[])?;
        let v6 = output(&format!("ip6tables{variant}-save"), &[])?;
        if v4.is_none() && v6.is_none() {
            continue;
        }
        has_iptables_nft |= variant == "-nft";
        let texts = [v4.unwrap_or_default(), v6.unwrap_or_default()];
        if texts.iter().any(|text| !text.trim().is_empty()) {
            iptables.push((variant.trim_start_matches('-'), texts));
        }
        is_installed = true;
    }
    if !is_installed && let Some(v4) = output("iptables-save", &[])? {
        iptables.push(("iptables", [v4, output("ip6tables-save", &[])?.unwrap_or_default()]));
        is_installed = true;
    }
    if nft.is_none() && !is_installed {
        return Err(io::Error::other("neither nft nor iptables-save is installed"));
    }
    let nft = nft.unwrap_or_else(|| "{\"nftables\": []}".to_owned());
    Ok(Live { nft, iptables, has_iptables_nft })
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
