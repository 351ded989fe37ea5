//! Brokers that choose otherwise than the exemplar where OSB leaves a choice: nobody may blame them.

use serde_json::{Value, json};

use super::{Fault, PATIENT, SMALL, fault};
use crate::exemplar::Quirk;
use crate::exemplar::wire::Endpoint::*;
use crate::exemplar::wire::{Answer, Site};

pub(super) const CHOICES: &[Fault] = &[
    choice("looks at no version", SMALL, Site::Request(|request| request.set_header("x-broker-api-version", "2.17"))),
    choice(
        "speaks 2.17 and nothing else",
        SMALL,
        Site::Instead(|request| {
            let version = request.header("x-broker-api-version").unwrap_or_default();
            (request.is_authorized() && version != "2.17")
                .then(|| Answer::new(412, &json!({"description": "send the version 2.17"})))
        }),
    ),
    choice(
        "answers 400 where the version is missing",
        SMALL,
        Site::Answer(|request, answer| {
            if answer.status == 412 && request.header("x-broker-api-version").is_none_or(str::is_empty) {
                answer.status = 400;
            }
        }),
    ),
    choice(
        "answers 410 when a finished deletion is polled",
        PATIENT,
        Site::Answer(|request, answer| {
            let text = answer.json()["description"].to_string();
            let deleted = text == "\"Deprovision: done\"" || text == "\"Unbind: done\"";
            if matches!(request.endpoint(), Poll | PollBinding) && deleted {
                answer.replace(Answer::new(410, &json!({})));
            }
        }),
    ),
    choice("refuses to deprovision what is being provisioned", PATIENT, Site::Broker(Quirk::RefusesToCancel)),
    choice("names no operation", PATIENT, Site::Answer(|_, answer| remove(answer, &["operation"]))),
    choice(
        "names the operation of a provision null",
        PATIENT,
        Site::Answer(|request, answer| {
            if request.is(Provision) && answer.status == 202 {
                answer.set("operation", Value::Null);
                answer.set("dashboard_url", Value::Null);
            }
            if request.is(Fetch) {
                remove(answer, &["dashboard_url"]);
            }
        }),
    ),
    choice(
        "has neither dashboards nor metadata",
        SMALL,
        Site::Answer(|request, answer| {
            if !request.is(Catalog) {
                remove(answer, &["dashboard_url", "metadata"]);
            }
        }),
    ),
    choice(
        "refuses with empty objects",
        SMALL,
        Site::Answer(|_, answer| {
            if matches!(answer.status, 400 | 401 | 404 | 409) {
                answer.edit(|body| *body = json!({}));
            }
        }),
    ),
    choice(
        "refuses with a description alone",
        PATIENT,
        Site::Answer(|_, answer| {
            if answer.is_error() && answer.status != 422 {
                remove(answer, &["error"]);
            }
        }),
    ),
    choice("says more than OSB names", SMALL, Site::Answer(|_, answer| answer.set("x-exemplar", json!({"a": [1.0]})))),
    choice(
        "says more than OSB names while it works",
        PATIENT,
        Site::Answer(|_, answer| answer.set("more", json!(null))),
    ),
    choice("shows instances while they are updated", PATIENT, Site::Broker(Quirk::ShowsWhileUpdating)),
    choice(
        "shows instances with nothing in them",
        SMALL,
        Site::Answer(|request, answer| {
            if request.is(Fetch) && answer.status == 200 {
                answer.edit(|body| *body = json!({}));
            }
        }),
    ),
    choice(
        "shows no parameters",
        SMALL,
        Site::Answer(|request, answer| {
            if matches!(request.endpoint(), Fetch | FetchBinding) {
                remove(answer, &["parameters"]);
            }
        }),
    ),
    choice(
        "answers 400 to an update of and a bind to what does not exist",
        SMALL,
        Site::Answer(|request, answer| {
            if matches!(request.endpoint(), Update | Bind) && answer.status == 404 {
                answer.status = 400;
            }
        }),
    ),
    choice(
        "refuses an accepts_incomplete that is neither true nor false",
        PATIENT,
        Site::Instead(|request| {
            let odd = request.query("accepts_incomplete").is_some_and(|value| !matches!(value, "true" | "false"));
            (odd && request.is_authorized()).then(|| Answer::new(400, &json!({"description": "true or false"})))
        }),
    ),
    choice(
        "refuses a query key that is given twice",
        SMALL,
        Site::Instead(|request| {
            let twice = request.query.matches("service_id=").count() > 1;
            (twice && request.is_authorized()).then(|| Answer::new(400, &json!({"description": "given twice"})))
        }),
    ),
    choice(
        "looks at no originating identity",
        SMALL,
        Site::Request(|request| drop(request.headers.remove("x-broker-api-originating-identity"))),
    ),
    choice(
        "names the charset of its answers",
        SMALL,
        Site::Answer(|_, answer| answer.set_header("content-type", "Application/JSON;charset=UTF-8")),
    ),
    choice("has no tag for its catalog", SMALL, Site::Answer(|_, answer| drop(answer.headers.remove("etag")))),
    choice(
        "wants a content type",
        SMALL,
        Site::Instead(|request| {
            let bare = !request.body.is_empty() && request.header("content-type").is_none();
            (bare && request.is_authorized())
                .then(|| Answer::new(400, &json!({"description": "say that it is application/json"})))
        }),
    ),
    choice(
        "knows no parameters where the plan has no schema",
        "either",
        Site::Instead(|request| {
            let given = request.json()["parameters"].as_object().is_some_and(|parameters| !parameters.is_empty());
            (given && request.is_authorized())
                .then(|| Answer::new(400, &json!({"description": "this plan has no parameters"})))
        }),
    ),
    choice(
        "shows credentials once",
        SMALL,
        Site::Answer(|request, answer| {
            if matches!(request.endpoint(), Bind | FetchBinding) && answer.status == 200 {
                remove(answer, &["credentials"]);
            }
        }),
    ),
    choice(
        "needs no credentials",
        SMALL,
        Site::Binding(|answer| remove(answer, &["credentials", "endpoints", "metadata"])),
    ),
    choice(
        "tells times to the microsecond",
        SMALL,
        Site::Binding(|answer| {
            answer.edit(|body| body["metadata"]["expires_at"] = json!("2999-12-31T23:59:59.123456Z"))
        }),
    ),
    choice(
        "has no room in a larger plan",
        SMALL,
        Site::Instead(|request| {
            let change = request.json()["plan_id"] == crate::exemplar::LARGE;
            (request.is(Update) && change && request.is_authorized())
                .then(|| Answer::new(422, &json!({"error": "QuotaExceeded", "description": "there is no room"})))
        }),
    ),
    choice("keeps instances that have bindings", SMALL, Site::Broker(Quirk::ClingsToBindings)),
    choice("keeps instances that have bindings, and takes its time", PATIENT, Site::Broker(Quirk::ClingsToBindings)),
    choice("looks at nothing but the path of a deletion", SMALL, Site::Broker(Quirk::IgnoresIdsOfDeletions)),
    choice(
        "looks at no hints",
        PATIENT,
        Site::Request(|request| {
            if matches!(request.endpoint(), Fetch | FetchBinding) {
                request.query.clear();
            }
            if matches!(request.endpoint(), Poll | PollBinding) {
                let operation = request.query("operation").map(|word| format!("operation={word}"));
                request.query = operation.unwrap_or_default();
            }
        }),
    ),
    choice("takes no id for a second time", PATIENT, Site::Broker(Quirk::RefusesUsedIds)),
    choice("binds at once where it provisions in its own time", PATIENT, Site::Broker(Quirk::BindsAtOnce)),
    choice("binds in its own time where it provisions at once", SMALL, Site::Broker(Quirk::BindsSlowly)),
    choice("deprovisions in its own time where it provisions at once", SMALL, Site::Broker(Quirk::DeprovisionsSlowly)),
    choice("is done with an operation before it is polled", PATIENT, Site::Broker(Quirk::EndsBeforeItIsPolled)),
    choice("binds one by one", PATIENT, Site::Broker(Quirk::OneBindAtATime)),
    choice(
        "answers 422 to a bind where nothing can be bound to",
        "archive",
        Site::Answer(|request, answer| {
            if request.is(Bind) && answer.status == 400 && answer.json()["description"] != "" {
                let unbindable = answer.json()["description"].as_str().is_some_and(|text| text.contains("bound to"));
                if unbindable {
                    answer.status = 422;
                    answer.set("error", json!("NotBindable"));
                }
            }
        }),
    ),
    choice("refuses a change to the plan that there is", SMALL, Site::Broker(Quirk::RefusesTheSamePlan)),
    choice("looks at parameters before it looks for a conflict", SMALL, Site::Broker(Quirk::ValidatesBeforeItCompares)),
    choice("takes ids of bindings as unique in the world", SMALL, Site::Broker(Quirk::BindingIdsAreGlobal)),
    choice("stops a bind when it is to unbind", PATIENT, Site::Broker(Quirk::CancelsBinds)),
    choice(
        "never says when to come back",
        PATIENT,
        Site::Answer(|_, answer| drop(answer.headers.remove("retry-after"))),
    ),
    choice(
        "describes no operation",
        PATIENT,
        Site::Answer(|request, answer| {
            if matches!(request.endpoint(), Poll | PollBinding) && answer.status == 200 {
                remove(answer, &["description"]);
            }
        }),
    ),
];

pub(super) const fn choice(name: &'static str, plan: &'static str, site: Site) -> Fault {
    fault(name, plan, site, &[], &[])
}

fn remove(answer: &mut Answer, names: &[&str]) {
    answer.edit(|body| {
        if let Some(object) = body.as_object_mut() {
            object.retain(|name, _| !names.contains(&name.as_str()));
        }
    });
}
