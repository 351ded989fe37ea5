//! A meter that may not be silent, and is: told once for each silence, until it is heard again.

use std::time::Duration;

use bourse::worker::silence::round;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::desk::{Desk, event};
use crate::support::bare::on_each;
use crate::support::dump::count;

const OPEN: &str = "select count(*) as number from billing_cases where kind = 'silent' and closed_at is null";
const ALL: &str = "select count(*) as number from billing_cases where kind = 'silent'";

async fn missing(desk: &Desk) -> Vec<Value> {
    round(&desk.hub.app, &CancellationToken::new()).await.expect("a round");
    desk.hub.app.number_events().await.expect("could not number");
    desk.get("/events?type=io.bourse.usage.missing").await["items"].as_array().expect("items").clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silence_is_told_once_and_ends_with_the_next_reading() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let id = desk.order("metered", "shop", "basic").await;
        let gone = desk.order("metered", "gone", "basic").await;
        desk.order("metered", "unmetered", "plain").await;
        let hours = |count: u64| desk.world.clock.advance(Duration::from_secs(count * 3600));
        let gauge = |id: &str, name: &str| {
            let data = json!({"instance_id": id, "meter": "gb", "quantity": "1", "unit": "GB"});
            event("gauge", name, &desk.at(0), data)
        };
        hours(2);
        assert_eq!(missing(&desk).await, Vec::<Value>::new(), "it is new");
        assert_eq!(desk.verdicts(&[gauge(&id, "1"), gauge(&gone, "1g")]).await, ["accepted", "accepted"]);
        hours(2);
        assert_eq!(missing(&desk).await, Vec::<Value>::new(), "it was heard two hours ago");
        hours(2);
        let told = missing(&desk).await;
        assert_eq!((told.len(), count(&desk.hub.db, OPEN).await), (2, 2));
        let told = told.iter().find(|event| event["instanceid"] == id.as_str()).expect("its event");
        assert_eq!(told["subject"], format!("instances/{id}"));
        assert_eq!((&told["data"]["meter"], &told["data"]["plan"]), (&json!("gb"), &json!("basic")));
        assert_eq!(told["data"]["tenant"]["name"], "retail");
        hours(5);
        assert_eq!(missing(&desk).await.len(), 2, "once");

        assert_eq!(desk.verdicts(&[gauge(&id, "2")]).await, ["accepted"]);
        assert_eq!((missing(&desk).await.len(), count(&desk.hub.db, OPEN).await), (2, 1), "it is heard again");
        hours(4);
        assert_eq!((missing(&desk).await.len(), count(&desk.hub.db, OPEN).await), (3, 2), "another silence");
        for name in ["gone", "shop"] {
            let path = format!("/api/v1/tenants/retail/instances/{name}");
            assert_eq!(desk.hub.admin(reqwest::Method::DELETE, &path, None).await.status, 204);
        }
        assert_eq!(
            (missing(&desk).await.len(), count(&desk.hub.db, OPEN).await),
            (3, 0),
            "what is gone need not speak"
        );
        assert_eq!(count(&desk.hub.db, ALL).await, 3);
        desk.stop().await;
    })
    .await;
}
