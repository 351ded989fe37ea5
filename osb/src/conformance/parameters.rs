//! Parameters for a plan: made from its JSON schemas, other ones that fit too, and ones that don't.
//!
//! It makes what a schema asks for in plain words (required properties, defaults, enumerations, bounds, patterns), bounded in depth
//! and size, and says so where it can't. It is no validator: the broker under test is.

use serde_json::{Map, Value, json};

use super::pattern;
use crate::Object;

const DEPTH_MAX: usize = 12;
const ITEMS_MAX: u64 = 64;
const OTHERS_MAX: usize = 6;

/// Parameters of an action that the schema allows: what it requires, and nothing more.
///
/// # Errors
/// Where the schema is beyond what is understood here: the property.
pub(super) fn required(schema: Option<&Value>) -> Result<Object, String> {
    let Some(schema) = schema else { return Ok(Object::new()) };
    match example(schema, schema, 0)? {
        Value::Object(made) => Ok(made),
        _ => Err("the schema asks for something that is no object".to_owned()),
    }
}

/// Parameters that differ from `base` in one property, each as likely to be allowed as can be told; where the schema names no
/// property, something that it doesn't forbid.
pub(super) fn others(schema: Option<&Value>, base: &Object) -> Vec<Object> {
    let with = |name: &str, value: Value| {
        let mut other = base.clone();
        other.insert(name.to_owned(), value);
        other
    };
    let properties = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    let mut found = Vec::new();
    for (name, property) in properties.into_iter().flatten() {
        let now = base.get(name).or_else(|| property.get("default"));
        if let Some((rank, value)) = another(property, now) {
            found.push((rank, with(name, value)));
        }
    }
    found.sort_by_key(|(rank, _)| *rank);
    let mut others: Vec<Object> = found.into_iter().map(|(_, other)| other).take(OTHERS_MAX).collect();
    let closed = schema.is_some_and(|schema| schema.get("additionalProperties") == Some(&Value::Bool(false)));
    if others.is_empty() && !closed {
        others.push(with("conformance", json!("another")));
    }
    others
}

/// Parameters that the schema forbids, because a property has another type. `None` where no property has a plain type.
pub(super) fn forbidden(schema: &Value, base: &Object) -> Option<Object> {
    let properties = schema.get("properties")?.as_object()?;
    properties.iter().find_map(|(name, property)| {
        let wrong = match property.get("type")?.as_str()? {
            "string" => json!({"not": "a string"}),
            "integer" | "number" | "boolean" | "array" | "object" => json!("not of that type"),
            _ => return None,
        };
        let mut made = base.clone();
        made.insert(name.clone(), wrong);
        Some(made)
    })
}

/// Another value for a property, and how doubtful it is.
fn another(property: &Value, now: Option<&Value>) -> Option<(u8, Value)> {
    let differs = |value: &&Value| Some(*value) != now;
    if let Some(values) = property.get("enum").and_then(Value::as_array) {
        return values.iter().find(differs).map(|value| (0, value.clone()));
    }
    match property.get("type").and_then(Value::as_str)? {
        "boolean" => Some((1, Value::Bool(now != Some(&Value::Bool(true))))),
        "integer" | "number" => {
            let now = now.and_then(Value::as_i64);
            let (least, most) = bounds(property);
            let tried = [now.map(|now| now + 1), now.map(|now| now - 1), least, most, Some(1), Some(2)];
            let fits =
                |n: &i64| Some(*n) != now && least.is_none_or(|least| *n >= least) && most.is_none_or(|m| *n <= m);
            let doubt = if property.get("anyOf").or(property.get("oneOf")).is_some() { 3 } else { 2 };
            tried.into_iter().flatten().find(fits).map(|n| (doubt, Value::from(n)))
        }
        "string" => {
            let examples = property.get("examples").and_then(Value::as_array);
            if let Some(value) = examples.into_iter().flatten().find(differs) {
                return Some((4, value.clone()));
            }
            let value = string(property).ok()?;
            let value = if Some(&value) == now { json!("another") } else { value };
            Some((5, value))
        }
        _ => None,
    }
}

fn example(root: &Value, schema: &Value, depth: usize) -> Result<Value, String> {
    if depth > DEPTH_MAX {
        return Err("the schema is nested too deep".to_owned());
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return example(root, target.ok_or("a $ref leads nowhere")?, depth + 1);
    }
    let given = schema.get("const").or_else(|| schema.get("default"));
    let first = |name: &str| schema.get(name).and_then(Value::as_array).and_then(|values| values.first());
    if let Some(value) = given.or_else(|| first("enum")).or_else(|| first("examples")) {
        return Ok(value.clone());
    }
    for name in ["anyOf", "oneOf"] {
        if let Some(alternatives) = schema.get(name).and_then(Value::as_array) {
            let made = |alternative| example(root, &merged(schema, &[name], alternative), depth + 1).ok();
            return alternatives.iter().find_map(made).ok_or_else(|| format!("no alternative of {name} can be met"));
        }
    }
    if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
        let whole = parts.iter().fold(schema.clone(), |whole, part| merged(&whole, &["allOf"], part));
        return example(root, &whole, depth + 1);
    }
    match type_of(schema) {
        "object" => object(root, schema, depth),
        "array" => array(root, schema, depth),
        "string" => string(schema),
        "integer" | "number" => number(schema),
        "boolean" => Ok(Value::Bool(false)),
        "null" => Ok(Value::Null),
        other => Err(format!("the type {other} is not known")),
    }
}

