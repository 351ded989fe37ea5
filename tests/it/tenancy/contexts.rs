//! Changes of a tenant that reach brokers which take changes of the context alone.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::on_each;
use crate::support::bench::Bench;
use crate::support::hub::BOUND;
use crate::support::wait::wait_until;

async fn put(b: &Bench, more: Value) {
    let mut body = json!({"display_name": "Retail", "cost_center": "4711"});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    assert_eq!(b.hub.admin(Method::PUT, "/api/v1/tenants/retail", Some(body)).await.status, 200);
}

async fn left(b: &Bench) -> Vec<Value> {
    let reply = b.hub.admin(Method::GET, "/api/v1/context-updates?tenant=retail", None).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.body["items"].as_array().expect("items").clone()
}

#[tokio::test]
async fn a_changed_tenant_reaches_brokers_that_take_it_and_no_platform_sees_anything_of_it() {
    on_each(async |on| {
        let b = Bench::new(on).await;
        b.check("it takes contexts", "PUT reads", Some(b.order("readable/one", json!({}))), (201, "")).await;
        b.check("it doesn't", "PUT writes", Some(b.order("small", json!({}))), (201, "")).await;
        let before = b.call("GET reads/last_operation", None).await.text;
        let events = b.hub.event_types().await;
        put(&b, json!({"cost_center": "0815"})).await;
        wait_until("the broker to be told", BOUND, async || left(&b).await.is_empty()).await;
        assert_eq!(b.recorder.count("update"), 1, "one of the two takes it");
        let sent = b.recorder.last("update").json();
        assert_eq!(sent["context"]["bourse"]["tenant"]["cost_center"], "0815");
        assert_eq!(sent["service_id"], "b-readable");
        assert!(sent.get("parameters").is_none() && sent.get("plan_id").is_none(), "the context alone: {sent}");
        assert_eq!(b.call("GET reads/last_operation", None).await.text, before);
        assert_eq!(b.hub.event_types().await, events, "nothing happened to the instance");
        let list = b.hub.admin(Method::GET, "/api/v1/operations?kind=context_update", None).await.body;
        assert_eq!(list["items"][0]["state"], "succeeded", "operators see it: {list}");
        let cancel = format!("/api/v1/operations/{}/cancel", list["items"][0]["id"].as_str().expect("an id"));
        let refused = b.hub.admin(Method::POST, &cancel, None).await;
        assert_eq!((refused.status, &refused.body["code"]), (422, &json!("context_update")), "it is not called off");
        // Who is a member is nobody's business at a broker.
        put(&b, json!({"cost_center": "0815", "members": [{"user": "ada", "role": "owner"}]})).await;
        assert!(left(&b).await.is_empty());
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_newer_change_takes_the_place_of_one_that_was_not_told_and_failures_are_shown() {
    on_each(async |on| {
        let b = Bench::new(on).await;
        b.check("an order", "PUT reads", Some(b.order("readable/one", json!({}))), (201, "")).await;
        b.recorder.say("update", 400, &json!({"description": "not today"}));
        put(&b, json!({"cost_center": "1"})).await;
        wait_until("the failure to be shown", BOUND, async || {
            b.world.clock.advance(Duration::from_secs(1));
            left(&b).await.first().is_some_and(|one| one["attempts"] == 1)
        })
        .await;
        assert!(left(&b).await[0]["error"].as_str().is_some_and(|said| said.contains("not today")));
        let shown = b.hub.admin(Method::GET, "/api/v1/instances", None).await.body;
        assert_eq!(shown["items"][0]["state"], "ready", "its failure is not the instance's");
        b.recorder.usual("update");
        put(&b, json!({"cost_center": "2"})).await;
        put(&b, json!({"cost_center": "3"})).await;
        wait_until("the latest to be told", BOUND, async || {
            b.world.clock.advance(Duration::from_secs(1));
            left(&b).await.is_empty()
        })
        .await;
        assert_eq!(b.recorder.last("update").json()["context"]["bourse"]["tenant"]["cost_center"], "3");
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn instances_that_this_hub_cannot_handle_are_given_up_and_hold_up_no_other_one() {
    /// As many as are looked at in one round.
    const BROKEN: usize = 50;
    on_each(async |on| {
        let b = Bench::new(on).await;
        for number in 0..=BROKEN {
            let line = format!("PUT i-{number}");
            b.check("an order", &line, Some(b.order("readable/one", json!({}))), (201, "")).await;
        }
        let garbled = b.hub.db.write::<_, bourse::store::Error, _>(|tx| {
            let sql = "update instances set attributes = $1 where platform_instance_id <> $2";
            Box::pin(async move { tx.execute(sqlx::query(sql).bind(vec![0_u8]).bind(format!("i-{BROKEN}"))).await })
        });
        assert_eq!(garbled.await.expect("written"), 50);
        put(&b, json!({"cost_center": "0815"})).await;
        wait_until("the good one to be told", BOUND, async || b.recorder.count("update") == 1).await;
        wait_until("the others to be shown", BOUND, async || {
            let left = left(&b).await;
            left.len() == BROKEN && left.iter().all(|one| one["attempts"] == 1 && one["error"].is_string())
        })
        .await;
        wait_until("the others to be given up", BOUND, async || {
            b.world.clock.advance(Duration::from_secs(600));
            left(&b).await.iter().all(|one| one["attempts"] == 8)
        })
        .await;
        b.hub.stop().await;
    })
    .await;
}
