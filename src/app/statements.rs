//! Statements: a tenant's month as lines, computed while it is open and read as bytes once it is closed; and computing a closed one
//! again, to see that the same facts give the same bytes.
//!
//! Invariant: a statement follows from what was recorded up to its horizon and from the statements before it, and from nothing
//! else; [`App::compose`] has no other input.

use std::collections::{BTreeMap, BTreeSet};

use super::costs::currency;
use super::rating::{Charged, Rated, ToRate};
use super::{App, Error, Listed, Page};
use crate::clock::Time;
use crate::domain::period::Month;
use crate::domain::permission::Sight;
use crate::domain::price::PriceBook;
use crate::domain::statement::{Part, State, StatedTenant, Statement, Sums, What};
use crate::store::statements::{self, StatementRow};

pub use crate::store::statements::ClosedRow;

/// How many closed months are looked at for corrections: usage that is older is refused when it arrives.
const CORRECTED_MAX: i64 = 14;

/// A statement as it is given out.
#[derive(Clone, Debug)]
pub struct Shown {
    /// What it says.
    pub statement: Statement,
    /// Its bytes: those that were kept, of a closed one.
    pub bytes: String,
    /// Their SHA-256 in hexadecimal, of a closed one.
    pub digest: Option<String>,
}

/// A closed statement beside what its facts give now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restated {
    /// SHA-256 of the bytes that were kept.
    pub digest: String,
    /// SHA-256 of the bytes that the facts give.
    pub restated_digest: String,
    /// What was recorded later counts in neither.
    pub horizon: Time,
    /// The bytes that the facts give.
    pub restated: String,
}

