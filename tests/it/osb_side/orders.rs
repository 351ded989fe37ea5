//! PUT of an instance: what is malformed, what a repeat means, and what an id means while an operation runs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::bench::Bench;

use super::on_both;

/// What is said to somebody who orders something else under an id that is taken.
fn taken(id: &str) -> String {
    format!("service instance {id} exists with other attributes; use another id, or update it")
}

#[tokio::test]
async fn prv_02_to_06_malformed_orders_are_refused_and_go_no_further() {
    on_both(async |b| {
        let good = |more| b.order("small", more);
        let without = |name: &str| {
            let mut order = good(json!({}));
            order.as_object_mut().expect("an object").remove(name);
            order
        };
        let (readable, _) = b.ids("readable/one");
        for (what, order, status, says) in [
            ("PRV-02", without("service_id"), 400, "service_id"),
            ("PRV-02", without("plan_id"), 400, "plan_id"),
            ("PRV-02", without("organization_guid"), 400, "organization_guid"),
            ("PRV-02", without("space_guid"), 400, "space_guid"),
            ("PRV-02 empty", good(json!({"space_guid": ""})), 400, "space_guid"),
            ("PRV-02 null", good(json!({"plan_id": null})), 400, "plan_id"),
            ("PRV-02 a number", good(json!({"service_id": 1})), 400, "service_id"),
            ("PRV-04 unknown", good(json!({"service_id": "b-recorded"})), 400, "catalog"),
            ("PRV-04 the backend's own", good(json!({"plan_id": "b-small"})), 400, "catalog"),
            ("PRV-04 of another offering", good(json!({"service_id": readable})), 400, "catalog"),
            ("PRV-05 a list", good(json!({"parameters": []})), 400, "parameters"),
            ("PRV-05 a text", good(json!({"parameters": "x"})), 400, "parameters"),
            ("PRV-05 schema", b.order("checked", json!({"parameters": {"size": "x"}})), 400, "/size"),
            ("PRV-05 schema, none", b.order("checked", json!({})), 400, "size"),
            ("context is a text", good(json!({"context": "x"})), 400, "context"),
            ("PRV-06", good(json!({"maintenance_info": {"version": "1.1.0"}})), 422, "MaintenanceInfoConflict"),
            (
                "PRV-06 none has one",
                b.order("stuck", json!({"maintenance_info": {"version": "1.0.0"}})),
                422,
                "MaintenanceInfoConflict",
            ),
            ("a list", json!([]), 400, "object"),
        ] {
            b.check(what, "PUT i?accepts_incomplete=true", Some(order), (status, says)).await;
        }
        b.check("no body", "PUT i", None, (400, "body")).await;
        assert_eq!(b.recorder.count("provision"), 0);
        for (number, more) in [
            json!({"maintenance_info": {}}),
            json!({"maintenance_info": null}),
            json!({"maintenance_info": {"version": "1.2.0", "description": "x"}}),
            json!({"parameters": null, "context": null}),
            json!({"parameters": {}, "x-unknown": 1.50}),
        ]
        .into_iter()
        .enumerate()
        {
            b.check("well-formed", &format!("PUT i-{number}"), Some(good(more)), (201, "dashboard")).await;
        }
        b.check("PRV-05", "PUT s", Some(b.order("checked", json!({"parameters": {"size": 1}}))), (201, "")).await;
    })
    .await;
}

#[tokio::test]
async fn rule_36_an_identical_order_is_200_and_any_other_409() {
    on_both(async |b| {
        let with = |more| Some(b.order("small", more));
        b.check("an order", "PUT i", with(json!({"parameters": {"a": 1.0, "b": 2}})), (201, "dashboard")).await;
        let other = taken("i");
        for (what, more, status) in [
            ("the same", json!({"parameters": {"a": 1.0, "b": 2}}), 200),
            ("in another order", json!({"parameters": {"b": 2, "a": 1.0}}), 200),
            ("with a context", json!({"parameters": {"a": 1.0, "b": 2}, "context": {"platform": "x"}}), 200),
            ("with unknown fields", json!({"parameters": {"a": 1.0, "b": 2}, "x": 1}), 200),
            ("less", json!({"parameters": {"a": 1.0}}), 409),
            ("more", json!({"parameters": {"a": 1.0, "b": 2, "c": null}}), 409),
            ("none", json!({}), 409),
            ("another organization", json!({"parameters": {"a": 1.0, "b": 2}, "organization_guid": "x"}), 409),
            ("another space", json!({"parameters": {"a": 1.0, "b": 2}, "space_guid": "x"}), 409),
        ] {
            for path in ["PUT i", "PUT i?accepts_incomplete=true"] {
                let says = if status == 409 { other.as_str() } else { "dashboard" };
                b.check(what, path, with(more.clone()), (status, says)).await;
            }
        }
        let large = |more| Some(b.order("large", more));
        b.check("another plan", "PUT i", large(json!({"parameters": {"a": 1.0, "b": 2}})), (409, &other)).await;
        b.check("none", "PUT j", with(json!({})), (201, "")).await;
        for parameters in [json!({}), Value::Null] {
            b.check("absent is empty", "PUT j", with(json!({"parameters": parameters})), (200, "dashboard")).await;
        }
        assert_eq!(b.recorder.count("provision"), 2, "repeats are answered from memory");

        // Rule 36: what counts is how it stands now.
        b.check("an update", "PATCH i", Some(b.bind_body("large", json!({"parameters": {"b": 3, "c": 4}}))), (200, ""))
            .await;
        let now = json!({"parameters": {"a": 1.0, "b": 3, "c": 4}});
        b.check("as it stands now", "PUT i", large(now.clone()), (200, "dashboard")).await;
        b.check("the plan as it was", "PUT i", with(now), (409, &other)).await;
        b.check("as it was", "PUT i", with(json!({"parameters": {"a": 1.0, "b": 2}})), (409, &other)).await;
    })
    .await;
}

