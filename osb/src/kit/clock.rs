//! What time it is: the system's, or in a test the one that the test sets.
//!
//! Only whole seconds, because a quarantine is counted in days. The one place of this crate that reads the system's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// A source of time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's.
    #[default]
    System,
    /// Seconds since 1970 that a test sets.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// Seconds since 1970.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is passed")]
    pub fn seconds(&self) -> i64 {
        match self {
            Self::System => Timestamp::now().as_second(),
            Self::Manual(seconds) => seconds.load(Ordering::SeqCst),
        }
    }
}
