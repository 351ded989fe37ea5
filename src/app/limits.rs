//! Who may ask how often: platforms and users by identity, after authentication; logins that fail by address, before a password is
//! looked at. Off unless the settings say otherwise, and each process counts for itself.
//!
//! Brokers that report usage are not limited: what they report is owed to somebody.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::audit::Origin;
use super::{App, Error};
use crate::clock::Time;
use crate::config;
use crate::domain::caller::Caller;
use crate::domain::limit::{Buckets, Rate};

/// Keys of one kind that are counted one by one.
const KEYS_MAX: usize = 10_000;

/// What was let through lately.
#[derive(Debug)]
pub(in crate::app) struct Limits {
    platforms: Limit<String>,
    users: Limit<String>,
    failed_logins: Limit<IpAddr>,
}

#[derive(Debug)]
struct Limit<K>(Option<Mutex<Buckets<K>>>);

impl<K: Eq + Hash> Limit<K> {
    fn new(per_minute: u32, burst: u32) -> Self {
        Self(Rate::per_minute(per_minute, burst).map(|rate| Mutex::new(Buckets::new(rate, KEYS_MAX))))
    }

    fn take(&self, key: impl FnOnce() -> K, now: Time) -> Result<(), Duration> {
        self.0
            .as_ref()
            .map_or(Ok(()), |buckets| buckets.lock().unwrap_or_else(PoisonError::into_inner).take(key(), now))
    }

    fn look(&self, key: impl FnOnce() -> K, now: Time) -> Result<(), Duration> {
        self.0
            .as_ref()
            .map_or(Ok(()), |buckets| buckets.lock().unwrap_or_else(PoisonError::into_inner).look(&key(), now))
    }
}

impl Limits {
    pub(in crate::app) fn new(settings: &config::Limits) -> Self {
        Self {
            platforms: Limit::new(settings.platform_per_minute, settings.platform_burst),
            users: Limit::new(settings.user_per_minute, settings.user_burst),
            failed_logins: Limit::new(settings.failed_logins_per_minute, settings.failed_logins_burst),
        }
    }
}

impl App {
    /// Lets a request of somebody known through, or not.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn admit(&self, caller: &Caller) -> Result<(), Error> {
        let (limits, now) = (&self.inner.limits, self.clock().now());
        let limit = match caller {
            Caller::Platform(_) => &limits.platforms,
            Caller::Broker(_) => return Ok(()),
            // Whoever else there is, is somebody who uses the management API.
            _ => &limits.users,
        };
        limit.take(|| caller.actor(), now).map_err(too_many)
    }

    /// Whether somebody from here may try a password.
    pub(in crate::app) fn may_try(&self) -> Result<(), Error> {
        if self.inner.limits.failed_logins.0.is_none() {
            return Ok(());
        }
        let Some(address) = Origin::here().address else { return Ok(()) };
        self.inner.limits.failed_logins.look(|| network(address), self.clock().now()).map_err(too_many)
    }

    /// A password from here was wrong.
    pub(in crate::app) fn failed_to_try(&self) {
        if let Some(address) = Origin::here().address {
            // Those that were under way at once are counted as far as there is room.
            self.inner.limits.failed_logins.take(|| network(address), self.clock().now()).ok();
        }
    }
}

/// Whole seconds, rounded up: who waits for so long gets through.
fn too_many(wait: Duration) -> Error {
    Error::TooMany { seconds: wait.as_micros().div_ceil(1_000_000).try_into().unwrap_or(u64::MAX).max(1) }
}

/// What one party has: of IPv6 a /64, which is handed out as one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_are_one_and_mapped_ones_are_ipv4() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn the_wait_is_told_in_whole_seconds_and_never_too_short() {
        for (micros, told) in [(1, 1), (1_000_000, 1), (1_000_001, 2)] {
            assert!(matches!(too_many(Duration::from_micros(micros)), Error::TooMany { seconds } if seconds == told));
        }
    }
}
