//! Bind, wrong: each field that is missing or of another type, unknown ids, what can't be bound to, and who can't poll.

use serde_json::{Value, json};

use super::super::probe::CaseResult;
use super::super::request::{Endpoint, Request};
use super::super::run::Run;
use super::{Case, MALFORMED, with, without_string};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a bind that lacks something, or is malformed",
        rows: &["BND-03", "BND-04", "BND-11"],
        of_bindings: true,
        run: |run| Box::pin(wrong(run)),
    },
    Case {
        name: "a bind by somebody who can't poll",
        rows: &["BND-14", "ERR-05"],
        of_bindings: true,
        run: |run| Box::pin(without_polling(run)),
    },
    Case {
        name: "a bind to what can't be bound to",
        rows: &["BND-01"],
        of_bindings: false,
        run: |run| Box::pin(not_bindable(run)),
    },
];

async fn wrong(run: &Run) -> CaseResult {
    let instance = run.shared_instance().await?.id;
    let body = run.bind_body();
    let ask = |body: &Value| run.request(Endpoint::Bind, &instance, "").json(body);
    let mut requests: Vec<(&'static str, String, Request)> = Vec::new();
    for field in ["service_id", "plan_id"] {
        let lacking = without_string(&body, field);
        requests.extend(lacking.into_iter().map(|(what, body)| ("BND-03", what, ask(&body))));
        let unknown = with(&body, field, json!(run.fresh_id()));
        requests.push(("BND-03", format!("an unknown {field}"), ask(&unknown)));
    }
    for (field, what, value) in [
        ("parameters", "an array", json!([])),
        ("parameters", "a string", json!("text")),
        ("bind_resource", "a string", json!("text")),
    ] {
        requests.push(("BND-04", format!("{what} for {field}"), ask(&with(&body, field, value))));
    }
    for (what, raw) in MALFORMED {
        requests.push(("BND-11", what.to_owned(), run.request(Endpoint::Bind, &instance, "").raw(raw)));
    }
    let mut id = run.fresh_id();
    for (row, what, request) in requests {
        let request = Request { path: Endpoint::Bind.path(&instance, &id), binding: id.clone(), ..request };
        let seen = run.send(request).await;
        run.expect(row, &seen, seen.is(400), &format!("status 400, because of {what}"));
        if !seen.is_refused() {
            // What was made is deleted at the end.
            id = run.fresh_id();
        }
    }
    let seen = run.send(run.request(Endpoint::Unbind, &instance, &id)).await;
    run.expect("ERR-09", &seen, !seen.is_success(), "nothing to delete, since each bind of that id was refused");
    Ok(())
}

async fn without_polling(run: &Run) -> CaseResult {
    let instance = run.shared_binding().await?.instance;
    let id = run.fresh_id();
    let seen = run.send(run.request(Endpoint::Bind, &instance, &id).without_query("accepts_incomplete")).await;
    if seen.is_success() && !seen.is(202) {
        run.not_applicable(&["BND-14"], "the service broker can bind at once");
    } else {
        run.expect_code(&["BND-14", "ERR-05"], &seen, "AsyncRequired");
    }
    if seen.is_success() {
        run.settle_whatever(Endpoint::Bind, &instance, &id, &seen).await?;
        drop(run.unbind(&instance, &id).await?);
    }
    Ok(())
}

async fn not_bindable(run: &Run) -> CaseResult {
    if run.plan.bindable {
        run.not_applicable(&["BND-01"], "the plan can be bound to");
        return Ok(());
    }
    let instance = run.shared_instance().await?.id;
    let id = run.fresh_id();
    let seen = run.send(run.request(Endpoint::Bind, &instance, &id)).await;
    run.expect_refusal("BND-01", &seen);
    run.settle_whatever(Endpoint::Bind, &instance, &id, &seen).await
}
