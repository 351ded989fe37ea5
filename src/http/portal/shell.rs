//! Words of a shell's line, for the commands that pages show to be copied.
//!
//! Invariant: whatever a text holds, a shell takes it as this one word.

/// A text as one word, in quotes only where it needs them.
pub fn word(text: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '=' | ',' | '@' | '%' | '+');
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { quoted(text) }
}

/// A text as one word in quotes, as bodies have it.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_word_whatever_it_holds() {
        let texts = ["net-1", "", "it's", "$(reboot)", "a b", "size=5"];
        assert_eq!(texts.map(word), ["net-1", "''", "'it'\\''s'", "'$(reboot)'", "'a b'", "size=5"]);
        assert_eq!(quoted("net-1"), "'net-1'");
    }
}
