//! A hub with a broker whose plans declare meters, and who reports at it.

use bourse::config::Config;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::hub::{Hub, Reply, TIMEOUT_MS, World, request};
use crate::support::recorder::{self, Recorder};

/// All of it: the tenant `retail`, the broker `meters` with the offering `metered`.
pub(crate) struct Desk {
    pub(crate) world: World,
    pub(crate) hub: Hub,
    pub(crate) recorder: Recorder,
    /// The broker's own credentials.
    pub(crate) pair: (String, String),
}

/// An offering whose plan `basic` has a meter of each kind; `large` measures the gigabytes otherwise.
pub(crate) fn catalog(prefix: &str) -> Value {
    let plan = |name: &str, meters: Value| {
        let id = format!("{prefix}-{name}");
        json!({"id": id, "name": name, "description": "A plan", "metadata": {"x-meters": meters}})
    };
    json!({"services": [{
        "id": prefix, "name": prefix, "description": "Is metered", "bindable": false, "plan_updateable": true,
        "plans": [
            plan("basic", json!([
                {"key": "gb", "kind": "gauge", "unit": "GB", "max_silence": "PT3H"},
                {"key": "requests", "kind": "delta", "unit": "request"},
                {"key": "cpu", "kind": "counter", "unit": "s"},
                {"key": "users", "kind": "delta", "unit": "user", "aggregation": "unique", "unique_by": "user"},
            ])),
            plan("large", json!([{"key": "tb", "kind": "gauge", "unit": "TB", "aggregation": "max"}])),
            plan("plain", json!([])),
        ],
    }]})
}

impl Desk {
    pub(crate) async fn new(on: On) -> Self {
        Self::with(on, |_| {}).await
    }

    pub(crate) async fn with(on: On, change: impl FnOnce(&mut Config)) -> Self {
        let world = World::new(on, change).await;
        let hub = world.hub().await;
        let tenant = json!({"display_name": "Retail"});
        assert_eq!(hub.admin(Method::PUT, "/api/v1/tenants/retail", Some(tenant)).await.status, 201);
        let recorder = Recorder::start(&catalog("metered"));
        let pair = register(&hub, "meters", &recorder).await;
        Self { world, hub, recorder, pair }
    }

    /// Orders an instance by name and gives its id.
    pub(crate) async fn order(&self, offering: &str, name: &str, plan: &str) -> String {
        let body = json!({"offering": offering, "plan": plan});
        let path = format!("/api/v1/tenants/retail/instances/{name}");
        let reply = self.hub.admin(Method::PUT, &path, Some(body)).await;
        assert!(matches!(reply.status, 200 | 201), "{reply:?}");
        assert_eq!(reply.body["state"], "ready", "{reply:?}");
        reply.body["id"].as_str().expect("an id").to_owned()
    }

    /// Reports as the broker, and gives the results.
    pub(crate) async fn report(&self, events: &[Value]) -> Vec<Value> {
        results(&self.post(&self.hub, &json!(events)).await)
    }

    /// As [`Desk::report`], at a hub of one's choice, with all of the answer.
    pub(crate) async fn post(&self, hub: &Hub, body: &Value) -> Reply {
        let credentials = Some((self.pair.0.as_str(), self.pair.1.as_str()));
        request(Method::POST, &format!("{}/api/v1/usage", hub.url), credentials, Some(body.clone())).await
    }

    /// Reports, and gives `status` or `status code` of each.
    pub(crate) async fn verdicts(&self, events: &[Value]) -> Vec<String> {
        self.report(events).await.iter().map(verdict).collect()
    }

    /// What the administrator reads below `/api/v1`.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let reply = self.hub.admin(Method::GET, &format!("/api/v1{path}"), None).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply.body
    }

    /// An instant so many seconds from now, on the hub's clock.
    pub(crate) fn at(&self, seconds: i64) -> String {
        bourse::clock::Time(self.world.clock.now().0 + seconds * 1_000_000).to_string()
    }

    pub(crate) async fn stop(self) {
        self.hub.stop().await;
    }
}

/// Registers a recorder under a name, and gives it credentials of its own.
pub(crate) async fn register(hub: &Hub, name: &str, recorder: &Recorder) -> (String, String) {
    let body = json!({
        "name": name, "url": recorder.url(), "timeout_ms": TIMEOUT_MS,
        "credentials": {"basic": {"username": recorder::USERNAME, "password": recorder::PASSWORD}},
    });
    let reply = hub.admin(Method::POST, "/api/v1/brokers", Some(body)).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let reply = hub.admin(Method::POST, &format!("/api/v1/brokers/{name}/credentials"), None).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let text = |field: &str| reply.body[field].as_str().expect("credentials").to_owned();
    (text("username"), text("password"))
}

/// A reading by the broker `meters`.
pub(crate) fn event(kind: &str, id: &str, time: &str, data: Value) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/brokers/meters", "type": format!("io.bourse.usage.{kind}"),
        "time": time, "datacontenttype": "application/json", "data": data,
    })
}

/// A reading of `requests`.
pub(crate) fn requests(instance: &str, id: &str, time: &str, quantity: &str) -> Value {
    event(
        "delta",
        id,
        time,
        json!({"instance_id": instance, "meter": "requests", "quantity": quantity, "unit": "request"}),
    )
}

/// A correction of a reading of `requests`; without a quantity it voids.
pub(crate) fn correction(instance: &str, (id, corrects): (&str, &str), time: &str, quantity: Option<&str>) -> Value {
    let data = json!({
        "instance_id": instance, "meter": "requests", "unit": "request", "quantity": quantity, "corrects": corrects,
    });
    event("correction", id, time, data)
}

/// The results in an answer that succeeded.
#[track_caller]
pub(crate) fn results(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.body["results"].as_array().expect("results").clone()
}

/// `accepted`, or `rejected malformed`.
pub(crate) fn verdict(result: &Value) -> String {
    let status = result["status"].as_str().expect("a status");
    match result["code"].as_str() {
        Some(code) if status == "rejected" => {
            assert!(result["reason"].as_str().is_some_and(|reason| reason.starts_with(code)), "{result}");
            format!("{status} {code}")
        }
        _ => status.to_owned(),
    }
}
