//! Usage that is asked for: brokers that don't report may offer their readings under `/metrics/…`, as an older extension of OSB has
//! it. A page of those becomes usage events. Its values are named by what they are about and when, so that reading a page twice
//! makes the same events; a value that was replaced becomes a correction of the one before, also where it was there earlier.
//!
//! It asks nobody, and keeps nothing.

use serde_json::{Value, json};

use super::{TYPE_PREFIX, WORD_MAX};
use crate::clock::Time;
use crate::domain::decimal::Decimal;
use crate::domain::meter::{Kind, Meter};

/// Where the readings of a kind of an offering are asked for, behind the broker's URL.
pub fn question(kind: Kind, offering: &str, from: Time, until: Time) -> String {
    let mut asked = path(kind).to_owned();
    for byte in offering.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'.' => asked.push(char::from(byte)),
            _ => asked.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("{asked}?from={from}&to={until}")
}

/// Where readings of a kind are offered, behind the broker's URL and before the offering's id.
pub fn path(kind: Kind) -> &'static str {
    match kind {
        Kind::Gauge => "/metrics/gauges/",
        Kind::Delta => "/metrics/periodic_counters/",
        Kind::Counter => "/metrics/sampling_counters/",
    }
}

/// One value of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Pulled {
    /// The event.
    pub event: Value,
    /// The correction that it is instead, where another value stands for the same time.
    pub correction: Value,
    /// Whether the broker said when the value was written.
    pub dated: bool,
}

impl Pulled {
    /// Its event's id.
    pub fn id(&self) -> &str {
        self.event["id"].as_str().unwrap_or_default()
    }

    /// Whether it must be sent as a correction, where its event's key is taken and that much counts there (nothing where it is
    /// void) because of the correction with that id, if there is one. What people corrected yields only to what was written
    /// later: without a date that can't be told.
    pub fn replaces(&self, counted: Option<Decimal>, corrected_by: Option<&str>) -> bool {
        let own = |by: &str| by.strip_prefix(self.id()).is_some_and(|rest| rest.starts_with('/'));
        let quantity = self.event["data"]["quantity"].as_str().and_then(|digits| digits.parse().ok());
        counted != quantity && (self.dated || corrected_by.is_none_or(own))
    }
}

/// What a page holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pages {
    /// Its values.
    pub values: Vec<Pulled>,
    /// Values that can't be read, or are of a meter that no plan declares.
    pub skipped: usize,
    /// Where it goes on: a URL.
    pub next: Option<String>,
}

/// Reads a page of one kind, which was asked for `now`. `source` is that of the broker, `meters` are those of the offering's plans.
pub fn read(page: &Value, kind: Kind, source: &str, meters: &[Meter], now: Time) -> Pages {
    let next = page.pointer("/_links/next/href").and_then(Value::as_str).map(str::to_owned);
    let mut pages = Pages { next, ..Pages::default() };
    for point in page.get("dataPoints").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| point.get(name).and_then(Value::as_str);
        let resource = text("resource");
        let meter = meters.iter().find(|meter| meter.kind == kind && Some(meter.key.as_str()) == resource);
        for value in point.get("values").and_then(Value::as_array).into_iter().flatten() {
            match (text("serviceInstanceId"), meter) {
                (Some(instance), Some(meter)) => match pulled(value, instance, meter, source, now) {
                    Some(pulled) => pages.values.push(pulled),
                    None => pages.skipped += 1,
                },
                _ => pages.skipped += 1,
            }
        }
    }
    pages
}

fn pulled(value: &Value, instance: &str, meter: &Meter, source: &str, now: Time) -> Option<Pulled> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let named = |name: &str| super::instant(text(name)?, name).ok().map(|at| at.to_string());
    let (quantity, at, end) = match meter.kind {
        Kind::Delta => ("countedValue", named("periodStart")?, Some(named("periodEnd")?)),
        Kind::Gauge | Kind::Counter => ("value", named("observedAt")?, None),
    };
    // A JSON number is read from its text: it never becomes a float.
    let quantity = match value.get(quantity)? {
        Value::Number(number) => Decimal::nearest(&number.to_string()).ok()?.to_string(),
        Value::String(digits) => digits.clone(),
        _ => return None,
    };
    let about = [Some(instance), Some(meter.key.as_str()), Some(at.as_str()), end.as_deref()];
    let id = id(&about.into_iter().flatten().collect::<Vec<_>>());
    let dated = named("writtenAt");
    let written = dated.clone().unwrap_or_else(|| now.to_string());
    let correction_id = format!("{id}/{}", short(&[&written, &quantity]));
    let mut data = json!({"instance_id": instance, "meter": meter.key, "quantity": quantity, "unit": meter.unit});
    let event = |kind: &str, id: &str, time: &str, data: &Value| {
        json!({
            "specversion": "1.0", "id": id, "source": source, "type": format!("{TYPE_PREFIX}{kind}"), "time": time,
            "data": data,
        })
    };
    let mut fix = data.clone();
    fix["corrects"] = Value::from(id.as_str());
    let correction = event("correction", &correction_id, &written, &fix);
    if let Some(end) = &end {
        data["window"] = json!({"start": at, "end": end});
    }
    Some(Pulled { event: event(meter.kind.as_str(), &id, &at, &data), correction, dated: dated.is_some() })
}

