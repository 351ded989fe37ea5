//! Drives operations: those that orders of this process hand over, and those that stand in the database because their time has
//! come or because whoever worked on them has died. Both go through the same `App::work_on`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;

/// How often the database is looked at for operations whose time has come.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How many operations are leased at once.
const LEASE_MAX: usize = 64;
/// How many orders are driven at once. Each has a request or a person behind it, and most wait for their broker's bulkhead;
/// what is more than that is found in the database like everything else.
const ORDERS_MAX: usize = 4096;

/// Runs until cancelled; what is being driven then is finished first, bounded by the caller.
pub async fn run(app: App, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    let places = Arc::new(Semaphore::new(app.config().operations.concurrency));
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
            _ = look.tick() => take_due(&app, &places, &tasks).await,
        }
    }
    // Orders that were handed over and not begun: their leases are free as soon as this process has left.
    orders.close();
    tasks.close();
    tasks.wait().await;
}

async fn take_due(app: &App, places: &Arc<Semaphore>, tasks: &TaskTracker) {
    match app.anything_due().await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            tracing::warn!(%error, "due operations could not be looked for");
            return;
        }
    }
    let mut free: Vec<OwnedSemaphorePermit> = Vec::new();
    while free.len() < LEASE_MAX
        && let Ok(place) = Arc::clone(places).try_acquire_owned()
    {
        free.push(place);
    }
    if free.is_empty() {
        return;
    }
    match app.lease_due(free.len()).await {
        Ok(due) => {
            for (operation, place) in due.into_iter().zip(free) {
                let app = app.clone();
                tasks.spawn(async move {
                    app.work_on(operation).await;
                    drop(place);
                });
            }
        }
        Err(error) => tracing::warn!(%error, "due operations could not be leased"),
    }
}
