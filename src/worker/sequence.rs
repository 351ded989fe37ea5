//! Numbers events as they are committed: at once after a commit of this process, within moments after one of another, and
//! removes those that are older than the feed's retention. Chains audit rows, a little later, and keeps signed heads of them.
//!
//! It takes no input but "wake up". Which process does it is decided in `app::sequence`.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::app::audit::chain::CHAINED_AT_ONCE;
use crate::app::sequence::SEQUENCED_AT_ONCE;

/// The longest that an event of another process waits.
const PERIOD: Duration = Duration::from_millis(40);
/// Commits that come together are numbered together: each round costs a flush.
const GATHER: Duration = Duration::from_millis(25);
/// Between two removals of what is too old, and after a failure.
const PRUNE_PERIOD: Duration = Duration::from_secs(60);
/// The longest that an audit row waits: orders make none, and this is not in their way.
const AUDIT_PERIOD: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_secs(1);

/// Runs until it is told to stop.
pub async fn run(app: App, stop: CancellationToken) {
    let mut commits = app.commits();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut prune_at, mut chain_at) = (Instant::now(), Instant::now());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
            // The sender lives as long as the app; an error would only mean that the ticks are left.
            changed = commits.changed(), if commits.has_changed().is_ok() => {
                if changed.is_ok() {
                    sleep(GATHER).await;
                }
            }
        }
        commits.mark_unchanged();
        let mut outcome = number_all(&app, &stop).await;
        if outcome.is_ok() && Instant::now() >= chain_at {
            outcome = chain_all(&app, &stop).await;
            chain_at = Instant::now() + AUDIT_PERIOD;
        }
        // Numbering commits too: that is no news to this worker.
        commits.mark_unchanged();
        if outcome.is_ok() && Instant::now() >= prune_at {
            outcome = app.prune_events().await.and(app.keep_audit_head().await).map(drop);
            prune_at = Instant::now() + PRUNE_PERIOD;
        }
        if let Err(error) = outcome {
            tracing::warn!(%error, "events or audit rows could not be numbered; trying again");
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(PAUSE) => {}
            }
        }
    }
}

async fn number_all(app: &App, stop: &CancellationToken) -> Result<(), crate::app::Error> {
    // What was committed meanwhile has its turn at the next round.
    while !stop.is_cancelled() && app.number_events().await? == SEQUENCED_AT_ONCE {}
    Ok(())
}

async fn chain_all(app: &App, stop: &CancellationToken) -> Result<(), crate::app::Error> {
    while !stop.is_cancelled() && app.chain_audit().await? == CHAINED_AT_ONCE {}
    Ok(())
}
