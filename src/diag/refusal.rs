//! What a command that failed leaves in the place of its product, so that nothing loads it.

use std::ops::Range;

/// What the line says, before it goes on in blanks.
const WORDS: &str = ") this is no output of weir: the command failed, and its message says why";

/// How long the line is, in bytes: more than a stream holds at once, which is 8192 at most (`BUFSIZ` of
/// glibc).
///
/// Up to version 1.0.9, `nft -j -f -` tries what its attempt to read JSON has left of a pipe as a script;
/// where that is nothing, it succeeds. The end of this line is left.
const LENGTH: usize = 9_000;

const LINE: [u8; LENGTH] = {
    let mut line = [b' '; LENGTH];
    let (start, _) = line.split_at_mut(WORDS.len());
    start.copy_from_slice(WORDS.as_bytes());
    line[LENGTH - 1] = b')';
    line
};

/// The one line that `weir compile`, `pod-address` and `import` write to standard output where that is
/// no terminal, for every end other than success, a newline behind it. It has 9,000 bytes, most of them
/// blanks.
///
/// An empty text and a comment *succeed* in everything that loads rules, so that a refused policy would
/// leave a workload outside of the mesh. This line succeeds in nothing: it is no nft, no JSON, no text
/// for iptables-restore, no batch of `ip`, no policy, and the `)` keeps every shell from running a word
/// of it. It is the same whatever was refused. Tried with nft 1.0.6, both variants of iptables 1.8.9,
/// iproute2 6.1, dash 0.5.12 and bash 5.2.
pub const REFUSAL: &str = match str::from_utf8(&LINE) {
    Ok(line) => line,
    Err(_) => panic!("the words are ASCII"),
};

/// Where in `text` a line stands that a command that failed leaves, up to its blanks.
pub(crate) fn refusal(text: &str) -> Option<Range<usize>> {
    let mut start = 0;
    text.split_inclusive('\n').find_map(|line| {
        let at = start;
        start += line.len();
        let rest = line.strip_prefix(WORDS)?.trim();
        matches!(rest, "" | ")").then(|| at..at + WORDS.len())
    })
}

#[cfg(test)]
mod tests {
    use super::{REFUSAL, WORDS, refusal};

    #[test]
    fn the_line_is_found_wherever_it_stands_alone() {
        for line in [REFUSAL, WORDS] {
            assert_eq!(refusal(line), Some(0..WORDS.len()));
            let behind = format!("sidecar a {{}}\n{line}\r\nx");
            assert_eq!(refusal(&behind).map(|at| &behind[at]), Some(WORDS));
            for other in [format!("# {line}\n"), format!("{line}.\n"), String::new()] {
                assert_eq!(refusal(&other), None, "{other}");
            }
        }
    }
}
