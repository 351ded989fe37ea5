//! The same order again after the first was answered 5xx at its deadline while the broker was still at work on it: what was to be
//! made is undone, what changes or deletes goes forward, and whoever repeats is told so.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::{On, on_each};
use crate::support::bench::Bench;
use crate::support::dump::is_quiet;
use crate::support::hub::BOUND;
use crate::support::wait::wait_until;

/// A hub that waits one second for a broker that may take twenty, with an instance `i` and a binding `b` of it.
async fn impatient(on: On) -> Bench {
    let b = Bench::with(on, |config| config.server.answer_within = Duration::from_secs(1)).await;
    let patient = Some(json!({"timeout_ms": 20_000}));
    assert_eq!(b.hub.admin(Method::PATCH, "/api/v1/brokers/recorder", patient).await.status, 200);
    b.check("an order", "PUT i", Some(b.order("small", json!({}))), (201, "")).await;
    b.check("a bind", "PUT i/service_bindings/b", Some(b.bind_body("small", json!({}))), (201, "")).await;
    b
}

/// `DELETE i` with what it needs, for whoever polls or not.
fn with(line: &str, polls: bool, query: &str) -> String {
    format!("{line}?accepts_incomplete={polls}&{query}")
}

async fn until_quiet(b: &Bench) {
    wait_until("all to be over", BOUND, async || {
        b.world.clock.advance(Duration::from_secs(2));
        is_quiet(&b.hub.url).await
    })
    .await;
}

/// Something is ordered that is to be made: refused once, it stays refused.
async fn check_made(verb: &str, undoing: &str, line: &str, body: impl Fn(&Bench) -> Value) {
    on_each(async |on| {
        let b = impatient(on).await;
        let (held, query, before) = (b.recorder.hold(verb), b.query("small"), b.recorder.count(verb));
        let put = |polls| with(&format!("PUT {line}"), polls, "");
        b.check("OM-19", &put(false), Some(body(&b)), (504, "in time")).await;
        b.check("CON-01 waits", &put(false), Some(body(&b)), (422, "ConcurrencyError")).await;
        b.check("CON-01 polls", &put(true), Some(body(&b)), (422, "ConcurrencyError")).await;
        b.check("CON-04", &with(&format!("DELETE {line}"), true, &query), None, (422, "ConcurrencyError")).await;
        assert_eq!((b.recorder.count(verb), b.recorder.count(undoing)), (before + 1, 0), "the broker hears of it once");

        drop(held);
        wait_until("the undoing", BOUND, async || b.recorder.count(undoing) > 0).await;
        b.check("while it is undone", &put(true), Some(body(&b)), (422, "ConcurrencyError")).await;
        until_quiet(&b).await;
        b.check("failed", &format!("GET {line}/last_operation"), None, (200, "failed")).await;
        b.check("not there", &format!("GET {line}"), None, (404, "")).await;
        assert_eq!(b.recorder.count(verb), before + 1);
        b.check("a fresh order", &put(false), Some(body(&b)), (201, "")).await;
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn om_19_a_provision_that_was_refused_at_its_deadline_is_not_joined_but_undone() {
    check_made("provision", "deprovision", "j", |b| b.order("small", json!({}))).await;
}

#[tokio::test]
async fn om_19_a_bind_that_was_refused_at_its_deadline_is_not_joined_but_undone() {
    check_made("bind", "unbind", "i/service_bindings/c", |b| b.bind_body("small", json!({}))).await;
}

/// Something is ordered that can't be undone: it goes forward, and a repeat joins it.
async fn check_forward(
    (verb, line): (&str, &str),
    body: impl Fn(&Bench) -> Option<Value>,
    afterwards: impl AsyncFn(&Bench),
) {
    on_each(async |on| {
        let b = impatient(on).await;
        let (held, query) = (b.recorder.hold(verb), b.query("small"));
        let order = |polls| with(line, polls, &query);
        b.check("at its deadline", &order(false), body(&b), (504, "in time")).await;
        b.check("CON-01", &order(false), body(&b), (422, "ConcurrencyError")).await;
        let first = b.check("ASY-04", &order(true), body(&b), (202, "operation")).await;
        let again = b.check("ASY-04", &order(true), body(&b), (202, "operation")).await;
        assert_eq!(first.json()["operation"], again.json()["operation"]);
        assert!(first.json()["operation"].is_string(), "{}", first.text);

        drop(held);
        let id = line.split_once(' ').expect("a method").1;
        assert_eq!(b.outcome(id).await, "succeeded");
        assert_eq!(b.recorder.count(verb), 1, "the broker hears of it once");
        afterwards(&b).await;
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_update_that_was_refused_at_its_deadline_goes_forward_and_a_repeat_joins_it() {
    let larger = |b: &Bench| Some(b.bind_body("large", json!({})));
    check_forward(("update", "PATCH i"), larger, async |b| {
        let listed = b.hub.admin(Method::GET, "/api/v1/instances", None).await;
        assert_eq!(listed.body["items"][0]["plan"], "large");
    })
    .await;
}

#[tokio::test]
async fn a_deprovision_that_was_refused_at_its_deadline_goes_forward_and_a_repeat_joins_it() {
    check_forward(
        ("deprovision", "DELETE i"),
        |_| None,
        async |b| {
            b.check("gone", &with("DELETE i", false, &b.query("small")), None, (410, "")).await;
        },
    )
    .await;
}

#[tokio::test]
async fn an_unbind_that_was_refused_at_its_deadline_goes_forward_and_a_repeat_joins_it() {
    check_forward(
        ("unbind", "DELETE i/service_bindings/b"),
        |_| None,
        async |b| {
            b.check("gone", &with("DELETE i/service_bindings/b", false, &b.query("small")), None, (410, "")).await;
        },
    )
    .await;
}
