//! Table `context_updates`: instances whose brokers are still to be told what changed about their tenant. A newer change takes the
//! place of an older one.

use sqlx::any::AnyRow;

use super::db::column;
use super::{Error, Tx};
use crate::clock::Time;

/// An instance whose broker is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextUpdateRow {
    /// The instance.
    pub instance_id: String,
    /// Its tenant.
    pub tenant_id: String,
    /// When the tenant changed last.
    pub since: Time,
    /// The operation that tells it, as long as its end is not looked at.
    pub operation_id: Option<String>,
    /// How often that failed.
    pub attempts: i64,
    /// How it failed last.
    pub error: Option<String>,
    /// When it is looked at again; absent where it was given up.
    pub next_at: Option<Time>,
}

fn read(row: &AnyRow) -> Result<ContextUpdateRow, Error> {
    Ok(ContextUpdateRow {
        instance_id: column(row, "instance_id")?,
        tenant_id: column(row, "tenant_id")?,
        since: Time(column(row, "since")?),
        operation_id: column(row, "operation_id")?,
        attempts: column(row, "attempts")?,
        error: column(row, "error")?,
        next_at: column::<Option<i64>>(row, "next_at")?.map(Time),
    })
}

const MARK: &str = "insert into context_updates (instance_id, tenant_id, since, attempts, next_at) \
    select id, tenant_id, $3, 0, $3 from instances where tenant_id = $1 and offering_id = $2 and gone_at is null \
    on conflict (instance_id) do update set since = excluded.since, attempts = 0, error = null, next_at = excluded.next_at";

/// Notes that a tenant has changed, for all its instances of an offering.
///
/// # Errors
/// [`Error`].
pub async fn mark(tx: &mut Tx<'_>, tenant_id: &str, offering_id: &str, now: Time) -> Result<(), Error> {
    let sql = sqlx::query(MARK).bind(tenant_id.to_owned()).bind(offering_id.to_owned()).bind(now.0);
    tx.execute(sql).await?;
    Ok(())
}

const DUE: &str = "select * from context_updates where next_at <= $1 order by next_at limit $2";

/// Those that are to be looked at.
///
/// # Errors
/// [`Error`].
pub async fn due(tx: &mut Tx<'_>, now: Time, limit: i64) -> Result<Vec<ContextUpdateRow>, Error> {
    tx.fetch_all(sqlx::query(DUE).bind(now.0).bind(limit)).await?.iter().map(read).collect()
}

const LIST: &str = "select * from context_updates where instance_id > $1 and ($2 is null or tenant_id = $2) \
    order by instance_id limit $3";

/// All of them, or a tenant's, after one instance.
///
/// # Errors
/// [`Error`].
pub async fn list(
    tx: &mut Tx<'_>,
    after: &str,
    tenant_id: Option<&str>,
    limit: i64,
) -> Result<Vec<ContextUpdateRow>, Error> {
    let sql = sqlx::query(LIST).bind(after.to_owned()).bind(tenant_id.map(str::to_owned)).bind(limit);
    tx.fetch_all(sql).await?.iter().map(read).collect()
}

const SAVE: &str = "update context_updates set operation_id = $3, attempts = $4, error = $5, next_at = $6 \
    where instance_id = $1 and since = $2";

/// Writes down how far it is; false where the tenant has changed once more meanwhile.
///
/// # Errors
/// [`Error`].
pub async fn save(tx: &mut Tx<'_>, row: &ContextUpdateRow) -> Result<bool, Error> {
    let sql = sqlx::query(SAVE)
        .bind(row.instance_id.clone())
        .bind(row.since.0)
        .bind(row.operation_id.clone())
        .bind(row.attempts)
        .bind(row.error.clone())
        .bind(row.next_at.map(|at| at.0));
    Ok(tx.execute(sql).await? == 1)
}

const DONE: &str = "delete from context_updates where instance_id = $1 and since = $2";

/// It was told, or needs not be. A change that came meanwhile stays.
///
/// # Errors
/// [`Error`].
pub async fn done(tx: &mut Tx<'_>, instance_id: &str, since: Time) -> Result<(), Error> {
    tx.execute(sqlx::query(DONE).bind(instance_id.to_owned()).bind(since.0)).await?;
    Ok(())
}
