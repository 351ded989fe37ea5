//! A broker that doesn't report and is asked instead.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::desk::Desk;
use crate::support::bare::on_each;

fn page(instance: &str, resource: &str, values: &Value, next: Option<&str>) -> Value {
    let mut page = json!({"dataPoints": [{"serviceInstanceId": instance, "resource": resource, "values": values}]});
    if let Some(next) = next {
        page["_links"] = json!({"next": {"href": next}});
    }
    page
}

async fn pull(desk: &Desk) -> Result<usize, bourse::app::Error> {
    let id = desk.hub.app.catalog().plan_by_name("metered", "basic").expect("a plan").broker_id.clone();
    desk.hub.app.pull_usage(&id).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readings_that_are_asked_for_arrive_once_and_replaced_ones_are_corrected() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let id = desk.order("metered", "shop", "basic").await;
        desk.world.clock.advance(Duration::from_secs(3600));
        let (one, two) = (desk.at(-1800), desk.at(-900));
        let gauges = |value: i64| json!([{"writtenAt": desk.at(0), "observedAt": one, "value": value}]);
        let counted = json!([{"writtenAt": two, "periodStart": one, "periodEnd": two, "countedValue": 7.5}]);
        desk.recorder.say("gauges", 200, &page(&id, "gb", &gauges(3), None));
        desk.recorder.say("periodic_counters", 200, &page(&id, "requests", &counted, None));
        desk.recorder.say("sampling_counters", 200, &json!({"dataPoints": []}));
        assert_eq!(pull(&desk).await.ok(), Some(0), "nobody said that it is to be asked");
        let wrong = desk
            .hub
            .admin(Method::PATCH, "/api/v1/brokers/meters", Some(json!({"usage_pull": {"every": "PT1S"}})))
            .await;
        assert_eq!((wrong.status, &wrong.body["errors"][0]["pointer"]), (422, &json!("/usage_pull/every")));
        let change = Some(json!({"usage_pull": {"every": "PT15M"}}));
        let changed = desk.hub.admin(Method::PATCH, "/api/v1/brokers/meters", change).await;
        assert_eq!((changed.status, &changed.body["usage_pull"]["every"]), (200, &json!("PT15M")));

        assert_eq!(pull(&desk).await.ok(), Some(2));
        let asked = desk.recorder.last("gauges");
        assert!(asked.target.starts_with("/base/metrics/gauges/metered?from="), "{}", asked.target);
        assert!(asked.header("authorization").is_some());
        assert_eq!(pull(&desk).await.ok(), Some(0), "it is not due");
        assert_eq!(desk.recorder.count("gauges"), 1);

        // The same again, with another value for the same time.
        desk.world.clock.advance(Duration::from_secs(901));
        assert_eq!(desk.hub.app.usage_pulls_due().await.map(|due| due.len()).ok(), Some(1));
        desk.recorder.say("gauges", 200, &page(&id, "gb", &gauges(4), None));
        assert_eq!(pull(&desk).await.ok(), Some(1));
        let listed = desk.get(&format!("/usage/events?instance={id}&to={two}")).await;
        let counted: Vec<_> =
            listed["items"].as_array().expect("items").iter().map(|item| item["counted"].clone()).collect();
        assert_eq!(counted, [json!("4"), json!("7.5")], "{listed}");

        // What fails is asked for again, from where it was.
        desk.world.clock.advance(Duration::from_secs(901));
        desk.recorder.say("periodic_counters", 500, &json!({}));
        assert!(pull(&desk).await.is_err());
        let failed = desk.recorder.last("periodic_counters").target.clone();
        desk.world.clock.advance(Duration::from_secs(901));
        desk.recorder.say(
            "periodic_counters",
            200,
            &page(&id, "requests", &json!([]), Some("http://elsewhere/v2/catalog")),
        );
        assert!(pull(&desk).await.is_err(), "a link that leads elsewhere is not followed");
        let from = |target: &str| target.split('&').next().map(str::to_owned);
        assert_eq!(from(&desk.recorder.last("periodic_counters").target), from(&failed));
        desk.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_again_what_it_was_counts_again_dated_or_not() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let id = desk.order("metered", "shop", "basic").await;
        desk.world.clock.advance(Duration::from_secs(3600));
        let (one, two) = (desk.at(-1800), desk.at(-1200));
        let change = Some(json!({"usage_pull": {"every": "PT15M"}}));
        assert_eq!(desk.hub.admin(Method::PATCH, "/api/v1/brokers/meters", change).await.status, 200);
        for kind in ["periodic_counters", "sampling_counters"] {
            desk.recorder.say(kind, 200, &json!({"dataPoints": []}));
        }
        let end = desk.at(-1000);
        let steps =
            [("1.0E1", "10", 2), ("12", "12", 2), ("12.0", "12", 0), ("10", "10", 2), ("10", "10", 0), ("12", "12", 2)];
        for (value, expected, taken) in steps {
            let value: Value = serde_json::from_str(value).expect("a number");
            let values = json!([
                {"observedAt": one, "value": value},
                {"writtenAt": desk.at(0), "observedAt": two, "value": value},
            ]);
            desk.recorder.say("gauges", 200, &page(&id, "gb", &values, None));
            assert_eq!(pull(&desk).await.ok(), Some(taken), "{value}");
            let listed = desk.get(&format!("/usage/events?instance={id}&to={end}")).await;
            let items = listed["items"].as_array().expect("items");
            for at in [&one, &two] {
                let counted = items.iter().find(|item| item["at"] == **at && item["corrects"].is_null());
                assert_eq!(counted.map(|item| &item["counted"]), Some(&json!(expected)), "{listed}");
            }
            desk.world.clock.advance(Duration::from_secs(901));
        }
        desk.stop().await;
    })
    .await;
}
