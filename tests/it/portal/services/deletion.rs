//! Deletion: what stands in the way is told first, and a service that is gone still says so.

use serde_json::json;

use super::on_both;

const DELETE: &str = "/services/retail/net/delete";

#[tokio::test(flavor = "multi_thread")]
async fn what_others_need_is_not_deleted_and_says_who_they_are() {
    on_both(async |shop| {
        shop.ordered("net", "network", json!({})).await;
        shop.ordered("farm", "cluster", json!({"network": "net"})).await;
        let mut ada = shop.person("ada").await;
        ada.get("/services/retail/farm").await;
        assert!(ada.page.text.contains("<a href=\"/services/retail/net\">net</a>"), "{}", ada.page.text);
        ada.get("/services/retail/net").await;
        assert!(ada.words().contains("Needed by farm"), "{}", ada.words());
        ada.get(DELETE).await;
        assert!(ada.words().contains("Other services need it"), "{}", ada.words());
        assert!(ada.page.text.contains("href=\"/services/retail/farm\"") && !ada.page.text.contains("for good"));
        ada.submit(DELETE, &[]).await;
        assert_eq!(ada.page.status, 409, "{}", ada.words());
        assert!(ada.words().contains("It was not deleted"), "{}", ada.words());
        assert_eq!(shop.recorder.count("deprovision"), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_service_still_says_so_and_its_name_is_free_again() {
    on_both(async |shop| {
        let id = shop.ordered("net", "network", json!({})).await;
        let mut ada = shop.person("ada").await;
        ada.get("/services/retail/net/bind").await;
        ada.submit("/services/retail/net/bind", &[("name", "app")]).await;
        ada.get(DELETE).await;
        assert!(ada.words().contains("Whoever uses it loses access"), "{}", ada.words());
        assert!(ada.page.text.contains("href=\"/services/retail/net/bindings/app\""));
        assert_eq!(shop.recorder.count("deprovision"), 0, "reading does nothing");
        ada.submit(DELETE, &[]).await;
        assert_eq!((ada.page.status, ada.address.as_str()), (200, "/services/retail/net"));
        assert!(ada.words().contains("It was deleted on") && ada.words().contains("by ada"), "{}", ada.words());
        assert!(!ada.page.text.contains("/delete\"") && !ada.page.text.contains("/net/bind\""));
        assert_eq!((shop.recorder.count("unbind"), shop.recorder.count("deprovision")), (1, 1));
        ada.get("/services").await;
        assert!(!ada.page.text.contains("/services/retail/net\""), "{}", ada.words());
        ada.get("/services?state=gone").await;
        assert!(ada.page.text.contains(&format!("/services/retail/{id}\"")), "{}", ada.page.text);
        ada.get(&format!("/services/retail/{id}")).await;
        assert!(ada.words().contains("It was deleted on"), "{}", ada.words());
        shop.ordered("net", "network", json!({})).await;
        ada.get("/services/retail/net").await;
        assert!(ada.words().contains("State: ready"), "{}", ada.words());
        ada.get("/services").await;
        assert!(ada.page.text.contains("/services/retail/net\""));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_its_broker_refuses_or_takes_long_over_is_told() {
    on_both(async |shop| {
        shop.ordered("net", "network", json!({})).await;
        let mut ada = shop.person("ada").await;
        shop.recorder.say("deprovision", 400, &json!({"description": "not on a Sunday"}));
        ada.get(DELETE).await;
        ada.submit(DELETE, &[]).await;
        assert_eq!(ada.page.status, 400, "{}", ada.words());
        assert!(ada.words().contains("not on a Sunday"), "{}", ada.words());
        ada.get("/services/retail/net").await;
        assert!(ada.words().contains("The last deletion did not happen"), "{}", ada.words());
        shop.recorder.say("deprovision", 202, &json!({}));
        shop.recorder.say("last_operation", 200, &json!({"state": "in progress"}));
        ada.get(DELETE).await;
        ada.submit(DELETE, &[]).await;
        assert_eq!((ada.page.status, ada.address.as_str()), (200, "/services/retail/net"), "{}", ada.words());
        assert!(ada.words().contains("being deleted"), "{}", ada.words());
        assert!(ada.page.text.contains("http-equiv=\"refresh\""));
        shop.recorder.usual("last_operation");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signed_out_meanwhile_signs_in_and_is_back_at_the_page() {
    on_both(async |shop| {
        shop.ordered("net", "network", json!({})).await;
        let mut browser = shop.administrator().await;
        browser.get(DELETE).await;
        let csrf = browser.csrf();
        browser.submit("/sign-out", &[]).await;
        browser.post(DELETE, &[("csrf", &csrf)]).await;
        assert_eq!(browser.address, format!("/sign-in?to={}", "%2Fservices%2Fretail%2Fnet%2Fdelete"));
        assert_eq!(shop.recorder.count("deprovision"), 0);
        let to = [("to", DELETE), ("username", "admin"), ("password", "pw")];
        browser.submit("/sign-in", &to).await;
        assert_eq!((browser.page.status, browser.address.as_str()), (200, DELETE));
        assert!(browser.words().contains("Delete net for good"), "{}", browser.words());
        assert_eq!(shop.recorder.count("deprovision"), 0);
    })
    .await;
}
