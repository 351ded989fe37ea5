//! Rating what the database holds: walks a tenant's instances of a month, page by page, and hands the pieces of one after the
//! other on. Memory stays flat: there is never more of it than one instance's readings of one month.
//!
//! What a piece costs is decided in [`crate::domain::rating`]. Invariant: what was recorded after `known_at` counts for nothing, so
//! a question about a horizon that has passed has the same answer for ever.

mod some;

use std::collections::HashSet;
use std::ops::Range;

use super::{App, Error};
use crate::clock::Time;
use crate::domain::cost::same_charges;
use crate::domain::period::{Month, Zone, Zones};
use crate::domain::price::{PriceBook, Rule};
use crate::domain::rating::{History, Piece, Series, Span, rate, since};
use crate::domain::tenant::TenantDocument;
use crate::store::tenants::ChargedRow;
use crate::store::{changes, spans, tenants, usage};

pub use crate::store::spans::SpanRow as RatedSpan;

/// Instances whose spans are read at once.
const PAGE: i64 = 100;

/// A tenant as it is charged: who it is, what was said about it from when on, and the calendar that follows from that.
#[derive(Clone, Debug)]
pub struct Charged {
    /// For ever the same.
    pub id: String,
    /// Its name; a deleted tenant's may be another's by now.
    pub name: String,
    /// When it was deleted.
    pub deleted_at: Option<Time>,
    /// Its calendar.
    pub zones: Zones,
    /// Earliest first; never empty.
    versions: Vec<(Time, TenantDocument)>,
}

/// What is to be rated.
#[derive(Clone, Debug)]
pub struct ToRate<'a> {
    /// Whose instances.
    pub tenant: &'a Charged,
    /// One instance only, by Bourse's own id.
    pub instance: Option<&'a str>,
    /// In which month of the tenant's calendar.
    pub month: Month,
    /// What was recorded later doesn't count. The month ends there where it is not over.
    pub known_at: Time,
    /// Only instances of which something became known after that time that may change this month; all where absent.
    pub changed_since: Option<Time>,
    /// Further edges, ascending.
    pub cuts: &'a [Time],
    /// By which prices.
    pub books: &'a [PriceBook],
}

/// One instance's month, rated.
#[derive(Clone, Copy, Debug)]
pub struct Rated<'a> {
    /// Whose.
    pub tenant: &'a Charged,
    /// Which month.
    pub month: Month,
    /// Its spans up to the month's end, earliest first; never empty.
    pub spans: &'a [RatedSpan],
    /// The prices.
    pub books: &'a [PriceBook],
    /// What it comes to.
    pub pieces: &'a [Piece],
}

impl Charged {
    fn new(row: ChargedRow, versions: Vec<(Time, TenantDocument)>, zone: &Zone) -> Self {
        let mut said = Vec::new();
        for (since, document) in &versions {
            let named = document.time_zone.as_ref().and_then(|name| name.parse().ok());
            let next = named.unwrap_or_else(|| zone.clone());
            if said.last().is_none_or(|(_, before)| *before != next) {
                said.push((*since, next));
            }
        }
        let first = said.first().map_or_else(|| zone.clone(), |(_, first)| first.clone());
        let versions = if versions.is_empty() { vec![(Time(0), TenantDocument::default())] } else { versions };
        Self { id: row.id, name: row.name, deleted_at: row.deleted_at, zones: Zones::new(first, said), versions }
    }

    /// What was said about it at a time; before anything was said, what was said first.
    pub fn said_at(&self, at: Time) -> &TenantDocument {
        let later = self.versions.partition_point(|(since, _)| *since <= at);
        let (_, document) = &self.versions[later.saturating_sub(1)];
        document
    }

    /// Whether something was ever so.
    pub fn was_said(&self, so: impl Fn(&TenantDocument) -> bool) -> bool {
        self.versions.iter().any(|(_, said)| so(said))
    }

    /// When something changed that decides where charges go.
    fn edges(&self, within: &Range<Time>) -> Vec<Time> {
        let changes = self.versions.windows(2).filter(|pair| !same_charges(&pair[0].1, &pair[1].1));
        changes.map(|pair| pair[1].0).filter(|at| within.contains(at)).collect()
    }
}

impl<'a> Rated<'a> {
    /// The span that a piece is of.
    pub fn span(&self, piece: &Piece) -> &'a RatedSpan {
        &self.spans[piece.span]
    }

    /// What was said about the tenant at the time of a piece.
    pub fn said(&self, piece: &Piece) -> &'a TenantDocument {
        self.tenant.said_at(piece.from)
    }

    /// The price of a piece; none where it has none.
    pub fn price(&self, piece: &Piece) -> Option<(&'a PriceBook, &'a Rule)> {
        let price = piece.price.as_ref()?;
        let book = self.books.get(price.book)?;
        Some((book, book.document.rules.get(price.rule)?))
    }
}

