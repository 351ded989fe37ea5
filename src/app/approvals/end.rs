//! How an order that waits ends without having been sent: refused, expired, deleted, called off. Nothing is undone, since no broker has
//! heard of it; a failed change leaves the instance as it was.

use super::super::drive::tell as tell_instance;
use super::super::sealed::error_to_text;
use super::super::{App, Error, quotas};
use super::tell;
use crate::clock::Time;
use crate::domain::approval::ApprovalState;
use crate::domain::event::EventKind;
use crate::domain::instance::InstanceState;
use crate::domain::operation::{OperationKind, OperationState, Phase};
use crate::store::approvals::{self, Decided};
use crate::store::audit::{self, AuditRow};
use crate::store::instances::{self, InstanceRow};
use crate::store::operations::{self, OperationRow};
use crate::store::{Tx, tenants};

/// Who ended an order that waits.
#[derive(Clone, Debug)]
pub(in crate::app) enum How {
    /// Whoever ordered deleted the instance.
    Deleted {
        /// Who.
        by: String,
        /// The same for the audit, where it was a person.
        audited: Option<AuditRow>,
    },
    /// An operator called it off.
    CalledOff {
        /// Who and why.
        audited: AuditRow,
    },
}

/// What an order that waits ends in.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// What becomes of approvals that nobody has decided.
    pub(super) pending: Decided,
    /// What becomes of the operation.
    pub(super) operation: OperationState,
    /// What becomes of an instance that was to be made: nothing to see, or failed.
    pub(super) instance: InstanceState,
    /// What whoever ordered is told.
    pub(super) error: osb::Error,
}

impl End {
    /// It failed, for that reason.
    pub(super) fn failed(error: osb::Error, now: Time) -> Self {
        let reason = Some("the order ended before".to_owned());
        Self {
            pending: Decided { state: ApprovalState::Cancelled, reason, by: None, at: now },
            operation: OperationState::Failed,
            instance: InstanceState::Failed,
            error,
        }
    }
}

/// Ends an order that waits: its approvals, the operation and the instance, with their events, and gives back to quotas, which are
/// locked. Both rows are locked; both are saved here.
pub(super) async fn end(
    tx: &mut Tx<'_>,
    hub: &str,
    instance: &mut InstanceRow,
    operation: &mut OperationRow,
    end: &End,
) -> Result<(), Error> {
    let now = end.pending.at;
    call_off(tx, hub, instance, operation, &end.pending).await?;
    let rows = approvals::of_operation(tx, &operation.id).await?;
    let Some(row) = rows.first() else { return Err(Error::not_found("approval of operation", &operation.id)) };
    operation.state = end.operation;
    operation.finished_at = Some(now);
    operation.description = end.error.description().map(str::to_owned);
    operation.answer = Some(error_to_text(&end.error));
    instance.operation_id = None;
    let kind = if operation.kind == OperationKind::Provision {
        instance.state = end.instance;
        instance.gone_at = Some(now);
        quotas::release(tx, instance).await?;
        EventKind::InstanceFailed
    } else {
        instance.state = InstanceState::Ready;
        quotas::back(tx, instance).await?;
        EventKind::InstanceUpdateFailed
    };
    let (names, reason) = (tell::names(hub, row), operation.description.clone());
    tell_instance(tx, instance, operation, None, kind, reason, &names, now).await?;
    operations::save(tx, operation).await?;
    Ok(instances::save(tx, instance, true, now).await?)
}

/// Decides all approvals of an operation that are pending. The instance is locked, and saved by the caller.
pub(in crate::app) async fn call_off(
    tx: &mut Tx<'_>,
    hub: &str,
    instance: &mut InstanceRow,
    operation: &OperationRow,
    decided: &Decided,
) -> Result<(), Error> {
    for row in approvals::of_operation(tx, &operation.id).await? {
        if let Some(row) = approvals::decide(tx, &row.id, decided).await? {
            let tenant = tenants::by_id(tx, &row.tenant_id).await?;
            let kind = EventKind::ApprovalDecided;
            tell::tell(tx, hub, instance, operation, &row, kind, tenant.as_ref(), decided.at).await?;
        }
    }
    Ok(())
}

impl App {
    /// Ends an order that waits because whoever ordered, or an operator, wants it no more. False where it does not wait any more.
    ///
    /// # Errors
    /// Where the database fails.
    pub(in crate::app) async fn withdraw(&self, operation: &OperationRow, how: How) -> Result<bool, Error> {
        let now = self.clock().now();
        let (by, text, state) = match &how {
            How::Deleted { by, .. } => (by, "the order was deleted while it waited for approval", InstanceState::Gone),
            How::CalledOff { audited } => {
                (&audited.actor, "an operator called the operation off", InstanceState::Failed)
            }
        };
        let cancelled = ApprovalState::Cancelled;
        let wanted = End {
            pending: Decided { state: cancelled, reason: Some(text.to_owned()), by: Some(by.clone()), at: now },
            operation: OperationState::Cancelled,
            instance: state,
            error: osb::Error::bad_request(text),
        };
        let (hub, key) = (self.config().server.hub.clone(), (operation.id.clone(), operation.instance_id.clone()));
        let withdrawn = self.db().write::<_, Error, _>(move |tx| {
            let (hub, (id, instance_id), wanted, how) = (hub.clone(), key.clone(), wanted.clone(), how.clone());
            Box::pin(async move {
                quotas::lock(tx, &instance_id).await?;
                let Some(mut instance) = instances::lock(tx, &instance_id).await? else { return Ok(false) };
                let locked = operations::lock_unfinished(tx, &id).await?;
                let Some(mut operation) = locked.filter(|row| row.phase == Phase::WaitingApproval) else {
                    return Ok(false);
                };
                end(tx, &hub, &mut instance, &mut operation, &wanted).await?;
                match &how {
                    How::CalledOff { audited } | How::Deleted { audited: Some(audited), .. } => {
                        audit::append(tx, audited).await?;
                    }
                    How::Deleted { audited: None, .. } => {}
                }
                Ok(true)
            })
        });
        let withdrawn = withdrawn.await?;
        if withdrawn {
            self.announce(&operation.id);
        }
        Ok(withdrawn)
    }
}
