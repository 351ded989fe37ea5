//! Closes months that are over. Which months, and which process does it, is decided in `app::close`.
//!
//! It takes no input but "wake up".

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Between two looks at what is due.
const PERIOD: Duration = Duration::from_secs(60);

/// Runs until it is told to stop; a month that is being computed then is computed anew by whoever comes next.
pub async fn run(app: App, stop: CancellationToken) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let closed = tokio::select! {
            () = stop.cancelled() => return,
            closed = app.close_due() => closed,
        };
        match closed {
            Ok(0) => {}
            Ok(closed) => tracing::info!(closed, "statements were closed"),
            Err(error) => tracing::warn!(%error, "months could not be closed; trying again"),
        }
    }
}
