//! Forms of schemas, and fields of forms, that somebody wrote to do harm: pages stay small, quick, and without markup of theirs.

use serde_json::{Map, Value, json};

use super::View;
use super::tests::{form, shown};
use crate::app::Issue;

/// What a broker may write into a catalog, within the 64 kB that a schema may weigh, to make pages large or slow.
#[test]
fn whatever_a_broker_writes_a_page_is_bounded_and_nothing_of_it_is_markup() {
    let words = |count: usize| (0..count).map(|number| json!(format!("w{number}"))).collect::<Vec<_>>();
    let fields = |count: usize, field: &Value| -> Map<String, Value> {
        (0..count).map(|number| (format!("f{number}"), field.clone())).collect()
    };
    let refers = json!({"$ref": "#/definitions/d"});
    let text = json!({"type": "string"});
    let hostile = [
        ("long names", json!({"properties": {"k".repeat(60_000): {"properties": fields(250, &text)}}})),
        (
            "one large value, often",
            json!({"definitions": {"d": {"enum": ["v".repeat(50_000), "b"]}}, "properties": fields(290, &refers)}),
        ),
        ("many values, often", json!({"definitions": {"d": {"enum": words(490)}}, "properties": fields(290, &refers)})),
        ("many types", json!({"properties": {"a": {"type": words(5000)}}})),
        (
            "many shapes of much",
            json!({"properties": fields(280, &text), "oneOf": (0..1500).map(|number| json!({"properties": {format!("x{number}"): {}}})).collect::<Vec<_>>()}),
        ),
        (
            "much that is required",
            json!({"allOf": [{"required": words(3500)}, {"required": words(3500)}], "properties": {"a": text}}),
        ),
        (
            "lists that begin full",
            json!({"required": ["a"], "properties": {"a": {"type": "array", "minItems": 100, "items": {"properties": fields(290, &text)}}}}),
        ),
        ("itself", json!({"properties": fields(20, &json!({"$ref": "#"}))})),
        ("more than a schema may weigh", json!({"properties": {"a": {"description": "d".repeat(70_000)}}})),
    ];
    for (what, schema) in hostile {
        let form = form(schema);
        let page = shown(&form, &form.blank());
        assert!(page.len() < 6_000_000, "{what}: {} bytes", page.len());
    }
    let evil = "\"><script>alert(1)</script>' onfocus=alert(1) `<b>`";
    let form = form(json!({"required": ["c", "l"], "properties": {
        evil: {"title": evil, "description": evil, "default": evil, "examples": [evil], "type": "string", "pattern": "(a+)+$"},
        "c": {"title": evil, "enum": [evil, "b"], "default": evil}, "d": {"const": evil},
        "l": {"title": evil, "type": "array", "minItems": 1, "items": {"title": evil, "type": "string"}},
        "o": {"title": evil, "oneOf": [{"title": evil, "properties": {evil: {"type": "string"}}}, {"title": evil, "type": "string"}]},
    }}));
    let mut read = form.read(&form.blank(), None);
    read.blame(&[Issue { pointer: format!("/parameters/{}", evil.replace('/', "~1")), message: evil.to_owned() }]);
    let view = View { address: evil, faults: Some(&read.faults), ..View::default() };
    let page = form.show(&form.blank(), &view).into_string();
    assert!(!page.contains("<script") && !page.contains("<b>") && page.contains("&lt;script"), "{page}");
    for attribute in page.split('"').skip(1).step_by(2) {
        assert!(!attribute.contains('<') && !attribute.contains('>'), "{attribute}");
    }
}

#[test]
fn entries_within_entries_are_shown_as_far_as_anybody_can_have_typed_them() {
    let inner =
        json!({"type": "array", "items": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}});
    let form = form(json!({"properties": {"a": inner}}));
    let rows = |count: usize| (0..count).map(|row| row.to_string()).collect::<Vec<_>>().join(",");
    let sent = |many: usize, few: usize| {
        let mut fields = vec![("p/a#rows".to_owned(), rows(many))];
        fields.extend((0..many).map(|row| (format!("p/a/{row}#rows"), rows(few))));
        let inner = (0..many).flat_map(|row| (0..few).map(move |other| (row, other)));
        fields.extend(inner.map(|(row, other)| (format!("p/a/{row}/{other}#rows"), rows(few))));
        form.sent(&fields)
    };
    let (few, turned) = sent(10, 10);
    assert!(!turned && few.rows("p/a").is_some_and(|rows| rows.len() == 10));
    let (none, turned) = sent(40, 40);
    assert!(turned && none == form.blank(), "nobody typed that");
}
