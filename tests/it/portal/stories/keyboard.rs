//! The whole way by keyboard alone: Tab, Enter, arrows and letters, and at each stop it can be seen where one is.

use std::time::Duration;

use serde_json::{Value, json};

use crate::quickstart::Quickstart;
use crate::support::chromium::{Chromium, Scripts, WIDE};
use crate::support::wait::wait_for;

const ENTER: &str = "\u{e007}";
const TAB: &str = "\u{e004}";
const DOWN: &str = "\u{e015}";
/// Control and A: all of a field, so that what is typed next takes its place.
const ALL: &str = "\u{e009}a\u{e000}";
const BOUND: Duration = Duration::from_secs(30);

/// Whether what has the focus fits a selector, and whether it can be seen that it has it.
const LOOK: &str = "const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect(); \
    const told = e === document.body || (e.matches(':focus-visible') && style.outlineStyle !== 'none' \
        && parseFloat(style.outlineWidth) >= 2 && box.bottom > 0 && box.top < innerHeight && box.width > 0); \
    return [e.matches(CSS), told, e.outerHTML.slice(0, 200)]";

/// Presses Tab until what fits a selector has the focus.
async fn tab_to(browser: &Chromium, css: &str) {
    const STOPS_MAX: usize = 150;
    let look = LOOK.replace("CSS", &json!(css).to_string());
    for _ in 0..STOPS_MAX {
        browser.keys(TAB).await;
        let Value::Array(seen) = browser.run(&look).await else { unreachable!("three things") };
        assert_eq!(seen[1], json!(true), "the focus can't be seen at {}: {}", browser.address().await, seen[2]);
        if seen[0] == json!(true) {
            return;
        }
    }
    panic!("Tab never gets to {css} at {}", browser.address().await);
}

/// Goes to what fits a selector and presses Enter there.
async fn enter(browser: &Chromium, css: &str) {
    tab_to(browser, css).await;
    browser.keys(ENTER).await;
}

/// Types into a field in place of what stands there.
async fn type_in(browser: &Chromium, css: &str, text: &str) {
    tab_to(browser, css).await;
    browser.keys(&format!("{ALL}{text}")).await;
}

/// Goes down in a list until that is chosen; the form may be made anew at each step.
async fn choose(browser: &Chromium, css: &str, value: &str) {
    tab_to(browser, css).await;
    let list = format!("const list = document.querySelector({});", json!(css));
    for _ in 0..20 {
        if browser.run(&format!("{list} return list.value")).await == json!(value) {
            return;
        }
        browser.run(&format!("{list} list.dataset.before = 'yes'")).await;
        browser.keys(DOWN).await;
        let anew = format!("{list} return !list.dataset.before && document.activeElement === list");
        wait_for("the form to be made anew", BOUND, async || (browser.run(&anew).await == json!(true)).then_some(()))
            .await;
    }
    panic!("{css} has no {value}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_needs_a_mouse_from_signing_in_to_deleting() {
    let quickstart = Quickstart::start(&[]).await;
    let browser = Chromium::start(&quickstart.exports["BOURSE"], Scripts::On, WIDE).await;
    let (name, password) = quickstart.exports["ADMIN"].split_once(':').expect("name and password");
    browser.go("/").await;
    type_in(&browser, "#username", name).await;
    type_in(&browser, "#password", password).await;
    browser.keys(ENTER).await;
    browser.at("/catalog").await;

    enter(&browser, "a.skip").await;
    type_in(&browser, "#q", "netwrok").await;
    browser.keys(ENTER).await;
    browser.at("/catalog?q=").await;
    enter(&browser, "a[href='/catalog/virtual-network']").await;
    browser.at("/catalog/virtual-network").await;
    enter(&browser, "a[href='/catalog/virtual-network/order?plan=small']").await;
    browser.at("/catalog/virtual-network/order").await;

    choose(&browser, "#tenant", "retail").await;
    type_in(&browser, "#name", "Net!").await;
    type_in(&browser, "[id='p/prefix_length']", "99").await;
    enter(&browser, "button[value='order']").await;
    browser.sees("This can't be sent yet").await;
    // What is wrong has the focus; from there it leads on to the field.
    enter(&browser, "#errors a[href='#name']").await;
    wait_for("the field to have the focus", BOUND, async || {
        browser.focus().await.starts_with("input#name").then_some(())
    })
    .await;
    browser.keys(&format!("{ALL}keys-net")).await;
    type_in(&browser, "[id='p/prefix_length']", "28").await;
    enter(&browser, "button[value='order']").await;
    let here = browser.at("/services/retail/keys-net").await;
    browser.sees("Ready since").await;

    enter(&browser, &format!("a[href='{here}/bind']")).await;
    browser.at(&format!("{here}/bind")).await;
    type_in(&browser, "#name", "app").await;
    enter(&browser, "main form p.actions button[type='submit']").await;
    browser.sees("Copy them now").await;
    enter(&browser, "button[data-copy]").await;
    browser.sees("Copied").await;
    enter(&browser, &format!("a.button[href='{here}/bindings/app']")).await;
    browser.at(&format!("{here}/bindings/app")).await;
    enter(&browser, &format!(".trail a[href='{here}']")).await;
    browser.at(&here).await;
    browser.sees("Cost this month").await;

    enter(&browser, &format!("a[href='{here}/delete']")).await;
    browser.at(&format!("{here}/delete")).await;
    enter(&browser, "main button.danger").await;
    browser.at(&here).await;
    browser.sees("deleted").await;
    browser.stop().await;
    quickstart.interrupt().await;
}
