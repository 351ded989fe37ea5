//! What Cloud Controller refuses, left out of what Cloud Foundry gets. It refuses a catalog as a whole for one bad field, so
//! one broker's slip would take all others down with it.
//!
//! Its rules are in cloudfoundry/cloud_controller_ng, read as of August 2026: `lib/services/service_brokers/v2/catalog*.rb` and
//! `schema.rb`, and the columns that it stores a catalog in (`db/migrations`). The tests below name the one for each case. What
//! import refuses for every platform already (`osb::catalog`) isn't looked for here. Three refusals nothing can be done about:
//! a catalog without an offering, a route or volume service where the operator switched those off, and a dashboard client that
//! another broker of the same foundation has.

use std::collections::HashSet;

use osb::Object;
use serde_json::Value;

use super::schema;

/// What an offering may require of the platform.
const REQUIRES: [&str; 3] = ["syslog_drain", "route_forwarding", "volume_mount"];
/// All tags of an offering together, in characters.
const TAGS_MAX: usize = 2048;
/// A description, in characters.
const DESCRIPTION_MAX: usize = 10_000;
/// Names and ids, in characters: its columns on MySQL.
const NAME_MAX: usize = 255;
/// Its column for seconds.
const SECONDS_MAX: u64 = i32::MAX as u64;
/// `maintenance_info` as JSON.
const MAINTENANCE_MAX: usize = 2000;
/// A schema as JSON: one byte less than OSB allows, its column on MySQL.
const SCHEMA_MAX: usize = schema::BYTES_MAX - 1;
/// Where a plan may hold schemas.
const SCHEMAS: [[&str; 2]; 3] =
    [["service_instance", "create"], ["service_instance", "update"], ["service_binding", "create"]];
/// The drafts of JSON Schema that the library below it knows. It takes any other for one that somebody made up.
const DRAFTS: [&str; 5] = ["draft-01", "draft-02", "draft-03", "draft-04", "draft-06"];

/// Leaves out of a rendered offering what Cloud Controller refuses. Whether an offering is left: one without a name or without a
/// plan is none.
#[must_use]
pub fn fit(offering: &mut Object) -> bool {
    if !offering.get("dashboard_client").is_none_or(dashboard_client_complete) {
        offering.shift_remove("dashboard_client");
    }
    for name in ["requires", "tags"] {
        if offering.get(name).is_some_and(Value::is_null) {
            offering.shift_remove(name);
        }
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
    fit_description(offering);
    let mut names = HashSet::new();
    let Some(plans) = offering.get_mut("plans").and_then(Value::as_array_mut) else { return false };
    plans.retain_mut(|plan| plan.as_object_mut().is_some_and(|plan| fit_plan(plan, &mut names)));
    !plans.is_empty() && is_named(offering)
}

/// Cloud Controller requires all three, the last one against OSB.
fn dashboard_client_complete(client: &Value) -> bool {
    let filled = |name| client.get(name).and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty());
    let short = client.get("id").and_then(Value::as_str).is_some_and(|id| id.chars().count() <= NAME_MAX);
    ["id", "secret", "redirect_uri"].into_iter().all(filled) && short
}

/// Whether its name and id can be stored, and say something.
fn is_named(object: &Object) -> bool {
    ["name", "id"].into_iter().all(|field| {
        let text = object.get(field).and_then(Value::as_str).unwrap_or_default();
        !text.trim().is_empty() && text.chars().count() <= NAME_MAX
    })
}

/// Cuts a description, and says the name where it says nothing.
fn fit_description(object: &mut Object) {
    let description = object.get("description").and_then(Value::as_str).unwrap_or_default();
    if description.trim().is_empty() {
        let name = object.get("name").cloned().unwrap_or_default();
        object.insert("description".to_owned(), name);
    } else if let Some((end, _)) = description.char_indices().nth(DESCRIPTION_MAX) {
        let cut = description.get(..end).unwrap_or_default().to_owned();
        object.insert("description".to_owned(), cut.into());
    }
}

