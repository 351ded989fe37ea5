//! Rate limits, as pure rules: a token bucket for each key, kept as one number (GCRA): the time at which the bucket will be full again.
//!
//! It can't tell the time, and knows not whose buckets these are. Its invariant: however many keys there are, memory is bounded, and
//! whoever finds no room for a bucket of its own shares one: many keys never get more than many buckets' worth.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::clock::Time;

const MINUTE_MICROS: i64 = 60_000_000;
/// Between two looks for buckets that are full again, and need no room.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How much is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Microseconds in which one more is earned.
    each: i64,
    /// At once.
    burst: i64,
}

impl Rate {
    /// So many a minute, and so many at once after a pause. `None`, no limit, where it is none a minute.
    pub fn per_minute(times: u32, burst: u32) -> Option<Self> {
        (times > 0).then(|| Self { each: (MINUTE_MICROS / i64::from(times)).max(1), burst: i64::from(burst.max(1)) })
    }
}

/// Buckets of one kind.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    /// When each bucket is full again. One that is full has no entry.
    full_at: HashMap<K, i64>,
    keys_max: usize,
    /// For all that found no room.
    shared: i64,
    swept: Time,
}

impl<K: Eq + Hash> Buckets<K> {
    /// Buckets for at most so many keys.
    pub fn new(rate: Rate, keys_max: usize) -> Self {
        Self { rate, full_at: HashMap::new(), keys_max, shared: 0, swept: Time(0) }
    }

    /// Takes one.
    ///
    /// # Errors
    /// The time until there is one again.
    pub fn take(&mut self, key: K, now: Time) -> Result<(), Duration> {
        let full_at = self.level(&key);
        self.left(full_at, now)?;
        let next = full_at.max(now.0).saturating_add(self.rate.each);
        if !self.has_room(&key, now) {
            self.shared = self.shared.max(next);
        } else {
            self.full_at.insert(key, next);
        }
        Ok(())
    }

    /// Gives one back that was taken and not used.
    pub fn give_back(&mut self, key: &K, now: Time) {
        let crowded = self.full_at.len() >= self.keys_max;
        match self.full_at.get_mut(key) {
            Some(full_at) => {
                *full_at = full_at.saturating_sub(self.rate.each);
                if *full_at <= now.0 {
                    self.full_at.remove(key);
                }
            }
            // Of those without room it is the shared one's, if it was full again it needs nothing.
            None if crowded => self.shared = self.shared.saturating_sub(self.rate.each),
            None => {}
        }
    }

    /// Whether there is one, without taking it.
    ///
    /// # Errors
    /// The time until there is one again.
    pub fn look(&self, key: &K, now: Time) -> Result<(), Duration> {
        self.left(self.level(key), now)
    }

    fn left(&self, full_at: i64, now: Time) -> Result<(), Duration> {
        // The bucket holds one where at most burst - 1 are missing.
        let earliest = full_at.saturating_sub((self.rate.burst - 1).saturating_mul(self.rate.each));
        if earliest <= now.0 { Ok(()) } else { Err(Time(earliest).since(now)) }
    }

    fn level(&self, key: &K) -> i64 {
        match self.full_at.get(key) {
            Some(full_at) => *full_at,
            None if self.full_at.len() >= self.keys_max => self.shared,
            None => 0,
        }
    }

