//! A string for a regular expression, for schemas that want one: the shortest that is long enough.
//!
//! It knows what patterns in schemas are usually made of (literals, classes, groups, alternatives, repetitions, anchors) and
//! gives up on everything else. It matches nothing.

/// How deep groups may stand in each other.
const DEPTH_MAX: usize = 16;
/// How long a string may become.
const CHARS_MAX: usize = 4_096;

/// A string that the pattern matches and that has at least so many characters. `None` where none was found.
pub(super) fn example(pattern: &str, min_chars: usize) -> Option<String> {
    (0..=min_chars.min(CHARS_MAX)).find_map(|extra| {
        let mut maker = Maker { pattern: pattern.chars().collect(), at: 0, extra };
        let made = maker.alternatives(0)?;
        (maker.at == maker.pattern.len() && made.chars().count() >= min_chars).then_some(made)
    })
}

struct Maker {
    pattern: Vec<char>,
    at: usize,
    /// How much more often than needed something is repeated.
    extra: usize,
}

impl Maker {
    fn peek(&self) -> Option<char> {
        self.pattern.get(self.at).copied()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += 1;
        Some(next)
    }

    /// The first of the alternatives; the others are read over.
    fn alternatives(&mut self, depth: usize) -> Option<String> {
        if depth > DEPTH_MAX {
            return None;
        }
        let first = self.sequence(depth)?;
        while self.peek() == Some('|') {
            self.at += 1;
            self.sequence(depth)?;
        }
        Some(first)
    }

    fn sequence(&mut self, depth: usize) -> Option<String> {
        let mut made = String::new();
        while let Some(next) = self.peek() {
            if matches!(next, '|' | ')') {
                break;
            }
            self.at += 1;
            let piece = match next {
                '^' | '$' => continue,
                '(' => self.group(depth)?,
                '[' => self.class()?.to_string(),
                '\\' => escape(self.take()?)?.to_string(),
                '.' => "a".to_owned(),
                '*' | '+' | '?' | '{' => return None,
                literal => literal.to_string(),
            };
            let times = self.repetition()?;
            if made.len() + piece.len() * times > CHARS_MAX {
                return None;
            }
            made.push_str(&piece.repeat(times));
        }
        Some(made)
    }

    fn group(&mut self, depth: usize) -> Option<String> {
        if self.peek() == Some('?') {
            self.at += 1;
            // Looking ahead or behind is more than can be satisfied here.
            (self.take() == Some(':')).then_some(())?;
        }
        let made = self.alternatives(depth + 1)?;
        (self.take() == Some(')')).then_some(made)
    }

    /// The first character of a class that is none of those excluded.
    fn class(&mut self) -> Option<char> {
        let negated = self.peek() == Some('^');
        if negated {
            self.at += 1;
        }
        let mut ranges = Vec::new();
        loop {
            let first = match self.take()? {
                ']' if !ranges.is_empty() => break,
                '\\' => escape(self.take()?)?,
                literal => literal,
            };
            let is_range = self.peek() == Some('-') && self.pattern.get(self.at + 1).is_some_and(|&next| next != ']');
            let last = if is_range {
                self.at += 1;
                match self.take()? {
                    '\\' => escape(self.take()?)?,
                    literal => literal,
                }
            } else {
                first
            };
            ranges.push((first, last));
        }
        if !negated {
            // A letter or digit is the safest where there is one.
            let safe = ranges.iter().map(|(first, _)| *first).find(char::is_ascii_alphanumeric);
            return safe.or_else(|| ranges.first().map(|(first, _)| *first));
        }
        ('a'..='z').chain('0'..='9').find(|c| !ranges.iter().any(|(first, last)| (first..=last).contains(&c)))
    }

    /// How often what was just read is to stand there.
    fn repetition(&mut self) -> Option<usize> {
        let (least, most) = match self.peek() {
            Some('*') => (0, CHARS_MAX),
            Some('+') => (1, CHARS_MAX),
            Some('?') => (0, 1),
            Some('{') => return self.counted(),
            _ => return Some(1),
        };
        self.at += 1;
        self.lazy();
        Some((least + self.extra).min(most))
    }

    fn counted(&mut self) -> Option<usize> {
        let end = self.pattern[self.at..].iter().position(|&c| c == '}')? + self.at;
        let inner: String = self.pattern[self.at + 1..end].iter().collect();
        self.at = end + 1;
        self.lazy();
        let (least, most): (usize, usize) = match inner.split_once(',') {
            None => (inner.parse().ok()?, inner.parse().ok()?),
            Some((least, "")) => (least.parse().ok()?, CHARS_MAX),
            Some((least, most)) => (least.parse().ok()?, most.parse().ok()?),
        };
        Some((least + self.extra).min(most))
    }

    fn lazy(&mut self) {
        if self.peek() == Some('?') {
            self.at += 1;
        }
    }
}

/// A character for what stands behind a backslash.
fn escape(class: char) -> Option<char> {
    match class {
        'd' => Some('0'),
        'w' | 'D' | 'S' => Some('a'),
        's' | 'W' => Some(' '),
        'n' => Some('\n'),
        't' => Some('\t'),
        punctuation if punctuation.is_ascii_punctuation() => Some(punctuation),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, min_chars: usize, expected: Option<&str>) {
        assert_eq!(example(pattern, min_chars).as_deref(), expected, "{pattern}");
    }

    #[test]
    fn usual_patterns_are_satisfied_by_the_shortest_string() {
        check("^[a-z0-9-]{1,63}$", 0, Some("a"));
        check("^[a-z0-9-]{1,63}$", 5, Some("aaaaa"));
        check(r"^\d{4}-\d{2}-\d{2}$", 0, Some("0000-00-00"));
        check("^(small|large)(?:-[0-9]+)?$", 0, Some("small"));
        check("^[^@]+@example\\.com$", 0, Some("a@example.com"));
        check("a|b", 0, Some("a"));
        check("", 0, Some(""));
        check("[-a]", 0, Some("a"));
    }

    #[test]
    fn what_is_not_known_or_can_not_be_is_given_up() {
        for pattern in ["(?=a)b", "[a", "(a", "a)", "*", r"\p{L}", "a{9999999}", &"(".repeat(50)] {
            check(pattern, 0, None);
        }
        check("^a{1,3}$", 4, None);
    }
}
