//! Providers serve themselves: from a role and nothing else to a published offering, and what they may not do on the way. Everything goes
//! over HTTP, by people with tokens of an identity provider.

mod doors;
mod proposals;
mod reviews;
mod runs;
mod story;
mod told;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bourse::config::{Config, Grants};
use bourse_brokers::faults::{self, Faults};
use osb::kit::{Stamped, Stamps};
use osb::server::Running;
use osb::{
    BindRequest, BindingOperationRequest, Bound, Call, CatalogDocument, DeprovisionRequest, Deprovisioned, Error,
    FetchBindingRequest, FetchBindingResponse, FetchInstanceRequest, FetchInstanceResponse, InstanceOperationRequest,
    LastOperation, ProvisionRequest, Provisioned, ServiceBroker, UnbindRequest, Unbound, UpdateRequest, Updated,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::bare::On;
use crate::support::hub::{CLIENT, Hub, Platform, World};
use crate::support::oidc::{AUDIENCE, Forger};
use crate::support::wait::wait_for;

/// How long a run of the whole suite may take on a machine that is busy.
pub(crate) const RUN_WITHIN: Duration = Duration::from_secs(120);

/// A broker whose catalog a test changes. All else is `faults`.
#[derive(Clone)]
struct Shaped {
    faults: Faults,
    catalog: Arc<Mutex<Value>>,
}

/// The offering `name` with one plan that never fails, one with meters and links as a review wants them.
pub(crate) fn shape(name: &str) -> Value {
    let whole: Value = serde_json::from_str(include_str!("../../catalog/faults.json")).expect("JSON");
    let mut service = whole["services"][0].clone();
    let plans = service["plans"].as_array().expect("plans").clone();
    let mut plan = plans.iter().find(|plan| plan["name"] == "ok").expect("the plan ok").clone();
    plan["free"] = json!(false);
    service["plans"] = json!([plan]);
    service["name"] = json!(name);
    service["metadata"]["documentationUrl"] = json!("https://docs.example/acme");
    service["metadata"]["supportUrl"] = json!("mailto:help@acme.example");
    json!({ "services": [service] })
}

/// The plan `async-required` beside the plan of [`shape`].
pub(crate) fn plan_of_faults(name: &str) -> Value {
    let whole: Value = serde_json::from_str(include_str!("../../catalog/faults.json")).expect("JSON");
    let plans = whole["services"][0]["plans"].as_array().expect("plans").clone();
    plans.into_iter().find(|plan| plan["name"] == name).expect("such a plan")
}

#[async_trait]
impl ServiceBroker for Shaped {
    async fn catalog(&self, _: &Call) -> Result<CatalogDocument, Error> {
        let catalog = self.catalog.lock().unwrap_or_else(PoisonError::into_inner).to_string();
        Ok(CatalogDocument { json: catalog.into(), etag: None })
    }

    async fn provision(&self, call: &Call, request: ProvisionRequest) -> Result<Provisioned, Error> {
        self.faults.provision(call, request).await
    }

    async fn fetch_instance(&self, call: &Call, request: FetchInstanceRequest) -> Result<FetchInstanceResponse, Error> {
        self.faults.fetch_instance(call, request).await
    }

    async fn instance_operation(&self, call: &Call, request: InstanceOperationRequest) -> Result<LastOperation, Error> {
        self.faults.instance_operation(call, request).await
    }

    async fn update(&self, call: &Call, request: UpdateRequest) -> Result<Updated, Error> {
        self.faults.update(call, request).await
    }

    async fn deprovision(&self, call: &Call, request: DeprovisionRequest) -> Result<Deprovisioned, Error> {
        self.faults.deprovision(call, request).await
    }

    async fn bind(&self, call: &Call, request: BindRequest) -> Result<Bound, Error> {
        self.faults.bind(call, request).await
    }

    async fn fetch_binding(&self, call: &Call, request: FetchBindingRequest) -> Result<FetchBindingResponse, Error> {
        self.faults.fetch_binding(call, request).await
    }

    async fn binding_operation(&self, call: &Call, request: BindingOperationRequest) -> Result<LastOperation, Error> {
        self.faults.binding_operation(call, request).await
    }

    async fn unbind(&self, call: &Call, request: UnbindRequest) -> Result<Unbound, Error> {
        self.faults.unbind(call, request).await
    }
}

/// A broker of somebody, which ends with this.
pub(crate) struct Own {
    broker: Shaped,
    url: String,
    running: Running,
}

impl Own {
    pub(crate) fn start(catalog: Value) -> Self {
        Self::stamped(catalog, Stamps::Ignored)
    }

    /// The same with a look at stamps.
    fn stamped(catalog: Value, stamps: Stamps) -> Self {
        let faults = Faults::new();
        let broker = Shaped { faults: faults.clone(), catalog: Arc::new(Mutex::new(catalog)) };
        let stamped = Stamped::new(Arc::new(broker.clone()), stamps);
        let door = osb::server::BasicAuth::new(Arc::new(stamped), "hub", "s3cret");
        let running = faults::wire::bind(door, &faults, "127.0.0.1:0").expect("the broker could not listen");
        Self { url: running.url(), broker, running }
    }

    /// What it offers from now on.
    pub(crate) fn offers(&self, change: impl FnOnce(&mut Value)) {
        change(&mut self.broker.catalog.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What registers it, but for its name.
    pub(crate) fn registration(&self) -> Value {
        json!({"url": self.url, "credentials": {"basic": {"username": "hub", "password": "s3cret"}}})
    }
}

/// An answer to somebody.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    /// The body, after the status was found to be this.
    #[track_caller]
    fn is(&self, status: u16) -> &Value {
        assert_eq!(self.status, status, "{self:?}");
        &self.body
    }

    /// That it is refused with this code and a sentence that says this.
    #[track_caller]
    fn refuses(&self, status: u16, code: &str, says: &str) {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{self:?}");
        assert!(self.body["detail"].as_str().is_some_and(|detail| detail.contains(says)), "{says}: {self:?}");
    }
}

/// A hub, its people, a platform of `retail`, and the broker of `ann`, which is not registered.
struct Market {
    world: World,
    hub: Hub,
    forger: Arc<Forger>,
    platform: Platform,
    own: Own,
}

fn grants() -> Vec<Grants> {
    let grant = |user: &str, roles: &[&str]| Grants {
        user: Some(user.to_owned()),
        group: None,
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    };
    vec![
        grant("ann", &["provider:acme"]),
        grant("amy", &["provider:acme"]),
        grant("ben", &["provider:bolt"]),
        grant("fin", &["finance"]),
        grant("flo", &["finance"]),
        grant("kim", &["finance", "provider:acme"]),
        grant("oz", &["operator"]),
        grant("pat", &["operator"]),
        grant("sam", &["operator", "provider:acme"]),
        grant("mem", &["tenant-member:retail"]),
        grant("app", &["approver"]),
    ]
}

/// Settings under which those people are known.
pub(crate) fn people(config: &mut Config, issuer: &str) {
    config.oidc.issuer = issuer.to_owned();
    config.oidc.audience = AUDIENCE.to_owned();
    config.auth.grants = grants();
}

impl Market {
    async fn open(on: On) -> Self {
        let forger = Arc::new(Forger::start().await);
        let world = World::new(on, |config| people(config, &forger.url)).await;
        let hub = world.hub().await;
        let tenant = json!({"display_name": "Retail"});
        assert_eq!(hub.admin(Method::PUT, "/api/v1/tenants/retail", Some(tenant)).await.status, 201);
        let platform = hub.platform("p", "other").await;
        Self { world, hub, forger, platform, own: Own::start(shape("acme-db")) }
    }

    async fn ask(&self, who: &str, method: &str, path: &str, body: Value) -> Answer {
        let now = self.hub.app.clock().now().seconds();
        let token = self.forger.token(now, json!({"sub": who}));
        ask(&self.hub.url, &token, method, path, body).await
    }

    async fn get(&self, who: &str, path: &str) -> Answer {
        self.ask(who, "GET", path, Value::Null).await
    }

    async fn post(&self, who: &str, path: &str, body: Value) -> Answer {
        self.ask(who, "POST", path, body).await
    }

    /// `ann` registers her broker.
    async fn registered(&self) {
        self.ask("ann", "PUT", "/brokers/acme", self.own.registration()).await.is(201);
    }

    /// The broker is judged, and the run is over.
    async fn judged(&self) -> Value {
        self.post("ann", "/brokers/acme/conformance", json!({"makes_instances": true})).await.is(202);
        self.over().await
    }

    /// The latest run, once it is over.
    async fn over(&self) -> Value {
        wait_for("the run to be over", RUN_WITHIN, async || {
            let run = self.get("ann", "/brokers/acme/conformance").await.is(200)["run"].clone();
            let state = run["state"].as_str().unwrap_or_default().to_owned();
            (!["waiting", "running", "cleaning"].contains(&state.as_str())).then_some(run)
        })
        .await
    }

    /// `ann` proposes prices of her offering, and `fin` accepts them.
    async fn priced(&self) {
        let made = self.post("ann", "/price-proposals", proposal("9")).await;
        let id = made.is(201)["id"].as_str().expect("an id").to_owned();
        self.post("fin", &format!("/price-proposals/{id}/accept"), json!({})).await.is(200);
    }

    /// All that a submission takes.
    async fn ready(&self) {
        self.registered().await;
        assert_eq!(self.judged().await["outcome"], "conforms");
        self.priced().await;
    }

    /// Whether the platform's catalog has the offering.
    async fn shows(&self, offering: &str) -> bool {
        let reply = self.hub.osb(&self.platform, Method::GET, "/v2/catalog", None).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body["services"].as_array().expect("services").iter().any(|one| one["name"] == offering)
    }

    /// The status of an order of that plan by the platform.
    async fn orders(&self, id: &str, offering: &str, plan: &str) -> u16 {
        let catalog = self.hub.app.catalog();
        let entry = catalog.plan_by_name(offering, plan).expect("no such plan");
        let body = json!({"service_id": entry.offering_id, "plan_id": entry.plan_id, "organization_guid": "o",
            "space_guid": "s", "context": {"platform": "other"}});
        let path = format!("/v2/service_instances/{id}");
        self.hub.osb(&self.platform, Method::PUT, &path, Some(body)).await.status
    }

    /// The names of the checks that fail.
    async fn failing(&self) -> Vec<String> {
        let found = self.get("ann", "/offerings/acme-db/checks").await;
        let checks = found.is(200)["checks"].as_array().expect("checks").clone();
        let failed = checks.iter().filter(|check| check["state"] == "failed");
        failed.map(|check| check["check"].as_str().expect("a name").to_owned()).collect()
    }

    /// The types of all events that providers cause, in order.
    async fn events(&self) -> Vec<String> {
        self.hub.app.number_events().await.expect("could not number");
        let page = self.hub.admin(Method::GET, "/api/v1/events?limit=1000", None).await.body;
        let kinds = page["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|event| event["type"].as_str().expect("a type").trim_start_matches("io.bourse.").to_owned());
        kinds.filter(|kind| ["review.", "prices.", "broker."].iter().any(|begin| kind.starts_with(begin))).collect()
    }
}

/// Prices of the offering of `ann`.
fn proposal(amount: &str) -> Value {
    json!({"broker": "acme", "currency": "EUR", "rules": [
        {"offering": "acme-db", "model": "flat", "amount": amount, "per": "month"}]})
}

/// One request with a bearer token.
async fn ask(url: &str, token: &str, method: &str, path: &str, body: Value) -> Answer {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let request = CLIENT.request(method, format!("{url}/api/v1{path}")).bearer_auth(token);
    let request = if body.is_null() { request } else { request.body(body.to_string()) };
    let answer = request.send().await.expect("no answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("no text");
    assert!(!text.contains("s3cret"), "a credential is shown: {text}");
    Answer { status, body: serde_json::from_str(&text).unwrap_or_default() }
}
