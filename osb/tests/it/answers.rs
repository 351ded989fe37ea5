//! Each outcome of each call, and the status and body that it has on the wire.

use osb::*;
use serde_json::{Value, json};

use crate::support::{BINDING, INSTANCE, JSON, PROVISION, Scripted, object, request, serve};

const QUERY: &str = "service_id=s&plan_id=p";

/// A broker that is told what to answer, and a line to ask it with.
struct Asked<'a> {
    broker: &'a Scripted,
    server: &'a server::Running,
    line: String,
    body: &'a str,
}

impl Asked<'_> {
    async fn check<T: Send + 'static>(&self, what: &str, outcome: Result<T, Error>, status: u16, says: &Value) {
        self.broker.reply(outcome);
        let headers = if self.body.is_empty() { "" } else { JSON };
        let answer = request(self.server.address(), &self.line, headers, self.body).await;
        assert_eq!((answer.status, &answer.json()), (status, says), "{what}: {}", self.line);
        assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
    }

    /// The reserved words are 422, spelt as they are defined, whatever was asked.
    async fn check_errors<T: Send + 'static>(&self) {
        let error = |code: &str| json!({"error": code, "description": "why"});
        for (what, refusal, status, says) in [
            ("ERR-05 ERR-11", Error::async_required(), 422, "AsyncRequired"),
            ("ERR-06 ERR-11", Error::concurrency("why"), 422, "ConcurrencyError"),
            ("ERR-07 ERR-11", Error::requires_app(), 422, "RequiresApp"),
            ("ERR-08 ERR-11", Error::maintenance_info_conflict("why"), 422, "MaintenanceInfoConflict"),
        ] {
            let described = refusal.description().map(str::to_owned).expect("a description");
            let mut says = error(says);
            says["description"] = described.into();
            self.check(what, Err::<T, _>(refusal), status, &says).await;
        }
        for status in [400, 401, 404, 409, 410, 412, 500, 502, 503, 504] {
            let refusal = Error::with(status, "Word", "why");
            let says = json!({"error": "Word", "description": "why"});
            self.check("ERR-01 ERR-02", Err::<T, _>(refusal), status, &says).await;
        }
    }
}

#[tokio::test]
async fn err_01_syn_01_each_outcome_of_an_order_has_its_status() {
    let (broker, body) = (Scripted::new(), r#"{"service_id":"s","plan_id":"p"}"#);
    let server = serve(&broker);
    let ask = |line: String, body| Asked { broker: &broker, server: &server, line, body };
    let url = || ProvisionResponse { dashboard_url: Maybe::Present("u".into()), ..Default::default() };
    let worded = || ProvisionResponse { operation: Maybe::Present("w".into()), ..url() };

    let provision = ask(format!("PUT {INSTANCE}?accepts_incomplete=true"), PROVISION);
    provision.check("SYN-01 PRV-07", Ok(Provisioned::Created(url())), 201, &json!({"dashboard_url": "u"})).await;
    provision.check("SYN-01 PRV-08", Ok(Provisioned::Existed(url())), 200, &json!({"dashboard_url": "u"})).await;
    let accepted = json!({"dashboard_url": "u", "operation": "w"});
    provision.check("ASY-02 PRV-09 PRV-13", Ok(Provisioned::Accepted(worded())), 202, &accepted).await;
    provision.check_errors::<Provisioned>().await;

    let update = ask(format!("PATCH {INSTANCE}?accepts_incomplete=true"), r#"{"service_id":"s"}"#);
    update.check("SYN-01 UPD-10", Ok(Updated::Done(UpdateResponse::default())), 200, &json!({})).await;
    let operation = UpdateResponse { operation: Maybe::Present("w".into()), ..Default::default() };
    update.check("ASY-02 UPD-11", Ok(Updated::Accepted(operation)), 202, &json!({"operation": "w"})).await;
    update.check_errors::<Updated>().await;

    let bind = ask(format!("PUT {BINDING}?accepts_incomplete=true"), body);
    let made = || BindResponse { credentials: Maybe::Present(object(r#"{"password":"x"}"#)), ..Default::default() };
    let says = json!({"credentials": {"password": "x"}});
    bind.check("SYN-01 BND-07", Ok(Bound::Created(made())), 201, &says).await;
    bind.check("SYN-01 BND-08", Ok(Bound::Existed(made())), 200, &says).await;
    bind.check("ASY-02 BND-09", Ok(Bound::Accepted(Accepted::operation("w"))), 202, &json!({"operation": "w"})).await;
    bind.check_errors::<Bound>().await;

    let deprovision = ask(format!("DELETE {INSTANCE}?accepts_incomplete=true&{QUERY}"), "");
    deprovision.check("SYN-01 DEP-03", Ok(Deprovisioned::Done(Object::new())), 200, &json!({})).await;
    let operation = Ok(Deprovisioned::Accepted(Accepted::operation("w")));
    deprovision.check("ASY-02 DEP-04", operation, 202, &json!({"operation": "w"})).await;
    deprovision.check_errors::<Deprovisioned>().await;

    let unbind = ask(format!("DELETE {BINDING}?accepts_incomplete=true&{QUERY}"), "");
    unbind.check("SYN-01 UNB-02", Ok(Unbound::Done(Object::new())), 200, &json!({})).await;
    let operation = Ok(Unbound::Accepted(Accepted::operation("w")));
    unbind.check("ASY-02 UNB-03", operation, 202, &json!({"operation": "w"})).await;
    unbind.check_errors::<Unbound>().await;
}

#[tokio::test]
async fn err_01_each_outcome_of_a_question_has_its_status() {
    let broker = Scripted::new();
    let server = serve(&broker);
    let ask = |path: &str| Asked { broker: &broker, server: &server, line: format!("GET {path}"), body: "" };
    let fetch = ask(INSTANCE);
    let fetched = FetchInstanceResponse { service_id: Maybe::Present("s".into()), ..Default::default() };
    fetch.check("GSI-03", Ok(fetched), 200, &json!({"service_id": "s"})).await;
    fetch.check_errors::<FetchInstanceResponse>().await;
    let fetch = ask(BINDING);
    fetch.check("GSB-02", Ok(FetchBindingResponse::default()), 200, &json!({})).await;
    fetch.check_errors::<FetchBindingResponse>().await;
    for (what, path) in [("LOI-04", INSTANCE), ("LOB-01", BINDING)] {
        let poll = ask(&format!("{path}/last_operation"));
        for (state, word) in [
            (OperationState::InProgress, "in progress"),
            (OperationState::Succeeded, "succeeded"),
            (OperationState::Failed, "failed"),
        ] {
            poll.check(what, Ok(LastOperation::new(state, "")), 200, &json!({"state": word})).await;
            let says = json!({"state": word, "description": "a sentence"});
            poll.check(what, Ok(LastOperation::new(state, "a sentence")), 200, &says).await;
        }
        poll.check_errors::<LastOperation>().await;
    }
    let catalog = ask("/v2/catalog");
    let empty = CatalogDocument { json: r#"{"services":[]}"#.into(), etag: None };
    catalog.check("CAT-01", Ok(empty), 200, &json!({"services": []})).await;
    catalog.check_errors::<CatalogDocument>().await;
}
