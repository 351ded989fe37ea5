//! Faults in updating.

use serde_json::{Value, json};

use super::{Fault, PATIENT, SMALL, fault, restatus};
use crate::exemplar::wire::Endpoint::*;
use crate::exemplar::wire::{Answer, Site};
use crate::exemplar::{Kind, OFFERING_STORE, Quirk};

/// The plan that can't change to another.
const ARCHIVE: &str = "archive";

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "does without service_id in an update",
        SMALL,
        Site::Request(|request| {
            if request.is(Update) && request.json().get("service_id").is_none() {
                request.edit(|body| drop(body.insert("service_id".into(), json!(OFFERING_STORE))));
            }
        }),
        &["UPD-01"],
        &["UPD-16", "ERR-01"],
    ),
    fault(
        "takes an unknown offering in an update",
        SMALL,
        Site::Request(|request| {
            let unknown = |id: &str| !id.is_empty() && id != OFFERING_STORE;
            if request.is(Update) && request.json()["service_id"].as_str().is_some_and(unknown) {
                request.edit(|body| drop(body.insert("service_id".into(), json!(OFFERING_STORE))));
            }
        }),
        &["UPD-01"],
        &["ERR-01", "UPD-17"],
    ),
    fault(
        "takes an unknown plan in an update",
        SMALL,
        Site::Broker(Quirk::UpdatesToUnknownPlans),
        &["UPD-02"],
        &["ERR-01", "UPD-17", "GSI-03", "DEP-03", "UPD-05", "UPD-06"],
    ),
    fault(
        "changes the plan with every update",
        SMALL,
        Site::Broker(Quirk::ForgetsPlanOnUpdate),
        &["UPD-02"],
        &["UNB-02", "UPD-06", "UPD-17", "UPD-09", "UPD-10", "UPD-07", "DEP-03", "UPD-03", "UPD-05", "GSI-03"],
    ),
    fault(
        "forgets the parameters when an update has none",
        SMALL,
        Site::Broker(Quirk::ForgetsParametersOnUpdate),
        &["UPD-03"],
        &["UPD-06"],
    ),
    fault(
        "refuses every change of plan although the plan says otherwise",
        SMALL,
        Site::Instead(|request| {
            let change = request.json()["plan_id"].as_str().is_some_and(|plan| plan == crate::exemplar::LARGE);
            (request.is(Update) && change && request.is_authorized())
                .then(|| Answer::new(400, &json!({"description": "the plan can't be changed"})))
        }),
        &["UPD-05"],
        &["UPD-10", "UPD-07", "UPD-14", "UPD-09", "LOI-01"],
    ),
    fault(
        "answers an update of the plan and keeps the old one",
        SMALL,
        Site::Request(|request| {
            if request.is(Update) && request.json()["plan_id"] == crate::exemplar::LARGE {
                request.edit(|body| drop(body.remove("plan_id")));
            }
        }),
        &["UPD-05"],
        &["UPD-10", "UPD-09", "DEP-03", "UPD-06", "UPD-07"],
    ),
    fault(
        "ends an update of the plan and keeps the old one",
        PATIENT,
        Site::Request(|request| {
            if request.is(Update) && request.json()["plan_id"] == crate::exemplar::SMALL {
                request.edit(|body| drop(body.insert("parameters".into(), json!({"label": "instead"}))));
                request.edit(|body| drop(body.remove("plan_id")));
            }
        }),
        &["UPD-05"],
        &["UPD-10", "UPD-09", "DEP-03", "UPD-06", "UPD-07"],
    ),
    fault(
        "changes plans that are not to be changed, but not in what it shows",
        ARCHIVE,
        Site::Answer(|request, answer| {
            if request.is(Update) && answer.status == 422 {
                answer.replace(Answer::new(200, &json!({})));
            }
        }),
        &["UPD-05"],
        &["UPD-14", "DEP-03"],
    ),
    fault(
        "answers a change of plan that it does not support with AsyncRequired",
        ARCHIVE,
        Site::Answer(|request, answer| {
            if request.is(Update) && answer.status == 422 {
                answer.set("error", json!("AsyncRequired"));
            }
        }),
        &["UPD-14"],
        &["ERR-05", "ERR-11", "UPD-15"],
    ),
    fault(
        "refuses an update of the context although the offering says otherwise",
        SMALL,
        Site::Instead(|request| {
            let body = request.json();
            let fields = body.as_object()?;
            let alone = fields.contains_key("context")
                && !["plan_id", "parameters", "maintenance_info"].iter().any(|name| fields.contains_key(*name));
            (request.is(Update) && alone && request.is_authorized())
                .then(|| Answer::new(400, &json!({"description": "there is nothing to update"})))
        }),
        &["UPD-06"],
        &["EXT-01", "UPD-07", "CTX-02", "CTX-03", "PRO-01", "UPD-10", "AMB-11", "AMB-15"],
    ),
    fault(
        "forgets the parameters when the context is updated",
        SMALL,
        Site::Request(|request| {
            let body = request.json();
            let alone = body.get("context").is_some()
                && ["plan_id", "parameters", "maintenance_info"].iter().all(|name| body.get(*name).is_none());
            if request.is(Update) && alone {
                request.edit(|body| {
                    drop(body.insert("parameters".into(), json!({"label": uuid::Uuid::new_v4().to_string()})))
                });
            }
        }),
        &["UPD-06"],
        &["UPD-03", "UPD-02"],
    ),
    fault(
        "refuses previous_values",
        SMALL,
        Site::Instead(|request| {
            let given = request.json()["previous_values"].as_object().is_some_and(|values| !values.is_empty());
            (request.is(Update) && given && request.is_authorized())
                .then(|| Answer::new(400, &json!({"description": "previous_values are not known"})))
        }),
        &["UPD-07"],
        &["UPD-05", "UPD-10", "UPD-06", "EXT-01", "AMB-11", "UPD-02", "UPD-03", "UPD-09"],
    ),
    fault(
        "looks at no version when it updates",
        SMALL,
        Site::Broker(Quirk::NoMaintenanceCheckOnUpdate),
        &["UPD-09"],
        &["ERR-08", "UPD-17"],
    ),
    fault(
        "answers 409 to an update to a version that moved on",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Update) && answer.json()["error"] == "MaintenanceInfoConflict" {
                answer.status = 409;
            }
        }),
        &["UPD-09", "ERR-08"],
        &["ERR-11"],
    ),
    fault(
        "answers an object for dashboard_url when it updates",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Update) && answer.status == 200 {
                answer.set("dashboard_url", json!({"href": "https://dashboard.example"}));
            }
        }),
        &["PRV-13"],
        &["UPD-10"],
    ),
    fault(
        "answers 201 to an update",
        SMALL,
        Site::Answer(|request, answer| restatus(Update, request, answer, 200, 201)),
        &["UPD-10"],
        &["SYN-01", "ERR-01", "UPD-06", "UPD-05", "UPD-07", "UPD-09", "UPD-02", "UPD-03", "EXT-01"],
    ),
    fault(
        "answers 204 to an update",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Update) && answer.status == 200 {
                answer.replace(Answer::text(204, ""));
            }
        }),
        &["UPD-10"],
        &["SYN-01", "ERR-01", "CT-01", "UPD-06", "UPD-05", "UPD-07", "UPD-09", "UPD-02", "UPD-03", "EXT-01"],
    ),
    fault(
        "answers nothing at all to an update",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Update) && answer.status == 200 {
                answer.body = bytes::Bytes::new();
            }
        }),
        &["UPD-10"],
        &["UPD-05", "UPD-06", "UPD-07", "CT-01"],
    ),
    fault(
        "names the operation of an update with no characters",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Update) && answer.status == 202 {
                answer.set("operation", json!(""));
            }
        }),
        &["UPD-12"],
        &["AMB-06", "UPD-11", "LOI-02"],
    ),
    fault(
        "names the operation of an update null",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Update) && answer.status == 202 {
                answer.set("operation", Value::Null);
            }
        }),
        &["UPD-12"],
        &["AMB-06", "UPD-11", "LOI-02"],
    ),
    fault(
        "updates asynchronously whether that is accepted or not",
        PATIENT,
        Site::Broker(Quirk::NeverAsksForPatience(Kind::Update)),
        &["ASY-01", "UPD-15"],
        &["ERR-05", "AMB-12"],
    ),
    fault(
        "answers 200 to the same update while it is in progress",
        PATIENT,
        Site::Broker(Quirk::CallsRepeatedUpdatesDone),
        &["UPD-11"],
        &["ASY-04", "ERR-01"],
    ),
    fault(
        "takes a list for the parameters of an update",
        SMALL,
        Site::Request(|request| {
            if request.is(Update) && request.json()["parameters"].is_array() {
                request.edit(|body| drop(body.remove("parameters")));
            }
        }),
        &["UPD-16"],
        &["ERR-01"],
    ),
    fault(
        "applies an update that it refuses",
        SMALL,
        Site::Broker(Quirk::AppliesRefusedUpdates),
        &["UPD-17"],
        &["ERR-09", "UPD-03", "UPD-06", "UPD-02"],
    ),
    fault(
        "updates what does not exist",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Update) && answer.status == 404 {
                answer.replace(Answer::new(200, &json!({})));
            }
        }),
        &["UPD-21", "AMB-04"],
        &[],
    ),
];
