//! Rules: what they may say, what they are about, and what the catalog tells of them.

use reqwest::Method;
use serde_json::{Value, json};

use super::on_both;
use crate::support::dump::items;
use crate::support::hub::{BOUND, polling, sync};
use crate::support::wait::wait_until;

#[tokio::test]
async fn rules_are_put_shown_listed_and_deleted() {
    on_both(async |shop| {
        let hub = &shop.hub;
        let path = |name: &str| format!("/api/v1/approval-rules/{name}");
        let made = hub.admin(Method::PUT, &path("a"), Some(json!({"tenant": "retail"}))).await;
        let whole = json!({"on": ["provision", "update"], "approvers": [], "expires_after": "P3D", "tenant": "retail"});
        assert_eq!(made.status, 201, "{made:?}");
        for (field, value) in whole.as_object().expect("an object") {
            assert_eq!(made.body[field], *value, "{field}");
        }
        let changed = json!({"offering": "faults", "plan": "ok", "approvers": ["ada"], "expires_after": "PT36H"});
        assert_eq!(hub.admin(Method::PUT, &path("a"), Some(changed)).await.status, 200);
        let shown = hub.admin(Method::GET, &path("a"), None).await.body;
        assert_eq!(
            (&shown["approvers"], &shown["tenant"], &shown["name"]),
            (&json!(["ada"]), &Value::Null, &json!("a"))
        );
        assert_eq!(hub.admin(Method::PUT, &path("b"), Some(json!({}))).await.status, 201);
        let page = hub.admin(Method::GET, "/api/v1/approval-rules?limit=1", None).await.body;
        assert_eq!((page["items"].as_array().map(Vec::len), page["next"].is_string()), (Some(1), true));
        for (body, pointer) in [
            (json!({"expires_after": "P7D"}), "/expires_after"),
            (json!({"on": ["bind"]}), "/on/0"),
            (json!({"offering": "nonsense"}), "/offering"),
            (json!({"offering": "faults", "plan": "nonsense"}), "/plan"),
            (json!({"tenant": "nonsense"}), "/tenant"),
            (json!({"tenants": []}), "/tenants"),
        ] {
            let refused = hub.admin(Method::PUT, &path("c"), Some(body.clone())).await;
            assert_eq!(refused.status, 422, "{body}: {refused:?}");
            assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{refused:?}");
        }
        assert_eq!(hub.admin(Method::GET, &path("c"), None).await.status, 404);
        assert_eq!(hub.admin(Method::PUT, &path("A"), Some(json!({}))).await.status, 422);
        let waits = hub.provision(&shop.p, "i-1", "async", polling()).await;
        assert_eq!(waits.status, 202);
        assert_eq!(hub.admin(Method::DELETE, &path("b"), None).await.status, 204);
        assert_eq!(hub.admin(Method::DELETE, &path("b"), None).await.status, 404);
        assert_eq!(hub.provision(&shop.p, "i-2", "async", sync()).await.status, 201, "no rule is about it any more");
        assert_eq!(shop.state("i-1").await, "waiting_approval", "what waits goes on waiting");
    })
    .await;
}

