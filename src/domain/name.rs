//! Names of platforms, tenants, brokers and the like: `[a-z0-9-]{1,63}`, immutable. It only says what a name looks like, and
//! which of those that there are was probably meant.

/// What a name looks like, for people.
pub const RULE: &str = "must be 1 to 63 of a-z, 0-9 and '-'";

/// Whether it is a name.
pub fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Letters that are compared: a name that is longer is too long to be guessed.
const COMPARED_MAX: usize = 255;

/// The name that was probably meant by a word that is none; `None` where none is near. Of several that are equally near the first by letters.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(COMPARED_MAX).collect();
    let near = (word.len() / 3).max(1);
    let measured = names.into_iter().map(|name| (distance(&word, name), name));
    measured.filter(|(distance, _)| *distance <= near).min().map(|(_, name)| name)
}

/// How many letters have to be changed, added or left out (Levenshtein).
fn distance(word: &[char], name: &str) -> usize {
    let mut row: Vec<usize> = (0..=word.len()).collect();
    for letter in name.to_lowercase().chars().take(COMPARED_MAX) {
        let mut next = Vec::with_capacity(row.len());
        let mut left = row.first().copied().unwrap_or(0) + 1;
        next.push(left);
        for (other, pair) in word.iter().zip(row.windows(2)) {
            let [diagonal, above] = pair else { continue };
            left = (diagonal + usize::from(*other != letter)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_understood_and_anything_else_is_not() {
        let names = ["virtual-network", "managed-bastion", "kv", "kv-transit"];
        let nearest = |word: &str| nearest(word, names);
        assert_eq!(nearest("virtual-netwrok"), Some("virtual-network"));
        assert_eq!(nearest("Virtual_Network"), Some("virtual-network"));
        assert_eq!(nearest("kvt"), Some("kv"));
        assert_eq!(nearest("kv-transit"), Some("kv-transit"));
        assert_eq!(nearest("postgres"), None);
        assert_eq!(nearest(""), None);
        assert_eq!(nearest(&"x".repeat(10_000)), None);
    }

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "cf-eu-1", "0", &"x".repeat(63)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "A", "a_b", "a.b", "ä", "a/b", " a", &"x".repeat(64)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
