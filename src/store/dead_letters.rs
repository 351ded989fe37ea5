//! Table `dead_letters`: events that a sink did not take. They stay until they are delivered after all or fall out of the
//! feed's retention.

use sqlx::any::AnyRow;

use super::db::column;
use super::{Error, Tx};
use crate::clock::Time;

/// An event that a sink did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The sink.
    pub sink: String,
    /// The event.
    pub event_id: String,
    /// The event's number in the feed.
    pub sequence: i64,
    /// How often it was tried.
    pub attempts: i64,
    /// Why the last attempt failed.
    pub error: String,
    /// When it was given up.
    pub at: Time,
    /// Whether it waits to be tried once more.
    pub redeliver: bool,
}

const PUT: &str = "insert into dead_letters (sink, event_id, sequence, attempts, error, at, redeliver) \
     values ($1, $2, $3, $4, $5, $6, 0) on conflict (sink, event_id) do update set attempts = excluded.attempts, \
       error = excluded.error, at = excluded.at, redeliver = 0";

/// Records that a sink did not take an event. It no longer waits to be tried again.
///
/// # Errors
/// Where the database fails.
pub async fn put(tx: &mut Tx<'_>, letter: &DeadLetter) -> Result<(), Error> {
    let sql = sqlx::query(PUT)
        .bind(letter.sink.clone())
        .bind(letter.event_id.clone())
        .bind(letter.sequence)
        .bind(letter.attempts)
        .bind(letter.error.clone())
        .bind(letter.at.0);
    tx.execute(sql).await.map(drop)
}

const PAGE: &str = "select sink, event_id, sequence, attempts, error, at, redeliver from dead_letters \
     where ($1 = '' or sink = $1) and (sequence > $2 or (sequence = $2 and sink > $3)) order by sequence, sink limit $4";

/// Dead letters of one sink, or of all, behind that number and sink.
///
/// # Errors
/// Where the database fails.
pub async fn page(
    tx: &mut Tx<'_>,
    sink: Option<&str>,
    after: (i64, &str),
    limit: i64,
) -> Result<Vec<DeadLetter>, Error> {
    let sql =
        sqlx::query(PAGE).bind(sink.unwrap_or_default().to_owned()).bind(after.0).bind(after.1.to_owned()).bind(limit);
    tx.fetch_all(sql).await?.iter().map(read).collect()
}

const REDELIVER: &str = "update dead_letters set redeliver = 1 where sink = $1";

/// Marks all dead letters of a sink to be tried once more, and says how many there are.
///
/// # Errors
/// Where the database fails.
pub async fn redeliver(tx: &mut Tx<'_>, sink: &str) -> Result<u64, Error> {
    tx.execute(sqlx::query(REDELIVER).bind(sink.to_owned())).await
}

const WAITING: &str = "select sink, event_id, sequence, attempts, error, at, redeliver from dead_letters \
     where sink = $1 and redeliver = 1 order by sequence limit $2";

/// Dead letters of a sink that wait to be tried once more, lowest number first.
///
/// # Errors
/// Where the database fails.
pub async fn waiting(tx: &mut Tx<'_>, sink: &str, limit: i64) -> Result<Vec<DeadLetter>, Error> {
    tx.fetch_all(sqlx::query(WAITING).bind(sink.to_owned()).bind(limit)).await?.iter().map(read).collect()
}

const REMOVE: &str = "delete from dead_letters where sink = $1 and event_id = $2";

/// Forgets a dead letter: it was delivered after all, or its event is gone.
///
/// # Errors
/// Where the database fails.
pub async fn remove(tx: &mut Tx<'_>, sink: &str, event_id: &str) -> Result<(), Error> {
    tx.execute(sqlx::query(REMOVE).bind(sink.to_owned()).bind(event_id.to_owned())).await.map(drop)
}

const PRUNE: &str = "delete from dead_letters where sequence < (select coalesce(min(sequence), 0) from events)";

/// Forgets dead letters whose events have fallen out of the feed.
///
/// # Errors
/// Where the database fails.
pub async fn prune(tx: &mut Tx<'_>) -> Result<u64, Error> {
    tx.execute(sqlx::query(PRUNE)).await
}

fn read(row: &AnyRow) -> Result<DeadLetter, Error> {
    let redeliver: i64 = column(row, "redeliver")?;
    Ok(DeadLetter {
        sink: column(row, "sink")?,
        event_id: column(row, "event_id")?,
        sequence: column(row, "sequence")?,
        attempts: column(row, "attempts")?,
        error: column(row, "error")?,
        at: Time(column(row, "at")?),
        redeliver: redeliver == 1,
    })
}
