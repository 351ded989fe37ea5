//! Named failure points: the places between two steps of a flow where a process may die. The hub itself never stops at one;
//! tests do, to prove that a restart on the same database ends where an undisturbed run ends.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::domain::operation::OperationKind;
use crate::store;

/// A place between two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Point {
    /// The intent is committed; nobody works on it yet.
    IntentWritten,
    /// The backend is about to be called.
    BeforeCall,
    /// The backend has answered; nothing is recorded.
    AfterCall,
    /// The outcome is committed; nobody has been told.
    OutcomeWritten,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::IntentWritten, Self::BeforeCall, Self::AfterCall, Self::OutcomeWritten];
}

/// A place between two steps of a worker that drives no operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Hashes of audit rows are computed; nothing is written.
    AuditHashed,
    /// Audit rows are chained; nobody has been told.
    AuditChained,
    /// Values are sealed anew; nothing is written.
    Resealed,
    /// A part of the sealed values is written.
    ResealWritten,
}

/// Asked at each step; true stops there as if the process had died.
pub type Halt = Arc<dyn Fn(Step) -> bool + Send + Sync>;

/// Asked at each point; true stops the flow there as if the process had died.
pub type Stop = Arc<dyn Fn(Point, OperationKind) -> bool + Send + Sync>;

/// Waited for by each order that was decided on, and of which nothing is written yet; tests do something in between.
pub type Pause = Arc<dyn Fn(OperationKind) -> BoxFuture<'static, ()> + Send + Sync>;

/// Asked whenever somebody who waits for an operation reads it, or a conformance run its broker; true makes that read fail as if the
/// database had.
pub type Unreadable = Arc<dyn Fn() -> bool + Send + Sync>;

/// The points of one hub.
#[derive(Clone, Default)]
pub struct Points {
    stop: Option<Stop>,
    unreadable: Option<Unreadable>,
    halt: Option<Halt>,
    pause: Option<Pause>,
}

impl fmt::Debug for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Points")
            .field("stop", &self.stop.is_some())
            .field("unreadable", &self.unreadable.is_some())
            .field("halt", &self.halt.is_some())
            .field("pause", &self.pause.is_some())
            .finish()
    }
}

impl Points {
    /// Points at which a test may stop.
    pub fn stopping(stop: Stop) -> Self {
        Self { stop: Some(stop), ..Self::default() }
    }

    /// Points at which a test may make the reads of waiting requests, and of conformance runs, fail.
    pub fn unreadable(unreadable: Unreadable) -> Self {
        Self { unreadable: Some(unreadable), ..Self::default() }
    }

    /// Steps of workers at which a test may stop.
    pub fn halting(halt: Halt) -> Self {
        Self { halt: Some(halt), ..Self::default() }
    }

    /// Orders that a test holds between their decision and their first transaction.
    pub fn pausing(pause: Pause) -> Self {
        Self { pause: Some(pause), ..Self::default() }
    }

    /// An order is decided on, by what was read: others may change that before it is written.
    pub(in crate::app) async fn decided(&self, kind: OperationKind) {
        if let Some(pause) = &self.pause {
            pause(kind).await;
        }
    }

    /// Passes a step, or stops there.
    ///
    /// # Errors
    /// [`super::Error::Stopped`] where a test stops.
    pub(in crate::app) fn step(&self, step: Step) -> Result<(), super::Error> {
        match &self.halt {
            Some(halt) if halt(step) => Err(super::Error::Stopped),
            _ => Ok(()),
        }
    }

    /// Passes a point, or stops there.
    ///
    /// # Errors
    /// [`super::Error::Stopped`] where a test stops.
    pub(in crate::app) fn pass(&self, point: Point, kind: OperationKind) -> Result<(), super::Error> {
        match &self.stop {
            Some(stop) if stop(point, kind) => Err(super::Error::Stopped),
            _ => Ok(()),
        }
    }

    /// Passes a read of an operation that is waited for or of a run's broker, or fails it.
    ///
    /// # Errors
    /// That of a database that does not answer, where a test wants it.
    pub(in crate::app) fn read(&self) -> Result<(), super::Error> {
        match &self.unreadable {
            Some(unreadable) if unreadable() => Err(store::Error::Late.into()),
            _ => Ok(()),
        }
    }
}
