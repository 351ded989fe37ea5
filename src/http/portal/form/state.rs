//! What stands in a form's fields: texts by name, as a browser sends them. Made from a value, and from what was sent, with entries of
//! lists added and taken away.
//!
//! A name is the form's prefix and the place within the parameters; behind a `#` stands what is no value itself: `#rows` (which entries
//! a list has; each keeps its number for as long as the form is filled in), `#shape` (which of several shapes), `#other` (an instance
//! that is in no list), `#json` (the whole as JSON).

use std::collections::BTreeMap;

use serde_json::Value;

use super::hidden;
use super::schema::ROWS_MAX;
use super::sent;
use super::tree::{Field, Kind, Said, within};

/// What stands in the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State(BTreeMap<String, String>);

impl State {
    /// What was sent, of those names.
    pub fn of<'a>(pairs: impl Iterator<Item = &'a (String, String)>, prefix: &str) -> Self {
        let own = |name: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['/', '#']));
        let mut all = BTreeMap::new();
        for (name, value) in pairs.filter(|(name, _)| own(name)) {
            // As for any form: the first of a name counts.
            all.entry(name.clone()).or_insert_with(|| value.clone());
        }
        Self(all)
    }

    /// What stands under a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn put(&mut self, name: String, text: String) {
        self.0.insert(name, text);
    }

    /// These, with what was filled in elsewhere on top: for a form that takes another one's place.
    #[must_use]
    pub fn over(mut self, other: &Self) -> Self {
        let filled = other.0.iter().filter(|(_, text)| !text.is_empty());
        self.0.extend(filled.map(|(name, text)| (name.clone(), text.clone())));
        self
    }

    fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// The numbers of a list's entries, in their order; `None` where nothing was said of it.
    pub fn rows(&self, name: &str) -> Option<Vec<usize>> {
        let text = self.get(&format!("{name}#rows"))?;
        let mut rows: Vec<usize> = Vec::new();
        for row in text.split(',').filter_map(|row| row.parse().ok()).take(ROWS_MAX) {
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        Some(rows)
    }

    fn set_rows(&mut self, name: &str, rows: &[usize]) {
        let text: Vec<String> = rows.iter().map(usize::to_string).collect();
        self.put(format!("{name}#rows"), text.join(","));
    }

    /// Adds an entry to a list; gives its name.
    pub(super) fn add(&mut self, name: &str, shown: Vec<usize>) -> Option<String> {
        let mut rows = self.rows(name).unwrap_or(shown);
        if rows.len() >= ROWS_MAX {
            return None;
        }
        // Never one that was there before, or what was typed into it, and what it was, would come back.
        let next: usize = self.get(&format!("{name}#next")).and_then(|next| next.parse().ok()).unwrap_or_default();
        let next = rows.iter().map(|row| row.saturating_add(1)).max().unwrap_or_default().max(next);
        rows.push(next);
        self.set_rows(name, &rows);
        self.put(format!("{name}#next"), next.saturating_add(1).to_string());
        Some(format!("{name}/{next}"))
    }

    /// Takes the entry of that name away; gives the list's name.
    pub(super) fn remove(&mut self, entry: &str) -> Option<String> {
        let (name, row) = entry.rsplit_once('/')?;
        let row: usize = row.parse().ok()?;
        let mut rows = self.rows(name)?;
        rows.retain(|other| *other != row);
        self.set_rows(name, &rows);
        let (inner, own) = (format!("{entry}/"), format!("{entry}#"));
        self.0.retain(|name, _| name != entry && !name.starts_with(&inner) && !name.starts_with(&own));
        Some(name.to_owned())
    }

    /// Puts a value into the fields. What they can't say stands there as JSON, so that nothing is lost: an empty text, `null`, an empty
    /// list that may be left out, what the schema does not name. Of what holds a secret that is left out instead.
    pub(super) fn fill(&mut self, field: &Field, name: &str, value: &Value, must: bool) {
        if field.said == Said::Forced {
            return;
        }
        let mut own = Self::default();
        let fits = own.fill_plainly(field, name, value);
        let hides = field.hides() || hidden::holds_secret(&field.key, value);
        if !hides && (!fits || sent::value(field, name, &own, must).as_ref() != Some(value)) {
            own = Self::default();
            own.put(format!("{name}#json"), serde_json::to_string_pretty(value).unwrap_or_default());
        }
        self.append(own);
    }

    /// The same without the way out; false where it can't be.
    fn fill_plainly(&mut self, field: &Field, name: &str, value: &Value) -> bool {
        if field.secret {
            return false;
        }
        match (&field.kind, value) {
            (Kind::Text { long }, Value::String(text)) => {
                let lines = if *long { text.as_str() } else { &text.replace('\n', " ") };
                let plain = lines.chars().all(|c| !c.is_control() || c == '\n' || c == '\t');
                self.put(name.to_owned(), text.clone());
                plain && (*long || !text.contains('\n'))
            }
            (Kind::Reference(_), Value::String(text)) => {
                self.put(name.to_owned(), text.clone());
                !text.chars().any(char::is_control)
            }
            (Kind::Number { .. }, Value::Number(number)) => {
                self.put(name.to_owned(), number.to_string());
                true
            }
            (Kind::Choice(values), value) => {
                self.put(name.to_owned(), value.to_string());
                values.iter().any(|(known, _)| known == value)
            }
            (Kind::Fixed(known), value) => known == value,
            (Kind::Object(fields), Value::Object(members)) => {
                for field in fields {
                    if let Some(value) = members.get(&field.key) {
                        self.fill(field, &within(name, &field.key), value, field.required);
                    }
                }
                true
            }
            (Kind::List { item, .. }, Value::Array(items)) => {
                let rows: Vec<usize> = (0..items.len().min(ROWS_MAX)).collect();
                for (row, value) in rows.iter().zip(items) {
                    self.fill(item, &format!("{name}/{row}"), value, false);
                }
                self.set_rows(name, &rows);
                self.put(format!("{name}#next"), rows.len().to_string());
                items.len() <= ROWS_MAX
            }
            (Kind::Variants(shapes), value) => self.fill_shape(shapes, name, value),
            (Kind::Json(_), value) => {
                self.put(format!("{name}#json"), serde_json::to_string_pretty(value).unwrap_or_default());
                true
            }
            _ => false,
        }
    }

    /// Fills in the first shape that says just this value.
    fn fill_shape(&mut self, shapes: &[Field], name: &str, value: &Value) -> bool {
        let mut hidden = None;
        for (number, shape) in shapes.iter().enumerate() {
            let mut own = Self::default();
            let fits = own.fill_plainly(shape, name, value);
            own.put(format!("{name}#shape"), number.to_string());
            if fits && sent::value(shape, name, &own, true).as_ref() == Some(value) {
                self.append(own);
                return true;
            }
            if fits && shape.hides() && hidden.is_none() {
                hidden = Some(own);
            }
        }
        let found = hidden.is_some();
        self.append(hidden.unwrap_or_default());
        found
    }
}
