//! The forms in which events may come, and how much at once.

use serde_json::{Value, json};

use super::desk::{Desk, requests};
use crate::support::bare::on_each;
use crate::support::hub::CLIENT;

async fn post(desk: &Desk, headers: &[(&str, &str)], body: String) -> (u16, Value) {
    let mut request =
        CLIENT.post(format!("{}/api/v1/usage", desk.hub.url)).basic_auth(&desk.pair.0, Some(&desk.pair.1));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.body(body).send().await.expect("no answer");
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_event_a_batch_and_headers_with_a_body_are_the_same_event() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let id = desk.order("metered", "shop", "basic").await;
        let (time, name) = (desk.at(-60), "Ü 100% \"x\"");
        let event = requests(&id, name, &time, "1");
        let kind = |kind: &'static str| [("content-type", kind)];
        let mut expected = "accepted";
        for (headers, body) in [
            (kind("application/cloudevents+json; charset=utf-8"), event.to_string()),
            (kind("application/cloudevents-batch+json"), json!([event]).to_string()),
            (kind("application/json"), event.to_string()),
            (kind("application/json"), json!([event]).to_string()),
            (kind("text/plain"), event.to_string()),
        ] {
            let (status, answer) = post(&desk, &headers, body).await;
            let result = json!({"source": "/brokers/meters", "id": name, "status": expected});
            assert_eq!((status, &answer["results"]), (200, &json!([result])), "{headers:?}");
            expected = "duplicate";
        }
        let headers = [
            ("content-type", "application/json"),
            ("ce-specversion", "1.0"),
            ("ce-id", "%C3%9C%20100%25%20%22x%22"),
            ("ce-source", "/brokers/meters"),
            ("ce-type", "io.bourse.usage.delta"),
            ("ce-time", time.as_str()),
            ("ce-anything", "else"),
        ];
        let (status, answer) = post(&desk, &headers, event["data"].to_string()).await;
        assert_eq!((status, &answer["results"][0]["status"]), (200, &json!("duplicate")), "{answer}");
        let (status, answer) = post(&desk, &headers[..4], event["data"].to_string()).await;
        assert_eq!((status, &answer["results"][0]["code"]), (200, &json!("malformed")), "{answer}");
        desk.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_event_or_too_much_at_once_is_a_problem() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let id = desk.order("metered", "shop", "basic").await;
        let time = desk.at(-60);
        let many =
            |count: usize| json!((0..count).map(|n| requests(&id, &n.to_string(), &time, "1")).collect::<Vec<_>>());
        let batch = [("content-type", "application/cloudevents-batch+json")];
        let single = [("content-type", "application/cloudevents+json")];
        for (headers, body, status, code) in [
            (&batch, "{".to_owned(), 400, "malformed"),
            (&batch, String::new(), 400, "malformed"),
            (&batch, "{}".to_owned(), 422, "invalid"),
            (&single, "[]".to_owned(), 422, "invalid"),
            (&batch, "7".to_owned(), 422, "invalid"),
            (&batch, many(1001).to_string(), 422, "invalid"),
            (&batch, " ".repeat(4 * 1024 * 1024 + 1), 413, "too_large"),
        ] {
            let (found, problem) = post(&desk, headers, body).await;
            assert_eq!((found, &problem["code"]), (status, &json!(code)), "{problem}");
        }
        assert_eq!(desk.get("/usage/events").await["items"], json!([]), "nothing of it was taken");
        desk.stop().await;
    })
    .await;
}