#[tokio::test]
async fn a_rule_is_about_what_it_names_and_nothing_else() {
    on_both(async |shop| {
        let (hub, p) = (&shop.hub, &shop.p);
        let trade = json!({"display_name": "Trade", "identities": [{"platform": "p", "organization_guid": "trade"}]});
        assert_eq!(hub.admin(Method::PUT, "/api/v1/tenants/trade", Some(trade)).await.status, 201);
        shop.rule("a", json!({"plan": "ok", "tenant": "trade", "on": ["provision"]})).await;
        assert_eq!(hub.provision(p, "i-1", "ok", sync()).await.status, 201, "another tenant's");
        let (service_id, plan_id) = hub.ids("ok");
        let mut body = json!({
            "service_id": service_id, "plan_id": plan_id, "organization_guid": "trade", "space_guid": "s",
        });
        let path = |id: &str| format!("/v2/service_instances/{id}?accepts_incomplete=true");
        assert_eq!(hub.osb(p, Method::PUT, &path("i-2"), Some(body.clone())).await.status, 202);
        assert_eq!(shop.pending().await["tenant"], "trade");
        body["plan_id"] = json!(hub.ids("async").1);
        body["parameters"] = json!({"polls": 0});
        assert_eq!(hub.osb(p, Method::PUT, &path("i-3"), Some(body)).await.status, 202);
        assert_eq!(hub.outcome(p, "i-3").await, "succeeded", "another plan");
        let listed = hub.admin(Method::GET, "/api/v1/approvals?tenant=retail", None).await.body;
        assert_eq!(listed["items"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn pln_10_the_catalog_says_how_long_an_order_may_take_with_its_wait() {
    on_both(async |shop| {
        let (hub, p) = (&shop.hub, &shop.p);
        let maximum = async |plan: &str| {
            let catalog = hub.osb(p, Method::GET, "/v2/catalog", None).await.body;
            let plans = catalog["services"][0]["plans"].as_array().expect("plans").clone();
            let found = plans.into_iter().find(|found| found["name"] == plan).expect("a plan");
            found.get("maximum_polling_duration").and_then(Value::as_u64)
        };
        let before = (maximum("ok").await, maximum("async").await);
        shop.rule("a", json!({"plan": "ok", "expires_after": "P6D"})).await;
        assert_eq!((maximum("ok").await, maximum("async").await), (Some(7 * 86_400), before.1));
        assert_eq!(hub.provision(p, "i-1", "ok", polling()).await.status, 202);
        assert_eq!(hub.admin(Method::DELETE, "/api/v1/approval-rules/a", None).await.status, 204);
        assert_eq!((maximum("ok").await, maximum("async").await), before);
    })
    .await;
}

#[tokio::test]
async fn a_rule_that_names_a_tenant_goes_with_it_and_the_audit_says_so() {
    on_both(async |shop| {
        let (hub, p) = (&shop.hub, &shop.p);
        let trade = || Some(json!({"display_name": "Trade"}));
        for name in ["trade", "craft"] {
            assert_eq!(hub.admin(Method::PUT, &format!("/api/v1/tenants/{name}"), trade()).await.status, 201);
        }
        shop.rule("of-all", json!({"plan": "ok"})).await;
        let named = json!({"tenant": "trade", "expires_after": "P6D"});
        shop.rule("of-trade", named.clone()).await;
        shop.rule("of-craft", json!({"tenant": "craft", "plan": "ok"})).await;
        let longest = async || {
            let catalog = hub.osb(p, Method::GET, "/v2/catalog", None).await.body;
            let plans = catalog["services"][0]["plans"].as_array().expect("plans").clone();
            plans.iter().find(|plan| plan["name"] == "async").expect("a plan")["maximum_polling_duration"].clone()
        };
        let before = longest().await;
        assert_eq!(hub.admin(Method::DELETE, "/api/v1/tenants/trade", None).await.status, 204);
        let left = items(&hub.url, "approval-rules").await;
        let names: Vec<_> = left.iter().filter_map(|rule| rule["name"].as_str()).collect();
        assert_eq!(names, ["of-all", "of-craft"]);
        wait_until("the catalog to tell of no wait", BOUND, async || longest().await != before).await;

        // Off-boarded, not deleted by hand.
        assert_eq!(hub.admin(Method::POST, "/api/v1/tenants/craft/offboard", Some(json!({}))).await.status, 200);
        wait_until("the tenant to be gone", BOUND, async || {
            shop.world.clock.advance(std::time::Duration::from_secs(2));
            hub.admin(Method::GET, "/api/v1/tenants/craft", None).await.status == 404
        })
        .await;
        assert_eq!(items(&hub.url, "approval-rules").await.len(), 1);
        wait_until("the audit to be chained", BOUND, async || {
            let page = hub.admin(Method::GET, "/api/v1/audit?limit=1000", None).await.body;
            let rows = page["items"].as_array().expect("items");
            let deleted: Vec<_> = rows.iter().filter(|row| row["action"] == "approval_rule.delete").collect();
            deleted.len() == 2
                && deleted[0]["subject"] == "approval-rules/of-trade"
                && deleted[0]["actor"] == "administrators/admin"
                && deleted[0]["before"]["expires_after"] == named["expires_after"]
                && deleted[0]["after"].is_null()
                && deleted[0]["detail"]["with"] == "tenants/trade"
                && deleted[1]["detail"]["with"] == "tenants/craft"
        })
        .await;
        // A tenant that comes to have the name finds no rule of the one before.
        assert_eq!(hub.admin(Method::PUT, "/api/v1/tenants/trade", trade()).await.status, 201);
        let order = json!({"offering": "faults", "plan": "async", "parameters": {"polls": 0}});
        let made = hub.admin(Method::PUT, "/api/v1/tenants/trade/instances/one", Some(order)).await;
        assert_ne!(made.body["state"], "waiting_approval", "{made:?}");
        assert_eq!(hub.provision(p, "i-1", "ok", polling()).await.status, 202, "what names nobody stays");
    })
    .await;
}
