//! The catalog and an offering's page.

use reqwest::Method;
use serde_json::json;

use crate::support::bare::On;
use crate::support::hub::{Hub, World};
use crate::support::portal::Browser;
use crate::support::scripted::{PASSWORD, Script, Scripted, USERNAME, catalog};

/// A hub with the brokers `faults` and `acme`, whose offerings are `virtual-network` and `object-storage`.
async fn market(test: impl AsyncFn(&Hub, Browser)) {
    for on in [On::Sqlite, On::Postgres] {
        let world = World::new(on, |_| {}).await;
        let hub = world.hub().await;
        world.furnish(&hub).await;
        let offerings = [("virtual-network", &["small", "large"][..]), ("object-storage", &["one"][..])];
        let acme = Scripted::start(Script::Catalog(catalog(&offerings)));
        let body = json!({"name": "acme", "url": acme.url(), "credentials": {"basic": {"username": USERNAME, "password": PASSWORD}}});
        assert_eq!(hub.admin(Method::POST, "/api/v1/brokers", Some(body)).await.status, 201);
        test(&hub, Browser::administrator(&hub.url, "pw").await).await;
        hub.stop().await;
        acme.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_forgives_a_slip_of_the_pen_and_says_when_nothing_fits() {
    market(async |_, mut browser| {
        browser.get("/catalog").await;
        for name in ["faults", "virtual-network", "object-storage"] {
            assert!(browser.page.text.contains(&format!("href=\"/catalog/{name}\"")), "{name}: {}", browser.words());
        }
        for query in ["virtual", "netwrok", "NETWORK", "vnet", "acme+network"] {
            browser.get(&format!("/catalog?q={query}")).await;
            assert!(browser.words().contains("1 offering for"), "{query}: {}", browser.words());
            assert!(browser.page.text.contains("href=\"/catalog/virtual-network\""), "{query}");
        }
        browser.get("/catalog?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E").await;
        assert!(browser.words().contains("Nothing fits") && !browser.page.text.contains("<script>alert"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_narrows_a_search_is_a_link_with_its_count_and_can_be_taken_back() {
    market(async |_, mut browser| {
        browser.get("/catalog?q=&provider=acme").await;
        assert!(browser.words().contains("2 offerings"), "{}", browser.words());
        assert!(!browser.page.text.contains("href=\"/catalog/faults\""));
        assert!(browser.page.text.contains("href=\"/catalog?q=\" aria-current=\"true\""), "{}", browser.page.text);
        assert!(browser.page.text.contains("provider=faults\""), "the others are still offered");
        browser.get("/catalog?provider=nobody").await;
        assert!(browser.words().contains("0 offerings") && browser.words().contains("Nothing fits"));
        assert_eq!(browser.get("/catalog?page=x").await.status, 400);
        assert_eq!(browser.get("/catalog?tenant=nobody").await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offering_shows_its_plans_side_by_side_and_who_runs_it() {
    market(async |_, mut browser| {
        assert_eq!(browser.get("/catalog/virtual-network").await.status, 200);
        let words = browser.words();
        for part in ["small", "large", "acme", "Plans"] {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert!(browser.page.text.contains("href=\"/catalog/virtual-network/order?plan=large\""), "{words}");
        assert!(words.contains("bourse offerings virtual-network"), "{words}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_whom_a_catalog_was_searched_is_carried_on_to_the_order() {
    market(async |hub, mut browser| {
        let trade = json!({"display_name": "Trade"});
        assert_eq!(hub.admin(Method::PUT, "/api/v1/tenants/trade", Some(trade)).await.status, 201);
        browser.get("/catalog?tenant=trade&q=network").await;
        assert!(browser.page.text.contains("href=\"/catalog/virtual-network?tenant=trade\""), "{}", browser.page.text);
        assert!(browser.words().contains("for trade"), "{}", browser.words());
        browser.get("/catalog/virtual-network?tenant=trade").await;
        let order = "/catalog/virtual-network/order?plan=large&amp;tenant=trade";
        assert!(browser.page.text.contains(&format!("href=\"{order}\"")), "{}", browser.page.text);
        assert!(browser.page.text.contains("href=\"/catalog?tenant=trade\""), "{}", browser.page.text);
        browser.get(&order.replace("&amp;", "&")).await;
        assert!(browser.page.text.contains("<option value=\"trade\" selected>"), "{}", browser.page.text);
        assert!(browser.page.text.contains("href=\"/catalog/virtual-network?tenant=trade\""), "{}", browser.page.text);
        assert_eq!(browser.get("/catalog/virtual-network?tenant=nobody").await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_writes_is_text_on_a_page_and_only_an_address_of_the_web_is_a_link() {
    const SCHEMES: [&str; 6] = [
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        " https://a.example",
        "//a.example",
    ];
    let evil = "<script>alert(1)</script>\" onmouseover=\"alert(1)";
    let names: Vec<String> = (0..SCHEMES.len()).map(|number| format!("offering-{number}")).collect();
    let offerings: Vec<_> = names.iter().map(|name| (name.as_str(), &["small"][..])).collect();
    let mut offered = catalog(&offerings);
    for (offering, address) in offered["services"].as_array_mut().expect("offerings").iter_mut().zip(SCHEMES) {
        offering["description"] = json!(evil);
        offering["tags"] = json!([evil]);
        offering["metadata"] = json!({"displayName": evil, "longDescription": evil, "providerDisplayName": evil,
            "documentationUrl": address, "supportUrl": address, "imageUrl": address, "x-focus": {"service_category": evil}});
        offering["plans"][0]["description"] = json!(evil);
        offering["plans"][0]["metadata"] = json!({"displayName": evil, "bullets": [evil]});
    }
    let world = World::new(On::Sqlite, |_| {}).await;
    let hub = world.hub().await;
    world.furnish(&hub).await;
    let acme = Scripted::start(Script::Catalog(offered));
    let basic = json!({"basic": {"username": USERNAME, "password": PASSWORD}});
    let body = json!({"name": "acme", "url": acme.url(), "credentials": basic});
    assert_eq!(hub.admin(Method::POST, "/api/v1/brokers", Some(body)).await.status, 201);
    let mut browser = Browser::administrator(&hub.url, "pw").await;
    let mut pages = vec!["/catalog".to_owned(), "/operator/brokers/acme".to_owned()];
    for name in &names {
        pages.extend([format!("/catalog/{name}"), format!("/catalog/{name}/order?tenant=retail")]);
    }
    for page in pages {
        assert_eq!(browser.get(&page).await.status, 200, "{page}");
        let text = browser.page.text.to_ascii_lowercase();
        assert!(!text.contains("<script>") && !text.contains("\" onmouseover"), "{page}: {text}");
        for scheme in ["javascript:", "data:", "vbscript:", " https:", "//"] {
            assert!(
                !text.contains(&format!("href=\"{scheme}")) && !text.contains(&format!("src=\"{scheme}")),
                "{page}"
            );
        }
    }
    hub.stop().await;
    acme.stop().await;
}
