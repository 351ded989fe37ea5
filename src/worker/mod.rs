//! Workers: what the hub does without being asked, one file a task. They take no input but "wake up", and go through `app` for
//! everything.

pub mod alive;
pub mod close;
pub mod conformance;
pub mod driver;
pub mod pull;
pub mod reconcile;
pub mod refresh;
pub mod relay;
mod rounds;
pub mod sequence;
pub mod silence;

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{App, Error};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// Approvals that expire together.
const EXPIRED_AT_ONCE: i64 = 100;

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
    tasks.spawn(driver::run(app.clone(), stop.clone()));
    tasks.spawn(refresh::run(app.clone(), stop.clone()));
    tasks.spawn(sequence::run(app.clone(), stop.clone()));
    tasks.spawn(close::run(app.clone(), stop.clone()));
    tasks.spawn(reconcile::run(app.clone(), stop.clone()));
    tasks.spawn(silence::run(app.clone(), stop.clone()));
    tasks.spawn(pull::run(app.clone(), stop.clone()));
    start_rounds(&tasks, app, stop);
    tasks.spawn(conformance::run(app.clone(), stop.clone()));
    for sink in app.sinks()? {
        tasks.spawn(relay::run(app.clone(), sink, stop.clone()));
    }
    tasks.close();
    Ok(tasks)
}

fn start_rounds(tasks: &TaskTracker, app: &App, stop: &CancellationToken) {
    let expire = async |app: &App| app.expire_approvals(EXPIRED_AT_ONCE).await;
    let said = "approvals that expired could not be looked for";
    tasks.spawn(rounds::every(app.clone(), SECOND, said, stop.clone(), expire));
    let said = "budgets could not be looked at";
    tasks.spawn(rounds::every(app.clone(), MINUTE, said, stop.clone(), App::watch_budgets));
    let said = "brokers could not be told of their tenants";
    tasks.spawn(rounds::every(app.clone(), SECOND, said, stop.clone(), App::tell_contexts));
    let said = "off-boarding could not go on";
    tasks.spawn(rounds::every(app.clone(), SECOND, said, stop.clone(), App::offboard_due));
}
