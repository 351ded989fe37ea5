//! Brokers and offerings as they are over HTTP: shapes, statuses, and what is never shown.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::{Bare, On, on_each};
use crate::support::scripted::{PASSWORD, Script, Scripted, USERNAME, catalog};

struct Hub {
    url: String,
    client: reqwest::Client,
    bare: Bare,
}

impl Hub {
    async fn start(on: On) -> Self {
        // An error means that another test has done it, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().expect("a client");
        let bare = Bare::on(on, |config| config.admin.password = Some(password())).await;
        let url = format!("{}/api/v1", bare.serve().await);
        Self { url, client, bare }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>, if_match: Option<&str>) -> (u16, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.url)).basic_auth("admin", Some("pw"));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        if let Some(tag) = if_match {
            request = request.header("if-match", tag);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        assert!(!text.contains(PASSWORD), "a credential is shown: {text}");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, None, None).await
    }

    async fn post(&self, path: &str, body: Option<Value>) -> (u16, Value) {
        self.ask(Method::POST, path, body, None).await
    }
}

fn password() -> bourse::secret::Secret<String> {
    bourse::secret::Secret::new("pw".to_owned())
}

fn acme(broker: &Scripted) -> Value {
    json!({
        "name": "acme", "url": broker.url(), "name_prefix": "acme-",
        "credentials": {"basic": {"username": USERNAME, "password": PASSWORD}},
    })
}

#[tokio::test]
async fn a_broker_is_registered_shown_changed_refreshed_and_deleted() {
    on_each(async |on| {
        let hub = Hub::start(on).await;
        let broker = Scripted::start(Script::Catalog(catalog(&[("db", &["small"])])));
        let (status, made) = hub.post("/brokers", Some(acme(&broker))).await;
        assert_eq!(status, 201, "{made}");
        assert_eq!((&made["status"], &made["breaker"]), (&json!("available"), &json!("closed")));
        let offering = &made["offerings"][0];
        assert_eq!(
            (&offering["name"], &offering["backend_id"], &offering["state"], &offering["findings"]),
            (&json!("acme-db"), &json!("db"), &json!("available"), &json!([]))
        );
        assert_eq!(offering["plans"][0]["backend_id"], "db-small");
        assert!(made["fetched_at"].is_string());
        assert_eq!(hub.get("/brokers/acme").await, (200, made.clone()));
        assert_eq!(hub.get("/brokers").await, (200, json!({"items": [made], "next": null})));

        let (status, changed) =
            hub.ask(Method::PATCH, "/brokers/acme", Some(json!({"timeout_ms": 2000})), Some("\"1\"")).await;
        assert_eq!((status, &changed["timeout_ms"]), (200, &json!(2000)));
        let (status, stale) =
            hub.ask(Method::PATCH, "/brokers/acme", Some(json!({"timeout_ms": 3000})), Some("\"1\"")).await;
        assert_eq!(status, 412, "{stale}");
        let (status, refused) = hub.ask(Method::PATCH, "/brokers/acme", Some(json!({"name_prefix": "x"})), None).await;
        assert_eq!((status, &refused["errors"][0]["pointer"]), (422, &json!("/name_prefix")));

        broker.play(Script::Status(500));
        let (status, view) = hub.post("/brokers/acme/refresh", None).await;
        assert_eq!((status, &view["status"]), (200, &json!("unavailable")));
        assert_eq!(view["offerings"][0]["state"], "available");

        let (status, pair) = hub.post("/brokers/acme/credentials", None).await;
        assert_eq!(status, 201);
        let username = pair["username"].as_str().expect("a user name");
        let path = format!("/brokers/acme/credentials/{username}");
        assert_eq!(hub.ask(Method::DELETE, &path, None, None).await.0, 204);
        assert_eq!(hub.ask(Method::DELETE, &path, None, None).await.0, 404);

        assert_eq!(hub.ask(Method::DELETE, "/brokers/acme", None, None).await.0, 204);
        assert_eq!(hub.ask(Method::DELETE, "/brokers/acme", None, None).await.0, 404);
        assert_eq!(hub.post("/brokers/acme/refresh", None).await.0, 404);
    })
    .await;
}

#[tokio::test]
async fn a_registration_is_refused_with_the_status_that_says_why() {
    on_each(async |on| {
        let hub = Hub::start(on).await;
        let broker = Scripted::start(Script::Catalog(catalog(&[("db", &["small"])])));
        let check = async |body: Value, expected: u16| {
            let (status, problem) = hub.post("/brokers", Some(body)).await;
            assert_eq!(status, expected, "{problem}");
            problem
        };
        let with = |field: &str, value: Value| {
            let mut body = acme(&broker);
            body[field] = value;
            body
        };
        let problem = check(with("url", json!("http://169.254.169.254/latest")), 422).await;
        assert_eq!(problem["errors"][0]["pointer"], "/url");
        check(with("url", json!("http://127.0.0.1:1")), 422).await;
        check(with("nonsense", json!(1)), 422).await;
        check(with("name", json!("Not A Name")), 422).await;
        check(acme(&broker), 201).await;
        let problem = check(acme(&broker), 409).await;
        assert_eq!(problem["code"], "name_taken");
        let problem = check(with("name", json!("other")), 409).await;
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(detail.contains("`acme`") && detail.contains("`other`"), "{detail}");
        let brokers = hub.bare.app.catalog();
        assert!(brokers.has_broker("acme") && !brokers.has_broker("other"));
    })
    .await;
}

#[tokio::test]
async fn offerings_are_searched_page_by_page() {
    on_each(async |on| {
        let hub = Hub::start(on).await;
        let broker = Scripted::start(Script::Catalog(catalog(&[("db", &["small"]), ("mq", &["one"])])));
        assert_eq!(hub.post("/brokers", Some(acme(&broker))).await.0, 201);
        let (status, found) = hub.get("/offerings?q=acme%20DB").await;
        assert_eq!(status, 200);
        let item = &found["items"][0];
        assert_eq!(
            (&item["name"], &item["broker"], &item["state"]),
            (&json!("acme-db"), &json!("acme"), &json!("available"))
        );
        assert_eq!((&item["plans"][0]["name"], &item["plans"][0]["price"]), (&json!("small"), &Value::Null));
        let (_, first) = hub.get("/offerings?limit=1").await;
        let next = first["next"].as_str().expect("another page");
        let (_, second) = hub.get(&format!("/offerings?limit=1&cursor={next}")).await;
        assert_eq!((&second["items"][0]["name"], &second["next"]), (&json!("acme-mq"), &Value::Null));
        assert_eq!(hub.get("/offerings?x=1").await.0, 400);
    })
    .await;
}
