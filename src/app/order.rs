//! What all orders share, whether a platform or a person sends them: who orders, what is looked up, and how the intent is
//! made durable before the backend hears of it.

use std::sync::Arc;
use std::time::Duration;

use super::drive::{Around, Names, Ordered};
use super::sealed::{self, StoredRequest};
use super::upstream::Upstream;
use super::{App, Error, people};
use crate::clock::{Time, fresh_id};
use crate::domain::catalog::PlanEntry;
use crate::domain::operation::{OperationKind, OperationState, Phase, Told};
use crate::domain::platform::Platform;
use crate::domain::tenant::Tenant;
use crate::store::bindings::{self, BindingRow};
use crate::store::instances::{self, InstanceRow};
use crate::store::operations::OperationRow;

/// Who orders, and what came with the order besides its body.
#[derive(Clone, Debug)]
pub struct Orderer {
    /// The platform that the ids belong to.
    pub platform: Platform,
    /// Where only one broker's part of the catalog is meant: its name.
    pub broker: Option<String>,
    /// Where a person orders by name: for this tenant. A platform's tenant follows from its identities.
    pub tenant: Option<Tenant>,
    /// Where a hub in front of this one orders: what its stamp says.
    pub upstream: Option<Upstream>,
    /// Who it is, for operations and audit rows.
    pub actor: String,
}

impl Orderer {
    /// The hubs that an order came through before this one.
    pub(in crate::app) fn via(&self) -> Vec<String> {
        self.upstream.as_ref().map(|upstream| upstream.via.clone()).unwrap_or_default()
    }
}

/// What a platform's ids mean.
#[derive(Clone, Debug)]
pub(in crate::app) struct Meant {
    pub(in crate::app) instance: InstanceRow,
    /// Where a binding was asked for, and there is one.
    pub(in crate::app) binding: Option<BindingRow>,
    pub(in crate::app) tenant: Tenant,
    /// The count of changes of the rules of approval.
    pub(in crate::app) rules: i64,
}

/// An order's first transaction, written.
#[derive(Clone, Debug)]
pub(in crate::app) struct Intended {
    pub(in crate::app) operation: OperationRow,
    /// The rows that it wrote; absent where the database did not say whether it had, and only the operation was looked for.
    pub(in crate::app) rows: Option<(InstanceRow, Option<BindingRow>)>,
}

impl From<OperationRow> for Intended {
    fn from(operation: OperationRow) -> Self {
        Self { operation, rows: None }
    }
}

impl Intended {
    /// For the driver.
    pub(in crate::app) fn ordered(self, tenant: Tenant, platform: Platform) -> Ordered {
        let around = |(instance, binding)| Box::new(Around { instance, binding, tenant, platform });
        Ordered { operation: self.operation, around: self.rows.map(around) }
    }
}

/// The request identity of a call, made where it brought none.
pub(in crate::app) fn request_identity(call: &osb::Call) -> String {
    call.request_identity.clone().filter(|given| !given.is_empty()).unwrap_or_else(fresh_id)
}

/// A new operation, leased to whoever inserts it.
pub(in crate::app) struct Intent<'a> {
    pub(in crate::app) kind: OperationKind,
    pub(in crate::app) orderer: &'a Orderer,
    pub(in crate::app) call: &'a osb::Call,
    pub(in crate::app) correlation_id: String,
    pub(in crate::app) plan: &'a PlanEntry,
    pub(in crate::app) instance_id: String,
    pub(in crate::app) binding_id: Option<String>,
    pub(in crate::app) accepts_incomplete: bool,
    pub(in crate::app) request: osb::WireRequest,
    pub(in crate::app) now: Time,
}

impl App {
    /// The row of an intent, with its request sealed.
    pub(in crate::app) fn operation_for(&self, intent: Intent<'_>) -> Result<OperationRow, Error> {
        let id = fresh_id();
        let identity = intent.call.originating_identity.as_ref().map(|identity| identity.0.clone());
        let via = intent.orderer.via();
        let stored = StoredRequest::new(&intent.request, identity, intent.correlation_id.clone(), via);
        let longest = intent.plan.maximum_polling.unwrap_or(self.config().operations.maximum_polling_duration);
        Ok(OperationRow {
            kind: intent.kind,
            state: OperationState::InProgress,
            phase: Phase::Calling,
            instance_id: intent.instance_id,
            binding_id: intent.binding_id,
            broker_id: intent.plan.broker_id.clone(),
            accepts_incomplete: intent.accepts_incomplete,
            told: Told::Nothing,
            maybe_sent: false,
            request: self.seal(&sealed::operation_request(&id), &stored)?,
            target: None,
            backend_operation: None,
            attempts: 0,
            final_not_before: None,
            give_up_at: intent.now.plus(longest.max(Duration::from_secs(1))),
            next_at: intent.now,
            lease_token: Some(fresh_id()),
            answer: None,
            description: None,
            warnings: None,
            correlation_id: intent.correlation_id,
            traceparent: intent.call.traceparent.clone(),
            actor: intent.orderer.actor.clone(),
            created_at: intent.now,
            finished_at: None,
            id,
        })
    }

