//! An approval from both sides: whoever ordered sees that it waits, whoever is asked decides, and each is told by the same sentences as
//! over the API.

use reqwest::Method;
use serde_json::{Value, json};

use super::staff::{House, house};
use crate::support::dump::items;
use crate::support::hub::{BOUND, CLIENT, request};
use crate::support::portal::Browser;
use crate::support::wait::wait_until;

/// What Ada orders by the command line.
async fn order(house: &House, name: &str) {
    let order = json!({"offering": "faults", "plan": "ok"});
    let path = format!("/tenants/retail/instances/{name}");
    let reply = house.api(Method::PUT, &path, Some(order)).await;
    assert_eq!(reply.status, 202, "{reply:?}");
}

async fn pending(house: &House) -> Value {
    let list = items(&house.hub.url, "approvals?state=pending").await;
    assert_eq!(list.len(), 1, "{list:?}");
    list[0].clone()
}

async fn asked(house: &House, name: &str) -> String {
    house.api(Method::PUT, "/approval-rules/all", Some(json!({"offering": "faults"}))).await;
    order(house, name).await;
    format!("/approvals/{}", pending(house).await["id"].as_str().expect("an id"))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_ordered_sees_that_it_waits_an_approver_decides_and_then_it_is_done() {
    house(async |house| {
        let address = asked(house, "net").await;
        let mut admin = Browser::administrator(&house.hub.url, "pw").await;
        admin.get("/approvals").await;
        assert!(admin.words().contains("Nothing waits for you"), "{}", admin.words());
        assert!(admin.words().contains("your order"), "{}", admin.words());
        assert!(!admin.page.text.contains("class=\"waiting\""), "it is not theirs to decide");
        admin.get(&address).await;
        assert!(admin.words().contains("nobody decides about their own order"), "{}", admin.words());

        let mut ann = house.browser("ann").await;
        ann.get("/approvals").await;
        assert!(ann.words().contains("Approvals 1 order waits for you"), "{}", ann.words());
        assert!(ann.page.text.contains(&format!("href=\"{address}\"")), "{}", ann.words());
        for part in ["net: faults ok", "retail", "admin", "rule all"] {
            assert!(ann.words().contains(part), "{part}: {}", ann.words());
        }
        ann.get(&address).await;
        assert!(ann.words().contains("Your decision") && ann.words().contains("Approve the order"), "{}", ann.words());
        let address = address.as_str();
        ann.submit(address, &[("do", "deny"), ("reason", " ")]).await;
        assert_eq!(ann.page.status, 422);
        assert!(ann.page.text.contains("href=\"#reason\"") && ann.words().contains("Say why"), "{}", ann.words());
        ann.submit(address, &[("do", "approve"), ("reason", "it fits <b>")]).await;
        assert_eq!((ann.page.status, ann.address.as_str()), (200, address), "{:?}", ann.page);
        assert!(
            ann.words().contains("ann approved this order") && ann.words().contains("it fits <b>"),
            "{}",
            ann.words()
        );

        wait_until("it to be done", BOUND, async || {
            admin.get(address).await;
            admin.words().contains("It is done")
        })
        .await;
        admin.get("/approvals?show=decided").await;
        assert!(admin.words().contains("net: faults ok") && admin.words().contains("approved"), "{}", admin.words());
        ann.get("/approvals").await;
        assert!(ann.words().contains("Nothing waits for you") && !ann.page.text.contains("class=\"waiting\""));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_told_with_its_reason_and_stands() {
    house(async |house| {
        let address = asked(house, "net").await;
        let mut ann = house.browser("ann").await;
        ann.get(&address).await;
        let csrf = ann.csrf();
        ann.submit(&address, &[("do", "deny"), ("reason", "take the small one")]).await;
        assert!(ann.words().contains("ann denied this order") && ann.words().contains("take the small one"));
        // The same form once more: the sentence of the API, and the page as it stands now.
        let id = address.trim_start_matches("/approvals/");
        ann.post(&address, &[("csrf", &csrf), ("do", "approve"), ("reason", "")]).await;
        assert_eq!(ann.page.status, 409, "{}", ann.words());
        assert!(ann.words().contains("the approval is not pending any more: it is denied"), "{}", ann.words());
        assert!(!ann.words().contains("Your decision"), "{}", ann.words());
        let api = house.hub.admin(Method::GET, &format!("/api/v1/approvals/{id}"), None).await;
        assert_eq!((&api.body["state"], &api.body["reason"]), (&json!("denied"), &json!("take the small one")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_decides_about_their_own_order_or_what_is_not_asked_of_them() {
    house(async |house| {
        let address = asked(house, "net").await;
        let mut admin = Browser::administrator(&house.hub.url, "pw").await;
        admin.get("/account").await;
        admin.submit(&address, &[("do", "approve")]).await;
        assert_eq!(admin.page.status, 403, "{}", admin.words());
        assert!(admin.words().contains("nobody decides about their own order"), "{}", admin.words());
        let mut ada = house.browser("ada").await;
        ada.get(&address).await;
        assert_eq!(ada.page.status, 200, "it is for her tenant");
        assert!(!ada.words().contains("Approve the order"), "{}", ada.words());
        ada.submit(&address, &[("do", "approve")]).await;
        assert_ne!(ada.page.status, 200);
        let mut fin = house.browser("fin").await;
        assert_eq!(fin.get(&address).await.status, 404, "it does not exist for whoever is not asked");
        assert_eq!(pending(house).await["state"], "pending");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_decided_shows_its_price_the_budgets_it_counts_in_and_why_it_would_fail() {
    house(async |house| {
        let rules = json!([{"offering": "faults", "model": "flat", "amount": "2", "per": "day"}]);
        house
            .api(
                Method::POST,
                "/price-books",
                Some(json!({"currency": "EUR", "effective_from": "2020-01-01T00:00:00Z", "rules": rules})),
            )
            .await;
        let budget = json!({"tenant": "retail", "amount": "10", "currency": "EUR", "action": "require_approval"});
        house.api(Method::PUT, "/budgets/retail-month", Some(budget)).await;
        let address = asked(house, "net").await;
        let mut ann = house.browser("ann").await;
        ann.get(&address).await;
        let words = ann.words();
        for part in ["A whole month:", "retail-month", "over budget", "0.00 EUR"] {
            assert!(words.contains(part), "{part}: {words}");
        }
        let policy = json!({"mode": "enforce", "text":
            "@reason(\"not at night\") @remedy(\"order by day\") forbid(principal, action, resource);"});
        house.api(Method::PUT, "/policies/night", Some(policy)).await;
        ann.get(&address).await;
        assert!(ann.words().contains("it would fail") && ann.words().contains("not at night"), "{}", ann.words());
        assert!(ann.words().contains("order by day"), "{}", ann.words());
        let decided = format!("{}/api/v1{address}", house.hub.url);
        let seen = request(Method::GET, &decided, Some(("admin", "pw")), None).await;
        assert_eq!(seen.body["state"], "pending", "looking changes nothing");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_spent_budget_says_is_told_in_full_to_who_decides_or_sees_it_and_to_others_that_it_is_spent() {
    house(async |house| {
        let rules = json!([{"offering": "faults", "model": "flat", "amount": "2", "per": "day"}]);
        let book = json!({"currency": "EUR", "effective_from": "2020-01-01T00:00:00Z", "rules": rules});
        house.api(Method::POST, "/price-books", Some(book)).await;
        let plan = json!({"offering": "faults", "plan": "ok"});
        house.api(Method::PUT, "/tenants/retail/instances/paid", Some(plan)).await;
        house.world.clock.advance(std::time::Duration::from_secs(2 * 86_400));
        let address = asked(house, "net").await;
        let budget = json!({"tenant": "retail", "amount": "0.01", "currency": "EUR", "action": "block"});
        house.api(Method::PUT, "/budgets/retail-month", Some(budget)).await;

        for (name, told) in [("ann", true), ("aud", true), ("ada", true), ("olga", false)] {
            let mut browser = house.browser(name).await;
            browser.get(&address).await;
            let words = browser.words();
            assert!(words.contains("it would fail") && words.contains("is spent"), "{name}: {words}");
            assert_eq!(words.contains("retail-month") && words.contains("0.01 EUR"), told, "{name}: {words}");
            assert_eq!(words.contains("retail-month") || words.contains("0.01"), told, "{name}: {words}");
        }
        let account = json!({"name": "robot", "roles": ["operator"]});
        let made = house.api(Method::POST, "/service-accounts", Some(account)).await;
        let token = made.body["token"].as_str().expect("a token");
        let path = format!("{}/api/v1{address}", house.hub.url);
        let seen = CLIENT.get(&path).bearer_auth(token).send().await.expect("no answer").text().await.expect("text");
        assert!(seen.contains("is spent for this month") && !seen.contains("retail-month"), "{seen}");
        let seen = request(Method::GET, &path, Some(("admin", "pw")), None).await;
        assert!(seen.body["refused"].as_str().is_some_and(|text| text.contains("`retail-month`")), "{seen:?}");
        let listed = items(&house.hub.url, "approvals?state=pending").await;
        assert!(listed[0].get("refused").is_none(), "{listed:?}");
    })
    .await;
}
