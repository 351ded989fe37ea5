//! Access to an instance granted to a colleague, until some time.

use std::time::Duration;

use bourse::domain::grant::GrantRole;
use reqwest::Method;
use serde_json::json;

use crate::support::bare::on_each;
use crate::support::hub::{World, sync};

#[tokio::test]
async fn a_grant_holds_until_its_end_and_can_be_taken_back() {
    on_each(async |on| {
        let world = World::new(on, |_| {}).await;
        let hub = world.hub().await;
        let p = world.furnish(&hub).await;
        assert_eq!(hub.provision(&p, "one", "ok", sync()).await.status, 201);
        let list = hub.admin(Method::GET, "/api/v1/instances", None).await.body;
        let id = list["items"][0]["id"].as_str().expect("an id").to_owned();
        let path = format!("/api/v1/instances/{id}/grants/ada");
        let until = world.clock.now().plus(Duration::from_secs(3600));
        let granted = hub.admin(Method::PUT, &path, Some(json!({"role": "reader", "expires_at": until}))).await;
        assert_eq!((granted.status, &granted.body["user"]), (200, &json!("ada")), "{granted:?}");
        let may = async |role| hub.app.is_granted(&id, "ada", role).await.expect("an answer");
        assert!(may(GrantRole::Reader).await && !may(GrantRole::User).await);
        assert!(!hub.app.is_granted(&id, "bob", GrantRole::Reader).await.expect("an answer"));
        assert_eq!(hub.admin(Method::PUT, &path, Some(json!({"role": "user", "expires_at": until}))).await.status, 200);
        assert!(may(GrantRole::Reader).await && may(GrantRole::User).await);
        world.clock.advance(Duration::from_secs(3601));
        assert!(!may(GrantRole::Reader).await, "it has expired");
        let late = hub.admin(Method::PUT, &path, Some(json!({"role": "user", "expires_at": until}))).await;
        assert_eq!((late.status, &late.body["errors"][0]["pointer"]), (422, &json!("/expires_at")), "{late:?}");
        let shown = hub.admin(Method::GET, &format!("/api/v1/instances/{id}/grants"), None).await.body;
        assert_eq!(shown["items"].as_array().map(Vec::len), Some(1));
        assert_eq!(hub.admin(Method::DELETE, &path, None).await.status, 204);
        assert_eq!(hub.admin(Method::DELETE, &path, None).await.status, 404);
        let missing = hub.admin(Method::GET, "/api/v1/instances/nothing/grants", None).await;
        assert_eq!(missing.status, 404);
        hub.stop().await;
    })
    .await;
}
