//! How far an offering has come: drafts for pilots, what will go, and what is gone while its instances stand.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::on_both;

#[tokio::test]
async fn a_draft_is_for_its_pilots_until_it_is_published() {
    on_both(async |m| {
        let (p, q) = (&m.bench.platform, &m.q);
        m.stage("recorded", json!({"state": "draft", "pilots": ["bank"]})).await;
        assert_eq!(m.seen(p, "recorded").await, Value::Null);
        assert!(m.sees(q, "small").await);
        assert_eq!(m.order(p, "one", "small", "o").await.0, 400);
        assert_eq!(m.order(q, "one", "small", "o").await.0, 201);
        // A pilot still is held to what the plan says.
        m.restrict("small", &["retail"], &[]).await;
        assert!(!m.sees(q, "small").await && m.sees(q, "large").await);
        assert_eq!(m.order(q, "two", "small", "o").await.0, 400);
        m.stage("recorded", json!({"state": "published"})).await;
        assert!(m.sees(p, "small").await && m.sees(p, "large").await);
        let list = m.bench.hub.admin(Method::GET, "/api/v1/offerings?q=recorded", None).await.body;
        assert_eq!(list["items"][0]["lifecycle"], "published");
    })
    .await;
}

#[tokio::test]
async fn what_will_go_says_so_and_can_be_ordered_until_its_sunset() {
    on_both(async |m| {
        let (b, p) = (&m.bench, &m.bench.platform);
        let sunset = b.world.clock.now().plus(Duration::from_secs(3600));
        let body = json!({"state": "deprecated", "sunset": sunset, "successor": "readable"});
        let said = m.stage("recorded", body).await;
        assert_eq!((&said["state"], &said["now"]), (&json!("deprecated"), &json!("deprecated")));
        let seen = m.seen(p, "recorded").await;
        let told = json!({"state": "deprecated", "sunset": sunset, "successor": "readable"});
        assert_eq!(seen["metadata"]["bourse"]["lifecycle"], told);
        assert_eq!(m.order(p, "one", "small", "o").await.0, 201);
        let tag = m.tag(p).await;
        b.world.clock.advance(Duration::from_secs(3601));
        let (status, text) = m.order(p, "two", "small", "o").await;
        assert!(status == 400 && text.contains("retired") && text.contains("order readable instead"), "{text}");
        assert_eq!(m.seen(p, "recorded").await, Value::Null, "time alone takes it out of the catalog");
        assert_ne!(m.tag(p).await, tag);
        let said = b.hub.admin(Method::GET, "/api/v1/offerings/recorded/lifecycle", None).await.body;
        assert_eq!((&said["state"], &said["now"]), (&json!("deprecated"), &json!("retired")));
        // What stands is served.
        b.check("a bind", "PUT one/service_bindings/b", Some(b.bind_body("small", json!({}))), (201, "")).await;
        let update = b.bind_body("small", json!({"parameters": {"x": 1}}));
        b.check("new parameters", "PATCH one", Some(update), (200, "")).await;
        b.check("a deletion", &format!("DELETE one?{}", b.query("small")), None, (200, "")).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_retired_is_ordered_by_nobody_and_can_come_back() {
    on_both(async |m| {
        let (b, p) = (&m.bench, &m.bench.platform);
        m.stage("recorded", json!({"state": "retired", "successor": "readable"})).await;
        assert_eq!(m.seen(p, "recorded").await, Value::Null);
        let (status, text) = m.order(p, "one", "small", "o").await;
        assert!(status == 400 && text.contains("retired"), "{text}");
        let order = json!({"offering": "recorded", "plan": "small"});
        let refused = b.hub.admin(Method::PUT, "/api/v1/tenants/retail/instances/db", Some(order)).await;
        assert_eq!((refused.status, &refused.body["code"]), (422, &json!("offering_retired")), "{refused:?}");
        m.stage("recorded", json!({"state": "published"})).await;
        assert_eq!(m.order(p, "one", "small", "o").await.0, 201);
    })
    .await;
}

#[tokio::test]
async fn a_lifecycle_that_makes_no_sense_is_refused_with_every_reason() {
    on_both(async |m| {
        let path = "/api/v1/offerings/recorded/lifecycle";
        for (body, pointers) in [
            (json!({"state": "gone"}), vec!["/state"]),
            (json!({"state": "draft", "pilots": ["nobody"]}), vec!["/pilots/0"]),
            (json!({"state": "retired", "successor": "nothing"}), vec!["/successor"]),
            (json!({"state": "retired", "successor": "recorded"}), vec!["/successor"]),
            (
                json!({"state": "published", "sunset": "2030-01-01T00:00:00Z", "successor": "readable", "pilots": ["bank"]}),
                vec!["/sunset", "/successor", "/pilots"],
            ),
        ] {
            let reply = m.bench.hub.admin(Method::PUT, path, Some(body)).await;
            assert_eq!(reply.status, 422, "{reply:?}");
            let found: Vec<_> = reply.body["errors"]
                .as_array()
                .expect("errors")
                .iter()
                .map(|error| error["pointer"].as_str().expect("a pointer").to_owned())
                .collect();
            assert_eq!(found, pointers);
        }
    })
    .await;
}
