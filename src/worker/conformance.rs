//! Has brokers judged by the conformance suite. What is to be judged, and which process does it, stands in the database
//! (`app::conformance`).
//!
//! It takes no input but "wake up". A few runs go on at once, each in a task of its own, so that nothing that is waited for here holds one
//! up; never two against one broker. Told to stop, it lets go in the middle: whoever looks next deletes what was made, and says that the
//! run was interrupted.

use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
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
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(over) = running.join_next() => said(over),
            _ = ticks.tick(), if running.len() < AT_ONCE => {
                match app.claim_conformance().await {
                    Ok(Some(row)) => {
                        let app = app.clone();
                        running.spawn(async move { app.carry_out_conformance(row).await });
                    }
                    Ok(None) => {}
                    Err(error) => tracing::warn!(%error, "runs of the conformance suite could not be looked for; trying again"),
                }
            }
        }
    }
    running.shutdown().await;
}

/// A run that panicked is still this process's in the database, until it is taken for one that was cut off.
fn said(over: Result<(), JoinError>) {
    if let Err(error) = over {
        tracing::error!(%error, "a run of the conformance suite ended by a fault of the hub's: it is cleaned up after later");
    }
}
