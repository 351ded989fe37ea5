//! Update, right: parameters, plan, context alone, versions; and what an update must leave as it was.
//!
//! A broker that says nowhere in its catalog that it can be updated may have no PATCH at all; then nothing here applies.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::exchange::Exchange;
use super::super::parameters;
use super::super::probe::{CaseResult, Stop};
use super::super::request::{Endpoint, Request};
use super::super::run::{Instance, Run};
use super::concurrency::updates;
use super::{Case, with, without};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "an update that changes nothing",
        rows: &["UPD-02", "UPD-03", "UPD-07", "AMB-11"],
        of_bindings: false,
        run: |run| Box::pin(nothing(run)),
    },
    Case {
        name: "an update of the parameters",
        rows: &["UPD-10", "UPD-11", "UPD-12", "EXT-01"],
        of_bindings: false,
        run: |run| Box::pin(of_parameters(run)),
    },
    Case {
        name: "an update to another plan",
        rows: &["UPD-05", "UPD-14"],
        of_bindings: false,
        run: |run| Box::pin(of_plan(run)),
    },
    Case {
        name: "an update of the context alone",
        rows: &["UPD-06"],
        of_bindings: false,
        run: |run| Box::pin(of_context(run)),
    },
    Case {
        name: "an update with maintenance_info",
        rows: &["UPD-09", "ERR-08"],
        of_bindings: false,
        run: |run| Box::pin(of_maintenance(run)),
    },
    Case {
        name: "an update by somebody who can't poll",
        rows: &["UPD-15", "ERR-05"],
        of_bindings: false,
        run: |run| Box::pin(without_polling(run)),
    },
];

/// What an update that doesn't name it leaves.
const UNTOUCHED: &[(&str, &str)] = &[("UPD-02", "plan_id"), ("UPD-03", "parameters")];
/// What an update that is refused leaves.
pub(super) const REFUSED: &[(&str, &str)] = &[("UPD-17", "plan_id"), ("UPD-17", "parameters")];

pub(super) const NO_UPDATES: &str = "the service broker has no updates, and its catalog doesn't say that it has";

impl Run {
    /// Whether the catalog says of the plan that something of an instance can be changed.
    pub(super) fn says_updates(&self) -> bool {
        self.plan.updateable
            || self.plan.context_updates
            || self.plan.update_schema.is_some()
            || self.parameters.update.is_some()
    }

    /// Whether an answer to an update means that there are none at all, which the catalog allows.
    pub(super) fn has_no_updates(&self, seen: &Exchange) -> bool {
        !self.says_updates() && seen.is_any(&[404, 405, 501])
    }

    /// An update with that body, seen to its end: its answer, and whether it was carried out.
    pub(super) async fn update(&self, instance: &Instance, body: &Value) -> Result<(Arc<Exchange>, bool), Stop> {
        let seen = self.send(self.request(Endpoint::Update, &instance.id, "").json(body)).await;
        if seen.is_success() {
            self.settle(Endpoint::Update, &instance.id, "", &seen).await?;
        }
        let done = seen.is_success();
        Ok((seen, done))
    }

    /// What the broker says of an instance, where it can be fetched.
    pub(super) async fn look(&self, instance: &Instance) -> Option<Arc<Exchange>> {
        if !self.plan.instances_retrievable {
            return None;
        }
        // A hint that is not true any more may be refused, and a broker may want one.
        let unhinted = self.send(Request::new(Endpoint::FetchInstance, &instance.id, "")).await;
        if unhinted.is(200) {
            return Some(unhinted);
        }
        let hinted = self.send(self.request(Endpoint::FetchInstance, &instance.id, "")).await;
        hinted.is(200).then_some(hinted)
    }

