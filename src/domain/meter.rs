//! Meters: what a plan says that its broker measures (`metadata."x-meters"`), and the two that the hub itself measures of
//! every instance. How readings add up is in [`super::rating`].

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::config::parse_duration;

/// The meter of the time for which an instance stands ready under a plan; its unit is the second.
pub const INSTANCE: &str = "instance";
/// The meter that counts one for each provision that succeeded.
pub const SETUP: &str = "setup";
/// Meters that one plan may declare.
pub const METERS_MAX: usize = 64;
/// Characters of a meter's key and of its unit.
pub const WORD_MAX: usize = 63;

/// What one reading means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// How much there was within a window.
    Delta,
    /// A level that holds until the next reading.
    Gauge,
    /// A count that only grows, per `reset_id`.
    Counter,
}

/// How readings of a month become one quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// All of it. Of a counter: how far it went.
    Sum,
    /// Level times time, in hours of the unit. Gauges only.
    TimeWeighted,
    /// The highest one.
    Max,
    /// The last one.
    Latest,
    /// How many different values of a dimension there were. Deltas only.
    Unique,
}

/// A meter of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Meter {
    /// Its name within the plan.
    pub key: String,
    /// What one reading means.
    pub kind: Kind,
    /// How they add up.
    pub aggregation: Aggregation,
    /// Of what, such as `GB`.
    pub unit: String,
    /// The dimension whose values are counted, where `aggregation` is `unique`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique_by: Option<String>,
    /// After how long without a reading something is wrong; in seconds on the wire.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds")]
    #[schema(value_type = Option<u64>)]
    pub max_silence: Option<Duration>,
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn seconds<S: serde::Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs()).serialize(serializer)
}

impl Kind {
    /// The word on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        }
    }

    /// The kind of a word. Words that others used for the same are understood: `periodic_counter` and `sampling_counter`.
    pub fn read(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "delta" | "periodic_counter" => Self::Delta,
            "gauge" => Self::Gauge,
            "counter" | "sampling_counter" => Self::Counter,
            _ => return None,
        })
    }

    fn usual(self) -> Aggregation {
        match self {
            Self::Delta | Self::Counter => Aggregation::Sum,
            Self::Gauge => Aggregation::TimeWeighted,
        }
    }
}

impl Aggregation {
    /// The word on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::TimeWeighted => "time_weighted",
            Self::Max => "max",
            Self::Latest => "latest",
            Self::Unique => "unique",
        }
    }

    /// The aggregation of a word.
    pub fn read(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "sum" => Self::Sum,
            "time_weighted" => Self::TimeWeighted,
            "max" => Self::Max,
            "latest" => Self::Latest,
            "unique" | "unique_count" => Self::Unique,
            _ => return None,
        })
    }

    fn fits(self, kind: Kind) -> bool {
        match self {
            Self::Sum => kind != Kind::Gauge,
            Self::TimeWeighted => kind == Kind::Gauge,
            Self::Max | Self::Latest => kind != Kind::Counter,
            Self::Unique => kind == Kind::Delta,
        }
    }
}

impl Meter {
    /// The meters of a plan's document, and what is wrong with the others, as (JSON pointer within the plan, message).
    pub fn declared(plan: &Value) -> (Vec<Self>, Vec<(String, String)>) {
        let (mut meters, mut findings) = (Vec::new(), Vec::new());
        let Some(declared) = plan.pointer("/metadata/x-meters") else { return (meters, findings) };
        let Some(declared) = declared.as_array() else {
            findings.push(("/metadata/x-meters".to_owned(), "must be a list of meters".to_owned()));
            return (meters, findings);
        };
        for (index, value) in declared.iter().enumerate() {
            let pointer = format!("/metadata/x-meters/{index}");
            match Self::read(value) {
                _ if index >= METERS_MAX => {
                    findings.push((pointer, format!("a plan may declare at most {METERS_MAX} meters")))
                }
                Ok(meter) if meters.iter().any(|other: &Self| other.key == meter.key) => {
                    findings.push((format!("{pointer}/key"), "is the key of another meter of this plan".to_owned()));
                }
                Ok(meter) => meters.push(meter),
                Err((below, message)) => findings.push((format!("{pointer}{below}"), message)),
            }
        }
        (meters, findings)
    }

