//! Events of any form: what is read of them, and what is said of the others.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn delta() -> Value {
    json!({
        "specversion": "1.0", "id": "1", "source": "/brokers/ipam", "type": "io.bourse.usage.delta",
        "time": "2026-11-22T11:00:00Z", "datacontenttype": "application/json", "traceparent": "00-x", "subject": null,
        "data": {
            "instance_id": "i", "meter": "gb", "quantity": "12.50", "unit": "GB", "dimensions": {"zone": "a"},
            "window": {"start": "2026-11-22T10:00:00Z", "end": "2026-11-22T12:00:00+01:00"},
        },
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut event = delta();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    event.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value);
    event
}

fn code(event: &Value) -> &'static str {
    UsageEvent::read(event).map_or_else(|rejection| rejection.code, |_| "")
}

#[test]
fn a_delta_counts_at_the_start_of_its_window_and_anything_else_at_its_time() {
    let read = UsageEvent::read(&delta()).unwrap();
    assert_eq!(
        (read.at.to_string().as_str(), read.ended_at.map(|end| end.0 - read.at.0)),
        ("2026-11-22T10:00:00.000000Z", Some(3_600_000_000))
    );
    assert_eq!((read.quantity.unwrap().to_string().as_str(), read.broker()), ("12.5", Some("ipam")));
    let gauge = UsageEvent::read(&with("/type", json!("io.bourse.usage.gauge"))).unwrap();
    assert_eq!((gauge.at, gauge.ended_at), (gauge.time, None));
    let windowless = UsageEvent::read(&with("/data/window", Value::Null)).unwrap();
    assert_eq!(windowless.at, windowless.time);
}

#[test]
fn what_is_not_in_order_is_named() {
    let long = "x".repeat(256);
    for (pointer, value, expected) in [
        ("/specversion", json!("0.3"), "malformed"),
        ("/id", json!(""), "malformed"),
        ("/id", json!(long), "malformed"),
        ("/id", json!("a\0b"), "malformed"),
        ("/id", json!(7), "malformed"),
        ("/source", Value::Null, "malformed"),
        ("/type", json!("io.bourse.usage.histogram"), "unknown_type"),
        ("/type", json!("com.example.thing"), "unknown_type"),
        ("/time", Value::Null, "malformed"),
        ("/time", json!("yesterday"), "malformed"),
        ("/time", json!("2026-11-22 11:00:00Z"), "malformed"),
        ("/time", json!("2026-11-22T11:00:00"), "malformed"),
        ("/time", json!("2026-11-22T11:00:00+01:00[Europe/Berlin]"), "malformed"),
        ("/time", json!("2026-11-22T11:00:00.123456789-08:00"), ""),
        ("/datacontenttype", json!("text/plain"), "malformed"),
        ("/datacontenttype", json!("application/vnd.x+json; charset=utf-8"), ""),
        ("/data", json!("x"), "malformed"),
        ("/data/instance_id", Value::Null, "malformed"),
        ("/data/meter", json!(""), "malformed"),
        ("/data/unit", Value::Null, "malformed"),
        ("/data/quantity", json!(12.5), "malformed"),
        ("/data/quantity", json!("-1"), "malformed"),
        ("/data/quantity", json!("1e3"), "malformed"),
        ("/data/quantity", json!("0"), ""),
        ("/data/quantity", Value::Null, "malformed"),
        ("/data/window", json!({"start": "2026-11-22T10:00:00Z"}), "malformed"),
        ("/data/window", json!({"start": "2026-11-22T10:00:00Z", "end": "2026-11-22T09:00:00Z"}), "malformed"),
        ("/data/windo", json!({}), "malformed"),
        ("/data/corrects", json!("0"), "malformed"),
        ("/data/dimensions", json!({"a": 1}), "malformed"),
        ("/data/dimensions", json!((0..17).map(|n| (n.to_string(), "x")).collect::<BTreeMap<_, _>>()), "malformed"),
        ("/extension", json!({"any": "thing"}), ""),
        ("/extension", json!("x".repeat(EVENT_BYTES_MAX)), "too_large"),
    ] {
        assert_eq!(code(&with(pointer, value.clone())), expected, "{pointer}: {value}");
    }
    for other in [json!(null), json!([]), json!("x"), json!({})] {
        assert_eq!(code(&other), "malformed", "{other}");
    }
}

#[test]
fn a_correction_names_another_event_and_voids_it_without_a_quantity() {
    let mut event = with("/type", json!("io.bourse.usage.correction"));
    assert_eq!(code(&event), "malformed", "it corrects nothing");
    event["data"]["corrects"] = json!("1");
    assert_eq!(code(&event), "malformed", "it corrects itself");
    event["data"]["corrects"] = json!("0");
    let read = UsageEvent::read(&event).unwrap();
    assert_eq!((read.at, read.corrects.as_deref(), read.dimensions.len()), (read.time, Some("0"), 0));
    event["data"]["quantity"] = Value::Null;
    assert_eq!(UsageEvent::read(&event).unwrap().quantity, None);
}

#[test]
fn what_counts_the_same_is_the_same_content() {
    let content = |event: Value| UsageEvent::read(&event).unwrap().content();
    let first = content(delta());
    assert_eq!(first.len(), 16);
    for (pointer, value) in [
        ("/data/quantity", json!("12.5")),
        ("/time", json!("2026-11-22T12:00:00.5Z")),
        ("/traceparent", json!("00-y")),
        ("/data/window", json!({"start": "2026-11-22T11:00:00+01:00", "end": "2026-11-22T11:00:00Z"})),
    ] {
        assert_eq!(content(with(pointer, value.clone())), first, "{pointer}: {value}");
    }
    for (pointer, value) in [
        ("/data/quantity", json!("12.51")),
        ("/data/meter", json!("tb")),
        ("/data/instance_id", json!("j")),
        ("/data/dimensions", json!({"zone": "b"})),
        ("/data/window", json!({"start": "2026-11-22T10:00:00Z", "end": "2026-11-22T11:00:01Z"})),
        ("/type", json!("io.bourse.usage.counter")),
    ] {
        assert_ne!(content(with(pointer, value.clone())), first, "{pointer}: {value}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[0-9.-]{0,8}".prop_map(Value::from),
        "2026-11-[0-3][0-9][Tt ][0-9:]{8}[Zz+0-9:]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{0,6}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn anything_in_place_of_a_field_is_read_or_refused_with_a_reason(
        pointer in prop::sample::select(vec![
            "/id", "/source", "/time", "/type", "/specversion", "/data", "/data/quantity", "/data/window", "/data/window/end",
            "/data/dimensions", "/data/unit", "/data/corrects", "/data/reset_id", "/extra",
        ]),
        value in any_json(),
    ) {
        match UsageEvent::read(&with(pointer, value)) {
            Ok(event) => {
                prop_assert_eq!(event.content().len(), 16);
                prop_assert!(event.quantity.is_none_or(|quantity| quantity >= Decimal::ZERO));
                prop_assert!(event.ended_at.is_none_or(|end| end >= event.at));
            }
            Err(rejection) => prop_assert!(!rejection.code.is_empty() && !rejection.message.is_empty()),
        }
    }
}
