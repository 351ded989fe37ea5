//! Looks once a minute whether meters have fallen silent, or are heard again. It takes no input but time; which process does it is
//! decided in `app::usage`.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::{App, Error};

/// Between two rounds.
const PERIOD: Duration = Duration::from_secs(60);

/// Runs until it is told to stop.
pub async fn run(app: App, stop: CancellationToken) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = round(&app, &stop).await {
            tracing::warn!(%error, "silent meters could not be looked for; trying again in a minute");
        }
    }
}

/// Goes through all pages once. What is heard again is closed first, so that a new silence is a new case.
///
/// # Errors
/// Where the database fails.
pub async fn round(app: &App, stop: &CancellationToken) -> Result<(), Error> {
    let mut after = Some(String::new());
    while let Some(place) = after.filter(|_| !stop.is_cancelled()) {
        after = app.close_silence(&place).await?;
    }
    let mut after = Some(String::new());
    while let Some(place) = after.filter(|_| !stop.is_cancelled()) {
        after = app.watch_silence(&place).await?;
    }
    Ok(())
}
