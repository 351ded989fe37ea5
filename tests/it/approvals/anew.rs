//! What has changed while an order waited: an approved one is looked at as if it were placed now.

use reqwest::Method;
use serde_json::{Value, json};

use super::{DAY, Shop, on_both};
use crate::references;
use crate::support::dump::items;
use crate::support::hub::{BOUND, Reply, TIMEOUT_MS};
use crate::support::recorder::{self, Recorder};
use crate::support::wait::wait_until;

/// The recorder as the broker `related`, and `bob`, who decides about what `admin` orders.
async fn related(shop: &Shop) -> Recorder {
    shop.administrator("bob").await;
    let recorder = Recorder::start(&references::catalog());
    let new = json!({
        "name": "related", "url": recorder.url(), "timeout_ms": TIMEOUT_MS,
        "credentials": {"basic": {"username": recorder::USERNAME, "password": recorder::PASSWORD}},
    });
    assert_eq!(shop.hub.admin(Method::POST, "/api/v1/brokers", Some(new)).await.status, 201);
    recorder
}

async fn order(shop: &Shop, name: &str, offering: &str, parameters: Value) -> Reply {
    let body = json!({"offering": offering, "plan": "one", "parameters": parameters});
    shop.hub.admin(Method::PUT, &format!("/api/v1/tenants/retail/instances/{name}"), Some(body)).await
}

async fn delete(shop: &Shop, name: &str) -> Reply {
    shop.hub.admin(Method::DELETE, &format!("/api/v1/tenants/retail/instances/{name}"), None).await
}

/// Approves the order of an instance; how its operation stands then.
async fn approve(shop: &Shop, name: &str) -> Reply {
    let list = shop.approvals("pending").await;
    let pending = list.iter().find(|one| one["name"] == name).expect("it waits");
    shop.decide("bob", pending, "approve", "").await
}

