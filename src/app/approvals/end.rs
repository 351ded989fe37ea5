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
use crate::store::audit::AuditRow;
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

/// The end of an order that waits, ready to be written.
#[derive(Clone, Debug)]
pub(in crate::app) struct Withdrawal {
    operation_id: String,
    instance_id: String,
    hub: String,
    end: End,
    audited: Option<AuditRow>,
}

impl Withdrawal {
    /// What waits.
    pub(in crate::app) fn operation_id(&self) -> &str {
        &self.operation_id
    }

    /// Writes it, within a transaction that has locked nothing yet of what comes after quotas. False where it does not wait any more.
    ///
    /// # Errors
    /// Where the database fails.
    pub(in crate::app) async fn end(self, tx: &mut Tx<'_>) -> Result<bool, Error> {
        let Self { operation_id, instance_id, hub, end: wanted, audited } = self;
        quotas::lock(tx, &instance_id).await?;
        let Some(mut instance) = instances::lock(tx, &instance_id).await? else { return Ok(false) };
        let locked = operations::lock_unfinished(tx, &operation_id).await?;
        let Some(mut operation) = locked.filter(|row| row.phase == Phase::WaitingApproval) else { return Ok(false) };
        end(tx, &hub, &mut instance, &mut operation, &wanted).await?;
        super::super::audit::append(tx, &audited).await?;
        Ok(true)
    }
}

impl App {
    /// The end of an order that waits because whoever ordered, or an operator, wants it no more.
    pub(in crate::app) fn withdrawal(&self, operation: &OperationRow, how: How) -> Withdrawal {
        let now = self.clock().now();
        let (by, text, state, audited) = match how {
            How::Deleted { by, audited } => {
                (by, "the order was deleted while it waited for approval", InstanceState::Gone, audited)
            }
            How::CalledOff { audited } => {
                let by = audited.actor.clone();
                (by, "an operator called the operation off", InstanceState::Failed, Some(audited))
            }
        };
        let reason = Some(text.to_owned());
        Withdrawal {
            operation_id: operation.id.clone(),
            instance_id: operation.instance_id.clone(),
            hub: self.config().server.hub.clone(),
            end: End {
                pending: Decided { state: ApprovalState::Cancelled, reason, by: Some(by), at: now },
                operation: OperationState::Cancelled,
                instance: state,
                error: osb::Error::bad_request(text),
            },
            audited,
        }
    }

    /// Ends an order that waits. False where it does not wait any more.
    ///
    /// # Errors
    /// Where the database fails.
    pub(in crate::app) async fn withdraw(&self, withdrawal: Withdrawal) -> Result<bool, Error> {
        let id = withdrawal.operation_id.clone();
        let withdrawn = self.db().write::<_, Error, _>(move |tx| {
            let withdrawal = withdrawal.clone();
            Box::pin(async move { withdrawal.end(tx).await })
        });
        let withdrawn = withdrawn.await?;
        if withdrawn {
            self.announce(&id);
        }
        Ok(withdrawn)
    }
}
