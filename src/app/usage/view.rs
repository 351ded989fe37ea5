//! Usage as people look at it: what was reported, what contradicted it, and what it comes to in windows of time. What it comes to
//! is gathered by `domain::rating`, as for money.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::{App, Error, Listed, Page};
use crate::clock::Time;
use crate::domain::decimal::{Exact, plain};
use crate::domain::meter::{Aggregation, INSTANCE, Kind};
use crate::domain::permission::Sight;
use crate::domain::rating::{self, Span, gather};
use crate::store;
use crate::store::usage::facts::{self, StandingRow};
use crate::store::usage::list::{self, After, ConflictRow, EventRow, Filter};
use crate::store::usage::series_of_instance;

/// Windows that one question may have.
const WINDOWS_MAX: i64 = 1000;
/// Instances that one statement looks for, and that one question looks at.
const INSTANCES_PAGE: i64 = 100;
const INSTANCES_MAX: usize = 10_000;

/// What is asked for, by names.
#[derive(Clone, Debug, Default)]
pub struct UsageQuery {
    /// The tenant's name, or its id.
    pub tenant: Option<String>,
    /// The instance's id.
    pub instance: Option<String>,
    /// The meter's key.
    pub meter: Option<String>,
    /// From this instant on.
    pub from: Option<Time>,
    /// Before this one.
    pub until: Option<Time>,
}

/// A reading as it was reported.
pub type UsageReading = EventRow;

/// An event that another one's key was taken by.
#[derive(Clone, Debug, PartialEq)]
pub struct ConflictView {
    /// As it came.
    pub refused: Value,
    /// When it came.
    pub recorded_at: Time,
    /// The event that counts.
    pub stands: UsageReading,
}

/// What a meter of an instance comes to in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathering {
    /// The instance.
    pub instance_id: String,
    /// The tenant's name.
    pub tenant: String,
    /// The meter's key.
    pub meter: String,
    /// How its readings add up.
    pub aggregation: Aggregation,
    /// Of what one reading is; time-weighted, the quantity is that times hours.
    pub unit: String,
    /// The window's first instant.
    pub from: Time,
    /// The first instant after it.
    pub until: Time,
    /// How much.
    pub quantity: String,
}

impl App {
    /// A page of what was reported, by series and in the order in which it counts.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the tenant; [`Error::Malformed`] where the cursor is none.
    pub async fn usage_events(
        &self,
        sight: &Sight,
        query: UsageQuery,
        page: &Page,
    ) -> Result<Listed<UsageReading>, Error> {
        let after = read_cursor(&page.after).ok_or_else(no_cursor)?;
        let tenant_id = match &query.tenant {
            Some(tenant) => Some(self.tenant_in_sight(sight, tenant).await?),
            None => None,
        };
        let UsageQuery { tenant: _, instance, meter, from, until } = query;
        let filter = Filter { tenant_id, instance_id: instance, meter, from, until, sight: sight.clone() };
        let rows = i64::from(page.rows());
        let rows = self.db().read(|tx| Box::pin(async move { list::events(tx, &filter, &after, rows).await })).await?;
        Ok(page.cut(rows, |row| cursor(&row.place)))
    }

    /// A page of the events whose keys others had, the first ones first.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the cursor is none.
    pub async fn usage_conflicts(&self, page: &Page) -> Result<Listed<ConflictView>, Error> {
        let after = if page.after.is_empty() { Ok(0) } else { page.after.parse() };
        let after: i64 =
            after.map_err(|_| Error::Malformed("cursor must be the `next` of another page of this list".to_owned()))?;
        let rows = i64::from(page.rows());
        let rows = self.db().read(|tx| Box::pin(async move { list::conflicts(tx, after, rows).await })).await?;
        let view = |row: ConflictRow| ConflictView {
            refused: serde_json::from_str(&row.document).unwrap_or_default(),
            recorded_at: row.recorded_at,
            stands: row.stands,
        };
        Ok(page.cut(rows, |row| row.position.to_string()).map(view))
    }

