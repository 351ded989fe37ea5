//! Orders that are not somebody's to place.

use reqwest::Method;
use serde_json::json;

use super::market::{Market, ORDER, open};
use crate::support::bare::On;
use crate::support::controls::filled;
use crate::support::hub::World;
use crate::support::oidc::{AUDIENCE, Forger};
use crate::support::portal::{Browser, PORTAL};

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_its_token_orders_nothing() {
    Market::on_both(async |market, mut browser| {
        open(&mut browser).await;
        let mut fields = filled(&browser, &[("name", "net"), ("p/prefix_length", "28")]);
        fields.push(("do".to_owned(), "order".to_owned()));
        let pairs: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(browser.post(ORDER, &pairs).await.status, 403);
        let other = Browser::administrator(&market.bench.hub.url, "pw").await.csrf();
        let stolen = [&pairs[..], &[("csrf", other.as_str())]].concat();
        assert_eq!(browser.post(ORDER, &stolen).await.status, 403);
        assert_eq!(market.recorder.count("provision"), 0);
        assert_eq!(market.instance("retail", "net").await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_not_there_to_be_ordered_or_changed() {
    Market::on_both(async |market, mut browser| {
        market.ordered("trade", "theirs", json!({"prefix_length": 28})).await;
        for address in [
            "/catalog/nothing/order",
            "/catalog/network/order?tenant=nobody",
            "/services/retail/theirs/change",
            "/services/nobody/x/change",
        ] {
            assert_eq!(browser.get(address).await.status, 404, "{address}");
        }
        browser.get("/catalog/network/order?plan=nothing&tenant=retail").await;
        assert!(
            browser.page.status == 200 && browser.words().contains("There is no plan “nothing” to order"),
            "{}",
            browser.words()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_does_not_exist_for_whoever_orders_for_one() {
    let forger = Forger::start().await;
    for on in [On::Sqlite, On::Postgres] {
        let world = World::new(on, |config| {
            config.oidc.issuer.clone_from(&forger.url);
            config.oidc.audience = AUDIENCE.to_owned();
            config.oidc.portal_client_id = PORTAL.to_owned();
        })
        .await;
        let hub = world.hub().await;
        world.furnish(&hub).await;
        for (tenant, members) in [("own", json!([{"user": "ada", "role": "member"}])), ("other", json!([]))] {
            let body = json!({"display_name": tenant, "members": members});
            assert_eq!(hub.admin(Method::PUT, &format!("/api/v1/tenants/{tenant}"), Some(body)).await.status, 201);
        }
        let mut ada = Browser::person(&hub.url, "ada", world.clock.now().seconds(), &json!({})).await;
        let order = "/catalog/faults/order";
        ada.get(&format!("{order}?plan=ok")).await;
        assert_eq!(ada.page.status, 200, "{}", ada.words());
        assert!(ada.page.text.contains("<option value=\"own\" selected>"), "the only one is chosen: {}", ada.page.text);
        assert!(!ada.page.text.contains("value=\"other\""));
        let (csrf, fields) = (ada.csrf(), [("plan", "ok"), ("name", "n"), ("do", "order")]);
        let theirs = [&[("csrf", csrf.as_str()), ("tenant", "other")][..], &fields[..]].concat();
        assert_eq!(ada.post(order, &theirs).await.status, 404);
        assert_eq!(ada.get(&format!("{order}?plan=ok&tenant=other")).await.status, 404);
        assert_eq!(ada.get("/services/other/n/change").await.status, 404);
        let own = [&[("csrf", csrf.as_str()), ("tenant", "own")][..], &fields[..]].concat();
        ada.post(order, &own).await;
        assert_eq!(ada.address, "/services/own/n", "{}", ada.words());
        hub.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_tenants_is_found_by_a_part_of_its_name() {
    Market::on_both(async |market, mut browser| {
        for number in 0..60 {
            market.put(&format!("tenants/shop-{number}"), json!({"display_name": "Shop"})).await;
        }
        browser.get(&format!("{ORDER}?plan=large")).await;
        let mut fields = filled(&browser, &[("name", "net"), ("tenant", "shop-4")]);
        fields.push(("turn".to_owned(), "tenant".to_owned()));
        let pairs: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        browser.submit(ORDER, &pairs).await;
        assert!(
            browser.page.text.contains("type=\"text\" value=\"shop-4\" required"),
            "it is there: {}",
            browser.words()
        );
        let typed = filled(&browser, &[("tenant", "op-4")]);
        let mut pairs: Vec<(&str, &str)> = typed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        pairs.push(("do", "order"));
        browser.submit(ORDER, &pairs).await;
        assert_eq!(browser.page.status, 422);
        for name in ["shop-4", "shop-40", "shop-49"] {
            assert!(
                browser.page.text.contains(&format!("name=\"tenant\" value=\"{name}\"")),
                "{name}: {}",
                browser.page.text
            );
        }
        let mut chosen = vec![("tenant", "shop-49"), ("do", "order")];
        chosen.extend(
            typed.iter().filter(|(name, _)| name != "tenant").map(|(name, value)| (name.as_str(), value.as_str())),
        );
        browser.submit(ORDER, &chosen).await;
        assert_eq!(browser.address, "/services/shop-49/net", "{}", browser.words());
    })
    .await;
}
