//! Usage as brokers report it: CloudEvents 1.0 whose `data` is one reading of one meter of one instance, or the correction of
//! one. [`UsageEvent::read`] takes any JSON and says what it means or why it can't be taken; [`judge`] says whether it fits what
//! is known of its instance.
//!
//! It knows no other event, keeps nothing and adds nothing up (`super::rating` does). Invariant: two events with the same
//! [`UsageEvent::content`] count the same.

pub mod judge;
pub mod pull;

use std::collections::BTreeMap;
use std::str::FromStr as _;

use serde::Serialize;
use serde_json::{Map, Value};

use super::decimal::Decimal;
use super::meter::Kind;
use crate::clock::Time;

/// What each type of a usage event begins with.
pub const TYPE_PREFIX: &str = "io.bourse.usage.";
/// What each source begins with; the broker's name follows.
pub const SOURCE_PREFIX: &str = "/brokers/";
/// Characters of an id, a source and every other word of an event.
pub const WORD_MAX: usize = 255;
/// Bytes of one event, written as JSON.
pub const EVENT_BYTES_MAX: usize = 64 * 1024;
/// Dimensions of one event.
pub const DIMENSIONS_MAX: usize = 16;
/// The code of usage that is of too long ago.
const TOO_OLD: &str = "too_old";
/// The code of usage after the instance's end.
const AFTER_END: &str = "after_end";
/// Bytes of [`UsageEvent::content`].
const CONTENT_BYTES: usize = 16;

/// Why an event is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Rejection {
    /// A snake-case word for programs.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl Rejection {
    /// For that reason.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Whether that is so only by now: the same event may have been taken earlier, and then its key says what becomes of it.
    pub fn may_be_known(&self) -> bool {
        matches!(self.code, TOO_OLD | AFTER_END)
    }

    fn malformed(message: impl Into<String>) -> Self {
        Self::new("malformed", message)
    }
}

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A reading of a meter of that kind.
    Reading(Kind),
    /// Another quantity for an event that came or is yet to come.
    Correction,
}

impl What {
    /// The last word of the CloudEvents type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reading(kind) => kind.as_str(),
            Self::Correction => "correction",
        }
    }

    fn read(kind: &str) -> Option<Self> {
        match kind.strip_prefix(TYPE_PREFIX)? {
            "delta" => Some(Self::Reading(Kind::Delta)),
            "gauge" => Some(Self::Reading(Kind::Gauge)),
            "counter" => Some(Self::Reading(Kind::Counter)),
            "correction" => Some(Self::Correction),
            _ => None,
        }
    }
}

/// A usage event that is in order as far as it alone can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageEvent {
    /// `/brokers/{name}`
    pub source: String,
    /// Unique within the source, for ever.
    pub id: String,
    /// Reading or correction.
    pub what: What,
    /// When it was made.
    pub time: Time,
    /// The instant that it counts at: the start of a delta's window, otherwise `time`.
    pub at: Time,
    /// The end of a delta's window.
    pub ended_at: Option<Time>,
    /// The hub's id of the instance, which its broker knows it by.
    pub instance_id: String,
    /// The meter's key.
    pub meter: String,
    /// How much; only a correction that voids has none.
    pub quantity: Option<Decimal>,
    /// Of what.
    pub unit: String,
    /// Which run of a counter.
    pub reset_id: Option<String>,
    /// The id of the event of the same source that it corrects.
    pub corrects: Option<String>,
    /// What else was said of a reading.
    pub dimensions: BTreeMap<String, String>,
}

/// What two events must share to be the same one.
#[derive(Serialize)]
struct Counted<'a> {
    what: &'static str,
    at: i64,
    ended_at: Option<i64>,
    instance_id: &'a str,
    meter: &'a str,
    quantity: Option<Decimal>,
    unit: &'a str,
    reset_id: Option<&'a str>,
    corrects: Option<&'a str>,
    dimensions: &'a BTreeMap<String, String>,
}

