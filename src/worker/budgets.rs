//! Looks every minute which thresholds of budgets have been reached. What is told, and by which process, is decided in
//! `app::budgets`.
//!
//! It takes no input but "wake up".

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(60);

/// Runs until it is told to stop.
pub async fn run(app: App, stop: CancellationToken) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let watched = tokio::select! {
            () = stop.cancelled() => return,
            watched = app.watch_budgets() => watched,
        };
        if let Err(error) = watched {
            tracing::warn!(%error, "budgets could not be looked at; trying again");
        }
    }
}
