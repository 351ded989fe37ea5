//! Splits a Rust file into what the compiler reads, what people read and what its string literals say, so that a rule
//! looks only where it means to. A lexer for four things (comments, strings, characters, the rest), not a parser.

/// One file in three views of equal line numbers: whatever belongs to another view is left out.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Code, with comments gone and every string literal empty (`""`).
    pub(crate) code: String,
    /// The text of comments, doc comments included.
    pub(crate) comments: String,
    /// Each string literal's content.
    pub(crate) strings: Vec<String>,
}

impl Source {
    /// Reads a file's text.
    pub(crate) fn parse(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let mut source = Self::default();
        let mut at = 0;
        while at < chars.len() {
            let rest = &chars[at..];
            let length = match rest {
                ['/', '/', ..] => {
                    let length = rest.iter().position(|&c| c == '\n').unwrap_or(rest.len());
                    source.comments.extend(&rest[..length]);
                    length
                }
                ['/', '*', ..] => {
                    let length = block_comment(rest);
                    source.comments.extend(&rest[..length]);
                    source.code.extend(rest[..length].iter().filter(|&&c| c == '\n'));
                    continue_at(&mut at, length);
                    continue;
                }
                ['"', ..] => source.string(rest, 1, quoted(rest)),
                ['r', '"' | '#', ..] if !inside_word(&source.code) => match raw(rest) {
                    Some((start, length, end)) => source.string(rest, start, (length, end)),
                    None => source.plain(rest, 1),
                },
                ['\'', '\\', ..] => {
                    let end = rest[2..].iter().skip(1).position(|&c| c == '\'').map_or(rest.len(), |found| found + 4);
                    source.code.push_str("' '");
                    end
                }
                ['\'', _, '\'', ..] => {
                    source.code.push_str("' '");
                    3
                }
                ['\n', ..] => {
                    source.comments.push('\n');
                    source.plain(rest, 1)
                }
                _ => source.plain(rest, 1),
            };
            continue_at(&mut at, length);
        }
        source
    }

    fn plain(&mut self, rest: &[char], length: usize) -> usize {
        self.code.extend(&rest[..length]);
        length
    }

    /// Takes a literal whose content lies between `start` and `end`, and which is `length` characters long in all.
    fn string(&mut self, rest: &[char], start: usize, (length, end): (usize, usize)) -> usize {
        self.strings.push(rest[start.min(end)..end].iter().collect());
        self.code.push_str("\"\"");
        let lines = rest[..length].iter().filter(|&&c| c == '\n');
        self.comments.extend(lines.clone());
        self.code.extend(lines);
        length
    }
}

fn continue_at(at: &mut usize, length: usize) {
    *at += length.max(1);
}

/// Whether the next character would only continue a word: the `r` of `for` opens no raw string.
fn inside_word(code: &str) -> bool {
    code.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_') && !code.ends_with(" b")
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Length of a `"…"` literal and the end of its content.
fn quoted(rest: &[char]) -> (usize, usize) {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return (at + 1, at),
            _ => at += 1,
        }
    }
    (rest.len(), rest.len())
}

/// Start of the content, length and end of the content of an `r#"…"#` literal; none where `r#` begins a name.
fn raw(rest: &[char]) -> Option<(usize, usize, usize)> {
    let hashes = rest[1..].iter().take_while(|&&c| c == '#').count();
    let start = hashes + 2;
    (rest.get(hashes + 1) == Some(&'"')).then(|| {
        let close = |&at: &usize| rest[at] == '"' && (1..=hashes).all(|n| rest.get(at + n) == Some(&'#'));
        let end = (start..rest.len()).find(close).unwrap_or(rest.len());
        (start, (end + 1 + hashes).min(rest.len()), end)
    })
}

/// Whether `code` holds `word` as a whole: not as part of a longer name.
pub(crate) fn has_word(code: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let ends_open = !part(word.chars().next_back());
    code.match_indices(word).any(|(at, _)| {
        !part(code[..at].chars().next_back()) && (ends_open || !part(code[at + word.len()..].chars().next()))
    })
}

mod tests {
    use super::*;

    #[test]
    fn code_comments_and_strings_are_told_apart() {
        let text =
            "let a = \"x // y\"; // said \"so\"\n/* b /* c */ d */ let e = r#\"raw \"quoted\" \"#; let f = '\"'; //! g";
        let source = Source::parse(text);
        assert_eq!(source.strings, ["x // y", "raw \"quoted\" "]);
        assert_eq!(source.comments, "// said \"so\"\n/* b /* c */ d *///! g");
        assert_eq!(source.code, "let a = \"\"; \n let e = \"\"; let f = ' '; ");
    }

    #[test]
    fn characters_lifetimes_and_raw_names_open_no_string() {
        let source = Source::parse(r"fn f<'a>(r#type: &'a str) { g('\'', '\u{1F600}', 'x', b'\n'); for x in y {} }");
        assert!(source.strings.is_empty(), "{source:?}");
        assert!(source.code.contains("for x in y {} }"), "{source:?}");
    }

    #[test]
    fn lines_keep_their_numbers() {
        let source = Source::parse("a\n\"one\ntwo\"\n/* c\nd */\ne");
        assert_eq!(source.code.lines().count(), 6);
        assert_eq!(source.code.lines().last(), Some("e"));
    }

    #[test]
    fn words_are_found_whole() {
        assert!(has_word("use bourse::cli;", "bourse::"));
        assert!(!has_word("use my_bourse::cli;", "bourse::"));
        assert!(has_word("SystemTime::now()", "SystemTime"));
        assert!(!has_word("SystemTimes", "SystemTime"));
    }
}
