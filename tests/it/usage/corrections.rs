//! Corrections: they replace or void a reading, may come before it, and must be about the same thing. Nothing depends on the
//! order of arrival.

use serde_json::{Value, json};

use super::desk::{Desk, correction, event, requests};
use crate::support::bare::on_each;

async fn total(desk: &Desk, instance: &str) -> Value {
    let from = desk.at(-3600);
    let usage = desk.get(&format!("/usage?meter=requests&instance={instance}&from={from}&to={}", desk.at(0))).await;
    usage["items"][0]["quantity"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_replaces_or_voids_and_the_latest_one_counts() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let id = desk.order("metered", "shop", "basic").await;
        let (then, later, latest) = (desk.at(-60), desk.at(-50), desk.at(-40));
        let readings = [requests(&id, "1", &then, "10"), requests(&id, "2", &then, "5")];
        assert_eq!(desk.verdicts(&readings).await, ["accepted", "accepted"]);
        let fixes = [
            correction(&id, ("c2", "1"), &latest, Some("7")),
            correction(&id, ("c1", "1"), &later, Some("1")),
            correction(&id, ("v", "2"), &later, None),
        ];
        assert_eq!(desk.verdicts(&fixes).await, ["accepted"; 3]);
        assert_eq!(desk.verdicts(&fixes).await, ["duplicate"; 3]);
        assert_eq!(total(&desk, &id).await, "7");

        let listed = desk.get(&format!("/usage/events?instance={id}")).await;
        let items = listed["items"].as_array().expect("items");
        let said = |id: &str| items.iter().find(|item| item["id"] == id).cloned().unwrap_or_default();
        assert_eq!(items.len(), 5);
        let (first, second, fix) = (said("1"), said("2"), said("c1"));
        assert_eq!(
            (&first["quantity"], &first["counted"], &first["corrected_by"]),
            (&json!("10"), &json!("7"), &json!("c2"))
        );
        assert_eq!((&second["counted"], &second["corrected_by"]), (&Value::Null, &json!("v")));
        assert_eq!(
            (&fix["type"], &fix["corrects"], &fix["counted"]),
            (&json!("io.bourse.usage.correction"), &json!("1"), &Value::Null)
        );
        desk.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_waits_for_what_it_corrects_and_what_does_not_fit_is_rejected_or_without_effect() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let (id, other) = (desk.order("metered", "one", "basic").await, desk.order("metered", "two", "basic").await);
        let (then, later) = (desk.at(-60), desk.at(-50));
        // It comes first, with one that is about another instance; then what both name, in a batch with one more.
        let early = [correction(&id, ("c", "1"), &later, Some("7")), correction(&other, ("x", "1"), &later, Some("9"))];
        assert_eq!(desk.verdicts(&early).await, ["accepted", "accepted"]);
        let batch = [
            correction(&id, ("d", "2"), &later, None),
            requests(&id, "1", &then, "10"),
            requests(&id, "2", &then, "5"),
        ];
        assert_eq!(desk.verdicts(&batch).await, ["accepted"; 3]);
        assert_eq!(total(&desk, &id).await, "7");
        assert_eq!(desk.verdicts(&early).await, ["duplicate", "duplicate"], "whatever has come since");

        let mut of_users = correction(&id, ("u", "1"), &later, Some("1"));
        of_users["data"]["meter"] = json!("users");
        of_users["data"]["unit"] = json!("user");
        let late = [
            correction(&other, ("y", "1"), &later, Some("9")),
            of_users,
            correction(&id, ("z", "c"), &later, Some("9")),
            correction(&id, ("self", "self"), &later, Some("9")),
        ];
        let expected = [
            "rejected corrects_another",
            "rejected corrects_another",
            "rejected corrects_correction",
            "rejected malformed",
        ];
        assert_eq!(desk.verdicts(&late).await, expected);
        assert_eq!(total(&desk, &id).await, "7");
        assert_eq!(total(&desk, &other).await, Value::Null);
        desk.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quantities_do_not_depend_on_the_order_in_which_events_arrive() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let from = desk.at(0);
        let (one, two) = (desk.order("metered", "one", "basic").await, desk.order("metered", "two", "basic").await);
        desk.world.clock.advance(std::time::Duration::from_secs(7200));
        let times: Vec<_> = (0..8).map(|n| desk.at(-7000 + 800 * n)).collect();
        let events = |instance: &str| -> Vec<Value> {
            let data = |meter: &str, unit: &str, quantity: usize| {
                json!({"instance_id": instance, "meter": meter, "unit": unit, "quantity": quantity.to_string(), "reset_id": "r"})
            };
            let mut all = Vec::new();
            for (n, time) in times.iter().enumerate() {
                all.push(event("gauge", &format!("{instance}-g{n}"), time, data("gb", "GB", n % 3)));
                all.push(event("counter", &format!("{instance}-c{n}"), time, data("cpu", "s", (n * 7) % 23)));
                all.push(requests(instance, &format!("{instance}-d{n}"), time, &n.to_string()));
                all.push(correction(instance, (&format!("{instance}-f{n}"), &format!("{instance}-d{}", n / 2)), time, Some("3")));
            }
            all
        };
        for event in events(&one) {
            assert_eq!(desk.verdicts(&[event]).await, ["accepted"]);
        }
        let mut backwards = events(&two);
        backwards.reverse();
        for batch in backwards.chunks(5) {
            assert_eq!(desk.verdicts(batch).await, vec!["accepted"; batch.len()]);
        }
        let until = desk.at(-1);
        let quantities = async |id: &str| {
            let path = format!("/usage?instance={id}&from={from}&to={until}&window=PT30M");
            let items = desk.get(&path).await["items"].as_array().expect("items").clone();
            items.iter().filter(|item| item["meter"] != "instance").map(|item| json!([item["meter"], item["from"], item["quantity"]])).collect::<Vec<_>>()
        };
        let (first, second) = (quantities(&one).await, quantities(&two).await);
        assert!(first.len() >= 9, "{first:?}");
        assert_eq!(first, second);
        desk.stop().await;
    })
    .await;
}
