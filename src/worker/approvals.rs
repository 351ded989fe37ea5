//! Ends orders that nobody approved in time. It takes no input but "wake up"; which process does it is decided in `app::approvals`.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Approvals looked at together.
const AT_ONCE: i64 = 100;

/// Runs until it is told to stop.
pub async fn run(app: App, stop: CancellationToken) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = app.expire_approvals(AT_ONCE).await {
            tracing::warn!(%error, "approvals that expired could not be looked for; trying again");
        }
    }
}
