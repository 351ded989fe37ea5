//! Times of many requests, and what is said of them. It measures nothing itself. Invariant: the times are sorted.

use std::time::Duration;

/// Times of one series of requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    took: Duration,
    each: Vec<Duration>,
}

impl Series {
    /// What was measured in that time, in any order.
    pub(crate) fn new(took: Duration, mut each: Vec<Duration>) -> Self {
        each.sort_unstable();
        Self { took, each }
    }

    /// Several rounds of the same as one.
    pub(crate) fn join(rounds: Vec<Self>) -> Self {
        let took = rounds.iter().map(|round| round.took).sum();
        Self::new(took, rounds.into_iter().flat_map(|round| round.each).collect())
    }

    /// How many there were.
    pub(crate) fn count(&self) -> usize {
        self.each.len()
    }

    /// How many there were in a second.
    pub(crate) fn per_second(&self) -> f64 {
        self.each.len() as f64 / self.took.as_secs_f64().max(1e-9)
    }

    /// The time within which that part of them was over: 0.99 for the p99. The least value that at least that part does not exceed.
    pub(crate) fn at(&self, part: f64) -> Duration {
        let rank = (self.each.len() as f64 * part).ceil() as usize;
        self.each.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// The median.
    pub(crate) fn p50(&self) -> Duration {
        self.at(0.5)
    }

    /// What one in a hundred exceeds.
    pub(crate) fn p99(&self) -> Duration {
        self.at(0.99)
    }
}

/// A time for people: three digits, and milliseconds from a tenth of one up.
pub(crate) fn time(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    match millis {
        _ if millis >= 999.5 => format!("{:.1} s", millis / 1e3),
        _ if millis >= 99.95 => format!("{millis:.0} ms"),
        _ if millis >= 9.995 => format!("{millis:.1} ms"),
        _ if millis >= 0.1 => format!("{millis:.2} ms"),
        _ => format!("{:.0} µs", millis * 1e3),
    }
}

/// A time that may be below zero.
pub(crate) fn difference(millis: f64) -> String {
    format!("{millis:.2} ms")
}

/// A number with thousands apart.
pub(crate) fn number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let length = digits.len();
    let mut text = String::with_capacity(length + length / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (length - index).is_multiple_of(3) && digit.is_ascii_digit() && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
