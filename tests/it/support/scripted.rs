//! A service broker over real HTTP whose catalog a test sets. It provisions nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use osb::server::{BasicAuth, Running, Server};
use osb::{
    BindRequest, BindingOperationRequest, Bound, Call, CatalogDocument, DeprovisionRequest, Deprovisioned, Error,
    FetchBindingRequest, FetchBindingResponse, FetchInstanceRequest, FetchInstanceResponse, InstanceOperationRequest,
    LastOperation, ProvisionRequest, Provisioned, ServiceBroker, UnbindRequest, Unbound, UpdateRequest, Updated,
};
use serde_json::{Value, json};

pub(crate) const USERNAME: &str = "hub";
pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// What the broker answers to `GET /v2/catalog`.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    Catalog(Value),
    Status(u16),
}

/// The broker, listening. Ends when it is dropped.
pub(crate) struct Scripted {
    running: Running,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<Script>,
    asked: AtomicUsize,
    last_call: Mutex<Call>,
}

impl Scripted {
    pub(crate) fn start(script: Script) -> Self {
        let shared =
            Arc::new(Shared { script: Mutex::new(script), asked: AtomicUsize::new(0), last_call: Mutex::default() });
        let broker = Arc::new(Broker(Arc::clone(&shared)));
        let running = Server::new(BasicAuth::new(broker, USERNAME, PASSWORD)).bind("127.0.0.1:0");
        Self { running: running.expect("could not listen"), shared }
    }

    /// Answers that from now on.
    pub(crate) fn play(&self, script: Script) {
        *self.shared.script.lock().expect("no panic") = script;
    }

    pub(crate) fn url(&self) -> String {
        self.running.url()
    }

    /// How often its catalog was asked for.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// What came with the last request.
    pub(crate) fn last_call(&self) -> Call {
        self.shared.last_call.lock().expect("no panic").clone()
    }

    /// Is no longer there.
    pub(crate) async fn stop(self) {
        self.running.stop().await;
    }
}

/// A catalog of offerings, each with its plans, whose names are their ids.
pub(crate) fn catalog(offerings: &[(&str, &[&str])]) -> Value {
    let services: Vec<_> = offerings.iter().map(|(id, plans)| offering(id, plans)).collect();
    json!({ "services": services })
}

pub(crate) fn offering(id: &str, plans: &[&str]) -> Value {
    let plans: Vec<_> =
        plans.iter().map(|plan| json!({"id": format!("{id}-{plan}"), "name": plan, "description": "A plan"})).collect();
    json!({"id": id, "name": id, "description": format!("Offers {id}"), "bindable": true, "plans": plans})
}

struct Broker(Arc<Shared>);

#[async_trait]
impl ServiceBroker for Broker {
    async fn catalog(&self, call: &Call) -> Result<CatalogDocument, Error> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        *self.0.last_call.lock().expect("no panic") = call.clone();
        match &*self.0.script.lock().expect("no panic") {
            Script::Catalog(catalog) => Ok(CatalogDocument { json: catalog.to_string().into(), etag: None }),
            Script::Status(status) => Err(Error::new(*status)),
        }
    }

    async fn provision(&self, _: &Call, _: ProvisionRequest) -> Result<Provisioned, Error> {
        Err(nothing())
    }

    async fn fetch_instance(&self, _: &Call, _: FetchInstanceRequest) -> Result<FetchInstanceResponse, Error> {
        Err(nothing())
    }

    async fn instance_operation(&self, _: &Call, _: InstanceOperationRequest) -> Result<LastOperation, Error> {
        Err(nothing())
    }

    async fn update(&self, _: &Call, _: UpdateRequest) -> Result<Updated, Error> {
        Err(nothing())
    }

    async fn deprovision(&self, _: &Call, _: DeprovisionRequest) -> Result<Deprovisioned, Error> {
        Err(nothing())
    }

    async fn bind(&self, _: &Call, _: BindRequest) -> Result<Bound, Error> {
        Err(nothing())
    }

    async fn fetch_binding(&self, _: &Call, _: FetchBindingRequest) -> Result<FetchBindingResponse, Error> {
        Err(nothing())
    }

    async fn binding_operation(&self, _: &Call, _: BindingOperationRequest) -> Result<LastOperation, Error> {
        Err(nothing())
    }

    async fn unbind(&self, _: &Call, _: UnbindRequest) -> Result<Unbound, Error> {
        Err(nothing())
    }
}

fn nothing() -> Error {
    Error::bad_request("this broker provisions nothing")
}
