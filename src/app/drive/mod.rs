//! Driving an operation: call the backend, see what its answer amounts to, record it. The same function runs for a fresh
//! order, for one that is polled, for one whose outcome is unknown and for what a killed process left behind.
//!
//! A drive takes no input but the leased operation, holds no transaction open while it calls, and writes its result only
//! while the lease holds.

mod ask;
mod call;
mod classify;
#[cfg(test)]
mod model;
mod record;
mod transition;
mod unbind_first;

pub(in crate::app) use call::Origin;
pub(in crate::app) use record::{Ended, Names, Target, event, tell};

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::points::Point;
use super::sealed::{self, StoredRequest};
use super::{App, Error};
use crate::domain::catalog::PlanEntry;
use crate::domain::operation::{Answer, OperationKind, Phase, Situation};
use crate::domain::platform::Platform;
use crate::domain::tenant::Tenant;
use crate::store::bindings::BindingRow;
use crate::store::instances::InstanceRow;
use crate::store::operations::OperationRow;
use crate::store::{bindings, instances, platforms, tenants};

/// A leased operation to work on, with the rows around it where whoever ordered it has them at hand. What is found in the
/// database comes without, and they are read.
#[derive(Debug)]
pub struct Ordered {
    pub(in crate::app) operation: OperationRow,
    pub(in crate::app) around: Option<Box<Around>>,
}

/// The rows around an operation: instance and binding as its first transaction left them.
#[derive(Clone, Debug)]
pub(in crate::app) struct Around {
    pub(in crate::app) instance: InstanceRow,
    pub(in crate::app) binding: Option<BindingRow>,
    pub(in crate::app) tenant: Tenant,
    pub(in crate::app) platform: Platform,
}

impl From<OperationRow> for Ordered {
    fn from(operation: OperationRow) -> Self {
        Self { operation, around: None }
    }
}

/// An operation with all that is needed to work on it.
pub(in crate::app) struct Job {
    pub(in crate::app) operation: OperationRow,
    pub(in crate::app) token: String,
    pub(in crate::app) instance: InstanceRow,
    pub(in crate::app) binding: Option<BindingRow>,
    pub(in crate::app) tenant: Tenant,
    pub(in crate::app) platform: Platform,
    pub(in crate::app) plan: Arc<PlanEntry>,
    pub(in crate::app) request: StoredRequest,
}

/// What a backend's answer amounts to, with what it brought.
#[derive(Debug)]
pub(in crate::app) struct Outcome {
    pub(in crate::app) answer: Answer,
    pub(in crate::app) body: Body,
}

/// What a good answer brought.
#[derive(Debug)]
pub(in crate::app) enum Body {
    /// Nothing that is kept.
    Nothing,
    /// What to remember of an instance: `dashboard_url`, `metadata`, unknown fields.
    Instance(osb::Object),
    /// What a bind gave: credentials and all.
    Binding(Box<osb::BindResponse>),
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self { answer, body: Body::Nothing }
    }
}

impl App {
    /// Works on an operation whose lease this process holds, until it is over or has to wait.
    ///
    /// # Errors
    /// Where nothing could be recorded; the operation is then taken up again.
    pub fn drive(&self, ordered: Ordered) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let id = ordered.operation.id.clone();
            let kind = ordered.operation.kind;
            let job = self.job(ordered).await?;
            self.points().pass(Point::BeforeCall, kind)?;
            let sent_at = self.clock().now();
            let outcome = self.attempt(&job).await?;
            self.points().pass(Point::AfterCall, kind)?;
            let situation = Situation {
                kind,
                phase: job.operation.phase,
                accepts_incomplete: job.operation.accepts_incomplete,
                told: job.operation.told,
                maybe_sent: job.operation.maybe_sent,
                attempts: u32::try_from(job.operation.attempts).unwrap_or(u32::MAX),
                give_up_at: job.operation.give_up_at,
                final_not_before: job.operation.final_not_before,
                sent_at,
                now: self.clock().now(),
            };
            let recorded = self.record_outcome(job, situation, outcome).await;
            match &recorded {
                Ok(Some(ended)) => self.announce_end(Arc::clone(ended)),
                Ok(None) | Err(_) => self.announce(&id),
            }
            recorded?;
            self.points().pass(Point::OutcomeWritten, kind)
        })
    }

    async fn job(&self, ordered: Ordered) -> Result<Job, Error> {
        let Ordered { operation, around } = ordered;
        let token = operation.lease_token.clone().ok_or(Error::LeaseLost)?;
        let Around { instance, binding, tenant, platform } = match around {
            Some(around) => *around,
            None => self.around(&operation).await?,
        };
        let plan = self.plan_of(&instance).await?;
        let request = self.open(&sealed::operation_request(&operation.id), &operation.request)?;
        Ok(Job { operation, token, instance, binding, tenant, platform, plan, request })
    }

    async fn around(&self, operation: &OperationRow) -> Result<Around, Error> {
        let (instance_id, binding_id) = (operation.instance_id.clone(), operation.binding_id.clone());
        self.db()
            .read(|tx| {
                Box::pin(async move {
                    let missing = || Error::not_found("instance", &instance_id);
                    let instance = instances::by_id(tx, &instance_id).await?.ok_or_else(missing)?;
                    let binding = match binding_id {
                        Some(id) => bindings::by_id(tx, &id).await?,
                        None => None,
                    };
                    let tenant = tenants::by_id(tx, &instance.tenant_id).await?.ok_or_else(missing)?;
                    let platform = platforms::by_id(tx, &instance.platform_id).await?.ok_or_else(missing)?;
                    Ok::<_, Error>(Around { instance, binding, tenant, platform })
                })
            })
            .await
    }

    /// One try, by what the operation is at.
    async fn attempt(&self, job: &Job) -> Result<Outcome, Error> {
        match job.operation.phase {
            Phase::WaitingApproval => Err(Error::LeaseLost),
            Phase::Calling => {
                if job.operation.kind == OperationKind::Deprovision
                    && let Some(outcome) = self.unbind_first(job).await?
                {
                    return Ok(outcome);
                }
                if job.operation.maybe_sent && job.operation.kind.creates() {
                    // The process that sent it died before it knew: look before repeating.
                    return self.ask(job).await;
                }
                self.call(job).await
            }
            Phase::Polling => self.poll(job).await,
            Phase::Unresolved => self.ask(job).await,
        }
    }
}
