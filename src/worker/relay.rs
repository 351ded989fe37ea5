//! Brings events to one sink, round after round. Which events, and when to try again, is decided in `app::relay`.
//!
//! It takes no input but "wake up".

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::app::relay::Relayed;
use crate::delivery::Sink;

/// The longest that what another process numbered waits.
const PERIOD: Duration = Duration::from_millis(250);
/// How often a process that doesn't serve a sink looks whether the one that does is still there.
const ELSEWHERE: Duration = Duration::from_secs(2);
/// Rounds are not closer than that, however many commits there are.
const GATHER: Duration = Duration::from_millis(10);
/// After a failure of the database.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves one sink until it is told to stop. A delivery under way is broken off then: it will be repeated.
pub async fn run(app: App, mut sink: Sink, stop: CancellationToken) {
    let mut commits = app.commits();
    loop {
        commits.mark_unchanged();
        let round = tokio::select! {
            () = stop.cancelled() => return,
            round = app.relay(&mut sink) => round,
        };
        let pause = match round {
            Ok(Relayed::Moved) => continue,
            Ok(Relayed::Idle) => None,
            Ok(Relayed::Wait(wait)) => Some(wait.min(PERIOD)),
            Ok(Relayed::Elsewhere) => Some(ELSEWHERE),
            Err(error) => {
                tracing::warn!(sink = sink.name(), %error, "a sink could not be served; trying again");
                Some(PAUSE)
            }
        };
        let waiting = async {
            match pause {
                Some(pause) => sleep(pause).await,
                // Either is fine: something was committed, or the time is over.
                None => {
                    drop(timeout(PERIOD, commits.changed()).await);
                    sleep(GATHER).await;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = waiting => {}
        }
    }
}
