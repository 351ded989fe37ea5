//! A broker that strangers wrote (on openbrokerapi, in Python, see `support/foreign_broker.py`) works behind the hub.

use reqwest::Method;
use serde_json::json;

use crate::support::bare::On;
use crate::support::bench::Bench;
use crate::support::foreign::Foreign;

#[tokio::test]
async fn a_broker_on_openbrokerapi_works_behind_the_hub() {
    for on in [On::Sqlite, On::Postgres] {
        let b = Bench::new(on).await;
        let broker = Foreign::openbrokerapi().await;
        let reply = b.hub.admin(Method::POST, "/api/v1/brokers", Some(broker.registration())).await;
        assert_eq!((reply.status, &reply.body["offerings"][0]["name"]), (201, &json!("buckets")), "{reply:?}");

        let shown =
            b.check("its catalog", "GET /brokers/buckets/v2/catalog", None, (200, "Buckets of somebody else")).await;
        assert_eq!(shown.json()["services"][0]["plans"].as_array().map(Vec::len), Some(2));

        // At once.
        let order = |more| Some(b.order("buckets/at-once", more));
        b.check("an order", "PUT i", order(json!({"parameters": {"size": 1}})), (201, "https://buckets.example/"))
            .await;
        b.check("the same", "PUT i", order(json!({"parameters": {"size": 1}})), (200, "")).await;
        b.check("another", "PUT i", order(json!({"parameters": {"size": 2}})), (409, "i exists with other attributes"))
            .await;
        let held = broker.state().await["instances"].as_object().expect("instances").clone();
        let (id, instance) = held.iter().next().expect("one");
        assert_eq!((held.len(), id.len()), (1, 36));
        assert_eq!(instance["order"], json!(["plan-at-once", {"size": 1}]));
        assert_eq!(instance["context"]["bourse"]["tenant"]["name"], "retail", "it knows for whom");
        let bind = || Some(b.bind_body("buckets/at-once", json!({})));
        let bound = b.check("a bind", "PUT i/service_bindings/b", bind(), (201, "key-of-")).await;
        assert_eq!(bound.json()["credentials"]["bucket"], json!(id));
        b.check("again", "PUT i/service_bindings/b", bind(), (200, "key-of-")).await;
        b.check("a look", "GET i/service_bindings/b", None, (200, "key-of-")).await;
        b.check("a look", "GET i", None, (200, r#""size":1"#)).await;
        let change = Some(b.bind_body("buckets/at-once", json!({"parameters": {"size": 3}})));
        b.check("a change", "PATCH i", change, (200, "")).await;
        b.check("a look", "GET i", None, (200, r#""size":3"#)).await;
        let query = b.query("buckets/at-once");
        b.check("an unbind", &format!("DELETE i/service_bindings/b?{query}"), None, (200, "{}")).await;
        b.check("its end", &format!("DELETE i?{query}"), None, (200, "{}")).await;
        b.check("gone", &format!("DELETE i?{query}"), None, (410, "")).await;

        // Asynchronously.
        let order = || Some(b.order("buckets/later", json!({})));
        b.check("it must be polled", "PUT j", order(), (422, "AsyncRequired")).await;
        let made = b.check("an order", "PUT j?accepts_incomplete=true", order(), (202, "operation")).await;
        assert!(made.json()["dashboard_url"].is_string(), "{}", made.text);
        assert_eq!(b.outcome("j").await, "succeeded");
        let bind = Some(b.bind_body("buckets/later", json!({"bind_resource": {"app_guid": "a"}})));
        b.check("a bind", "PUT j/service_bindings/b?accepts_incomplete=true", bind, (201, "key-of-")).await;
        let line = format!("DELETE j?{}&accepts_incomplete=true", b.query("buckets/later"));
        b.check("its end, binding first", &line, None, (202, "operation")).await;
        assert_eq!(b.outcome("j").await, "succeeded");
        b.check("gone", &line, None, (410, "")).await;
        assert_eq!(broker.state().await, json!({"instances": {}, "bindings": {}}), "nothing is left there");
        b.hub.stop().await;
        drop(broker);
    }
}
