//! Update, wrong: fields that are missing or of another type, unknown ids, unknown instances. Nothing may change.

use serde_json::{Value, json};

use super::super::parameters;
use super::super::probe::CaseResult;
use super::super::request::{Endpoint, Request};
use super::super::run::Run;
use super::update::{NO_UPDATES, REFUSED};
use super::{Case, MALFORMED, with, without_string};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "an update that lacks something, or is malformed",
        rows: &["UPD-01", "UPD-02", "UPD-16", "UPD-17"],
        of_bindings: false,
        run: |run| Box::pin(wrong(run)),
    },
    Case {
        name: "an update of an instance that there is not",
        rows: &["UPD-21", "AMB-04"],
        of_bindings: false,
        run: |run| Box::pin(unknown(run)),
    },
];

/// A request, the row that refuses it, the statuses that do, and what is wrong with it.
type Wrong = (&'static str, &'static [u16], String, Request);

fn requests(run: &Run, instance: &str) -> Vec<Wrong> {
    let body = run.update_body();
    let ask = |body: &Value| run.request(Endpoint::Update, instance, "").json(body);
    let lacking = without_string(&body, "service_id");
    let mut requests: Vec<Wrong> =
        lacking.into_iter().map(|(what, body)| ("UPD-01", &[400_u16][..], what, ask(&body))).collect();
    // What is not supported may be refused with 422, too.
    let either: &[u16] = &[400, 422];
    let nobody = json!(run.fresh_id());
    requests.push(("UPD-01", either, "an unknown service_id".into(), ask(&with(&body, "service_id", nobody.clone()))));
    requests.push(("UPD-02", either, "an unknown plan_id".into(), ask(&with(&body, "plan_id", nobody))));
    if let Some((_, plan)) = &run.plan.stranger {
        let other = with(&body, "plan_id", json!(plan));
        requests.push(("UPD-02", either, "a plan of another offering".into(), ask(&other)));
    }
    for (what, raw) in MALFORMED {
        requests.push(("UPD-16", &[400], what.into(), run.request(Endpoint::Update, instance, "").raw(raw)));
    }
    requests.push(("UPD-16", &[400], "a number for plan_id".into(), ask(&with(&body, "plan_id", json!(42)))));
    let array = with(&body, "parameters", json!([]));
    requests.push(("UPD-16", &[400], "an array for parameters".into(), ask(&array)));
    requests
}

async fn wrong(run: &Run) -> CaseResult {
    let instance = run.shared_instance().await?;
    let before = run.look(&instance).await;
    let mut changed = false;
    let schema = run.plan.update_schema.as_ref();
    if let Some(parameters) = schema.and_then(|schema| parameters::forbidden(schema, &crate::Object::new())) {
        // A broker may take them; where it doesn't, they must not be there afterwards.
        let body = with(&run.update_body(), "parameters", Value::Object(parameters));
        let seen = run.send(run.request(Endpoint::Update, &instance.id, "").json(&body)).await;
        changed |= seen.is_success();
        run.settle_whatever(Endpoint::Update, &instance.id, "", &seen).await?;
    }
    for (row, statuses, what, request) in requests(run, &instance.id) {
        let seen = run.send(request).await;
        if run.has_no_updates(&seen) {
            run.not_applicable(&["UPD-01", "UPD-02", "UPD-16", "UPD-17"], NO_UPDATES);
            return Ok(());
        }
        let words: Vec<String> = statuses.iter().map(u16::to_string).collect();
        let expected = format!("status {}, because of {what}", words.join(" or "));
        run.expect(row, &seen, seen.is_any(statuses), &expected);
        changed |= seen.is_success();
        run.settle_whatever(Endpoint::Update, &instance.id, "", &seen).await?;
    }
    if changed {
        run.give_up_instance().await;
        return Ok(());
    }
    if let Some(before) = before {
        run.unchanged(REFUSED, &instance, &before).await;
    } else if !run.is_broken("PRV-08") && !run.is_broken("PRV-10") {
        let seen = run.send(run.request(Endpoint::Provision, &instance.id, "").json(&instance.body)).await;
        run.expect("UPD-17", &seen, seen.is(200), "status 200 to the same provision as at first: nothing was changed");
    }
    Ok(())
}

async fn unknown(run: &Run) -> CaseResult {
    let seen = run.send(run.request(Endpoint::Update, &run.fresh_id(), "")).await;
    for row in ["UPD-21", "AMB-04"] {
        run.expect_refusal(row, &seen);
    }
    Ok(())
}
