//! One thing for each repository that somebody works with: a lock, or turns.
//!
//! It deliberately keeps nothing that nobody holds. Invariant: whoever asks for the same repository at the same time gets the
//! same thing, and there are at most as many as are held.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What is held at the moment, by repository.
#[derive(Debug)]
pub(super) struct Shared<T> {
    held: Mutex<HashMap<String, Weak<T>>>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { held: Mutex::default() }
    }
}

impl<T> Shared<T> {
    /// That of the repository, made where nobody holds it.
    pub(super) fn of(&self, resource: &str, make: impl FnOnce() -> T) -> Arc<T> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = held.get(resource).and_then(Weak::upgrade) {
            return there;
        }
        held.retain(|_, kept| kept.strong_count() > 0);
        let made = Arc::new(make());
        held.insert(resource.to_owned(), Arc::downgrade(&made));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_shared_and_what_is_not_is_forgotten() {
        let shared = Shared::default();
        let one = shared.of("a", || 1);
        assert!(Arc::ptr_eq(&one, &shared.of("a", || 2)));
        drop(one);
        assert_eq!((*shared.of("b", || 3), shared.held.lock().unwrap().len()), (3, 1));
        assert_eq!(*shared.of("a", || 4), 4);
    }
}
