//! The hub as a service broker: what one platform sees of it. A broker of brokers is a broker, so this is the same trait that
//! a reference broker implements.

use async_trait::async_trait;
use osb::{
    BindRequest, BindingOperationRequest, Bound, Call, CatalogDocument, DeprovisionRequest, Deprovisioned,
    FetchBindingRequest, FetchBindingResponse, FetchInstanceRequest, FetchInstanceResponse, InstanceOperationRequest,
    LastOperation, ProvisionRequest, Provisioned, ServiceBroker, UnbindRequest, Unbound, UpdateRequest, Updated,
};

use super::error::to_osb;
use super::order::Orderer;
use super::{App, Error};

/// The hub, as one platform may use it.
#[derive(Clone, Debug)]
pub struct View {
    app: App,
    orderer: Orderer,
}

impl View {
    /// What this orderer sees of the hub.
    pub fn new(app: App, orderer: Orderer) -> Self {
        Self { app, orderer }
    }
}

#[async_trait]
impl ServiceBroker for View {
    async fn catalog(&self, _call: &Call) -> Result<CatalogDocument, osb::Error> {
        let broker = self.orderer.broker.as_deref();
        let catalog = self.app.catalog();
        if let Some(broker) = broker
            && !catalog.has_broker(broker)
        {
            return Err(osb::Error::not_found(format!("service broker {broker} does not exist")));
        }
        Ok(catalog.document(broker, self.orderer.platform.kind))
    }

    async fn provision(&self, call: &Call, request: ProvisionRequest) -> Result<Provisioned, osb::Error> {
        self.app.provision(&self.orderer, call, request).await.map_err(|error| report(error, call))
    }

    async fn fetch_instance(
        &self,
        call: &Call,
        request: FetchInstanceRequest,
    ) -> Result<FetchInstanceResponse, osb::Error> {
        self.app.fetch_instance(&self.orderer, call, &request).await.map_err(|error| report(error, call))
    }

    async fn instance_operation(
        &self,
        call: &Call,
        request: InstanceOperationRequest,
    ) -> Result<LastOperation, osb::Error> {
        self.app.instance_operation(&self.orderer, &request).await.map_err(|error| report(error, call))
    }

    async fn update(&self, call: &Call, request: UpdateRequest) -> Result<Updated, osb::Error> {
        self.app.update(&self.orderer, call, request).await.map_err(|error| report(error, call))
    }

    async fn deprovision(&self, call: &Call, request: DeprovisionRequest) -> Result<Deprovisioned, osb::Error> {
        self.app.deprovision(&self.orderer, call, request).await.map_err(|error| report(error, call))
    }

    async fn bind(&self, call: &Call, request: BindRequest) -> Result<Bound, osb::Error> {
        self.app.bind(&self.orderer, call, request).await.map_err(|error| report(error, call))
    }

    async fn fetch_binding(
        &self,
        call: &Call,
        request: FetchBindingRequest,
    ) -> Result<FetchBindingResponse, osb::Error> {
        self.app.fetch_binding(&self.orderer, call, &request).await.map_err(|error| report(error, call))
    }

    async fn binding_operation(
        &self,
        call: &Call,
        request: BindingOperationRequest,
    ) -> Result<LastOperation, osb::Error> {
        self.app.binding_operation(&self.orderer, &request).await.map_err(|error| report(error, call))
    }

    async fn unbind(&self, call: &Call, request: UnbindRequest) -> Result<Unbound, osb::Error> {
        self.app.unbind(&self.orderer, call, request).await.map_err(|error| report(error, call))
    }
}

/// What a platform is told; what broke here is logged with its cause, once.
fn report(error: Error, call: &Call) -> osb::Error {
    if let Error::Store(_) | Error::Secret(_) = &error {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(request.id = call.request_identity, %error, cause, "a request could not be carried out");
    }
    to_osb(error)
}
