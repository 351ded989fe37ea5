//! Orders that wait and that nobody decides about: expired, deleted, called off, purged.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{DAY, Shop, on_both};
use crate::support::hub::{BOUND, polling};
use crate::support::wait::wait_until;

const ENDED: [&str; 4] = ["instance.requested", "approval.requested", "approval.decided", "instance.failed"];

async fn ends_as(shop: &Shop, state: &str) -> Value {
    let ended = shop.approvals(state).await;
    assert_eq!((ended.len(), shop.approvals("pending").await.len()), (1, 0), "{ended:?}");
    assert!(shop.told().is_empty(), "the broker never heard of it: {:?}", shop.told());
    assert_eq!(shop.events().await, ENDED);
    let late = shop.decide("admin", &ended[0], "approve", "").await;
    assert_eq!((late.status, &late.body["code"]), (409, &json!("already_decided")), "{late:?}");
    ended[0].clone()
}

#[tokio::test]
async fn an_order_that_nobody_decides_about_in_time_fails() {
    on_both(async |shop| {
        let (hub, p) = (&shop.hub, &shop.p);
        shop.rule("all", json!({"expires_after": "P2D"})).await;
        assert_eq!(hub.provision(p, "i-1", "async", polling()).await.status, 202);
        let pending = shop.pending().await;
        shop.world.clock.advance(DAY * 2 - Duration::from_secs(60));
        assert_eq!(hub.app.expire_approvals(10).await.expect("it failed"), 0, "not yet");
        shop.world.clock.advance(Duration::from_secs(60));
        let late = shop.decide("admin", &pending, "approve", "").await;
        assert_eq!(late.status, 409, "too late, whoever has noticed: {late:?}");
        assert_eq!(hub.outcome(p, "i-1").await, "failed");
        let told = hub.last_operation(p, "i-1").await.body["description"].to_string();
        assert!(told.contains("in time"), "{told}");
        let ended = ends_as(shop, "expired").await;
        assert_eq!(ended["decided_by"], Value::Null);
        assert_eq!(hub.delete(p, "i-1", "async", true).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn many_expire_together_and_each_ends_once() {
    on_both(async |shop| {
        let (hub, p) = (&shop.hub, &shop.p);
        shop.rule("all", json!({"expires_after": "PT1H"})).await;
        for number in 0..7 {
            assert_eq!(hub.provision(p, &format!("i-{number}"), "ok", polling()).await.status, 202);
        }
        shop.world.clock.advance(Duration::from_secs(3600));
        // In small portions, while the worker is at it as well.
        wait_until("all to have expired", BOUND, async || {
            hub.app.expire_approvals(2).await.expect("it failed");
            shop.approvals("expired").await.len() == 7
        })
        .await;
        let events = shop.events().await;
        let count = |kind: &str| events.iter().filter(|event| *event == kind).count();
        assert_eq!((count("approval.decided"), count("instance.failed"), events.len()), (7, 7, 28));
    })
    .await;
}

#[tokio::test]
async fn a_platform_that_deletes_what_waits_is_answered_200_and_the_order_is_cancelled() {
    on_both(async |shop| {
        let (hub, p) = (&shop.hub, &shop.p);
        shop.rule("all", json!({})).await;
        assert_eq!(hub.provision(p, "i-1", "async", polling()).await.status, 202);
        assert_eq!(hub.delete(p, "i-1", "ok", true).await.status, 400, "another plan's");
        // Whoever deletes need not be able to poll.
        assert_eq!(hub.delete(p, "i-1", "async", false).await.status, 200);
        assert_eq!(hub.delete(p, "i-1", "async", true).await.status, 410);
        assert_eq!(shop.state("i-1").await, "gone");
        let cancelled = ends_as(shop, "cancelled").await;
        assert_eq!(cancelled["operation_state"], "cancelled");
        assert!(hub.provision(p, "i-1", "async", polling()).await.status == 202, "the id is free");
    })
    .await;
}

#[tokio::test]
async fn an_operator_calls_off_what_waits_and_nothing_is_cleaned_up() {
    on_both(async |shop| {
        let (hub, p) = (&shop.hub, &shop.p);
        shop.rule("all", json!({})).await;
        assert_eq!(hub.provision(p, "i-1", "async", polling()).await.status, 202);
        let id = shop.operation("i-1").await["id"].as_str().expect("an id").to_owned();
        let path = format!("/api/v1/operations/{id}/cancel");
        let cancelled = hub.admin(Method::POST, &path, None).await;
        assert_eq!((cancelled.status, &cancelled.body["state"]), (200, &json!("cancelled")), "{cancelled:?}");
        assert_eq!(hub.admin(Method::POST, &path, None).await.status, 409);
        assert_eq!(shop.state("i-1").await, "failed");
        assert_eq!(hub.last_operation(p, "i-1").await.body["state"], "failed");
        ends_as(shop, "cancelled").await;
        assert_eq!(hub.delete(p, "i-1", "async", true).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_waits_is_purged_with_its_approval() {
    on_both(async |shop| {
        let (hub, p) = (&shop.hub, &shop.p);
        shop.rule("all", json!({})).await;
        assert_eq!(hub.provision(p, "i-1", "async", polling()).await.status, 202);
        let id = shop.pending().await["instance_id"].as_str().expect("an id").to_owned();
        let path = format!("/api/v1/instances/{id}/purge");
        let purged = hub.admin(Method::POST, &path, Some(json!({"reason": "a mistake"}))).await;
        assert_eq!((purged.status, &purged.body["state"]), (200, &json!("gone")), "{purged:?}");
        ends_as(shop, "cancelled").await;
    })
    .await;
}
