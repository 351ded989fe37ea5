//! Whoever submitted, or answers for the broker, is told that somebody else decides; what is sent back or changed is said to who submitted.

use serde_json::json;

use super::{ACME, Fair, OFFERING, REVIEW, says};
use crate::support::controls::send;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_publishes_what_they_submitted_or_answer_for_and_what_is_sent_back_says_why() {
    Fair::on_both(async |fair| {
        let mut ann = fair.browser("ann").await;
        fair.ready(&mut ann).await;
        let mut oz = fair.browser("oz").await;
        oz.get(REVIEW).await;
        says(&oz, &["It was not submitted yet", "Submit it"]);
        assert!(!oz.page.text.contains("value=\"publish\""), "{}", oz.words());
        oz.submit(REVIEW, &[("do", "publish")]).await;
        assert!(oz.page.status == 409 && oz.words().contains("is submitted"), "{}", oz.words());
        // An operator may submit as well; then another one publishes.
        oz.get(OFFERING).await;
        send(&mut oz, OFFERING, &[], &[]).await;
        oz.get(REVIEW).await;
        says(&oz, &["You submitted it yourself: another operator publishes it"]);
        oz.submit(REVIEW, &[("do", "publish"), ("reason", "mine")]).await;
        assert!(oz.page.status == 403 && oz.words().contains("you submitted it yourself"), "{}", oz.words());
        let mut sam = fair.browser("sam").await;
        sam.get(REVIEW).await;
        says(&sam, &["You answer for its broker"]);
        sam.submit(REVIEW, &[("do", "publish")]).await;
        assert!(sam.page.status == 403 && sam.words().contains("you answer for its broker"), "{}", sam.words());
        let mut pat = fair.browser("pat").await;
        pat.get(REVIEW).await;
        send(&mut pat, REVIEW, &[], &[("do", "send-back")]).await;
        assert!(pat.page.status == 422 && pat.page.text.contains("href=\"#reason\""), "{}", pat.words());
        send(&mut pat, REVIEW, &[("reason", "say more in the description")], &[("do", "send-back")]).await;
        says(&pat, &["sent back", "say more in the description"]);
        ann.get(OFFERING).await;
        says(&ann, &["sent back", "say more in the description", "Submitted : now"]);

        // What changes after it was submitted is void, and says so.
        send(&mut ann, OFFERING, &[], &[]).await;
        fair.own.offers(|catalog| catalog["services"][0]["description"] = json!("something else"));
        pat.get(REVIEW).await;
        send(&mut pat, REVIEW, &[], &[("do", "publish")]).await;
        assert!(pat.page.status == 409 && pat.words().contains("changed after it was submitted"), "{}", pat.words());
        ann.get(OFFERING).await;
        says(&ann, &["submit it again", "Judged : now", "Conformance missing"]);
        ann.submit(OFFERING, &[("note", "once more")]).await;
        assert!(ann.page.status == 422 && ann.words().contains("not fit for publication yet"), "{}", ann.words());

        for name in ["ben", "mem"] {
            let mut other = fair.browser(name).await;
            let denied = if name == "ben" { 404 } else { 403 };
            assert_eq!(other.get(OFFERING).await.status, denied, "{name}");
            assert_eq!(other.get(REVIEW).await.status, denied, "{name}");
        }
        assert_eq!(fair.browser("ben").await.get(ACME).await.status, 404);
    })
    .await;
}
