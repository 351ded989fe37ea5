//! What is made for which schema.

use super::*;

#[track_caller]
fn check(schema: Value, expected: Value) {
    assert_eq!(required(Some(&schema)).map(Value::Object), Ok(expected), "{schema}");
}

fn property(schema: Value) -> Value {
    json!({"type": "object", "required": ["p"], "properties": {"p": schema, "q": {"type": "string"}}})
}

#[test]
fn what_is_required_is_made_and_nothing_else() {
    assert_eq!(required(None), Ok(Object::new()));
    check(json!({"type": "object", "properties": {"a": {"type": "string"}}}), json!({}));
    check(property(json!({"type": "string"})), json!({"p": "conformance"}));
    check(property(json!({"type": "string", "maxLength": 4})), json!({"p": "conf"}));
    check(property(json!({"type": "string", "minLength": 13})), json!({"p": "conformancexx"}));
    check(property(json!({"type": "string", "pattern": "^[A-Z]{3}$"})), json!({"p": "AAA"}));
    check(property(json!({"type": "string", "format": "ipv4"})), json!({"p": "192.0.2.1"}));
    check(property(json!({"enum": ["x", "y"]})), json!({"p": "x"}));
    check(property(json!({"type": "integer", "default": 7})), json!({"p": 7}));
    check(property(json!({"type": "integer", "minimum": 5, "multipleOf": 4})), json!({"p": 8}));
    check(property(json!({"type": "integer", "minimum": 5, "exclusiveMinimum": true})), json!({"p": 6}));
    check(property(json!({"type": "number", "exclusiveMaximum": 0})), json!({"p": -1}));
    check(property(json!({"type": ["null", "boolean"]})), json!({"p": false}));
    check(property(json!({"type": "array", "minItems": 2, "items": {"enum": [1]}})), json!({"p": [1, 1]}));
}

#[test]
fn references_alternatives_and_parts_are_followed() {
    let mut schema = property(json!({"$ref": "#/definitions/d"}));
    schema["definitions"] = json!({"d": {"type": "string", "examples": ["e"]}});
    check(schema, json!({"p": "e"}));
    check(property(json!({"type": "integer", "anyOf": [{"minimum": 26, "maximum": 29}]})), json!({"p": 26}));
    let parts = json!({"allOf": [{"required": ["a"], "properties": {"a": {"const": 1}}}, {"required": ["b"]}]});
    check(parts, json!({"a": 1, "b": "conformance"}));
}

#[test]
fn what_can_not_be_made_is_said() {
    let check = |schema: Value, word: &str| {
        let said = required(Some(&schema)).unwrap_err();
        assert!(said.contains(word), "{said}");
    };
    check(property(json!({"$ref": "http://elsewhere"})), "p: a $ref leads nowhere");
    check(property(json!({"type": "string", "pattern": "(?=a)b"})), "not understood");
    check(property(json!({"type": "integer", "minimum": 2, "maximum": 1})), "no whole number");
    check(property(json!({"type": "array", "minItems": 2, "uniqueItems": true})), "different entries");
    check(json!({"type": "string"}), "no object");
    let mut endless = property(json!({"$ref": "#/properties/p"}));
    endless["properties"]["p"]["$ref"] = json!("#/properties/p");
    check(endless, "too deep");
}

#[test]
fn other_parameters_differ_in_one_property_the_surest_first() {
    let schema = json!({"additionalProperties": false, "properties": {
        "n": {"type": "integer", "minimum": 1, "maximum": 2, "default": 2},
        "e": {"enum": ["a", "b"], "default": "a"},
        "free": {"type": "string"},
    }});
    let made: Vec<Value> = others(Some(&schema), &Object::new()).into_iter().map(Value::Object).collect();
    assert_eq!(made, [json!({"e": "b"}), json!({"n": 1}), json!({"free": "conformance"})]);
    let closed = json!({"additionalProperties": false, "properties": {}});
    assert!(others(Some(&closed), &Object::new()).is_empty());
    assert_eq!(others(None, &Object::new()).len(), 1);
}

#[test]
fn forbidden_parameters_have_a_property_of_another_type() {
    let schema = json!({"properties": {"any": {}, "n": {"type": "integer"}}});
    assert_eq!(forbidden(&schema, &Object::new()).map(Value::Object), Some(json!({"n": "not of that type"})));
    assert_eq!(forbidden(&json!({}), &Object::new()), None);
}
