//! A usage event, from its bytes to what counts of it.

use bourse::domain::usage::{DIMENSIONS_MAX, EVENT_BYTES_MAX, UsageEvent, WORD_MAX, What, key_of};
use serde_json::{Value, json};

/// What is read is within its bounds, says who it is about, and is the same when it is written down and read again; what is not
/// read has a reason.
pub fn usage(data: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(data) else { return };
    let event = match UsageEvent::read(&document) {
        Ok(event) => event,
        Err(rejection) => {
            assert!(!rejection.code.is_empty() && !rejection.message.is_empty(), "refused without a reason");
            return;
        }
    };
    assert!(data.len() <= EVENT_BYTES_MAX || document.to_string().len() <= EVENT_BYTES_MAX, "too large");
    assert_eq!(key_of(&document), (Some(event.source.as_str()), Some(event.id.as_str())));
    let words = [&event.source, &event.id, &event.instance_id, &event.meter, &event.unit];
    let words = words.into_iter().chain(&event.reset_id).chain(&event.corrects);
    let words = words.chain(event.dimensions.iter().flat_map(|(name, value)| [name, value]));
    for word in words {
        assert!((1..=WORD_MAX).contains(&word.chars().count()) && !word.contains('\0'), "{word:?}");
    }
    assert!(event.dimensions.len() <= DIMENSIONS_MAX, "too many dimensions");
    assert_eq!(event.corrects.is_some(), event.what == What::Correction);
    assert!(event.quantity.is_some() || event.what == What::Correction, "a reading of nothing");
    assert!(event.quantity.is_none_or(|quantity| quantity.units() >= 0), "below zero");
    assert!(event.ended_at.is_none_or(|end| end >= event.at), "it ends before it starts");

    let again = UsageEvent::read(&written(&event)).expect("what was read can be read again");
    assert_eq!(again.content(), event.content(), "written down, it is another one");
    assert_eq!(again, event);
}

fn written(event: &UsageEvent) -> Value {
    let window = event.ended_at.map(|end| json!({"start": event.at, "end": end}));
    json!({
        "specversion": "1.0", "id": event.id, "source": event.source, "time": event.time,
        "type": format!("io.bourse.usage.{}", event.what.as_str()),
        "data": {
            "instance_id": event.instance_id, "meter": event.meter, "unit": event.unit, "quantity": event.quantity,
            "window": window, "reset_id": event.reset_id, "corrects": event.corrects, "dimensions": event.dimensions,
        },
    })
}
