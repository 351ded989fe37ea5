//! A service as a service broker: what OSB asks of all brokers, done once.
//!
//! This file is the way in, and what the orders have in common; the orders themselves are in `instances` and `bindings`. Each
//! order runs in a task of its own under its instance's lock, so that a client that goes away leaves nothing half done.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::clock::Clock;
use super::db::{Db, is_busy};
use super::locks::Locks;
use super::rows::{RowError, Rows};
use super::seal::Sealer;
use super::service::{Fault, Refusal, Service};
use super::stamped::Tenant;
use crate::catalog::{Severity, validate};
use crate::{
    BindRequest, BindingOperationRequest, Bound, Call, Catalog, CatalogDocument, DeprovisionRequest, Deprovisioned,
    Error, FetchBindingRequest, FetchBindingResponse, FetchInstanceRequest, FetchInstanceResponse,
    InstanceOperationRequest, LastOperation, Maybe, ProvisionRequest, Provisioned, ServiceBroker, ServiceOffering,
    ServicePlan, UnbindRequest, Unbound, UpdateRequest, Updated,
};

/// How many orders run at once; more wait.
const ORDERS_MAX: usize = 256;
/// How long an order waits for its turn.
const TURN_WAIT: Duration = Duration::from_secs(10);

/// What a broker works with.
#[derive(Debug)]
pub struct Setup {
    /// The broker's name at the hub: usage is reported under it.
    pub name: String,
    /// Its file.
    pub db: Db,
    /// Seals what may hold secrets.
    pub sealer: Sealer,
    /// The time.
    pub clock: Clock,
    /// How often meters are read.
    pub measure_every: Duration,
}

/// Why a service can't be offered.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The catalog is no JSON of the right shape.
    #[error("the catalog can't be read")]
    Catalog(#[from] serde_json::Error),
    /// OSB doesn't allow what the catalog says.
    #[error("the catalog is not valid: {0}")]
    Invalid(String),
}

/// A service behind OSB. Cheap to clone.
pub struct Broker<S> {
    pub(super) core: Arc<Core<S>>,
}

impl<S> std::fmt::Debug for Broker<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("name", &self.core.name).finish_non_exhaustive()
    }
}

impl<S> Clone for Broker<S> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core) }
    }
}

pub(super) struct Core<S> {
    pub(super) service: Arc<S>,
    pub(super) name: String,
    pub(super) db: Db,
    pub(super) rows: Rows,
    pub(super) clock: Clock,
    pub(super) measure_every: Duration,
    offerings: Vec<ServiceOffering>,
    locks: Locks,
    turns: Arc<Semaphore>,
}

impl<S: Service> Broker<S> {
    /// Offers a service.
    ///
    /// # Errors
    /// Where its catalog is not one.
    pub fn new(service: Arc<S>, setup: Setup) -> Result<Self, SetupError> {
        let catalog: Catalog = serde_json::from_str(service.catalog())?;
        let wrong = validate(&catalog).into_iter().find(|finding| finding.severity == Severity::Error);
        if let Some(finding) = wrong {
            return Err(SetupError::Invalid(format!("{} {}", finding.pointer, finding.message)));
        }
        let offerings = catalog.offerings().collect::<Result<_, _>>()?;
        let Setup { name, db, sealer, clock, measure_every } = setup;
        let rows = Rows { sealer };
        let turns = Arc::new(Semaphore::new(ORDERS_MAX));
        let core = Core { service, name, db, rows, clock, measure_every, offerings, locks: Locks::default(), turns };
        Ok(Self { core: Arc::new(core) })
    }

    /// The service behind it.
    pub fn service(&self) -> &Arc<S> {
        &self.core.service
    }

    /// Closes the file, at the end of the program: then nothing lies beside it.
    pub async fn close(&self) {
        self.core.db.close().await;
    }

    /// Runs an order on an instance to its end, whoever goes away meanwhile.
    async fn run<T, F>(
        &self,
        instance: &str,
        order: impl FnOnce(Arc<Core<S>>) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send,
    {
        let (core, instance) = (Arc::clone(&self.core), instance.to_owned());
        let waiting = tokio::time::timeout(TURN_WAIT, Arc::clone(&core.turns).acquire_owned());
        let Ok(Ok(turn)) = waiting.await else {
            return Err(Error::unavailable("too many orders are waiting", 1));
        };
        let task = tokio::spawn(async move {
            let _turn = turn;
            let busy = || Error::concurrency("another order for this service instance is under way");
            let _held = core.locks.lock(&instance).await.ok_or_else(busy)?;
            order(Arc::clone(&core)).await
        });
        task.await.unwrap_or_else(|_| Err(Error::internal("the service broker failed unexpectedly")))
    }
}

impl<S: Service> Core<S> {
    /// The plan of the catalog that these ids name.
    pub(super) fn plan(&self, service_id: &str, plan_id: &str) -> Result<(&ServiceOffering, &ServicePlan), Error> {
        let offering = self.offerings.iter().find(|offering| offering.id == service_id);
        let found = offering.and_then(|offering| Some((offering, offering.plan(plan_id)?)));
        found.ok_or_else(|| Error::bad_request("service_id and plan_id must be those of a plan of the catalog"))
    }

