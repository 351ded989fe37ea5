//! The OSB side: `osb::server` over the hub. Basic credentials of a platform open the door; what lies behind it is the hub as
//! that platform may use it.
//!
//! A call goes on when the client goes away: actix drops the request's future then, but what was ordered is ordered.

use std::sync::Arc;

use async_trait::async_trait;
use osb::server::{Door, Head, Server};
use osb::{
    BindRequest, BindingOperationRequest, Bound, Call, CatalogDocument, DeprovisionRequest, Deprovisioned, Error,
    FetchBindingRequest, FetchBindingResponse, FetchInstanceRequest, FetchInstanceResponse, InstanceOperationRequest,
    LastOperation, ProvisionRequest, Provisioned, ServiceBroker, UnbindRequest, Unbound, UpdateRequest, Updated,
};

use crate::app::view::View;
use crate::app::{self, App, Orderer};
use crate::domain::caller::Caller;

/// The server for `/v2/…` and `/brokers/{broker}/v2/…`.
pub fn server(app: App) -> Server {
    Server::new(PlatformDoor { app }).realm("bourse")
}

/// 429: OSB has no word for it; platforms take it for a refusal that may be repeated.
fn too_many(seconds: u64) -> Error {
    let mut error = Error::with(429, "TooManyRequests", "too many requests: try again later");
    error.retry_after_seconds = Some(seconds);
    error
}

struct PlatformDoor {
    app: App,
}

#[async_trait]
impl Door for PlatformDoor {
    async fn open(&self, head: &Head<'_>) -> Result<Arc<dyn ServiceBroker>, Error> {
        let wrong = || Error::unauthorized("the user name or password of the platform is missing or wrong");
        let (username, password) = head.basic().ok_or_else(wrong)?;
        let broken = |error: app::Error| match error {
            app::Error::Unauthorized => wrong(),
            app::Error::TooMany { seconds } => too_many(seconds),
            _ => Error::unavailable("credentials cannot be checked at the moment", 2),
        };
        let platform = self.app.authenticate_platform(&username, &password).await.map_err(broken)?;
        let caller = Caller::Platform(platform.id.clone());
        self.app.admit(&caller).map_err(broken)?;
        let actor = caller.actor();
        let orderer =
            Orderer { platform, broker: head.param("broker").map(str::to_owned), tenant: None, upstream: None, actor };
        Ok(Arc::new(Detached(Arc::new(View::new(self.app.clone(), orderer)))))
    }
}

/// A broker whose calls run to their end even if whoever called goes away.
struct Detached(Arc<View>);

/// Runs a call in a task of its own.
async fn detached<T: Send + 'static>(
    call: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    match tokio::spawn(call).await {
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::error!(%error, "a request ended in a panic");
            Err(Error::internal("the marketplace could not do it"))
        }
    }
}

#[async_trait]
impl ServiceBroker for Detached {
    async fn catalog(&self, call: &Call) -> Result<CatalogDocument, Error> {
        self.0.catalog(call).await
    }

    async fn provision(&self, call: &Call, request: ProvisionRequest) -> Result<Provisioned, Error> {
        let (view, call) = (Arc::clone(&self.0), call.clone());
        detached(async move { view.provision(&call, request).await }).await
    }

    async fn fetch_instance(&self, call: &Call, request: FetchInstanceRequest) -> Result<FetchInstanceResponse, Error> {
        self.0.fetch_instance(call, request).await
    }

    async fn instance_operation(&self, call: &Call, request: InstanceOperationRequest) -> Result<LastOperation, Error> {
        self.0.instance_operation(call, request).await
    }

    async fn update(&self, call: &Call, request: UpdateRequest) -> Result<Updated, Error> {
        let (view, call) = (Arc::clone(&self.0), call.clone());
        detached(async move { view.update(&call, request).await }).await
    }

    async fn deprovision(&self, call: &Call, request: DeprovisionRequest) -> Result<Deprovisioned, Error> {
        let (view, call) = (Arc::clone(&self.0), call.clone());
        detached(async move { view.deprovision(&call, request).await }).await
    }

    async fn bind(&self, call: &Call, request: BindRequest) -> Result<Bound, Error> {
        let (view, call) = (Arc::clone(&self.0), call.clone());
        detached(async move { view.bind(&call, request).await }).await
    }

    async fn fetch_binding(&self, call: &Call, request: FetchBindingRequest) -> Result<FetchBindingResponse, Error> {
        self.0.fetch_binding(call, request).await
    }

    async fn binding_operation(&self, call: &Call, request: BindingOperationRequest) -> Result<LastOperation, Error> {
        self.0.binding_operation(call, request).await
    }

    async fn unbind(&self, call: &Call, request: UnbindRequest) -> Result<Unbound, Error> {
        let (view, call) = (Arc::clone(&self.0), call.clone());
        detached(async move { view.unbind(&call, request).await }).await
    }
}
