//! How much is in a text with rules, counted before rules are made of it, which are many times as large.

/// Most terms of one text of iptables, as iptables-save prints it: words, and twelve more a line. Half a
/// million rules of eight words are as many; what is made of them takes less than 1 GiB.
pub const MOST_IPTABLES: usize = 10_000_000;

/// Most rules of one text of iptables with targets that nobody knows: each counts for itself where packets
/// are followed and compared.
pub const MOST_UNKNOWN: usize = 100_000;

/// Most terms of a script or listing of nft: words, braces, commas and colons, and four more a line or `;`.
pub const MOST_NFT: usize = 3_500_000;

/// Most terms of a text of libnftables JSON: opening braces and brackets, commas and colons.
pub const MOST_JSON: usize = 5_000_000;

/// What a line of nft counts beside its words: an empty rule takes memory, too.
const LINE: usize = 4;

/// What a line of iptables counts beside its words: the text of what is not followed is kept.
pub(super) const RULE: usize = 12;

/// The terms of a line of iptables. An empty one is one, for its place is kept.
pub(super) fn of_line(line: &str) -> usize {
    match line.split_whitespace().count() {
        0 => 1,
        words => words + RULE,
    }
}

/// The line, from 1, of the first term of a script of nft past [`MOST_NFT`].
pub(super) fn past_nft(text: &str) -> Option<u32> {
    let (mut in_word, mut is_said) = (false, false);
    past(text, MOST_NFT, |byte| match byte {
        b'\n' => {
            in_word = false;
            if std::mem::take(&mut is_said) { LINE } else { 0 }
        }
        b' ' | b'\t' | b'\r' => {
            in_word = false;
            0
        }
        b'{' | b'}' | b',' | b':' | b';' => {
            (in_word, is_said) = (false, true);
            if byte == b';' { LINE } else { 1 }
        }
        _ => {
            is_said = true;
            usize::from(!std::mem::replace(&mut in_word, true))
        }
    })
}

/// The line, from 1, of the first term of a text of JSON past [`MOST_JSON`].
pub(super) fn past_json(text: &str) -> Option<u32> {
    let (mut in_text, mut is_escaped) = (false, false);
    past(text, MOST_JSON, |byte| {
        if in_text {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            in_text = !ends;
            return 0;
        }
        in_text = byte == b'"';
        usize::from(matches!(byte, b'{' | b'[' | b',' | b':'))
    })
}

fn past(text: &str, most: usize, mut terms: impl FnMut(u8) -> usize) -> Option<u32> {
    let mut count = 0;
    let mut line = 1_u32;
    for byte in text.bytes() {
        count += terms(byte);
        if count > most {
            return Some(line);
        }
        line = line.saturating_add(u32::from(byte == b'\n'));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{LINE, MOST_JSON, MOST_NFT, RULE, of_line, past_json, past_nft};

    #[test]
    fn lines_of_iptables_count_beside_their_words() {
        assert_eq!(of_line(" "), 1);
        assert_eq!(of_line("-A OUTPUT  -j ACCEPT"), 4 + RULE);
    }

    #[test]
    fn what_is_past_the_limit_is_found_in_scripts() {
        let most = MOST_NFT / (1 + LINE);
        for end in ["\n", ";"] {
            assert_eq!(past_nft(&format!("x{end}").repeat(most)), None, "{end:?}");
        }
        let line = u32::try_from(most + 1).unwrap();
        assert_eq!(past_nft(&"x\n".repeat(most + 1)), Some(line));
        assert_eq!(past_nft(&"x;".repeat(most + 1)), Some(1));
        assert_eq!(past_nft(&"\n \n".repeat(MOST_NFT)), None);
    }

    #[test]
    fn what_is_past_the_limit_is_found_in_json() {
        let items = |count: usize| format!("[{}", ",".repeat(count));
        assert_eq!(past_json(&items(MOST_JSON - 1)), None);
        assert_eq!(past_json(&items(MOST_JSON)), Some(1));
        let text = format!("[\"\\\"{}\"]", ",".repeat(MOST_JSON));
        assert_eq!(past_json(&text), None);
    }
}
