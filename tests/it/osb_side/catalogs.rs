//! GET of the catalog, by one broker and by all, and plans that have left it.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use crate::support::bench::{self, Bench};
use crate::support::raw::{basic, send};
use crate::support::recorder::Recorder;

use super::on_both;

const NAMESPACE: Uuid = uuid!("b0c4b2a6-6a3e-5d0f-9c1e-7d6f0e5a4c21");

fn names(catalog: &Value) -> Vec<String> {
    let services = catalog["services"].as_array().expect("services");
    services.iter().map(|service| service["name"].as_str().expect("a name").to_owned()).collect()
}

fn service<'a>(catalog: &'a Value, name: &str) -> &'a Value {
    let services = catalog["services"].as_array().expect("services");
    services.iter().find(|service| service["name"] == name).expect("no such offering")
}

async fn refresh(b: &Bench, catalog: &Value) {
    b.recorder.say("catalog", 200, catalog);
    let reply = b.hub.admin(Method::POST, "/api/v1/brokers/recorder/refresh", None).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let bad = reply.body["offerings"].as_array().expect("offerings").iter().find(|one| one["state"] != "available");
    let errors =
        |one: &Value| one["findings"].as_array().is_some_and(|all| all.iter().any(|f| f["severity"] == "error"));
    assert!(!bad.is_some_and(errors), "{}", bad.map(|one| one["findings"].to_string()).unwrap_or_default());
}

