//! Table `spans`: from when to when an instance stood ready under a plan, and for whom, as the tenant was then. They are
//! opened, split and closed in the transaction of the state change itself: no instance-second is lost or counted twice.

use std::ops::Range;

use sqlx::any::AnyRow;

use super::Error;
use super::db::{Tx, column};
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

/// A span as it was known at some time, with what its instance is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanRow {
    /// Its own id.
    pub id: String,
    /// Bourse's own id of the instance.
    pub instance_id: String,
    /// What people call the instance, where it has a name.
    pub instance_name: Option<String>,
    /// The platform's id of the instance.
    pub platform_instance_id: String,
    /// Who made the instance.
    pub broker_id: String,
    /// The offering's name, as it was when the span began.
    pub offering: String,
    /// The plan's name, as it was when the span began.
    pub plan: String,
    /// Whether a provision began with it.
    pub setup: bool,
    /// When it began.
    pub started_at: Time,
    /// When it ended, as far as that was known.
    pub ended_at: Option<Time>,
}

fn read(row: &AnyRow) -> Result<SpanRow, Error> {
    Ok(SpanRow {
        id: column(row, "id")?,
        instance_id: column(row, "instance_id")?,
        instance_name: column(row, "name")?,
        platform_instance_id: column(row, "platform_instance_id")?,
        broker_id: column(row, "broker_id")?,
        offering: column(row, "offering")?,
        plan: column(row, "plan")?,
        setup: column::<i64>(row, "setup")? != 0,
        started_at: Time(column(row, "started_at")?),
        ended_at: column::<Option<i64>>(row, "ended_at")?.map(Time),
    })
}

// A span is written at the very instant at which it begins, so `started_at` is also since when it is known.
const STANDING: &str = "select distinct instance_id from spans where tenant_id = $1 and started_at < $3 and started_at <= $4 \
    and (ended_at is null or ended_at >= $2 or closed_at > $4) and instance_id > $5 order by instance_id limit $6";

/// A tenant's instances that stood within a time, as that was known at `known_at`: their ids, after one, in order.
///
/// # Errors
/// [`Error`].
pub async fn standing(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    within: &Range<Time>,
    known_at: Time,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, Error> {
    let query = sqlx::query(STANDING)
        .bind(tenant_id.to_owned())
        .bind(within.start.0)
        .bind(within.end.0)
        .bind(known_at.0)
        .bind(after.to_owned())
        .bind(limit);
    tx.fetch_all(query).await?.iter().map(|row| column(row, "instance_id")).collect()
}

const OF: &str = "select s.id, s.instance_id, i.name, i.platform_instance_id, s.broker_id, s.offering, s.plan, s.setup, s.started_at, \
    case when s.closed_at <= $5 then s.ended_at else null end as ended_at \
    from spans s join instances i on i.id = s.instance_id \
    where s.tenant_id = $1 and s.instance_id >= $2 and s.instance_id <= $3 and s.started_at < $4 and s.started_at <= $5 \
    order by s.instance_id, s.started_at, s.id";

/// All spans that began before `until` of a tenant's instances from one id to another, as they were known at `known_at`: each
/// instance's together, earliest first.
///
/// # Errors
/// [`Error`].
pub async fn of(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    (first, last): (&str, &str),
    until: Time,
    known_at: Time,
) -> Result<Vec<SpanRow>, Error> {
    let query = sqlx::query(OF)
        .bind(tenant_id.to_owned())
        .bind(first.to_owned())
        .bind(last.to_owned())
        .bind(until.0)
        .bind(known_at.0);
    tx.fetch_all(query).await?.iter().map(read).collect()
}

macro_rules! of_some {
    ($ids:literal) => {
        concat!(
            "select s.id, s.instance_id, i.name, i.platform_instance_id, s.broker_id, s.offering, s.plan, s.setup, s.started_at, \
            case when s.closed_at <= $4 then s.ended_at else null end as ended_at \
            from spans s join instances i on i.id = s.instance_id where s.tenant_id = $1 and s.instance_id in (",
            $ids,
            ") and s.started_at < $3 and s.started_at <= $4 order by s.instance_id, s.started_at, s.id"
        )
    };
}

const OF_SOME_SQLITE: &str = of_some!("select value from json_each($2)");
const OF_SOME_POSTGRES: &str = of_some!("select value from json_array_elements_text($2::json)");

/// The same as [`of`], of some of a tenant's instances; `ids` is a JSON list.
///
/// # Errors
/// [`Error`].
pub async fn of_some(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    ids: &str,
    until: Time,
    known_at: Time,
) -> Result<Vec<SpanRow>, Error> {
    let query = sqlx::query(tx.shared(OF_SOME_SQLITE, OF_SOME_POSTGRES))
        .bind(tenant_id.to_owned())
        .bind(ids.to_owned())
        .bind(until.0)
        .bind(known_at.0);
    tx.fetch_all(query).await?.iter().map(read).collect()
}

const FIRST: &str = "select min(started_at) as first from spans where tenant_id = $1";

/// When a tenant's first span began; none where it never had one.
///
/// # Errors
/// [`Error`].
pub async fn first(tx: &mut Tx<'_>, tenant_id: &str) -> Result<Option<Time>, Error> {
    let row = tx.fetch_optional(sqlx::query(FIRST).bind(tenant_id.to_owned())).await?;
    Ok(row.as_ref().map(|row| column::<Option<i64>>(row, "first")).transpose()?.flatten().map(Time))
}
