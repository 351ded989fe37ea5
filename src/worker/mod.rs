//! Workers: what the hub does without being asked, one file a task. They take no input but "wake up", and go through `app` for
//! everything.

pub mod alive;
pub mod driver;
pub mod relay;
pub mod sequence;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{App, Error};

/// Starts all workers of a process that does the hub's work. They end when `stop` is cancelled; the tracker tells when.
///
/// # Errors
/// Where a sink can't be set up or the database fails.
pub async fn start(app: &App, stop: &CancellationToken) -> Result<TaskTracker, Error> {
    app.join().await?;
    let tasks = TaskTracker::new();
    tasks.spawn(alive::run(app.clone(), stop.clone()));
    tasks.spawn(driver::run(app.clone(), stop.clone()));
    tasks.spawn(sequence::run(app.clone(), stop.clone()));
    for sink in app.sinks()? {
        tasks.spawn(relay::run(app.clone(), sink, stop.clone()));
    }
    tasks.close();
    Ok(tasks)
}
