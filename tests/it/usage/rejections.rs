//! Each reason for which an event is not taken.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::desk::{Desk, event, requests};
use crate::support::bare::on_each;

fn reading(kind: &str, instance: &str, (meter, unit): (&str, &str), time: &str) -> Value {
    let data = json!({"instance_id": instance, "meter": meter, "quantity": "1", "unit": unit});
    event(kind, &format!("{kind}-{meter}-{unit}-{time}"), time, data)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_its_instance_or_comes_at_the_wrong_time_is_rejected_with_a_word() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let id = desk.order("metered", "shop", "basic").await;
        let now = desk.at(0);
        for (event, expected) in [
            (reading("gauge", &id, ("gb", "GB"), &now), "accepted"),
            (reading("counter", &id, ("cpu", "s"), &now), "accepted"),
            (reading("gauge", "no-such-instance", ("gb", "GB"), &now), "rejected unknown_instance"),
            (reading("gauge", &id, ("nope", "GB"), &now), "rejected unknown_meter"),
            (reading("gauge", &id, ("instance", "s"), &now), "rejected unknown_meter"),
            (reading("gauge", &id, ("tb", "TB"), &now), "rejected unknown_meter"),
            (reading("delta", &id, ("gb", "GB"), &now), "rejected wrong_kind"),
            (reading("gauge", &id, ("gb", "MB"), &now), "rejected wrong_unit"),
            (reading("delta", &id, ("users", "user"), &now), "rejected missing_dimension"),
            (reading("histogram", &id, ("gb", "GB"), &now), "rejected unknown_type"),
            (reading("gauge", &id, ("gb", "GB"), "now"), "rejected malformed"),
            (reading("gauge", &id, ("gb", "GB"), &desk.at(16 * 60)), "rejected time_in_future"),
            (reading("gauge", &id, ("gb", "GB"), &desk.at(14 * 60)), "accepted"),
            (reading("gauge", &id, ("gb", "GB"), &desk.at(-401 * 86_400)), "rejected too_old"),
            (reading("gauge", &id, ("gb", "GB"), &desk.at(-399 * 86_400)), "accepted"),
        ] {
            assert_eq!(desk.verdicts(std::slice::from_ref(&event)).await, [expected], "{event}");
        }
        let mut large = reading("gauge", &id, ("gb", "GB"), &now);
        large["note"] = json!("x".repeat(64 * 1024));
        assert_eq!(desk.verdicts(&[large]).await, ["rejected too_large"]);
        desk.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_plan_that_an_instance_had_may_declare_the_meter() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let id = desk.order("metered", "shop", "basic").await;
        desk.world.clock.advance(Duration::from_secs(3600));
        assert_eq!(
            desk.verdicts(&[reading("gauge", &id, ("tb", "TB"), &desk.at(0))]).await,
            ["rejected unknown_meter"]
        );
        assert_eq!(desk.order("metered", "shop", "large").await, id);
        for meter in [("tb", "TB"), ("gb", "GB")] {
            assert_eq!(desk.verdicts(&[reading("gauge", &id, meter, &desk.at(0))]).await, ["accepted"], "{meter:?}");
        }
        // A plan that is offered no more still has its meters.
        desk.recorder.say("catalog", 200, &super::desk::catalog("successor"));
        let refreshed = desk.hub.admin(Method::POST, "/api/v1/brokers/meters/refresh", None).await;
        assert_eq!(refreshed.status, 200, "{refreshed:?}");
        assert_eq!(desk.verdicts(&[reading("gauge", &id, ("gb", "GB"), &desk.at(-1))]).await, ["accepted"]);
        desk.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_taken_for_an_instant_after_the_end_and_what_comes_late_for_one_before_it_is() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let id = desk.order("metered", "shop", "basic").await;
        desk.world.clock.advance(Duration::from_secs(3600));
        let before = desk.at(-1);
        let deleted = desk.hub.admin(Method::DELETE, "/api/v1/tenants/retail/instances/shop", None).await;
        assert_eq!(deleted.status, 204, "{deleted:?}");
        desk.world.clock.advance(Duration::from_secs(86_400));
        let mut reaching = requests(&id, "reaching", &desk.at(0), "1");
        reaching["data"]["window"] = json!({"start": before, "end": desk.at(0)});
        let mut beyond = requests(&id, "beyond", &desk.at(0), "1");
        beyond["data"]["window"] = json!({"start": desk.at(-3600), "end": desk.at(0)});
        let early = reading("counter", &id, ("cpu", "s"), &desk.at(60));
        assert_eq!(desk.verdicts(&[early]).await, ["accepted"], "what it grew by counts at the reading before");
        let mut ahead = requests(&id, "ahead", &before, "1");
        ahead["data"]["window"] = json!({"start": before, "end": desk.at(16 * 60)});
        assert_eq!(desk.verdicts(&[ahead]).await, ["rejected time_in_future"]);
        let events =
            [requests(&id, "late", &before, "1"), requests(&id, "after", &desk.at(-3600), "1"), reaching, beyond];
        let expected = ["accepted", "rejected after_end", "accepted", "rejected after_end"];
        assert_eq!(desk.verdicts(&events).await, expected);
        desk.stop().await;
    })
    .await;
}
