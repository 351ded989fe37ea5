//! A new instance, ordered by a plain client that only polls.

use reqwest::Method;
use serde_json::json;

use super::{DAY, on_both};
use crate::support::dump::spans;
use crate::support::hub::{BOUND, polling, sync};
use crate::support::wait::wait_until;

#[tokio::test]
async fn an_approved_order_goes_through_for_whoever_only_polls() {
    on_both(async |shop| {
        let (hub, p) = (&shop.hub, &shop.p);
        shop.rule("all", json!({"offering": "faults", "plan": "ok"})).await;
        let reply = hub.provision(p, "i-1", "ok", polling().with(json!({"size": 1}))).await;
        assert_eq!(reply.status, 202, "{reply:?}");
        let word = reply.body["operation"].as_str().expect("an operation").to_owned();
        let polled = hub.last_operation(p, "i-1").await;
        let told = polled.body["description"].as_str().unwrap_or_default();
        assert!(told.starts_with("waiting for approval"), "{polled:?}");
        assert_eq!((polled.body["state"].as_str(), polled.retry_after.as_deref()), (Some("in progress"), Some("15")));
        assert_eq!(shop.state("i-1").await, "waiting_approval");
        let operation = shop.operation("i-1").await;
        assert_eq!((&operation["phase"], &operation["state"]), (&json!("waiting_approval"), &json!("in_progress")));

        let pending = shop.pending().await;
        let fields = ["state", "tenant", "offering", "plan", "platform_instance_id", "kind", "requested_by"];
        let told: Vec<_> = fields.iter().map(|field| pending[*field].as_str().unwrap_or_default()).collect();
        assert_eq!(told, ["pending", "retail", "faults", "ok", "i-1", "provision", "platforms/p"]);
        assert_eq!(pending["causes"], json!([{"rule": "all"}]));
        assert!(shop.told().is_empty(), "the broker has heard of nothing");

        let decided = shop.decide("admin", &pending, "approve", "in the plan").await;
        assert_eq!((decided.status, &decided.body["state"]), (200, &json!("approved")), "{decided:?}");
        assert_eq!(
            (&decided.body["decided_by"], &decided.body["reason"]),
            (&json!("administrators/admin"), &json!("in the plan"))
        );
        assert_eq!(hub.outcome(p, "i-1").await, "succeeded");
        let again = hub.provision(p, "i-1", "ok", polling().with(json!({"size": 1}))).await;
        assert_eq!(again.status, 200, "{again:?}");
        assert_eq!(shop.told(), ["PUT"]);
        assert_eq!(
            shop.events().await,
            ["instance.requested", "approval.requested", "approval.decided", "instance.provisioned"]
        );
        assert!(spans(&hub.db).await.values().all(|spans| *spans == (1, 0)));
        let path = format!("/v2/service_instances/i-1/last_operation?operation={word}");
        assert_eq!(hub.osb(p, Method::GET, &path, None).await.body["state"], "succeeded");
    })
    .await;
}

#[tokio::test]
async fn an_order_whose_broker_takes_its_time_too_goes_through_days_later() {
    on_both(async |shop| {
        let (hub, p) = (&shop.hub, &shop.p);
        shop.rule("all", json!({"plan": "async"})).await;
        assert_eq!(hub.provision(p, "i-1", "async", polling().with(json!({"polls": 1}))).await.status, 202);
        shop.world.clock.advance(DAY * 2);
        assert_eq!(shop.decide("admin", &shop.pending().await, "approve", "").await.status, 200);
        assert_eq!(hub.outcome(p, "i-1").await, "succeeded");
        assert_eq!(shop.told(), ["PUT"]);
    })
    .await;
}

