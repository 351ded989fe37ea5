//! A user of the identity provider who is called like the administrator of the settings is somebody else: in the audit, and where nobody
//! decides about their own order.

use bourse::config::Grants;
use reqwest::Method;
use serde_json::{Value, json};

use super::with_token;
use crate::support::bare::on_each;
use crate::support::dump::items;
use crate::support::hub::World;
use crate::support::oidc::{AUDIENCE, Forger};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_named_like_the_administrator_is_another_actor() {
    on_each(async |on| {
        let forger = Forger::start().await;
        let issuer = forger.url.clone();
        let world = World::new(on, |config| {
            config.oidc.issuer = issuer;
            config.oidc.audience = AUDIENCE.to_owned();
            let roles = vec!["administrator".to_owned()];
            config.auth.grants = vec![Grants { user: Some("admin".to_owned()), group: None, roles }];
        })
        .await;
        let hub = world.hub().await;
        world.furnish(&hub).await;
        let rule = hub.admin(Method::PUT, "/api/v1/approval-rules/all", Some(json!({}))).await;
        assert_eq!(rule.status, 201, "{rule:?}");
        let token = forger.token(hub.app.clock().now().seconds(), json!({"sub": "admin"}));
        let basic = async |method: Method, path: &str, body: Value| {
            hub.admin(method, &format!("/api/v1{path}"), Some(body)).await.status
        };
        let user = async |method: Method, path: &str, body: Value| {
            with_token(&hub, method, path, &token, Some(body)).await.status
        };
        let order = json!({"offering": "faults", "plan": "ok"});
        let pending = async || {
            let list = items(&hub.url, "approvals?state=pending").await;
            assert_eq!(list.len(), 1, "{list:?}");
            let by = list[0]["requested_by"].as_str().expect("who").to_owned();
            (format!("/approvals/{}/approve", list[0]["id"].as_str().expect("an id")), by)
        };
        assert_eq!(user(Method::PUT, "/tenants/retail/instances/a", order.clone()).await, 202);
        let (path, by) = pending().await;
        assert_eq!(by, "users/admin");
        assert_eq!(user(Method::POST, &path, json!({})).await, 403, "their own");
        assert_eq!(basic(Method::POST, &path, json!({})).await, 200, "somebody else's");
        assert_eq!(basic(Method::PUT, "/tenants/retail/instances/b", order).await, 202);
        let (path, by) = pending().await;
        assert_eq!(by, "administrators/admin");
        assert_eq!(basic(Method::POST, &path, json!({})).await, 403, "their own");
        assert_eq!(user(Method::POST, &path, json!({})).await, 200, "somebody else's");

        for (actor, orders) in [("users/admin", 1), ("administrators/admin", 1)] {
            hub.app.chain_audit().await.expect("could not chain");
            let page = hub.admin(Method::GET, &format!("/api/v1/audit?limit=1000&actor={actor}"), None).await.body;
            let rows = page["items"].as_array().expect("items");
            for action in ["instance.order", "approval.approve"] {
                let those = rows.iter().filter(|row| row["action"] == action).count();
                assert_eq!(those, orders, "{actor} {action}: {page}");
            }
        }
        hub.stop().await;
    })
    .await;
}
