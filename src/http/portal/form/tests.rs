//! Tests of forms, with what a browser would make of them.

use serde_json::{Map, Value, json};

use super::schema::{DEPTH_MAX, FIELDS_MAX};
use super::tree::{Field, Kind, Why};
use super::{Form, State, View};
use crate::app::Issue;
use crate::domain::parameters::ParameterRules;

/// What a browser sends of a page: its successful controls, in their order.
pub(super) fn browser(html: &str) -> Vec<(String, String)> {
    let text =
        |escaped: &str| escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        Some(text(rest.split_once('"')?.0))
    };
    let (mut pairs, mut rest) = (Vec::new(), html);
    let mut select: Option<(String, Option<String>, Option<String>)> = None;
    while let Some((_, from)) = rest.split_once('<') {
        let (tag, after) = from.split_once('>').unwrap();
        rest = after;
        let kind = tag.split([' ', '>']).next().unwrap();
        match kind {
            "input" => {
                let value = attribute(tag, "value").unwrap_or_default();
                pairs.push((attribute(tag, "name").unwrap(), value.replace(['\n', '\r'], "")));
            }
            "textarea" => {
                let (value, after) = after.split_once("</textarea>").unwrap();
                rest = after;
                let value = text(value.strip_prefix('\n').unwrap_or(value)).replace('\n', "\r\n");
                pairs.push((attribute(tag, "name").unwrap(), value));
            }
            "select" => select = Some((attribute(tag, "name").unwrap(), None, None)),
            "option" => {
                let (_, first, chosen) = select.as_mut().unwrap();
                let value = attribute(tag, "value");
                if tag.ends_with(" selected") {
                    chosen.clone_from(&value);
                }
                *first = first.take().or(value);
            }
            "/select" => {
                let (name, first, chosen) = select.take().unwrap();
                pairs.push((name, chosen.or(first).unwrap_or_default()));
            }
            _ => {}
        }
    }
    pairs
}

pub(super) fn form(schema: Value) -> Form {
    Form::of(Some(&schema), None)
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

pub(super) fn shown(form: &Form, state: &State) -> String {
    form.show(state, &View { address: "/here", ..View::default() }).into_string()
}

/// Fills a form in as a person would: each name with a text, on top of what the page has.
fn typed(form: &Form, state: &State, more: &[(&str, &str)]) -> State {
    let mut pairs = browser(&shown(form, state));
    for (name, value) in more {
        let found = pairs.iter_mut().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("there is no field {name}")).1 = (*value).to_owned();
    }
    form.sent(&pairs).0
}

/// Presses a button of the page.
fn pressed(form: &Form, state: &State, button: (&str, &str)) -> State {
    let html = shown(form, state);
    let (name, value) = button;
    assert!(html.contains(&format!("name=\"{name}\" value=\"{value}\"")), "no button {name}={value} in {html}");
    let mut pairs = browser(&html);
    pairs.push((name.to_owned(), value.to_owned()));
    let (state, turned) = form.sent(&pairs);
    assert!(turned);
    state
}

fn read(form: &Form, state: &State) -> Value {
    let read = form.read(state, None);
    assert!(read.faults.is_empty(), "{:?}", read.faults);
    Value::Object(read.value)
}

#[test]
fn what_is_typed_becomes_exactly_typed_json() {
    let form = form(json!({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string"}, "size": {"type": "integer"}, "share": {"type": "number"}, "public": {"type": "boolean"},
        "version": {"enum": [4, 6, "4"]}, "note": {"type": ["string", "null"]}, "net": {"properties": {"mtu": {"type": "integer"}}},
    }}));
    let state = typed(
        &form,
        &form.blank(),
        &[
            ("p/name", " a "),
            ("p/size", " 12345678901234567890123 "),
            ("p/share", "1.50"),
            ("p/version", "\"4\""),
            ("p/public", "false"),
        ],
    );
    let sent = read(&form, &state).to_string();
    assert_eq!(sent, r#"{"name":" a ","size":12345678901234567890123,"share":1.50,"public":false,"version":"4"}"#);
}

#[test]
fn what_is_empty_is_left_out_and_asked_for_where_it_has_to_be_there() {
    let form = form(json!({"required": ["name", "tags", "gone"], "properties": {
        "name": {"type": "string", "title": "Its name"}, "tags": {"items": {"type": "string"}}, "gone": {"type": ["string", "null"]},
        "inner": {"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"]},
    }}));
    let blank = form.read(&typed(&form, &form.blank(), &[]), None);
    assert_eq!(blank.faults.listed(&form), [("p/name".to_owned(), "Its name: Fill this in".to_owned())]);
    assert_eq!(Value::Object(blank.value), json!({"tags": [], "gone": null}));
    let half = form.read(&typed(&form, &form.blank(), &[("p/name", "n"), ("p/inner/b", "x")]), None);
    let listed: Vec<_> = half.faults.listed(&form).into_iter().map(|(id, _)| id).collect();
    assert_eq!(listed, ["p/inner/a", "p/inner/b"]);
}

