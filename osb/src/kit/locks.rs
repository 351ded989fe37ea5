//! One thing at a time for each instance, within this process.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};

/// How long an order waits for those before it on the same instance. Longer is a [`crate::Error::concurrency`].
const WAIT: Duration = Duration::from_secs(10);
/// From how many entries on those that nobody holds are cleared away.
const SWEEP_FROM: usize = 1024;

/// Locks by name.
#[derive(Debug, Default)]
pub(super) struct Locks {
    held: std::sync::Mutex<HashMap<String, Weak<Mutex<()>>>>,
}

impl Locks {
    /// Waits for the lock of that name; `None` after ten seconds.
    pub(super) async fn lock(&self, name: &str) -> Option<OwnedMutexGuard<()>> {
        let lock = self.of(name);
        tokio::time::timeout(WAIT, lock.lock_owned()).await.ok()
    }

    fn of(&self, name: &str) -> Arc<Mutex<()>> {
        let mut held = self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(lock) = held.get(name).and_then(Weak::upgrade) {
            return lock;
        }
        if held.len() >= SWEEP_FROM {
            held.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::new(Mutex::new(()));
        held.insert(name.to_owned(), Arc::downgrade(&lock));
        lock
    }
}
