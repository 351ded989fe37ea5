//! Giving back to quotas, in the transaction that writes what a broker is known to hold: nothing any more, what an update led to, or
//! what stood before it. Where nobody knows what an update did, the larger of both goes on counting.

use super::super::Error;
use crate::domain::operation::{OperationKind, OperationState, Phase};
use crate::domain::quota::Amount;
use crate::store::Tx;
use crate::store::instances::InstanceRow;
use crate::store::operations::OperationRow;
use crate::store::quotas::{self, UseRow};

/// Locks the quotas that count an instance, in the order of all others: before the instance itself.
pub(in crate::app) async fn lock(tx: &mut Tx<'_>, instance_id: &str) -> Result<(), Error> {
    for row in quotas::uses(tx, instance_id).await? {
        quotas::lock(tx, &row.quota).await?;
    }
    Ok(())
}

/// Nothing is left of an instance. It is locked, and saved by the caller.
pub(in crate::app) async fn release(tx: &mut Tx<'_>, instance: &mut InstanceRow) -> Result<(), Error> {
    if !instance.reserved {
        return Ok(());
    }
    instance.reserved = false;
    let rows = quotas::uses(tx, &instance.id).await?;
    quotas::delete_uses(tx, &instance.id).await?;
    for row in rows {
        count(tx, &row.quota, row.amount, Amount::ZERO).await?;
    }
    Ok(())
}

/// An update is over. The instance is locked, and saved by the caller.
pub(in crate::app) async fn settle(
    tx: &mut Tx<'_>,
    instance: &InstanceRow,
    operation: &OperationRow,
) -> Result<(), Error> {
    let over = operation.kind == OperationKind::Update && operation.state != OperationState::InProgress;
    if !over || !instance.reserved {
        return Ok(());
    }
    let unknown = operation.state == OperationState::Failed && is_unknown(operation);
    for row in quotas::uses(tx, &instance.id).await? {
        let (Some(back), Some(wanted)) = (row.back, row.wanted) else { continue };
        let amount = match operation.state {
            OperationState::Succeeded => wanted,
            _ if unknown => row.amount,
            _ => back,
        };
        count(tx, &row.quota, row.amount, amount).await?;
        quotas::save_use(tx, &instance.id, &UseRow { amount, back: None, wanted: None, ..row }).await?;
    }
    Ok(())
}

/// An update was given up that no broker has heard of. The instance is locked, and saved by the caller.
pub(in crate::app) async fn back(tx: &mut Tx<'_>, instance: &InstanceRow) -> Result<(), Error> {
    if !instance.reserved {
        return Ok(());
    }
    for row in quotas::uses(tx, &instance.id).await? {
        let Some(amount) = row.back else { continue };
        count(tx, &row.quota, row.amount, amount).await?;
        quotas::save_use(tx, &instance.id, &UseRow { amount, back: None, wanted: None, ..row }).await?;
    }
    Ok(())
}

async fn count(tx: &mut Tx<'_>, quota: &str, before: Amount, after: Amount) -> Result<(), Error> {
    if before != after {
        quotas::add(tx, quota, after.0 - before.0).await?;
    }
    Ok(())
}

/// Whether an update that failed may have been carried out all the same: as references see it (the view `live_references`).
fn is_unknown(operation: &OperationRow) -> bool {
    let late = operation.finished_at.is_some_and(|at| at >= operation.give_up_at);
    operation.phase == Phase::Unresolved || operation.maybe_sent || (operation.phase == Phase::Polling && late)
}
