//! The life of instances and bindings through the hub, as a platform sees it, compared with what the broker behind it holds.

use reqwest::Method;
use serde_json::json;

use crate::support::bare::On;
use crate::support::hub::{BOUND, Hub, Platform, World, polling, sync};
use crate::support::wait::wait_until;

/// Runs one case on a database of each kind.
async fn on_both(case: impl AsyncFn(World, Hub, Platform)) {
    for on in [On::Sqlite, On::Postgres] {
        let world = World::new(on, |_| {}).await;
        let hub = world.hub().await;
        let platform = world.furnish(&hub).await;
        case(world, hub, platform).await;
    }
}

#[tokio::test]
async fn an_instance_is_ordered_bound_unbound_and_deleted() {
    on_both(async |world, hub, p| {
        let made = hub.provision(&p, "i-1", "ok", sync()).await;
        assert_eq!(made.status, 201, "{made:?}");
        assert_eq!(world.faults.instances().len(), 1);
        assert_ne!(world.faults.instances()[0].id, "i-1", "the backend gets Bourse's own id");

        assert_eq!(hub.provision(&p, "i-1", "ok", sync()).await.status, 200, "PRV-08");
        let other = hub.provision(&p, "i-1", "ok", sync().with(json!({"x": 1}))).await;
        assert_eq!(other.status, 409, "PRV-10");

        let bound = hub.bind(&p, ("i-1", "b-1"), "ok", sync()).await;
        assert_eq!(bound.status, 201, "{bound:?}");
        let again = hub.bind(&p, ("i-1", "b-1"), "ok", sync()).await;
        assert_eq!((again.status, &again.body["credentials"]), (200, &bound.body["credentials"]), "BND-08");

        assert_eq!(hub.delete(&p, "i-1/service_bindings/b-1", "ok", false).await.status, 200);
        assert_eq!(hub.delete(&p, "i-1/service_bindings/b-1", "ok", false).await.status, 410, "UNB-04");
        assert_eq!(hub.delete(&p, "i-1", "ok", false).await.status, 200);
        assert_eq!(hub.delete(&p, "i-1", "ok", false).await.status, 410, "DEP-05");
        assert_eq!(world.faults.instances().len(), 0);
        assert_eq!(
            hub.event_types().await,
            [
                "instance.requested",
                "instance.provisioned",
                "binding.created",
                "binding.deleted",
                "instance.deprovisioned"
            ]
        );
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_asynchronous_order_becomes_ready_by_itself() {
    on_both(async |world, hub, p| {
        let made = hub.provision(&p, "i-1", "async", polling()).await;
        assert_eq!(made.status, 202, "{made:?}");
        let again = hub.provision(&p, "i-1", "async", polling()).await;
        assert_eq!((again.status, &again.body["operation"]), (202, &made.body["operation"]), "ASY-04");
        // Nobody polls: the hub finds out by itself.
        wait_until("the instance to be ready", BOUND, async || {
            let reply = hub.admin(Method::GET, "/api/v1/instances?state=ready", None).await;
            reply.body["items"].as_array().is_some_and(|items| items.len() == 1)
        })
        .await;
        assert_eq!(hub.outcome(&p, "i-1").await, "succeeded");
        assert_eq!(hub.delete(&p, "i-1", "async", true).await.status, 202);
        assert_eq!(hub.outcome(&p, "i-1").await, "succeeded", "AMB-03");
        assert_eq!(world.faults.instances().len(), 0);
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn asy_01_a_broker_that_needs_polling_says_so() {
    on_both(async |_, hub, p| {
        let refused = hub.provision(&p, "i-1", "async-required", sync()).await;
        assert_eq!((refused.status, refused.body["error"].as_str()), (422, Some("AsyncRequired")));
        assert_eq!(hub.last_operation(&p, "i-1").await.status, 404, "nothing is left to see");
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn om_15_what_a_broker_refuses_leaves_nothing() {
    on_both(async |world, hub, p| {
        let refused = hub.provision(&p, "i-1", "rejects", sync()).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.body["description"].as_str().is_some_and(|text| !text.is_empty()));
        assert_eq!(hub.delete(&p, "i-1", "rejects", false).await.status, 410);
        assert_eq!(hub.provision(&p, "i-1", "ok", sync()).await.status, 201, "the id may be used again");
        assert_eq!(world.faults.instances().len(), 1);
        hub.stop().await;
    })
    .await;
}

/// A plan that creates and then gives no usable answer: whoever cannot poll is told so, and nothing is left.
async fn check_undone(plan: &str, status: u16) {
    on_both(async |world, hub, p| {
        if status == 504 {
            hub.loses_patience().await;
        }
        let reply = hub.provision(&p, "i-1", plan, sync().with(json!({"takes_effect": true}))).await;
        assert_eq!(reply.status, status, "{plan}: {reply:?}");
        wait_until("the clean-up", BOUND, async || {
            world.clock.advance(std::time::Duration::from_secs(5));
            let reply = hub.admin(Method::GET, "/api/v1/operations?state=in_progress", None).await;
            reply.body["items"] == json!([])
        })
        .await;
        assert_eq!(world.faults.instances().len(), 0, "{plan}");
        let deleted = world.faults.calls().iter().filter(|call| call.method == "DELETE").count();
        assert!(deleted >= 1, "{plan}: what it made was not deleted");
        assert_eq!(hub.last_operation(&p, "i-1").await.body["state"], "failed");
        assert_eq!(hub.delete(&p, "i-1", plan, false).await.status, 200, "once");
        assert_eq!(hub.delete(&p, "i-1", plan, false).await.status, 410);
        assert_eq!(hub.event_types().await, ["instance.requested", "instance.failed"], "{plan}");
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn om_16_a_500_is_undone() {
    check_undone("fails-500", 502).await;
}

#[tokio::test]
async fn om_19_a_dropped_connection_is_undone() {
    check_undone("drops-connection", 502).await;
}

#[tokio::test]
async fn om_06_garbage_is_undone() {
    check_undone("garbage", 502).await;
}

#[tokio::test]
async fn om_11_a_wrong_status_is_undone() {
    check_undone("wrong-status", 502).await;
}

#[tokio::test]
async fn om_19_a_timeout_is_undone() {
    check_undone("times-out-after-creating", 504).await;
}

/// A plan that creates and then gives no usable answer: whoever polls gets 202, and the hub finds the instance.
async fn check_adopted(plan: &str) {
    on_both(async |world, hub, p| {
        if plan == "times-out-after-creating" {
            hub.loses_patience().await;
        }
        let reply = hub.provision(&p, "i-1", plan, polling()).await;
        assert_eq!(reply.status, 202, "{plan}: {reply:?}");
        assert_eq!(hub.outcome(&p, "i-1").await, "succeeded", "{plan}");
        assert_eq!(world.faults.instances().len(), 1, "{plan}");
        assert_eq!(
            hub.event_types().await,
            ["instance.requested", "instance.unresolved", "instance.provisioned"],
            "{plan}"
        );
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn an_unknown_outcome_is_resolved_after_a_dropped_connection() {
    check_adopted("drops-connection").await;
}

#[tokio::test]
async fn an_unknown_outcome_is_resolved_after_a_timeout() {
    check_adopted("times-out-after-creating").await;
}

#[tokio::test]
async fn an_order_that_always_fails_ends_as_failed() {
    on_both(async |world, hub, p| {
        assert_eq!(hub.provision(&p, "i-1", "fails-500", polling()).await.status, 202);
        wait_until("the end", BOUND, async || {
            world.clock.advance(std::time::Duration::from_secs(5));
            hub.last_operation(&p, "i-1").await.body["state"] == "failed"
        })
        .await;
        assert_eq!(world.faults.instances().len(), 0);
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn rule_42_bindings_go_before_their_instance() {
    on_both(async |world, hub, p| {
        assert_eq!(hub.provision(&p, "i-1", "ok", sync()).await.status, 201);
        for binding in ["b-1", "b-2"] {
            assert_eq!(hub.bind(&p, ("i-1", binding), "ok", sync()).await.status, 201);
        }
        assert_eq!(hub.delete(&p, "i-1", "ok", false).await.status, 200);
        assert_eq!((world.faults.instances().len(), world.faults.bindings().len()), (0, 0));
        let events = hub.event_types().await;
        assert_eq!(events[4..], ["binding.deleted", "binding.deleted", "instance.deprovisioned"]);
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn platforms_do_not_see_one_another() {
    on_both(async |world, hub, p| {
        let q = hub.platform("q", "other").await;
        assert_eq!(hub.provision(&p, "i-1", "ok", sync()).await.status, 201);
        assert_eq!(hub.delete(&q, "i-1", "ok", false).await.status, 410);
        assert_eq!(hub.provision(&q, "i-1", "ok", sync().with(json!({"x": 1}))).await.status, 201, "its own id");
        assert_eq!(world.faults.instances().len(), 2);
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_purge_tells_of_each_binding_and_of_the_instance_and_calls_nobody() {
    on_both(async |world, hub, p| {
        assert_eq!(hub.provision(&p, "i-1", "ok", sync()).await.status, 201);
        for binding in ["b-1", "b-2"] {
            assert_eq!(hub.bind(&p, ("i-1", binding), "ok", sync()).await.status, 201);
        }
        let listed = hub.admin(Method::GET, "/api/v1/instances", None).await;
        let id = listed.body["items"][0]["id"].as_str().expect("an id").to_owned();
        let calls = world.faults.calls().len();
        let path = format!("/api/v1/instances/{id}/purge");
        assert_eq!(hub.admin(Method::POST, &path, Some(json!({"reason": " "}))).await.status, 422);
        let purged = hub.admin(Method::POST, &path, Some(json!({"reason": "the broker burnt down"}))).await;
        assert_eq!((purged.status, purged.body["state"].as_str()), (200, Some("gone")), "{purged:?}");
        assert_eq!(world.faults.calls().len(), calls);
        let events = hub.event_types().await;
        assert_eq!(events[4..], ["binding.deleted", "binding.deleted", "instance.deprovisioned"]);
        assert_eq!(hub.delete(&p, "i-1", "ok", false).await.status, 410);
        assert_eq!(hub.provision(&p, "i-1", "ok", sync()).await.status, 201, "the id may be used again");
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_persons_order_that_names_what_stands_already_changes_nothing() {
    on_both(async |world, hub, _| {
        let path = "/api/v1/tenants/retail/instances/mine";
        let order = |parameters| Some(json!({"offering": "faults", "plan": "ok", "parameters": parameters}));
        assert_eq!(hub.admin(Method::PUT, path, order(json!({"a": 1, "b": 2}))).await.status, 201);
        let calls = world.faults.calls().len();
        for same in [json!({"a": 1, "b": 2}), json!({"b": 2}), json!({})] {
            let reply = hub.admin(Method::PUT, path, order(same)).await;
            assert_eq!((reply.status, reply.body["state"].as_str()), (200, Some("ready")), "{reply:?}");
        }
        assert_eq!(world.faults.calls().len(), calls);
        assert_eq!(hub.admin(Method::PUT, path, order(json!({"a": 3}))).await.status, 200);
        assert_eq!(world.faults.calls().len(), calls + 1, "a change is sent");
        assert_eq!(hub.admin(Method::DELETE, path, None).await.status, 204);
        assert_eq!(hub.admin(Method::GET, path, None).await.status, 404);
        hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_ordered_for_a_tenant_that_is_being_deleted() {
    const LEFT: &str = "select count(*) as instances from instances i join tenants t on t.id = i.tenant_id \
        where t.deleted_at is not null and i.gone_at is null";
    on_both(async |_, hub, _| {
        for round in 0..6 {
            let tenant = format!("/api/v1/tenants/short-{round}");
            let made = hub.admin(Method::PUT, &tenant, Some(json!({"display_name": "Short"}))).await;
            assert_eq!(made.status, 201);
            let orders =
                (0..8).map(|number| {
                    let path = format!("{tenant}/instances/i-{number}");
                    let hub = &hub;
                    async move {
                        hub.admin(Method::PUT, &path, Some(json!({"offering": "faults", "plan": "ok"}))).await.status
                    }
                });
            let (ordered, deleted) = futures_util::future::join(
                futures_util::future::join_all(orders),
                hub.admin(Method::DELETE, &tenant, None),
            )
            .await;
            assert!(ordered.iter().all(|status| matches!(status, 201 | 404 | 422)), "{ordered:?}");
            assert!(matches!(deleted.status, 204 | 409), "{deleted:?}");
        }
        let left: i64 = hub
            .db
            .read(|tx| {
                Box::pin(async move {
                    let row = tx.fetch_optional(sqlx::query(LEFT)).await?.expect("a row");
                    bourse::store::db::column(&row, "instances")
                })
            })
            .await
            .map_err(|error: bourse::store::Error| error.to_string())
            .expect("a count");
        assert_eq!(left, 0, "instances of deleted tenants");
        hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_ordered_of_a_broker_that_is_being_deleted() {
    on_both(async |world, hub, _| {
        for round in 0..6 {
            let orders = (0..8).map(|number| {
                let path = format!("/api/v1/tenants/retail/instances/i-{round}-{number}");
                let hub = &hub;
                async move {
                    let order = Some(json!({"offering": "faults", "plan": "ok"}));
                    (hub.admin(Method::PUT, &path, order).await.status, path)
                }
            });
            let (ordered, deleted) = futures_util::future::join(
                futures_util::future::join_all(orders),
                hub.admin(Method::DELETE, "/api/v1/brokers/faults", None),
            )
            .await;
            // 400 and 404: the offering is gone already. 422: it went while the order was written.
            assert!(ordered.iter().all(|(status, _)| matches!(status, 201 | 400 | 404 | 422)), "{ordered:?}");
            assert!(matches!(deleted.status, 204 | 409), "{deleted:?}");
            let made = ordered.iter().filter(|(status, _)| *status == 201);
            if deleted.status == 204 {
                assert_eq!((made.count(), world.faults.instances().len()), (0, 0), "nothing is left behind");
                world.register(&hub, json!({})).await;
            } else {
                for (_, path) in made {
                    assert_eq!(hub.admin(Method::DELETE, path, None).await.status, 204);
                }
            }
        }
        // The same when the catalog that this process has in memory is older than the deletion.
        const DELETE: &str = "update brokers set deleted_at = 1 where name = 'faults' and deleted_at is null";
        let path = "/api/v1/tenants/retail/instances/too-late";
        let deleted = hub.db.write(|tx| Box::pin(async move { tx.execute(sqlx::query(DELETE)).await })).await;
        assert_eq!(deleted.map_err(|error: bourse::store::Error| format!("{error:?}")), Ok(1));
        let calls = world.faults.calls().len();
        let refused = hub.admin(Method::PUT, path, Some(json!({"offering": "faults", "plan": "ok"}))).await;
        assert_eq!((refused.status, refused.body["code"].as_str()), (422, Some("deleted")), "{refused:?}");
        assert_eq!(world.faults.calls().len(), calls);
        hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn of_more_than_a_thousand_operations_the_latest_are_shown() {
    // As many updates as are needed, written as the hub writes them: each a copy of the first operation.
    const MORE: &str = "insert into operations (id, kind, state, phase, instance_id, broker_id, accepts_incomplete, told, \
        maybe_sent, request, attempts, give_up_at, next_at, correlation_id, actor, created_at, finished_at) \
        with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < 1001) \
        select 'update-' || cast(n as text), 'update', state, phase, instance_id, broker_id, accepts_incomplete, told, \
        maybe_sent, request, attempts, give_up_at, next_at, correlation_id, actor, created_at + n, finished_at \
        from operations cross join numbers where kind = 'provision'";
    on_both(async |_, hub, p| {
        assert_eq!(hub.provision(&p, "i-1", "ok", sync()).await.status, 201);
        let listed = hub.admin(Method::GET, "/api/v1/instances", None).await;
        let path = format!("/api/v1/instances/{}", listed.body["items"][0]["id"].as_str().expect("an id"));
        let copied = hub.db.write(|tx| Box::pin(async move { tx.execute(sqlx::query(MORE)).await })).await;
        assert_eq!(copied.map_err(|error: bourse::store::Error| format!("{error:?}")), Ok(1001));
        let shown = hub.admin(Method::GET, &path, None).await;
        let operations = shown.body["operations"].as_array().expect("operations");
        let ids = [&operations[0]["id"], &operations[operations.len() - 1]["id"]];
        assert_eq!((operations.len(), ids), (1000, [&json!("update-2"), &json!("update-1001")]));
        hub.stop().await;
    })
    .await;
}
