//! Faults of brokers that take too much or too little: ids, fields, contexts and flags.

use serde_json::{Value, json};

use super::{Fault, PATIENT, SMALL, fault};
use crate::exemplar::wire::Endpoint::Provision;
use crate::exemplar::wire::{Answer, Request, Site};

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "decodes ids twice",
        SMALL,
        Site::Request(|request| {
            // What is decoded once more than it was encoded is encoded as it then stands, so that it stays one segment.
            let again = |segment: &str| {
                osb::wire::decode(segment)
                    .map_or_else(|| segment.to_owned(), |id| osb::wire::encode(&osb::wire::decode(&id).unwrap_or(id)))
            };
            request.path = request.path.split('/').map(again).collect::<Vec<_>>().join("/");
        }),
        &["URL-01"],
        &["PRV-01", "BND-02", "AMB-16", "ERR-01"],
    ),
    fault(
        "does not tell capital letters in ids from small ones",
        SMALL,
        Site::Request(|request| {
            let small = |segment: &str| osb::wire::decode(segment).map(|id| osb::wire::encode(&id.to_lowercase()));
            let segments = request.path.split('/').map(|segment| small(segment).unwrap_or_else(|| segment.to_owned()));
            request.path = segments.collect::<Vec<_>>().join("/");
        }),
        &["URL-01"],
        &["PRV-01"],
    ),
    fault(
        "takes UUIDs only",
        SMALL,
        Site::Instead(|request| {
            let id = request.path.split('/').nth(3)?;
            let refused = request.is_authorized() && request.is(Provision) && uuid::Uuid::parse_str(id).is_err();
            refused.then(|| Answer::new(400, &json!({"description": "the id is no UUID"})))
        }),
        &["AMB-16", "PRV-01"],
        &["URL-01", "BND-02"],
    ),
    fault(
        "refuses fields that it does not know",
        SMALL,
        Site::Instead(|request| {
            let known = [
                "service_id",
                "plan_id",
                "organization_guid",
                "space_guid",
                "context",
                "parameters",
                "maintenance_info",
                "previous_values",
                "app_guid",
                "bind_resource",
                "predecessor_binding_id",
            ];
            let unknown = request.json().as_object()?.keys().any(|key| !known.contains(&key.as_str()));
            (unknown && request.is_authorized())
                .then(|| Answer::new(400, &json!({"description": "there is an unknown field"})))
        }),
        &["EXT-01"],
        &[],
    ),
    fault(
        "refuses platforms that the profile does not name",
        SMALL,
        Site::Instead(|request| {
            let body = request.json();
            let platform = body.pointer("/context/platform").and_then(Value::as_str)?;
            (!matches!(platform, "cloudfoundry" | "kubernetes"))
                .then(|| Answer::new(400, &json!({"description": "the platform is not known"})))
        }),
        &["PRO-01"],
        &["CTX-02", "CTX-03", "UPD-06"],
    ),
    fault(
        "refuses a context of Cloud Foundry without names",
        SMALL,
        Site::Instead(|request| {
            let body = request.json();
            let context = body.get("context")?;
            let nameless = context["platform"] == "cloudfoundry" && context.get("organization_name").is_none();
            nameless.then(|| Answer::new(400, &json!({"description": "organization_name is missing"})))
        }),
        &["CTX-03"],
        &["PRO-01"],
    ),
    fault(
        "refuses what a context does not name",
        SMALL,
        Site::Instead(|request| {
            let body = request.json();
            let known = [
                "platform",
                "organization_guid",
                "organization_name",
                "organization_annotations",
                "space_guid",
                "space_name",
                "space_annotations",
                "instance_name",
                "instance_annotations",
                "namespace",
                "namespace_annotations",
                "clusterid",
            ];
            let unknown = body.get("context")?.as_object()?.keys().any(|key| !known.contains(&key.as_str()));
            unknown.then(|| Answer::new(400, &json!({"description": "there is an unknown property"})))
        }),
        &["CTX-02"],
        &["EXT-01", "PRO-01"],
    ),
    fault(
        "takes accepts_incomplete=TRUE as true",
        PATIENT,
        Site::Request(|request| say_true(request, |value| value.eq_ignore_ascii_case("true"))),
        &["AMB-12"],
        &["ASY-01"],
    ),
    fault(
        "takes any accepts_incomplete as true, false included",
        PATIENT,
        Site::Request(|request| say_true(request, |_| true)),
        &["ASY-01"],
        &["AMB-12", "PRV-12", "BND-14", "UPD-15", "UNB-05", "DEP-06", "ERR-05"],
    ),
    fault(
        "refuses null for what is optional",
        SMALL,
        Site::Instead(|request| {
            let body = request.json();
            let refused = body.as_object()?.values().any(Value::is_null) && body["service_id"].is_string();
            let required =
                ["plan_id", "organization_guid", "space_guid"].iter().any(|name| body.get(name) == Some(&Value::Null));
            (refused && !required).then(|| Answer::new(400, &json!({"description": "there is a null"})))
        }),
        &["AMB-15"],
        &["AMB-11"],
    ),
    fault(
        "refuses empty objects",
        SMALL,
        Site::Instead(|request| {
            let body = request.json();
            let empty = |name: &str| body.get(name).and_then(Value::as_object).is_some_and(|object| object.is_empty());
            ["maintenance_info", "previous_values", "bind_resource"]
                .into_iter()
                .any(empty)
                .then(|| Answer::new(400, &json!({"description": "there is an empty object"})))
        }),
        &["AMB-11"],
        &[],
    ),
];

fn say_true(request: &mut Request, counts: fn(&str) -> bool) {
    if request.query("accepts_incomplete").is_some_and(counts) {
        request.set_query("accepts_incomplete", "true");
    }
}
