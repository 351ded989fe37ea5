//! Taking a tenant down: what stands in the way, the order of deletions, failures, and calling it off.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::on_both;
use crate::references;
use crate::support::bare::on_each;
use crate::support::bench::Bench;
use crate::support::hub::{BOUND, sync};
use crate::support::recorder::Recorder;
use crate::support::wait::wait_until;

#[tokio::test]
async fn what_stands_in_the_way_is_told_and_a_dry_run_changes_nothing() {
    on_both(async |s| {
        assert_eq!(s.order("db", "ok", json!({})).await.status, 201);
        let bind = s.admin(Method::PUT, "tenants/shop/instances/db/bindings/b", Some(json!({}))).await;
        assert_eq!(bind.status, 201, "{bind:?}");
        let slow = s.order("slow", "async-slow", json!({"delay_ms": 600_000})).await;
        assert_eq!(slow.status, 202, "{slow:?}");
        assert_eq!(s.admin(Method::PUT, "approval-rules/all", Some(json!({}))).await.status, 201);
        assert_eq!(s.order("waiting", "ok", json!({})).await.status, 202);
        let plan = s.offboard(json!({"dry_run": true})).await;
        assert_eq!((plan.status, &plan.body["state"]), (200, &json!("planned")), "{plan:?}");
        let left = json!({"instances": 3, "bindings": 1, "operations": 2, "approvals": 1});
        assert_eq!(plan.body["left"], left, "{plan:?}");
        assert_eq!(plan.body["open_months"].as_array().map(Vec::len), Some(1), "{plan:?}");
        let states: Vec<_> = plan.body["instances"].as_array().expect("a list").iter().map(|i| &i["state"]).collect();
        assert_eq!(states, ["ready", "provisioning", "waiting_approval"]);
        assert_eq!(s.admin(Method::GET, "tenants/shop/offboard", None).await.status, 404);
        assert_eq!(s.admin(Method::GET, "tenants/shop", None).await.body.get("suspended"), None);
        // A default tenant has to make way first.
        let plan = s.admin(Method::POST, "tenants/retail/offboard", Some(json!({"dry_run": true}))).await;
        assert_eq!(plan.body["default_tenant_of"], "p");
        let refused = s.admin(Method::POST, "tenants/retail/offboard", Some(json!({}))).await;
        assert_eq!((refused.status, &refused.body["code"]), (409, &json!("in_use")), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn a_tenant_is_taken_down_with_all_that_it_has_and_every_deletion_is_an_event() {
    on_both(async |s| {
        for name in ["one", "two", "three"] {
            assert_eq!(s.order(name, "ok", json!({})).await.status, 201);
        }
        assert_eq!(s.order("slow", "async", json!({})).await.status, 202);
        let (service_id, plan_id) = s.hub.ids("ok");
        let body = json!({
            "service_id": service_id, "plan_id": plan_id, "organization_guid": "shop", "space_guid": "s",
        });
        let other = s.hub.osb(&s.p, Method::PUT, "/v2/service_instances/i", Some(body)).await;
        assert_eq!(other.status, 201, "ordered by a platform: {other:?}");
        let bind = s.admin(Method::PUT, "tenants/shop/instances/one/bindings/b", Some(json!({}))).await;
        assert_eq!(bind.status, 201, "{bind:?}");
        assert_eq!(s.hub.provision(&s.p, "stays", "ok", sync()).await.status, 201);
        assert_eq!(s.offboard(json!({"reason": "the shop closes"})).await.status, 200);
        let refused = s.order("four", "ok", json!({})).await;
        assert!(matches!(refused.status, 404 | 422), "{refused:?}");
        let done = s.progress("the tenant to be down", |told| told["state"] == "done").await;
        assert_eq!(done["left"]["instances"], 0);
        assert_eq!(s.admin(Method::GET, "tenants/shop", None).await.status, 404);
        assert_eq!(s.world.faults.instances().len(), 1, "another tenant's instance stays");
        assert!(s.world.faults.bindings().is_empty());
        let kinds = s.hub.event_types().await;
        let count = |kind: &str| kinds.iter().filter(|known| known.as_str() == kind).count();
        assert_eq!((count("instance.deprovisioned"), count("binding.deleted")), (5, 1), "{kinds:?}");
        // The name is free, and has nothing to do with the one that was there.
        let tenant = json!({"display_name": "Shop"});
        assert_eq!(s.admin(Method::PUT, "tenants/shop", Some(tenant)).await.status, 201);
        assert_eq!(s.order("new", "ok", json!({})).await.status, 201);
    })
    .await;
}

#[tokio::test]
async fn what_others_depend_on_goes_after_them() {
    on_each(async |on| {
        let b = Bench::new(on).await;
        let related = Recorder::start(&references::catalog());
        b.register("related", &related, json!({})).await;
        let tenant = json!({"display_name": "Shop"});
        assert_eq!(b.hub.admin(Method::PUT, "/api/v1/tenants/shop", Some(tenant)).await.status, 201);
        let mut ids = Vec::new();
        for (name, offering, parameters) in [
            ("net", "network", json!({})),
            ("first", "cluster", json!({"network": "net"})),
            ("second", "cluster", json!({"any": "first"})),
        ] {
            let body = json!({"offering": offering, "plan": "one", "parameters": parameters});
            let path = format!("/api/v1/tenants/shop/instances/{name}");
            let reply = b.hub.admin(Method::PUT, &path, Some(body)).await;
            assert_eq!(reply.status, 201, "{reply:?}");
            ids.push(reply.body["id"].as_str().expect("an id").to_owned());
        }
        let plan = b.hub.admin(Method::POST, "/api/v1/tenants/shop/offboard", Some(json!({"dry_run": true}))).await;
        let dependents: Vec<_> =
            plan.body["instances"].as_array().expect("a list").iter().map(|one| one["dependents"].clone()).collect();
        assert_eq!(dependents, [1, 1, 0]);
        assert_eq!(b.hub.admin(Method::POST, "/api/v1/tenants/shop/offboard", Some(json!({}))).await.status, 200);
        wait_until("the tenant to be gone", BOUND, async || {
            b.hub.admin(Method::GET, "/api/v1/tenants/shop", None).await.status == 404
        })
        .await;
        let deleted: Vec<String> =
            related.seen().into_iter().filter(|seen| seen.method == "DELETE").map(|seen| seen.instance_id()).collect();
        ids.reverse();
        assert_eq!(deleted, ids, "dependents first, each once");
        b.hub.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_deletion_that_fails_is_shown_and_tried_again_until_it_is_done() {
    on_both(async |s| {
        let stubborn = json!({"fail_on": ["deprovision"], "times": 2});
        assert_eq!(s.order("stubborn", "rejects", stubborn).await.status, 201);
        assert_eq!(s.order("easy", "ok", json!({})).await.status, 201);
        assert_eq!(s.offboard(json!({})).await.status, 200);
        let of = |told: &Value| told["instances"].as_array().and_then(|list| list.first().cloned()).unwrap_or_default();
        let shown = s.progress("a failure to be shown", |told| of(told)["attempts"] == 1).await;
        assert!(of(&shown)["error"].as_str().is_some_and(|said| !said.is_empty()), "{shown}");
        assert_eq!(shown["state"], "running");
        wait_until("the other one to be gone", BOUND, async || s.world.faults.instances().len() == 1).await;
        s.world.clock.advance(Duration::from_secs(60));
        s.progress("the second failure", |told| of(told)["attempts"] == 2 || told["state"] == "done").await;
        s.world.clock.advance(Duration::from_secs(60));
        s.progress("the tenant to be down", |told| told["state"] == "done").await;
        assert!(s.world.faults.instances().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_off_boarding_is_called_off_and_leaves_the_tenant_suspended() {
    on_both(async |s| {
        let stubborn = json!({"fail_on": ["deprovision"], "times": 1_000_000});
        assert_eq!(s.order("stubborn", "rejects", stubborn).await.status, 201);
        assert_eq!(s.offboard(json!({})).await.status, 200);
        assert_eq!(s.offboard(json!({})).await.status, 200, "said again, it changes nothing");
        let refused = s.admin(Method::POST, "tenants/shop/resume", None).await;
        assert_eq!((refused.status, &refused.body["code"]), (409, &json!("offboarding")), "{refused:?}");
        assert_eq!(s.admin(Method::DELETE, "tenants/shop/offboard", None).await.status, 204);
        assert_eq!(s.admin(Method::DELETE, "tenants/shop/offboard", None).await.status, 404);
        assert_eq!(s.admin(Method::GET, "tenants/shop/offboard", None).await.body["state"], "cancelled");
        assert_eq!(s.order("two", "ok", json!({})).await.status, 422);
        assert_eq!(s.admin(Method::POST, "tenants/shop/resume", None).await.status, 200);
        assert_eq!(s.order("two", "ok", json!({})).await.status, 201);
    })
    .await;
}

#[tokio::test]
async fn a_policy_against_deletions_is_shown_and_holds_up_no_off_boarding() {
    on_both(async |s| {
        assert_eq!(s.order("kept", "ok", json!({"keep": true})).await.status, 201);
        let text = "@remedy(\"ask\") forbid(principal, action == Bourse::Action::\"delete\", resource) \
            when { context.parameters has keep && context.parameters.keep == true };";
        let policy = json!({"text": text, "mode": "enforce"});
        assert_eq!(s.admin(Method::PUT, "policies/keep", Some(policy)).await.status, 201);
        let refused = s.admin(Method::DELETE, "tenants/shop/instances/kept", None).await;
        assert_eq!((refused.status, &refused.body["code"]), (422, &json!("policy")), "{refused:?}");
        assert_eq!(s.world.faults.instances().len(), 1);
        let plan = s.offboard(json!({"dry_run": true})).await;
        assert_eq!(plan.body["instances"][0]["policies"], json!(["keep"]), "{plan:?}");
        assert_eq!(s.offboard(json!({})).await.status, 200);
        s.progress("the tenant to be down", |told| told["state"] == "done").await;
        assert!(s.world.faults.instances().is_empty());
    })
    .await;
}

#[tokio::test]
async fn slow_deletions_hold_up_no_other_one() {
    /// More than are begun in one round.
    const SLOW: usize = 70;
    on_both(async |s| {
        let slow = json!({"fail_on": ["deprovision"], "delay_ms": 600_000});
        let names: Vec<_> = (0..SLOW).map(|number| format!("slow-{number}")).collect();
        let made = futures_util::future::join_all(names.iter().map(|name| s.order(name, "async-slow", slow.clone())));
        assert!(made.await.iter().all(|reply| matches!(reply.status, 201 | 202)));
        assert_eq!(s.order("last", "ok", json!({})).await.status, 201);
        assert_eq!(s.offboard(json!({})).await.status, 200);
        wait_until("the last one to be gone", BOUND, async || s.world.faults.instances().len() == SLOW).await;
        let shown = s.progress("all to be begun", |told| {
            let begun = |one: &Value| one["state"] == "deprovisioning";
            told["instances"].as_array().is_some_and(|left| left.len() == SLOW && left.iter().all(begun))
        });
        assert_eq!(shown.await["state"], "running");
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_this_hub_cannot_handle_is_shown_and_holds_up_no_other_one() {
    on_both(async |s| {
        let broken = s.order("broken", "ok", json!({})).await;
        assert_eq!(s.order("fine", "ok", json!({})).await.status, 201);
        let id = broken.body["id"].as_str().expect("an id").to_owned();
        let say = async |word: &'static str| {
            let sql = "update operations set state = $1 where instance_id = $2";
            let id = id.clone();
            let said = s.hub.db.write::<_, bourse::store::Error, _>(move |tx| {
                let id = id.clone();
                Box::pin(async move { tx.execute(sqlx::query(sql).bind(word).bind(id)).await })
            });
            assert_eq!(said.await.expect("written"), 1);
        };
        say("nonsense").await;
        assert_eq!(s.offboard(json!({})).await.status, 200);
        let of = |told: &Value| told["instances"].as_array().and_then(|list| list.first().cloned()).unwrap_or_default();
        let shown = s.progress("it to be shown", |told| of(told)["attempts"] == 1 && told["left"]["instances"] == 1);
        let shown = shown.await;
        assert!(of(&shown)["error"].as_str().is_some_and(|said| said.contains("could not do it")), "{shown}");
        say("succeeded").await;
        s.world.clock.advance(Duration::from_secs(60));
        s.progress("the tenant to be down", |told| told["state"] == "done").await;
    })
    .await;
}
