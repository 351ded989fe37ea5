//! Table `instances`: one row for each order that Bourse took on. `current` marks the row that a platform's id means now.

use sqlx::any::AnyRow;

use super::db::{Tx, column};
use super::{Error, operations, tenants};
use crate::clock::Time;
use crate::domain::instance::InstanceState;
use crate::domain::permission::Sight;
use crate::domain::tenant::Tenant;

/// A row.
#[derive(Clone, Debug)]
pub struct InstanceRow {
    /// Bourse's own id, which the backend gets.
    pub id: String,
    /// The platform that ordered it.
    pub platform_id: String,
    /// The platform's id of it.
    pub platform_instance_id: String,
    /// Its name, where the platform gave one or a person ordered it.
    pub name: Option<String>,
    /// Who it is for.
    pub tenant_id: String,
    /// Who makes it.
    pub broker_id: String,
    /// The merged catalog's id of the offering.
    pub offering_id: String,
    /// The merged catalog's id of the plan.
    pub plan_id: String,
    /// Where it stands.
    pub state: InstanceState,
    /// `InstanceAttributes`, sealed.
    pub attributes: Vec<u8>,
    /// What the backend said of it: `dashboard_url`, `metadata`, … as JSON.
    pub answer: String,
    /// The operation on the instance itself that is under way.
    pub operation_id: Option<String>,
    /// The number of its last event.
    pub event_sequence: i64,
    /// Counts changes.
    pub version: i64,
    /// When it was ordered.
    pub created_at: Time,
    /// When it became ready.
    pub ready_at: Option<Time>,
    /// When nothing was left of it.
    pub gone_at: Option<Time>,
    /// Until when a request that makes it, and whose answer was lost, may still reach the backend.
    pub late_until: Option<Time>,
    /// Whether quotas may count something for it.
    pub reserved: bool,
}

pub(super) fn read(row: &AnyRow) -> Result<InstanceRow, Error> {
    let state: String = column(row, "state")?;
    Ok(InstanceRow {
        id: column(row, "id")?,
        platform_id: column(row, "platform_id")?,
        platform_instance_id: column(row, "platform_instance_id")?,
        name: column(row, "name")?,
        tenant_id: column(row, "tenant_id")?,
        broker_id: column(row, "broker_id")?,
        offering_id: column(row, "offering_id")?,
        plan_id: column(row, "plan_id")?,
        state: InstanceState::parse(&state).ok_or_else(|| operations::unreadable("state", &state))?,
        attributes: column(row, "attributes")?,
        answer: column(row, "answer")?,
        operation_id: column(row, "operation_id")?,
        event_sequence: column(row, "event_sequence")?,
        version: column(row, "version")?,
        created_at: Time(column(row, "created_at")?),
        ready_at: column::<Option<i64>>(row, "ready_at")?.map(Time),
        gone_at: column::<Option<i64>>(row, "gone_at")?.map(Time),
        late_until: column::<Option<i64>>(row, "late_until")?.map(Time),
        reserved: column::<i64>(row, "reserved")? != 0,
    })
}

const RETIRE: &str = "update instances set current = 0 \
    where platform_id = $1 and platform_instance_id = $2 and current = 1 \
    and (state = 'gone' or (state = 'failed' and operation_id is null))";

const INSERT: &str = "insert into instances (id, platform_id, platform_instance_id, current, name, tenant_id, broker_id, \
    offering_id, plan_id, state, attributes, answer, operation_id, event_sequence, version, created_at, updated_at, reserved) \
    values ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $14, 1, $13, $13, $15) on conflict do nothing";

/// Inserts a new order under a platform's id; a row that is only a memory makes way. False where the id is taken.
///
/// # Errors
/// [`Error`].
pub async fn insert(tx: &mut Tx<'_>, row: &InstanceRow) -> Result<bool, Error> {
    tx.execute(sqlx::query(RETIRE).bind(row.platform_id.clone()).bind(row.platform_instance_id.clone())).await?;
    let query = sqlx::query(INSERT)
        .bind(row.id.clone())
        .bind(row.platform_id.clone())
        .bind(row.platform_instance_id.clone())
        .bind(row.name.clone())
        .bind(row.tenant_id.clone())
        .bind(row.broker_id.clone())
        .bind(row.offering_id.clone())
        .bind(row.plan_id.clone())
        .bind(row.state.as_str())
        .bind(row.attributes.clone())
        .bind(row.answer.clone())
        .bind(row.operation_id.clone())
        .bind(row.created_at.0)
        .bind(row.event_sequence)
        .bind(i64::from(row.reserved));
    Ok(tx.execute(query).await? == 1)
}

