//! What can be wrong with a plan: its fields, its schemas, its prices for people.
//!
//! Part of [`super::validate`]; it knows nothing of other plans.

use serde_json::Value;

use super::validate::Check;
use crate::Object;

/// SCH-01: what a platform reads of a schema.
const SCHEMA_BYTES: usize = 64 * 1024;

pub(super) fn check_plan(check: &mut Check, plan: &Object, offering_bindable: Option<bool>, at: &str) {
    for name in ["id", "name", "description"] {
        check.required_string(plan, name, at);
    }
    check.friendly_name(plan, at);
    for name in ["free", "bindable", "binding_rotatable", "plan_updateable"] {
        check.optional_bool(plan, name, at);
    }
    for name in ["metadata", "schemas", "maintenance_info"] {
        check.optional_object(plan, name, at);
    }
    polling(check, plan, at);
    maintenance(check, plan, at);
    metadata(check, plan, at);
    let bindable = plan.get("bindable").and_then(Value::as_bool).or(offering_bindable);
    schemas(check, plan, bindable, at);
}

fn polling(check: &mut Check, plan: &Object, at: &str) {
    let whole = |number: &serde_json::Number| number.as_u64().is_some();
    match plan.get("maximum_polling_duration") {
        None | Some(Value::Null) => {}
        Some(Value::Number(number)) if whole(number) => {}
        Some(_) => check.error(
            format!("{at}/maximum_polling_duration"),
            "`maximum_polling_duration` must be a whole number of seconds (PLN-10)",
        ),
    }
}

/// PLN-11: Semantic Versioning 2.0 is a MUST.
fn maintenance(check: &mut Check, plan: &Object, at: &str) {
    let Some(info) = plan.get("maintenance_info").and_then(Value::as_object) else { return };
    let at = format!("{at}/maintenance_info");
    match info.get("version") {
        Some(Value::String(version)) if is_semver(version) => {}
        None => check.error(format!("{at}/version"), "`version` is required (PLN-11)"),
        Some(_) => {
            check.error(
                format!("{at}/version"),
                "`version` must follow Semantic Versioning 2.0, such as 2.1.0 (PLN-11)",
            );
        }
    }
    if !matches!(info.get("description"), None | Some(Value::Null | Value::String(_))) {
        check.error(format!("{at}/description"), "`description` must be a string");
    }
}

/// META-02 and META-03.
fn metadata(check: &mut Check, plan: &Object, at: &str) {
    let Some(metadata) = plan.get("metadata").and_then(Value::as_object) else { return };
    let at = format!("{at}/metadata");
    if metadata.get("displayName").is_some_and(|value| !value.is_string()) {
        check.warning(format!("{at}/displayName"), "`displayName` should be a string (META-02)");
    }
    let strings = |value: &Value| value.as_array().is_some_and(|words| words.iter().all(Value::is_string));
    if metadata.get("bullets").is_some_and(|value| !strings(value)) {
        check.warning(format!("{at}/bullets"), "`bullets` should be an array of strings (META-02)");
    }
    match metadata.get("costs") {
        None => {}
        Some(Value::Array(costs)) => {
            for (index, cost) in costs.iter().enumerate() {
                if !is_cost(cost) {
                    let message =
                        "a cost should hold `amount`, an object of numbers by currency, and `unit`, a string (META-03)";
                    check.warning(format!("{at}/costs/{index}"), message);
                }
            }
        }
        Some(_) => check.warning(format!("{at}/costs"), "`costs` should be an array (META-03)"),
    }
}

fn is_cost(cost: &Value) -> bool {
    let amounts = cost.get("amount").and_then(Value::as_object);
    amounts.is_some_and(|amounts| !amounts.is_empty() && amounts.values().all(Value::is_number))
        && cost.get("unit").is_some_and(Value::is_string)
}

/// PLN-09: the three places where a schema may stand.
fn schemas(check: &mut Check, plan: &Object, bindable: Option<bool>, at: &str) {
    let Some(schemas) = plan.get("schemas").and_then(Value::as_object) else { return };
    let at = format!("{at}/schemas");
    for (resource, actions) in [("service_instance", ["create", "update"].as_slice()), ("service_binding", &["create"])]
    {
        check.optional_object(schemas, resource, &at);
        let Some(resource_schemas) = schemas.get(resource).and_then(Value::as_object) else { continue };
        let at = format!("{at}/{resource}");
        for action in actions {
            check.optional_object(resource_schemas, action, &at);
            let Some(input) = resource_schemas.get(*action).and_then(Value::as_object) else { continue };
            if let Some(schema) = input.get("parameters").filter(|schema| !schema.is_null()) {
                schema_findings(check, schema, &format!("{at}/{action}/parameters"));
            }
        }
        if resource == "service_binding" && bindable == Some(false) {
            check.warning(at, "the plan can't be bound to, so that this schema has no effect (SCH-03)");
        }
    }
}

/// SCH-01: a `$schema`, no reference to elsewhere, at most 64 kB. Warnings, since only Cloud Foundry refuses the offering for
/// them: elsewhere it can be served, its parameters not checked.
fn schema_findings(check: &mut Check, schema: &Value, at: &str) {
    let Some(object) = schema.as_object() else {
        check.error(at, "a schema must be a JSON object (SCH-01)");
        return;
    };
    match object.get("$schema") {
        Some(Value::String(dialect)) if !dialect.is_empty() => {}
        _ => check.warning(format!("{at}/$schema"), "`$schema` must be given (SCH-01)"),
    }
    if schema.to_string().len() > SCHEMA_BYTES {
        check.warning(at, "a schema must not be larger than 64 kB; Cloud Foundry refuses the catalog (SCH-01)");
    }
    external_references(check, schema, at);
}

