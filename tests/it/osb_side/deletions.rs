//! DELETE, and what an id means afterwards.

use std::time::Duration;

use serde_json::json;

use super::on_both;
use crate::support::hub::BOUND;
use crate::support::wait::wait_until;

#[tokio::test]
async fn dep_01_ids_come_first_then_what_is_there() {
    on_both(async |b| {
        b.check("an order", "PUT i", Some(b.order("small", json!({}))), (201, "")).await;
        b.check("a bind", "PUT i/service_bindings/b", Some(b.bind_body("small", json!({}))), (201, "")).await;
        let ((service, plan), (_, large)) = (b.ids("small"), b.ids("large"));
        let right = b.query("small");
        for (path, known) in
            [("i", true), ("i/service_bindings/b", true), ("x", false), ("i/service_bindings/x", false)]
        {
            for (what, query, status) in [
                ("missing", String::new(), 400),
                ("no plan", format!("?service_id={service}"), 400),
                ("no offering", format!("?plan_id={plan}"), 400),
                ("empty", "?service_id=&plan_id=".to_owned(), 400),
                ("an empty plan", format!("?service_id={service}&plan_id="), 400),
                ("another plan", format!("?service_id={service}&plan_id={large}"), if known { 400 } else { 410 }),
                ("unknown ids", "?service_id=x&plan_id=y".to_owned(), if known { 400 } else { 410 }),
                ("the backend's", "?service_id=b-recorded&plan_id=b-small".to_owned(), if known { 400 } else { 410 }),
                ("twice, the first counts", format!("?plan_id={large}&{right}"), if known { 400 } else { 410 }),
            ] {
                b.check(what, &format!("DELETE {path}{query}"), None, (status, "")).await;
            }
        }
        assert_eq!(b.recorder.count("deprovision") + b.recorder.count("unbind"), 0);
        for path in ["i/service_bindings/b", "i"] {
            b.check("it goes", &format!("DELETE {path}?{right}&plan_id=other"), None, (200, "{}")).await;
            b.check("it is gone", &format!("DELETE {path}?{right}"), None, (410, "")).await;
        }
        let sent = b.recorder.last("deprovision").target;
        assert!(sent.contains("service_id=b-recorded") && sent.contains("plan_id=b-small"), "{sent}");
    })
    .await;
}

