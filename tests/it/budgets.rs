//! Budgets: what is told at a threshold, and what happens to orders once nothing is left.

use reqwest::Method;
use serde_json::{Value, json};

use crate::statements::rules;
use crate::support::bare::on_each;
use crate::support::hub::{Reply, polling, sync};
use crate::support::ledger::Ledger;

async fn put(ledger: &Ledger, name: &str, more: Value) -> Reply {
    let mut body = json!({"amount": "10", "currency": "EUR"});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    ledger.hub.admin(Method::PUT, &format!("/api/v1/budgets/{name}"), Some(body)).await
}

/// What was told: budget, month, threshold.
async fn told(ledger: &Ledger) -> Vec<[String; 3]> {
    ledger.hub.app.watch_budgets().await.expect("not watched");
    ledger.hub.app.number_events().await.expect("could not number");
    let path = "/api/v1/events?limit=1000&type=io.bourse.budget.threshold";
    let reply = ledger.hub.admin(Method::GET, path, None).await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = reply.body["items"].as_array().expect("items");
    let fields = ["budget", "period", "threshold"];
    items.iter().map(|event| fields.map(|field| text(&event["data"][field]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_is_told_once_in_a_month() {
    on_each(async |on| {
        let ledger = Ledger::new(on).await;
        ledger.book(rules()).await;
        let (month, next) = (ledger.month, ledger.month.next());
        ledger.instance("retail", "one", ledger.day(month, 1)).await;
        let reply = put(&ledger, "shop", json!({"tenant": "retail", "thresholds": ["50", "80", "100"]})).await;
        assert_eq!((reply.status, &reply.body["action"]), (201, &json!("notify")), "{reply:?}");
        let by_center = json!({"cost_center": "4711", "thresholds": ["60"]});
        assert_eq!(put(&ledger, "center", by_center.clone()).await.status, 201);
        assert!(told(&ledger).await.is_empty());
        ledger.go_to(ledger.day(month, 7));
        let word = |budget: &str, month: bourse::domain::period::Month, threshold: &str| {
            [budget.to_owned(), month.to_string(), threshold.to_owned()]
        };
        let first = vec![word("center", month, "60"), word("shop", month, "50")];
        assert_eq!(told(&ledger).await, first);
        assert_eq!(put(&ledger, "center", by_center).await.status, 200, "the same again changes nothing");
        assert_eq!(told(&ledger).await, first);
        ledger.go_to(ledger.day(month, 20));
        assert_eq!(told(&ledger).await.len(), 4, "80 and 100 of the shop's");
        let shown = ledger.hub.admin(Method::GET, "/api/v1/budgets/shop", None).await.body;
        assert_eq!(shown["now"]["told"].as_array().map(Vec::len), Some(3), "{shown}");
        assert!(shown["now"]["spent"].as_str().is_some_and(|spent| spent.starts_with("19.0")), "{shown}");
        ledger.go_to(ledger.day(next, 7));
        let all = told(&ledger).await;
        assert_eq!(all.len(), 6, "{all:?}");
        assert!(all[4..].contains(&word("center", next, "60")) && all[4..].contains(&word("shop", next, "50")));
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_blocks_refuses_orders_and_changes_of_plan_once_it_is_spent() {
    on_each(async |on| {
        let ledger = Ledger::new(on).await;
        ledger.book(rules()).await;
        let month = ledger.month;
        let platform = ledger.hub.platform("q", "other").await;
        ledger.instance("retail", "one", ledger.day(month, 1)).await;
        assert_eq!(put(&ledger, "shop", json!({"tenant": "retail", "action": "block"})).await.status, 201);
        ledger.go_to(ledger.day(month, 2));
        assert_eq!(ledger.hub.provision(&platform, "i1", "ok", sync()).await.status, 201, "nothing is spent yet");
        ledger.go_to(ledger.day(month, 12));
        let refused = ledger.hub.provision(&platform, "i2", "ok", sync()).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.body["description"].as_str().is_some_and(|text| text.contains("`shop`")), "{refused:?}");
        let order = |plan: &str| Some(json!({"offering": "faults", "plan": plan}));
        let path = |name: &str| format!("/api/v1/tenants/retail/instances/{name}");
        let refused = ledger.hub.admin(Method::PUT, &path("two"), order("ok")).await;
        assert_eq!((refused.status, &refused.body["code"]), (422, &json!("budget_spent")), "{refused:?}");
        let refused = ledger.hub.admin(Method::PUT, &path("one"), order("async")).await;
        assert_eq!((refused.status, &refused.body["code"]), (422, &json!("budget_spent")), "{refused:?}");
        assert_eq!(ledger.hub.admin(Method::PUT, &path("one"), order("ok")).await.status, 200, "it stands so already");
        ledger.tenant("lab", json!({})).await;
        let other = "/api/v1/tenants/lab/instances/one";
        assert_eq!(ledger.hub.admin(Method::PUT, other, order("ok")).await.status, 201, "it is retail's budget");
        assert_eq!(
            put(&ledger, "shop", json!({"tenant": "retail", "action": "block", "amount": "99"})).await.status,
            200
        );
        assert_eq!(ledger.hub.admin(Method::PUT, &path("two"), order("ok")).await.status, 201, "there is more");
        assert_eq!(ledger.hub.delete(&platform, "i1", "ok", false).await.status, 200, "deletions are never held back");
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_requires_approval_lets_orders_wait_once_it_is_spent() {
    on_each(async |on| {
        let ledger = Ledger::new(on).await;
        ledger.book(rules()).await;
        let month = ledger.month;
        let platform = ledger.hub.platform("q", "other").await;
        ledger.instance("retail", "one", ledger.day(month, 1)).await;
        let wanted = json!({"tenant": "retail", "action": "require_approval"});
        assert_eq!(put(&ledger, "shop", wanted).await.status, 201);
        let catalog = ledger.hub.osb(&platform, Method::GET, "/v2/catalog", None).await.body;
        let longest = &catalog["services"][0]["plans"][0]["maximum_polling_duration"];
        assert!(longest.as_u64().is_some_and(|seconds| seconds >= 3 * 86_400), "platforms poll for so long: {longest}");
        ledger.go_to(ledger.day(month, 2));
        assert_eq!(ledger.hub.provision(&platform, "i1", "ok", sync()).await.status, 201, "nothing is spent yet");

        ledger.go_to(ledger.day(month, 12));
        let refused = ledger.hub.provision(&platform, "i2", "ok", sync()).await;
        assert_eq!((refused.status, &refused.body["error"]), (422, &json!("AsyncRequired")), "{refused:?}");
        assert_eq!(ledger.hub.provision(&platform, "i2", "ok", polling()).await.status, 202);
        let waits = ledger.hub.last_operation(&platform, "i2").await.body;
        assert_eq!(waits["state"], "in progress", "{waits}");
        assert!(waits["description"].as_str().is_some_and(|text| text.contains("shop")), "{waits}");
        let pending = ledger.hub.admin(Method::GET, "/api/v1/approvals?state=pending", None).await.body;
        let id = pending["items"][0]["id"].as_str().expect("an approval").to_owned();
        let path = format!("/api/v1/approvals/{id}/approve");
        let agreed = ledger.hub.admin(Method::POST, &path, Some(json!({"reason": "it is worth it"}))).await;
        assert_eq!((agreed.status, &agreed.body["state"]), (200, &json!("approved")), "{agreed:?}");
        assert_eq!(ledger.hub.outcome(&platform, "i2").await, "succeeded");
        ledger.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_budget_is_refused_and_a_deleted_one_is_gone() {
    on_each(async |on| {
        let ledger = Ledger::new(on).await;
        ledger.book(rules()).await;
        for (more, pointer) in [
            (json!({"tenant": "nobody"}), "/tenant"),
            (json!({}), ""),
            (json!({"tenant": "retail", "currency": "USD"}), "/currency"),
            (json!({"tenant": "retail", "cost_center": "4711"}), ""),
            (json!({"tenant": "retail", "amount": 5}), "/amount"),
        ] {
            let reply = put(&ledger, "shop", more.clone()).await;
            assert_eq!(
                (reply.status, &reply.body["errors"][0]["pointer"]),
                (422, &json!(pointer)),
                "{more}: {reply:?}"
            );
        }
        assert_eq!(put(&ledger, "shop", json!({"tenant": "retail"})).await.status, 201);
        let list = ledger.hub.admin(Method::GET, "/api/v1/budgets", None).await.body;
        assert_eq!(list["items"][0]["name"], "shop");
        let delete = async || ledger.hub.admin(Method::DELETE, "/api/v1/budgets/shop", None).await.status;
        assert_eq!((delete().await, delete().await), (204, 404));
        ledger.hub.stop().await;
    })
    .await;
}
