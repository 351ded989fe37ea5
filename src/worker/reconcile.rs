//! Compares once an hour what is charged for with what brokers have. How, and which process does it, is decided in
//! `app::reconcile`.
//!
//! It takes no input but "wake up".

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Between two rounds.
const PERIOD: Duration = Duration::from_secs(3600);
/// Before the first one: a hub that has just started has other things to ask.
const FIRST: Duration = Duration::from_secs(300);

/// Runs until it is told to stop; a round that is under way then is let go.
pub async fn run(app: App, stop: CancellationToken) {
    let mut ticks = interval_at(Instant::now() + FIRST, PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let round = tokio::select! {
            () = stop.cancelled() => return,
            round = app.reconcile() => round,
        };
        match round {
            Ok(round) if round.opened > 0 => tracing::warn!(
                asked = round.asked,
                opened = round.opened,
                "what is charged for is not what is there: see GET /api/v1/billing-cases"
            ),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "instances could not be compared with their brokers; trying again"),
        }
    }
}
