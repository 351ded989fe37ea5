//! The parameters that a service was ordered with, as people wrote them; what its schema calls a secret, and what is called like one, is
//! not shown.

use maud::{Markup, html};
use serde_json::{Map, Value};

use super::super::form::{self, Form};
use super::super::kit;
use crate::app::services::one::Service;

/// What stands in a secret's place.
const HIDDEN: &str = "<not shown>";
/// Parts of names that secrets have, where a schema does not say what is one.
const SECRETS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "private_key",
    "privatekey",
    "api_key",
    "apikey",
    "credential",
];
/// Levels that are looked through; below nothing is shown.
const DEPTH_MAX: usize = 64;

/// The parameters as facts.
pub(super) fn parameters(service: &Service) -> Markup {
    let Some(all) = &service.parameters else {
        return html! { p.under { "Members and owners of its tenant see the parameters." } };
    };
    if all.is_empty() {
        return html! { p.under { "It was ordered without parameters." } };
    }
    let form = service.plan.as_ref().map(|plan| Form::of(plan.plan.create_schema(), None));
    let shown = form.as_ref().map_or_else(|| all.clone(), |form| form.masked(all));
    let rows: Vec<(&str, Markup)> = shown
        .iter()
        .map(|(key, value)| {
            let title = form.as_ref().and_then(|form| form.title(key)).unwrap_or(key);
            let value = masked(key, value, DEPTH_MAX);
            let text = match &value {
                Value::Object(_) | Value::Array(_) => {
                    html! { pre.json tabindex="0" { code { (serde_json::to_string_pretty(&value).unwrap_or_default()) } } }
                }
                other => html! { (form::in_words(other)) },
            };
            (title, text)
        })
        .collect();
    kit::facts(&rows)
}

fn masked(key: &str, value: &Value, depth: usize) -> Value {
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
        Value::Array(items) => items.iter().map(|item| masked(key, item, depth - 1)).collect(),
        other => other.clone(),
    }
}

fn inner(members: &Map<String, Value>, depth: usize) -> Map<String, Value> {
    members.iter().map(|(key, value)| (key.clone(), masked(key, value, depth - 1))).collect()
}

fn called_secret(key: &str) -> bool {
    let key = key.to_lowercase().replace('-', "_");
    // A lifetime or a name of a secret is none.
    let about = ["_ttl", "_name", "_id", "_days", "_count", "_length", "_policy", "_seconds"];
    SECRETS.iter().any(|part| key.contains(part)) && !about.iter().any(|end| key.ends_with(end))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_called_like_a_secret_is_not_shown_at_any_depth() {
        let value = json!({"admin": {"password": "p1", "name": "ada"}, "API-Key": "k1", "tokens": ["t1", "t2"], "token_ttl": 5,
            "secrets": {"from": "vault"}, "list": [{"clientSecret": "c1"}]});
        let shown = masked("", &value, DEPTH_MAX);
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
        assert!(!masked("", &value, DEPTH_MAX).to_string().contains("deep"));
    }
}
