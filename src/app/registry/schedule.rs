//! When each broker is asked for its catalog again.

use std::time::Duration;

use crate::app::{App, Error};
use crate::clock::Time;
use crate::domain::broker::Status;
use crate::store::brokers;

/// A broker that is down is asked again sooner: it comes back before its turn would.
const UNAVAILABLE_MAX: Duration = Duration::from_secs(30);
const PERIOD_MIN: Duration = Duration::from_secs(1);

impl App {
    /// Brokers that are due, at most that many: whoever gets a name asks that broker, no other process does.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn claim_due_brokers(&self, limit: i64) -> Result<Vec<String>, Error> {
        let now = self.clock().now();
        let due = self.db().read(|tx| Box::pin(brokers::due(tx, now, limit))).await?;
        if due.is_empty() {
            return Ok(due);
        }
        let next = self.next_check(now, Status::Available);
        let claimed = self.db().write::<_, Error, _>(move |tx| {
            let due = due.clone();
            Box::pin(async move {
                let mut claimed = Vec::with_capacity(due.len());
                for name in due {
                    if brokers::claim(tx, &name, now, next).await? {
                        claimed.push(name);
                    }
                }
                Ok(claimed)
            })
        });
        claimed.await
    }

    /// The period, shortened by up to a tenth, so that brokers registered together don't stay together.
    pub(super) fn next_check(&self, now: Time, status: Status) -> Time {
        let refresh = self.config().catalog.refresh.max(PERIOD_MIN);
        let period = if status == Status::Unavailable { refresh.min(UNAVAILABLE_MAX) } else { refresh };
        let part = u32::try_from(now.0.rem_euclid(1000)).unwrap_or_default();
        now.plus(period.saturating_sub(period / 10_000 * part))
    }
}
