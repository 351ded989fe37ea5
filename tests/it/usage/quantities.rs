//! What readings come to in windows of time, and the list of what was reported.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::desk::{Desk, event, requests};
use crate::support::bare::on_each;

fn rows(answer: &Value) -> Vec<(String, String, String)> {
    let text = |item: &Value, field: &str| item[field].as_str().expect("a text").to_owned();
    let items = answer["items"].as_array().expect("items");
    items.iter().map(|item| (text(item, "meter"), text(item, "from"), text(item, "quantity"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_meter_is_gathered_in_windows() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let id = desk.order("metered", "shop", "basic").await;
        let zero = desk.world.clock.now();
        desk.world.clock.advance(Duration::from_secs(4 * 3600));
        let hour = |hours: i64| bourse::clock::Time(zero.0 + 10_000_000 + hours * 3_600_000_000).to_string();
        let data = |meter: &str, unit: &str, quantity: &str| json!({"instance_id": id, "meter": meter, "unit": unit, "quantity": quantity});
        let user = |n: usize, name: &str, at: String| {
            let mut event = event("delta", &format!("u{n}"), &at, data("users", "user", "1"));
            event["data"]["dimensions"] = json!({"user": name});
            event
        };
        let mut windowed = requests(&id, "w", &hour(1), "5");
        windowed["data"]["window"] = json!({"start": hour(0), "end": hour(1)});
        let events = [
            event("gauge", "g1", &hour(0), data("gb", "GB", "10")),
            event("gauge", "g2", &hour(1), data("gb", "GB", "2.5")),
            event("counter", "c1", &hour(0), data("cpu", "s", "100")),
            event("counter", "c2", &hour(1), data("cpu", "s", "160")),
            event("counter", "c3", &hour(2), data("cpu", "s", "150")),
            event("counter", "c4", &hour(3), data("cpu", "s", "200")),
            windowed,
            requests(&id, "r", &hour(1), "7"),
            user(1, "eve", hour(0)),
            user(2, "adam", hour(0)),
            user(3, "eve", hour(0)),
        ];
        assert_eq!(desk.verdicts(&events).await, vec!["accepted"; events.len()]);
        let start = hour(0);
        let path = |meter: &str| format!("/usage?instance={id}&meter={meter}&from={start}&to={}&window=PT1H", hour(3));
        let quantities = async |meter: &str| rows(&desk.get(&path(meter)).await);
        let row = |meter: &str, window: i64, quantity: &str| (meter.to_owned(), hour(window), quantity.to_owned());
        assert_eq!(quantities("gb").await, [row("gb", 0, "10"), row("gb", 1, "2.5"), row("gb", 2, "2.5")]);
        assert_eq!(quantities("requests").await, [row("requests", 0, "5"), row("requests", 1, "7")]);
        // What it grew by counts at the reading before; what comes after the last window is needed for that.
        assert_eq!(quantities("cpu").await, [row("cpu", 0, "160"), row("cpu", 1, "0"), row("cpu", 2, "40")]);
        assert_eq!(quantities("users").await, [row("users", 0, "2")]);
        assert_eq!(quantities("instance").await.iter().map(|row| row.2.as_str()).collect::<Vec<_>>(), ["3600"; 3]);
        let later = desk.get(&format!("/usage?instance={id}&meter=cpu&from={}&to={}", hour(2), hour(3))).await;
        assert_eq!(rows(&later), [row("cpu", 2, "40")], "above what it has been before");
        let bad = desk.hub.admin(Method::GET, &format!("/api/v1{}", path("gb").replace("PT1H", "PT1S")), None).await;
        assert_eq!((bad.status, &bad.body["code"]), (422, &json!("invalid")));
        desk.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_reported_and_what_it_comes_to_are_read_page_by_page() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let mut ids = [desk.order("metered", "one", "basic").await, desk.order("metered", "two", "basic").await];
        ids.sort_unstable();
        let time = desk.at(-1);
        let events: Vec<_> = (0..6_usize)
            .map(|n| requests(&ids[n % 2], &format!("e/{n}"), &desk.at(-1 - i64::try_from(n).unwrap()), "1"))
            .collect();
        desk.verdicts(&events).await;
        let mut seen = Vec::new();
        let mut cursor = String::new();
        for page in 0..3 {
            let answer = desk.get(&format!("/usage/events?tenant=retail&limit=2&cursor={cursor}")).await;
            seen.extend(answer["items"].as_array().expect("items").iter().map(|item| item["id"].clone()));
            assert_eq!(answer["next"].is_null(), page == 2, "{answer}");
            answer["next"].as_str().unwrap_or_default().clone_into(&mut cursor);
        }
        assert_eq!(seen.len(), 6);
        seen.sort_by_key(ToString::to_string);
        assert_eq!(seen, (0..6).map(|n| json!(format!("e/{n}"))).collect::<Vec<_>>(), "each once");
        let narrow = desk.get(&format!("/usage/events?instance={}&meter=requests&from={time}", ids[0])).await;
        assert_eq!(narrow["items"][0]["id"], "e/0", "{narrow}");
        assert_eq!(narrow["items"].as_array().map(Vec::len), Some(1));
        assert_eq!(desk.get("/usage/events?meter=gb").await["items"], json!([]));

        let (from, to) = (desk.at(-60), desk.at(60));
        desk.world.clock.advance(Duration::from_secs(120));
        let page = desk.get(&format!("/usage?tenant=retail&meter=requests&from={from}&to={to}&limit=1")).await;
        assert_eq!(
            (&page["items"][0]["instance_id"], page["items"].as_array().map(Vec::len)),
            (&json!(ids[0]), Some(1))
        );
        let next = page["next"].as_str().expect("a cursor");
        let page =
            desk.get(&format!("/usage?tenant=retail&meter=requests&from={from}&to={to}&limit=1&cursor={next}")).await;
        assert_eq!((&page["items"][0]["instance_id"], &page["next"]), (&json!(ids[1]), &Value::Null));
        assert_eq!((&page["items"][0]["quantity"], &page["items"][0]["tenant"]), (&json!("3"), &json!("retail")));
        for (path, status) in [
            ("usage?tenant=nobody", 404),
            ("usage?from=yesterday", 400),
            ("usage?window=often", 422),
            ("usage/events?cursor=eA", 400),
            ("usage/conflicts?cursor=eA", 400),
            ("usage/events?tenent=x", 400),
        ] {
            let reply = desk.hub.admin(Method::GET, &format!("/api/v1/{path}"), None).await;
            assert_eq!(reply.status, status, "{path}: {reply:?}");
        }
        desk.stop().await;
    })
    .await;
}