impl UsageEvent {
    /// Reads a CloudEvent in its JSON form.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(document: &Value) -> Result<Self, Rejection> {
        let event = document.as_object().ok_or_else(|| Rejection::malformed("an event must be a JSON object"))?;
        if written_size(document) > EVENT_BYTES_MAX {
            return Err(Rejection::new("too_large", format!("an event may have at most {EVENT_BYTES_MAX} bytes")));
        }
        if text(event, "specversion")?.as_deref() != Some("1.0") {
            return Err(Rejection::malformed("`specversion` must be \"1.0\""));
        }
        let (source, id) = (required(event, "source")?, required(event, "id")?);
        let kind = required(event, "type")?;
        let what = What::read(&kind).ok_or_else(|| {
            let message =
                format!("`type` must be {TYPE_PREFIX}delta, gauge, counter or correction, not {}", cut(&kind));
            Rejection::new("unknown_type", message)
        })?;
        let content_type = text(event, "datacontenttype")?;
        if content_type.is_some_and(|kind| !is_json(&kind)) {
            return Err(Rejection::malformed(
                "`data` must be JSON: leave `datacontenttype` out or say application/json",
            ));
        }
        let time = instant(&required(event, "time")?, "time")?;
        let data = event.get("data").and_then(Value::as_object);
        let data = data.ok_or_else(|| Rejection::malformed("`data` must be a JSON object"))?;
        Self::of(source, id, what, time, data)
    }

    fn of(source: String, id: String, what: What, time: Time, data: &Map<String, Value>) -> Result<Self, Rejection> {
        const KNOWN: [&str; 8] =
            ["instance_id", "meter", "quantity", "unit", "window", "reset_id", "corrects", "dimensions"];
        if let Some(unknown) = data.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            return Err(Rejection::malformed(format!("`data` has no field {}", cut(unknown))));
        }
        let (reset_id, corrects) = (text(data, "reset_id")?, text(data, "corrects")?);
        let window = window(data)?;
        let (mut at, mut ended_at) = (time, None);
        if let (What::Reading(Kind::Delta), Some((start, end))) = (what, window) {
            (at, ended_at) = (start, Some(end));
        }
        let quantity = quantity(data)?;
        match (what, &corrects) {
            (What::Correction, None) => {
                return Err(Rejection::malformed("a correction must say the id of what it `corrects`"));
            }
            (What::Correction, Some(other)) if *other == id => {
                return Err(Rejection::malformed("a correction can't correct itself"));
            }
            (What::Reading(_), Some(_)) => {
                return Err(Rejection::malformed(
                    "only an event of type io.bourse.usage.correction `corrects` another",
                ));
            }
            (What::Reading(_), None) if quantity.is_none() => {
                return Err(Rejection::malformed(
                    "`quantity` is missing: a decimal number in a string, such as \"12.5\"",
                ));
            }
            _ => {}
        }
        let dimensions = dimensions(data)?;
        let is_reading = what != What::Correction;
        Ok(Self {
            instance_id: required(data, "instance_id")?,
            meter: required(data, "meter")?,
            unit: required(data, "unit")?,
            reset_id: reset_id.filter(|_| what == What::Reading(Kind::Counter)),
            dimensions: if is_reading { dimensions } else { BTreeMap::new() },
            source,
            id,
            what,
            time,
            at,
            ended_at,
            quantity,
            corrects,
        })
    }

    /// Tells events with the same key apart: the first bytes of SHA-256 over all of it that counts.
    pub fn content(&self) -> Vec<u8> {
        let counted = Counted {
            what: self.what.as_str(),
            at: self.at.0,
            ended_at: self.ended_at.map(|end| end.0),
            instance_id: &self.instance_id,
            meter: &self.meter,
            quantity: self.quantity,
            unit: &self.unit,
            reset_id: self.reset_id.as_deref(),
            corrects: self.corrects.as_deref(),
            dimensions: &self.dimensions,
        };
        let written = serde_json::to_vec(&counted).unwrap_or_default();
        let digest = ring::digest::digest(&ring::digest::SHA256, &written);
        digest.as_ref().iter().copied().take(CONTENT_BYTES).collect()
    }

    /// The broker's name within the source.
    pub fn broker(&self) -> Option<&str> {
        self.source.strip_prefix(SOURCE_PREFIX)
    }
}

/// The source and the id of whatever was sent, as far as they can be told: for answering about it.
pub fn key_of(document: &Value) -> (Option<&str>, Option<&str>) {
    let word = |name: &str| document.get(name).and_then(Value::as_str).filter(|word| word.chars().count() <= WORD_MAX);
    (word("source"), word("id"))
}

fn required(object: &Map<String, Value>, name: &str) -> Result<String, Rejection> {
    text(object, name)?.ok_or_else(|| Rejection::malformed(format!("`{name}` is missing")))
}

