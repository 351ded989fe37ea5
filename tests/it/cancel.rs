//! Calling operations off and forgetting instances, and what is left of an order that failed, was refused too late or was
//! called off while its call was under way.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::dump::{is_quiet, items, spans};
use crate::support::hub::{BOUND, Hub, Order, Platform, Reply, World, polling, sync};
use crate::support::wait::{wait_for, wait_until};

/// Runs one case on a database of each kind, with orders answered within `within`.
async fn on_both(within: Duration, case: impl AsyncFn(World, Hub, Platform)) {
    for on in [On::Sqlite, On::Postgres] {
        let world = World::new(on, |config| {
            config.server.drain = Duration::ZERO;
            config.server.answer_within = within;
        })
        .await;
        let hub = world.hub().await;
        let platform = world.furnish(&hub).await;
        case(world, hub, platform).await;
    }
}

const LONG: Duration = Duration::from_secs(50);

/// Waits until an operation of that kind is in progress and in that phase, and gives it.
async fn operation(hub: &Hub, kind: &str, phase: &str) -> Value {
    wait_for(&format!("a {kind} that is {phase}"), BOUND, async || {
        let list = items(&hub.url, &format!("operations?state=in_progress&kind={kind}")).await;
        list.into_iter().find(|operation| operation["phase"] == phase)
    })
    .await
}

async fn cancel(hub: &Hub, operation: &Value) -> Reply {
    let id = operation["id"].as_str().expect("an id");
    hub.admin(Method::POST, &format!("/api/v1/operations/{id}/cancel"), None).await
}

async fn is_over(world: &World, hub: &Hub) {
    wait_until("all to be over", BOUND, async || {
        world.clock.advance(Duration::from_secs(5));
        is_quiet(&hub.url).await
    })
    .await;
}

async fn state(hub: &Hub, id: &str) -> String {
    for filter in ["", "&state=gone"] {
        let list = items(&hub.url, &format!("instances?platform_instance_id={id}{filter}")).await;
        if let Some(found) = list.first() {
            return found["state"].as_str().expect("a state").to_owned();
        }
    }
    panic!("{id} is unknown")
}

fn hung() -> Order {
    polling().with(json!({"hang_ms": 60_000}))
}

