//! Orphan mitigation, row by row of OSB's table: what the hub, which is the platform here, deletes at the broker after which answer.
//! An answer that comes in time is told by a status; what comes of silence is in `repeats`.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::bench::Bench;
use crate::support::hub::BOUND;
use crate::support::wait::wait_until;

/// On both databases, with a breaker that never opens.
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

/// The deletions of an instance or binding that the broker got, by the id that it knows it by. Each must be one that OSB allows:
/// nobody caused it, so that it names no user, and it says what it deletes.
fn deletions(b: &Bench, verb: &str, id: &str, plan: &str) -> usize {
    let of = |seen: &&crate::support::recorder::Seen| {
        seen.verb == verb && (if verb == "unbind" { seen.binding_id() } else { seen.instance_id() }) == id
    };
    let all = b.recorder.seen();
    let found: Vec<_> = all.iter().filter(of).collect();
    for seen in &found {
        assert_eq!(seen.header("x-broker-api-originating-identity"), None, "OID-04: {}", seen.target);
        assert_eq!(seen.header("x-broker-api-version"), Some("2.17"), "VER-01: {}", seen.target);
        assert!(
            seen.header("x-broker-api-request-identity").is_some_and(|id| !id.is_empty()),
            "RID-01: {}",
            seen.target
        );
        for part in ["accepts_incomplete=true", "service_id=b-", &format!("plan_id={plan}")] {
            assert!(seen.target.contains(part), "{part}: {}", seen.target);
        }
    }
    found.len()
}

