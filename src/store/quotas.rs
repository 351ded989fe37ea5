//! Tables `quotas` and `quota_uses`: how much a tenant may have, how much it has, and what each instance takes of it. Quantities are
//! in millionths.
//!
//! Invariant: `used` is the sum of the quota's rows in `quota_uses`, at the end of each transaction. Rows of an instance change
//! only under the locks of their quotas and of the instance.

use sqlx::any::AnyRow;

use super::Error;
use super::db::{Tx, column};
use super::operations::{self, OperationRow};
use crate::clock::Time;
use crate::domain::quota::{Amount, QuotaDocument};
use crate::store::instances::{self, InstanceRow};

/// The most that a quota can count.
const SUM_MAX: i64 = 9_000_000_000_000_000_000;

/// A quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaRow {
    /// Immutable.
    pub name: String,
    /// Whose it is.
    pub tenant_id: String,
    /// What it says.
    pub document: QuotaDocument,
    /// What is used of it.
    pub used: Amount,
    /// When it was last told that an order exceeded it.
    pub told_at: Option<Time>,
    /// Since when.
    pub created_at: Time,
}

fn read(row: &AnyRow) -> Result<QuotaRow, Error> {
    let document: String = column(row, "document")?;
    let document = serde_json::from_str(&document);
    Ok(QuotaRow {
        name: column(row, "name")?,
        tenant_id: column(row, "tenant_id")?,
        document: document.map_err(|source| Error::Corrupt { column: "document", source: source.into() })?,
        used: Amount(column(row, "used")?),
        told_at: column::<Option<i64>>(row, "told_at")?.map(Time),
        created_at: Time(column(row, "created_at")?),
    })
}

const OF_TENANT: &str = "select * from quotas where tenant_id = $1 order by name";

/// All quotas of a tenant, by name.
///
/// # Errors
/// [`Error`].
pub async fn of_tenant(tx: &mut Tx<'_>, tenant_id: &str) -> Result<Vec<QuotaRow>, Error> {
    tx.fetch_all(sqlx::query(OF_TENANT).bind(tenant_id.to_owned())).await?.iter().map(read).collect()
}

const ONE: &str = "select * from quotas where name = $1";

/// The quota of a name.
///
/// # Errors
/// [`Error`].
pub async fn one(tx: &mut Tx<'_>, name: &str) -> Result<Option<QuotaRow>, Error> {
    tx.fetch_optional(sqlx::query(ONE).bind(name.to_owned())).await?.as_ref().map(read).transpose()
}

const LIST: &str = "select * from quotas where name > $1 and ($2 is null or tenant_id = $2) \
    and ($4 is null or $4 like '%|' || tenant_id || '|%') order by name limit $3";

/// Quotas by name, after one; of one tenant, or of those that are listed as `|id|id|`.
///
/// # Errors
/// [`Error`].
pub async fn list(
    tx: &mut Tx<'_>,
    tenant_id: Option<String>,
    seen: Option<String>,
    after: &str,
    limit: u32,
) -> Result<Vec<QuotaRow>, Error> {
    let sql = sqlx::query(LIST).bind(after.to_owned()).bind(tenant_id).bind(i64::from(limit)).bind(seen);
    tx.fetch_all(sql).await?.iter().map(read).collect()
}

const PUT: &str = "insert into quotas (name, tenant_id, document, most, used, told_at, version, created_at) \
    values ($1, $2, $3, $4, 0, null, 1, $5) on conflict (name) do update set document = excluded.document, \
    most = excluded.most, told_at = null, version = quotas.version + 1 where quotas.tenant_id = excluded.tenant_id returning *";

/// Creates or replaces a quota, and locks it. What is used of it is left as it is. `None` where another tenant's has the name.
///
/// # Errors
/// [`Error`].
pub async fn put(
    tx: &mut Tx<'_>,
    name: &str,
    tenant_id: &str,
    document: &QuotaDocument,
    now: Time,
) -> Result<Option<QuotaRow>, Error> {
    let sql = sqlx::query(PUT)
        .bind(name.to_owned())
        .bind(tenant_id.to_owned())
        .bind(serde_json::json!(document).to_string())
        .bind(document.most().0)
        .bind(now.0);
    tx.fetch_optional(sql).await?.as_ref().map(read).transpose()
}

const SET_USED: &str = "update quotas set used = $2 where name = $1";

/// Says what is used of a quota that this transaction has locked.
///
/// # Errors
/// [`Error`].
pub async fn set_used(tx: &mut Tx<'_>, name: &str, used: Amount) -> Result<(), Error> {
    tx.execute(sqlx::query(SET_USED).bind(name.to_owned()).bind(used.0)).await.map(drop)
}

