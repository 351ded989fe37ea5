//! A bind that is sent once more because its kept answer has run out: whatever is unbound meanwhile, and however that bind
//! ends, the broker holds no binding that the hub has forgotten.

use std::sync::Arc;
use std::time::Duration;

use bourse::app::{Point, Points};
use bourse::domain::operation::OperationKind;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::{On, on_each};
use crate::support::bench::Bench;
use crate::support::dump::is_quiet;
use crate::support::hub::{BOUND, TIMEOUT_MS};
use crate::support::raw::RawReply;
use crate::support::wait::wait_until;

const BINDING: &str = "i/service_bindings/b";
/// Longer than the hub holds a bind that may be on its way: four timeouts of the recorder or less.
const ON_ITS_WAY: Duration = Duration::from_millis(TIMEOUT_MS as u64 * 4 + 10_000);

/// A binding whose kept answer has run out.
async fn stale(on: On) -> Bench {
    let b = Bench::new(on).await;
    b.check("an order", "PUT i", Some(b.order("small", json!({}))), (201, "")).await;
    b.check("a bind", &format!("PUT {BINDING}"), Some(body(&b)), (201, "of-the-binding")).await;
    b.world.clock.advance(Duration::from_secs(3601));
    let impatient = json!({"timeout_ms": 1500});
    assert_eq!(b.hub.admin(Method::PATCH, "/api/v1/brokers/recorder", Some(impatient)).await.status, 200);
    b
}

fn body(b: &Bench) -> Value {
    b.bind_body("small", json!({}))
}

fn unbind(b: &Bench) -> String {
    format!("DELETE {BINDING}?{}", b.query("small"))
}

async fn ask_again(b: &Bench) -> RawReply {
    b.call(&format!("PUT {BINDING}"), Some(&body(b))).await
}

async fn asked(b: &Bench, verb: &str, times: usize) {
    wait_until(&format!("{verb} number {times}"), BOUND, async || b.recorder.count(verb) == times).await;
}

async fn until_quiet(b: &Bench) {
    wait_until("all to be over", BOUND, async || {
        b.world.clock.advance(Duration::from_secs(2));
        is_quiet(&b.hub.url).await
    })
    .await;
}

async fn deletions_told(b: &Bench) -> usize {
    b.hub.event_types().await.iter().filter(|kind| *kind == "binding.deleted").count()
}

