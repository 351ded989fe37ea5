//! Writing what was reported, a batch at a time: sources and series that are new, then the events, then those whose key was
//! taken by another one.
//!
//! All rows of a statement go in the order of their keys, so that two processes that write the same keys wait for each other
//! instead of blocking each other. What another transaction has just written is found after the insert that waited for it.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use sqlx::any::AnyRow;

use super::{SeriesKey, series};
use crate::clock::Time;
use crate::domain::usage::UsageEvent;
use crate::store::Error;
use crate::store::db::{Tx, column};

/// An event to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewEvent<'a> {
    /// The number of its source.
    pub source_id: i64,
    /// The number of its series.
    pub series_id: i64,
    /// Tells it apart from others with its key.
    pub content: &'a [u8],
    /// What was reported.
    pub event: &'a UsageEvent,
}

/// An event that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Tells it apart from others with its key.
    pub content: Vec<u8>,
    /// Its series.
    pub series_id: i64,
    /// The series' instance.
    pub instance_id: String,
    /// The series' meter.
    pub meter: String,
    /// The series' unit.
    pub unit: String,
    /// What it corrects, if it is a correction.
    pub corrects: Option<String>,
    /// The instant that it counts at.
    pub at: Time,
}

/// A key: the source's number, the event's id.
pub type Key = (i64, String);

const SOURCES_SQLITE: &str = "select u.id, u.broker_id, u.source from usage_sources u \
    join json_each($1) j on u.broker_id = j.value ->> 0 and u.source = j.value ->> 1";
const SOURCES_POSTGRES: &str = "select u.id, u.broker_id, u.source from usage_sources u \
    join json_array_elements($1::json) j on u.broker_id = j.value ->> 0 and u.source = j.value ->> 1";
const ADD_SOURCES_SQLITE: &str = "insert into usage_sources (broker_id, source) \
    select value ->> 0, value ->> 1 from json_each($1) where true on conflict (broker_id, source) do nothing";
const ADD_SOURCES_POSTGRES: &str = "insert into usage_sources (broker_id, source) \
    select value ->> 0, value ->> 1 from json_array_elements($1::json) on conflict (broker_id, source) do nothing";

/// The numbers of these sources, each of a broker's id and a source; those that are new are made.
///
/// # Errors
/// [`Error`]
pub async fn sources(tx: &mut Tx<'_>, wanted: &[(String, String)]) -> Result<HashMap<(String, String), i64>, Error> {
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let known = sources_known(tx, &wanted).await?;
    wanted.retain(|source| !known.contains_key(source));
    if wanted.is_empty() {
        return Ok(known);
    }
    let sql = tx.shared(ADD_SOURCES_SQLITE, ADD_SOURCES_POSTGRES);
    tx.execute(sqlx::query(sql).bind(json!(wanted).to_string())).await?;
    let mut all = sources_known(tx, &wanted).await?;
    all.extend(known);
    Ok(all)
}

/// The numbers of those of these sources that are known.
///
/// # Errors
/// [`Error`]
pub async fn sources_known(
    tx: &mut Tx<'_>,
    wanted: &[(String, String)],
) -> Result<HashMap<(String, String), i64>, Error> {
    let sql = tx.shared(SOURCES_SQLITE, SOURCES_POSTGRES);
    let rows = tx.fetch_all(sqlx::query(sql).bind(json!(wanted).to_string())).await?;
    let read = |row| Ok(((column(row, "broker_id")?, column(row, "source")?), column(row, "id")?));
    rows.iter().map(read).collect()
}

const SERIES_SQLITE: &str = "select s.id, s.instance_id, s.meter, s.kind, s.aggregation, s.unit, s.unique_by \
    from usage_series s where s.instance_id in (select value from json_each($1))";
const SERIES_POSTGRES: &str = "select s.id, s.instance_id, s.meter, s.kind, s.aggregation, s.unit, s.unique_by \
    from usage_series s where s.instance_id in (select value from json_array_elements_text($1::json))";
