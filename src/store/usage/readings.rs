//! Readings as they are rated: corrections applied, in the order in which they count, as they were known at a horizon; and of
//! what lies outside the period as much as its quantities depend on.
//!
//! Which correction counts is decided here and in `domain::rating` in the same way: of an event of the same source, instance,
//! meter and unit, the one with the latest time, then the highest id.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;

use super::{SeriesRow, series_of};
use crate::clock::Time;
use crate::domain::meter::{Aggregation, Kind, METERS_MAX};
use crate::domain::rating::{Reading, Series};
use crate::store::Error;
use crate::store::db::{Sql, Tx, column};

/// Series that one instance may have: the meters of all plans that it ever had.
const SERIES_MAX: usize = 16 * METERS_MAX;
/// Rows of one statement.
const PAGE: i64 = 5000;

/// A place in a series, in the order in which readings count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    at: Time,
    source: i64,
    id: String,
}

/// A reading as the database has it: a row, or an element of [`WITHIN`]'s page.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Fields")]
struct Packed {
    place: Place,
    reset_id: Option<String>,
    dimensions: Option<String>,
    quantity: Option<String>,
}

/// In the order of [`WITHIN`].
type Fields = (i64, i64, String, Option<String>, Option<String>, Option<String>);

impl From<Fields> for Packed {
    fn from((at, source, id, reset_id, dimensions, quantity): Fields) -> Self {
        Self { place: Place { at: Time(at), source, id }, reset_id, dimensions, quantity }
    }
}

/// Whether any reading of an instance was corrected: what the readings of most instances need not ask one by one.
const CORRECTED: &str = "select e.position from usage_series s join usage_events e on e.series_id = s.id \
    where s.instance_id = $1 and e.corrects is not null and e.recorded_at <= $2 limit 1";

