//! Numbers committed events. One process at a time does it: the one that holds the lease `sequencer`.
//!
//! A number is given only to a row that is committed, and numbers have no gap, so a reader that has seen a number has missed
//! nothing below it, whatever order transactions ended in. Rows are numbered as they were inserted, and transactions of
//! one instance take its row before they insert, so each instance's events keep their order. The lease's row is held
//! until the commit: two processes can't number at once, however slow one of them is.

use super::{App, Error};
use crate::clock::Time;
use crate::store::leases::{self, Holder};
use crate::store::{self, dead_letters, events};

const LEASE: &str = "sequencer";
/// Rows in one transaction: bounded, so that other writers wait only shortly.
pub const SEQUENCED_AT_ONCE: u64 = 1000;
/// Rows removed at once.
const PRUNE_BATCH: i64 = 1000;

impl App {
    /// Numbers events that are committed and have no number yet, at most so many at once, and says how many. Does nothing
    /// where another living process has the lease.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn number_events(&self) -> Result<u64, Error> {
        let process = self.process().to_owned();
        let due = self.db().read(|tx| {
            let process = process.clone();
            Box::pin(async move {
                // Read first: a write without work would cost a flush twenty times a second.
                Ok::<_, store::Error>(
                    events::any_unnumbered(tx).await? && leases::holder(tx, LEASE, &process).await? != Holder::Other,
                )
            })
        });
        if !due.await? {
            return Ok(0);
        }
        let numbered = self.db().write(move |tx| {
            let process = process.clone();
            Box::pin(async move {
                if !leases::take(tx, LEASE, &process).await? {
                    return Ok(0);
                }
                events::number(tx, i64::try_from(SEQUENCED_AT_ONCE).unwrap_or(i64::MAX)).await
            })
        });
        Ok(numbered.await?)
    }

    /// Removes events that are older than the feed's retention, at most so many at once, and says how many.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn prune_events(&self) -> Result<u64, Error> {
        let retention = i64::try_from(self.config().events.retention.as_micros()).unwrap_or(i64::MAX);
        let before = Time(self.clock().now().0.saturating_sub(retention));
        let removed = self.db().write(move |tx| {
            Box::pin(async move {
                let removed = events::prune(tx, before, PRUNE_BATCH).await?;
                if removed > 0 {
                    dead_letters::prune(tx).await?;
                }
                Ok::<_, store::Error>(removed)
            })
        });
        Ok(removed.await?)
    }
}
