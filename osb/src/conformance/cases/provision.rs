//! Provision, right: at once or later, again, with what is optional, with ids of any characters, and again with other attributes.

use serde_json::{Value, json};

use super::super::probe::{CaseResult, Stop};
use super::super::request::Endpoint;
use super::super::run::Run;
use super::super::{parameters, shapes};
use super::{Case, with};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "an instance",
        rows: &["PRV-07", "PRV-09", "PRV-13", "PRV-14", "PRV-15", "SYN-01", "ASY-02"],
        of_bindings: false,
        run: |run| Box::pin(made(run)),
    },
    Case {
        name: "the same provision again",
        rows: &["PRV-08", "ASY-05", "AMB-02"],
        of_bindings: false,
        run: |run| Box::pin(again(run)),
    },
    Case {
        name: "the same id with other attributes",
        rows: &["PRV-10", "ERR-09"],
        of_bindings: false,
        run: |run| Box::pin(other_attributes(run)),
    },
    Case {
        name: "a provision by somebody who can't poll",
        rows: &["PRV-12", "ERR-05", "AMB-12"],
        of_bindings: false,
        run: |run| Box::pin(without_polling(run)),
    },
    Case {
        name: "ids that are no UUIDs",
        rows: &["PRV-01", "AMB-16"],
        of_bindings: false,
        run: |run| Box::pin(plain_ids(run)),
    },
    Case { name: "ids of any characters", rows: &["URL-01"], of_bindings: false, run: |run| Box::pin(odd_ids(run)) },
    Case {
        name: "unknown fields in a provision",
        rows: &["EXT-01", "CTX-02"],
        of_bindings: false,
        run: |run| Box::pin(unknown_fields(run)),
    },
    Case {
        name: "optional fields that are null or empty",
        rows: &["AMB-11", "AMB-15", "CTX-03", "PRO-01"],
        of_bindings: false,
        run: |run| Box::pin(empty_fields(run)),
    },
];

async fn made(run: &Run) -> CaseResult {
    run.shared_instance().await.map(drop)
}

async fn again(run: &Run) -> CaseResult {
    let instance = run.shared_instance().await?;
    let ask = || run.request(Endpoint::Provision, &instance.id, "").json(&instance.body);
    let seen = run.send(ask()).await;
    for row in ["PRV-08", "ASY-05", "AMB-02"] {
        run.expect_status(row, &seen, &[200]);
    }
    if let Some(body) = seen.object().filter(|_| seen.is(200)) {
        run.forms(&seen, shapes::instance(body));
    }
    if !seen.is(200) {
        return run.settle_whatever(Endpoint::Provision, &instance.id, "", &seen).await;
    }
    let seen = run.send(ask().without_query("accepts_incomplete")).await;
    // Of two things that hold either may be said: it is there, and it can only be made asynchronously.
    let holds = seen.is(200) || (instance.answer.is(202) && seen.text("error") == Some("AsyncRequired"));
    run.expect("PRV-08", &seen, holds, "status 200");
    Ok(())
}

/// The same provision with one attribute changed, and what that is called.
fn variants(run: &Run, body: &Value) -> Vec<(&'static str, Value)> {
    let moved = |field: &str, in_context: &str| {
        let other = json!(format!("{}-other", body[field].as_str().unwrap_or_default()));
        let mut changed = with(body, field, other.clone());
        // Two that contradict each other would be refused for that.
        if changed["context"].get(in_context).is_some() {
            changed["context"][in_context] = other;
        }
        changed
    };
    let mut variants = vec![
        ("another organization", moved("organization_guid", "organization_guid")),
        ("another space", moved("space_guid", "space_guid")),
    ];
    if let Some(plan) = &run.plan.sibling {
        variants.push(("another plan", with(body, "plan_id", json!(plan))));
    }
    if let Some((service, plan)) = &run.plan.stranger {
        variants.push(("another offering", with(&with(body, "service_id", json!(service)), "plan_id", json!(plan))));
    }
    variants
}

async fn other_attributes(run: &Run) -> CaseResult {
    let instance = run.shared_instance().await?;
    let ask = |body: &Value| run.request(Endpoint::Provision, &instance.id, "").json(body);
    for (what, body) in variants(run, &instance.body) {
        let seen = run.send(ask(&body)).await;
        // The same parameters may be wrong for another plan, and a broker may say that first (AMB-08).
        if seen.is(400) && body["plan_id"] != instance.body["plan_id"] {
            continue;
        }
        if !run.expect("PRV-10", &seen, seen.is(409), &format!("status 409, because of {what}")) && seen.is_success() {
            run.settle_whatever(Endpoint::Provision, &instance.id, "", &seen).await?;
        }
    }
    let base = run.parameters.create.clone().unwrap_or_default();
    for other in parameters::others(run.plan.create_schema.as_ref(), &base) {
        let seen = run.send(ask(&with(&instance.body, "parameters", Value::Object(other)))).await;
        // These parameters may not be possible at all.
        if !seen.is(400) {
            run.expect("PRV-10", &seen, seen.is(409), "status 409, because of other parameters");
            break;
        }
    }
    if !run.is_broken("PRV-10") && !run.is_broken("PRV-08") {
        let seen = run.send(ask(&instance.body)).await;
        run.expect("ERR-09", &seen, seen.is(200), "status 200 to the same provision as at first: nothing was changed");
    }
    if run.is_broken("PRV-10") {
        run.give_up_instance().await;
    }
    Ok(())
}

