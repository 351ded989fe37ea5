//! What is looked at over and over, one round a time: approvals that expire, budgets, tenants that are taken down, brokers that are told of
//! tenants' changes. What a round does, and which process does it, is decided in `app`.
//!
//! It takes no input but "wake up". Invariant: a round that fails is tried again, and one that is under way when the process stops is let
//! go: what is left follows from the database, for whoever comes next.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::{App, Error};

/// Runs rounds, one each period, until it is told to stop. `failed` says what could not be done.
pub(super) async fn every<T>(
    app: App,
    period: Duration,
    failed: &'static str,
    stop: CancellationToken,
    round: impl AsyncFn(&App) -> Result<T, Error>,
) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            outcome = round(&app) => outcome,
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, "{failed}; trying again");
        }
    }
}
