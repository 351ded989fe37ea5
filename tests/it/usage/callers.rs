//! Who may report what: a broker for itself, the administrator for all, nobody else.

use bourse::http::routes::{Permission, ROUTES};
use reqwest::Method;
use serde_json::json;

use super::desk::{Desk, catalog, register, requests, results, verdict};
use crate::support::bare::on_each;
use crate::support::hub::request;
use crate::support::recorder::Recorder;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_reports_for_itself_and_its_own_instances_only() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let other = Recorder::start(&catalog("other"));
        register(&desk.hub, "others", &other).await;
        let (mine, theirs) =
            (desk.order("metered", "mine", "basic").await, desk.order("other", "theirs", "basic").await);
        let time = desk.at(-60);
        let of = |source: &str, instance: &str, id: &str| {
            let mut event = requests(instance, id, &time, "1");
            event["source"] = json!(source);
            event
        };
        let events = [
            of("/brokers/meters", &mine, "1"),
            of("/brokers/meters", &theirs, "2"),
            of("/brokers/others", &theirs, "3"),
            of("/brokers/others", &mine, "4"),
            of("/brokers/nobody", &mine, "5"),
            of("meters", &mine, "6"),
        ];
        let expected = [
            "accepted",
            "rejected unknown_instance",
            "rejected not_your_source",
            "rejected not_your_source",
            "rejected not_your_source",
            "rejected not_your_source",
        ];
        assert_eq!(desk.verdicts(&events).await, expected);

        let reply = desk.hub.admin(Method::POST, "/api/v1/usage", Some(json!(events))).await;
        let expected = [
            "duplicate",
            "rejected unknown_instance",
            "accepted",
            "rejected unknown_instance",
            "rejected unknown_source",
            "rejected unknown_source",
        ];
        assert_eq!(results(&reply).iter().map(verdict).collect::<Vec<_>>(), expected, "the administrator's");

        // The key is the source's: another broker may use the same id.
        let reply = desk.hub.admin(Method::POST, "/api/v1/usage", Some(of("/brokers/others", &theirs, "1"))).await;
        assert_eq!(verdict(&results(&reply)[0]), "accepted");
        desk.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_of_a_broker_open_nothing_but_reporting() {
    on_each(async |on| {
        let desk = Desk::new(on).await;
        let platform = desk.hub.platform("p", "other").await;
        let url = format!("{}/api/v1/usage", desk.hub.url);
        let refused =
            request(Method::POST, &url, Some((&platform.username, &platform.password)), Some(json!([]))).await;
        assert_eq!((refused.status, &refused.body["code"]), (403, &json!("forbidden")));
        let mut opened = Vec::new();
        for route in ROUTES.iter().filter(|route| route.permission != Permission::Open) {
            let path = route.path.replace(['{', '}'], "");
            let method = Method::from_bytes(route.method.as_str().as_bytes()).expect("a method");
            let url = format!("{}{path}?limit=x", desk.hub.url);
            let answer = request(method, &url, Some((&desk.pair.0, &desk.pair.1)), Some(json!([]))).await;
            match route.permission {
                Permission::Broker => opened.push((route.method.as_str(), path, answer.status)),
                _ => assert_eq!(answer.status, 403, "{path}: {answer:?}"),
            }
        }
        assert_eq!(opened, [("POST", "/api/v1/usage".to_owned(), 200)], "as the table says");
        let pair = format!("/api/v1/brokers/meters/credentials/{}", desk.pair.0);
        assert_eq!(desk.hub.admin(Method::DELETE, &pair, None).await.status, 204);
        assert_eq!(desk.post(&desk.hub, &json!([])).await.status, 401, "at once");
        desk.stop().await;
    })
    .await;
}
