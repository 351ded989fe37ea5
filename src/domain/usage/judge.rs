//! Whether an event fits what is known of its instance: a meter that one of its plans declares, of that kind and unit, at a time
//! that can still be charged.
//!
//! It looks nothing up: whoever refuses an event for [`Rejection::may_be_known`] has to look whether it was taken before.
//! Invariant: which meter an event belongs to follows from the event and from what the instance was ordered as, never from
//! what was reported before.

use std::time::Duration;

use super::{AFTER_END, Rejection, TOO_OLD, UsageEvent, What};
use crate::clock::Time;
use crate::domain::meter::{Aggregation, Kind, Meter};

/// What bounds the instants of events.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Now.
    pub now: Time,
    /// How old usage may be.
    pub late: Duration,
    /// How far ahead a broker's clock may be.
    pub early: Duration,
}

impl Bounds {
    /// Refuses what counts at an instant of which no usage is taken any more.
    ///
    /// # Errors
    /// That it is too old.
    pub fn not_too_old(&self, at: Time) -> Result<(), Rejection> {
        if self.now.since(at) > self.late {
            return Err(Rejection::new(TOO_OLD, format!("it is of {at}: so old usage is no longer taken")));
        }
        Ok(())
    }

    /// Refuses what is further ahead than a clock may be.
    fn not_ahead(&self, event: &UsageEvent) -> Result<(), Rejection> {
        let last = event.time.max(event.at).max(event.ended_at.unwrap_or(event.at));
        if last > self.now.plus(self.early) {
            return Err(Rejection::new("time_in_future", format!("it is of {last}, and now is {}", self.now)));
        }
        Ok(())
    }
}

/// What is known of the instance that an event is about.
#[derive(Clone, Debug, Default)]
pub struct Standing<'a> {
    /// Where it is gone: when that began to count.
    pub ended_at: Option<Time>,
    /// The meters of the plans that it has or had, the one that it had at the event's instant first.
    pub plans: Vec<&'a [Meter]>,
}

/// The meter that an event is a reading of, or whose reading it corrects.
///
/// # Errors
/// Why the event can't be taken.
pub fn judge<'a>(event: &UsageEvent, standing: &Standing<'a>, bounds: Bounds) -> Result<&'a Meter, Rejection> {
    bounds.not_ahead(event)?;
    bounds.not_too_old(event.at)?;
    let meter = meter(event, &standing.plans)?;
    // What a counter grew by counts at the reading before, which may lie before the end: its last reading always comes after.
    if let (What::Reading(Kind::Delta | Kind::Gauge), Some(end)) = (event.what, standing.ended_at)
        && event.at >= end
    {
        let message = format!("it is of {}, and the instance ended at {end}", event.at);
        return Err(Rejection::new(AFTER_END, message));
    }
    if let (What::Reading(_), Aggregation::Unique, Some(by)) = (event.what, meter.aggregation, &meter.unique_by)
        && !event.dimensions.contains_key(by)
    {
        let message = format!("`{}` counts the values of the dimension `{by}`, which is missing", meter.key);
        return Err(Rejection::new("missing_dimension", message));
    }
    Ok(meter)
}

