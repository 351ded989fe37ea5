//! What somebody without a role was granted: its page, its stream, its credentials, and nothing else of its tenant.

use reqwest::Method;
use serde_json::json;

use super::{Shop, on_both};
use crate::support::hub::CLIENT;

/// Shares an instance with Eve, who has no role at all.
async fn shared(shop: &Shop, id: &str, role: &str) {
    let grant = json!({"role": role, "expires_at": "2099-01-01T00:00:00Z"});
    let path = format!("/api/v1/instances/{id}/grants/eve");
    assert_eq!(shop.bench.hub.admin(Method::PUT, &path, Some(grant)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_shared_is_listed_shown_and_followed_without_its_price_and_its_tenant() {
    on_both(async |shop| {
        let id = shop.ordered("net", "network", json!({"size": 4_711})).await;
        shop.ordered("safe", "vault", json!({})).await;
        let mut eve = shop.person("eve").await;
        assert_eq!(eve.get("/services/retail/net").await.status, 404);
        shared(shop, &id, "reader").await;
        eve.get("/services").await;
        assert!(eve.page.text.contains("href=\"/services/retail/net\""), "{}", eve.words());
        assert!(eve.words().contains("Shared with you") && !eve.words().contains("safe"), "{}", eve.words());
        assert!(!eve.words().contains("Cost"), "{}", eve.words());
        for address in ["/services/retail/net".to_owned(), format!("/services/retail/{id}")] {
            eve.get(&address).await;
            assert_eq!((eve.page.status, eve.address.as_str()), (200, "/services/retail/net"));
        }
        assert!(eve.words().contains("which shares it with you"), "{}", eve.words());
        for (hidden, why) in [
            ("4711", "parameters"),
            ("/catalog", "the catalog"),
            ("tenant=retail", "the tenant"),
            ("/net/delete", "deletion"),
            ("/net/bind\"", "binding"),
        ] {
            assert!(!eve.page.text.contains(hidden), "{why}: {}", eve.page.text);
        }
        let live =
            CLIENT.get(format!("{}/services/retail/net/live", shop.bench.hub.url)).header("cookie", eve.cookies());
        assert_eq!(live.send().await.expect("an answer").status().as_u16(), 200);
        for other in ["/services/retail/safe", "/services/retail/safe/live", "/services/retail/safe/bindings/app"] {
            assert_eq!(eve.get(other).await.status, 404, "{other}");
        }
        assert_eq!(eve.get("/services/retail/net/bind").await.status, 403);
        // Who has services of one's own sees both; who sees all anyway sees nothing twice.
        let path = format!("/api/v1/instances/{id}/grants/bob");
        let grant = json!({"role": "reader", "expires_at": "2099-01-01T00:00:00Z"});
        assert_eq!(shop.bench.hub.admin(Method::PUT, &path, Some(grant)).await.status, 200);
        let mut bob = shop.person("bob").await;
        bob.get("/services").await;
        assert!(bob.words().contains("There are no services yet") && bob.words().contains("Shared with you"));
        let mut ada = shop.person("ada").await;
        ada.get("/services").await;
        assert!(!ada.words().contains("Shared with you"), "{}", ada.words());
        // It ends when it was to end.
        assert_eq!(
            shop.bench.hub.admin(Method::DELETE, &format!("/api/v1/instances/{id}/grants/eve"), None).await.status,
            204
        );
        assert_eq!(eve.get("/services/retail/net").await.status, 404);
        eve.get("/services").await;
        assert!(eve.words().contains("Nothing is shared with you"), "{}", eve.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_shown_to_whom_they_were_shared_with_and_not_to_readers() {
    on_both(async |shop| {
        let id = shop.ordered("net", "network", json!({})).await;
        let path = "/api/v1/tenants/retail/instances/net/bindings/app";
        assert_eq!(shop.bench.hub.admin(Method::PUT, path, Some(json!({}))).await.status, 201);
        let at = "/services/retail/net/bindings/app";
        let mut eve = shop.person("eve").await;
        shared(shop, &id, "reader").await;
        eve.get(at).await;
        assert!(eve.page.status == 200 && !eve.page.text.contains("Show credentials"), "{}", eve.words());
        eve.submit(at, &[]).await;
        assert!(matches!(eve.page.status, 403 | 404) && !eve.page.text.contains("of-the-binding"), "{}", eve.words());
        shared(shop, &id, "user").await;
        eve.get(at).await;
        assert!(eve.page.text.contains("Show credentials") && !eve.page.text.contains("/revoke"), "{}", eve.words());
        eve.submit(at, &[]).await;
        assert!(eve.page.status == 200 && eve.page.text.contains("of-the-binding"), "{}", eve.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_ordered_at_a_platform_and_shared_has_its_page_by_its_id() {
    on_both(async |shop| {
        let b = &shop.bench;
        let order = b.order("network/one", json!({"context": {"platform": "other", "instance_name": "from afar"}}));
        b.check("an order", "PUT i-1", Some(order), (201, "")).await;
        let id = shop.recorder.last("provision").instance_id();
        shared(shop, &id, "user").await;
        let mut eve = shop.person("eve").await;
        eve.get("/services").await;
        assert!(eve.page.text.contains(&format!("href=\"/services/retail/{id}\"")), "{}", eve.words());
        assert_eq!(eve.get(&format!("/services/retail/{id}")).await.status, 200);
        assert_eq!(eve.get(&format!("/services/trade/{id}")).await.status, 404, "of another tenant there is none");
        let mut bob = shop.person("bob").await;
        assert_eq!(bob.get(&format!("/services/retail/{id}")).await.status, 404);
    })
    .await;
}
