//! What nobody decided in time. One process at a time looks; that each order ends once is due to the locks of its rows.

use super::super::{App, Error, quotas};
use super::end::{End, end};
use crate::domain::approval::ApprovalState;
use crate::domain::operation::Phase;
use crate::store::approvals::{self, ApprovalRow, Decided};
use crate::store::leases::{self, Holder};
use crate::store::{instances, operations};

const LEASE: &str = "approvals";

impl App {
    /// Ends orders that nobody decided about in time, at most so many, and says how many approvals it found. Does nothing where another
    /// living process is at it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn expire_approvals(&self, limit: i64) -> Result<usize, Error> {
        let (process, now) = (self.process().to_owned(), self.clock().now());
        let owner = process.clone();
        let due = self.db().read::<_, Error, _>(move |tx| {
            Box::pin(async move {
                let due = approvals::due(tx, now, limit).await?;
                // Read first: a write without work would cost a flush each time.
                if due.is_empty() || leases::holder(tx, LEASE, &owner).await? == Holder::Other {
                    return Ok(Vec::new());
                }
                Ok(due)
            })
        });
        let due = due.await?;
        if due.is_empty() {
            return Ok(0);
        }
        let taken = self.db().write::<_, Error, _>(move |tx| {
            let process = process.clone();
            Box::pin(async move { Ok(leases::take(tx, LEASE, &process).await?) })
        });
        if !taken.await? {
            return Ok(0);
        }
        let mut failed = None;
        for row in &due {
            if let Err(error) = self.expire(row).await {
                tracing::warn!(approval.id = row.id, %error, "an approval could not expire");
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(due.len()), Err)
    }

    async fn expire(&self, row: &ApprovalRow) -> Result<(), Error> {
        let text = format!("nobody approved the order in time: it expired at {}", row.expires_at);
        let now = self.clock().now();
        let wanted = End {
            pending: Decided { state: ApprovalState::Expired, reason: None, by: None, at: now },
            ..End::failed(osb::Error::bad_request(text), now)
        };
        let (hub, key) = (self.config().server.hub.clone(), (row.operation_id.clone(), row.instance_id.clone()));
        let ended = self.db().write::<_, Error, _>(move |tx| {
            let (hub, (id, instance_id), wanted) = (hub.clone(), key.clone(), wanted.clone());
            Box::pin(async move {
                quotas::lock(tx, &instance_id).await?;
                let Some(mut instance) = instances::lock(tx, &instance_id).await? else { return Ok(()) };
                match operations::lock_unfinished(tx, &id).await?.filter(|row| row.phase == Phase::WaitingApproval) {
                    Some(mut operation) => end(tx, &hub, &mut instance, &mut operation, &wanted).await,
                    None => Ok(()),
                }
            })
        });
        ended.await?;
        self.announce(&row.operation_id);
        Ok(())
    }
}
