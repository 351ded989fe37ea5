//! Drives operations: those that orders of this process hand over, and those that stand in the database because their time has
//! come or because whoever worked on them has died. Both go through the same `App::work_on`.
//!
//! What is found in the database is shared out by broker: one that hangs holds a few places, however much of its work is
//! due, and fewer the fewer are left.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::app::work::Share;

/// How often the database is looked at for operations whose time has come.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How many operations are leased at once.
const LEASE_MAX: usize = 64;
/// How many operations of one broker are leased at once, and how many of it may be driven for more to be leased. Two of them
/// are as many as a broker gets calls of this kind at once: none waits in the broker's queue with a place in its hand.
const SHARE_MAX: usize = 8;
/// How many orders are driven at once. Each has a request or a person behind it, and most wait for their broker's bulkhead;
/// what is more than that is found in the database like everything else.
const ORDERS_MAX: usize = 4096;

/// Runs until cancelled; what is being driven then is finished first, bounded by the caller.
pub async fn run(app: App, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    let total = app.config().operations.concurrency;
    let due = Due { places: Arc::new(Semaphore::new(total)), total, busy: Arc::default(), more: Arc::default() };
    let order_places = Arc::new(Semaphore::new(ORDERS_MAX));
    let mut orders = app.driver();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(operation) = orders.recv(), if order_places.available_permits() > 0 => {
                let (app, place) = (app.clone(), Arc::clone(&order_places).try_acquire_owned());
                tasks.spawn(async move {
                    app.work_on(operation).await;
                    drop(place);
                });
            }
            () = due.more.notified() => due.take(&app, &tasks).await,
            _ = look.tick() => due.take(&app, &tasks).await,
        }
    }
    // Orders that were handed over and not begun: their leases are free as soon as this process has left.
    orders.close();
    tasks.close();
    tasks.wait().await;
}

/// What is driven of that which was due.
struct Due {
    places: Arc<Semaphore>,
    total: usize,
    busy: Arc<Busy>,
    /// A broker that had its whole share has room again.
    more: Arc<Notify>,
}

impl Due {
    /// Leases what is due and there is room for, and drives it.
    async fn take(&self, app: &App, tasks: &TaskTracker) {
        let mut free: Vec<OwnedSemaphorePermit> = Vec::new();
        let each = share(self.places.available_permits(), self.total);
        while free.len() < LEASE_MAX
            && let Ok(place) = Arc::clone(&self.places).try_acquire_owned()
        {
            free.push(place);
        }
        if free.is_empty() {
            return;
        }
        let without = self.busy.with_at_least(each);
        match app.anything_due(without.clone()).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, "due operations could not be looked for");
                return;
            }
        }
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let operations = match app.lease_due(Share { limit: number(free.len()), each: number(each), without }).await {
            Ok(operations) => operations,
            Err(error) => {
                tracing::warn!(%error, "due operations could not be leased");
                return;
            }
        };
        for (operation, place) in operations.into_iter().zip(free) {
            let (app, more) = (app.clone(), Arc::clone(&self.more));
            let at_work = AtWork::on(&self.busy, &operation.broker_id);
            tasks.spawn(async move {
                app.work_on(operation).await;
                let was_full = at_work.full();
                drop((at_work, place));
                if was_full {
                    more.notify_one();
                }
            });
        }
    }
}

/// One broker's share of the places: the fewer are free, the smaller it is, so that some are left for the others even where
/// many brokers hang.
fn share(free: usize, total: usize) -> usize {
    if free > total / 2 {
        SHARE_MAX
    } else if free > total / 4 {
        SHARE_MAX / 4
    } else {
        1
    }
}

/// How many operations of each broker are being driven of those that were due.
#[derive(Default)]
struct Busy(Mutex<HashMap<String, usize>>);

impl Busy {
    /// The ids of the brokers with so many or more.
    fn with_at_least(&self, many: usize) -> String {
        let brokers = self.counts();
        let full: Vec<&str> =
            brokers.iter().filter(|(_, count)| **count >= many).map(|(broker, _)| broker.as_str()).collect();
        full.join(" ")
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them, until it is dropped.
struct AtWork {
    busy: Arc<Busy>,
    broker: String,
}

impl AtWork {
    fn on(busy: &Arc<Busy>, broker: &str) -> Self {
        *busy.counts().entry(broker.to_owned()).or_default() += 1;
        Self { busy: Arc::clone(busy), broker: broker.to_owned() }
    }

    /// Whether its broker has as many as it can get.
    fn full(&self) -> bool {
        self.busy.counts().get(&self.broker).is_some_and(|count| *count >= SHARE_MAX)
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let mut counts = self.busy.counts();
        if let Some(count) = counts.get_mut(&self.broker) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.broker);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_shrinks_as_the_places_fill() {
        assert_eq!((share(256, 256), share(129, 256)), (SHARE_MAX, SHARE_MAX));
        assert_eq!((share(128, 256), share(65, 256)), (2, 2));
        assert_eq!((share(64, 256), share(1, 256), share(1, 1)), (1, 1, SHARE_MAX));
    }

    #[test]
    fn what_is_at_work_is_counted_by_broker() {
        let busy = Arc::<Busy>::default();
        let one = AtWork::on(&busy, "a");
        let two = AtWork::on(&busy, "a");
        let _three = AtWork::on(&busy, "b");
        assert_eq!((busy.with_at_least(2).as_str(), busy.with_at_least(3).as_str()), ("a", ""));
        drop((one, two));
        assert_eq!(busy.with_at_least(1), "b");
    }
}
