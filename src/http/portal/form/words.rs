//! What a schema's parts are called on a form, and which of them are secret.

use serde_json::{Map, Value};

/// Characters of a description.
const HINT_MAX: usize = 1000;
/// Characters of a value that is told in words.
const VALUE_MAX: usize = 120;

/// Words of a schema that say nothing about what belongs there.
pub(super) const SAYS_NOTHING: &[&str] = &[
    "title",
    "description",
    "default",
    "examples",
    "$schema",
    "$id",
    "id",
    "$comment",
    "definitions",
    "$defs",
    "readOnly",
    "writeOnly",
    "deprecated",
];

/// What a parameter's name ends in where it is a secret that nobody marked as one. What stands already is hidden with more care, wherever
/// its name has one of these in it ([`super::hidden`]).
pub(super) const SECRET_ENDINGS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "private_key",
    "privatekey",
    "api_key",
    "apikey",
    "access_key",
    "secret_key",
    "credential",
];

/// A value as people write it.
pub(super) fn value(value: &Value) -> String {
    let text = match value {
        Value::String(text) if text.is_empty() => "(empty)".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "Yes".to_owned(),
        Value::Bool(false) => "No".to_owned(),
        Value::Null => "(none)".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) if items.iter().all(|item| !item.is_array() && !item.is_object()) => {
            items.iter().map(self::value).collect::<Vec<_>>().join(", ")
        }
        Value::Object(fields) if fields.is_empty() => String::new(),
        other => other.to_string(),
    };
    short(&text, VALUE_MAX)
}

/// The first so many characters.
pub(super) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most).chain(['…']).collect() }
}

/// `routing_domain` as people write it.
pub(super) fn humane(key: &str) -> String {
    let mut words = String::new();
    let mut before = ' ';
    for c in key.chars() {
        if c == '_' || c == '-' || c == '.' {
            words.push(' ');
        } else if c.is_uppercase() && before.is_lowercase() {
            words.push(' ');
            words.extend(c.to_lowercase());
        } else {
            words.push(c);
        }
        before = c;
    }
    let words = words.trim();
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// What belongs in a field: its description, within which bounds, and an example.
pub(super) fn hint(schema: &Map<String, Value>, secret: bool) -> String {
    let mut hint = short(schema.get("description").and_then(Value::as_str).unwrap_or_default().trim(), HINT_MAX);
    let mut add = |sentence: String| {
        if !hint.is_empty() {
            if !hint.ends_with(['.', '!', '?', ':']) {
                hint.push('.');
            }
            hint.push(' ');
        }
        hint.push_str(&sentence);
    };
    let number = |key: &str| schema.get(key).filter(|value| value.is_number());
    match (number("minimum"), number("maximum")) {
        (Some(least), Some(most)) => add(format!("From {least} to {most}.")),
        (Some(least), None) => add(format!("At least {least}.")),
        (None, Some(most)) => add(format!("At most {most}.")),
        (None, None) => {}
    }
    let first = schema.get("examples").and_then(Value::as_array).and_then(|examples| examples.first());
    let example = first.or_else(|| schema.get("example"));
    let plain = example.filter(|example| example.is_string() || example.is_number());
    if let Some(example) = plain.filter(|_| !secret) {
        add(format!("For example {}.", value(example)));
    }
    hint
}

/// Which fields of a group belong together, where all that a choice says is what has to be there.
pub(super) fn needs(schema: &Map<String, Value>) -> String {
    let properties = schema.get("properties").and_then(Value::as_object);
    let title = |name: &str| {
        let said = properties.and_then(|properties| properties.get(name)?.get("title")?.as_str());
        said.map_or_else(|| humane(&short(name, VALUE_MAX)), |said| short(said, VALUE_MAX))
    };
    for (key, how) in [("oneOf", "Fill in just one of"), ("anyOf", "Fill in at least one of")] {
        let Some(branches) = schema.get(key).and_then(Value::as_array) else { continue };
        let names = |branch: &Value| {
            let required = branch.get("required")?.as_array()?;
            let only = branch.as_object()?.len() == 1 && !required.is_empty();
            let names: Vec<String> = required.iter().filter_map(Value::as_str).map(title).collect();
            only.then(|| names.join(" and "))
        };
        let names: Option<Vec<String>> = branches.iter().map(names).collect();
        if let Some(names) = names.filter(|names| names.len() > 1 && names.len() <= 10) {
            return format!("{how}: {}.", names.join(", "));
        }
    }
    String::new()
}

/// What one of several shapes is called.
pub(super) fn shape(shape: &Map<String, Value>, base: &Map<String, Value>, number: usize) -> String {
    let title = shape.get("title").filter(|title| Some(*title) != base.get("title")).and_then(Value::as_str);
    if let Some(title) = title.filter(|title| !title.is_empty()) {
        return short(title, 120);
    }
    // What tells it from the others, where it says so by a value of its own.
    let properties = shape.get("properties").and_then(Value::as_object).into_iter().flatten();
    let only = properties.filter_map(|(_, property)| {
        property.get("const").or_else(|| match property.get("enum")?.as_array()?.as_slice() {
            [only] => Some(only),
            _ => None,
        })
    });
    if let Some(text) = only.filter_map(Value::as_str).next() {
        return humane(&short(text, 120));
    }
    let kind = match shape.get("type").and_then(Value::as_str) {
        Some("string") => "Text",
        Some("integer") => "Whole number",
        Some("number") => "Number",
        Some("boolean") => "Yes or no",
        Some("array") => "List",
        _ => "",
    };
    if kind.is_empty() || base.get("type") == shape.get("type") {
        format!("Shape {}", number + 1)
    } else {
        kind.to_owned()
    }
}

/// Whether a value is never shown again: it is marked so, or called so.
pub(super) fn is_secret(schema: &Map<String, Value>, key: &str) -> bool {
    if is_marked(schema) {
        return true;
    }
    let plain = schema.get("type").is_none_or(|kind| kind == "string");
    let open = !["enum", "const", "default", "properties", "items"].iter().any(|word| schema.contains_key(*word));
    let key = key.to_ascii_lowercase().replace('-', "_");
    plain && open && SECRET_ENDINGS.iter().any(|ending| key.ends_with(ending))
}

fn is_marked(schema: &Map<String, Value>) -> bool {
    let yes = |key: &str| schema.get(key) == Some(&Value::Bool(true));
    let marked = ["writeOnly", "x-bourse-secret", "x-secret", "x-sensitive", "sensitive"].into_iter().any(yes);
    marked || schema.get("format").and_then(Value::as_str) == Some("password")
}

/// Whether anything in a schema is marked as a secret.
pub(super) fn mentions_secret(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            let named = |(name, property): (&String, &Value)| {
                property.as_object().is_some_and(|property| is_secret(property, name))
            };
            let properties = fields.get("properties").and_then(Value::as_object);
            is_marked(fields) || properties.into_iter().flatten().any(named) || fields.values().any(mentions_secret)
        }
        Value::Array(items) => items.iter().any(mentions_secret),
        _ => false,
    }
}

/// Whether a text has several lines by nature: keys and certificates.
pub(super) fn is_block(schema: &Map<String, Value>, key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let short = schema.get("maxLength").and_then(Value::as_u64).is_some();
    !short && ["private_key", "certificate", "public_key", "pem"].iter().any(|word| key.ends_with(word))
}
