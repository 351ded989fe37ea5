//! What is asked for while an operation goes on.
//!
//! Whether it still went on can only be told afterwards: an answer counts where the next poll says "in progress". A broker that is
//! quicker than two requests is not judged here.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::exchange::Exchange;
use super::super::parameters;
use super::super::poll::{End, Pending};
use super::super::probe::{CaseResult, Stop};
use super::super::request::{Endpoint, Request};
use super::super::run::Run;
use super::{Case, with};

const PROVISION: &[&str] = &["ASY-04", "PRV-09", "PRV-10", "GSI-04", "CON-01", "ERR-06", "ERR-12", "CON-04", "DEP-07"];
const UPDATE: &[&str] = &["UPD-11", "CON-06", "GSI-05", "DEP-07"];
const BINDING: &[&str] = &["BND-09", "BND-10", "GSB-03", "CON-05", "UNB-06"];

pub(super) const CASES: &[Case] = &[
    Case { name: "during a provision", rows: PROVISION, of_bindings: false, run: |run| Box::pin(provision(run)) },
    Case {
        name: "a deprovision during a provision",
        rows: &["CON-04", "DEP-07"],
        of_bindings: false,
        run: |run| Box::pin(halted(run)),
    },
    Case { name: "during an update", rows: UPDATE, of_bindings: false, run: |run| Box::pin(update(run)) },
    Case {
        name: "during a deprovision",
        rows: &["DEP-04", "ASY-04"],
        of_bindings: false,
        run: |run| Box::pin(deprovision(run)),
    },
    Case { name: "during a bind", rows: BINDING, of_bindings: true, run: |run| Box::pin(bind(run)) },
    Case { name: "during an unbind", rows: &["UNB-03", "ASY-04"], of_bindings: true, run: |run| Box::pin(unbind(run)) },
];

const AT_ONCE: &str = "the service broker does this at once, so nothing can come in between";

/// What was sent during an operation, and what came.
struct During {
    row: &'static str,
    seen: Arc<Exchange>,
    expect: Expect,
}

/// What may be answered during an operation.
#[derive(Clone, Copy)]
enum Expect {
    /// 202 with the operation of the first answer.
    Same,
    /// Exactly that status.
    Status(u16),
    /// One of those.
    Either(u16, u16),
    /// That status, or 422 ConcurrencyError.
    Or(u16),
}

fn is_busy(seen: &Exchange) -> bool {
    seen.is(422) && seen.text("error") == Some("ConcurrencyError")
}

