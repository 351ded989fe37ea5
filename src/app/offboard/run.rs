//! One round of taking tenants down: what nothing depends on any more is deleted, as its platform would; what fails is tried again later;
//! and a tenant of which nothing is left is deleted. One process at a time does it.

use std::time::Duration;

use futures_util::StreamExt as _;
use osb::{Call, DeprovisionRequest};
use serde_json::json;
use tokio::time::Instant;

use super::super::deprovision::Why;
use super::super::error::to_osb;
use super::super::order::Orderer;
use super::super::tenants::delete_locked;
use super::super::{App, Error};
use crate::clock::{Time, fresh_id};
use crate::domain::operation::{OperationKind, OperationState};
use crate::store::instances::InstanceRow;
use crate::store::leases::{self, Holder};
use crate::store::offboardings::{self, LeftRow, OffboardingRow, OffboardingState, StepRow};
use crate::store::operations::{self, OperationRow};
use crate::store::tenants;

const LEASE: &str = "offboarder";
/// Tenants that are looked at in one round.
const TENANTS_MAX: i64 = 20;
/// Instances of a tenant that are read at once, and how many of them are deleted at once.
const PAGE: i64 = 200;
const AT_ONCE: usize = 8;
/// Deletions of one tenant that are begun in one round, so that others have their turn.
const BEGUN_MAX: usize = 64;
/// Between two looks at a tenant.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After a deletion that failed; doubled each time.
const AGAIN_FIRST: Duration = Duration::from_secs(2);
const AGAIN_MAX: Duration = Duration::from_secs(600);
/// After one that had to wait for something else.
const BUSY: Duration = Duration::from_secs(2);
/// Characters of an error that are kept.
const ERROR_MAX: usize = 500;

impl App {
    /// Goes on with all tenants that are being taken down, and says how many were looked at. Does nothing where another living process
    /// has the lease.
    ///
    /// # Errors
    /// Where the database fails. What is wrong with one tenant holds up no other.
    pub async fn offboard_due(&self) -> Result<usize, Error> {
        let now = self.clock().now();
        let due = self.db().read(|tx| Box::pin(async move { offboardings::due(tx, now, TENANTS_MAX).await })).await?;
        if due.is_empty() || !self.may_offboard().await? {
            return Ok(0);
        }
        let looked = due.len();
        for row in due {
            if let Err(error) = Box::pin(self.offboard_on(&row)).await {
                tracing::warn!(tenant.name = %row.tenant, %error, "an off-boarding could not go on; trying again later");
                // Else it came first each time, and enough of its kind would leave no place for others.
                if let Err(error) = self.offboard_later(&row, error).await {
                    tracing::warn!(tenant.name = %row.tenant, %error, "and that could not be written down");
                }
            }
        }
        Ok(looked)
    }

    async fn offboard_later(&self, row: &OffboardingRow, error: Error) -> Result<(), Error> {
        let (id, attempts) = (row.id.clone(), row.attempts.saturating_add(1));
        let (at, said) = (self.clock().now().plus(pause(attempts)), shortened(&said(error)));
        let written = self.db().write::<_, Error, _>(move |tx| {
            let (id, said) = (id.clone(), said.clone());
            Box::pin(async move { Ok(offboardings::later(tx, &id, at, attempts, Some(&said)).await?) })
        });
        written.await
    }

    async fn may_offboard(&self) -> Result<bool, Error> {
        let process = self.process().to_owned();
        let read = self.db().read(|tx| Box::pin(async move { leases::holder(tx, LEASE, &process).await })).await?;
        if read == Holder::Other {
            return Ok(false);
        }
        let process = self.process().to_owned();
        let written = self.db().write::<_, Error, _>(move |tx| {
            let process = process.clone();
            Box::pin(async move { Ok(leases::take(tx, LEASE, &process).await?) })
        });
        written.await
    }

