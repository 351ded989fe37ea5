//! The list: whose services are in it, what narrows it, and that all of them are found however many there are.

use std::collections::BTreeSet;

use bourse::app::Page;
use bourse::app::services::list::ServiceFilter;
use bourse::domain::caller::Caller;
use serde_json::json;

use super::on_both;
use crate::support::portal::Browser;

/// The names of the services on the page, in its order.
fn names(browser: &Browser) -> Vec<String> {
    let rows = browser.page.text.split("<a class=\"strong\" href=\"/services/").skip(1);
    rows.map(|row| row.split('>').nth(1).expect("a name").split('<').next().expect("a name").to_owned()).collect()
}

/// Where `rel="next"` leads to.
fn next(browser: &Browser) -> Option<String> {
    let (_, rest) = browser.page.text.split_once("rel=\"next\" href=\"")?;
    Some(rest.split('"').next().expect("an address").replace("&amp;", "&"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_leads_to_the_catalog() {
    on_both(async |shop| {
        let mut ada = shop.person("ada").await;
        assert_eq!(ada.get("/services").await.status, 200);
        assert!(ada.words().contains("There are no services yet"), "{}", ada.words());
        assert!(ada.page.text.contains("<a class=\"button\" href=\"/catalog\">"), "{}", ada.page.text);
        assert!(ada.page.text.contains("href=\"/services\" aria-current=\"true\""), "the navigation says where one is");
        ada.get("/services?q=net").await;
        assert!(ada.words().contains("Nothing fits"), "{}", ada.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_listed_the_newest_first_with_pages_and_what_narrows_them() {
    on_both(async |shop| {
        for number in 0..28 {
            shop.ordered(&format!("net-{number:02}"), "network", json!({})).await;
        }
        shop.ordered("safe", "vault", json!({})).await;
        let mut ada = shop.person("ada").await;
        ada.get("/services").await;
        let first = names(&ada);
        assert_eq!((first.len(), first[0].as_str(), first[1].as_str()), (25, "safe", "net-27"));
        let onwards = next(&ada).expect("a next page");
        ada.get(&onwards).await;
        assert_eq!(names(&ada), ["net-03", "net-02", "net-01", "net-00"]);
        assert_eq!(next(&ada), None);
        assert!(ada.page.text.contains(">First page<"));
        ada.get("/services?q=NET-1").await;
        assert_eq!(names(&ada).len(), 10, "whatever the case");
        ada.get("/services?q=net_0").await;
        assert!(names(&ada).is_empty(), "no sign means any other");
        ada.get("/services?offering=vault").await;
        assert_eq!(names(&ada), ["safe"]);
        ada.get("/services?offering=vault&state=failed").await;
        assert!(ada.words().contains("Nothing fits"), "{}", ada.words());
        ada.get("/services?state=ready&tenant=retail&offering=vault").await;
        assert_eq!(names(&ada), ["safe"]);
        for (address, status) in
            [("?cursor=!", 400), ("?state=lost", 400), ("?tenant=trade", 404), ("?offering=none", 200)]
        {
            assert_eq!(ada.get(&format!("/services{address}")).await.status, status, "{address}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_the_services_of_their_tenants_and_nobody_elses() {
    on_both(async |shop| {
        shop.ordered("mine", "network", json!({})).await;
        assert_eq!(shop.order("trade", "theirs", "network", json!({})).await.status, 201);
        let (mut ada, mut all) = (shop.person("ada").await, shop.administrator().await);
        ada.get("/services").await;
        assert_eq!(names(&ada), ["mine"]);
        for address in ["", "/live", "/delete", "/bind", "/bindings/default"] {
            let address = format!("/services/trade/theirs{address}");
            assert_eq!(ada.get(&address).await.status, 404, "{address}");
            assert!(!ada.page.text.contains("network"), "{address}");
        }
        all.get("/services").await;
        assert_eq!(names(&all), ["theirs", "mine"]);
        all.get("/services?tenant=trade").await;
        assert_eq!(names(&all), ["theirs"]);
        let mut stranger = shop.person("eve").await;
        assert_eq!(stranger.get("/services").await.status, 200);
        assert!(stranger.words().contains("Nothing is shared with you"), "{}", stranger.words());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_ordered_at_a_platform_is_listed_and_called_by_its_id() {
    on_both(async |shop| {
        let b = &shop.bench;
        let order = b.order("network/one", json!({"context": {"platform": "other", "instance_name": "from afar"}}));
        b.check("an order", "PUT i-1", Some(order), (201, "")).await;
        let id = shop.recorder.last("provision").instance_id();
        let mut ada = shop.person("ada").await;
        ada.get("/services?q=i-1").await;
        assert!(ada.page.text.contains(&format!("href=\"/services/retail/{id}\"")), "{}", ada.page.text);
        assert!(ada.words().contains("ordered at p"), "{}", ada.words());
        assert_eq!(ada.get(&format!("/services/retail/{id}")).await.status, 200);
        assert!(!ada.page.text.contains("/delete\""), "it is deleted at its platform");
        assert_eq!(ada.get(&format!("/services/retail/{id}/delete")).await.status, 409);
        assert!(ada.words().contains("ordered at the platform p"), "{}", ada.words());
        assert_eq!(ada.get(&format!("/services/trade/{id}")).await.status, 404);
    })
    .await;
}

/// Ten thousand instances like one that is there.
const COPIES: &str = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 10000) \
    insert into instances (id, platform_id, platform_instance_id, current, name, tenant_id, broker_id, offering_id, plan_id, state, \
    attributes, answer, event_sequence, version, created_at, updated_at) \
    select '0' || substr(cast(100000 + n.i as text), 2), i.platform_id, 'copy-' || n.i, 1, 'copy-' || n.i, i.tenant_id, i.broker_id, \
    i.offering_id, i.plan_id, i.state, i.attributes, i.answer, 0, 1, i.created_at, i.updated_at from n, instances i where i.name = 'first'";

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_services_are_paged_through_and_found_by_name() {
    on_both(async |shop| {
        shop.ordered("first", "network", json!({})).await;
        let filled =
            shop.bench.hub.db.write::<_, bourse::store::Error, _>(|tx| {
                Box::pin(async move { tx.execute(sqlx::query(COPIES)).await })
            });
        assert_eq!(filled.await.expect("copies"), 10_000);
        let app = &shop.bench.hub.app;
        let caller = Caller::Admin("admin".to_owned());
        for tenant in [None, Some("retail".to_owned())] {
            let filter = ServiceFilter { tenant, ..ServiceFilter::default() };
            let mut page = Page { limit: 1000, after: String::new() };
            let (mut seen, mut last) = (BTreeSet::new(), None::<String>);
            loop {
                let listed = app.service_list(&caller, &filter, &page).await.expect("a page");
                for item in listed.items {
                    let id = item.instance.row.id;
                    assert!(last.as_ref().is_none_or(|last| id < *last), "{id} after {last:?}");
                    last = Some(id.clone());
                    seen.insert(id);
                }
                let Some(after) = listed.next else { break };
                page.after = after;
            }
            assert_eq!(seen.len(), 10_001);
        }
        // Further down than is looked through at once.
        let filter = ServiceFilter { words: "Copy-17".to_owned(), ..ServiceFilter::default() };
        let mut page = Page { limit: 1000, after: String::new() };
        let (mut found, mut pages) = (BTreeSet::new(), 0);
        loop {
            let listed = app.service_list(&caller, &filter, &page).await.expect("a page");
            found.extend(listed.items.into_iter().filter_map(|item| item.instance.row.name));
            pages += 1;
            let Some(after) = listed.next else { break };
            page.after = after;
        }
        assert_eq!((found.len(), found.contains("copy-17"), found.contains("copy-1799")), (111, true, true));
        assert!((3..=4).contains(&pages), "{pages}");
        let mut browser = shop.administrator().await;
        browser.get("/services?q=copy-17&state=ready").await;
        assert!(next(&browser).is_some(), "the page leads on to where it has not looked");
    })
    .await;
}
