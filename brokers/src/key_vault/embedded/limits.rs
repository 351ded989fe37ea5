//! Bounds on how often: requests of a vault, and logins that fail.
//!
//! In memory only: a restart begins anew. Invariant: what is kept is bounded, whoever calls.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many vaults and callers are remembered; beyond, those that have been quiet are forgotten.
const REMEMBERED: usize = 10_000;
/// A caller may fail that often at once, and once a second from then on.
const FAILURES: f64 = 30.0;

/// Buckets of tokens that fill with time.
#[derive(Default)]
pub(super) struct Limits {
    vaults: Mutex<HashMap<String, Bucket>>,
    callers: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn fill(&mut self, now: Instant, per_second: f64, most: f64) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * per_second).min(most);
        self.at = now;
    }

    fn take(&mut self) -> bool {
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

impl Limits {
    /// Whether a request to a vault fits its limit, which is then taken from.
    pub(super) fn admit(&self, vault: &str, rps: u32) -> bool {
        let (now, rps) = (Instant::now(), f64::from(rps));
        let mut vaults = self.vaults.lock().unwrap_or_else(PoisonError::into_inner);
        forget_quiet(&mut vaults, now);
        let bucket = vaults.entry(vault.to_owned()).or_insert(Bucket { tokens: rps, at: now });
        bucket.fill(now, rps, rps);
        bucket.take()
    }

    /// Notes that a caller failed to log in. Whether it may still be told so; otherwise it has to wait.
    pub(super) fn may_fail(&self, caller: IpAddr) -> bool {
        let now = Instant::now();
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        forget_quiet(&mut callers, now);
        let bucket = callers.entry(caller).or_insert(Bucket { tokens: FAILURES, at: now });
        bucket.fill(now, 1.0, FAILURES);
        bucket.take()
    }
}

fn forget_quiet<K: Eq + std::hash::Hash>(buckets: &mut HashMap<K, Bucket>, now: Instant) {
    if buckets.len() >= REMEMBERED {
        buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at) < Duration::from_secs(60));
    }
    if buckets.len() >= REMEMBERED {
        buckets.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_gets_no_more_than_its_limit_and_takes_nothing_from_another() {
        let limits = Limits::default();
        let admitted = (0..50).filter(|_| limits.admit("a", 5)).count();
        assert!((5..=10).contains(&admitted), "{admitted}");
        assert!(limits.admit("b", 5));
    }

    #[test]
    fn who_fails_too_often_has_to_wait_and_others_do_not() {
        let limits = Limits::default();
        let (one, other) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let told = (0..60).filter(|_| limits.may_fail(one)).count();
        assert!((30..60).contains(&told), "{told}");
        assert!(limits.may_fail(other));
    }
}
