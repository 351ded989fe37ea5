//! What a backend answers, and what of it a platform sees.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::bench::Bench;
use crate::support::hub::BOUND;
use crate::support::wait::wait_until;

/// On both databases, with a breaker that never opens: these brokers fail all the time.
async fn on_both(table: impl AsyncFn(&Bench)) {
    for on in [On::Sqlite, On::Postgres] {
        let bench = Bench::with(on, |config| config.backends.breaker_failures = 10_000).await;
        table(&bench).await;
        bench.hub.stop().await;
    }
}

/// Waits until nothing is under way.
async fn quiet(b: &Bench) {
    wait_until("nothing is under way", BOUND, async || {
        b.world.clock.advance(Duration::from_secs(5));
        b.hub.admin(Method::GET, "/api/v1/operations?state=in_progress", None).await.body["items"] == json!([])
    })
    .await;
}

/// What a backend says, what a platform gets, and what that says.
fn refusals() -> Vec<(u16, Value, u16, &'static str)> {
    let told = |text: &str| json!({"error": "Custom", "description": text});
    let reserved = |code: &str| json!({"error": code, "description": "as it is"});
    vec![
        (400, told("too large"), 400, "too large"),
        (400, json!({}), 400, "refused"),
        (410, told("was here"), 400, "was here"),
        (422, told("no such thing"), 400, "no such thing"),
        (422, reserved("AsyncRequired"), 422, "AsyncRequired"),
        (422, reserved("ConcurrencyError"), 422, "as it is"),
        (422, reserved("RequiresApp"), 422, "RequiresApp"),
        (422, reserved("MaintenanceInfoConflict"), 422, "MaintenanceInfoConflict"),
        (401, told("who are you"), 502, "401"),
        (403, told("forbidden"), 502, "403"),
        (404, told("not found"), 502, "404"),
        (405, told("no"), 502, "405"),
        (408, told("slow"), 502, "408"),
        (412, told("version"), 502, "412"),
        (429, told("too many"), 502, "429"),
        (409, told("taken"), 400, "taken"),
    ]
}

#[tokio::test]
async fn auth_05_err_05_07_09_11_prv_12_bnd_12_14_con_02_om_14_15_22_what_a_backend_refuses_is_refused_and_leaves_nothing()
 {
    on_both(async |b| {
        b.check("an order", "PUT ready", Some(b.order("small", json!({}))), (201, "")).await;
        for (number, (said, body, status, says)) in refusals().into_iter().enumerate() {
            for polls in ["", "?accepts_incomplete=true"] {
                let id = format!("i-{number}");
                let what = format!("{said} {body} {polls}");
                b.recorder.say("provision", said, &body);
                b.check(&what, &format!("PUT {id}{polls}"), Some(b.order("small", json!({}))), (status, says)).await;
                b.check(&what, &format!("GET {id}/last_operation"), None, (404, "")).await;
                b.check(&what, &format!("GET {id}"), None, (404, "")).await;
                b.check(&what, &format!("DELETE {id}?{}", b.query("small")), None, (410, "")).await;
                b.recorder.say("bind", said, &body);
                let binding = format!("ready/service_bindings/{id}");
                b.check(&what, &format!("PUT {binding}{polls}"), Some(b.bind_body("small", json!({}))), (status, says))
                    .await;
                b.check(&what, &format!("GET {binding}"), None, (404, "")).await;
                b.check(&what, &format!("DELETE {binding}?{}", b.query("small")), None, (410, "")).await;
            }
        }
        assert_eq!(b.recorder.count("deprovision") + b.recorder.count("unbind"), 0, "OM-15: nothing to undo");
        b.recorder.usual("provision");
        b.check("the id may be used again", "PUT i-0", Some(b.order("small", json!({}))), (201, "")).await;
    })
    .await;
}

#[tokio::test]
async fn a_409_to_a_first_order_is_looked_into() {
    on_both(async |b| {
        let order = || Some(b.order("readable/one", json!({})));
        b.recorder.say("provision", 409, &json!({"description": "taken"}));
        b.recorder.say(
            "fetch",
            200,
            &json!({"service_id": "b-readable", "plan_id": "b-one", "dashboard_url": "https://x"}),
        );
        b.check("there and ours", "PUT i", order(), (201, "https://x")).await;
        for (what, said, body) in [
            ("not there", 404, json!({})),
            ("another plan's", 200, json!({"service_id": "b-readable", "plan_id": "b-two"})),
            ("cannot be read", 500, json!({})),
        ] {
            b.recorder.say("fetch", said, &body);
            b.check(what, "PUT j", order(), (400, "taken")).await;
            b.check(what, "GET j/last_operation", None, (404, "")).await;
        }
        assert_eq!(b.recorder.count("deprovision"), 0, "it may be somebody else's");
    })
    .await;
}

