//! Faults in fetching instances and bindings.

use serde_json::json;

use super::{Fault, PATIENT, SMALL, fault, restatus};
use crate::exemplar::Quirk;
use crate::exemplar::wire::Endpoint::*;
use crate::exemplar::wire::{Answer, Site};

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "answers 410 where an instance is not found",
        SMALL,
        Site::Answer(|request, answer| restatus(Fetch, request, answer, 404, 410)),
        &["GSI-04"],
        &["ERR-01"],
    ),
    fault(
        "answers 410 when an instance is fetched that it deleted",
        SMALL,
        Site::Broker(Quirk::FetchesTheDeletedAsGone),
        &["GSI-04"],
        &["ERR-01"],
    ),
    fault(
        "breaks when a binding is fetched of an instance that there is not",
        SMALL,
        Site::Broker(Quirk::BreaksOnBindingsOfNothing),
        &["GSB-03"],
        &["ERR-01", "ERR-10"],
    ),
    fault(
        "answers 200 and nothing where an instance is not found",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Fetch) && answer.status == 404 {
                answer.replace(Answer::new(200, &json!({})));
            }
        }),
        &["GSI-04"],
        &["ERR-01", "ERR-09", "DEP-03", "CON-04"],
    ),
    fault(
        "shows an instance before it is provisioned",
        PATIENT,
        Site::Broker(Quirk::ShowsInstancesTooEarly),
        &["GSI-04"],
        &["ERR-01"],
    ),
    fault(
        "cannot show an instance when its operation has just succeeded",
        PATIENT,
        Site::Broker(Quirk::ReadsLag),
        &["GSI-01", "LOB-04"],
        &["GSB-01", "GSI-03", "GSB-02", "BND-16", "BND-17", "UPD-02", "UPD-03", "UPD-06", "GSI-02"],
    ),
    fault(
        "answers 404 to whoever fetches during an update",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Fetch) && answer.status == 422 {
                answer.replace(Answer::new(404, &json!({"description": "it is being updated"})));
            }
        }),
        &["GSI-05"],
        &["CON-06", "ERR-12", "ERR-06", "CON-01", "ERR-01"],
    ),
    fault(
        "has another word for an instance that is being updated",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Fetch) && answer.status == 422 {
                answer.set("error", json!("Busy"));
            }
        }),
        &["CON-06"],
        &["GSI-05", "ERR-12", "ERR-06", "CON-01"],
    ),
    fault(
        "fetches nothing although the offering says so",
        SMALL,
        Site::Instead(|request| {
            (request.is(Fetch) && request.is_authorized())
                .then(|| Answer::new(501, &json!({"description": "instances can't be fetched"})))
        }),
        &["GSI-01"],
        &["GSI-02", "GSI-03", "GSI-04", "ERR-01", "ERR-10", "UPD-02", "UPD-03", "UPD-06", "UPD-17", "OID-02"],
    ),
    fault(
        "wants the plan of whoever fetches",
        SMALL,
        Site::Instead(|request| {
            let refused = request.is(Fetch) && request.is_authorized() && request.query("plan_id").is_none();
            refused.then(|| Answer::new(400, &json!({"description": "plan_id is required"})))
        }),
        &["GSI-02"],
        &["GSI-01", "GSI-03", "GSI-04", "ERR-01", "UPD-02", "UPD-03", "UPD-06", "UPD-17"],
    ),
    fault(
        "refuses hints when an instance is fetched",
        SMALL,
        Site::Instead(|request| {
            let refused = request.is(Fetch) && request.is_authorized() && !request.query.is_empty();
            refused.then(|| Answer::new(400, &json!({"description": "there is a query"})))
        }),
        &["GSI-02"],
        &["GSI-01", "GSI-03", "GSI-04", "ERR-01", "UPD-02", "UPD-03", "UPD-06", "UPD-17"],
    ),
    fault(
        "shows the plan by its name",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Fetch) && answer.status == 200 {
                answer.set("plan_id", json!("small"));
            }
        }),
        &["GSI-03"],
        &["UPD-02", "UPD-05", "UPD-06", "UPD-17"],
    ),
    fault(
        "shows parameters as text",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Fetch) && answer.status == 200 {
                let text = answer.json()["parameters"].to_string();
                answer.set("parameters", json!(text));
            }
        }),
        &["GSI-03"],
        &["UPD-03", "UPD-06", "UPD-17"],
    ),
    fault(
        "shows maintenance_info as a version",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Fetch) && answer.status == 200 {
                answer.set("maintenance_info", json!("2.1.1+abcdef"));
            }
        }),
        &["GSI-03"],
        &[],
    ),
    fault(
        "answers 410 where a binding is not found",
        SMALL,
        Site::Answer(|request, answer| restatus(FetchBinding, request, answer, 404, 410)),
        &["GSB-03"],
        &["ERR-01"],
    ),
    fault(
        "shows a binding before it is made",
        PATIENT,
        Site::Broker(Quirk::ShowsBindingsTooEarly),
        &["GSB-03"],
        &["ERR-01"],
    ),
    fault(
        "fetches no bindings although the offering says so",
        SMALL,
        Site::Instead(|request| {
            (request.is(FetchBinding) && request.is_authorized())
                .then(|| Answer::new(404, &json!({"description": "bindings can't be fetched"})))
        }),
        &["GSB-01"],
        &["GSB-02", "ROT-04", "LOB-04", "UNB-08"],
    ),
    fault(
        "shows no credentials after an asynchronous bind",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(FetchBinding) && answer.status == 200 {
                answer.edit(|body| drop(body.as_object_mut().and_then(|body| body.remove("credentials"))));
            }
        }),
        &["GSB-02"],
        &["BND-16", "BND-17"],
    ),
    fault(
        "shows the parameters of a binding as a list",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(FetchBinding) && answer.status == 200 {
                answer.set("parameters", json!([]));
            }
        }),
        &["GSB-02"],
        &[],
    ),
];