    fn has_room(&mut self, key: &K, now: Time) -> bool {
        if self.full_at.contains_key(key) || self.full_at.len() < self.keys_max {
            return true;
        }
        if now.since(self.swept) >= SWEEP_EVERY {
            self.swept = now;
            self.full_at.retain(|_, full_at| *full_at > now.0);
        }
        self.full_at.len() < self.keys_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn buckets(per_minute: u32, burst: u32, keys_max: usize) -> Buckets<u32> {
        Buckets::new(Rate::per_minute(per_minute, burst).unwrap(), keys_max)
    }

    #[test]
    fn a_burst_goes_through_and_then_as_many_as_are_earned() {
        let mut buckets = buckets(60, 3, 10);
        let at = |seconds: i64| Time(1_000_000 * SECOND + seconds * SECOND);
        for _ in 0..3 {
            assert_eq!(buckets.take(1, at(0)), Ok(()));
        }
        assert_eq!(buckets.take(1, at(0)), Err(Duration::from_secs(1)));
        assert_eq!(buckets.take(2, at(0)), Ok(()), "another's bucket is its own");
        assert_eq!(buckets.take(1, at(1)), Ok(()));
        assert_eq!(buckets.take(1, at(1)), Err(Duration::from_secs(1)));
        for _ in 0..3 {
            assert_eq!(buckets.take(1, at(60)), Ok(()), "a pause earns no more than the burst");
        }
        assert_eq!(buckets.take(1, at(60)), Err(Duration::from_secs(1)));
    }

    #[test]
    fn who_is_refused_pays_nothing_for_it_and_a_look_takes_nothing() {
        let mut buckets = buckets(60, 1, 10);
        assert_eq!(buckets.look(&1, Time(0)), Ok(()));
        assert_eq!(buckets.take(1, Time(0)), Ok(()));
        for _ in 0..100 {
            assert_eq!(buckets.take(1, Time(SECOND / 2)), Err(Duration::from_millis(500)));
        }
        assert_eq!(buckets.look(&1, Time(SECOND)), Ok(()));
        assert_eq!(buckets.take(1, Time(SECOND)), Ok(()));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_no_more_than_that() {
        let mut buckets = buckets(60, 2, 1);
        for _ in 0..50 {
            assert_eq!((buckets.take(1, Time(SECOND)), buckets.take(1, Time(SECOND))), (Ok(()), Ok(())));
            assert!(buckets.take(1, Time(SECOND)).is_err());
            buckets.give_back(&1, Time(SECOND));
            assert_eq!(buckets.take(1, Time(SECOND)), Ok(()));
            assert!(buckets.take(1, Time(SECOND)).is_err());
            buckets.give_back(&1, Time(SECOND));
            buckets.give_back(&1, Time(SECOND));
            assert!(buckets.full_at.is_empty(), "one that is full has no entry");
            buckets.give_back(&1, Time(SECOND));
        }
        assert_eq!(buckets.take(1, Time(SECOND)), Ok(()));
        for _ in 0..2 {
            assert_eq!((buckets.take(2, Time(SECOND)), buckets.take(3, Time(SECOND))), (Ok(()), Ok(())));
            assert!(buckets.take(4, Time(SECOND)).is_err(), "they share one");
            buckets.give_back(&2, Time(SECOND));
            buckets.give_back(&3, Time(SECOND));
        }
    }

    #[test]
    fn memory_is_bounded_and_those_without_room_share_a_bucket() {
        let mut buckets = buckets(60, 2, 3);
        let passed = (0..100).filter(|key| buckets.take(*key, Time(SECOND)).is_ok()).count();
        assert_eq!((buckets.full_at.len(), passed), (3, 3 + 2));
        assert_eq!(buckets.take(0, Time(SECOND)), Ok(()), "who has a bucket keeps it");
        // Full again, they need no room.
        assert_eq!(buckets.take(200, Time(10 * SECOND)), Ok(()));
        assert_eq!(buckets.full_at.len(), 1);
    }

    #[test]
    fn a_clock_that_goes_back_lets_nobody_through_twice() {
        let mut buckets = buckets(60, 1, 3);
        assert_eq!(buckets.take(1, Time(100 * SECOND)), Ok(()));
        assert_eq!(buckets.take(1, Time(99 * SECOND)), Err(Duration::from_secs(2)));
    }

    #[test]
    fn none_a_minute_is_no_limit() {
        assert_eq!(Rate::per_minute(0, 5), None);
    }
}