#[tokio::test]
async fn a_body_on_delete_is_ignored() {
    on_both(async |b| {
        let query = b.query("small");
        for body in [json!({}), json!({"service_id": "x", "plan_id": "y"}), json!("text")] {
            b.check("an order", "PUT i", Some(b.order("small", json!({}))), (201, "")).await;
            b.check("with a body", &format!("DELETE i?{query}"), Some(body), (200, "{}")).await;
            assert!(b.recorder.last("deprovision").body.is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn dep_04_while_a_deletion_runs_repeats_join_it() {
    on_both(async |b| {
        b.check("an order", "PUT i", Some(b.order("small", json!({}))), (201, "")).await;
        b.recorder.say("deprovision", 202, &json!({"operation": "d"}));
        b.recorder.say("last_operation", 200, &json!({"state": "in progress"}));
        let line = format!("DELETE i?{}&accepts_incomplete=true", b.query("small"));
        let first = b.check("DEP-04", &line, None, (202, "operation")).await;
        let operation = first.json()["operation"].as_str().expect("an operation").to_owned();
        for (what, line, body, status, says) in [
            ("the same", line.as_str(), None, 202, operation.as_str()),
            ("an order", "PUT i", Some(b.order("small", json!({}))), 422, "ConcurrencyError"),
            (
                "another order",
                "PUT i",
                Some(b.order("small", json!({"space_guid": "x"}))),
                409,
                "service instance i exists with other attributes",
            ),
            (
                "a change",
                "PATCH i",
                Some(b.bind_body("small", json!({"parameters": {"x": 1}}))),
                422,
                "ConcurrencyError",
            ),
            ("a bind", "PUT i/service_bindings/b", Some(b.bind_body("small", json!({}))), 422, "ConcurrencyError"),
            ("a look", "GET i", None, 422, "ConcurrencyError"),
            ("a poll", "GET i/last_operation", None, 200, "in progress"),
        ] {
            b.check(what, line, body, (status, says)).await;
        }
        assert_eq!(b.recorder.count("deprovision"), 1);
        b.recorder.say("last_operation", 410, &json!({}));
        assert_eq!(b.outcome("i").await, "succeeded", "LOI-07");
        b.check("gone", &line, None, (410, "")).await;
        let late = format!("GET i/last_operation?operation={operation}");
        b.check("LOI-11", &late, None, (200, "succeeded")).await;
        b.check("gone", "GET i", None, (404, "")).await;
        b.world.clock.advance(Duration::from_secs(6 * 86_400));
        b.check("after six days", &late, None, (200, "succeeded")).await;
        b.world.clock.advance(Duration::from_secs(2 * 86_400));
        b.check("after eight", &late, None, (410, "")).await;
        b.recorder.usual("deprovision");
        b.check("the id is free", "PUT i", Some(b.order("large", json!({}))), (201, "")).await;
        b.check("a fresh one", "GET i/last_operation", None, (200, "succeeded")).await;
    })
    .await;
}

#[tokio::test]
async fn loi_08_a_404_to_a_poll_settles_no_deletion_but_a_410_to_the_deletion_itself_does() {
    on_both(async |b| {
        b.check("an order", "PUT i", Some(b.order("small", json!({}))), (201, "")).await;
        b.recorder.say("deprovision", 202, &json!({}));
        b.recorder.say("last_operation", 404, &json!({}));
        b.check("accepted", &format!("DELETE i?{}&accepts_incomplete=true", b.query("small")), None, (202, "")).await;
        wait_until("the deletion to be polled and sent again", BOUND, async || {
            b.world.clock.advance(Duration::from_secs(5));
            b.recorder.count("deprovision") >= 2
        })
        .await;
        b.check("not settled", "GET i/last_operation", None, (200, "in progress")).await;
        b.recorder.say("deprovision", 410, &json!({}));
        wait_until("the deletion to be over", BOUND, async || {
            b.world.clock.advance(Duration::from_secs(30));
            b.check("settled or not", "GET i/last_operation", None, (200, "")).await.json()["state"] == "succeeded"
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn after_a_failed_order_one_delete_is_200_and_then_410() {
    on_both(async |b| {
        let line = |id: &str| format!("DELETE {id}?{}", b.query("small"));
        b.recorder.say("provision", 202, &json!({}));
        b.recorder.say("last_operation", 200, &json!({"state": "failed", "description": "it broke"}));
        for id in ["i", "j", "k"] {
            let order = || Some(b.order("small", json!({})));
            b.check("an order", &format!("PUT {id}?accepts_incomplete=true"), order(), (202, "")).await;
            assert_eq!(b.outcome(id).await, "failed");
            b.check("GSI-04", &format!("GET {id}"), None, (404, "")).await;
            b.check("while it is cleaned up", &format!("PUT {id}"), order(), (422, "ConcurrencyError")).await;
            let bind = Some(b.bind_body("small", json!({})));
            b.check("a bind", &format!("PUT {id}/service_bindings/b"), bind, (404, "")).await;
            let change = Some(b.bind_body("small", json!({})));
            b.check("a change", &format!("PATCH {id}"), change, (404, "")).await;
        }
        // The deletion that settles it goes out later than the order's call can still be under way.
        wait_until("the clean-up is over", BOUND, async || {
            b.world.clock.advance(Duration::from_secs(5));
            let path = "/api/v1/operations?state=in_progress";
            b.hub.admin(reqwest::Method::GET, path, None).await.body["items"] == json!([])
        })
        .await;
        assert!(b.recorder.count("deprovision") >= 3);
        assert_eq!(b.recorder.last("deprovision").header("x-broker-api-originating-identity"), None);
        b.check("once", &line("i"), None, (200, "{}")).await;
        b.check("and no more", &line("i"), None, (410, "")).await;
        b.check("it stays failed", "GET j/last_operation", None, (200, "it broke")).await;
        b.world.clock.advance(Duration::from_secs(8 * 86_400));
        b.check("for seven days", "GET j/last_operation", None, (404, "")).await;
        b.recorder.usual("provision");
        b.check("a fresh order", "PUT k", Some(b.order("small", json!({}))), (201, "")).await;
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_is_taken_over_forgets_nothing_by_a_delete() {
    on_both(async |b| {
        let path = "/api/v1/brokers/recorder";
        let reply = b.hub.admin(reqwest::Method::PATCH, path, Some(json!({"takeover": true}))).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let query = b.query("small");
        b.check("an instance that is not known yet", &format!("DELETE old?{query}"), None, (503, "")).await;
        b.check("a binding", &format!("DELETE old/service_bindings/b?{query}"), None, (503, "")).await;
        b.check("an order", "PUT i", Some(b.order("small", json!({}))), (201, "")).await;
        b.check("a binding of a known one", &format!("DELETE i/service_bindings/b?{query}"), None, (503, "")).await;
        b.check("what is known goes", &format!("DELETE i?{query}"), None, (200, "")).await;
        b.check("and was known", &format!("DELETE i?{query}"), None, (410, "")).await;
        let (service_id, plan_id) = b.hub.ids("ok");
        let other = format!("DELETE old?service_id={service_id}&plan_id={plan_id}");
        b.check("another broker's", &other, None, (410, "")).await;
        assert_eq!(b.hub.admin(reqwest::Method::PATCH, path, Some(json!({"takeover": false}))).await.status, 200);
        b.check("afterwards", &format!("DELETE old?{query}"), None, (410, "")).await;
    })
    .await;
}
