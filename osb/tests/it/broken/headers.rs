//! Faults in what surrounds every request: credentials, versions, identities, content types, ids in paths, unknown fields.

use serde_json::{Value, json};

use super::{Fault, PATIENT, SMALL, fault};
use crate::exemplar::wire::Endpoint::*;
use crate::exemplar::wire::{Answer, Request, Site, authorization};

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "lets everybody in",
        SMALL,
        Site::Request(|request| request.set_header("authorization", &authorization())),
        &["AUTH-02"],
        &["ERR-01"],
    ),
    fault(
        "lets everybody poll",
        PATIENT,
        Site::Request(|request| {
            if matches!(request.endpoint(), Poll | PollBinding) {
                request.set_header("authorization", &authorization());
            }
        }),
        &["AUTH-02"],
        &["ERR-01"],
    ),
    fault(
        "lets in whoever names a user, whatever the password",
        SMALL,
        Site::Request(|request| {
            if request.header("authorization").is_some_and(|value| value.starts_with("Basic ")) {
                request.set_header("authorization", &authorization());
            }
        }),
        &["AUTH-02"],
        &["ERR-01"],
    ),
    fault(
        "reads the body before it asks who calls",
        SMALL,
        Site::Instead(|request| {
            let body = matches!(request.endpoint(), Provision | Update | Bind);
            let early = body && !request.is_authorized() && !request.json().is_object();
            early.then(|| Answer::new(400, &json!({"description": "the body is no JSON object"})))
        }),
        &["AUTH-02"],
        &["ERR-01"],
    ),
    fault(
        "looks at the version before it asks who calls",
        SMALL,
        Site::Instead(|request| {
            let early = !request.is_authorized() && request.header("x-broker-api-version").is_none();
            early.then(|| Answer::new(412, &json!({"description": "send a version, such as 2.17"})))
        }),
        &["AUTH-02"],
        &["ERR-01"],
    ),
    fault(
        "looks the instance up before it asks who calls",
        SMALL,
        Site::Answer(|request, answer| {
            if answer.status == 401 && matches!(request.endpoint(), Deprovision | Unbind) {
                answer.replace(Answer::new(410, &json!({})));
            }
        }),
        &["AUTH-02"],
        &["ERR-01"],
    ),
    fault(
        "forbids whom it does not know",
        SMALL,
        Site::Answer(|_, answer| {
            if answer.status == 401 {
                answer.status = 403;
            }
        }),
        &["AUTH-02"],
        &["ERR-01"],
    ),
    fault(
        "redirects whom it does not know to a page to sign in",
        SMALL,
        Site::Answer(|_, answer| {
            if answer.status == 401 {
                answer.replace(Answer::text(302, "<a href=/login>"));
                answer.set_header("location", "/login");
            }
        }),
        &["AUTH-02"],
        &["ERR-01"],
    ),
    fault(
        "wants no credentials but a token for fetching",
        SMALL,
        Site::Instead(|request| {
            let refused = request.is(Fetch) && request.is_authorized();
            refused.then(|| Answer::new(401, &json!({"description": "send a token"})))
        }),
        &["AUTH-01"],
        &["ERR-01", "GSI-01", "GSI-02", "GSI-03", "GSI-04", "UPD-02", "UPD-03", "UPD-06", "UPD-17", "EXT-01"],
    ),
    fault(
        "speaks 2.17 and nothing else",
        SMALL,
        Site::Instead(|request| {
            let version = request.header("x-broker-api-version").unwrap_or("2.17");
            let refused = request.is_authorized() && version != "2.17";
            refused.then(|| Answer::new(412, &json!({"description": "send the version 2.17"})))
        }),
        &["VER-04"],
        &[],
    ),
    fault(
        "reads a version as a decimal number",
        SMALL,
        Site::Instead(|request| {
            let version: f64 = request.header("x-broker-api-version")?.parse().ok()?;
            let refused = request.is_authorized() && !(2.13..3.0).contains(&version);
            refused.then(|| Answer::new(412, &json!({"description": "send a version from 2.13 on"})))
        }),
        &["VER-04"],
        &[],
    ),
    fault(
        "refuses a version without a word",
        SMALL,
        Site::Answer(|_, answer| {
            if answer.status == 412 {
                answer.replace(Answer::new(412, &json!({})));
            }
        }),
        &["VER-02"],
        &["VER-03", "AMB-01"],
    ),
    fault(
        "breaks on a version it does not know",
        SMALL,
        Site::Answer(|_, answer| {
            if answer.status == 412 {
                answer.status = 500;
            }
        }),
        &["VER-02"],
        &["VER-03", "AMB-01", "ERR-01", "ERR-10"],
    ),
    fault(
        "never echoes the request identity",
        SMALL,
        Site::Answer(|_, answer| {
            answer.headers.remove("x-broker-api-request-identity");
        }),
        &["RID-02"],
        &[],
    ),
    fault(
        "echoes the request identity in success only",
        SMALL,
        Site::Answer(|_, answer| {
            if answer.is_error() {
                answer.headers.remove("x-broker-api-request-identity");
            }
        }),
        &["RID-02"],
        &[],
    ),
    fault(
        "makes up a request identity of its own",
        SMALL,
        Site::Answer(|_, answer| {
            if answer.headers.contains_key("x-broker-api-request-identity") {
                answer.set_header("x-broker-api-request-identity", "its-own");
            }
        }),
        &["RID-02"],
        &[],
    ),
    fault(
        "breaks on a malformed originating identity",
        SMALL,
        Site::Instead(|request| {
            let value = request.header("x-broker-api-originating-identity")?;
            identity(value).is_none().then(|| Answer::new(500, &json!({"description": "not a JSON object"})))
        }),
        &["OID-02"],
        &["ERR-10"],
    ),
    fault(
        "refuses white space in an originating identity",
        SMALL,
        Site::Instead(|request| {
            let value = osb::OriginatingIdentity(request.header("x-broker-api-originating-identity")?.to_owned());
            let spaced = value.decoded()?.iter().any(u8::is_ascii_whitespace);
            spaced.then(|| Answer::new(400, &json!({"description": "there is white space in it"})))
        }),
        &["OID-06"],
        &["OID-01", "OID-07"],
    ),
    fault(
        "knows identities of Cloud Foundry only",
        SMALL,
        Site::Instead(|request| {
            let value = request.header("x-broker-api-originating-identity")?;
            (!value.starts_with("cloudfoundry "))
                .then(|| Answer::new(400, &json!({"description": "the platform is not cloudfoundry"})))
        }),
        &["OID-07"],
        &["OID-01", "OID-02", "PRO-01"],
    ),
    fault(
        "wants nothing but a user_id in an identity of Cloud Foundry",
        SMALL,
        Site::Instead(|request| {
            let value = request.header("x-broker-api-originating-identity")?;
            let more = value.starts_with("cloudfoundry ") && identity(value)?.len() > 1;
            more.then(|| Answer::new(400, &json!({"description": "there is more than user_id in it"})))
        }),
        &["OID-06"],
        &["OID-01"],
    ),
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
        "takes UUIDs only",
        SMALL,
        Site::Instead(|request| {
            let id = request.path.split('/').nth(3)?;
            let refused = request.is_authorized() && request.is(Provision) && uuid::Uuid::parse_str(id).is_err();
            refused.then(|| Answer::new(400, &json!({"description": "the id is no UUID"})))
        }),
        &["AMB-16"],
        &["URL-01", "PRV-01", "BND-02"],
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
        "knows no content type but the bare one",
        SMALL,
        Site::Instead(|request| {
            let refused = request.header("content-type").is_some_and(|value| value.contains(';'));
            (refused && request.is_authorized())
                .then(|| Answer::new(415, &json!({"description": "the content type is not application/json"})))
        }),
        &["CT-02"],
        &["CT-01", "ERR-01"],
    ),
    fault(
        "answers 415 to another content type",
        SMALL,
        Site::Instead(|request| {
            let refused = request.header("content-type").is_some_and(|value| !value.contains("json"));
            (refused && request.is_authorized())
                .then(|| Answer::new(415, &json!({"description": "the content type is not application/json"})))
        }),
        &["CT-02"],
        &["ERR-01"],
    ),
    fault(
        "sends JSON as plain text",
        SMALL,
        Site::Answer(|_, answer| answer.set_header("content-type", "text/plain; charset=utf-8")),
        &["CT-01"],
        &[],
    ),
    fault(
        "sends JSON as plain text in errors of a bind",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Bind) && answer.is_error() {
                answer.set_header("content-type", "text/plain");
            }
        }),
        &["CT-01"],
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

fn identity(value: &str) -> Option<osb::Object> {
    osb::OriginatingIdentity(value.to_owned()).value()
}

fn say_true(request: &mut Request, counts: fn(&str) -> bool) {
    if request.query("accepts_incomplete").is_some_and(counts) {
        request.set_query("accepts_incomplete", "true");
    }
}
