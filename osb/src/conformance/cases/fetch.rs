//! Fetching an instance, where the offering says that it can be fetched.

use serde_json::Value;

use super::super::probe::CaseResult;
use super::super::request::{Endpoint, Request};
use super::super::run::Run;
use super::super::shapes;
use super::Case;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "an instance is fetched",
        rows: &["GSI-01", "GSI-02", "GSI-03"],
        of_bindings: false,
        run: |run| Box::pin(fetched(run)),
    },
    Case {
        name: "an instance is fetched that there is not",
        rows: &["GSI-04"],
        of_bindings: false,
        run: |run| Box::pin(unknown(run)),
    },
];

const NOT_RETRIEVABLE: &str = "the offering doesn't say instances_retrievable";

async fn fetched(run: &Run) -> CaseResult {
    if !run.plan.instances_retrievable {
        run.not_applicable(&["GSI-01", "GSI-02", "GSI-03"], NOT_RETRIEVABLE);
        return Ok(());
    }
    let instance = run.shared_instance().await?;
    let ask = || run.request(Endpoint::FetchInstance, &instance.id, "");
    let mut hinted = run.send(ask()).await;
    let plain = run.send(Request::new(Endpoint::FetchInstance, &instance.id, "")).await;
    if !hinted.is(200) && plain.is(200) {
        // It is refused for its hints, or it came too early.
        let again = run.send(ask()).await;
        if again.is(200) {
            run.expect("GSI-01", &hinted, false, "status 200 at the first try, now that the instance is there");
            hinted = again;
        }
    }
    let either = if hinted.is(200) { &hinted } else { &plain };
    run.expect("GSI-01", either, either.is(200), "status 200, now that the instance is there");
    if either.is(200) {
        for seen in [&hinted, &plain] {
            run.expect("GSI-02", seen, seen.is(200), "status 200, with service_id and plan_id and without them");
        }
        let early = instance.answer.field("dashboard_url").is_some_and(Value::is_string);
        let late = either.field("dashboard_url").is_some_and(Value::is_string);
        if late {
            run.expect("PRV-13", either, early, "no dashboard_url, since the answer to the provision held none");
        }
    }
    if hinted.is(200) {
        match hinted.object() {
            Some(body) => {
                run.expect("GSI-03", &hinted, true, "");
                run.forms(&hinted, shapes::fetched_instance(body, &run.plan.service_id, &run.plan.plan_id));
            }
            None => drop(run.expect("GSI-03", &hinted, false, "a JSON object")),
        }
    }
    let empty = Request::new(Endpoint::FetchInstance, &instance.id, "").query("service_id", "").query("plan_id", "");
    let empty = run.send(empty).await;
    run.expect_status("GSI-02", &empty, &[200, 400]);
    Ok(())
}

async fn unknown(run: &Run) -> CaseResult {
    if !run.plan.instances_retrievable {
        run.not_applicable(&["GSI-04"], NOT_RETRIEVABLE);
        return Ok(());
    }
    let seen = run.send(run.request(Endpoint::FetchInstance, &run.fresh_id(), "")).await;
    run.expect_status("GSI-04", &seen, &[404]);
    Ok(())
}
