//! Updates that change what is referred to: both count until it is known how the update ended.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Related, on_both};
use crate::support::hub::BOUND;
use crate::support::wait::wait_until;

/// Networks `a` and `b`, and `cluster`, which refers to `a`.
async fn furnished(r: &Related) -> (String, String) {
    let (a, b) = (r.ordered("a", "network/one", json!({})).await, r.ordered("b", "network/one", json!({})).await);
    r.ordered("cluster", "cluster/one", json!({"network": "a", "size": 1})).await;
    (a, b)
}

/// Whether `cluster` holds `a` and `b`.
async fn held(r: &Related) -> (bool, bool) {
    let holds = async |name: &str| r.dependents(name).await == ["cluster"];
    (holds("a").await, holds("b").await)
}

async fn change(r: &Related, parameters: Value) -> u16 {
    r.order("cluster", "cluster/one", parameters).await.status
}

#[tokio::test]
async fn a_reference_that_changes_is_sent_as_an_id_and_moves_when_the_update_has_succeeded() {
    on_both(async |r| {
        let (a, b) = furnished(r).await;
        assert_eq!(held(r).await, (true, false));
        assert_eq!(change(r, json!({"network": "b"})).await, 200);
        assert_eq!(r.sent("update"), json!({"network": b}));
        assert_eq!(held(r).await, (false, true));
        // Back, and away again.
        assert_eq!(change(r, json!({"network": "a", "size": 2})).await, 200);
        assert_eq!(r.sent("update"), json!({"network": a, "size": 2}));
        assert_eq!(held(r).await, (true, false));
        // What the update does not name stays.
        assert_eq!(change(r, json!({"size": 3})).await, 200);
        assert_eq!((r.sent("update"), held(r).await), (json!({"size": 3}), (true, false)));
        // A reference that stays is sent as its id again.
        assert_eq!(change(r, json!({"network": "a", "size": 4})).await, 200);
        assert_eq!((r.sent("update"), held(r).await), (json!({"network": a, "size": 4}), (true, false)));
        assert_eq!(change(r, json!({"network": null})).await, 200);
        assert_eq!((r.sent("update"), held(r).await), (json!({"network": null}), (false, false)));
        assert_eq!(r.delete("a").await.status, 204);
        assert_eq!(change(r, json!({"network": "a"})).await, 422);
    })
    .await;
}

#[tokio::test]
async fn a_list_of_references_is_replaced_as_a_whole() {
    on_both(async |r| {
        let (a, b) = furnished(r).await;
        assert_eq!(change(r, json!({"network": null, "peers": ["a", "b"]})).await, 200);
        assert_eq!((r.sent("update")["peers"].clone(), held(r).await), (json!([a, b]), (true, true)));
        assert_eq!(change(r, json!({"peers": ["b"]})).await, 200);
        assert_eq!((r.sent("update"), held(r).await), (json!({"peers": [b]}), (false, true)));
    })
    .await;
}

#[tokio::test]
async fn a_reference_of_the_order_is_one_in_updates_whose_schema_says_nothing_of_it_and_a_change_of_plan_keeps_it() {
    on_both(async |r| {
        let (_, b) = furnished(r).await;
        assert_eq!(r.order("cluster", "cluster/plain", json!({"size": 9})).await.status, 200);
        assert_eq!(held(r).await, (true, false), "what nobody named stays");
        assert_eq!(r.order("cluster", "cluster/other", json!({"network": "b"})).await.status, 200);
        assert_eq!((r.sent("update"), held(r).await), (json!({"network": b}), (false, true)));
        // A plan that knows no references gets what was ordered, and what stood there is given up.
        assert_eq!(r.order("cluster", "cluster/plain", json!({"network": "a"})).await.status, 200);
        assert_eq!((r.sent("update"), held(r).await), (json!({"network": "a"}), (false, false)));
    })
    .await;
}

