//! Events, dead letters, keys and metrics as they are over HTTP.

use std::sync::Arc;
use std::time::Duration;

use bourse::app::stamps::{StampFacts, StampTenant};
use bourse::config::Sink;
use bytes::Bytes;
use osb::stamp::{StampError, Verifier};
use osb::{Call, WireRequest};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::{Bare, on_each};

struct Answer {
    status: u16,
    content_type: String,
    cache_control: String,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("no JSON")
    }
}

async fn ask(method: Method, url: &str, password: Option<&str>, body: Option<Value>) -> Answer {
    // An error means that another test has done it, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().expect("no client");
    let mut request = client.request(method, url);
    if password.is_some() {
        request = request.basic_auth("admin", password);
    }
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let answer = request.send().await.expect("no answer");
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    Answer {
        status: answer.status().as_u16(),
        content_type: header("content-type"),
        cache_control: header("cache-control"),
        text: answer.text().await.expect("no text"),
    }
}

async fn get(url: &str) -> Answer {
    ask(Method::GET, url, Some("pw"), None).await
}

#[tokio::test]
async fn the_feed_is_for_administrators_and_is_read_page_by_page() {
    on_each(async |on| {
        let hub = Bare::on(on, |_| {}).await;
        let url = format!("{}/api/v1/events", hub.serve().await);
        for number in 1..=3 {
            hub.append("i", number).await;
        }
        hub.app.number_events().await.expect("could not number");
        assert_eq!(ask(Method::GET, &url, None, None).await.status, 401);
        assert_eq!(ask(Method::GET, &url, Some("wrong"), None).await.status, 401);

        let first = get(&format!("{url}?limit=2")).await;
        assert_eq!(first.status, 200);
        assert_eq!(first.json()["items"][1]["sequence"], "2");
        let rest = get(&format!("{url}?after={}", first.json()["next"].as_str().expect("a cursor"))).await.json();
        assert_eq!(rest["items"].as_array().map(Vec::len), Some(1));
        let end = get(&format!("{url}?after={}", rest["next"].as_str().expect("a cursor"))).await.json();
        assert_eq!(end, json!({"items": [], "next": rest["next"]}));

        assert_eq!(get(&format!("{url}?after=x")).await.status, 400);
        assert_eq!(get(&format!("{url}?limit=1001")).await.status, 422);
        assert_eq!(get(&format!("{url}?tenant=nobody")).await.status, 404);
        let none = get(&format!("{url}?type=io.bourse.tenant.changed")).await.json();
        assert_eq!(none["items"], json!([]));

        hub.clock.advance(Duration::from_secs(401 * 86_400));
        hub.app.prune_events().await.expect("could not prune");
        let gone = get(&format!("{url}?after=1")).await;
        assert_eq!((gone.status, gone.json()["code"].clone()), (410, json!("gone")));
    })
    .await;
}

