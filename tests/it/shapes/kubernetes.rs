//! The Kubernetes service catalog (go-open-service-broker-client): versions 2.13 and 2.14, `clusterid`, empty `operation`.

use serde_json::json;

use crate::support::hub::BOUND;
use crate::support::wait::wait_until;

use super::{Replay, replay};

const IDENTITY: &str =
    "kubernetes eyJ1c2VybmFtZSI6ImR1a2UiLCJ1aWQiOiJjMmRkZTI0MiIsImdyb3VwcyI6WyJhZG1pbiJdLCJleHRyYSI6e319";
const ID: &str = "3c41bb63-9ff6-11e9-b3f2-0242ac110006";

pub(super) fn headers(version: &str) -> String {
    format!(
        "User-Agent: Go-http-client/1.1
        Content-Type: application/json
        X-Broker-Api-Version: {version}
        X-Broker-Api-Originating-Identity: {IDENTITY}
        Accept-Encoding: gzip"
    )
}

/// Everything asynchronous, against an offering whose bindings can be fetched.
async fn life(k: Replay<'_>) {
    let recorder = &k.bench.recorder;
    for verb in ["provision", "bind", "unbind", "deprovision"] {
        recorder.say(verb, 202, &json!({"operation": "a b&c=d/é+%"}));
    }
    let context = r#"{"clusterid":"c-1","namespace":"default","platform":"kubernetes"}"#;
    let provision = format!(
        r#"{{"service_id":"{{readable}}","plan_id":"{{one}}","parameters":{{"replicas":3,"ratio":0.10}},
        "organization_guid":"ns-uid","space_guid":"ns-uid","context":{context}}}"#
    );
    let line = format!("PUT /v2/service_instances/{ID}?accepts_incomplete=true");
    let made = k.send(&line, &provision).await;
    assert_eq!(made.status, 202, "{}", made.text);
    let operation = made.json()["operation"].as_str().expect("an operation").to_owned();
    let seen = k.received("provision").await;
    assert_eq!(
        seen.header("x-broker-api-originating-identity"),
        Some(IDENTITY),
        "OID-01 OID-04 OID-07 K8S-05 word for word"
    );
    let made_up = seen.header("x-broker-api-request-identity").unwrap_or_default();
    assert!(!made_up.is_empty(), "RID-01 made where there is none");
    assert_eq!(seen.json()["context"]["namespace"], "default");
    assert!(seen.text().contains(r#""parameters":{"replicas":3,"ratio":0.10}"#), "{}", seen.text());
    let repeated = k.send(&line, &provision).await;
    assert_eq!((repeated.status, repeated.json()["operation"].as_str()), (202, Some(operation.as_str())));

    let ids = "plan_id={one}&service_id={readable}";
    let poll = async |path: &str, asked: &str| {
        let line = format!("GET /v2/service_instances/{ID}{path}/last_operation?{asked}");
        let mut state = String::new();
        wait_until("the operation is over", BOUND, async || {
            k.bench.world.clock.advance(std::time::Duration::from_millis(100));
            let reply = k.send(&line, "").await;
            assert_eq!(reply.status, 200, "{line}: {}", reply.text);
            state = reply.json()["state"].as_str().unwrap_or_default().to_owned();
            state != "in progress"
        })
        .await;
        assert_eq!(state, "succeeded", "{line}");
    };
    poll("", &format!("operation={operation}&{ids}")).await;
    assert!(k.received("last_operation").await.target.contains("operation=a%20b%26c%3Dd%2F%C3%A9%2B%25"), "LOI-02");
    // An empty word, a made-up one, one with what should have been encoded, the same key twice.
    for asked in ["operation=", "operation=made-up", "operation=a/b+c==|{}", "operation=x&operation=y", ""] {
        poll("", &format!("{asked}&{ids}")).await;
    }

    let bind = format!(
        r#"{{"service_id":"{{readable}}","plan_id":"{{one}}","app_guid":"ns-uid","bind_resource":{{"app_guid":"ns-uid"}},
        "context":{context}}}"#
    );
    let path = "/service_bindings/b-1";
    let line = format!("PUT /v2/service_instances/{ID}{path}?accepts_incomplete=true");
    let bound = k.send(&line, &bind).await;
    assert_eq!(bound.status, 202, "{}", bound.text);
    assert!(bound.json().get("credentials").is_none(), "BND-09");
    assert_eq!(k.received("bind").await.json()["context"]["clusterid"], "c-1");
    poll(path, &format!("{ids}&operation={}", bound.json()["operation"].as_str().unwrap_or_default())).await;
    k.check(
        &format!("GET /v2/service_instances/{ID}{path}"),
        "",
        200,
        &json!({"credentials": {"password": "of-the-binding"}}),
    )
    .await;
    k.received("fetch_binding").await;
    let fetched = k.send(&format!("GET /v2/service_instances/{ID}?{ids}"), "").await;
    assert_eq!((fetched.status, &fetched.json()["plan_id"]), (200, &json!(k.words["one"])), "GSI-01: {}", fetched.text);
    k.received("fetch").await;

    let changed = format!(
        r#"{{"service_id":"{{readable}}","plan_id":"{{one}}","parameters":{{"replicas":4}},"context":{context},
        "previous_values":{{"plan_id":"{{one}}"}}}}"#
    );
    k.check(&format!("PATCH /v2/service_instances/{ID}?accepts_incomplete=true"), &changed, 200, &json!({})).await;
    assert!(k.received("update").await.text().contains(r#""parameters":{"replicas":4}"#));

    for (path, verb) in [(path, "unbind"), ("", "deprovision")] {
        let line = format!("DELETE /v2/service_instances/{ID}{path}?accepts_incomplete=true&{ids}&{ids}");
        let gone = k.send(&line, "").await;
        assert_eq!(gone.status, 202, "SYN-03: a change was made at once, {}", gone.text);
        let seen = k.received(verb).await;
        assert!(seen.target.contains("service_id=b-readable&plan_id=b-one"), "{}", seen.target);
        poll(path, &format!("{ids}&operation={}", gone.json()["operation"].as_str().unwrap_or_default())).await;
        assert_eq!(k.send(&line, "").await.status, 410);
    }
    k.check_all().await;
}

#[tokio::test]
async fn the_service_catalogs_requests_of_2_13_are_replayed() {
    replay("kubernetes", &headers("2.13"), life).await;
}

#[tokio::test]
async fn the_service_catalogs_requests_of_2_14_are_replayed() {
    replay("kubernetes", &headers("2.14"), life).await;
}
