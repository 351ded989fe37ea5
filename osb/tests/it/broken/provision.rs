//! Faults in provisioning.

use serde_json::{Value, json};

use super::{Fault, PATIENT, SMALL, fault, restatus};
use crate::exemplar::wire::Endpoint::*;
use crate::exemplar::wire::{Answer, Request, Site};
use crate::exemplar::{Kind, Quirk};

pub(super) const FAULTS: &[Fault] = &[
    fault(
        "answers 200 to a first provision",
        SMALL,
        Site::Answer(|request, answer| restatus(Provision, request, answer, 201, 200)),
        &["PRV-07", "SYN-01"],
        &["ERR-01"],
    ),
    fault(
        "answers 201 to the same provision again",
        SMALL,
        Site::Answer(|request, answer| restatus(Provision, request, answer, 200, 201)),
        &["PRV-08"],
        &["SYN-01", "ERR-01", "ASY-05", "AMB-02", "AMB-09"],
    ),
    fault(
        "redirects a provision to a path with a slash at its end",
        SMALL,
        Site::Instead(|request| {
            let target = format!("{}/", request.path);
            (request.is(Provision) && request.is_authorized()).then(|| {
                let mut answer = Answer::new(308, &json!({}));
                answer.set_header("location", &target);
                answer
            })
        }),
        &["PRV-07"],
        &["SYN-01", "ERR-01", "PRV-02", "PRV-04", "PRV-05", "PRV-11", "CT-02"],
    ),
    fault(
        "answers 204 to a provision that it carried out",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Provision) && answer.status == 201 {
                answer.replace(Answer::text(204, ""));
            }
        }),
        &["PRV-07"],
        &["SYN-01", "ERR-01", "CT-01", "RID-02", "PRV-13"],
    ),
    fault(
        "answers a list to a provision that it carried out",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Provision) && answer.status == 201 {
                answer.edit(|body| *body = json!([]));
            }
        }),
        &["PRV-07"],
        &["PRV-13"],
    ),
    fault(
        "does without organization_guid",
        SMALL,
        Site::Request(|request| fill(request, "organization_guid", "none")),
        &["PRV-02"],
        &["ERR-01", "PRV-11"],
    ),
    fault(
        "does without space_guid",
        SMALL,
        Site::Request(|request| fill(request, "space_guid", "none")),
        &["PRV-02"],
        &["ERR-01", "PRV-11"],
    ),
    fault(
        "takes the smallest plan where none is named",
        SMALL,
        Site::Request(|request| fill(request, "plan_id", crate::exemplar::SMALL)),
        &["PRV-02"],
        &["ERR-01", "PRV-11"],
    ),
    fault(
        "takes null as the plan of a provision",
        SMALL,
        Site::Request(|request| {
            let plan = crate::exemplar::SMALL;
            if request.is(Provision) && request.json().get("plan_id") == Some(&Value::Null) {
                request.edit(|body| drop(body.insert("plan_id".into(), json!(plan))));
            }
        }),
        &["PRV-02"],
        &["ERR-01"],
    ),
    fault(
        "takes an empty organization_guid",
        SMALL,
        Site::Request(|request| {
            if request.is(Provision) && request.json()["organization_guid"] == "" {
                request.edit(|body| drop(body.insert("organization_guid".into(), json!("none"))));
            }
        }),
        &["PRV-02"],
        &["ERR-01"],
    ),
    fault(
        "takes a number for a space_guid",
        SMALL,
        Site::Request(|request| {
            let number = request.json()["space_guid"].is_number();
            if request.is(Provision) && number {
                request.edit(|body| {
                    let text = body["space_guid"].to_string();
                    body.insert("space_guid".into(), json!(text));
                });
            }
        }),
        &["PRV-02"],
        &["ERR-01"],
    ),
    fault(
        "takes a plan of another offering",
        SMALL,
        Site::Broker(Quirk::PlanOfAnyOffering),
        &["PRV-04"],
        &["UPD-02", "UPD-17", "ERR-01", "ERR-09"],
    ),
    fault(
        "takes an unknown plan as the smallest",
        SMALL,
        Site::Request(|request| {
            let body = request.json();
            let known = body["plan_id"].as_str().is_none_or(|plan| plan.is_empty() || plan.starts_with("6c1f6f0e"));
            if request.is(Provision) && !known {
                request.edit(|body| drop(body.insert("plan_id".into(), json!(crate::exemplar::SMALL))));
            }
        }),
        &["PRV-04"],
        &["ERR-01", "PRV-10"],
    ),
    fault(
        "answers 404 to an unknown offering",
        SMALL,
        Site::Answer(|request, answer| {
            let unknown =
                answer.json()["description"].as_str().is_some_and(|text| text.contains("no service offering"));
            if request.is(Provision) && unknown {
                answer.status = 404;
            }
        }),
        &["PRV-04"],
        &["ERR-01"],
    ),
    fault("looks at no parameters", SMALL, Site::Broker(Quirk::NoParameterCheck), &["PRV-05"], &[]),
    fault(
        "takes a list for parameters",
        SMALL,
        Site::Request(|request| {
            if request.is(Provision)
                && !matches!(request.json().get("parameters"), None | Some(Value::Object(_) | Value::Null))
            {
                request.edit(|body| drop(body.remove("parameters")));
            }
        }),
        &["PRV-05"],
        &["PRV-11", "ERR-01"],
    ),
    fault(
        "looks at no version when it provisions",
        SMALL,
        Site::Broker(Quirk::NoMaintenanceCheckOnProvision),
        &["PRV-06"],
        &["ERR-08"],
    ),
    fault(
        "refuses every version when it provisions",
        SMALL,
        Site::Instead(|request| {
            let given = request.json().pointer("/maintenance_info/version").is_some();
            let conflict = json!({"error": "MaintenanceInfoConflict", "description": "fetch the catalog again"});
            (request.is(Provision) && given && request.is_authorized()).then(|| Answer::new(422, &conflict))
        }),
        &["PRV-06"],
        &["ERR-08"],
    ),
    fault(
        "answers 409 to the same provision again",
        SMALL,
        Site::Broker(Quirk::RefusesRepeats),
        &["PRV-08"],
        &["ASY-05", "AMB-02", "AMB-09", "ERR-01"],
    ),
    fault(
        "answers 200 to another provision of an id",
        SMALL,
        Site::Broker(Quirk::ConflictAnswered200),
        &["PRV-10"],
        &["ERR-01", "ERR-09"],
    ),
    fault(
        "compares no parameters when an id comes again",
        SMALL,
        Site::Broker(Quirk::IgnoresParametersOfARepeat),
        &["PRV-10"],
        &["ERR-01"],
    ),
    fault(
        "compares no space when an id comes again",
        SMALL,
        Site::Broker(Quirk::IgnoresSpaceOfARepeat),
        &["PRV-10"],
        &["ERR-01"],
    ),
    fault(
        "compares no organization when an id comes again",
        SMALL,
        Site::Broker(Quirk::IgnoresOrganizationOfARepeat),
        &["PRV-10"],
        &["ERR-01"],
    ),
    fault(
        "compares no plan when an id comes again",
        SMALL,
        Site::Broker(Quirk::IgnoresPlanOfARepeat),
        &["PRV-10"],
        &["ERR-01"],
    ),
    fault(
        "answers 202 to another provision of an id in progress",
        PATIENT,
        Site::Broker(Quirk::ConflictWhileInProgressTaken),
        &["PRV-10"],
        &["ERR-01"],
    ),
    fault(
        "answers 422 to a conflict",
        SMALL,
        Site::Answer(|request, answer| restatus(Provision, request, answer, 409, 422)),
        &["PRV-10"],
        &["ERR-01"],
    ),
    fault(
        "gives another operation when the same is asked again",
        PATIENT,
        Site::Broker(Quirk::RepeatsUnderAnotherWord),
        &["ASY-04", "PRV-09", "BND-09", "UPD-11", "UNB-03", "DEP-04"],
        &["LOI-02"],
    ),
    fault(
        "answers 200 to the same provision while it is in progress",
        PATIENT,
        Site::Broker(Quirk::CallsRepeatsDone),
        &["ASY-04"],
        &["PRV-09", "ERR-01", "PRV-08", "SYN-01", "CON-01", "PRV-10", "ASY-02"],
    ),
    fault(
        "answers 202 to the same provision when it is done",
        PATIENT,
        Site::Answer(|request, answer| restatus(Provision, request, answer, 200, 202)),
        &["ASY-05", "AMB-02"],
        &["PRV-08", "AMB-09"],
    ),
    fault(
        "provisions asynchronously whether that is accepted or not",
        PATIENT,
        Site::Broker(Quirk::NeverAsksForPatience(Kind::Provision)),
        &["ASY-01", "PRV-12"],
        &["ERR-05", "AMB-12"],
    ),
    fault(
        "names an operation with 10,001 characters",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Provision) && answer.status == 202 {
                answer.set("operation", json!("x".repeat(10_001)));
            }
        }),
        &["PRV-14"],
        &["LOI-02", "PRV-09", "ASY-04", "AMB-06", "URL-01"],
    ),
    fault(
        "names an operation with a number",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Provision) && answer.status == 202 {
                answer.set("operation", json!(7));
            }
        }),
        &["PRV-14"],
        &["PRV-09", "ASY-04", "AMB-06"],
    ),
    fault(
        "answers a number for dashboard_url",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Provision) && !answer.is_error() {
                answer.set("dashboard_url", json!(443));
            }
        }),
        &["PRV-13"],
        &[],
    ),
    fault(
        "keeps dashboard_url until the provision is done",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Provision) && answer.status == 202 {
                answer.edit(|body| drop(body.as_object_mut().and_then(|body| body.remove("dashboard_url"))));
            }
        }),
        &["PRV-13"],
        &[],
    ),
    fault(
        "writes labels as a list",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Provision) && !answer.is_error() {
                answer.set("metadata", json!({"labels": ["a"]}));
            }
        }),
        &["PRV-15"],
        &[],
    ),
];

/// Fills in what a provision doesn't hold at all.
fn fill(request: &mut Request, name: &str, value: &str) {
    if request.is(Provision) && request.json().get(name).is_none() {
        request.edit(|body| drop(body.insert(name.to_owned(), json!(value))));
    }
}