#[tokio::test]
async fn upd_15_17_unb_05_07_dep_06_08_what_a_backend_refuses_of_a_change_or_a_deletion_changes_nothing() {
    on_both(async |b| {
        b.check("an order", "PUT i", Some(b.order("small", json!({}))), (201, "")).await;
        b.check("a bind", "PUT i/service_bindings/b", Some(b.bind_body("small", json!({}))), (201, "")).await;
        let query = b.query("small");
        for (said, body, status, says) in refusals() {
            let what = format!("{said} {body}");
            b.recorder.say("update", said, &body);
            let own_422 = said == 422 && status == 400;
            let expected = if own_422 { 422 } else { status };
            let change = || Some(b.bind_body("large", json!({"parameters": {"x": 1}})));
            b.check(&what, "PATCH i", change(), (expected, says)).await;
            b.check(&what, "PUT i", Some(b.order("small", json!({}))), (200, "")).await;
            if said == 410 {
                continue;
            }
            b.recorder.say("unbind", said, &body);
            b.check(&what, &format!("DELETE i/service_bindings/b?{query}"), None, (status, says)).await;
            b.check(&what, "GET i/service_bindings/b", None, (200, "of-the-binding")).await;
        }
        b.recorder.usual("unbind");
        b.check("an unbind", &format!("DELETE i/service_bindings/b?{query}"), None, (200, "")).await;
        for (said, body, status, says) in refusals() {
            if said != 410 {
                b.recorder.say("deprovision", said, &body);
                b.check(&format!("{said} {body}"), &format!("DELETE i?{query}"), None, (status, says)).await;
                b.check("it is there", "GET i", None, (200, "")).await;
            }
        }
        b.recorder.say("deprovision", 410, &json!({}));
        b.check("what is gone is deleted", &format!("DELETE i?{query}"), None, (200, "{}")).await;
    })
    .await;
}

#[tokio::test]
async fn err_10_gsi_06_trouble_of_a_backend_is_502_without_its_insides() {
    on_both(async |b| {
        let inside = "at db-7.internal password=hunter2";
        for (number, (said, body)) in [
            (500, json!({"description": inside}).to_string()),
            (503, json!({"description": inside}).to_string()),
            (504, inside.to_owned()),
            (301, String::new()),
            (307, String::new()),
            (203, "{}".to_owned()),
            (204, String::new()),
            (206, "{}".to_owned()),
            (201, String::new()),
            (201, "<html>".to_owned()),
            (201, "[]".to_owned()),
            (200, "null".to_owned()),
        ]
        .into_iter()
        .enumerate()
        {
            b.recorder.say_text("provision", said, &body);
            let line = format!("PUT i-{number}");
            let reply = b.check(&format!("{said} {body}"), &line, Some(b.order("small", json!({}))), (502, "")).await;
            for secret in ["127.0.0.1", "internal", "hunter2"] {
                assert!(!reply.text.contains(secret), "{said}: {}", reply.text);
            }
        }
        quiet(b).await;
        assert!(b.recorder.count("deprovision") >= 12, "each was undone");
        let reply = b.check("what failed stays failed", "GET i-0/last_operation", None, (200, "failed")).await;
        assert!(!reply.text.contains("hunter2"), "{}", reply.text);
        b.recorder.usual("provision");

        b.check("an order", "PUT r", Some(b.order("readable/one", json!({}))), (201, "")).await;
        for (said, status) in [(500, 502), (404, 404), (410, 404), (401, 502), (301, 502), (204, 502)] {
            b.recorder.say("fetch", said, &json!({"description": inside}));
            let reply = b.check(&format!("a look, {said}"), "GET r", None, (status, "")).await;
            assert!(!reply.text.contains("hunter2"), "{said}: {}", reply.text);
        }
        b.recorder.usual("fetch");
        b.check("GSI-06 it is remembered", "GET r", None, (200, "")).await;
    })
    .await;
}

#[tokio::test]
async fn a_deletion_that_ends_in_trouble_is_repeated_until_it_is_known() {
    on_both(async |b| {
        let query = b.query("small");
        b.check("an order", "PUT i", Some(b.order("small", json!({}))), (201, "")).await;
        b.recorder.say("deprovision", 500, &json!({}));
        b.check("a deletion", &format!("DELETE i?{query}"), None, (502, "")).await;
        b.check("nothing is forgotten", "GET i", None, (422, "ConcurrencyError")).await;
        b.check("it is under way", "GET i/last_operation", None, (200, "in progress")).await;
        b.recorder.usual("deprovision");
        quiet(b).await;
        b.check("known at last", &format!("DELETE i?{query}"), None, (410, "")).await;
        b.check("gone", "GET i", None, (404, "")).await;
    })
    .await;
}

#[tokio::test]
async fn nothing_is_left_of_an_order_that_could_not_be_sent() {
    on_both(async |b| {
        let (order, bind, query) = (b.order("small", json!({})), b.bind_body("small", json!({})), b.query("small"));
        b.check("an order", "PUT i", Some(order.clone()), (201, "")).await;
        let url = format!("http://127.0.0.1:{}", crate::support::ports::free_port());
        let closed = json!({"url": url});
        let reply = b.hub.admin(Method::PATCH, "/api/v1/brokers/recorder", Some(closed)).await;
        if reply.status != 200 {
            // Where a broker that can't be reached can't be registered either, it has to go away afterwards.
            assert_eq!(reply.status, 422, "{reply:?}");
            b.recorder.close().await;
        }
        let reply = b.check("an order", "PUT j", Some(order), (503, "")).await;
        assert!(!reply.text.contains("127.0.0.1"), "{}", reply.text);
        b.check("nothing of it is left", "GET j/last_operation", None, (404, "")).await;
        b.check("nothing of it is left", &format!("DELETE j?{query}"), None, (410, "")).await;
        b.check("a bind", "PUT i/service_bindings/b", Some(bind), (503, "")).await;
        b.check("a deletion", &format!("DELETE i?{query}"), None, (503, "")).await;
        b.check("it is there", "GET i", None, (200, "")).await;
    })
    .await;
}
