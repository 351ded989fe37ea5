//! Tells the gateway when a grant ends: at once where this process revokes it, within a second or two where another process does,
//! and at its expiry.
//!
//! Holds nothing that is the truth. Invariant: it goes from false to true and never back; who no longer listens costs nothing.

use std::time::Duration;

use dashmap::DashMap;
use osb::kit::Clock;
use tokio::sync::watch;

use super::store::Store;

/// How often the clock and the file are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Those who wait for the end of a grant, by the binding's resource.
#[derive(Debug, Default)]
pub(super) struct Watches {
    ends: DashMap<String, Vec<watch::Sender<bool>>>,
}

impl Watches {
    /// Becomes true once the grant has ended.
    pub(super) fn of(&self, binding: &str, expires_at: i64, store: &Store, clock: &Clock) -> watch::Receiver<bool> {
        let (sender, receiver) = watch::channel(false);
        let mut senders = self.ends.entry(binding.to_owned()).or_default();
        senders.retain(|sender| !sender.is_closed());
        senders.push(sender.clone());
        drop(senders);
        let (binding, store, clock) = (binding.to_owned(), store.clone(), clock.clone());
        tokio::spawn(async move { look(sender, &binding, expires_at, &store, &clock).await });
        receiver
    }

    /// Says that it has ended, and forgets those whom nobody listens to any more.
    pub(super) fn end(&self, binding: &str) {
        for sender in self.ends.remove(binding).into_iter().flat_map(|(_, senders)| senders) {
            sender.send_replace(true);
        }
        self.tidy();
    }

    /// Forgets those whom nobody listens to any more.
    pub(super) fn tidy(&self) {
        self.ends.retain(|_, senders| {
            senders.retain(|sender| !sender.is_closed());
            !senders.is_empty()
        });
    }
}

/// Looks until the grant has ended or nobody listens.
async fn look(sender: watch::Sender<bool>, binding: &str, expires_at: i64, store: &Store, clock: &Clock) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            () = sender.closed() => return,
            _ = ticks.tick() => {}
        }
        let ended = clock.seconds() >= expires_at
            || match store.access(binding).await {
                Ok(access) => access.is_none_or(|access| access.revoked),
                // A file that can't be read for a moment cuts nobody; the expiry still comes.
                Err(error) => {
                    tracing::warn!(%error, "could not look whether access was taken away");
                    false
                }
            };
        if ended {
            sender.send_replace(true);
            return;
        }
    }
}