const ADD_SERIES_SQLITE: &str = "insert into usage_series (instance_id, meter, kind, aggregation, unit, unique_by) \
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 from json_each($1) where true \
    on conflict (instance_id, meter, kind, aggregation, unit, unique_by) do nothing";
const ADD_SERIES_POSTGRES: &str = "insert into usage_series (instance_id, meter, kind, aggregation, unit, unique_by) \
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 \
    from json_array_elements($1::json) on conflict (instance_id, meter, kind, aggregation, unit, unique_by) do nothing";

/// The numbers of these series; those that are new are made.
///
/// # Errors
/// [`Error`]
pub async fn all_series(tx: &mut Tx<'_>, wanted: &[SeriesKey]) -> Result<HashMap<SeriesKey, i64>, Error> {
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let known = series_known(tx, &wanted).await?;
    wanted.retain(|key| !known.contains_key(key));
    if wanted.is_empty() {
        return Ok(known);
    }
    let rows: Vec<Value> = wanted
        .iter()
        .map(|key| {
            let (kind, aggregation) = (key.kind.as_str(), key.aggregation.as_str());
            json!([key.instance_id, key.meter, kind, aggregation, key.unit, key.unique_by])
        })
        .collect();
    let sql = tx.shared(ADD_SERIES_SQLITE, ADD_SERIES_POSTGRES);
    tx.execute(sqlx::query(sql).bind(json!(rows).to_string())).await?;
    let mut all = series_known(tx, &wanted).await?;
    all.extend(known);
    Ok(all)
}

async fn series_known(tx: &mut Tx<'_>, wanted: &[SeriesKey]) -> Result<HashMap<SeriesKey, i64>, Error> {
    let instances: HashSet<&str> = wanted.iter().map(|key| key.instance_id.as_str()).collect();
    let sql = tx.shared(SERIES_SQLITE, SERIES_POSTGRES);
    let rows = tx.fetch_all(sqlx::query(sql).bind(json!(instances).to_string())).await?;
    rows.iter().map(|row| series(row).map(|series| (series.key, series.id))).collect()
}

const INSERT_SQLITE: &str = "insert into usage_events (source_id, event_id, content, series_id, at, ended_at, quantity, \
      reset_id, dimensions, corrects, recorded_at) \
    select value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4, value ->> 5, value ->> 6, \
      value ->> 7, value ->> 8, value ->> 9, $2 from json_each($1) where true order by key \
    on conflict (source_id, event_id) do nothing returning source_id, event_id";
const INSERT_POSTGRES: &str = "insert into usage_events (source_id, event_id, content, series_id, at, ended_at, quantity, \
      reset_id, dimensions, corrects, recorded_at) \
    select cast(value ->> 0 as bigint), value ->> 1, decode(value ->> 2, 'hex'), cast(value ->> 3 as bigint), \
      cast(value ->> 4 as bigint), cast(value ->> 5 as bigint), value ->> 6, value ->> 7, value ->> 8, value ->> 9, $2 \
    from json_array_elements($1::json) with ordinality rows (value, place) order by place \
    on conflict (source_id, event_id) do nothing returning source_id, event_id";

/// Writes events whose keys are free, and says which these were. No key may be in the list twice.
///
/// # Errors
/// [`Error`]
pub async fn insert(tx: &mut Tx<'_>, events: &[NewEvent<'_>], now: Time) -> Result<HashSet<Key>, Error> {
    let mut sorted: Vec<&NewEvent<'_>> = events.iter().collect();
    sorted.sort_unstable_by(|one, other| (one.source_id, &one.event.id).cmp(&(other.source_id, &other.event.id)));
    let rows: Vec<Value> = sorted.iter().map(|new| row(new)).collect();
    let sql = tx.shared(INSERT_SQLITE, INSERT_POSTGRES);
    let written = tx.fetch_all(sqlx::query(sql).bind(json!(rows).to_string()).bind(now.0)).await?;
    written.iter().map(key).collect()
}

