//! Who publishes what was submitted, what voids it, and what comes later to a broker that a provider has registered.

use serde_json::{Value, json};

use super::{Market, plan_of_faults, shape};
use crate::support::bare::on_each;

const SUBMIT: &str = "/offerings/acme-db/submit";
const PUBLISH: &str = "/offerings/acme-db/publish";
const SEND_BACK: &str = "/offerings/acme-db/send-back";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_publishes_what_they_submitted_or_answer_for_and_one_of_two_decides() {
    on_each(async |on| {
        let market = Market::open(on).await;
        market.ready().await;
        market.post("oz", PUBLISH, json!({})).await.refuses(409, "nothing_submitted", "nothing");
        // Operators may submit as well; then another one publishes.
        market.post("oz", SUBMIT, json!({})).await.is(200);
        market.post("oz", PUBLISH, json!({})).await.refuses(403, "forbidden", "submitted it yourself");
        market.post("sam", PUBLISH, json!({})).await.refuses(403, "forbidden", "you answer for its broker");
        market.post("pat", SEND_BACK, json!({})).await.refuses(422, "invalid", "/reason");
        let reason = json!({"reason": "say more in the description"});
        market.post("pat", SEND_BACK, reason).await.is(200);
        let seen = market.get("ann", "/offerings/acme-db/checks").await.is(200)["review"].clone();
        assert_eq!((&seen["state"], &seen["reason"]), (&json!("sent_back"), &json!("say more in the description")));
        market.post("pat", PUBLISH, json!({})).await.refuses(409, "already_decided", "sent back by users/pat");
        assert!(!market.shows("acme-db").await);

        market.post("ann", SUBMIT, json!({})).await.is(200);
        let later = json!({"reason": "later"});
        let (one, other) = tokio::join!(market.post("oz", PUBLISH, json!({})), market.post("pat", SEND_BACK, later));
        let statuses = [one.status, other.status];
        assert!(statuses == [200, 409] || statuses == [409, 200], "{one:?} {other:?}");
        assert_eq!(market.shows("acme-db").await, one.status == 200);
        if one.status == 409 {
            market.post("ann", SUBMIT, json!({})).await.is(200);
            let (one, other) =
                tokio::join!(market.post("oz", PUBLISH, json!({})), market.post("pat", PUBLISH, json!({})));
            assert!([200, 409].contains(&one.status) && one.status + other.status == 609, "{one:?} {other:?}");
        }
        assert_eq!(market.orders("i", "acme-db", "ok").await, 201);
        market.post("ann", SUBMIT, json!({})).await.refuses(409, "no_draft", "published already");

        // What is retired is not submitted again by its provider.
        let lifecycle = "/offerings/acme-db/lifecycle";
        market.ask("oz", "PUT", lifecycle, json!({"state": "deprecated"})).await.is(200);
        market.ask("oz", "PUT", lifecycle, json!({"state": "retired"})).await.is(200);
        market.post("ann", SUBMIT, json!({})).await.refuses(409, "no_draft", "retired");
        market.ask("oz", "PUT", lifecycle, json!({"state": "published"})).await.refuses(409, "needs_review", "review");
        market.ask("oz", "PUT", lifecycle, json!({"state": "draft"})).await.is(200);
        market.post("ann", SUBMIT, json!({})).await.is(200);
        market.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalog_that_changes_after_the_submission_voids_it() {
    on_each(async |on| {
        let market = Market::open(on).await;
        market.ready().await;
        market.post("ann", SUBMIT, json!({})).await.is(200);
        // Noticed by whoever publishes, before anybody else has looked.
        market.own.offers(|catalog| catalog["services"][0]["description"] = json!("something else"));
        market.post("oz", PUBLISH, json!({})).await.refuses(409, "review_void", "changed after it was submitted");
        assert!(!market.shows("acme-db").await);
        let seen = market.get("ann", "/offerings/acme-db/checks").await.is(200).clone();
        assert_eq!((&seen["review"]["state"], &seen["fit"]), (&json!("void"), &json!(false)));
        assert_eq!(market.failing().await, ["conformance"], "the verdict is on what there was before");
        market.post("ann", SUBMIT, json!({})).await.refuses(422, "checks_failed", "another form");
        let run = market.get("ann", "/brokers/acme/conformance").await.is(200)["run"].clone();
        assert_eq!(run["current"], false);

        // As it was judged, it can be submitted; another address is another broker.
        market.own.offers(|catalog| *catalog = shape("acme-db"));
        market.post("ann", SUBMIT, json!({})).await.is(200);
        let url = market.own.url.replace("127.0.0.1", "127.0.0.2");
        let moved = json!({"url": url, "credentials": {"basic": {"username": "hub", "password": "s3cret"}}});
        market.ask("ann", "PATCH", "/brokers/acme", moved).await.is(200);
        let seen = market.get("ann", "/offerings/acme-db/checks").await.is(200).clone();
        assert_eq!(seen["review"]["state"], "void", "{seen}");
        let back = json!({"url": market.own.url, "credentials": {"basic": {"username": "hub", "password": "s3cret"}}});
        market.ask("ann", "PATCH", "/brokers/acme", back).await.is(200);

        // What is taken out of the price book by then is missed by whoever publishes.
        market.post("ann", SUBMIT, json!({})).await.is(200);
        let empty = json!({"currency": "EUR", "effective_from": market.hub.app.clock().now(), "rules": []});
        market.post("fin", "/price-books", empty).await.is(201);
        market.post("oz", PUBLISH, json!({})).await.refuses(422, "checks_failed", "without a price");
        assert!(!market.shows("acme-db").await);
        let kinds = market.events().await;
        let count = |kind: &str| kinds.iter().filter(|one| *one == kind).count();
        assert_eq!((count("review.requested"), count("review.decided")), (3, 2), "{kinds:?}");
        market.hub.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_catalog_adds_later_is_a_draft_and_a_new_plan_is_for_nobody() {
    on_each(async |on| {
        let market = Market::open(on).await;
        market.ready().await;
        market.post("ann", SUBMIT, json!({})).await.is(200);
        market.post("oz", PUBLISH, json!({})).await.is(200);
        assert_eq!(market.orders("i", "acme-db", "ok").await, 201);
        market.own.offers(|catalog| {
            let plans = catalog["services"][0]["plans"].as_array_mut().expect("plans");
            plans.push(plan_of_faults("async"));
            let mut second = shape("acme-queue")["services"][0].clone();
            second["id"] = json!("queue");
            second["plans"][0]["id"] = json!("queue-ok");
            catalog["services"].as_array_mut().expect("services").push(second);
        });
        market.ask("ann", "POST", "/brokers/acme/refresh", Value::Null).await.is(200);
        assert!(market.shows("acme-db").await && !market.shows("acme-queue").await);
        assert_eq!(market.orders("j", "acme-queue", "ok").await, 400);
        assert_eq!(market.orders("k", "acme-db", "async").await, 400);
        assert_eq!(market.orders("l", "acme-db", "ok").await, 201, "what was reviewed goes on");
        let visibility = "/offerings/acme-db/plans/async/visibility";
        assert_eq!(market.get("oz", visibility).await.is(200)["access"], "restricted");
        market.ask("oz", "PUT", visibility, json!({"access": "public"})).await.is(200);
        let judge = json!({"makes_instances": true});
        market.post("ann", "/brokers/acme/conformance", judge).await.refuses(422, "invalid", "acme-db, acme-queue");
        market.hub.stop().await;
    })
    .await;
}