async fn without_polling(run: &Run) -> CaseResult {
    let asynchronous = run.shared_instance().await?.answer.is(202);
    let id = run.fresh_id();
    let ask = || run.request(Endpoint::Provision, &id, "").without_query("accepts_incomplete");
    for flag in [None, Some("false")] {
        let request = match flag {
            Some(flag) => ask().query("accepts_incomplete", flag),
            None => ask(),
        };
        let seen = run.send(request).await;
        if seen.is(422) || seen.is(202) {
            run.expect_code(&["PRV-12", "ERR-05"], &seen, "AsyncRequired");
        } else if seen.is_success() {
            run.not_applicable(&["PRV-12", "AMB-12"], "the service broker can provision at once");
        } else {
            run.expect("PRV-12", &seen, false, "status 201, or 422 with error AsyncRequired");
        }
        if !seen.is_refused() {
            return run.settle_whatever(Endpoint::Provision, &id, "", &seen).await;
        }
    }
    for flag in ["perhaps", "TRUE", ""] {
        if !asynchronous {
            break;
        }
        let seen = run.send(ask().query("accepts_incomplete", flag)).await;
        run.expect("AMB-12", &seen, !seen.is(202), "no 202, since accepts_incomplete is not true");
        if !seen.is_refused() {
            return run.settle_whatever(Endpoint::Provision, &id, "", &seen).await;
        }
    }
    Ok(())
}

async fn plain_ids(run: &Run) -> CaseResult {
    run.shared_instance().await?;
    let id = format!("conformance_{}.~-", run.fresh_id().replace('-', ""));
    let seen = run.send(run.request(Endpoint::Provision, &id, "")).await;
    for row in ["PRV-01", "AMB-16"] {
        run.expect(row, &seen, seen.is_success(), "the instance to be made, though its id is no UUID");
    }
    if seen.is_success() {
        run.settle(Endpoint::Provision, &id, "", &seen).await?;
        run.deprovision(&id).await?;
    }
    Ok(())
}

/// The id holds what stands for something else in a path, and what looks encoded already.
async fn odd_ids(run: &Run) -> CaseResult {
    run.shared_instance().await?;
    let id = format!("conformance {} /ü%2F+&=?#;:@", run.fresh_id());
    let seen = run.send(run.request(Endpoint::Provision, &id, "")).await;
    if !run.expect("URL-01", &seen, seen.is_success(), "the instance to be made, whatever characters its id holds") {
        return Ok(());
    }
    run.settle_whatever(Endpoint::Provision, &id, "", &seen).await?;
    // What it becomes when decoded twice, and when capital letters count as small ones.
    for other in [id.replace("%2F", "/"), id.to_uppercase()] {
        let seen = run.send(run.request(Endpoint::Deprovision, &other, "")).await;
        run.settle_whatever(Endpoint::Deprovision, &other, "", &seen).await?;
    }
    let gone = run.send(run.request(Endpoint::Deprovision, &id, "")).await;
    run.expect("URL-01", &gone, gone.is_success(), "the instance to be deleted by its own id and no other");
    run.settle_whatever(Endpoint::Deprovision, &id, "", &gone).await
}

async fn unknown_fields(run: &Run) -> CaseResult {
    run.shared_instance().await?;
    let body = run.provision_body();
    let outside = with(&body, "x-conformance", json!({"a": [1, null], "b": "c"}));
    let mut inside = body.clone();
    inside["context"]["x-conformance"] = json!(["unknown"]);
    for (row, body) in [("EXT-01", outside), ("CTX-02", inside)] {
        let id = run.fresh_id();
        let seen = run.send(run.request(Endpoint::Provision, &id, "").query("x-conformance", "1").json(&body)).await;
        run.expect(row, &seen, seen.is_success(), "the instance to be made: unknown fields are ignored");
        if seen.is_success() {
            run.settle_whatever(Endpoint::Provision, &id, "", &seen).await?;
            let gone = run.send(run.request(Endpoint::Deprovision, &id, "").query("x-conformance", "1")).await;
            run.expect(row, &gone, gone.is_success(), "the instance to be deleted: unknown fields are ignored");
            run.settle_whatever(Endpoint::Deprovision, &id, "", &gone).await?;
        }
    }
    Ok(())
}

/// What Go clients send for nothing, null for what is optional, and a context as old platforms send it.
async fn empty_fields(run: &Run) -> CaseResult {
    run.shared_instance().await?;
    let body = run.provision_body();
    let nothing = with(&body, "maintenance_info", json!({}));
    let mut cases = vec![("AMB-11", nothing)];
    if body.get("parameters").is_none() {
        cases.push(("AMB-15", with(&body, "parameters", Value::Null)));
    }
    if run.options.context.is_none() {
        let old = json!({"platform": "cloudfoundry", "organization_guid": body["organization_guid"],
            "space_guid": body["space_guid"]});
        cases.push(("CTX-03", with(&body, "context", old)));
        cases.push(("PRO-01", with(&body, "context", json!({"platform": "conformance"}))));
    }
    for (row, body) in cases {
        let id = run.fresh_id();
        let version = if row == "CTX-03" { "2.14" } else { crate::API_VERSION };
        let mut request = run.request(Endpoint::Provision, &id, "").header("X-Broker-API-Version", version).json(&body);
        if row == "PRO-01" {
            request = request.header("X-Broker-API-Originating-Identity", "conformance eyJuYW1lIjoic29tZWJvZHkifQ==");
        }
        let seen = run.send(request).await;
        let spoken = !(row == "CTX-03" && seen.is(412));
        if spoken && run.expect(row, &seen, seen.is_success(), "the instance to be made, as without that field") {
            run.settle_whatever(Endpoint::Provision, &id, "", &seen).await?;
            run.deprovision(&id).await?;
        } else if !spoken {
            run.not_judged(&[row], &Stop::reason("the service broker doesn't speak 2.14"));
        }
    }
    Ok(())
}