/// A word of bounded length; null means absent, as it does in CloudEvents.
fn text(object: &Map<String, Value>, name: &str) -> Result<Option<String>, Rejection> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(word)) if is_word(word) => Ok(Some(word.clone())),
        Some(_) => Err(Rejection::malformed(format!("`{name}` must be a text of 1 to {WORD_MAX} characters"))),
    }
}

fn is_word(word: &str) -> bool {
    (1..=WORD_MAX).contains(&word.chars().count()) && !word.contains('\0')
}

fn quantity(data: &Map<String, Value>) -> Result<Option<Decimal>, Rejection> {
    let wrong = |why: String| Rejection::malformed(format!("`quantity` {why}"));
    match data.get("quantity") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            let quantity = Decimal::from_str(text).map_err(|error| wrong(error.to_string()))?;
            if quantity < Decimal::ZERO {
                return Err(wrong("can't be below zero".to_owned()));
            }
            Ok(Some(quantity))
        }
        Some(_) => Err(wrong("must be a decimal number in a string, such as \"12.5\"".to_owned())),
    }
}

fn window(data: &Map<String, Value>) -> Result<Option<(Time, Time)>, Rejection> {
    let window = match data.get("window") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(window)) => window,
        Some(_) => return Err(Rejection::malformed("`window` must be an object with `start` and `end`")),
    };
    if window.keys().any(|key| key != "start" && key != "end") {
        return Err(Rejection::malformed("`window` has `start` and `end` and nothing else"));
    }
    let start = instant(&required(window, "start")?, "window.start")?;
    let end = instant(&required(window, "end")?, "window.end")?;
    if end < start {
        return Err(Rejection::malformed("`window` ends before it starts"));
    }
    Ok(Some((start, end)))
}

fn dimensions(data: &Map<String, Value>) -> Result<BTreeMap<String, String>, Rejection> {
    let wrong = || {
        Rejection::malformed(format!(
            "`dimensions` must be an object of at most {DIMENSIONS_MAX} texts, each of 1 to {WORD_MAX} characters"
        ))
    };
    let said = match data.get("dimensions") {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(said) => said.as_object().filter(|said| said.len() <= DIMENSIONS_MAX).ok_or_else(wrong)?,
    };
    let one = |(name, value): (&String, &Value)| {
        let value = value.as_str().filter(|value| is_word(value) && is_word(name))?;
        Some((name.clone(), value.to_owned()))
    };
    said.iter().map(|pair| one(pair).ok_or_else(wrong)).collect()
}

/// An instant as RFC 3339 has it.
fn instant(text: &str, name: &str) -> Result<Time, Rejection> {
    let wrong = || Rejection::malformed(format!("`{name}` must be a time such as 2026-11-22T10:00:00Z (RFC 3339)"));
    let bytes = text.as_bytes();
    // The parser takes more than RFC 3339 has: other separators, hours alone, names of zones.
    let shaped = bytes.get(10).is_some_and(|byte| matches!(byte, b'T' | b't'))
        && bytes.get(16) == Some(&b':')
        && bytes.first().is_some_and(u8::is_ascii_digit)
        && (text.ends_with(['Z', 'z']) || has_offset(bytes))
        && !text.contains('[');
    if !shaped {
        return Err(wrong());
    }
    let timestamp: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
    Ok(Time(timestamp.as_microsecond()))
}

/// `+01:00` at the end.
fn has_offset(bytes: &[u8]) -> bool {
    let Some([sign, _, _, b':', _, _]) = bytes.last_chunk::<6>() else { return false };
    matches!(sign, b'+' | b'-')
}

/// Whether a media type is JSON.
pub fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// The beginning of what somebody wrote, for a message.
fn cut(text: &str) -> String {
    let short: String = text.chars().take(63).filter(|letter| !letter.is_control()).collect();
    format!("`{short}`")
}

struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn written_size(document: &Value) -> usize {
    let mut counter = Counter(0);
    // A value in memory and a counter: neither can fail.
    drop(serde_json::to_writer(&mut counter, document));
    counter.0
}

/// What became of an event that was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = UsageVerdict)]
pub enum Verdict {
    /// It is kept, for ever.
    Accepted,
    /// It was there already.
    Duplicate,
    /// Another event has its key. That one counts; this one is kept to be looked at.
    Conflict,
    /// It is not kept.
    Rejected,
}

impl Verdict {
    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::Rejected => "rejected",
        }
    }
}

#[cfg(test)]
mod tests;
