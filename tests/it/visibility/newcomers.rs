//! What is new in a broker's catalog, under settings that don't let everybody in at once.

use bourse::config::Visibility;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::on_each;
use crate::support::bench::Bench;

fn names(reply: &str) -> Vec<String> {
    let catalog: Value = serde_json::from_str(reply).expect("JSON");
    let list = catalog["services"].as_array().expect("services");
    list.iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn new_plans_are_for_nobody_where_the_settings_say_restricted() {
    on_each(async |on| {
        let b = Bench::with(on, |config| config.catalog.default_visibility = Visibility::Restricted).await;
        assert!(names(&b.call("GET /v2/catalog", None).await.text).is_empty());
        let order = b.order("small", json!({}));
        b.check("a new plan", "PUT one", Some(order.clone()), (400, "fetch the catalog again")).await;
        let path = "/api/v1/offerings/recorded/plans/small/visibility";
        let shown = b.hub.admin(Method::GET, path, None).await.body;
        assert_eq!(shown, json!({"access": "restricted", "tenants": [], "platforms": []}));
        let public = json!({"access": "public"});
        assert_eq!(b.hub.admin(Method::PUT, path, Some(public)).await.status, 200);
        assert_eq!(names(&b.call("GET /v2/catalog", None).await.text), ["recorded"]);
        b.check("one that was let out", "PUT one", Some(order), (201, "")).await;
        // What was said stays said: a refresh, and a broker that comes back, change nothing of it.
        assert_eq!(b.hub.admin(Method::POST, "/api/v1/brokers/recorder/refresh", None).await.status, 200);
        assert_eq!(names(&b.call("GET /v2/catalog", None).await.text), ["recorded"]);
        b.check("its deletion", &format!("DELETE one?{}", b.query("small")), None, (200, "")).await;
        assert_eq!(b.hub.admin(Method::DELETE, "/api/v1/brokers/recorder", None).await.status, 204);
        b.register("recorder", &b.recorder, json!({})).await;
        assert_eq!(names(&b.call("GET /v2/catalog", None).await.text), ["recorded"]);
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn new_offerings_are_drafts_where_the_settings_want_a_review() {
    on_each(async |on| {
        let b = Bench::with(on, |config| config.catalog.review = true).await;
        assert!(names(&b.call("GET /v2/catalog", None).await.text).is_empty());
        let path = "/api/v1/offerings/recorded/lifecycle";
        assert_eq!(b.hub.admin(Method::GET, path, None).await.body["state"], "draft");
        let published = json!({"state": "published"});
        assert_eq!(b.hub.admin(Method::PUT, path, Some(published)).await.status, 200);
        assert_eq!(names(&b.call("GET /v2/catalog", None).await.text), ["recorded"]);
        b.check("an order", "PUT one", Some(b.order("small", json!({}))), (201, "")).await;
        b.hub.stop().await;
    })
    .await;
}
