//! A hub with a [`Recorder`] behind it and a platform in front, for requests written by hand: what the platform is answered and
//! what the broker gets are both looked at as bytes.

use std::sync::atomic::{AtomicUsize, Ordering};

use bourse::config::Config;
use osb::stamp::{Stamp, Verifier};
use reqwest::Method;
use serde_json::{Value, json};

use super::bare::On;
use super::hub::{BOUND, Hub, Platform, TIMEOUT_MS, World};
use super::raw::{self, RawReply};
use super::recorder::{self, Recorder, Seen};
use super::wait::wait_until;

/// All of it.
pub(crate) struct Bench {
    pub(crate) world: World,
    pub(crate) hub: Hub,
    /// A platform of kind `other` whose default tenant is `retail`.
    pub(crate) platform: Platform,
    pub(crate) recorder: Recorder,
    /// Of the cases that were checked.
    pub(crate) checked: AtomicUsize,
}

/// What the recorder offers: `recorded` with many plans, and `readable`, whose instances and bindings can be fetched.
pub(crate) fn catalog() -> Value {
    let schema = json!({"type": "object", "required": ["size"], "properties": {"size": {"type": "integer"}}});
    let plan = |name: &str, more: Value| {
        let mut plan = json!({"id": format!("b-{name}"), "name": name, "description": "A plan", "free": false});
        plan.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        plan
    };
    let text = json!({"services": [{
        "id": "b-recorded", "name": "recorded", "description": "Keeps what it hears", "bindable": true,
        "plan_updateable": true, "x-unknown": {"keep": [1, "2"]}, "tags": ["a"],
        "plans": [
            plan("small", json!({"maintenance_info": {"version": "1.2.0"}, "x-plan-unknown": "kept"})),
            plan("large", json!({"maintenance_info": {"version": "2.0.0"}})),
            plan("stuck", json!({"plan_updateable": false})),
            plan("unbindable", json!({"bindable": false})),
            plan("checked", json!({"schemas": {
                "service_instance": {"create": {"parameters": schema.clone()}, "update": {"parameters": schema.clone()}},
                "service_binding": {"create": {"parameters": schema}}
            }})),
        ]
    }, {
        "id": "b-readable", "name": "readable", "description": "Can be read", "bindable": true,
        "instances_retrievable": true, "bindings_retrievable": true, "allow_context_updates": true,
        "plans": [plan("one", json!({"x-costs": "COSTS"}))]
    }]});
    // Numbers that no float keeps.
    serde_json::from_str(
        &text.to_string().replace("\"COSTS\"", r#"{"amount":99.0,"of":1.50,"many":12345678901234567890123}"#),
    )
    .expect("a catalog")
}

impl Bench {
    pub(crate) async fn new(on: On) -> Self {
        Self::with(on, |_| {}).await
    }

    /// With settings changed.
    pub(crate) async fn with(on: On, change: impl FnOnce(&mut Config)) -> Self {
        let world = World::new(on, change).await;
        let hub = world.hub().await;
        let platform = world.furnish(&hub).await;
        let recorder = Recorder::start(&catalog());
        let bench = Self { world, hub, platform, recorder, checked: AtomicUsize::new(0) };
        bench.register("recorder", &bench.recorder, json!({})).await;
        bench
    }

    /// Registers a recorder.
    pub(crate) async fn register(&self, name: &str, recorder: &Recorder, more: Value) {
        let mut body = json!({
            "name": name, "url": recorder.url(), "timeout_ms": TIMEOUT_MS,
            "credentials": {"basic": {"username": recorder::USERNAME, "password": recorder::PASSWORD}},
        });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let reply = self.hub.admin(Method::POST, "/api/v1/brokers", Some(body)).await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }

    /// The merged catalog's ids of `offering/plan`.
    pub(crate) fn ids(&self, plan: &str) -> (String, String) {
        let (offering, plan) = plan.split_once('/').unwrap_or(("recorded", plan));
        let catalog = self.hub.app.catalog();
        let entry = catalog.plan_by_name(offering, plan).unwrap_or_else(|| panic!("no plan {offering}/{plan}"));
        (entry.offering_id.clone(), entry.plan_id.clone())
    }

    /// `service_id=…&plan_id=…` of `offering/plan`, or of a plan of `recorded`.
    pub(crate) fn query(&self, plan: &str) -> String {
        let (service_id, plan_id) = self.ids(plan);
        format!("service_id={service_id}&plan_id={plan_id}")
    }

    /// The body of a provision of that plan with more in it.
    pub(crate) fn order(&self, plan: &str, more: Value) -> Value {
        let mut body = self.bind_body(plan, json!({"organization_guid": "o", "space_guid": "s"}));
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    }

    /// The body of a bind or an update, with more in it.
    pub(crate) fn bind_body(&self, plan: &str, more: Value) -> Value {
        let (service_id, plan_id) = self.ids(plan);
        let mut body = json!({"service_id": service_id, "plan_id": plan_id});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    }

    /// A request of the platform: `line` is a method and what stands behind `/v2/service_instances/`, or a whole path.
    pub(crate) async fn call(&self, line: &str, body: Option<&Value>) -> RawReply {
        self.call_as(&self.platform, line, body).await
    }

    /// The same for another platform.
    pub(crate) async fn call_as(&self, platform: &Platform, line: &str, body: Option<&Value>) -> RawReply {
        let head = format!(
            "{}\nX-Broker-API-Version: 2.17\nContent-Type: application/json\nAuthorization: {}",
            request_line(line),
            raw::basic(platform)
        );
        raw::send(&self.hub.url, &head, &body.map(ToString::to_string).unwrap_or_default()).await
    }

    /// One case: `what` holds, if the request is answered with that status and a body that says `says`.
    pub(crate) async fn check(&self, what: &str, line: &str, body: Option<Value>, expected: (u16, &str)) -> RawReply {
        self.check_as(&self.platform, what, line, body, expected).await
    }

    /// The same for another platform.
    pub(crate) async fn check_as(
        &self,
        platform: &Platform,
        what: &str,
        line: &str,
        body: Option<Value>,
        expected: (u16, &str),
    ) -> RawReply {
        let reply = self.call_as(platform, line, body.as_ref()).await;
        let (status, says) = expected;
        assert_eq!(reply.status, status, "{what}: {line} is answered {}", reply.text);
        assert!(reply.text.contains(says), "{what}: {line} does not say `{says}`: {}", reply.text);
        // ERR: every refusal says why, but for a 410; 503 and 429 say when to come again.
        if status >= 400 && status != 410 {
            assert!(
                reply.json()["description"].as_str().is_some_and(|text| !text.is_empty()),
                "{what}: {}",
                reply.text
            );
        }
        assert_eq!(reply.header("retry-after").is_some(), matches!(status, 429 | 503) || is_polling(&reply), "{what}");
        self.checked.fetch_add(1, Ordering::Relaxed);
        reply
    }

    /// Polls until an instance's operation (or, with `/service_bindings/…` behind the id, a binding's) is over.
    pub(crate) async fn outcome(&self, id: &str) -> String {
        let mut state = String::new();
        wait_until("the operation is over", BOUND, async || {
            self.world.clock.advance(std::time::Duration::from_secs(1));
            let reply = self.call(&format!("GET {id}/last_operation"), None).await;
            state = reply.json()["state"].as_str().unwrap_or_default().to_owned();
            !state.is_empty() && state != "in progress"
        })
        .await;
        state
    }

    /// The verifier that a broker of that name would use.
    pub(crate) fn verifier(&self, audience: &str) -> Verifier {
        Verifier::from_jwks_url(&self.hub.url, audience)
    }

    /// The stamp of a call that came to the recorder; fails where it does not hold.
    pub(crate) async fn stamp(&self, verifier: &Verifier, seen: &Seen) -> Stamp {
        let verified = verifier.verify(&seen.call()).await;
        verified.unwrap_or_else(|error| panic!("the stamp of {} {} does not hold: {error}", seen.method, seen.target))
    }
}

fn is_polling(reply: &RawReply) -> bool {
    reply.json()["state"] == "in progress"
}

/// `GET i/last_operation` is `GET /v2/service_instances/i/last_operation HTTP/1.1`.
fn request_line(line: &str) -> String {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let start = if path.starts_with('/') { "" } else { "/v2/service_instances/" };
    format!("{method} {start}{path} HTTP/1.1")
}
