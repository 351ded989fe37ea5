//! Table `sinks`: how far each sink has come. Only the process with the sink's lease writes its row.

use super::db::column;
use super::{Error, Tx};
use crate::clock::Time;

/// How far a sink has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The number of the last event that is done with: delivered, or a dead letter.
    pub delivered: i64,
    /// Attempts at the next event so far.
    pub attempts: i64,
    /// When the next attempt is due.
    pub next_at: Time,
}

const CURSOR: &str = "select delivered, attempts, next_at from sinks where name = $1";

/// How far that sink has come; a sink that was never delivered to begins at the beginning.
///
/// # Errors
/// Where the database fails.
pub async fn cursor(tx: &mut Tx<'_>, name: &str) -> Result<Cursor, Error> {
    let Some(row) = tx.fetch_optional(sqlx::query(CURSOR).bind(name.to_owned())).await? else {
        return Ok(Cursor::default());
    };
    Ok(Cursor {
        delivered: column(&row, "delivered")?,
        attempts: column(&row, "attempts")?,
        next_at: Time(column(&row, "next_at")?),
    })
}

const SET: &str = "insert into sinks (name, delivered, attempts, next_at, error) values ($1, $2, $3, $4, $5) \
     on conflict (name) do update set delivered = excluded.delivered, attempts = excluded.attempts, \
       next_at = excluded.next_at, error = excluded.error where sinks.delivered <= excluded.delivered";

/// Writes how far a sink has come, and why not further. A cursor never goes back.
///
/// # Errors
/// Where the database fails.
pub async fn set(tx: &mut Tx<'_>, name: &str, cursor: &Cursor, error: Option<&str>) -> Result<(), Error> {
    let sql = sqlx::query(SET)
        .bind(name.to_owned())
        .bind(cursor.delivered)
        .bind(cursor.attempts)
        .bind(cursor.next_at.0)
        .bind(error.map(str::to_owned));
    tx.execute(sql).await.map(drop)
}

const WHY: &str = "select error from sinks where name = $1";

/// Why a sink took nothing the last time; nothing where it did.
///
/// # Errors
/// Where the database fails.
pub async fn why(tx: &mut Tx<'_>, name: &str) -> Result<Option<String>, Error> {
    let row = tx.fetch_optional(sqlx::query(WHY).bind(name.to_owned())).await?;
    row.map_or(Ok(None), |row| column(&row, "error"))
}
