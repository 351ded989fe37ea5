//! Numbers committed audit rows and chains each to the one before. One process at a time does it: the one that holds the lease
//! `sequencer`, which numbers events too.
//!
//! A number is given only to a row that is committed, whenever that was: a row that commits late gets a later number and is never
//! passed over. Hashes are computed with no transaction open; what is written then holds only if nobody chained meanwhile.

use serde_json::{Value, json};

use crate::app::points::Step;
use crate::app::{App, Error};
use crate::domain::audit::hash;
use crate::store::audit::{self, Link, Stored};
use crate::store::leases::{self, Holder};
use crate::store::{self};

/// As events: one process numbers both.
pub(super) const LEASE: &str = "sequencer";
/// Rows in one transaction.
pub const CHAINED_AT_ONCE: u64 = 200;

impl App {
    /// Chains rows that are committed and have no number yet, at most so many at once, and says how many. Does nothing where another
    /// living process has the lease.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn chain_audit(&self) -> Result<u64, Error> {
        let process = self.process().to_owned();
        let read = self.db().read(|tx| {
            let process = process.clone();
            Box::pin(async move {
                // The end before the rows: what another process chains in between shows as an end that is not this one.
                let last = audit::last(tx).await?;
                let waiting = audit::waiting(tx, i64::try_from(CHAINED_AT_ONCE).unwrap_or(i64::MAX)).await?;
                let ours = waiting.is_empty() || leases::holder(tx, LEASE, &process).await? != Holder::Other;
                Ok::<_, store::Error>((last, if ours { waiting } else { Vec::new() }))
            })
        });
        let (last, waiting) = read.await?;
        if waiting.is_empty() {
            return Ok(0);
        }
        let links = links(&last, &waiting);
        self.points().step(Step::AuditHashed)?;
        let chained = self.db().write::<_, Error, _>(move |tx| {
            let (process, last, links) = (process.clone(), last.clone(), links.clone());
            Box::pin(async move {
                if !leases::take(tx, LEASE, &process).await? || audit::last(tx).await? != last {
                    return Ok(0);
                }
                for link in &links {
                    if !audit::chain(tx, link).await? {
                        return Err(Error::Stale);
                    }
                }
                Ok(u64::try_from(links.len()).unwrap_or(u64::MAX))
            })
        });
        let chained = chained.await?;
        self.points().step(Step::AuditChained)?;
        Ok(chained)
    }
}

fn links((position, hash_before): &(i64, String), rows: &[Stored]) -> Vec<Link> {
    let (mut position, mut previous) = (*position, hash_before.clone());
    let link = |stored: &Stored| {
        position += 1;
        let hash = hash(&previous, &entry(position, stored));
        let link = Link { id: stored.id.clone(), position, previous: previous.clone(), hash: hash.clone() };
        previous = hash;
        link
    };
    rows.iter().map(link).collect()
}

/// A row as it is hashed, and shown.
pub(super) fn entry(position: i64, stored: &Stored) -> Value {
    let Stored { id, row } = stored;
    json!({
        "position": position,
        "id": id,
        "at": row.at,
        "actor": row.actor,
        "from": row.origin,
        "action": row.action,
        "subject": row.subject,
        "before": row.before,
        "after": row.after,
        "detail": row.detail,
    })
}