const CURRENT: &str = "select * from instances where platform_id = $1 and platform_instance_id = $2 and current = 1";

/// What a platform's id means now, be it only a memory.
///
/// # Errors
/// [`Error`].
pub async fn current(tx: &mut Tx<'_>, platform_id: &str, id: &str) -> Result<Option<InstanceRow>, Error> {
    let query = sqlx::query(CURRENT).bind(platform_id.to_owned()).bind(id.to_owned());
    tx.fetch_optional(query).await?.as_ref().map(read).transpose()
}

const CURRENT_AND_RULES: &str = "select i.*, v.version as rules from versions v left join instances i \
    on i.platform_id = $1 and i.platform_instance_id = $2 and i.current = 1 where v.name = 'approval_rules'";

/// The same with the version of the rules of approval, which every new order has to know: read at once, so that it costs nothing.
///
/// # Errors
/// [`Error`].
pub async fn current_and_rules(
    tx: &mut Tx<'_>,
    platform_id: &str,
    id: &str,
) -> Result<(Option<InstanceRow>, i64), Error> {
    let query = sqlx::query(CURRENT_AND_RULES).bind(platform_id.to_owned()).bind(id.to_owned());
    let Some(row) = tx.fetch_optional(query).await? else { return Ok((None, 0)) };
    let there = column::<Option<String>>(&row, "id")?.is_some();
    Ok((there.then(|| read(&row)).transpose()?, column(&row, "rules")?))
}

const CURRENT_AND_OWNER: &str = "select i.*, t.name as tenant_name, t.document as tenant_document, \
    t.suspended as tenant_suspended, \
    (select version from versions where name = 'approval_rules') as rules \
    from instances i join tenants t on t.id = i.tenant_id \
    where i.platform_id = $1 and i.platform_instance_id = $2 and i.current = 1";

/// The same with the tenant whose it is, and the version of the rules of approval.
///
/// # Errors
/// [`Error`].
pub async fn current_and_owner(
    tx: &mut Tx<'_>,
    platform_id: &str,
    id: &str,
) -> Result<Option<(InstanceRow, Tenant, i64)>, Error> {
    let query = sqlx::query(CURRENT_AND_OWNER).bind(platform_id.to_owned()).bind(id.to_owned());
    let found = tx.fetch_optional(query).await?;
    found.as_ref().map(|row| Ok((read(row)?, tenants::owner(row)?, column(row, "rules")?))).transpose()
}

const BY_ID: &str = "select * from instances where id = $1";

/// The row with Bourse's own id.
///
/// # Errors
/// [`Error`].
pub async fn by_id(tx: &mut Tx<'_>, id: &str) -> Result<Option<InstanceRow>, Error> {
    tx.fetch_optional(sqlx::query(BY_ID).bind(id.to_owned())).await?.as_ref().map(read).transpose()
}

const LOCK: &str = "update instances set version = version + 1 where id = $1 returning *";

/// Locks the row for this transaction and reads it. Locks are taken in the order instance, binding, operation.
///
/// # Errors
/// [`Error`].
pub async fn lock(tx: &mut Tx<'_>, id: &str) -> Result<Option<InstanceRow>, Error> {
    tx.fetch_optional(sqlx::query(LOCK).bind(id.to_owned())).await?.as_ref().map(read).transpose()
}

const SAVE: &str = "update instances set state = $2, plan_id = $3, attributes = $4, answer = $5, operation_id = $6, \
    event_sequence = $7, ready_at = $8, gone_at = $9, updated_at = $10, current = current * $11, late_until = $12, \
    reserved = $13 where id = $1";

/// Writes a row that this transaction has locked. `current` is false where the platform's id means nothing any more; an id
/// that means another row by now never comes back to this one.
///
/// # Errors
/// [`Error`].
pub async fn save(tx: &mut Tx<'_>, row: &InstanceRow, current: bool, now: Time) -> Result<(), Error> {
    let query = sqlx::query(SAVE)
        .bind(row.id.clone())
        .bind(row.state.as_str())
        .bind(row.plan_id.clone())
        .bind(row.attributes.clone())
        .bind(row.answer.clone())
        .bind(row.operation_id.clone())
        .bind(row.event_sequence)
        .bind(row.ready_at.map(|time| time.0))
        .bind(row.gone_at.map(|time| time.0))
        .bind(now.0)
        .bind(i64::from(current))
        .bind(row.late_until.map(|time| time.0))
        .bind(i64::from(row.reserved));
    tx.execute(query).await?;
    Ok(())
}

