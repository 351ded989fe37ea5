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

/// The least time after which nothing is under way any more (ADR 0005).
const SETTLED: Duration = Duration::from_secs(10);

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

/// Makes what `line` names with an answer that is lost first, and deletes it at once; `again` may be made under the same id before
/// the hub deletes once more.
async fn check(line: &str, (makes, deletes): (&str, &str), deleted: &str, body: impl Fn(&Bench) -> Value) {
    on_each(async |on| {
        let b = Bench::new(on).await;
        if deletes == "unbind" {
            b.check("an instance", "PUT i", Some(b.order("readable/one", json!({}))), (201, "")).await;
        }
        b.recorder.say(makes, 500, &json!({}));
        let put = format!("PUT {line}?accepts_incomplete=true");
        b.check("its outcome is not known", &put, Some(body(&b)), (202, "operation")).await;
        b.recorder.say(makes, 201, &json!({"credentials": {}}));
        wait_until("it to be made", BOUND, async || {
            b.world.clock.advance(Duration::from_secs(1));
            b.call(&format!("GET {line}/last_operation"), None).await.text.contains("succeeded")
        })
        .await;
        let delete = format!("DELETE {line}?{}", b.query("readable/one"));
        b.check("its end", &delete, None, (200, "{}")).await;
        b.check("the platform is done with it", &delete, None, (410, "")).await;
        let [waits] = &*clean_ups(&b).await else { panic!("one clean-up: {:?}", clean_ups(&b).await) };
        assert_eq!((waits["state"].as_str(), b.recorder.count(deletes)), (Some("in_progress"), 1), "{waits}");
        b.check("the id is free", &format!("PUT {line}"), Some(body(&b)), (201, "")).await;

        b.world.clock.advance(SETTLED);
        wait_until("the second deletion", BOUND, async || b.recorder.count(deletes) == 2).await;
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
