//! What is said about plans' parameters where an order does not come fresh: one that waited for an approval, a change to another plan, and a
//! tenant of the same name as one that is gone.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::dump::items;
use crate::support::hub::{Hub, Platform, Reply, World, polling, sync};

const OK: &str = "offerings/faults/plans/ok/parameters";

struct Shop {
    world: World,
    hub: Hub,
    p: Platform,
}

async fn on_both(case: impl AsyncFn(&Shop)) {
    for on in [On::Sqlite, On::Postgres] {
        let world = World::new(on, |config| config.server.drain = Duration::ZERO).await;
        let hub = world.hub().await;
        let p = world.furnish(&hub).await;
        let shop = Shop { world, hub, p };
        case(&shop).await;
        shop.hub.stop().await;
    }
}

impl Shop {
    async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.hub.admin(method, &format!("/api/v1/{path}"), body).await
    }

    async fn put(&self, path: &str, body: Value) {
        let reply = self.admin(Method::PUT, path, Some(body)).await;
        assert!(matches!(reply.status, 200 | 201), "{reply:?}");
    }

    async fn change(&self, id: &str, more: Value) -> Reply {
        let mut body = json!({"service_id": self.hub.ids("ok").0});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let path = format!("/v2/service_instances/{id}?accepts_incomplete=true");
        self.hub.osb(&self.p, Method::PATCH, &path, Some(body)).await
    }

    /// Approves the only order that waits, and says how it ended.
    async fn approved(&self, id: &str) -> (Value, String) {
        let waiting = items(&self.hub.url, "approvals?state=pending").await;
        assert_eq!(waiting.len(), 1, "{waiting:?}");
        let path = format!("approvals/{}/approve", waiting[0]["id"].as_str().expect("an id"));
        let reply = self.admin(Method::POST, &path, Some(json!({"reason": ""}))).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        self.hub.outcome(&self.p, id).await;
        let last = self.hub.last_operation(&self.p, id).await.body;
        (last["state"].clone(), last["description"].as_str().unwrap_or_default().to_owned())
    }

    fn calls(&self, method: &str) -> usize {
        self.world.faults.calls().iter().filter(|call| call.method == method).count()
    }
}

#[tokio::test]
async fn an_order_that_waited_is_held_against_what_is_forced_and_forbidden_when_it_is_approved() {
    on_both(async |shop| {
        shop.put("approval-rules/all", json!({})).await;
        let order = || polling().with(json!({"size": 1, "net": {"peer": 2}}));
        for (id, said, words) in [
            ("a", json!({"forbid": ["/net/peer"]}), "/net/peer may not be given"),
            ("b", json!({"force": {"size": 9}}), "/size is always 9"),
            ("c", json!({"force": {"region": "eu"}}), "/region is always \"eu\""),
        ] {
            assert_eq!(shop.hub.provision(&shop.p, id, "ok", order()).await.status, 202);
            shop.put(OK, said).await;
            let (state, told) = shop.approved(id).await;
            assert!(state == "failed" && told.contains(words), "{id}: {state} {told}");
            assert_eq!(shop.admin(Method::DELETE, OK, None).await.status, 204);
        }
        assert_eq!(shop.calls("PUT"), 0, "the broker never heard of them");
        // What is said and holds for the order stops nothing.
        assert_eq!(shop.hub.provision(&shop.p, "d", "ok", order()).await.status, 202);
        shop.put(OK, json!({"force": {"size": 1}, "forbid": ["/admin"]})).await;
        assert_eq!(shop.approved("d").await.0, "succeeded");
        // Of a change, what stood before stays; what it says itself does not.
        assert_eq!(shop.change("d", json!({"parameters": {"x": 1}})).await.status, 202);
        shop.put(OK, json!({"forbid": ["/net/peer"]})).await;
        assert_eq!(shop.approved("d").await.0, "succeeded");
        assert_eq!(shop.change("d", json!({"parameters": {"x": 2}})).await.status, 202);
        shop.put(OK, json!({"forbid": ["/x"]})).await;
        let (state, told) = shop.approved("d").await;
        assert!(state == "failed" && told.contains("/x may not be given"), "{state} {told}");
        assert_eq!(shop.calls("PATCH"), 1);
    })
    .await;
}

#[tokio::test]
async fn an_instance_does_not_change_to_a_plan_that_forbids_what_it_has() {
    on_both(async |shop| {
        let order = sync().with(json!({"admin": 1}));
        assert_eq!(shop.hub.provision(&shop.p, "i", "ok", order).await.status, 201);
        let other = "offerings/faults/plans/unavailable/parameters";
        shop.put(other, json!({"forbid": ["/admin"]})).await;
        let to = json!({"plan_id": shop.hub.ids("unavailable").1});
        let refused = shop.change("i", to.clone()).await;
        let said = refused.body["description"].as_str().unwrap_or_default();
        assert!(refused.status == 400 && said.contains("/admin stands, and no instance"), "{refused:?}");
        assert_eq!(shop.calls("PATCH"), 0);
        shop.put(other, json!({"forbid": ["/peer"]})).await;
        assert_eq!(shop.change("i", to).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn what_is_said_for_one_tenant_goes_with_it() {
    on_both(async |shop| {
        let tenant = json!({"display_name": "Shop"});
        shop.put("tenants/shop", tenant.clone()).await;
        shop.put(&format!("{OK}?tenant=shop"), json!({"force": {"region": "eu"}})).await;
        let order = json!({"offering": "faults", "plan": "ok", "parameters": {"region": "us"}});
        let ordered = async || shop.admin(Method::PUT, "tenants/shop/instances/i", Some(order.clone())).await.status;
        assert_eq!(ordered().await, 422);
        assert_eq!(shop.admin(Method::DELETE, "tenants/shop", None).await.status, 204);
        shop.put("tenants/shop", tenant).await;
        assert_eq!(shop.admin(Method::GET, &format!("{OK}?tenant=shop"), None).await.status, 404);
        assert_eq!(ordered().await, 201, "another tenant of that name");
    })
    .await;
}
