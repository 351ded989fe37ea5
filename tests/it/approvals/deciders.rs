//! Who decides, and how often.

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::{decide, on_both};
use crate::support::hub::polling;

#[tokio::test]
async fn only_those_who_are_asked_decide_and_no_member_of_the_tenant_where_nobody_knows_who_ordered() {
    on_both(async |shop| {
        let (hub, p) = (&shop.hub, &shop.p);
        for name in ["ada", "mem", "zoe"] {
            shop.administrator(name).await;
        }
        let tenant = json!({"display_name": "Retail", "members": [{"user": "mem", "role": "owner"}]});
        assert_eq!(hub.admin(Method::PUT, "/api/v1/tenants/retail", Some(tenant)).await.status, 200);
        shop.rule("all", json!({"approvers": ["ada", "mem"]})).await;
        assert_eq!(hub.provision(p, "i-1", "ok", polling()).await.status, 202);
        let pending = shop.pending().await;
        for verb in ["approve", "deny"] {
            for name in ["zoe", "mem", "admin"] {
                let refused = shop.decide(name, &pending, verb, "").await;
                assert_eq!((refused.status, &refused.body["code"]), (403, &json!("forbidden")), "{name}: {refused:?}");
            }
        }
        assert_eq!(shop.decide("nobody", &pending, "approve", "").await.status, 401);
        assert_eq!(shop.decide(&p.username, &pending, "approve", "").await.status, 401, "that is not its password");
        assert!(shop.told().is_empty());
        assert_eq!(shop.decide("ada", &pending, "approve", "").await.status, 200);
        assert_eq!(hub.outcome(p, "i-1").await, "succeeded");
        let second = shop.decide("ada", &pending, "deny", "").await;
        assert_eq!((second.status, &second.body["code"]), (409, &json!("already_decided")), "{second:?}");
    })
    .await;
}

#[tokio::test]
async fn an_order_goes_ahead_when_each_group_that_is_asked_has_agreed() {
    on_both(async |shop| {
        let (hub, p) = (&shop.hub, &shop.p);
        for name in ["ada", "eve"] {
            shop.administrator(name).await;
        }
        shop.rule("security", json!({"approvers": ["ada"], "expires_after": "P1D"})).await;
        shop.rule("finance", json!({"approvers": ["eve"]})).await;
        shop.rule("money", json!({"approvers": ["eve"], "plan": "ok"})).await;
        assert_eq!(hub.provision(p, "i-1", "ok", polling()).await.status, 202);
        let asked = shop.approvals("pending").await;
        assert_eq!(asked.len(), 2, "{asked:?}");
        assert_eq!(asked[0]["expires_at"], asked[1]["expires_at"], "the order waits for the shortest of their times");
        let of = |name: &str| asked.iter().find(|one| one["approvers"] == json!([name])).expect("asked").clone();
        assert_eq!(of("eve")["causes"], json!([{"rule": "finance"}, {"rule": "money"}]));
        let first = shop.decide("ada", &of("ada"), "approve", "").await;
        assert_eq!((first.status, &first.body["operation_state"]), (200, &json!("in_progress")));
        let told = hub.last_operation(p, "i-1").await.body["description"].to_string();
        assert!(told.contains("finance") && !told.contains("security"), "{told}");
        assert!(shop.told().is_empty());
        assert_eq!(shop.decide("eve", &of("eve"), "approve", "").await.status, 200);
        assert_eq!(hub.outcome(p, "i-1").await, "succeeded");

        assert_eq!(hub.provision(p, "i-2", "ok", polling()).await.status, 202);
        let asked = shop.approvals("pending").await;
        let of = |name: &str| asked.iter().find(|one| one["approvers"] == json!([name])).expect("asked").clone();
        assert_eq!(shop.decide("eve", &of("eve"), "deny", "no money").await.status, 200);
        assert_eq!(hub.outcome(p, "i-2").await, "failed");
        assert_eq!(shop.approvals("cancelled").await.len(), 1, "the other need not decide any more");
        assert_eq!(shop.told(), ["PUT"]);
    })
    .await;
}

#[tokio::test]
async fn of_many_who_decide_at_once_one_does() {
    on_both(async |shop| {
        let (hub, p) = (&shop.hub, &shop.p);
        shop.administrator("ada").await;
        shop.rule("all", json!({})).await;
        for round in 0..5 {
            let id = format!("i-{round}");
            assert_eq!(hub.provision(p, &id, "ok", polling()).await.status, 202);
            let (pending, mut deciding) = (shop.pending().await, JoinSet::new());
            for number in 0..6 {
                let (url, pending) = (hub.url.clone(), pending.clone());
                let verb = if number % 2 == 0 { "approve" } else { "deny" };
                deciding.spawn(async move { (verb, decide(&url, "ada", &pending, verb, "").await.status) });
            }
            let told = deciding.join_all().await;
            let won: Vec<_> = told.iter().filter(|(_, status)| *status == 200).collect();
            assert!(won.len() == 1 && told.iter().all(|(_, status)| matches!(status, 200 | 409)), "{told:?}");
            let expected = if won[0].0 == "approve" { "succeeded" } else { "failed" };
            assert_eq!(hub.outcome(p, &id).await, expected);
        }
        assert_eq!(shop.told().len(), shop.approvals("approved").await.len());
    })
    .await;
}
