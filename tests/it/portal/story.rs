//! The portal from sign-in to deletion, over the quickstart with its real brokers, in Chromium: with scripts, without, and what each page
//! looks like to whoever can't see it or has a narrow screen. Pictures of the pages are left in `target/portal`.

use crate::quickstart::Quickstart;
use crate::support::chromium::{Chromium, NARROW, Scripts, WIDE, pictures};

/// Signs in as the administrator.
async fn sign_in(browser: &Chromium, quickstart: &Quickstart) {
    let (name, password) = quickstart.exports["ADMIN"].split_once(':').expect("name and password");
    browser.go("/").await;
    browser.fill("#username", name).await;
    browser.fill("#password", password).await;
    browser.press("Sign in").await;
    browser.at("/catalog").await;
}

/// Finds the network and opens the form of its smallest plan.
async fn find(browser: &Chromium) {
    browser.fill("#q", "netwrok").await;
    browser.press("Search").await;
    browser.at("/catalog?q=").await;
    browser.follow("Virtual network").await;
    browser.at("/catalog/virtual-network").await;
    browser.click("a[href='/catalog/virtual-network/order?plan=small']").await;
    browser.at("/catalog/virtual-network/order").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_is_found_ordered_watched_bound_to_paid_for_and_deleted() {
    let quickstart = Quickstart::start(&[]).await;
    let hub = quickstart.exports["BOURSE"].clone();
    for (scripts, name) in [(Scripts::On, "story-net"), (Scripts::Off, "plain-net")] {
        let browser = Chromium::start(&hub, scripts, WIDE).await;
        sign_in(&browser, &quickstart).await;
        find(&browser).await;
        // A wrong field first: it is told there, and what was typed stays.
        browser.choose("#tenant", "retail").await;
        browser.fill("#name", "Net!").await;
        browser.fill("[id='p/prefix_length']", "99").await;
        browser.press("Order").await;
        browser.sees("This can't be sent yet").await;
        assert!(
            browser.focus().await.starts_with("div#errors") || scripts == Scripts::Off,
            "{}",
            browser.focus().await
        );
        browser.fill("#name", name).await;
        browser.fill("[id='p/prefix_length']", "28").await;
        browser.press("Order").await;
        let here = format!("/services/retail/{name}");
        browser.at(&here).await;
        browser.sees("ready").await;
        browser.follow("Bind to it").await;
        browser.at(&format!("{here}/bind")).await;
        browser.fill("#name", "app").await;
        browser.press("Bind and show the credentials").await;
        browser.sees("Copy them now").await;
        browser.sees("cidr").await;
        assert!(!browser.address().await.contains('?'), "no secret is in an address");
        // The page that is read has none of them.
        browser.follow("Done").await;
        browser.at(&format!("{here}/bindings/app")).await;
        browser.go(&here).await;
        browser.sees("Cost").await;
        browser.go(&format!("{here}/bindings/app/revoke")).await;
        browser.press("Revoke app").await;
        browser.at(&here).await;
        browser.go(&format!("{here}/delete")).await;
        browser.press(&format!("Delete {name} for good")).await;
        browser.sees("deleted").await;
        browser.stop().await;
    }
    quickstart.interrupt().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_keeps_anybody_from_using_it() {
    let quickstart = Quickstart::start(&[]).await;
    let hub = quickstart.exports["BOURSE"].clone();
    let browser = Chromium::start(&hub, Scripts::On, WIDE).await;
    sign_in(&browser, &quickstart).await;
    find(&browser).await;
    browser.choose("#tenant", "retail").await;
    browser.fill("#name", "seen-net").await;
    browser.press("Order").await;
    browser.at("/services/retail/seen-net").await;
    browser.sees("ready").await;
    let pages = [
        ("catalog", "/catalog"),
        ("offering", "/catalog/virtual-network"),
        ("order", "/catalog/managed-bastion/order?tenant=retail"),
        ("services", "/services"),
        ("service", "/services/retail/seen-net"),
        ("change", "/services/retail/seen-net/change"),
        ("delete", "/services/retail/seen-net/delete"),
        ("bind", "/services/retail/seen-net/bind"),
        ("approvals", "/approvals"),
        ("costs", "/costs"),
        ("statements", "/costs/statements"),
        ("budgets", "/costs/budgets"),
        ("add-budget", "/costs/add-budget"),
        ("provider", "/provider"),
        ("register", "/provider/register-broker"),
        ("change-broker", "/operator/brokers/vnet-ipam/change"),
        ("broker-credentials", "/operator/brokers/vnet-ipam/credentials"),
        ("conformance", "/operator/brokers/vnet-ipam/conformance"),
        ("prices", "/operator/brokers/vnet-ipam/prices"),
        ("price-lines", "/operator/brokers/faults/prices"),
        ("offering-checks", "/provider/offerings/virtual-network"),
        ("operator-reviews", "/operator/reviews"),
        ("operator-review", "/operator/reviews/virtual-network"),
        ("proposals", "/costs/proposals"),
        ("operator", "/operator"),
        ("brokers", "/operator/brokers"),
        ("broker", "/operator/brokers/vnet-ipam"),
        ("platforms", "/operator/platforms"),
        ("tenants", "/operator/tenants"),
        ("tenant", "/operator/tenants/retail"),
        ("identities", "/operator/identities"),
        ("operations", "/operator/operations"),
        ("outbox", "/operator/outbox"),
        ("policies", "/operator/policies"),
        ("audit", "/operator/audit"),
        ("account", "/account"),
        ("shares", "/services/retail/seen-net/grants"),
        ("add-tenant", "/operator/add-tenant"),
        ("change-tenant", "/operator/tenants/retail/change"),
        ("add-platform", "/operator/add-platform"),
        ("platform", "/operator/platforms/cf"),
        ("delete-platform", "/operator/platforms/cf/delete"),
        ("add-policy", "/operator/add-policy"),
        ("quotas", "/operator/quotas"),
        ("add-quota", "/operator/add-quota?tenant=retail"),
        ("approval-rules", "/operator/approval-rules"),
        ("add-approval-rule", "/operator/add-approval-rule"),
        ("offerings", "/operator/offerings"),
        ("what-holds", "/operator/offerings/virtual-network"),
        ("visibility", "/operator/offerings/virtual-network/plans/small/visibility"),
        ("parameters", "/operator/offerings/virtual-network/plans/small/parameters"),
        ("adopt", "/operator/adopt?broker=vnet-ipam"),
    ];
    let folder = pictures();
    for (name, address) in pages {
        for (kind, width, scheme) in [("wide", WIDE, "light"), ("narrow", NARROW, "dark")] {
            browser.size(width, 1000).await;
            browser.scheme(scheme).await;
            browser.go(address).await;
            browser.accessible().await;
            browser.picture(&folder.join(format!("{name}-{kind}.png"))).await;
        }
    }
    // Those in README (`tests/pictures.sh`).
    browser.size(WIDE, 800).await;
    browser.scheme("light").await;
    for (name, address) in
        [("catalog", "/catalog"), ("order", "/catalog/virtual-network/order?plan=medium&tenant=retail")]
    {
        browser.go(address).await;
        browser.first_view(&folder.join(format!("readme-{name}.png"))).await;
    }
    browser.stop().await;
    quickstart.interrupt().await;
}
