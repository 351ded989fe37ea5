//! Access to an instance granted to a colleague, until some time.

use std::time::Duration;

use bourse::domain::caller::{Caller, Person};
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

fn user(name: &str) -> Caller {
    let member_of = std::collections::BTreeMap::from([("another".to_owned(), "another".to_owned())]);
    Caller::User(Box::new(Person { name: name.to_owned(), member_of, ..Person::default() }))
}

#[tokio::test]
async fn a_colleague_of_another_tenant_reads_by_name_what_was_granted_and_no_more() {
    on_each(async |on| {
        let world = World::new(on, |_| {}).await;
        let hub = world.hub().await;
        world.furnish(&hub).await;
        let order = json!({"offering": "faults", "plan": "ok"});
        let made = hub.admin(Method::PUT, "/api/v1/tenants/retail/instances/db", Some(order)).await;
        assert_eq!(made.status, 201, "{made:?}");
        let bind = hub.admin(Method::PUT, "/api/v1/tenants/retail/instances/db/bindings/b", Some(json!({}))).await;
        assert_eq!(bind.status, 201, "{bind:?}");
        let path = format!("/api/v1/instances/{}/grants/ada", made.body["id"].as_str().expect("an id"));
        let (ada, call) = (user("ada"), osb::Call::default());
        let sees = async |who: &Caller| hub.app.ordered(who, "retail", "db").await.is_ok();
        let gets = async || hub.app.ordered_binding(&ada, &call, ("retail", "db", "b"), true).await.is_ok();
        assert!(!sees(&ada).await && !gets().await);
        let until = world.clock.now().plus(Duration::from_secs(3600));
        let grant = async |role: &str| {
            let body = json!({"role": role, "expires_at": until});
            assert_eq!(hub.admin(Method::PUT, &path, Some(body)).await.status, 200);
        };
        grant("reader").await;
        assert!(sees(&ada).await && !gets().await && !sees(&user("bob")).await);
        grant("user").await;
        assert!(sees(&ada).await && gets().await);
        assert!(hub.app.ordered(&ada, "retail", "other").await.is_err());
        assert!(hub.app.delete_ordered(&ada, &call, "retail", "db").await.is_err(), "nobody deletes by a grant");
        world.clock.advance(Duration::from_secs(3601));
        assert!(!sees(&ada).await && !gets().await);
        hub.stop().await;
    })
    .await;
}
