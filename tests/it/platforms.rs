//! Platforms: registering them, and their credentials, which overlap while they rotate.

use bourse::domain::caller::Caller;
use serde_json::{Value, json};

use crate::support::management::{Hub, on_both, send};

async fn register(hub: &Hub, name: &str) -> Value {
    hub.call("POST", "/platforms", json!({ "name": name, "kind": "cloudfoundry" })).await.is(201)
}

/// Whether a user name and password are let in, and as what.
async fn who(hub: &Hub, credentials: &Value) -> Option<Caller> {
    let text = |name: &str| credentials[name].as_str().expect("a text").to_owned();
    hub.app.authenticate(&text("username"), &text("password")).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_gets_credentials_that_are_shown_once() {
    on_both(async |hub| {
        let created = register(hub, "cf").await;
        let id = created["id"].as_str().expect("an id").to_owned();
        assert_eq!(who(hub, &created["credentials"]).await, Some(Caller::Platform(id.clone())));
        let shown = hub.get("/platforms/cf").await.is(200);
        assert_eq!((&shown["id"], &shown["kind"]), (&created["id"], &json!("cloudfoundry")));
        assert_eq!(shown["usernames"], json!([created["credentials"]["username"]]));
        let listed = hub.get("/platforms").await;
        let password = created["credentials"]["password"].as_str().expect("a password");
        assert!(!listed.text.contains(password) && !shown.to_string().contains(password));
        let names: Vec<_> =
            listed.is(200)["items"].as_array().expect("items").iter().map(|p| p["name"].clone()).collect();
        assert_eq!(names, ["bourse", "cf"], "the built-in one is there from the first start");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_overlap_while_they_rotate() {
    on_both(async |hub| {
        let old = register(hub, "cf").await["credentials"].clone();
        let new = hub.call("POST", "/platforms/cf/credentials", Value::Null).await.is(201);
        assert!(who(hub, &old).await.is_some() && who(hub, &new).await == who(hub, &old).await);
        let gone = format!("/platforms/cf/credentials/{}", old["username"].as_str().expect("a name"));
        hub.delete(&gone).await.is(204);
        assert_eq!(who(hub, &old).await, None, "at once");
        assert!(who(hub, &new).await.is_some());
        hub.delete(&gone).await.refuses(404, "not_found");
        // The last one may go too: then the platform can't call.
        hub.delete(&format!("/platforms/cf/credentials/{}", new["username"].as_str().expect("a name"))).await.is(204);
        assert_eq!(who(hub, &new).await, None);
        hub.call("POST", "/platforms/other/credentials", Value::Null).await.refuses(404, "not_found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_has_a_bounded_number_of_pairs() {
    on_both(async |hub| {
        register(hub, "cf").await;
        for _ in 1..10 {
            hub.call("POST", "/platforms/cf/credentials", Value::Null).await.is(201);
        }
        hub.call("POST", "/platforms/cf/credentials", Value::Null).await.refuses(409, "too_many_credentials");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_a_pair_of_another_platform_away() {
    on_both(async |hub| {
        let one = register(hub, "one").await["credentials"].clone();
        register(hub, "two").await;
        let foreign = format!("/platforms/two/credentials/{}", one["username"].as_str().expect("a name"));
        hub.delete(&foreign).await.refuses(404, "not_found");
        hub.delete("/platforms/two/credentials/admin").await.refuses(404, "not_found");
        assert!(who(hub, &one).await.is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_platform_is_refused_with_a_pointer() {
    on_both(async |hub| {
        register(hub, "cf").await;
        let trust = json!({ "issuer": "https://other", "jwks_url": "https://other/.well-known/jwks.json" });
        let bad_url = json!({ "issuer": "https://other", "jwks_url": "file:///etc/passwd" });
        hub.call("POST", "/platforms", json!({ "name": "cf", "kind": "other" })).await.refuses(409, "name_taken");
        for (body, pointer) in [
            (json!({ "name": "CF", "kind": "other" }), "/name"),
            (json!({ "name": "a", "kind": "openstack" }), "/kind"),
            (json!({ "name": "a", "kind": "other", "default_tenant": "nobody" }), "/default_tenant"),
            (json!({ "name": "a", "kind": "bourse" }), "/trust"),
            (json!({ "name": "a", "kind": "other", "trust": trust }), "/trust"),
            (json!({ "name": "a", "kind": "bourse", "trust": bad_url }), "/trust/jwks_url"),
            (json!({ "name": "a", "kind": "other", "colour": 1 }), "/colour"),
            (json!({ "name": "a" }), ""),
        ] {
            let problem = hub.call("POST", "/platforms", body.clone()).await.refuses(422, "invalid");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
        }
        hub.call("POST", "/platforms", json!({ "name": "a", "kind": "bourse", "trust": trust })).await.is(201);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_is_changed_field_by_field() {
    on_both(async |hub| {
        register(hub, "cf").await;
        hub.call("PUT", "/tenants/retail", json!({ "display_name": "Retail" })).await.is(201);
        let changed = hub.call("PATCH", "/platforms/cf", json!({ "default_tenant": "retail" })).await.is(200);
        assert_eq!(changed["default_tenant"], "retail");
        assert_eq!(hub.call("PATCH", "/platforms/cf", json!({})).await.is(200)["default_tenant"], "retail");
        hub.delete("/tenants/retail").await.refuses(409, "in_use");
        let cleared = hub.call("PATCH", "/platforms/cf", json!({ "default_tenant": null })).await.is(200);
        assert_eq!(cleared["default_tenant"], Value::Null);
        hub.delete("/tenants/retail").await.is(204);
        hub.call("PATCH", "/platforms/cf", json!({ "default_tenant": "retail" })).await.refuses(422, "invalid");
        hub.call("PATCH", "/platforms/cf", json!({ "name": "x" })).await.refuses(422, "invalid");
        hub.call("PATCH", "/platforms/nope", json!({})).await.refuses(404, "not_found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_has_been_seen_is_as_it_was_changed_at_its_next_request() {
    on_both(async |hub| {
        let pair = register(hub, "cf").await["credentials"].clone();
        let text = |name: &str| pair[name].as_str().expect("a text").to_owned();
        let tenant = async || {
            let platform = hub.app.authenticate_platform(&text("username"), &text("password")).await;
            platform.expect("it is let in").default_tenant_id
        };
        hub.call("PUT", "/tenants/retail", json!({ "display_name": "Retail" })).await.is(201);
        assert_eq!(tenant().await, None);
        hub.call("PATCH", "/platforms/cf", json!({ "default_tenant": "retail" })).await.is(200);
        assert!(tenant().await.is_some());
        hub.call("PATCH", "/platforms/cf", json!({ "default_tenant": null })).await.is(200);
        assert_eq!(tenant().await, None);
        let wrong = hub.app.authenticate_platform(&text("username"), "wrong").await;
        assert!(wrong.is_err(), "also while the right password is known");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_platform_is_locked_out_and_its_name_is_free() {
    on_both(async |hub| {
        let created = register(hub, "cf").await;
        assert!(who(hub, &created["credentials"]).await.is_some(), "it has been seen before");
        let identity = json!({ "platform": "cf", "organization_guid": "o" });
        hub.call("PUT", "/tenants/retail", json!({ "display_name": "R", "identities": [identity] })).await.is(201);
        hub.delete("/platforms/cf").await.is(204);
        assert_eq!(who(hub, &created["credentials"]).await, None);
        hub.get("/platforms/cf").await.refuses(404, "not_found");
        hub.delete("/platforms/cf").await.refuses(404, "not_found");
        assert_eq!(hub.get("/tenants/retail").await.is(200)["identities"], json!([]));
        assert_ne!(register(hub, "cf").await["id"], created["id"]);
        hub.delete("/platforms/bourse").await.refuses(409, "builtin");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_can_not_manage() {
    on_both(async |hub| {
        let pair = register(hub, "cf").await["credentials"].clone();
        let request = hub.request("GET", "/api/v1/platforms");
        let username = pair["username"].as_str().expect("a name");
        send(request.basic_auth(username, pair["password"].as_str())).await.refuses(403, "forbidden");
    })
    .await;
}
