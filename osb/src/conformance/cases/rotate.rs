//! Rotation: a bind that makes a successor of a binding, where the plan says that it can.

use serde_json::{Value, json};

use super::super::parameters;
use super::super::probe::{CaseResult, Stop};
use super::super::request::Endpoint;
use super::super::run::{Binding, Run};
use super::{Case, with};

const ROWS: &[&str] = &["ROT-01", "ROT-03", "ROT-04", "ROT-05", "ROT-06", "AMB-07"];

pub(super) const CASES: &[Case] = &[
    Case { name: "a binding is rotated", rows: ROWS, of_bindings: true, run: |run| Box::pin(rotated(run)) },
    Case {
        name: "rotation where the plan doesn't say that it can",
        rows: &["ROT-02"],
        of_bindings: true,
        run: |run| Box::pin(not_rotatable(run)),
    },
];

fn rotation(predecessor: &str) -> Value {
    json!({"predecessor_binding_id": predecessor})
}

async fn rotated(run: &Run) -> CaseResult {
    if !run.plan.rotatable {
        run.not_applicable(ROWS, "the plan doesn't say binding_rotatable");
        return Ok(());
    }
    let old = with_parameters(run).await?;
    let (instance, new) = (old.instance.clone(), run.fresh_id());
    let ask = |id: &str, body: &Value| run.request(Endpoint::Bind, &instance, id).json(body);
    let seen = run.send(ask(&new, &rotation(&old.id))).await;
    let accepted = seen.is_any(&[201, 202]);
    if !run.expect("ROT-01", &seen, accepted, "status 201 or 202: only predecessor_binding_id is required") {
        return run.settle_whatever(Endpoint::Bind, &instance, &new, &seen).await;
    }
    run.settle(Endpoint::Bind, &instance, &new, &seen).await?;
    run.expect("ROT-05", &seen, true, "");

    let again = run.send(ask(&new, &rotation(&old.id))).await;
    run.expect_status("ROT-06", &again, &[200, 202]);
    let other = run.shared_binding().await?;
    let conflict = run.send(ask(&new, &rotation(&other.id))).await;
    run.expect_status("ROT-06", &conflict, &[409]);
    for unknown in [run.fresh_id(), String::new()] {
        let id = run.fresh_id();
        let seen = run.send(ask(&id, &rotation(&unknown))).await;
        run.expect_refusal("ROT-03", &seen);
        run.settle_whatever(Endpoint::Bind, &instance, &id, &seen).await?;
    }
    if run.plan.bindings_retrievable {
        both_there(run, &instance, [&old.id, &new]).await;
    }
    let named =
        with(&with(&rotation(&new), "service_id", json!(run.plan.service_id)), "plan_id", json!(run.plan.plan_id));
    let third = run.fresh_id();
    let seen = run.send(ask(&third, &named)).await;
    if run.expect("AMB-07", &seen, seen.is_success(), "the successor, with service_id and plan_id, too") {
        run.settle_whatever(Endpoint::Bind, &instance, &third, &seen).await?;
        drop(run.unbind(&instance, &third).await?);
    }
    for id in [&new, &old.id] {
        let seen = run.send(run.request(Endpoint::Unbind, &instance, id)).await;
        run.expect("ROT-04", &seen, seen.is_success(), "the binding to be deleted: both are there until then");
        run.settle_whatever(Endpoint::Unbind, &instance, id, &seen).await?;
    }
    Ok(())
}

/// A binding with parameters, where some can be made: rotation has to carry them over.
async fn with_parameters(run: &Run) -> Result<Binding, Stop> {
    let instance = run.shared_binding().await?.instance;
    let base = run.parameters.bind.clone().unwrap_or_default();
    for other in parameters::others(run.plan.bind_schema.as_ref(), &base) {
        let (id, body) = (run.fresh_id(), with(&run.bind_body(), "parameters", Value::Object(other)));
        let answer = run.send(run.request(Endpoint::Bind, &instance, &id).json(&body)).await;
        if answer.is_success() {
            run.settle(Endpoint::Bind, &instance, &id, &answer).await?;
            return Ok(Binding { instance, id, body, answer });
        }
    }
    run.own_binding().await
}

async fn both_there(run: &Run, instance: &str, ids: [&String; 2]) {
    let mut shown = Vec::new();
    for id in ids {
        let ask = || run.request(Endpoint::FetchBinding, instance, id);
        // Whether it can be fetched at the first try is judged elsewhere (LOB-04).
        let first = run.send(ask()).await;
        let seen = if first.is(200) { first } else { run.send(ask()).await };
        run.expect("ROT-04", &seen, seen.is(200), "status 200: the old binding and the new one are both there");
        shown.push(seen);
    }
    if let [old, new] = shown.as_slice()
        && let (Some(old), Some(given)) = (old.field("parameters"), new.field("parameters"))
    {
        run.expect("ROT-04", new, old == given, &format!("the parameters of the old binding: {old}"));
    }
}

async fn not_rotatable(run: &Run) -> CaseResult {
    if run.plan.rotatable {
        run.not_applicable(&["ROT-02"], "the plan says binding_rotatable");
        return Ok(());
    }
    let old = run.shared_binding().await?;
    let id = run.fresh_id();
    let seen = run.send(run.request(Endpoint::Bind, &old.instance, &id).json(&rotation(&old.id))).await;
    run.expect_refusal("ROT-02", &seen);
    if !seen.is_success() {
        return Ok(());
    }
    run.settle_whatever(Endpoint::Bind, &old.instance, &id, &seen).await?;
    run.unbind(&old.instance, &id).await.map(drop)
}