const FORGET_USES: &str = "delete from quota_uses where quota = $1";
const DELETE: &str = "delete from quotas where name = $1";

/// Forgets what a quota counts.
///
/// # Errors
/// [`Error`].
pub async fn forget_uses(tx: &mut Tx<'_>, name: &str) -> Result<(), Error> {
    tx.execute(sqlx::query(FORGET_USES).bind(name.to_owned())).await.map(drop)
}

/// Deletes a quota; false where there is none.
///
/// # Errors
/// [`Error`].
pub async fn delete(tx: &mut Tx<'_>, name: &str) -> Result<bool, Error> {
    forget_uses(tx, name).await?;
    Ok(tx.execute(sqlx::query(DELETE).bind(name.to_owned())).await? == 1)
}

const LOCK: &str = "update quotas set version = version + 1 where name = $1 returning *";

/// Locks a quota for this transaction and reads it. Several are locked in the order of their names, before any instance.
///
/// # Errors
/// [`Error`].
pub async fn lock(tx: &mut Tx<'_>, name: &str) -> Result<Option<QuotaRow>, Error> {
    tx.fetch_optional(sqlx::query(LOCK).bind(name.to_owned())).await?.as_ref().map(read).transpose()
}

const TAKE: &str = "update quotas set used = used + $2, version = version + 1 where name = $1 and used + $2 <= most";

/// Takes so much of a quota, where so much is left; else nothing, and false. It is locked then.
///
/// # Errors
/// [`Error`].
pub async fn take(tx: &mut Tx<'_>, name: &str, amount: Amount) -> Result<bool, Error> {
    Ok(tx.execute(sqlx::query(TAKE).bind(name.to_owned()).bind(amount.0)).await? == 1)
}

const ADD: &str =
    "update quotas set used = used + $2, version = version + 1 where name = $1 and used + $2 between 0 and $3";

/// Adds to what is used of a quota, or takes from it, whatever its limit. False where it would be more than can be counted.
///
/// # Errors
/// [`Error`].
pub async fn add(tx: &mut Tx<'_>, name: &str, amount: i64) -> Result<bool, Error> {
    Ok(tx.execute(sqlx::query(ADD).bind(name.to_owned()).bind(amount).bind(SUM_MAX)).await? == 1)
}

const NOTICE: &str = "update quotas set told_at = $2 where name = $1 and (told_at is null or told_at <= $3)";

/// Notes that it is told now that an order exceeded a quota; false where that was told after `before`.
///
/// # Errors
/// [`Error`].
pub async fn notice(tx: &mut Tx<'_>, name: &str, now: Time, before: Time) -> Result<bool, Error> {
    Ok(tx.execute(sqlx::query(NOTICE).bind(name.to_owned()).bind(now.0).bind(before.0)).await? == 1)
}

const COUNT: &str = "select count(*) as number from quotas where tenant_id = $1";

/// How many quotas a tenant has.
///
/// # Errors
/// [`Error`].
pub async fn count(tx: &mut Tx<'_>, tenant_id: &str) -> Result<i64, Error> {
    let row = tx.fetch_optional(sqlx::query(COUNT).bind(tenant_id.to_owned())).await?;
    row.as_ref().map_or(Ok(0), |row| column(row, "number"))
}

const UNMEASURED: &str = "select count(*) as number from quota_uses where quota = $1 and unmeasured = 1";

/// How many instances a quota counts as nothing because nothing says how much they are.
///
/// # Errors
/// [`Error`].
pub async fn unmeasured(tx: &mut Tx<'_>, name: &str) -> Result<i64, Error> {
    let row = tx.fetch_optional(sqlx::query(UNMEASURED).bind(name.to_owned())).await?;
    row.as_ref().map_or(Ok(0), |row| column(row, "number"))
}

/// What a quota counts for an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UseRow {
    /// The quota.
    pub quota: String,
    /// What counts.
    pub amount: Amount,
    /// While an update is under way: what counts where it fails.
    pub back: Option<Amount>,
    /// While an update is under way: what counts where it succeeds.
    pub wanted: Option<Amount>,
    /// Nothing says how much it is.
    pub unmeasured: bool,
}

fn read_use(row: &AnyRow) -> Result<UseRow, Error> {
    Ok(UseRow {
        quota: column(row, "quota")?,
        amount: Amount(column(row, "amount")?),
        back: column::<Option<i64>>(row, "back")?.map(Amount),
        wanted: column::<Option<i64>>(row, "wanted")?.map(Amount),
        unmeasured: column::<i64>(row, "unmeasured")? != 0,
    })
}