/// SHA-256 in hexadecimal.
pub(in crate::app) fn digest(bytes: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl App {
    /// A tenant's statement of a month: the closed one, or what it would be by what is known now.
    ///
    /// # Errors
    /// [`Error::NotFound`] of a tenant, and of a month before its first instance; [`Error::Invalid`] of a month to come.
    pub async fn statement(&self, sight: &Sight, tenant: &str, period: Month) -> Result<Shown, Error> {
        let (tenant_id, now) = (self.tenant_in_sight(sight, tenant).await?, self.clock().now());
        if let Some(row) = self.closed(&tenant_id, period).await? {
            return Ok(Shown { statement: written(&row)?, bytes: row.document, digest: Some(row.digest) });
        }
        let charged = self.charged(&tenant_id, now).await?;
        let range = charged.zones.range(period);
        if range.start > now {
            return Err(Error::invalid("", format!("period: {period} has not begun")));
        }
        let first = self.first_month(&charged).await?;
        if period != charged.zones.month(now) && first.is_none_or(|first| period < first) {
            return Err(Error::not_found("statement", format!("{tenant} {period}")));
        }
        let state = if range.end > now { State::Preview } else { State::Grace };
        let statement = self.compose(&charged, period, now, state).await?;
        Ok(Shown { bytes: statement.bytes(), statement, digest: None })
    }

    /// Closed statements, earliest first. The key of a page is `{period}/{tenant's id}`.
    ///
    /// # Errors
    /// [`Error::NotFound`] of a tenant.
    pub async fn closed_statements(
        &self,
        sight: &Sight,
        tenant: Option<&str>,
        period: Option<Month>,
        page: &Page,
    ) -> Result<Listed<ClosedRow>, Error> {
        let tenant = match tenant {
            Some(tenant) => Some(self.tenant_in_sight(sight, tenant).await?),
            None => None,
        };
        let (after, rows, only) = (page.after.clone(), page.rows(), sight.tenants());
        let read = self.db().read::<_, Error, _>(|tx| {
            Box::pin(async move {
                let after = after.split_once('/').unwrap_or_default();
                Ok(statements::list(tx, after, (tenant.as_deref(), only), period, rows).await?)
            })
        });
        Ok(page.cut(read.await?, |row| format!("{}/{}", row.period, row.tenant_id)))
    }

    /// Computes a closed statement again, from the facts up to its horizon.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the month is not closed.
    pub async fn restate(&self, tenant: &str, period: Month) -> Result<Restated, Error> {
        let tenant_id = self.feed_tenant(tenant).await?;
        let row = self.closed(&tenant_id, period).await?;
        let row = row.ok_or_else(|| Error::not_found("closed statement", format!("{tenant} {period}")))?;
        let charged = self.charged(&tenant_id, row.horizon).await?;
        let restated = self.compose(&charged, period, row.horizon, State::Closed).await?.bytes();
        Ok(Restated { digest: row.digest, restated_digest: digest(&restated), horizon: row.horizon, restated })
    }

    /// The month in which a tenant's first instance was ready, in its calendar.
    pub(in crate::app) async fn first_month(&self, tenant: &Charged) -> Result<Option<Month>, Error> {
        let id = tenant.id.clone();
        let first = self.db().read(|tx| Box::pin(async move { crate::store::spans::first(tx, &id).await })).await?;
        Ok(first.map(|first| tenant.zones.month(first)))
    }

    pub(in crate::app) async fn closed(&self, tenant_id: &str, period: Month) -> Result<Option<StatementRow>, Error> {
        let id = tenant_id.to_owned();
        Ok(self.db().read(|tx| Box::pin(async move { statements::one(tx, &id, period).await })).await?)
    }

    /// The statement of a month, by what was recorded up to `known_at`.
    pub(in crate::app) async fn compose(
        &self,
        tenant: &Charged,
        period: Month,
        known_at: Time,
        state: State,
    ) -> Result<Statement, Error> {
        let books = self.price_books(Some(known_at)).await?;
        let currency = currency(&books);
        let mut sums = self.sums(tenant, period, known_at, None, &books).await?.0.rounded(currency.as_deref());
        for correction in self.corrections(tenant, period, known_at, &books).await? {
            sums.add_all(correction);
        }
        let range = tenant.zones.range(period);
        let display_name = tenant.said_at(Time(range.end.0 - 1)).display_name.clone();
        let stated = sums.stated(currency.as_deref());
        Ok(Statement {
            tenant: StatedTenant { id: tenant.id.clone(), name: tenant.name.clone(), display_name },
            period,
            state,
            from: range.start,
            to: range.end,
            time_zone: tenant.zones.of(period).name().to_owned(),
            known_at,
            currency,
            lines: stated.lines,
            subtotals: stated.subtotals,
            total: stated.total,
            unpriced: stated.unpriced,
        })
    }

    /// What has to be said anew of closed months, by what became known since the latest of them was closed.
    async fn corrections(
        &self,
        tenant: &Charged,
        period: Month,
        known_at: Time,
        books: &[PriceBook],
    ) -> Result<Vec<Sums>, Error> {
        let id = tenant.id.clone();
        let read = self.db().read(|tx| {
            Box::pin(async move {
                let months = statements::periods(tx, &id, period, CORRECTED_MAX).await?;
                let latest = match months.first() {
                    Some(latest) => statements::one(tx, &id, *latest).await?,
                    None => None,
                };
                // Said once: in the month that is closed next.
                let next = latest.filter(|latest| latest.period.next() == period);
                Ok::<_, crate::store::Error>(next.map(|latest| (months, latest.horizon)))
            })
        });
        let Some((months, horizon)) = read.await? else { return Ok(Vec::new()) };
        let currency = currency(books);
        let mut changed = Vec::new();
        for month in months {
            let end = tenant.zones.range(month).end;
            let other_prices = books.iter().any(|book| book.created_at > horizon && book.document.effective_from < end);
            let since = if other_prices { None } else { Some(horizon) };
            let (sums, instances) = self.sums(tenant, month, known_at, since, books).await?;
            if other_prices || !instances.is_empty() {
                let instances = if other_prices { None } else { Some(instances) };
                changed.push((month, sums.rounded(currency.as_deref()), instances));
            }
        }
        if changed.is_empty() {
            return Ok(Vec::new());
        }
        let mut stated = self.stated_before(tenant, period).await?;
        let corrected = changed.into_iter().map(|(month, now, instances)| {
            let mut before = stated.remove(&month).unwrap_or_default();
            if let Some(instances) = instances {
                before.retain(&instances);
            }
            now.corrections(before, month)
        });
        Ok(corrected.collect())
    }

    /// The sums of a month, by line, and of which instances: of all, or of those of which something became known since.
    async fn sums(
        &self,
        tenant: &Charged,
        month: Month,
        known_at: Time,
        changed_since: Option<Time>,
        books: &[PriceBook],
    ) -> Result<(Sums, BTreeSet<String>), Error> {
        let (mut sums, mut instances) = (Sums::default(), BTreeSet::new());
        let what = ToRate { tenant, instance: None, month, known_at, changed_since, cuts: &[], books };
        let each = |rated: Rated<'_>| {
            instances.extend(rated.spans.first().map(|span| span.instance_id.clone()));
            for piece in rated.pieces {
                let span = rated.span(piece);
                let what = What {
                    instance_id: span.instance_id.clone(),
                    instance_name: span.instance_name.clone(),
                    platform_instance_id: span.platform_instance_id.clone(),
                    offering: span.offering.clone(),
                    plan: span.plan.clone(),
                    meter: piece.meter.clone(),
                    unit: piece.unit.clone(),
                    ..What::of(rated.said(piece))
                };
                let price = rated.price(piece).map(|(book, rule)| (book.id.as_str(), rule));
                let (quantity, amount) = (&piece.quantity, &piece.amount);
                sums.add(what, &Part { price, quantity, amount, from: piece.from, to: piece.until });
            }
            Ok(())
        };
        self.rated(what, each).await?;
        Ok((sums, instances))
    }

    /// What statements before a month's have said of each closed month, corrections included.
    async fn stated_before(&self, tenant: &Charged, period: Month) -> Result<BTreeMap<Month, Sums>, Error> {
        let id = tenant.id.clone();
        let closed =
            self.db().read(|tx| Box::pin(async move { statements::periods(tx, &id, period, CORRECTED_MAX).await }));
        let mut closed = closed.await?;
        closed.reverse();
        let mut stated: BTreeMap<Month, Sums> = closed.iter().map(|month| (*month, Sums::default())).collect();
        // One at a time: each may be long.
        for month in closed {
            let Some(row) = self.closed(&tenant.id, month).await? else { continue };
            for (about, sums) in written(&row)?.by_month() {
                if let Some(all) = stated.get_mut(&about) {
                    all.add_all(sums);
                }
            }
        }
        Ok(stated)
    }
}

/// What a closed statement's bytes say.
pub(in crate::app) fn written(row: &StatementRow) -> Result<Statement, Error> {
    let read = serde_json::from_str(&row.document);
    let corrupt =
        |source: serde_json::Error| crate::store::Error::Corrupt { column: "document", source: source.into() };
    Ok(read.map_err(corrupt)?)
}