impl Run {
    /// Sends each while the operation goes on, and judges the answers where it still went on afterwards.
    async fn during(&self, pending: &Pending, asked: Vec<(&'static str, Request, Expect)>) -> Result<bool, Stop> {
        let mut all = Vec::new();
        for (row, request, expect) in asked {
            all.push(During { row, seen: self.send(request).await, expect });
        }
        if !self.still_going(pending).await? {
            let rows: Vec<&'static str> = all.iter().map(|during| during.row).collect();
            self.not_judged(&rows, &Stop::reason("the operation was over before anything could come in between"));
            return Ok(false);
        }
        for during in &all {
            self.judge_during(pending, during);
        }
        Ok(true)
    }

    fn judge_during(&self, pending: &Pending, during: &During) {
        let seen = &during.seen;
        let operation = seen.text("operation").filter(|text| !text.is_empty());
        let (holds, expected) = match during.expect {
            Expect::Same => {
                let same = operation == pending.operation.as_deref();
                let named = pending.operation.as_deref().unwrap_or("none");
                (seen.is(202) && same, format!("202 with the operation of the first answer: {named}"))
            }
            Expect::Status(status) => (seen.is(status), format!("status {status}")),
            Expect::Either(one, other) => (seen.is_any(&[one, other]), format!("status {one} or {other}")),
            Expect::Or(status) => {
                (seen.is(status) || is_busy(seen), format!("status {status}, or 422 with error ConcurrencyError"))
            }
        };
        self.expect(during.row, seen, holds, &expected);
        if matches!(during.expect, Expect::Same) {
            self.expect("ASY-04", seen, holds, &expected);
        }
        if matches!(during.expect, Expect::Or(_)) {
            for row in ["CON-01", "ERR-06", "ERR-12"] {
                self.expect(row, seen, holds, &expected);
            }
        }
    }

    /// Starts a provision that takes its time. `None` where it was over at once.
    async fn slow_provision(&self) -> Result<Option<(Pending, Value)>, Stop> {
        if !self.shared_instance().await?.answer.is(202) {
            return Ok(None);
        }
        let (id, body) = (self.fresh_id(), self.provision_body());
        let answer = self.send(self.request(Endpoint::Provision, &id, "").json(&body)).await;
        if answer.is(202) {
            self.judge_accepted(Endpoint::Provision, &answer);
            return Ok(Some((Pending::from(self, Endpoint::Provision, &id, "", &answer), body)));
        }
        self.settle_whatever(Endpoint::Provision, &id, "", &answer).await?;
        Ok(None)
    }
}

async fn provision(run: &Run) -> CaseResult {
    let Some((pending, body)) = run.slow_provision().await? else {
        run.not_applicable(PROVISION, AT_ONCE);
        return Ok(());
    };
    let id = &pending.instance;
    let ask = |body: &Value| run.request(Endpoint::Provision, id, "").json(body);
    let other = format!("{}-other", run.options.space_guid);
    let mut moved = with(&body, "space_guid", json!(other));
    if moved["context"].get("space_guid").is_some() {
        moved["context"]["space_guid"] = json!(other);
    }
    let mut asked = vec![("PRV-09", ask(&body), Expect::Same), ("PRV-10", ask(&moved), Expect::Status(409))];
    if run.plan.instances_retrievable {
        asked.push(("GSI-04", run.request(Endpoint::FetchInstance, id, ""), Expect::Status(404)));
    }
    run.during(&pending, asked).await?;
    run.see_through(&pending).await?;
    run.deprovision(id).await.map(drop)
}

/// CON-04: it is accepted and halts the provision, or refused.
async fn halted(run: &Run) -> CaseResult {
    let Some((pending, _)) = run.slow_provision().await? else {
        run.not_applicable(&["CON-04", "DEP-07"], AT_ONCE);
        return Ok(());
    };
    let id = &pending.instance;
    let seen = run.send(run.request(Endpoint::Deprovision, id, "")).await;
    let holds = seen.is_any(&[200, 202]) || is_busy(&seen);
    for row in ["DEP-07", "CON-01", "ERR-06", "ERR-12"] {
        run.expect(row, &seen, holds, "200 or 202, or 422 with error ConcurrencyError");
    }
    run.not_applicable(&["CON-04"], "the service broker refuses to deprovision what is being provisioned");
    if seen.is_any(&[200, 202]) {
        run.settle_whatever(Endpoint::Deprovision, id, "", &seen).await?;
        let again = run.send(run.request(Endpoint::Deprovision, id, "")).await;
        run.expect("CON-04", &again, again.is(410), "status 410: the provision was halted and everything deleted");
        return run.settle_whatever(Endpoint::Deprovision, id, "", &again).await;
    }
    if run.finish(&pending).await? == End::Failed {
        return Ok(());
    }
    run.deprovision(id).await.map(drop)
}

/// Bodies of updates that may take their time.
pub(super) fn updates(run: &Run) -> Vec<Value> {
    let body = run.update_body();
    let mut bodies = Vec::new();
    if let (true, Some(plan)) = (run.plan.updateable, &run.plan.sibling) {
        bodies.push(with(&body, "plan_id", json!(plan)));
    }
    if let Some(parameters) = &run.parameters.update {
        bodies.push(with(&body, "parameters", Value::Object(parameters.clone())));
    }
    bodies.push(with(&body, "plan_id", json!(run.plan.plan_id)));
    bodies
}

async fn update(run: &Run) -> CaseResult {
    let instance = run.own_instance().await?;
    let fetchable = run.look(&instance).await.is_some();
    let mut plan_id = run.plan.plan_id.clone();
    let mut found = false;
    for body in updates(run) {
        let ask = || run.request(Endpoint::Update, &instance.id, "").json(&body);
        let answer = run.send(ask()).await;
        let to = body.get("plan_id").and_then(Value::as_str).filter(|_| answer.is_success());
        if !answer.is(202) {
            plan_id = to.map_or(plan_id, str::to_owned);
            continue;
        }
        found = true;
        run.judge_accepted(Endpoint::Update, &answer);
        let mut pending = Pending::from(run, Endpoint::Update, &instance.id, "", &answer);
        pending.plan_id.clone_from(&plan_id);
        let mut asked = vec![("UPD-11", ask(), Expect::Same)];
        if fetchable {
            asked.push(("GSI-05", run.request(Endpoint::FetchInstance, &instance.id, ""), Expect::Or(200)));
            asked.push(("CON-06", run.request(Endpoint::FetchInstance, &instance.id, ""), Expect::Or(200)));
        }
        run.during(&pending, asked).await?;
        if run.finish(&pending).await? == End::Succeeded {
            plan_id = to.map_or(plan_id, str::to_owned);
        }
        break;
    }
    if !found {
        run.not_applicable(UPDATE, "no update took its time");
    }
    run.ledger().moved(&instance.id, &plan_id);
    let ask = run.request(Endpoint::Deprovision, &instance.id, "").without_query("plan_id").query("plan_id", &plan_id);
    let gone = run.send(ask).await;
    run.settle(Endpoint::Deprovision, &instance.id, "", &gone).await
}

async fn deprovision(run: &Run) -> CaseResult {
    let instance = run.own_instance().await?;
    let ask = || run.request(Endpoint::Deprovision, &instance.id, "");
    let answer = run.send(ask()).await;
    if !answer.is(202) {
        run.not_applicable(&["DEP-04"], AT_ONCE);
        return run.settle(Endpoint::Deprovision, &instance.id, "", &answer).await;
    }
    run.judge_accepted(Endpoint::Deprovision, &answer);
    let pending = Pending::from(run, Endpoint::Deprovision, &instance.id, "", &answer);
    run.during(&pending, vec![("DEP-04", ask(), Expect::Same)]).await?;
    run.see_through(&pending).await
}

async fn bind(run: &Run) -> CaseResult {
    let instance = run.shared_binding().await?.instance;
    let (id, body) = (run.fresh_id(), run.bind_body());
    let ask = |body: &Value| run.request(Endpoint::Bind, &instance, &id).json(body);
    let answer = run.send(ask(&body)).await;
    if !answer.is(202) {
        run.not_applicable(BINDING, AT_ONCE);
        run.settle(Endpoint::Bind, &instance, &id, &answer).await?;
        return run.unbind(&instance, &id).await.map(drop);
    }
    run.judge_accepted(Endpoint::Bind, &answer);
    let pending = Pending::from(run, Endpoint::Bind, &instance, &id, &answer);
    let mut asked = vec![("BND-09", ask(&body), Expect::Same)];
    let base = run.parameters.bind.clone().unwrap_or_default();
    if let Some(other) = parameters::others(run.plan.bind_schema.as_ref(), &base).into_iter().next() {
        // Where these parameters are not possible, 400 is as good.
        asked.push(("BND-10", ask(&with(&body, "parameters", Value::Object(other))), Expect::Either(409, 400)));
    }
    if run.plan.bindings_retrievable {
        asked.push(("GSB-03", run.request(Endpoint::FetchBinding, &instance, &id), Expect::Status(404)));
    }
    run.during(&pending, asked).await?;
    run.unbind_meanwhile(&pending).await
}

impl Run {
    /// CON-05: an unbind during the bind is accepted and halts it, or refused.
    async fn unbind_meanwhile(&self, pending: &Pending) -> CaseResult {
        let (instance, id) = (&pending.instance, &pending.binding);
        let seen = self.send(self.request(Endpoint::Unbind, instance, id)).await;
        let holds = seen.is_any(&[200, 202]) || is_busy(&seen);
        for row in ["UNB-06", "CON-01", "ERR-06", "ERR-12"] {
            self.expect(row, &seen, holds, "200 or 202, or 422 with error ConcurrencyError");
        }
        self.not_applicable(&["CON-05"], "the service broker refuses to unbind what is being bound");
        if seen.is_any(&[200, 202]) {
            self.settle_whatever(Endpoint::Unbind, instance, id, &seen).await?;
            let again = self.send(self.request(Endpoint::Unbind, instance, id)).await;
            self.expect("CON-05", &again, again.is(410), "status 410: the bind was halted and everything deleted");
            return self.settle_whatever(Endpoint::Unbind, instance, id, &again).await;
        }
        if self.finish(pending).await? == End::Failed {
            return Ok(());
        }
        self.unbind(instance, id).await.map(drop)
    }
}

async fn unbind(run: &Run) -> CaseResult {
    let binding = run.own_binding().await?;
    let ask = || run.request(Endpoint::Unbind, &binding.instance, &binding.id);
    let answer = run.send(ask()).await;
    if !answer.is(202) {
        run.not_applicable(&["UNB-03"], AT_ONCE);
        return run.settle(Endpoint::Unbind, &binding.instance, &binding.id, &answer).await;
    }
    run.judge_accepted(Endpoint::Unbind, &answer);
    let pending = Pending::from(run, Endpoint::Unbind, &binding.instance, &binding.id, &answer);
    run.during(&pending, vec![("UNB-03", ask(), Expect::Same)]).await?;
    run.see_through(&pending).await
}