    /// A page of what meters come to, by instance, meter and time, in windows of that length; in one window where there is none.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the tenant; [`Error::Invalid`] where the time makes no sense or has too many windows.
    pub async fn usage(
        &self,
        sight: &Sight,
        query: UsageQuery,
        window: Option<std::time::Duration>,
        page: &Page,
    ) -> Result<Listed<Gathering>, Error> {
        let (Some(from), Some(until)) = (query.from, query.until) else {
            return Err(Error::invalid("", "`from` and `to` are needed"));
        };
        let edges = edges(from, until, window)?;
        let mut place = Place::read(&page.after)?;
        let tenant_id = match &query.tenant {
            Some(tenant) => self.tenant_in_sight(sight, tenant).await?,
            None => String::new(),
        };
        let wanted = usize::try_from(page.rows()).unwrap_or(usize::MAX);
        let (mut found, mut looked) = (Vec::new(), 0);
        while looked < INSTANCES_MAX {
            let by = (tenant_id.clone(), query.instance.clone(), query.meter.clone());
            let standing = self.instances_that_stood(sight, &place.instance_id, by, (from, until)).await?;
            let last = standing.last().map(|row| row.id.clone());
            let more = i64::try_from(standing.len()).unwrap_or(i64::MAX) >= INSTANCES_PAGE;
            for instance in standing {
                looked += 1;
                let gathered = self.gathered(instance, query.meter.as_deref(), &edges).await?;
                found.extend(gathered.into_iter().filter(|one| place.is_before(one)));
                if found.len() >= wanted {
                    return Ok(page.cut(found, |one| Place::of(one).text()));
                }
            }
            let Some(last) = last.filter(|_| more) else { return Ok(page.cut(found, |one| Place::of(one).text())) };
            place = Place::after(last);
        }
        Ok(Listed { items: found, next: Some(place.text()) })
    }

    async fn instances_that_stood(
        &self,
        sight: &Sight,
        first: &str,
        (tenant, instance, meter): (String, Option<String>, Option<String>),
        (from, until): (Time, Time),
    ) -> Result<Vec<StandingRow>, Error> {
        let sight = sight.clone();
        let (first, instance, meter) = (first.to_owned(), instance.unwrap_or_default(), meter.unwrap_or_default());
        let read = self.db().read(|tx| {
            Box::pin(async move {
                facts::stood(tx, &first, (&tenant, &instance, &meter), (from, until), &sight, INSTANCES_PAGE).await
            })
        });
        Ok(read.await?)
    }

    async fn gathered(
        &self,
        instance: StandingRow,
        meter: Option<&str>,
        edges: &[Time],
    ) -> Result<Vec<Gathering>, Error> {
        let (Some(from), Some(until)) = (edges.first().copied(), edges.last().copied()) else { return Ok(Vec::new()) };
        let id = instance.id.clone();
        let read = self.db().read::<_, store::Error, _>(|tx| {
            Box::pin(async move {
                let spans = facts::spans_of(tx, &id).await?;
                let since = rating::since(&spans, from);
                Ok((series_of_instance(tx, &id, since, until, None).await?, spans))
            })
        });
        let (series, spans) = read.await?;
        let mut all = Vec::new();
        let mut add = |meter: &str, aggregation, unit: &str, window: &[Time], quantity: &Exact| {
            let [from, until] = *window else { return };
            all.push(Gathering {
                instance_id: instance.id.clone(),
                tenant: instance.tenant.clone(),
                meter: meter.to_owned(),
                aggregation,
                unit: unit.to_owned(),
                from,
                until,
                quantity: plain(quantity),
            });
        };
        let wanted = |key: &str| meter.is_none_or(|meter| meter == key);
        if wanted(INSTANCE) {
            let now = self.clock().now();
            for window in edges.windows(2) {
                let stood = stood(&spans, window, now);
                if stood > 0 {
                    add(INSTANCE, Aggregation::Sum, "s", window, &Exact::new(stood.into(), 1_000_000.into()));
                }
            }
        }
        for series in series.iter().filter(|series| wanted(&series.meter)) {
            // A level goes on, but not into what is yet to come.
            let now = self.clock().now();
            let bounded: Vec<Time> =
                edges.iter().map(|edge| if series.kind == Kind::Gauge { (*edge).min(now) } else { *edge }).collect();
            for (window, gathered) in edges.windows(2).zip(gather(series, &bounded, &spans)) {
                if !gathered.is_empty() {
                    add(&series.meter, series.aggregation, &series.unit, window, &gathered.quantity());
                }
            }
        }
        all.sort_by_cached_key(Place::of);
        Ok(all)
    }
}