/// Changes the broker's catalog.
async fn offer(shop: &Shop, recorder: &Recorder, catalog: &Value) {
    recorder.say("catalog", 200, catalog);
    let reply = shop.hub.admin(Method::POST, "/api/v1/brokers/related/refresh", None).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// Why the latest operation of an instance failed.
async fn reason(shop: &Shop, name: &str) -> String {
    let operation = shop.operation(&format!("retail/{name}")).await;
    assert_eq!(operation["state"], "failed", "{operation}");
    operation["description"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_an_order_that_waits_refers_to_stays_and_is_sent_as_it_was_found() {
    on_both(async |shop| {
        let recorder = related(shop).await;
        let a = order(shop, "a", "network", json!({})).await;
        assert_eq!(a.status, 201, "{a:?}");
        assert_eq!(order(shop, "b", "network", json!({})).await.status, 201);
        shop.rule("clusters", json!({"offering": "cluster"})).await;
        shop.rule("networks", json!({"offering": "network", "on": ["update"]})).await;
        assert_eq!(order(shop, "c", "cluster", json!({"network": "a"})).await.status, 202);
        assert_eq!(delete(shop, "a").await.status, 409, "somebody waits for it");

        assert_eq!(order(shop, "a", "network", json!({"x": 1})).await.status, 202);
        let busy = approve(shop, "c").await;
        assert_eq!((busy.status, &busy.body["code"]), (409, &json!("reference_busy")), "{busy:?}");
        assert_eq!(shop.approvals("pending").await.len(), 2, "nothing was decided");
        assert_eq!(approve(shop, "a").await.status, 200);
        shop.ready("retail/a").await;
        assert_eq!(approve(shop, "c").await.status, 200);
        shop.ready("retail/c").await;
        assert_eq!(recorder.last("provision").json()["parameters"], json!({"network": a.body["id"]}));

        // A change of what it refers to counts while it waits, and no longer.
        assert_eq!(order(shop, "c", "cluster", json!({"network": "b"})).await.status, 202);
        assert_eq!((delete(shop, "a").await.status, delete(shop, "b").await.status), (409, 409));
        let pending = shop.pending().await;
        assert_eq!(shop.decide("bob", &pending, "deny", "").await.status, 200);
        assert_eq!((delete(shop, "a").await.status, delete(shop, "b").await.status), (409, 204));
    })
    .await;
}

#[tokio::test]
async fn what_is_just_being_changed_holds_up_the_last_of_those_who_agree_and_no_other() {
    on_both(async |shop| {
        let recorder = related(shop).await;
        shop.administrator("eve").await;
        assert_eq!(order(shop, "a", "network", json!({})).await.status, 201);
        shop.rule("networks", json!({"offering": "network", "on": ["update"]})).await;
        shop.rule("first", json!({"offering": "cluster", "approvers": ["bob"]})).await;
        shop.rule("second", json!({"offering": "cluster", "approvers": ["eve"]})).await;
        assert_eq!(order(shop, "c", "cluster", json!({"network": "a"})).await.status, 202);
        assert_eq!(order(shop, "a", "network", json!({"x": 1})).await.status, 202);
        let pending = shop.approvals("pending").await;
        let of = |name: &str| pending.iter().find(|one| one["approvers"] == json!([name])).expect("asked");
        let first = shop.decide("bob", of("bob"), "approve", "").await;
        assert_eq!((first.status, &first.body["operation_state"]), (200, &json!("in_progress")), "{first:?}");
        let last = shop.decide("eve", of("eve"), "approve", "").await;
        assert_eq!((last.status, &last.body["code"]), (409, &json!("reference_busy")), "{last:?}");
        assert_eq!(shop.approvals("pending").await.len(), 2, "hers is not decided");
        assert_eq!(recorder.count("provision"), 1, "the cluster is not there");

        assert_eq!(approve(shop, "a").await.status, 200);
        shop.ready("retail/a").await;
        assert_eq!(shop.decide("eve", of("eve"), "approve", "").await.status, 200);
        shop.ready("retail/c").await;

        // Who says no need not wait for anything.
        assert_eq!(order(shop, "d", "cluster", json!({"network": "a"})).await.status, 202);
        assert_eq!(order(shop, "a", "network", json!({"x": 2})).await.status, 202);
        let pending = shop.approvals("pending").await;
        let of = |name: &str| pending.iter().find(|one| one["approvers"] == json!([name])).expect("asked");
        assert_eq!(shop.decide("eve", of("eve"), "deny", "").await.status, 200);
        assert_eq!((shop.state("retail/d").await.as_str(), recorder.count("provision")), ("failed", 2));
    })
    .await;
}

#[tokio::test]
async fn a_deletion_that_dependents_hold_back_does_not_call_off_a_change_that_waits() {
    on_both(async |shop| {
        let _recorder = related(shop).await;
        assert_eq!(order(shop, "a", "network", json!({})).await.status, 201);
        assert_eq!(order(shop, "c", "cluster", json!({"network": "a"})).await.status, 201);
        shop.rule("networks", json!({"offering": "network", "on": ["update"]})).await;
        assert_eq!(order(shop, "a", "network", json!({"x": 1})).await.status, 202);
        assert_eq!(delete(shop, "a").await.status, 409, "somebody depends on it");
        assert_eq!(shop.approvals("pending").await.len(), 1, "the change goes on waiting");
        assert_eq!(approve(shop, "a").await.status, 200);
        shop.ready("retail/a").await;
    })
    .await;
}

#[tokio::test]
async fn an_order_whose_plan_went_away_while_it_waited_fails_and_is_not_sent() {
    on_both(async |shop| {
        let recorder = related(shop).await;
        shop.rule("all", json!({"offering": "cluster"})).await;
        assert_eq!(order(shop, "c", "cluster", json!({})).await.status, 202);
        let mut catalog = references::catalog();
        catalog["services"][2]["plans"].as_array_mut().expect("plans").remove(0);
        offer(shop, &recorder, &catalog).await;
        let approved = approve(shop, "c").await;
        let told = (&approved.body["state"], &approved.body["operation_state"]);
        assert_eq!((approved.status, told), (200, (&json!("approved"), &json!("failed"))), "{approved:?}");
        let told = reason(shop, "c").await;
        assert!(told.contains("cannot be ordered any more"), "{told}");
        assert_eq!((shop.state("retail/c").await.as_str(), recorder.count("provision")), ("failed", 0));
        let expected = ["instance.requested", "approval.requested", "approval.decided", "instance.failed"];
        assert_eq!(shop.events().await, expected);
        assert_eq!(recorder.count("deprovision"), 0, "nothing is cleaned up");
    })
    .await;
}

#[tokio::test]
async fn parameters_that_fit_the_schema_no_more_are_not_sent() {
    on_both(async |shop| {
        let recorder = related(shop).await;
        assert_eq!(order(shop, "old", "cluster", json!({"size": 1})).await.status, 201);
        shop.rule("all", json!({"offering": "cluster"})).await;
        assert_eq!(order(shop, "c", "cluster", json!({"size": 1})).await.status, 202);
        assert_eq!(order(shop, "old", "cluster", json!({"size": 2})).await.status, 202);
        let text = references::catalog().to_string().replace(r#"{"type":"integer"}"#, r#"{"type":"string"}"#);
        offer(shop, &recorder, &serde_json::from_str(&text).expect("a catalog")).await;
        for name in ["c", "old"] {
            assert_eq!(approve(shop, name).await.body["operation_state"], "failed", "{name}");
            let told = reason(shop, name).await;
            assert!(told.contains("do not fit the plan's schema"), "{name}: {told}");
        }
        assert_eq!(
            (shop.state("retail/c").await.as_str(), shop.state("retail/old").await.as_str()),
            ("failed", "ready")
        );
        assert_eq!((recorder.count("provision"), recorder.count("update")), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn an_approved_order_is_polled_for_as_long_as_any_other() {
    on_both(async |shop| {
        let recorder = related(shop).await;
        shop.rule("all", json!({"offering": "cluster", "expires_after": "P6D"})).await;
        recorder.say("provision", 202, &json!({}));
        recorder.say("last_operation", 200, &json!({"state": "in progress"}));
        assert_eq!(order(shop, "c", "cluster", json!({})).await.status, 202);
        shop.world.clock.advance(DAY * 5);
        assert_eq!(approve(shop, "c").await.status, 200);
        wait_until("it to be polled", BOUND, async || recorder.count("last_operation") > 0).await;
        // More than a week after the order, less than a week after the decision.
        shop.world.clock.advance(DAY * 4);
        let before = recorder.count("last_operation");
        wait_until("it to be polled again", BOUND, async || recorder.count("last_operation") > before).await;
        recorder.usual("last_operation");
        wait_until("it to be ready", BOUND, async || {
            shop.world.clock.advance(std::time::Duration::from_secs(30));
            shop.state("retail/c").await == "ready"
        })
        .await;
        assert!(items(&shop.hub.url, "operations?kind=orphan_mitigation").await.is_empty());
    })
    .await;
}
