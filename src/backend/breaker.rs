//! A circuit breaker: after so many failures in a row a broker gets no orders for a while, then one, whose outcome decides.
//!
//! It holds back orders only; whoever asks or cleans up goes past it, and their outcomes count too. It tells time by the
//! clock that it is given, and never sleeps.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Time};

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// Nothing.
    Open,
    /// One order, to see.
    HalfOpen,
}

impl BreakerState {
    /// As shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// One broker's breaker.
#[derive(Debug)]
pub struct Breaker {
    clock: Clock,
    failures_max: u32,
    open_for: Duration,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    failures: u32,
    opened_at: Option<Time>,
    trial: bool,
}

/// Leave to send one order. Given back by dropping it; the outcome is told with [`Breaker::record`].
#[derive(Debug)]
pub struct Leave<'a> {
    breaker: &'a Breaker,
    trial: bool,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if self.trial {
            self.breaker.lock().trial = false;
        }
    }
}

impl Breaker {
    /// A closed breaker that opens after `failures_max` failures in a row (0: after the first), for that long.
    pub fn new(clock: Clock, failures_max: u32, open_for: Duration) -> Self {
        Self { clock, failures_max: failures_max.max(1), open_for, inner: Mutex::default() }
    }

    /// Leave for one order, or `None` where the broker is to be spared.
    pub fn leave(&self) -> Option<Leave<'_>> {
        let now = self.clock.now();
        let mut inner = self.lock();
        match self.state_of(&inner, now) {
            BreakerState::Closed => Some(Leave { breaker: self, trial: false }),
            BreakerState::Open => None,
            BreakerState::HalfOpen if inner.trial => None,
            BreakerState::HalfOpen => {
                inner.trial = true;
                Some(Leave { breaker: self, trial: true })
            }
        }
    }

    /// How a call ended.
    pub fn record(&self, outcome: Outcome) {
        let now = self.clock.now();
        let mut inner = self.lock();
        match outcome {
            Outcome::Answered => {
                inner.failures = 0;
                inner.opened_at = None;
            }
            Outcome::Failed => {
                inner.failures = inner.failures.saturating_add(1);
                // A failed trial opens it anew; a straggler from before does not prolong it.
                if inner.failures >= self.failures_max && self.state_of(&inner, now) != BreakerState::Open {
                    inner.opened_at = Some(now);
                }
            }
        }
    }

    /// What it lets through now.
    pub fn state(&self) -> BreakerState {
        let now = self.clock.now();
        self.state_of(&self.lock(), now)
    }

    /// How long it stays open still.
    pub fn remaining(&self) -> Duration {
        let now = self.clock.now();
        let opened_at = self.lock().opened_at;
        opened_at.map(|at| self.open_for.saturating_sub(now.since(at))).unwrap_or_default()
    }

    fn state_of(&self, inner: &Inner, now: Time) -> BreakerState {
        match inner.opened_at {
            None => BreakerState::Closed,
            Some(at) if now.since(at) < self.open_for => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// A panic elsewhere can't leave two counters and a flag in a state that matters.
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a call to a broker ended, as far as the breaker cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered, be it with a refusal.
    Answered,
    /// It could not be reached, did not answer in time, or answered 5xx.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> (Breaker, Clock) {
        let clock = Clock::system();
        (Breaker::new(clock.clone(), 3, Duration::from_secs(10)), clock)
    }

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            breaker.record(Outcome::Failed);
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let (breaker, _) = breaker();
        fail(&breaker, 2);
        breaker.record(Outcome::Answered);
        fail(&breaker, 2);
        assert_eq!(breaker.state(), BreakerState::Closed);
        fail(&breaker, 1);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(breaker.leave().is_none());
        assert!(breaker.remaining() > Duration::from_secs(9));
    }

    #[test]
    fn after_a_while_one_order_decides() {
        let (breaker, clock) = breaker();
        fail(&breaker, 3);
        clock.advance(Duration::from_secs(10));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        let trial = breaker.leave().unwrap();
        assert!(breaker.leave().is_none());
        breaker.record(Outcome::Failed);
        drop(trial);
        assert_eq!(breaker.state(), BreakerState::Open);
        clock.advance(Duration::from_secs(10));
        let trial = breaker.leave().unwrap();
        breaker.record(Outcome::Answered);
        drop(trial);
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert!(breaker.leave().is_some());
    }

    #[test]
    fn a_trial_that_was_dropped_leaves_room_for_the_next() {
        let (breaker, clock) = breaker();
        fail(&breaker, 3);
        clock.advance(Duration::from_secs(10));
        drop(breaker.leave().unwrap());
        assert!(breaker.leave().is_some());
    }

    #[test]
    fn a_late_failure_does_not_prolong_it() {
        let (breaker, clock) = breaker();
        fail(&breaker, 3);
        clock.advance(Duration::from_secs(6));
        fail(&breaker, 1);
        clock.advance(Duration::from_secs(4));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
    }
}
