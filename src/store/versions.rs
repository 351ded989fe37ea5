//! `versions`: counts changes of what processes keep in memory, so that each knows when to read again.

use super::db::column;
use super::{Error, Tx};

/// Brokers and their catalogs.
pub const CATALOG: &str = "catalog";
/// Rules that orders are decided by: of approval, of plans' parameters, and policies.
pub const APPROVAL_RULES: &str = "approval_rules";

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

const READ_BOTH: &str = "select (select version from versions where name = $1) as one, \
    (select version from versions where name = $2) as other";

/// How often each of two has changed, in one question.
///
/// # Errors
/// [`Error`]
pub async fn read_both(tx: &mut Tx<'_>, one: &'static str, other: &'static str) -> Result<(i64, i64), Error> {
    let row = tx.fetch_optional(sqlx::query(READ_BOTH).bind(one).bind(other)).await?;
    row.map_or(Ok((0, 0)), |row| {
        let count = |version: Option<i64>| version.unwrap_or(0);
        Ok((count(column(&row, "one")?), count(column(&row, "other")?)))
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
