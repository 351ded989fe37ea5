//! From what stands in the fields to exactly typed JSON.
//!
//! What is empty is left out; where it has to be there, an empty list is `[]`, what may be `null` is `null`, and everything else is asked
//! for. Numbers stay as they are written. An object that nothing was filled into is left out where it may be. An entry of a list that
//! nothing was filled into does not count. A text is taken as it was typed, blanks at its ends included, but that line ends are `\n`.

use serde_json::{Map, Number, Value};

use super::state::State;
use super::tree::{Field, Kind, Said, member, within};

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Names of fields, and what is wrong there.
    pub(super) wrong: Vec<(String, String)>,
    /// Where in the value which field's is.
    pub(super) places: Vec<(String, String)>,
}

/// The value that stands in a field; `None` where it is left out, or wrong.
pub(super) fn value(field: &Field, name: &str, state: &State, must: bool) -> Option<Value> {
    let mut reader = Reader { state, out: Reading::default() };
    let value = reader.read(field, name, "", must, None);
    value.filter(|_| reader.out.wrong.is_empty())
}

/// The value of a whole form. `known` is what stands already: a secret that is left empty stays as it is there.
pub(super) fn whole(field: &Field, name: &str, state: &State, known: Option<&Value>) -> (Option<Value>, Reading) {
    let mut reader = Reader { state, out: Reading::default() };
    let value = reader.read(field, name, "", true, known);
    (value, reader.out)
}

struct Reader<'a> {
    state: &'a State,
    out: Reading,
}

impl<'a> Reader<'a> {
    fn wrong(&mut self, name: &str, text: impl Into<String>) -> Option<Value> {
        self.out.wrong.push((name.to_owned(), text.into()));
        None
    }

    fn read(
        &mut self,
        field: &Field,
        name: &str,
        pointer: &str,
        must: bool,
        known: Option<&'a Value>,
    ) -> Option<Value> {
        if field.said == Said::Forced {
            return None;
        }
        self.out.places.push((pointer.to_owned(), name.to_owned()));
        let json = self.state.get(&format!("{name}#json"));
        if let Some(text) = json.or_else(|| matches!(field.kind, Kind::Json(_)).then_some("")) {
            return self.json(field, name, text, must, known);
        }
        match &field.kind {
            Kind::Object(fields) => self.object(fields, name, pointer, must, known),
            Kind::List { item, .. } => self.list(item, name, pointer, must, known),
            Kind::Variants(shapes) => {
                let chosen = self.state.get(&format!("{name}#shape")).unwrap_or_default();
                match chosen.parse::<usize>().ok().and_then(|number| shapes.get(number)) {
                    Some(shape) => self.read(shape, name, pointer, true, known),
                    None => self.absent(field, name, must, known),
                }
            }
            Kind::Fixed(value) => must.then(|| value.clone()),
            _ => self.scalar(field, name, must, known),
        }
    }

    /// Nothing was filled in.
    fn absent(&mut self, field: &Field, name: &str, must: bool, known: Option<&Value>) -> Option<Value> {
        match known {
            Some(known) if field.secret => Some(known.clone()),
            _ if !must => None,
            _ if field.nullable => Some(Value::Null),
            _ => {
                let what = match &field.kind {
                    Kind::Choice(_) | Kind::Variants(_) => "Choose one",
                    _ => "Fill this in",
                };
                self.wrong(name, what)
            }
        }
    }

    fn json(&mut self, field: &Field, name: &str, text: &str, must: bool, known: Option<&Value>) -> Option<Value> {
        if text.trim().is_empty() {
            // Parameters that nobody gives are none.
            return self.absent(field, name, must && !pointer_is_root(name), known);
        }
        match serde_json::from_str::<Value>(text) {
            Ok(value) => Some(value),
            Err(error) => self
                .wrong(name, format!("This is not JSON: look at line {}, character {}", error.line(), error.column())),
        }
    }

