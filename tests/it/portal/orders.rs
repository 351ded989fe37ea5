//! Orders by the portal, without scripts.

use serde_json::json;

use super::market::{Market, ORDER, open, order};
use crate::support::controls::{filled, press};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_with_a_wrong_field_is_told_there_and_goes_through_when_it_is_right() {
    Market::on_both(async |market, mut browser| {
        open(&mut browser).await;
        order(&mut browser, &[("name", "Net!"), ("p/prefix_length", "99"), ("p/share", "1.5.0")]).await;
        assert_eq!(browser.page.status, 422);
        let page = &browser.page.text;
        for (id, text) in [
            ("name", "Use 1 to 63 small letters"),
            ("p/prefix_length", "maximum of 29"),
            ("p/share", "This must be a number"),
        ] {
            assert!(page.contains(&format!("<a href=\"#{id}\">")), "{id}: {page}");
            let at = page.find(&format!("id=\"{id}-error\"")).unwrap_or_else(|| panic!("{id}: {page}"));
            let told: String = page[at..].chars().take(160).collect();
            assert!(told.contains(text), "{id}: {told}");
        }
        assert!(page.contains("value=\"99\"") && page.contains("value=\"Net!\""), "what was typed is kept");
        assert_eq!(market.recorder.count("provision"), 0);
        let right = [
            ("name", "net"),
            ("p/prefix_length", " 28 "),
            ("p/share", "1.50"),
            ("p/public", "true"),
            ("p/strategy", "\"first_fit\""),
        ];
        order(&mut browser, &right).await;
        assert_eq!(browser.address, "/services/retail/net", "{}", browser.words());
        assert_eq!(
            market.sent("provision"),
            r#"{"prefix_length":28,"share":1.50,"public":true,"strategy":"first_fit"}"#
        );
        assert_eq!(market.instance("retail", "net").await.body["state"], "ready");
        // The very same form again finds what the first one made; another one is told that the name is taken.
        open(&mut browser).await;
        order(&mut browser, &right).await;
        assert_eq!((browser.address.as_str(), market.recorder.count("provision")), ("/services/retail/net", 1));
        open(&mut browser).await;
        order(&mut browser, &[("name", "net"), ("p/prefix_length", "27")]).await;
        assert_eq!(browser.page.status, 422);
        assert!(browser.words().contains("has an instance “net” already. Choose another name"), "{}", browser.words());
        assert_eq!((market.recorder.count("provision"), market.recorder.count("update")), (1, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_a_list_are_added_and_taken_away_without_scripts() {
    Market::on_both(async |market, mut browser| {
        open(&mut browser).await;
        let typed = [("name", "net"), ("p/prefix_length", "28")];
        press(&mut browser, ORDER, ("add", "p/subnets"), &typed).await;
        assert_eq!(browser.page.status, 200, "nothing was meant to be sent");
        press(&mut browser, ORDER, ("add", "p/subnets"), &[("p/subnets/0/name", "web")]).await;
        press(&mut browser, ORDER, ("add", "p/subnets"), &[("p/subnets/1/name", "NO"), ("p/subnets/1/new_bits", "2")])
            .await;
        assert!(browser.words().contains("There may be 3 at most"), "{}", browser.words());
        press(&mut browser, ORDER, ("remove", "p/subnets/0"), &[("p/subnets/2/name", "data")]).await;
        order(&mut browser, &[]).await;
        assert_eq!(browser.page.status, 422);
        assert!(browser.page.text.contains("<a href=\"#p/subnets/1/name\">"), "{}", browser.page.text);
        order(&mut browser, &[("p/subnets/1/name", "app")]).await;
        assert_eq!(browser.address, "/services/retail/net", "{}", browser.words());
        assert_eq!(
            market.sent("provision"),
            r#"{"prefix_length":28,"subnets":[{"name":"app","new_bits":2},{"name":"data"}]}"#
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_of_ones_own_is_picked_where_one_is_asked_for() {
    Market::on_both(async |market, mut browser| {
        open(&mut browser).await;
        assert!(browser.words().contains("there is none of yours that is ready"), "{}", browser.words());
        market.ordered("retail", "first", json!({"prefix_length": 28})).await;
        market.ordered("trade", "foreign", json!({"prefix_length": 28})).await;
        let id = market.recorder.last("provision");
        open(&mut browser).await;
        assert!(
            browser.page.text.contains("<option value=\"first\">first (network, small)</option>"),
            "{}",
            browser.page.text
        );
        assert!(!browser.page.text.contains("value=\"foreign\""));
        order(&mut browser, &[("name", "net"), ("p/prefix_length", "28"), ("p/peer", "first")]).await;
        assert_eq!(browser.address, "/services/retail/net", "{}", browser.words());
        let sent = market.recorder.last("provision").json()["parameters"]["peer"].clone();
        assert_eq!(sent, market.instance("retail", "first").await.body["id"]);
        assert_ne!(sent, json!(id.instance_id()));
        open(&mut browser).await;
        order(&mut browser, &[("name", "other"), ("p/prefix_length", "28"), ("p/peer#other", "foreign")]).await;
        assert_eq!(browser.page.status, 422);
        assert!(
            browser.page.text.contains("<a href=\"#p/peer\">") && browser.page.text.contains("value=\"foreign\""),
            "{}",
            browser.words()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_to_the_broker_and_to_no_page() {
    Market::on_both(async |market, mut browser| {
        open(&mut browser).await;
        let secrets =
            [("p/login/user", "ada"), ("p/login/password", "hunter2"), ("p/pin", "hunter3"), ("p/prefix_length", "28")];
        order(&mut browser, &[&secrets[..], &[("name", "")]].concat()).await;
        assert_eq!(browser.page.status, 422);
        assert!(
            !browser.page.text.contains("hunter") && browser.words().contains("Type it again"),
            "{}",
            browser.page.text
        );
        let words = browser.words();
        assert!(words.contains("--param 'pin=<pin>'") && words.contains("\"password\": \"<password>\""), "{words}");
        press(&mut browser, ORDER, ("do", "check"), &[&secrets[..], &[("name", "net")]].concat()).await;
        assert!(
            !browser.page.text.contains("hunter") && browser.words().contains("can be ordered"),
            "{}",
            browser.words()
        );
        order(&mut browser, &secrets).await;
        assert_eq!(browser.address, "/services/retail/net", "{}", browser.words());
        assert_eq!(
            market.sent("provision"),
            r#"{"prefix_length":28,"login":{"user":"ada","password":"hunter2"},"pin":"hunter3"}"#
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_what_the_order_comes_to_and_orders_nothing() {
    Market::on_both(async |market, mut browser| {
        market.put("quotas/few", json!({"tenant": "retail", "limit": "1"})).await;
        market.put("approval-rules/all", json!({"offering": "network", "plan": "large"})).await;
        open(&mut browser).await;
        let words = browser.words();
        assert!(
            words.contains("not complete") && words.contains("Name: Fill this in") && words.contains("Free"),
            "{words}"
        );
        press(&mut browser, ORDER, ("do", "check"), &[("name", "net"), ("p/prefix_length", "28")]).await;
        let words = browser.words();
        assert!(browser.page.status == 200 && words.contains("can be ordered"), "{words}");
        assert!(words.contains("few: 0 of 1 used, this needs 1 more"), "{words}");
        assert!(
            words.contains("bourse order network small --tenant retail --name net \\ --param prefix_length=28"),
            "{words}"
        );
        // Another plan has another form, which is seen before anything is ordered.
        order(&mut browser, &[("plan", "large")]).await;
        assert_eq!((browser.page.status, market.recorder.count("provision")), (200, 0));
        assert!(
            browser.page.text.contains("name=\"p/zone\"") && browser.page.text.contains("value=\"28\""),
            "{}",
            browser.page.text
        );
        assert!(
            browser.words().contains("needs an approval") && browser.words().contains("rule “all” asks for it"),
            "{}",
            browser.words()
        );
        order(&mut browser, &[("p/zone", "a")]).await;
        assert_eq!(browser.address, "/services/retail/net", "{}", browser.words());
        assert_eq!(market.instance("retail", "net").await.body["state"], "waiting_approval");
        open(&mut browser).await;
        order(&mut browser, &[("name", "more"), ("p/prefix_length", "28")]).await;
        assert_eq!(browser.page.status, 422);
        assert!(
            browser.words().contains("quota `few`") || browser.words().contains("Quota `few`"),
            "{}",
            browser.words()
        );
        assert_eq!(market.recorder.count("provision"), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_without_a_schema_takes_json_and_operators_say_what_is_preset_and_forced() {
    Market::on_both(async |market, mut browser| {
        browser.get(&format!("{ORDER}?plan=free&tenant=retail")).await;
        order(&mut browser, &[("name", "bare"), ("p#json", "{\"a\": ")]).await;
        assert_eq!(browser.page.status, 422);
        assert!(browser.words().contains("This is not JSON"), "{}", browser.words());
        order(&mut browser, &[("p#json", "{\"a\": 1.0}")]).await;
        assert_eq!(
            (browser.address.as_str(), market.sent("provision")),
            ("/services/retail/bare", r#"{"a":1.0}"#.to_owned())
        );
        let rules = json!({"default": {"prefix_length": 27}, "force": {"strategy": "first_fit"}, "forbid": ["/pin"]});
        market.put("offerings/network/plans/small/parameters", rules).await;
        open(&mut browser).await;
        let names: Vec<String> = filled(&browser, &[]).into_iter().map(|(name, _)| name).collect();
        assert!(!names.contains(&"p/strategy".to_owned()) && !names.contains(&"p/pin".to_owned()), "{names:?}");
        assert!(
            browser.words().contains("first_fit · set by this marketplace")
                && browser.words().contains("Preset for you"),
            "{}",
            browser.words()
        );
        order(&mut browser, &[("name", "ruled")]).await;
        assert_eq!(browser.address, "/services/retail/ruled", "{}", browser.words());
        let sent = market.recorder.last("provision").json()["parameters"].clone();
        assert_eq!(sent, json!({"prefix_length": 27, "strategy": "first_fit"}));
    })
    .await;
}
