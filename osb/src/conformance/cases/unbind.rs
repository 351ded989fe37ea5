//! Unbind: at once or later, again, with something missing, and of what there is not.

use super::super::probe::CaseResult;
use super::super::request::Endpoint;
use super::super::run::Run;
use super::Case;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "an unbind that lacks something",
        rows: &["UNB-01"],
        of_bindings: true,
        run: |run| Box::pin(required(run)),
    },
    Case {
        name: "an unbind of what there is not",
        rows: &["UNB-04", "AMB-05", "OM-26"],
        of_bindings: true,
        run: |run| Box::pin(unknown(run)),
    },
    Case {
        name: "an unbind by somebody who can't poll",
        rows: &["UNB-05", "ERR-05"],
        of_bindings: true,
        run: |run| Box::pin(without_polling(run)),
    },
    Case {
        name: "a binding is deleted",
        rows: &["UNB-02", "UNB-03", "UNB-04", "UNB-08"],
        of_bindings: true,
        run: |run| Box::pin(deleted(run)),
    },
];

async fn required(run: &Run) -> CaseResult {
    let mut binding = run.shared_binding().await?;
    for field in ["service_id", "plan_id"] {
        for empty in [false, true] {
            let ask = run.request(Endpoint::Unbind, &binding.instance, &binding.id).without_query(field);
            let ask = if empty { ask.query(field, "") } else { ask };
            let what = if empty { "an empty" } else { "no" };
            let seen = run.send(ask).await;
            run.expect("UNB-01", &seen, seen.is(400), &format!("status 400, because of {what} {field}"));
            if seen.is_success() {
                run.settle_whatever(Endpoint::Unbind, &binding.instance, &binding.id, &seen).await?;
                run.give_up_binding().await;
                binding = run.shared_binding().await?;
            }
        }
    }
    Ok(())
}

async fn unknown(run: &Run) -> CaseResult {
    let instance = run.shared_instance().await?.id;
    let id = run.fresh_id();
    let seen = run.send(run.request(Endpoint::Unbind, &instance, &id)).await;
    for row in ["UNB-04", "OM-26"] {
        run.expect_status(row, &seen, &[410]);
    }
    let nowhere = run.send(run.request(Endpoint::Unbind, &run.fresh_id(), &id)).await;
    run.expect("UNB-04", &nowhere, nowhere.is(410), "status 410: of no instance, there is no binding either");
    let bare = run.request(Endpoint::Unbind, &instance, &id).without_query("service_id").without_query("plan_id");
    let bare = run.send(bare).await;
    run.expect_status("AMB-05", &bare, &[400, 410]);
    Ok(())
}

async fn without_polling(run: &Run) -> CaseResult {
    let binding = run.own_binding().await?;
    let ask = run.request(Endpoint::Unbind, &binding.instance, &binding.id).without_query("accepts_incomplete");
    let seen = run.send(ask).await;
    if seen.is_success() && !seen.is(202) {
        run.not_applicable(&["UNB-05"], "the service broker can unbind at once");
    } else {
        run.expect_code(&["UNB-05", "ERR-05"], &seen, "AsyncRequired");
    }
    run.settle_whatever(Endpoint::Unbind, &binding.instance, &binding.id, &seen).await?;
    if seen.is_success() { Ok(()) } else { run.unbind(&binding.instance, &binding.id).await.map(drop) }
}

async fn deleted(run: &Run) -> CaseResult {
    let binding = run.shared_binding().await?;
    let (instance, id) = (&binding.instance, &binding.id);
    let answer = run.unbind(instance, id).await?;
    run.give_up_binding().await;
    let asynchronous = answer.is(202);
    let again = run.send(run.request(Endpoint::Unbind, instance, id)).await;
    for row in ["UNB-04", "UNB-08"] {
        run.expect(row, &again, again.is(410), "status 410: the binding is gone");
    }
    run.settle_whatever(Endpoint::Unbind, instance, id, &again).await?;
    if run.plan.bindings_retrievable {
        let seen = run.send(run.request(Endpoint::FetchBinding, instance, id)).await;
        run.expect("UNB-08", &seen, !seen.is_success(), "no binding any more");
        run.expect("GSB-03", &seen, seen.is(404), "status 404: the binding is gone");
    }
    if asynchronous {
        let seen = run.send(run.request(Endpoint::BindingOperation, instance, id)).await;
        let over = seen.is_any(&[404, 410]) || (seen.is(200) && seen.text("state") == Some("succeeded"));
        run.expect("LOB-02", &seen, over, "200 succeeded, 410 or 404 after the unbind");
    }
    Ok(())
}
