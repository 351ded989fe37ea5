//! Faults in polling the last operation.

use serde_json::json;

use super::{Fault, PATIENT, fault, restatus};
use crate::exemplar::Quirk;
use crate::exemplar::wire::Endpoint::*;
use crate::exemplar::wire::{Answer, Request, Site};

/// What follows when no operation can be followed.
const BLIND: &[&str] = &[
    "ASY-02", "DEP-03", "UNB-02", "LOI-01", "LOI-02", "LOI-04", "LOI-09", "LOI-11", "LOB-01", "LOB-04", "ERR-01",
    "ERR-10", "LOI-05", "LOI-06", "LOB-02", "AMB-14", "AMB-03", "URL-01",
];

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "writes in-progress with a hyphen",
        PATIENT,
        Site::Answer(|request, answer| restate(request, answer, "in progress", "in-progress")),
        &["LOI-04"],
        BLIND,
    ),
    fault(
        "writes in_progress with an underscore for bindings",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(PollBinding) {
                restate(request, answer, "in progress", "in_progress");
            }
        }),
        &["LOB-01"],
        BLIND,
    ),
    endless(
        "writes Succeeded with a capital",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Poll) {
                restate(request, answer, "succeeded", "Succeeded");
            }
        }),
        &["LOI-04"],
        BLIND,
    ),
    endless(
        "has a state of its own for bindings",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(PollBinding) {
                restate(request, answer, "succeeded", "created");
            }
        }),
        &["LOB-01"],
        BLIND,
    ),
    fault(
        "describes operations in no words",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Poll) && answer.status == 200 {
                answer.set("description", json!(""));
            }
        }),
        &["LOI-04"],
        &[],
    ),
    endless(
        "answers 202 to whoever polls",
        PATIENT,
        Site::Answer(|request, answer| restatus(Poll, request, answer, 200, 202)),
        &["LOI-04"],
        BLIND,
    ),
    endless(
        "answers 500 to whoever polls",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Poll) && answer.status == 200 {
                answer.replace(Answer::new(500, &json!({"description": "polling is not built yet"})));
            }
        }),
        &["LOI-04"],
        BLIND,
    ),
    endless(
        "never ends an operation",
        PATIENT,
        Site::Answer(|request, answer| restate(request, answer, "succeeded", "in progress")),
        &["ASY-02"],
        BLIND,
    ),
    fault(
        "wants the plan of whoever polls",
        PATIENT,
        Site::Instead(|request| {
            let refused = request.is(Poll) && request.query("plan_id").is_none() && request.is_authorized();
            refused.then(|| Answer::new(400, &json!({"description": "plan_id is required"})))
        }),
        &["LOI-01"],
        &["LOI-06", "AMB-14", "ERR-01"],
    ),
    fault(
        "knows but the new plan while the plan changes",
        PATIENT,
        Site::Broker(Quirk::PollsUnderTheNewPlan),
        &["LOI-01"],
        &["UPD-05", "UPD-10", "ASY-02", "LOI-04"],
    ),
    endless(
        "understands no operation but a bare word",
        PATIENT,
        Site::Instead(|request| {
            let refused = request.query("operation").is_some_and(|word| word.contains('%')) && request.is_authorized();
            refused.then(|| Answer::new(400, &json!({"description": "there is no such operation"})))
        }),
        &["LOI-02"],
        BLIND,
    ),
    fault(
        "answers 410 to whoever polls what never was",
        PATIENT,
        Site::Answer(|request, answer| restatus(Poll, request, answer, 404, 410)),
        &["LOI-06"],
        &["ERR-01", "LOI-07", "AMB-14"],
    ),
    fault(
        "succeeded with what never was",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Poll) && answer.status == 404 {
                answer.replace(Answer::new(200, &json!({"state": "succeeded"})));
            }
        }),
        &["LOI-06"],
        &["ERR-01", "ERR-09"],
    ),
    fault(
        "answers 410 to whoever polls a binding that never was",
        PATIENT,
        Site::Answer(|request, answer| restatus(PollBinding, request, answer, 404, 410)),
        &["LOB-02"],
        &["ERR-01", "LOI-07"],
    ),
    fault(
        "answers 410 when a provision is polled that has just succeeded",
        PATIENT,
        Site::Answer(|request, answer| {
            let provisioned = answer.json()["description"] == "Provision: done";
            if request.is(Poll) && provisioned {
                answer.replace(Answer::new(410, &json!({})));
            }
        }),
        &["LOI-07"],
        BLIND,
    ),
    fault(
        "asks to come back soon",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Poll) && answer.headers.contains_key("retry-after") {
                answer.set_header("retry-after", "soon");
            }
        }),
        &["LOI-09"],
        &[],
    ),
    fault(
        "forgets the operations of what it deleted",
        PATIENT,
        Site::Broker(Quirk::ForgetsOperationsOfTheDeleted),
        &["LOI-11"],
        &["LOI-06", "AMB-03", "LOB-02"],
    ),
    endless(
        "breaks when a finished deletion is polled",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Poll) && answer.json()["description"] == "Deprovision: done" && !request.query.is_empty() {
                answer.status = 500;
            }
        }),
        &["LOI-04"],
        BLIND,
    ),
    fault(
        "calls a deletion that is over in progress where its operation is not named",
        PATIENT,
        Site::Answer(|request, answer| {
            let over = answer.json()["description"] == "Deprovision: done";
            if request.is(Poll) && over && request.query("operation").is_none() {
                answer.set("state", json!("in progress"));
            }
        }),
        &["AMB-03", "LOI-06"],
        &["LOI-11", "AMB-14"],
    ),
    fault(
        "says by date when to come back",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Poll) && answer.headers.contains_key("retry-after") {
                answer.set_header("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT");
            }
        }),
        &["LOI-09"],
        &[],
    ),
    fault(
        "forgets an operation once it has told that it succeeded",
        PATIENT,
        Site::Broker(Quirk::TellsSuccessOnce),
        &["LOI-11"],
        &["LOI-01", "LOI-06", "LOB-02", "AMB-03", "AMB-14", "LOI-07", "LOI-04"],
    ),
    fault(
        "says update_repeatable of a binding's operation",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(PollBinding) && answer.status == 200 {
                answer.set("update_repeatable", json!(true));
            }
        }),
        &["LOB-01"],
        &["ERR-04", "LOI-10"],
    ),
    fault(
        "says instance_usable of a provision",
        PATIENT,
        Site::Answer(|request, answer| {
            let text = answer.json()["description"].to_string();
            if request.is(Poll) && text.contains("Provision") {
                answer.set("instance_usable", json!(true));
            }
        }),
        &["LOI-10"],
        &["ERR-03"],
    ),
    fault(
        "breaks on an operation that it does not know",
        PATIENT,
        Site::Instead(|request| {
            let unknown = request.query("operation").is_some_and(|word| !word.contains("no."));
            (request.is(Poll) && unknown && request.is_authorized())
                .then(|| Answer::new(500, &json!({"description": "no such row"})))
        }),
        &["AMB-14"],
        &["ERR-10"],
    ),
];

/// A fault through which some operation never ends, or isn't seen to.
const fn endless(
    name: &'static str,
    plan: &'static str,
    site: Site,
    must_fail: &'static [&'static str],
    may_follow: &'static [&'static str],
) -> Fault {
    Fault { endless: true, ..fault(name, plan, site, must_fail, may_follow) }
}

/// Another word for a state.
fn restate(request: &Request, answer: &mut Answer, state: &str, other: &str) {
    if matches!(request.endpoint(), Poll | PollBinding) && answer.json()["state"] == state {
        answer.set("state", json!(other));
    }
}