#[tokio::test]
async fn dead_letters_are_listed_and_redelivered() {
    on_each(async |on| {
        let folder = tempfile::tempdir().expect("no temporary directory");
        let path = folder.path().join("later").join("events.jsonl");
        let sink = Sink::File { name: "file".into(), path: path.clone() };
        let hub = Bare::on(on, |config| {
            config.events.sinks = vec![sink];
            config.events.attempts_max = 1;
        })
        .await;
        let url = format!("{}/api/v1/events/dead-letters", hub.serve().await);
        hub.append("i", 1).await;
        hub.append("i", 2).await;
        hub.app.number_events().await.expect("could not number");
        let mut sinks = hub.app.sinks().expect("no sinks");
        for _ in 0..2 {
            hub.app.relay(&mut sinks[0]).await.expect("could not relay");
        }

        let page = get(&format!("{url}?limit=1")).await.json();
        assert_eq!((&page["items"][0]["sink"], &page["items"][0]["attempts"]), (&json!("file"), &json!(1)));
        let next = page["next"].as_str().expect("a cursor");
        let page = get(&format!("{url}?sink=file&cursor={next}")).await.json();
        assert_eq!((page["items"].as_array().map(Vec::len), &page["next"]), (Some(1), &Value::Null));
        assert_eq!(get(&format!("{url}?sink=other")).await.json()["items"], json!([]));

        std::fs::create_dir(path.parent().expect("a folder")).expect("could not make it");
        let redeliver = format!("{url}/redeliver");
        let queued = ask(Method::POST, &redeliver, Some("pw"), Some(json!({"sink": "file"}))).await;
        assert_eq!((queued.status, queued.json()), (200, json!({"sink": "file", "queued": 2})));
        hub.app.relay(&mut sinks[0]).await.expect("could not relay");
        assert_eq!(std::fs::read_to_string(&path).expect("no file").lines().count(), 2);
        assert_eq!(get(&url).await.json()["items"], json!([]));
        assert_eq!(ask(Method::POST, &redeliver, Some("pw"), Some(json!({"sink": "x"}))).await.status, 404);
        assert_eq!(ask(Method::POST, &redeliver, Some("pw"), Some(json!({}))).await.status, 422);
        assert_eq!(ask(Method::POST, &redeliver, None, Some(json!({"sink": "file"}))).await.status, 401);
    })
    .await;
}

#[tokio::test]
async fn a_broker_verifies_stamps_with_nothing_but_the_hubs_url() {
    on_each(async |on| {
        let hub = Bare::on(on, |config| "http://hub.invalid".clone_into(&mut config.server.public_url)).await;
        let url = format!("{}/.well-known/jwks.json", hub.serve().await);
        let keys = ask(Method::GET, &url, None, None).await;
        assert_eq!((keys.status, keys.cache_control.as_str()), (200, "public, max-age=300"));
        assert!(keys.content_type.starts_with("application/json"), "{}", keys.content_type);

        let request = WireRequest {
            method: "DELETE".into(),
            path_and_query: "/v2/service_instances/i?service_id=s&plan_id=p".into(),
            body: Bytes::new(),
        };
        let tenant = Some(StampTenant { id: "t-1".into(), ..StampTenant::default() });
        let stamp = hub.app.stamp("vnet", &request, &StampFacts { tenant, ..StampFacts::default() }).await;
        let call = Call { stamp: stamp.ok(), wire: Some(Arc::new(request)), ..Call::default() };
        let read = Verifier::new("http://hub.invalid", &url, "vnet").verify(&call).await.expect("it is not verified");
        assert_eq!((read.sub.as_str(), read.aud.as_str()), ("t-1", "vnet"));
        let other = Verifier::new("http://hub.invalid", &url, "bastion").verify(&call).await;
        assert_eq!(other.err(), Some(StampError::Audience));
    })
    .await;
}

#[tokio::test]
async fn metrics_are_open_or_for_administrators_as_the_settings_say() {
    on_each(async |on| {
        let open = Bare::on(on, |_| {}).await;
        let url = format!("{}/metrics", open.serve().await);
        ask(Method::GET, &url, None, None).await;
        let answer = ask(Method::GET, &url, None, None).await;
        assert_eq!(answer.status, 200);
        assert!(answer.content_type.starts_with("application/openmetrics-text"), "{}", answer.content_type);
        let counted = r#"bourse_http_request_duration_seconds_count{method="GET",route="/metrics",status="2xx"} 1"#;
        assert!(answer.text.contains(counted), "{}", answer.text);
        assert!(answer.text.contains("bourse_outbox_events 0") && answer.text.ends_with("# EOF\n"), "{}", answer.text);

        let closed = Bare::on(on, |config| config.server.metrics_public = false).await;
        let url = format!("{}/metrics", closed.serve().await);
        assert_eq!(ask(Method::GET, &url, None, None).await.status, 401);
        assert_eq!(get(&url).await.status, 200);
    })
    .await;
}
