//! The portal in a real browser: what scripts, focus and layout make of it, and whether everybody can use it (axe-core).

use serde_json::json;

use crate::support::bare::On;
use crate::support::chromium::{Chromium, NARROW, Scripts, WIDE};
use crate::support::hub::{Hub, World};

/// A hub with the broker `faults` and the tenant `retail`.
async fn market() -> (World, Hub) {
    let world = World::new(On::Sqlite, |_| {}).await;
    let hub = world.hub().await;
    world.furnish(&hub).await;
    (world, hub)
}

/// Signs in as the administrator.
async fn sign_in(browser: &Chromium) {
    browser.go("/").await;
    browser.fill("#username", "admin").await;
    browser.fill("#password", "pw").await;
    browser.press("Sign in").await;
    browser.at("/catalog").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_finds_an_offering_with_a_slip_of_the_pen_with_and_without_scripts() {
    let (_world, hub) = market().await;
    for scripts in [Scripts::On, Scripts::Off] {
        let browser = Chromium::start(&hub.url, scripts, WIDE).await;
        sign_in(&browser).await;
        browser.fill("#q", "fautls").await;
        browser.press("Search").await;
        browser.sees("1 offering for “fautls”").await;
        browser.follow("Faults").await;
        browser.at("/catalog/faults").await;
        browser.sees("Plans").await;
        browser.press("Sign out").await;
        browser.at("/sign-in").await;
        browser.stop().await;
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_alone_is_enough_to_sign_in_and_search() {
    let (_world, hub) = market().await;
    let browser = Chromium::start(&hub.url, Scripts::On, WIDE).await;
    browser.go("/sign-in").await;
    tab_to(&browser, "input#username").await;
    browser.keys("admin").await;
    tab_to(&browser, "input#password").await;
    browser.keys("pw\u{e007}").await;
    browser.at("/catalog").await;
    // The first stop is the way past the navigation.
    tab_to(&browser, "a# Skip to content").await;
    browser.keys("\u{e007}").await;
    tab_to(&browser, "input#q").await;
    browser.keys("vnet\u{e007}").await;
    browser.sees("0 offerings for “vnet”").await;
    browser.stop().await;
    hub.stop().await;
}

/// Presses Tab until something that begins so has the focus.
pub(super) async fn tab_to(browser: &Chromium, what: &str) {
    const STOPS_MAX: usize = 120;
    for _ in 0..STOPS_MAX {
        browser.keys("\u{e004}").await;
        if browser.focus().await.starts_with(what) {
            return;
        }
    }
    panic!("Tab never gets to {what}; it is at {}", browser.focus().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_can_be_used_by_everybody_wide_and_narrow_light_and_dark() {
    let (_world, hub) = market().await;
    let browser = Chromium::start(&hub.url, Scripts::On, WIDE).await;
    browser.go("/sign-in").await;
    browser.accessible().await;
    sign_in(&browser).await;
    for address in ["/catalog", "/catalog?q=nothing", "/catalog/faults", "/account", "/catalog/none"] {
        for (width, scheme) in [(WIDE, "light"), (NARROW, "dark")] {
            browser.size(width, 1000).await;
            browser.scheme(scheme).await;
            browser.go(address).await;
            browser.accessible().await;
        }
    }
    assert_eq!(browser.run("return document.querySelectorAll('h1').length").await, json!(1));
    browser.stop().await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_of_operators_can_be_used_by_everybody_also_where_something_is_wrong_with_what_was_typed() {
    let (_world, hub) = market().await;
    let put = async |path: &str, body| {
        let reply = hub.admin(reqwest::Method::PUT, &format!("/api/v1/{path}"), Some(body)).await;
        assert!(matches!(reply.status, 200 | 201), "{path}: {reply:?}");
    };
    let text = "@remedy(\"take another\") forbid(principal, action, resource);";
    put("tenants/retail/instances/one", json!({"offering": "faults", "plan": "ok"})).await;
    put("policies/none", json!({"mode": "warn", "text": text})).await;
    put("quotas/few", json!({"tenant": "retail", "limit": "1"})).await;
    put("approval-rules/all", json!({"offering": "faults", "approvers": ["ann"]})).await;
    put("offerings/faults/plans/ok/parameters", json!({"default": {"times": 1}})).await;
    let browser = Chromium::start(&hub.url, Scripts::On, WIDE).await;
    sign_in(&browser).await;
    let pages = [
        "/operator/policies/none",
        "/operator/policies/none/delete",
        "/operator/quotas",
        "/operator/quotas/few",
        "/operator/approval-rules/all",
        "/operator/offerings/faults",
        "/operator/offerings/faults/plans/ok/parameters",
        "/operator/platforms/p/delete",
        "/operator/tenants/retail/change",
        "/services/retail/one/grants",
    ];
    for address in pages {
        for (width, scheme) in [(WIDE, "light"), (NARROW, "dark")] {
            browser.size(width, 1000).await;
            browser.scheme(scheme).await;
            browser.go(address).await;
            browser.accessible().await;
        }
    }
    // By the keyboard alone: from the list of what is wrong to the field.
    browser.go("/operator/add-policy").await;
    browser.fill("#name", "mine").await;
    browser.fill("#text", "forbid(principal, action);").await;
    browser.press("Write the policy").await;
    browser.sees("This can't be sent yet").await;
    browser.accessible().await;
    tab_to(&browser, "a# line 1").await;
    browser.keys("\u{e007}").await;
    assert_eq!(browser.run("return document.activeElement.id").await, json!("text"));
    browser.fill("#text", text).await;
    browser.press("Try it against what stands").await;
    browser.sees("What this text would refuse").await;
    browser.accessible().await;
    browser.press("Write the policy").await;
    browser.at("/operator/policies/mine").await;
    browser.press("Let it refuse orders").await;
    browser.sees("refuses orders").await;
    browser.stop().await;
    hub.stop().await;
}
