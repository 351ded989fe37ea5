//! Orders by people: by name, or through a platform that names them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::json;

use super::{Shop, on_both};
use crate::support::hub::CLIENT;

const NET: &str = "/api/v1/tenants/retail/instances/net";

#[tokio::test]
async fn nobody_agrees_to_their_own_order() {
    on_both(async |shop| {
        let hub = &shop.hub;
        shop.administrator("bob").await;
        shop.rule("all", json!({"approvers": ["admin", "bob"]})).await;
        let order = json!({"offering": "faults", "plan": "ok", "parameters": {"size": 1}});
        let ordered = hub.admin(Method::PUT, NET, Some(order.clone())).await;
        assert_eq!((ordered.status, &ordered.body["state"]), (202, &json!("waiting_approval")), "{ordered:?}");
        assert_eq!(ordered.body["operation"]["phase"], "waiting_approval");
        assert_eq!(hub.admin(Method::PUT, NET, Some(order.clone())).await.status, 202, "the same again");
        let other = hub.admin(Method::PUT, NET, Some(json!({"offering": "faults", "plan": "async"}))).await;
        assert_eq!((other.status, &other.body["code"]), (409, &json!("operation_in_progress")), "{other:?}");
        let pending = shop.pending().await;
        assert_eq!((&pending["requested_by"], &pending["name"]), (&json!("administrators/admin"), &json!("net")));
        for verb in ["approve", "deny"] {
            let own = shop.decide("admin", &pending, verb, "").await;
            assert_eq!((own.status, &own.body["code"]), (403, &json!("forbidden")), "{own:?}");
        }
        assert_eq!(shop.decide("bob", &pending, "approve", "").await.status, 200);
        shop.ready("retail/net").await;
        assert_eq!(hub.admin(Method::PUT, NET, Some(order)).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn whoever_deletes_what_waits_is_told_204() {
    on_both(async |shop| {
        let hub = &shop.hub;
        shop.rule("all", json!({})).await;
        let order = json!({"offering": "faults", "plan": "ok"});
        assert_eq!(hub.admin(Method::PUT, NET, Some(order.clone())).await.status, 202);
        assert_eq!(hub.admin(Method::DELETE, NET, None).await.status, 204);
        assert_eq!(hub.admin(Method::DELETE, NET, None).await.status, 404);
        assert_eq!(shop.approvals("cancelled").await.len(), 1);
        assert_eq!(hub.admin(Method::PUT, NET, Some(order)).await.status, 202, "the name is free");
        assert!(shop.told().is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_somebody_unknown_ordered_is_decided_by_nobody_of_the_tenant_and_denied_never_sent() {
    on_both(async |shop| {
        let hub = &shop.hub;
        for name in ["bob", "mem", "own"] {
            shop.administrator(name).await;
        }
        let member = |user: &str, role: &str| json!({"user": user, "role": role});
        let tenant = json!({"display_name": "Retail", "members": [member("mem", "member"), member("own", "owner")]});
        assert_eq!(hub.admin(Method::PUT, "/api/v1/tenants/retail", Some(tenant)).await.status, 200);
        shop.rule("all", json!({})).await;
        assert_eq!(order_as(shop, "i-1", Some("stranger")).await, 202);
        assert_eq!(order_as(shop, "i-2", None).await, 202);
        let requested_by = [("i-1", "platforms/p/users/stranger"), ("i-2", "platforms/p")];
        for (id, requested_by) in requested_by {
            let pending = shop.approvals("pending").await;
            let asked = pending.iter().find(|one| one["platform_instance_id"] == id).expect("asked");
            assert_eq!(asked["requested_by"], requested_by);
            for (name, verb) in [("mem", "approve"), ("own", "approve"), ("mem", "deny"), ("own", "deny")] {
                let refused = shop.decide(name, asked, verb, "").await;
                assert_eq!((refused.status, &refused.body["code"]), (403, &json!("forbidden")), "{name}: {refused:?}");
            }
            assert_eq!(shop.decide("bob", asked, "deny", "who is that").await.status, 200);
            assert_eq!(hub.outcome(&shop.p, id).await, "failed");
            let told = hub.last_operation(&shop.p, id).await.body["description"].to_string();
            assert!(told.contains("denied by administrators/bob: who is that"), "{told}");
        }
        assert!(shop.told().is_empty(), "the broker never heard of either");

        // Once they are known, they are somebody who may not agree to their own, and the others may.
        let known = json!({"platform_identities": [{"platform": "p", "user": "stranger"}]});
        assert_eq!(hub.admin(Method::PUT, "/api/v1/users/own", Some(known)).await.status, 201);
        assert_eq!(order_as(shop, "i-3", Some("stranger")).await, 202);
        let asked = shop.pending().await;
        assert_eq!(shop.decide("own", &asked, "approve", "").await.status, 403, "their own");
        assert_eq!(shop.decide("mem", &asked, "approve", "").await.status, 200);
        assert_eq!(hub.outcome(&shop.p, "i-3").await, "succeeded");
        assert_eq!(shop.told(), ["PUT"]);
    })
    .await;
}

/// Orders through the platform, for a user whom it names; the status of the answer.
async fn order_as(shop: &Shop, id: &str, user: Option<&str>) -> u16 {
    let (service_id, plan_id) = shop.hub.ids("ok");
    let body = json!({
        "service_id": service_id, "plan_id": plan_id, "organization_guid": "o", "space_guid": "s",
        "context": {"platform": "other"},
    });
    let url = format!("{}/v2/service_instances/{id}?accepts_incomplete=true", shop.hub.url);
    let request = CLIENT.put(url).basic_auth(&shop.p.username, Some(&shop.p.password));
    let mut request = request.header("X-Broker-API-Version", "2.17").body(body.to_string());
    if let Some(user) = user {
        let value = STANDARD.encode(json!({"user_id": user}).to_string());
        request = request.header("X-Broker-API-Originating-Identity", format!("other {value}"));
    }
    request.send().await.expect("no answer").status().as_u16()
}
