//! Who may ask how often: platforms and users by identity, after authentication; logins that fail by address, before a password is
//! looked at: one that is being looked at counts until it is known to be right, so however many come at once, no more are tried than may
//! fail. Off unless the settings say otherwise, and each process counts for itself.
//!
//! Brokers that report usage are not limited: what they report is owed to somebody.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::audit::Origin;
use super::{App, Error, identity};
use crate::clock::{Clock, Time};
use crate::config;
use crate::domain::caller::Caller;
use crate::domain::limit::{Buckets, Rate};

/// Keys of one kind that are counted one by one.
const KEYS_MAX: usize = 10_000;
/// How long a login may wait for others from its address: as long as one of them may take that asks the identity provider for its keys and
/// for a token, and a little for the database.
const WAIT_MAX: Duration = Duration::from_secs(identity::ASKED_WITHIN.as_secs() + 5);

/// What was let through lately.
#[derive(Debug)]
pub(in crate::app) struct Limits {
    platforms: Limit<String>,
    users: Limit<String>,
    failed_logins: Option<Arc<Tries>>,
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
}

impl Limits {
    pub(in crate::app) fn new(settings: &config::Limits) -> Self {
        Self {
            platforms: Limit::new(settings.platform_per_minute, settings.platform_burst),
            users: Limit::new(settings.user_per_minute, settings.user_burst),
            failed_logins: Tries::new(settings),
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

    /// Lets somebody from here try a password, which counts until it is known to be right. While those that are being looked at are as many
    /// as may still fail, others wait for them.
    ///
    /// # Errors
    /// [`Error::TooMany`] where as many have failed as may; [`Error::NotYet`] where it was waited for too long to know.
    pub(in crate::app) async fn try_login(&self) -> Result<Try, Error> {
        let limits = &self.inner.limits;
        let (Some(tries), Some(address)) = (&limits.failed_logins, Origin::here().address) else {
            return Ok(Try::default());
        };
        tries.turn(network(address), self.clock(), WAIT_MAX).await
    }

    /// Lets somebody from here in whose password is known to be right already: there is nothing to try, and nobody to wait for. Where too
    /// many have failed, it is not listened to either.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub(in crate::app) fn known_login(&self) -> Result<(), Error> {
        let (Some(tries), Some(address)) = (&self.inner.limits.failed_logins, Origin::here().address) else {
            return Ok(());
        };
        let key = network(address);
        match tries.begin(key, self.clock().now()) {
            Begun::Counted => {
                tries.end(key, false, self.clock().now());
                Ok(())
            }
            Begun::Busy(_) => Ok(()),
            Begun::Refused(wait) => Err(too_many(wait)),
        }
    }
}

/// Logins that failed, and those of which it is not known yet, by address.
#[derive(Debug)]
struct Tries {
    buckets: Mutex<Buckets<IpAddr>>,
    open: Mutex<HashMap<IpAddr, Open>>,
}

/// Tries from one address that are being looked at.
#[derive(Debug, Default)]
struct Open {
    number: usize,
    news: Arc<Notify>,
}

/// What became of an attempt to try.
enum Begun {
    Counted,
    Refused(Duration),
    /// As many are being looked at as may fail.
    Busy(OwnedNotified),
}

impl Tries {
    fn new(settings: &config::Limits) -> Option<Arc<Self>> {
        let rate = Rate::per_minute(settings.failed_logins_per_minute, settings.failed_logins_burst)?;
        Some(Arc::new(Self { buckets: Mutex::new(Buckets::new(rate, KEYS_MAX)), open: Mutex::default() }))
    }

    /// Waits for its turn, at most so long.
    async fn turn(self: &Arc<Self>, key: IpAddr, clock: &Clock, within: Duration) -> Result<Try, Error> {
        let until = tokio::time::Instant::now() + within;
        loop {
            let news = match self.begin(key, clock.now()) {
                Begun::Counted => return Ok(Try(Some((Arc::clone(self), key, clock.clone())))),
                Begun::Refused(wait) => return Err(too_many(wait)),
                Begun::Busy(news) => news,
            };
            if tokio::time::timeout_at(until, news).await.is_err() {
                // Nobody has failed: it is slow, and no fault of whoever asks.
                let message = "other logins from this address take long, and this one had no turn: try again";
                return Err(Error::NotYet(message.to_owned()));
            }
        }
    }

