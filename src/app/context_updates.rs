//! Tells brokers what changed about a tenant: each instance of an offering that takes it (`allow_context_updates`) gets a `PATCH` with the new
//! `context` and nothing else, as an operation of its own kind that the ordinary driver carries out.
//!
//! Nothing of it is the instance's state: platforms see no operation, nobody's order waits for it, and it begins only while nothing else
//! is under way. Invariant: a row is there until an operation that was made after its change has succeeded, or it was given up and says why.

use std::time::Duration;

use osb::{Call, Maybe, UpdateRequest};

use super::error::to_osb;
use super::order::{Intent, Orderer};
use super::sealed;
use super::{App, Error, Listed, Page};
use crate::clock::{Time, fresh_id};
use crate::domain::instance::{InstanceAttributes, InstanceState};
use crate::domain::operation::{OperationKind, OperationState};
use crate::store::context_updates::{self, ContextUpdateRow};
use crate::store::instances::InstanceRow;
use crate::store::leases;
use crate::store::operations::OperationRow;
use crate::store::{instances, operations};

pub use crate::store::context_updates::ContextUpdateRow as ContextUpdateView;

const LEASE: &str = "context_updater";
/// Instances that are looked at in one round, a second: so many calls a second at most.
const ROUND_MAX: i64 = 50;
/// While something else is under way on the instance, or its own operation is.
const WAIT: Duration = Duration::from_secs(2);
/// After a failure; doubled each time.
const AGAIN_FIRST: Duration = Duration::from_secs(5);
const AGAIN_MAX: Duration = Duration::from_secs(600);
/// Failures after which it is given up, until the tenant changes again.
const ATTEMPTS_MAX: i64 = 8;
const ACTOR: &str = "bourse";
const NOT_TAKEN: &str = "the service broker did not take it";

impl App {
    /// The ids of the offerings whose brokers take changes of the context alone, and want to be told of tenants in it.
    pub(in crate::app) fn offerings_that_are_told(&self) -> Vec<String> {
        let catalog = self.catalog();
        let wants = |broker: &str| self.backends().get(broker).is_some_and(|backend| backend.stamp_settings().context);
        let mut ids: Vec<String> = catalog
            .plans()
            .filter(|plan| plan.offering.allow_context_updates.as_option() == Some(&true) && wants(&plan.broker_id))
            .map(|plan| plan.offering_id.clone())
            .collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Instances whose brokers are still to be told.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the tenant does not exist.
    pub async fn context_updates(&self, tenant: Option<&str>, page: &Page) -> Result<Listed<ContextUpdateView>, Error> {
        let tenant_id = match tenant {
            Some(name) => Some(self.tenant_by_name(name).await?.id),
            None => None,
        };
        let (after, rows) = (page.after.clone(), i64::from(page.rows()));
        let read = self
            .db()
            .read(|tx| Box::pin(async move { context_updates::list(tx, &after, tenant_id.as_deref(), rows).await }));
        Ok(page.cut(read.await?, |row| row.instance_id.clone()))
    }

    /// Goes on telling brokers, and says how many instances were looked at. Does nothing where another living process has the lease.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn tell_contexts(&self) -> Result<usize, Error> {
        let now = self.clock().now();
        let due = self.db().read(|tx| Box::pin(async move { context_updates::due(tx, now, ROUND_MAX).await })).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let process = self.process().to_owned();
        let taken = self.db().write::<_, Error, _>(move |tx| {
            let process = process.clone();
            Box::pin(async move { Ok(leases::take(tx, LEASE, &process).await?) })
        });
        if !taken.await? {
            return Ok(0);
        }
        let looked = due.len();
        for row in due {
            if let Err(error) = Box::pin(self.tell_context(row.clone())).await {
                tracing::warn!(instance.id = %row.instance_id, %error, "a broker could not be told of its tenant");
                // Else it came first each time, and a round's worth of its kind would leave no place for others.
                let later = if error.is_busy() || error.is_unknown() {
                    ContextUpdateRow { next_at: Some(now.plus(WAIT)), ..row }
                } else {
                    let said = to_osb(error).description().unwrap_or(NOT_TAKEN).to_owned();
                    failed(row, said, now)
                };
                if let Err(error) = self.save_context(later).await {
                    tracing::warn!(%error, "and that could not be written down");
                }
            }
        }
        Ok(looked)
    }