    fn scalar(&mut self, field: &Field, name: &str, must: bool, known: Option<&Value>) -> Option<Value> {
        let text = self.state.get(name).unwrap_or_default();
        if let Kind::Reference(_) = field.kind {
            let other = self.state.get(&format!("{name}#other")).unwrap_or_default().trim();
            let text = if other.is_empty() { text } else { other };
            return if text.is_empty() { self.absent(field, name, must, known) } else { Some(Value::from(text)) };
        }
        let blank = if matches!(field.kind, Kind::Text { .. }) { text.is_empty() } else { text.trim().is_empty() };
        if blank {
            return self.absent(field, name, must, known);
        }
        match &field.kind {
            Kind::Number { whole } => match number(text.trim(), *whole) {
                Some(number) => Some(Value::Number(number)),
                None if *whole => self.wrong(name, "This must be a whole number, such as 28"),
                None => self.wrong(name, "This must be a number, such as 12 or 3.5"),
            },
            Kind::Choice(values) => match values.iter().find(|(value, _)| is_written(value, text)) {
                Some((value, _)) => Some(value.clone()),
                None => self.wrong(name, "Choose one of these"),
            },
            _ => Some(Value::from(text.replace("\r\n", "\n"))),
        }
    }

    fn object(
        &mut self,
        fields: &[Field],
        name: &str,
        pointer: &str,
        must: bool,
        known: Option<&'a Value>,
    ) -> Option<Value> {
        // A secret that stands stays, so what it is in does, too.
        let keeps = known.is_some_and(Value::is_object) && fields.iter().any(Field::hides);
        if !must && !keeps && !fields.iter().any(|field| self.touched(field, &within(name, &field.key))) {
            return None;
        }
        let mut members = Map::new();
        for field in fields {
            let known = known.and_then(|known| known.get(&field.key));
            let (name, pointer) = (within(name, &field.key), member(pointer, &field.key));
            if let Some(value) = self.read(field, &name, &pointer, field.required, known) {
                members.insert(field.key.clone(), value);
            }
        }
        Some(Value::Object(members))
    }

    /// Whether anything was filled into a field, be it wrong.
    fn touched(&self, field: &Field, name: &str) -> bool {
        let json = self.state.get(&format!("{name}#json"));
        let text = self.state.get(name).unwrap_or_default();
        match (&field.kind, json) {
            _ if field.said == Said::Forced => false,
            (_, Some(json)) => !json.trim().is_empty(),
            (Kind::Json(_) | Kind::Fixed(_), None) => false,
            (Kind::Object(fields), None) => fields.iter().any(|field| self.touched(field, &within(name, &field.key))),
            (Kind::List { item, .. }, None) => {
                let rows = self.state.rows(name).unwrap_or_default();
                rows.iter().any(|row| self.touched(item, &format!("{name}/{row}")))
            }
            (Kind::Variants(shapes), None) => {
                let chosen = self.state.get(&format!("{name}#shape")).unwrap_or_default();
                chosen.parse::<usize>().is_ok_and(|number| number < shapes.len())
            }
            (Kind::Reference(_), None) => {
                let other = self.state.get(&format!("{name}#other")).unwrap_or_default();
                !text.is_empty() || !other.trim().is_empty()
            }
            (Kind::Text { .. }, None) => !text.is_empty(),
            (_, None) => !text.trim().is_empty(),
        }
    }

    fn list(&mut self, item: &Field, name: &str, pointer: &str, must: bool, known: Option<&'a Value>) -> Option<Value> {
        let mut items = Vec::new();
        for row in self.state.rows(name).unwrap_or_default() {
            // An entry keeps its number, so that a secret stays with its own.
            let known = known.and_then(|known| known.get(row));
            let pointer = member(pointer, &items.len().to_string());
            let (wrong, places) = (self.out.wrong.len(), self.out.places.len());
            match self.read(item, &format!("{name}/{row}"), &pointer, false, known) {
                Some(value) => items.push(value),
                // It keeps its place, so that what comes behind it is found where it is.
                None if self.out.wrong.len() > wrong => items.push(Value::Null),
                None => self.out.places.truncate(places),
            }
        }
        (must || !items.is_empty()).then_some(Value::Array(items))
    }
}

fn pointer_is_root(name: &str) -> bool {
    !name.contains('/')
}

/// Whether a text is a value as JSON, as the options of a choice have it.
fn is_written(value: &Value, text: &str) -> bool {
    let written = value.to_string();
    written == text
}

/// A number as it is written, in JSON's way.
fn number(text: &str, whole: bool) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if whole && !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match serde_json::from_str(text) {
        Ok(Value::Number(number)) => Some(number),
        _ => None,
    }
}
