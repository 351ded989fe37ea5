//! What becomes of an event: accepted once, a duplicate ever after, a conflict where its key has another content.

use reqwest::Method;
use serde_json::{Value, json};

use super::desk::{Desk, correction, requests};
use crate::support::bare::on_each;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_accepted_once_and_then_a_duplicate_or_a_conflict_for_ever() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let id = desk.order("metered", "shop", "basic").await;
        let (then, later) = (desk.at(-60), desk.at(-30));
        let first = requests(&id, "1", &then, "12.50");
        let results = desk.report(std::slice::from_ref(&first)).await;
        assert_eq!(results, [json!({"source": "/brokers/meters", "id": "1", "status": "accepted"})]);

        // The same in other words, in the next second and in the next year.
        let mut same = requests(&id, "1", &then, "12.5");
        same["traceparent"] = json!("00-1");
        assert_eq!(desk.verdicts(&[same, first.clone()]).await, ["duplicate", "duplicate"]);
        desk.world.clock.advance(std::time::Duration::from_secs(350 * 86_400));
        assert_eq!(desk.verdicts(std::slice::from_ref(&first)).await, ["duplicate"]);

        let other = requests(&id, "1", &then, "13");
        let results = desk.report(&[other.clone(), requests(&id, "1", &later, "12.5")]).await;
        assert!(
            results.iter().all(|result| result["status"] == "conflict" && result["code"] == "conflict"),
            "{results:?}"
        );
        assert_eq!(desk.verdicts(std::slice::from_ref(&other)).await, ["conflict"], "and stays one");

        let conflicts = desk.get("/usage/conflicts").await;
        let items = conflicts["items"].as_array().expect("items");
        assert_eq!((items.len(), &conflicts["next"]), (2, &Value::Null), "each content once: {conflicts}");
        assert!(items.iter().any(|item| item["refused"] == other), "{conflicts}");
        assert!(items.iter().any(|item| item["refused"]["time"] == later.as_str()), "{conflicts}");
        assert_eq!(items[0]["stands"]["quantity"], "12.5");
        assert_eq!(items[0]["stands"]["instance_id"], id.as_str());
        let page = desk.get("/usage/conflicts?limit=1").await;
        let next = page["next"].as_str().expect("a cursor");
        let page = desk.get(&format!("/usage/conflicts?limit=1&cursor={next}")).await;
        assert_eq!((&page["items"][0], &page["next"]), (&items[1], &Value::Null));
        assert_eq!(desk.get("/usage/events").await["items"].as_array().map(Vec::len), Some(1));
        desk.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_answered_event_by_event_in_its_order() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let id = desk.order("metered", "shop", "basic").await;
        let then = desk.at(-60);
        let batch = [
            requests(&id, "a", &then, "1"),
            json!("nonsense"),
            requests(&id, "b", &then, "-1"),
            requests(&id, "a", &then, "1"),
            requests(&id, "a", &then, "2"),
            requests("nobody", "c", &then, "1"),
            requests(&id, "c", &then, "1"),
        ];
        let expected = [
            "accepted",
            "rejected malformed",
            "rejected malformed",
            "duplicate",
            "conflict",
            "rejected unknown_instance",
            "accepted",
        ];
        let results = desk.report(&batch).await;
        assert_eq!(results.iter().map(super::desk::verdict).collect::<Vec<_>>(), expected);
        assert_eq!(
            (&results[1]["source"], &results[1]["id"], &results[2]["id"]),
            (&Value::Null, &Value::Null, &json!("b"))
        );
        let again = [
            "duplicate",
            "rejected malformed",
            "rejected malformed",
            "duplicate",
            "conflict",
            "rejected unknown_instance",
            "duplicate",
        ];
        assert_eq!(desk.verdicts(&batch).await, again);
        assert_eq!(desk.report(&[]).await, Vec::<Value>::new(), "nothing to say");
        let metrics = desk.hub.app.metrics().render(&bourse::metrics::Scrape::default());
        assert!(metrics.contains(r#"bourse_usage_events_total{status="conflict"} 2"#), "{metrics}");
        desk.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_events_of_many_instances_are_one_batch() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let mut ids = Vec::new();
        for number in 0..5 {
            ids.push(desk.order("metered", &format!("shop-{number}"), "basic").await);
        }
        let then = desk.at(-60);
        let batch: Vec<_> =
            (0..1000_usize).map(|n| requests(&ids[n % 5], &format!("e{}", 999 - n), &then, "0.1")).collect();
        let results = desk.report(&batch).await;
        assert!(results.iter().all(|result| result["status"] == "accepted"), "{results:?}");
        assert!(results.iter().zip(&batch).all(|(result, event)| result["id"] == event["id"]));
        let again = desk.report(&batch).await;
        assert!(again.iter().all(|result| result["status"] == "duplicate"), "{again:?}");
        let usage = desk.get(&format!("/usage?meter=requests&instance={}", ids[0])).await;
        assert_eq!(usage["items"][0]["quantity"], "20");
        desk.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_holds_after_the_end_of_its_instance_and_when_so_old_usage_is_no_longer_taken() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let id = desk.order("metered", "shop", "basic").await;
        desk.world.clock.advance(std::time::Duration::from_secs(3600));
        let (then, early) = (desk.at(-60), desk.at(60));
        // The broker's clock is ahead: this one counts at an instant that turns out to be after the end.
        let readings = [requests(&id, "1", &then, "1"), requests(&id, "2", &early, "2")];
        let fix = correction(&id, ("c", "1"), &desk.at(-30), Some("3"));
        assert_eq!(desk.verdicts(&readings).await, ["accepted", "accepted"]);
        assert_eq!(desk.verdicts(std::slice::from_ref(&fix)).await, ["accepted"]);
        let deleted = desk.hub.admin(Method::DELETE, "/api/v1/tenants/retail/instances/shop", None).await;
        assert_eq!(deleted.status, 204, "{deleted:?}");
        let again = |new: &str| {
            let [one, two] = readings.clone();
            [one, two, requests(&id, "2", &early, "9"), requests(&id, new, &early, "2"), fix.clone()]
        };
        desk.world.clock.advance(std::time::Duration::from_secs(120));
        let expected = ["duplicate", "duplicate", "conflict", "rejected after_end", "duplicate"];
        assert_eq!(desk.verdicts(&again("3")).await, expected);
        let late = correction(&id, ("d", "1"), &desk.at(0), Some("4"));
        assert_eq!(desk.verdicts(&[late]).await, ["accepted"]);

        desk.world.clock.advance(std::time::Duration::from_secs(401 * 86_400));
        let expected = ["duplicate", "duplicate", "conflict", "rejected too_old", "duplicate"];
        assert_eq!(desk.verdicts(&again("3")).await, expected);
        assert_eq!(desk.get("/usage/conflicts").await["items"].as_array().map(Vec::len), Some(1));
        // Corrections are made now; what they are about was long ago.
        let fixes =
            [correction(&id, ("e", "1"), &desk.at(0), Some("5")), correction(&id, ("c", "1"), &desk.at(0), Some("5"))];
        assert_eq!(desk.verdicts(&fixes).await, ["rejected too_old", "conflict"]);
        let mut foreign = requests(&id, "1", &then, "1");
        foreign["source"] = json!("/brokers/other");
        assert_eq!(desk.verdicts(&[foreign]).await, ["rejected not_your_source"]);
        desk.stop().await;
    })
    .await;
}