/// Walks without recursion, so that depth costs no stack. A `$ref` is one only where its value is a string.
fn external_references(check: &mut Check, schema: &Value, at: &str) {
    let mut open = vec![(schema, at.to_owned())];
    while let Some((value, at)) = open.pop() {
        match value {
            Value::Object(object) => {
                for name in ["$ref", "$dynamicRef", "$recursiveRef"] {
                    let reference = object.get(name).and_then(Value::as_str);
                    if let Some(reference) = reference.filter(|reference| !reference.starts_with('#')) {
                        let message = format!("a schema must not refer to elsewhere: `{reference}` (SCH-01)");
                        check.warning(format!("{at}/{name}"), message);
                    }
                }
                open.extend(object.iter().rev().map(|(key, value)| (value, format!("{at}/{}", escape(key)))));
            }
            Value::Array(items) => {
                open.extend(items.iter().enumerate().rev().map(|(index, value)| (value, format!("{at}/{index}"))));
            }
            _ => {}
        }
    }
}

/// RFC 6901.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Semantic Versioning 2.0.0, without comparing: OSB compares versions as strings.
fn is_semver(version: &str) -> bool {
    let (rest, build) = version.split_once('+').map_or((version, None), |(rest, build)| (rest, Some(build)));
    let (core, pre) = rest.split_once('-').map_or((rest, None), |(core, pre)| (core, Some(pre)));
    let number = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'))
    };
    let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let pre_word = |part: &str| word(part) && (!part.bytes().all(|byte| byte.is_ascii_digit()) || number(part));
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| pre.split('.').all(pre_word))
        && build.is_none_or(|build| build.split('.').all(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Severity, validate_offering};
    use super::*;

    #[track_caller]
    fn check(field: &str, value: Value, expected: &[(Severity, &str)]) {
        let mut plan = json!({"id": "p", "name": "small", "description": "d"});
        plan[field] = value;
        let offering = json!({"name": "db", "id": "o", "description": "d", "bindable": false, "plans": [plan]});
        let findings = validate_offering(&offering, "").1;
        let found: Vec<_> =
            findings.iter().map(|finding| (finding.severity, finding.pointer.trim_start_matches("/plans/0"))).collect();
        assert_eq!(found, expected);
    }

    fn schema(schema: Value) -> Value {
        json!({"service_instance": {"create": {"parameters": schema}}})
    }

    #[test]
    fn pln_11_maintenance_versions_are_semantic() {
        for good in ["0.0.0", "2.1.1+abcdef", "1.0.0-alpha.1", "1.0.0--", "10.20.30-rc-1.0a+001.x"] {
            assert!(is_semver(good), "{good}");
        }
        for bad in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "01.2.3",
            "1.2.x",
            "v1.2.3",
            "1.2.3-",
            "1.2.3+",
            "1.2.3-01",
            "1.2.3-a..b",
            "1.2.3+ä",
        ] {
            assert!(!is_semver(bad), "{bad}");
        }
        check("maintenance_info", json!({"version": "1.2"}), &[(Severity::Error, "/maintenance_info/version")]);
        check("maintenance_info", json!({}), &[(Severity::Error, "/maintenance_info/version")]);
        check("maintenance_info", json!({"version": "1.2.3"}), &[]);
    }

    #[test]
    fn pln_09_sch_01_a_schema_has_a_dialect_no_reference_to_elsewhere_and_at_most_64_kb() {
        let at = "/schemas/service_instance/create/parameters";
        check("schemas", schema(json!({"$schema": "http://json-schema.org/draft-04/schema#"})), &[]);
        check("schemas", schema(json!({})), &[(Severity::Warning, &format!("{at}/$schema"))]);
        check("schemas", schema(json!("x")), &[(Severity::Error, at)]);
        let internal =
            json!({"$schema": "s", "properties": {"a": {"$ref": "#/definitions/a"}, "$ref": {"type": "string"}}});
        check("schemas", schema(internal), &[]);
        let external = json!({"$schema": "s", "properties": {"a/b~": {"anyOf": [{"$ref": "https://example.com/x"}]}}});
        check("schemas", schema(external), &[(Severity::Warning, &format!("{at}/properties/a~1b~0/anyOf/0/$ref"))]);
        let large = json!({"$schema": "s", "description": "x".repeat(SCHEMA_BYTES)});
        check("schemas", schema(large), &[(Severity::Warning, at)]);
    }

    #[test]
    fn sch_03_a_binding_schema_of_a_plan_that_cannot_be_bound_is_a_warning() {
        let schemas = json!({"service_binding": {"create": {"parameters": {"$schema": "s"}}}});
        check("schemas", schemas, &[(Severity::Warning, "/schemas/service_binding")]);
    }

    #[test]
    fn meta_02_03_what_people_are_shown_has_its_usual_form() {
        check("metadata", json!({"bullets": ["a"], "costs": [{"amount": {"usd": 99.0}, "unit": "MONTHLY"}]}), &[]);
        check("metadata", json!({"bullets": "a"}), &[(Severity::Warning, "/metadata/bullets")]);
        check("metadata", json!({"costs": {}}), &[(Severity::Warning, "/metadata/costs")]);
        let wrong = json!({"costs": [{"amount": {"usd": "99"}, "unit": "MONTHLY"}, {"amount": {"usd": 1}}]});
        check("metadata", wrong, &[(Severity::Warning, "/metadata/costs/0"), (Severity::Warning, "/metadata/costs/1")]);
    }
}