/// Where a quantity stands in the list; a page goes on after one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place {
    instance_id: String,
    meter: String,
    unit: String,
    aggregation: String,
    from: Time,
}

impl Place {
    fn of(gathering: &Gathering) -> Self {
        Self {
            instance_id: gathering.instance_id.clone(),
            meter: gathering.meter.clone(),
            unit: gathering.unit.clone(),
            aggregation: gathering.aggregation.as_str().to_owned(),
            from: gathering.from,
        }
    }

    /// After all that an instance has: no meter's key is that high.
    fn after(instance_id: String) -> Self {
        let (meter, rest) = (char::MAX.to_string(), String::new());
        Self { instance_id, meter, unit: rest.clone(), aggregation: rest, from: Time(0) }
    }

    fn is_before(&self, gathering: &Gathering) -> bool {
        // Instances come in the database's order, which need not be that of their bytes.
        self.instance_id != gathering.instance_id || *self < Self::of(gathering)
    }

    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    fn read(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            let empty = String::new();
            let (meter, unit, aggregation) = (empty.clone(), empty.clone(), empty.clone());
            return Ok(Self { instance_id: empty, meter, unit, aggregation, from: Time(i64::MIN) });
        }
        serde_json::from_str(text).map_err(|_| no_cursor())
    }
}

fn no_cursor() -> Error {
    Error::Malformed("cursor must be the `next` of another page of this list".to_owned())
}

/// Microseconds for which the instance stood in a window, as far as it is over.
fn stood(spans: &[Span], window: &[Time], now: Time) -> i64 {
    let [from, until] = *window else { return 0 };
    let within = |span: &Span| {
        let (begin, end) = (span.from.max(from), span.until.unwrap_or(now).min(until).min(now));
        end.0.saturating_sub(begin.0).max(0)
    };
    spans.iter().map(within).fold(0, i64::saturating_add)
}

fn edges(from: Time, until: Time, window: Option<std::time::Duration>) -> Result<Vec<Time>, Error> {
    if until <= from {
        return Err(Error::invalid("", "`to` must be after `from`"));
    }
    let length = until.0.saturating_sub(from.0);
    let step = window.map_or(length, |window| i64::try_from(window.as_micros()).unwrap_or(i64::MAX));
    if step <= 0 {
        return Err(Error::invalid("", "`window` must be longer than nothing"));
    }
    if length.div_euclid(step) >= WINDOWS_MAX && length != step.saturating_mul(WINDOWS_MAX) {
        return Err(Error::invalid(
            "",
            format!("there would be more than {WINDOWS_MAX} windows: ask for less at once"),
        ));
    }
    let mut edges = vec![from];
    let mut edge = from.0;
    while edge < until.0 {
        edge = edge.saturating_add(step).min(until.0);
        edges.push(Time(edge));
    }
    Ok(edges)
}

fn cursor(place: &After) -> String {
    format!("{}/{}/{}/{}", place.series_id, place.at.0, place.source_id, place.event_id)
}

fn read_cursor(text: &str) -> Option<After> {
    if text.is_empty() {
        return Some(After { series_id: 0, at: Time(i64::MIN), source_id: 0, event_id: String::new() });
    }
    let mut parts = text.splitn(4, '/');
    Some(After {
        series_id: parts.next()?.parse().ok()?,
        at: Time(parts.next()?.parse().ok()?),
        source_id: parts.next()?.parse().ok()?,
        event_id: parts.next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn windows_cover_the_time_and_are_bounded() {
        let edges = |until: i64, window| edges(Time(0), Time(until), window).map(|edges| edges.len()).ok();
        let second = Some(Duration::from_secs(1));
        assert_eq!(edges(10, None), Some(2));
        assert_eq!(edges(2_500_000, second), Some(4));
        assert_eq!(edges(1_000_000_000, second), Some(1001));
        assert_eq!(edges(1_000_000_001, second), None);
        assert_eq!(edges(0, None), None);
        assert_eq!(edges(5, Some(Duration::ZERO)), None);
    }

    #[test]
    fn a_cursor_is_read_back_whatever_the_id_holds() {
        let place = After { series_id: 7, at: Time(-5), source_id: 3, event_id: "a/b/c".to_owned() };
        assert_eq!(read_cursor(&cursor(&place)), Some(place));
        assert_eq!(read_cursor("7/x/3/a"), None);
    }
}
