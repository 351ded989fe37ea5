//! Tables `offboardings` and `offboarding_steps`: tenants that are taken down, and what was tried of each of their instances.

use sqlx::any::AnyRow;

use super::db::column;
use super::instances::{self, InstanceRow};
use super::{Error, Tx, operations};
use crate::clock::Time;

/// How far a tenant is taken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffboardingState {
    /// It goes on.
    Running,
    /// The tenant is deleted.
    Done,
    /// Somebody called it off.
    Cancelled,
}

impl OffboardingState {
    /// Its word in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Running, Self::Done, Self::Cancelled].into_iter().find(|state| state.as_str() == text)
    }
}

/// A tenant that is taken down, or was.
#[derive(Clone, Debug)]
pub struct OffboardingRow {
    /// Its own id.
    pub id: String,
    /// Whom it takes down.
    pub tenant_id: String,
    /// Its name then.
    pub tenant: String,
    /// How far it is.
    pub state: OffboardingState,
    /// Why.
    pub reason: String,
    /// Who wanted it.
    pub requested_by: String,
    /// Since when.
    pub created_at: Time,
    /// When it was over.
    pub finished_at: Option<Time>,
    /// When it is looked at again.
    pub next_at: Time,
    /// How often its last step failed.
    pub attempts: i64,
    /// What holds its last step up: that the tenant can't be deleted.
    pub error: Option<String>,
}

fn read(row: &AnyRow) -> Result<OffboardingRow, Error> {
    let state: String = column(row, "state")?;
    Ok(OffboardingRow {
        id: column(row, "id")?,
        tenant_id: column(row, "tenant_id")?,
        tenant: column(row, "tenant")?,
        state: OffboardingState::parse(&state).ok_or_else(|| operations::unreadable("state", &state))?,
        reason: column(row, "reason")?,
        requested_by: column(row, "requested_by")?,
        created_at: Time(column(row, "created_at")?),
        finished_at: column::<Option<i64>>(row, "finished_at")?.map(Time),
        next_at: Time(column(row, "next_at")?),
        attempts: column(row, "attempts")?,
        error: column(row, "error")?,
    })
}

const INSERT: &str = "insert into offboardings (id, tenant_id, tenant, state, reason, requested_by, created_at, next_at, attempts) \
    values ($1, $2, $3, 'running', $4, $5, $6, $6, 0) on conflict (tenant_id) where state = 'running' do nothing";

/// Begins one; false where the tenant is taken down already.
///
/// # Errors
/// [`Error`].
pub async fn insert(tx: &mut Tx<'_>, row: &OffboardingRow) -> Result<bool, Error> {
    let sql = sqlx::query(INSERT)
        .bind(row.id.clone())
        .bind(row.tenant_id.clone())
        .bind(row.tenant.clone())
        .bind(row.reason.clone())
        .bind(row.requested_by.clone())
        .bind(row.created_at.0);
    Ok(tx.execute(sql).await? == 1)
}

const LATEST: &str = "select * from offboardings where tenant = $1 order by created_at desc, id desc limit 1";

/// The latest of a tenant of that name.
///
/// # Errors
/// [`Error`].
pub async fn latest(tx: &mut Tx<'_>, tenant: &str) -> Result<Option<OffboardingRow>, Error> {
    tx.fetch_optional(sqlx::query(LATEST).bind(tenant.to_owned())).await?.as_ref().map(read).transpose()
}

const RUNNING: &str = "select * from offboardings where tenant_id = $1 and state = 'running'";

/// The one of a tenant that is under way.
///
/// # Errors
/// [`Error`].
pub async fn running(tx: &mut Tx<'_>, tenant_id: &str) -> Result<Option<OffboardingRow>, Error> {
    tx.fetch_optional(sqlx::query(RUNNING).bind(tenant_id.to_owned())).await?.as_ref().map(read).transpose()
}

const DUE: &str = "select * from offboardings where state = 'running' and next_at <= $1 order by next_at limit $2";

/// Those that are to be looked at.
///
/// # Errors
/// [`Error`].
pub async fn due(tx: &mut Tx<'_>, now: Time, limit: i64) -> Result<Vec<OffboardingRow>, Error> {
    tx.fetch_all(sqlx::query(DUE).bind(now.0).bind(limit)).await?.iter().map(read).collect()
}

const LATER: &str =
    "update offboardings set next_at = $2, attempts = $3, error = $4 where id = $1 and state = 'running'";

/// Says when it is looked at again, and what holds it up.
///
/// # Errors
/// [`Error`].
pub async fn later(tx: &mut Tx<'_>, id: &str, at: Time, attempts: i64, error: Option<&str>) -> Result<(), Error> {
    let sql = sqlx::query(LATER).bind(id.to_owned()).bind(at.0).bind(attempts).bind(error.map(str::to_owned));
    tx.execute(sql).await?;
    Ok(())
}

const FINISH: &str =
    "update offboardings set state = $2, finished_at = $3, error = null where id = $1 and state = 'running'";

/// Ends one; false where it is over already.
///
/// # Errors
/// [`Error`].
pub async fn finish(tx: &mut Tx<'_>, id: &str, state: OffboardingState, now: Time) -> Result<bool, Error> {
    let sql = sqlx::query(FINISH).bind(id.to_owned()).bind(state.as_str()).bind(now.0);
    Ok(tx.execute(sql).await? == 1)
}

