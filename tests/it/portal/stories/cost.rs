//! What a service costs grows on its page while time goes by.

use std::time::Duration;

use bourse::domain::period::{Month, Zone};
use reqwest::Method;
use serde_json::json;

use super::super::staff::house_on;
use super::{order, window};
use crate::support::bare::On;
use crate::support::chromium::Chromium;

const HOUR: Duration = Duration::from_secs(3600);

/// The cost of this month that the page tells, in whole cents; nothing yet is nothing.
async fn cents(browser: &Chromium) -> u64 {
    let text = browser.text().await;
    let (_, rest) = text.split_once("Cost this month").unwrap_or_else(|| panic!("no cost: {text}"));
    let amount = rest.split_whitespace().next().expect("a word").replace(['.', ','], "");
    amount.parse().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cost_on_a_page_grows_with_the_time_that_a_service_stands() {
    let signed_in_for_long = |config: &mut bourse::config::Config| {
        (config.portal.session, config.portal.session_idle) = (72 * HOUR, 72 * HOUR);
    };
    house_on(&[On::Sqlite], signed_in_for_long, async |house| {
        // From the beginning of a month, so that it does not end on the way.
        let clock = &house.world.clock;
        let next = Month::of(clock.now(), &Zone::utc()).next();
        clock.advance(next.start(&Zone::utc()).plus(HOUR).since(clock.now()));
        let prices = json!([{"offering": "faults", "model": "flat", "amount": "60", "per": "hour"}]);
        let book = json!({"currency": "EUR", "effective_from": "2020-01-01T00:00:00Z", "rules": prices});
        house.api(Method::POST, "/price-books", Some(book)).await;

        let ada = window(house, "ada").await;
        let here = order(&ada, "net").await;
        ada.sees("Ready since").await;
        ada.go(&here).await;
        // One minute costs one euro, and no test waits for one.
        let begun = cents(&ada).await;
        assert!(begun < 2_000, "{begun}");
        clock.advance(HOUR);
        ada.go(&here).await;
        let after_an_hour = cents(&ada).await;
        assert!((6_000..8_000).contains(&(after_an_hour - begun)), "{begun} {after_an_hour}");
        clock.advance(24 * HOUR);
        ada.go(&here).await;
        let after_a_day = cents(&ada).await;
        assert!(
            (24 * 6_000..24 * 6_000 + 2_000).contains(&(after_a_day - after_an_hour)),
            "{after_an_hour} {after_a_day}"
        );
        ada.sees("Cost by day").await;
        ada.go("/services").await;
        ada.sees("EUR").await;
        ada.stop().await;
    })
    .await;
}
