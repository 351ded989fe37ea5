//! Readings as they are rated: corrections applied, in the order in which they count, as they were known at a horizon; and of
//! what lies outside the period as much as its quantities depend on.
//!
//! Which correction counts is decided here and in `domain::rating` in the same way: of an event of the same source, instance,
//! meter and unit, the one with the latest time, then the highest id.

use sqlx::any::AnyRow;

use super::{SeriesRow, quantity, series_of};
use crate::clock::Time;
use crate::domain::meter::{Aggregation, Kind, METERS_MAX};
use crate::domain::rating::{Reading, Series};
use crate::store::Error;
use crate::store::db::{Tx, column};

/// Series that one instance may have: the meters of all plans that it ever had.
const SERIES_MAX: usize = 16 * METERS_MAX;
/// Rows of one statement.
const PAGE: i64 = 5000;

/// A place in a series.
#[derive(Clone, Debug)]
struct Place {
    at: Time,
    source: i64,
    id: String,
}

/// What holds in all statements: `$1` the series, `$2` the horizon. An empty quantity means void.
macro_rules! readings {
    ($before:literal, $where:literal, $after:literal) => {
        concat!(
            $before,
            "select e.at, e.source_id, e.event_id, e.reset_id, e.dimensions, coalesce((select coalesce(c.quantity, '') \
                from usage_events c join usage_series o on o.id = c.series_id \
                where c.source_id = e.source_id and c.corrects = e.event_id and c.recorded_at <= $2 \
                and o.instance_id = s.instance_id and o.meter = s.meter and o.unit = s.unit \
                order by c.at desc, c.event_id desc limit 1), e.quantity) as quantity \
            from usage_events e join usage_series s on s.id = e.series_id \
            where e.series_id = $1 and e.corrects is null and e.recorded_at <= $2 and ",
            $where,
            $after
        )
    };
}

const WITHIN: &str = readings!(
    "",
    "e.at >= $3 and e.at < $4 and (e.at, e.source_id, e.event_id) > ($5, $6, $7) ",
    "order by e.at, e.source_id, e.event_id limit $8"
);
const LAST_BEFORE: &str = readings!(
    "select * from (",
    "e.at < $3",
    ") r where quantity <> '' order by at desc, source_id desc, event_id desc limit 1"
);
/// Per run the highest and the last, in pages of runs.
const RUNS_BEFORE_SQLITE: &str = readings!(
    "select * from (select r.*, row_number() over (partition by coalesce(reset_id, '') \
        order by instr(quantity || '.', '.') desc, quantity desc, at, source_id, event_id) as high, \
        row_number() over (partition by coalesce(reset_id, '') order by at desc, source_id desc, event_id desc) as late from (",
    "e.at < $3",
    ") r where quantity <> '') n where (high = 1 or late = 1) and coalesce(reset_id, '') >= $4 \
        order by coalesce(reset_id, ''), at, source_id, event_id limit $5"
);
const RUNS_BEFORE_POSTGRES: &str = readings!(
    "select * from (select r.*, row_number() over (partition by coalesce(reset_id, '') \
        order by cast(quantity as numeric) desc, at, source_id, event_id) as high, \
        row_number() over (partition by coalesce(reset_id, '') order by at desc, source_id desc, event_id desc) as late from (",
    "e.at < $3",
    " offset 0) r where quantity <> '') n where (high = 1 or late = 1) and coalesce(reset_id, '') collate \"C\" >= $4 \
        order by coalesce(reset_id, '') collate \"C\", at, source_id, event_id limit $5"
);
/// Per run all of its first instant.
const RUNS_AFTER_SQLITE: &str = readings!(
    "select * from (select r.*, rank() over (partition by coalesce(reset_id, '') order by at) as place from (",
    "e.at >= $3",
    ") r where quantity <> '') n where place = 1 and coalesce(reset_id, '') >= $4 \
        order by coalesce(reset_id, ''), at, source_id, event_id limit $5"
);
const RUNS_AFTER_POSTGRES: &str = readings!(
    "select * from (select r.*, rank() over (partition by coalesce(reset_id, '') order by at) as place from (",
    "e.at >= $3",
    " offset 0) r where quantity <> '') n where place = 1 and coalesce(reset_id, '') collate \"C\" >= $4 \
        order by coalesce(reset_id, '') collate \"C\", at, source_id, event_id limit $5"
);

/// What the quantities of an instance in `[from, until)` depend on, `from` being what `rating::since` says: its readings there; of a gauge the last one before; of a
/// counter what each run was at before, and how each goes on after (its growth counts at the reading before). Only what was recorded
/// by the horizon; all where there is none.
///
/// # Errors
/// [`Error`]
pub async fn series_of_instance(
    tx: &mut Tx<'_>,
    instance_id: &str,
    from: Time,
    until: Time,
    horizon: Option<Time>,
) -> Result<Vec<Series>, Error> {
    let horizon = horizon.unwrap_or(Time(i64::MAX));
    let mut all: Vec<Series> = Vec::new();
    let limit = i64::try_from(SERIES_MAX).unwrap_or(i64::MAX);
    for series in series_of(tx, instance_id, limit).await? {
        let mut readings = match series.key.kind {
            Kind::Delta => Vec::new(),
            Kind::Gauge => last_before(tx, &series, from, horizon).await?,
            Kind::Counter => runs(tx, &series, Side::Before(from), horizon).await?,
        };
        within(tx, &series, (from, until), horizon, &mut readings).await?;
        if series.key.kind == Kind::Counter {
            readings.extend(runs(tx, &series, Side::After(until), horizon).await?);
        }
        add(&mut all, series, readings);
    }
    for series in &mut all {
        series.readings.sort_by(|one, other| {
            (one.at, one.source).cmp(&(other.at, other.source)).then_with(|| one.id.cmp(&other.id))
        });
    }
    Ok(all)
}