#[tokio::test]
async fn nothing_is_unbound_while_its_bind_is_on_its_way_once_more() {
    on_each(async |on| {
        let b = stale(on).await;
        let held = b.recorder.hold("bind");
        let (again, ()) = tokio::join!(ask_again(&b), async {
            asked(&b, "bind", 2).await;
            b.check("ERR-06", &unbind(&b), None, (422, "ConcurrencyError")).await;
            b.check("one at a time", &format!("PUT {BINDING}"), Some(body(&b)), (422, "ConcurrencyError")).await;
            drop(held);
        });
        assert_eq!(again.status, 200, "{}", again.text);
        assert_eq!((b.recorder.count("bind"), b.recorder.count("unbind")), (2, 0));
        b.check("afterwards", &unbind(&b), None, (200, "{}")).await;
        assert_eq!((b.recorder.count("unbind"), deletions_told(&b).await), (1, 1));
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_bind_that_was_sent_once_more_and_got_no_answer_is_not_overtaken_by_its_unbind() {
    on_each(async |on| {
        let b = stale(on).await;
        let held = b.recorder.hold("bind");
        let again = ask_again(&b).await;
        assert_eq!(again.status, 504, "{}", again.text);
        b.check("it may still come", &unbind(&b), None, (422, "ConcurrencyError")).await;
        // Deleting the instance unbinds first, and waits with it.
        let deleted = format!("DELETE i?accepts_incomplete=true&{}", b.query("small"));
        b.check("the instance", &deleted, None, (202, "operation")).await;
        assert_eq!((b.recorder.count("unbind"), b.recorder.count("deprovision")), (0, 0));
        b.world.clock.advance(ON_ITS_WAY);
        assert_eq!(b.outcome("i").await, "succeeded");
        assert_eq!((b.recorder.count("unbind"), b.recorder.count("deprovision")), (1, 1));
        drop(held);
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_bind_that_is_refused_the_second_time_holds_up_nobody() {
    on_each(async |on| {
        let b = stale(on).await;
        b.recorder.say("bind", 400, &json!({"description": "no more"}));
        assert_eq!(ask_again(&b).await.status, 400);
        b.check("at once", &unbind(&b), None, (200, "{}")).await;
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_hub_that_died_while_it_sent_a_bind_once_more_leaves_nothing_behind() {
    on_each(async |on| {
        for point in [Point::BeforeCall, Point::AfterCall] {
            let mut b = stale(on).await;
            let dying = b.world.hub_with(Points::stopping(Arc::new(move |passed, kind| {
                passed == point && kind == OperationKind::Bind
            })));
            std::mem::replace(&mut b.hub, dying.await).stop().await;
            assert_eq!(ask_again(&b).await.status, 500, "it dies");
            let next = b.world.hub().await;
            std::mem::replace(&mut b.hub, next).stop().await;
            assert_eq!(b.recorder.count("bind"), if point == Point::AfterCall { 2 } else { 1 });
            b.check("it may still come", &unbind(&b), None, (422, "ConcurrencyError")).await;
            b.world.clock.advance(ON_ITS_WAY);
            b.check("now it can't", &unbind(&b), None, (200, "{}")).await;
            assert_eq!((b.recorder.count("unbind"), deletions_told(&b).await), (1, 1));
            b.hub.stop().await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_bind_makes_that_comes_after_its_time_is_deleted() {
    on_each(async |on| {
        let b = stale(on).await;
        let held = b.recorder.hold("bind");
        let (again, ()) = tokio::join!(ask_again(&b), async {
            asked(&b, "bind", 2).await;
            b.world.clock.advance(ON_ITS_WAY);
            b.check("nobody waits for it", &unbind(&b), None, (200, "{}")).await;
            drop(held);
        });
        assert_eq!((again.status, &again.json()["error"]), (422, &json!("ConcurrencyError")), "{}", again.text);
        asked(&b, "unbind", 2).await;
        until_quiet(&b).await;
        let path = "/api/v1/operations?kind=orphan_mitigation";
        let cleaned = b.hub.admin(Method::GET, path, None).await;
        assert_eq!(cleaned.body["items"][0]["state"], "succeeded", "{cleaned:?}");
        assert_eq!(deletions_told(&b).await, 1, "the platform heard of it once");
        b.check("gone", &unbind(&b), None, (410, "")).await;
        b.check("the id is free", &format!("PUT {BINDING}"), Some(body(&b)), (201, "of-the-binding")).await;
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_unbind_that_a_late_bind_met_is_sent_again() {
    on_each(async |on| {
        let b = stale(on).await;
        let (late, slow) = (b.recorder.hold("bind"), b.recorder.hold("unbind"));
        let line = unbind(&b);
        let (again, unbound, ()) = tokio::join!(
            ask_again(&b),
            async {
                asked(&b, "bind", 2).await;
                b.world.clock.advance(ON_ITS_WAY);
                b.call(&line, None).await
            },
            async {
                asked(&b, "unbind", 1).await;
                drop(late);
                wait_until("the late answer", BOUND, async || {
                    let reply = b.hub.admin(Method::GET, "/api/v1/operations?kind=unbind", None).await;
                    reply.body["items"][0]["state"] == "in_progress" && b.recorder.count("unbind") >= 2
                })
                .await;
                drop(slow);
            }
        );
        assert_eq!((again.status, &again.json()["error"]), (422, &json!("ConcurrencyError")), "{}", again.text);
        assert_eq!(unbound.status, 200, "{}", unbound.text);
        assert_eq!(deletions_told(&b).await, 1);
        b.hub.stop().await;
    })
    .await;
}
