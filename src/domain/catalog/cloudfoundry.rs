//! What Cloud Controller refuses, left out of what Cloud Foundry gets. It refuses a catalog as a whole for one bad field, so
//! one broker's slip would take all others down with it.

use osb::Object;
use serde_json::Value;

use super::schema;

/// What an offering may require of the platform.
const REQUIRES: [&str; 3] = ["syslog_drain", "route_forwarding", "volume_mount"];
/// All tags of an offering together, in characters.
const TAGS_MAX: usize = 2048;
/// Where a plan may hold schemas.
const SCHEMAS: [[&str; 2]; 3] =
    [["service_instance", "create"], ["service_instance", "update"], ["service_binding", "create"]];

/// Leaves out of a rendered offering what Cloud Controller refuses.
pub fn fit(offering: &mut Object) {
    if !offering.get("dashboard_client").is_none_or(dashboard_client_complete) {
        offering.shift_remove("dashboard_client");
    }
    if let Some(requires) = offering.get_mut("requires").and_then(Value::as_array_mut) {
        requires.retain(|item| item.as_str().is_some_and(|item| REQUIRES.contains(&item)));
    }
    if let Some(tags) = offering.get_mut("tags").and_then(Value::as_array_mut) {
        let mut length = 0;
        tags.retain(|tag| {
            length += tag.as_str().map_or(0, |tag| tag.chars().count());
            length <= TAGS_MAX
        });
    }
    if let Some(metadata) = offering.get_mut("metadata").and_then(Value::as_object_mut)
        && metadata.get("shareable").is_some_and(|shareable| !shareable.is_boolean())
    {
        metadata.shift_remove("shareable");
    }
    for plan in offering.get_mut("plans").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(plan) = plan.as_object_mut() {
            fit_plan(plan);
        }
    }
}

/// Cloud Controller requires all three, the last one against OSB.
fn dashboard_client_complete(client: &Value) -> bool {
    let filled = |name| client.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    ["id", "secret", "redirect_uri"].into_iter().all(filled)
}

fn fit_plan(plan: &mut Object) {
    let maintained = plan.get("maintenance_info").and_then(|info| info.get("version")).and_then(Value::as_str);
    if plan.get("maintenance_info").is_some_and(|info| !info.is_null()) && !maintained.is_some_and(semantic_version) {
        plan.shift_remove("maintenance_info");
    }
    let Some(schemas) = plan.get_mut("schemas") else { return };
    for [resource, action] in SCHEMAS {
        let Some(actions) = schemas.get_mut(resource).and_then(Value::as_object_mut) else { continue };
        let Some(holder) = actions.get_mut(action).and_then(Value::as_object_mut) else { continue };
        if holder.get("parameters").is_some_and(|schema| !schema_accepted(schema)) {
            actions.shift_remove(action);
        }
    }
}

/// It reads schemas as draft 4, wants `$schema`, and follows no reference to elsewhere.
fn schema_accepted(schema: &Value) -> bool {
    schema.get("$schema").is_some()
        && schema::size(schema) <= schema::BYTES_MAX
        && !schema::refers_elsewhere(schema)
        && draft_4(schema)
}

fn draft_4(schema: &Value) -> bool {
    jsonschema::draft4::meta::validate(schema).is_ok()
}

/// Semantic Versioning 2.0, by its grammar.
pub fn semantic_version(version: &str) -> bool {
    let identifiers = |text: &str, leading_zeros: bool| {
        text.split('.').all(|part| {
            let number = part.bytes().all(|b| b.is_ascii_digit());
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && (leading_zeros || !number || part == "0" || !part.starts_with('0'))
        })
    };
    let (rest, build) = version.split_once('+').map_or((version, None), |(rest, build)| (rest, Some(build)));
    let (core, pre) = rest.split_once('-').map_or((rest, None), |(core, pre)| (core, Some(pre)));
    core.split('.').count() == 3
        && core.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && identifiers(core, false)
        && pre.is_none_or(|pre| identifiers(pre, false))
        && build.is_none_or(|build| identifiers(build, true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(offering: Value, expected: &Value) {
        let Value::Object(mut fields) = offering else { panic!("an object") };
        fit(&mut fields);
        assert_eq!(&Value::Object(fields), expected);
    }

    #[test]
    fn svc_05_unknown_requires_are_dropped() {
        check(json!({"requires": ["syslog_drain", "teleport", 1]}), &json!({"requires": ["syslog_drain"]}));
    }

    #[test]
    fn svc_11_an_incomplete_dashboard_client_is_dropped() {
        let complete = json!({"dashboard_client": {"id": "a", "secret": "b", "redirect_uri": "c"}});
        check(complete.clone(), &complete);
        check(json!({"dashboard_client": {"id": "a", "secret": "b"}}), &json!({}));
        check(json!({"dashboard_client": {"id": "a", "secret": "", "redirect_uri": "c"}}), &json!({}));
        check(json!({"dashboard_client": null}), &json!({}));
    }

    #[test]
    fn meta_01_shareable_must_be_a_boolean() {
        check(json!({"metadata": {"shareable": "yes", "x": 1}}), &json!({"metadata": {"x": 1}}));
        check(json!({"metadata": {"shareable": true}}), &json!({"metadata": {"shareable": true}}));
    }

    #[test]
    fn tags_are_cut_at_what_cloud_controller_takes() {
        let long = "x".repeat(2048);
        check(json!({"tags": [long, "y"]}), &json!({"tags": [long]}));
    }

    #[test]
    fn pln_11_a_version_that_is_none_is_dropped() {
        let plan = |version: &str| json!({"plans": [{"maintenance_info": {"version": version}}]});
        check(plan("2.1.1+abcdef"), &plan("2.1.1+abcdef"));
        check(plan("1.0.0-alpha.1"), &plan("1.0.0-alpha.1"));
        for version in ["1", "1.0", "v1.0.0", "01.0.0", "1.0.0-", "1.0.0+", "1.0.0-01", ""] {
            check(plan(version), &json!({"plans": [{}]}));
        }
    }

    #[test]
    fn sch_01_schemas_that_cloud_controller_refuses_are_dropped() {
        let plan =
            |schema: Value| json!({"plans": [{"schemas": {"service_instance": {"create": {"parameters": schema}}}}]});
        let none = json!({"plans": [{"schemas": {"service_instance": {}}}]});
        let draft = "http://json-schema.org/draft-04/schema#";
        let good = plan(json!({"$schema": draft, "type": "object"}));
        check(good.clone(), &good);
        check(plan(json!({"type": "object"})), &none);
        check(plan(json!({"$schema": draft, "properties": {"a": {"$ref": "http://example.com/"}}})), &none);
        check(plan(json!({"$schema": draft, "description": "x".repeat(65_536)})), &none);
        check(plan(json!({"$schema": draft, "exclusiveMinimum": 5})), &none);
        check(plan(json!("no schema")), &none);
    }
}
