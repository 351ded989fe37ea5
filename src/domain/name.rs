//! Names of platforms, tenants, brokers and the like: `[a-z0-9-]{1,63}`, immutable. It only says what a name looks like.

/// What a name looks like, for people.
pub const RULE: &str = "must be 1 to 63 of a-z, 0-9 and '-'";

/// Whether it is a name.
pub fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

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
