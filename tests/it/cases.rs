//! Cases: where the hub charges for what its broker does not have, or the broker has what the hub does not charge for.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::on_each;
use crate::support::hub::request;
use crate::support::ledger::Ledger;

async fn cases(ledger: &Ledger, query: &str) -> Vec<(String, String)> {
    let reply = ledger.hub.admin(Method::GET, &format!("/api/v1/billing-cases?{query}"), None).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = reply.body["items"].as_array().expect("items");
    items.iter().map(|case| (text(&case["kind"]), text(&case["instance_id"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_broker_does_not_know_is_a_leak_until_it_is_purged() {
    on_each(async |on| {
        let ledger = Ledger::new(on).await;
        let order = async |name: &str| {
            let path = format!("/api/v1/tenants/retail/instances/{name}");
            let reply = ledger.hub.admin(Method::PUT, &path, Some(json!({"offering": "faults", "plan": "ok"}))).await;
            assert_eq!(reply.status, 201, "{reply:?}");
            reply.body["id"].as_str().expect("an id").to_owned()
        };
        let (lost, _there) = (order("lost").await, order("there").await);
        let round = ledger.hub.app.reconcile().await.expect("no round");
        assert_eq!((round.asked, round.opened), (2, 0));
        // Somebody deletes it at the broker, behind the hub's back.
        let (service, plan) = (bourse_brokers::faults::plan::SERVICE_ID, bourse_brokers::faults::plan::plan_id("ok"));
        let url = format!(
            "{}/v2/service_instances/{lost}?service_id={service}&plan_id={}",
            ledger.world.broker_url(),
            plan.expect("a plan")
        );
        assert_eq!(request(Method::DELETE, &url, Some(("hub", "secret")), None).await.status, 200);
        for opened in [1, 0] {
            let round = ledger.hub.app.reconcile().await.expect("no round");
            assert_eq!((round.asked, round.opened), (2, opened), "a case is opened once");
        }
        assert_eq!(cases(&ledger, "state=open&kind=leak").await, [("leak".to_owned(), lost.clone())]);
        let purge = format!("/api/v1/instances/{lost}/purge");
        let purged = ledger.hub.admin(Method::POST, &purge, Some(json!({"reason": "it is not there"}))).await;
        assert_eq!(purged.status, 200, "{purged:?}");
        ledger.hub.app.reconcile().await.expect("no round");
        assert!(cases(&ledger, "state=open").await.is_empty());
        assert_eq!(cases(&ledger, &format!("state=closed&instance={lost}")).await.len(), 1);
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_forgotten_while_its_broker_has_it_is_a_ghost() {
    on_each(async |on| {
        let ledger = Ledger::new(on).await;
        let path = "/api/v1/tenants/retail/instances/one";
        let made = ledger.hub.admin(Method::PUT, path, Some(json!({"offering": "faults", "plan": "ok"}))).await;
        let id = made.body["id"].as_str().expect("an id");
        let purge = format!("/api/v1/instances/{id}/purge");
        let purged = ledger.hub.admin(Method::POST, &purge, Some(json!({"reason": "we took it for lost"}))).await;
        assert_eq!(purged.status, 200, "{purged:?}");
        assert_eq!(ledger.hub.app.reconcile().await.expect("no round").opened, 1);
        assert_eq!(cases(&ledger, "state=open").await, [("ghost".to_owned(), id.to_owned())]);
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_does_not_answer_is_no_reason_for_a_case() {
    on_each(async |on| {
        let mut ledger = Ledger::new(on).await;
        let path = "/api/v1/tenants/retail/instances/one";
        let made = ledger.hub.admin(Method::PUT, path, Some(json!({"offering": "faults", "plan": "ok"}))).await;
        assert_eq!(made.status, 201, "{made:?}");
        ledger.world.stop_broker().await;
        let round = ledger.hub.app.reconcile().await.expect("no round");
        assert_eq!((round.asked, round.opened), (1, 0));
        assert!(cases(&ledger, "").await.is_empty());
        ledger.hub.stop().await;
    })
    .await;
}