#[test]
fn numbers_and_choices_that_are_none_are_told_at_their_field() {
    let form = form(
        json!({"properties": {"size": {"type": "integer"}, "share": {"type": "number"}, "kind": {"enum": ["a"]}}}),
    );
    for (name, text) in [
        ("p/size", "1.5"),
        ("p/size", "1e3"),
        ("p/size", "+1"),
        ("p/share", "1,5"),
        ("p/share", "NaN"),
        ("p/kind", "b"),
    ] {
        let pairs = [(name.to_owned(), text.to_owned())];
        let read = form.read(&form.sent(&pairs).0, None);
        assert!(read.faults.at(name).is_some(), "{name} {text}");
        assert!(
            shown(&form, &form.sent(&pairs).0).contains(&format!("value=\"{text}\"")) || name == "p/kind",
            "it is kept: {text}"
        );
    }
}

#[test]
fn entries_of_a_list_come_and_go_without_scripts() {
    let form = form(json!({"properties": {"rules": {"maxItems": 3, "items": {"required": ["from"], "properties": {
        "from": {"type": "string"}, "ports": {"items": {"type": "integer"}}}}}}}));
    let mut state = form.blank();
    for name in ["a", "b", "c"] {
        state = pressed(&form, &state, ("add", "p/rules"));
        let row = ["p/rules/0/from", "p/rules/1/from", "p/rules/2/from"]
            [["a", "b", "c"].iter().position(|known| *known == name).unwrap()];
        state = typed(&form, &state, &[(row, name)]);
    }
    assert!(!shown(&form, &state).contains("value=\"p/rules\""), "there are as many as there may be");
    state = pressed(&form, &state, ("remove", "p/rules/1"));
    state = pressed(&form, &state, ("add", "p/rules/2/ports"));
    state = typed(&form, &state, &[("p/rules/2/ports/0", "22")]);
    assert_eq!(read(&form, &state), json!({"rules": [{"from": "a"}, {"from": "c", "ports": [22]}]}));
    state = pressed(&form, &state, ("add", "p/rules"));
    let html = shown(&form, &state);
    assert!(html.contains("name=\"p/rules/3/from\""), "what was taken away does not come back: {html}");
    assert_eq!(
        read(&form, &state),
        json!({"rules": [{"from": "a"}, {"from": "c", "ports": [22]}]}),
        "an empty entry does not count"
    );
    // A pointer does as well.
    let (again, turned) = form.sent(&[("add".to_owned(), "/rules".to_owned())]);
    assert!(turned && again.rows("p/rules") == Some(vec![0]));
}

#[test]
fn one_of_several_shapes_is_chosen_and_then_filled_in() {
    let form = form(json!({"properties": {"login": {"oneOf": [
        {"title": "By key", "properties": {"kind": {"const": "key"}, "key": {"type": "string"}}, "required": ["kind", "key"]},
        {"properties": {"kind": {"const": "none"}}, "required": ["kind"]},
        {"type": "string"},
    ]}}}));
    let html = shown(&form, &form.blank());
    assert!(html.contains(">By key<") && html.contains(">None<") && html.contains(">Text<"), "{html}");
    let state = typed(&form, &form.blank(), &[("p/login#shape", "0")]);
    assert_eq!(form.read(&state, None).faults.listed(&form)[0].0, "p/login/key");
    let state = typed(&form, &state, &[("p/login/key", "k")]);
    assert_eq!(read(&form, &state), json!({"login": {"kind": "key", "key": "k"}}));
    let state = typed(&form, &form.blank(), &[("p/login#shape", "1")]);
    assert_eq!(read(&form, &state), json!({"login": {"kind": "none"}}));
    let state = typed(&form, &typed(&form, &form.blank(), &[("p/login#shape", "2")]), &[("p/login", "x")]);
    assert_eq!(read(&form, &state), json!({"login": "x"}));
}

