//! The schema's history, embedded: `migrations/sqlite` and `migrations/postgres` hold the same steps under the same names.
//! An applied file never changes; the next step is a new file in both folders.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use super::db::{Tx, column};
use super::{Error, Kind};

/// Version, description, SQLite's text, PostgreSQL's text.
const STEPS: [(i64, &str, &str, &str); 2] = [
    (
        1,
        "first",
        include_str!("../../migrations/sqlite/0001_first.sql"),
        include_str!("../../migrations/postgres/0001_first.sql"),
    ),
    (
        2,
        "asked until",
        include_str!("../../migrations/sqlite/0002_asked_until.sql"),
        include_str!("../../migrations/postgres/0002_asked_until.sql"),
    ),
];

/// The steps for that kind of database.
pub fn migrator(kind: Kind) -> Migrator {
    let steps = STEPS.iter().map(|&(version, description, sqlite, postgres)| {
        let sql = match kind {
            Kind::Sqlite => sqlite,
            Kind::Postgres => postgres,
        };
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(steps.collect())
}

const APPLIED: &str = "select count(*) as applied from _sqlx_migrations where success";

/// How many steps of this version the database lacks.
///
/// # Errors
/// [`Error`], also where no step was ever applied.
pub async fn pending(tx: &mut Tx<'_>) -> Result<usize, Error> {
    let row = tx.fetch_optional(sqlx::query(APPLIED)).await?;
    let applied: i64 = row.as_ref().map_or(Ok(0), |row| column(row, "applied"))?;
    Ok(STEPS.len().saturating_sub(usize::try_from(applied).unwrap_or(0)))
}

const ALIVE: &str = "select 1 as alive";

/// Asks the database for nothing but an answer.
///
/// # Errors
/// [`Error`].
pub async fn alive(tx: &mut Tx<'_>) -> Result<(), Error> {
    tx.fetch_optional(sqlx::query(ALIVE)).await.map(drop)
}