/// One schema with what another adds to it.
fn merged(schema: &Value, without: &[&str], addition: &Value) -> Value {
    let mut whole: Map<String, Value> = schema.as_object().cloned().unwrap_or_default();
    for name in without {
        whole.remove(*name);
    }
    for (name, value) in addition.as_object().into_iter().flatten() {
        match (whole.get_mut(name), value) {
            (Some(Value::Object(ours)), Value::Object(theirs)) => ours.extend(theirs.clone()),
            (Some(Value::Array(ours)), Value::Array(theirs)) if name == "required" => ours.extend(theirs.clone()),
            _ => {
                whole.insert(name.clone(), value.clone());
            }
        }
    }
    Value::Object(whole)
}

fn type_of(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(name)) => name,
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or("null")
        }
        _ if schema.get("items").is_some() => "array",
        _ if schema.get("pattern").or(schema.get("minLength")).is_some() => "string",
        _ if schema.get("minimum").or(schema.get("maximum")).is_some() => "number",
        _ => "object",
    }
}

fn object(root: &Value, schema: &Value, depth: usize) -> Result<Value, String> {
    let mut made = Map::new();
    let names = schema.get("required").and_then(Value::as_array);
    for name in names.into_iter().flatten().filter_map(Value::as_str) {
        let property = schema.get("properties").and_then(|properties| properties.get(name));
        let value = match property {
            Some(property) => example(root, property, depth + 1).map_err(|why| format!("{name}: {why}"))?,
            None => json!("conformance"),
        };
        made.insert(name.to_owned(), value);
    }
    Ok(Value::Object(made))
}

fn array(root: &Value, schema: &Value, depth: usize) -> Result<Value, String> {
    let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
    if least > ITEMS_MAX || (least > 1 && schema.get("uniqueItems") == Some(&Value::Bool(true))) {
        return Err(format!("{least} different entries are more than is made"));
    }
    let empty = json!({});
    let items = schema.get("items").unwrap_or(&empty);
    (0..least).map(|_| example(root, items, depth + 1)).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn string(schema: &Value) -> Result<Value, String> {
    let length = |name: &str| schema.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let (least, most) = (length("minLength").unwrap_or(0), length("maxLength").unwrap_or(usize::MAX));
    if least > 65_536 {
        return Err(format!("a string of {least} characters is more than is made"));
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        let made = pattern::example(pattern, least.max(1).min(most));
        return made.map(Value::from).ok_or_else(|| format!("the pattern {pattern} is not understood"));
    }
    let formed = match schema.get("format").and_then(Value::as_str) {
        Some("uuid") => "00000000-0000-4000-8000-000000000001",
        Some("date") => "2030-01-01",
        Some("date-time") => "2030-01-01T00:00:00Z",
        Some("time") => "00:00:00Z",
        Some("email") => "conformance@example.com",
        Some("uri" | "url") => "https://example.com/",
        Some("hostname") => "example.com",
        Some("ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        _ => "conformance",
    };
    let made: String = formed.chars().chain(std::iter::repeat('x')).take(least.max(formed.len()).min(most)).collect();
    Ok(Value::from(made))
}

/// The least and the most whole number that a schema allows.
fn bounds(schema: &Value) -> (Option<i64>, Option<i64>) {
    let number = |name: &str| schema.get(name).and_then(Value::as_f64);
    // Draft 4 writes a boolean beside the bound, later drafts a number of its own.
    let beside = |name: &str| schema.get(name) == Some(&Value::Bool(true));
    let above = |bound: f64| whole(bound.floor()) + 1;
    let below = |bound: f64| whole(bound.ceil()) - 1;
    let least = match (number("exclusiveMinimum"), number("minimum")) {
        (Some(bound), _) => Some(above(bound)),
        (None, Some(bound)) if beside("exclusiveMinimum") => Some(above(bound)),
        (None, bound) => bound.map(|bound| whole(bound.ceil())),
    };
    let most = match (number("exclusiveMaximum"), number("maximum")) {
        (Some(bound), _) => Some(below(bound)),
        (None, Some(bound)) if beside("exclusiveMaximum") => Some(below(bound)),
        (None, bound) => bound.map(|bound| whole(bound.floor())),
    };
    (least, most)
}

#[expect(clippy::cast_possible_truncation, reason = "a bound beyond 64 bits is as good as the largest number")]
fn whole(number: f64) -> i64 {
    (number as i64).clamp(i64::MIN / 2, i64::MAX / 2)
}

fn number(schema: &Value) -> Result<Value, String> {
    let (least, most) = bounds(schema);
    let step = schema.get("multipleOf").and_then(Value::as_i64).filter(|step| *step > 0).unwrap_or(1);
    let from = least.unwrap_or_else(|| most.map_or(1, |most| most.min(1)));
    let made = from + (step - from.rem_euclid(step)) % step;
    if most.is_some_and(|most| made > most) {
        return Err("no whole number lies between its bounds".to_owned());
    }
    Ok(Value::from(made))
}

#[cfg(test)]
mod tests;
