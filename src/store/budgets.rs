//! Tables `budgets` and `budget_notices`: budgets by name, and which of their thresholds were told in which period.

use sqlx::any::AnyRow;

use super::db::column;
use super::{Error, Tx};
use crate::clock::Time;
use crate::domain::budget::BudgetDocument;

/// A budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetRow {
    /// Immutable.
    pub name: String,
    /// What it says.
    pub document: BudgetDocument,
    /// Counts changes.
    pub version: i64,
    /// Since when.
    pub created_at: Time,
}

fn read(row: &AnyRow) -> Result<BudgetRow, Error> {
    let document: String = column(row, "document")?;
    let document = serde_json::from_str(&document);
    Ok(BudgetRow {
        name: column(row, "name")?,
        document: document.map_err(|source| Error::Corrupt { column: "document", source: source.into() })?,
        version: column(row, "version")?,
        created_at: Time(column(row, "created_at")?),
    })
}

const PUT: &str = "insert into budgets (name, document, version, created_at) values ($1, $2, 1, $3) \
    on conflict (name) do update set document = excluded.document, version = budgets.version + 1 \
    returning name, document, version, created_at";

/// Creates or replaces a budget.
///
/// # Errors
/// [`Error`].
pub async fn put(tx: &mut Tx<'_>, name: &str, document: &BudgetDocument, now: Time) -> Result<BudgetRow, Error> {
    let sql = sqlx::query(PUT).bind(name.to_owned()).bind(serde_json::json!(document).to_string()).bind(now.0);
    let row = tx.fetch_optional(sql).await?;
    row.as_ref().map(read).transpose()?.ok_or(Error::Taken)
}

const ONE: &str = "select * from budgets where name = $1";

/// The budget of a name.
///
/// # Errors
/// [`Error`].
pub async fn one(tx: &mut Tx<'_>, name: &str) -> Result<Option<BudgetRow>, Error> {
    tx.fetch_optional(sqlx::query(ONE).bind(name.to_owned())).await?.as_ref().map(read).transpose()
}

const LIST: &str = "select * from budgets where name > $1 order by name limit $2";

/// Budgets by name, after one.
///
/// # Errors
/// [`Error`].
pub async fn list(tx: &mut Tx<'_>, after: &str, limit: u32) -> Result<Vec<BudgetRow>, Error> {
    let rows = tx.fetch_all(sqlx::query(LIST).bind(after.to_owned()).bind(i64::from(limit))).await?;
    rows.iter().map(read).collect()
}

const COUNT: &str = "select count(*) as number from budgets";

/// How many there are.
///
/// # Errors
/// [`Error`].
pub async fn count(tx: &mut Tx<'_>) -> Result<i64, Error> {
    let row = tx.fetch_optional(sqlx::query(COUNT)).await?;
    row.as_ref().map_or(Ok(0), |row| column(row, "number"))
}

const DELETE: &str = "delete from budgets where name = $1";
const FORGET: &str = "delete from budget_notices where budget = $1";

/// Deletes a budget; false where there is none.
///
/// # Errors
/// [`Error`].
pub async fn delete(tx: &mut Tx<'_>, name: &str) -> Result<bool, Error> {
    forget_notices(tx, name).await?;
    Ok(tx.execute(sqlx::query(DELETE).bind(name.to_owned())).await? == 1)
}

/// Forgets what was told of a budget: it says something else from now on.
///
/// # Errors
/// [`Error`].
pub async fn forget_notices(tx: &mut Tx<'_>, name: &str) -> Result<(), Error> {
    tx.execute(sqlx::query(FORGET).bind(name.to_owned())).await.map(drop)
}

const NOTICE: &str = "insert into budget_notices (budget, period, threshold, at) \
    select name, $2, $3, $4 from budgets where name = $1 and version = $5 \
    on conflict (budget, period, threshold) do nothing";

/// Notes that a threshold is told; false where it was before, or where the budget says something else by now.
///
/// # Errors
/// [`Error`].
pub async fn notice(
    tx: &mut Tx<'_>,
    budget: &BudgetRow,
    period: &str,
    threshold: &str,
    now: Time,
) -> Result<bool, Error> {
    let sql = sqlx::query(NOTICE)
        .bind(budget.name.clone())
        .bind(period.to_owned())
        .bind(threshold.to_owned())
        .bind(now.0)
        .bind(budget.version);
    Ok(tx.execute(sql).await? == 1)
}

const NOTICED: &str = "select threshold from budget_notices where budget = $1 and period = $2 order by threshold";

/// The thresholds that were told of a budget in a period.
///
/// # Errors
/// [`Error`].
pub async fn noticed(tx: &mut Tx<'_>, budget: &str, period: &str) -> Result<Vec<String>, Error> {
    let rows = tx.fetch_all(sqlx::query(NOTICED).bind(budget.to_owned()).bind(period.to_owned())).await?;
    rows.iter().map(|row| column(row, "threshold")).collect()
}
