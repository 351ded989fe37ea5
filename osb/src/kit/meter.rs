//! What is measured: levels, sums and counters of an instance, as the hub's `POST /usage` takes them.
//!
//! Quantities are whole numbers in the smallest unit that matters (bytes, seconds, addresses): no float comes near them.

use serde_json::{Value, json};

use crate::catalog::ServicePlan;

/// The span of time that a reading is about, in seconds since 1970; `start` is in it, `end` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The end of the window before, or when the instance became ready.
    pub start: i64,
    /// When it was read.
    pub end: i64,
}

/// How a meter's readings add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A level, which holds until the next reading.
    Gauge,
    /// How much there was within the window.
    Delta,
    /// A count that only grows. It may begin again at 0 under another `reset_id`.
    Counter,
}

impl Kind {
    /// All of them.
    pub(super) const ALL: &[Self] = &[Self::Gauge, Self::Delta, Self::Counter];
    /// What still counts when the instance has ended: how much there was until then. A level would begin to hold too late, and
    /// the hub refuses it.
    pub(super) const AT_THE_END: &[Self] = &[Self::Delta, Self::Counter];

    fn word(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Delta => "delta",
            Self::Counter => "counter",
        }
    }
}

/// A meter that a plan declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    /// Its name.
    pub key: String,
    /// How readings add up.
    pub kind: Kind,
    /// Of what, such as `By` or `address`.
    pub unit: String,
}

impl Meter {
    /// The meters that a plan of the catalog declares; what can't be read is left out.
    pub fn of(plan: &ServicePlan) -> Vec<Self> {
        let declared =
            plan.metadata.as_option().and_then(|metadata| metadata.get("x-meters")).and_then(Value::as_array);
        let meter = |value: &Value| {
            let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
            let kind = match value.get("kind")?.as_str()? {
                "gauge" => Kind::Gauge,
                "delta" => Kind::Delta,
                "counter" => Kind::Counter,
                _ => return None,
            };
            Some(Self { key: text("key")?, kind, unit: text("unit")? })
        };
        declared.into_iter().flatten().filter_map(meter).collect()
    }
}

/// What a meter read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// [`Meter::key`] of a meter that the plan declares; another is not reported.
    pub meter: &'static str,
    /// How much, in the meter's unit.
    pub quantity: u64,
    /// For counters that may begin again: another id each time they do.
    pub reset_id: Option<String>,
}

impl Reading {
    /// A reading of a gauge, a delta, or a counter that never begins again.
    pub fn new(meter: &'static str, quantity: u64) -> Self {
        Self { meter, quantity, reset_id: None }
    }

    /// The CloudEvent that says so: `source` is `/brokers/{name}`, and the id follows from what is measured and when.
    pub(super) fn event(&self, meter: &Meter, about: &About<'_>, window: Window) -> Value {
        let kind = meter.kind;
        let mut data = json!({
            "instance_id": about.instance_id,
            "meter": meter.key,
            "quantity": self.quantity.to_string(),
            "unit": meter.unit,
        });
        if kind == Kind::Delta {
            data["window"] = json!({"start": time(window.start), "end": time(window.end)});
        }
        if let Some(reset_id) = &self.reset_id {
            data["reset_id"] = reset_id.as_str().into();
        }
        json!({
            "specversion": "1.0",
            "id": format!("{}/{}/{}", about.resource, meter.key, about.number),
            "source": format!("/brokers/{}", about.broker),
            "type": format!("io.bourse.usage.{}", kind.word()),
            "subject": format!("instances/{}", about.instance_id),
            "time": time(window.end),
            "datacontenttype": "application/json",
            "data": data,
        })
    }
}

/// Whose reading it is.
pub(super) struct About<'a> {
    pub(super) broker: &'a str,
    pub(super) instance_id: &'a str,
    pub(super) resource: &'a str,
    /// How many times it was read before: part of the event's id, so that a repeat has the same.
    pub(super) number: i64,
}

/// RFC 3339, UTC.
pub(super) fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}
