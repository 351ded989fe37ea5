//! Faults in how refusals look: fields, words, statuses, and what a refusal leaves behind.

use serde_json::{Value, json};

use super::{Fault, PATIENT, SMALL, fault};
use crate::exemplar::Quirk;
use crate::exemplar::wire::Endpoint::*;
use crate::exemplar::wire::{Answer, Site};

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "describes errors in no words",
        SMALL,
        Site::Answer(|_, answer| on_error(answer, |answer| answer.set("description", json!("")))),
        &["ERR-02"],
        &["VER-02", "VER-03"],
    ),
    fault(
        "describes errors of updates with an object",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Update) {
                on_error(answer, |answer| answer.set("description", json!({"en": "no"})));
            }
        }),
        &["ERR-02"],
        &["UPD-14"],
    ),
    fault(
        "has a number for an error word",
        SMALL,
        Site::Answer(|_, answer| {
            if answer.status == 409 {
                answer.set("error", json!(409));
            }
        }),
        &["ERR-02"],
        &["PRV-10", "BND-10"],
    ),
    fault(
        "says nothing in JSON when a bind is in conflict",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Bind) && answer.status == 409 {
                answer.replace(Answer::text(409, "Conflict"));
            }
        }),
        &["CT-01"],
        &["ERR-02", "BND-10", "ROT-06"],
    ),
    fault(
        "calls JSON what is none when a bind is in conflict",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Bind) && answer.status == 409 {
                answer.body = bytes::Bytes::from_static(b"Conflict");
            }
        }),
        &["ERR-02"],
        &["BND-10", "ROT-06"],
    ),
    fault(
        "shows a page of HTML to whom it does not know",
        SMALL,
        Site::Answer(|_, answer| {
            if answer.status == 401 {
                answer.replace(Answer::text(401, "<html><body>401 Unauthorized</body></html>"));
            }
        }),
        &["CT-01"],
        &["AUTH-02", "ERR-02"],
    ),
    fault(
        "wraps its errors in a list",
        SMALL,
        Site::Answer(|_, answer| on_error(answer, |answer| answer.edit(|body| *body = json!([body.clone()])))),
        &["ERR-02"],
        &["ERR-05", "ERR-06", "ERR-08", "PRV-06", "UPD-09", "VER-02", "VER-03", "UPD-14", "PRV-10", "BND-10", "CON-01"],
    ),
    fault(
        "says instance_usable when a provision is refused",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Provision) {
                on_error(answer, |answer| answer.set("instance_usable", json!(false)));
            }
        }),
        &["ERR-03"],
        &[],
    ),
    fault(
        "says instance_usable when an instance is not found",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Fetch) {
                on_error(answer, |answer| answer.set("instance_usable", json!(true)));
            }
        }),
        &["ERR-03"],
        &[],
    ),
    fault(
        "says instance_usable in a word when an update is refused",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Update) {
                on_error(answer, |answer| answer.set("instance_usable", json!("yes")));
            }
        }),
        &["ERR-03"],
        &["UPD-14"],
    ),
    fault(
        "says update_repeatable when a deprovision is refused",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Deprovision) {
                on_error(answer, |answer| answer.set("update_repeatable", json!(false)));
            }
        }),
        &["ERR-04"],
        &[],
    ),
    fault(
        "says update_repeatable when a bind is refused",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Bind) {
                on_error(answer, |answer| answer.set("update_repeatable", json!(true)));
            }
        }),
        &["ERR-04"],
        &[],
    ),
    fault(
        "writes AsyncRequired in small letters",
        PATIENT,
        Site::Answer(|_, answer| reword(answer, "AsyncRequired", "asyncrequired")),
        &["ERR-05"],
        &["ERR-11", "PRV-12", "UPD-15", "BND-14", "UNB-05", "DEP-06"],
    ),
    fault(
        "answers 400 to who does not accept to wait",
        PATIENT,
        Site::Answer(|_, answer| {
            if answer.json()["error"] == "AsyncRequired" {
                answer.status = 400;
            }
        }),
        &["ERR-05"],
        &["ERR-01", "ERR-11", "PRV-12", "UPD-15", "BND-14", "UNB-05", "DEP-06"],
    ),
    fault(
        "calls a conflict a ConcurrencyError",
        SMALL,
        Site::Answer(|_, answer| reword(answer, "Conflict", "ConcurrencyError")),
        &["ERR-11"],
        &["PRV-10", "BND-10"],
    ),
    fault(
        "has a word of its own when it is to deprovision what is being provisioned",
        PATIENT,
        Site::Chosen(Quirk::RefusesToCancel, |request, answer| {
            if request.is(Deprovision) {
                reword(answer, "ConcurrencyError", "Busy");
            }
        }),
        &["DEP-07", "ERR-06", "ERR-12"],
        &["CON-01", "CON-04"],
    ),
    fault(
        "has a word of its own when it is to unbind what is being bound",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Unbind) {
                reword(answer, "ConcurrencyError", "Busy");
            }
        }),
        &["UNB-06", "ERR-12"],
        &["CON-01", "CON-05", "ERR-06"],
    ),
    fault(
        "answers 400 to a second bind at a time",
        PATIENT,
        Site::Chosen(Quirk::OneBindAtATime, |request, answer| {
            if request.is(Bind) && answer.json()["error"] == "ConcurrencyError" {
                answer.replace(Answer::new(400, &json!({"description": "one by one"})));
            }
        }),
        &["BND-13", "ERR-06"],
        &["CON-01", "ERR-12"],
    ),
    fault(
        "answers AsyncRequired to whatever is malformed",
        SMALL,
        Site::Answer(|request, answer| {
            if answer.status == 400 && matches!(request.endpoint(), Provision | Bind) {
                answer.replace(Answer::new(422, &json!({"error": "AsyncRequired", "description": "wait"})));
            }
        }),
        &["PRV-02", "BND-03"],
        &[
            "ERR-01", "ERR-05", "ERR-11", "PRV-04", "PRV-05", "PRV-11", "BND-04", "BND-11", "CT-02", "AMB-10",
            "AMB-12", "ROT-02", "ROT-03", "OID-02", "ASY-01", "PRV-12", "BND-14",
        ],
    ),
    fault(
        "answers 409 to what it can't do at the same time",
        PATIENT,
        Site::Answer(|_, answer| {
            if answer.json()["error"] == "ConcurrencyError" {
                answer.status = 409;
            }
        }),
        &["CON-01"],
        &[
            "ERR-01", "ERR-06", "ERR-11", "ERR-12", "GSI-05", "CON-04", "CON-05", "CON-06", "UNB-06", "DEP-07",
            "BND-13", "BND-10",
        ],
    ),
    fault(
        "breaks when two things are wanted at the same time",
        PATIENT,
        Site::Answer(|_, answer| {
            if answer.json()["error"] == "ConcurrencyError" {
                answer.status = 500;
            }
        }),
        &["CON-01"],
        &[
            "ERR-01", "ERR-06", "ERR-10", "ERR-11", "ERR-12", "GSI-05", "CON-06", "UNB-06", "DEP-07", "BND-13",
            "CON-04", "CON-05",
        ],
    ),
    fault(
        "has a word of its own for a version that moved on",
        SMALL,
        Site::Answer(|_, answer| reword(answer, "MaintenanceInfoConflict", "VersionConflict")),
        &["ERR-08"],
        &["PRV-06", "UPD-09", "ERR-11"],
    ),
    fault(
        "reserves the id of a provision that it refuses",
        SMALL,
        Site::Broker(Quirk::ReservesRefusedIds),
        &["ERR-09"],
        &[
            "PRV-04", "PRV-05", "PRV-06", "PRV-10", "DEP-05", "OM-26", "LOI-06", "GSI-04", "AMB-04", "UPD-21",
            "BND-02", "ERR-08",
        ],
    ),
    fault(
        "breaks on JSON that it can't read",
        SMALL,
        Site::Instead(|request| {
            let body = matches!(request.endpoint(), Provision | Update | Bind);
            let broken = body && request.is_authorized() && serde_json::from_slice::<Value>(&request.body).is_err();
            broken.then(|| Answer::new(500, &json!({"description": "unexpected end of input"})))
        }),
        &["PRV-11", "UPD-16", "BND-11", "ERR-10"],
        &["ERR-01", "ERR-10", "CT-02", "VER-02", "VER-03", "PRV-02", "UPD-01", "BND-03"],
    ),
];

fn on_error(answer: &mut Answer, change: impl FnOnce(&mut Answer)) {
    if answer.is_error() {
        change(answer);
    }
}

/// Another word for that error.
fn reword(answer: &mut Answer, word: &str, other: &str) {
    if answer.json()["error"] == word {
        answer.set("error", json!(other));
    }
}
