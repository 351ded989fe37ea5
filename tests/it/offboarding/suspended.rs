//! Suspended tenants.

use reqwest::Method;
use serde_json::json;

use super::on_both;
use crate::support::dump::count;
use crate::support::hub::{Order, sync};

const OPEN_SPANS: &str = "select count(*) as number from spans where ended_at is null";

#[tokio::test]
async fn a_suspended_tenant_orders_changes_and_binds_nothing_while_the_rest_goes_on() {
    on_both(async |s| {
        let hub = &s.hub;
        assert_eq!(hub.provision(&s.p, "one", "ok", sync()).await.status, 201);
        assert_eq!(hub.bind(&s.p, ("one", "b"), "ok", sync()).await.status, 201);
        let reason = json!({"reason": "unpaid since May"});
        let reply = s.admin(Method::POST, "tenants/retail/suspend", Some(reason)).await;
        assert_eq!((reply.status, &reply.body["suspended"]), (200, &json!("unpaid since May")), "{reply:?}");
        let calls = s.world.faults.calls().len();
        let (service_id, plan_id) = hub.ids("ok");
        let update = json!({"service_id": service_id, "plan_id": plan_id, "parameters": {"x": 1}});
        for refused in [
            hub.provision(&s.p, "two", "ok", sync()).await,
            hub.bind(&s.p, ("one", "c"), "ok", sync()).await,
            hub.osb(&s.p, Method::PATCH, "/v2/service_instances/one", Some(update)).await,
        ] {
            assert_eq!(refused.status, 400, "{refused:?}");
            let said = refused.body["description"].as_str().unwrap_or_default();
            assert!(said.contains("`retail` is suspended: unpaid since May"), "{refused:?}");
        }
        let order = json!({"offering": "faults", "plan": "ok"});
        let refused = s.admin(Method::PUT, "tenants/retail/instances/db", Some(order)).await;
        assert_eq!((refused.status, &refused.body["code"]), (422, &json!("tenant_suspended")), "{refused:?}");
        assert_eq!(s.world.faults.calls().len(), calls, "no broker heard of it");
        assert_eq!(count(&hub.db, OPEN_SPANS).await, 1, "metering goes on");
        // The same order and bind again are answered as they stand.
        assert_eq!(hub.provision(&s.p, "one", "ok", sync()).await.status, 200);
        assert_eq!(hub.bind(&s.p, ("one", "b"), "ok", sync()).await.status, 200);
        assert_eq!(hub.last_operation(&s.p, "one").await.status, 200);
        assert_eq!(hub.delete(&s.p, "one/service_bindings/b", "ok", false).await.status, 200);
        assert_eq!(hub.delete(&s.p, "one", "ok", false).await.status, 200);
        // Another tenant is none the worse, and what is said anew of the tenant does not let it go.
        assert_eq!(s.order("db", "ok", json!({})).await.status, 201);
        assert_eq!(s.admin(Method::PUT, "tenants/retail", Some(json!({"display_name": "R"}))).await.status, 200);
        assert_eq!(hub.provision(&s.p, "two", "ok", sync()).await.status, 400);
        let reply = s.admin(Method::POST, "tenants/retail/resume", None).await;
        assert_eq!((reply.status, reply.body.get("suspended")), (200, None), "{reply:?}");
        assert_eq!(hub.provision(&s.p, "two", "ok", sync()).await.status, 201);
    })
    .await;
}

#[tokio::test]
async fn an_order_that_waited_for_approval_fails_where_its_tenant_was_suspended_meanwhile() {
    on_both(async |s| {
        assert_eq!(s.admin(Method::PUT, "approval-rules/all", Some(json!({}))).await.status, 201);
        assert_eq!(s.order("db", "ok", json!({})).await.status, 202);
        let reason = json!({"reason": "unpaid"});
        assert_eq!(s.admin(Method::POST, "tenants/shop/suspend", Some(reason)).await.status, 200);
        let list = s.admin(Method::GET, "approvals?state=pending", None).await.body;
        let path = format!("approvals/{}/approve", list["items"][0]["id"].as_str().expect("an id"));
        let done = s.admin(Method::POST, &path, Some(json!({"reason": ""}))).await;
        assert_eq!(done.status, 403, "nobody decides their own order: {done:?}");
        assert_eq!(s.admin(Method::POST, "tenants/shop/resume", None).await.status, 200);
        // A platform's order may be decided by the administrator.
        let polls = Order { polls: true, ..sync() };
        assert_eq!(s.hub.provision(&s.p, "one", "ok", polls).await.status, 202);
        let reason = json!({"reason": "unpaid"});
        assert_eq!(s.admin(Method::POST, "tenants/retail/suspend", Some(reason)).await.status, 200);
        let list = s.admin(Method::GET, "approvals?state=pending&tenant=retail", None).await.body;
        let path = format!("approvals/{}/approve", list["items"][0]["id"].as_str().expect("an id"));
        assert_eq!(s.admin(Method::POST, &path, Some(json!({"reason": ""}))).await.status, 200);
        let last = s.hub.last_operation(&s.p, "one").await;
        assert_eq!(last.body["state"], "failed", "{last:?}");
        let said = last.body["description"].as_str().unwrap_or_default();
        assert!(said.contains("`retail` is suspended: unpaid"), "{last:?}");
        assert!(s.world.faults.instances().is_empty());
    })
    .await;
}
