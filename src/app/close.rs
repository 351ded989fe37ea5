//! Closes months: of each tenant in order, from the first in which it had an instance on, each once it is over and its time of
//! grace, too. One process at a time does it, so that none does it in vain; that no two ever close a month differently doesn't hang on that,
//! but on the row that only one of them writes.
//!
//! Invariant: a statement, its horizon and its event are written in one transaction, after the statement before it. A process that dies
//! in between has written nothing, and the next one begins the month anew.

use std::time::Duration;

use serde_json::json;

use super::rating::Charged;
use super::statements::digest;
use super::{App, Error};
use crate::clock::Time;
use crate::domain::event::{Event, EventKind, event_id};
use crate::domain::period::Month;
use crate::domain::statement::{State, Statement};
use crate::store::leases::{self, Holder};
use crate::store::statements::{self, Progress, StatementRow};
use crate::store::{self, events};

const LEASE: &str = "closer";
/// Every transaction that began so long ago is over: what was recorded before then doesn't change any more.
pub const SETTLED: Duration = Duration::from_secs(300);
/// Tenants that are looked at together.
const PAGE: i64 = 200;

impl App {
    /// Closes all months that are due, and says how many it closed. Does nothing where another living process has the lease.
    ///
    /// # Errors
    /// Where the database fails. What was closed stays closed, and what is wrong with one tenant holds up no other.
    pub async fn close_due(&self) -> Result<u64, Error> {
        let (mut closed, mut after, mut failed) = (0, String::new(), None);
        loop {
            let from = after.clone();
            let page =
                self.db().read(|tx| Box::pin(async move { statements::progress(tx, &from, PAGE).await })).await?;
            let Some(last) = page.last() else { return failed.map_or(Ok(closed), Err) };
            after.clone_from(&last.tenant_id);
            for tenant in page {
                // Most of the time nothing is due, and this is known without asking for more.
                if !may_be_due(&tenant, self.clock().now(), self.config().billing.grace) {
                    continue;
                }
                if !self.may_close().await? {
                    return Ok(closed);
                }
                match self.close_tenant(&tenant).await {
                    Ok(months) => closed += months,
                    Err(error) => {
                        tracing::warn!(tenant.id = tenant.tenant_id, %error, "a month could not be closed");
                        failed.get_or_insert(error);
                    }
                }
            }
        }
    }

    async fn may_close(&self) -> Result<bool, Error> {
        let process = self.process().to_owned();
        let holder = self.db().read(|tx| Box::pin(async move { leases::holder(tx, LEASE, &process).await }));
        Ok(holder.await? != Holder::Other)
    }

    /// Closes all months of one tenant that are due.
    async fn close_tenant(&self, progress: &Progress) -> Result<u64, Error> {
        let (mut closed, mut last) = (0, progress.last);
        loop {
            let now = self.clock().now();
            let tenant = self.charged(&progress.tenant_id, now).await?;
            let month = last.map_or_else(|| tenant.zones.month(progress.first), Month::next);
            let range = tenant.zones.range(month);
            let due = range.end.plus(self.config().billing.grace.max(SETTLED));
            // Nothing more can come of a tenant that has been deleted for so long.
            let over = tenant.deleted_at.is_some_and(|at| range.start > at.plus(self.config().billing.accept_late));
            if now < due || over || !self.close_month(&tenant, month, now).await? {
                return Ok(closed);
            }
            (closed, last) = (closed + 1, Some(month));
        }
    }

    /// Closes one month; false where somebody else does that.
    async fn close_month(&self, tenant: &Charged, month: Month, now: Time) -> Result<bool, Error> {
        let settled = Time(now.0.saturating_sub(i64::try_from(SETTLED.as_micros()).unwrap_or(0)));
        let id = tenant.id.clone();
        let before = self.db().read(|tx| Box::pin(async move { statements::last(tx, &id).await })).await?;
        if before.as_ref().is_some_and(|before| before.period >= month) {
            return Ok(false);
        }
        // Another process's clock may have been ahead.
        let horizon = before.map_or(settled, |before| settled.max(before.horizon));
        let known = self.charged(&tenant.id, horizon).await?;
        let statement = self.compose(&known, month, horizon, State::Closed).await?;
        let document = statement.bytes();
        let row = StatementRow {
            tenant_id: tenant.id.clone(),
            period: month,
            horizon,
            currency: statement.currency.clone(),
            total: statement.total.clone(),
            digest: digest(&document),
            document,
            closed_at: now,
        };
        let event = event(&statement, &row);
        let (process, hub) = (self.process().to_owned(), self.config().server.hub.clone());
        let written = self.db().write::<_, store::Error, _>(move |tx| {
            let (row, event, process, hub) = (row.clone(), event.clone(), process.clone(), hub.clone());
            Box::pin(async move {
                if !leases::take(tx, LEASE, &process).await? || !statements::insert(tx, &row).await? {
                    return Ok(false);
                }
                events::append(tx, &hub, &event, row.closed_at).await?;
                Ok(true)
            })
        });
        Ok(written.await?)
    }
}

/// Whether a tenant's next month may be over, whatever its time zone is.
fn may_be_due(tenant: &Progress, now: Time, grace: Duration) -> bool {
    let utc = crate::domain::period::Zone::utc();
    let next = tenant.last.map_or_else(|| Month::of(tenant.first, &utc).previous(), Month::next);
    let earliest = Time(next.next().start(&utc).0 - 26 * 3_600_000_000);
    now >= earliest.plus(grace.max(SETTLED))
}

fn event(statement: &Statement, row: &StatementRow) -> Event {
    let kind = EventKind::StatementClosed;
    let corrections = statement.lines.iter().filter(|line| line.what.corrects.is_some()).count();
    Event {
        id: event_id(&format!("{}/{}", row.tenant_id, row.period), kind),
        kind,
        subject: format!("tenants/{}", statement.tenant.name),
        time: row.closed_at,
        tenant_id: Some(row.tenant_id.clone()),
        platform_id: None,
        broker_id: None,
        service_id: None,
        plan_id: None,
        instance_id: None,
        sequence: None,
        correlation_id: None,
        traceparent: None,
        data: json!({
            "tenant": { "name": statement.tenant.name, "display_name": statement.tenant.display_name },
            "period": statement.period,
            "currency": statement.currency,
            "total": statement.total,
            "lines": statement.lines.len(),
            "corrections": corrections,
            "unpriced": statement.unpriced.len(),
            "digest": row.digest,
        }),
    }
}