    /// A fetched instance still has the plan and the parameters that it had.
    pub(super) async fn unchanged(&self, fields: &[(&'static str, &str)], instance: &Instance, before: &Exchange) {
        let Some(after) = self.look(instance).await else { return };
        for (row, name) in fields {
            let holds = before.field(name) == after.field(name);
            let was = before.field(name).map_or("absent".to_owned(), Value::to_string);
            self.expect(row, &after, holds, &format!("{name} as before: {was}"));
        }
    }

    /// An instance of a case's own with parameters, where some can be made: what an update must leave has to be there.
    pub(super) async fn own_instance_with_parameters(&self) -> Result<Instance, Stop> {
        self.shared_instance().await?;
        let base = self.parameters.create.clone().unwrap_or_default();
        let others =
            if base.is_empty() { parameters::others(self.plan.create_schema.as_ref(), &base) } else { Vec::new() };
        for other in others {
            let (id, body) = (self.fresh_id(), with(&self.provision_body(), "parameters", Value::Object(other)));
            let answer = self.send(self.request(Endpoint::Provision, &id, "").json(&body)).await;
            if answer.is_success() {
                self.settle(Endpoint::Provision, &id, "", &answer).await?;
                return Ok(Instance { id, body, answer });
            }
        }
        self.own_instance().await
    }
}

/// An update to what the instance is already. It may be refused, but alike with and without `previous_values`.
async fn nothing(run: &Run) -> CaseResult {
    let rows = &["UPD-02", "UPD-03", "UPD-07", "AMB-11"];
    let instance = run.shared_instance().await?;
    let body = with(&run.update_body(), "plan_id", json!(run.plan.plan_id));
    let before = run.look(&instance).await;
    let (full, _) = run.update(&instance, &body).await?;
    if run.has_no_updates(&full) {
        run.not_applicable(rows, NO_UPDATES);
        return Ok(());
    }
    let mut empty = with(&body, "previous_values", json!({"maintenance_info": {}}));
    empty["maintenance_info"] = json!({});
    let variants = [("UPD-07", without(&body, "previous_values")), ("AMB-11", empty)];
    run.expect("UPD-07", &full, full.is_success() || full.is_any(&[400, 422]), "200, 202 or a refusal of the change");
    for (row, body) in variants {
        let (seen, _) = run.update(&instance, &body).await?;
        let holds = seen.is_success() == full.is_success();
        run.expect(row, &seen, holds, &format!("the same answer as with previous_values: {}", full.came()));
    }
    if run.plan.context_updates {
        let (bare, _) = run.update(&instance, &run.update_body()).await?;
        run.expect("UPD-06", &bare, bare.is_success(), "status 200 or 202: allow_context_updates is declared");
    }
    match before {
        Some(before) => run.unchanged(UNTOUCHED, &instance, &before).await,
        None => run
            .not_judged(&["UPD-02", "UPD-03"], &Stop::reason("instances can't be fetched: what changed can't be seen")),
    }
    if ["UPD-02", "UPD-03", "UPD-06"].iter().any(|row| run.is_broken(row)) {
        run.give_up_instance().await;
    }
    Ok(())
}

/// Parameters to update to: those given, else ones that the schema for updates allows.
fn candidates(run: &Run) -> Vec<crate::Object> {
    match (&run.parameters.update, &run.plan.update_schema) {
        (Some(given), _) => vec![given.clone()],
        (None, Some(schema)) => {
            let base = parameters::required(Some(schema)).unwrap_or_default();
            parameters::others(Some(schema), &base)
        }
        (None, None) => Vec::new(),
    }
}

async fn of_parameters(run: &Run) -> CaseResult {
    let instance = run.own_instance().await?;
    let mut done = false;
    let first = run.look(&instance).await;
    for parameters in candidates(run) {
        let mut body = with(&run.update_body(), "parameters", Value::Object(parameters));
        body["x-conformance"] = json!(["unknown"]);
        let seen;
        (seen, done) = run.update(&instance, &body).await?;
        if done {
            run.expect("EXT-01", &seen, true, "");
            if let Some(first) = &first {
                run.unchanged(&[("UPD-02", "plan_id")], &instance, first).await;
            }
            let before = run.look(&instance).await;
            untouched(run, &instance, before).await?;
            break;
        }
        if !seen.is_any(&[400, 422]) {
            run.expect("UPD-10", &seen, false, "status 200 or 202, or 400 or 422 where it is not possible");
            return Err(Stop::because("UPD-10"));
        }
    }
    if !done {
        let reason = "the catalog has no parameters for updates that could be tried; give some with --params";
        run.not_applicable(&["UPD-10", "UPD-11", "UPD-12"], reason);
    }
    run.deprovision(&instance.id).await.map(drop)
}

/// UPD-03: now that parameters were set, an update without any leaves them.
async fn untouched(run: &Run, instance: &Instance, before: Option<Arc<Exchange>>) -> CaseResult {
    let Some(before) = before else { return Ok(()) };
    let body = with(&run.update_body(), "plan_id", json!(run.plan.plan_id));
    let (_, done) = run.update(instance, &body).await?;
    if done {
        run.unchanged(UNTOUCHED, instance, &before).await;
    }
    Ok(())
}

async fn of_plan(run: &Run) -> CaseResult {
    let rows = &["UPD-05", "UPD-14"];
    let Some(other) = run.plan.sibling.clone() else {
        run.not_applicable(rows, "the offering has no other plan");
        return Ok(());
    };
    let instance = run.own_instance().await?;
    let before = run.look(&instance).await;
    let body = with(&run.update_body(), "plan_id", json!(other));
    let seen = run.send(run.request(Endpoint::Update, &instance.id, "").json(&body)).await;
    if run.has_no_updates(&seen) {
        run.not_applicable(rows, NO_UPDATES);
        return run.deprovision(&instance.id).await.map(drop);
    }
    let expected = "200, 202, or 422 where this change isn't possible";
    // Nobody was to ask where the catalog doesn't allow it, nor without the parameters that the other plan needs; then 400
    // is as good.
    let unasked = !run.plan.updateable || run.plan.sibling_needs_parameters;
    let holds = seen.is_any(&[200, 202, 422]) || (unasked && seen.is(400));
    run.expect("UPD-05", &seen, holds, expected);
    let reserved = seen.text("error").is_some_and(|word| crate::error::RESERVED.contains(&word));
    if seen.is(422) {
        run.expect("UPD-14", &seen, !reserved, "422 with no error, or one of the broker's own");
    } else {
        run.not_applicable(&["UPD-14"], "no change was refused with 422");
    }
    if seen.is_success() {
        run.settle(Endpoint::Update, &instance.id, "", &seen).await?;
        run.ledger().moved(&instance.id, &other);
    }
    let shown = moved(run, &instance, &other, seen.is_success(), before).await;
    let plan = if seen.is_success() { other.clone() } else { run.plan.plan_id.clone() };
    let plan = shown.filter(|shown| [&other, &run.plan.plan_id].contains(&shown)).unwrap_or(plan);
    run.ledger().moved(&instance.id, &plan);
    let ask = run.request(Endpoint::Deprovision, &instance.id, "").without_query("plan_id").query("plan_id", &plan);
    let gone = run.send(ask).await;
    run.settle(Endpoint::Deprovision, &instance.id, "", &gone).await
}

/// The plan is the new one after a success, and the old one after a refusal. Gives the plan that is shown.
async fn moved(
    run: &Run,
    instance: &Instance,
    other: &str,
    done: bool,
    before: Option<Arc<Exchange>>,
) -> Option<String> {
    if !done {
        run.unchanged(REFUSED, instance, before.as_deref()?).await;
        return None;
    }
    let after = run.look(instance).await?;
    let plan = after.text("plan_id")?.to_owned();
    run.expect("UPD-05", &after, plan == other, &format!("plan_id {other}, now that it was changed"));
    Some(plan)
}

async fn of_context(run: &Run) -> CaseResult {
    if !run.plan.context_updates {
        run.not_applicable(&["UPD-06"], "the offering doesn't say allow_context_updates");
        return Ok(());
    }
    let instance = run.own_instance_with_parameters().await?;
    let before = run.look(&instance).await;
    let mut body = run.update_body();
    if body["context"].get("instance_name").is_some() {
        body["context"]["instance_name"] = json!("conformance-renamed");
    }
    let (seen, done) = run.update(&instance, &body).await?;
    run.expect("UPD-06", &seen, done, "status 200 or 202: allow_context_updates is declared");
    if let Some(before) = before.filter(|_| done) {
        run.unchanged(&[("UPD-06", "plan_id"), ("UPD-06", "parameters")], &instance, &before).await;
    }
    run.deprovision(&instance.id).await.map(drop)
}

async fn of_maintenance(run: &Run) -> CaseResult {
    let Some(version) = &run.plan.maintenance else {
        run.not_applicable(&["UPD-09"], "the plan has no maintenance_info");
        return Ok(());
    };
    let instance = run.shared_instance().await?;
    let plain = without(&run.update_body(), "previous_values");
    let body = |version: &str| with(&plain, "maintenance_info", json!({"version": version}));
    let other = run.send(run.request(Endpoint::Update, &instance.id, "").json(&body("0.0.0-conformance"))).await;
    if run.has_no_updates(&other) {
        run.not_applicable(&["UPD-09"], NO_UPDATES);
        return Ok(());
    }
    run.expect_code(&["UPD-09", "ERR-08"], &other, "MaintenanceInfoConflict");
    run.settle_whatever(Endpoint::Update, &instance.id, "", &other).await?;
    let (right, _) = run.update(&instance, &body(version)).await?;
    let conflict = right.text("error") == Some("MaintenanceInfoConflict");
    run.expect("UPD-09", &right, !conflict, "no MaintenanceInfoConflict: the version is the catalog's");
    Ok(())
}

async fn without_polling(run: &Run) -> CaseResult {
    let instance = run.own_instance().await?;
    let mut plan = run.plan.plan_id.clone();
    for body in updates(run) {
        let ask = run.request(Endpoint::Update, &instance.id, "").without_query("accepts_incomplete").json(&body);
        let seen = run.send(ask).await;
        if seen.is(202) || seen.text("error") == Some("AsyncRequired") {
            run.expect_code(&["UPD-15", "ERR-05"], &seen, "AsyncRequired");
        }
        run.settle_whatever(Endpoint::Update, &instance.id, "", &seen).await?;
        if seen.is_success() {
            plan = body.get("plan_id").and_then(Value::as_str).map_or(plan, str::to_owned);
            break;
        }
    }
    run.not_applicable(&["UPD-15"], "the service broker updates at once, or not at all");
    run.ledger().moved(&instance.id, &plan);
    let ask = run.request(Endpoint::Deprovision, &instance.id, "").without_query("plan_id").query("plan_id", &plan);
    let gone = run.send(ask).await;
    run.settle(Endpoint::Deprovision, &instance.id, "", &gone).await
}
