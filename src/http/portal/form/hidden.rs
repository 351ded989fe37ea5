//! What is called like a secret, where a schema does not say that it is one: no page shows it again.

use serde_json::{Map, Value};

use super::tree::{Field, Kind};
use super::words::SECRET_ENDINGS;

/// What stands in a secret's place.
const HIDDEN: &str = "<not shown>";
/// Levels that are looked through; below nothing is shown.
const DEPTH_MAX: usize = 64;

/// A parameter with everything in it that is called like a secret replaced by a word for it, at any depth.
pub fn masked(key: &str, value: &Value) -> Value {
    within(key, value, DEPTH_MAX)
}

/// Whether anything in a parameter is called like a secret.
pub fn holds_secret(key: &str, value: &Value) -> bool {
    masked(key, value) != *value
}

/// Marks what a value has of it as secret. `key` is what the field is called by, an entry of a list by its list.
pub(super) fn conceal(field: &mut Field, key: &str, value: &Value) {
    match (&mut field.kind, value) {
        (Kind::Object(fields), Value::Object(members)) => {
            for inner in fields {
                if let Some(value) = members.get(&inner.key) {
                    conceal(inner, &inner.key.clone(), value);
                }
            }
        }
        (Kind::List { item, .. }, Value::Array(items)) => items.iter().for_each(|value| conceal(item, key, value)),
        (Kind::Variants(shapes), value) => shapes.iter_mut().for_each(|shape| conceal(shape, key, value)),
        (_, value) => field.secret |= holds_secret(key, value),
    }
}

fn within(key: &str, value: &Value, depth: usize) -> Value {
    if depth == 0 || called_secret(key) {
        return match value {
            // Where secrets are kept is none.
            Value::Object(members) if depth > 0 => Value::Object(inner(members, depth)),
            Value::Bool(_) | Value::Null => value.clone(),
            _ => Value::from(HIDDEN),
        };
    }
    match value {
        Value::Object(members) => Value::Object(inner(members, depth)),
        Value::Array(items) => items.iter().map(|item| within(key, item, depth - 1)).collect(),
        other => other.clone(),
    }
}

fn inner(members: &Map<String, Value>, depth: usize) -> Map<String, Value> {
    members.iter().map(|(key, value)| (key.clone(), within(key, value, depth - 1))).collect()
}

fn called_secret(key: &str) -> bool {
    let key = key.to_lowercase().replace('-', "_");
    // A lifetime or a name of a secret is none.
    let about = ["_ttl", "_name", "_id", "_days", "_count", "_length", "_policy", "_seconds"];
    SECRET_ENDINGS.iter().any(|part| key.contains(part)) && !about.iter().any(|end| key.ends_with(end))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Form, View};
    use super::*;

    #[test]
    fn what_is_called_like_a_secret_is_not_shown_at_any_depth() {
        let value = json!({"admin": {"password": "p1", "name": "ada"}, "API-Key": "k1", "tokens": ["t1", "t2"], "token_ttl": 5,
            "secrets": {"from": "vault"}, "list": [{"clientSecret": "c1"}]});
        let shown = masked("", &value);
        let text = shown.to_string();
        for secret in ["p1", "k1", "t1", "t2", "c1"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        for kept in ["ada", "\"token_ttl\":5", "vault"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
    }

    #[test]
    fn what_lies_too_deep_is_not_shown() {
        let mut value = json!("deep");
        for _ in 0..DEPTH_MAX + 2 {
            value = json!([value]);
        }
        assert!(!masked("", &value).to_string().contains("deep"));
    }

    #[test]
    fn what_stands_and_is_called_like_a_secret_is_in_no_field_and_stays_where_nobody_types_another() {
        let schema = json!({"type": "object", "properties": {
            "admin": {"type": "object"}, "client_credential": {"type": "string"}, "tokens": {"type": "array", "items": {"type": "string"}},
            "size": {"type": "integer"}}});
        let known = json!({"admin": {"password": "p1"}, "client_credential": "c1", "tokens": ["t1"], "size": 3});
        let known = known.as_object().unwrap();
        let form = Form::of(Some(&schema), None).concealing(known);
        let state = form.filled(known);
        let shown = form.show(&state, &View::default()).into_string();
        for secret in ["p1", "c1", "t1"] {
            assert!(
                !shown.contains(&format!("{secret}\"")) && !shown.contains(&format!("{secret}<")),
                "{secret}: {shown}"
            );
        }
        assert!(shown.contains("value=\"3\""), "{shown}");
        let read = form.read(&state, Some(known));
        assert_eq!(read.value["client_credential"], "c1");
        assert_eq!(read.value.get("admin").unwrap_or(&known["admin"]), &known["admin"]);
        assert_eq!(read.value.get("tokens").unwrap_or(&known["tokens"]), &known["tokens"]);
    }
}
