//! A run over one plan: what is ordered, and how, so that a case can say "an instance" and get one.
//!
//! Ordering is judged as it goes on (`orders`), polling too (`poll`). Instance and binding that cases share are made once, and
//! made again where a case had to give one up. Invariant: what a basic order fails at is tried once, not by each case.

use std::ops::Deref;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::exchange::Exchange;
use super::plan::Plan;
use super::probe::{Probe, Stop};
use super::request::{Endpoint, Request};
use super::{Parameters, basic_context};
use crate::Object;

/// An instance that was made.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) id: String,
    /// The body that it was ordered with.
    pub(super) body: Value,
    /// The answer to the order.
    pub(super) answer: Arc<Exchange>,
}

/// A binding that was made.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) instance: String,
    pub(super) id: String,
    pub(super) body: Value,
    pub(super) answer: Arc<Exchange>,
}

#[derive(Default)]
struct Shared {
    instance: Option<Instance>,
    binding: Option<Binding>,
    no_instance: Option<Stop>,
    no_binding: Option<Stop>,
}

/// A run over one plan of one broker.
pub(super) struct Run {
    probe: Probe,
    pub(super) plan: Plan,
    pub(super) parameters: Parameters,
    shared: Mutex<Shared>,
}

/// A case sends and judges through the run as through its probe.
impl Deref for Run {
    type Target = Probe;

    fn deref(&self) -> &Probe {
        &self.probe
    }
}

impl Run {
    pub(super) fn new(probe: Probe, plan: Plan, parameters: Parameters) -> Self {
        Self { probe, plan, parameters, shared: Mutex::default() }
    }

    /// Its probe, when the run is over.
    pub(super) fn into_probe(self) -> Probe {
        self.probe
    }

    /// An id that nobody has.
    pub(super) fn fresh_id(&self) -> String {
        Uuid::new_v4().to_string()
    }

    /// The context of an order for an instance.
    pub(super) fn context(&self) -> Object {
        self.options.context.clone().unwrap_or_else(|| basic_context(&self.options))
    }

    /// The context of a bind, which has no name of the instance.
    pub(super) fn binding_context(&self) -> Object {
        let mut context = self.context();
        context.remove("instance_name");
        context.remove("instance_annotations");
        context
    }

    /// A right order.
    pub(super) fn provision_body(&self) -> Value {
        let mut body = json!({
            "service_id": self.plan.service_id,
            "plan_id": self.plan.plan_id,
            "organization_guid": self.options.organization_guid,
            "space_guid": self.options.space_guid,
            "context": self.context(),
        });
        self.with_parameters(&mut body, self.parameters.create.as_ref());
        body
    }

    /// A right bind.
    pub(super) fn bind_body(&self) -> Value {
        let app = Uuid::new_v4().to_string();
        let mut resource = Map::from_iter([("app_guid".to_owned(), json!(app))]);
        if self.plan.requires("route_forwarding") {
            resource.insert("route".to_owned(), json!("conformance.example.com"));
        }
        let mut body = json!({
            "service_id": self.plan.service_id,
            "plan_id": self.plan.plan_id,
            "context": self.binding_context(),
            "app_guid": app,
            "bind_resource": resource,
        });
        self.with_parameters(&mut body, self.parameters.bind.as_ref());
        body
    }

    /// An update that names what is to be changed and changes nothing yet.
    pub(super) fn update_body(&self) -> Value {
        json!({
            "service_id": self.plan.service_id,
            "context": self.context(),
            "previous_values": {
                "service_id": self.plan.service_id,
                "plan_id": self.plan.plan_id,
                "organization_id": self.options.organization_guid,
                "space_id": self.options.space_guid,
            },
        })
    }

    fn with_parameters(&self, body: &mut Value, parameters: Option<&Object>) {
        if let Some(parameters) = parameters.filter(|parameters| !parameters.is_empty()) {
            body["parameters"] = Value::Object(parameters.clone());
        }
    }

    /// A right request for that endpoint, about those ids, from somebody who can poll.
    pub(super) fn request(&self, endpoint: Endpoint, instance: &str, binding: &str) -> Request {
        let request = Request::new(endpoint, instance, binding)
            .header("X-Broker-API-Originating-Identity", "cloudfoundry eyJ1c2VyX2lkIjoiY29uZm9ybWFuY2UifQ==");
        let named =
            |request: Request| request.query("service_id", &self.plan.service_id).query("plan_id", &self.plan.plan_id);
        match endpoint {
            Endpoint::Catalog | Endpoint::Elsewhere => request,
            Endpoint::FetchInstance
            | Endpoint::FetchBinding
            | Endpoint::InstanceOperation
            | Endpoint::BindingOperation => named(request),
            Endpoint::Deprovision | Endpoint::Unbind => named(request).polls(),
            Endpoint::Provision => request.polls().json(&self.provision_body()),
            Endpoint::Update => request.polls().json(&self.update_body()),
            Endpoint::Bind => request.polls().json(&self.bind_body()),
        }
    }

    /// The instance that cases share. They leave it as it is, or give it up.
    pub(super) async fn shared_instance(&self) -> Result<Instance, Stop> {
        let mut shared = self.shared.lock().await;
        if let Some(instance) = &shared.instance {
            return Ok(instance.clone());
        }
        if let Some(stop) = &shared.no_instance {
            return Err(stop.clone());
        }
        match self.provision(&self.fresh_id(), self.provision_body()).await {
            Ok(instance) => Ok(shared.instance.insert(instance).clone()),
            Err(stop) => Err(shared.no_instance.insert(stop).clone()),
        }
    }

    /// An instance of a case's own, tried only where the shared one could be made.
    pub(super) async fn own_instance(&self) -> Result<Instance, Stop> {
        self.shared_instance().await?;
        self.provision(&self.fresh_id(), self.provision_body()).await
    }

    /// The binding that cases share, of the instance that they share.
    pub(super) async fn shared_binding(&self) -> Result<Binding, Stop> {
        let instance = self.shared_instance().await?;
        let mut shared = self.shared.lock().await;
        if let Some(binding) = &shared.binding {
            return Ok(binding.clone());
        }
        if let Some(stop) = &shared.no_binding {
            return Err(stop.clone());
        }
        match self.bind(&instance.id, &self.fresh_id(), self.bind_body()).await {
            Ok(binding) => Ok(shared.binding.insert(binding).clone()),
            Err(stop) => Err(shared.no_binding.insert(stop).clone()),
        }
    }

    /// A binding of a case's own, on the instance that cases share.
    pub(super) async fn own_binding(&self) -> Result<Binding, Stop> {
        let instance = self.shared_binding().await?.instance;
        self.bind(&instance, &self.fresh_id(), self.bind_body()).await
    }

    /// Nobody may count on the shared instance any more.
    pub(super) async fn give_up_instance(&self) {
        let mut shared = self.shared.lock().await;
        shared.instance = None;
        shared.binding = None;
    }

    /// Nobody may count on the shared binding any more.
    pub(super) async fn give_up_binding(&self) {
        self.shared.lock().await.binding = None;
    }
}