const FORGET_FAILED: &str = "update instances set state = 'gone', updated_at = $2, version = version + 1 \
    where id = $1 and state = 'failed' and operation_id is null";

/// A failed order of which nothing is left is only a memory from now on. Whether its id means it is left as it is: a new
/// order may have taken the id meanwhile.
///
/// # Errors
/// [`Error`].
pub async fn forget_failed(tx: &mut Tx<'_>, id: &str, now: Time) -> Result<(), Error> {
    tx.execute(sqlx::query(FORGET_FAILED).bind(id.to_owned()).bind(now.0)).await?;
    Ok(())
}

/// What a list of instances is narrowed to.
#[derive(Clone, Debug)]
pub struct Filter {
    /// By tenant.
    pub tenant_id: Option<String>,
    /// By platform.
    pub platform_id: Option<String>,
    /// By the platform's id.
    pub platform_instance_id: Option<String>,
    /// By broker.
    pub broker_id: Option<String>,
    /// By offering.
    pub offering_id: Option<String>,
    /// By state; without it those that are gone are left out.
    pub state: Option<InstanceState>,
    /// By whose they are, and to whom they were granted.
    pub sight: Sight,
    /// When grants must not have ended.
    pub now: Time,
}

const READY_TIMES: &str = "select ready_at - created_at as took from (select offering_id, created_at, ready_at from instances \
    where broker_id = $1 order by broker_id desc, id desc limit 1000) as latest \
    where offering_id = $2 and ready_at is not null and ready_at >= created_at";

/// How long the latest orders of an offering took until they were ready, in microseconds; those among the broker's latest 1000.
///
/// # Errors
/// [`Error`].
pub async fn ready_times(tx: &mut Tx<'_>, broker_id: &str, offering_id: &str) -> Result<Vec<i64>, Error> {
    let sql = sqlx::query(READY_TIMES).bind(broker_id.to_owned()).bind(offering_id.to_owned());
    tx.fetch_all(sql).await?.iter().map(|row| column(row, "took")).collect()
}

macro_rules! list {
    ($sight:literal) => {
        concat!(
            "select * from instances where id > $1 and ($2 is null or tenant_id = $2) \
            and ($3 is null or platform_id = $3) and ($4 is null or platform_instance_id = $4) \
            and ($5 is null or broker_id = $5) and ($6 is null or offering_id = $6) \
            and (($7 is null and state <> 'gone') or state = $7) ",
            $sight,
            " order by id limit $8"
        )
    };
}

const LIST: &str = list!(
    "and ($9 is null or $9 like '%|' || tenant_id || '|%' or $10 like '%|' || broker_id || '|%' \
    or id in (select instance_id from instance_grants where user_name = $11 and expires_at > $12))"
);
/// For somebody who sees by grants only: those are few, and found first.
const LIST_GRANTED: &str = list!(
    "and $9 is not null and $10 is not null \
    and id in (select instance_id from instance_grants where user_name = $11 and expires_at > $12)"
);

/// A page of instances in the order of their ids, after one id.
///
/// # Errors
/// [`Error`].
pub async fn list(tx: &mut Tx<'_>, filter: &Filter, after: &str, limit: i64) -> Result<Vec<InstanceRow>, Error> {
    let sql = if filter.sight.is_only_granted() { LIST_GRANTED } else { LIST };
    let query = sqlx::query(sql)
        .bind(after.to_owned())
        .bind(filter.tenant_id.clone())
        .bind(filter.platform_id.clone())
        .bind(filter.platform_instance_id.clone())
        .bind(filter.broker_id.clone())
        .bind(filter.offering_id.clone())
        .bind(filter.state.map(InstanceState::as_str))
        .bind(limit)
        .bind(filter.sight.tenants())
        .bind(filter.sight.brokers())
        .bind(filter.sight.granted().map(str::to_owned))
        .bind(filter.now.0);
    tx.fetch_all(query).await?.iter().map(read).collect()
}
