//! Members of a tenant, one at a time: by its owners, who can't leave it without one, and by operators, who can.

use bourse::config::Grants;
use reqwest::Method;
use serde_json::{Value, json};

use super::grants::Someone;
use crate::support::bare::on_each;
use crate::support::hub::{Hub, World};
use crate::support::oidc::{AUDIENCE, Forger};

async fn members(hub: &Hub) -> Value {
    hub.admin(Method::GET, "/api/v1/tenants/retail", None).await.body["members"].clone()
}

#[tokio::test]
async fn owners_say_who_else_is_in_their_tenant_and_leave_it_an_owner() {
    on_each(async |on| {
        let forger = Forger::start().await;
        let issuer = forger.url.clone();
        let world = World::new(on, |config| {
            config.oidc.issuer = issuer;
            config.oidc.audience = AUDIENCE.to_owned();
            let roles = vec!["operator".to_owned()];
            config.auth.grants = vec![Grants { user: Some("oskar".to_owned()), group: None, roles }];
        })
        .await;
        let hub = world.hub().await;
        world.furnish(&hub).await;
        for (tenant, owner) in [("retail", "olga"), ("smith", "otto")] {
            let body =
                json!({"display_name": tenant, "cost_center": "4711", "members": [{"user": owner, "role": "owner"}]});
            let put = hub.admin(Method::PUT, &format!("/api/v1/tenants/{tenant}"), Some(body)).await;
            assert!(matches!(put.status, 200 | 201), "{put:?}");
        }
        let someone = |name: &str| Someone(&hub, forger.token(hub.app.clock().now().seconds(), json!({"sub": name})));
        let (olga, otto, ada, oskar) = (someone("olga"), someone("otto"), someone("ada"), someone("oskar"));
        let (put, delete) = (Method::PUT, Method::DELETE);
        let role = |role: &str| Some(json!({ "role": role }));
        let of = |kind: &str, name: &str| format!("/tenants/retail/members/{kind}/{name}");
        let (to_ada, to_olga) = (of("users", "ada"), of("users", "olga"));

        assert_eq!(otto.asks(put.clone(), &to_ada, role("owner")).await.0, 404, "it is not their tenant");
        assert_eq!(ada.asks(put.clone(), &to_ada, role("owner")).await.0, 403);
        let (status, made) = olga.asks(put.clone(), &to_ada, role("member")).await;
        assert_eq!((status, made), (201, json!({"user": "ada", "role": "member"})));
        assert_eq!(ada.gets("/tenants/retail").await.0, 200, "it holds at once");
        assert_eq!(ada.asks(put.clone(), &of("users", "bob"), role("member")).await.0, 403, "a member adds nobody");
        assert_eq!(olga.asks(put.clone(), &of("groups", "devs"), role("member")).await.0, 201);
        assert_eq!(olga.asks(put.clone(), &of("robots", "x"), role("member")).await.0, 404);
        assert_eq!(olga.asks(put.clone(), &of("users", &"x".repeat(300)), role("member")).await.0, 422);
        assert_eq!(olga.asks(delete.clone(), &of("users", "nobody"), None).await.0, 404);
        assert_eq!(hub.admin(Method::GET, "/api/v1/tenants/retail", None).await.body["cost_center"], "4711");

        for (method, body) in [(delete.clone(), None), (put.clone(), role("member"))] {
            let (status, told) = olga.asks(method, &to_olga, body).await;
            assert_eq!((status, &told["code"]), (409, &json!("last_owner")), "{told}");
        }
        assert_eq!(olga.asks(put.clone(), &to_ada, role("owner")).await.0, 200, "what they were they are no more");
        assert_eq!(ada.asks(delete.clone(), &to_olga, None).await.0, 204);
        assert_eq!(olga.gets("/tenants/retail").await.0, 403, "out at once");
        assert_eq!(members(&hub).await, json!([{"group": "devs", "role": "member"}, {"user": "ada", "role": "owner"}]));
        assert_eq!(ada.asks(delete.clone(), &to_ada, None).await.0, 409);
        assert_eq!(oskar.asks(delete.clone(), &to_ada, None).await.0, 204, "an operator may");
        assert_eq!(members(&hub).await, json!([{"group": "devs", "role": "member"}]));
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn of_two_owners_who_take_each_other_out_at_once_one_stays() {
    on_each(async |on| {
        let forger = Forger::start().await;
        let issuer = forger.url.clone();
        let world = World::new(on, |config| {
            config.oidc.issuer = issuer;
            config.oidc.audience = AUDIENCE.to_owned();
        })
        .await;
        let hub = world.hub().await;
        world.furnish(&hub).await;
        for _ in 0..5 {
            let both = json!([{"user": "olga", "role": "owner"}, {"user": "otto", "role": "owner"}]);
            let body = json!({"display_name": "Retail", "members": both});
            assert_eq!(hub.admin(Method::PUT, "/api/v1/tenants/retail", Some(body)).await.status, 200);
            let someone =
                |name: &str| Someone(&hub, forger.token(hub.app.clock().now().seconds(), json!({"sub": name})));
            let (olga, otto) = (someone("olga"), someone("otto"));
            tokio::join!(
                olga.asks(Method::DELETE, "/tenants/retail/members/users/otto", None),
                otto.asks(Method::DELETE, "/tenants/retail/members/users/olga", None)
            );
            assert_eq!(members(&hub).await.as_array().map(Vec::len), Some(1));
        }
        hub.stop().await;
    })
    .await;
}
