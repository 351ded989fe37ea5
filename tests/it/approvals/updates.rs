//! Changes that wait: the instance stands and is metered as before, until somebody has agreed.

use reqwest::Method;
use serde_json::{Value, json};

use super::{DAY, Shop, on_both};
use crate::support::dump::spans;
use crate::support::hub::{Reply, polling, sync};

/// An instance of the plan `ok`, made before updates have to wait.
async fn standing(shop: &Shop) {
    assert_eq!(shop.hub.provision(&shop.p, "i-1", "ok", sync()).await.status, 201);
    assert_eq!(shop.hub.bind(&shop.p, ("i-1", "b-1"), "ok", sync()).await.status, 201);
    shop.rule("changes", json!({"on": ["update"]})).await;
}

async fn change(shop: &Shop, more: Value, polls: bool) -> Reply {
    let mut body = json!({"service_id": shop.hub.ids("ok").0});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let path = format!("/v2/service_instances/i-1?accepts_incomplete={polls}");
    shop.hub.osb(&shop.p, Method::PATCH, &path, Some(body)).await
}

async fn plan(shop: &Shop) -> Value {
    let id = shop.hub.app.catalog().plan_by_name("faults", "ok").expect("a plan").offering_id.clone();
    assert_eq!(id, shop.hub.ids("ok").0);
    let list = crate::support::dump::items(&shop.hub.url, "instances?platform_instance_id=i-1").await;
    list[0]["plan"].clone()
}

#[tokio::test]
async fn an_approved_change_of_plan_and_parameters_goes_through() {
    on_both(async |shop| {
        standing(shop).await;
        let to = json!({"plan_id": shop.hub.ids("async").1, "parameters": {"polls": 0}});
        let refused = change(shop, to.clone(), false).await;
        assert_eq!((refused.status, &refused.body["error"]), (422, &json!("AsyncRequired")), "{refused:?}");
        assert_eq!(shop.state("i-1").await, "ready");
        let accepted = change(shop, to.clone(), true).await;
        assert_eq!(accepted.status, 202, "{accepted:?}");
        let again = change(shop, to, true).await;
        assert_eq!((again.status, &again.body["operation"]), (202, &accepted.body["operation"]));
        let pending = shop.pending().await;
        let told = ["kind", "plan", "previous_plan"].map(|field| pending[field].as_str().unwrap_or_default());
        assert_eq!(told, ["update", "async", "ok"]);
        assert_eq!((shop.state("i-1").await.as_str(), plan(shop).await), ("updating", json!("ok")));
        assert!(spans(&shop.hub.db).await.values().all(|spans| *spans == (1, 0)), "metered as before");
        shop.world.clock.advance(DAY);
        assert_eq!(shop.decide("admin", &pending, "approve", "").await.status, 200);
        assert_eq!(shop.hub.outcome(&shop.p, "i-1").await, "succeeded");
        assert_eq!((shop.state("i-1").await.as_str(), plan(shop).await), ("ready", json!("async")));
        assert_eq!(shop.told(), ["PUT", "PUT", "PATCH"]);
        assert!(spans(&shop.hub.db).await.values().all(|spans| *spans == (1, 1)));
        let expected = ["approval.requested", "approval.decided", "instance.updated"];
        assert_eq!(shop.events().await[3..], expected);
    })
    .await;
}

#[tokio::test]
async fn after_a_denied_or_expired_change_the_instance_is_as_before() {
    on_both(async |shop| {
        standing(shop).await;
        for (end, parameters) in [("denied", json!({"a": 1})), ("expired", json!({"a": 2}))] {
            assert_eq!(change(shop, json!({"parameters": parameters}), true).await.status, 202);
            let bound = shop.hub.bind(&shop.p, ("i-1", "b-2"), "ok", polling()).await;
            assert_eq!((bound.status, &bound.body["error"]), (422, &json!("ConcurrencyError")), "{bound:?}");
            let unbound = shop.hub.delete(&shop.p, "i-1/service_bindings/b-1", "ok", true).await;
            assert_eq!((unbound.status, &unbound.body["error"]), (422, &json!("ConcurrencyError")), "{unbound:?}");
            let other = change(shop, json!({"parameters": {"a": 9}}), true).await;
            assert_eq!((other.status, &other.body["error"]), (422, &json!("ConcurrencyError")), "{other:?}");
            if end == "denied" {
                assert_eq!(shop.decide("admin", &shop.pending().await, "deny", "no").await.status, 200);
            } else {
                shop.world.clock.advance(DAY * 3);
            }
            assert_eq!(shop.hub.outcome(&shop.p, "i-1").await, "failed", "{end}");
            assert_eq!(shop.state("i-1").await, "ready", "{end}");
            assert_eq!(shop.approvals(end).await.len(), 1, "{end}");
        }
        assert_eq!(shop.told(), ["PUT", "PUT"], "it never heard of a change");
        assert!(spans(&shop.hub.db).await.values().all(|spans| *spans == (1, 0)));
        let once = ["approval.requested", "approval.decided", "instance.update_failed"];
        assert_eq!(shop.events().await[3..], [once, once].concat());
        assert_eq!(shop.hub.delete(&shop.p, "i-1/service_bindings/b-1", "ok", true).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_deletion_calls_off_the_change_that_waits_and_goes_on() {
    on_both(async |shop| {
        standing(shop).await;
        assert_eq!(change(shop, json!({"parameters": {"a": 1}}), true).await.status, 202);
        assert_eq!(shop.hub.delete(&shop.p, "i-1", "ok", false).await.status, 200);
        assert_eq!((shop.state("i-1").await.as_str(), shop.approvals("cancelled").await.len()), ("gone", 1));
        assert_eq!(shop.told(), ["PUT", "PUT", "DELETE", "DELETE"]);
        let expected = [
            "approval.requested",
            "approval.decided",
            "instance.update_failed",
            "binding.deleted",
            "instance.deprovisioned",
        ];
        assert_eq!(shop.events().await[3..], expected);
    })
    .await;
}

#[tokio::test]
async fn a_change_of_the_context_alone_never_waits() {
    on_both(async |shop| {
        standing(shop).await;
        let reply = change(shop, json!({"context": {"platform": "other", "x": 1}}), false).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(shop.approvals("pending").await.is_empty());
        // So that there is an approval to look at.
        assert_eq!(change(shop, json!({"parameters": {"a": 1}}), true).await.status, 202);
    })
    .await;
}