    async fn offboard_on(&self, row: &OffboardingRow) -> Result<(), Error> {
        let (mut after, mut any, mut begun) = (String::new(), false, 0);
        loop {
            let (tenant_id, id, from) = (row.tenant_id.clone(), row.id.clone(), after.clone());
            let read = self
                .db()
                .read(|tx| Box::pin(async move { offboardings::left(tx, &tenant_id, &id, &from, PAGE).await }));
            let left = read.await?;
            let Some(last) = left.last() else { break };
            after.clone_from(&last.instance.id);
            any = true;
            let now = self.clock().now();
            // What is under way, a deletion that takes its time too, is neither looked at nor counted: it holds up nothing else.
            let ready = left.into_iter().filter(|left| {
                left.dependents == 0
                    && left.under_way.is_none()
                    && left.step.as_ref().is_none_or(|step| step.next_at <= now)
            });
            let ready: Vec<_> = ready.take(BEGUN_MAX.saturating_sub(begun)).collect();
            begun += ready.len();
            let steps = ready.into_iter().map(|left| self.offboard_one(row, left));
            let outcomes: Vec<_> = futures_util::stream::iter(steps).buffer_unordered(AT_ONCE).collect().await;
            outcomes.into_iter().collect::<Result<Vec<()>, Error>>()?;
            if begun >= BEGUN_MAX {
                break;
            }
        }
        if any {
            let (id, at) = (row.id.clone(), self.clock().now().plus(LOOK_EVERY));
            let written = self.db().write::<_, Error, _>(move |tx| {
                let id = id.clone();
                Box::pin(async move { Ok(offboardings::later(tx, &id, at, 0, None).await?) })
            });
            return written.await;
        }
        self.offboard_last(row).await
    }

    /// One step of one instance. What is wrong with one is written down with it, and holds up no other.
    async fn offboard_one(&self, row: &OffboardingRow, left: LeftRow) -> Result<(), Error> {
        let LeftRow { instance, step, .. } = left;
        let step = step.unwrap_or_default();
        let now = self.clock().now();
        let next = match self.offboard_step(row, &instance, step.clone(), now).await {
            Ok(next) => next,
            // A test's failure point is no word of anybody.
            Err(Error::Stopped) => return Err(Error::Stopped),
            Err(error) => {
                tracing::warn!(instance.id = %instance.id, %error, "an instance could not be deleted; trying again later");
                let soon = error.is_busy() || error.is_unknown();
                if soon { StepRow { next_at: now.plus(BUSY), ..step } } else { failed(step, &said(error), now) }
            }
        };
        let (id, instance_id) = (row.id.clone(), instance.id);
        let written = self.db().write::<_, Error, _>(move |tx| {
            let (id, instance_id, next) = (id.clone(), instance_id.clone(), next.clone());
            Box::pin(async move { Ok(offboardings::step(tx, &id, &instance_id, &next).await?) })
        });
        written.await
    }

    /// It is looked at how its deletion went, or a deletion is begun.
    async fn offboard_step(
        &self,
        row: &OffboardingRow,
        instance: &InstanceRow,
        step: StepRow,
        now: Time,
    ) -> Result<StepRow, Error> {
        let latest = self.latest_operation(&instance.id).await?;
        let deletion = latest.filter(|latest| latest.kind == OperationKind::Deprovision);
        match deletion {
            Some(deletion) if deletion.state == OperationState::InProgress => {
                Ok(StepRow { operation_id: Some(deletion.id), next_at: now.plus(LOOK_EVERY), ..step })
            }
            Some(deletion) if step.operation_id.as_deref() == Some(deletion.id.as_str()) => {
                let said = deletion.description.unwrap_or_else(|| "the service broker did not do it".to_owned());
                Ok(failed(step, &said, now))
            }
            _ => self.begin_deletion(row, instance, step, now).await,
        }
    }

    async fn latest_operation(&self, instance_id: &str) -> Result<Option<OperationRow>, Error> {
        let id = instance_id.to_owned();
        Ok(self.db().read(|tx| Box::pin(async move { operations::latest(tx, &id, None).await })).await?)
    }

