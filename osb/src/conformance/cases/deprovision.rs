//! Deprovision: with something missing, of what there is not, under another plan, and right: then nothing is there any more.

use super::super::poll::Pending;
use super::super::probe::CaseResult;
use super::super::request::{Endpoint, Request};
use super::super::run::Run;
use super::Case;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a deprovision that lacks something",
        rows: &["DEP-01"],
        of_bindings: false,
        run: |run| Box::pin(required(run)),
    },
    Case {
        name: "a deprovision of what there is not",
        rows: &["DEP-05", "AMB-05", "AMB-10", "AMB-13", "OM-26"],
        of_bindings: false,
        run: |run| Box::pin(unknown(run)),
    },
    Case {
        name: "a deprovision by somebody who can't poll",
        rows: &["DEP-06", "ERR-05"],
        of_bindings: false,
        run: |run| Box::pin(without_polling(run)),
    },
    Case {
        name: "a deprovision under another plan",
        rows: &["DEP-10"],
        of_bindings: false,
        run: |run| Box::pin(other_plan(run)),
    },
    Case {
        name: "an instance is deleted",
        rows: &["DEP-03", "DEP-04", "DEP-05", "DEP-09", "GSI-04", "AMB-03", "LOI-11"],
        of_bindings: false,
        run: |run| Box::pin(deleted(run)),
    },
];

async fn required(run: &Run) -> CaseResult {
    let mut instance = run.shared_instance().await?;
    for field in ["service_id", "plan_id"] {
        for empty in [false, true] {
            let ask = run.request(Endpoint::Deprovision, &instance.id, "").without_query(field);
            let ask = if empty { ask.query(field, "") } else { ask };
            let what = if empty { "an empty" } else { "no" };
            let seen = run.send(ask).await;
            run.expect("DEP-01", &seen, seen.is(400), &format!("status 400, because of {what} {field}"));
            if seen.is_success() {
                run.settle_whatever(Endpoint::Deprovision, &instance.id, "", &seen).await?;
                run.give_up_instance().await;
                instance = run.shared_instance().await?;
            }
        }
    }
    Ok(())
}

async fn unknown(run: &Run) -> CaseResult {
    let ask = || run.request(Endpoint::Deprovision, &run.fresh_id(), "");
    let seen = run.send(ask()).await;
    for row in ["DEP-05", "OM-26"] {
        run.expect_status(row, &seen, &[410]);
    }
    let bare = run.send(ask().without_query("service_id").without_query("plan_id")).await;
    run.expect_status("AMB-05", &bare, &[400, 410]);
    let twice = run.send(ask().query("service_id", &run.plan.service_id)).await;
    let holds = twice.is(400) || twice.status == seen.status;
    run.expect("AMB-10", &twice, holds, "the same answer as with one of them, or 400");
    let with_body = run.send(ask().header("Content-Type", "application/json").raw("{}")).await;
    let expected = "the same answer as without a body";
    run.expect("AMB-13", &with_body, with_body.status == seen.status, expected);
    Ok(())
}

async fn without_polling(run: &Run) -> CaseResult {
    let instance = run.own_instance().await?;
    let ask = run.request(Endpoint::Deprovision, &instance.id, "").without_query("accepts_incomplete");
    let seen = run.send(ask).await;
    if seen.is_success() && !seen.is(202) {
        run.not_applicable(&["DEP-06"], "the service broker can deprovision at once");
    } else {
        run.expect_code(&["DEP-06", "ERR-05"], &seen, "AsyncRequired");
    }
    run.settle_whatever(Endpoint::Deprovision, &instance.id, "", &seen).await?;
    if seen.is_success() { Ok(()) } else { run.deprovision(&instance.id).await.map(drop) }
}

/// A 410 would make a platform forget what is still there; anything else is the broker's choice.
async fn other_plan(run: &Run) -> CaseResult {
    let Some(plan) = run.plan.sibling.clone() else {
        run.not_applicable(&["DEP-10"], "the offering has no other plan");
        return Ok(());
    };
    let instance = run.own_instance().await?;
    let ask = Request::new(Endpoint::Deprovision, &instance.id, "");
    let ask = ask.query("service_id", &run.plan.service_id).query("plan_id", &plan).polls();
    let seen = run.send(ask).await;
    run.expect("DEP-10", &seen, !seen.is(410) && !seen.is(404), "no 410, since the instance is there");
    run.settle_whatever(Endpoint::Deprovision, &instance.id, "", &seen).await?;
    if seen.is_success() { Ok(()) } else { run.deprovision(&instance.id).await.map(drop) }
}

async fn deleted(run: &Run) -> CaseResult {
    let instance = run.shared_instance().await?;
    let id = &instance.id;
    let answer = run.deprovision(id).await?;
    run.give_up_instance().await;
    let again = run.send(run.request(Endpoint::Deprovision, id, "")).await;
    run.expect("DEP-05", &again, again.is(410), "status 410: the instance is gone");
    run.settle_whatever(Endpoint::Deprovision, id, "", &again).await?;
    if run.plan.instances_retrievable {
        let seen = run.send(run.request(Endpoint::FetchInstance, id, "")).await;
        run.expect("GSI-04", &seen, seen.is(404), "status 404: the instance is gone");
    }
    if answer.is(202) {
        let pending = Pending::from(run, Endpoint::Deprovision, id, "", &answer);
        let kept = run.send(pending.request(run)).await;
        let holds = kept.is(410) || (kept.is(200) && kept.text("state") == Some("succeeded"));
        run.expect("LOI-11", &kept, holds, "200 succeeded or 410, since the deletion has just ended");
        let seen = run.send(run.request(Endpoint::InstanceOperation, id, "")).await;
        let over = seen.is_any(&[404, 410]) || (seen.is(200) && seen.text("state") == Some("succeeded"));
        for row in ["LOI-06", "AMB-03"] {
            run.expect(row, &seen, over, "200 succeeded, 410 or 404 after the deletion");
        }
    } else {
        run.not_applicable(&["AMB-03"], "the service broker deprovisions at once");
    }
    Ok(())
}