    fn read(value: &Value) -> Result<Self, (&'static str, String)> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let word = |name: &str, pointer: &'static str| {
            let short = |text: &&str| {
                !text.is_empty() && text.chars().count() <= WORD_MAX && !text.chars().any(char::is_control)
            };
            text(name).filter(short).ok_or_else(|| (pointer, format!("must be a text of 1 to {WORD_MAX} characters")))
        };
        let key = word("key", "/key")?;
        if key == INSTANCE || key == SETUP {
            return Err(("/key", format!("`{key}` is measured by Bourse itself")));
        }
        let unit = word("unit", "/unit")?;
        let kind = text("kind").and_then(Kind::read);
        let kind = kind.ok_or_else(|| ("/kind", "must be delta, gauge or counter".to_owned()))?;
        let aggregation = match value.get("aggregation") {
            None => kind.usual(),
            Some(word) => {
                let read = word.as_str().and_then(Aggregation::read);
                read.ok_or_else(|| ("/aggregation", "must be sum, time_weighted, max, latest or unique".to_owned()))?
            }
        };
        if !aggregation.fits(kind) {
            let message = format!("`{}` does not fit a {}", aggregation.as_str(), kind.as_str());
            return Err(("/aggregation", message));
        }
        let unique_by = match aggregation {
            Aggregation::Unique => Some(word("unique_by", "/unique_by")?.to_owned()),
            _ => None,
        };
        let max_silence = match value.get("max_silence") {
            None => None,
            Some(said) => {
                let read =
                    said.as_str().ok_or_else(|| "must be a duration such as PT3H".to_owned()).and_then(parse_duration);
                Some(read.map_err(|message| ("/max_silence", message))?)
            }
        };
        Ok(Self { key: key.to_owned(), kind, aggregation, unit: unit.to_owned(), unique_by, max_silence })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(meter: Value, pointers: &[&str]) {
        let (meters, findings) = Meter::declared(&json!({"metadata": {"x-meters": [meter]}}));
        let found: Vec<_> =
            findings.iter().map(|(pointer, _)| pointer.trim_start_matches("/metadata/x-meters/0")).collect();
        assert_eq!((found, meters.len()), (pointers.to_vec(), usize::from(pointers.is_empty())), "{findings:?}");
    }

    #[test]
    fn what_can_not_be_measured_is_pointed_at() {
        check(json!({"key": "gb", "kind": "gauge", "unit": "GB"}), &[]);
        check(
            json!({"key": "gb", "kind": "Gauge", "unit": "GB", "aggregation": "TIME_WEIGHTED", "max_silence": "PT3H"}),
            &[],
        );
        check(
            json!({"key": "users", "kind": "delta", "unit": "user", "aggregation": "unique", "unique_by": "user"}),
            &[],
        );
        check(json!({"key": "users", "kind": "delta", "unit": "user", "aggregation": "unique"}), &["/unique_by"]);
        check(json!({"key": "gb", "kind": "gauge", "unit": "GB", "aggregation": "sum"}), &["/aggregation"]);
        check(json!({"key": "gb", "kind": "gauge", "unit": "GB", "aggregation": "median"}), &["/aggregation"]);
        check(json!({"key": "gb", "kind": "gauge", "unit": "GB", "max_silence": "a while"}), &["/max_silence"]);
        check(json!({"key": "instance", "kind": "gauge", "unit": "s"}), &["/key"]);
        check(json!({"key": "gb", "unit": "GB"}), &["/kind"]);
        check(json!({"key": "gb", "kind": "gauge"}), &["/unit"]);
        check(json!("gb"), &["/key"]);
    }

    #[test]
    fn a_key_is_declared_once_and_the_list_is_bounded() {
        let meter = |key: usize| json!({"key": format!("m{key}"), "kind": "delta", "unit": "u"});
        let twice = json!({"metadata": {"x-meters": [meter(1), meter(1)]}});
        assert_eq!(Meter::declared(&twice).1[0].0, "/metadata/x-meters/1/key");
        let many: Vec<_> = (0..=METERS_MAX).map(meter).collect();
        let (meters, findings) = Meter::declared(&json!({"metadata": {"x-meters": many}}));
        assert_eq!((meters.len(), findings.len()), (METERS_MAX, 1));
        assert_eq!(Meter::declared(&json!({"metadata": {"x-meters": {}}})).1.len(), 1);
    }
}
