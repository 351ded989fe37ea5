//! A correct broker that keeps everything in memory and has every feature of OSB 2.17: what a checker must not blame, and what the
//! broken brokers of [`crate::broken`] are made of, one fault each.
//!
//! It is built on `osb::ServiceBroker` and `osb::server`, as any broker would be. An operation makes one step with each poll and
//! nothing moves otherwise: no test depends on time. Between server and network stands [`wire`], where a fault may change what
//! goes in and what comes out; [`Quirk`]s are faults that only the broker itself can have.

mod bind;
mod deprovision;
mod fetch;
mod life;
mod offerings;
mod poll;
mod provision;
mod quirk;
mod schema;
mod state;
mod unbind;
mod update;
pub(crate) mod wire;

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use osb::*;

pub(crate) use offerings::{ARCHIVE, DRAIN, LARGE, OFFERING_DRAIN, OFFERING_STORE, PATIENT, PLANS, SMALL};
pub(crate) use quirk::Quirk;
pub(crate) use state::Kind;
use state::State;

/// Who may call.
pub(crate) const USERNAME: &str = "exemplar";
/// A password as awkward as passwords are.
pub(crate) const PASSWORD: &str = "pass:wörd";

/// The broker: its state behind a lock.
pub(crate) struct Exemplar {
    state: Mutex<State>,
}

impl Exemplar {
    /// A broker without a fault, or with that one.
    pub(crate) fn new(quirk: Option<Quirk>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State::new(quirk)) })
    }

    /// How many instances there are, bindings of theirs included.
    pub(crate) fn left(&self) -> usize {
        self.lock().left()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

#[async_trait]
impl ServiceBroker for Exemplar {
    async fn catalog(&self, _call: &Call) -> Result<CatalogDocument, Error> {
        Ok(self.lock().catalog_document())
    }

    async fn provision(&self, _call: &Call, request: ProvisionRequest) -> Result<Provisioned, Error> {
        self.lock().provision(&request)
    }

    async fn fetch_instance(&self, _: &Call, request: FetchInstanceRequest) -> Result<FetchInstanceResponse, Error> {
        self.lock().fetch_instance(&request)
    }

    async fn instance_operation(&self, _: &Call, request: InstanceOperationRequest) -> Result<LastOperation, Error> {
        self.lock().instance_operation(&request)
    }

    async fn update(&self, _call: &Call, request: UpdateRequest) -> Result<Updated, Error> {
        self.lock().update(&request)
    }

    async fn deprovision(&self, _call: &Call, request: DeprovisionRequest) -> Result<Deprovisioned, Error> {
        self.lock().deprovision(&request)
    }

    async fn bind(&self, _call: &Call, request: BindRequest) -> Result<Bound, Error> {
        self.lock().bind(&request)
    }

    async fn fetch_binding(&self, _: &Call, request: FetchBindingRequest) -> Result<FetchBindingResponse, Error> {
        self.lock().fetch_binding(&request)
    }

    async fn binding_operation(&self, _: &Call, request: BindingOperationRequest) -> Result<LastOperation, Error> {
        self.lock().binding_operation(&request)
    }

    async fn unbind(&self, _call: &Call, request: UnbindRequest) -> Result<Unbound, Error> {
        self.lock().unbind(&request)
    }
}
