//! The hub as a service broker: what one platform sees of it. A broker of brokers is a broker, so this is the same trait that
//! a reference broker implements.

use async_trait::async_trait;
use osb::{
    BindRequest, BindingOperationRequest, Bound, Call, CatalogDocument, DeprovisionRequest, Deprovisioned,
    FetchBindingRequest, FetchBindingResponse, FetchInstanceRequest, FetchInstanceResponse, InstanceOperationRequest,
    LastOperation, ProvisionRequest, Provisioned, ServiceBroker, UnbindRequest, Unbound, UpdateRequest, Updated,
};

use tokio::time::Instant;

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

    /// Behind the endpoint of a broker that does not exist there is nothing.
    fn orderer(&self) -> Result<&Orderer, osb::Error> {
        match &self.orderer.broker {
            Some(broker) if !self.app.catalog().has_broker(broker) => {
                Err(osb::Error::not_found(format!("service broker {broker} does not exist")))
            }
            _ => Ok(&self.orderer),
        }
    }
}

#[async_trait]
impl ServiceBroker for View {
    async fn catalog(&self, _call: &Call) -> Result<CatalogDocument, osb::Error> {
        let started = Instant::now();
        let broker = self.orderer.broker.as_deref();
        let catalog = self.app.catalog();
        if let Some(broker) = broker
            && !catalog.has_broker(broker)
        {
            return Err(osb::Error::not_found(format!("service broker {broker} does not exist")));
        }
        let document = catalog.document(broker, self.orderer.platform.kind);
        self.app.metrics().osb_request("catalog", "", "succeeded", started.elapsed());
        Ok(document)
    }

    async fn provision(&self, call: &Call, request: ProvisionRequest) -> Result<Provisioned, osb::Error> {
        let broker = self.broker_of(&request.plan_id);
        self.measured("provision", &broker, call, Box::pin(self.app.provision(self.orderer()?, call, request))).await
    }

    async fn fetch_instance(
        &self,
        call: &Call,
        request: FetchInstanceRequest,
    ) -> Result<FetchInstanceResponse, osb::Error> {
        let broker = self.broker_of(request.plan_id.as_deref().unwrap_or_default());
        self.measured(
            "fetch_instance",
            &broker,
            call,
            Box::pin(self.app.fetch_instance(self.orderer()?, call, &request)),
        )
        .await
    }

    async fn instance_operation(
        &self,
        call: &Call,
        request: InstanceOperationRequest,
    ) -> Result<LastOperation, osb::Error> {
        let broker = self.broker_of(request.plan_id.as_deref().unwrap_or_default());
        self.measured("last_operation", &broker, call, Box::pin(self.app.instance_operation(self.orderer()?, &request)))
            .await
    }

    async fn update(&self, call: &Call, request: UpdateRequest) -> Result<Updated, osb::Error> {
        let plan = request.plan_id.as_option().cloned().unwrap_or_default();
        let broker = self.broker_of(&plan);
        self.measured("update", &broker, call, Box::pin(self.app.update(self.orderer()?, call, request))).await
    }

    async fn deprovision(&self, call: &Call, request: DeprovisionRequest) -> Result<Deprovisioned, osb::Error> {
        let broker = self.broker_of(&request.plan_id);
        self.measured("deprovision", &broker, call, Box::pin(self.app.deprovision(self.orderer()?, call, request)))
            .await
    }

    async fn bind(&self, call: &Call, request: BindRequest) -> Result<Bound, osb::Error> {
        let plan = request.plan_id.as_option().cloned().unwrap_or_default();
        let broker = self.broker_of(&plan);
        self.measured("bind", &broker, call, Box::pin(self.app.bind(self.orderer()?, call, request))).await
    }

    async fn fetch_binding(
        &self,
        call: &Call,
        request: FetchBindingRequest,
    ) -> Result<FetchBindingResponse, osb::Error> {
        let broker = self.broker_of(request.plan_id.as_deref().unwrap_or_default());
        self.measured("fetch_binding", &broker, call, Box::pin(self.app.fetch_binding(self.orderer()?, call, &request)))
            .await
    }

    async fn binding_operation(
        &self,
        call: &Call,
        request: BindingOperationRequest,
    ) -> Result<LastOperation, osb::Error> {
        let broker = self.broker_of(request.plan_id.as_deref().unwrap_or_default());
        self.measured("last_operation", &broker, call, Box::pin(self.app.binding_operation(self.orderer()?, &request)))
            .await
    }

    async fn unbind(&self, call: &Call, request: UnbindRequest) -> Result<Unbound, osb::Error> {
        let broker = self.broker_of(&request.plan_id);
        self.measured("unbind", &broker, call, Box::pin(self.app.unbind(self.orderer()?, call, request))).await
    }
}

impl View {
    /// The name of the broker whose plan a request names; empty where it names none.
    fn broker_of(&self, plan_id: &str) -> String {
        self.app.catalog().plan_by_id(plan_id).map(|plan| plan.broker_name.clone()).unwrap_or_default()
    }

    /// Carries out a request, counted and timed; what is told of an error is OSB's.
    async fn measured<T>(
        &self,
        operation: &'static str,
        broker: &str,
        call: &Call,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, osb::Error> {
        let started = Instant::now();
        let outcome = work.await.map_err(|error| report(error, call));
        let word = match &outcome {
            Ok(_) => "succeeded",
            Err(error) if error.status < 500 => "refused",
            Err(_) => "failed",
        };
        self.app.metrics().osb_request(operation, broker, word, started.elapsed());
        outcome
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
