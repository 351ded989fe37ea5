//! Changes by the portal, without scripts.

use serde_json::json;

use super::market::Market;
use crate::support::controls::press;
use crate::support::portal::Browser;

const CHANGE: &str = "/services/retail/net/change";

async fn standing(market: &Market, browser: &mut Browser) {
    let parameters = json!({
        "prefix_length": 28, "strategy": "first_fit", "subnets": [{"name": "web"}], "pin": "hunter3",
        "login": {"user": "ada", "password": "hunter2", "more": "unseen"},
    });
    market.ordered("retail", "net", parameters).await;
    browser.get(CHANGE).await;
    assert_eq!(browser.page.status, 200, "{}", browser.words());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_seen_before_it_is_sent_and_only_what_is_different_is_sent() {
    Market::on_both(async |market, mut browser| {
        standing(market, &mut browser).await;
        assert!(
            browser.page.text.contains("name=\"p/prefix_length\" type=\"text\" value=\"28\""),
            "{}",
            browser.page.text
        );
        assert!(browser.words().contains("nothing to change"), "{}", browser.words());
        press(&mut browser, CHANGE, ("do", "change"), &[("p/prefix_length", "27"), ("p/strategy", "")]).await;
        assert_eq!(browser.page.status, 422, "a choice can't be taken back: {}", browser.words());
        assert!(browser.words().contains("This can be replaced, but not taken back"), "{}", browser.words());
        press(&mut browser, CHANGE, ("do", "change"), &[("p/strategy", "\"first_fit\""), ("p/prefix_length", "26")])
            .await;
        assert_eq!((browser.page.status, market.recorder.count("update")), (200, 0), "it was not seen yet");
        assert!(
            browser.words().contains("Prefix length 28 26") && browser.words().contains("can be changed"),
            "{}",
            browser.words()
        );
        press(&mut browser, CHANGE, ("do", "change"), &[]).await;
        assert_eq!(browser.address, "/services/retail/net", "{}", browser.words());
        assert_eq!(market.sent("update"), r#"{"prefix_length":26}"#);
        // A list that is emptied is sent as an empty one.
        browser.get(CHANGE).await;
        press(&mut browser, CHANGE, ("remove", "p/subnets/0"), &[]).await;
        press(&mut browser, CHANGE, ("do", "check"), &[]).await;
        press(&mut browser, CHANGE, ("do", "change"), &[]).await;
        assert_eq!(
            (browser.address.as_str(), market.sent("update")),
            ("/services/retail/net", r#"{"subnets":[]}"#.to_owned())
        );
        browser.get(CHANGE).await;
        press(&mut browser, CHANGE, ("do", "check"), &[("p/prefix_length", "99")]).await;
        assert_eq!(browser.page.status, 422);
        assert!(browser.page.text.contains("id=\"p/prefix_length-error\""), "{}", browser.page.text);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_left_empty_stays_and_is_shown_nowhere() {
    Market::on_both(async |market, mut browser| {
        standing(market, &mut browser).await;
        assert!(
            !browser.page.text.contains("hunter") && browser.words().contains("Leave it empty to keep what stands"),
            "{}",
            browser.page.text
        );
        let typed = [("p/login/user", "eve")];
        press(&mut browser, CHANGE, ("do", "check"), &typed).await;
        assert!(!browser.page.text.contains("hunter"), "{}", browser.page.text);
        press(&mut browser, CHANGE, ("do", "change"), &[]).await;
        assert_eq!(browser.address, "/services/retail/net", "{}", browser.words());
        assert_eq!(
            market.recorder.last("update").json()["parameters"],
            json!({"login": {"user": "eve", "password": "hunter2", "more": "unseen"}})
        );
        browser.get(CHANGE).await;
        press(&mut browser, CHANGE, ("do", "check"), &[("p/pin", "hunter4")]).await;
        assert!(!browser.page.text.contains("hunter") && browser.words().contains("Pin"), "{}", browser.words());
        press(&mut browser, CHANGE, ("do", "change"), &[("p/pin", "hunter4")]).await;
        assert_eq!(market.sent("update"), r#"{"pin":"hunter4"}"#, "{}", browser.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_plan_is_chosen_where_that_is_possible_and_its_form_is_seen_first() {
    Market::on_both(async |market, mut browser| {
        standing(market, &mut browser).await;
        press(&mut browser, CHANGE, ("turn", "plan"), &[("plan", "large")]).await;
        assert!(
            browser.page.text.contains("name=\"p/zone\"") && browser.words().contains("Plan small large"),
            "{}",
            browser.words()
        );
        press(&mut browser, CHANGE, ("do", "check"), &[("p/zone", "b")]).await;
        press(&mut browser, CHANGE, ("do", "change"), &[]).await;
        assert_eq!(browser.address, "/services/retail/net", "{}", browser.words());
        let sent = market.recorder.last("update").json();
        assert_eq!((&sent["plan_id"], &sent["parameters"]), (&json!("network-large"), &json!({"zone": "b"})));
        market.put("approval-rules/all", json!({"offering": "network"})).await;
        browser.get(CHANGE).await;
        press(&mut browser, CHANGE, ("do", "check"), &[("p/zone", "c")]).await;
        assert!(browser.words().contains("needs an approval"), "{}", browser.words());
        press(&mut browser, CHANGE, ("do", "change"), &[]).await;
        browser.get(CHANGE).await;
        assert!(
            browser.page.status == 200 && browser.words().contains("It can't be changed now"),
            "{}",
            browser.words()
        );
    })
    .await;
}
