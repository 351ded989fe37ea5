//! Stories of several people, of money, of secrets, and of whoever has no mouse, each told in Chromium from the first click to the end.

mod approval;
mod clipboard;
mod cost;
mod identity;
mod keyboard;

use super::staff::House;
use crate::support::chromium::{Chromium, Scripts, WIDE};

/// A window of somebody who is signed in.
async fn window(house: &House, name: &str) -> Chromium {
    let browser = Chromium::start(&house.hub.url, Scripts::On, WIDE).await;
    browser.keep(&house.browser(name).await.cookies()).await;
    browser
}

/// Orders `faults` for `retail` under a name; the address of its page, which is shown then.
async fn order(browser: &Chromium, name: &str) -> String {
    browser.go("/catalog/faults/order?plan=ok&tenant=retail").await;
    browser.fill("#name", name).await;
    browser.press("Order").await;
    browser.at(&format!("/services/retail/{name}")).await
}