/// Whether the plan is left: one whose name another plan of the offering has already is not. Case and the blanks around a name
/// don't count.
fn fit_plan(plan: &mut Object, names: &mut HashSet<String>) -> bool {
    let name = plan.get("name").and_then(Value::as_str).unwrap_or_default().trim().to_lowercase();
    if !is_named(plan) || !names.insert(name) {
        return false;
    }
    fit_description(plan);
    if plan.get("maximum_polling_duration").and_then(Value::as_u64).is_some_and(|seconds| seconds > SECONDS_MAX) {
        plan.insert("maximum_polling_duration".to_owned(), SECONDS_MAX.into());
    }
    fit_maintenance(plan);
    let Some(schemas) = plan.get_mut("schemas") else { return true };
    for [resource, action] in SCHEMAS {
        let Some(actions) = schemas.get_mut(resource).and_then(Value::as_object_mut) else { continue };
        let Some(holder) = actions.get_mut(action).and_then(Value::as_object_mut) else { continue };
        if holder.get("parameters").is_some_and(|schema| !schema_accepted(schema)) {
            actions.shift_remove(action);
        }
    }
    true
}

/// A version and a description, and nothing else, within its length.
fn fit_maintenance(plan: &mut Object) {
    let Some(info) = plan.get_mut("maintenance_info").filter(|info| !info.is_null()) else { return };
    let version = info.get("version").and_then(Value::as_str).filter(|version| semantic_version(version));
    let fits = version.is_some_and(|version| version.len() <= NAME_MAX);
    let Some(fields) = info.as_object_mut().filter(|_| fits) else {
        plan.shift_remove("maintenance_info");
        return;
    };
    fields.retain(|name, _| name == "version" || name == "description");
    if length_as_json(info) > MAINTENANCE_MAX
        && let Some(fields) = info.as_object_mut()
    {
        fields.shift_remove("description");
    }
}

/// At most how long it writes that as JSON: it escapes what has a meaning in HTML.
fn length_as_json(value: &Value) -> usize {
    let text = value.to_string();
    text.len() + 5 * text.bytes().filter(|byte| matches!(byte, b'<' | b'>' | b'&')).count()
}

/// It reads schemas as draft 4, wants a `$schema` that it knows, and follows no reference to elsewhere.
fn schema_accepted(schema: &Value) -> bool {
    schema.get("$schema").is_some_and(Value::is_string)
        && dialects_known(schema)
        && length_as_json(schema) <= SCHEMA_MAX
        && !schema::refers_elsewhere(schema)
        && draft_4(schema)
}