    fn begin(&self, key: IpAddr, now: Time) -> Begun {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = self.buckets.lock().unwrap_or_else(PoisonError::into_inner).take(key, now);
        match (taken, open.get(&key)) {
            (Ok(()), _) => {
                open.entry(key).or_default().number += 1;
                Begun::Counted
            }
            (Err(_), Some(others)) => Begun::Busy(Arc::clone(&others.news).notified_owned()),
            (Err(wait), None) => Begun::Refused(wait),
        }
    }

    fn end(&self, key: IpAddr, failed: bool, now: Time) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !failed {
            self.buckets.lock().unwrap_or_else(PoisonError::into_inner).give_back(&key, now);
        }
        let Some(others) = open.get_mut(&key) else { return };
        others.number -= 1;
        if others.number == 0 {
            // Whoever waits for news would wait in vain: they look again.
            others.news.notify_waiters();
            open.remove(&key);
        } else if !failed {
            others.news.notify_one();
        }
    }
}

/// A login that is being looked at. It counts as one that failed where that is said, and not where it is dropped: whoever goes away
/// before the answer has learnt nothing, and a database that does not answer is nobody's fault.
#[derive(Debug, Default)]
#[must_use = "a try that is dropped is given back at once"]
pub(in crate::app) struct Try(Option<(Arc<Tries>, IpAddr, Clock)>);

impl Try {
    /// It failed.
    pub(in crate::app) fn failed(mut self) {
        self.ends(true);
    }

    fn ends(&mut self, failed: bool) {
        if let Some((tries, key, clock)) = self.0.take() {
            tries.end(key, failed, clock.now());
        }
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        self.ends(false);
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

    #[tokio::test]
    async fn of_many_tries_at_once_no_more_are_looked_at_than_may_fail_and_right_ones_all_get_through() {
        let settings = config::Limits {
            platform_per_minute: 0,
            platform_burst: 0,
            user_per_minute: 0,
            user_burst: 0,
            failed_logins_per_minute: 1,
            failed_logins_burst: 3,
        };
        let (tries, key, now) = (Tries::new(&settings).unwrap(), IpAddr::from([192, 0, 2, 1]), Time(1_000_000));
        let begin = || tries.begin(key, now);
        assert!((0..3).all(|_| matches!(begin(), Begun::Counted)));
        let Begun::Busy(news) = begin() else { panic!("as many are looked at as may fail") };
        tries.end(key, false, now);
        tokio::time::timeout(Duration::from_secs(5), news).await.expect("one is free");
        assert!(matches!(begin(), Begun::Counted));
        tries.end(key, true, now);
        tries.end(key, true, now);
        let Begun::Busy(news) = begin() else { panic!("one is being looked at") };
        tries.end(key, true, now);
        tokio::time::timeout(Duration::from_secs(5), news).await.expect("nobody is left to wait for");
        assert!(matches!(begin(), Begun::Refused(_)), "three have failed");
        assert!(tries.open.lock().unwrap().is_empty(), "nothing is kept of an address from which nobody tries");
    }

    #[tokio::test]
    async fn who_waits_in_vain_for_logins_that_take_long_is_not_told_that_they_ask_too_often() {
        let settings = config::Limits {
            platform_per_minute: 0,
            platform_burst: 0,
            user_per_minute: 0,
            user_burst: 0,
            failed_logins_per_minute: 1,
            failed_logins_burst: 1,
        };
        let (tries, key) = (Tries::new(&settings).unwrap(), IpAddr::from([192, 0, 2, 1]));
        let clock = Clock::system();
        let (now, moment) = (Duration::ZERO, Duration::from_secs(5));
        let slow = tries.turn(key, &clock, now).await.unwrap();
        assert!(matches!(tries.turn(key, &clock, now).await, Err(Error::NotYet(_))), "nobody has failed");
        let (next, ()) = tokio::join!(tries.turn(key, &clock, moment), async { drop(slow) });
        next.expect("its turn came").failed();
        assert!(matches!(tries.turn(key, &clock, now).await, Err(Error::TooMany { .. })), "one has failed");
    }

    #[test]
    fn the_wait_is_told_in_whole_seconds_and_never_too_short() {
        for (micros, told) in [(1, 1), (1_000_000, 1), (1_000_001, 2)] {
            assert!(matches!(too_many(Duration::from_micros(micros)), Error::TooMany { seconds } if seconds == told));
        }
    }
}