#[tokio::test]
async fn a_failed_order_stays_failed_after_its_clean_up_until_it_is_deleted() {
    on_both(LONG, async |world, hub, p| {
        assert_eq!(
            hub.provision(&p, "i-1", "async-then-failed", polling().with(json!({"polls": 0}))).await.status,
            202
        );
        assert_eq!(hub.outcome(&p, "i-1").await, "failed");
        // The first deletion is too early to be final, and is recorded before the clock moves on.
        operation(&hub, "orphan_mitigation", "unresolved").await;
        is_over(&world, &hub).await;
        assert_eq!(state(&hub, "i-1").await, "failed");
        assert_eq!(
            hub.last_operation(&p, "i-1").await.body["state"],
            "failed",
            "the clean-up is no success of the order"
        );
        assert_eq!(hub.delete(&p, "i-1", "async-then-failed", true).await.status, 200, "once");
        assert_eq!(hub.delete(&p, "i-1", "async-then-failed", true).await.status, 410);
        assert_eq!(world.faults.instances().len(), 0);
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_comes_after_the_order_was_refused_is_undone() {
    on_both(Duration::from_secs(1), async |world, hub, p| {
        let reply = hub.provision(&p, "i-1", "creates-late", sync().with(json!({"delay_ms": 2500}))).await;
        assert_eq!(reply.status, 504, "{reply:?}");
        wait_until("the late answer to be undone", BOUND, async || {
            let list = items(&hub.url, "operations?kind=orphan_mitigation").await;
            world.clock.advance(Duration::from_secs(1));
            list.iter().any(|operation| operation["state"] == "succeeded")
        })
        .await;
        is_over(&world, &hub).await;
        assert_eq!((world.faults.instances().len(), state(&hub, "i-1").await.as_str()), (0, "failed"));
        assert_eq!(hub.event_types().await, ["instance.requested", "instance.failed"]);
        assert!(spans(&hub.db).await.is_empty(), "nothing is metered");
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_hung_provision_that_is_called_off_is_undone() {
    on_both(LONG, async |world, hub, p| {
        hub.loses_patience().await;
        assert_eq!(hub.provision(&p, "i-1", "times-out-after-creating", hung()).await.status, 202);
        assert_eq!(world.faults.instances().len(), 1);
        // Its call is under way, or will be again: either way the instance is the hub's to undo.
        let provision = operation(&hub, "provision", "unresolved").await;
        assert_eq!(cancel(&hub, &provision).await.body["state"], "cancelled");
        assert_eq!(cancel(&hub, &provision).await.status, 409, "it is over");
        let again = hub.provision(&p, "i-1", "ok", sync()).await;
        assert_eq!((again.status, again.body["error"].as_str()), (422, Some("ConcurrencyError")));
        is_over(&world, &hub).await;
        assert_eq!(world.faults.instances().len(), 0);
        assert_eq!(hub.last_operation(&p, "i-1").await.body["state"], "failed");
        assert_eq!(hub.provision(&p, "i-1", "ok", sync()).await.status, 201, "a fresh order");
        let events = hub.event_types().await;
        assert_eq!(events[events.len() - 3..], ["instance.failed", "instance.requested", "instance.provisioned"]);
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_call_that_comes_true_after_it_was_called_off_is_undone() {
    on_both(LONG, async |world, hub, p| {
        let (url, ids, polls) = (hub.url.clone(), hub.ids("creates-late"), polling().with(json!({"delay_ms": 2000})));
        let body = json!({"service_id": ids.0, "plan_id": ids.1, "organization_guid": "o", "space_guid": "s", "parameters": polls.parameters});
        let path = format!("{url}/v2/service_instances/i-1?accepts_incomplete=true");
        let credentials = (p.username.clone(), p.password.clone());
        let order = tokio::spawn(async move {
            crate::support::hub::request(Method::PUT, &path, Some((&credentials.0, &credentials.1)), Some(body)).await
        });
        wait_until("the broker to be called", BOUND, async || {
            world.faults.calls().iter().any(|call| call.method == "PUT")
        })
        .await;
        let provision = operation(&hub, "provision", "calling").await;
        assert_eq!(cancel(&hub, &provision).await.status, 200);
        assert_eq!(order.await.expect("it panicked").status, 502);
        wait_until("the call to come true", BOUND, async || world.faults.instances().len() == 1).await;
        is_over(&world, &hub).await;
        assert_eq!((world.faults.instances().len(), state(&hub, "i-1").await.as_str()), (0, "failed"));
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_update_or_deletion_that_the_broker_may_have_heard_of_is_not_called_off() {
    on_both(LONG, async |world, hub, p| {
        let order = |kind: &str| sync().with(json!({"polls": 3, "fail_on": [kind]}));
        assert_eq!(hub.provision(&p, "i-1", "async", order("update")).await.status, 201);
        assert_eq!(hub.provision(&p, "i-2", "async", order("deprovision")).await.status, 201);
        assert_eq!(hub.provision(&p, "i-3", "async", order("unbind")).await.status, 201);
        assert_eq!(hub.bind(&p, ("i-3", "b-1"), "async", sync()).await.status, 201);
        assert_eq!(hub.osb(&p, Method::PATCH, UPDATE, Some(update(&hub))).await.status, 202);
        assert_eq!(hub.delete(&p, "i-2", "async", true).await.status, 202);
        assert_eq!(hub.delete(&p, "i-3/service_bindings/b-1", "async", true).await.status, 202);
        for kind in ["update", "deprovision", "unbind"] {
            let running = operation(&hub, kind, "polling").await;
            let refused = cancel(&hub, &running).await;
            assert_eq!((refused.status, refused.body["code"].as_str()), (409, Some("already_sent")), "{refused:?}");
            assert_eq!(items(&hub.url, &format!("operations?state=cancelled&kind={kind}")).await, Vec::<Value>::new());
        }
        is_over(&world, &hub).await;
        assert_eq!(
            (hub.outcome(&p, "i-1").await.as_str(), hub.outcome(&p, "i-2").await.as_str()),
            ("succeeded", "succeeded")
        );
        assert_eq!(world.faults.instances().len(), 2, "what was ordered came true");
        assert!(world.faults.bindings().is_empty());
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_update_or_deletion_that_nobody_has_taken_up_is_called_off_and_the_instance_stands_as_it_stood() {
    on_both(Duration::from_secs(1), async |world, hub, p| {
        assert_eq!(hub.provision(&p, "i-1", "async", sync()).await.status, 201);
        assert_eq!(hub.provision(&p, "i-2", "async", sync()).await.status, 201);
        hub.stop().await;
        let hub = world.hub_without_workers().await;
        assert_eq!(hub.osb(&p, Method::PATCH, UPDATE, Some(update(&hub))).await.status, 202);
        assert_eq!(hub.delete(&p, "i-2", "async", true).await.status, 202);
        for (kind, id) in [("update", "i-1"), ("deprovision", "i-2")] {
            let waiting = operation(&hub, kind, "calling").await;
            assert_eq!(cancel(&hub, &waiting).await.body["state"], "cancelled", "{kind}");
            assert_eq!(state(&hub, id).await, "ready", "{kind}");
            assert_eq!(hub.last_operation(&p, id).await.body["state"], "failed", "{kind}");
        }
        assert!(world.faults.calls().iter().all(|call| !["PATCH", "DELETE"].contains(&call.method.as_str())));
        let events = hub.event_types().await;
        assert_eq!(events[4..], ["instance.update_failed", "instance.deprovision_failed"]);
        assert!(spans(&hub.db).await.values().all(|spans| *spans == (1, 0)), "they stand, and are metered");
        hub.stop().await;
    })
    .await;
}

const UPDATE: &str = "/v2/service_instances/i-1?accepts_incomplete=true";

/// A change of the parameters of an instance of the plan `async`.
fn update(hub: &Hub) -> Value {
    let (service_id, plan_id) = hub.ids("async");
    json!({"service_id": service_id, "plan_id": plan_id, "parameters": {"x": 1}})
}

#[tokio::test]
async fn a_clean_up_is_never_called_off() {
    on_both(LONG, async |world, hub, p| {
        let order = sync().with(json!({"takes_effect": true, "fail_on": ["provision", "deprovision"]}));
        assert_eq!(hub.provision(&p, "i-1", "fails-500", order).await.status, 502);
        let clean_up = operation(&hub, "orphan_mitigation", "unresolved").await;
        assert_eq!(cancel(&hub, &clean_up).await.status, 422);
        assert_eq!(state(&hub, "i-1").await, "failed");
        assert!(world.faults.calls().iter().any(|call| call.method == "DELETE"));
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_instance_whose_backend_is_gone_is_forgotten_without_a_call() {
    on_both(LONG, async |world, hub, p| {
        assert_eq!(hub.provision(&p, "i-1", "async", sync().with(json!({"polls": 1000}))).await.status, 201);
        assert_eq!(hub.bind(&p, ("i-1", "b-1"), "async", sync()).await.status, 201);
        assert_eq!(hub.delete(&p, "i-1/service_bindings/b-1", "async", true).await.status, 202);
        operation(&hub, "unbind", "polling").await;
        let id = world.faults.instances()[0].id.clone();
        let path = format!("/api/v1/instances/{id}/purge");
        assert_eq!(hub.admin(Method::POST, &path, Some(json!({"reason": " "}))).await.status, 422);
        let purged = hub.admin(Method::POST, &path, Some(json!({"reason": "its data centre burned down"}))).await;
        assert_eq!((purged.status, purged.body["state"].as_str()), (200, Some("gone")), "{purged:?}");
        assert_eq!(purged.body["bindings"][0]["state"], "gone");
        assert!(is_quiet(&hub.url).await, "what was under way is called off");
        assert_eq!(hub.delete(&p, "i-1", "async", true).await.status, 410);
        assert_eq!(spans(&hub.db).await[&id], (0, 1), "it is metered until now and no longer");
        assert_eq!(hub.event_types().await.last().map(String::as_str), Some("instance.deprovisioned"));
        assert!(!world.faults.calls().iter().any(|call| call.method == "DELETE" && call.binding_id.is_none()));
        assert_eq!(hub.admin(Method::POST, &path, Some(json!({"reason": "again"}))).await.status, 200, "no harm");
        assert_eq!(hub.provision(&p, "i-1", "ok", sync()).await.status, 201, "the id may be used again");
        hub.stop().await;
    })
    .await;
}
