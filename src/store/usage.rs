//! Tables `usage_series`, `usage_sources`, `usage_events` and `usage_conflicts`: what brokers reported. Rows are added, never
//! changed. Writing is in [`ingest`], lists for people in [`list`], what is rated in [`readings`], silence in [`silence`].
//!
//! Lists of keys come in as one JSON text, which the database takes apart: a batch is a handful of statements, however large.

pub mod facts;
pub mod ingest;
pub mod list;
pub mod pulls;
pub mod readings;
pub mod silence;

use std::collections::HashSet;

use sqlx::any::AnyRow;

use super::db::column;
use super::{Error, Tx};
use crate::domain::decimal::Decimal;
use crate::domain::meter::{Aggregation, Kind};

pub use readings::series_of_instance;

/// What makes a series: one way in which something is measured of an instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey {
    /// The instance.
    pub instance_id: String,
    /// The meter's key.
    pub meter: String,
    /// What one reading means.
    pub kind: Kind,
    /// How they add up.
    pub aggregation: Aggregation,
    /// Of what.
    pub unit: String,
    /// The dimension whose values are counted; empty where none is.
    pub unique_by: String,
}

/// A series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesRow {
    /// Its number.
    pub id: i64,
    /// What makes it.
    pub key: SeriesKey,
}

fn series(row: &AnyRow) -> Result<SeriesRow, Error> {
    let (kind, aggregation): (String, String) = (column(row, "kind")?, column(row, "aggregation")?);
    let unreadable = |column, text: &str| Error::Corrupt { column, source: text.into() };
    Ok(SeriesRow {
        id: column(row, "id")?,
        key: SeriesKey {
            instance_id: column(row, "instance_id")?,
            meter: column(row, "meter")?,
            kind: Kind::read(&kind).ok_or_else(|| unreadable("kind", &kind))?,
            aggregation: Aggregation::read(&aggregation).ok_or_else(|| unreadable("aggregation", &aggregation))?,
            unit: column(row, "unit")?,
            unique_by: column(row, "unique_by")?,
        },
    })
}

/// A stored quantity; none where the text is empty.
fn quantity(row: &AnyRow, name: &'static str) -> Result<Option<Decimal>, Error> {
    let Some(text) = column::<Option<String>>(row, name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let read = text.parse().map_err(|error| Error::Corrupt { column: name, source: Box::new(error) })?;
    Ok(Some(read))
}

const SERIES_OF: &str = "select id, instance_id, meter, kind, aggregation, unit, unique_by from usage_series \
    where instance_id = $1 order by meter, id limit $2";

/// The series of an instance, at most `limit`.
///
/// # Errors
/// [`Error`]
pub async fn series_of(tx: &mut Tx<'_>, instance_id: &str, limit: i64) -> Result<Vec<SeriesRow>, Error> {
    let rows = tx.fetch_all(sqlx::query(SERIES_OF).bind(instance_id.to_owned()).bind(limit)).await?;
    rows.iter().map(series).collect()
}

const MEASURED_SQLITE: &str =
    "select distinct instance_id from usage_series where instance_id in (select value from json_each($1))";
const MEASURED_POSTGRES: &str = "select distinct instance_id from usage_series \
    where instance_id in (select value from json_array_elements_text($1::json))";

/// Of which of these instances (a JSON list of ids) anything was ever reported.
///
/// # Errors
/// [`Error`]
pub async fn measured(tx: &mut Tx<'_>, instances: &str) -> Result<HashSet<String>, Error> {
    let sql = sqlx::query(tx.shared(MEASURED_SQLITE, MEASURED_POSTGRES)).bind(instances.to_owned());
    tx.fetch_all(sql).await?.iter().map(|row| column(row, "instance_id")).collect()
}

const WEIGHTED_SQLITE: &str = "select instance_id, meter, unit from usage_series \
    where aggregation = $2 and instance_id in (select value from json_each($1))";
const WEIGHTED_POSTGRES: &str = "select instance_id, meter, unit from usage_series \
    where aggregation = $2 and instance_id in (select value from json_array_elements_text($1::json))";

/// The time-weighted series of these instances (a JSON list of ids), as (instance, meter, unit).
///
/// # Errors
/// [`Error`]
pub async fn time_weighted(tx: &mut Tx<'_>, instances: &str) -> Result<HashSet<(String, String, String)>, Error> {
    let sql = sqlx::query(tx.shared(WEIGHTED_SQLITE, WEIGHTED_POSTGRES));
    let sql = sql.bind(instances.to_owned()).bind(Aggregation::TimeWeighted.as_str());
    let rows = tx.fetch_all(sql).await?;
    rows.iter().map(|row| Ok((column(row, "instance_id")?, column(row, "meter")?, column(row, "unit")?))).collect()
}