    /// Deletes an instance as the platform that ordered it would, but for policies, and waits for nothing.
    async fn begin_deletion(
        &self,
        row: &OffboardingRow,
        instance: &InstanceRow,
        step: StepRow,
        now: Time,
    ) -> Result<StepRow, Error> {
        let orderer = Orderer {
            platform: self.platform(&instance.platform_id).await?,
            broker: None,
            tenant: None,
            upstream: None,
            actor: row.requested_by.clone(),
        };
        let request = DeprovisionRequest {
            instance_id: instance.platform_instance_id.clone(),
            service_id: instance.offering_id.clone(),
            plan_id: instance.plan_id.clone(),
            accepts_incomplete: true,
        };
        let call = Call { request_identity: Some(fresh_id()), ..Call::default() };
        match self.deprovision_until(&orderer, &call, request, Why::Offboarding, Instant::now()).await {
            Ok(_) => {
                let operation_id = self.latest_operation(&instance.id).await?.map(|latest| latest.id);
                Ok(StepRow { operation_id, next_at: now.plus(LOOK_EVERY), ..step })
            }
            // That is this hub's own trouble.
            Err(error @ (Error::Store(_) | Error::Stopped | Error::LeaseLost | Error::Secret(_))) => Err(error),
            Err(error) => {
                let answer = to_osb(error);
                let said = answer.description().unwrap_or("the service broker did not do it").to_owned();
                let busy = answer.code() == Some(osb::error::CONCURRENCY_ERROR);
                if busy {
                    return Ok(StepRow { error: Some(shortened(&said)), next_at: now.plus(BUSY), ..step });
                }
                Ok(failed(step, &said, now))
            }
        }
    }

    /// Nothing is left of it: the tenant goes.
    async fn offboard_last(&self, row: &OffboardingRow) -> Result<(), Error> {
        let now = self.clock().now();
        let (subject, detail) = (format!("tenants/{}", row.tenant), json!({ "offboarding": row.id }));
        let audited = self.audit_of(row.requested_by.clone(), "tenant.delete", subject, detail);
        let (job, change, hub) = (row.clone(), fresh_id(), self.config().server.hub.clone());
        let written = self.db().write::<_, Error, _>(move |tx| {
            let (job, audited, change, hub) = (job.clone(), audited.clone(), change.clone(), hub.clone());
            Box::pin(async move {
                let tenant = tenants::lock(tx, &job.tenant).await?.map(|row| row.tenant);
                if let Some(tenant) = tenant.filter(|tenant| tenant.id == job.tenant_id) {
                    // Called off meanwhile: it stays.
                    if !offboardings::finish(tx, &job.id, OffboardingState::Done, now).await? {
                        return Ok(());
                    }
                    return delete_locked(tx, &tenant, audited, &change, &hub, now).await;
                }
                // Somebody deleted it by hand.
                offboardings::finish(tx, &job.id, OffboardingState::Done, now).await?;
                Ok(())
            })
        });
        match written.await {
            Ok(()) => Ok(()),
            Err(error @ Error::Conflict { .. }) => self.offboard_later(row, error).await,
            Err(error) => Err(error),
        }
    }
}

fn failed(step: StepRow, said: &str, now: Time) -> StepRow {
    let attempts = step.attempts.saturating_add(1);
    StepRow { operation_id: None, attempts, error: Some(shortened(said)), next_at: now.plus(pause(attempts)) }
}

/// What is told of this hub's own trouble, too.
fn said(error: Error) -> String {
    to_osb(error).description().unwrap_or("it could not be done now").to_owned()
}

fn shortened(text: &str) -> String {
    text.chars().take(ERROR_MAX).collect()
}

/// How long to wait after so many failures.
fn pause(attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    AGAIN_FIRST.saturating_mul(1 << doublings).min(AGAIN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_ten_minutes() {
        let seconds: Vec<_> = [1, 2, 3, 9, 10, 1000].map(|attempts| pause(attempts).as_secs()).to_vec();
        assert_eq!(seconds, [2, 4, 8, 512, 600, 600]);
    }
}
