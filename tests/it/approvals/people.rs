//! Orders by people, by name.

use reqwest::Method;
use serde_json::json;

use super::on_both;

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
