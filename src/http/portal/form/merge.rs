//! Putting schemas together: what a reference leads to, the parts of `allOf`, one branch of a choice with what is common to all.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// A schema that is an object.
pub(super) type Schema = Map<String, Value>;

/// Puts `more` beside `all`, which wins where both say the same; properties and what is required are joined.
pub(super) fn merge(all: &mut Schema, more: Schema) {
    for (key, value) in more {
        match (all.get_mut(&key), value) {
            (Some(Value::Object(own)), Value::Object(more)) if key == "properties" => {
                for (name, property) in more {
                    match (own.get_mut(&name), property) {
                        (Some(Value::Object(own)), Value::Object(more)) => {
                            for (word, value) in more {
                                own.entry(word).or_insert(value);
                            }
                        }
                        (Some(_), _) => {}
                        (None, property) => drop(own.insert(name, property)),
                    }
                }
            }
            (Some(Value::Array(own)), Value::Array(more)) if key == "required" => {
                // As texts, for there may be thousands.
                let mut known: HashSet<String> = own.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                own.extend(
                    more.into_iter().filter(|name| name.as_str().is_some_and(|name| known.insert(name.to_owned()))),
                );
            }
            (Some(_), _) => {}
            (None, value) => drop(all.insert(key, value)),
        }
    }
}

/// Puts the properties that `base` has too into its order, before the others.
pub(super) fn in_order(shape: &mut Schema, base: &Schema) {
    let (Some(Value::Object(mixed)), Some(Value::Object(first))) =
        (shape.get_mut("properties"), base.get("properties"))
    else {
        return;
    };
    let mut ordered = Schema::new();
    for name in first.keys() {
        ordered.extend(mixed.shift_remove(name).map(|property| (name.clone(), property)));
    }
    ordered.append(mixed);
    *mixed = ordered;
}

/// Takes `null` out of what may stand there, and says whether it was in.
pub(super) fn take_null(schema: &mut Schema) -> bool {
    let mut nullable = schema.get("nullable") == Some(&Value::Bool(true));
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        let before = types.len();
        types.retain(|kind| kind != "null");
        nullable |= types.len() < before;
        if types.len() == 1 {
            let only = types.remove(0);
            schema.insert("type".to_owned(), only);
        }
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(Value::Array(branches)) = schema.get_mut(key) {
            let before = branches.len();
            branches.retain(|branch| branch.get("type") != Some(&Value::from("null")));
            nullable |= branches.len() < before;
        }
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && values.len() > 1
    {
        let before = values.len();
        values.retain(|value| !value.is_null());
        nullable |= values.len() < before;
    }
    nullable
}
