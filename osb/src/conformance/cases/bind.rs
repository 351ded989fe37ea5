//! Bind, right: at once or later, again, fetched, several at once, with what is optional, and again with other parameters.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::exchange::Exchange;
use super::super::probe::{CaseResult, Stop};
use super::super::request::Endpoint;
use super::super::run::{Binding, Run};
use super::super::{parameters, shapes};
use super::{Case, with, without};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a binding",
        rows: &["BND-07", "BND-09", "BND-16", "BND-18", "BND-19", "BND-20", "BND-21", "BND-22", "BND-23"],
        of_bindings: true,
        run: |run| Box::pin(made(run)),
    },
    Case { name: "the same bind again", rows: &["BND-08"], of_bindings: true, run: |run| Box::pin(again(run)) },
    Case {
        name: "a binding is fetched",
        rows: &["GSB-01", "GSB-02", "LOB-04"],
        of_bindings: true,
        run: |run| Box::pin(fetched(run)),
    },
    Case {
        name: "a binding is fetched that there is not",
        rows: &["GSB-03"],
        of_bindings: true,
        run: |run| Box::pin(not_there(run)),
    },
    Case {
        name: "the same binding id with other parameters",
        rows: &["BND-10"],
        of_bindings: true,
        run: |run| Box::pin(other_parameters(run)),
    },
    Case { name: "two binds at once", rows: &["BND-13", "BND-17"], of_bindings: true, run: |run| Box::pin(two(run)) },
    Case {
        name: "binds without an application, with all that Cloud Foundry adds, and with nothing",
        rows: &["BND-04", "BND-06", "BND-12", "ERR-07"],
        of_bindings: true,
        run: |run| Box::pin(resources(run)),
    },
    Case {
        name: "binding ids of any characters, and unknown fields in a bind",
        rows: &["BND-02", "EXT-01", "URL-01"],
        of_bindings: true,
        run: |run| Box::pin(ids_and_fields(run)),
    },
];

async fn made(run: &Run) -> CaseResult {
    let binding = run.shared_binding().await?;
    let body = run.representation(&binding).await;
    let nothing = ["credentials", "syslog_drain_url", "route_service_url", "volume_mounts", "endpoints"];
    if let Some(body) = body {
        let holds = nothing.iter().any(|name| body.get(*name).is_some_and(|value| !value.is_null()));
        // Who generates no credentials returns none; then there is nothing to hold against it.
        if holds {
            run.expect("BND-16", &binding.answer, true, "");
        }
    }
    Ok(())
}

impl Run {
    /// What represents a binding: from the bind itself, or fetched where it took its time.
    pub(super) async fn representation(&self, binding: &Binding) -> Option<crate::Object> {
        if !binding.answer.is(202) {
            return binding.answer.object().cloned();
        }
        if !self.plan.bindings_retrievable {
            return None;
        }
        let seen = self.send(self.request(Endpoint::FetchBinding, &binding.instance, &binding.id)).await;
        seen.object().filter(|_| seen.is(200)).cloned()
    }
}

async fn again(run: &Run) -> CaseResult {
    let binding = run.shared_binding().await?;
    let ask = || run.request(Endpoint::Bind, &binding.instance, &binding.id).json(&binding.body);
    let seen = run.send(ask()).await;
    run.expect_status("BND-08", &seen, &[200]);
    if !seen.is(200) {
        return run.settle_whatever(Endpoint::Bind, &binding.instance, &binding.id, &seen).await;
    }
    if let Some(body) = seen.object() {
        run.forms(&seen, shapes::binding(body, &run.plan.requires));
        let first = if binding.answer.is(202) { None } else { binding.answer.field("credentials") };
        if let (Some(first), Some(now)) = (first, body.get("credentials")) {
            run.expect("BND-08", &seen, first == now, "the credentials of the first answer, or none");
        }
    }
    let seen = run.send(ask().without_query("accepts_incomplete")).await;
    // Of two things that hold either may be said: it is there, and it can only be made asynchronously.
    let holds = seen.is(200) || (binding.answer.is(202) && seen.text("error") == Some("AsyncRequired"));
    run.expect("BND-08", &seen, holds, "status 200");
    Ok(())
}

const NOT_RETRIEVABLE: &str = "the offering doesn't say bindings_retrievable";