#[test]
fn constraints_alone_need_no_choice_and_references_are_followed() {
    let form = form(json!({
        "definitions": {"size": {"type": "integer", "title": "Size"}, "loop": {"properties": {"next": {"$ref": "#/definitions/loop"}}}},
        "properties": {"a": {"$ref": "#/definitions/size", "anyOf": [{"minimum": 1}, {"maximum": -1}]}, "l": {"$ref": "#/definitions/loop"},
            "e": {"$ref": "http://elsewhere.example/schema"}, "c": {"allOf": [{"properties": {"x": {"type": "string"}}}, {"required": ["x"]}]}},
        "anyOf": [{"required": ["a"]}, {"required": ["l"]}],
    }));
    let Kind::Object(fields) = &form.root.kind else { panic!("{form:?}") };
    let kind = |key: &str| fields.iter().find(|field| field.key == key).unwrap().kind.clone();
    assert_eq!(kind("a"), Kind::Number { whole: true });
    assert_eq!(kind("e"), Kind::Json(Why::Unknown));
    assert!(matches!(kind("c"), Kind::Object(inner) if inner[0].required));
    assert_eq!(form.root.hint, "Fill in at least one of: A, L.");
    assert_eq!(deepest(&form.root), DEPTH_MAX + 1, "a reference to itself ends");
}

fn deepest(field: &Field) -> usize {
    match &field.kind {
        Kind::Object(fields) => 1 + fields.iter().map(deepest).max().unwrap_or_default(),
        _ => 0,
    }
}