/// Whether each `$schema` in it, at whatever depth, is a draft that it knows.
fn dialects_known(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => fields.iter().all(|(name, value)| match value {
            Value::String(dialect) if name == "$schema" => {
                let draft = dialect.strip_prefix("http://json-schema.org/").unwrap_or_default();
                let draft = draft.split('#').next().and_then(|draft| draft.strip_suffix("/schema"));
                draft.is_some_and(|draft| DRAFTS.contains(&draft))
            }
            value => dialects_known(value),
        }),
        Value::Array(items) => items.iter().all(dialects_known),
        _ => true,
    }
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

    const DRAFT_4: &str = "http://json-schema.org/draft-04/schema#";

    /// An offering that nobody refuses, with that at that place.
    fn with(pointer: &str, value: Value) -> Value {
        let mut offering = json!({
            "name": "db", "id": "o", "description": "A database", "bindable": true,
            "plans": [{"name": "small", "id": "p", "description": "A plan"}, {"name": "large", "id": "q", "description": "A plan"}],
        });
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        match offering.pointer_mut(parent).unwrap() {
            Value::Array(items) if field == "-" => items.push(value),
            place => place[field] = value,
        }
        offering
    }

    fn without(pointer: &str) -> Value {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let mut offering = with("/x", json!(0));
        for (parent, field) in [("", "x"), (parent, field)] {
            offering.pointer_mut(parent).unwrap().as_object_mut().unwrap().shift_remove(field);
        }
        offering
    }

    /// What is shown of that: `null` where nothing is.
    #[track_caller]
    fn check(rule: &str, offered: Value, shown: &Value) {
        let Value::Object(mut fields) = offered.clone() else { panic!("an object") };
        let left = fit(&mut fields);
        let fields = if left { Value::Object(fields) } else { Value::Null };
        assert_eq!(&fields, shown, "{rule}");
        if left {
            let again = fields.clone();
            let Value::Object(mut fields) = fields else { panic!("an object") };
            assert!(fit(&mut fields) && Value::Object(fields) == again, "{rule}: what is shown is refused");
        }
    }

    #[track_caller]
    fn unchanged(rule: &str, pointer: &str, value: Value) {
        check(rule, with(pointer, value.clone()), &with(pointer, value));
    }

    #[track_caller]
    fn replaced(rule: &str, pointer: &str, value: Value, by: Value) {
        check(rule, with(pointer, value), &with(pointer, by));
    }

    #[track_caller]
    fn dropped(rule: &str, pointer: &str, value: Value) {
        check(rule, with(pointer, value), &without(pointer));
    }

    #[test]
    fn the_reference_brokers_catalogs_are_shown_whole() {
        for text in [include_str!("../../../catalog/faults.json"), include_str!("../../../catalog/vnet-ipam.json")] {
            let catalog: Value = serde_json::from_str(text).unwrap();
            let offering = &catalog["services"][0];
            assert!(offering.pointer("/plans/0/schemas/service_instance/create/parameters/$schema").is_some());
            check("the whole offering", offering.clone(), offering);
        }
    }

    #[test]
    fn what_it_refuses_in_an_offering_is_left_out() {
        unchanged("what is in order stays as it came", "/x-unknown", json!({"a": [1, null]}));
        for (rule, name) in [("SVC-01 blank", " \u{a0}".to_owned()), ("CAT-05 longer than the column", "x".repeat(256))]
        {
            check(rule, with("/name", name.clone().into()), &Value::Null);
            check(rule, with("/id", name.into()), &Value::Null);
        }
        replaced("SVC-03 catalog_validation_helper.rb: required, not blank", "/description", json!(" \n"), json!("db"));
        let long = "ä".repeat(10_001);
        replaced("SVC-03 validate_description!", "/description", json!(long), json!("ä".repeat(10_000)));
        unchanged("SVC-03 validate_description!", "/description", json!("ä".repeat(10_000)));
        dropped("SVC-04 validate_tags!: no array", "/tags", json!(null));
        let tag = "x".repeat(2048);
        replaced("SVC-04 validate_tags!: 2048 characters", "/tags", json!([tag, "y"]), json!([tag]));
        dropped("SVC-05 validate_array_of_strings!: no array", "/requires", json!(null));
        replaced(
            "SVC-05 validate_requires",
            "/requires",
            json!(["syslog_drain", "teleport", 1]),
            json!(["syslog_drain"]),
        );
        let metadata = json!({"shareable": "yes", "x": 1});
        replaced("META-01 validate_metadata!", "/metadata", metadata, json!({"x": 1}));
        unchanged("META-01 validate_metadata!", "/metadata", json!({"shareable": true}));
        check("SVC-13 at least one plan", with("/plans", json!([])), &Value::Null);
        let blank = json!([{"name": " ", "id": "p", "description": "d"}]);
        check("SVC-13 at least one plan that is left", with("/plans", blank), &Value::Null);
    }

    #[test]
    fn svc_11_a_dashboard_client_that_it_refuses_is_left_out() {
        let client = |id: &str, secret: &str, uri: &str| json!({"id": id, "secret": secret, "redirect_uri": uri});
        let rule = "catalog_service.rb, validate_dashboard_client_attributes!";
        unchanged(rule, "/dashboard_client", client("a", "b", "https://c"));
        for refused in
            [client("", "b", "c"), client("a", " ", "c"), client("a", "b", "\t"), json!({"id": "a", "secret": "b"})]
        {
            dropped(rule, "/dashboard_client", refused);
        }
        dropped("service_dashboard_clients.uaa_id", "/dashboard_client", client(&"x".repeat(256), "b", "c"));
        dropped("null is none", "/dashboard_client", json!(null));
    }

    #[test]
    fn what_it_refuses_in_a_plan_is_left_out() {
        let plan = |name: &str, id: &str| json!({"name": name, "id": id, "description": "A plan"});
        let plans = with("/x", json!(0))["plans"].clone();
        for (rule, refused) in [
            ("PLN-02 the index on name and offering knows no case (citext)", plan("SMALL", "r")),
            ("PLN-02 strip_attributes :name", plan(" small ", "r")),
            ("PLN-02 required, not blank", plan(" ", "r")),
            ("PLN-02 longer than the column", plan(&"x".repeat(256), "r")),
            ("PLN-01 longer than the column", plan("third", &"x".repeat(256))),
        ] {
            let Value::Array(mut offered) = plans.clone() else { panic!("plans") };
            offered.push(refused);
            replaced(rule, "/plans", Value::Array(offered), plans.clone());
        }
        let at = |field: &str| format!("/plans/0/{field}");
        replaced("PLN-03 required, not blank", &at("description"), json!(" "), json!("small"));
        let (long, cut) = ("x".repeat(10_001), "x".repeat(10_000));
        replaced("PLN-03 validate_description!", &at("description"), json!(long), json!(cut));
        let polling = at("maximum_polling_duration");
        unchanged("PLN-10", &polling, json!(i32::MAX));
        replaced("PLN-10 wider than the column", &polling, json!(1_u64 << 31), json!(i32::MAX));
    }

    #[test]
    fn pln_11_maintenance_info_that_it_refuses_is_left_out() {
        let at = "/plans/0/maintenance_info";
        let rule = "catalog_plan.rb, validate_maintenance_info!";
        for good in ["2.1.1+abcdef", "1.0.0-alpha.1"] {
            unchanged(rule, at, json!({"version": good, "description": "A patch"}));
        }
        for version in ["1", "1.0", "v1.0.0", "01.0.0", "1.0.0-", "1.0.0+", "1.0.0-01", ""] {
            dropped(rule, at, json!({"version": version}));
        }
        let (version, more) = (json!({"version": "1.0.0"}), json!({"version": "1.0.0", "x-unknown": 1}));
        replaced("validate_maintenance_info_keys!", at, more, version.clone());
        let described = |length: usize| json!({"version": "1.0.0", "description": "<".repeat(length)});
        unchanged("validate_length_as_json!, escaped as Rails does", at, described(300));
        replaced("validate_length_as_json!, escaped as Rails does", at, described(400), version);
        dropped("longer than may be", at, json!({"version": format!("1.0.0+{}", "x".repeat(2000))}));
    }

    #[test]
    fn sch_01_schemas_that_it_refuses_are_left_out() {
        let plan = |place: &str, schema: Value| {
            let (resource, action) = place.split_once('/').unwrap();
            with("/plans/0/schemas", json!({resource: {action: {"parameters": schema}}}))
        };
        for place in ["service_instance/create", "service_instance/update", "service_binding/create"] {
            let resource = place.split('/').next().unwrap();
            let none = with("/plans/0/schemas", json!({resource: {}}));
            let long = "x".repeat(65_535);
            for draft in [DRAFT_4, "http://json-schema.org/draft-04/schema", "http://json-schema.org/draft-06/schema#"]
            {
                let good = plan(place, json!({"$schema": draft, "type": "object"}));
                check("a draft that it knows", good.clone(), &good);
            }
            for (rule, refused) in [
                ("validate_metaschema_provided", json!({"type": "object"})),
                ("validate_metaschema_provided", json!({"$schema": null})),
                ("a custom metaschema", json!({"$schema": "http://json-schema.org/draft-07/schema#"})),
                ("a custom metaschema", json!({"$schema": "https://json-schema.org/draft/2020-12/schema"})),
                ("a custom metaschema", json!({"$schema": "https://json-schema.org/draft-04/schema#"})),
                ("a custom metaschema", json!({"$schema": "http://example.com/schema"})),
                ("one below", json!({"$schema": DRAFT_4, "properties": {"a": {"$schema": "http://example.com/"}}})),
                (
                    "an external reference",
                    json!({"$schema": DRAFT_4, "properties": {"a": {"$ref": "http://example.com/"}}}),
                ),
                ("an external reference", json!({"$schema": DRAFT_4, "$ref": "path/to/schema.json"})),
                ("MAX_SCHEMA_SIZE", json!({"$schema": DRAFT_4, "description": long})),
                (
                    "MAX_SCHEMA_SIZE, escaped as Rails does",
                    json!({"$schema": DRAFT_4, "description": "&".repeat(11_000)}),
                ),
                ("no draft 4", json!({"$schema": DRAFT_4, "exclusiveMinimum": 5})),
                ("no draft 4", json!({"$schema": DRAFT_4, "properties": true})),
                ("no schema", json!("no schema")),
            ] {
                check(rule, plan(place, refused), &none);
            }
            let property = json!({"$schema": DRAFT_4, "properties": {"$schema": {"type": "string"}}});
            let good = plan(place, property);
            check("a property of that name is none", good.clone(), &good);
        }
    }
}
