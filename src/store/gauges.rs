//! What `/metrics` counts in the database at each scrape: a few small queries over partial indexes.

use super::db::column;
use super::{Error, Tx};
use crate::clock::Time;

/// Operations of one kind that are under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationsGauge {
    /// `provision`, `bind`, ….
    pub kind: String,
    /// `waiting_approval`, `calling`, `polling`, `unresolved`.
    pub phase: String,
    /// How many.
    pub count: i64,
    /// When the oldest of them began.
    pub oldest_at: Time,
}

const OPERATIONS: &str = "select kind, phase, count(*) as found, min(created_at) as oldest_at from operations \
     where state = 'in_progress' group by kind, phase order by kind, phase limit 100";

/// Operations that are under way.
///
/// # Errors
/// Where the database fails.
pub async fn operations(tx: &mut Tx<'_>) -> Result<Vec<OperationsGauge>, Error> {
    let rows = tx.fetch_all(sqlx::query(OPERATIONS)).await?;
    let read = |row| {
        Ok(OperationsGauge {
            kind: column(row, "kind")?,
            phase: column(row, "phase")?,
            count: column(row, "found")?,
            oldest_at: Time(column(row, "oldest_at")?),
        })
    };
    rows.iter().map(read).collect()
}

/// What the outbox holds back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxGauge {
    /// Events without a number.
    pub unnumbered: i64,
    /// When the oldest of them was recorded.
    pub oldest_at: Option<Time>,
}

const OUTBOX: &str = "select count(*) as found, min(recorded_at) as oldest_at from events where sequence is null";

/// What the outbox holds back.
///
/// # Errors
/// Where the database fails.
pub async fn outbox(tx: &mut Tx<'_>) -> Result<OutboxGauge, Error> {
    let Some(row) = tx.fetch_optional(sqlx::query(OUTBOX)).await? else { return Ok(OutboxGauge::default()) };
    let oldest_at: Option<i64> = column(&row, "oldest_at")?;
    Ok(OutboxGauge { unnumbered: column(&row, "found")?, oldest_at: oldest_at.map(Time) })
}

/// How far one sink is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkGauge {
    /// Numbered events that it has not been given.
    pub behind: i64,
    /// When the oldest of them was recorded.
    pub oldest_at: Option<Time>,
    /// Its dead letters.
    pub dead_letters: i64,
}

const SINK: &str = "select \
     (select coalesce(max(sequence), 0) from events) \
       - coalesce((select delivered from sinks where name = $1), 0) as behind, \
     (select recorded_at from events where sequence > coalesce((select delivered from sinks where name = $1), 0) \
       order by sequence limit 1) as oldest_at, \
     (select count(*) from dead_letters where sink = $1) as dead_letters";

/// How far that sink is behind.
///
/// # Errors
/// Where the database fails.
pub async fn sink(tx: &mut Tx<'_>, name: &str) -> Result<SinkGauge, Error> {
    let Some(row) = tx.fetch_optional(sqlx::query(SINK).bind(name.to_owned())).await? else {
        return Ok(SinkGauge::default());
    };
    let oldest_at: Option<i64> = column(&row, "oldest_at")?;
    Ok(SinkGauge {
        behind: column(&row, "behind")?,
        oldest_at: oldest_at.map(Time),
        dead_letters: column(&row, "dead_letters")?,
    })
}
