//! Reads one field at a time from an object of parameters. Absent and `null` are the same.

use std::ops::RangeInclusive;

use osb::Object;
use osb::kit::Refusal;
use serde_json::Value;

/// The sentence of a refusal.
pub(in crate::key_vault) fn invalid(sentence: impl Into<String>) -> Refusal {
    Refusal::Invalid(sentence.into())
}

/// Whether it is made of 1 to 63 of a-z, 0-9 and -.
pub(in crate::key_vault) fn is_name(name: &str) -> bool {
    (1..=63).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// An object in which nothing is unknown.
pub(super) struct Fields<'a> {
    /// What stands before a field's name in sentences, such as `kv.`.
    prefix: &'a str,
    object: &'a Object,
}

impl<'a> Fields<'a> {
    pub(super) fn of(prefix: &'a str, object: &'a Object, known: &[&str]) -> Result<Self, Refusal> {
        match object.keys().find(|name| !known.contains(&name.as_str())) {
            Some(unknown) => {
                Err(invalid(format!("parameter `{prefix}{unknown}` is not known here: use {}", known.join(", "))))
            }
            None => Ok(Self { prefix, object }),
        }
    }

    /// One whose other fields are read elsewhere.
    pub(super) fn any(object: &'a Object) -> Self {
        Self { prefix: "", object }
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn must(&self, name: &str, be: impl std::fmt::Display) -> Refusal {
        invalid(format!("parameter `{}{name}` must be {be}", self.prefix))
    }

    pub(super) fn text(&self, name: &str, longest: usize) -> Result<Option<&'a str>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().count() <= longest => Ok(Some(text)),
            Some(_) => Err(self.must(name, format_args!("a string of at most {longest} characters"))),
        }
    }

    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(yes)) => Ok(Some(*yes)),
            Some(_) => Err(self.must(name, "true or false")),
        }
    }

    pub(super) fn integer(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_u64().filter(|number| range.contains(number));
        let must = || self.must(name, format_args!("a whole number from {} to {}", range.start(), range.end()));
        number.map(Some).ok_or_else(must)
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<&'a Object>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(self.must(name, "an object")),
        }
    }

    pub(super) fn items(&self, name: &str, most: usize) -> Result<&'a [Value], Refusal> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) if items.len() <= most => Ok(items),
            Some(_) => Err(self.must(name, format_args!("an array of at most {most} items"))),
        }
    }

    pub(super) fn texts(&self, name: &str, most: usize) -> Result<Vec<&'a str>, Refusal> {
        let texts: Option<Vec<_>> = self.items(name, most)?.iter().map(Value::as_str).collect();
        texts.ok_or_else(|| self.must(name, "an array of strings"))
    }

    /// Seconds, from an ISO 8601 duration in days and smaller units.
    pub(super) fn duration(
        &self,
        name: &str,
        range: RangeInclusive<i64>,
        example: &str,
    ) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(name, 32)? else { return Ok(None) };
        let seconds = seconds(text).filter(|seconds| range.contains(seconds));
        let must = || {
            let (from, to) = (range.start(), range.end());
            self.must(name, format_args!("an ISO 8601 duration such as {example}, from {from} to {to} seconds"))
        };
        seconds.map(Some).ok_or_else(must)
    }
}

fn seconds(text: &str) -> Option<i64> {
    let span: jiff::Span = text.parse().ok().filter(|_| text.starts_with('P'))?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return None;
    }
    let days = i64::from(span.get_weeks()).checked_mul(7)?.checked_add(i64::from(span.get_days()))?;
    let hours = days.checked_mul(24)?.checked_add(i64::from(span.get_hours()))?;
    let minutes = hours.checked_mul(60)?.checked_add(span.get_minutes())?;
    minutes.checked_mul(60)?.checked_add(span.get_seconds())
}
