//! Provision, wrong: each field that is missing or of another type, unknown ids, other versions. Nothing may be made of it.

use serde_json::{Value, json};

use super::super::parameters;
use super::super::probe::CaseResult;
use super::super::request::{Endpoint, Request};
use super::super::run::Run;
use super::{Case, MALFORMED, with, without_string};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a provision that lacks something",
        rows: &["PRV-02", "ERR-09"],
        of_bindings: false,
        run: |run| Box::pin(required(run)),
    },
    Case { name: "a malformed provision", rows: &["PRV-11"], of_bindings: false, run: |run| Box::pin(malformed(run)) },
    Case {
        name: "a provision of what is not offered",
        rows: &["PRV-04"],
        of_bindings: false,
        run: |run| Box::pin(unknown(run)),
    },
    Case {
        name: "a provision with impossible parameters",
        rows: &["PRV-05"],
        of_bindings: false,
        run: |run| Box::pin(wrong_parameters(run)),
    },
    Case {
        name: "a provision with maintenance_info",
        rows: &["PRV-06", "ERR-08"],
        of_bindings: false,
        run: |run| Box::pin(maintenance(run)),
    },
];

/// Sends each on the same id, which is free as long as all are refused; and then looks whether something was made.
async fn refused(run: &Run, row: &'static str, requests: Vec<(String, Request)>) {
    let mut id = run.fresh_id();
    for (what, request) in requests {
        let request = Request { path: Endpoint::Provision.path(&id, ""), instance: id.clone(), ..request };
        let seen = run.send(request).await;
        run.expect(row, &seen, seen.is(400), &format!("status 400, because of {what}"));
        if !seen.is_refused() {
            // What was made is deleted at the end.
            id = run.fresh_id();
        }
    }
    let seen = run.send(run.request(Endpoint::Deprovision, &id, "")).await;
    run.expect("ERR-09", &seen, !seen.is_success(), "nothing to delete, since each provision of that id was refused");
}

async fn required(run: &Run) -> CaseResult {
    let body = run.provision_body();
    let fields = ["service_id", "plan_id", "organization_guid", "space_guid"];
    let wrong = fields.iter().flat_map(|field| without_string(&body, field));
    let ask = |(what, body): (String, Value)| (what, run.request(Endpoint::Provision, "", "").json(&body));
    refused(run, "PRV-02", wrong.map(ask).collect()).await;
    Ok(())
}

async fn malformed(run: &Run) -> CaseResult {
    let ask = |(what, body): (&str, &str)| (what.to_owned(), run.request(Endpoint::Provision, "", "").raw(body));
    refused(run, "PRV-11", MALFORMED.into_iter().map(ask).collect()).await;
    Ok(())
}

async fn unknown(run: &Run) -> CaseResult {
    let body = run.provision_body();
    let unknown = || json!(run.fresh_id());
    let mut wrong = vec![
        ("an unknown offering", with(&body, "service_id", unknown())),
        ("an unknown plan", with(&body, "plan_id", unknown())),
    ];
    if let Some((service, plan)) = &run.plan.stranger {
        wrong.push(("a plan of another offering", with(&body, "plan_id", json!(plan))));
        wrong.push(("an offering that doesn't have the plan", with(&body, "service_id", json!(service))));
    }
    let ask = |(what, body): (&str, Value)| (what.to_owned(), run.request(Endpoint::Provision, "", "").json(&body));
    refused(run, "PRV-04", wrong.into_iter().map(ask).collect()).await;
    Ok(())
}

async fn wrong_parameters(run: &Run) -> CaseResult {
    let body = run.provision_body();
    let mut wrong: Vec<(&str, Value)> = vec![
        ("an array for parameters", json!([])),
        ("a string for parameters", json!("text")),
        ("a number for parameters", json!(1)),
    ];
    let base = run.parameters.create.clone().unwrap_or_default();
    if let Some(forbidden) = run.plan.create_schema.as_ref().and_then(|schema| parameters::forbidden(schema, &base)) {
        wrong.push(("parameters that the plan's schema forbids", Value::Object(forbidden)));
    }
    let ask = |(what, parameters): (&str, Value)| {
        (what.to_owned(), run.request(Endpoint::Provision, "", "").json(&with(&body, "parameters", parameters)))
    };
    refused(run, "PRV-05", wrong.into_iter().map(ask).collect()).await;
    Ok(())
}

async fn maintenance(run: &Run) -> CaseResult {
    let Some(version) = &run.plan.maintenance else {
        run.not_applicable(&["PRV-06"], "the plan has no maintenance_info");
        return Ok(());
    };
    run.shared_instance().await?;
    let id = run.fresh_id();
    let ask = |version: &str| {
        let info = json!({"version": version, "description": "is not looked at"});
        run.request(Endpoint::Provision, &id, "").json(&with(&run.provision_body(), "maintenance_info", info))
    };
    let other = run.send(ask("0.0.0-conformance")).await;
    run.expect_code(&["PRV-06", "ERR-08"], &other, "MaintenanceInfoConflict");
    if !other.is_refused() {
        return run.settle_whatever(Endpoint::Provision, &id, "", &other).await;
    }
    let right = run.send(ask(version)).await;
    run.expect("PRV-06", &right, right.is_success(), "the instance to be made: the version is the catalog's");
    if right.is_success() {
        run.settle_whatever(Endpoint::Provision, &id, "", &right).await?;
        run.deprovision(&id).await?;
    }
    Ok(())
}
