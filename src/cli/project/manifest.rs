//! The list of goldens in a folder: what weir wrote there, and nobody else.
//!
//! A golden is byte for byte what `weir compile` prints, so that it cannot say whose it is.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::View;
use crate::net::Name;

/// Which goldens of a folder weir has written, each with the file of its policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Manifest {
    /// Files of policies by goldens, both names within their folders.
    pub(in crate::cli) sources: BTreeMap<String, String>,
    /// Lines, from 1, that say neither, as those that a merge leaves.
    pub(in crate::cli) odd: Vec<usize>,
}

const HEAD: &str = "\
# Goldens that `weir golden --bless` wrote here, each with its policy. It removes those that no
# policy makes any longer, and no other files.
";

impl Manifest {
    pub(in crate::cli) fn read(text: &str) -> Self {
        let mut manifest = Self::default();
        for (at, line) in text.lines().enumerate() {
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            match line.split_once(' ').filter(|(golden, source)| {
                is_golden(golden) && !source.is_empty() && !source.contains('/')
            }) {
                Some((golden, source)) => {
                    manifest.sources.insert(golden.to_owned(), source.to_owned());
                }
                None => manifest.odd.push(at + 1),
            }
        }
        manifest
    }

    /// Whether both name the same goldens, and nothing else. The file of a policy may have been
    /// renamed since.
    pub(in crate::cli) fn has_the_goldens_of(&self, other: &Self) -> bool {
        self.sources.keys().eq(other.sources.keys()) && self.odd == other.odd
    }

    pub(in crate::cli) fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (golden, source) in &self.sources {
            let _ = writeln!(text, "{golden} {source}");
        }
        text
    }
}

/// Whether a file may be called so by weir: `reviews.nft`.
fn is_golden(name: &str) -> bool {
    let parts = name.split_once('.');
    parts.is_some_and(|(policy, extension)| {
        Name::new(policy).is_ok() && View::ALL.iter().any(|view| view.extension() == extension)
    })
}

#[cfg(test)]
mod tests {
    use super::Manifest;

    #[test]
    fn a_manifest_names_goldens_and_nothing_else() {
        let manifest = Manifest::read(
            "# a comment\n\nweb.nft web.weir\nweb.policy.weir a b.weir\n<<<<<<< HEAD\n\
             ../web.nft web.weir\nweb.nft\nweb.rs web.weir\nMANIFEST x\nweb.json ../web.weir\n\
             /etc/passwd x\n.git x\n",
        );
        let listed: Vec<_> = manifest.sources.iter().map(|(a, b)| format!("{a}={b}")).collect();
        assert_eq!(listed, ["web.nft=web.weir", "web.policy.weir=a b.weir"]);
        assert_eq!(manifest.odd, [5, 6, 7, 8, 9, 10, 11, 12]);
        let again = Manifest::read(&manifest.text());
        assert_eq!((again.sources, again.odd), (manifest.sources, vec![]));
    }
}
