//! A plan in the catalog: its fields, its schemas, its version, its prices for people.

use serde_json::Value;

use super::catalog::{Rules, Type};
use crate::Object;

/// How large a schema may be.
const SCHEMA_BYTES: usize = 64 * 1024;

pub(super) fn judge(rules: &Rules<'_>, plan: &Object, at: &str) {
    rules.text("PLN-01", plan, "id", at);
    rules.text("PLN-02", plan, "name", at);
    rules.text("PLN-03", plan, "description", at);
    rules.friendly(plan, at);
    rules.typed("PLN-04", plan, "metadata", at, Type::Object);
    for (row, name) in
        [("PLN-05", "free"), ("PLN-06", "bindable"), ("PLN-07", "binding_rotatable"), ("PLN-08", "plan_updateable")]
    {
        rules.typed(row, plan, name, at, Type::Boolean);
    }
    if let Some(seconds) = plan.get("maximum_polling_duration").filter(|value| !value.is_null()) {
        rules.see("PLN-10", &format!("{at}/maximum_polling_duration"), seconds.is_u64(), "a whole number of seconds");
    }
    if let Some(info) = plan.get("maintenance_info").filter(|info| !info.is_null()) {
        let version = info.get("version").and_then(Value::as_str).is_some_and(is_semver);
        rules.see("PLN-11", &format!("{at}/maintenance_info"), version, "a version such as 2.1.0");
        let description = info.get("description").is_none_or(|text| text.is_string() || text.is_null());
        rules.see("PLN-11", &format!("{at}/maintenance_info/description"), description, "a string");
    }
    metadata(rules, plan, at);
    schemas(rules, plan, at);
}

fn metadata(rules: &Rules<'_>, plan: &Object, at: &str) {
    let Some(metadata) = plan.get("metadata").and_then(Value::as_object) else { return };
    let at = format!("{at}/metadata");
    rules.typed("META-02", metadata, "displayName", &at, Type::Text);
    rules.typed("META-02", metadata, "bullets", &at, Type::Strings);
    let Some(costs) = metadata.get("costs").filter(|costs| !costs.is_null()) else { return };
    rules.see("META-02", &format!("{at}/costs"), costs.is_array(), "an array");
    for (index, cost) in costs.as_array().into_iter().flatten().enumerate() {
        let amount = cost.get("amount").and_then(Value::as_object);
        let numbers = amount.is_some_and(|amount| !amount.is_empty() && amount.values().all(Value::is_number));
        let holds = numbers && cost.get("unit").is_some_and(Value::is_string);
        let expected = "amount, an object of numbers by currency, and unit, a string";
        rules.see("META-03", &format!("{at}/costs/{index}"), holds, expected);
    }
}

fn schemas(rules: &Rules<'_>, plan: &Object, at: &str) {
    let Some(schemas) = plan.get("schemas").filter(|schemas| !schemas.is_null()) else { return };
    let at = format!("{at}/schemas");
    rules.see("PLN-09", &at, schemas.is_object(), "an object");
    for (resource, actions) in [("service_instance", ["create", "update"].as_slice()), ("service_binding", &["create"])]
    {
        let Some(of_resource) = schemas.get(resource).filter(|value| !value.is_null()) else { continue };
        let at = format!("{at}/{resource}");
        rules.see("PLN-09", &at, of_resource.is_object(), "an object");
        for action in actions {
            let Some(input) = of_resource.get(action).filter(|value| !value.is_null()) else { continue };
            let at = format!("{at}/{action}");
            rules.see("PLN-09", &at, input.is_object(), "an object");
            if let Some(schema) = input.get("parameters").filter(|schema| !schema.is_null()) {
                self::schema(rules, schema, &format!("{at}/parameters"));
            }
        }
    }
}

fn schema(rules: &Rules<'_>, schema: &Value, at: &str) {
    rules.see("PLN-09", at, schema.is_object(), "an object");
    rules.see("SCH-01", at, schema.get("$schema").is_some_and(Value::is_string), "a $schema");
    rules.see("SCH-01", at, schema.to_string().len() <= SCHEMA_BYTES, "at most 64 kB");
    rules.see("SCH-01", at, !refers_elsewhere(schema), "no $ref but those that begin with #");
}

/// Whether something in it refers to another document. What stands in an example or a default is no reference.
fn refers_elsewhere(schema: &Value) -> bool {
    let mut open = vec![schema];
    while let Some(next) = open.pop() {
        match next {
            Value::Object(fields) => {
                if fields.get("$ref").and_then(Value::as_str).is_some_and(|target| !target.starts_with('#')) {
                    return true;
                }
                let data = ["const", "default", "enum", "examples"];
                open.extend(fields.iter().filter(|(name, _)| !data.contains(&name.as_str())).map(|(_, value)| value));
            }
            Value::Array(entries) => open.extend(entries),
            _ => {}
        }
    }
    false
}

/// Semantic Versioning 2.0: three numbers without leading zeros, then perhaps a pre-release and build metadata.
fn is_semver(version: &str) -> bool {
    let (rest, build) = version.split_once('+').map_or((version, None), |(rest, build)| (rest, Some(build)));
    let (core, pre) = rest.split_once('-').map_or((rest, None), |(core, pre)| (core, Some(pre)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| digits(text) && (text == "0" || !text.starts_with('0'));
    let word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| pre.split('.').all(|part| word(part) && (!digits(part) || number(part))))
        && build.is_none_or(|build| build.split('.').all(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pln_11_versions_are_semantic() {
        for good in ["0.0.0", "2.1.1+abcdef", "1.0.0-alpha.1", "1.0.0-0a", "10.20.30-x+y.0"] {
            assert!(is_semver(good), "{good}");
        }
        for bad in ["", "1", "1.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0+", "v1.0.0", "1.0.0.0"] {
            assert!(!is_semver(bad), "{bad}");
        }
    }

    #[test]
    fn sch_01_references_to_elsewhere_are_found_wherever_they_stand() {
        let inside = json!({"properties": {"a": {"$ref": "#/definitions/a"}}, "default": {"$ref": "http://data"}});
        assert!(!refers_elsewhere(&inside));
        assert!(refers_elsewhere(&json!({"allOf": [{"$ref": "http://example.com/schema"}]})));
    }
}
