//! Named failure points: the places between two steps of a flow where a process may die. The hub itself never stops at one;
//! tests do, to prove that a restart on the same database ends where an undisturbed run ends.

use std::fmt;
use std::sync::Arc;

use crate::domain::operation::OperationKind;

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

/// Asked at each point; true stops the flow there as if the process had died.
pub type Stop = Arc<dyn Fn(Point, OperationKind) -> bool + Send + Sync>;

/// The points of one hub.
#[derive(Clone, Default)]
pub struct Points(Option<Stop>);

impl fmt::Debug for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Points").field(&self.0.is_some()).finish()
    }
}

impl Points {
    /// Points at which a test may stop.
    pub fn stopping(stop: Stop) -> Self {
        Self(Some(stop))
    }

    /// Passes a point, or stops there.
    ///
    /// # Errors
    /// [`super::Error::Stopped`] where a test stops.
    pub(in crate::app) fn pass(&self, point: Point, kind: OperationKind) -> Result<(), super::Error> {
        match &self.0 {
            Some(stop) if stop(point, kind) => Err(super::Error::Stopped),
            _ => Ok(()),
        }
    }
}
