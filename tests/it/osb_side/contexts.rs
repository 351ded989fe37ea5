//! What platforms say of themselves, of places and of users, and how it reaches the broker: as they said it, on each call.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::bench::Bench;
use crate::support::raw::{basic, send};

use super::on_both;

/// The rows, a context, and whether it is one of an instance: a bind's has no `instance_name`.
fn contexts() -> Vec<(&'static str, Value)> {
    let cf = |more: Value| with(json!({"platform": "cloudfoundry", "organization_guid": "o", "space_guid": "s"}), more);
    let k8s = |more: Value| with(json!({"platform": "kubernetes", "namespace": "n"}), more);
    vec![
        ("CF-01 CTX-03", cf(json!({}))),
        ("CF-02", cf(json!({"organization_name": "org", "space_name": "space"}))),
        ("CF-03", cf(json!({"organization_name": "org", "space_name": "space", "instance_name": "db"}))),
        ("CF-04", cf(json!({"organization_annotations": {"x.example/a": "b"}, "space_annotations": {}}))),
        ("CF-04", cf(json!({"instance_name": "db", "instance_annotations": {"x.example/a": "b"}}))),
        ("K8S-01 CTX-03", k8s(json!({}))),
        ("K8S-02", k8s(json!({"clusterid": "c"}))),
        ("K8S-03", k8s(json!({"clusterid": "c", "instance_name": "db"}))),
        ("K8S-04", k8s(json!({"clusterid": "c", "namespace_annotations": {}, "instance_annotations": {"a": "b"}}))),
        ("PRO-01", json!({"platform": "portal", "team": "blue"})),
        ("CTX-02", cf(json!({"x-cell": {"n": [1]}, "x-null": null}))),
    ]
}

fn with(mut value: Value, more: Value) -> Value {
    value.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    value
}

/// The context that the broker got last with that verb, without what the hub adds.
fn received(b: &Bench, verb: &str) -> Value {
    let mut context = b.recorder.last(verb).json()["context"].clone();
    let told = context.as_object_mut().and_then(|context| context.shift_remove("bourse"));
    assert!(told.is_some_and(|told| told["tenant"]["name"] == "retail"), "{verb}: the hub says for whom it is");
    context
}

#[tokio::test]
async fn ctx_02_a_context_reaches_the_broker_as_it_was_said() {
    on_both(async |b| {
        for (number, (rows, context)) in contexts().into_iter().enumerate() {
            let id = format!("i-{number}");
            let order = b.order("readable/one", json!({"context": context}));
            b.check(rows, &format!("PUT {id}"), Some(order), (201, "")).await;
            assert_eq!(received(b, "provision"), context, "{rows}");
            let sent = b.recorder.last("provision").json();
            assert_eq!((&sent["organization_guid"], &sent["space_guid"]), (&json!("o"), &json!("s")), "PRV-03");
            let change = b.bind_body("readable/one", json!({"context": context, "parameters": {"x": 1}}));
            b.check(rows, &format!("PATCH {id}"), Some(change), (200, "")).await;
            assert_eq!(received(b, "update"), context, "UPD-08: {rows}");
            let bind = b.bind_body("readable/one", json!({"context": context}));
            b.check(rows, &format!("PUT {id}/service_bindings/b"), Some(bind), (201, "")).await;
            assert_eq!(received(b, "bind"), context, "{rows}");
        }
    })
    .await;
}

#[tokio::test]
async fn bnd_05_06_cf_06_what_is_bound_to_reaches_the_broker_as_it_was_said() {
    on_both(async |b| {
        b.check("an order", "PUT i", Some(b.order("small", json!({}))), (201, "")).await;
        for (number, (rows, more)) in [
            ("BND-05 a route", json!({"bind_resource": {"route": "app.example.com/path", "x-own": [1.0]}})),
            ("BND-04 both places", json!({"app_guid": "a", "bind_resource": {"app_guid": "a", "space_guid": "s"}})),
            ("BND-06 CF-06", json!({"bind_resource": {"app_guid": "a", "app_annotations": {"x.example/y": "z"}}})),
            ("BND-06 CF-06 a service key", json!({"bind_resource": {"credential_client_id": "c", "space_guid": "s"}})),
        ]
        .into_iter()
        .enumerate()
        {
            let line = format!("PUT i/service_bindings/b-{number}");
            b.check(rows, &line, Some(b.bind_body("small", more.clone())), (201, "")).await;
            let sent = b.recorder.last("bind").json();
            for (name, value) in more.as_object().expect("an object") {
                assert_eq!(&sent[name], value, "{rows}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn oid_03_05_each_call_names_the_user_who_caused_it_and_the_platform_of_its_context() {
    on_both(async |b| {
        let identity = |platform: &str, user: &str| {
            format!("{platform} {}", STANDARD.encode(json!({"user_id": user, "x": "y"}).to_string()))
        };
        let call = async |line: &str, identity: &str, body: Value| {
            let head = format!(
                "{} /v2/service_instances/{} HTTP/1.1\nX-Broker-API-Version: 2.17\nAuthorization: {}\n\
                 X-Broker-API-Originating-Identity: {identity}",
                line.split(' ').next().expect("a method"),
                line.split(' ').nth(1).expect("a path"),
                basic(&b.platform)
            );
            let reply = send(&b.hub.url, &head, &body.to_string()).await;
            assert_eq!(reply.status, 201, "{line}: {}", reply.text);
        };
        let order = b.order("small", json!({}));
        for (row, platform) in [("CTX-01", "cloudfoundry"), ("PRO-01", "portal")] {
            // No context: it is made, and names the same platform as the identity.
            let who = identity(platform, "one");
            call(&format!("PUT {platform}"), &who, order.clone()).await;
            let sent = b.recorder.last("provision");
            assert_eq!(sent.header("x-broker-api-originating-identity"), Some(who.as_str()), "{row}");
            assert_eq!(sent.json()["context"]["platform"], platform, "{row}");
            let place = sent.json()["context"]["organization_guid"].clone();
            assert_eq!(place == "o", platform == "cloudfoundry", "CF-01: {row}, {place}");
        }
        // The same order of two users on two ids: neither is told in the other's name.
        for user in ["one", "two"] {
            let who = identity("cloudfoundry", user);
            call(&format!("PUT cloudfoundry/service_bindings/{user}"), &who, b.bind_body("small", json!({}))).await;
            let sent = b.recorder.last("bind");
            assert_eq!(sent.header("x-broker-api-originating-identity"), Some(who.as_str()), "OID-05 OID-06 CF-05");
            let context = &sent.json()["context"];
            assert_eq!(
                (&context["platform"], &context["space_guid"]),
                (&json!("cloudfoundry"), &json!("s")),
                "OID-03 CF-01"
            );
        }
        b.checked.fetch_add(4, std::sync::atomic::Ordering::Relaxed);
    })
    .await;
}
