//! Credentials go to the clipboard, and nowhere that a step back leads to.

use super::super::staff::house_on;
use super::{order, window};
use crate::support::bare::On;

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_were_copied_are_on_the_clipboard_and_a_step_back_shows_none() {
    house_on(
        &[On::Sqlite],
        |_| {},
        async |house| {
            let ada = window(house, "ada").await;
            let here = order(&ada, "net").await;
            ada.sees("Ready since").await;
            ada.follow("Bind to it").await;
            ada.at(&format!("{here}/bind")).await;
            ada.fill("#name", "app").await;
            ada.press("Bind and show the credentials").await;
            ada.sees("Copy them now").await;
            let shown = ada.find("figure.copied code").await.text().await.expect("a text");
            assert!(shown.len() > 3, "{shown}");
            ada.press("Copy").await;
            ada.sees("Copied").await;
            ada.follow("Done").await;
            ada.at(&format!("{here}/bindings/app")).await;
            ada.back().await;
            let before = ada.text().await;
            assert!(!before.contains(&shown), "{before}");
            for address in [&format!("{here}/bindings/app"), &here, "/services"] {
                ada.go(address).await;
                assert!(!ada.text().await.contains(&shown), "{address}");
            }
            // What is on the clipboard is what a reader pastes.
            ada.go("/catalog").await;
            ada.click("#q").await;
            ada.keys("\u{e009}v\u{e000}").await;
            let pasted = ada.find("#q").await.prop("value").await.expect("a value");
            assert_eq!(pasted.as_deref(), Some(shown.as_str()));
            ada.stop().await;
        },
    )
    .await;
}
