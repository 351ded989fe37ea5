//! Rating what a page shows: this month so far of a few instances of one tenant, read at once and not one by one, and cut into windows
//! where a chart is made of them.

use std::collections::HashMap;

use super::{Charged, Rated, RatedSpan, pure};
use crate::app::{App, Error};
use crate::clock::Time;
use crate::domain::period::Month;
use crate::domain::price::PriceBook;
use crate::domain::rating::{History, Series, Span, rate, since};
use crate::store::{spans, usage};

/// Instances that are rated at once.
pub(in crate::app) const TOGETHER_MAX: usize = 100;

/// What was read of some instances: spans by instance, and series.
type Facts = (Vec<RatedSpan>, HashMap<String, Vec<Series>>);

impl App {
    /// Rates a month of some of a tenant's instances up to `known_at`, and hands on those that stood then, with further edges at `cuts`.
    ///
    /// # Errors
    /// Where the database fails, or whatever `each` gives.
    pub(in crate::app) async fn rated_some(
        &self,
        (tenant, instances): (&Charged, &[String]),
        (month, known_at): (Month, Time),
        cuts: &[Time],
        books: &[PriceBook],
        mut each: impl FnMut(Rated<'_>) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let range = tenant.zones.range(month);
        let until = range.end.min(known_at);
        let ids = instances.get(..TOGETHER_MAX.min(instances.len())).unwrap_or_default();
        if range.start >= until || ids.is_empty() {
            return Ok(());
        }
        let edges = tenant.edges(&range);
        let (rows, mut series) = self.facts_of_some(&tenant.id, ids, (range.start, range.end), known_at).await?;
        for spans in rows.chunk_by(|one, other| one.instance_id == other.instance_id) {
            let Some(first) = spans.first() else { continue };
            let pure: Vec<Span> = spans.iter().map(pure).collect();
            let series = series.remove(&first.instance_id).unwrap_or_default();
            let history = History {
                spans: &pure,
                series: &series,
                tenant_edges: &edges,
                books,
                zones: &tenant.zones,
                month,
                until,
            };
            let pieces = rate(&history, cuts);
            each(Rated { tenant, month, spans, books, pieces: &pieces })?;
        }
        Ok(())
    }

    async fn facts_of_some(
        &self,
        tenant_id: &str,
        ids: &[String],
        (start, end): (Time, Time),
        known_at: Time,
    ) -> Result<Facts, Error> {
        let (tenant, ids) = (tenant_id.to_owned(), serde_json::json!(ids).to_string());
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let rows = spans::of_some(tx, &tenant, &ids, end, known_at).await?;
                let measured = usage::measured(tx, &ids).await?;
                let mut series = HashMap::new();
                for spans in rows.chunk_by(|one, other| one.instance_id == other.instance_id) {
                    let Some(id) = spans.first().map(|span| &span.instance_id).filter(|id| measured.contains(*id))
                    else {
                        continue;
                    };
                    let pure: Vec<Span> = spans.iter().map(pure).collect();
                    let from = since(&pure, start);
                    series.insert(id.clone(), usage::series_of_instance(tx, id, from, end, Some(known_at)).await?);
                }
                Ok((rows, series))
            })
        });
        read.await
    }
}