#[tokio::test]
async fn a_denied_order_fails_with_the_reason_and_the_broker_never_hears_of_it() {
    on_both(async |shop| {
        let (hub, p) = (&shop.hub, &shop.p);
        shop.rule("all", json!({"on": ["provision"]})).await;
        assert_eq!(hub.provision(p, "i-1", "async", polling()).await.status, 202);
        let denied = shop.decide("admin", &shop.pending().await, "deny", "use a small one").await;
        assert_eq!((denied.status, &denied.body["operation_state"]), (200, &json!("failed")), "{denied:?}");
        let polled = hub.last_operation(p, "i-1").await;
        let told = polled.body["description"].as_str().unwrap_or_default();
        assert_eq!(
            (polled.body["state"].as_str(), told.contains("use a small one")),
            (Some("failed"), true),
            "{polled:?}"
        );
        assert_eq!(shop.state("i-1").await, "failed");
        assert_eq!(hub.osb(p, Method::GET, "/v2/service_instances/i-1", None).await.status, 404);
        assert_eq!(hub.delete(p, "i-1", "async", true).await.status, 200, "once");
        assert_eq!(hub.delete(p, "i-1", "async", true).await.status, 410);
        assert!(shop.told().is_empty(), "{:?}", shop.told());
        assert!(spans(&hub.db).await.is_empty());
        let expected = ["instance.requested", "approval.requested", "approval.decided", "instance.failed"];
        assert_eq!(shop.events().await, expected);
        assert_eq!(hub.provision(p, "i-1", "async", polling()).await.status, 202, "a fresh order");
    })
    .await;
}

#[tokio::test]
async fn whoever_can_not_poll_is_told_so_and_nothing_is_written() {
    on_both(async |shop| {
        let (hub, p) = (&shop.hub, &shop.p);
        shop.rule("all", json!({})).await;
        let reply = hub.provision(p, "i-1", "ok", sync()).await;
        assert_eq!((reply.status, &reply.body["error"]), (422, &json!("AsyncRequired")), "{reply:?}");
        assert_eq!(hub.last_operation(p, "i-1").await.status, 404);
        assert!(shop.events().await.is_empty() && shop.approvals("pending").await.is_empty());
        assert_eq!(hub.provision(p, "i-1", "ok", polling()).await.status, 202);
        let joining = hub.provision(p, "i-1", "ok", sync()).await;
        assert_eq!((joining.status, &joining.body["error"]), (422, &json!("AsyncRequired")), "a repeat, too");
    })
    .await;
}

#[tokio::test]
async fn an_order_that_waits_is_like_any_order_in_progress_to_other_requests() {
    on_both(async |shop| {
        let (hub, p) = (&shop.hub, &shop.p);
        shop.rule("all", json!({})).await;
        let first = hub.provision(p, "i-1", "ok", polling()).await;
        let again = hub.provision(p, "i-1", "ok", polling()).await;
        assert_eq!((again.status, &again.body["operation"]), (202, &first.body["operation"]), "{again:?}");
        assert_eq!(hub.provision(p, "i-1", "ok", polling().with(json!({"x": 1}))).await.status, 409);
        assert_eq!(hub.provision(p, "i-1", "async", polling()).await.status, 409);
        let bound = hub.bind(p, ("i-1", "b-1"), "ok", polling()).await;
        assert_eq!((bound.status, &bound.body["error"]), (422, &json!("ConcurrencyError")), "{bound:?}");
        assert_eq!(hub.delete(p, "i-1/service_bindings/b-1", "ok", true).await.status, 410);
        let (service_id, plan_id) = hub.ids("ok");
        let change = json!({"service_id": service_id, "plan_id": plan_id, "parameters": {"x": 1}});
        let path = "/v2/service_instances/i-1?accepts_incomplete=true";
        let changed = hub.osb(p, Method::PATCH, path, Some(change)).await;
        assert_eq!((changed.status, &changed.body["error"]), (422, &json!("ConcurrencyError")), "{changed:?}");
        assert_eq!(hub.osb(p, Method::GET, "/v2/service_instances/i-1", None).await.status, 404);
        assert_eq!(shop.approvals("pending").await.len(), 1);
        wait_until("it to be numbered", BOUND, async || shop.events().await.len() == 2).await;
        assert!(shop.told().is_empty());
    })
    .await;
}
