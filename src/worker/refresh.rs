//! Keeps catalogs fresh: asks brokers that are due for theirs, a few at a time, and notices when another process changed
//! what this one keeps in memory.
//!
//! It takes no input but "wake up". A broker that hangs holds one place and nobody else's.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::{App, Error};

/// How soon a change made by another process is noticed, at the latest.
const WATCH_PERIOD: Duration = Duration::from_millis(500);
/// Between two looks at who is due.
const DUE_PERIOD: Duration = Duration::from_secs(1);
/// Brokers asked at once.
const AT_ONCE: usize = 8;

/// Asks brokers that are due until it is told to stop; then those under way are let go.
pub async fn run(app: App, stop: CancellationToken) {
    let mut asking = JoinSet::new();
    let mut ticks = interval(DUE_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = asking.join_next() => continue,
            _ = ticks.tick() => {}
        }
        let places = AT_ONCE.saturating_sub(asking.len());
        if places == 0 {
            continue;
        }
        match app.claim_due_brokers(i64::try_from(places).unwrap_or(1)).await {
            Ok(due) => {
                for name in due {
                    let app = app.clone();
                    asking.spawn(async move { check(&app, &name).await });
                }
            }
            Err(error) => tracing::warn!(%error, "could not see which catalogs are due; trying again"),
        }
    }
    // Nothing is half written: a look is stored in one transaction, and its broker is due again later.
    asking.shutdown().await;
}

async fn check(app: &App, name: &str) {
    match app.check_broker(name).await {
        // Removed or changed in between: somebody else's news.
        Ok(_) | Err(Error::NotFound { .. } | Error::Stale) => {}
        Err(error) => tracing::warn!(broker.name = %name, %error, "catalog could not be refreshed"),
    }
}

/// Looks every half second whether catalog or brokers changed, until it is told to stop.
pub async fn watch(app: App, stop: CancellationToken) {
    let mut ticks = interval(WATCH_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = app.reload_catalog().await {
            tracing::warn!(%error, "the catalog could not be read again; going on with what is in memory");
        }
    }
}
