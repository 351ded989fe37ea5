//! Access to an instance granted to a colleague, until some time.

use std::time::Duration;

use bourse::config::Grants;
use bourse::domain::caller::{Caller, Person};
use bourse::domain::grant::GrantRole;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::on_each;
use crate::support::hub::{CLIENT, Hub, World, sync};
use crate::support::oidc::{AUDIENCE, Forger};

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

/// What somebody with a token of the identity provider gets.
pub(super) struct Someone<'a>(pub(super) &'a Hub, pub(super) String);

impl Someone<'_> {
    pub(super) async fn asks(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = CLIENT.request(method, format!("{}/api/v1{path}", self.0.url)).bearer_auth(&self.1);
        let request = match body {
            Some(body) => request.body(body.to_string()),
            None => request,
        };
        let answer = request.send().await.expect("no answer");
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.expect("no text")).unwrap_or_default())
    }

    pub(super) async fn gets(&self, path: &str) -> (u16, Value) {
        self.asks(Method::GET, path, None).await
    }
}

#[tokio::test]
async fn owners_share_what_their_tenant_has_and_a_colleague_without_any_role_sees_that_and_nothing_else() {
    on_each(async |on| {
        let forger = Forger::start().await;
        let issuer = forger.url.clone();
        let world = World::new(on, |config| {
            config.oidc.issuer = issuer;
            config.oidc.audience = AUDIENCE.to_owned();
            let role = |user: &str, role: &str| Grants {
                user: Some(user.to_owned()),
                group: None,
                roles: vec![role.to_owned()],
            };
            config.auth.grants = vec![
                role("olga", "tenant-owner:retail"),
                role("mia", "tenant-member:retail"),
                role("otto", "tenant-owner:smith"),
            ];
        })
        .await;
        let hub = world.hub().await;
        world.furnish(&hub).await;
        let smith = json!({"display_name": "Smith"});
        assert_eq!(hub.admin(Method::PUT, "/api/v1/tenants/smith", Some(smith)).await.status, 201);
        let someone = |name: &str| Someone(&hub, forger.token(hub.app.clock().now().seconds(), json!({"sub": name})));
        let (olga, mia, otto, ada) = (someone("olga"), someone("mia"), someone("otto"), someone("ada"));
        let order = json!({"offering": "faults", "plan": "ok"});
        let db = "/tenants/retail/instances/db";
        let (status, made) = mia.asks(Method::PUT, db, Some(order.clone())).await;
        assert_eq!(status, 201, "{made}");
        assert_eq!(mia.asks(Method::PUT, "/tenants/retail/instances/other", Some(order)).await.0, 201);
        let binding = format!("{db}/bindings/b");
        assert_eq!(mia.asks(Method::PUT, &binding, Some(json!({}))).await.0, 201);
        let id = made["id"].as_str().expect("an id").to_owned();
        let (grants, detail) = (format!("/instances/{id}/grants"), format!("/instances/{id}"));
        let credentials = format!("{binding}?credentials=true");

        let until = world.clock.now().plus(Duration::from_secs(3600));
        let grant = |role: &str| Some(json!({"role": role, "expires_at": until}));
        let to_ada = format!("{grants}/ada");
        assert_eq!(mia.asks(Method::PUT, &to_ada, grant("reader")).await.0, 403, "a member shares nothing");
        assert_eq!(otto.asks(Method::PUT, &to_ada, grant("reader")).await.0, 404, "it is not of their tenant");
        assert_eq!(otto.gets(&grants).await.0, 404);
        for path in [db, &binding, &detail] {
            assert_eq!(ada.gets(path).await.0, 404, "{path}: not there for who has neither role nor grant");
        }
        assert_eq!(ada.gets("/instances").await, (200, json!({"items": [], "next": null})));

        assert_eq!(olga.asks(Method::PUT, &to_ada, grant("reader")).await.0, 200);
        assert_eq!(olga.gets(&grants).await.1["items"][0]["granted_by"], "users/olga");
        let listed = ada.gets("/instances").await.1;
        assert_eq!(listed["items"].as_array().expect("items").len(), 1, "{listed}");
        assert_eq!(listed["items"][0]["id"], id.as_str());
        let (status, shown) = ada.gets(db).await;
        assert_eq!((status, &shown["id"], &shown["cost"]), (200, &json!(id), &Value::Null), "{shown}");
        assert!(shown.get("references").is_none(), "{shown}");
        assert_eq!(ada.gets(&detail).await.0, 200);
        assert_eq!(ada.gets("/tenants/retail/instances/other").await.0, 404);
        assert_eq!(ada.gets(&credentials).await.0, 404, "a reader has no credentials");
        assert_eq!(olga.asks(Method::PUT, &to_ada, grant("user")).await.0, 200);
        assert!(ada.gets(&credentials).await.1["credentials"].is_object());
        // Somebody with a role of their own sees both.
        assert_eq!(olga.asks(Method::PUT, &format!("{grants}/otto"), grant("reader")).await.0, 200);
        assert_eq!(otto.gets("/instances").await.1["items"].as_array().map(Vec::len), Some(1));
        assert_eq!(ada.asks(Method::DELETE, db, None).await.0, 403, "nobody deletes by a grant");
        assert_eq!(ada.asks(Method::PUT, &format!("{grants}/bob"), grant("reader")).await.0, 403, "nor shares");

        assert_eq!(otto.asks(Method::DELETE, &to_ada, None).await.0, 404);
        assert_eq!(olga.asks(Method::DELETE, &to_ada, None).await.0, 204);
        assert_eq!((ada.gets(db).await.0, ada.gets(&credentials).await.0), (404, 404));
        world.clock.advance(Duration::from_secs(3601));
        let otto = Someone(&hub, forger.token(hub.app.clock().now().seconds(), json!({"sub": "otto"})));
        assert_eq!(otto.gets("/instances").await.1["items"], json!([]), "it has ended");
        hub.stop().await;
    })
    .await;
}