    async fn tell_context(&self, row: ContextUpdateRow) -> Result<(), Error> {
        let now = self.clock().now();
        if let Some(id) = &row.operation_id {
            let operation = self.operation_row(id).await?;
            match operation.state {
                OperationState::InProgress => {
                    return self.save_context(ContextUpdateRow { next_at: Some(now.plus(WAIT)), ..row }).await;
                }
                // One that was made before the latest change has not told it.
                OperationState::Succeeded if operation.created_at >= row.since => return self.context_told(row).await,
                OperationState::Failed if operation.created_at >= row.since => {
                    let said = operation.description.unwrap_or_else(|| NOT_TAKEN.to_owned());
                    return self.save_context(failed(row, said, now)).await;
                }
                OperationState::Succeeded | OperationState::Failed | OperationState::Cancelled => {}
            }
        }
        let instance = self.instance_row(&row.instance_id).await?;
        let plan = self.plan_of(&instance).await?;
        let takes = plan.offering.allow_context_updates.as_option() == Some(&true);
        if instance.gone_at.is_some() || !takes {
            return self.context_told(row).await;
        }
        if instance.state != InstanceState::Ready {
            return self.save_context(ContextUpdateRow { next_at: Some(now.plus(WAIT)), ..row }).await;
        }
        let operation = self.context_operation(&instance, now).await?;
        let process = self.process().to_owned();
        let begun = self.db().write::<_, Error, _>(move |tx| {
            let (row, operation, process) = (row.clone(), operation.clone(), process.clone());
            Box::pin(async move {
                let locked = instances::lock(tx, &row.instance_id).await?;
                let free = locked.is_some_and(|instance| instance.state == InstanceState::Ready)
                    && operations::unfinished(tx, &row.instance_id).await?.is_none();
                let operation_id = if free { Some(operation.id.clone()) } else { row.operation_id.clone() };
                let next = ContextUpdateRow { operation_id, next_at: Some(now.plus(WAIT)), ..row };
                // Changed once more meanwhile: the bytes are old before they were sent.
                if context_updates::save(tx, &next).await? && free {
                    operations::insert(tx, &operation, &process).await?;
                }
                Ok(())
            })
        });
        begun.await
    }

    /// The operation that tells it, which is nobody's to work on before it is found.
    async fn context_operation(&self, instance: &InstanceRow, now: Time) -> Result<OperationRow, Error> {
        let (plan, tenant) = (self.plan_of(instance).await?, self.tenant(&instance.tenant_id).await?);
        let orderer = Orderer {
            platform: self.platform(&instance.platform_id).await?,
            broker: None,
            tenant: None,
            upstream: None,
            actor: ACTOR.to_owned(),
        };
        let attributes: InstanceAttributes =
            self.open(&sealed::instance_attributes(&instance.id), &instance.attributes)?;
        let (call, correlation_id) = (Call::default(), fresh_id());
        let context = self.stamped_context(
            &orderer,
            &call,
            attributes.context.clone(),
            &tenant,
            &plan,
            &attributes,
            &instance.platform_instance_id,
            &correlation_id,
        )?;
        let sent = UpdateRequest {
            instance_id: instance.id.clone(),
            accepts_incomplete: true,
            service_id: plan.offering_backend_id.clone(),
            context: Maybe::Present(context),
            ..UpdateRequest::default()
        };
        let mut operation = self.operation_for(Intent {
            kind: OperationKind::ContextUpdate,
            orderer: &orderer,
            call: &call,
            correlation_id,
            plan: &plan,
            instance_id: instance.id.clone(),
            binding_id: None,
            accepts_incomplete: true,
            request: osb::WireRequest::from(&sent),
            now,
        })?;
        operation.lease_token = None;
        Ok(operation)
    }

    async fn save_context(&self, row: ContextUpdateRow) -> Result<(), Error> {
        let written = self.db().write::<_, Error, _>(move |tx| {
            let row = row.clone();
            Box::pin(async move { Ok(context_updates::save(tx, &row).await.map(drop)?) })
        });
        written.await
    }

    async fn context_told(&self, row: ContextUpdateRow) -> Result<(), Error> {
        let written = self.db().write::<_, Error, _>(move |tx| {
            let row = row.clone();
            Box::pin(async move { Ok(context_updates::done(tx, &row.instance_id, row.since).await?) })
        });
        written.await
    }
}

fn failed(row: ContextUpdateRow, error: String, now: Time) -> ContextUpdateRow {
    let attempts = row.attempts.saturating_add(1);
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let pause = AGAIN_FIRST.saturating_mul(1 << doublings).min(AGAIN_MAX);
    let next_at = (attempts < ATTEMPTS_MAX).then(|| now.plus(pause));
    ContextUpdateRow { operation_id: None, attempts, error: Some(error), next_at, ..row }
}