fn row(new: &NewEvent<'_>) -> Value {
    let event = new.event;
    let dimensions = (!event.dimensions.is_empty()).then(|| json!(event.dimensions).to_string());
    json!([
        new.source_id,
        event.id,
        hex(new.content),
        new.series_id,
        event.at.0,
        event.ended_at.map(|end| end.0),
        event.quantity,
        event.reset_id,
        dimensions,
        event.corrects,
    ])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key(row: &AnyRow) -> Result<Key, Error> {
    Ok((column(row, "source_id")?, column(row, "event_id")?))
}

const STORED_SQLITE: &str = "select e.source_id, e.event_id, e.content, e.series_id, e.corrects, e.at, s.instance_id, s.meter, s.unit \
    from json_each($1) j join usage_events e on e.source_id = j.value ->> 0 and e.event_id = j.value ->> 1 \
    join usage_series s on s.id = e.series_id";
const STORED_POSTGRES: &str = "select e.source_id, e.event_id, e.content, e.series_id, e.corrects, e.at, s.instance_id, s.meter, s.unit \
    from json_array_elements($1::json) j \
    join usage_events e on e.source_id = cast(j.value ->> 0 as bigint) and e.event_id = j.value ->> 1 \
    join usage_series s on s.id = e.series_id";

/// The events that have these keys.
///
/// # Errors
/// [`Error`]
pub async fn stored(tx: &mut Tx<'_>, keys: &[Key]) -> Result<HashMap<Key, Stored>, Error> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = tx.shared(STORED_SQLITE, STORED_POSTGRES);
    let rows = tx.fetch_all(sqlx::query(sql).bind(json!(keys).to_string())).await?;
    let read = |row| {
        let stored = Stored {
            content: column(row, "content")?,
            series_id: column(row, "series_id")?,
            instance_id: column(row, "instance_id")?,
            meter: column(row, "meter")?,
            unit: column(row, "unit")?,
            corrects: column(row, "corrects")?,
            at: Time(column(row, "at")?),
        };
        Ok((key(row)?, stored))
    };
    rows.iter().map(read).collect()
}

const CONFLICTS_SQLITE: &str = "insert into usage_conflicts (source_id, event_id, content, document, recorded_at) \
    select value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, $2 from json_each($1) where true order by key \
    on conflict (source_id, event_id, content) do nothing";
const CONFLICTS_POSTGRES: &str = "insert into usage_conflicts (source_id, event_id, content, document, recorded_at) \
    select cast(value ->> 0 as bigint), value ->> 1, decode(value ->> 2, 'hex'), value ->> 3, $2 \
    from json_array_elements($1::json) with ordinality rows (value, place) order by place \
    on conflict (source_id, event_id, content) do nothing";

/// An event whose key another one has.
#[derive(Clone, Debug)]
pub struct NewConflict<'a> {
    /// Its key.
    pub key: Key,
    /// Its content.
    pub content: Vec<u8>,
    /// As it came.
    pub document: &'a Value,
}

/// Keeps events whose keys others have; the same one is kept once.
///
/// # Errors
/// [`Error`]
pub async fn insert_conflicts(tx: &mut Tx<'_>, conflicts: &[NewConflict<'_>], now: Time) -> Result<(), Error> {
    if conflicts.is_empty() {
        return Ok(());
    }
    let mut sorted: Vec<&NewConflict<'_>> = conflicts.iter().collect();
    sorted.sort_unstable_by(|one, other| (&one.key, &one.content).cmp(&(&other.key, &other.content)));
    let row = |new: &&NewConflict<'_>| json!([new.key.0, new.key.1, hex(&new.content), new.document.to_string()]);
    let rows: Vec<Value> = sorted.iter().map(row).collect();
    let sql = tx.shared(CONFLICTS_SQLITE, CONFLICTS_POSTGRES);
    tx.execute(sqlx::query(sql).bind(json!(rows).to_string()).bind(now.0)).await.map(drop)
}
