//! Asks brokers that are due for their readings, a few at a time. It takes no input but time; what is due and which process asks is
//! decided in `app::usage`.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Between two looks at who is due.
const PERIOD: Duration = Duration::from_secs(10);
/// Brokers asked at once.
const AT_ONCE: usize = 4;

/// Runs until it is told to stop; then those under way are let go, and asked again when they are due.
pub async fn run(app: App, stop: CancellationToken) {
    let mut asking = JoinSet::new();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = asking.join_next() => continue,
            _ = ticks.tick() => {}
        }
        match app.usage_pulls_due().await {
            Ok(due) => {
                for id in due.into_iter().take(AT_ONCE.saturating_sub(asking.len())) {
                    let app = app.clone();
                    asking.spawn(async move {
                        if let Err(error) = app.pull_usage(&id).await {
                            tracing::warn!(broker.id = %id, %error, "readings could not be asked for");
                        }
                    });
                }
            }
            Err(error) => tracing::warn!(%error, "could not see whose readings are due; trying again"),
        }
    }
    asking.shutdown().await;
}
