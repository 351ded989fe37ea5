//! `versions`: counts changes of what processes keep in memory, so that each knows when to read again.

use super::db::column;
use super::{Error, Tx};

/// Brokers and their catalogs.
pub const CATALOG: &str = "catalog";
/// What orders are decided by, whose count they read with what they read anyway: rules of approval and of plans' parameters,
/// policies, and who may order which plan.
pub const APPROVAL_RULES: &str = "approval_rules";

/// Whom catalogs show what: visibility, lifecycles, and which tenants can order from which platforms.
pub const VISIBILITY: &str = "visibility";
/// Price books.
pub const PRICES: &str = "prices";

const READ: &str = "select version from versions where name = $1";

/// How often that has changed.
///
/// # Errors
/// [`Error`]
pub async fn read(tx: &mut Tx<'_>, name: &'static str) -> Result<i64, Error> {
    let row = tx.fetch_optional(sqlx::query(READ).bind(name)).await?;
    row.map_or(Ok(0), |row| column(&row, "version"))
}

const READ_ALL: &str = "select (select version from versions where name = $1) as one, \
    (select version from versions where name = $2) as other, (select version from versions where name = $3) as third";

/// How often each of three has changed, in one question.
///
/// # Errors
/// [`Error`]
pub async fn read_all(tx: &mut Tx<'_>, [one, other, third]: [&'static str; 3]) -> Result<[i64; 3], Error> {
    let row = tx.fetch_optional(sqlx::query(READ_ALL).bind(one).bind(other).bind(third)).await?;
    row.map_or(Ok([0; 3]), |row| {
        let count = |version: Option<i64>| version.unwrap_or(0);
        Ok([count(column(&row, "one")?), count(column(&row, "other")?), count(column(&row, "third")?)])
    })
}

const BUMP: &str = "insert into versions (name, version) values ($1, 1) on conflict (name) do update set version = versions.version + 1";

/// Says that it has changed.
///
/// # Errors
/// [`Error`]
pub async fn bump(tx: &mut Tx<'_>, name: &'static str) -> Result<(), Error> {
    tx.execute(sqlx::query(BUMP).bind(name)).await.map(drop)
}
