//! A request whose answer was lost may still be on its way while its repeat has succeeded and what it made is deleted: then it
//! is deleted once more, when nothing can come any more, and nobody hears of that.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::on_each;
use crate::support::bench::Bench;
use crate::support::dump::is_quiet;
use crate::support::hub::BOUND;
use crate::support::wait::wait_until;

/// Long after nothing is under way any more.
const LONG: Duration = Duration::from_secs(3600);

async fn told(b: &Bench, kind: &str) -> usize {
    b.hub.event_types().await.iter().filter(|told| *told == kind).count()
}

/// The paths that a verb came for, in their order.
fn targets(b: &Bench, verb: &str) -> Vec<String> {
    let path = |target: String| target.split('?').next().unwrap_or_default().to_owned();
    b.recorder.seen().into_iter().filter(|seen| seen.verb == verb).map(|seen| path(seen.target)).collect()
}

async fn clean_ups(b: &Bench) -> Vec<Value> {
    let reply = b.hub.admin(Method::GET, "/api/v1/operations?kind=orphan_mitigation", None).await;
    reply.body["items"].as_array().cloned().expect("a list")
}

/// Has it made by a repeat: the first answer is lost.
async fn made_by_a_repeat(b: &Bench, line: &str, makes: &str, body: Value) {
    b.recorder.say(makes, 500, &json!({}));
    let put = format!("PUT {line}?accepts_incomplete=true");
    b.check("its outcome is not known", &put, Some(body), (202, "operation")).await;
    b.recorder.say(makes, 201, &json!({"credentials": {}}));
    wait_until("it to be made", BOUND, async || {
        b.world.clock.advance(Duration::from_secs(1));
        b.call(&format!("GET {line}/last_operation"), None).await.text.contains("succeeded")
    })
    .await;
}

/// Time goes on until nothing can be under way any more.
async fn until_asked_twice(b: &Bench, deletes: &str) {
    wait_until("the second deletion", BOUND, async || {
        b.world.clock.advance(Duration::from_secs(1));
        b.recorder.count(deletes) > 1
    })
    .await;
}

/// Makes what `line` names with an answer that is lost first, and deletes it at once; `again` may be made under the same id before
/// the hub deletes once more.
async fn check(line: &str, (makes, deletes): (&str, &str), deleted: &str, body: impl Fn(&Bench) -> Value) {
    on_each(async |on| {
        let b = Bench::new(on).await;
        if deletes == "unbind" {
            b.check("an instance", "PUT i", Some(b.order("readable/one", json!({}))), (201, "")).await;
        }
        made_by_a_repeat(&b, line, makes, body(&b)).await;
        let delete = format!("DELETE {line}?{}", b.query("readable/one"));
        b.check("its end", &delete, None, (200, "{}")).await;
        b.check("the platform is done with it", &delete, None, (410, "")).await;
        let [waits] = &*clean_ups(&b).await else { panic!("one clean-up: {:?}", clean_ups(&b).await) };
        assert_eq!((waits["state"].as_str(), b.recorder.count(deletes)), (Some("in_progress"), 1), "{waits}");
        b.check("the id is free", &format!("PUT {line}"), Some(body(&b)), (201, "")).await;

        until_asked_twice(&b, deletes).await;
        wait_until("all to be over", BOUND, async || is_quiet(&b.hub.url).await).await;
        let (made, gone) = (targets(&b, makes), targets(&b, deletes));
        assert!(gone.iter().all(|path| *path == made[0]), "what was made since stands: {made:?} {gone:?}");
        assert_ne!(made.last(), made.first());
        assert_eq!((clean_ups(&b).await[0]["state"].as_str(), told(&b, deleted).await), (Some("succeeded"), 1));
        b.check("it stands", &format!("PUT {line}"), Some(body(&b)), (200, "")).await;
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn om_16_an_instance_that_a_late_request_may_make_again_is_deleted_once_more() {
    let order = |b: &Bench| b.order("readable/one", json!({}));
    check("i", ("provision", "deprovision"), "instance.deprovisioned", order).await;
}

#[tokio::test]
async fn om_17_a_binding_that_a_late_request_may_make_again_is_deleted_once_more() {
    let bind = |b: &Bench| b.bind_body("readable/one", json!({}));
    check("i/service_bindings/b", ("bind", "unbind"), "binding.deleted", bind).await;
}

#[tokio::test]
async fn a_binding_that_is_to_be_deleted_once_more_holds_up_nobody() {
    on_each(async |on| {
        let b = Bench::new(on).await;
        b.check("an instance", "PUT i", Some(b.order("readable/one", json!({}))), (201, "")).await;
        let line = "i/service_bindings/b";
        made_by_a_repeat(&b, line, "bind", b.bind_body("readable/one", json!({}))).await;
        let query = b.query("readable/one");
        b.check("its end", &format!("DELETE {line}?{query}"), None, (200, "{}")).await;
        assert_eq!(clean_ups(&b).await[0]["state"], "in_progress");
        let change = b.bind_body("readable/one", json!({"parameters": {"size": 2}}));
        b.check("a change", "PATCH i", Some(change), (200, "")).await;
        b.check("the end of it all", &format!("DELETE i?{query}"), None, (200, "{}")).await;
        assert_eq!(clean_ups(&b).await[0]["state"], "succeeded", "nothing can be bound to it any more");
        b.world.clock.advance(LONG);
        assert!(is_quiet(&b.hub.url).await);
        assert_eq!(b.recorder.count("unbind"), 1);
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_second_deletion_that_the_broker_refuses_for_ever_can_be_purged() {
    on_each(async |on| {
        let b = Bench::new(on).await;
        made_by_a_repeat(&b, "i", "provision", b.order("readable/one", json!({}))).await;
        b.check("its end", &format!("DELETE i?{}", b.query("readable/one")), None, (200, "{}")).await;
        b.recorder.say("deprovision", 404, &json!({}));
        until_asked_twice(&b, "deprovision").await;
        let kept = b.hub.admin(Method::DELETE, "/api/v1/brokers/recorder", None).await;
        assert_eq!((kept.status, &kept.body["code"]), (409, &json!("in_use")), "{kept:?}");

        let clean_up = clean_ups(&b).await.remove(0);
        let purge = format!("/api/v1/instances/{}/purge", clean_up["instance_id"].as_str().expect("an id"));
        let purged = b.hub.admin(Method::POST, &purge, Some(json!({"reason": "the broker is gone"}))).await;
        assert_eq!((purged.status, &purged.body["state"]), (200, &json!("gone")), "{purged:?}");
        assert_eq!(clean_ups(&b).await[0]["state"], "cancelled");
        assert_eq!(told(&b, "instance.deprovisioned").await, 1);
        assert_eq!(b.hub.admin(Method::DELETE, "/api/v1/brokers/recorder", None).await.status, 204);
        let listed = b.hub.admin(Method::GET, "/api/v1/instances?state=gone", None).await;
        assert_eq!(listed.body["items"][0]["offering"], "readable", "{listed:?}");
        b.hub.stop().await;
    })
    .await;
}
