//! Pages of a list: which part is asked for, and what comes back. Lists are ordered by a key, and a page begins after one.

/// Entries of a page where nobody says how many.
pub const LIMIT_DEFAULT: u32 = 100;
/// Entries of a page at most.
pub const LIMIT_MAX: u32 = 1000;

/// Which part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most that many, 1 to [`LIMIT_MAX`].
    pub limit: u32,
    /// After the entry with this key; empty from the beginning.
    pub after: String,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The entries.
    pub items: Vec<T>,
    /// The key after which the next page begins; none where this is the last.
    pub next: Option<String>,
}

impl Page {
    /// How many rows to read: one more than is shown tells whether there is a next page.
    pub fn rows(&self) -> u32 {
        self.limit + 1
    }

    /// Cuts what was read to the page's size; `key` names an entry's place.
    pub fn cut<T>(&self, mut rows: Vec<T>, key: impl Fn(&T) -> String) -> Listed<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(key);
        Listed { items: rows, next }
    }
}

impl<T> Listed<T> {
    /// The same page of something else.
    pub fn map<U>(self, into: impl FnMut(T) -> U) -> Listed<U> {
        Listed { items: self.items.into_iter().map(into).collect(), next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_the_next_one_begins_only_if_there_is_one() {
        let page = Page { limit: 2, after: String::new() };
        let cut = |rows: &[i32]| page.cut(rows.to_vec(), ToString::to_string);
        assert_eq!(cut(&[1, 2, 3]), Listed { items: vec![1, 2], next: Some("2".to_owned()) });
        assert_eq!(cut(&[1, 2]), Listed { items: vec![1, 2], next: None });
        assert_eq!(cut(&[]), Listed { items: Vec::<i32>::new(), next: None });
    }
}