/// The rows about the answer to a provision or bind: status, body, whether it is deleted.
fn answers() -> Vec<(&'static str, &'static str, u16, &'static str, bool)> {
    vec![
        ("OM-01", "OM-01", 200, "{}", false),
        ("OM-05", "OM-05", 201, "{}", false),
        ("OM-06", "OM-07", 201, "<html>", true),
        ("OM-06", "OM-07", 201, "[]", true),
        ("OM-11", "OM-12", 203, "{}", true),
        ("OM-11", "OM-12", 204, "", true),
        ("OM-11", "OM-12", 206, "{}", true),
        ("OM-14", "OM-14", 408, "{}", false),
        ("OM-15", "OM-15", 400, "{}", false),
        ("OM-15", "OM-15", 401, "{}", false),
        ("OM-15", "OM-15", 404, "{}", false),
        ("OM-15", "OM-15", 422, "{}", false),
        ("OM-15", "OM-15", 429, "{}", false),
        ("OM-16", "OM-17", 500, "{}", true),
        ("OM-16", "OM-17", 503, "<html>", true),
        ("OM-22 CON-02", "OM-22 CON-02", 422, r#"{"error":"ConcurrencyError"}"#, false),
    ]
}

#[tokio::test]
async fn bnd_15_prv_16_what_answer_to_an_order_leads_to_its_deletion() {
    on_both(async |b| {
        b.check("an order", "PUT ready", Some(b.order("readable/one", json!({}))), (201, "")).await;
        let mut made = Vec::new();
        for (number, (provision, bind, status, body, deleted)) in answers().into_iter().enumerate() {
            b.recorder.say_text("provision", status, body);
            b.call(&format!("PUT i-{number}"), Some(&b.order("readable/one", json!({})))).await;
            made.push((provision, "deprovision", b.recorder.last("provision").instance_id(), status, deleted));
            b.recorder.say_text("bind", status, body);
            b.call(&format!("PUT ready/service_bindings/b-{number}"), Some(&b.bind_body("readable/one", json!({}))))
                .await;
            made.push((bind, "unbind", b.recorder.last("bind").binding_id(), status, deleted));
        }
        quiet(b).await;
        for (row, verb, id, status, deleted) in made {
            assert_eq!(deletions(b, verb, &id, "b-one") > 0, deleted, "{row}: {verb} after {status}");
        }
        b.check("the instance itself stands", "GET ready", None, (200, "")).await;
    })
    .await;
}

#[tokio::test]
async fn om_03_04_08_09_10_lob_05_what_becomes_of_an_accepted_order() {
    on_both(async |b| {
        b.check("an order", "PUT ready", Some(b.order("readable/one", json!({}))), (201, "")).await;
        let failed = json!({"state": "failed", "description": "it broke"});
        let done = json!({"state": "succeeded"});
        let mut made = Vec::new();
        for (number, (provision, bind, body, state, deleted)) in [
            ("OM-03", "OM-04", r#"{"operation":"o"}"#, &failed, true),
            ("OM-08", "OM-08", r#"{"operation":"o"}"#, &done, false),
            ("OM-08", "OM-08", "{}", &done, false),
            ("OM-09", "OM-10", "<html>", &done, true),
            ("OM-09", "OM-10", "", &done, true),
        ]
        .into_iter()
        .enumerate()
        {
            // What can be fetched is there: only the answer that can't be read leads to a deletion here.
            let absent = (404, json!({}));
            for verb in ["fetch", "fetch_binding"] {
                if deleted {
                    b.recorder.say(verb, absent.0, &absent.1);
                } else {
                    b.recorder.usual(verb);
                }
            }
            b.recorder.say_text("provision", 202, body);
            b.recorder.say("last_operation", 200, state);
            let line = format!("PUT i-{number}?accepts_incomplete=true");
            b.check(provision, &line, Some(b.order("readable/one", json!({}))), (202, "")).await;
            made.push((provision, "deprovision", b.recorder.last("provision").instance_id(), deleted));
            b.recorder.say_text("bind", 202, body);
            b.recorder.say("binding_last_operation", 200, state);
            let line = format!("PUT ready/service_bindings/b-{number}?accepts_incomplete=true");
            b.check(bind, &line, Some(b.bind_body("readable/one", json!({}))), (202, "")).await;
            made.push((bind, "unbind", b.recorder.last("bind").binding_id(), deleted));
            quiet(b).await;
            let state = if deleted { "failed" } else { "succeeded" };
            b.check(provision, &format!("GET i-{number}/last_operation"), None, (200, state)).await;
            let line = format!("GET ready/service_bindings/b-{number}/last_operation");
            b.check(bind, &line, None, (200, state)).await;
        }
        for (row, verb, id, deleted) in made {
            assert_eq!(deletions(b, verb, &id, "b-one") > 0, deleted, "{row}: {verb}");
        }
    })
    .await;
}

#[tokio::test]
async fn upd_18_no_answer_to_an_update_or_a_question_deletes_anything() {
    on_both(async |b| {
        b.check("an order", "PUT i", Some(b.order("readable/one", json!({}))), (201, "")).await;
        b.check("a bind", "PUT i/service_bindings/b", Some(b.bind_body("readable/one", json!({}))), (201, "")).await;
        for (number, (row, status, body)) in [
            ("OM-13", 203, "{}"),
            ("OM-13", 204, ""),
            ("OM-18", 500, "{}"),
            ("OM-15", 409, "{}"),
            ("a body that can't be read", 200, "<html>"),
        ]
        .into_iter()
        .enumerate()
        {
            b.recorder.say_text("update", status, body);
            let change = b.bind_body("readable/one", json!({"parameters": {"n": number}}));
            let reply = b.call("PATCH i", Some(&change)).await;
            assert!(reply.status >= 400, "{row}: {}", reply.text);
            b.recorder.usual("update");
            quiet(b).await;
            for (verb, line) in [("fetch", "GET i"), ("fetch_binding", "GET i/service_bindings/b")] {
                b.recorder.say_text(verb, status, body);
                let reply = b.call(line, None).await;
                assert!(reply.status >= 400, "{row}: {}", reply.text);
                b.recorder.usual(verb);
            }
            b.check("GSB-04 GSI-06 it is remembered", "GET i", None, (200, "")).await;
            b.check("GSB-04 GSI-06 it is remembered", "GET i/service_bindings/b", None, (200, "of-the-binding")).await;
        }
        quiet(b).await;
        assert_eq!(b.recorder.count("deprovision") + b.recorder.count("unbind"), 0);
    })
    .await;
}

#[tokio::test]
async fn om_11_12_16_17_a_deletion_without_a_good_answer_is_sent_until_it_has_one() {
    on_both(async |b| {
        let query = b.query("small");
        for (number, (rows, status, body)) in [
            ("OM-11 OM-12", 204, ""),
            ("OM-11 OM-12", 201, "{}"),
            ("OM-16 OM-17", 500, "{}"),
            ("OM-16 OM-17", 503, "{}"),
        ]
        .into_iter()
        .enumerate()
        {
            let id = format!("i-{number}");
            b.check("an order", &format!("PUT {id}"), Some(b.order("small", json!({}))), (201, "")).await;
            let instance = b.recorder.last("provision").instance_id();
            let binding = format!("{id}/service_bindings/b");
            b.check("a bind", &format!("PUT {binding}"), Some(b.bind_body("small", json!({}))), (201, "")).await;
            for (verb, path) in [("unbind", &binding), ("deprovision", &id)] {
                let sent =
                    || b.recorder.seen().iter().filter(|s| s.verb == verb && s.instance_id() == instance).count();
                b.recorder.say_text(verb, status, body);
                b.check(rows, &format!("DELETE {path}?{query}"), None, (502, "")).await;
                b.recorder.usual(verb);
                quiet(b).await;
                assert!(sent() >= 2, "{rows}: {verb} was sent {} times", sent());
                b.check(rows, &format!("DELETE {path}?{query}"), None, (410, "")).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn om_03_04_a_deletion_that_failed_is_told_and_sent_again_when_the_platform_does() {
    on_both(async |b| {
        let query = b.query("readable/one");
        b.check("an order", "PUT i", Some(b.order("readable/one", json!({}))), (201, "")).await;
        b.check("a bind", "PUT i/service_bindings/b", Some(b.bind_body("readable/one", json!({}))), (201, "")).await;
        for (row, verb, polled, path) in [
            ("OM-04", "unbind", "binding_last_operation", "i/service_bindings/b"),
            ("OM-03", "deprovision", "last_operation", "i"),
        ] {
            let told = json!({"state": "failed", "description": "not now", "instance_usable": true, "update_repeatable": true});
            b.recorder.say(verb, 202, &json!({}));
            b.recorder.say(polled, 200, &told);
            let line = format!("DELETE {path}?{query}&accepts_incomplete=true");
            b.check(row, &line, None, (202, "operation")).await;
            assert_eq!(b.outcome(path).await, "failed", "{row}");
            let told: Value = b.check(row, &format!("GET {path}/last_operation"), None, (200, "not now")).await.json();
            assert_eq!(told.get("update_repeatable"), None, "ERR-04 LOI-10 LOB-01: {told}");
            assert_eq!(told.get("instance_usable").is_some(), verb == "deprovision", "ERR-03 LOI-10 LOB-01: {told}");
            b.check("UNB-07 DEP-08 it is remembered", &format!("GET {path}"), None, (200, "")).await;
            b.recorder.usual(verb);
            b.check(row, &line, None, (200, "{}")).await;
            assert_eq!(b.recorder.count(verb), 2, "{row}");
        }
    })
    .await;
}
