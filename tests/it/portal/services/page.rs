//! A service's page: what it is, its parameters without their secrets, and its states in plain words.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{Shop, on_both};
use crate::support::hub::BOUND;
use crate::support::portal::Browser;
use crate::support::wait::wait_until;

/// Waits until a page says something, time going by.
async fn says(shop: &Shop, browser: &mut Browser, address: &str, words: &str) {
    let mut last = String::new();
    for _ in 0..200 {
        browser.get(address).await;
        last = browser.words();
        if last.contains(words) {
            return;
        }
        shop.bench.world.clock.advance(Duration::from_secs(2));
        let mut commits = shop.bench.hub.app.commits();
        drop(tokio::time::timeout(Duration::from_millis(100), commits.changed()).await);
    }
    panic!("{address} never says `{words}`: {last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_tells_what_a_service_is_and_shows_no_secret_of_its_parameters() {
    on_both(async |shop| {
        let parameters = json!({
            "size": 3, "pin": "pin-of-it", "door": {"code": "code-of-it", "side": "left"}, "admin_password": "password-of-it",
        });
        let id = shop.ordered("net", "network", parameters).await;
        let mut ada = shop.person("ada").await;
        assert_eq!(ada.get("/services/retail/net").await.status, 200);
        let words = ada.words();
        for part in ["ready", "Size of it 3", "left", "broker acme", &id, "by admin", "bourse show net --tenant retail", "Bind to it"] {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert!(ada.page.text.contains("href=\"https://dashboard.example/1\" rel=\"noopener noreferrer\""));
        for secret in ["pin-of-it", "code-of-it", "password-of-it"] {
            assert!(!ada.page.text.contains(secret), "{secret}: {words}");
        }
        assert!(!ada.page.text.contains("http-equiv=\"refresh\""), "nothing goes on");
        assert_eq!(ada.get(&format!("/services/retail/{id}")).await.status, 200, "by its id, too");
        shop.recorder.say("provision", 201, &json!({"dashboard_url": "javascript:alert(1)"}));
        shop.ordered("odd", "network", json!({})).await;
        ada.get("/services/retail/odd").await;
        assert!(!ada.page.text.contains("href=\"javascript:"), "{}", ada.page.text);
        assert_eq!(ada.get("/services/retail/none").await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_order_for_a_tenant_sees_its_services_without_parameters_and_buttons() {
    on_both(async |shop| {
        shop.ordered("net", "network", json!({"size": 4711})).await;
        let mut carl = shop.person("carl").await;
        assert_eq!(carl.get("/services/retail/net").await.status, 200);
        assert!(carl.words().contains("Members and owners of its tenant see the parameters"), "{}", carl.words());
        for part in ["4711", "/net/bind\"", "/retail/net/delete", "/retail/net/change"] {
            assert!(!carl.page.text.contains(part), "{part}");
        }
        assert_eq!(carl.get("/services/retail/net/delete").await.status, 403);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_takes_its_time_and_fails_is_told_in_plain_words() {
    on_both(async |shop| {
        shop.recorder.say("provision", 202, &json!({}));
        shop.recorder.say("last_operation", 200, &json!({"state": "in progress"}));
        assert_eq!(shop.order("retail", "net", "network", json!({})).await.status, 202);
        let mut ada = shop.person("ada").await;
        says(shop, &mut ada, "/services/retail/net", "acme makes it now").await;
        assert!(ada.words().contains("State: being made") && ada.words().contains("under way"), "{}", ada.words());
        assert!(ada.page.text.contains("<noscript><meta http-equiv=\"refresh\" content=\"3\"></noscript>"));
        ada.get("/services").await;
        assert!(ada.words().contains("Its broker works on it"), "{}", ada.words());
        shop.recorder.say("last_operation", 200, &json!({"state": "failed", "description": "hit a rock"}));
        says(shop, &mut ada, "/services/retail/net", "The order failed").await;
        assert!(ada.words().contains("hit a rock"), "{}", ada.words());
        says(shop, &mut ada, "/services/retail/net", "Nothing of it is left at its broker").await;
        assert!(ada.words().contains("order it again"), "{}", ada.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_is_not_known_says_who_finds_out() {
    on_both(async |shop| {
        for verb in ["provision", "last_operation", "deprovision"] {
            shop.recorder.say(verb, 500, &json!({}));
        }
        assert_eq!(shop.order("retail", "net", "network", json!({})).await.status, 202);
        let mut ada = shop.person("ada").await;
        says(shop, &mut ada, "/services/retail/net", "outcome not known yet").await;
        assert!(ada.words().contains("you need do nothing"), "{}", ada.words());
        for verb in ["provision", "last_operation", "deprovision"] {
            shop.recorder.usual(verb);
        }
        says(shop, &mut ada, "/services/retail/net", "State: ready").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_waits_for_an_approval_says_for_whose() {
    on_both(async |shop| {
        let rule = json!({"offering": "network", "approvers": ["carla"], "expires_after": "P2D"});
        let put = shop.bench.hub.admin(Method::PUT, "/api/v1/approval-rules/nets", Some(rule)).await;
        assert!(matches!(put.status, 200 | 201), "{put:?}");
        assert_eq!(shop.order("retail", "net", "network", json!({})).await.status, 202);
        let mut ada = shop.person("ada").await;
        ada.get("/services/retail/net").await;
        for part in ["waiting for approval", "carla has to agree until", "asked for by nets", "nothing is charged"] {
            assert!(ada.words().contains(part), "{part}: {}", ada.words());
        }
        ada.get("/services").await;
        assert!(ada.words().contains("An approver has to agree"), "{}", ada.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_purged_says_so_and_why() {
    on_both(async |shop| {
        let id = shop.ordered("net", "network", json!({})).await;
        let path = format!("/api/v1/instances/{id}/purge");
        let purged = shop.bench.hub.admin(Method::POST, &path, Some(json!({"reason": "its broker burnt down"}))).await;
        assert_eq!(purged.status, 200, "{purged:?}");
        let mut ada = shop.person("ada").await;
        ada.get("/services/retail/net").await;
        assert!(ada.words().contains("An operator forgot it (purged)"), "{}", ada.words());
        assert!(ada.words().contains("its broker burnt down"), "{}", ada.words());
        // Another of that name takes the name; this one is still found by its id.
        shop.ordered("net", "network", json!({})).await;
        ada.get(&format!("/services/retail/{id}")).await;
        assert!(ada.words().contains("its broker burnt down"), "{}", ada.words());
        ada.get("/services/retail/net").await;
        assert!(!ada.words().contains("burnt down") && ada.words().contains("ready"), "{}", ada.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_costs_this_month_is_told_with_a_chart_and_its_table() {
    on_both(async |shop| {
        let rules =
            json!([{"offering": "network", "plan": "one", "meter": "setup", "model": "one_time", "amount": "12.34"}]);
        let book = json!({"currency": "EUR", "effective_from": "2020-01-01T00:00:00Z", "rules": rules});
        let posted = shop.bench.hub.admin(Method::POST, "/api/v1/price-books", Some(book)).await;
        assert_eq!(posted.status, 201, "{posted:?}");
        shop.ordered("net", "network", json!({})).await;
        let mut ada = shop.person("ada").await;
        wait_until("the cost to be there", BOUND, async || ada.get("/services").await.text.contains("12.34 EUR")).await;
        ada.get("/services/retail/net").await;
        assert!(ada.words().contains("12.34 EUR"), "{}", ada.words());
        for part in ["role=\"img\"", "<title id=\"cost-title\">Cost by day</title>", "As a table", ">12.3400<"] {
            assert!(ada.page.text.contains(part), "{part}: {}", ada.page.text);
        }
    })
    .await;
}