async fn fetched(run: &Run) -> CaseResult {
    if !run.plan.bindings_retrievable {
        run.not_applicable(&["GSB-01", "GSB-02", "LOB-04"], NOT_RETRIEVABLE);
        return Ok(());
    }
    // One that was just made, so that nothing has come between.
    let binding = run.own_binding().await?;
    let ask = || run.request(Endpoint::FetchBinding, &binding.instance, &binding.id);
    let seen = run.send(ask()).await;
    run.expect("GSB-01", &seen, seen.is(200), "status 200, now that the binding is there");
    let asynchronous = binding.answer.is(202);
    if asynchronous {
        run.expect("LOB-04", &seen, seen.is(200), "status 200, since the bind succeeded");
    } else {
        run.not_applicable(&["LOB-04"], "the service broker binds at once");
    }
    if seen.is(200) {
        binding_body(run, &seen);
        generated(run, &binding, &seen).await;
    }
    let plain = run.send(ask().without_query("service_id").without_query("plan_id")).await;
    run.expect("GSB-01", &plain, plain.is(200), "status 200, without service_id and plan_id, too");
    drop(run.unbind(&binding.instance, &binding.id).await?);
    Ok(())
}

fn binding_body(run: &Run, seen: &Arc<Exchange>) {
    let Some(body) = seen.object() else {
        run.expect("GSB-02", seen, false, "a JSON object");
        return;
    };
    run.forms(seen, shapes::binding(body, &run.plan.requires));
    let parameters = body.get("parameters").is_none_or(|value| value.is_object() || value.is_null());
    run.expect("GSB-02", seen, parameters, "parameters, where they are there, as an object");
}

/// Credentials that were generated stand in what is fetched after an asynchronous bind. That they were generated shows where the
/// same bind again returns them.
async fn generated(run: &Run, binding: &Binding, seen: &Arc<Exchange>) {
    if !binding.answer.is(202) || seen.field("credentials").is_some() {
        return;
    }
    let again = run.request(Endpoint::Bind, &binding.instance, &binding.id).json(&binding.body);
    let again = run.send(again).await;
    let returned = again.is(200) && again.field("credentials").is_some();
    run.expect("GSB-02", seen, !returned, "the credentials, as the same bind again returns them");
}

async fn not_there(run: &Run) -> CaseResult {
    if !run.plan.bindings_retrievable {
        run.not_applicable(&["GSB-03"], NOT_RETRIEVABLE);
        return Ok(());
    }
    let instance = run.shared_instance().await?;
    for instance in [instance.id, run.fresh_id()] {
        let seen = run.send(run.request(Endpoint::FetchBinding, &instance, &run.fresh_id())).await;
        run.expect_status("GSB-03", &seen, &[404]);
    }
    Ok(())
}

async fn other_parameters(run: &Run) -> CaseResult {
    let binding = run.shared_binding().await?;
    let base = run.parameters.bind.clone().unwrap_or_default();
    for other in parameters::others(run.plan.bind_schema.as_ref(), &base) {
        let body = with(&binding.body, "parameters", Value::Object(other));
        let seen = run.send(run.request(Endpoint::Bind, &binding.instance, &binding.id).json(&body)).await;
        // These parameters may not be possible at all.
        if !seen.is(400) {
            let holds = run.expect("BND-10", &seen, seen.is(409), "status 409, because of other parameters");
            if !holds && seen.is_success() {
                run.give_up_binding().await;
                return run.settle_whatever(Endpoint::Bind, &binding.instance, &binding.id, &seen).await;
            }
            return Ok(());
        }
    }
    run.not_applicable(&["BND-10"], "no other parameters of a bind could be made that the service broker accepts");
    Ok(())
}

