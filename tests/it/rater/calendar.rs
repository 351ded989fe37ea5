//! Months and days of a tenant, asked of `jiff` directly.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::{Facts, Instant};

fn midnight(date: Date, zone: &str) -> Instant {
    date.to_zoned(TimeZone::get(zone).unwrap()).unwrap().timestamp().as_microsecond()
}

fn zone(facts: &Facts, first: Date) -> &str {
    // 26 hours before midnight in UTC, no day has that date yet anywhere.
    let begins = midnight(first, "UTC") - 26 * 3_600_000_000;
    let said = facts.zones.iter().rfind(|(since, _)| *since <= begins);
    &said.or(facts.zones.first()).unwrap().1
}

/// A month's first instant and the next one's.
pub(super) fn month(facts: &Facts, month: &str) -> (Instant, Instant) {
    let first: Date = format!("{month}-01").parse().unwrap();
    let next = first.checked_add(1.month()).unwrap();
    (midnight(first, zone(facts, first)), midnight(next, zone(facts, next)))
}

/// The first instants of the days of a month, by its own zone, from before its start to after its end.
pub(super) fn days(facts: &Facts, month: &str) -> Vec<Instant> {
    let first: Date = format!("{month}-01").parse().unwrap();
    let zone = zone(facts, first);
    let mut days: Vec<_> = (-3..36_i64).map(|day| midnight(first.checked_add(day.days()).unwrap(), zone)).collect();
    days.dedup();
    days
}

/// The instant of a text.
pub(super) fn instant(text: &str) -> Instant {
    text.parse::<Timestamp>().unwrap().as_microsecond()
}
