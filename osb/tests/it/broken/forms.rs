//! Brokers that write the same things in other words than the exemplar: nobody may blame them either.

use bytes::Bytes;
use serde_json::{Value, json};

use super::choices::choice;
use super::{Fault, PATIENT, SMALL};
use crate::exemplar::wire::Endpoint::*;
use crate::exemplar::wire::{Answer, Site};

pub(super) const FORMS: &[Fault] = &[
    choice(
        "writes null for what there is not",
        SMALL,
        Site::Answer(|request, answer| {
            if matches!(request.endpoint(), Bind | FetchBinding) && !answer.is_error() {
                fill(answer, &["syslog_drain_url", "route_service_url", "volume_mounts"], &Value::Null);
            }
            if matches!(request.endpoint(), Provision | Update | Fetch) && !answer.is_error() {
                fill(answer, &["dashboard_url", "metadata"], &Value::Null);
            }
        }),
    ),
    choice(
        "writes empty lists for what there is not",
        SMALL,
        Site::Binding(|answer| fill(answer, &["volume_mounts"], &json!([]))),
    ),
    choice(
        "names operations with no characters, but those of updates",
        PATIENT,
        Site::Answer(|request, answer| {
            if answer.status == 202 && !request.is(Update) {
                answer.set("operation", json!(""));
            }
        }),
    ),
    choice(
        "shows more parameters than were given",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Fetch) && answer.status == 200 {
                answer.edit(|body| body["parameters"]["region"] = json!("here"));
            }
        }),
    ),
    choice("says nothing to whom it does not know", SMALL, Site::Answer(|_, answer| silence(answer, &[401]))),
    choice("says nothing where there is nothing", SMALL, Site::Answer(|_, answer| silence(answer, &[404, 410]))),
    choice("says nothing where there is something else", PATIENT, Site::Answer(|_, answer| silence(answer, &[409]))),
    choice(
        "issues a token with each fetch",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(FetchBinding) && answer.status == 200 {
                answer.edit(|body| body["credentials"]["token"] = json!(uuid::Uuid::new_v4().to_string()));
            }
        }),
    ),
    choice("closes each connection", SMALL, Site::Answer(|_, answer| answer.set_header("connection", "close"))),
    choice(
        "has a weak tag for its catalog",
        SMALL,
        Site::Answer(|request, answer| {
            let tag = answer.headers.get("etag").and_then(|tag| tag.to_str().ok()).map(|tag| format!("W/{tag}"));
            if let Some(tag) = tag.filter(|_| request.is(Catalog)) {
                answer.set_header("etag", &tag);
            }
        }),
    ),
    choice(
        "answers parameters that it can't take with a list of what is wrong",
        SMALL,
        Site::Answer(|_, answer| {
            if answer.status == 400 {
                answer.set("errors", json!([{"field": "/parameters", "message": "no"}]));
                answer.set("error", json!("InvalidParameters"));
            }
        }),
    ),
];

/// Sets what isn't there.
fn fill(answer: &mut Answer, names: &[&str], value: &Value) {
    for name in names {
        if answer.json().get(*name).is_none() {
            answer.set(name, value.clone());
        }
    }
}

/// No body at all.
fn silence(answer: &mut Answer, statuses: &[u16]) {
    if statuses.contains(&answer.status) {
        answer.body = Bytes::new();
        answer.headers.remove("content-type");
    }
}