async fn two(run: &Run) -> CaseResult {
    let instance = run.shared_binding().await?.instance;
    let ids = [run.fresh_id(), run.fresh_id()];
    let ask = |id: &str| run.send(run.request(Endpoint::Bind, &instance, id));
    let seen: [Arc<Exchange>; 2] = futures_util::future::join(ask(&ids[0]), ask(&ids[1])).await.into();
    let mut bound = Vec::new();
    for (id, seen) in ids.iter().zip(seen) {
        let refused = seen.is(422) && seen.text("error") == Some("ConcurrencyError");
        for row in ["BND-13", "CON-01", "ERR-06"] {
            run.expect(row, &seen, refused || seen.is_success(), "success, or 422 with error ConcurrencyError");
        }
        if seen.is_success() {
            run.settle_whatever(Endpoint::Bind, &instance, id, &seen).await?;
            let body = json!(null);
            bound.push(Binding { instance: instance.clone(), id: id.clone(), body, answer: seen });
        }
    }
    if let [first, second] = bound.as_slice() {
        let credentials = |body: Option<crate::Object>| {
            body.and_then(|body| body.get("credentials").cloned())
                .filter(|found| found.as_object().is_some_and(|o| !o.is_empty()))
        };
        let found = (credentials(run.representation(first).await), credentials(run.representation(second).await));
        if let (Some(one), Some(other)) = found {
            run.expect("BND-17", &second.answer, one != other, "credentials that differ from those of another binding");
        } else {
            run.not_applicable(&["BND-17"], "no credentials were returned");
        }
    }
    for binding in bound {
        drop(run.unbind(&binding.instance, &binding.id).await?);
    }
    Ok(())
}

async fn resources(run: &Run) -> CaseResult {
    let instance = run.shared_binding().await?.instance;
    let body = run.bind_body();
    let bare = without(&without(&without(&body, "bind_resource"), "app_guid"), "context");
    let mut all = body.clone();
    for (name, value) in [
        ("space_guid", json!("conformance")),
        ("app_annotations", json!({"prefix/name": "value"})),
        ("x-conformance", json!(1)),
    ] {
        all["bind_resource"][name] = value;
    }
    let key = json!({"credential_client_id": "conformance", "space_guid": "conformance"});
    let key = without(&with(&body, "bind_resource", key), "app_guid");
    for (row, body, app) in [("BND-04", bare, false), ("BND-06", all, true), ("BND-06", key, false)] {
        let id = run.fresh_id();
        let seen = run.send(run.request(Endpoint::Bind, &instance, &id).json(&body)).await;
        let needs_app = seen.text("error").is_some_and(|word| word.eq_ignore_ascii_case("RequiresApp"));
        if !app && (seen.is(422) || needs_app) {
            run.expect_code(&["BND-12", "ERR-07"], &seen, "RequiresApp");
            continue;
        }
        run.expect(row, &seen, seen.is_success(), "the binding to be made");
        if seen.is_success() {
            run.settle_whatever(Endpoint::Bind, &instance, &id, &seen).await?;
            drop(run.unbind(&instance, &id).await?);
        }
    }
    run.not_applicable(&["BND-12", "ERR-07"], "the service broker binds without an application");
    Ok(())
}

async fn ids_and_fields(run: &Run) -> CaseResult {
    let instance = run.shared_binding().await?.instance;
    let body = with(&run.bind_body(), "x-conformance", json!({"a": 1}));
    let plain = format!("conformance_{}.~-", run.fresh_id().replace('-', ""));
    let plain = run.request(Endpoint::Bind, &instance, &plain);
    let odd = format!("conformance {} /ü%2F+&=?#;:@", run.fresh_id());
    let odd = run.request(Endpoint::Bind, &instance, &odd);
    let unknown = run.request(Endpoint::Bind, &instance, &run.fresh_id()).query("x-conformance", "1").json(&body);
    // One by one: a broker may refuse to do two binds at a time.
    for (row, request, expected) in [
        ("BND-02", plain, "the binding to be made, though its id is no UUID"),
        ("EXT-01", unknown, "the binding to be made: unknown fields are ignored"),
        ("URL-01", odd, "the binding to be made, whatever characters its id holds"),
    ] {
        let id = request.binding.clone();
        let seen = run.send(request).await;
        run.expect(row, &seen, seen.is_success(), expected);
        if seen.is_success() {
            run.settle_whatever(Endpoint::Bind, &instance, &id, &seen).await?;
            drop(run.unbind(&instance, &id).await?);
        }
    }
    let nobody = run.send(run.request(Endpoint::Bind, &run.fresh_id(), &run.fresh_id())).await;
    for row in ["BND-02", "AMB-04"] {
        run.expect_refusal(row, &nobody);
    }
    if nobody.is_success() {
        return Err(Stop::because("BND-02"));
    }
    Ok(())
}
