//! The last operation, once it is over: with and without hints, again and again, and of what there is not.

use super::super::poll::Pending;
use super::super::probe::CaseResult;
use super::super::request::{Endpoint, Request};
use super::super::run::Run;
use super::Case;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "the last operation of an instance, after its end",
        rows: &["LOI-01", "LOI-02", "LOI-04", "LOI-11", "AMB-14", "LOI-07"],
        of_bindings: false,
        run: |run| Box::pin(of_instance(run)),
    },
    Case {
        name: "the last operation of an instance that there is not",
        rows: &["LOI-06"],
        of_bindings: false,
        run: |run| Box::pin(unknown(run)),
    },
    Case {
        name: "the last operation of a binding, after its end",
        rows: &["LOB-01", "LOB-02", "LOI-11"],
        of_bindings: true,
        run: |run| Box::pin(of_binding(run)),
    },
];

const AT_ONCE: &str = "the service broker does everything at once, so there is nothing to poll";

async fn of_instance(run: &Run) -> CaseResult {
    let instance = run.own_instance().await?;
    if !instance.answer.is(202) {
        let rows = &["LOI-01", "LOI-02", "LOI-04", "LOI-11", "AMB-14", "LOI-07"];
        run.not_applicable(rows, AT_ONCE);
        return run.deprovision(&instance.id).await.map(drop);
    }
    let pending = Pending::from(run, Endpoint::Provision, &instance.id, "", &instance.answer);
    let hinted = || pending.request(run);
    let plain = || hinted().without_query("service_id").without_query("plan_id");
    let mut latest = None;
    for _ in 0..2 {
        let seen = run.send(hinted()).await;
        let holds = seen.is(200) && seen.text("state") == Some("succeeded");
        run.expect("LOI-11", &seen, holds, "200 succeeded, as before");
        latest = seen.status;
    }
    let unhinted = run.send(plain()).await;
    run.expect("LOI-01", &unhinted, unhinted.status == latest, "the same answer as with service_id and plan_id");
    for operation in ["", "conformance"] {
        let request = hinted().without_query("operation").query("operation", operation);
        let seen = run.send(request).await;
        run.expect("AMB-14", &seen, seen.is(200) || seen.is_refused(), "the latest operation, or a status 4xx");
    }
    if pending.operation.is_none() {
        run.not_applicable(&["LOI-02"], "the service broker gave no operation");
    }
    run.deprovision(&instance.id).await.map(drop)
}

async fn unknown(run: &Run) -> CaseResult {
    if !run.saw_asynchronous() {
        run.not_applicable(&["LOI-06"], AT_ONCE);
        return Ok(());
    }
    for request in [
        run.request(Endpoint::InstanceOperation, &run.fresh_id(), ""),
        Request::new(Endpoint::InstanceOperation, &run.fresh_id(), ""),
    ] {
        let seen = run.send(request).await;
        run.expect_status("LOI-06", &seen, &[404]);
    }
    Ok(())
}

async fn of_binding(run: &Run) -> CaseResult {
    let binding = run.own_binding().await?;
    if binding.answer.is(202) {
        let pending = Pending::from(run, Endpoint::Bind, &binding.instance, &binding.id, &binding.answer);
        for _ in 0..2 {
            let seen = run.send(pending.request(run)).await;
            let holds = seen.is(200) && seen.text("state") == Some("succeeded");
            run.expect("LOI-11", &seen, holds, "200 succeeded, as before");
        }
        let unknown = run.request(Endpoint::BindingOperation, &binding.instance, &run.fresh_id());
        let unknown = run.send(unknown).await;
        run.expect_status("LOB-02", &unknown, &[404]);
    } else {
        run.not_applicable(&["LOB-01", "LOB-02"], AT_ONCE);
    }
    run.unbind(&binding.instance, &binding.id).await.map(drop)
}
