//! An order that somebody else has to agree to, seen from both sides at once.

use reqwest::Method;
use serde_json::json;

use super::super::staff::{House, house_on};
use super::{order, window};
use crate::support::bare::On;

/// What makes a decision: a price, a budget that it is too much for, a policy that warns, and a rule that asks.
async fn rules(house: &House) {
    let prices = json!([{"offering": "faults", "model": "flat", "amount": "2", "per": "day"}]);
    let book = json!({"currency": "EUR", "effective_from": "2020-01-01T00:00:00Z", "rules": prices});
    house.api(Method::POST, "/price-books", Some(book)).await;
    let budget = json!({"tenant": "retail", "amount": "10", "currency": "EUR", "action": "notify"});
    house.api(Method::PUT, "/budgets/retail-month", Some(budget)).await;
    let text = "@reason(\"not at night\") @remedy(\"order by day\") forbid(principal, action, resource);";
    house.api(Method::PUT, "/policies/night", Some(json!({"mode": "warn", "text": text}))).await;
    house.api(Method::PUT, "/approval-rules/all", Some(json!({"offering": "faults"}))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_waits_another_decides_and_the_first_one_s_page_tells_it_by_itself() {
    house_on(
        &[On::Sqlite],
        |_| {},
        async |house| {
            rules(house).await;
            let (ada, ann) = (window(house, "ada").await, window(house, "ann").await);
            order(&ada, "net").await;
            ada.sees("Somebody has to agree before anything happens").await;
            ada.run("window.untouched = true").await;

            ann.go("/approvals").await;
            ann.sees("order waits for you").await;
            ann.follow("net: faults ok").await;
            ann.at("/approvals/").await;
            let told = ann.text().await;
            for part in
                ["ada", "A whole month:", "retail-month", "over budget", "night", "not at night", "order by day"]
            {
                assert!(told.contains(part), "{part}: {told}");
            }
            ann.press("Approve the order").await;
            ann.sees("ann approved this order").await;
            ada.sees("Ready since").await;
            assert_eq!(ada.run("return window.untouched").await, json!(true), "nobody loaded the page again");

            order(&ada, "lab").await;
            ada.sees("Somebody has to agree before anything happens").await;
            ada.run("window.untouched = true").await;
            ann.go("/approvals").await;
            ann.follow("lab: faults ok").await;
            ann.at("/approvals/").await;
            ann.press("Deny the order").await;
            ann.sees("Say why").await;
            ann.fill("#reason", "take the small one").await;
            ann.press("Deny the order").await;
            ann.sees("ann denied this order").await;
            ada.sees("take the small one").await;
            assert_eq!(ada.run("return window.untouched").await, json!(true));
            ada.stop().await;
            ann.stop().await;
        },
    )
    .await;
}
