//! Table `spans`: from when to when an instance stood ready under a plan, and for whom, as the tenant was then. They are
//! opened, split and closed in the transaction of the state change itself: no instance-second is lost or counted twice.

use super::Error;
use super::db::Tx;
use crate::clock::{Time, fresh_id};
use crate::store::instances::InstanceRow;

const OPEN: &str = "insert into spans (id, instance_id, broker_id, offering_id, plan_id, platform_id, offering, plan, tenant_id, \
    tenant, setup, started_at, opened_by) select $1, $2, $3, $4, $5, $6, o.name, p.name, t.id, t.document, $10, $8, $9 \
    from tenants t, offerings o, plans p where t.id = $7 and o.id = $4 and p.id = $5 on conflict (opened_by) do nothing";

/// How a span begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// With a provision.
    Setup,
    /// With anything else: a change, an adoption.
    Going,
}

/// Opens a span at `at`, with the tenant, the offering and the plan as they are now.
///
/// # Errors
/// [`Error::Taken`] where the instance has an open one.
pub async fn open(
    tx: &mut Tx<'_>,
    instance: &InstanceRow,
    opening: Opening,
    operation_id: &str,
    at: Time,
) -> Result<(), Error> {
    let query = sqlx::query(OPEN)
        .bind(fresh_id())
        .bind(instance.id.clone())
        .bind(instance.broker_id.clone())
        .bind(instance.offering_id.clone())
        .bind(instance.plan_id.clone())
        .bind(instance.platform_id.clone())
        .bind(instance.tenant_id.clone())
        .bind(at.0)
        .bind(operation_id.to_owned())
        .bind(i64::from(opening == Opening::Setup));
    tx.execute(query).await?;
    Ok(())
}

const CLOSE: &str = "update spans set ended_at = case when $3 < started_at then started_at else $3 end, closed_by = $2, closed_at = $4 \
    where instance_id = $1 and ended_at is null";

/// Closes the open span of an instance at `at`, if there is one; `now` is when that becomes known.
///
/// # Errors
/// [`Error`].
pub async fn close(tx: &mut Tx<'_>, instance_id: &str, operation_id: &str, at: Time, now: Time) -> Result<(), Error> {
    let query = sqlx::query(CLOSE).bind(instance_id.to_owned()).bind(operation_id.to_owned()).bind(at.0).bind(now.0);
    tx.execute(query).await?;
    Ok(())
}
