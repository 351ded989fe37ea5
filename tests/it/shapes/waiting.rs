//! Orders that wait for an approval, as each of these clients orders, polls and deletes: none of them knows what an approval is.

use reqwest::Method;
use serde_json::json;

use super::{Replay, cloudfoundry, eden, kubernetes, replay};
use crate::support::dump::items;
use crate::support::hub::BOUND;
use crate::support::wait::wait_until;

/// What a client's order looks like, and how it polls.
struct Client {
    body: &'static str,
    /// The query of its polls; `{operation}` is what it was answered.
    poll: &'static str,
}

const CLOUD_FOUNDRY: Client = Client {
    body: r#"{"service_id":"{service}","plan_id":"{small}","organization_guid":"org-guid","space_guid":"space-guid",
        "maintenance_info":{},"context":{"platform":"cloudfoundry","organization_guid":"org-guid","space_guid":"space-guid",
        "organization_name":"org","space_name":"space","instance_name":"db"}}"#,
    poll: "?plan_id={small}&service_id={service}&operation={operation}",
};
const KUBERNETES: Client = Client {
    body: r#"{"service_id":"{service}","plan_id":"{small}","organization_guid":"cluster-1","space_guid":"ns-1",
        "context":{"platform":"kubernetes","clusterid":"cluster-1","namespace":"ns-1","instance_name":"db"}}"#,
    poll: "?operation={operation}&plan_id={small}&service_id={service}",
};
const EDEN: Client = Client {
    body: r#"{"service_id":"{service}","plan_id":"{small}","organization_guid":"eden-unknown-guid",
        "space_guid":"eden-unknown-space","context":null,"parameters":null}"#,
    poll: "",
};

async fn decide(front: &Replay<'_>, verb: &str) {
    let pending = items(&front.bench.hub.url, "approvals?state=pending").await;
    let [approval] = pending.as_slice() else { panic!("one waits: {pending:?}") };
    let path = format!("/api/v1/approvals/{}/{verb}", approval["id"].as_str().expect("an id"));
    let decided = front.bench.hub.admin(Method::POST, &path, Some(json!({"reason": "because"}))).await;
    assert_eq!(decided.status, 200, "{decided:?}");
}

async fn waits(front: Replay<'_>, client: &Client) {
    let hub = &front.bench.hub;
    let rule = hub.admin(Method::PUT, "/api/v1/approval-rules/all", Some(json!({}))).await;
    assert_eq!(rule.status, 201, "{rule:?}");
    let heard = || front.bench.recorder.seen().iter().filter(|seen| seen.verb != "catalog").count();
    let order = async |id: &str| {
        let reply = front.send(&format!("PUT /v2/service_instances/{id}?accepts_incomplete=true"), client.body).await;
        assert_eq!(reply.status, 202, "{}", reply.text);
        let operation = reply.json()["operation"].as_str().expect("an operation").to_owned();
        format!("GET /v2/service_instances/{id}/last_operation{}", client.poll.replace("{operation}", &operation))
    };
    let state = async |poll: &str| {
        let reply = front.send(poll, "").await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()
    };

    let poll = order("denied").await;
    assert_eq!(state(&poll).await["state"], "in progress");
    decide(&front, "deny").await;
    let denied = state(&poll).await;
    assert_eq!(denied["state"], "failed", "{denied}");
    assert!(denied["description"].as_str().is_some_and(|text| text.contains("because")), "{denied}");

    // Who gives up deletes, in the middle of waiting or after it failed.
    let poll = order("given-up").await;
    assert_eq!(state(&poll).await["state"], "in progress");
    for id in ["given-up", "denied"] {
        let line = format!(
            "DELETE /v2/service_instances/{id}?accepts_incomplete=true&service_id={{service}}&plan_id={{small}}"
        );
        front.check(&line, "", 200, &json!({})).await;
    }
    assert_eq!(heard(), 0, "the broker never heard of them");

    let poll = order("approved").await;
    let waiting = state(&poll).await;
    assert!(waiting["description"].as_str().is_some_and(|text| text.starts_with("waiting for approval")), "{waiting}");
    decide(&front, "approve").await;
    wait_until("the order to be carried out", BOUND, async || state(&poll).await["state"] == "succeeded").await;
    assert_eq!((front.bench.recorder.count("provision"), heard()), (1, 1));
    let seen = front.received("provision").await;
    assert_eq!(seen.json()["context"]["bourse"]["instance_id"], "approved");
}

#[tokio::test]
async fn an_order_that_waits_goes_through_or_ends_for_cloud_foundry_as_any_that_takes_time() {
    replay("cloudfoundry", cloudfoundry::HEADERS, async |front| waits(front, &CLOUD_FOUNDRY).await).await;
}

#[tokio::test]
async fn an_order_that_waits_goes_through_or_ends_for_the_service_catalog_as_any_that_takes_time() {
    replay("kubernetes", &kubernetes::headers("2.14"), async |front| waits(front, &KUBERNETES).await).await;
}

#[tokio::test]
async fn an_order_that_waits_goes_through_or_ends_for_eden_as_any_that_takes_time() {
    replay("other", eden::HEADERS, async |front| waits(front, &EDEN).await).await;
}
