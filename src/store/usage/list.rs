//! Readings and conflicts as people look at them: as they arrived, corrections beside what they correct.

use serde_json::Value;
use sqlx::any::AnyRow;

use super::{quantity, series};
use crate::clock::Time;
use crate::domain::decimal::Decimal;
use crate::domain::permission::Sight;
use crate::store::Error;
use crate::store::db::{Tx, column};
use crate::store::usage::SeriesKey;

/// What a list is narrowed to; all must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The tenant's id.
    pub tenant_id: Option<String>,
    /// The instance's id.
    pub instance_id: Option<String>,
    /// The meter's key.
    pub meter: Option<String>,
    /// From this instant on.
    pub from: Option<Time>,
    /// Before this one.
    pub until: Option<Time>,
    /// By whose instances they are of.
    pub sight: Sight,
}

/// Where a page begins: after this reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// The series.
    pub series_id: i64,
    /// The instant.
    pub at: Time,
    /// The source.
    pub source_id: i64,
    /// The id there.
    pub event_id: String,
}

/// One row, as it was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Its place.
    pub place: After,
    /// `/brokers/{name}`
    pub source: String,
    /// What it is a reading of.
    pub series: SeriesKey,
    /// The end of its window.
    pub ended_at: Option<Time>,
    /// How much was reported; a correction without one voids.
    pub quantity: Option<Decimal>,
    /// Which run of a counter.
    pub reset_id: Option<String>,
    /// What else was said.
    pub dimensions: Option<Value>,
    /// What it corrects.
    pub corrects: Option<String>,
    /// The correction that counts instead.
    pub corrected_by: Option<String>,
    /// What counts; nothing of a correction, or of what is void.
    pub counted: Option<Decimal>,
    /// When it was recorded.
    pub recorded_at: Time,
}

/// Which correction counts is said once more in `readings`.
macro_rules! list {
    ($and:literal) => {
        concat!(
            "select l.*, k.event_id as corrected_by, case when l.corrects is not null then '' \
                when k.position is null then l.quantity else coalesce(k.quantity, '') end as counted from ( \
            select e.position, e.series_id, e.at, e.source_id, e.event_id, e.ended_at, e.quantity, e.reset_id, e.dimensions, \
                e.corrects, e.recorded_at, u.source, s.id, s.instance_id, s.meter, s.kind, s.aggregation, s.unit, s.unique_by, \
                (select c.position from usage_events c join usage_series o on o.id = c.series_id \
                    where e.corrects is null and c.source_id = e.source_id and c.corrects = e.event_id \
                    and o.instance_id = s.instance_id and o.meter = s.meter and o.unit = s.unit \
                    order by c.at desc, c.event_id desc limit 1) as fixed \
            from usage_series s join usage_events e on e.series_id = s.id join usage_sources u on u.id = e.source_id \
                join instances i on i.id = s.instance_id \
            where s.id >= $1 and (s.id > $1 or (e.at, e.source_id, e.event_id) > ($2, $3, $4)) \
                and e.at >= $5 and e.at < $6 and ($7 = '' or s.meter = $7) \
                and ($9 is null or $9 like '%|' || i.tenant_id || '|%' or $10 like '%|' || i.broker_id || '|%') ",
            $and,
            " order by s.id, e.at, e.source_id, e.event_id limit $8) l \
            left join usage_events k on k.position = l.fixed order by l.series_id, l.at, l.source_id, l.event_id"
        )
    };
}

const ALL: &str = list!("");
const OF_TENANT: &str = list!("and i.tenant_id = $11");
const OF_INSTANCE: &str = list!("and s.instance_id = $11");
const OF_BOTH: &str = list!("and i.tenant_id = $11 and s.instance_id = $12");

/// Readings by series, then in the order in which they count.
///
/// # Errors
/// [`Error`]
pub async fn events(tx: &mut Tx<'_>, filter: &Filter, after: &After, limit: i64) -> Result<Vec<EventRow>, Error> {
    let (sql, more): (_, Vec<&String>) = match (&filter.tenant_id, &filter.instance_id) {
        (None, None) => (ALL, Vec::new()),
        (Some(tenant), None) => (OF_TENANT, vec![tenant]),
        (None, Some(instance)) => (OF_INSTANCE, vec![instance]),
        (Some(tenant), Some(instance)) => (OF_BOTH, vec![tenant, instance]),
    };
    let mut query = sqlx::query(sql)
        .bind(after.series_id)
        .bind(after.at.0)
        .bind(after.source_id)
        .bind(after.event_id.clone())
        .bind(filter.from.map_or(i64::MIN, |from| from.0))
        .bind(filter.until.map_or(i64::MAX, |until| until.0))
        .bind(filter.meter.clone().unwrap_or_default())
        .bind(limit)
        .bind(filter.sight.tenants())
        .bind(filter.sight.brokers());
    for word in more {
        query = query.bind(word.clone());
    }
    tx.fetch_all(query).await?.iter().map(event).collect()
}

fn event(row: &AnyRow) -> Result<EventRow, Error> {
    let dimensions: Option<String> = column(row, "dimensions")?;
    let dimensions = dimensions.map(|text| serde_json::from_str(&text)).transpose();
    Ok(EventRow {
        place: After {
            series_id: column(row, "series_id")?,
            at: Time(column(row, "at")?),
            source_id: column(row, "source_id")?,
            event_id: column(row, "event_id")?,
        },
        source: column(row, "source")?,
        series: series(row)?.key,
        ended_at: column::<Option<i64>>(row, "ended_at")?.map(Time),
        quantity: quantity(row, "quantity")?,
        reset_id: column(row, "reset_id")?,
        dimensions: dimensions.map_err(|error| Error::Corrupt { column: "dimensions", source: Box::new(error) })?,
        corrects: column(row, "corrects")?,
        corrected_by: column(row, "corrected_by")?,
        counted: quantity(row, "counted")?,
        recorded_at: Time(column(row, "recorded_at")?),
    })
}

/// An event whose key another one has.
#[derive(Clone, Debug, PartialEq)]
pub struct ConflictRow {
    /// Its place in the list.
    pub position: i64,
    /// As it came.
    pub document: String,
    /// When it came.
    pub recorded_at: Time,
    /// The one that counts.
    pub stands: EventRow,
}

const CONFLICTS: &str = "select x.position as place, x.document, x.recorded_at as refused_at, e.series_id, e.at, e.source_id, \
      e.event_id, e.ended_at, e.quantity, e.reset_id, e.dimensions, e.corrects, e.recorded_at, u.source, s.id, s.instance_id, \
      s.meter, s.kind, s.aggregation, s.unit, s.unique_by, cast(null as text) as corrected_by, e.quantity as counted \
    from usage_conflicts x join usage_events e on e.source_id = x.source_id and e.event_id = x.event_id \
      join usage_series s on s.id = e.series_id join usage_sources u on u.id = e.source_id \
    where x.position > $1 order by x.position limit $2";

/// Conflicts in the order in which they came.
///
/// # Errors
/// [`Error`]
pub async fn conflicts(tx: &mut Tx<'_>, after: i64, limit: i64) -> Result<Vec<ConflictRow>, Error> {
    let rows = tx.fetch_all(sqlx::query(CONFLICTS).bind(after).bind(limit)).await?;
    let read = |row| {
        Ok(ConflictRow {
            position: column(row, "place")?,
            document: column(row, "document")?,
            recorded_at: Time(column(row, "refused_at")?),
            stands: event(row)?,
        })
    };
    rows.iter().map(read).collect()
}