impl App {
    /// A tenant as it is charged, as that was known at a time, be it deleted.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn charged(&self, tenant_id: &str, known_at: Time) -> Result<Charged, Error> {
        let (id, zone) = (tenant_id.to_owned(), Zone::from(self.config().billing.time_zone.clone()));
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let row = tenants::charged_one(tx, &id).await?;
                let row = row.ok_or_else(|| Error::not_found("tenant", &id))?;
                let versions = tenants::versions(tx, &id, known_at).await?;
                Ok(Charged::new(row, versions, &zone))
            })
        });
        read.await
    }

    /// The ids of tenants that ever had an instance, in order, after one.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn charged_tenants(&self, after: &str) -> Result<Vec<String>, Error> {
        let after = after.to_owned();
        let rows = self.db().read(|tx| Box::pin(async move { tenants::charged(tx, &after, PAGE).await })).await?;
        Ok(rows.into_iter().map(|row| row.id).collect())
    }

    /// Rates a tenant's month, and hands on one instance after the other, in the order of their ids.
    ///
    /// # Errors
    /// Where the database fails, or whatever `each` gives.
    pub async fn rated(
        &self,
        what: ToRate<'_>,
        mut each: impl FnMut(Rated<'_>) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let range = what.tenant.zones.range(what.month);
        let within = range.start..range.end.min(what.known_at);
        if within.is_empty() {
            return Ok(());
        }
        let edges = what.tenant.edges(&range);
        let mut after = String::new();
        loop {
            let (rows, next) = self.spans_of(&what, &range, &after).await?;
            for spans in rows.chunk_by(|one, other| one.instance_id == other.instance_id) {
                let pure: Vec<Span> = spans.iter().map(pure).collect();
                let needed = since(&pure, range.start)..range.end;
                let series = self.series_of(&spans[0].instance_id, needed, what.known_at).await?;
                let history = History {
                    spans: &pure,
                    series: &series,
                    tenant_edges: &edges,
                    books: what.books,
                    zones: &what.tenant.zones,
                    month: what.month,
                    until: within.end,
                };
                let pieces = rate(&history, what.cuts);
                each(Rated { tenant: what.tenant, month: what.month, spans, books: what.books, pieces: &pieces })?;
            }
            match next {
                Some(next) => after = next,
                None => return Ok(()),
            }
        }
    }

    /// A page of spans, those of one instance together, and where the next page begins.
    async fn spans_of(
        &self,
        what: &ToRate<'_>,
        range: &Range<Time>,
        after: &str,
    ) -> Result<(Vec<RatedSpan>, Option<String>), Error> {
        let (tenant, known_at, range) = (what.tenant.id.clone(), what.known_at, range.clone());
        let (after, only, changed_since) = (after.to_owned(), what.instance.map(str::to_owned), what.changed_since);
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                if let Some(only) = only {
                    return Ok((spans::of(tx, &tenant, (&only, &only), range.end, known_at).await?, None));
                }
                // What was taken for standing then, and is known not to have stood now, has changed, too.
                let stood_at = changed_since.unwrap_or(known_at);
                let mut ids = spans::standing(tx, &tenant, &range, stood_at, &after, PAGE).await?;
                let full = i64::try_from(ids.len()).is_ok_and(|count| count >= PAGE);
                let (Some(first), Some(last)) = (ids.first().cloned(), ids.last().cloned()) else {
                    return Ok((Vec::new(), None));
                };
                if let Some(since) = changed_since {
                    ids = changes::of_month(tx, &tenant, (&first, &last), (since, known_at), range.end).await?;
                }
                let mut rows = match ids.is_empty() {
                    true => Vec::new(),
                    false => spans::of(tx, &tenant, (&first, &last), range.end, known_at).await?,
                };
                // In the database's order, which need not be that of their bytes.
                let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
                rows.retain(|row| ids.contains(row.instance_id.as_str()));
                Ok((rows, full.then_some(last)))
            })
        });
        read.await
    }

    /// What was measured of an instance within a time, with what is needed from before it.
    async fn series_of(&self, instance: &str, needed: Range<Time>, known_at: Time) -> Result<Vec<Series>, Error> {
        let id = instance.to_owned();
        let read = self.db().read(|tx| {
            Box::pin(async move { usage::series_of_instance(tx, &id, needed.start, needed.end, Some(known_at)).await })
        });
        Ok(read.await?)
    }
}

fn pure(row: &RatedSpan) -> Span {
    Span {
        offering: row.offering.clone(),
        plan: row.plan.clone(),
        from: row.started_at,
        until: row.ended_at,
        setup: row.setup,
    }
}
