//! Keeps this process on the list of the living, gives back leases that it holds but does not work on, and forgets what is no
//! longer to be kept.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Between two heartbeats; ten seconds without one void the leases.
const BEAT_EVERY: Duration = Duration::from_secs(2);
/// Heartbeats between two sweeps.
const SWEEP_BEATS: u32 = 2;
/// Credentials forgotten at once.
const FORGET_MAX: i64 = 500;
/// Heartbeats between two rows about logins that failed.
const LOGINS_BEATS: u32 = 30;

/// Runs until cancelled.
pub async fn run(app: App, stop: CancellationToken) {
    let mut strays = Vec::new();
    let mut beats: u32 = 0;
    let mut tick = tokio::time::interval(BEAT_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = app.beat().await {
            tracing::warn!(%error, "the heartbeat could not be written");
        }
        if let Err(error) = app.refresh_keys().await {
            tracing::warn!(%error, "whether keys have changed could not be found out");
        }
        beats = beats.wrapping_add(1);
        if beats.is_multiple_of(LOGINS_BEATS)
            && let Err(error) = app.write_failed_logins().await
        {
            tracing::warn!(%error, "logins that failed could not be written to the audit");
        }
        if beats.is_multiple_of(SWEEP_BEATS) {
            match app.sweep(&strays).await {
                Ok(now) => strays = now,
                Err(error) => tracing::warn!(%error, "stray leases could not be looked for"),
            }
            if let Err(error) = app.forget_credentials(FORGET_MAX).await {
                tracing::warn!(%error, "old credentials could not be forgotten");
            }
        }
    }
}