const USES: &str =
    "select quota, amount, back, wanted, unmeasured from quota_uses where instance_id = $1 order by quota";

/// What quotas count for an instance, by their names.
///
/// # Errors
/// [`Error`].
pub async fn uses(tx: &mut Tx<'_>, instance_id: &str) -> Result<Vec<UseRow>, Error> {
    tx.fetch_all(sqlx::query(USES).bind(instance_id.to_owned())).await?.iter().map(read_use).collect()
}

const SAVE_USE: &str = "insert into quota_uses (quota, instance_id, amount, back, wanted, unmeasured) \
    values ($1, $2, $3, $4, $5, $6) on conflict (quota, instance_id) do update set amount = excluded.amount, \
    back = excluded.back, wanted = excluded.wanted, unmeasured = excluded.unmeasured";

/// Writes what a quota counts for an instance.
///
/// # Errors
/// [`Error`].
pub async fn save_use(tx: &mut Tx<'_>, instance_id: &str, row: &UseRow) -> Result<(), Error> {
    let sql = sqlx::query(SAVE_USE)
        .bind(row.quota.clone())
        .bind(instance_id.to_owned())
        .bind(row.amount.0)
        .bind(row.back.map(|amount| amount.0))
        .bind(row.wanted.map(|amount| amount.0))
        .bind(i64::from(row.unmeasured));
    tx.execute(sql).await.map(drop)
}

const DELETE_USES: &str = "delete from quota_uses where instance_id = $1";

/// Quotas count nothing for an instance any more.
///
/// # Errors
/// [`Error`].
pub async fn delete_uses(tx: &mut Tx<'_>, instance_id: &str) -> Result<(), Error> {
    tx.execute(sqlx::query(DELETE_USES).bind(instance_id.to_owned())).await.map(drop)
}

// Of what is gone nothing stands, unless a lost request may make it once more.
const STANDING: &str = "select id from instances where tenant_id = $1 and id > $2 and (gone_at is null or id in (select instance_id \
    from operations where state = 'in_progress' and kind = 'orphan_mitigation' and binding_id is null)) \
    order by id limit $3";
const LOCK_STANDING: &str = "update instances set reserved = 1, version = version + 1 \
    where tenant_id = $1 and id > $2 and id <= $3 and (gone_at is null or id in (select instance_id \
    from operations where state = 'in_progress' and kind = 'orphan_mitigation' and binding_id is null)) returning *";

/// Locks a page of a tenant's instances that may stand at their brokers, after one, and marks them as counted; with the last id of
/// the page. `None` after the last page.
///
/// # Errors
/// [`Error`].
pub async fn lock_standing(
    tx: &mut Tx<'_>,
    tenant_id: &str,
    after: &str,
    limit: i64,
) -> Result<Option<(Vec<InstanceRow>, String)>, Error> {
    let sql = sqlx::query(STANDING).bind(tenant_id.to_owned()).bind(after.to_owned()).bind(limit);
    let ids = tx.fetch_all(sql).await?;
    let Some(last) = ids.last() else { return Ok(None) };
    let last: String = column(last, "id")?;
    let sql = sqlx::query(LOCK_STANDING).bind(tenant_id.to_owned()).bind(after.to_owned()).bind(last.clone());
    let rows: Result<Vec<_>, _> = tx.fetch_all(sql).await?.iter().map(instances::read).collect();
    Ok(Some((rows?, last)))
}

const OPEN_UPDATES: &str = "select o.* from operations o join instances i on i.id = o.instance_id \
    where i.tenant_id = $1 and o.instance_id > $2 and o.instance_id <= $3 and o.kind = 'update' and o.target is not null \
    and (o.state = 'in_progress' or (o.state = 'failed' and (o.phase = 'unresolved' or o.maybe_sent = 1 \
    or (o.phase = 'polling' and o.finished_at >= o.give_up_at)))) \
    and not exists (select 1 from operations s where s.instance_id = o.instance_id and s.kind = 'update' \
    and s.state = 'succeeded' and s.finished_at >= o.created_at)";

/// Updates of a tenant's instances, after one id and up to another, that are under way, or of which nobody knows what they did.
///
/// # Errors
/// [`Error`].
pub async fn open_updates(tx: &mut Tx<'_>, tenant_id: &str, after: &str, to: &str) -> Result<Vec<OperationRow>, Error> {
    let sql = sqlx::query(OPEN_UPDATES).bind(tenant_id.to_owned()).bind(after.to_owned()).bind(to.to_owned());
    tx.fetch_all(sql).await?.iter().map(operations::read).collect()
}