#[test]
fn what_is_too_large_or_unknown_is_one_text_of_json() {
    let many: Map<String, Value> =
        (0..=FIELDS_MAX).map(|number| (format!("a{number}"), json!({"type": "string"}))).collect();
    let large = form(json!({"properties": many}));
    assert_eq!(large.root.kind, Kind::Json(Why::Large));
    assert!(shown(&large, &large.blank()).contains("too many parts"));
    let state = typed(&large, &large.blank(), &[("p#json", r#"{"a1": "x", "n": 1.0}"#)]);
    assert_eq!(read(&large, &state).to_string(), r#"{"a1":"x","n":1.0}"#);
    let free = Form::of(None, None);
    assert_eq!(read(&free, &typed(&free, &free.blank(), &[])), json!({}));
    for (text, place) in [("{\"a\": ", "p"), ("[1]", "p")] {
        let read = free.read(&typed(&free, &free.blank(), &[("p#json", text)]), None);
        assert!(read.faults.at(place).is_some(), "{text}");
    }
}

#[test]
fn a_doubling_schema_ends() {
    let mut definitions = Map::new();
    for number in 0..40 {
        let next = json!({"$ref": format!("#/definitions/d{}", number + 1)});
        definitions.insert(format!("d{number}"), json!({"allOf": [next, next]}));
    }
    definitions.insert("d40".to_owned(), json!({"type": "string"}));
    let form = form(json!({"definitions": definitions, "properties": {"a": {"$ref": "#/definitions/d0"}}}));
    assert!(matches!(&form.root.kind, Kind::Object(fields) if fields[0].kind == Kind::Json(Why::Large)));
}

#[test]
fn secrets_are_in_no_markup_and_stay_as_they_are_where_something_stands() {
    let form = form(json!({"properties": {
        "users": {"items": {"properties": {"name": {"type": "string"}, "password": {"type": "string"}}}},
        "pin": {"type": "string", "format": "password"}, "key": {"type": "string", "writeOnly": true, "maxLength": 5000},
        "auth": {"oneOf": [{"title": "A", "properties": {"token": {"type": "string"}}}, {"title": "B", "properties": {"user": {"type": "string"}}}]},
    }}));
    let standing = object(json!({
        "users": [{"name": "a", "password": "hunter1"}, {"name": "b", "password": "hunter2"}], "pin": "hunter3", "key": "hunter4", "auth": {"token": "hunter5"},
    }));
    let state = form.filled(&standing);
    assert!(!shown(&form, &state).contains("hunter"), "{}", shown(&form, &state));
    let same = form.read(&typed(&form, &state, &[]), Some(&standing));
    assert_eq!(Value::Object(same.value), Value::Object(standing.clone()));
    let fewer = pressed(&form, &state, ("remove", "p/users/0"));
    let fewer = form.read(&typed(&form, &fewer, &[("p/pin", "hunter6")]), Some(&standing));
    assert_eq!(fewer.value["users"], json!([{"name": "b", "password": "hunter2"}]), "a secret stays with its own");
    assert_eq!(fewer.value["pin"], json!("hunter6"));
    let again = typed(&form, &state, &[("p/key", "hunter7")]);
    let html = shown(&form, &again);
    assert!(!html.contains("hunter") && html.contains("Type it again"), "{html}");
    let masked = Value::Object(form.masked(&standing)).to_string();
    assert!(!masked.contains("hunter") && masked.contains("<password>") && masked.contains("<pin>"), "{masked}");
}

#[test]
fn what_a_use_case_finds_goes_to_its_field() {
    let form = form(
        json!({"properties": {"net": {"properties": {"a/b": {"type": "string"}}}, "list": {"items": {"properties": {"n": {"type": "integer"}}}}}}),
    );
    let state = form.filled(&object(json!({"net": {"a/b": "x"}, "list": [{"n": 1}, {"n": 2}]})));
    let state = typed(&form, &pressed(&form, &state, ("remove", "p/list/0")), &[]);
    let mut read = form.read(&state, None);
    let issue = |pointer: &str, message: &str| Issue { pointer: pointer.to_owned(), message: message.to_owned() };
    let others = read.blame(&[
        issue("/parameters/net/a~1b", "value is too short"),
        issue("/parameters/list/0/n", "value is greater than the maximum of 1"),
        issue("/parameters/list/0", "\"m\" is a required property"),
        issue("/parameters/net/other/deep", "is not known"),
        issue("/plan", "there is none"),
    ]);
    assert_eq!(others, [issue("/plan", "there is none")]);
    assert_eq!(read.faults.at("p/net/a~1b"), Some("This is too short"));
    assert_eq!(read.faults.at("p/list/1/n"), Some("This is greater than the maximum of 1"));
    assert_eq!((read.faults.at("p/list/1"), read.faults.at("p/net")), (Some("Fill this in"), Some("Is not known")));
    let html = form.show(&state, &View { faults: Some(&read.faults), ..View::default() }).into_string();
    assert!(
        html.contains("id=\"p/list/1/n-error\"") && html.contains("aria-describedby=\"p/list/1/n-error\""),
        "{html}"
    );
}

#[test]
fn what_operators_say_is_shown() {
    let schema = json!({"required": ["region", "size"], "properties": {"region": {"type": "string"}, "size": {"type": "integer"}, "admin": {"type": "string"},
        "net": {"required": ["public"], "properties": {"public": {"type": "boolean"}, "mtu": {"type": "integer"}}}}});
    let rules: ParameterRules = serde_json::from_value(json!({
        "default": {"size": 5}, "force": {"region": "eu", "net": {"public": false}, "extra": [1]}, "forbid": ["/admin"],
    }))
    .unwrap();
    let form = Form::of(Some(&schema), Some(&rules));
    let html = shown(&form, &form.blank());
    assert!(html.contains("Preset for you.") && html.contains("value=\"5\""), "{html}");
    assert!(
        html.contains("<strong>eu</strong>") && html.contains("<strong>No</strong>") && html.contains("Extra"),
        "{html}"
    );
    assert!(!html.contains("p/admin") && !html.contains("name=\"p/region\""), "{html}");
    let state = typed(&form, &form.blank(), &[("p/net/mtu", "9000")]);
    assert_eq!(read(&form, &state), json!({"size": 5, "net": {"mtu": 9000}}), "what is forced need not be sent");
}

#[test]
fn the_catalogs_own_schemas_are_forms_without_json() {
    let files = [
        include_str!("../../../../catalog/vnet-ipam.json"),
        include_str!("../../../../catalog/bastion.json"),
        include_str!("../../../../catalog/key-vault.json"),
        include_str!("../../../../catalog/devops-toolchain.json"),
    ];
    let mut seen = 0;
    for file in files {
        let catalog: Value = serde_json::from_str(file).unwrap();
        let services = catalog.pointer("/services").or_else(|| catalog.pointer("/catalog/services")).unwrap();
        for plan in services.as_array().unwrap().iter().flat_map(|service| service["plans"].as_array().unwrap()) {
            for place in [
                "/schemas/service_instance/create/parameters",
                "/schemas/service_instance/update/parameters",
                "/schemas/service_binding/create/parameters",
            ] {
                let schema = plan.pointer(place).unwrap_or_else(|| panic!("{} {place}", plan["name"]));
                let form = Form::of(Some(schema), None);
                assert_eq!(json_fields(&form.root), Vec::<String>::new(), "{} {place}", plan["name"]);
                let properties = schema["properties"].as_object().unwrap();
                assert_eq!(form.keys().count(), properties.len());
                let first = |property: &Value| {
                    property["default"].as_str().is_none().then(|| property["examples"].get(0).cloned()).flatten()
                };
                let example: Map<_, _> =
                    properties.iter().filter_map(|(key, property)| Some((key.clone(), first(property)?))).collect();
                let state = typed(&form, &form.filled(&example), &[]);
                let read = form.read(&state, None);
                assert_eq!(Value::Object(read.value), Value::Object(example), "{} {place}", plan["name"]);
                assert!(
                    browser(&shown(&form, &state)).iter().all(|(name, _)| !name.ends_with("#json")),
                    "{}",
                    shown(&form, &state)
                );
                seen += 1;
            }
        }
    }
    assert!(seen >= 20, "{seen}");
}

fn json_fields(field: &Field) -> Vec<String> {
    match &field.kind {
        Kind::Json(_) => vec![field.key.clone()],
        Kind::Object(fields) | Kind::Variants(fields) => fields.iter().flat_map(json_fields).collect(),
        Kind::List { item, .. } => json_fields(item),
        _ => Vec::new(),
    }
}
