//! Prices are proposed line by line or as JSON, and decided by somebody else of finance.

use reqwest::Method;
use serde_json::json;

use super::{ACME, Fair, says};
use crate::support::controls::send;
use crate::support::wait::wait_until;

#[tokio::test(flavor = "multi_thread")]
async fn prices_are_typed_line_by_line_and_what_is_wrong_is_told_at_its_line() {
    Fair::on_both(async |fair| {
        fair.own.offers(|catalog| {
            let meters = json!([{"key": "storage", "kind": "gauge", "unit": "GB"}, {"key": "calls", "kind": "delta", "unit": "call"}]);
            catalog["services"][0]["plans"][0]["metadata"]["x-meters"] = meters;
        });
        let mut ann = fair.browser("ann").await;
        fair.register(&mut ann).await;
        let page = format!("{ACME}/prices");
        ann.get(&page).await;
        says(&ann, &["Nothing yet", "acme-db, plan ok", "for each GB (storage)", "for each call (calls)", "the first ones decide it"]);
        for (typed, at) in [
            (vec![], ""),
            (vec![("amount-0", "nine")], "amount-0"),
            (vec![("amount-2", "-1")], "amount-2"),
            (vec![("amount-0", "1"), ("free-0", "a gift")], "amount-0"),
            (vec![("amount-0", "1"), ("from", "soon")], "from"),
            (vec![("amount-0", "1"), ("currency", "euro")], "currency"),
        ] {
            ann.get(&page).await;
            let currency = [("currency", "EUR")];
            let all = if typed.iter().any(|(name, _)| *name == "currency") { typed.clone() } else { [&currency[..], &typed].concat() };
            send(&mut ann, &page, &all, &[]).await;
            assert_eq!(ann.page.status, 422, "{typed:?}: {}", ann.words());
            let mark = format!("href=\"#{at}\"");
            assert!(at.is_empty() || ann.page.text.contains(&mark), "{typed:?}: {}", ann.words());
        }
        ann.get(&page).await;
        let typed = [("currency", "EUR"), ("amount-0", "9"), ("free-1", "no setup"), ("amount-2", "0.25"), ("per-2", "hour"), ("amount-3", "0.001")];
        send(&mut ann, &page, &typed, &[]).await;
        let place = ann.address.clone();
        says(&ann, &["waits for finance", "9 EUR per month", "setup: free, no setup", "0.25 EUR per GB (storage) and hour", "0.001 EUR per call (calls)", "no price"]);
        let id = place.rsplit('/').next().unwrap_or_default();
        let made = fair.hub.admin(Method::GET, &format!("/api/v1/price-proposals/{id}"), None).await.body;
        assert_eq!(made["rules"][0], json!({"offering": "acme-db", "plan": "ok", "model": "flat", "amount": "9", "per": "month"}), "{made}");
        assert_eq!(made["rules"].as_array().map(Vec::len), Some(4), "{made}");

        // Finance refuses with a reason only, and sees what waits.
        let mut fin = fair.browser("fin").await;
        fin.get("/costs/proposals").await;
        says(&fin, &["acme: acme-db", "users/ann"]);
        fin.get(&place).await;
        send(&mut fin, &place, &[], &[("do", "refuse")]).await;
        assert!(fin.page.status == 422 && fin.page.text.contains("href=\"#reason\""), "{}", fin.words());
        send(&mut fin, &place, &[("reason", "too dear")], &[("do", "refuse")]).await;
        says(&fin, &["refused", "too dear"]);
        fin.get("/costs/proposals").await;
        says(&fin, &["No prices wait for a decision"]);
        fin.get("/costs/proposals?show=all").await;
        says(&fin, &["too dear"]);
        ann.get(&page).await;
        says(&ann, &["refused", "too dear"]);
        assert_eq!(fair.browser("ben").await.get(&place).await.status, 404);
        assert_eq!(fair.browser("mem").await.get(&place).await.status, 403);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lines_can_not_say_is_written_as_json_and_stays_what_it_is() {
    Fair::on_both(async |fair| {
        let mut ann = fair.browser("ann").await;
        fair.register(&mut ann).await;
        let page = format!("{ACME}/prices");
        ann.get(&format!("{page}?as=json")).await;
        says(&ann, &["Type them line by line instead"]);
        for rules in [
            "{",
            "[{\"offering\": 1}]",
            "[]",
            "[{\"offering\": \"other\", \"model\": \"flat\", \"amount\": \"1\", \"per\": \"month\"}]",
        ] {
            ann.get(&format!("{page}?as=json")).await;
            send(&mut ann, &page, &[("currency", "EUR"), ("rules", rules)], &[]).await;
            assert_eq!(ann.page.status, 422, "{rules}: {}", ann.words());
        }
        says(&ann, &["`other` is no offering of broker `acme`"]);
        let tiers =
            json!([{"offering": "acme-db", "model": "per_unit", "amount": "1", "per": "hour", "free_quantity": "10"}]);
        send(&mut ann, &page, &[("rules", &tiers.to_string())], &[]).await;
        let place = ann.address.clone();
        says(&ann, &["the first 10 of each month are free"]);
        let mut kim = fair.browser("kim").await;
        kim.get(&place).await;
        says(&kim, &["You answer for this broker"]);
        kim.submit(&place, &[("do", "accept"), ("reason", "")]).await;
        assert_eq!(kim.page.status, 403, "{}", kim.words());
        let mut fin = fair.browser("fin").await;
        fin.get(&place).await;
        send(&mut fin, &place, &[], &[("do", "accept")]).await;
        says(&fin, &["accepted"]);
        wait_until("the prices to be in force", crate::support::hub::BOUND, async || {
            ann.get(&page).await;
            ann.words().contains("Lines can't say all of the prices in force")
        })
        .await;
        says(&ann, &["free_quantity"]);
    })
    .await;
}