/// Whatever dimension was counted at a time, it is one meter.
fn add(all: &mut Vec<Series>, row: SeriesRow, readings: Vec<Reading>) {
    let key = row.key;
    if readings.is_empty() {
        return;
    }
    let same = |other: &&mut Series| {
        (&other.meter, other.kind, other.aggregation, &other.unit) == (&key.meter, key.kind, key.aggregation, &key.unit)
    };
    match all.iter_mut().find(same) {
        Some(other) => other.readings.extend(readings),
        None => all.push(Series {
            meter: key.meter,
            kind: key.kind,
            aggregation: key.aggregation,
            unit: key.unit,
            readings,
        }),
    }
}

async fn within(
    tx: &mut Tx<'_>,
    series: &SeriesRow,
    (from, until): (Time, Time),
    horizon: Time,
    readings: &mut Vec<Reading>,
) -> Result<(), Error> {
    let mut after = Place { at: Time(i64::MIN), source: 0, id: String::new() };
    loop {
        let sql = sqlx::query(WITHIN)
            .bind(series.id)
            .bind(horizon.0)
            .bind(from.0)
            .bind(until.0)
            .bind(after.at.0)
            .bind(after.source)
            .bind(after.id.clone())
            .bind(PAGE);
        let rows = tx.fetch_all(sql).await?;
        if let Some(last) = rows.last() {
            after = place(last)?;
        }
        for row in &rows {
            readings.extend(reading(row, series)?);
        }
        if i64::try_from(rows.len()).unwrap_or(i64::MAX) < PAGE {
            return Ok(());
        }
    }
}

async fn last_before(tx: &mut Tx<'_>, series: &SeriesRow, from: Time, horizon: Time) -> Result<Vec<Reading>, Error> {
    let row = tx.fetch_optional(sqlx::query(LAST_BEFORE).bind(series.id).bind(horizon.0).bind(from.0)).await?;
    Ok(row.map(|row| reading(&row, series)).transpose()?.flatten().into_iter().collect())
}

/// Which side of the period.
#[derive(Clone, Copy, Debug)]
enum Side {
    Before(Time),
    After(Time),
}

/// Pages begin with the run that the page before ended in, so that no run is cut.
async fn runs(tx: &mut Tx<'_>, series: &SeriesRow, side: Side, horizon: Time) -> Result<Vec<Reading>, Error> {
    let (sql, edge) = match side {
        Side::Before(from) => (tx.shared(RUNS_BEFORE_SQLITE, RUNS_BEFORE_POSTGRES), from),
        Side::After(until) => (tx.shared(RUNS_AFTER_SQLITE, RUNS_AFTER_POSTGRES), until),
    };
    let mut found: Vec<Reading> = Vec::new();
    let (mut run, mut limit) = (String::new(), PAGE);
    loop {
        let query = sqlx::query(sql).bind(series.id).bind(horizon.0).bind(edge.0).bind(run.clone()).bind(limit);
        let rows = tx.fetch_all(query).await?;
        let mut page = Vec::with_capacity(rows.len());
        for row in &rows {
            page.extend(reading(row, series)?);
        }
        let more = i64::try_from(rows.len()).unwrap_or(i64::MAX) >= limit;
        let last = page.last().and_then(|last: &Reading| last.reset_id.clone()).unwrap_or_default();
        if !more {
            found.extend(page);
            return Ok(found);
        }
        if last == run {
            // One run fills the page: it has to be larger.
            limit = limit.saturating_mul(2);
        } else {
            found.extend(page.into_iter().filter(|reading| reading.reset_id.as_deref().unwrap_or_default() != last));
            run = last;
        }
    }
}

fn place(row: &AnyRow) -> Result<Place, Error> {
    Ok(Place { at: Time(column(row, "at")?), source: column(row, "source_id")?, id: column(row, "event_id")? })
}

/// A row; none where it is void.
fn reading(row: &AnyRow, series: &SeriesRow) -> Result<Option<Reading>, Error> {
    let Some(quantity) = quantity(row, "quantity")? else { return Ok(None) };
    let value = match series.key.aggregation {
        Aggregation::Unique => value(row, &series.key.unique_by)?,
        _ => None,
    };
    let place = place(row)?;
    let reset_id = column(row, "reset_id")?;
    Ok(Some(Reading { at: place.at, source: place.source, id: place.id, quantity, reset_id, value }))
}

fn value(row: &AnyRow, dimension: &str) -> Result<Option<String>, Error> {
    let Some(text) = column::<Option<String>>(row, "dimensions")? else { return Ok(None) };
    let read: Result<std::collections::BTreeMap<String, String>, _> = serde_json::from_str(&text);
    let mut read = read.map_err(|error| Error::Corrupt { column: "dimensions", source: Box::new(error) })?;
    Ok(read.remove(dimension))
}
