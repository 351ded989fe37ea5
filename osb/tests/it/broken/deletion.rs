//! Faults in unbinding and deprovisioning.

use serde_json::json;

use super::{Fault, PATIENT, SMALL, fault, restatus};
use crate::exemplar::wire::Endpoint::*;
use crate::exemplar::wire::{Answer, Request, Site};
use crate::exemplar::{Kind, OFFERING_STORE, Quirk};

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "does without plan_id in an unbind",
        SMALL,
        Site::Request(|request| fill(request, Unbind, "plan_id", crate::exemplar::SMALL)),
        &["UNB-01"],
        &["ERR-01", "AMB-05"],
    ),
    fault(
        "does without service_id in a deprovision",
        SMALL,
        Site::Request(|request| fill(request, Deprovision, "service_id", OFFERING_STORE)),
        &["DEP-01"],
        &["ERR-01", "AMB-05"],
    ),
    fault(
        "takes an empty plan_id in a deprovision",
        SMALL,
        Site::Request(|request| {
            if request.is(Deprovision) && request.query("plan_id") == Some("") {
                request.set_query("plan_id", crate::exemplar::SMALL);
            }
        }),
        &["DEP-01"],
        &["ERR-01", "AMB-05"],
    ),
    fault(
        "answers 204 to an unbind",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Unbind) && answer.status == 200 {
                answer.replace(Answer::text(204, ""));
            }
        }),
        &["UNB-02"],
        &["SYN-01", "ERR-01", "CT-01", "AMB-13", "UNB-08"],
    ),
    fault(
        "answers 204 to a deprovision",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Deprovision) && answer.status == 200 {
                answer.replace(Answer::text(204, ""));
            }
        }),
        &["DEP-03"],
        &["SYN-01", "ERR-01", "CT-01", "AMB-13"],
    ),
    fault(
        "says a word instead of an object when it has deprovisioned",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Deprovision) && answer.status == 200 {
                answer.edit(|body| *body = json!("deleted"));
            }
        }),
        &["DEP-03"],
        &["AMB-13"],
    ),
    fault(
        "answers 404 to an unbind of what is gone",
        SMALL,
        Site::Answer(|request, answer| restatus(Unbind, request, answer, 410, 404)),
        &["UNB-04"],
        &["ERR-01", "OM-26", "AMB-05", "UNB-08"],
    ),
    fault(
        "answers 404 to an unbind where the instance is gone, too",
        SMALL,
        Site::Broker(Quirk::NothingToUnbindIsNotFound),
        &["UNB-04"],
        &["ERR-01", "OM-26"],
    ),
    fault(
        "answers 404 to a deprovision of what is gone",
        SMALL,
        Site::Answer(|request, answer| restatus(Deprovision, request, answer, 410, 404)),
        &["DEP-05"],
        &["ERR-01", "OM-26", "AMB-05", "ERR-09"],
    ),
    fault(
        "deprovisions again and again",
        SMALL,
        Site::Answer(|request, answer| restatus(Deprovision, request, answer, 410, 200)),
        &["DEP-05"],
        &["ERR-01", "OM-26", "AMB-05", "ERR-09"],
    ),
    fault(
        "breaks on deprovisioning what it never saw",
        SMALL,
        Site::Answer(|request, answer| restatus(Deprovision, request, answer, 410, 500)),
        &["OM-26"],
        &["DEP-05", "ERR-01", "ERR-10", "AMB-05", "ERR-09"],
    ),
    fault(
        "keeps what it has deprovisioned",
        SMALL,
        Site::Broker(Quirk::KeepsDeletedInstances),
        &["DEP-05"],
        &["GSI-04", "DEP-03", "OM-26", "ERR-09", "LOI-06", "UNB-04"],
    ),
    fault(
        "keeps what it has unbound",
        SMALL,
        Site::Broker(Quirk::KeepsDeletedBindings),
        &["UNB-08"],
        &["UNB-04", "GSB-03", "UNB-02", "OM-26"],
    ),
    fault(
        "unbinds asynchronously whether that is accepted or not",
        PATIENT,
        Site::Broker(Quirk::NeverAsksForPatience(Kind::Unbind)),
        &["ASY-01", "UNB-05"],
        &["ERR-05", "AMB-12"],
    ),
    fault(
        "deprovisions asynchronously whether that is accepted or not",
        PATIENT,
        Site::Broker(Quirk::NeverAsksForPatience(Kind::Deprovision)),
        &["ASY-01", "DEP-06"],
        &["ERR-05", "AMB-12"],
    ),
    fault(
        "names the operation of a deprovision with 10,001 characters",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Deprovision) && answer.status == 202 {
                answer.set("operation", json!("x".repeat(10_001)));
            }
        }),
        &["DEP-09"],
        &["LOI-02", "DEP-04", "ASY-04", "AMB-06", "URL-01", "ASY-02"],
    ),
    fault(
        "answers 410 to whoever names another plan than the instance's",
        SMALL,
        Site::Answer(|request, answer| {
            let other = answer.json()["description"].as_str().is_some_and(|text| text.contains("are not those"));
            if request.is(Deprovision) && other {
                answer.replace(Answer::new(410, &json!({})));
            }
        }),
        &["DEP-10"],
        &["ERR-01", "DEP-01"],
    ),
    fault(
        "goes on with a provision although it took a deprovision",
        PATIENT,
        Site::Broker(Quirk::FinishesCancelledProvisions),
        &["CON-04"],
        &["DEP-05", "GSI-04", "LOI-06", "DEP-03", "OM-26"],
    ),
    fault(
        "goes on with a bind although it took an unbind",
        PATIENT,
        Site::Broker(Quirk::FinishesCancelledBinds),
        &["CON-05"],
        &["UNB-04", "UNB-08", "GSB-03", "OM-26"],
    ),
    fault(
        "answers 410 to the same deletion while it is in progress",
        PATIENT,
        Site::Broker(Quirk::CallsRepeatedDeletionsGone),
        &["UNB-03", "DEP-04"],
        &["ASY-04", "ERR-01"],
    ),
    fault(
        "answers 404 to a deletion that names no plan",
        SMALL,
        Site::Answer(|request, answer| {
            if request.method == "DELETE" && answer.status == 400 && request.query("plan_id").is_none() {
                answer.status = 404;
            }
        }),
        &["AMB-05", "DEP-01", "UNB-01"],
        &["ERR-01"],
    ),
    fault(
        "deletes all bindings with one",
        SMALL,
        Site::Broker(Quirk::UnbindsEverything),
        &["UNB-02"],
        &["UNB-08", "GSB-01", "ROT-04", "ROT-06", "ROT-03", "AMB-07", "BND-08", "UNB-01", "BND-10"],
    ),
    fault(
        "refuses a deletion that has a body",
        SMALL,
        Site::Instead(|request| {
            let refused = request.method == "DELETE" && !request.body.is_empty() && request.is_authorized();
            refused.then(|| Answer::new(400, &json!({"description": "there is a body"})))
        }),
        &["AMB-13"],
        &[],
    ),
    fault(
        "breaks on a query key that is given twice",
        SMALL,
        Site::Instead(|request| {
            let twice = request.query.matches("service_id=").count() > 1;
            (twice && request.is_authorized()).then(|| Answer::new(500, &json!({"description": "duplicate field"})))
        }),
        &["AMB-10"],
        &["ERR-10"],
    ),
];

/// Fills in what the query doesn't hold at all.
fn fill(request: &mut Request, endpoint: crate::exemplar::wire::Endpoint, name: &str, value: &str) {
    if request.is(endpoint) && request.query(name).is_none() {
        request.set_query(name, value);
    }
}
