//! Waiting for a level: something that, once true, stays true until the test changes it. Never for a moment.

use std::time::Duration;

const PERIOD: Duration = Duration::from_millis(15);

/// Asks `check` every 15 ms until it says `Some`, for at most `bound`; then fails the test naming `what` was awaited.
pub(crate) async fn wait_for<T>(what: &str, bound: Duration, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let asking = async {
        loop {
            ticks.tick().await;
            if let Some(found) = check().await {
                return found;
            }
        }
    };
    match tokio::time::timeout(bound, asking).await {
        Ok(found) => found,
        Err(_) => panic!("waited {bound:?} in vain until {what}"),
    }
}

/// The same for a plain condition.
pub(crate) async fn wait_until(what: &str, bound: Duration, mut check: impl AsyncFnMut() -> bool) {
    wait_for(what, bound, async || check().await.then_some(())).await;
}