    pub(super) async fn lock(&self, instance: &str) -> Option<tokio::sync::OwnedMutexGuard<()>> {
        self.locks.lock(instance).await
    }
}

/// `maintenance_info` of a request, where there is one, must be that of the plan ("MaintenanceInfoConflict").
pub(super) fn check_maintenance(
    plan: &ServicePlan,
    asked: &Maybe<crate::catalog::MaintenanceInfo>,
) -> Result<(), Error> {
    let asked = asked.as_option().and_then(|info| info.version.as_option().map(String::as_str));
    match (asked, plan.maintenance_version()) {
        (Some(asked), Some(offered)) if asked == offered => Ok(()),
        (None, _) => Ok(()),
        (Some(_), None) => Err(Error::maintenance_info_conflict("this plan has no maintenance_info: send none")),
        (Some(_), Some(offered)) => {
            Err(Error::maintenance_info_conflict(format!("the maintenance_info version of this plan is {offered}")))
        }
    }
}

/// A call that a stamp says is for another tenant has no business here.
pub(super) fn check_tenant(owner: Option<&Tenant>, caller: Option<&Tenant>) -> Result<(), Error> {
    match (owner, caller) {
        (Some(owner), Some(caller)) if owner.id != caller.id => {
            Err(Error::bad_request("this service instance belongs to another tenant"))
        }
        _ => Ok(()),
    }
}

/// The ids that each call about something that is there must repeat.
pub(super) fn check_ids(instance: &super::Instance, service_id: &str, plan_id: &str) -> Result<(), Error> {
    if instance.service_id == service_id && instance.plan_id == plan_id {
        Ok(())
    } else {
        Err(Error::bad_request("service_id and plan_id are required and must be those of the service instance"))
    }
}

/// What a fault of the service means on the wire.
pub(super) fn answer(fault: Fault, updating: bool) -> Error {
    match fault {
        Fault::Refused(refusal) => refused(refusal, updating),
        Fault::Unavailable { what, source } => {
            tracing::warn!(what, error = ?source, "a service can't be reached");
            Error::unavailable(what, 5)
        }
        Fault::Failed(error) => {
            tracing::error!(error = ?error, "a service failed");
            Error::internal("the service failed; the order may be sent again")
        }
    }
}

/// What a refusal means on the wire.
pub(super) fn refused(refusal: Refusal, updating: bool) -> Error {
    match refusal {
        Refusal::Unchangeable(sentence) if updating => {
            let mut error = Error::unprocessable("Unchangeable", sentence);
            error.body.update_repeatable = Maybe::Present(false);
            error
        }
        Refusal::Invalid(sentence) | Refusal::Unchangeable(sentence) => Error::bad_request(sentence),
    }
}

impl From<RowError> for Error {
    fn from(error: RowError) -> Self {
        match &error {
            RowError::Database(inner) if is_busy(inner) => Self::unavailable("too many orders are waiting", 1),
            _ => {
                tracing::error!(error = ?error, "the store of a service broker failed");
                Self::internal("the store of this service broker failed; nothing was changed")
            }
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        RowError::from(error).into()
    }
}

#[async_trait]
impl<S: Service> ServiceBroker for Broker<S> {
    async fn catalog(&self, _call: &Call) -> Result<CatalogDocument, Error> {
        Ok(CatalogDocument { json: self.core.service.catalog().into(), etag: None })
    }

    async fn provision(&self, _call: &Call, request: ProvisionRequest) -> Result<Provisioned, Error> {
        self.run(&request.instance_id.clone(), async move |core| core.provision(&request).await).await
    }

    async fn fetch_instance(
        &self,
        _call: &Call,
        request: FetchInstanceRequest,
    ) -> Result<FetchInstanceResponse, Error> {
        self.core.fetch_instance(&request.instance_id).await
    }

    async fn instance_operation(
        &self,
        _call: &Call,
        request: InstanceOperationRequest,
    ) -> Result<LastOperation, Error> {
        self.core.instance_operation(&request.instance_id).await
    }

    async fn update(&self, _call: &Call, request: UpdateRequest) -> Result<Updated, Error> {
        self.run(&request.instance_id.clone(), async move |core| core.update(&request).await).await
    }

    async fn deprovision(&self, _call: &Call, request: DeprovisionRequest) -> Result<Deprovisioned, Error> {
        self.run(&request.instance_id.clone(), async move |core| core.deprovision(&request).await).await
    }

    async fn bind(&self, call: &Call, request: BindRequest) -> Result<Bound, Error> {
        let user = super::bindings::user_of(call);
        self.run(&request.instance_id.clone(), async move |core| core.bind(&request, user).await).await
    }

    async fn fetch_binding(&self, _call: &Call, request: FetchBindingRequest) -> Result<FetchBindingResponse, Error> {
        self.core.fetch_binding(&request).await
    }

    async fn binding_operation(&self, _call: &Call, request: BindingOperationRequest) -> Result<LastOperation, Error> {
        self.core.binding_operation(&request).await
    }

    async fn unbind(&self, _call: &Call, request: UnbindRequest) -> Result<Unbound, Error> {
        self.run(&request.instance_id.clone(), async move |core| core.unbind(&request).await).await
    }
}
