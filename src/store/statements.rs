//! Table `statements`: months of tenants that are closed. A row is written once and never changed.

use sqlx::any::AnyRow;

use super::db::column;
use super::{Error, Tx};
use crate::clock::Time;
use crate::domain::period::Month;

/// A closed month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementRow {
    /// Whose.
    pub tenant_id: String,
    /// Which month.
    pub period: Month,
    /// What was recorded later is not in it.
    pub horizon: Time,
    /// Of its amounts.
    pub currency: Option<String>,
    /// What it comes to.
    pub total: Option<String>,
    /// Its bytes.
    pub document: String,
    /// Their SHA-256, in hexadecimal.
    pub digest: String,
    /// When it was closed.
    pub closed_at: Time,
}

/// A closed month as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedRow {
    /// Whose, by id.
    pub tenant_id: String,
    /// Whose, by name.
    pub tenant: String,
    /// Which month.
    pub period: Month,
    /// What was recorded later is not in it.
    pub horizon: Time,
    /// Of its amounts.
    pub currency: Option<String>,
    /// What it comes to.
    pub total: Option<String>,
    /// SHA-256 of its bytes, in hexadecimal.
    pub digest: String,
    /// When it was closed.
    pub closed_at: Time,
}

fn period(row: &AnyRow, name: &'static str) -> Result<Month, Error> {
    let text: String = column(row, name)?;
    text.parse().map_err(|source| Error::Corrupt { column: name, source: Box::new(source) })
}

fn read(row: &AnyRow) -> Result<StatementRow, Error> {
    Ok(StatementRow {
        tenant_id: column(row, "tenant_id")?,
        period: period(row, "period")?,
        horizon: Time(column(row, "horizon")?),
        currency: column(row, "currency")?,
        total: column(row, "total")?,
        document: column(row, "document")?,
        digest: column(row, "digest")?,
        closed_at: Time(column(row, "closed_at")?),
    })
}

const INSERT: &str = "insert into statements (tenant_id, period, horizon, currency, total, document, digest, closed_at) \
    values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (tenant_id, period) do nothing";

/// Keeps a closed month; false where somebody else has closed it meanwhile.
///
/// # Errors
/// [`Error`].
pub async fn insert(tx: &mut Tx<'_>, row: &StatementRow) -> Result<bool, Error> {
    let sql = sqlx::query(INSERT)
        .bind(row.tenant_id.clone())
        .bind(row.period.to_string())
        .bind(row.horizon.0)
        .bind(row.currency.clone())
        .bind(row.total.clone())
        .bind(row.document.clone())
        .bind(row.digest.clone())
        .bind(row.closed_at.0);
    Ok(tx.execute(sql).await? == 1)
}

const ONE: &str = "select * from statements where tenant_id = $1 and period = $2";

/// A tenant's closed month.
///
/// # Errors
/// [`Error`].
pub async fn one(tx: &mut Tx<'_>, tenant_id: &str, period: Month) -> Result<Option<StatementRow>, Error> {
    let sql = sqlx::query(ONE).bind(tenant_id.to_owned()).bind(period.to_string());
    tx.fetch_optional(sql).await?.as_ref().map(read).transpose()
}

const PERIODS: &str =
    "select period from statements where tenant_id = $1 and period < $2 order by period desc limit $3";

/// The closed months of a tenant before one, the latest first.
///
/// # Errors
/// [`Error`].
pub async fn periods(tx: &mut Tx<'_>, tenant_id: &str, before: Month, limit: i64) -> Result<Vec<Month>, Error> {
    let sql = sqlx::query(PERIODS).bind(tenant_id.to_owned()).bind(before.to_string()).bind(limit);
    tx.fetch_all(sql).await?.iter().map(|row| period(row, "period")).collect()
}

const LAST: &str = "select * from statements where tenant_id = $1 order by period desc limit 1";

/// The latest closed month of a tenant.
///
/// # Errors
/// [`Error`].
pub async fn last(tx: &mut Tx<'_>, tenant_id: &str) -> Result<Option<StatementRow>, Error> {
    tx.fetch_optional(sqlx::query(LAST).bind(tenant_id.to_owned())).await?.as_ref().map(read).transpose()
}

const LIST: &str = "select s.tenant_id, t.name, s.period, s.horizon, s.currency, s.total, s.digest, s.closed_at \
    from statements s join tenants t on t.id = s.tenant_id \
    where (s.period > $1 or (s.period = $1 and s.tenant_id > $2)) and ($3 is null or s.tenant_id = $3) \
    and ($4 is null or s.period = $4) and ($6 is null or $6 like '%|' || s.tenant_id || '|%') \
    order by s.period, s.tenant_id limit $5";

/// Closed months, earliest first, after one; of one tenant, and of those ids only that are given, as `|id|id|`.
///
/// # Errors
/// [`Error`].
pub async fn list(
    tx: &mut Tx<'_>,
    (after_period, after_tenant): (&str, &str),
    (tenant_id, among): (Option<&str>, Option<String>),
    only: Option<Month>,
    limit: u32,
) -> Result<Vec<ClosedRow>, Error> {
    let sql = sqlx::query(LIST)
        .bind(after_period.to_owned())
        .bind(after_tenant.to_owned())
        .bind(tenant_id.map(str::to_owned))
        .bind(only.map(|month| month.to_string()))
        .bind(i64::from(limit))
        .bind(among);
    let closed = |row: &AnyRow| {
        Ok(ClosedRow {
            tenant_id: column(row, "tenant_id")?,
            tenant: column(row, "name")?,
            period: period(row, "period")?,
            horizon: Time(column(row, "horizon")?),
            currency: column(row, "currency")?,
            total: column(row, "total")?,
            digest: column(row, "digest")?,
            closed_at: Time(column(row, "closed_at")?),
        })
    };
    tx.fetch_all(sql).await?.iter().map(closed).collect()
}

/// How far a tenant's months are closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whose.
    pub tenant_id: String,
    /// When its first span began.
    pub first: Time,
    /// The latest closed month.
    pub last: Option<Month>,
}

const PROGRESS: &str = "select t.id, (select min(started_at) from spans where tenant_id = t.id) as first, \
    (select max(period) from statements where tenant_id = t.id) as last from tenants t where t.id > $1 \
    and exists (select 1 from spans s where s.tenant_id = t.id) order by t.id limit $2";

/// How far the months of tenants are closed that ever had an instance, by id, after one.
///
/// # Errors
/// [`Error`].
pub async fn progress(tx: &mut Tx<'_>, after: &str, limit: i64) -> Result<Vec<Progress>, Error> {
    let rows = tx.fetch_all(sqlx::query(PROGRESS).bind(after.to_owned()).bind(limit)).await?;
    let progress = |row: &AnyRow| {
        let last: Option<String> = column(row, "last")?;
        let last = last.map(|last| last.parse()).transpose();
        Ok(Progress {
            tenant_id: column(row, "id")?,
            first: Time(column(row, "first")?),
            last: last.map_err(|source| Error::Corrupt { column: "period", source: Box::new(source) })?,
        })
    };
    rows.iter().map(progress).collect()
}
