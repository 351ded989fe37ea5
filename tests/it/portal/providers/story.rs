//! From a name and nothing else to an offering in the catalog: without scripts over each kind of database, and in Chromium with them.

use super::{ACME, Fair, OFFERING, REGISTER, REVIEW, says};
use crate::support::bare::On;
use crate::support::chromium::{Chromium, NARROW, Scripts, WIDE, pictures};
use crate::support::controls::send;

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_registers_a_broker_has_it_judged_prices_and_submits_it_and_an_operator_publishes() {
    Fair::on_both(async |fair| {
        let mut ann = fair.browser("ann").await;
        ann.get("/catalog").await;
        assert!(ann.page.text.contains("href=\"/provider\""), "{}", ann.page.text);
        ann.get("/provider").await;
        says(&ann, &["Names that wait for your broker", "Register acme"]);
        fair.own.offers(|catalog| catalog["services"][0]["metadata"] = serde_json::json!({"displayName": "Acme DB"}));
        fair.register(&mut ann).await;
        says(
            &ann,
            &["It is registered", "acme-db draft", "Catalog in order : now", "Something in its catalog", "users/ann"],
        );
        ann.get(OFFERING).await;
        says(&ann, &["Support missing", "metadata.supportUrl", "Conformance missing", "4 checks are left above"]);
        assert!(!ann.page.text.contains("Submit acme-db"), "it can't be submitted yet: {}", ann.words());

        fair.own.offers(|catalog| *catalog = crate::providers::shape("acme-db"));
        ann.get(ACME).await;
        ann.submit(ACME, &[]).await;
        says(&ann, &["Its catalog was fetched again", "Judged : now", "Have it judged"]);
        ann.get(&format!("{ACME}/conformance")).await;
        says(&ann, &["It was not judged yet"]);
        fair.judge(&mut ann).await;
        says(&ann, &["conforms", "Nothing that binds a broker is broken", "0 broken", "by users/ann"]);
        assert!(!ann.words().contains("This may still be at the broker"), "{}", ann.words());
        ann.get(ACME).await;
        says(&ann, &["Priced : now", "Propose prices"]);
        fair.price(&mut ann).await;
        ann.get(&format!("{ACME}/prices")).await;
        says(&ann, &["9 EUR per month", "accepted", "users/fin", "fair"]);
        ann.get(ACME).await;
        says(&ann, &["Submitted : now", "Submit it"]);
        ann.get(OFFERING).await;
        send(&mut ann, OFFERING, &[("note", "our first one")], &[]).await;
        says(&ann, &["waits for an operator", "our first one", "Published : now"]);
        assert_eq!(ann.get(REVIEW).await.status, 200, "who sees the broker sees what became of it");
        assert!(!ann.page.text.contains("value=\"publish\""), "{}", ann.words());
        ann.get(OFFERING).await;
        ann.submit(REVIEW, &[("do", "publish")]).await;
        assert_eq!(ann.page.status, 403, "{}", ann.words());

        let mut oz = fair.browser("oz").await;
        oz.get("/operator").await;
        says(&oz, &["1 offering that waits for a review"]);
        oz.get("/operator/reviews").await;
        says(&oz, &["acme-db waits users/ann", "our first one"]);
        oz.get(REVIEW).await;
        says(
            &oz,
            &["9 EUR per month", "Nothing that binds a broker is broken", "our first one", "What publication takes"],
        );
        send(&mut oz, REVIEW, &[("reason", "welcome")], &[("do", "publish")]).await;
        says(&oz, &["was submitted and published", "welcome", "Lifecycle published"]);
        oz.get("/operator/reviews").await;
        says(&oz, &["Nothing waits for a review"]);
        let mut mem = fair.browser("mem").await;
        mem.get("/catalog?q=acme").await;
        says(&mem, &["9 EUR per month"]);
        ann.get(OFFERING).await;
        says(&ann, &["It is published", "Reason: welcome"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_in_a_browser_with_scripts_up_to_the_tenant_who_finds_it() {
    let fair = Fair::open(On::Sqlite).await;
    let browser = Chromium::start(&fair.hub.url, Scripts::On, WIDE).await;
    let wears = async |name: &str| browser.wear(&fair.browser(name).await).await;
    wears("ann").await;
    browser.go("/provider").await;
    browser.follow("Register acme").await;
    browser.at(REGISTER).await;
    browser.fill("#url", fair.own.url()).await;
    // A wrong choice first: what belongs to it is there, and the rest is out of the way.
    browser.click("#kind-bearer").await;
    browser.press("Register the broker").await;
    browser.sees("This can't be sent yet").await;
    assert!(browser.focus().await.starts_with("div#errors"), "{}", browser.focus().await);
    browser.click("#kind-basic").await;
    browser.fill("#username", "hub").await;
    browser.fill("#password", "s3cret").await;
    browser.press("Register the broker").await;
    browser.at(ACME).await;
    browser.sees("On the way to the catalog").await;
    browser.follow("Have it judged").await;
    browser.at(&format!("{ACME}/conformance")).await;
    browser.click("#yes").await;
    browser.press("Have it judged").await;
    // The page keeps itself up to date.
    browser.sees("Nothing that binds a broker is broken").await;
    browser.follow("Prices").await;
    browser.at(&format!("{ACME}/prices")).await;
    browser.fill("#currency", "EUR").await;
    browser.fill("#amount-0", "9").await;
    browser.press("Propose these prices").await;
    let proposal = browser.at("/costs/proposals/").await;
    browser.sees("waits for finance").await;

    wears("fin").await;
    browser.go(&proposal).await;
    browser.press("Accept these prices").await;
    browser.sees("Decided by").await;

    wears("ann").await;
    browser.go(ACME).await;
    browser.follow("Submit it").await;
    browser.at(OFFERING).await;
    browser.fill("#note", "our first one").await;
    browser.press("Submit acme-db").await;
    browser.sees("waits for an operator").await;
    let pages = [
        ("provider-broker", ACME.to_owned()),
        ("provider-change", format!("{ACME}/change")),
        ("provider-conformance", format!("{ACME}/conformance")),
        ("provider-prices", format!("{ACME}/prices")),
        ("provider-offering", OFFERING.to_owned()),
        ("proposal", proposal),
    ];
    seen(&browser, &pages).await;

    wears("oz").await;
    let pages = [
        ("reviews", "/operator/reviews".to_owned()),
        ("review", REVIEW.to_owned()),
        ("register-broker", "/operator/register-broker".to_owned()),
    ];
    seen(&browser, &pages).await;
    browser.go("/operator/reviews").await;
    browser.follow("acme-db").await;
    browser.at(REVIEW).await;
    browser.press("Publish acme-db").await;
    browser.sees("was submitted and published").await;

    wears("mem").await;
    browser.go("/catalog").await;
    browser.fill("#q", "acme").await;
    browser.press("Search").await;
    browser.sees("9 EUR per month").await;
    browser.stop().await;
    fair.hub.stop().await;
}

/// That everybody can use these pages; their pictures are kept.
async fn seen(browser: &Chromium, pages: &[(&str, String)]) {
    for (name, address) in pages {
        for (kind, width, scheme) in [("narrow", NARROW, "dark"), ("wide", WIDE, "light")] {
            browser.size(width, 1000).await;
            browser.scheme(scheme).await;
            browser.go(address).await;
            // What is folded is looked at, too.
            browser.run("document.querySelectorAll('details').forEach(details => { details.open = true; })").await;
            browser.accessible().await;
            browser.picture(&pictures().join(format!("{name}-{kind}.png"))).await;
        }
    }
}