fn meter<'a>(event: &UsageEvent, plans: &[&'a [Meter]]) -> Result<&'a Meter, Rejection> {
    let named = || plans.iter().flat_map(|meters| meters.iter()).filter(|meter| meter.key == event.meter);
    let of_kind = |meter: &&Meter| match event.what {
        What::Reading(kind) => meter.kind == kind,
        What::Correction => true,
    };
    if let Some(meter) = named().filter(of_kind).find(|meter| meter.unit == event.unit) {
        return Ok(meter);
    }
    if let Some(other) = named().find(of_kind) {
        let message = format!("`{}` is measured in `{}`", other.key, other.unit);
        return Err(Rejection::new("wrong_unit", message));
    }
    match named().next() {
        Some(other) => {
            let message = format!("`{}` is a {}", other.key, other.kind.as_str());
            Err(Rejection::new("wrong_kind", message))
        }
        None => {
            let message = "no plan that the instance has or had declares that meter (`x-meters`)";
            Err(Rejection::new("unknown_meter", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Time = Time(1_800_000_000_000_000);

    fn bounds() -> Bounds {
        Bounds { now: NOW, late: Duration::from_secs(86_400), early: Duration::from_secs(900) }
    }

    fn meters(list: serde_json::Value) -> Vec<Meter> {
        let (meters, findings) = Meter::declared(&json!({"metadata": {"x-meters": list}}));
        assert_eq!(findings, []);
        meters
    }

    fn event(kind: &str, time: Time, unit: &str) -> UsageEvent {
        let document = json!({
            "specversion": "1.0", "id": "1", "source": "/brokers/b", "time": time.to_string(),
            "type": format!("io.bourse.usage.{kind}"),
            "data": {"instance_id": "i", "meter": "gb", "quantity": "1", "unit": unit},
        });
        let mut document = document;
        if kind == "correction" {
            document["data"]["corrects"] = "0".into();
        }
        UsageEvent::read(&document).unwrap()
    }

    #[track_caller]
    fn check(event: &UsageEvent, ended_at: Option<Time>, plans: &[&[Meter]], expected: Result<Aggregation, &str>) {
        let standing = Standing { ended_at, plans: plans.to_vec() };
        let found = judge(event, &standing, bounds()).map(|meter| meter.aggregation).map_err(|reason| reason.code);
        assert_eq!(found, expected, "{event:?}");
    }

    #[test]
    fn a_reading_belongs_to_the_meter_of_its_kind_and_unit_of_the_first_plan_that_has_it() {
        let one = meters(json!([{"key": "gb", "kind": "gauge", "unit": "GB"}]));
        let two = meters(json!([{"key": "gb", "kind": "gauge", "unit": "GB", "aggregation": "max"}]));
        let other = meters(json!([{"key": "gb", "kind": "delta", "unit": "GiB"}]));
        let gauge = event("gauge", NOW, "GB");
        check(&gauge, None, &[&one, &two], Ok(Aggregation::TimeWeighted));
        check(&gauge, None, &[&two, &one], Ok(Aggregation::Max));
        check(&gauge, None, &[&other, &one], Ok(Aggregation::TimeWeighted));
        check(&gauge, None, &[&other], Err("wrong_kind"));
        check(&event("gauge", NOW, "MB"), None, &[&other, &one], Err("wrong_unit"));
        check(&gauge, None, &[&[]], Err("unknown_meter"));
        check(&event("correction", NOW, "GiB"), None, &[&one, &other], Ok(Aggregation::Sum));
    }

    #[test]
    fn a_reading_is_neither_too_old_nor_ahead_nor_after_the_end() {
        let gb = meters(json!([{"key": "gb", "kind": "gauge", "unit": "GB"}]));
        let at = |seconds: i64| Time(NOW.0 + seconds * 1_000_000);
        let all = Ok(Aggregation::TimeWeighted);
        check(&event("gauge", at(900), "GB"), None, &[&gb], all);
        check(&event("gauge", at(901), "GB"), None, &[&gb], Err("time_in_future"));
        check(&event("gauge", at(-86_400), "GB"), None, &[&gb], all);
        check(&event("gauge", at(-86_401), "GB"), None, &[&gb], Err("too_old"));
        check(&event("gauge", at(-11), "GB"), Some(at(-10)), &[&gb], all);
        check(&event("gauge", at(-10), "GB"), Some(at(-10)), &[&gb], Err("after_end"));
        check(&event("correction", at(-5), "GB"), Some(at(-10)), &[&gb], all);
    }

    #[test]
    fn the_last_reading_of_a_counter_may_come_after_the_end() {
        let gb = meters(json!([{"key": "gb", "kind": "counter", "unit": "GB"}]));
        let at = |seconds: i64| Time(NOW.0 + seconds * 1_000_000);
        check(&event("counter", at(-5), "GB"), Some(at(-10)), &[&gb], Ok(Aggregation::Sum));
        check(&event("counter", at(-86_401), "GB"), Some(at(-90_000)), &[&gb], Err("too_old"));
        check(&event("counter", at(901), "GB"), Some(at(-10)), &[&gb], Err("time_in_future"));
    }

    #[test]
    fn a_window_ends_no_further_ahead_than_a_clock_may_be() {
        let gb = meters(json!([{"key": "gb", "kind": "delta", "unit": "GB"}]));
        let mut delta = event("delta", NOW, "GB");
        delta.ended_at = Some(Time(NOW.0 + 900_000_000));
        check(&delta, None, &[&gb], Ok(Aggregation::Sum));
        delta.ended_at = Some(Time(NOW.0 + 901_000_000));
        check(&delta, None, &[&gb], Err("time_in_future"));
    }

    #[test]
    fn what_counts_values_of_a_dimension_needs_it() {
        let users =
            meters(json!([{"key": "gb", "kind": "delta", "unit": "GB", "aggregation": "unique", "unique_by": "user"}]));
        let mut reading = event("delta", NOW, "GB");
        check(&reading, None, &[&users], Err("missing_dimension"));
        reading.dimensions.insert("user".to_owned(), "eve".to_owned());
        check(&reading, None, &[&users], Ok(Aggregation::Unique));
    }
}