    /// The plan of an instance, also where it has left the catalog. One that this process does not know is another process's
    /// news: then the catalog is read before anything is said.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where even then it is not there.
    pub(in crate::app) async fn plan_of(&self, instance: &InstanceRow) -> Result<Arc<PlanEntry>, Error> {
        if let Some(plan) = self.catalog().plan_by_id(&instance.plan_id) {
            return Ok(Arc::clone(plan));
        }
        self.reload_catalog().await?;
        let catalog = self.catalog();
        let missing = || Error::Unavailable(format!("plan `{}` is not in this process's catalog", instance.plan_id));
        catalog.plan_by_id(&instance.plan_id).cloned().ok_or_else(missing)
    }

    /// The plan that an order names, as this orderer may see it; where this process does not know it, the catalog is read
    /// again, since whoever orders may have seen another process's.
    ///
    /// # Errors
    /// 400: an unknown or withdrawn offering or plan is a malformed order.
    pub(in crate::app) async fn orderable_plan(
        &self,
        orderer: &Orderer,
        offering_id: &str,
        plan_id: &str,
    ) -> Result<Arc<PlanEntry>, Error> {
        if self.catalog().plan(offering_id, plan_id).is_none() {
            self.reload_catalog().await?;
        }
        self.plan_in_catalog(orderer, offering_id, plan_id)
    }

    fn plan_in_catalog(&self, orderer: &Orderer, offering_id: &str, plan_id: &str) -> Result<Arc<PlanEntry>, Error> {
        let catalog = self.catalog();
        let plan = catalog.plan(offering_id, plan_id).filter(|plan| visible(orderer, plan));
        match plan {
            Some(plan) if plan.orderable => Ok(Arc::clone(plan)),
            Some(plan) => Err(osb::Error::bad_request(format!(
                "service plan {} of {} cannot be ordered any more; choose one from the catalog",
                plan.plan_name, plan.offering_name
            ))
            .into()),
            None => Err(osb::Error::bad_request(
                "service_id and plan_id do not name a service plan of the catalog; fetch the catalog again",
            )
            .into()),
        }
    }

    /// What a platform's instance id means now.
    pub(in crate::app) async fn current_instance(
        &self,
        orderer: &Orderer,
        id: &str,
    ) -> Result<Option<InstanceRow>, Error> {
        let (platform_id, id) = (orderer.platform.id.clone(), id.to_owned());
        let row = self
            .db()
            .read(move |tx| Box::pin(async move { Ok::<_, Error>(instances::current(tx, &platform_id, &id).await?) }))
            .await?;
        match row {
            Some(row) if self.shown_to(orderer, &row).await? => Ok(Some(row)),
            _ => Ok(None),
        }
    }

    /// What a platform's ids mean now, with the tenant: all that an order on what stands has to know, read at once.
    pub(in crate::app) async fn meant(
        &self,
        orderer: &Orderer,
        id: &str,
        binding_id: Option<&str>,
    ) -> Result<Option<Meant>, Error> {
        let (platform_id, id) = (orderer.platform.id.clone(), id.to_owned());
        let binding_id = binding_id.map(str::to_owned);
        let read = self.db().read::<_, Error, _>(move |tx| {
            Box::pin(async move {
                let found = instances::current_and_owner(tx, &platform_id, &id).await?;
                let Some((instance, tenant, rules)) = found else { return Ok(None) };
                let binding = match binding_id {
                    Some(id) => bindings::current(tx, &instance.id, &id).await?,
                    None => None,
                };
                Ok(Some(Meant { instance, binding, tenant, rules }))
            })
        });
        match read.await? {
            Some(meant) if self.shown_to(orderer, &meant.instance).await? => Ok(Some(meant)),
            _ => Ok(None),
        }
    }

    /// Whether an instance exists for this orderer: behind one broker's endpoint only that broker's instances do.
    pub(in crate::app) async fn shown_to(&self, orderer: &Orderer, row: &InstanceRow) -> Result<bool, Error> {
        Ok(match &orderer.broker {
            Some(broker) => self.plan_of(row).await?.broker_name == *broker,
            None => true,
        })
    }