/// One question about a series: where nothing of its instance was corrected, and where something was; of either for SQLite and
/// for PostgreSQL.
#[derive(Clone, Copy, Debug)]
struct Question {
    plain: [&'static str; 2],
    corrected: [&'static str; 2],
}

impl Question {
    fn sql(self, tx: &Tx<'_>, corrected: bool) -> &'static str {
        let [sqlite, postgres] = if corrected { self.corrected } else { self.plain };
        tx.shared(sqlite, postgres)
    }
}

/// What holds in all statements: `$1` the series, `$2` the horizon. An empty quantity means void.
macro_rules! readings {
    ($quantity:literal, $before:literal, $where:literal, $after:literal) => {
        concat!(
            $before,
            "select e.at, e.source_id, e.event_id, e.reset_id, e.dimensions, ",
            $quantity,
            " as quantity from usage_events e join usage_series s on s.id = e.series_id \
            where e.series_id = $1 and e.corrects is null and e.recorded_at <= $2 and ",
            $where,
            $after
        )
    };
}

macro_rules! question {
    ($where:literal, sqlite: $before_sqlite:literal, $after_sqlite:literal, postgres: $before:literal, $after:literal) => {
        Question {
            plain: [
                readings!("e.quantity", $before_sqlite, $where, $after_sqlite),
                readings!("e.quantity", $before, $where, $after),
            ],
            corrected: [
                question!(@corrected $before_sqlite, $where, $after_sqlite),
                question!(@corrected $before, $where, $after),
            ],
        }
    };
    (@corrected $before:literal, $where:literal, $after:literal) => {
        readings!(
            "coalesce((select coalesce(c.quantity, '') \
                from usage_events c join usage_series o on o.id = c.series_id \
                where c.source_id = e.source_id and c.corrects = e.event_id and c.recorded_at <= $2 \
                and o.instance_id = s.instance_id and o.meter = s.meter and o.unit = s.unit \
                order by c.at desc, c.event_id desc limit 1), e.quantity)",
            $before,
            $where,
            $after
        )
    };
}

/// A page in one value: a row for each of millions of readings would cost more than all that is computed of it.
const WITHIN: Question = question!(
    "e.at >= $3 and e.at < $4 and (e.at, e.source_id, e.event_id) > ($5, $6, $7) \
        order by e.at, e.source_id, e.event_id limit $8",
    sqlite: "select json_group_array(json_array(at, source_id, event_id, reset_id, dimensions, quantity)) as page from (", ") r",
    postgres: "select cast(coalesce(json_agg(json_build_array(at, source_id, event_id, reset_id, dimensions, quantity)), '[]') \
        as text) as page from (", ") r"
);
const LAST_BEFORE: Question = question!(
    "e.at < $3",
    sqlite: "select * from (", ") r where quantity <> '' order by at desc, source_id desc, event_id desc limit 1",
    postgres: "select * from (", ") r where quantity <> '' order by at desc, source_id desc, event_id desc limit 1"
);
/// Per run the highest and the last, in pages of runs.
const RUNS_BEFORE: Question = question!(
    "e.at < $3",
    sqlite: "select * from (select r.*, row_number() over (partition by coalesce(reset_id, '') \
        order by instr(quantity || '.', '.') desc, quantity desc, at, source_id, event_id) as high, \
        row_number() over (partition by coalesce(reset_id, '') order by at desc, source_id desc, event_id desc) as late from (",
    ") r where quantity <> '') n where (high = 1 or late = 1) and coalesce(reset_id, '') >= $4 \
        order by coalesce(reset_id, ''), at, source_id, event_id limit $5",
    postgres: "select * from (select r.*, row_number() over (partition by coalesce(reset_id, '') \
        order by cast(quantity as numeric) desc, at, source_id, event_id) as high, \
        row_number() over (partition by coalesce(reset_id, '') order by at desc, source_id desc, event_id desc) as late from (",
    " offset 0) r where quantity <> '') n where (high = 1 or late = 1) and coalesce(reset_id, '') collate \"C\" >= $4 \
        order by coalesce(reset_id, '') collate \"C\", at, source_id, event_id limit $5"
);
/// Per run all of its first instant.
const RUNS_AFTER: Question = question!(
    "e.at >= $3",
    sqlite: "select * from (select r.*, rank() over (partition by coalesce(reset_id, '') order by at) as place from (",
    ") r where quantity <> '') n where place = 1 and coalesce(reset_id, '') >= $4 \
        order by coalesce(reset_id, ''), at, source_id, event_id limit $5",
    postgres: "select * from (select r.*, rank() over (partition by coalesce(reset_id, '') order by at) as place from (",
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
    let corrected = sqlx::query(CORRECTED).bind(instance_id.to_owned()).bind(horizon.0);
    let corrected = tx.fetch_optional(corrected).await?.is_some();
    for series in series_of(tx, instance_id, limit).await? {
        let look = Look { series: &series, horizon, corrected };
        let mut readings = match series.key.kind {
            Kind::Delta => Vec::new(),
            Kind::Gauge => look.last_before(tx, from).await?,
            Kind::Counter => look.runs(tx, Side::Before(from)).await?,
        };
        look.within(tx, (from, until), &mut readings).await?;
        if series.key.kind == Kind::Counter {
            readings.extend(look.runs(tx, Side::After(until)).await?);
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

/// What is looked at: one series, as it was known at a horizon.
#[derive(Clone, Copy, Debug)]
struct Look<'a> {
    series: &'a SeriesRow,
    horizon: Time,
    /// Whether anything of its instance was corrected by then.
    corrected: bool,
}

/// Which side of the period.
#[derive(Clone, Copy, Debug)]
enum Side {
    Before(Time),
    After(Time),
}

impl Look<'_> {
    fn ask(&self, tx: &Tx<'_>, question: Question) -> Sql {
        sqlx::query(question.sql(tx, self.corrected)).bind(self.series.id).bind(self.horizon.0)
    }

    async fn within(
        &self,
        tx: &mut Tx<'_>,
        (from, until): (Time, Time),
        readings: &mut Vec<Reading>,
    ) -> Result<(), Error> {
        let mut after = Place { at: Time(i64::MIN), source: 0, id: String::new() };
        loop {
            let sql = self.ask(tx, WITHIN).bind(from.0).bind(until.0);
            let sql = sql.bind(after.at.0).bind(after.source).bind(after.id.clone()).bind(PAGE);
            let Some(row) = tx.fetch_optional(sql).await? else { return Ok(()) };
            let page: Vec<Packed> = json("page", &column::<String>(&row, "page")?)?;
            let full = i64::try_from(page.len()).unwrap_or(i64::MAX) >= PAGE;
            if let Some(last) = page.iter().map(|packed| &packed.place).max() {
                after = last.clone();
            }
            for packed in page {
                readings.extend(self.reading(packed)?);
            }
            if !full {
                return Ok(());
            }
        }
    }

    async fn last_before(&self, tx: &mut Tx<'_>, from: Time) -> Result<Vec<Reading>, Error> {
        let row = tx.fetch_optional(self.ask(tx, LAST_BEFORE).bind(from.0)).await?;
        let packed = row.as_ref().map(packed).transpose()?;
        Ok(packed.map(|packed| self.reading(packed)).transpose()?.flatten().into_iter().collect())
    }

    /// Pages begin with the run that the page before ended in, so that no run is cut.
    async fn runs(&self, tx: &mut Tx<'_>, side: Side) -> Result<Vec<Reading>, Error> {
        let (question, edge) = match side {
            Side::Before(from) => (RUNS_BEFORE, from),
            Side::After(until) => (RUNS_AFTER, until),
        };
        let mut found: Vec<Reading> = Vec::new();
        let (mut run, mut limit) = (String::new(), PAGE);
        loop {
            let query = self.ask(tx, question).bind(edge.0).bind(run.clone()).bind(limit);
            let rows = tx.fetch_all(query).await?;
            let mut page = Vec::with_capacity(rows.len());
            for row in &rows {
                page.extend(self.reading(packed(row)?)?);
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
                found
                    .extend(page.into_iter().filter(|reading| reading.reset_id.as_deref().unwrap_or_default() != last));
                run = last;
            }
        }
    }

    /// A reading; none where it is void.
    fn reading(&self, packed: Packed) -> Result<Option<Reading>, Error> {
        let Packed { place: Place { at, source, id }, reset_id, dimensions, quantity } = packed;
        let Some(text) = quantity.filter(|text| !text.is_empty()) else { return Ok(None) };
        let quantity = text.parse().map_err(|error| Error::Corrupt { column: "quantity", source: Box::new(error) })?;
        let value = match (self.series.key.aggregation, dimensions) {
            (Aggregation::Unique, Some(text)) => {
                json::<BTreeMap<String, String>>("dimensions", &text)?.remove(&self.series.key.unique_by)
            }
            _ => None,
        };
        Ok(Some(Reading { at, source, id, quantity, reset_id, value }))
    }
}

fn packed(row: &AnyRow) -> Result<Packed, Error> {
    Ok(Packed {
        place: Place { at: Time(column(row, "at")?), source: column(row, "source_id")?, id: column(row, "event_id")? },
        reset_id: column(row, "reset_id")?,
        dimensions: column(row, "dimensions")?,
        quantity: column(row, "quantity")?,
    })
}

fn json<T: DeserializeOwned>(column: &'static str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Corrupt { column, source: Box::new(error) })
}
