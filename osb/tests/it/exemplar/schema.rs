//! Just enough of JSON schema for the exemplar's own schemas.

use osb::Object;
use serde_json::Value;

/// What is wrong with those parameters, if anything is.
pub(super) fn complaint(schema: &Value, parameters: &Object) -> Option<String> {
    let properties = schema["properties"].as_object().expect("the exemplar's schemas describe objects");
    let missing = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for name in missing {
        if !parameters.contains_key(name) {
            return Some(format!("the parameter `{name}` is required"));
        }
    }
    parameters.iter().find_map(|(name, value)| match properties.get(name) {
        None => Some(format!("there is no parameter `{name}`")),
        Some(property) => {
            let property = property.get("$ref").map_or(property, |_| &schema["definitions"][name.as_str()]);
            (!fits(property, value)).then(|| format!("the parameter `{name}` does not fit its schema"))
        }
    })
}

fn fits(schema: &Value, value: &Value) -> bool {
    let of_type = match schema["type"].as_str() {
        Some("integer") => value.as_i64().is_some(),
        Some("string") => value.is_string(),
        // The exemplar's schemas have no other type.
        _ => false,
    };
    let number = value.as_i64();
    of_type
        && schema["enum"].as_array().is_none_or(|words| words.contains(value))
        && schema["minimum"].as_i64().is_none_or(|least| number >= Some(least))
        && schema["maximum"].as_i64().is_none_or(|most| number <= Some(most))
        && schema["maxLength"].as_u64().is_none_or(|most| {
            value.as_str().is_some_and(|text| u64::try_from(text.chars().count()).is_ok_and(|count| count <= most))
        })
}
