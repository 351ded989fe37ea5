//! What a form shows and a browser sends back is the same value, whatever schema and value.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::tests::{browser, form, shown};

/// A schema, and a value of it.
fn pair() -> BoxedStrategy<(Value, Value)> {
    let text = "[a-zA-Z0-9 <>&\"'\n\t,;#/~äß€%+]{0,12}";
    let number = prop_oneof!["-?(0|[1-9][0-9]{0,25})\\.[0-9]{1,12}", "-?[1-9]e[1-9][0-9]?", "-?(0|[1-9][0-9]{0,25})"];
    let number = number.prop_map(|text| serde_json::from_str::<Value>(&text).unwrap());
    let whole = "-?(0|[1-9][0-9]{0,25})".prop_map(|text| serde_json::from_str::<Value>(&text).unwrap());
    let scalar = || {
        prop_oneof![
            any::<i16>().prop_map(Value::from),
            text.prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::Null)
        ]
    };
    let leaf = prop_oneof![
        text.prop_map(|text| (json!({"type": "string"}), json!(text))),
        text.prop_map(|text| (json!({"type": ["string", "null"], "maxLength": 1000}), json!(text))),
        whole.prop_map(|number| (json!({"type": "integer"}), number)),
        number.prop_map(|number| (json!({"type": "number", "minimum": 0}), number)),
        any::<bool>().prop_map(|yes| (json!({"type": "boolean", "default": false}), json!(yes))),
        Just((json!({"type": ["integer", "null"]}), Value::Null)),
        (prop::collection::vec(scalar(), 1..5), any::<prop::sample::Index>())
            .prop_map(|(values, index)| (json!({ "enum": values }), values[index.index(values.len())].clone())),
        scalar().prop_map(|only| (json!({ "const": only }), only)),
        scalar().prop_map(|anything| (json!({}), json!({"anything": [anything]}))),
        text.prop_map(|text| (json!({"type": ["integer", "string"]}), json!(text))),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let members = prop::collection::vec(("[a-z/~#._ ]{1,4}", inner.clone(), any::<bool>(), any::<bool>()), 1..5);
        let object = (members, prop::option::of(scalar())).prop_map(|(members, more)| {
            let (mut properties, mut required, mut value) = (Map::new(), Vec::new(), Map::new());
            for (key, (schema, one), must, there) in members {
                if properties.insert(key.clone(), schema).is_some() {
                    value.shift_remove(&key);
                    required.retain(|name| *name != key);
                }
                if must {
                    required.push(key.clone());
                }
                if must || there {
                    value.insert(key, one);
                }
            }
            value.extend(more.map(|more| ("NOT NAMED".to_owned(), more)));
            (json!({"type": "object", "properties": properties, "required": required}), Value::Object(value))
        });
        let list = (inner.clone(), 0..4_usize).prop_map(|((schema, value), times)| {
            (json!({"type": "array", "items": schema}), Value::Array(vec![value; times]))
        });
        let either = (inner.clone(), inner, any::<bool>()).prop_map(|((left, one), (right, other), first)| {
            (json!({"oneOf": [left, right]}), if first { one } else { other })
        });
        prop_oneof![3 => object, 2 => list, 1 => either]
    })
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]
    #[test]
    fn what_is_shown_and_sent_back_is_the_same_value(pairs in prop::collection::vec(("[a-z]{1,3}", pair(), any::<bool>()), 1..5)) {
        let (mut properties, mut required, mut value) = (Map::new(), Vec::new(), Map::new());
        for (key, (schema, one), must) in pairs {
            properties.insert(key.clone(), schema);
            value.insert(key.clone(), one);
            if must {
                required.push(key);
            }
        }
        required.dedup();
        let form = form(json!({"type": "object", "properties": properties, "required": required}));
        let pairs = browser(&shown(&form, &form.filled(&value)));
        let read = form.read(&form.sent(&pairs).0, None);
        prop_assert!(read.faults.is_empty(), "{:?}", read.faults);
        // Numbers as they were written, and members in the schema's order.
        prop_assert_eq!(Value::Object(read.value), Value::Object(value));
    }
}
