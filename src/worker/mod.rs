//! Workers: what the hub does without being asked, one file a task. They take no input but "wake up", and go through `app` for
//! everything.

pub mod alive;
pub mod approvals;
pub mod budgets;
pub mod close;
pub mod conformance;
pub mod context_updates;
pub mod driver;
pub mod offboard;
pub mod pull;
pub mod reconcile;
pub mod refresh;
pub mod relay;
pub mod sequence;
pub mod silence;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{App, Error};

/// How much of it a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Everything.
    Everything,
    /// Only what keeps the process itself alive and up to date, for one that answers requests and no more.
    KeepUp,
}

/// Starts the workers of a process that has joined. They end when `stop` is cancelled; the tracker tells when.
///
/// # Errors
/// Where a sink can't be set up.
pub fn start(app: &App, work: Work, stop: &CancellationToken) -> Result<TaskTracker, Error> {
    let tasks = TaskTracker::new();
    tasks.spawn(alive::run(app.clone(), stop.clone()));
    tasks.spawn(refresh::watch(app.clone(), stop.clone()));
    if work == Work::KeepUp {
        tasks.close();
        return Ok(tasks);
    }
    tasks.spawn(approvals::run(app.clone(), stop.clone()));
    tasks.spawn(driver::run(app.clone(), stop.clone()));
    tasks.spawn(refresh::run(app.clone(), stop.clone()));
    tasks.spawn(sequence::run(app.clone(), stop.clone()));
    tasks.spawn(close::run(app.clone(), stop.clone()));
    tasks.spawn(budgets::run(app.clone(), stop.clone()));
    tasks.spawn(reconcile::run(app.clone(), stop.clone()));
    tasks.spawn(silence::run(app.clone(), stop.clone()));
    tasks.spawn(pull::run(app.clone(), stop.clone()));
    tasks.spawn(context_updates::run(app.clone(), stop.clone()));
    tasks.spawn(offboard::run(app.clone(), stop.clone()));
    tasks.spawn(conformance::run(app.clone(), stop.clone()));
    for sink in app.sinks()? {
        tasks.spawn(relay::run(app.clone(), sink, stop.clone()));
    }
    tasks.close();
    Ok(tasks)
}
