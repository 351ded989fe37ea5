//! Goes on with tenants that are being taken down. How, and which process does it, is decided in `app::offboard`.
//!
//! It takes no input but "wake up".

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Between two looks at what is to be done.
const PERIOD: Duration = Duration::from_secs(1);

/// Runs until it is told to stop; what is left follows from the database, for whoever comes next.
pub async fn run(app: App, stop: CancellationToken) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let round = tokio::select! {
            () = stop.cancelled() => return,
            round = app.offboard_due() => round,
        };
        if let Err(error) = round {
            tracing::warn!(%error, "off-boarding could not go on; trying again");
        }
    }
}
