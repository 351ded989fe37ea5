//! Bindings: credentials are shown by a POST, once, and by nothing else.

use std::time::Duration;

use serde_json::json;

use super::on_both;
use crate::support::hub::BOUND;
use crate::support::portal::Browser;
use crate::support::wait::wait_until;

const SECRET: &str = "of-the-binding";
const NEW: &str = "/services/retail/net/bind";

/// No page that a browser may keep has credentials on it.
async fn nothing_is_kept(browser: &mut Browser) {
    for address in [
        "/services",
        "/services/retail/net",
        NEW,
        "/services/retail/net/bindings/app",
        "/services/retail/net/bindings/app?credentials=true",
        "/services/retail/net/bindings/app/rotate",
        "/services/retail/net/bindings/app/revoke",
        "/services/retail/net/delete",
    ] {
        assert_eq!(browser.get(address).await.status, 200, "{address}");
        assert!(!browser.page.text.contains(SECRET), "{address}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_the_answer_to_a_post_and_in_no_page_and_no_address() {
    on_both(async |shop| {
        shop.ordered("net", "network", json!({})).await;
        let mut ada = shop.person("ada").await;
        ada.get(NEW).await;
        assert!(ada.page.text.contains("name=\"name\" type=\"text\" value=\"default\""), "{}", ada.page.text);
        ada.submit(NEW, &[("name", "app")]).await;
        assert_eq!(
            (ada.page.status, ada.address.as_str()),
            (200, NEW),
            "answered itself, without a way on: {}",
            ada.words()
        );
        assert!(ada.page.text.contains(SECRET) && ada.page.text.contains("data-copy"), "{}", ada.words());
        assert_eq!(ada.page.header("cache-control"), "no-store");
        nothing_is_kept(&mut ada).await;
        ada.get("/services/retail/net/bindings/app").await;
        let at = ada.address.clone();
        ada.submit(&at, &[]).await;
        assert!(ada.page.status == 200 && ada.page.text.contains(SECRET), "{}", ada.words());
        nothing_is_kept(&mut ada).await;
        // The audit numbers its rows a moment later.
        wait_until("that they were read is written down", BOUND, async || {
            let audit = shop.bench.hub.admin(reqwest::Method::GET, "/api/v1/audit?limit=1000", None).await;
            audit.body.to_string().contains("binding.credentials")
        })
        .await;
        // Whoever can't order here has no way to them.
        let mut bob = shop.person("bob").await;
        bob.get("/services").await;
        assert_eq!(bob.submit(&at, &[]).await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_binding_is_told_at_its_field_and_what_was_typed_is_kept() {
    on_both(async |shop| {
        shop.ordered("safe", "vault", json!({})).await;
        let mut ada = shop.person("ada").await;
        let new = "/services/retail/safe/bind";
        ada.get(new).await;
        ada.submit(new, &[("name", "Not A Name"), ("p/purpose", "read")]).await;
        assert_eq!(ada.page.status, 422, "{}", ada.words());
        assert!(ada.page.text.contains("href=\"#name\"") && ada.page.text.contains("value=\"Not A Name\""));
        assert!(ada.page.text.contains("id=\"name-error\""), "{}", ada.page.text);
        ada.submit(new, &[("name", "app"), ("p/purpose", "")]).await;
        assert_eq!(ada.page.status, 422, "{}", ada.words());
        assert!(ada.page.text.contains("value=\"app\""), "{}", ada.page.text);
        assert_eq!(shop.recorder.count("bind"), 0, "the broker heard nothing");
        ada.submit(new, &[("name", "app"), ("p/purpose", "\"read\"")]).await;
        assert!(ada.page.status == 200 && ada.page.text.contains(SECRET), "{}", ada.words());
        assert_eq!(shop.recorder.last("bind").json()["parameters"], json!({"purpose": "read"}));
        ada.get(new).await;
        ada.submit(new, &[("name", "app"), ("p/purpose", "\"write\"")]).await;
        assert_eq!(ada.page.status, 422, "{}", ada.words());
        assert!(ada.words().contains("There is a binding of this name already"), "{}", ada.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_that_takes_its_time_is_waited_for_and_then_shown_by_a_button() {
    on_both(async |shop| {
        shop.ordered("safe", "vault", json!({})).await;
        shop.recorder.say("bind", 202, &json!({}));
        shop.recorder.say("binding_last_operation", 200, &json!({"state": "in progress"}));
        let mut ada = shop.person("ada").await;
        let path = "/api/v1/tenants/retail/instances/safe/bindings/app";
        let body = json!({"parameters": {"purpose": "read"}});
        assert_eq!(shop.bench.hub.admin(reqwest::Method::PUT, path, Some(body)).await.status, 202);
        let at = "/services/retail/safe/bindings/app";
        ada.get(at).await;
        assert!(ada.words().contains("a button here shows them"), "{}", ada.words());
        assert!(ada.page.text.contains("http-equiv=\"refresh\"") && !ada.page.text.contains("Show credentials"));
        shop.recorder.usual("binding_last_operation");
        wait_until("the binding to be ready", BOUND, async || {
            shop.bench.world.clock.advance(Duration::from_secs(2));
            ada.get(at).await.text.contains("Show credentials")
        })
        .await;
        assert!(!ada.page.text.contains(SECRET));
        ada.submit(at, &[]).await;
        assert!(ada.page.text.contains(SECRET), "{}", ada.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_is_rotated_and_the_old_one_revoked() {
    on_both(async |shop| {
        shop.ordered("net", "network", json!({})).await;
        let mut ada = shop.person("ada").await;
        ada.get(NEW).await;
        ada.submit(NEW, &[("name", "app")]).await;
        let rotate = "/services/retail/net/bindings/app/rotate";
        ada.get(rotate).await;
        assert!(ada.page.text.contains("value=\"app-2\""), "{}", ada.page.text);
        ada.submit(rotate, &[("name", "app")]).await;
        assert_eq!(ada.page.status, 422, "the name is taken: {}", ada.words());
        ada.submit(rotate, &[("name", "app-2")]).await;
        assert!(ada.page.status == 200 && ada.page.text.contains(SECRET), "{}", ada.words());
        let sent = shop.recorder.last("bind").json();
        assert!(sent["predecessor_binding_id"].is_string(), "{sent}");
        let revoke = "/services/retail/net/bindings/app/revoke";
        ada.get(revoke).await;
        assert!(ada.words().contains("loses access at once"), "{}", ada.words());
        assert_eq!(shop.recorder.count("unbind"), 0, "reading does nothing");
        ada.submit(revoke, &[]).await;
        assert_eq!(ada.address, "/services/retail/net/bindings/app");
        assert!(ada.words().contains("It was revoked"), "{}", ada.words());
        assert_eq!(shop.recorder.count("unbind"), 1);
        ada.get("/services/retail/net").await;
        assert!(ada.page.text.contains("/bindings/app-2\"") && !ada.page.text.contains("/bindings/app\""));
        shop.ordered("safe", "vault", json!({})).await;
        assert_eq!(ada.get("/services/retail/safe/bindings/none/rotate").await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_may_have_the_name_of_whatever_page_there_is() {
    on_both(async |shop| {
        shop.ordered("net", "network", json!({})).await;
        let mut ada = shop.person("ada").await;
        for name in ["new", "bind", "live", "delete"] {
            ada.get(NEW).await;
            ada.submit(NEW, &[("name", name)]).await;
            assert!(ada.page.status == 200 && ada.page.text.contains(SECRET), "{name}: {}", ada.words());
            ada.get(&format!("/services/retail/net/bindings/{name}")).await;
            assert!(ada.words().contains(&format!("Binding {name}")), "{}", ada.words());
            assert!(ada.page.text.contains("Show credentials"), "{name}");
        }
    })
    .await;
}