#[tokio::test]
async fn asy_04_while_an_order_runs_its_id_is_busy() {
    on_both(async |b| {
        b.recorder.say("provision", 202, &json!({"operation": "task:1/2=?&x", "dashboard_url": "https://d.example"}));
        b.recorder.say("last_operation", 200, &json!({"state": "in progress", "description": "half"}));
        let order = |more| Some(b.order("small", more));
        let first = b.check("PRV-09", "PUT i?accepts_incomplete=true", order(json!({})), (202, "d.example")).await;
        let operation = first.json()["operation"].as_str().expect("an operation").to_owned();
        assert!(operation.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)), "{operation}");
        let query = b.query("small");
        let bind = || Some(b.bind_body("small", json!({})));
        let changed = || Some(b.bind_body("small", json!({"parameters": {"x": 1}})));
        let last = |operation: &str| format!("GET i/last_operation{operation}");
        let other = taken("i");
        for (what, line, body, status, says) in [
            ("ASY-04 the same", "PUT i?accepts_incomplete=true".to_owned(), order(json!({})), 202, operation.as_str()),
            (
                "PRV-10 another",
                "PUT i?accepts_incomplete=true".into(),
                order(json!({"parameters": {"x": 1}})),
                409,
                &other,
            ),
            ("PRV-10 sync", "PUT i".into(), order(json!({"space_guid": "x"})), 409, &other),
            ("GSI-04", "GET i".into(), None, 404, ""),
            ("DEP-07", format!("DELETE i?{query}"), None, 422, "ConcurrencyError"),
            ("DEP-07", format!("DELETE i?{query}&accepts_incomplete=true"), None, 422, "ConcurrencyError"),
            ("a bind", "PUT i/service_bindings/b".into(), bind(), 422, "ConcurrencyError"),
            ("an update", "PATCH i?accepts_incomplete=true".into(), changed(), 422, "ConcurrencyError"),
            ("an unbind", format!("DELETE i/service_bindings/b?{query}"), None, 410, ""),
            ("its operation", last(&format!("?operation={operation}&{query}")), None, 200, "in progress"),
            ("no operation", last(""), None, 200, "in progress"),
            ("an empty one", last(&format!("?operation=&{query}")), None, 200, "in progress"),
            ("a made-up one", last("?operation=made-up"), None, 200, "in progress"),
            ("the backend's own, unencoded", last("?operation=task:1/2=?&x"), None, 200, "in progress"),
            ("two of them", last(&format!("?operation={operation}&operation=other")), None, 200, "in progress"),
            ("LOI-01 of another offering", last("?service_id=other"), None, 400, "service_id"),
        ] {
            b.check(what, &line, body, (status, says)).await;
        }
        assert_eq!(b.recorder.count("provision"), 1);
        assert_eq!(b.recorder.count("deprovision") + b.recorder.count("bind") + b.recorder.count("update"), 0);
        b.recorder.usual("last_operation");
        assert_eq!(b.outcome("i").await, "succeeded");
        let asked = b.recorder.last("last_operation").target;
        assert!(asked.contains("operation=task%3A1%2F2%3D%3F%26x"), "LOI-02: {asked}");
        b.check("LOI-11", &last("?operation=gone"), None, (200, "succeeded")).await;
        b.check("ASY-05", "PUT i?accepts_incomplete=true", order(json!({})), (200, "d.example")).await;
    })
    .await;
}

#[tokio::test]
async fn whoever_cannot_poll_waits_until_the_deadline_and_no_longer() {
    for on in [On::Sqlite, On::Postgres] {
        let b = Bench::with(on, |config| config.server.answer_within = Duration::from_millis(1500)).await;
        b.recorder.say("provision", 202, &json!({}));
        b.recorder.say("last_operation", 200, &json!({"state": "in progress"}));
        let order = |more| Some(b.order("small", more));
        b.check("an order", "PUT i?accepts_incomplete=true", order(json!({})), (202, "operation")).await;
        b.check("a repeat that can't poll", "PUT i", order(json!({})), (422, "ConcurrencyError")).await;
        b.check("it goes on", "GET i/last_operation", None, (200, "in progress")).await;
        let answer = b.check("202 was not offered", "PUT j", order(json!({})), (502, "202")).await;
        assert!(!answer.text.contains("127.0.0.1"), "{}", answer.text);
        b.recorder.usual("last_operation");
        assert_eq!(b.outcome("i").await, "succeeded");
        b.hub.stop().await;
    }
}
