//! `openapi/bourse.json` is what the code says.

use bourse::http::openapi::document;
use serde_json::Value;

#[test]
fn the_description_of_the_management_api_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/bourse.json");
    let file = std::fs::read_to_string(path).expect("openapi/bourse.json can't be read");
    assert!(file == document(), "run `cargo run -- openapi > openapi/bourse.json`");
}

#[test]
fn every_reference_in_the_description_leads_somewhere() {
    let document: Value = serde_json::from_str(&document()).expect("JSON");
    let mut open = vec![&document];
    let mut references = 0;
    while let Some(value) = open.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').expect("a reference into this document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
            references += 1;
        }
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => open.extend(fields.values()),
            _ => {}
        }
    }
    assert!(references > 20, "only {references} references");
}
