//! The hub as a service broker: what one platform sees of it. A broker of brokers is a broker, so this is the same trait that
//! a reference broker implements.

use std::borrow::Cow;

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

    /// Who calls. Behind the endpoint of a broker that does not exist there is nothing, and what a hub in front of this one
    /// sends must be stamped.
    async fn orderer(&self, call: &Call) -> Result<Cow<'_, Orderer>, Error> {
        let upstream = self.app.upstream(&self.orderer.platform, call).await?;
        if let Some(broker) = &self.orderer.broker
            && !self.app.catalog().has_broker(broker)
        {
            // Another process may have just registered it.
            self.app.reload_catalog().await?;
        }
        match &self.orderer.broker {
            Some(broker) if !self.app.catalog().has_broker(broker) => {
                Err(osb::Error::not_found(format!("service broker {broker} does not exist")).into())
            }
            _ if upstream.is_some() => Ok(Cow::Owned(Orderer { upstream, ..self.orderer.clone() })),
            _ => Ok(Cow::Borrowed(&self.orderer)),
        }
    }
}

#[async_trait]
impl ServiceBroker for View {
    async fn catalog(&self, call: &Call) -> Result<CatalogDocument, osb::Error> {
        let read = async {
            let orderer = self.orderer(call).await?;
            self.app.turn_prices().await?;
            let Orderer { platform, broker, .. } = &*orderer;
            Ok(self.app.catalog().document_for(broker.as_deref(), &platform.id, platform.kind))
        };
        self.measured("catalog", "", call, read).await
    }

    async fn provision(&self, call: &Call, request: ProvisionRequest) -> Result<Provisioned, osb::Error> {
        let broker = self.broker_of(&request.plan_id);
        self.measured(
            "provision",
            &broker,
            call,
            Box::pin(async { self.app.provision(&*self.orderer(call).await?, call, request).await }),
        )
        .await
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
            Box::pin(async { self.app.fetch_instance(&*self.orderer(call).await?, call, &request).await }),
        )
        .await
    }

    async fn instance_operation(
        &self,
        call: &Call,
        request: InstanceOperationRequest,
    ) -> Result<LastOperation, osb::Error> {
        let broker = self.broker_of(request.plan_id.as_deref().unwrap_or_default());
        self.measured(
            "last_operation",
            &broker,
            call,
            Box::pin(async { self.app.instance_operation(&*self.orderer(call).await?, &request).await }),
        )
        .await
    }

    async fn update(&self, call: &Call, request: UpdateRequest) -> Result<Updated, osb::Error> {
        let plan = request.plan_id.as_option().cloned().unwrap_or_default();
        let broker = self.broker_of(&plan);
        self.measured(
            "update",
            &broker,
            call,
            Box::pin(async { self.app.update(&*self.orderer(call).await?, call, request).await }),
        )
        .await
    }

    async fn deprovision(&self, call: &Call, request: DeprovisionRequest) -> Result<Deprovisioned, osb::Error> {
        let broker = self.broker_of(&request.plan_id);
        self.measured(
            "deprovision",
            &broker,
            call,
            Box::pin(async { self.app.deprovision(&*self.orderer(call).await?, call, request).await }),
        )
        .await
    }

    async fn bind(&self, call: &Call, request: BindRequest) -> Result<Bound, osb::Error> {
        let plan = request.plan_id.as_option().cloned().unwrap_or_default();
        let broker = self.broker_of(&plan);
        self.measured(
            "bind",
            &broker,
            call,
            Box::pin(async { self.app.bind(&*self.orderer(call).await?, call, request).await }),
        )
        .await
    }

    async fn fetch_binding(
        &self,
        call: &Call,
        request: FetchBindingRequest,
    ) -> Result<FetchBindingResponse, osb::Error> {
        let broker = self.broker_of(request.plan_id.as_deref().unwrap_or_default());
        self.measured(
            "fetch_binding",
            &broker,
            call,
            Box::pin(async { self.app.fetch_binding(&*self.orderer(call).await?, call, &request).await }),
        )
        .await
    }

    async fn binding_operation(
        &self,
        call: &Call,
        request: BindingOperationRequest,
    ) -> Result<LastOperation, osb::Error> {
        let broker = self.broker_of(request.plan_id.as_deref().unwrap_or_default());
        self.measured(
            "last_operation",
            &broker,
            call,
            Box::pin(async { self.app.binding_operation(&*self.orderer(call).await?, &request).await }),
        )
        .await
    }

    async fn unbind(&self, call: &Call, request: UnbindRequest) -> Result<Unbound, osb::Error> {
        let broker = self.broker_of(&request.plan_id);
        self.measured(
            "unbind",
            &broker,
            call,
            Box::pin(async { self.app.unbind(&*self.orderer(call).await?, call, request).await }),
        )
        .await
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