/// The words themselves where they are short, and what follows from them where they aren't. Room is left for a correction.
fn id(words: &[&str]) -> String {
    let plain = format!("pull/{}", words.join("/"));
    if plain.chars().count() + 33 <= WORD_MAX { plain } else { format!("pull/{}", short(words)) }
}

fn short(words: &[&str]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, json!(words).to_string().as_bytes());
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::usage::UsageEvent;

    const NOW: Time = Time(1_800_000_000_000_000);

    fn meters() -> Vec<Meter> {
        let declared = json!([
            {"key": "small_vms", "kind": "gauge", "unit": "vm"},
            {"key": "requests", "kind": "delta", "unit": "request"},
        ]);
        Meter::declared(&json!({"metadata": {"x-meters": declared}})).0
    }

    #[test]
    fn a_page_becomes_events_that_are_the_same_each_time() {
        let page: Value = serde_json::from_str(
            r#"{"dataPoints":[
                {"serviceInstanceId":"i","resource":"small_vms","values":[
                    {"writtenAt":"2026-11-02T00:00:00Z","observedAt":"2026-11-01T00:00:00.000Z","value":2.50},
                    {"writtenAt":"2026-11-02T00:00:00Z","value":3}]},
                {"serviceInstanceId":"i","resource":"unknown","values":[{"observedAt":"2026-11-01T00:00:00Z","value":2}]},
                {"resource":"small_vms"}
            ],"_links":{"next":{"href":"http://b/metrics/gauges/s?page=2"}}}"#,
        )
        .unwrap();
        let read_it = || read(&page, Kind::Gauge, "/brokers/b", &meters(), NOW);
        let pages = read_it();
        assert_eq!((pages.values.len(), pages.skipped), (1, 2));
        assert_eq!(pages.next.as_deref(), Some("http://b/metrics/gauges/s?page=2"));
        let event = UsageEvent::read(&pages.values[0].event).unwrap();
        assert_eq!(event.id, "pull/i/small_vms/2026-11-01T00:00:00.000000Z");
        assert_eq!((event.quantity.unwrap().to_string(), event.unit.as_str()), ("2.5".to_owned(), "vm"));
        assert_eq!(read_it(), pages);
        let correction = UsageEvent::read(&pages.values[0].correction).unwrap();
        assert_eq!(correction.corrects.as_deref(), Some(event.id.as_str()));
        assert_eq!(read(&json!({"dataPoints": 7}), Kind::Gauge, "/brokers/b", &meters(), NOW), Pages::default());
    }

    fn one(value: &str, written: &str) -> Pages {
        let page = format!(
            r#"{{"dataPoints":[{{"serviceInstanceId":"i","resource":"small_vms","values":[
                {{"observedAt":"2026-11-01T00:00:00Z","value":{value}{written}}}]}}]}}"#
        );
        read(&serde_json::from_str(&page).unwrap(), Kind::Gauge, "/brokers/b", &meters(), NOW)
    }

    #[test]
    fn numbers_as_programs_print_floats_are_read_exactly_and_rounded() {
        for (value, quantity) in [("1.0E7", "10000000"), ("0.30000000000000004", "0.3"), ("25e-1", "2.5")] {
            let event = UsageEvent::read(&one(value, "").values[0].event).unwrap();
            assert_eq!(event.quantity.unwrap().to_string(), quantity, "{value}");
        }
        assert_eq!(one("1e300", ""), Pages { skipped: 1, ..Pages::default() });
    }

    #[test]
    fn a_value_replaces_what_counts_unless_it_is_the_same_or_people_corrected_it() {
        let undated = one("10", "").values.remove(0);
        let dated = one("10", r#","writtenAt":"2026-11-02T00:00:00Z""#).values.remove(0);
        assert_eq!(undated.correction["time"], NOW.to_string());
        assert_eq!(dated.correction["time"], "2026-11-02T00:00:00.000000Z");
        let (ten, twelve) = ("10".parse().ok(), "12".parse().ok());
        let by_pull = format!("{}/x", undated.id());
        for pulled in [&undated, &dated] {
            assert!(!pulled.replaces(ten, None) && !pulled.replaces(ten, Some(&by_pull)));
            assert!(pulled.replaces(twelve, None) && pulled.replaces(twelve, Some(&by_pull)));
            assert!(pulled.replaces(None, Some(&by_pull)));
        }
        assert!(!undated.replaces(twelve, Some("by-hand")) && dated.replaces(twelve, Some("by-hand")));
    }

    #[test]
    fn a_period_is_a_window_and_a_long_name_a_short_id() {
        let instance = "x".repeat(250);
        let value = json!({"writtenAt": "2026-11-02T00:00:00Z", "periodStart": "2026-11-01T00:00:00Z",
            "periodEnd": "2026-11-01T01:00:00Z", "countedValue": 300});
        let page = json!({"dataPoints": [{"serviceInstanceId": instance, "resource": "requests", "values": [value]}]});
        let pages = read(&page, Kind::Delta, "/brokers/b", &meters(), NOW);
        let event = UsageEvent::read(&pages.values[0].event).unwrap();
        assert_eq!(event.ended_at.unwrap().0 - event.at.0, 3_600_000_000);
        assert!(UsageEvent::read(&pages.values[0].correction).is_ok());
    }
}