#[tokio::test]
async fn upd_11_an_update_that_fails_leaves_the_old_reference_and_one_under_way_holds_both() {
    on_both(async |r| {
        furnished(r).await;
        r.recorder.say("update", 400, &json!({"description": "no"}));
        assert_eq!(change(r, json!({"network": "b"})).await, 400);
        assert_eq!(held(r).await, (true, false));

        for (state, status, left) in [("failed", "ready", (true, false)), ("succeeded", "ready", (false, true))] {
            r.recorder.say("update", 202, &json!({}));
            r.recorder.say("last_operation", 200, &json!({"state": "in progress"}));
            assert_eq!(change(r, json!({"network": "b"})).await, 202);
            assert_eq!(held(r).await, (true, true), "{state}");
            for name in ["a", "b"] {
                assert_eq!(r.delete(name).await.status, 409, "{name}");
            }
            r.recorder.say("last_operation", 200, &json!({"state": state}));
            wait_until("the update to be over", BOUND, async || {
                r.bench.world.clock.advance(Duration::from_secs(1));
                r.shown("cluster").await["state"] == status
            })
            .await;
            assert_eq!(held(r).await, left, "{state}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_update_of_which_nobody_knows_what_it_did_holds_both_even_when_it_is_given_up() {
    on_both(async |r| {
        furnished(r).await;
        r.recorder.say("update", 500, &json!({}));
        assert_eq!(change(r, json!({"network": "b"})).await, 202);
        assert_eq!(held(r).await, (true, true));
        wait_until("the update to be given up", BOUND, async || {
            r.bench.world.clock.advance(Duration::from_secs(8 * 24 * 3600));
            r.shown("cluster").await["state"] == "ready"
        })
        .await;
        assert_eq!(held(r).await, (true, true), "it may have happened");
        r.recorder.usual("update");
        assert_eq!(change(r, json!({"network": "b"})).await, 200, "the next one settles it");
        assert_eq!(held(r).await, (false, true));
        assert_eq!(r.delete("a").await.status, 204);
    })
    .await;
}

#[tokio::test]
async fn a_reference_that_stays_is_not_looked_at_again() {
    on_both(async |r| {
        let (a, _) = furnished(r).await;
        // What it refers to is being changed itself, which keeps new references out.
        r.recorder.say("update", 202, &json!({}));
        r.recorder.say("last_operation", 200, &json!({"state": "in progress"}));
        assert_eq!(r.order("a", "network/one", json!({"x": 1})).await.status, 202);
        r.recorder.usual("update");
        assert_eq!(r.order("other", "cluster/one", json!({"network": "a"})).await.status, 422);
        assert_eq!(change(r, json!({"network": "a", "size": 2})).await, 200);
        assert_eq!(r.sent("update"), json!({"network": a, "size": 2}));
        let detail = r.bench.hub.admin(Method::GET, &format!("/api/v1/instances/{a}"), None).await.body;
        assert_eq!(detail["dependents"][0]["name"], "cluster");
    })
    .await;
}

/// How an update ends at the broker.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Done,
    Refused,
    Polled(&'static str),
    /// No answer, until it is given up.
    Unknown,
    /// Under way, until it is given up.
    Endless,
}

/// Sends an update that ends so, and waits until it is over.
async fn update(r: &Related, target: Option<&str>, end: End) {
    match end {
        End::Done => r.recorder.usual("update"),
        End::Refused => r.recorder.say("update", 400, &json!({"description": "no"})),
        End::Polled(_) | End::Endless => r.recorder.say("update", 202, &json!({})),
        End::Unknown => r.recorder.say("update", 500, &json!({})),
    }
    let state = if let End::Polled(state) = end { state } else { "in progress" };
    r.recorder.say("last_operation", 200, &json!({"state": state}));
    let body = r.bench.bind_body("cluster/one", json!({"parameters": {"network": target}}));
    let status = match end {
        End::Done => 200,
        End::Refused => 400,
        End::Polled(_) | End::Unknown | End::Endless => 202,
    };
    r.bench.check("an update", "PATCH user?accepts_incomplete=true", Some(body), (status, "")).await;
    let gives_up = matches!(end, End::Unknown | End::Endless);
    let pace = Duration::from_secs(if gives_up { 8 * 24 * 3600 } else { 1 });
    wait_until("the update to be over", BOUND, async || {
        r.bench.world.clock.advance(pace);
        let detail = r.bench.hub.admin(Method::GET, "/api/v1/instances?platform_instance_id=user", None).await.body;
        detail["items"][0]["state"] == "ready"
    })
    .await;
}

#[tokio::test]
async fn whatever_updates_come_to_all_that_may_count_at_the_broker_is_held_and_nothing_else() {
    const ENDS: [End; 6] =
        [End::Done, End::Refused, End::Polled("failed"), End::Polled("succeeded"), End::Unknown, End::Endless];
    on_both(async |r| {
        let networks = ["a", "b", "c"];
        let mut ids = Vec::new();
        for name in networks {
            r.bench
                .check("a network", &format!("PUT {name}"), Some(r.bench.order("network/one", json!({}))), (201, ""))
                .await;
            ids.push(r.recorder.last("provision").instance_id());
        }
        let body = r.bench.order("cluster/one", json!({"parameters": {"network": "a"}}));
        r.bench.check("who refers", "PUT user", Some(body), (201, "")).await;
        let mut may_count = vec![true, false, false];
        // Drawn once and for all.
        let mut random = 7_u32;
        for step in 0..24 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let end = ENDS[(random >> 20) as usize % ENDS.len()];
            let target = (random >> 10) as usize % 4;
            update(r, networks.get(target).copied(), end).await;
            match end {
                End::Done | End::Polled("succeeded") => may_count = (0..3).map(|at| at == target).collect(),
                End::Unknown | End::Endless if target < 3 => may_count[target] = true,
                _ => {}
            }
            let mut held = Vec::new();
            for id in &ids {
                let detail = r.bench.hub.admin(Method::GET, &format!("/api/v1/instances/{id}"), None).await.body;
                held.push(detail["dependents"].as_array().is_some_and(|dependents| dependents.len() == 1));
            }
            assert_eq!(held, may_count, "step {step}: {end:?} to {target}");
        }
    })
    .await;
}