/// What was tried of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepRow {
    /// The deletion whose end is not looked at yet.
    pub operation_id: Option<String>,
    /// How often it failed.
    pub attempts: i64,
    /// How it failed last.
    pub error: Option<String>,
    /// When it is tried again.
    pub next_at: Time,
}

/// An instance that is still there, as whoever takes its tenant down sees it.
#[derive(Clone, Debug)]
pub struct LeftRow {
    /// The instance.
    pub instance: InstanceRow,
    /// How many of its bindings are left.
    pub bindings: i64,
    /// How many other instances depend on it.
    pub dependents: i64,
    /// What is under way on it or its bindings: the operation's word. Orders that wait for an approval are not.
    pub under_way: Option<String>,
    /// What was tried.
    pub step: Option<StepRow>,
}

const LEFT: &str = "select i.*, s.operation_id as step_operation, s.attempts as step_attempts, s.error as step_error, \
    s.next_at as step_next, (select count(*) from bindings b where b.instance_id = i.id and b.gone_at is null) as bindings, \
    (select count(distinct r.instance_id) from live_references r where r.target_id = i.id) as dependents, \
    (select o.kind from operations o where o.instance_id = i.id and o.state = 'in_progress' and o.phase <> 'waiting_approval' \
        and o.kind <> 'context_update' and (o.binding_id is null or o.binding_id not in \
            (select g.id from bindings g where g.instance_id = i.id and g.state = 'gone')) \
        order by o.created_at limit 1) as under_way \
    from instances i left join offboarding_steps s on s.instance_id = i.id and s.offboarding_id = $2 \
    where i.tenant_id = $1 and i.gone_at is null and i.id > $3 order by i.id limit $4";

/// Instances of a tenant that are not gone, after one id.
///
/// # Errors
/// [`Error`].
pub async fn left(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    offboarding_id: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<LeftRow>, Error> {
    let sql = sqlx::query(LEFT).bind(tenant_id.to_owned()).bind(offboarding_id.to_owned()).bind(after.to_owned());
    let row = |row: &AnyRow| {
        let step = match column::<Option<i64>>(row, "step_attempts")? {
            Some(attempts) => Some(StepRow {
                operation_id: column(row, "step_operation")?,
                attempts,
                error: column(row, "step_error")?,
                next_at: Time(column(row, "step_next")?),
            }),
            None => None,
        };
        Ok(LeftRow {
            instance: instances::read(row)?,
            bindings: column(row, "bindings")?,
            dependents: column(row, "dependents")?,
            under_way: column(row, "under_way")?,
            step,
        })
    };
    tx.fetch_all(sql.bind(limit)).await?.iter().map(row).collect()
}

const STEP: &str = "insert into offboarding_steps (offboarding_id, instance_id, operation_id, attempts, error, next_at) \
    values ($1, $2, $3, $4, $5, $6) on conflict (offboarding_id, instance_id) do update set operation_id = excluded.operation_id, \
    attempts = excluded.attempts, error = excluded.error, next_at = excluded.next_at";

/// Writes down what was tried of an instance.
///
/// # Errors
/// [`Error`].
pub async fn step(tx: &mut Tx<'_>, id: &str, instance_id: &str, row: &StepRow) -> Result<(), Error> {
    let sql = sqlx::query(STEP)
        .bind(id.to_owned())
        .bind(instance_id.to_owned())
        .bind(row.operation_id.clone())
        .bind(row.attempts)
        .bind(row.error.clone())
        .bind(row.next_at.0);
    tx.execute(sql).await?;
    Ok(())
}

/// What of a tenant is to be counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Instances that are not gone.
    pub instances: i64,
    /// Their bindings.
    pub bindings: i64,
    /// Operations under way.
    pub operations: i64,
    /// Approvals that are pending.
    pub approvals: i64,
}

const COUNTS: &str = "select (select count(*) from instances where tenant_id = $1 and gone_at is null) as instances, \
    (select count(*) from bindings b join instances i on i.id = b.instance_id \
        where i.tenant_id = $1 and i.gone_at is null and b.gone_at is null) as bindings, \
    (select count(*) from operations o join instances i on i.id = o.instance_id \
        where i.tenant_id = $1 and o.state = 'in_progress') as operations, \
    (select count(*) from approvals where tenant_id = $1 and state = 'pending') as approvals";

/// How much of a tenant is left.
///
/// # Errors
/// [`Error`].
pub async fn counts(tx: &mut Tx<'_>, tenant_id: &str) -> Result<Counts, Error> {
    let row = tx.fetch_optional(sqlx::query(COUNTS).bind(tenant_id.to_owned())).await?;
    row.map_or(Ok(Counts::default()), |row| {
        Ok(Counts {
            instances: column(&row, "instances")?,
            bindings: column(&row, "bindings")?,
            operations: column(&row, "operations")?,
            approvals: column(&row, "approvals")?,
        })
    })
}

const MONTHS: &str = "select (select min(started_at) from spans where tenant_id = $1) as first, \
    (select max(period) from statements where tenant_id = $1) as last";

/// When a tenant's first span began, if it ever had one, and its latest closed month as text.
///
/// # Errors
/// [`Error`].
pub async fn months(tx: &mut Tx<'_>, tenant_id: &str) -> Result<(Option<Time>, Option<String>), Error> {
    let row = tx.fetch_optional(sqlx::query(MONTHS).bind(tenant_id.to_owned())).await?;
    row.map_or(Ok((None, None)), |row| Ok((column::<Option<i64>>(&row, "first")?.map(Time), column(&row, "last")?)))
}
