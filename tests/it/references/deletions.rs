//! Deletions of what is depended on, and when a dependency ends.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{Related, on_both};
use crate::support::hub::BOUND;
use crate::support::wait::wait_until;

#[tokio::test]
async fn what_is_depended_on_is_not_deleted_before_its_dependents_are_gone() {
    on_both(async |r| {
        let b = &r.bench;
        b.check("a network", "PUT net", Some(b.order("network/one", json!({}))), (201, "")).await;
        let net = r.recorder.last("provision").instance_id();
        for name in ["one", "two", "three", "four", "five"] {
            r.ordered(name, "cluster/one", json!({"network": net})).await;
        }
        let target = format!("DELETE net?{}", b.query("network/one"));
        let refused = b.check("in use", &target, None, (400, "other instances depend on it")).await;
        assert!(refused.text.contains("`one`") && refused.text.contains("and 2 more"), "{}", refused.text);
        assert_eq!(refused.json()["error"], "BadRequest", "none of OSB's reserved words");
        b.check("it stands", "PUT net", Some(b.order("network/one", json!({}))), (200, "")).await;
        assert_eq!(r.recorder.count("deprovision"), 0, "the broker heard nothing");
        for name in ["one", "two", "three", "four"] {
            assert_eq!(r.delete(name).await.status, 204);
        }
        // Until the last is known to be gone.
        r.recorder.say("deprovision", 202, &json!({}));
        r.recorder.say("last_operation", 200, &json!({"state": "in progress"}));
        assert_eq!(r.delete("five").await.status, 202);
        b.check("still in use", &target, None, (400, "`five`")).await;
        r.recorder.say("last_operation", 200, &json!({"state": "succeeded"}));
        r.recorder.usual("deprovision");
        wait_until("the last to be gone", BOUND, async || {
            b.world.clock.advance(Duration::from_secs(1));
            b.call(&target, None).await.status == 200
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn people_are_told_in_use_and_by_whom() {
    on_both(async |r| {
        r.ordered("net", "network/one", json!({})).await;
        let cluster = r.ordered("cluster", "cluster/one", json!({"network": "net"})).await;
        let refused = r.delete("net").await;
        assert_eq!((refused.status, &refused.body["code"]), (409, &json!("in_use")), "{refused:?}");
        let detail = refused.body["detail"].as_str().expect("a detail");
        assert!(detail.contains(&format!("`cluster` ({cluster})")), "{detail}");
        assert_eq!(r.shown("net").await["state"], "ready");
        // A deletion that fails keeps it.
        r.recorder.say("deprovision", 400, &json!({"description": "not today"}));
        assert_eq!(r.delete("cluster").await.status, 400);
        assert_eq!(r.delete("net").await.status, 409);
        r.recorder.usual("deprovision");
        assert_eq!(r.delete("cluster").await.status, 204);
        assert_eq!(r.delete("net").await.status, 204);
    })
    .await;
}

#[tokio::test]
async fn an_order_that_fails_holds_what_it_refers_to_until_nothing_is_left_of_it() {
    on_both(async |r| {
        r.ordered("net", "network/one", json!({})).await;
        // Refused: nothing was made.
        r.recorder.say("provision", 400, &json!({"description": "no"}));
        assert_eq!(r.order("cluster", "cluster/one", json!({"network": "net"})).await.status, 400);
        assert_eq!(r.dependents("net").await, Vec::<String>::new());

        // Nobody knows what was made: held until the clean-up knows.
        r.recorder.say("provision", 500, &json!({}));
        r.recorder.say("fetch", 404, &json!({}));
        r.recorder.say("last_operation", 200, &json!({"state": "failed"}));
        r.recorder.say("deprovision", 500, &json!({}));
        let unknown = r.order("cluster", "cluster/one", json!({"network": "net"})).await;
        assert_eq!(unknown.status, 202, "{unknown:?}");
        wait_until("the order to fail", BOUND, async || {
            r.bench.world.clock.advance(Duration::from_secs(5));
            r.shown("cluster").await["state"] == "failed"
        })
        .await;
        assert_eq!(r.dependents("net").await, ["cluster"]);
        assert_eq!(r.delete("net").await.status, 409);
        // Bourse's own clean-up is refused by nobody.
        r.recorder.usual("deprovision");
        wait_until("the clean-up to end", BOUND, async || {
            r.bench.world.clock.advance(Duration::from_secs(60));
            r.dependents("net").await.is_empty()
        })
        .await;
        assert_eq!(r.delete("net").await.status, 204);
    })
    .await;
}

async fn purge(r: &Related, id: &str) -> (u16, serde_json::Value) {
    let body = Some(json!({"reason": "its broker burnt down"}));
    let reply = r.bench.hub.admin(Method::POST, &format!("/api/v1/instances/{id}/purge"), body).await;
    (reply.status, reply.body)
}

#[tokio::test]
async fn a_purge_is_refused_too_and_a_purged_dependent_depends_no_more() {
    on_both(async |r| {
        let net = r.ordered("net", "network/one", json!({})).await;
        let cluster = r.ordered("cluster", "cluster/one", json!({"network": "net"})).await;
        let (status, body) = purge(r, &net).await;
        assert_eq!((status, &body["code"]), (409, &json!("in_use")), "{body}");
        let (status, purged) = purge(r, &cluster).await;
        assert_eq!((status, &purged["references"]), (200, &json!([])), "{purged}");
        assert_eq!(purge(r, &net).await.0, 200);
        assert_eq!(purge(r, &net).await.0, 200, "again changes nothing");
    })
    .await;
}
