//! Has brokers judged by the conformance suite. What is to be judged, and which process does it, stands in the database
//! (`app::conformance`).
//!
//! It takes no input but "wake up". A few runs go on at once, never two against one broker. Told to stop, it lets go in the middle: whoever
//! looks next deletes what was made, and says that the run was interrupted.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Between two looks for runs that nobody works on.
const PERIOD: Duration = Duration::from_secs(1);
/// Runs of one process at once.
const AT_ONCE: usize = 2;

/// Runs until it is told to stop.
pub async fn run(app: App, stop: CancellationToken) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(()) = running.next(), if !running.is_empty() => {}
            _ = ticks.tick(), if running.len() < AT_ONCE => {
                match app.claim_conformance().await {
                    Ok(Some(row)) => running.push(Box::pin(app.carry_out_conformance(row))),
                    Ok(None) => {}
                    Err(error) => tracing::warn!(%error, "runs of the conformance suite could not be looked for; trying again"),
                }
            }
        }
    }
}
