//! A bulkhead: how many calls one broker gets at once, so that a slow one fills its own place and nobody else's. Orders have
//! one; whoever asks or cleans up has a small one of its own, so that orders can't starve them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Calls at once.
#[derive(Clone, Debug)]
pub struct Bulkhead {
    places: Arc<Semaphore>,
}

/// A place, given back by dropping it.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "held for what dropping it does")] OwnedSemaphorePermit);

impl Bulkhead {
    /// With that many places, at least one.
    pub fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS))) }
    }

    /// A place, waited for until the deadline in the order of arrival. `None` when it has passed.
    pub async fn enter(&self, deadline: Instant) -> Option<Place> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(Place(permit));
        }
        let waiting = Arc::clone(&self.places).acquire_owned();
        tokio::time::timeout_at(deadline, waiting).await.ok()?.ok().map(Place)
    }

    /// How many places are free.
    pub fn free(&self) -> usize {
        self.places.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_full_one_is_waited_for_until_the_deadline() {
        let bulkhead = Bulkhead::new(1);
        let soon = || Instant::now() + Duration::from_millis(20);
        let place = bulkhead.enter(soon()).await.unwrap();
        assert!(bulkhead.enter(soon()).await.is_none());
        let waiting = tokio::spawn({
            let bulkhead = bulkhead.clone();
            async move { bulkhead.enter(Instant::now() + Duration::from_secs(10)).await.is_some() }
        });
        tokio::task::yield_now().await;
        drop(place);
        assert!(waiting.await.unwrap());
        assert_eq!(bulkhead.free(), 1);
    }

    #[tokio::test]
    async fn there_is_always_one_place() {
        assert!(Bulkhead::new(0).enter(Instant::now()).await.is_some());
    }
}