#[tokio::test]
async fn cat_01_06_ext_02_one_catalog_for_all_and_one_for_each_broker() {
    on_both(async |b| {
        let all = b.check("merged", "GET /v2/catalog", None, (200, "")).await;
        let one = b.check("one broker's", "GET /brokers/recorder/v2/catalog", None, (200, "")).await;
        b.check("no such broker", "GET /brokers/none/v2/catalog", None, (404, "none")).await;
        assert_eq!(names(&one.json()), ["recorded", "readable"]);
        assert_eq!(names(&all.json()).len(), 3);
        for name in ["recorded", "readable"] {
            assert_eq!(service(&all.json(), name), service(&one.json(), name), "the same ids");
        }
        let recorded = service(&one.json(), "recorded").clone();
        let id = Uuid::new_v5(&NAMESPACE, b"offering\0recorder\0b-recorded");
        assert_eq!(recorded["id"], id.to_string());
        let id = Uuid::new_v5(&NAMESPACE, b"plan\0recorder\0b-recorded\0b-small");
        assert_eq!(recorded["plans"][0]["id"], id.to_string());
        assert_eq!(recorded["x-unknown"], json!({"keep": [1, "2"]}));
        assert_eq!(recorded["plans"][0]["x-plan-unknown"], "kept");
        for number in ["99.0", "1.50", "12345678901234567890123"] {
            assert!(one.text.contains(&format!(":{number}")), "numbers stay as they are: {number}");
        }
        for reply in [&all, &one] {
            let tag = reply.header("etag").expect("CAT-06: an ETag");
            let line = if reply.text == all.text { "GET /v2/catalog" } else { "GET /brokers/recorder/v2/catalog" };
            for (given, status) in [(tag.to_owned(), 304), (format!("W/{tag}"), 304), ("\"x\"".to_owned(), 200)] {
                let head = format!(
                    "{line} HTTP/1.1\nX-Broker-API-Version: 2.17\nIf-None-Match: {given}\nAuthorization: {}",
                    basic(&b.platform)
                );
                let again = send(&b.hub.url, &head, "").await;
                assert_eq!((again.status, again.text.is_empty()), (status, status == 304), "{given}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn auth_04_behind_one_brokers_endpoint_only_its_instances_exist() {
    on_both(async |b| {
        let (mine, other) = ("/brokers/recorder/v2/service_instances", "/brokers/faults/v2/service_instances");
        let order = || Some(b.order("small", json!({})));
        let query = b.query("small");
        b.check("an order here", &format!("PUT {mine}/i"), order(), (201, "")).await;
        b.check("is there", "PUT i", order(), (200, "")).await;
        b.check("another broker's plan", &format!("PUT {other}/x"), order(), (400, "catalog")).await;
        let (service_id, plan_id) = b.hub.ids("ok");
        let theirs = json!({"service_id": service_id, "plan_id": plan_id, "organization_guid": "o", "space_guid": "s"});
        for (line, body, status) in [
            (format!("GET {other}/i"), None, 404),
            (format!("GET {other}/i/last_operation"), None, 404),
            (format!("PATCH {other}/i"), Some(b.bind_body("small", json!({}))), 404),
            (format!("PUT {other}/i/service_bindings/b"), Some(b.bind_body("small", json!({}))), 404),
            (format!("DELETE {other}/i/service_bindings/b?{query}"), None, 410),
            (format!("DELETE {other}/i?{query}"), None, 410),
            (format!("PUT {other}/i"), order(), 409),
            (format!("PUT {other}/i"), Some(theirs), 409),
            (format!("PUT {mine}/i/service_bindings/b"), Some(b.bind_body("small", json!({}))), 201),
            (format!("DELETE {mine}/i/service_bindings/b?{query}"), None, 200),
            ("PUT /brokers/none/v2/service_instances/i".to_owned(), order(), 404),
            (format!("DELETE /brokers/none/v2/service_instances/i?{query}"), None, 404),
            (format!("GET {mine}/i/last_operation"), None, 200),
            (format!("DELETE {mine}/i?{query}"), None, 200),
        ] {
            b.check("one broker's endpoint", &line, body, (status, "")).await;
        }
        assert_eq!(b.world.faults.instances().len(), 0);
    })
    .await;
}

#[tokio::test]
async fn cat_02_04_a_plan_that_has_left_the_catalog_keeps_serving_its_instances() {
    on_both(async |b| {
        let (order, query) = (b.order("small", json!({})), b.query("small"));
        let (bind, large) = (b.bind_body("small", json!({})), b.bind_body("large", json!({})));
        b.check("an order", "PUT i", Some(order.clone()), (201, "")).await;
        b.check("an order", "PUT j", Some(order.clone()), (201, "")).await;
        let mut catalog = bench::catalog();
        catalog["services"][0]["plans"].as_array_mut().expect("plans").remove(0);
        refresh(b, &catalog).await;
        let shown = b.check("it is not shown", "GET /v2/catalog", None, (200, "")).await;
        assert!(!shown.text.contains(order["plan_id"].as_str().expect("an id")));
        for (what, line, body, status) in [
            ("no new one", "PUT n".to_owned(), Some(order.clone()), 400),
            ("a repeat", "PUT i".into(), Some(order.clone()), 200),
            ("a bind", "PUT i/service_bindings/b".into(), Some(bind.clone()), 201),
            (
                "a change",
                "PATCH i".into(),
                Some(b.bind_body("large", json!({"plan_id": null, "parameters": {"x": 1}}))),
                200,
            ),
            ("a look", "GET i".into(), None, 200),
            ("an unbind", format!("DELETE i/service_bindings/b?{query}"), None, 200),
            ("a way out", "PATCH j".into(), Some(large), 200),
            ("no way back", "PATCH j".into(), Some(bind), 400),
            ("its end", format!("DELETE i?{query}"), None, 200),
        ] {
            b.check(what, &line, body, (status, "")).await;
        }
        refresh(b, &bench::catalog()).await;
        b.check("it came back", "PUT n", Some(order), (201, "")).await;
    })
    .await;
}

#[tokio::test]
async fn cloud_foundry_gets_nothing_that_its_controller_refuses() {
    on_both(async |b| {
        let cf = b.hub.platform("cf", "cloudfoundry").await;
        let mut catalog = bench::catalog();
        let large = "x".repeat(70_000);
        let recorded = &mut catalog["services"][0];
        recorded["requires"] = json!(["syslog_drain", "teleport"]);
        recorded["dashboard_client"] = json!({"id": "c", "secret": "s"});
        recorded["metadata"] = json!({"shareable": "yes", "displayName": "Recorded"});
        let schema = |create: Value| json!({"service_instance": {"create": {"parameters": create}}});
        recorded["plans"][0]["schemas"] = schema(json!({"type": "object", "description": large}));
        recorded["plans"][1]["schemas"] = schema(json!({"$ref": "https://elsewhere.example/schema.json"}));
        refresh(b, &catalog).await;
        let line = "GET /v2/catalog";
        let plain = b.check("to others it goes as it is", line, None, (200, "teleport")).await.json();
        let cut = b.check_as(&cf, "to Cloud Foundry it does not", line, None, (200, "Recorded")).await;
        for refused in ["teleport", "dashboard_client", "xxxxxxxx", "elsewhere.example", "shareable"] {
            assert!(!cut.text.contains(refused), "{refused}");
        }
        let cut = cut.json();
        assert_eq!(service(&cut, "recorded")["requires"], json!(["syslog_drain"]));
        assert_eq!(service(&cut, "recorded")["id"], service(&plain, "recorded")["id"]);
        assert_eq!(service(&cut, "readable"), service(&plain, "readable"), "what is good is left alone");
    })
    .await;
}

#[tokio::test]
async fn sch_01_a_schema_that_refers_elsewhere_is_told_at_import_enforced_by_nobody_and_fetched_by_nobody() {
    on_both(async |b| {
        let elsewhere = Recorder::start(&bench::catalog());
        let mut catalog = bench::catalog();
        let create =
            json!({"type": "object", "properties": {"size": {"$ref": format!("{}/v2/catalog", elsewhere.url())}}});
        catalog["services"][0]["plans"][1]["schemas"] = json!({"service_instance": {"create": {"parameters": create}}});
        refresh(b, &catalog).await;
        let shown = b.hub.admin(Method::GET, "/api/v1/brokers/recorder", None).await.body;
        let offerings = shown["offerings"].as_array().expect("offerings");
        let of = |name: &str| offerings.iter().find(|one| one["name"] == name).expect("it")["findings"].to_string();
        assert!(of("recorded").contains("$ref"), "{shown}");
        assert!(!of("readable").contains("$ref"), "the others have no part in it: {shown}");
        let order = b.order("large", json!({"parameters": {"size": "any"}}));
        b.check("an order all the same", "PUT i", Some(order), (201, "")).await;
        assert!(elsewhere.seen().is_empty(), "nobody went there");
    })
    .await;
}

#[tokio::test]
async fn ids_may_pass_through_and_then_must_not_clash() {
    on_both(async |b| {
        let twin = Recorder::start(&bench::catalog());
        let more = json!({"ids": "passthrough", "name_prefix": "twin-"});
        b.register("twin", &twin, more).await;
        let shown = b.check("its own ids", "GET /brokers/twin/v2/catalog", None, (200, "b-recorded")).await.json();
        assert_eq!(names(&shown), ["twin-recorded", "twin-readable"]);
        let order =
            json!({"service_id": "b-recorded", "plan_id": "b-small", "organization_guid": "o", "space_guid": "s"});
        b.check("an order", "PUT i", Some(order), (201, "")).await;
        assert_eq!((twin.count("provision"), b.recorder.count("provision")), (1, 0));
        let other = Recorder::start(&bench::catalog());
        let credentials = json!({"basic": {"username": "hub", "password": "x"}});
        for (more, says) in
            [(json!({"name": "third"}), "recorder"), (json!({"name": "fourth", "name_prefix": "twin-"}), "twin")]
        {
            let mut body = json!({"url": other.url(), "credentials": credentials});
            body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            let reply = b.hub.admin(Method::POST, "/api/v1/brokers", Some(body)).await;
            assert_eq!(reply.status, 409, "{reply:?}");
            assert!(reply.body.to_string().contains(says), "names the other: {reply:?}");
        }
    })
    .await;
}