    /// What a platform's binding id means now within an instance.
    pub(in crate::app) async fn current_binding(
        &self,
        instance: &InstanceRow,
        id: &str,
    ) -> Result<Option<BindingRow>, Error> {
        let (instance_id, id) = (instance.id.clone(), id.to_owned());
        self.db()
            .read(move |tx| Box::pin(async move { Ok::<_, Error>(bindings::current(tx, &instance_id, &id).await?) }))
            .await
    }

    /// Checks that ids given with a request are those of the instance.
    ///
    /// # Errors
    /// 400 where one is not.
    pub(in crate::app) fn ids_match(
        &self,
        instance: &InstanceRow,
        service_id: &str,
        plan_id: &str,
    ) -> Result<(), Error> {
        if service_id != instance.offering_id {
            return Err(osb::Error::bad_request("service_id is not that of the service instance").into());
        }
        if plan_id != instance.plan_id {
            return Err(osb::Error::bad_request("plan_id is not that of the service instance").into());
        }
        Ok(())
    }

    /// Names for the events of a plan's instance.
    pub(in crate::app) fn names(&self, plan: &PlanEntry) -> Names {
        Names::new(self, plan)
    }
}

fn visible(orderer: &Orderer, plan: &PlanEntry) -> bool {
    orderer.broker.as_ref().is_none_or(|broker| plan.broker_name == *broker)
}

/// Checks that a tenant may order, change and bind.
///
/// # Errors
/// [`Error::Refused`] with the reason for which it is suspended.
pub(in crate::app) fn active(tenant: &Tenant) -> Result<(), Error> {
    match tenant.refuses() {
        Some(message) => Err(Error::Refused { code: "tenant_suspended", message }),
        None => Ok(()),
    }
}

/// Refuses parameters that operators don't allow: whoever orders by names is told by where in the body.
///
/// # Errors
/// Always: 400 with all findings in one sentence, or [`Error::Invalid`].
pub(in crate::app) fn refuse<T>(orderer: &Orderer, problems: Vec<(String, String)>) -> Result<T, Error> {
    if orderer.tenant.is_some() {
        people::fits(problems)?;
        return Err(Error::invalid("/parameters", "can't be used"));
    }
    Err(not_allowed(problems))
}

/// What is not allowed, in one sentence.
pub(in crate::app) fn not_allowed(problems: Vec<(String, String)>) -> Error {
    let listed: Vec<_> =
        problems.into_iter().take(10).map(|(pointer, message)| format!("{pointer} {message}")).collect();
    osb::Error::bad_request(format!("parameters are not allowed so: {}", listed.join("; "))).into()
}

/// Refuses parameters that don't fit their schema: whoever orders by names is told by where in the body.
///
/// # Errors
/// Where there is a finding.
pub(in crate::app) fn check_fit(orderer: &Orderer, problems: Vec<(String, String)>) -> Result<(), Error> {
    if orderer.tenant.is_some() { people::fits(problems) } else { check_parameters(problems) }
}

/// Turns findings of a parameter schema into one sentence.
///
/// # Errors
/// 400 where there is a finding.
pub(in crate::app) fn check_parameters(problems: Vec<(String, String)>) -> Result<(), Error> {
    if problems.is_empty() {
        return Ok(());
    }
    let listed: Vec<_> = problems
        .into_iter()
        .take(10)
        .map(|(pointer, message)| if pointer.is_empty() { message } else { format!("{pointer}: {message}") })
        .collect();
    Err(osb::Error::bad_request(format!("parameters do not fit the plan's schema: {}", listed.join("; "))).into())
}

/// Checks the version of a plan that a request was made for (PRV-06, UPD-09).
///
/// # Errors
/// 422 `MaintenanceInfoConflict`.
pub(in crate::app) fn check_maintenance(
    given: &osb::Maybe<osb::catalog::MaintenanceInfo>,
    plan: &PlanEntry,
) -> Result<(), Error> {
    let Some(version) = given.as_option().and_then(|info| info.version.as_option()) else { return Ok(()) };
    match plan.plan.maintenance_version() {
        Some(current) if current == version => Ok(()),
        Some(current) => Err(osb::Error::maintenance_info_conflict(format!(
            "maintenance_info.version is {version}, but the catalog has {current}; fetch the catalog again"
        ))
        .into()),
        None => Err(osb::Error::maintenance_info_conflict(
            "maintenance_info.version is given, but the service plan has none; fetch the catalog again",
        )
        .into()),
    }
}

/// A context without anything that only the hub may say.
pub(in crate::app) fn without_spoofs(context: Option<osb::Object>) -> Option<osb::Object> {
    context.map(|mut context| {
        context.shift_remove("bourse");
        context
    })
}
